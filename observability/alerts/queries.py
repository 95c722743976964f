"""The questions that incidents are made of, in GoogleSQL over the views. Parameters: `@now`."""

STEPS = """
SELECT i.project_name, i.environment, i.step, i.command, i.invocation_command, i.invocation_id, i.dag_id, i.dag_run_id,
  i.task_id, i.map_index, i.try_number, i.started_at, i.completed_at, i.outcome, i.exit_code, i.error, i.log_url,
  MAX(IF(i.outcome IN ('success', 'warning'), i.started_at, NULL)) OVER (
    PARTITION BY i.project_name, i.environment, i.step
  ) AS last_good_at
FROM {main}.invocations AS i
WHERE TRUE
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY i.project_name, i.environment, i.step ORDER BY i.started_at DESC, i.invocation_id
) = 1
ORDER BY i.project_name, i.environment, i.started_at
"""
"""Each step as it last was, and when it last ended well."""

INCIDENTS = "SELECT i.* FROM {main}.incidents AS i WHERE i.state IN ('open', 'fixed') ORDER BY i.incident_id"
"""The incidents that are not over."""

INCIDENT_NODES = """
SELECT n.*
FROM {main}.incident_nodes AS n
WHERE n.is_latest AND (n.is_open OR n.role = 'failed')
ORDER BY n.incident_id, n.unique_id
"""
"""What failed in the latest incident of each subject, and what waits for it."""

EXPOSURES = """
WITH bases AS (
  SELECT DISTINCT n.project_name, n.environment, base
  FROM {main}.incident_nodes AS n
  CROSS JOIN UNNEST(n.bases) AS base
  WHERE n.is_latest AND (n.is_open OR n.role = 'failed')
)
SELECT b.project_name, b.environment, b.base AS node, a.exposure_unique_id, a.distance, e.name, e.label, e.owner,
  e.owner_email, e.url, e.meta, e.exposure_type, e.maturity
FROM bases AS b
JOIN {main}.current_states AS s
  ON COALESCE(s.project_name, '') = COALESCE(b.project_name, '') AND s.environment = b.environment
JOIN {main}.exposure_ancestors AS a ON a.lineage_id = s.lineage_id AND a.ancestor_unique_id = b.base
JOIN {main}.nodes AS e ON e.manifest_id = s.manifest_id AND e.unique_id = a.exposure_unique_id
ORDER BY b.project_name, b.environment, b.base, a.distance, a.exposure_unique_id
"""
"""The exposures below all that is not well."""

RUNBOOKS = """
SELECT c.project_name, c.environment, n.unique_id, n.meta
FROM {main}.current_states AS c
JOIN {main}.nodes AS n ON n.manifest_id = c.manifest_id
WHERE n.meta IS NOT NULL AND JSON_VALUE(n.meta, '$.observe.runbook') IS NOT NULL
"""
"""Where the meta of a node names a runbook."""
