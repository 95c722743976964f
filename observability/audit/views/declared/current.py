"""Views that tell what is there now: the current models, tests, sources and exposures.

And what they are made of: what each attempt is worth, each project's current state, and the last that was seen of each
of its nodes.
"""

from datetime import date, datetime
from typing import Annotated

from observability.audit.schema import Json, Row
from observability.audit.views.declaration import view


@view(
    "attempts",
    "One row per invocation, with what its findings are worth: whether another try took their place, and whether "
    "anything was really built. A building block of other views.",
    key=("invocation_id",),
)
class Attempt(Row, frozen=True, kw_only=True):
    """What an invocation's findings are worth."""

    load_id: Annotated[str, "The invocation's winning load, which its facts bear."]
    invocation_id: Annotated[str, "dbt's invocation_id."]
    run_date: Annotated[date, "UTC date of started_at."]
    project_name: Annotated[str | None, "dbt project."]
    environment: Annotated[str, "Deployment."]
    pipeline_run_id: Annotated[str, "dag_id/dag_run_id; the invocation_id of a step outside of any DAG run."]
    started_at: Annotated[datetime, "When dbt began."]
    ended_at: Annotated[datetime, "When it ended; where that is not known, when it began."]
    step: Annotated[str, "What is the same step at another time: see invocations."]
    command: Annotated[str | None, "dbt's command."]
    outcome: Annotated[str, "success, warning, failure, interrupted or not_run."]
    exit_code: Annotated[int | None, "dbt's exit code; negative is a signal."]
    error: Annotated[str | None, "dbt's error that is no node's own."]
    alertable: Annotated[bool, "Whether its load may lead to a message."]
    row_counts: Annotated[Json, "Rows that its load wrote, by table."]
    manifest_id: Annotated[str | None, "The project state that it ran on: `nodes.manifest_id`."]
    dag_id: Annotated[str | None, "Airflow DAG."]
    dag_run_id: Annotated[str | None, "Airflow DAG run."]
    task_id: Annotated[str | None, "Airflow task."]
    map_index: Annotated[int | None, "Index of a mapped Airflow task."]
    try_number: Annotated[int | None, "Airflow's try, from 1."]
    log_url: Annotated[str | None, "Airflow's log of this try."]
    is_real: Annotated[bool, "False with --empty and --sample: what passed then says nothing."]
    is_repeated: Annotated[bool, "Whether the orchestrator tried the step again, as it had said."]
    is_awaiting_retry: Annotated[
        bool, "Whether the orchestrator said, less than an hour ago, that it would try the step again, and did not yet."
    ]
    is_superseded: Annotated[bool, "Either of the two: what it found bad does not count, what it found well does."]


@view(
    "current_states",
    "One row per project and environment: the state of the last invocation that left a manifest. A building block of "
    "other views.",
    key=("project_name", "environment"),
)
class CurrentState(Row, frozen=True, kw_only=True):
    """A project's current state in an environment."""

    project_name: Annotated[str | None, "dbt project."]
    environment: Annotated[str, "Deployment."]
    manifest_id: Annotated[str, "Its nodes: `nodes.manifest_id`."]
    lineage_id: Annotated[str | None, "What its exposures rest on: `exposure_ancestors.lineage_id`."]
    started_at: Annotated[datetime, "When the invocation began that ran on it last."]
    invocation_id: Annotated[str, "That invocation."]
    dbt_version: Annotated[str | None, "Its version of dbt."]
    git_sha: Annotated[str | None, "Commit of the dbt project."]
    git_branch: Annotated[str | None, "Branch of the dbt project."]


class ProjectNode(Row, frozen=True, kw_only=True):
    """A node of a project's current state."""

    project_name: Annotated[str | None, "dbt project that it is run by."]
    environment: Annotated[str, "Deployment."]
    unique_id: Annotated[str, "dbt's unique_id."]
    name: Annotated[str | None, "The node's name."]
    package_name: Annotated[str | None, "The dbt package that it comes from."]
    original_file_path: Annotated[str | None, "Its file, from the package's root."]
    description: Annotated[str | None, "Its description."]
    tags: Annotated[list[str], "Its tags."]
    meta: Annotated[Json | None, "Its meta, whole."]
    owner: Annotated[str | None, "Who can mend it: meta.owner, else its group's owner; for an exposure, its owner."]
    group_name: Annotated[str | None, "Its dbt group."]
    manifest_id: Annotated[str, "The project's current state."]


