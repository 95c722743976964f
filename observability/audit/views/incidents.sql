-- One row per incident: from the first bad observation of a subject until all that was bad of it is well again. A pure
-- function of the stored facts and of {now}: load times play no part. It reads all that is retained, for only the first
-- bad observation tells since when; its windows lie over the few observations of nodes that ever were bad.
WITH named AS (
  SELECT
    i.load_id, i.invocation_id, i.environment, i.step, i.command, i.dag_id, i.dag_run_id, i.task_id, i.map_index,
    i.try_number, i.log_url, i.started_at, i.outcome, i.exit_code, i.error, i.alertable, i.will_retry, i.project_name,
    COALESCE(i.completed_at, i.started_at) AS ended_at,
    IF(i.dag_run_id IS NULL, i.invocation_id, CONCAT(COALESCE(i.dag_id, ''), '/', i.dag_run_id)) AS pipeline_run,
    NOT COALESCE(i.empty, FALSE) AND COALESCE(JSON_VALUE(i.args, '$.sample'), 'None') = 'None' AS is_real,
    MIN(i.project_name) OVER (PARTITION BY i.environment, i.step) AS first_project,
    MAX(i.project_name) OVER (PARTITION BY i.environment, i.step) AS last_project,
    LEAD(i.invocation_id) OVER (
      PARTITION BY i.environment, i.dag_id, i.dag_run_id, i.task_id, i.map_index
      ORDER BY i.try_number, i.started_at, i.invocation_id) AS next_try
  FROM {main}.invocations AS i
), attempts AS (
  SELECT n.*,
    -- a step that never got as far as its project's name belongs to the project that it had at all other times
    COALESCE(n.project_name, IF(n.first_project = n.last_project, n.last_project, NULL), '') AS project,
    -- another try followed, or may still: what this one found bad is not said; what it found well is
    n.will_retry AND (
      (n.dag_run_id IS NOT NULL AND n.next_try IS NOT NULL)
      OR n.ended_at > TIMESTAMP_SUB({now}, INTERVAL 60 MINUTE)) AS is_superseded
  FROM named AS n
), pipeline_ends AS (
  SELECT a.pipeline_run, MAX(a.ended_at) AS ended_at FROM attempts AS a GROUP BY a.pipeline_run
), current_states AS (
  SELECT s.environment, COALESCE(s.project_name, '') AS project, s.manifest_id, s.lineage_id
  FROM {main}.invocations AS s
  WHERE s.manifest_id IS NOT NULL
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY s.environment, s.project_name ORDER BY s.started_at DESC, s.invocation_id DESC) = 1
), found AS (
  SELECT
    r.load_id, r.unique_id, r.resource_type, r.name, r.attached_node, r.relation_database, r.relation_schema, r.outcome,
    r.status, r.message, r.failures, r.causes, r.ancestors, r.parents, r.owner, r.group_name, r.original_file_path,
    r.batch_results, r.execute_completed_at AS seen_at
  FROM {raw}.run_results AS r
  WHERE r.outcome IN ('failure', 'warning', 'skipped')
  UNION ALL
  SELECT
    f.load_id, f.unique_id, f.resource_type, f.name, NULL, f.relation_database, f.relation_schema, f.outcome, f.status,
    f.error, NULL, f.causes, f.ancestors, f.parents, f.owner, f.group_name, f.original_file_path, NULL, f.snapshotted_at
  FROM {raw}.source_freshness AS f
  WHERE f.outcome IN ('failure', 'warning')
), placed AS (
  -- a node is the same one only in the same place: project, environment, database and schema
  SELECT f.*, a.invocation_id, a.pipeline_run, a.project, a.environment, a.alertable, a.command, a.step, a.dag_id,
    a.dag_run_id, a.task_id, a.map_index, a.try_number, a.log_url, COALESCE(f.seen_at, a.ended_at) AS bad_at,
    CONCAT(a.project, '/', a.environment, '/', COALESCE(f.relation_database, ''), '.',
      COALESCE(f.relation_schema, ''), '/') AS place,
    f.status = 'interrupted' AND a.outcome = 'interrupted' AS is_cut_off
  FROM found AS f
  JOIN attempts AS a ON a.load_id = f.load_id
  WHERE NOT a.is_superseded
), bad AS (
  SELECT p.*, CONCAT(p.place, p.unique_id) AS node_key,
    CONCAT(p.place, COALESCE(p.attached_node, p.unique_id)) AS incident_key,
    COALESCE(p.attached_node, p.unique_id) AS subject,
    p.unique_id IN UNNEST(p.causes) AS is_first_of_its_step,
    CASE
      WHEN p.resource_type IN ('test', 'unit_test') THEN 'test_failure'
      WHEN p.resource_type = 'source' AND p.status = 'runtime error' THEN 'freshness_runtime_error'
      WHEN p.resource_type = 'source' THEN 'source_stale'
      ELSE 'node_error'
    END AS kind
  FROM placed AS p
  -- what dbt was at when it was interrupted belongs to its step
  WHERE p.outcome <> 'skipped' AND NOT p.is_cut_off
), bad_nodes AS (
  SELECT DISTINCT b.project, b.environment, b.place, b.unique_id, b.node_key FROM bad AS b
), passed AS (
  SELECT r.load_id, r.unique_id, r.relation_database, r.relation_schema, r.batch_results,
    r.execute_completed_at AS seen_at
  FROM {raw}.run_results AS r
  WHERE r.outcome = 'ok'
  UNION ALL
  SELECT f.load_id, f.unique_id, f.relation_database, f.relation_schema, NULL, f.snapshotted_at
  FROM {raw}.source_freshness AS f
  WHERE f.outcome = 'ok'
), well AS (
  -- the same node, in the same place, really ran and passed
  SELECT k.node_key, a.invocation_id, a.pipeline_run, p.batch_results, COALESCE(p.seen_at, a.ended_at) AS seen_at
  FROM passed AS p
  JOIN attempts AS a ON a.load_id = p.load_id
  JOIN bad_nodes AS k ON k.project = a.project AND k.environment = a.environment AND k.unique_id = p.unique_id
  WHERE a.is_real AND k.place = CONCAT(a.project, '/', a.environment, '/', COALESCE(p.relation_database, ''), '.',
    COALESCE(p.relation_schema, ''), '/')
), manifest_changes AS (
  SELECT i.environment, COALESCE(i.project_name, '') AS project, i.manifest_id, i.started_at, i.invocation_id
  FROM {main}.invocations AS i
  WHERE i.manifest_id IS NOT NULL
  QUALIFY COALESCE(i.manifest_id <> LAG(i.manifest_id) OVER (
    PARTITION BY i.environment, i.project_name ORDER BY i.started_at, i.invocation_id), TRUE)
), gone AS (
  SELECT k.node_key, m.started_at AS seen_at, m.invocation_id
  FROM bad_nodes AS k
  JOIN manifest_changes AS m ON m.project = k.project AND m.environment = k.environment
  LEFT JOIN {main}.nodes AS n ON n.manifest_id = m.manifest_id AND n.unique_id = k.unique_id
  WHERE n.unique_id IS NULL AND NOT STARTS_WITH(k.unique_id, 'operation.')
), observed AS (
  SELECT b.node_key, b.bad_at AS seen_at, b.invocation_id, b.pipeline_run, 'bad' AS state, b.batch_results FROM bad AS b
  UNION ALL
  SELECT w.node_key, w.seen_at, w.invocation_id, w.pipeline_run, 'recovered', w.batch_results FROM well AS w
  UNION ALL
  SELECT g.node_key, g.seen_at, g.invocation_id, NULL, 'withdrawn', NULL FROM gone AS g
), with_batches AS (
  SELECT o.*,
    LAST_VALUE(IF(o.state = 'bad', o.batch_results, NULL) IGNORE NULLS) OVER (
      PARTITION BY o.node_key ORDER BY o.seen_at, o.invocation_id, o.state
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS bad_batches
  FROM observed AS o
), telling AS (
  -- a microbatch model is well again with the batches that failed, not with later ones
  SELECT o.node_key, o.seen_at, o.invocation_id, o.pipeline_run, o.state
  FROM with_batches AS o
  WHERE o.state <> 'recovered' OR o.batch_results IS NULL OR o.bad_batches IS NULL OR NOT EXISTS (
    SELECT 1
    FROM UNNEST(JSON_QUERY_ARRAY(o.bad_batches, '$.failed')) AS failed
    WHERE failed NOT IN UNNEST(JSON_QUERY_ARRAY(o.batch_results, '$.successful')))
), timeline AS (
  SELECT t.node_key, t.invocation_id, t.state,
    FIRST_VALUE(IF(t.state <> 'bad', t.seen_at, NULL) IGNORE NULLS) OVER later AS ended_at,
    FIRST_VALUE(IF(t.state <> 'bad', t.state, NULL) IGNORE NULLS) OVER later AS ended_by,
    FIRST_VALUE(IF(t.state <> 'bad', COALESCE(t.pipeline_run, ''), NULL) IGNORE NULLS) OVER later AS ended_in,
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
  SELECT b.*, t.ended_at, t.ended_by, t.ended_in, t.last_well_at
  FROM bad AS b
  JOIN timeline AS t ON t.node_key = b.node_key AND t.invocation_id = b.invocation_id AND t.state = 'bad'
), folds AS (
  -- the causes in earlier steps of the same pipeline run that were not well again yet: what was not built explains what
  -- fails below it, and a failed test what the tests further down find. A stale source explains nothing by itself.
  SELECT f.invocation_id, f.unique_id, f.bad_at, c.invocation_id AS cause_invocation_id, c.unique_id AS cause
  FROM failing AS f
  JOIN failing AS c
    ON c.pipeline_run = f.pipeline_run AND c.project = f.project AND c.environment = f.environment
  WHERE c.invocation_id <> f.invocation_id AND c.outcome = 'failure' AND c.resource_type <> 'source'
    AND c.is_first_of_its_step AND c.bad_at <= f.bad_at AND (c.ended_at IS NULL OR c.ended_at > f.bad_at)
    AND IF(
      c.kind = 'test_failure',
      f.kind = 'test_failure' AND ARRAY_LENGTH(c.parents) > 0 AND NOT EXISTS (
        SELECT 1 FROM UNNEST(c.parents) AS parent
        WHERE parent NOT IN UNNEST(f.ancestors) OR parent IN UNNEST(f.parents)),
      c.unique_id IN UNNEST(f.ancestors))
), folded AS (
  SELECT DISTINCT f.invocation_id, f.unique_id FROM folds AS f
), failed_loads AS (
  SELECT DISTINCT f.load_id FROM found AS f WHERE f.outcome = 'failure'
), step_states AS (
  -- a step is wrong in itself where it never came to its end, or failed and none of its nodes did
  SELECT a.*, CONCAT(a.project, '/', a.environment, '//', a.step) AS incident_key,
    a.outcome IN ('interrupted', 'not_run') OR (a.outcome = 'failure' AND l.load_id IS NULL) AS is_bad
  FROM attempts AS a
  LEFT JOIN failed_loads AS l ON l.load_id = a.load_id
  WHERE NOT a.is_superseded
), steps AS (
  SELECT s.*,
    FIRST_VALUE(IF(s.is_bad, NULL, s.ended_at) IGNORE NULLS) OVER later AS well_at,
    FIRST_VALUE(IF(s.is_bad, NULL, s.pipeline_run) IGNORE NULLS) OVER later AS well_in,
    LAST_VALUE(IF(s.is_bad, NULL, s.ended_at) IGNORE NULLS) OVER earlier AS last_well_at
  FROM step_states AS s
  WINDOW
    later AS (
      PARTITION BY s.incident_key ORDER BY s.ended_at, s.invocation_id
      ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING),
    earlier AS (
      PARTITION BY s.incident_key ORDER BY s.ended_at, s.invocation_id
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
), wrong AS (
  -- every bad observation that is a cause, of nodes and of steps
  SELECT
    f.incident_key, f.project, f.environment, f.relation_database, f.relation_schema, f.subject, f.unique_id,
    f.resource_type, f.name, f.kind, f.outcome, f.status, f.message, f.failures, f.parents, f.owner, f.group_name,
    f.original_file_path, f.alertable, f.command, f.invocation_id, f.dag_id, f.dag_run_id, f.task_id, f.map_index,
    f.try_number, f.log_url, f.bad_at, f.ended_at, f.ended_by, f.ended_in, f.last_well_at
  FROM failing AS f
  LEFT JOIN folded AS o ON o.invocation_id = f.invocation_id AND o.unique_id = f.unique_id
  WHERE f.is_first_of_its_step AND o.unique_id IS NULL
  UNION ALL
  SELECT
    s.incident_key, s.project, s.environment, NULL, NULL, s.step, s.step, 'step', s.step,
    IF(s.outcome = 'interrupted', 'run_interrupted', 'run_failed'), 'failure', s.outcome,
    COALESCE(
      s.error,
      IF(s.exit_code < 0, CONCAT('dbt was killed by signal ', CAST(-s.exit_code AS STRING)), NULL),
      IF(s.exit_code > 0, CONCAT('dbt ended with exit code ', CAST(s.exit_code AS STRING)), NULL)),
    NULL, CAST([] AS ARRAY<STRING>), NULL, NULL, NULL, s.alertable, s.command, s.invocation_id, s.dag_id, s.dag_run_id,
    s.task_id, s.map_index, s.try_number, s.log_url, s.ended_at, s.well_at, IF(s.well_at IS NULL, NULL, 'recovered'),
    s.well_in, s.last_well_at
  FROM steps AS s
  WHERE s.is_bad
), spans AS (
  -- how long each node of a subject was bad without a break. A model that is mended while its tests still fail, all in
  -- one pipeline run, is one story that goes on
  SELECT w.incident_key, w.unique_id, COALESCE(w.ended_at, TIMESTAMP '9999-12-31 00:00:00+00') AS ends,
    MIN(w.bad_at) AS opened_at,
    MAX(GREATEST(COALESCE(w.ended_at, TIMESTAMP '9999-12-31 00:00:00+00'),
      COALESCE(p.ended_at, TIMESTAMP '1970-01-01 00:00:00+00'))) AS reaches
  FROM wrong AS w
  LEFT JOIN pipeline_ends AS p ON p.pipeline_run = w.ended_in
  GROUP BY w.incident_key, w.unique_id, COALESCE(w.ended_at, TIMESTAMP '9999-12-31 00:00:00+00')
), breaks AS (
  SELECT s.*,
    COALESCE(s.opened_at > MAX(s.reaches) OVER (
      PARTITION BY s.incident_key ORDER BY s.opened_at, s.unique_id
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), TRUE) AS is_new
  FROM spans AS s
), numbered AS (
  SELECT b.incident_key, b.unique_id, b.ends,
    CAST(COUNTIF(b.is_new) OVER (
      PARTITION BY b.incident_key ORDER BY b.opened_at, b.unique_id
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS INT64) AS episode
  FROM breaks AS b
), members AS (
  SELECT w.*, n.episode,
    MAX(n.episode) OVER (PARTITION BY w.incident_key) AS last_episode,
    ROW_NUMBER() OVER (
      PARTITION BY w.incident_key, n.episode, w.unique_id ORDER BY w.bad_at DESC, w.invocation_id DESC) AS age_rank
  FROM wrong AS w
  JOIN numbered AS n
    ON n.incident_key = w.incident_key AND n.unique_id = w.unique_id
    AND n.ends = COALESCE(w.ended_at, TIMESTAMP '9999-12-31 00:00:00+00')
), worst AS (
  -- what stands for an incident: what is still bad first, then failures before warnings, the node before its tests
  SELECT m.*
  FROM members AS m
  WHERE m.age_rank = 1
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY m.incident_key, m.episode
    ORDER BY IF(m.ended_at IS NULL, 0, 1), IF(m.outcome = 'failure', 0, 1), IF(m.kind = 'test_failure', 1, 0),
      m.bad_at DESC, m.unique_id) = 1
), last_ends AS (
  SELECT m.incident_key, m.episode, m.ended_by
  FROM members AS m
  WHERE m.age_rank = 1 AND m.ended_at IS NOT NULL
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY m.incident_key, m.episode ORDER BY m.ended_at DESC, m.ended_by, m.unique_id) = 1
), episodes AS (
  SELECT
    m.incident_key, m.episode, m.last_episode, MIN(m.bad_at) AS opened_at, MAX(m.bad_at) AS last_bad_at,
    IF(LOGICAL_OR(m.ended_at IS NULL), NULL, MAX(m.ended_at)) AS closed_at,
    COUNT(DISTINCT m.invocation_id) AS bad_runs, LOGICAL_OR(m.alertable) AS alertable,
    ARRAY_AGG(DISTINCT m.unique_id ORDER BY m.unique_id) AS failed_nodes
  FROM members AS m
  GROUP BY m.incident_key, m.episode, m.last_episode
), still_failing AS (
  SELECT m.incident_key, m.episode, ARRAY_AGG(m.unique_id ORDER BY m.unique_id) AS nodes,
    LOGICAL_OR(m.outcome = 'failure') AS is_failure
  FROM members AS m
  WHERE m.age_rank = 1 AND m.ended_at IS NULL
  GROUP BY m.incident_key, m.episode
), held_in_step AS (
  -- what was skipped, or fails too, because of a cause in its own step; and what an interrupted step was at
  SELECT p.invocation_id, cause, p.unique_id, p.bad_at, p.outcome
  FROM placed AS p
  CROSS JOIN UNNEST(p.causes) AS cause
  WHERE cause <> p.unique_id
  UNION ALL
  SELECT p.invocation_id, p.step, p.unique_id, p.bad_at, 'skipped'
  FROM placed AS p
  WHERE p.is_cut_off
), held AS (
  SELECT h.invocation_id, h.cause, h.unique_id, h.bad_at, h.outcome FROM held_in_step AS h
  UNION ALL
  SELECT f.cause_invocation_id, f.cause, f.unique_id, f.bad_at, 'failure' FROM folds AS f
  UNION ALL
  -- and what is held by something that is itself explained by an earlier step
  SELECT f.cause_invocation_id, f.cause, h.unique_id, h.bad_at, h.outcome
  FROM folds AS f
  JOIN held_in_step AS h ON h.invocation_id = f.invocation_id AND h.cause = f.unique_id
), held_nodes AS (
  SELECT m.incident_key, m.episode, m.project, m.environment, h.unique_id, MAX(h.bad_at) AS held_at,
    LOGICAL_OR(h.outcome = 'skipped') AS is_blocked
  FROM held AS h
  JOIN members AS m ON m.invocation_id = h.invocation_id AND m.unique_id = h.cause
  WHERE NOT STARTS_WITH(h.unique_id, 'exposure.')
  GROUP BY m.incident_key, m.episode, m.project, m.environment, h.unique_id
), seen_since AS (
  SELECT a.project, a.environment, r.unique_id, MAX(COALESCE(r.execute_completed_at, a.ended_at)) AS seen_at
  FROM {raw}.run_results AS r
  JOIN attempts AS a ON a.load_id = r.load_id
  JOIN (SELECT DISTINCT h.project, h.environment, h.unique_id FROM held_nodes AS h) AS k
    ON k.project = a.project AND k.environment = a.environment AND k.unique_id = r.unique_id
  WHERE r.outcome = 'ok' AND a.is_real
  GROUP BY a.project, a.environment, r.unique_id
), blamed_since AS (
  -- what fails by itself by now has an incident of its own
  SELECT w.project, w.environment, w.unique_id, MAX(w.bad_at) AS seen_at
  FROM wrong AS w
  GROUP BY w.project, w.environment, w.unique_id
), waiting AS (
  SELECT h.incident_key, h.episode, h.unique_id, h.is_blocked,
    n.unique_id IS NOT NULL AND COALESCE(s.seen_at <= h.held_at, TRUE) AND COALESCE(b.seen_at <= h.held_at, TRUE)
      AS is_waiting
  FROM held_nodes AS h
  LEFT JOIN seen_since AS s
    ON s.project = h.project AND s.environment = h.environment AND s.unique_id = h.unique_id
  LEFT JOIN blamed_since AS b
    ON b.project = h.project AND b.environment = h.environment AND b.unique_id = h.unique_id
  LEFT JOIN current_states AS c ON c.project = h.project AND c.environment = h.environment
  LEFT JOIN {main}.nodes AS n ON n.manifest_id = c.manifest_id AND n.unique_id = h.unique_id
), consequences AS (
  SELECT w.incident_key, w.episode,
    ARRAY_AGG(IF(w.is_blocked, w.unique_id, NULL) IGNORE NULLS ORDER BY w.unique_id) AS blocked_nodes,
    ARRAY_AGG(IF(w.is_blocked, NULL, w.unique_id) IGNORE NULLS ORDER BY w.unique_id) AS folded_nodes,
    ARRAY_AGG(IF(w.is_waiting, w.unique_id, NULL) IGNORE NULLS ORDER BY w.unique_id) AS waiting_nodes,
    LOGICAL_OR(w.is_waiting) AS is_waiting
  FROM waiting AS w
  GROUP BY w.incident_key, w.episode
), bases AS (
  -- what rests on a test rests on what it tests
  SELECT m.incident_key, m.episode, m.project, m.environment, base
  FROM members AS m
  CROSS JOIN UNNEST(IF(m.kind = 'test_failure', m.parents, [m.unique_id])) AS base
  WHERE m.age_rank = 1
  UNION ALL
  SELECT h.incident_key, h.episode, h.project, h.environment, h.unique_id
  FROM held_nodes AS h
), hurt AS (
  SELECT DISTINCT b.incident_key, b.episode, a.exposure_unique_id,
    COALESCE(JSON_VALUE(e.meta, '$.observe.severity'), '') = 'critical' AS is_critical
  FROM bases AS b
  JOIN current_states AS c ON c.project = b.project AND c.environment = b.environment
  JOIN {main}.exposure_ancestors AS a ON a.lineage_id = c.lineage_id AND a.ancestor_unique_id = b.base
  JOIN {main}.nodes AS e ON e.manifest_id = c.manifest_id AND e.unique_id = a.exposure_unique_id
), exposures AS (
  SELECT h.incident_key, h.episode, ARRAY_AGG(h.exposure_unique_id ORDER BY h.exposure_unique_id) AS unique_ids,
    LOGICAL_OR(h.is_critical) AS is_critical
  FROM hurt AS h
  GROUP BY h.incident_key, h.episode
)
SELECT
  e.incident_key,
  SUBSTR(TO_HEX(SHA256(CONCAT(e.incident_key, ' ', CAST(UNIX_MICROS(e.opened_at) AS STRING)))), 1, 12) AS incident_id,
  NULLIF(w.project, '') AS project_name, w.environment, w.relation_database, w.relation_schema, w.subject,
  IF(w.subject = w.unique_id, w.resource_type, s.resource_type) AS resource_type,
  COALESCE(s.name, w.name, w.subject) AS name,
  w.kind, w.outcome,
  CASE
    WHEN w.outcome = 'warning' THEN 'warning'
    WHEN COALESCE(x.is_critical, FALSE) THEN 'critical'
    ELSE 'error'
  END AS severity,
  CASE
    WHEN e.closed_at IS NULL AND e.last_bad_at < TIMESTAMP_SUB({now}, INTERVAL 90 DAY) THEN 'expired'
    WHEN e.closed_at IS NULL THEN 'open'
    WHEN l.ended_by = 'withdrawn' THEN 'withdrawn'
    WHEN e.episode = e.last_episode AND COALESCE(q.is_waiting, FALSE) THEN 'fixed'
    ELSE 'recovered'
  END AS state,
  e.opened_at, e.last_bad_at, e.closed_at, w.last_well_at,
  (UNIX_MICROS(e.closed_at) - UNIX_MICROS(e.opened_at)) / 1000000 AS open_seconds,
  e.bad_runs, e.failed_nodes,
  COALESCE(t.nodes, CAST([] AS ARRAY<STRING>)) AS failing_nodes,
  COALESCE(q.blocked_nodes, CAST([] AS ARRAY<STRING>)) AS blocked_nodes,
  COALESCE(q.folded_nodes, CAST([] AS ARRAY<STRING>)) AS folded_nodes,
  COALESCE(q.waiting_nodes, CAST([] AS ARRAY<STRING>)) AS waiting_nodes,
  COALESCE(x.unique_ids, CAST([] AS ARRAY<STRING>)) AS exposures,
  w.unique_id AS worst_node, w.status, w.message, w.failures, COALESCE(w.owner, s.owner) AS owner,
  COALESCE(w.group_name, s.group_name) AS group_name, w.original_file_path, e.alertable, w.command, w.invocation_id,
  w.dag_id, w.dag_run_id, w.task_id, w.map_index, w.try_number, w.log_url
FROM episodes AS e
JOIN worst AS w ON w.incident_key = e.incident_key AND w.episode = e.episode
LEFT JOIN still_failing AS t ON t.incident_key = e.incident_key AND t.episode = e.episode
LEFT JOIN last_ends AS l ON l.incident_key = e.incident_key AND l.episode = e.episode
LEFT JOIN consequences AS q ON q.incident_key = e.incident_key AND q.episode = e.episode
LEFT JOIN exposures AS x ON x.incident_key = e.incident_key AND x.episode = e.episode
LEFT JOIN current_states AS c ON c.project = w.project AND c.environment = w.environment
-- who can mend a node can mend what its tests find
LEFT JOIN {main}.nodes AS s ON s.manifest_id = c.manifest_id AND s.unique_id = w.subject
