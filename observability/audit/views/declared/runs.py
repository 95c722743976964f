"""Views that tell how runs went and what they took: pipeline runs, snapshots, BigQuery's bill."""

from datetime import date, datetime
from typing import Annotated

from observability.audit.schema import Row
from observability.audit.views.declaration import view
from observability.audit.views.declared.columns import AirflowColumns, NodeRunColumns


@view(
    "pipeline_runs",
    "One row per pipeline run, project and environment: all steps of an Airflow DAG run together, or one invocation "
    "outside of any. Only runs that began in the last 90 days: a constant bound, for a filter on run_date alone would "
    "not keep BigQuery from reading all results.",
    key=("pipeline_run_id", "project_name", "environment"),
)
class PipelineRun(Row, frozen=True, kw_only=True):
    """How a run of the whole pipeline went."""

    pipeline_run_id: Annotated[str, "dag_id/dag_run_id; the invocation_id of a step outside of any DAG run."]
    project_name: Annotated[
        str | None,
        "dbt project. A step that never got as far as naming it counts for the only project of its pipeline run, else "
        "for the only one that the same step had at other times.",
    ]
    environment: Annotated[str, "Deployment."]
    run_date: Annotated[date, "UTC date on which its first step began."]
    dag_id: Annotated[str | None, "Airflow DAG."]
    dag_run_id: Annotated[str | None, "Airflow DAG run."]
    logical_date: Annotated[datetime | None, "Logical date of the DAG run."]
    run_type: Annotated[str | None, "How Airflow came to run it: scheduled, manual, backfill, asset_triggered."]
    outcome: Annotated[
        str | None,
        "The worst outcome of its steps: interrupted, not_run, failure, warning, success, in this order. An attempt "
        "that was repeated, or still may be, is left out; null where no other is there.",
    ]
    is_awaiting_retry: Annotated[
        bool, "Whether the orchestrator said, less than an hour ago, that it would repeat an attempt, and did not yet."
    ]
    started_at: Annotated[datetime, "When its first step began."]
    completed_at: Annotated[datetime, "When its last step ended; of a step whose end is not known, its start."]
    duration_seconds: Annotated[float, "Seconds from started_at to completed_at, pauses between steps included."]
    busy_seconds: Annotated[
        float, "Seconds that its attempts took, added up: more than duration_seconds where they ran side by side."
    ]
    steps: Annotated[
        list[str], "Each step's command and outcome in the order of their starts: source freshness: warning."
    ]
    step_count: Annotated[int, "Steps, each once however often it was tried."]
    attempts: Annotated[int, "Invocations."]
    retries: Annotated[int, "Attempts that were repeated."]
    nodes_ok: Annotated[
        int,
        "Nodes and sources whose worst result was good. Each is counted once, whatever the number of steps; what a "
        "repeated attempt found good counts, what it found bad does not.",
    ]
    nodes_warning: Annotated[int, "Nodes and sources whose worst result was a warning."]
    nodes_failure: Annotated[int, "Nodes and sources that failed."]
    nodes_skipped: Annotated[int, "Nodes that were skipped and had no worse result."]
    nodes_unknown: Annotated[int, "Nodes and sources whose worst result has a status that is not known."]
    tests_failed: Annotated[int, "Tests and unit tests among nodes_failure, save those that were cut off."]
    sources_stale: Annotated[int, "Sources whose data was older than a threshold, be it to warn or to fail."]
    models_built: Annotated[
        int, "Models that were really built, in whatever attempt: not with --empty or --sample, nor reused."
    ]
    bytes_billed: Annotated[int | None, "Bytes billed for the last statement of each node, repeated attempts included."]
    slot_ms: Annotated[int | None, "BigQuery slot milliseconds of the same."]
    exposures_affected: Annotated[
        int, "Exposures below the nodes that failed or warned; of a test, below what it tests."
    ]
    manifest_id: Annotated[str | None, "The project state of its last step that has one: `nodes.manifest_id`."]
    dbt_version: Annotated[str | None, "Version of dbt in its last step."]
    git_sha: Annotated[str | None, "Commit of the dbt project in its last step."]
    git_branch: Annotated[str | None, "Branch of the dbt project in its last step."]


