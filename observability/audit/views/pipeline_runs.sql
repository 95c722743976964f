-- One row per pipeline run, summed up from its steps and their nodes. A run's date is its first step's, and sums stand
-- between it and the facts, so that a filter on run_date cannot reach their partitions: the bound of 90 days does.
WITH named AS (
  SELECT
    a.load_id, a.invocation_id, a.environment, a.project_name, a.run_date, a.pipeline_run_id, a.dag_id, a.dag_run_id,
    a.outcome, a.started_at, a.ended_at, a.is_real, a.is_repeated, a.is_awaiting_retry, a.is_superseded, i.logical_date,
    i.run_type, i.manifest_id, i.lineage_id, i.dbt_version, i.git_sha, i.git_branch,
    COALESCE(i.command, i.step) AS step,
    MIN(i.project_name) OVER (PARTITION BY a.environment, a.pipeline_run_id) AS first_of_run,
    MAX(i.project_name) OVER (PARTITION BY a.environment, a.pipeline_run_id) AS last_of_run,
    MIN(i.project_name) OVER (PARTITION BY i.environment, i.step) AS first_of_step,
    MAX(i.project_name) OVER (PARTITION BY i.environment, i.step) AS last_of_step
  FROM {main}.attempts AS a
  JOIN {main}.invocations AS i ON i.load_id = a.load_id
), placed AS (
  -- a step that never got as far as its project's name belongs to the run's only project, else to the one that it had
  -- at all other times
  SELECT n.*, COALESCE(
      n.project_name,
      IF(n.first_of_run = n.last_of_run, n.last_of_run, NULL),
      IF(n.first_of_step = n.last_of_step, n.last_of_step, NULL),
      '') AS project
  FROM named AS n
), runs AS (
  SELECT
    a.pipeline_run_id, a.project, a.environment, a.dag_id, a.dag_run_id,
    MIN(a.run_date) AS run_date,
    MIN(a.started_at) AS started_at,
    MAX(a.ended_at) AS completed_at,
    SUM(UNIX_MICROS(a.ended_at) - UNIX_MICROS(a.started_at)) / 1000000 AS busy_seconds,
    MAX(CASE
      WHEN a.is_superseded THEN 0
      WHEN a.outcome = 'interrupted' THEN 5
      WHEN a.outcome = 'not_run' THEN 4
      WHEN a.outcome = 'failure' THEN 3
      WHEN a.outcome = 'warning' THEN 2
      ELSE 1
    END) AS worst,
    LOGICAL_OR(a.is_awaiting_retry) AS is_awaiting_retry,
    ARRAY_AGG(IF(a.is_superseded, NULL, CONCAT(a.step, ': ', a.outcome)) IGNORE NULLS
      ORDER BY a.started_at, a.invocation_id) AS steps,
    COUNT(*) AS attempts,
    CAST(COUNTIF(a.is_repeated) AS INT64) AS retries,
    -- what may change from step to step is as the last one has it that has it at all
    ARRAY_AGG(a.logical_date IGNORE NULLS ORDER BY a.started_at DESC, a.invocation_id DESC)[SAFE_OFFSET(0)]
      AS logical_date,
    ARRAY_AGG(a.run_type IGNORE NULLS ORDER BY a.started_at DESC, a.invocation_id DESC)[SAFE_OFFSET(0)] AS run_type,
    ARRAY_AGG(a.manifest_id IGNORE NULLS ORDER BY a.started_at DESC, a.invocation_id DESC)[SAFE_OFFSET(0)]
      AS manifest_id,
    ARRAY_AGG(a.lineage_id IGNORE NULLS ORDER BY a.started_at DESC, a.invocation_id DESC)[SAFE_OFFSET(0)] AS lineage_id,
    ARRAY_AGG(a.dbt_version IGNORE NULLS ORDER BY a.started_at DESC, a.invocation_id DESC)[SAFE_OFFSET(0)]
      AS dbt_version,
    ARRAY_AGG(a.git_sha IGNORE NULLS ORDER BY a.started_at DESC, a.invocation_id DESC)[SAFE_OFFSET(0)] AS git_sha,
    ARRAY_AGG(a.git_branch IGNORE NULLS ORDER BY a.started_at DESC, a.invocation_id DESC)[SAFE_OFFSET(0)] AS git_branch
  FROM placed AS a
  GROUP BY a.pipeline_run_id, a.project, a.environment, a.dag_id, a.dag_run_id
  HAVING MIN(a.run_date) >= DATE_SUB(DATE({now}), INTERVAL 90 DAY)
), facts AS (
  SELECT r.load_id, r.unique_id, r.resource_type, r.outcome, r.status, r.bytes_billed, r.slot_ms
  FROM {raw}.run_results AS r
  WHERE r.run_date >= DATE_SUB(DATE({now}), INTERVAL 90 DAY)
  UNION ALL
  SELECT f.load_id, f.unique_id, f.resource_type, f.outcome, f.status, NULL, NULL
  FROM {raw}.source_freshness AS f
  WHERE f.run_date >= DATE_SUB(DATE({now}), INTERVAL 90 DAY)
), nodes_of_runs AS (
  -- each node once, however many steps and attempts it was in: as the worst of them, leaving out what an attempt found
  -- bad that was repeated
  SELECT
    a.pipeline_run_id, a.project, a.environment, f.unique_id,
    MAX(CASE
      WHEN f.outcome = 'ok' THEN 1
      WHEN a.is_superseded THEN 0
      WHEN f.outcome = 'skipped' THEN 2
      WHEN f.outcome = 'unknown' THEN 3
      WHEN f.outcome = 'warning' THEN 4
      ELSE 5
    END) AS worst,
    LOGICAL_OR(f.resource_type IN ('test', 'unit_test') AND f.outcome = 'failure' AND f.status <> 'interrupted'
      AND NOT a.is_superseded) AS is_failed_test,
    LOGICAL_OR(f.resource_type = 'source' AND f.status IN ('warn', 'error') AND NOT a.is_superseded) AS is_stale_source,
    LOGICAL_OR(f.resource_type = 'model' AND f.outcome = 'ok' AND f.status NOT IN ('no-op', 'reused') AND a.is_real)
      AS is_built_model,
    SUM(f.bytes_billed) AS bytes_billed,
    SUM(f.slot_ms) AS slot_ms
  FROM facts AS f
  JOIN placed AS a ON a.load_id = f.load_id
  GROUP BY a.pipeline_run_id, a.project, a.environment, f.unique_id
), counts AS (
  SELECT
    n.pipeline_run_id, n.project, n.environment,
    CAST(COUNTIF(n.worst = 1) AS INT64) AS nodes_ok,
    CAST(COUNTIF(n.worst = 4) AS INT64) AS nodes_warning,
    CAST(COUNTIF(n.worst = 5) AS INT64) AS nodes_failure,
    CAST(COUNTIF(n.worst = 2) AS INT64) AS nodes_skipped,
    CAST(COUNTIF(n.worst = 3) AS INT64) AS nodes_unknown,
    CAST(COUNTIF(n.is_failed_test) AS INT64) AS tests_failed,
    CAST(COUNTIF(n.is_stale_source) AS INT64) AS sources_stale,
    CAST(COUNTIF(n.is_built_model) AS INT64) AS models_built,
    CAST(SUM(n.bytes_billed) AS INT64) AS bytes_billed,
    CAST(SUM(n.slot_ms) AS INT64) AS slot_ms
  FROM nodes_of_runs AS n
  GROUP BY n.pipeline_run_id, n.project, n.environment
), bad AS (
  -- what a test finds is in what it tests
  SELECT r.load_id, base
  FROM {raw}.run_results AS r
  CROSS JOIN UNNEST(IF(r.resource_type IN ('test', 'unit_test'), r.parents, [r.unique_id])) AS base
  WHERE r.outcome IN ('failure', 'warning') AND r.run_date >= DATE_SUB(DATE({now}), INTERVAL 90 DAY)
  UNION ALL
  SELECT f.load_id, f.unique_id
  FROM {raw}.source_freshness AS f
  WHERE f.outcome IN ('failure', 'warning') AND f.run_date >= DATE_SUB(DATE({now}), INTERVAL 90 DAY)
), bases AS (
  SELECT DISTINCT a.pipeline_run_id, a.project, a.environment, b.base
  FROM bad AS b
  JOIN placed AS a ON a.load_id = b.load_id
  WHERE NOT a.is_superseded
), exposures AS (
  SELECT r.pipeline_run_id, r.project, r.environment, COUNT(DISTINCT e.exposure_unique_id) AS exposures_affected
  FROM runs AS r
  JOIN bases AS b
    ON b.pipeline_run_id = r.pipeline_run_id AND b.project = r.project AND b.environment = r.environment
  JOIN {main}.exposure_ancestors AS e ON e.lineage_id = r.lineage_id AND e.ancestor_unique_id = b.base
    AND e.lineage_month >= DATE_TRUNC(DATE_SUB(DATE({now}), INTERVAL 90 DAY), MONTH)
  GROUP BY r.pipeline_run_id, r.project, r.environment
)
SELECT
  r.pipeline_run_id, NULLIF(r.project, '') AS project_name, r.environment, r.run_date, r.dag_id, r.dag_run_id,
  r.logical_date, r.run_type,
  CASE r.worst
    WHEN 5 THEN 'interrupted' WHEN 4 THEN 'not_run' WHEN 3 THEN 'failure' WHEN 2 THEN 'warning' WHEN 1 THEN 'success'
  END AS outcome,
  r.is_awaiting_retry, r.started_at, r.completed_at,
  (UNIX_MICROS(r.completed_at) - UNIX_MICROS(r.started_at)) / 1000000 AS duration_seconds, r.busy_seconds,
  COALESCE(r.steps, CAST([] AS ARRAY<STRING>)) AS steps, r.attempts - r.retries AS step_count, r.attempts, r.retries,
  COALESCE(c.nodes_ok, 0) AS nodes_ok, COALESCE(c.nodes_warning, 0) AS nodes_warning,
  COALESCE(c.nodes_failure, 0) AS nodes_failure, COALESCE(c.nodes_skipped, 0) AS nodes_skipped,
  COALESCE(c.nodes_unknown, 0) AS nodes_unknown, COALESCE(c.tests_failed, 0) AS tests_failed,
  COALESCE(c.sources_stale, 0) AS sources_stale, COALESCE(c.models_built, 0) AS models_built, c.bytes_billed, c.slot_ms,
  COALESCE(x.exposures_affected, 0) AS exposures_affected, r.manifest_id, r.dbt_version, r.git_sha, r.git_branch
FROM runs AS r
LEFT JOIN counts AS c
  ON c.pipeline_run_id = r.pipeline_run_id AND c.project = r.project AND c.environment = r.environment
LEFT JOIN exposures AS x
  ON x.pipeline_run_id = r.pipeline_run_id AND x.project = r.project AND x.environment = r.environment
