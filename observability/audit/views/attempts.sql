-- What an invocation's findings are worth is decided here, once. Another try that followed, or that may still come
-- within an hour, takes back what this one found bad, not what it found well; --empty and --sample make nothing well.
WITH named AS (
  SELECT
    i.load_id, i.invocation_id, i.run_date, i.project_name, i.environment, i.started_at,
    COALESCE(i.completed_at, i.started_at) AS ended_at, i.step, i.command, i.outcome, i.exit_code, i.error, i.alertable,
    i.row_counts, i.manifest_id, i.dag_id, i.dag_run_id,
    i.task_id, i.map_index, i.try_number, i.log_url, i.will_retry,
    IF(i.dag_run_id IS NULL, i.invocation_id, CONCAT(COALESCE(i.dag_id, ''), '/', i.dag_run_id)) AS pipeline_run_id,
    NOT COALESCE(i.empty, FALSE) AND COALESCE(JSON_VALUE(i.args, '$.sample'), 'None') = 'None' AS is_real,
    i.dag_run_id IS NOT NULL AND i.will_retry AND LEAD(i.invocation_id) OVER (
      PARTITION BY i.environment, i.dag_id, i.dag_run_id, i.task_id, i.map_index
      ORDER BY i.try_number, i.started_at, i.invocation_id) IS NOT NULL AS is_repeated
  FROM {main}.invocations AS i
), awaited AS (
  SELECT n.*,
    n.will_retry AND NOT n.is_repeated AND n.ended_at > TIMESTAMP_SUB({now}, INTERVAL 60 MINUTE) AS is_awaiting_retry
  FROM named AS n
)
SELECT
  a.load_id, a.invocation_id, a.run_date, a.project_name, a.environment, a.pipeline_run_id, a.started_at, a.ended_at,
  a.step, a.command, a.outcome, a.exit_code, a.error, a.alertable, a.row_counts, a.manifest_id, a.dag_id, a.dag_run_id, a.task_id, a.map_index, a.try_number, a.log_url,
  a.is_real, a.is_repeated, a.is_awaiting_retry, a.is_repeated OR a.is_awaiting_retry AS is_superseded
FROM awaited AS a
