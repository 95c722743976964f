-- Each run beside the median of the runs before it, like with like: a full refresh is held against full refreshes.
-- GoogleSQL's PERCENTILE_CONT takes no frame, so the 14 values are put into an array by one that does: rows are numbered
-- by how many comparable ones lie before them, and the frame is a range of these numbers.
WITH named AS (
  SELECT
    i.load_id, i.invocation_id, i.project_name, i.environment, i.started_at, i.command, i.dag_id, i.dag_run_id, i.task_id,
    i.map_index, i.try_number, i.log_url, COALESCE(i.full_refresh, FALSE) AS is_full_refresh,
    NOT COALESCE(i.empty, FALSE) AND COALESCE(JSON_VALUE(i.args, '$.sample'), 'None') = 'None' AS is_real,
    COALESCE(i.completed_at, i.started_at) AS ended_at, i.will_retry,
    LEAD(i.invocation_id) OVER (
      PARTITION BY i.environment, i.dag_id, i.dag_run_id, i.task_id, i.map_index
      ORDER BY i.try_number, i.started_at, i.invocation_id) AS next_try
  FROM {main}.invocations AS i
), attempts AS (
  SELECT n.*,
    n.will_retry AND (
      (n.dag_run_id IS NOT NULL AND n.next_try IS NOT NULL)
      OR n.ended_at > TIMESTAMP_SUB({now}, INTERVAL 60 MINUTE)) AS is_superseded
  FROM named AS n
  WHERE n.is_real
), timed AS (
  SELECT
    r.run_date, r.unique_id, r.resource_type, r.name, r.materialized, r.owner, r.group_name, r.status, r.outcome,
    r.execution_time, r.rows_affected, a.invocation_id, a.project_name, a.environment, a.started_at, a.command, a.dag_id,
    a.dag_run_id, a.task_id, a.map_index, a.try_number, a.log_url, a.is_full_refresh,
    IF(r.outcome = 'ok' AND NOT a.is_superseded, r.execution_time, NULL) AS comparable_time
  FROM {raw}.run_results AS r
  JOIN attempts AS a ON a.load_id = r.load_id
  WHERE r.run_date >= DATE_SUB(DATE({now}), INTERVAL 60 DAY)
    AND r.resource_type IN ('model', 'seed', 'snapshot') AND r.outcome IN ('ok', 'warning', 'failure')
), numbered AS (
  SELECT t.*,
    CAST(COUNTIF(t.comparable_time IS NOT NULL) OVER (
      PARTITION BY t.project_name, t.environment, t.unique_id, t.is_full_refresh
      ORDER BY t.started_at, t.invocation_id
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS INT64) AS earlier
  FROM timed AS t
), framed AS (
  SELECT n.*,
    ARRAY_AGG(n.comparable_time) OVER (
      PARTITION BY n.project_name, n.environment, n.unique_id, n.is_full_refresh
      ORDER BY n.earlier
      RANGE BETWEEN 14 PRECEDING AND 1 PRECEDING) AS earlier_times
  FROM numbered AS n
), medians AS (
  SELECT DISTINCT f.invocation_id, f.unique_id,
    PERCENTILE_CONT(earlier_time, 0.5) OVER (PARTITION BY f.invocation_id, f.unique_id) AS median_execution_time
  FROM framed AS f
  CROSS JOIN UNNEST(f.earlier_times) AS earlier_time
  WHERE f.run_date >= DATE_SUB(DATE({now}), INTERVAL 30 DAY) AND earlier_time IS NOT NULL
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
