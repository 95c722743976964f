-- How fresh each source was when it was last checked, and how long ago that was: what nobody checks any more is not
-- healthy. It reads every check that is retained, for only so can it be said that a source was never checked.
WITH checks AS (
  SELECT
    COALESCE(a.project_name, '') AS project, a.environment, a.invocation_id, a.log_url, f.unique_id, f.status,
    f.outcome, f.error, f.max_loaded_at, f.age_seconds, COALESCE(f.snapshotted_at, a.ended_at) AS checked_at,
    f.status IN ('pass', 'warn', 'error') AND f.snapshotted_at IS NOT NULL AND f.max_loaded_at IS NULL
      AS is_empty_table
  FROM {raw}.source_freshness AS f
  JOIN {main}.attempts AS a ON a.load_id = f.load_id
  -- what a repeated attempt found bad is not said; a status that nobody knows says nothing
  WHERE f.outcome = 'ok' OR (f.outcome IN ('warning', 'failure') AND NOT a.is_superseded)
), checked AS (
  SELECT
    c.project, c.environment, c.unique_id,
    COUNT(*) AS checks,
    MAX(IF(c.outcome = 'ok', c.checked_at, NULL)) AS last_ok_at,
    ANY_VALUE(STRUCT(
      c.invocation_id AS invocation_id, c.log_url AS log_url, c.status AS status, c.outcome AS outcome,
      c.error AS error, c.max_loaded_at AS max_loaded_at, c.age_seconds AS age_seconds,
      c.checked_at AS checked_at, c.is_empty_table AS is_empty_table)
      HAVING MAX CONCAT(CAST(UNIX_MICROS(c.checked_at) AS STRING), c.invocation_id)) AS latest
  FROM checks AS c
  GROUP BY c.project, c.environment, c.unique_id
), resting AS (
  SELECT a.lineage_id, a.ancestor_unique_id, COUNT(*) AS exposures
  FROM {main}.exposure_ancestors AS a
  WHERE STARTS_WITH(a.ancestor_unique_id, 'source.')
  GROUP BY a.lineage_id, a.ancestor_unique_id
), placed AS (
  SELECT
    s.project_name, s.environment, n.unique_id, n.source_name, n.name, n.owner, n.tags, n.relation_database,
    n.relation_schema, n.relation_name, n.loader, n.loaded_at_field, n.freshness_filter, c.checks, c.last_ok_at,
    c.latest, COALESCE(r.exposures, 0) AS exposures,
    n.warn_after_seconds IS NOT NULL OR n.error_after_seconds IS NOT NULL AS has_criteria,
    n.warn_after_seconds, n.error_after_seconds,
    LEAST(
      COALESCE(n.warn_after_seconds, n.error_after_seconds),
      COALESCE(n.error_after_seconds, n.warn_after_seconds)) AS tightest_seconds,
    (UNIX_MICROS({now}) - UNIX_MICROS(c.latest.checked_at)) / 1000000 AS seconds_since_check
  FROM {main}.current_states AS s
  JOIN {main}.nodes AS n ON n.manifest_id = s.manifest_id
  LEFT JOIN checked AS c
    ON c.project = COALESCE(s.project_name, '') AND c.environment = s.environment AND c.unique_id = n.unique_id
  LEFT JOIN resting AS r ON r.lineage_id = s.lineage_id AND r.ancestor_unique_id = n.unique_id
  WHERE n.resource_type = 'source'
)
SELECT
  p.project_name, p.environment, p.unique_id, p.source_name, p.name,
  CASE
    WHEN p.latest.checked_at IS NULL THEN 'never_checked'
    WHEN p.seconds_since_check > 2 * p.tightest_seconds THEN 'overdue'
    WHEN p.latest.status = 'warn' THEN 'warning'
    WHEN p.latest.status = 'error' THEN 'stale'
    WHEN p.latest.outcome = 'ok' THEN 'healthy'
    ELSE 'check_failed'
  END AS health,
  p.latest.checked_at AS last_checked_at, p.latest.status AS last_status, p.latest.outcome AS last_outcome,
  p.latest.error AS last_error, p.latest.max_loaded_at, p.latest.age_seconds AS age_at_check_seconds,
  (UNIX_MICROS({now}) - UNIX_MICROS(p.latest.max_loaded_at)) / 1000000 AS age_seconds,
  p.seconds_since_check,
  COALESCE(p.latest.is_empty_table, FALSE) AS is_empty_table,
  p.last_ok_at, COALESCE(p.checks, 0) AS checks, p.has_criteria, p.warn_after_seconds, p.error_after_seconds,
  p.tightest_seconds, p.freshness_filter, p.loaded_at_field, p.loader, p.exposures, p.owner, p.tags,
  p.relation_database, p.relation_schema, p.relation_name, p.latest.invocation_id AS last_invocation_id,
  p.latest.log_url AS last_log_url
FROM placed AS p
WHERE p.has_criteria OR p.checks > 0
