"""Views that tell what failed."""

from datetime import datetime
from typing import Annotated

from observability.audit.schema import Row
from observability.audit.views.declaration import view
from observability.audit.views.declared.columns import AirflowColumns, NodeRunColumns


@view(
    "test_failures",
    "One row per invocation and test that failed or warned in it, unit tests included; also where another try took its "
    "place: superseded says so.",
    key=("invocation_id", "unique_id"),
    base=(NodeRunColumns,),
    then=(AirflowColumns,),
)
class TestFailure(Row, frozen=True, kw_only=True):
    """A test that failed or warned."""

    name: Annotated[str | None, "The test's name."]
    resource_type: Annotated[str, "test or unit_test."]
    test_name: Annotated[str | None, "A generic test's kind: unique, not_null, …"]
    column_name: Annotated[str | None, "The column that it looks at."]
    attached_node: Annotated[str | None, "The node that it tests."]
    severity: Annotated[str | None, "error or warn."]
    package_name: Annotated[str | None, "The dbt package that it comes from."]
    original_file_path: Annotated[str | None, "Its file, from the package's root."]
    relation_database: Annotated[str | None, "Database (BigQuery: project) of the node that it tests."]
    relation_schema: Annotated[str | None, "Schema (BigQuery: dataset) of the node that it tests."]
    relation_name: Annotated[str | None, "The table with the rows that it found; only with --store-failures."]
    owner: Annotated[str | None, "Who can mend it."]
    group_name: Annotated[str | None, "Its dbt group."]
    tags: Annotated[list[str], "Its tags."]
    status: Annotated[str, "dbt's status: fail, warn, error (it could not be run), interrupted."]
    outcome: Annotated[str, "failure or warning."]
    failures: Annotated[int | None, "Rows that it found."]
    message: Annotated[str | None, "dbt's message."]
    compiled_code: Annotated[str | None, "The SQL that ran."]
    query_id: Annotated[str | None, "The warehouse's id of the query: BigQuery job_id, Snowflake query_id."]
    bytes_billed: Annotated[int | None, "Bytes billed for it, as the adapter reported."]
    execution_time: Annotated[float | None, "Seconds."]
    is_root_cause: Annotated[bool, "Whether nothing above it failed before it in the same step."]
    causes: Annotated[list[str], "The first failures of the same step above it; itself where it is one."]
    superseded: Annotated[
        bool, "Whether another try of the step took its place, or may still within an hour: it does not count then."
    ]
    started_at: Annotated[datetime, "When the invocation began."]
    failed_at: Annotated[datetime, "When the test ended."]
    command: Annotated[str | None, "dbt's command: test, build, retry."]