@view(
    "snapshot_runs",
    "One row per snapshot and invocation, also where it failed or was skipped.",
    key=("invocation_id", "unique_id"),
    base=(NodeRunColumns,),
    then=(AirflowColumns,),
)
class SnapshotRun(Row, frozen=True, kw_only=True):
    """What became of a snapshot in an invocation."""

    name: Annotated[str | None, "The snapshot's name."]
    relation_name: Annotated[str | None, "Its relation, quoted as the adapter quotes."]
    relation_database: Annotated[str | None, "Database (BigQuery: project) of its relation."]
    relation_schema: Annotated[str | None, "Schema (BigQuery: dataset) of its relation."]
    owner: Annotated[str | None, "Who can mend it: meta.owner, else its group's owner."]
    group_name: Annotated[str | None, "Its dbt group."]
    status: Annotated[str, "dbt's status in lower case."]
    outcome: Annotated[str, "ok, warning, failure, skipped or unknown."]
    message: Annotated[str | None, "dbt's message."]
    rows_affected: Annotated[int | None, "Rows that its last statement wrote: versions closed and opened."]
    execution_time: Annotated[float | None, "Seconds."]
    execute_started_at: Annotated[datetime | None, "When executing began."]
    execute_completed_at: Annotated[datetime | None, "When executing ended."]
    is_empty: Annotated[bool, "Whether --empty was given, so that nothing was really snapshotted."]
    started_at: Annotated[datetime, "When the invocation began."]
    command: Annotated[str | None, "dbt's command."]


@view(
    "bigquery_costs",
    "One row per node and invocation of which BigQuery reported bytes or slots, attempts that were repeated included. "
    "dbt hands on what it says of a node's last statement only: a node of several statements costs more.",
    key=("invocation_id", "unique_id"),
    base=(NodeRunColumns,),
    then=(AirflowColumns,),
)
class BigQueryCost(Row, frozen=True, kw_only=True):
    """What a node cost in an invocation."""

    resource_type: Annotated[str | None, "model, test, seed, snapshot, operation, …"]
    name: Annotated[str | None, "The node's name."]
    materialized: Annotated[str | None, "view, table, incremental, snapshot, test, …"]
    relation_database: Annotated[str | None, "BigQuery project of its relation; a test's is its attached node's."]
    relation_schema: Annotated[str | None, "BigQuery dataset of its relation; a test's is its attached node's."]
    owner: Annotated[str | None, "Who can mend it: meta.owner, else its group's owner."]
    group_name: Annotated[str | None, "Its dbt group."]
    outcome: Annotated[str, "ok, warning, failure, skipped or unknown: what failed may have cost too."]
    execution_time: Annotated[float | None, "Seconds."]
    bytes_processed: Annotated[int | None, "Bytes scanned by its last statement."]
    bytes_billed: Annotated[int | None, "Bytes billed for its last statement."]
    tib_billed: Annotated[
        float | None, "bytes_billed in tebibytes, the unit of on-demand prices: times the price it is the cost."
    ]
    slot_ms: Annotated[int | None, "BigQuery slot milliseconds of its last statement."]
    slot_hours: Annotated[float | None, "slot_ms in slot hours, the unit of capacity prices."]
    job_project: Annotated[str | None, "Project that the job ran in, and that is billed."]
    job_location: Annotated[str | None, "Location that the job ran in."]
    job_id: Annotated[str | None, "BigQuery's id of the last statement's job."]
    is_full_refresh: Annotated[bool, "Whether --full-refresh was given."]
    started_at: Annotated[datetime, "When the invocation began."]
    command: Annotated[str | None, "dbt's command."]
