-- One row per incident, summed up from its nodes. What stands for it is what is still bad before what is not, failures
-- before warnings, and a node before its tests.
WITH ranked AS (
  SELECT n.*,
    ROW_NUMBER() OVER (
      PARTITION BY n.incident_id
      ORDER BY IF(n.role = 'failed', 0, 1), IF(n.is_open, 0, 1), IF(n.outcome = 'failure', 0, 1),
        IF(n.kind = 'test_failure', 1, 0), n.last_bad_at DESC, n.unique_id) AS place
  FROM {main}.incident_nodes AS n
), summed AS (
  SELECT
    r.incident_id,
    ARRAY_AGG(STRUCT(
      r.incident_key AS incident_key, r.opened_at AS opened_at, r.is_latest AS is_latest, r.bad_runs AS bad_runs,
      r.alertable AS alertable, r.project_name AS project_name, r.environment AS environment, r.subject AS subject,
      r.subject_name AS subject_name, r.subject_resource_type AS subject_resource_type,
      r.relation_database AS relation_database, r.relation_schema AS relation_schema, r.unique_id AS unique_id,
      r.resource_type AS resource_type, r.name AS name, r.kind AS kind, r.outcome AS outcome, r.status AS status,
      r.message AS message, r.failures AS failures, r.original_file_path AS original_file_path, r.owner AS owner,
      r.group_name AS group_name, r.last_well_at AS last_well_at, r.command AS command,
      r.invocation_id AS invocation_id, r.dag_id AS dag_id, r.dag_run_id AS dag_run_id, r.task_id AS task_id,
      r.map_index AS map_index, r.try_number AS try_number, r.log_url AS log_url) ORDER BY r.place)[OFFSET(0)] AS worst,
    MAX(IF(r.role = 'failed', r.last_bad_at, NULL)) AS last_bad_at,
    IF(LOGICAL_OR(r.role = 'failed' AND r.is_open), NULL, MAX(r.closed_at)) AS closed_at,
    -- the last of its ends says how it ended
    MAX(IF(r.role = 'failed', CONCAT(CAST(UNIX_MICROS(r.closed_at) AS STRING), r.closed_by), NULL)) AS last_end,
    LOGICAL_OR(r.role <> 'failed' AND r.is_open AND r.resource_type <> 'exposure') AS is_waiting,
    ARRAY_AGG(STRUCT(
      r.role AS role, r.is_open AS is_open, r.unique_id AS unique_id, r.name AS name, r.resource_type AS resource_type,
      r.kind AS kind, r.outcome AS outcome, r.status AS status, r.message AS message, r.failures AS failures,
      r.first_bad_at AS first_bad_at, r.last_bad_at AS last_bad_at, r.test_name AS test_name,
      r.column_name AS column_name, r.original_file_path AS original_file_path, r.age_seconds AS age_seconds,
      r.warn_after_seconds AS warn_after_seconds, r.error_after_seconds AS error_after_seconds, r.bases AS bases)
      ORDER BY r.place) AS nodes,
    ARRAY_AGG(IF(r.role = 'failed', r.unique_id, NULL) IGNORE NULLS ORDER BY r.unique_id) AS failed_nodes,
    ARRAY_AGG(IF(r.role = 'failed' AND r.is_open, r.unique_id, NULL) IGNORE NULLS ORDER BY r.unique_id)
      AS failing_nodes,
    -- an exposure that was skipped is among those that are hurt
    ARRAY_AGG(IF(r.role = 'blocked' AND r.resource_type <> 'exposure', r.unique_id, NULL) IGNORE NULLS
      ORDER BY r.unique_id) AS blocked_nodes,
    ARRAY_AGG(IF(r.role = 'folded', r.unique_id, NULL) IGNORE NULLS ORDER BY r.unique_id) AS folded_nodes,
    ARRAY_AGG(IF(r.role <> 'failed' AND r.is_open AND r.resource_type <> 'exposure', r.unique_id, NULL) IGNORE NULLS
      ORDER BY r.unique_id) AS waiting_nodes
  FROM ranked AS r
  GROUP BY r.incident_id
), hurt AS (
  -- each incident once for each exposure below it, and at least once
  SELECT s.incident_id, ANY_VALUE(s HAVING MAX s.last_bad_at) AS sums, MAX(c.started_at) AS state_at,
    ARRAY_AGG(DISTINCT e.unique_id IGNORE NULLS ORDER BY e.unique_id) AS exposures,
    LOGICAL_OR(COALESCE(JSON_VALUE(e.meta, '$.observe.severity'), '') = 'critical') AS is_critical
  FROM summed AS s
  CROSS JOIN UNNEST(s.nodes) AS n
  CROSS JOIN UNNEST(IF(ARRAY_LENGTH(n.bases) = 0, [''], n.bases)) AS base
  LEFT JOIN {main}.current_states AS c
    ON c.environment = s.worst.environment AND COALESCE(c.project_name, '') = COALESCE(s.worst.project_name, '')
  LEFT JOIN {main}.exposure_ancestors AS a ON a.lineage_id = c.lineage_id AND a.ancestor_unique_id = base
  LEFT JOIN {main}.nodes AS e ON e.manifest_id = c.manifest_id AND e.unique_id = a.exposure_unique_id
  GROUP BY s.incident_id
)
SELECT
  h.sums.worst.incident_key, h.sums.incident_id, h.sums.worst.project_name, h.sums.worst.environment, h.sums.worst.relation_database,
  h.sums.worst.relation_schema, h.sums.worst.subject,
  IF(h.sums.worst.subject = h.sums.worst.unique_id, h.sums.worst.resource_type, h.sums.worst.subject_resource_type) AS resource_type,
  COALESCE(h.sums.worst.subject_name, h.sums.worst.name, h.sums.worst.subject) AS name, h.sums.worst.kind, h.sums.worst.outcome,
  CASE
    WHEN h.sums.worst.outcome = 'warning' THEN 'warning'
    WHEN h.is_critical THEN 'critical'
    ELSE 'error'
  END AS severity,
  CASE
    WHEN h.sums.closed_at IS NULL AND h.sums.last_bad_at < TIMESTAMP_SUB(h.state_at, INTERVAL 90 DAY) THEN 'expired'
    WHEN h.sums.closed_at IS NULL THEN 'open'
    WHEN ENDS_WITH(h.sums.last_end, 'withdrawn') THEN 'withdrawn'
    WHEN h.sums.worst.is_latest AND h.sums.is_waiting THEN 'fixed'
    ELSE 'recovered'
  END AS state,
  h.sums.worst.opened_at, h.sums.last_bad_at, h.sums.closed_at, h.sums.worst.last_well_at,
  (UNIX_MICROS(h.sums.closed_at) - UNIX_MICROS(h.sums.worst.opened_at)) / 1000000 AS open_seconds,
  h.sums.worst.bad_runs,
  COALESCE(h.sums.failed_nodes, CAST([] AS ARRAY<STRING>)) AS failed_nodes,
  COALESCE(h.sums.failing_nodes, CAST([] AS ARRAY<STRING>)) AS failing_nodes,
  COALESCE(h.sums.blocked_nodes, CAST([] AS ARRAY<STRING>)) AS blocked_nodes,
  COALESCE(h.sums.folded_nodes, CAST([] AS ARRAY<STRING>)) AS folded_nodes,
  COALESCE(h.sums.waiting_nodes, CAST([] AS ARRAY<STRING>)) AS waiting_nodes,
  COALESCE(h.exposures, CAST([] AS ARRAY<STRING>)) AS exposures,
  h.sums.worst.unique_id AS worst_node, h.sums.worst.status, h.sums.worst.message, h.sums.worst.failures, h.sums.worst.owner,
  h.sums.worst.group_name, h.sums.worst.original_file_path, h.sums.worst.alertable, h.sums.worst.command, h.sums.worst.invocation_id,
  h.sums.worst.dag_id, h.sums.worst.dag_run_id, h.sums.worst.task_id, h.sums.worst.map_index, h.sums.worst.try_number, h.sums.worst.log_url, h.sums.nodes
FROM hurt AS h
