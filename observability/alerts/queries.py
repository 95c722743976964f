"""The questions that incidents are made of, in GoogleSQL over the views."""

STEPS = """
SELECT i.project_name, i.environment, i.step, i.command, i.invocation_command, i.invocation_id, i.dag_id, i.dag_run_id,
  i.task_id, i.map_index, i.try_number, i.started_at, i.completed_at, i.outcome, i.exit_code, i.error, i.log_url,
  MAX(IF(i.outcome IN ('success', 'warning'), i.started_at, NULL)) OVER (
    PARTITION BY i.project_name, i.environment, i.step
  ) AS last_good_at
FROM {main}.invocations AS i
WHERE TRUE
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY i.project_name, i.environment, i.step ORDER BY i.started_at DESC, i.invocation_id
) = 1
ORDER BY i.project_name, i.environment, i.started_at
"""
"""Each step as it last was, and when it last ended well."""

INCIDENTS = """
SELECT i.*
FROM {main}.incidents AS i
WHERE i.state IN ('open', 'fixed') OR i.incident_key IN UNNEST(@told) OR i.closed_at >= @since
ORDER BY i.incident_id
"""
"""The incidents that are not over, those of the subjects `@told`, those that ended since `@since`; with their nodes.

Parameters: `@told`, `@since`, `@now`.
"""

ATTEMPTS = """
SELECT a.project_name, a.environment, a.step, a.command, a.dag_id, a.task_id, a.map_index, a.started_at, a.ended_at,
  a.outcome,
  MAX(IF(a.outcome IN ('success', 'warning'), a.started_at, NULL)) OVER (
    PARTITION BY a.project_name, a.environment, a.step ORDER BY a.started_at, a.invocation_id
    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  ) AS last_good_at
FROM {main}.attempts AS a
WHERE a.is_real AND a.alertable AND a.run_date >= DATE_SUB(DATE(@since), INTERVAL 90 DAY)
QUALIFY COALESCE(LEAD(a.run_date) OVER (
  PARTITION BY a.project_name, a.environment, a.step ORDER BY a.started_at, a.invocation_id) >= DATE(@since), TRUE)
ORDER BY a.project_name, a.environment, a.step, a.started_at, a.invocation_id
"""
"""The attempts since `@since`, and of each step the last one before, no older than 90 days. Parameter: `@since`.

Backfills and others that never speak are no attempts, nor is what builds nothing: --empty, --sample.
"""

STATES = """
SELECT c.project_name, c.environment, c.manifest_id, c.lineage_id, DATE_TRUNC(DATE(c.started_at), MONTH) AS month
FROM {main}.current_states AS c
ORDER BY c.environment, c.project_name
"""
"""What each project is made of now; the months in which those states were stored."""

EXPOSURES = """
SELECT s.project_name, s.environment, a.ancestor_unique_id AS node, a.exposure_unique_id, a.distance, e.name, e.label,
  e.owner, e.owner_email, e.url, e.meta, e.exposure_type, e.maturity
FROM {main}.current_states AS s
JOIN {main}.exposure_ancestors AS a ON a.lineage_id = s.lineage_id
JOIN {main}.nodes AS e ON e.manifest_id = s.manifest_id AND e.unique_id = a.exposure_unique_id
WHERE a.ancestor_unique_id IN UNNEST(@bases)
  -- constants, so that no other partition is read
  AND a.lineage_month IN UNNEST(@months) AND a.lineage_id IN UNNEST(@states)
  AND e.manifest_month IN UNNEST(@months) AND e.manifest_id IN UNNEST(@states)
ORDER BY s.project_name, s.environment, node, a.distance, a.exposure_unique_id
"""
"""The exposures below what is not well. Parameters: `@bases`, and `@states` and `@months` of STATES."""

