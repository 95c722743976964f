"""What the triage page asks of the views, in GoogleSQL."""

RUNS = """
SELECT a.pipeline_run_id, a.project_name, a.environment, a.dag_id, a.dag_run_id, a.step, a.invocation_id, a.run_date
FROM {main}.attempts AS a
WHERE (@invocation = '' OR STARTS_WITH(a.invocation_id, @invocation))
  AND (@dag_run = '' OR a.dag_run_id = @dag_run OR a.pipeline_run_id = @dag_run)
  AND (@environment = '' OR a.environment = @environment)
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY a.pipeline_run_id, a.environment ORDER BY a.started_at DESC, a.invocation_id
) = 1
ORDER BY a.started_at DESC, a.invocation_id
LIMIT 3
"""
"""The newest pipeline runs that fit, each by its last attempt.

Parameters, empty for all: `@invocation`, an invocation's id or its beginning; `@dag_run`, a DAG run's id, with its
DAG's or without; `@environment`.
"""

RUN = """
SELECT p.*
FROM {main}.pipeline_runs AS p
WHERE p.pipeline_run_id = @run AND p.environment = @environment
ORDER BY p.project_name
"""
"""A pipeline run, in each of its projects. Parameters: `@run`, `@environment`."""

STEPS = """
SELECT i.invocation_id, i.project_name, i.command, i.step, i.invocation_command, i.started_at, i.completed_at,
  i.elapsed_seconds, i.exit_code, i.outcome, i.error, i.task_id, i.map_index, i.try_number, i.log_url, i.dbt_version,
  i.adapter_type, i.run_date, i.manifest_id, i.warnings, a.is_superseded, a.is_awaiting_retry
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
"""
"""What became of each node and source in some invocations. Parameters: `@days` of these, `@invocations`."""

EVIDENCE = """
SELECT r.invocation_id, r.unique_id, r.compiled_code
FROM {main}.run_results AS r
WHERE r.run_date IN UNNEST(@days) AND r.invocation_id IN UNNEST(@invocations) AND r.unique_id IN UNNEST(@nodes)
  AND r.compiled_code IS NOT NULL
"""
"""The SQL that failed. Parameters: `@days`, `@invocations`, `@nodes`."""

PAST = """
SELECT i.incident_key, i.incident_id, i.opened_at, i.closed_at, i.state, i.open_seconds, i.message, i.kind,
  COUNT(*) OVER (PARTITION BY i.incident_key) AS times
FROM {main}.incidents AS i
WHERE i.incident_key IN UNNEST(@keys) AND i.incident_id NOT IN UNNEST(@incidents)
QUALIFY ROW_NUMBER() OVER (PARTITION BY i.incident_key ORDER BY i.opened_at DESC) <= 3
ORDER BY i.incident_key, i.opened_at DESC
"""
"""Earlier incidents of the same subjects, the last three of each. Parameters: `@keys`, `@incidents` themselves."""

EARLIER_RUNS = """
SELECT p.pipeline_run_id, p.dag_run_id, p.started_at, p.outcome, p.duration_seconds, p.nodes_failure, p.nodes_warning,
  p.tests_failed, p.is_awaiting_retry
FROM {main}.pipeline_runs AS p
WHERE p.environment = @environment AND p.started_at <= @until
  AND (p.dag_id = @dag OR p.pipeline_run_id IN (
    SELECT a.pipeline_run_id
    FROM {main}.attempts AS a
    WHERE a.step = @step AND a.environment = @environment AND a.dag_id IS NULL))
QUALIFY ROW_NUMBER() OVER (ORDER BY p.started_at DESC, p.pipeline_run_id) <= 14
ORDER BY p.started_at, p.pipeline_run_id
"""
"""The last 14 runs of a DAG, else of a step outside of any. Parameters: `@dag`, `@step`, `@environment`, `@until`."""

LATER = """
SELECT COUNT(*) AS attempts
FROM {main}.attempts AS a
WHERE a.environment = @environment AND a.started_at > @until AND a.pipeline_run_id != @run
  AND (a.dag_id = @dag OR a.dag_id IS NULL AND a.step = @step)
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
