connection: "@{CONNECTION}"
label: "dbt observability"
include: "/access_grants.lkml"
include: "/explores/*.explore.lkml"
include: "/dashboards/*.dashboard.lookml"
include: "/tests/*.lkml"

datagroup: last_load {
  label: "Last load"
  description: "Changes when dbt-observe has loaded a dbt step."
  sql_trigger: SELECT MAX(loaded_at) FROM `@{PROJECT}.@{DATASET}.invocations` ;;
  max_cache_age: "1 hour"
}

persist_with: last_load
