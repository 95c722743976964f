"""Views that tell what is there now: the current models, tests, sources and exposures.

And what they are made of: what each attempt is worth, each project's current state, and the last that was seen of each
of its nodes.
"""

from datetime import date, datetime
from typing import Annotated

from observability.audit.schema import Json, Row
from observability.audit.views.declaration import view
from observability.audit.views.declared.columns import (
    AirflowColumns,
    CurrentColumns,
    LastColumns,
    PlaceColumns,
    ProjectColumns,
    SkippedColumns,
    SourceColumns,
)


class WorthColumns(Row, frozen=True, kw_only=True):
    """What an invocation's findings are worth."""

    is_real: Annotated[bool, "False with --empty and --sample: what passed then says nothing."]
    is_repeated: Annotated[bool, "Whether the orchestrator tried the step again, as it had said."]
    is_awaiting_retry: Annotated[
        bool, "Whether the orchestrator said, less than an hour ago, that it would try the step again, and did not yet."
    ]
    is_superseded: Annotated[bool, "Either of the two: what it found bad does not count, what it found well does."]


@view(
    "attempts",
    "One row per invocation, with what its findings are worth: whether another try took their place, and whether "
    "anything was really built. A building block of other views.",
    key=("invocation_id",),
    then=(AirflowColumns, WorthColumns),
)
class Attempt(Row, frozen=True, kw_only=True):
    """An invocation, with what its findings are worth."""

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


@view(
    "current_states",
    "One row per project and environment: the state of the last invocation that left a manifest. A building block of "
    "other views.",
    key=("project_name", "environment"),
    base=(ProjectColumns,),
)
class CurrentState(Row, frozen=True, kw_only=True):
    """A project's current state in an environment."""

    manifest_id: Annotated[str, "Its nodes: `nodes.manifest_id`."]
    lineage_id: Annotated[str | None, "What its exposures rest on: `exposure_ancestors.lineage_id`."]
    started_at: Annotated[datetime, "When the invocation began that ran on it last."]
    invocation_id: Annotated[str, "That invocation."]
    dbt_version: Annotated[str | None, "Its version of dbt."]
    git_sha: Annotated[str | None, "Commit of the dbt project."]
    git_branch: Annotated[str | None, "Branch of the dbt project."]


class FindingColumns(Row, frozen=True, kw_only=True):
    """What the last that was seen of a node found, and whether that is bad."""

    last_failures: Annotated[int | None, "Rows that a test found."]
    last_rows_affected: Annotated[int | None, "Rows that a node's last statement wrote, as the adapter reported."]
    is_bad: Annotated[bool, "Whether the last that was seen of it is a failure or a warning."]
    is_root_cause: Annotated[bool, "Whether it is bad, and nothing above it failed before it in the same step."]


@view(
    "current_nodes",
    "One row per project, environment and node of the current state, beside the last that was seen of it in the last "
    "90 days, a constant bound. Skipped and unknown results say nothing, nor does what passed with --empty or --sample "
    "or what an attempt found bad that was repeated. A building block of other views.",
    key=("project_name", "environment", "unique_id"),
    base=(CurrentColumns,),
    then=(SourceColumns, LastColumns, FindingColumns, SkippedColumns),
)
class CurrentNode(Row, frozen=True, kw_only=True):
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


RUNNABLE = (CurrentColumns, PlaceColumns, LastColumns)
"""A node of the current state that is run, and what came of that."""


@view(
    "models",
    "One row per project, environment and model of the current state, with the last that the last 90 days have seen of "
    "it: see current_nodes.",
    key=("project_name", "environment", "unique_id"),
    base=RUNNABLE,
    then=(SkippedColumns,),
)
class Model(Row, frozen=True, kw_only=True):
    """A current model."""

    relation_name: Annotated[str | None, "Its relation, quoted as the adapter quotes."]
    materialized: Annotated[str | None, "view, table, incremental, …"]
    access: Annotated[str | None, "private, protected or public."]
    checksum: Annotated[str | None, "Digest of its source code."]
    depends_on: Annotated[list[str], "The unique_ids that it refers to."]
    last_rows_affected: Annotated[int | None, "Rows that its last statement wrote, as the adapter reported."]


@view(
    "tests",
    "One row per project, environment and test of the current state, unit tests included, with the last that the last "
    "90 days have seen of it: see current_nodes.",
    key=("project_name", "environment", "unique_id"),
    base=RUNNABLE,
    then=(SkippedColumns,),
)
class Test(Row, frozen=True, kw_only=True):
    """A current test."""

    resource_type: Annotated[str | None, "test or unit_test."]
    test_name: Annotated[str | None, "A generic test's kind: unique, not_null, …"]
    column_name: Annotated[str | None, "The column that it looks at."]
    attached_node: Annotated[str | None, "The node that it tests."]
    severity: Annotated[str | None, "error or warn."]
    test_args: Annotated[Json | None, "A generic test's arguments."]
    depends_on: Annotated[list[str], "The unique_ids that it refers to."]
    last_failures: Annotated[int | None, "Rows that it found."]


@view(
    "sources",
    "One row per project, environment and source of the current state, with the last that the last 90 days have seen "
    "of it. How fresh it is, source_health says.",
    key=("project_name", "environment", "unique_id"),
    base=RUNNABLE,
    then=(SourceColumns,),
)
class Source(Row, frozen=True, kw_only=True):
    """A current source."""

    relation_name: Annotated[str | None, "Its relation, quoted as the adapter quotes."]


@view(
    "exposures",
    "One row per project, environment and exposure of the current state. How well it is, exposure_health says.",
    key=("project_name", "environment", "unique_id"),
    base=(CurrentColumns,),
)
class Exposure(Row, frozen=True, kw_only=True):
    """A current exposure."""

    owner_email: Annotated[str | None, "Its owner's address."]
    label: Annotated[str | None, "Its name for people."]
    exposure_type: Annotated[str | None, "dashboard, notebook, analysis, ml or application."]
    maturity: Annotated[str | None, "low, medium or high."]
    url: Annotated[str | None, "Its address."]
    depends_on: Annotated[list[str], "The unique_ids that it refers to."]
    ancestors: Annotated[int, "Nodes that it rests on, however far above."]
    ancestor_sources: Annotated[int, "Those of them that are sources."]
