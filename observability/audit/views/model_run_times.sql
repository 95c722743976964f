-- Each run beside the median of the runs before it, like with like: a full refresh is held against full refreshes.
-- GoogleSQL's PERCENTILE_CONT takes no frame, so an array does: rows are numbered by how many comparable ones lie
-- before them, and the frame is a range of these numbers.
WITH timed AS (
  SELECT
    r.run_date, r.unique_id, r.resource_type, r.name, r.materialized, r.owner, r.group_name, r.status, r.outcome,
    r.execution_time, r.rows_affected, a.invocation_id, a.project_name, a.environment, a.started_at, a.command,
    a.dag_id, a.dag_run_id, a.task_id, a.map_index, a.try_number, a.log_url,
    COALESCE(i.full_refresh, FALSE) AS is_full_refresh,
    IF(r.outcome = 'ok' AND NOT a.is_superseded, r.execution_time, NULL) AS comparable_time
  FROM {raw}.run_results AS r
  JOIN {main}.attempts AS a ON a.load_id = r.load_id
  JOIN {main}.invocations AS i ON i.load_id = r.load_id
  WHERE r.run_date >= DATE_SUB(DATE({now}), INTERVAL 45 DAY)
    AND r.resource_type IN ('model', 'seed', 'snapshot') AND r.outcome IN ('ok', 'warning', 'failure')
    AND r.status NOT IN ('no-op', 'reused')
    -- a clone takes no time
    AND a.is_real AND COALESCE(a.command, '') <> 'clone'
), numbered AS (
  SELECT t.*,
    COUNT(t.comparable_time) OVER (
      PARTITION BY t.project_name, t.environment, t.unique_id, t.is_full_refresh
      ORDER BY t.started_at, t.invocation_id
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS earlier
  FROM timed AS t
), framed AS (
  SELECT n.run_date, n.invocation_id, n.unique_id,
    ARRAY_AGG(n.comparable_time) OVER (
      PARTITION BY n.project_name, n.environment, n.unique_id, n.is_full_refresh
      ORDER BY n.earlier
      RANGE BETWEEN 14 PRECEDING AND 1 PRECEDING) AS earlier_times
  FROM numbered AS n
), in_order AS (
  SELECT f.invocation_id, f.unique_id, ARRAY_AGG(earlier_time ORDER BY earlier_time) AS times, COUNT(*) AS how_many
  FROM framed AS f
  CROSS JOIN UNNEST(f.earlier_times) AS earlier_time
  WHERE f.run_date >= DATE_SUB(DATE({now}), INTERVAL 30 DAY) AND earlier_time IS NOT NULL
  GROUP BY f.invocation_id, f.unique_id
), medians AS (
  -- of an odd number both are the middle one
  SELECT o.invocation_id, o.unique_id,
    (o.times[SAFE_OFFSET(CAST(FLOOR((o.how_many - 1) / 2) AS INT64))]
      + o.times[SAFE_OFFSET(CAST(FLOOR(o.how_many / 2) AS INT64))]) / 2 AS median_execution_time
  FROM in_order AS o
)
SELECT
  n.run_date, n.invocation_id, n.unique_id, n.project_name, n.environment, n.resource_type, n.name, n.materialized,
  n.owner, n.group_name, n.started_at, n.status, n.outcome, n.execution_time, n.rows_affected, n.is_full_refresh,
  LEAST(n.earlier, 14) AS earlier_runs, m.median_execution_time,
  n.execution_time / NULLIF(m.median_execution_time, 0) AS ratio,
  COALESCE(
    n.earlier >= 5 AND n.execution_time > 2 * m.median_execution_time
    AND n.execution_time >= m.median_execution_time + 30, FALSE) AS is_slow,
  n.command, n.dag_id, n.dag_run_id, n.task_id, n.map_index, n.try_number, n.log_url
FROM numbered AS n
LEFT JOIN medians AS m ON m.invocation_id = n.invocation_id AND m.unique_id = n.unique_id
WHERE n.run_date >= DATE_SUB(DATE({now}), INTERVAL 30 DAY)