@view(
    "current_nodes",
    "One row per project, environment and node of the current state, beside the last that was seen of it in the last "
    "90 days, a constant bound. Skipped and unknown results say nothing, nor does what passed with --empty or --sample "
    "or what an attempt found bad that was repeated. A building block of other views.",
    key=("project_name", "environment", "unique_id"),
)
class CurrentNode(ProjectNode, frozen=True, kw_only=True):
    """A node of the current state, and how it is."""

    lineage_id: Annotated[str | None, "What the project's exposures rest on: `exposure_ancestors.lineage_id`."]
    resource_type: Annotated[str | None, "model, test, unit_test, seed, snapshot, source, exposure, operation, …"]
    relation_database: Annotated[str | None, "Database (BigQuery: project); a test's is its attached node's."]
    relation_schema: Annotated[str | None, "Schema (BigQuery: dataset); a test's is its attached node's."]
    relation_name: Annotated[str | None, "Its relation, quoted as the adapter quotes."]
    materialized: Annotated[str | None, "view, table, incremental, snapshot, test, …"]
    access: Annotated[str | None, "private, protected or public."]
    checksum: Annotated[str | None, "Digest of its source code."]
    depends_on: Annotated[list[str], "The unique_ids that it refers to."]
    test_name: Annotated[str | None, "A generic test's kind: unique, not_null, …"]
    column_name: Annotated[str | None, "The column that a test looks at."]
    attached_node: Annotated[str | None, "The node that a test tests."]
    severity: Annotated[str | None, "A test's severity: error or warn."]
    test_args: Annotated[Json | None, "A generic test's arguments."]
    source_name: Annotated[str | None, "A source's first name: the schema-like group that it is in."]
    loader: Annotated[str | None, "What loads a source, in its owner's words."]
    loaded_at_field: Annotated[str | None, "The column or query by which a source's freshness is known."]
    warn_after_seconds: Annotated[float | None, "Age from which a source's freshness warns."]
    error_after_seconds: Annotated[float | None, "Age from which a source's freshness is an error."]
    freshness_filter: Annotated[str | None, "Condition on the rows that freshness looks at."]
    last_run_at: Annotated[datetime | None, "When it was last built, tested or checked, to any end."]
    last_outcome: Annotated[str | None, "ok, warning or failure."]
    last_status: Annotated[str | None, "dbt's status."]
    last_message: Annotated[str | None, "dbt's message."]
    last_execution_time: Annotated[float | None, "Seconds."]
    last_invocation_id: Annotated[str | None, "The invocation that saw that."]
    last_ok_at: Annotated[datetime | None, "When it was last built, or passed."]
    last_failures: Annotated[int | None, "Rows that a test found."]
    last_rows_affected: Annotated[int | None, "Rows that a node's last statement wrote, as the adapter reported."]
    is_bad: Annotated[bool, "Whether the last that was seen of it is a failure or a warning."]
    is_root_cause: Annotated[bool, "Whether it is bad, and nothing above it failed before it in the same step."]
    skipped_at: Annotated[
        datetime | None, "When it was last skipped, where nothing was seen of it since: it is not built anew yet."
    ]
    skipped_because_of: Annotated[list[str], "The failures for which it was skipped then; empty otherwise."]


