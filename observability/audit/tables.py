"""The audit tables. Every column is written down here, once: name, type, description.

Facts are appended and never changed. What a load stores becomes visible with its row in `invocations`, the last one
that it writes. Every column added later must be nullable.
"""

from datetime import date, datetime
from typing import Annotated

from observability.audit.schema import Json, Row, table

ROW_VERSION = 3
"""Raised when the same files would give other rows; a load by a newer version then wins over an older one."""


class LoadColumns(Row, frozen=True, kw_only=True):
    """The columns that every table begins with."""

    load_id: Annotated[str, "The load that stored this row: a UUIDv7, new at each attempt."]
    loaded_at: Annotated[datetime, "When that load was built."]


class File(Row, frozen=True, kw_only=True):
    """A file that a step left behind."""

    name: Annotated[str, "File name, such as run_results.json."]
    uri: Annotated[str, "Where it lay when it was loaded."]
    sha256: Annotated[str, "Digest of its bytes in hex."]
    bytes: Annotated[int, "Its size."]
    used: Annotated[bool, "Whether the load rests on it; false for a stale or damaged one."]


@table(
    "invocations",
    "One row per committed load of a dbt step, written last: a load without it is invisible.",
    base=LoadColumns,
    partition="run_date",
    cluster=("project_name", "environment", "command"),
)
class Invocation(Row, frozen=True, kw_only=True):
    """A dbt step: what was run, by whom, and how it ended."""

    invocation_id: Annotated[str, "dbt's invocation_id; for a step that never had one, a UUIDv5 of what identifies it."]
    content_hash: Annotated[
        str, "sha256 over the step's files, its context and row_version: the same again is not loaded."
    ]
    row_version: Annotated[int, "Version of the rules that made these rows."]
    evidence: Annotated[
        str, "What the rows rest on: results, event_log (dbt was killed) or not_run (nothing was left)."
    ]
    project_name: Annotated[str | None, "dbt project."]
    environment: Annotated[str, "Deployment: as set for the loader, else dbt's --target, else default."]
    command: Annotated[str | None, "dbt's command: run, test, build, seed, snapshot, retry, source freshness, …"]
    step: Annotated[
        str, "What is the same step at another time: dag_id.task_id[map_index], else the command with its selection."
    ]
    invocation_command: Annotated[str | None, "The command line, secrets redacted."]
    run_type: Annotated[str | None, "How Airflow came to run it: scheduled, manual, backfill, asset_triggered."]
    dbt_version: Annotated[str | None, "Version of dbt."]
    adapter_type: Annotated[str | None, "dbt adapter: bigquery, duckdb, …"]
    started_at: Annotated[datetime, "When dbt began."]
    completed_at: Annotated[datetime | None, "When dbt wrote its results, or its caller saw it end."]
    elapsed_seconds: Annotated[float | None, "dbt's own measure of the run, parsing left out."]
    exit_code: Annotated[int | None, "dbt's exit code as its caller saw it; negative is a signal."]
    outcome: Annotated[
        str, "success, warning, failure, interrupted (dbt was killed) or not_run (it never got to a node)."
    ]
    error: Annotated[str | None, "dbt's error that is no node's own, where its event log has it."]
    will_retry: Annotated[bool, "Whether the orchestrator said that it would try this step again."]
    alertable: Annotated[bool, "Whether this load may lead to a message; false for backfills."]
    full_refresh: Annotated[bool | None, "--full-refresh was given."]
    empty: Annotated[bool | None, "--empty was given: nothing was really built."]
    args: Annotated[Json | None, "dbt's options as it understood them, secrets redacted."]
    vars: Annotated[Json | None, "dbt's --vars, secrets redacted."]
    env: Annotated[Json | None, "The DBT_ENV_CUSTOM_ENV_ variables without their prefix, secrets redacted."]
    git_sha: Annotated[str | None, "Commit of the dbt project."]
    git_branch: Annotated[str | None, "Branch of the dbt project."]
    dag_id: Annotated[str | None, "Airflow DAG."]
    dag_run_id: Annotated[str | None, "Airflow DAG run: the pipeline run that this step is a part of."]
    task_id: Annotated[str | None, "Airflow task."]
    map_index: Annotated[int | None, "Index of a mapped Airflow task; -1 where it is not mapped."]
    try_number: Annotated[int | None, "Airflow's try, from 1."]
    max_tries: Annotated[int | None, "How often Airflow would try."]
    logical_date: Annotated[datetime | None, "Logical date of the DAG run."]
    log_url: Annotated[str | None, "Airflow's log of this try."]
    manifest_id: Annotated[str | None, "The project state that it ran on: `nodes.manifest_id`."]
    lineage_id: Annotated[str | None, "The ancestors of exposures at that state: `exposure_ancestors.lineage_id`."]
    files: Annotated[list[File], "The files that lay there."]
    conforms: Annotated[
        bool | None, "Whether the files keep to their published schemas; null where that was not judged."
    ]
    conformance_error: Annotated[str | None, "The first deviations from the schema, or why it was not judged."]
    warnings: Annotated[list[str], "What the loader had to leave out or to assume."]
    row_counts: Annotated[Json, "Rows that this load wrote, by table."]
    loader_version: Annotated[str, "Version of dbt-observability."]
    run_date: Annotated[date, "UTC date of started_at."]


