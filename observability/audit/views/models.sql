-- The current models, beside what the last 90 days have seen of them.
SELECT
  n.project_name, n.environment, n.unique_id, n.name, n.package_name, n.original_file_path, n.description, n.tags,
  n.meta, n.owner, n.group_name, n.manifest_id, n.relation_database, n.relation_schema, n.last_run_at, n.last_outcome,
  n.last_status, n.last_message, n.last_execution_time, n.last_invocation_id, n.last_ok_at,
  n.relation_name, n.materialized, n.access, n.checksum, n.depends_on, n.last_rows_affected, n.skipped_at,
  n.skipped_because_of
FROM {main}.current_nodes AS n
WHERE n.resource_type = 'model'
