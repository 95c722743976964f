-- Each node of the current project states, beside the last that was seen of it. The latest of its rows is found by an
-- aggregate, for a window would sort 90 days of results.
WITH found AS (
  SELECT
    r.load_id, r.unique_id, r.outcome, r.status, r.message, r.failures, r.execution_time, r.rows_affected, r.causes,
    r.batch_results, r.execute_completed_at AS seen_at
  FROM {raw}.run_results AS r
  -- a test that was interrupted has found nothing
  WHERE r.run_date >= DATE_SUB(DATE({now}), INTERVAL 90 DAY)
    AND NOT (r.status = 'interrupted' AND r.resource_type IN ('test', 'unit_test'))
  UNION ALL
  SELECT
    f.load_id, f.unique_id, f.outcome, f.status, f.error, NULL, f.execution_time, NULL, f.causes, NULL, f.snapshotted_at
  FROM {raw}.source_freshness AS f
  WHERE f.run_date >= DATE_SUB(DATE({now}), INTERVAL 90 DAY)
), observed AS (
  SELECT
    COALESCE(a.project_name, '') AS project, a.environment, a.invocation_id, f.unique_id, f.outcome, f.status,
    f.message, f.failures, f.execution_time, f.rows_affected, f.causes, f.batch_results,
    COALESCE(f.seen_at, a.ended_at) AS seen_at,
    -- sorts by time, and by invocation where that is the same
    CONCAT(CAST(UNIX_MICROS(COALESCE(f.seen_at, a.ended_at)) AS STRING), a.invocation_id) AS seen_key
  FROM found AS f
  JOIN {main}.attempts AS a ON a.load_id = f.load_id
  WHERE (f.outcome = 'ok' AND a.is_real)
    OR (f.outcome IN ('failure', 'warning', 'skipped') AND NOT a.is_superseded)
), batches AS (
  SELECT o.project, o.environment, o.unique_id, o.seen_key, o.outcome, o.batch_results,
    LAST_VALUE(IF(o.outcome = 'failure', o.seen_key, NULL) IGNORE NULLS) OVER earlier AS failed_key,
    LAST_VALUE(IF(o.outcome = 'failure', o.batch_results, NULL) IGNORE NULLS) OVER earlier AS failed_batches
  FROM observed AS o
  WHERE o.batch_results IS NOT NULL
  WINDOW earlier AS (
    PARTITION BY o.project, o.environment, o.unique_id ORDER BY o.seen_key
    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
), tried_again AS (
  SELECT b.project, b.environment, b.unique_id, b.seen_key, b.failed_key, NOT EXISTS (
      SELECT 1
      FROM UNNEST(JSON_QUERY_ARRAY(b.failed_batches, '$.failed')) AS failed
      WHERE failed NOT IN UNNEST(JSON_QUERY_ARRAY(b.batch_results, '$.successful'))) AS is_whole
  FROM batches AS b
  WHERE b.outcome = 'ok' AND b.failed_key IS NOT NULL
), not_mending AS (
  -- a microbatch model is well again with the batches that failed, not with later ones
  SELECT t.project, t.environment, t.unique_id, t.seen_key
  FROM tried_again AS t
  WHERE TRUE
  QUALIFY NOT LOGICAL_OR(t.is_whole) OVER (
    PARTITION BY t.project, t.environment, t.unique_id, t.failed_key ORDER BY t.seen_key
    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
), seen AS (
  SELECT
    o.project, o.environment, o.unique_id,
    MAX(IF(o.outcome = 'ok', o.seen_at, NULL)) AS last_ok_at,
    ANY_VALUE(STRUCT(
      o.outcome AS outcome, o.status AS status, o.message AS message, o.failures AS failures,
      o.execution_time AS execution_time, o.rows_affected AS rows_affected, o.invocation_id AS invocation_id,
      o.seen_at AS seen_at, o.unique_id IN UNNEST(o.causes) AS is_first_failure)
      HAVING MAX o.seen_key) AS latest
  FROM observed AS o
  LEFT JOIN not_mending AS m
    ON m.project = o.project AND m.environment = o.environment AND m.unique_id = o.unique_id
    AND m.seen_key = o.seen_key
  WHERE o.outcome <> 'skipped' AND m.unique_id IS NULL
  GROUP BY o.project, o.environment, o.unique_id
), skipped AS (
  SELECT
    o.project, o.environment, o.unique_id,
    ANY_VALUE(STRUCT(o.seen_at AS seen_at, o.causes AS causes) HAVING MAX o.seen_key) AS latest
  FROM observed AS o
  WHERE o.outcome = 'skipped'
  GROUP BY o.project, o.environment, o.unique_id
)
SELECT
  c.project_name, c.environment, n.unique_id, n.name, n.package_name, n.original_file_path, n.description, n.tags,
  n.meta, n.owner, n.group_name, c.manifest_id, c.lineage_id, n.resource_type, n.relation_database, n.relation_schema,
  n.relation_name, n.materialized, n.access, n.checksum, n.depends_on, n.test_name, n.column_name, n.attached_node,
  n.severity, n.test_args, n.source_name, n.loader, n.loaded_at_field, n.warn_after_seconds, n.error_after_seconds,
  n.freshness_filter,
  s.latest.seen_at AS last_run_at, s.latest.outcome AS last_outcome, s.latest.status AS last_status,
  s.latest.message AS last_message, s.latest.execution_time AS last_execution_time,
  s.latest.invocation_id AS last_invocation_id, s.last_ok_at, s.latest.failures AS last_failures,
  s.latest.rows_affected AS last_rows_affected,
  COALESCE(s.latest.outcome IN ('failure', 'warning'), FALSE) AS is_bad,
  COALESCE(s.latest.outcome IN ('failure', 'warning') AND s.latest.is_first_failure, FALSE) AS is_root_cause,
  IF(s.latest.seen_at >= k.latest.seen_at, NULL, k.latest.seen_at) AS skipped_at,
  IF(k.latest.seen_at IS NULL OR s.latest.seen_at >= k.latest.seen_at, CAST([] AS ARRAY<STRING>), k.latest.causes)
    AS skipped_because_of
FROM {main}.current_states AS c
JOIN {main}.nodes AS n ON n.manifest_id = c.manifest_id
LEFT JOIN seen AS s
  ON s.project = COALESCE(c.project_name, '') AND s.environment = c.environment AND s.unique_id = n.unique_id
LEFT JOIN skipped AS k
  ON k.project = COALESCE(c.project_name, '') AND k.environment = c.environment AND k.unique_id = n.unique_id
