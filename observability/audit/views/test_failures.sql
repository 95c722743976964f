-- A row is a fact's: nothing stands between but what the small invocations say of it, so that a filter on run_date
-- reaches the partitions.
SELECT
  r.run_date, r.invocation_id, r.unique_id, a.project_name, a.environment, r.name, r.resource_type, r.test_name,
  r.column_name, r.attached_node, r.severity, r.package_name, r.original_file_path, r.relation_database,
  r.relation_schema, r.relation_name, r.owner, r.group_name, r.tags, r.status, r.outcome, r.failures, r.message,
  r.compiled_code, r.query_id, r.bytes_billed, r.execution_time, r.unique_id IN UNNEST(r.causes) AS is_root_cause,
  r.causes, a.is_superseded AS superseded, a.started_at, COALESCE(r.execute_completed_at, a.ended_at) AS failed_at,
  a.command, a.dag_id, a.dag_run_id, a.task_id, a.map_index, a.try_number, a.log_url
FROM {raw}.run_results AS r
JOIN {main}.attempts AS a ON a.load_id = r.load_id
WHERE r.resource_type IN ('test', 'unit_test') AND r.outcome IN ('failure', 'warning')
