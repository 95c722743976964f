"""The questions that incidents are made of, in GoogleSQL over the views."""

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

INCIDENTS = """
SELECT i.*, n.nodes
FROM {main}.incidents AS i
LEFT JOIN (
  SELECT n.incident_id, ARRAY_AGG(STRUCT(
    n.role AS role, n.is_open AS is_open, n.unique_id AS unique_id, n.name AS name, n.resource_type AS resource_type,
    n.status AS status, n.outcome AS outcome, n.message AS message, n.failures AS failures,
    n.first_bad_at AS first_bad_at, n.last_bad_at AS last_bad_at, n.test_name AS test_name,
    n.column_name AS column_name, n.original_file_path AS original_file_path, n.age_seconds AS age_seconds,
    n.warn_after_seconds AS warn_after_seconds, n.error_after_seconds AS error_after_seconds, n.bases AS bases)
    ORDER BY n.unique_id) AS nodes
  FROM {main}.incident_nodes AS n
  WHERE n.is_latest AND (n.is_open OR n.role = 'failed')
  GROUP BY n.incident_id
) AS n ON n.incident_id = i.incident_id
WHERE i.state IN ('open', 'fixed')
ORDER BY i.incident_id
"""
"""The incidents that are not over, each with what failed in it and what waits for it. Parameter: `@now`."""

STATES = """
SELECT c.project_name, c.environment, c.manifest_id, c.lineage_id, DATE_TRUNC(DATE(c.started_at), MONTH) AS month
FROM {main}.current_states AS c
ORDER BY c.environment, c.project_name
"""
"""What each project is made of now; the months in which those states were stored."""

EXPOSURES = """
SELECT s.project_name, s.environment, a.ancestor_unique_id AS node, a.exposure_unique_id, a.distance, e.name, e.label,
  e.owner, e.owner_email, e.url, e.meta, e.exposure_type, e.maturity
FROM {main}.current_states AS s
JOIN {main}.exposure_ancestors AS a ON a.lineage_id = s.lineage_id
JOIN {main}.nodes AS e ON e.manifest_id = s.manifest_id AND e.unique_id = a.exposure_unique_id
WHERE a.ancestor_unique_id IN UNNEST(@bases)
  -- constants, so that no other partition is read
  AND a.lineage_month IN UNNEST(@months) AND a.lineage_id IN UNNEST(@states)
  AND e.manifest_month IN UNNEST(@months) AND e.manifest_id IN UNNEST(@states)
ORDER BY s.project_name, s.environment, node, a.distance, a.exposure_unique_id
"""
"""The exposures below what is not well. Parameters: `@bases`, and `@states` and `@months` of STATES."""

RUNBOOKS = """
SELECT c.project_name, c.environment, n.unique_id, n.meta
FROM {main}.current_states AS c
JOIN {main}.nodes AS n ON n.manifest_id = c.manifest_id
WHERE n.unique_id IN UNNEST(@subjects) AND JSON_VALUE(n.meta, '$.observe.runbook') IS NOT NULL
  AND n.manifest_month IN UNNEST(@months) AND n.manifest_id IN UNNEST(@states)
"""
"""Where the meta of a node names a runbook. Parameters: `@subjects`, and `@states` and `@months` of STATES."""
