-- A step that left no manifest says nothing of the project; the one that began last and left one does.
SELECT
  i.project_name, i.environment, i.manifest_id, i.lineage_id, i.started_at, i.invocation_id, i.dbt_version, i.git_sha,
  i.git_branch
FROM {main}.invocations AS i
WHERE i.manifest_id IS NOT NULL
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY i.project_name, i.environment ORDER BY i.started_at DESC, i.invocation_id DESC) = 1
