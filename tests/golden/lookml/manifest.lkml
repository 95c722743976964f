project_name: "dbt_observability"

constant: CONNECTION {
  value: "bq"
  export: override_required
}

constant: PROJECT {
  value: "shop-prod"
  export: override_required
}

constant: DATASET {
  value: "dbt_audit"
  export: override_required
}

constant: AIRFLOW_URL {
  value: "https://airflow.example"
  export: override_optional
}

constant: DBT_DOCS_URL {
  value: "https://docs.example"
  export: override_optional
}

constant: TRIAGE_URL {
  value: "https://triage.example"
  export: override_optional
}

constant: GREENERY_DATASET {
  value: "greenery"
  export: override_optional
}

constant: STATUS_HTML {
  value: "{% if value == 'failure' or value == 'interrupted' or value == 'not_run' or value == 'error' or value == 'critical' or value == 'open' or value == 'Degraded' or value == 'stale' or value == 'overdue' or value == 'check_failed' %}<span style='color: #b42318'>✖ {{ rendered_value }}</span>{% elsif value == 'warning' or value == 'skipped' or value == 'Caution' or value == 'fixed' or value == 'suspect' or value == 'never_checked' %}<span style='color: #93560a'>▲ {{ rendered_value }}</span>{% elsif value == 'ok' or value == 'success' or value == 'recovered' or value == 'Healthy' or value == 'healthy' %}<span style='color: #1b6e3c'>● {{ rendered_value }}</span>{% else %}{{ rendered_value }}{% endif %}"
  export: none
}