class NodeColumns(Row, frozen=True, kw_only=True):
    """A node's own attributes, which its facts repeat so that questions about them need no join."""

    unique_id: Annotated[str, "dbt's unique_id."]
    resource_type: Annotated[str | None, "model, test, unit_test, seed, snapshot, source, exposure, operation, …"]
    name: Annotated[str | None, "The node's name."]
    package_name: Annotated[str | None, "The dbt package that it comes from."]
    original_file_path: Annotated[str | None, "Its file, from the package's root."]
    relation_database: Annotated[
        str | None, "Database (BigQuery: project) of its relation; a test's is its attached node's."
    ]
    relation_schema: Annotated[
        str | None, "Schema (BigQuery: dataset) of its relation; a test's is its attached node's."
    ]
    materialized: Annotated[str | None, "view, table, incremental, snapshot, test, …"]
    tags: Annotated[list[str], "Its tags."]
    owner: Annotated[str | None, "Who can mend it: meta.owner, else its group's owner; for an exposure, its owner."]
    group_name: Annotated[str | None, "Its dbt group."]
    checksum: Annotated[str | None, "Digest of its source code."]
    test_name: Annotated[str | None, "A generic test's kind: unique, not_null, …"]
    column_name: Annotated[str | None, "The column that a test looks at."]
    attached_node: Annotated[str | None, "The node that a test tests."]
    severity: Annotated[str | None, "A test's severity: error or warn."]


class ManifestColumns(LoadColumns, frozen=True, kw_only=True):
    """The project state that a node is a part of."""

    manifest_id: Annotated[str, "Names the project state: a hash over all its nodes, the row version and the month."]
    manifest_month: Annotated[date, "First day of the month in which this state was seen."]


@table(
    "nodes",
    "One row per node of a distinct project state, stored when that state is first seen.",
    base=ManifestColumns,
    partition="manifest_month",
    cluster=("manifest_id", "resource_type", "unique_id"),
)
class Node(NodeColumns, frozen=True, kw_only=True):
    """A node of a manifest."""

    relation_name: Annotated[str | None, "Its relation, quoted as the adapter quotes."]
    meta: Annotated[Json | None, "Its meta, whole."]
    access: Annotated[str | None, "private, protected or public."]
    description: Annotated[str | None, "Its description."]
    depends_on: Annotated[list[str], "The unique_ids that it refers to."]
    test_args: Annotated[Json | None, "A generic test's arguments."]
    source_name: Annotated[str | None, "A source's first name: the schema-like group that it is in."]
    loader: Annotated[str | None, "What loads a source, in its owner's words."]
    loaded_at_field: Annotated[str | None, "The column or query by which a source's freshness is known."]
    warn_after_seconds: Annotated[float | None, "Age from which a source's freshness warns."]
    error_after_seconds: Annotated[float | None, "Age from which a source's freshness is an error."]
    freshness_filter: Annotated[str | None, "Condition on the rows that freshness looks at."]
    exposure_type: Annotated[str | None, "dashboard, notebook, analysis, ml or application."]
    maturity: Annotated[str | None, "An exposure's maturity: low, medium, high."]
    url: Annotated[str | None, "An exposure's address."]
    label: Annotated[str | None, "An exposure's name for people."]
    owner_email: Annotated[str | None, "An exposure's or a group's owner's address."]


