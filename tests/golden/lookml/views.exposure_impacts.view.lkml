view: exposure_impacts {
  label: "Impact"
  sql_table_name: `@{PROJECT}.@{DATASET}.exposure_impacts` ;;

  dimension: key {
    primary_key: yes
    hidden: yes
    description: "Names the row."
    type: string
    sql: CONCAT(COALESCE(${TABLE}.project_name, ''), '|', ${TABLE}.environment, '|', ${TABLE}.exposure_unique_id, '|', ${TABLE}.unique_id) ;;
  }

  dimension: project_name {
    label: "Project name"
    description: "dbt project that was run."
    type: string
    sql: ${TABLE}.project_name ;;
  }

  dimension: environment {
    label: "Environment"
    description: "Deployment."
    type: string
    sql: ${TABLE}.environment ;;
  }

  dimension: exposure_unique_id {
    label: "Exposure unique ID"
    description: "The exposure."
    group_label: "Exposure"
    type: string

    link: {
      label: "dbt docs"
      url: "{% if '@{DBT_DOCS_URL}' != '' %}@{DBT_DOCS_URL}/#!/{{ value | split: '.' | first }}/{{ value | url_encode }}{% endif %}"
    }

    sql: ${TABLE}.exposure_unique_id ;;
  }

  dimension: unique_id {
    label: "Unique ID"
    description: "What is bad: a model, seed, snapshot, test or source."
    type: string

    link: {
      label: "dbt docs"
      url: "{% if '@{DBT_DOCS_URL}' != '' %}@{DBT_DOCS_URL}/#!/{{ value | split: '.' | first }}/{{ value | url_encode }}{% endif %}"
    }

    sql: ${TABLE}.unique_id ;;
  }

  dimension: distance {
    label: "Distance"
    description: "Steps between them on the shortest way, from what a test tests; 1 for a direct parent."
    type: number
    value_format_name: decimal_0
    sql: ${TABLE}.distance ;;
  }

  dimension: risk {
    label: "Risk"
    description: "stale: what the exposure shows is old, for a source is late, a node was not built, or dbt stopped at the test before the exposure's models; suspect: what the test found is in the data that it shows."
    type: string
    suggestions: ["stale", "suspect"]
    html: @{STATUS_HTML} ;;
    sql: ${TABLE}.risk ;;
  }

  dimension: exposure_name {
    label: "Exposure name"
    description: "The exposure's name."
    group_label: "Exposure"
    type: string
    sql: ${TABLE}.exposure_name ;;
  }

  dimension: exposure_label {
    label: "Exposure label"
    description: "The exposure's name for people."
    group_label: "Exposure"
    type: string
    sql: ${TABLE}.exposure_label ;;
  }

  dimension: exposure_type {
    label: "Exposure type"
    description: "dashboard, notebook, analysis, ml or application."
    group_label: "Exposure"
    type: string
    sql: ${TABLE}.exposure_type ;;
  }

  dimension: exposure_maturity {
    label: "Exposure maturity"
    description: "low, medium or high."
    group_label: "Exposure"
    type: string
    sql: ${TABLE}.exposure_maturity ;;
  }

  dimension: exposure_owner {
    label: "Exposure owner"
    description: "Who is to be told."
    group_label: "Exposure"
    type: string
    sql: ${TABLE}.exposure_owner ;;
  }

  dimension: exposure_owner_email {
    label: "Exposure owner email"
    description: "The exposure's owner's address."
    group_label: "Exposure"
    type: string
    sql: ${TABLE}.exposure_owner_email ;;
  }

  dimension: exposure_url {
    label: "Exposure URL"
    description: "The exposure's address."
    group_label: "Exposure"
    type: string
    suggestable: no

    link: {
      label: "Open"
      url: "{% assign scheme = value | split: ':' | first %}{% if scheme == 'https' or scheme == 'http' %}{{ value }}{% endif %}"
    }

    sql: ${TABLE}.exposure_url ;;
  }

  dimension: resource_type {
    label: "Resource type"
    description: "What is bad: model, seed, snapshot, test, unit_test or source."
    group_label: "Node"
    type: string
    sql: ${TABLE}.resource_type ;;
  }

  dimension: name {
    label: "Name"
    description: "Its name."
    type: string
    sql: ${TABLE}.name ;;
  }

  dimension: test_name {
    label: "Test name"
    description: "A generic test's kind: unique, not_null, …"
    group_label: "Test"
    type: string
    sql: ${TABLE}.test_name ;;
  }

  dimension: column_name {
    label: "Column name"
    description: "The column that a test looks at."
    group_label: "Test"
    type: string
    sql: ${TABLE}.column_name ;;
  }

  dimension: attached_node {
    label: "Attached node"
    description: "The node that a test tests."
    group_label: "Test"
    type: string

    link: {
      label: "dbt docs"
      url: "{% if '@{DBT_DOCS_URL}' != '' %}@{DBT_DOCS_URL}/#!/{{ value | split: '.' | first }}/{{ value | url_encode }}{% endif %}"
    }

    sql: ${TABLE}.attached_node ;;
  }

  dimension: severity {
    label: "Severity"
    description: "A test's severity: error or warn."
    type: string
    suggestions: ["error", "warn"]
    html: @{STATUS_HTML} ;;
    sql: ${TABLE}.severity ;;
  }

  dimension: relation_database {
    label: "Relation database"
    description: "Database (BigQuery: project); a test's is its attached node's."
    group_label: "Relation"
    type: string
    sql: ${TABLE}.relation_database ;;
  }

  dimension: relation_schema {
    label: "Relation schema"
    description: "Schema (BigQuery: dataset); a test's is its attached node's."
    group_label: "Relation"
    type: string
    sql: ${TABLE}.relation_schema ;;
  }

  dimension: original_file_path {
    label: "Original file path"
    description: "Its file, from the package's root."
    group_label: "Node"
    type: string
    sql: ${TABLE}.original_file_path ;;
  }

  dimension: owner {
    label: "Owner"
    description: "Who can mend it; of a test without an owner, the owner of what it tests."
    type: string
    sql: ${TABLE}.owner ;;
  }

  dimension: group_name {
    label: "Group name"
    description: "Its dbt group; of a test without one, that of what it tests."
    group_label: "Node"
    type: string
    sql: ${TABLE}.group_name ;;
  }

  dimension: outcome {
    label: "Outcome"
    description: "failure or warning."
    type: string
    suggestions: ["failure", "warning"]
    html: @{STATUS_HTML} ;;
    sql: ${TABLE}.outcome ;;
  }

  dimension: status {
    label: "Status"
    description: "dbt's status."
    type: string
    sql: ${TABLE}.status ;;
  }

  dimension: message {
    label: "Message"
    description: "dbt's message."
    type: string
    suggestable: no
    required_access_grants: [dbt_error_text]
    sql: ${TABLE}.message ;;
  }

  dimension: failures {
    label: "Failures"
    description: "Rows that a test found."
    type: number
    value_format_name: decimal_0
    sql: ${TABLE}.failures ;;
  }

  dimension: is_root_cause {
    label: "Is root cause"
    description: "Whether nothing above it failed before it in the same step."
    type: yesno
    sql: ${TABLE}.is_root_cause ;;
  }

  dimension: invocation_id {
    label: "Invocation ID"
    description: "The invocation that saw it bad."
    type: string
    suggestable: no

    link: {
      label: "On-call triage"
      url: "/dashboards/{{ _model._name }}::on_call_triage?Invocation%20ID={{ value | url_encode }}&State="
    }

    link: {
      label: "Triage page"
      url: "{% if '@{TRIAGE_URL}' != '' %}@{TRIAGE_URL}/{{ value | url_encode }}.html{% endif %}"
    }

    sql: ${TABLE}.invocation_id ;;
  }

  dimension: command {
    label: "Command"
    description: "dbt's command then."
    type: string
    sql: ${TABLE}.command ;;
  }

  dimension: dag_id {
    label: "DAG ID"
    description: "Airflow DAG of the invocation."
    group_label: "Airflow"
    type: string
    sql: ${TABLE}.dag_id ;;
  }

  dimension: dag_run_id {
    label: "DAG run ID"
    description: "Airflow DAG run of the invocation."
    group_label: "Airflow"
    type: string
    suggestable: no

    link: {
      label: "Airflow DAG run"
      url: "{% if '@{AIRFLOW_URL}' != '' %}@{AIRFLOW_URL}/dags/{{ exposure_impacts.dag_id._value | url_encode }}/runs/{{ value | url_encode }}{% endif %}"
    }

    link: {
      label: "On-call triage"
      url: "/dashboards/{{ _model._name }}::on_call_triage?DAG%20run={{ value | url_encode }}&State="
    }

    sql: ${TABLE}.dag_run_id ;;
  }

  dimension: task_id {
    label: "Task ID"
    description: "Airflow task of the invocation."
    group_label: "Airflow"
    type: string
    sql: ${TABLE}.task_id ;;
  }

  dimension: map_index {
    label: "Map index"
    description: "Index of a mapped Airflow task."
    group_label: "Airflow"
    type: number
    value_format_name: decimal_0
    sql: ${TABLE}.map_index ;;
  }

  dimension: try_number {
    label: "Try number"
    description: "Airflow's try, from 1."
    group_label: "Airflow"
    type: number
    value_format_name: decimal_0
    sql: ${TABLE}.try_number ;;
  }

  dimension: log_url {
    label: "Log URL"
    description: "Airflow's log of that try."
    group_label: "Airflow"
    type: string
    suggestable: no

    link: {
      label: "Airflow log"
      url: "{% assign scheme = value | split: ':' | first %}{% if scheme == 'https' or scheme == 'http' %}{{ value }}{% endif %}"
    }

    sql: ${TABLE}.log_url ;;
  }

  dimension_group: failed {
    label: "Failed"
    description: "When it was last seen bad."
    type: time
    timeframes: [
      raw,
      time,
      hour_of_day,
      date,
      week,
      month,
      quarter,
      year,
    ]
    sql: ${TABLE}.failed_at ;;
  }

  dimension_group: last_ok {
    label: "Last OK"
    description: "When it was last well, in the last 90 days."
    type: time
    timeframes: [
      raw,
      time,
      hour_of_day,
      date,
      week,
      month,
      quarter,
      year,
    ]
    sql: ${TABLE}.last_ok_at ;;
  }

  measure: count {
    label: "Count"
    description: "How many failures and warnings above exposures."
    type: count
    value_format_name: decimal_0
    drill_fields: [detail*]
  }

  measure: exposures {
    label: "Exposures"
    description: "Exposures that are hurt, each once."
    type: count_distinct
    value_format_name: decimal_0
    drill_fields: [detail*]
    sql: ${exposure_unique_id} ;;
  }

  measure: causes {
    label: "Causes"
    description: "Failing or warning nodes, each once."
    type: count_distinct
    value_format_name: decimal_0
    drill_fields: [detail*]
    sql: ${unique_id} ;;
  }

  measure: failing_causes {
    label: "Failing causes"
    description: "Failing nodes, each once."
    type: count_distinct
    value_format_name: decimal_0
    filters: [
      outcome: "failure",
    ]
    drill_fields: [detail*]
    sql: ${unique_id} ;;
  }

  measure: stale_exposures {
    label: "Stale exposures"
    description: "Exposures that show what is old."
    type: count_distinct
    value_format_name: decimal_0
    filters: [
      risk: "stale",
    ]
    drill_fields: [detail*]
    sql: ${exposure_unique_id} ;;
  }

  measure: suspect_exposures {
    label: "Suspect exposures"
    description: "Exposures with bad data in them."
    type: count_distinct
    value_format_name: decimal_0
    filters: [
      risk: "suspect",
    ]
    drill_fields: [detail*]
    sql: ${exposure_unique_id} ;;
  }

  set: detail {
    fields: [
      exposure_label,
      exposure_owner,
      risk,
      unique_id,
      status,
      message,
      failed_time,
      owner,
    ]
  }
}
