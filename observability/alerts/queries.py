"""The questions that incidents are made of, in GoogleSQL over the views. Parameters: `@now`."""

STEPS = """
WITH steps AS (
  SELECT
    i.load_id, i.project_name, i.environment, i.command, i.dag_id, i.task_id, i.map_index, i.invocation_id,
    i.dag_run_id, i.started_at, i.completed_at, i.outcome, i.exit_code, i.error, i.invocation_command, i.log_url,
    i.evidence, i.alertable, i.will_retry,
    MAX(IF(i.outcome IN ('success', 'warning'), i.started_at, NULL)) OVER (
      PARTITION BY i.project_name, i.environment, i.command, i.dag_id, i.task_id, COALESCE(i.map_index, -1)
    ) AS last_good_at,
    FIRST_VALUE(i.outcome) OVER (
      PARTITION BY i.project_name, i.environment, i.command, i.dag_id, i.task_id, COALESCE(i.map_index, -1)
      ORDER BY i.started_at DESC, i.invocation_id
    ) AS last_outcome
  FROM {main}.invocations AS i
), alike AS (
  -- the steps that ended like the last one, since it last ended well
  SELECT s.*,
    s.outcome = s.last_outcome AND (s.last_good_at IS NULL OR s.started_at > s.last_good_at) AS is_alike
  FROM steps AS s
), last_steps AS (
  SELECT a.*,
    MIN(IF(a.is_alike, a.started_at, NULL)) OVER (
      PARTITION BY a.project_name, a.environment, a.command, a.dag_id, a.task_id, COALESCE(a.map_index, -1)
    ) AS since,
    COUNT(IF(a.is_alike, 1, NULL)) OVER (
      PARTITION BY a.project_name, a.environment, a.command, a.dag_id, a.task_id, COALESCE(a.map_index, -1)
    ) AS bad_runs
  FROM alike AS a
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY a.project_name, a.environment, a.command, a.dag_id, a.task_id, COALESCE(a.map_index, -1)
    ORDER BY a.started_at DESC, a.invocation_id
  ) = 1
), failed AS (
  SELECT f.load_id, COUNT(*) AS failed_nodes
  FROM (
    SELECT r.load_id FROM {main}.run_results AS r WHERE r.outcome = 'failure'
    UNION ALL
    SELECT r.load_id FROM {main}.source_freshness AS r WHERE r.outcome = 'failure'
  ) AS f
  GROUP BY f.load_id
)
SELECT s.project_name, s.environment, s.command, s.dag_id, s.task_id, s.map_index, s.invocation_id, s.dag_run_id,
  s.started_at, s.completed_at, s.outcome, s.exit_code, s.error, s.invocation_command, s.log_url, s.evidence,
  s.alertable, s.will_retry, s.last_good_at, s.since, s.bad_runs, COALESCE(f.failed_nodes, 0) AS failed_nodes
FROM last_steps AS s
LEFT JOIN failed AS f ON f.load_id = s.load_id
ORDER BY s.project_name, s.environment, s.started_at
"""
"""The last step of each command (of each Airflow task, where there are such), and since when it ends so."""

_CURRENT = """
WITH steps AS (
  -- a try that another one follows is not the last word; nor is one whose next try may still come
  SELECT i.load_id, i.project_name, i.environment, i.command, i.invocation_id, i.dag_id, i.dag_run_id, i.started_at,
    i.completed_at, i.log_url, i.alertable, COALESCE(i.empty, FALSE) AS is_empty
  FROM {main}.invocations AS i
  WHERE TRUE
  QUALIFY NOT (i.will_retry AND (
    LEAD(i.try_number) OVER (
      PARTITION BY i.project_name, i.environment, i.dag_id, i.dag_run_id, i.task_id, i.map_index ORDER BY i.try_number
    ) IS NOT NULL
    OR COALESCE(i.completed_at, i.started_at) > TIMESTAMP_SUB(@now, INTERVAL 60 MINUTE)))
), manifests AS (
  SELECT i.project_name, i.environment, i.manifest_id, i.lineage_id
  FROM {main}.invocations AS i
  WHERE i.manifest_id IS NOT NULL
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY i.project_name, i.environment ORDER BY i.started_at DESC, i.invocation_id
  ) = 1
), observations AS (
  SELECT s.project_name, s.environment, r.unique_id, r.outcome, r.status, r.message, r.failures, r.causes, r.ancestors,
    r.parents, r.attached_node, r.resource_type, r.name, r.original_file_path, r.owner, r.group_name, r.severity,
    r.test_name, r.column_name, CAST(NULL AS FLOAT64) AS age_seconds, CAST(NULL AS FLOAT64) AS warn_after_seconds,
    CAST(NULL AS FLOAT64) AS error_after_seconds, CAST(NULL AS TIMESTAMP) AS max_loaded_at,
    COALESCE(r.execute_completed_at, s.completed_at, s.started_at) AS seen_at, s.is_empty, s.invocation_id,
    s.dag_id, s.dag_run_id, s.command, s.log_url, s.alertable
  FROM {main}.run_results AS r
  JOIN steps AS s ON s.load_id = r.load_id
  WHERE r.outcome <> 'unknown'
  UNION ALL
  SELECT s.project_name, s.environment, r.unique_id, r.outcome, r.status, r.error, NULL, r.causes, r.ancestors,
    r.parents, NULL, r.resource_type, r.name, r.original_file_path, r.owner, r.group_name, NULL, NULL, NULL,
    r.age_seconds, r.warn_after_seconds, r.error_after_seconds, r.max_loaded_at,
    COALESCE(r.snapshotted_at, s.completed_at, s.started_at), s.is_empty, s.invocation_id, s.dag_id, s.dag_run_id,
    s.command, s.log_url, s.alertable
  FROM {main}.source_freshness AS r
  JOIN steps AS s ON s.load_id = r.load_id
  WHERE r.outcome <> 'unknown'
), well AS (
  SELECT o.project_name, o.environment, o.unique_id, MAX(o.seen_at) AS well_at
  FROM observations AS o
  WHERE o.outcome = 'ok' AND NOT o.is_empty
  GROUP BY o.project_name, o.environment, o.unique_id
)
"""

