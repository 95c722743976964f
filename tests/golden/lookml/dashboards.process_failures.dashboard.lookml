- dashboard: process_failures
  title: Process failures
  description: What is broken now. Its first number is made to be the condition of an alert.
  layout: newspaper
  preferred_viewer: dashboards-next
  filters:
  - name: Environment
    title: Environment
    type: field_filter
    default_value: ''
    allow_multiple_values: true
    required: false
    ui_config:
      type: tag_list
      display: popover
    model: dbt_observability
    explore: incidents
    listens_to_filters: []
    field: incidents.environment
  - name: Project
    title: Project
    type: field_filter
    default_value: ''
    allow_multiple_values: true
    required: false
    ui_config:
      type: tag_list
      display: popover
    model: dbt_observability
    explore: incidents
    listens_to_filters: []
    field: incidents.project_name
  elements:
  - title: Open failures
    name: Open failures
    model: dbt_observability
    explore: incidents
    type: single_value
    fields:
    - incidents.open_failures
    filters:
      incidents.state: open
    limit: 500
    enable_conditional_formatting: true
    conditional_formatting:
    - type: greater than
      value: 0
      background_color: '#b42318'
      font_color: '#ffffff'
    note_state: collapsed
    note_display: hover
    note_text: 'Above 0, somebody has to act: set the alert here.'
    listen:
      Environment: incidents.environment
      Project: incidents.project_name
    row: 0
    col: 0
    width: 6
    height: 3
  - title: Critical
    name: Critical
    model: dbt_observability
    explore: incidents
    type: single_value
    fields:
    - incidents.open_critical
    filters:
      incidents.state: open
    limit: 500
    enable_conditional_formatting: true
    conditional_formatting:
    - type: greater than
      value: 0
      background_color: '#b42318'
      font_color: '#ffffff'
    note_state: collapsed
    note_display: hover
    note_text: Open incidents that hurt a critical exposure.
    listen:
      Environment: incidents.environment
      Project: incidents.project_name
    row: 0
    col: 6
    width: 6
    height: 3
  - title: Exposures hurt
    name: Exposures hurt
    model: dbt_observability
    explore: exposures_at_risk
    type: single_value
    fields:
    - exposure_impacts.exposures
    filters:
      exposure_impacts.outcome: failure
    limit: 500
    enable_conditional_formatting: true
    conditional_formatting:
    - type: greater than
      value: 0
      background_color: '#b42318'
      font_color: '#ffffff'
    note_state: collapsed
    note_display: hover
    note_text: Exposures with a failure above them now.
    listen:
      Environment: exposure_impacts.environment
      Project: exposure_impacts.project_name
    row: 0
    col: 12
    width: 6
    height: 3
  - title: Sources not fresh
    name: Sources not fresh
    model: dbt_observability
    explore: source_health
    type: single_value
    fields:
    - source_health.unhealthy_sources
    limit: 500
    enable_conditional_formatting: true
    conditional_formatting:
    - type: greater than
      value: 0
      background_color: '#b42318'
      font_color: '#ffffff'
    note_state: collapsed
    note_display: hover
    note_text: Stale, overdue, or not to be checked.
    listen:
      Environment: source_health.environment
      Project: source_health.project_name
    row: 0
    col: 18
    width: 6
    height: 3
  - title: What is broken
    name: What is broken
    model: dbt_observability
    explore: incidents
    type: looker_grid
    fields:
    - incidents.severity
    - incidents.name
    - incidents.kind
    - incidents.message
    - incidents.owner
    - incidents.opened_time
    - incidents.bad_runs
    - incidents.subject
    - incidents.log_url
    filters:
      incidents.state: open
      incidents.outcome: failure
    sorts:
    - incidents.severity
    - incidents.opened_time desc
    limit: 500
    truncate_text: true
    size_to_fit: true
    note_state: collapsed
    note_display: hover
    note_text: One row per cause; what fails below it is a part of it.
    listen:
      Environment: incidents.environment
      Project: incidents.project_name
    row: 3
    col: 0
    width: 24
    height: 8
  - title: Who is hurt
    name: Who is hurt
    model: dbt_observability
    explore: exposures_at_risk
    type: looker_grid
    fields:
    - exposure_impacts.exposure_label
    - exposure_impacts.exposure_name
    - exposure_impacts.exposure_owner
    - exposure_impacts.risk
    - exposure_impacts.name
    - exposure_impacts.message
    - exposure_impacts.owner
    - exposure_impacts.failed_time
    filters:
      exposure_impacts.outcome: failure
      exposure_impacts.is_root_cause: 'yes'
    sorts:
    - exposure_impacts.exposure_name
    limit: 500
    truncate_text: true
    size_to_fit: true
    listen:
      Environment: exposure_impacts.environment
      Project: exposure_impacts.project_name
    row: 11
    col: 0
    width: 24
    height: 8
  - title: Runs, last 14 days
    name: Runs, last 14 days
    model: dbt_observability
    explore: pipeline_runs
    type: looker_column
    fields:
    - pipeline_runs.run_date
    - pipeline_runs.outcome
    - pipeline_runs.count
    pivots:
    - pipeline_runs.outcome
    filters:
      pipeline_runs.run_date: 14 days
    sorts:
    - pipeline_runs.run_date desc
    - pipeline_runs.outcome
    limit: 500
    stacking: normal
    series_colors:
      failure - pipeline_runs.count: '#b42318'
      interrupted - pipeline_runs.count: '#7a271a'
      not_run - pipeline_runs.count: '#475467'
      warning - pipeline_runs.count: '#dc9a2e'
      skipped - pipeline_runs.count: '#98a2b3'
      success - pipeline_runs.count: '#1b6e3c'
      ok - pipeline_runs.count: '#1b6e3c'
    listen:
      Environment: pipeline_runs.environment
      Project: pipeline_runs.project_name
    row: 19
    col: 0
    width: 24
    height: 7
