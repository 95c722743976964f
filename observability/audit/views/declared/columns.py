"""The columns that several views have in common, in the groups in which they stand."""

from datetime import date, datetime
from typing import Annotated

from observability.audit.schema import Json, Row


class ProjectColumns(Row, frozen=True, kw_only=True):
    """The project that a row is about."""

    project_name: Annotated[str | None, "dbt project that was run."]
    environment: Annotated[str, "Deployment."]


class ProjectNodeColumns(ProjectColumns, frozen=True, kw_only=True):
    """The node of a project that a row is about."""

    unique_id: Annotated[str, "dbt's unique_id."]


class NodeRunColumns(Row, frozen=True, kw_only=True):
    """The node and the invocation that a row is about."""

    run_date: Annotated[date, "UTC date of the invocation's start; the partition, so filter by it."]
    invocation_id: Annotated[str, "`invocations.invocation_id`."]
    unique_id: Annotated[str, "dbt's unique_id."]
    project_name: Annotated[str | None, "dbt project that was run."]
    environment: Annotated[str, "Deployment."]


class AirflowColumns(Row, frozen=True, kw_only=True):
    """Where in Airflow an invocation ran."""

    dag_id: Annotated[str | None, "Airflow DAG of the invocation."]
    dag_run_id: Annotated[str | None, "Airflow DAG run of the invocation."]
    task_id: Annotated[str | None, "Airflow task of the invocation."]
    map_index: Annotated[int | None, "Index of a mapped Airflow task."]
    try_number: Annotated[int | None, "Airflow's try, from 1."]
    log_url: Annotated[str | None, "Airflow's log of that try."]


class CurrentColumns(ProjectNodeColumns, frozen=True, kw_only=True):
    """A node of a project's current state."""

    name: Annotated[str | None, "The node's name."]
    package_name: Annotated[str | None, "The dbt package that it comes from."]
    original_file_path: Annotated[str | None, "Its file, from the package's root."]
    description: Annotated[str | None, "Its description."]
    tags: Annotated[list[str], "Its tags."]
    meta: Annotated[Json | None, "Its meta, whole."]
    owner: Annotated[str | None, "Who can mend it: meta.owner, else its group's owner; for an exposure, its owner."]
    group_name: Annotated[str | None, "Its dbt group."]
    manifest_id: Annotated[str, "The project's current state."]


class PlaceColumns(Row, frozen=True, kw_only=True):
    """Where a node's relation lies."""

    relation_database: Annotated[str | None, "Database (BigQuery: project); a test's is its attached node's."]
    relation_schema: Annotated[str | None, "Schema (BigQuery: dataset); a test's is its attached node's."]


class SourceColumns(Row, frozen=True, kw_only=True):
    """What a source says of itself."""

    source_name: Annotated[str | None, "A source's first name: the schema-like group that it is in."]
    loader: Annotated[str | None, "What loads a source, in its owner's words."]
    loaded_at_field: Annotated[str | None, "The column or query by which a source's freshness is known."]
    warn_after_seconds: Annotated[float | None, "Age from which a source's freshness warns."]
    error_after_seconds: Annotated[float | None, "Age from which a source's freshness is an error."]
    freshness_filter: Annotated[str | None, "Condition on the rows that freshness looks at."]


class LastColumns(Row, frozen=True, kw_only=True):
    """The last that was seen of a node."""

    last_run_at: Annotated[datetime | None, "When it was last built, tested or checked, to any end."]
    last_outcome: Annotated[str | None, "ok, warning or failure; null where the last 90 days have not seen it."]
    last_status: Annotated[str | None, "dbt's status."]
    last_message: Annotated[str | None, "dbt's message."]
    last_execution_time: Annotated[float | None, "Seconds."]
    last_invocation_id: Annotated[str | None, "The invocation that saw that."]
    last_ok_at: Annotated[datetime | None, "When it was last built, or passed."]


class SkippedColumns(Row, frozen=True, kw_only=True):
    """Whether a node still waits to be built or tested anew."""

    skipped_at: Annotated[
        datetime | None,
        "When it was last skipped, where nothing was seen of it since: it is not built or run anew yet.",
    ]
    skipped_because_of: Annotated[list[str], "The failures for which it was skipped then; empty otherwise."]