class LineageColumns(LoadColumns, frozen=True, kw_only=True):
    """The lineage that a pair is a part of."""

    lineage_id: Annotated[str, "Names the lineage: a hash over all its pairs."]
    lineage_month: Annotated[date, "First day of the month in which this lineage was seen."]


@table(
    "exposure_ancestors",
    "One row per exposure and ancestor of a distinct lineage: all that the exposure rests on, however far above.",
    base=LineageColumns,
    partition="lineage_month",
    cluster=("lineage_id", "ancestor_unique_id"),
)
class ExposureAncestor(Row, frozen=True, kw_only=True):
    """An exposure rests on an ancestor."""

    exposure_unique_id: Annotated[str, "The exposure."]
    ancestor_unique_id: Annotated[str, "The model, source, seed, snapshot, … above it."]
    distance: Annotated[int, "Steps between them on the shortest way; 1 for a direct parent."]


class InvocationColumns(LoadColumns, frozen=True, kw_only=True):
    """The invocation that a fact is a part of."""

    invocation_id: Annotated[str, "`invocations.invocation_id`."]
    run_date: Annotated[date, "UTC date of the invocation's start."]


class FactColumns(Row, frozen=True, kw_only=True):
    """A fact: of which node it is, and how it hangs together with the others of its step."""

    unique_id: Annotated[str, "dbt's unique_id."]

    causes: Annotated[
        list[str],
        "The first failing nodes of this step above it, itself included; empty where it is well or none is known.",
    ]
    ancestors: Annotated[
        list[str], "All nodes above a failed or warning one, so that a failure in another step is found."
    ]
    parents: Annotated[list[str], "The direct parents of a failed or warning one."]


@table(
    "run_results",
    "One row per node of an invocation that ran nodes: also those that were skipped, interrupted, or operations.",
    base=InvocationColumns,
    of_node=NodeColumns,
    partition="run_date",
    cluster=("unique_id", "outcome"),
)
class RunResult(FactColumns, frozen=True, kw_only=True):
    """What became of a node in an invocation."""

    status: Annotated[str, "dbt's status in lower case; interrupted for a node that began and never finished."]
    outcome: Annotated[str, "ok, warning, failure, skipped or unknown."]
    message: Annotated[str | None, "dbt's message, without terminal colours."]
    failures: Annotated[int | None, "Rows that a test found; dbt writes 0 below the warn threshold."]
    execution_time: Annotated[float | None, "Seconds."]
    compile_started_at: Annotated[datetime | None, "When compiling began."]
    compile_completed_at: Annotated[datetime | None, "When compiling ended."]
    execute_started_at: Annotated[datetime | None, "When executing began."]
    execute_completed_at: Annotated[datetime | None, "When executing ended."]
    thread_id: Annotated[str | None, "dbt's thread."]
    rows_affected: Annotated[int | None, "Rows that the last statement wrote, as the adapter reported."]
    bytes_processed: Annotated[int | None, "Bytes scanned by the last statement, as the adapter reported."]
    bytes_billed: Annotated[int | None, "Bytes billed for the last statement, as the adapter reported."]
    slot_ms: Annotated[int | None, "BigQuery slot milliseconds of the last statement, as the adapter reported."]
    query_id: Annotated[str | None, "The warehouse's id of the last statement: BigQuery job_id, Snowflake query_id."]
    adapter_response: Annotated[Json | None, "All that the adapter reported."]
    relation_name: Annotated[str | None, "The relation; of a test only with --store-failures."]
    compiled_code: Annotated[str | None, "The SQL that ran; by default of failures only."]
    batch_results: Annotated[Json | None, "A microbatch model's batches."]


