include: "/views/run_results.view.lkml"
include: "/views/invocations.view.lkml"
include: "/views/attempts.view.lkml"

explore: node_results {
  label: "Node results"
  description: "One row per model, test, seed or snapshot of a dbt step: what became of it and how long it took."
  view_name: run_results

  conditionally_filter: {
    filters: [
      run_results.run_date: "7 days",
    ]
    unless: [run_results.invocation_id, invocations.invocation_id, attempts.pipeline_run_id, invocations.dag_run_id]
  }

  join: invocations {
    type: left_outer
    relationship: many_to_one
    fields: [invocations.joined*]
    sql_on: ${run_results.invocation_id} = ${invocations.invocation_id} ;;
  }

  join: attempts {
    type: left_outer
    relationship: many_to_one
    sql_on: ${run_results.invocation_id} = ${attempts.invocation_id} ;;
  }
}
