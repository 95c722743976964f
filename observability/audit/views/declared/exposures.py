"""Views that tell who is hurt: the health of exposures and what impairs it."""

from datetime import datetime
from typing import Annotated

from observability.audit.schema import Row
from observability.audit.views.declaration import view
from observability.audit.views.declared.columns import AirflowColumns, ProjectColumns, ProjectNodeColumns


@view(
    "exposure_impacts",
    "One row per exposure and node above it that is bad now, however far: of a test, above it is what it tests. Bad is "
    "what was so when it was last seen in the last 90 days: see current_nodes.",
    key=("project_name", "environment", "exposure_unique_id", "unique_id"),
    base=(ProjectColumns,),
    then=(AirflowColumns,),
)
class ExposureImpact(Row, frozen=True, kw_only=True):
    """A failure or a warning, and an exposure that it hurts."""

    exposure_unique_id: Annotated[str, "The exposure."]
    unique_id: Annotated[str, "What is bad: a model, seed, snapshot, test or source."]
    distance: Annotated[int, "Steps between them on the shortest way, from what a test tests; 1 for a direct parent."]
    risk: Annotated[
        str,
        "stale: what the exposure shows is old, for a source is late, a node was not built, or dbt stopped at the test "
        "before the exposure's models; suspect: what the test found is in the data that it shows.",
    ]
    exposure_name: Annotated[str | None, "The exposure's name."]
    exposure_label: Annotated[str | None, "The exposure's name for people."]
    exposure_type: Annotated[str | None, "dashboard, notebook, analysis, ml or application."]
    exposure_maturity: Annotated[str | None, "low, medium or high."]
    exposure_owner: Annotated[str | None, "Who is to be told."]
    exposure_owner_email: Annotated[str | None, "The exposure's owner's address."]
    exposure_url: Annotated[str | None, "The exposure's address."]
    resource_type: Annotated[str | None, "What is bad: model, seed, snapshot, test, unit_test or source."]
    name: Annotated[str | None, "Its name."]
    test_name: Annotated[str | None, "A generic test's kind: unique, not_null, …"]
    column_name: Annotated[str | None, "The column that a test looks at."]
    attached_node: Annotated[str | None, "The node that a test tests."]
    severity: Annotated[str | None, "A test's severity: error or warn."]
    relation_database: Annotated[str | None, "Database (BigQuery: project); a test's is its attached node's."]
    relation_schema: Annotated[str | None, "Schema (BigQuery: dataset); a test's is its attached node's."]
    original_file_path: Annotated[str | None, "Its file, from the package's root."]
    owner: Annotated[str | None, "Who can mend it; of a test without an owner, the owner of what it tests."]
    group_name: Annotated[str | None, "Its dbt group; of a test without one, that of what it tests."]
    outcome: Annotated[str, "failure or warning."]
    status: Annotated[str, "dbt's status."]
    message: Annotated[str | None, "dbt's message."]
    failures: Annotated[int | None, "Rows that a test found."]
    is_root_cause: Annotated[bool, "Whether nothing above it failed before it in the same step."]
    failed_at: Annotated[datetime, "When it was last seen bad."]
    last_ok_at: Annotated[datetime | None, "When it was last well, in the last 90 days."]
    invocation_id: Annotated[str, "The invocation that saw it bad."]
    command: Annotated[str | None, "dbt's command then."]


@view(
    "exposure_health",
    "One row per project, environment and exposure of the current state, with its health in dbt's own words. It rests "
    "on what the last 90 days have seen: see current_nodes.",
    key=("project_name", "environment", "unique_id"),
    base=(ProjectNodeColumns,),
)
class ExposureHealth(Row, frozen=True, kw_only=True):
    """How an exposure is."""

    name: Annotated[str | None, "Its name."]
    label: Annotated[str | None, "Its name for people."]
    exposure_type: Annotated[str | None, "dashboard, notebook, analysis, ml or application."]
    maturity: Annotated[str | None, "low, medium or high."]
    owner: Annotated[str | None, "Who is to be told."]
    owner_email: Annotated[str | None, "Its owner's address."]
    url: Annotated[str | None, "Its address."]
    tags: Annotated[list[str], "Its tags."]
    description: Annotated[str | None, "Its description."]
    health: Annotated[
        str,
        "Degraded: a node, a test or a source's freshness above it failed; Caution: something above it warned, or was "
        "skipped and is not built yet; Healthy: neither; Unknown: nothing was seen of what it rests on.",
    ]
    is_stale: Annotated[bool, "Whether what it shows may be old: something above it was not built, or came late."]
    is_suspect: Annotated[bool, "Whether what a test found is in the data that it shows."]
    failed_nodes: Annotated[int, "Models, seeds and snapshots above it that failed."]
    failed_tests: Annotated[int, "Tests of what is above it that failed."]
    failed_sources: Annotated[int, "Sources above it that are too old by their freshness, or could not be checked."]
    warnings: Annotated[int, "Tests and sources above it that warned."]
    skipped_nodes: Annotated[int, "Nodes above it that were skipped and are not built since."]
    cause_unique_id: Annotated[
        str | None,
        "What to look at first: of the failures, else of the warnings, the nearest that nothing above it caused; where "
        "there is neither, the nearest node that was skipped.",
    ]
    cause_name: Annotated[str | None, "Its name."]
    cause_distance: Annotated[int | None, "Steps from the exposure to it, or to what it tests."]
    cause_status: Annotated[str | None, "dbt's status of it."]
    cause_message: Annotated[str | None, "dbt's message."]
    cause_owner: Annotated[str | None, "Who can mend it."]
    cause_seen_at: Annotated[datetime | None, "When it was last seen so."]
    ancestors: Annotated[int, "Nodes that it rests on, however far above."]
    ancestors_seen: Annotated[int, "Those of them that were built, checked or tested in the last 90 days."]
    last_built_at: Annotated[
        datetime | None,
        "When what it directly rests on was last built: of several nodes that were, the one built longest ago.",
    ]
    last_checked_at: Annotated[datetime | None, "When a test or a freshness check above it last ran."]
