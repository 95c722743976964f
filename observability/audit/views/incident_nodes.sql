-- One row per incident and node: what failed by itself, and what was held up or fails because of that. `incidents` sums
-- it up. A pure function of the stored facts and of {now}: load times play no part. It reads all that is retained, for
-- only the first bad observation tells since when; its windows lie over nodes that ever were bad. No step below is read
-- more often than it must be: BigQuery computes it anew each time.
WITH scoped AS (
  SELECT a.*,
    CAST(JSON_VALUE(a.row_counts, '$.run_results') AS INT64)
      + CAST(JSON_VALUE(a.row_counts, '$.source_freshness') AS INT64) AS written,
    MAX(a.ended_at) OVER (PARTITION BY a.pipeline_run_id) AS pipeline_ended_at,
    MIN(a.project_name) OVER (PARTITION BY a.environment, a.step) AS first_project,
    MAX(a.project_name) OVER (PARTITION BY a.environment, a.step) AS last_project
  FROM {main}.attempts AS a
), attempts AS (
  -- a step that never got as far as its project's name belongs to the project that it had at all other times
  SELECT s.*,
    COALESCE(s.project_name, IF(s.first_project = s.last_project, s.last_project, NULL), '') AS project
  FROM scoped AS s
), found AS (
  SELECT
    r.load_id, r.unique_id, r.resource_type, r.name, r.attached_node, r.relation_database, r.relation_schema, r.outcome,
    r.status, r.message, r.failures, r.test_name, r.column_name, r.causes, r.ancestors, r.parents, r.owner,
    r.group_name, r.original_file_path, r.batch_results, r.execute_completed_at AS seen_at,
    CAST(NULL AS FLOAT64) AS age_seconds, CAST(NULL AS FLOAT64) AS warn_after_seconds,
    CAST(NULL AS FLOAT64) AS error_after_seconds
  FROM {raw}.run_results AS r
  WHERE r.outcome IN ('failure', 'warning', 'skipped')
  UNION ALL
  SELECT
    f.load_id, f.unique_id, f.resource_type, f.name, NULL, f.relation_database, f.relation_schema, f.outcome, f.status,
    f.error, NULL, NULL, NULL, f.causes, f.ancestors, f.parents, f.owner, f.group_name, f.original_file_path, NULL,
    f.snapshotted_at, f.age_seconds, f.warn_after_seconds, f.error_after_seconds
  FROM {raw}.source_freshness AS f
  WHERE f.outcome IN ('failure', 'warning')
), placed AS (
  -- a node is the same one only in the same place: project, environment, database and schema
  SELECT f.*, a.invocation_id, a.pipeline_run_id AS pipeline_run, a.pipeline_ended_at, a.project, a.environment, a.alertable,
    a.command, a.step, a.dag_id, a.dag_run_id, a.task_id, a.map_index, a.try_number, a.log_url,
    COALESCE(f.seen_at, a.ended_at) AS bad_at,
    CONCAT(a.project, '/', a.environment, '/', COALESCE(f.relation_database, ''), '.',
      COALESCE(f.relation_schema, ''), '/') AS place,
    -- what dbt was at when it was interrupted belongs to its step
    f.status = 'interrupted' AND a.outcome = 'interrupted' AS is_cut_off,
    f.unique_id IN UNNEST(f.causes) AS is_first_of_its_step,
    CASE
      WHEN f.resource_type IN ('test', 'unit_test') THEN 'test_failure'
      WHEN f.resource_type = 'source' AND f.status = 'runtime error' THEN 'freshness_runtime_error'
      WHEN f.resource_type = 'source' THEN 'source_stale'
      ELSE 'node_error'
    END AS kind
  FROM found AS f
  JOIN attempts AS a ON a.load_id = f.load_id
  WHERE NOT a.is_superseded
), bad_nodes AS (
  SELECT DISTINCT p.project, p.environment, p.place, p.unique_id
  FROM placed AS p
  WHERE p.outcome <> 'skipped' AND NOT p.is_cut_off
), passed AS (
  SELECT r.load_id, r.unique_id, r.relation_database, r.relation_schema, r.batch_results,
    r.execute_completed_at AS seen_at
  FROM {raw}.run_results AS r
  WHERE r.outcome = 'ok'
  UNION ALL
  SELECT f.load_id, f.unique_id, f.relation_database, f.relation_schema, NULL, f.snapshotted_at
  FROM {raw}.source_freshness AS f
  WHERE f.outcome = 'ok'
), manifest_changes AS (
  SELECT i.environment, COALESCE(i.project_name, '') AS project, i.manifest_id, i.started_at, i.invocation_id
  FROM {main}.invocations AS i
  WHERE i.manifest_id IS NOT NULL
  QUALIFY COALESCE(i.manifest_id <> LAG(i.manifest_id) OVER (
    PARTITION BY i.environment, i.project_name ORDER BY i.started_at, i.invocation_id), TRUE)
), observed AS (
  SELECT CONCAT(p.place, p.unique_id) AS node_key, p.bad_at AS seen_at, p.invocation_id, p.pipeline_ended_at,
    'bad' AS state, p.batch_results
  FROM placed AS p
  WHERE p.outcome <> 'skipped' AND NOT p.is_cut_off
  UNION ALL
  -- the same node, in the same place, really ran and passed
  SELECT CONCAT(k.place, k.unique_id), COALESCE(w.seen_at, a.ended_at), a.invocation_id, a.pipeline_ended_at,
    'recovered', w.batch_results
  FROM passed AS w
  JOIN attempts AS a ON a.load_id = w.load_id
  JOIN bad_nodes AS k ON k.project = a.project AND k.environment = a.environment AND k.unique_id = w.unique_id
  WHERE a.is_real AND k.place = CONCAT(a.project, '/', a.environment, '/', COALESCE(w.relation_database, ''), '.',
    COALESCE(w.relation_schema, ''), '/')
  UNION ALL
  -- a later manifest lacks it
  SELECT CONCAT(k.place, k.unique_id), m.started_at, m.invocation_id, m.started_at, 'withdrawn', NULL
  FROM bad_nodes AS k
  JOIN manifest_changes AS m ON m.project = k.project AND m.environment = k.environment
  LEFT JOIN {main}.nodes AS n ON n.manifest_id = m.manifest_id AND n.unique_id = k.unique_id
  WHERE n.unique_id IS NULL AND NOT STARTS_WITH(k.unique_id, 'operation.')
), with_batches AS (
  SELECT o.*,
    LAST_VALUE(IF(o.state = 'bad', o.batch_results, NULL) IGNORE NULLS) OVER (
      PARTITION BY o.node_key ORDER BY o.seen_at, o.invocation_id, o.state
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS bad_batches
  FROM observed AS o
), telling AS (
  -- a microbatch model is well again with the batches that failed, not with later ones
  SELECT o.node_key, o.seen_at, o.invocation_id, o.pipeline_ended_at, o.state
  FROM with_batches AS o
  WHERE o.state <> 'recovered' OR o.batch_results IS NULL OR o.bad_batches IS NULL OR NOT EXISTS (
    SELECT 1
    FROM UNNEST(JSON_QUERY_ARRAY(o.bad_batches, '$.failed')) AS failed
    WHERE failed NOT IN UNNEST(JSON_QUERY_ARRAY(o.batch_results, '$.successful')))
), timeline AS (
  SELECT t.node_key, t.invocation_id, t.state,
    FIRST_VALUE(IF(t.state <> 'bad', t.seen_at, NULL) IGNORE NULLS) OVER later AS ended_at,
    FIRST_VALUE(IF(t.state <> 'bad', t.state, NULL) IGNORE NULLS) OVER later AS ended_by,
    FIRST_VALUE(IF(t.state <> 'bad', t.pipeline_ended_at, NULL) IGNORE NULLS) OVER later AS ending_run_ended_at,
    LAST_VALUE(IF(t.state = 'recovered', t.seen_at, NULL) IGNORE NULLS) OVER earlier AS last_well_at
  FROM telling AS t
  WINDOW
    later AS (
      PARTITION BY t.node_key ORDER BY t.seen_at, t.invocation_id, t.state
      ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING),
    earlier AS (
      PARTITION BY t.node_key ORDER BY t.seen_at, t.invocation_id, t.state
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
), failing AS (
  SELECT p.*, t.ended_at, t.ended_by, t.ending_run_ended_at, t.last_well_at
  FROM placed AS p
  JOIN timeline AS t
    ON t.node_key = CONCAT(p.place, p.unique_id) AND t.invocation_id = p.invocation_id AND t.state = 'bad'
  WHERE p.outcome <> 'skipped' AND NOT p.is_cut_off
), ancestries AS (
  -- the arrays stay behind: with them, every ancestor would carry all the others
  SELECT f.invocation_id, f.unique_id, f.pipeline_run, f.project, f.environment, f.kind, f.bad_at, ancestor,
    ancestor IN UNNEST(f.parents) AS is_parent
  FROM failing AS f
  CROSS JOIN UNNEST(f.ancestors) AS ancestor
), causes AS (
  -- what is found in what is below: of a test, in what is below all that it tests. A stale source explains nothing.
  SELECT c.invocation_id, c.unique_id, c.pipeline_run, c.project, c.environment, c.kind, c.bad_at, c.ended_at, base,
    IF(c.kind = 'test_failure', (SELECT COUNT(DISTINCT parent) FROM UNNEST(c.parents) AS parent), 1) AS bases
  FROM failing AS c
  CROSS JOIN UNNEST(IF(c.kind = 'test_failure', c.parents, [c.unique_id])) AS base
  WHERE c.outcome = 'failure' AND c.resource_type <> 'source' AND c.is_first_of_its_step
), explained AS (
  -- the causes in earlier steps of the same pipeline run that were not well again yet: what was not built explains what
  -- fails below it, and a failed test what the tests further down find
  SELECT a.invocation_id, a.unique_id, c.invocation_id AS cause_invocation_id, c.unique_id AS cause,
    c.kind AS cause_kind, c.bad_at AS cause_bad_at
  FROM ancestries AS a
  JOIN causes AS c
    ON c.pipeline_run = a.pipeline_run AND c.project = a.project AND c.environment = a.environment
    AND c.base = a.ancestor
  WHERE c.invocation_id <> a.invocation_id AND c.bad_at <= a.bad_at AND (c.ended_at IS NULL OR c.ended_at > a.bad_at)
    AND (c.kind <> 'test_failure' OR (a.kind = 'test_failure' AND NOT a.is_parent))
  GROUP BY a.invocation_id, a.unique_id, c.invocation_id, c.unique_id, c.kind, c.bad_at, c.bases
  HAVING COUNT(DISTINCT c.base) = c.bases
), folds AS (
  SELECT e.invocation_id, e.unique_id, e.cause_invocation_id, e.cause, e.cause_kind = 'node_error' AS is_unbuilt
  FROM explained AS e
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY e.invocation_id, e.unique_id
    ORDER BY IF(e.cause_kind = 'test_failure', 1, 0), e.cause_bad_at, e.cause, e.cause_invocation_id) = 1
), failed_loads AS (
  SELECT DISTINCT f.load_id FROM found AS f WHERE f.outcome = 'failure'
), unpruned_loads AS (
  SELECT DISTINCT r.load_id FROM {raw}.run_results AS r
  UNION DISTINCT
  SELECT DISTINCT f.load_id FROM {raw}.source_freshness AS f
), steps AS (
  -- a step is wrong in itself where it never came to its end, or failed and none of its nodes did. Of one whose nodes
  -- are past retention, that is not known any more
  SELECT a.*, a.outcome IN ('interrupted', 'not_run') OR (
    a.outcome = 'failure' AND l.load_id IS NULL AND (u.load_id IS NOT NULL OR a.written = 0)) AS is_bad
  FROM attempts AS a
  LEFT JOIN failed_loads AS l ON l.load_id = a.load_id
  LEFT JOIN unpruned_loads AS u ON u.load_id = a.load_id
  WHERE NOT a.is_superseded
), step_timeline AS (
  SELECT s.*,
    FIRST_VALUE(IF(s.is_bad, NULL, s.ended_at) IGNORE NULLS) OVER later AS well_at,
    FIRST_VALUE(IF(s.is_bad, NULL, s.pipeline_ended_at) IGNORE NULLS) OVER later AS ending_run_ended_at,
    LAST_VALUE(IF(s.is_bad, NULL, s.started_at) IGNORE NULLS) OVER earlier AS last_well_at
  FROM steps AS s
  WINDOW
    later AS (
      PARTITION BY s.project, s.environment, s.step ORDER BY s.started_at, s.invocation_id
      ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING),
    earlier AS (
      PARTITION BY s.project, s.environment, s.step ORDER BY s.started_at, s.invocation_id
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
), wrong AS (
  -- every bad observation that is a cause, of nodes and of steps
  SELECT
    CONCAT(f.place, COALESCE(f.attached_node, f.unique_id)) AS incident_key, f.project, f.environment,
    f.relation_database, f.relation_schema, COALESCE(f.attached_node, f.unique_id) AS subject, f.unique_id,
    f.resource_type, f.name, f.kind, f.outcome, f.status, f.message, f.failures, f.test_name, f.column_name,
    IF(f.kind = 'test_failure', COALESCE(f.parents, CAST([] AS ARRAY<STRING>)), [f.unique_id]) AS bases,
    f.owner, f.group_name, f.original_file_path,
    f.alertable, f.command, f.invocation_id, f.dag_id, f.dag_run_id, f.task_id, f.map_index, f.try_number, f.log_url,
    f.bad_at, f.ended_at, f.ended_by, f.ending_run_ended_at, f.last_well_at, f.age_seconds, f.warn_after_seconds,
    f.error_after_seconds
  FROM failing AS f
  LEFT JOIN folds AS o ON o.invocation_id = f.invocation_id AND o.unique_id = f.unique_id
  WHERE f.is_first_of_its_step AND o.unique_id IS NULL
  UNION ALL
  SELECT
    CONCAT(s.project, '/', s.environment, '//', s.step), s.project, s.environment, NULL, NULL, s.step, s.step, 'step',
    s.step, IF(s.outcome = 'interrupted', 'run_interrupted', 'run_failed'), 'failure', s.outcome,
    COALESCE(
      s.error,
      IF(s.exit_code < 0, CONCAT('dbt was killed by signal ', CAST(-s.exit_code AS STRING)), NULL),
      IF(s.exit_code > 0, CONCAT('dbt ended with exit code ', CAST(s.exit_code AS STRING)), NULL)),
    NULL, NULL, NULL, CAST([] AS ARRAY<STRING>), NULL, NULL, NULL, s.alertable, s.command, s.invocation_id, s.dag_id,
    s.dag_run_id, s.task_id, s.map_index, s.try_number, s.log_url, s.started_at, s.well_at,
    IF(s.well_at IS NULL, NULL, 'recovered'), s.ending_run_ended_at, s.last_well_at, NULL, NULL, NULL
  FROM step_timeline AS s
  WHERE s.is_bad
), breaks AS (
  -- a model that is mended while its tests still fail, all in one pipeline run, is one story that goes on
  SELECT w.*,
    COALESCE(w.bad_at > MAX(IF(w.ended_at IS NULL, TIMESTAMP '9999-12-31 00:00:00+00',
        GREATEST(w.ended_at, w.ending_run_ended_at))) OVER (
      PARTITION BY w.incident_key ORDER BY w.bad_at, w.unique_id, w.invocation_id
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), TRUE) AS is_new
  FROM wrong AS w
), numbered AS (
  SELECT b.*,
    CAST(COUNTIF(b.is_new) OVER (
      PARTITION BY b.incident_key ORDER BY b.bad_at, b.unique_id, b.invocation_id
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS INT64) AS episode
  FROM breaks AS b
), members AS (
  SELECT n.*,
    n.episode = MAX(n.episode) OVER (PARTITION BY n.incident_key) AS is_latest,
    MIN(n.bad_at) OVER (PARTITION BY n.incident_key, n.episode) AS opened_at,
    COUNT(DISTINCT n.invocation_id) OVER (PARTITION BY n.incident_key, n.episode) AS bad_runs,
    MAX(IF(n.alertable, 1, 0)) OVER (PARTITION BY n.incident_key, n.episode) = 1 AS is_alertable,
    MIN(n.bad_at) OVER (PARTITION BY n.incident_key, n.episode, n.unique_id) AS first_bad_at,
    ROW_NUMBER() OVER (
      PARTITION BY n.incident_key, n.episode, n.unique_id ORDER BY n.bad_at DESC, n.invocation_id DESC) AS age_rank
  FROM numbered AS n
), held AS (
  -- what was skipped, or fails too, because of something in its own step; what an interrupted step was at; and what a
  -- cause in an earlier step explains, with all that hangs on it. What was not built explains more than a failed test.
  SELECT h.unique_id, h.outcome, h.bad_at, h.project, h.environment,
    COALESCE(
      MAX(IF(is_own AND o.is_unbuilt, o.cause_invocation_id, NULL)), MAX(IF(is_own, NULL, o.cause_invocation_id)),
      h.invocation_id) AS cause_invocation_id,
    COALESCE(MAX(IF(is_own AND o.is_unbuilt, o.cause, NULL)), MAX(IF(is_own, NULL, o.cause)), h.cause) AS cause
  FROM (
    SELECT p.unique_id, p.outcome, p.bad_at, p.project, p.environment, p.invocation_id, cause
    FROM placed AS p
    CROSS JOIN UNNEST(IF(p.is_cut_off, [p.step], p.causes)) AS cause
  ) AS h
  CROSS JOIN UNNEST([TRUE, FALSE]) AS is_own
  LEFT JOIN folds AS o ON o.invocation_id = h.invocation_id AND o.unique_id = IF(is_own, h.unique_id, h.cause)
  GROUP BY h.invocation_id, h.unique_id, h.outcome, h.bad_at, h.project, h.environment, h.cause
), held_nodes AS (
  SELECT m.incident_key, m.episode, m.is_latest, m.opened_at, m.bad_runs, m.is_alertable, m.subject, h.project,
    h.environment, h.unique_id, MIN(h.bad_at) AS first_held_at, MAX(h.bad_at) AS last_held_at,
    LOGICAL_OR(h.outcome = 'skipped' OR m.resource_type = 'step') AS is_blocked
  FROM held AS h
  JOIN members AS m ON m.invocation_id = h.cause_invocation_id AND m.unique_id = h.cause
  WHERE h.unique_id <> h.cause
  GROUP BY m.incident_key, m.episode, m.is_latest, m.opened_at, m.bad_runs, m.is_alertable, m.subject, h.project,
    h.environment, h.unique_id
), told_since AS (
  -- a node that passed since waits no longer; nor does one that failed by itself, which is told by itself
  SELECT s.project, s.environment, s.unique_id, MAX(s.seen_at) AS seen_at
  FROM (
    SELECT a.project, a.environment, r.unique_id, COALESCE(r.execute_completed_at, a.ended_at) AS seen_at
    FROM {raw}.run_results AS r
    JOIN attempts AS a ON a.load_id = r.load_id
    WHERE r.outcome = 'ok' AND a.is_real
    UNION ALL
    SELECT p.project, p.environment, p.unique_id, p.bad_at
    FROM placed AS p
    WHERE p.is_first_of_its_step AND p.outcome <> 'skipped'
  ) AS s
  GROUP BY s.project, s.environment, s.unique_id
), together AS (
  SELECT
    m.incident_key, m.episode, m.is_latest, m.opened_at, m.bad_runs, m.is_alertable, m.project, m.environment, m.subject,
    'failed' AS role, m.ended_at IS NULL AS is_open, m.unique_id, m.resource_type, m.name, m.kind, m.outcome, m.status,
    m.message, m.failures, m.test_name, m.column_name, m.original_file_path, m.owner, m.group_name, m.relation_database,
    m.relation_schema, m.first_bad_at, m.bad_at AS last_bad_at, m.ended_at, m.ended_by, m.last_well_at, m.age_seconds,
    m.warn_after_seconds, m.error_after_seconds, m.command, m.invocation_id, m.dag_id, m.dag_run_id, m.task_id,
    m.map_index, m.try_number, m.log_url, m.bases
  FROM members AS m
  WHERE m.age_rank = 1
  UNION ALL
  SELECT
    h.incident_key, h.episode, h.is_latest, h.opened_at, h.bad_runs, h.is_alertable, h.project, h.environment, h.subject,
    IF(h.is_blocked, 'blocked', 'folded'), COALESCE(s.seen_at <= h.last_held_at, TRUE), h.unique_id, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, h.first_held_at, h.last_held_at, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, [h.unique_id]
  FROM held_nodes AS h
  LEFT JOIN told_since AS s
    ON s.project = h.project AND s.environment = h.environment AND s.unique_id = h.unique_id
), once AS (
  -- what was held up first and failed by itself later is told as what failed
  SELECT t.*
  FROM together AS t
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY t.incident_key, t.episode, t.unique_id ORDER BY IF(t.role = 'failed', 0, 1)) = 1
)
SELECT
  t.incident_key,
  SUBSTR(TO_HEX(SHA256(CONCAT(t.incident_key, ' ', CAST(UNIX_MICROS(t.opened_at) AS STRING)))), 1, 12) AS incident_id,
  t.opened_at, t.is_latest, t.bad_runs, t.is_alertable AS alertable, NULLIF(t.project, '') AS project_name,
  t.environment, t.subject, t.role,
  -- what a later manifest lacks is not waited for
  t.is_open AND (t.role = 'failed' OR n.unique_id IS NOT NULL) AS is_open,
  t.unique_id, COALESCE(t.resource_type, n.resource_type) AS resource_type, COALESCE(t.name, n.name) AS name,
  t.relation_database, t.relation_schema, t.kind, t.outcome, t.status, t.message, t.failures, t.test_name,
  t.column_name, COALESCE(t.original_file_path, n.original_file_path) AS original_file_path,
  -- who can mend a node can mend what its tests find
  COALESCE(t.owner, n.owner, s.owner) AS owner, COALESCE(t.group_name, n.group_name, s.group_name) AS group_name,
  s.name AS subject_name, s.resource_type AS subject_resource_type,
  t.first_bad_at, t.last_bad_at, t.ended_at AS closed_at, t.ended_by AS closed_by, t.last_well_at, t.age_seconds,
  t.warn_after_seconds, t.error_after_seconds, t.command, t.invocation_id, t.dag_id, t.dag_run_id, t.task_id,
  t.map_index, t.try_number, t.log_url, t.bases
FROM once AS t
LEFT JOIN {main}.current_states AS c ON COALESCE(c.project_name, '') = t.project AND c.environment = t.environment
LEFT JOIN {main}.nodes AS n ON n.manifest_id = c.manifest_id AND n.unique_id = t.unique_id
LEFT JOIN {main}.nodes AS s ON s.manifest_id = c.manifest_id AND s.unique_id = t.subject
