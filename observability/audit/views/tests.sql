-- The current tests, beside what the last 90 days have seen of them.
SELECT
  n.project_name, n.environment, n.unique_id, n.name, n.package_name, n.original_file_path, n.description, n.tags,
  n.meta, n.owner, n.group_name, n.manifest_id, n.relation_database, n.relation_schema, n.last_run_at, n.last_outcome,
  n.last_status, n.last_message, n.last_execution_time, n.last_invocation_id, n.last_ok_at,
  n.resource_type, n.test_name, n.column_name, n.attached_node, n.severity, n.test_args, n.depends_on, n.last_failures,
  n.skipped_at, n.skipped_because_of
FROM {main}.current_nodes AS n
WHERE n.resource_type IN ('test', 'unit_test')
