-- A row is a fact's: nothing stands between, so that a filter on run_date reaches the partitions. Attempts that were
-- repeated are here too, for they were billed; and no price, for that is the reader's: TiB billed, times it.
SELECT
  r.run_date, r.invocation_id, r.unique_id, i.project_name, i.environment, r.resource_type, r.name, r.materialized,
  r.relation_database, r.relation_schema, r.owner, r.group_name, r.outcome, r.execution_time, r.bytes_processed,
  r.bytes_billed, r.bytes_billed / 1099511627776 AS tib_billed, r.slot_ms, r.slot_ms / 3600000 AS slot_hours,
  JSON_VALUE(r.adapter_response, '$.project_id') AS job_project,
  JSON_VALUE(r.adapter_response, '$.location') AS job_location, r.query_id AS job_id,
  COALESCE(i.full_refresh, FALSE) AS is_full_refresh, i.started_at, i.command, i.dag_id, i.dag_run_id, i.task_id,
  i.map_index, i.try_number, i.log_url
FROM {raw}.run_results AS r
JOIN {main}.invocations AS i ON i.load_id = r.load_id
WHERE r.bytes_billed IS NOT NULL OR r.bytes_processed IS NOT NULL OR r.slot_ms IS NOT NULL
