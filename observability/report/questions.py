"""What the triage page asks of the views, in GoogleSQL."""

RUNS = """
SELECT a.pipeline_run_id, a.project_name, a.environment, a.dag_id, a.dag_run_id, a.step, a.invocation_id, a.run_date
FROM {main}.attempts AS a
WHERE (@invocation = '' OR STARTS_WITH(a.invocation_id, @invocation))
  AND (@dag_run = '' OR a.dag_run_id = @dag_run OR a.pipeline_run_id = @dag_run)
  AND (@environment = '' OR a.environment = @environment)
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY a.pipeline_run_id, a.environment, a.project_name ORDER BY a.started_at DESC, a.invocation_id
) = 1
ORDER BY a.started_at DESC, a.invocation_id
LIMIT 5
"""
"""The newest pipeline runs that fit, each by its last attempt in each project.

Parameters, empty for all: `@invocation`, an invocation's id or its beginning; `@dag_run`, a DAG run's id, with its
DAG's or without; `@environment`.
"""

RUNS_OF = """
SELECT a.pipeline_run_id, a.project_name, a.environment, a.dag_id, a.dag_run_id, a.step, a.invocation_id, a.run_date
FROM {main}.attempts AS a
WHERE a.invocation_id IN UNNEST(@invocations)
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY a.pipeline_run_id, a.environment, a.project_name ORDER BY a.started_at DESC, a.invocation_id
) = 1
ORDER BY a.started_at DESC, a.invocation_id
"""
"""The pipeline runs of some invocations, each by the last of these. Parameter: `@invocations`."""

STEPS = """
SELECT i.invocation_id, i.project_name, i.command, i.step, i.invocation_command, i.started_at, i.completed_at,
  i.elapsed_seconds, i.exit_code, i.outcome, i.error, i.task_id, i.map_index, i.try_number, i.log_url, i.dbt_version,
  i.adapter_type, i.run_date, i.manifest_id, i.warnings, i.environment, i.dag_id, i.dag_run_id, i.logical_date,
  i.git_sha, i.git_branch, a.is_superseded, a.is_awaiting_retry
FROM {main}.attempts AS a
JOIN {main}.invocations AS i ON i.load_id = a.load_id
WHERE a.pipeline_run_id = @run AND a.environment = @environment
ORDER BY i.started_at, i.invocation_id
"""
"""The attempts of a pipeline run. Parameters: `@run`, `@environment`."""

RESULTS = """
SELECT r.invocation_id, r.unique_id, r.resource_type, r.name, r.attached_node, r.materialized, r.owner, r.status,
  r.outcome, r.failures, r.execution_time, IF(r.outcome = 'ok', NULL, SUBSTR(r.message, 1, 400)) AS message
FROM {main}.run_results AS r
WHERE r.run_date IN UNNEST(@days) AND r.invocation_id IN UNNEST(@invocations)
UNION ALL
SELECT f.invocation_id, f.unique_id, 'source' AS resource_type, CONCAT(f.source_name, '.', f.name) AS name,
  CAST(NULL AS STRING) AS attached_node, CAST(NULL AS STRING) AS materialized, f.owner, f.status, f.outcome,
  CAST(NULL AS INT64) AS failures, f.execution_time, SUBSTR(f.error, 1, 400) AS message
FROM {main}.source_freshness_history AS f
WHERE f.run_date IN UNNEST(@days) AND f.invocation_id IN UNNEST(@invocations)
ORDER BY attached_node, unique_id, invocation_id
"""
"""What became of each node and source in some invocations, what is alike side by side: so it packs well.

Parameters: `@days` of these, `@invocations`.
"""

EVIDENCE = """
SELECT r.unique_id, IF(r.unique_id IN UNNEST(@shown), r.compiled_code, NULL) AS compiled_code
FROM {main}.run_results AS r
JOIN {main}.attempts AS a ON a.load_id = r.load_id
WHERE r.run_date IN UNNEST(@days) AND r.unique_id IN UNNEST(@nodes) AND r.outcome IN ('failure', 'warning')
  AND r.compiled_code IS NOT NULL AND a.environment = @environment AND NOT a.is_superseded
QUALIFY ROW_NUMBER() OVER (PARTITION BY r.unique_id ORDER BY a.started_at DESC, a.invocation_id) = 1
"""
"""The SQL that failed last, of each of some nodes that has any; NULL where it is not to be shown.

Parameters: `@days`, `@nodes`, `@shown` of these, `@environment`.
"""

INCIDENTS = """
SELECT i.*, COUNT(*) OVER (PARTITION BY i.incident_key) + 1 - ROW_NUMBER() OVER (
    PARTITION BY i.incident_key ORDER BY i.opened_at DESC, i.incident_id DESC) AS nth
FROM (
  SELECT s.*, s.state IN ('open', 'fixed') OR COALESCE(s.closed_at, s.last_bad_at) >= @since AS is_current
  FROM {main}.incidents AS s
  WHERE s.opened_at <= @until
) AS i
WHERE TRUE
-- one partition and one order for all windows: the rows are wide
QUALIFY LOGICAL_OR(i.is_current) OVER (PARTITION BY i.incident_key)
  AND (i.is_current OR COUNT(IF(i.is_current, NULL, i.incident_id)) OVER (
    PARTITION BY i.incident_key ORDER BY i.opened_at DESC, i.incident_id DESC
    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  ) <= 3)
ORDER BY i.incident_key, i.opened_at DESC, i.incident_id DESC
"""
"""What began until `@until` and is not over or ended since `@since`, and three earlier incidents of each subject of it.

What expired was never seen to end: it counts until it was last seen. `nth` counts a subject's incidents from the first.
They are asked for at once, for the view is the dearest of all. Parameters: `@since`, `@until`.
"""

