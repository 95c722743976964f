-- dbt's own words for how an exposure is: Degraded where something failed above it, Caution where something warned or
-- was skipped, Healthy where nothing did, Unknown where nothing was seen of what it rests on.
WITH nodes AS (
  SELECT n.*, COALESCE(n.project_name, '') AS project, n.resource_type IN ('test', 'unit_test') AS is_test
  FROM {main}.current_nodes AS n
), resting AS (
  SELECT
    n.project, n.environment, a.exposure_unique_id,
    COUNT(DISTINCT IF(n.last_run_at IS NULL, NULL, base)) AS ancestors_seen,
    CAST(COUNTIF(NOT n.is_test AND n.skipped_at IS NOT NULL) AS INT64) AS skipped_nodes,
    ARRAY_AGG(
      IF(n.is_test OR n.skipped_at IS NULL, NULL,
        STRUCT(n.unique_id AS unique_id, n.name AS name, a.distance AS distance, n.owner AS owner,
          n.skipped_at AS skipped_at))
      IGNORE NULLS ORDER BY a.distance, n.unique_id)[SAFE_OFFSET(0)] AS nearest_skipped,
    MIN(IF(a.distance = 1 AND n.resource_type IN ('model', 'seed', 'snapshot'), n.last_ok_at, NULL)) AS last_built_at,
    MAX(IF(n.is_test OR n.resource_type = 'source', n.last_run_at, NULL)) AS last_checked_at
  FROM nodes AS n
  -- a test stands for what it tests
  CROSS JOIN UNNEST(IF(n.is_test, n.depends_on, [n.unique_id])) AS base
  JOIN {main}.exposure_ancestors AS a ON a.lineage_id = n.lineage_id AND a.ancestor_unique_id = base
  GROUP BY n.project, n.environment, a.exposure_unique_id
), impaired AS (
  SELECT
    COALESCE(m.project_name, '') AS project, m.environment, m.exposure_unique_id,
    CAST(COUNTIF(m.outcome = 'failure' AND m.resource_type IN ('test', 'unit_test')) AS INT64) AS failed_tests,
    CAST(COUNTIF(m.outcome = 'failure' AND m.resource_type = 'source') AS INT64) AS failed_sources,
    CAST(COUNTIF(m.outcome = 'failure' AND m.resource_type NOT IN ('test', 'unit_test', 'source')) AS INT64)
      AS failed_nodes,
    CAST(COUNTIF(m.outcome = 'warning') AS INT64) AS warnings,
    LOGICAL_OR(m.risk = 'stale') AS is_stale,
    LOGICAL_OR(m.risk = 'suspect') AS is_suspect,
    -- failures before warnings, and what failed by itself before what failed because of that
    ARRAY_AGG(
      STRUCT(m.unique_id AS unique_id, m.name AS name, m.distance AS distance, m.status AS status,
        m.message AS message, m.owner AS owner, m.failed_at AS failed_at)
      ORDER BY IF(m.outcome = 'failure', 0, 1), IF(m.is_root_cause, 0, 1), m.distance, m.unique_id)[SAFE_OFFSET(0)]
      AS nearest
  FROM {main}.exposure_impacts AS m
  GROUP BY COALESCE(m.project_name, ''), m.environment, m.exposure_unique_id
)
SELECT
  e.project_name, e.environment, e.unique_id, e.name, e.label, e.exposure_type, e.maturity, e.owner, e.owner_email,
  e.url, e.tags, e.description,
  CASE
    WHEN i.failed_nodes + i.failed_tests + i.failed_sources > 0 THEN 'Degraded'
    WHEN i.warnings > 0 OR r.skipped_nodes > 0 THEN 'Caution'
    WHEN r.ancestors_seen > 0 THEN 'Healthy'
    ELSE 'Unknown'
  END AS health,
  COALESCE(i.is_stale, FALSE) OR COALESCE(r.skipped_nodes, 0) > 0 AS is_stale,
  COALESCE(i.is_suspect, FALSE) AS is_suspect,
  COALESCE(i.failed_nodes, 0) AS failed_nodes, COALESCE(i.failed_tests, 0) AS failed_tests,
  COALESCE(i.failed_sources, 0) AS failed_sources, COALESCE(i.warnings, 0) AS warnings,
  COALESCE(r.skipped_nodes, 0) AS skipped_nodes,
  COALESCE(i.nearest.unique_id, r.nearest_skipped.unique_id) AS cause_unique_id,
  COALESCE(i.nearest.name, r.nearest_skipped.name) AS cause_name,
  COALESCE(i.nearest.distance, r.nearest_skipped.distance) AS cause_distance,
  COALESCE(i.nearest.status, IF(r.nearest_skipped.unique_id IS NULL, NULL, 'skipped')) AS cause_status,
  i.nearest.message AS cause_message,
  IF(i.nearest.unique_id IS NULL, r.nearest_skipped.owner, i.nearest.owner) AS cause_owner,
  COALESCE(i.nearest.failed_at, r.nearest_skipped.skipped_at) AS cause_seen_at,
  e.ancestors, COALESCE(r.ancestors_seen, 0) AS ancestors_seen, r.last_built_at, r.last_checked_at
FROM {main}.exposures AS e
LEFT JOIN resting AS r
  ON r.project = COALESCE(e.project_name, '') AND r.environment = e.environment AND r.exposure_unique_id = e.unique_id
LEFT JOIN impaired AS i
  ON i.project = COALESCE(e.project_name, '') AND i.environment = e.environment AND i.exposure_unique_id = e.unique_id
