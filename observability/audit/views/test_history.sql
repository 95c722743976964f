-- One row per test, from its runs of the last 30 days, in which a test that passes again on the code on which it failed
-- is told from one that was mended. The repeated attempts count too: a test that passes at the second try is flaky.
WITH tested AS (
  SELECT
    a.project_name, a.environment, a.started_at, a.invocation_id, a.log_url, r.unique_id, r.resource_type, r.name,
    r.test_name, r.column_name, r.attached_node, r.severity, r.owner, r.group_name, r.original_file_path, r.outcome,
    r.status, r.failures,
    -- the code of the test and of what it tests, and where that lies
    CONCAT(COALESCE(r.checksum, ''), '/', COALESCE(n.checksum, ''), '/', COALESCE(r.relation_database, ''), '.',
      COALESCE(r.relation_schema, '')) AS code
  FROM {raw}.run_results AS r
  JOIN {main}.attempts AS a ON a.load_id = r.load_id
  LEFT JOIN {main}.nodes AS n
    ON n.manifest_id = a.manifest_id AND n.unique_id = r.attached_node
    -- a manifest is stored in the month of the steps that name it
    AND n.manifest_month >= DATE_TRUNC(DATE_SUB(DATE({now}), INTERVAL 30 DAY), MONTH)
  WHERE r.run_date >= DATE_SUB(DATE({now}), INTERVAL 30 DAY) AND r.resource_type IN ('test', 'unit_test')
    AND r.outcome IN ('ok', 'warning', 'failure') AND r.status NOT IN ('interrupted', 'no-op', 'reused') AND a.is_real
), in_order AS (
  SELECT t.*,
    LAG(t.outcome) OVER one_by_one AS earlier_outcome,
    LAG(t.code) OVER one_by_one AS earlier_code,
    LEAD(t.outcome) OVER one_by_one IS NULL AS is_last
  FROM tested AS t
  WINDOW one_by_one AS (
    PARTITION BY t.project_name, t.environment, t.unique_id ORDER BY t.started_at, t.invocation_id)
), summed AS (
  SELECT
    o.project_name, o.environment, o.unique_id,
    MAX(IF(o.is_last, o.resource_type, NULL)) AS resource_type,
    MAX(IF(o.is_last, o.name, NULL)) AS name,
    MAX(IF(o.is_last, o.test_name, NULL)) AS test_name,
    MAX(IF(o.is_last, o.column_name, NULL)) AS column_name,
    MAX(IF(o.is_last, o.attached_node, NULL)) AS attached_node,
    MAX(IF(o.is_last, o.severity, NULL)) AS severity,
    MAX(IF(o.is_last, o.owner, NULL)) AS owner,
    MAX(IF(o.is_last, o.group_name, NULL)) AS group_name,
    MAX(IF(o.is_last, o.original_file_path, NULL)) AS original_file_path,
    COUNT(*) AS runs,
    CAST(COUNTIF(o.outcome = 'ok') AS INT64) AS passed_runs,
    CAST(COUNTIF(o.outcome = 'warning') AS INT64) AS warned_runs,
    CAST(COUNTIF(o.outcome = 'failure') AS INT64) AS failed_runs,
    -- of the first run neither is known, and DuckDB would count null where it only finds null
    CAST(COUNTIF(o.outcome = 'ok' AND COALESCE(o.earlier_outcome <> 'ok' AND o.earlier_code = o.code, FALSE)) AS INT64)
      AS flips,
    MAX(IF(o.is_last, o.outcome, NULL)) AS last_outcome,
    MAX(IF(o.is_last, o.status, NULL)) AS last_status,
    MAX(IF(o.is_last, o.failures, NULL)) AS last_failures,
    MAX(o.started_at) AS last_run_at,
    MAX(IF(o.outcome = 'failure', o.started_at, NULL)) AS last_failed_at,
    MAX(IF(o.outcome = 'ok', o.started_at, NULL)) AS last_passed_at,
    MAX(IF(o.is_last, o.invocation_id, NULL)) AS last_invocation_id,
    MAX(IF(o.is_last, o.log_url, NULL)) AS last_log_url
  FROM in_order AS o
  GROUP BY o.project_name, o.environment, o.unique_id
)
SELECT
  s.project_name, s.environment, s.unique_id, s.resource_type, s.name, s.test_name, s.column_name, s.attached_node,
  s.severity, s.owner, s.group_name, s.original_file_path, s.runs, s.passed_runs, s.warned_runs, s.failed_runs,
  s.failed_runs / s.runs AS failure_rate, s.flips, s.flips >= 2 AS is_flaky, s.last_outcome, s.last_status,
  s.last_failures, s.last_run_at, s.last_failed_at, s.last_passed_at, s.last_invocation_id, s.last_log_url
FROM summed AS s