DECLARED = """
SELECT c.project_name, c.environment, n.unique_id, n.resource_type, n.name, n.tags, n.meta, n.original_file_path,
  n.group_name, n.owner, n.owner_email
FROM {main}.current_states AS c
JOIN {main}.nodes AS n ON n.manifest_id = c.manifest_id
WHERE (n.unique_id IN UNNEST(@subjects) OR n.resource_type = 'group')
  AND n.manifest_month IN UNNEST(@months) AND n.manifest_id IN UNNEST(@states)
ORDER BY c.project_name, c.environment, n.unique_id
"""
"""What projects declare of nodes, and all groups. Parameters: `@subjects`, and `@states` and `@months` of STATES."""

SAID = """
SELECT c.project_name, c.environment, n.unique_id, n.resource_type, n.name, n.meta, n.group_name, n.owner, n.owner_email
FROM {main}.current_states AS c
JOIN {main}.nodes AS n ON n.manifest_id = c.manifest_id
WHERE (n.meta IS NOT NULL OR n.owner IS NOT NULL)
  AND n.manifest_month IN UNNEST(@months) AND n.manifest_id IN UNNEST(@states)
ORDER BY c.project_name, c.environment, n.unique_id
"""
"""All that projects say of channels and owners. Parameters: `@states` and `@months` of STATES."""

NAMED = """
SELECT c.project_name, c.environment, c.manifest_id, c.lineage_id, n.unique_id, n.resource_type, n.name, n.tags, n.meta,
  n.original_file_path, n.group_name, n.owner, n.owner_email, n.attached_node, n.depends_on, n.severity
FROM {main}.current_states AS c
JOIN {main}.nodes AS n ON n.manifest_id = c.manifest_id
WHERE (n.unique_id = @name OR n.name = @name)
  AND n.resource_type IN ('model', 'seed', 'snapshot', 'source', 'test', 'unit_test')
  AND n.manifest_month IN UNNEST(@months) AND n.manifest_id IN UNNEST(@states)
ORDER BY c.project_name, c.environment, n.unique_id
"""
"""The nodes of a name. Parameters: `@name`, and `@states` and `@months` of STATES."""

RESULTS = """
SELECT r.invocation_id, r.unique_id, r.query_id, IF(r.resource_type = 'test', r.relation_name, NULL) AS failures_table,
  JSON_VALUE(r.adapter_response, '$.project_id') AS job_project,
  JSON_VALUE(r.adapter_response, '$.location') AS job_location
FROM {main}.run_results AS r
WHERE r.run_date IN UNNEST(@days) AND r.invocation_id IN UNNEST(@invocations) AND r.unique_id IN UNNEST(@nodes)
ORDER BY r.invocation_id, r.unique_id
"""
"""Where the warehouse has more of what failed: its job, and with --store-failures the table of a test's rows.

Parameters: `@days`, `@invocations`, `@nodes`.
"""

ACTIONS = """
SELECT a.load_id, a.loaded_at, a.incident_id, a.kind, a.action, a.acted_by, a.until, a.reason
FROM {main}.incident_actions AS a
WHERE a.incident_id IN UNNEST(@incidents)
ORDER BY a.load_id
"""
"""What people did to these incidents. Parameter: `@incidents`."""

DELIVERIES = """
SELECT d.load_id, d.loaded_at, d.incident_key, d.incident_id, d.stream, d.seq, d.transition, d.operation, d.fingerprint,
  d.channel, d.thread_ts, d.message_ts, d.state, d.attempts, d.expires_at, d.told, d.shown, d.error
FROM {main}.deliveries AS d
ORDER BY d.load_id
"""
"""All that was ever told or meant to be."""

TOLD = """
SELECT COUNT(*) AS steps, MAX(d.loaded_at) AS last_at
FROM {main}.deliveries AS d
"""
"""Whether `deliveries` can be read, and how much was told."""

READABLE = """
SELECT i.incident_id
FROM {main}.incidents AS i
WHERE FALSE
"""
"""Whether `incidents` can be read, at no cost."""