@table(
    "source_freshness",
    "One row per source that an invocation of source freshness checked, or was expected to check.",
    base=InvocationColumns,
    of_node=NodeColumns,
    partition="run_date",
    cluster=("unique_id", "outcome"),
)
class SourceFreshness(FactColumns, frozen=True, kw_only=True):
    """How old a source's data was."""

    status: Annotated[str, "pass, warn, error, or runtime error where the check itself failed."]
    outcome: Annotated[str, "ok, warning, failure or unknown."]
    source_name: Annotated[str | None, "The source's first name."]
    max_loaded_at: Annotated[datetime | None, "The newest row's load time; null for an empty table."]
    snapshotted_at: Annotated[datetime | None, "When that was asked."]
    age_seconds: Annotated[float | None, "The time between them; null for an empty table."]
    warn_after_seconds: Annotated[float | None, "Age from which it warns."]
    error_after_seconds: Annotated[float | None, "Age from which it is an error."]
    filter: Annotated[str | None, "Condition on the rows looked at."]
    error: Annotated[str | None, "Why the check failed, where that is known."]
    execution_time: Annotated[float | None, "Seconds that the check took."]


@table(
    "deliveries",
    "One row per intent to tell somebody of an incident, and one per outcome of that; the later one counts.",
    base=LoadColumns,
    partition="delivery_date",
    cluster=("incident_key", "stream"),
)
class Delivery(Row, frozen=True, kw_only=True):
    """An intent or an outcome of telling somebody."""

    incident_key: Annotated[str, "The incident's subject, as one key; empty for a message about several."]
    incident_id: Annotated[str | None, "The incident."]
    stream: Annotated[str, "What is told together, in one thread: the channel as it was named, and the subject."]
    seq: Annotated[int, "Position in the stream, from 1."]
    transition: Annotated[
        str, "What is told: opened, worse, turned (into another kind), fixed, recovered, reopened, changed, summary, …"
    ]
    operation: Annotated[str, "post, reply (in its thread) or update (of its message)."]
    fingerprint: Annotated[str, "Digest of stream and seq, by which a message is found again in Slack."]
    channel: Annotated[str, "The channel's id, or its name before Slack told the id."]
    thread_ts: Annotated[str | None, "Slack's id of the message that the thread hangs on."]
    message_ts: Annotated[str | None, "Slack's id of the message, once known."]
    state: Annotated[str, "intended, done, unclear (Slack may have it), failed (Slack has it not) or dead (given up)."]
    attempts: Annotated[int, "How often it was tried."]
    expires_at: Annotated[datetime, "When the request is certainly over, and its message can be looked for."]
    told: Annotated[Json | None, "What it tells of the incident; null where nobody is told anything new."]
    shown: Annotated[str | None, "Digest of what the stream's message shows."]
    error: Annotated[str | None, "Why it failed."]
    delivery_date: Annotated[date, "UTC date of this row."]


@table(
    "incident_actions",
    "One row per thing that a person did to an incident.",
    base=LoadColumns,
    partition="action_date",
    cluster=("incident_key",),
)
class IncidentAction(Row, frozen=True, kw_only=True):
    """An acknowledgement, a snooze, a resolution."""

    incident_key: Annotated[str, "The incident's subject, as one key."]
    incident_id: Annotated[str, "The incident."]
    kind: Annotated[str, "The incident's kind then; when that changes, an ack or a snooze is over."]
    action: Annotated[str, "ack, snooze, unsnooze or resolve."]
    acted_by: Annotated[str, "Who did it."]
    until: Annotated[datetime | None, "End of a snooze."]
    reason: Annotated[str | None, "In their words."]
    action_date: Annotated[date, "UTC date of this row."]