STATES = (
    _CURRENT
    + """
SELECT o.* REPLACE (COALESCE(o.owner, a.owner) AS owner), w.well_at,
  MIN(o.seen_at) OVER (PARTITION BY o.project_name, o.environment, o.unique_id) AS since,
  COUNT(*) OVER (PARTITION BY o.project_name, o.environment, o.unique_id) AS bad_runs
FROM observations AS o
LEFT JOIN well AS w
  ON w.project_name IS NOT DISTINCT FROM o.project_name AND w.environment = o.environment AND w.unique_id = o.unique_id
LEFT JOIN manifests AS m ON m.project_name IS NOT DISTINCT FROM o.project_name AND m.environment = o.environment
LEFT JOIN {main}.nodes AS n ON n.manifest_id = m.manifest_id AND n.unique_id = o.unique_id
-- who can mend a node can mend what its tests find
LEFT JOIN {main}.nodes AS a ON a.manifest_id = m.manifest_id AND a.unique_id = o.attached_node
WHERE o.outcome <> 'ok' AND (w.well_at IS NULL OR o.seen_at > w.well_at)
  -- what a later manifest no longer has is withdrawn
  AND (m.manifest_id IS NULL OR n.unique_id IS NOT NULL OR o.resource_type = 'operation')
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY o.project_name, o.environment, o.unique_id ORDER BY o.seen_at DESC, o.invocation_id
) = 1
ORDER BY o.project_name, o.environment, o.unique_id
"""
)
"""Every node that is not well now, with its last observation: failing, warning, or skipped and not rebuilt since."""

EXPOSURES = (
    _CURRENT  # noqa: S608 - nothing but our own constants
    + """
, bad AS (
  SELECT DISTINCT o.project_name, o.environment, o.unique_id AS node
  FROM observations AS o
  LEFT JOIN well AS w
    ON w.project_name IS NOT DISTINCT FROM o.project_name AND w.environment = o.environment
    AND w.unique_id = o.unique_id
  WHERE o.outcome <> 'ok' AND (w.well_at IS NULL OR o.seen_at > w.well_at)
), bases AS (
  -- a test stands for the nodes that it tests
  SELECT b.project_name, b.environment, b.node FROM bad AS b
  UNION DISTINCT
  SELECT b.project_name, b.environment, parent AS node
  FROM bad AS b
  JOIN manifests AS m ON m.project_name IS NOT DISTINCT FROM b.project_name AND m.environment = b.environment
  JOIN {main}.nodes AS n ON n.manifest_id = m.manifest_id AND n.unique_id = b.node
  CROSS JOIN UNNEST(n.depends_on) AS parent
  WHERE n.resource_type IN ('test', 'unit_test')
)
SELECT b.project_name, b.environment, b.node, a.exposure_unique_id, a.distance, e.name, e.label, e.owner, e.owner_email,
  e.url, e.meta, e.exposure_type, e.maturity
FROM bases AS b
JOIN manifests AS m ON m.project_name IS NOT DISTINCT FROM b.project_name AND m.environment = b.environment
JOIN {main}.exposure_ancestors AS a ON a.lineage_id = m.lineage_id AND a.ancestor_unique_id = b.node
JOIN {main}.nodes AS e ON e.manifest_id = m.manifest_id AND e.unique_id = a.exposure_unique_id
ORDER BY b.project_name, b.environment, b.node, a.distance, a.exposure_unique_id
"""
)
"""The exposures below every node that is not well, and below those that a test which is not well tests."""

RUNBOOKS = """
SELECT i.project_name, i.environment, n.unique_id, n.meta
FROM (
  SELECT j.project_name, j.environment, j.manifest_id
  FROM {main}.invocations AS j
  WHERE j.manifest_id IS NOT NULL
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY j.project_name, j.environment ORDER BY j.started_at DESC, j.invocation_id
  ) = 1
) AS i
JOIN {main}.nodes AS n ON n.manifest_id = i.manifest_id
WHERE n.meta IS NOT NULL AND JSON_VALUE(n.meta, '$.observe.runbook') IS NOT NULL
"""
"""Where the meta of a node names a runbook."""
