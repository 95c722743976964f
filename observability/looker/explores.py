"""The explores: what analysts start from. Each begins with facts, and joins only what many of them have in common."""

from collections.abc import Sequence

from observability.looker.declaration import Explore, Join


def _of_invocation(view: str, base: str) -> Join:
    return Join(view, {"invocation_id": f"{base}.invocation_id"})


def _of_node(view: str, base: str, node: str = "unique_id") -> Join:
    on = {"project_name": "project_name", "environment": "environment", "unique_id": node}
    return Join(view, {column: f"{base}.{name}" for column, name in on.items()})


EXPLORES: Sequence[Explore] = (
    Explore(
        "pipeline_runs",
        "Pipeline runs",
        "How the mornings went: one row per Airflow DAG run, all its dbt steps together.",
        "pipeline_runs",
        recent="pipeline_runs.run_date",
        unless=("pipeline_runs.pipeline_run_id", "pipeline_runs.dag_run_id"),
    ),
    Explore(
        "dbt_steps",
        "dbt steps",
        "One row per dbt command that ran, retried attempts included: exit codes, durations, who ran it.",
        "invocations",
        joins=(_of_invocation("attempts", "invocations"),),
        recent="invocations.run_date",
        unless=("invocations.invocation_id", "attempts.pipeline_run_id", "invocations.dag_run_id"),
    ),
    Explore(
        "node_results",
        "Node results",
        "One row per model, test, seed or snapshot of a dbt step: what became of it and how long it took.",
        "run_results",
        joins=(_of_invocation("invocations", "run_results"), _of_invocation("attempts", "run_results")),
        recent="run_results.run_date",
        unless=("run_results.invocation_id", "invocations.invocation_id", "attempts.pipeline_run_id",
                "invocations.dag_run_id"),
    ),
    Explore(
        "test_failures",
        "Test failures",
        "One row per test and step in which it failed or warned: rows found, message, owner, log.",
        "test_failures",
        joins=(_of_node("test_history", "test_failures"), _of_node("tests", "test_failures")),
        recent="test_failures.run_date",
        unless=("test_failures.invocation_id", "test_failures.dag_run_id"),
    ),
    Explore(
        "test_health",
        "Test health",
        "One row per test that ran in the last 30 days: how often it failed, and whether it is flaky.",
        "test_history",
        joins=(_of_node("tests", "test_history"),),
    ),
    Explore(
        "source_freshness",
        "Source freshness",
        "One row per source and freshness check: age against thresholds, and the share of checks that met them.",
        "source_freshness_history",
        joins=(_of_node("source_health", "source_freshness_history"),),
        recent="source_freshness_history.run_date",
        unless=("source_freshness_history.invocation_id", "source_freshness_history.dag_run_id"),
    ),
    Explore(
        "source_health",
        "Sources now",
        "One row per source: how fresh it is now, and whether anybody still looks.",
        "source_health",
    ),
    Explore(
        "exposures_at_risk",
        "Exposures at risk",
        "One row per exposure and failing or warning node above it, however far: who is hurt now, and by what.",
        "exposure_impacts",
        joins=(_of_node("exposure_health", "exposure_impacts", "exposure_unique_id"),),
    ),
    Explore(
        "exposure_health",
        "Exposure health",
        "One row per exposure, the healthy ones too: health in dbt's words, and what to look at first.",
        "exposure_health",
    ),
    Explore(
        "incidents",
        "Incidents",
        "One row per cause, from when it was first seen until all is well again: severity, state, time to recover.",
        "incidents",
        recent="incidents.last_bad_date",
        unless=("incidents.incident_id", "incidents.invocation_id", "incidents.dag_run_id", "incidents.state",
                "incidents.opened_date"),
        days=90,
    ),
    Explore(
        "incident_nodes",
        "Nodes of incidents",
        "One row per incident and node: what failed by itself, and what was held up because of that.",
        "incident_nodes",
        joins=(Join("incidents", {"incident_id": "incident_nodes.incident_id"}),),
        recent="incident_nodes.last_bad_date",
        unless=("incident_nodes.incident_id", "incidents.incident_id", "incident_nodes.invocation_id",
                "incident_nodes.dag_run_id", "incident_nodes.unique_id"),
        days=30,
    ),
    Explore(
        "model_run_times",
        "Model run times",
        "One row per run of a model, seed or snapshot in the last 30 days, beside what it usually takes.",
        "model_run_times",
        joins=(_of_node("models", "model_run_times"),),
        recent="model_run_times.run_date",
        unless=("model_run_times.invocation_id", "model_run_times.dag_run_id", "model_run_times.unique_id"),
    ),
    Explore(
        "snapshot_runs",
        "Snapshot runs",
        "One row per snapshot and dbt step: versions written, seconds, what failed.",
        "snapshot_runs",
        recent="snapshot_runs.run_date",
        unless=("snapshot_runs.invocation_id", "snapshot_runs.dag_run_id"),
        days=30,
    ),
    Explore(
        "bigquery_costs",
        "BigQuery cost",
        "One row per node and dbt step that BigQuery billed: bytes, slots, and what was billed in vain.",
        "bigquery_costs",
        joins=(_of_invocation("invocations", "bigquery_costs"),),
        recent="bigquery_costs.run_date",
        unless=("bigquery_costs.invocation_id", "invocations.invocation_id", "bigquery_costs.dag_run_id",
                "invocations.dag_run_id", "bigquery_costs.job_id"),
    ),
    Explore(
        "alert_history",
        "Alert history",
        "One row per message, reply and edit: what was told where, and what became of it.",
        "deliveries",
        joins=(Join("incidents", {"incident_id": "deliveries.incident_id"}),),
        recent="deliveries.delivery_date",
        unless=("deliveries.incident_id", "incidents.incident_id"),
        days=30,
    ),
)  # fmt: skip