class RunnableNode(ProjectNode, frozen=True, kw_only=True):
    """A node of the current state that is run, and what came of that."""

    relation_database: Annotated[str | None, "Database (BigQuery: project); a test's is its attached node's."]
    relation_schema: Annotated[str | None, "Schema (BigQuery: dataset); a test's is its attached node's."]
    last_run_at: Annotated[datetime | None, "When it was last built, tested or checked, to any end."]
    last_outcome: Annotated[str | None, "ok, warning or failure; null where the last 90 days have not seen it."]
    last_status: Annotated[str | None, "dbt's status."]
    last_message: Annotated[str | None, "dbt's message."]
    last_execution_time: Annotated[float | None, "Seconds."]
    last_invocation_id: Annotated[str | None, "The invocation that saw that."]
    last_ok_at: Annotated[datetime | None, "When it was last built, or passed."]


@view(
    "models",
    "One row per project, environment and model of the current state, with the last that the last 90 days have seen of "
    "it: see current_nodes.",
    key=("project_name", "environment", "unique_id"),
)
class Model(RunnableNode, frozen=True, kw_only=True):
    """A current model."""

    relation_name: Annotated[str | None, "Its relation, quoted as the adapter quotes."]
    materialized: Annotated[str | None, "view, table, incremental, …"]
    access: Annotated[str | None, "private, protected or public."]
    checksum: Annotated[str | None, "Digest of its source code."]
    depends_on: Annotated[list[str], "The unique_ids that it refers to."]
    last_rows_affected: Annotated[int | None, "Rows that its last statement wrote, as the adapter reported."]
    skipped_at: Annotated[datetime | None, "When it was last skipped, where it was not built since."]
    skipped_because_of: Annotated[list[str], "The failures for which it was skipped then; empty otherwise."]


@view(
    "tests",
    "One row per project, environment and test of the current state, unit tests included, with the last that the last "
    "90 days have seen of it: see current_nodes.",
    key=("project_name", "environment", "unique_id"),
)
class Test(RunnableNode, frozen=True, kw_only=True):
    """A current test."""

    resource_type: Annotated[str | None, "test or unit_test."]
    test_name: Annotated[str | None, "A generic test's kind: unique, not_null, …"]
    column_name: Annotated[str | None, "The column that it looks at."]
    attached_node: Annotated[str | None, "The node that it tests."]
    severity: Annotated[str | None, "error or warn."]
    test_args: Annotated[Json | None, "A generic test's arguments."]
    depends_on: Annotated[list[str], "The unique_ids that it refers to."]
    last_failures: Annotated[int | None, "Rows that it found."]
    skipped_at: Annotated[datetime | None, "When it was last skipped, where it was not run since."]
    skipped_because_of: Annotated[list[str], "The failures for which it was skipped then; empty otherwise."]


@view(
    "sources",
    "One row per project, environment and source of the current state, with the last that the last 90 days have seen "
    "of it. How fresh it is, source_health says.",
    key=("project_name", "environment", "unique_id"),
)
class Source(RunnableNode, frozen=True, kw_only=True):
    """A current source."""

    relation_name: Annotated[str | None, "Its relation, quoted as the adapter quotes."]
    source_name: Annotated[str | None, "Its first name: the schema-like group that it is in."]
    loader: Annotated[str | None, "What loads it, in its owner's words."]
    loaded_at_field: Annotated[str | None, "The column or query by which its freshness is known."]
    warn_after_seconds: Annotated[float | None, "Age from which its freshness warns."]
    error_after_seconds: Annotated[float | None, "Age from which its freshness is an error."]
    freshness_filter: Annotated[str | None, "Condition on the rows that freshness looks at."]


@view(
    "exposures",
    "One row per project, environment and exposure of the current state. How well it is, exposure_health says.",
    key=("project_name", "environment", "unique_id"),
)
class Exposure(ProjectNode, frozen=True, kw_only=True):
    """A current exposure."""

    owner_email: Annotated[str | None, "Its owner's address."]
    label: Annotated[str | None, "Its name for people."]
    exposure_type: Annotated[str | None, "dashboard, notebook, analysis, ml or application."]
    maturity: Annotated[str | None, "low, medium or high."]
    url: Annotated[str | None, "Its address."]
    depends_on: Annotated[list[str], "The unique_ids that it refers to."]
    ancestors: Annotated[int, "Nodes that it rests on, however far above."]
    ancestor_sources: Annotated[int, "Those of them that are sources."]