EARLIER_RUNS = """
SELECT a.pipeline_run_id, a.dag_run_id, MIN(a.started_at) AS started_at, MAX(a.ended_at) AS ended_at,
  MAX(CASE
    WHEN a.is_superseded THEN 0 WHEN a.outcome = 'interrupted' THEN 5 WHEN a.outcome = 'not_run' THEN 4
    WHEN a.outcome = 'failure' THEN 3 WHEN a.outcome = 'warning' THEN 2 ELSE 1
  END) AS worst
FROM {main}.attempts AS a
WHERE a.environment = @environment AND COALESCE(a.project_name, @project) = @project
  AND a.pipeline_run_id IN (
    SELECT s.pipeline_run_id
    FROM {main}.attempts AS s
    WHERE s.environment = @environment AND (s.dag_id = @dag OR s.dag_id IS NULL AND s.step = @step AND @dag = ''))
GROUP BY a.pipeline_run_id, a.dag_run_id
HAVING MIN(a.started_at) <= @until
QUALIFY ROW_NUMBER() OVER (ORDER BY MIN(a.started_at) DESC, a.pipeline_run_id DESC) <= 14
ORDER BY started_at, a.pipeline_run_id
"""
"""The last 14 runs of a DAG in a project, else of a step outside of any; `worst` is 5 for interrupted, 1 for success.

Parameters: `@dag` and `@step`, one of them empty; `@project`, `@environment`, `@until`.
"""

FAILED_IN = """
SELECT a.pipeline_run_id, COUNT(DISTINCT r.unique_id) AS nodes
FROM {main}.attempts AS a
JOIN {main}.run_results AS r ON r.load_id = a.load_id
WHERE a.pipeline_run_id IN UNNEST(@runs) AND a.environment = @environment AND NOT a.is_superseded
  AND COALESCE(a.project_name, @project) = @project AND r.run_date >= @since_day AND r.outcome = 'failure'
GROUP BY a.pipeline_run_id
"""
"""How many nodes failed in each of some runs. Parameters: `@runs`, `@project`, `@environment`, `@since_day`."""

LATER = """
SELECT COUNT(*) AS attempts
FROM {main}.attempts AS a
WHERE a.environment = @environment AND a.started_at > @until AND a.pipeline_run_id != @run
  AND COALESCE(a.project_name, @project) = @project
  AND (a.dag_id = @dag OR a.dag_id IS NULL AND a.step = @step AND @dag = '')
"""
"""Whether the same DAG or step ran later. Parameters: those of EARLIER_RUNS, and `@run`."""

SEEN = """
SELECT a.pipeline_run_id, r.unique_id, r.outcome, r.status
FROM {main}.attempts AS a
JOIN {main}.run_results AS r ON r.load_id = a.load_id
WHERE a.pipeline_run_id IN UNNEST(@runs) AND a.environment = @environment AND NOT a.is_superseded
  AND r.run_date >= @since_day AND r.unique_id IN UNNEST(@nodes)
UNION ALL
SELECT a.pipeline_run_id, f.unique_id, f.outcome, f.status
FROM {main}.attempts AS a
JOIN {main}.source_freshness_history AS f ON f.invocation_id = a.invocation_id
WHERE a.pipeline_run_id IN UNNEST(@runs) AND a.environment = @environment AND NOT a.is_superseded
  AND f.run_date >= @since_day AND f.unique_id IN UNNEST(@nodes)
"""
"""What became of some nodes in some pipeline runs. Parameters: `@runs`, `@nodes`, `@environment`, `@since_day`."""

SLOWER = """
SELECT t.unique_id, t.name, t.execution_time, t.median_execution_time, t.ratio, t.earlier_runs, t.owner
FROM {main}.model_run_times AS t
WHERE t.run_date IN UNNEST(@days) AND t.invocation_id IN UNNEST(@invocations) AND t.is_slow
ORDER BY t.ratio DESC, t.unique_id
"""
"""What took much longer than usual. Parameters: `@days`, `@invocations`."""

FLAKY = """
SELECT h.unique_id, h.name, h.attached_node, h.runs, h.failed_runs, h.flips, h.last_status, h.last_failed_at, h.owner
FROM {main}.test_history AS h
WHERE h.is_flaky AND h.environment = @environment AND h.project_name = @project
ORDER BY h.flips DESC, h.unique_id
"""
"""Tests that fail and pass though nothing changes. Parameters: `@environment`, `@project`."""

FRESHNESS = """
SELECT s.unique_id, s.source_name, s.name, s.health, s.last_checked_at, s.last_status, s.last_error, s.age_seconds,
  s.warn_after_seconds, s.error_after_seconds, s.has_criteria, s.exposures, s.loader, s.owner, s.is_empty_table
FROM {main}.source_health AS s
WHERE s.environment = @environment AND s.project_name = @project
ORDER BY s.source_name, s.name
"""
"""How fresh the sources are now. Parameters: `@environment`, `@project`."""

LINEAGE = """
SELECT n.unique_id, n.depends_on
FROM {main}.nodes AS n
WHERE n.manifest_id IN UNNEST(@states) AND n.manifest_month IN UNNEST(@months)
  AND n.resource_type IN ('model', 'seed', 'snapshot', 'exposure', 'metric', 'semantic_model', 'saved_query')
"""
"""What rests on what, tests left out. Parameters: `@states` and `@months` of STATES."""
