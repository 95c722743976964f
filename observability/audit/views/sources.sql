-- The current sources, beside what the last 90 days have seen of them. How fresh they are, source_health says.
SELECT
  n.project_name, n.environment, n.unique_id, n.name, n.package_name, n.original_file_path, n.description, n.tags,
  n.meta, n.owner, n.group_name, n.manifest_id, n.relation_database, n.relation_schema, n.last_run_at, n.last_outcome,
  n.last_status, n.last_message, n.last_execution_time, n.last_invocation_id, n.last_ok_at,
  n.relation_name, n.source_name, n.loader, n.loaded_at_field, n.warn_after_seconds, n.error_after_seconds,
  n.freshness_filter
FROM {main}.current_nodes AS n
WHERE n.resource_type = 'source'
