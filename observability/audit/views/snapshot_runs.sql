-- A row is a fact's: nothing stands between, so that a filter on run_date reaches the partitions.
SELECT
  r.run_date, r.invocation_id, r.unique_id, i.project_name, i.environment, r.name, r.relation_name, r.relation_database,
  r.relation_schema, r.owner, r.group_name, r.status, r.outcome, r.message, r.rows_affected, r.execution_time,
  r.execute_started_at, r.execute_completed_at, COALESCE(i.empty, FALSE) AS is_empty, i.started_at, i.command, i.dag_id,
  i.dag_run_id, i.task_id, i.map_index, i.try_number, i.log_url
FROM {raw}.run_results AS r
JOIN {main}.invocations AS i ON i.load_id = r.load_id
WHERE r.resource_type = 'snapshot'
