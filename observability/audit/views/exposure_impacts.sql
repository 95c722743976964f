-- Who is hurt by what is bad now. What a test finds is in what it tests, so what rests on that is hurt by it.
WITH told AS (
  SELECT n.*, COALESCE(n.project_name, '') AS project, n.resource_type IN ('test', 'unit_test') AS is_test
  FROM {main}.current_nodes AS n
  WHERE n.is_bad OR n.skipped_at IS NOT NULL
), links AS (
  -- what is bad is so by its own account; what was skipped is held up by the failures that dbt stopped for
  SELECT t.project, t.environment, t.lineage_id, base, cause, cause <> t.unique_id AS is_held_up
  FROM told AS t
  CROSS JOIN UNNEST(IF(t.is_test, t.depends_on, [t.unique_id])) AS base
  CROSS JOIN UNNEST(ARRAY_CONCAT(
    IF(t.is_bad, [t.unique_id], CAST([] AS ARRAY<STRING>)),
    IF(t.is_test, CAST([] AS ARRAY<STRING>), t.skipped_because_of))) AS cause
), below AS (
  SELECT
    l.project, l.environment, l.cause, a.exposure_unique_id, l.base, a.distance,
    LOGICAL_OR(NOT l.is_held_up) AS is_bad, LOGICAL_OR(l.is_held_up) AS is_held_up
  FROM links AS l
  JOIN {main}.exposure_ancestors AS a ON a.lineage_id = l.lineage_id AND a.ancestor_unique_id = l.base
  GROUP BY l.project, l.environment, l.cause, a.exposure_unique_id, l.base, a.distance
), hurt AS (
  SELECT
    b.project, b.environment, b.cause, b.exposure_unique_id,
    MIN(IF(b.is_bad, b.distance, NULL)) AS distance,
    -- bad data reaches an exposure that rests on it directly, or where dbt stopped nowhere in between
    LOGICAL_OR(b.is_bad AND NOT b.is_held_up AND b.distance = 1) OR NOT LOGICAL_OR(b.is_held_up) AS is_reached
  FROM below AS b
  GROUP BY b.project, b.environment, b.cause, b.exposure_unique_id
  HAVING LOGICAL_OR(b.is_bad)
)
SELECT
  t.project_name, t.environment, h.exposure_unique_id, t.unique_id, h.distance,
  IF(t.is_test AND h.is_reached, 'suspect', 'stale') AS risk, e.name AS exposure_name, e.label AS exposure_label,
  e.exposure_type, e.maturity AS exposure_maturity, e.owner AS exposure_owner, e.owner_email AS exposure_owner_email,
  e.url AS exposure_url, t.resource_type, t.name, t.test_name, t.column_name, t.attached_node, t.severity,
  t.relation_database, t.relation_schema, t.original_file_path,
  -- who can mend a node can mend what its tests find
  COALESCE(t.owner, s.owner) AS owner, COALESCE(t.group_name, s.group_name) AS group_name, t.last_outcome AS outcome,
  t.last_status AS status, t.last_message AS message, t.last_failures AS failures, t.is_root_cause,
  t.last_run_at AS failed_at, t.last_ok_at, t.last_invocation_id AS invocation_id, i.command, i.dag_id, i.dag_run_id,
  i.task_id, i.map_index, i.try_number, i.log_url
FROM hurt AS h
JOIN told AS t ON t.project = h.project AND t.environment = h.environment AND t.unique_id = h.cause
JOIN {main}.exposures AS e
  ON COALESCE(e.project_name, '') = h.project AND e.environment = h.environment AND e.unique_id = h.exposure_unique_id
LEFT JOIN {main}.nodes AS s ON s.manifest_id = t.manifest_id AND s.unique_id = t.attached_node
JOIN {main}.invocations AS i ON i.invocation_id = t.last_invocation_id
