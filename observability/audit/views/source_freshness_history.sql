-- A row is a fact's: nothing stands between but what the small invocations say of it, so that a filter on run_date
-- reaches the partitions.
SELECT
  f.run_date, f.invocation_id, f.unique_id, a.project_name, a.environment, f.source_name, f.name, f.package_name,
  f.relation_database, f.relation_schema, f.owner, f.tags, f.status, f.outcome,
  COALESCE(f.snapshotted_at, a.ended_at) AS checked_at, f.max_loaded_at, f.age_seconds, f.warn_after_seconds,
  f.error_after_seconds, f.age_seconds / NULLIF(f.warn_after_seconds, 0) AS warn_ratio,
  f.age_seconds / NULLIF(f.error_after_seconds, 0) AS error_ratio,
  GREATEST(f.age_seconds - f.warn_after_seconds, 0) / 60 AS minutes_over_warn,
  GREATEST(f.age_seconds - f.error_after_seconds, 0) / 60 AS minutes_over_error,
  f.status IN ('pass', 'warn', 'error') AND f.snapshotted_at IS NOT NULL AND f.max_loaded_at IS NULL AS is_empty_table,
  f.filter, f.error, f.execution_time, a.is_superseded AS superseded, a.started_at, a.command, a.dag_id, a.dag_run_id,
  a.task_id, a.map_index, a.try_number, a.log_url
FROM {raw}.source_freshness AS f
JOIN {main}.attempts AS a ON a.load_id = f.load_id
