-- One row per invocation: of its committed loads the one with the best evidence. Never decided by load time, so that
-- replaying and loading out of order give the same answer.
SELECT {columns}
FROM {raw}.invocations AS f
WHERE TRUE
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY f.invocation_id
  ORDER BY
    CASE f.evidence WHEN 'results' THEN 0 WHEN 'event_log' THEN 1 ELSE 2 END,
    f.row_version DESC, f.content_hash, f.load_id
) = 1
