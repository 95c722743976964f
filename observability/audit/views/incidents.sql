-- One row per incident, summed up from its nodes. What stands for it is what is still bad before what is not, failures
-- before warnings, and a node before its tests. An incident may have all nodes of a large project: no row carries more
-- than one of them before the last step.
WITH ranked AS (
  SELECT n.*,
    ROW_NUMBER() OVER (
      PARTITION BY n.incident_id
      ORDER BY IF(n.role = 'failed', 0, 1), IF(n.is_open, 0, 1), IF(n.outcome = 'failure', 0, 1),
        IF(n.kind = 'test_failure', 1, 0), n.last_bad_at DESC, n.unique_id) AS place
  FROM {main}.incident_nodes AS n
), below AS (
  SELECT c.project_name, c.environment, a.ancestor_unique_id AS base, e.unique_id AS exposure,
    JSON_VALUE(e.meta, '$.observe.severity') = 'critical' AS is_critical,
    ROW_NUMBER() OVER (
      PARTITION BY c.project_name, c.environment, a.ancestor_unique_id ORDER BY e.unique_id) AS nth
  FROM {main}.current_states AS c
  JOIN {main}.exposure_ancestors AS a ON a.lineage_id = c.lineage_id
  JOIN {main}.nodes AS e ON e.manifest_id = c.manifest_id AND e.unique_id = a.exposure_unique_id
), reached AS (
  -- each node once for each exposure below each of its bases, and at least once; the first time it is told
  SELECT r.*, nth_base = 1 AND COALESCE(b.nth, 1) = 1 AS is_first, c.started_at AS state_at, b.exposure, b.is_critical
  FROM ranked AS r
  CROSS JOIN UNNEST(GENERATE_ARRAY(1, GREATEST(COALESCE(ARRAY_LENGTH(r.bases), 0), 1))) AS nth_base
  LEFT JOIN {main}.current_states AS c
    ON c.environment = r.environment AND COALESCE(c.project_name, '') = COALESCE(r.project_name, '')
  LEFT JOIN below AS b
    ON b.environment = r.environment AND COALESCE(b.project_name, '') = COALESCE(r.project_name, '')
    AND b.base = r.bases[SAFE_ORDINAL(nth_base)]
), summed AS (
  SELECT
    r.incident_id,
    ANY_VALUE(STRUCT(
      r.incident_key AS incident_key, r.opened_at AS opened_at, r.is_latest AS is_latest, r.bad_runs AS bad_runs,
      r.alertable AS alertable, r.project_name AS project_name, r.environment AS environment, r.subject AS subject,
      r.subject_name AS subject_name, r.subject_resource_type AS subject_resource_type,
      r.relation_database AS relation_database, r.relation_schema AS relation_schema, r.unique_id AS unique_id,
      r.resource_type AS resource_type, r.name AS name, r.kind AS kind, r.outcome AS outcome, r.status AS status,
      r.message AS message, r.failures AS failures, r.original_file_path AS original_file_path, r.owner AS owner,
      r.group_name AS group_name, r.last_well_at AS last_well_at, r.command AS command,
      r.invocation_id AS invocation_id, r.dag_id AS dag_id, r.dag_run_id AS dag_run_id, r.task_id AS task_id,
      r.map_index AS map_index, r.try_number AS try_number, r.log_url AS log_url)
      HAVING MIN r.place) AS worst,
    MAX(IF(r.role = 'failed', r.last_bad_at, NULL)) AS last_bad_at,
    IF(LOGICAL_OR(r.role = 'failed' AND r.is_open), NULL, MAX(r.closed_at)) AS closed_at,
    -- the last of its ends says how it ended
    MAX(IF(r.role = 'failed', CONCAT(CAST(UNIX_MICROS(r.closed_at) AS STRING), r.closed_by), NULL)) AS last_end,
    LOGICAL_OR(r.role <> 'failed' AND r.is_open AND r.resource_type <> 'exposure') AS is_waiting,
    ARRAY_AGG(IF(r.is_first, STRUCT(
      r.role AS role, r.is_open AS is_open, r.unique_id AS unique_id, r.name AS name, r.resource_type AS resource_type,
      r.kind AS kind, r.outcome AS outcome, r.status AS status, r.message AS message, r.failures AS failures,
      r.first_bad_at AS first_bad_at, r.last_bad_at AS last_bad_at, r.test_name AS test_name,
      r.column_name AS column_name, r.original_file_path AS original_file_path, r.age_seconds AS age_seconds,
      r.warn_after_seconds AS warn_after_seconds, r.error_after_seconds AS error_after_seconds, r.bases AS bases), NULL)
      IGNORE NULLS ORDER BY r.place) AS nodes,
    ARRAY_AGG(IF(r.is_first AND r.role = 'failed', r.unique_id, NULL) IGNORE NULLS ORDER BY r.unique_id) AS failed_nodes,
    ARRAY_AGG(IF(r.is_first AND r.role = 'failed' AND r.is_open, r.unique_id, NULL) IGNORE NULLS ORDER BY r.unique_id)
      AS failing_nodes,
    -- an exposure that was skipped is among those that are hurt
    ARRAY_AGG(IF(r.is_first AND r.role = 'blocked' AND r.resource_type <> 'exposure', r.unique_id, NULL) IGNORE NULLS
      ORDER BY r.unique_id) AS blocked_nodes,
    ARRAY_AGG(IF(r.is_first AND r.role = 'folded', r.unique_id, NULL) IGNORE NULLS ORDER BY r.unique_id) AS folded_nodes,
    ARRAY_AGG(
      IF(r.is_first AND r.role <> 'failed' AND r.is_open AND r.resource_type <> 'exposure', r.unique_id, NULL)
      IGNORE NULLS ORDER BY r.unique_id) AS waiting_nodes,
    MAX(r.state_at) AS state_at,
    COALESCE(LOGICAL_OR(r.is_critical), FALSE) AS is_critical,
    ARRAY_AGG(DISTINCT r.exposure IGNORE NULLS ORDER BY r.exposure) AS exposures
  FROM reached AS r
  GROUP BY r.incident_id
)
SELECT
  s.worst.incident_key, s.incident_id, s.worst.project_name, s.worst.environment, s.worst.relation_database,
  s.worst.relation_schema, s.worst.subject,
  IF(s.worst.subject = s.worst.unique_id, s.worst.resource_type, s.worst.subject_resource_type) AS resource_type,
  COALESCE(s.worst.subject_name, s.worst.name, s.worst.subject) AS name, s.worst.kind, s.worst.outcome,
  CASE
    WHEN s.worst.outcome = 'warning' THEN 'warning'
    WHEN s.is_critical THEN 'critical'
    ELSE 'error'
  END AS severity,
  CASE
    WHEN s.closed_at IS NULL AND s.last_bad_at < TIMESTAMP_SUB(s.state_at, INTERVAL 90 DAY) THEN 'expired'
    WHEN s.closed_at IS NULL THEN 'open'
    WHEN ENDS_WITH(s.last_end, 'withdrawn') THEN 'withdrawn'
    WHEN s.worst.is_latest AND s.is_waiting THEN 'fixed'
    ELSE 'recovered'
  END AS state,
  s.worst.opened_at, s.last_bad_at, s.closed_at, s.worst.last_well_at,
  (UNIX_MICROS(s.closed_at) - UNIX_MICROS(s.worst.opened_at)) / 1000000 AS open_seconds,
  s.worst.bad_runs,
  COALESCE(s.failed_nodes, CAST([] AS ARRAY<STRING>)) AS failed_nodes,
  COALESCE(s.failing_nodes, CAST([] AS ARRAY<STRING>)) AS failing_nodes,
  COALESCE(s.blocked_nodes, CAST([] AS ARRAY<STRING>)) AS blocked_nodes,
  COALESCE(s.folded_nodes, CAST([] AS ARRAY<STRING>)) AS folded_nodes,
  COALESCE(s.waiting_nodes, CAST([] AS ARRAY<STRING>)) AS waiting_nodes,
  COALESCE(s.exposures, CAST([] AS ARRAY<STRING>)) AS exposures,
  s.worst.unique_id AS worst_node, s.worst.status, s.worst.message, s.worst.failures, s.worst.owner,
  s.worst.group_name, s.worst.original_file_path, s.worst.alertable, s.worst.command, s.worst.invocation_id,
  s.worst.dag_id, s.worst.dag_run_id, s.worst.task_id, s.worst.map_index, s.worst.try_number, s.worst.log_url, s.nodes
FROM summed AS s
