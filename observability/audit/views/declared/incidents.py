"""Views that tell what is wrong, from its first sight until it is well again."""

from datetime import datetime
from typing import Annotated

from observability.audit.schema import Row
from observability.audit.views.declaration import view
from observability.audit.views.declared.columns import AirflowColumns


class IncidentColumns(Row, frozen=True, kw_only=True):
    """The incident that a row is about."""

    incident_key: Annotated[
        str, "The subject, the same for all its incidents: project/environment/database.schema/node, or step."
    ]
    incident_id: Annotated[str, "The incident: a digest of incident_key and opened_at."]


class ReachColumns(Row, frozen=True, kw_only=True):
    """From where an incident reaches further."""

    bases: Annotated[list[str], "The nodes that what rests on it rests on: itself, or what it tests."]


@view(
    "incident_nodes",
    "One row per incident and node: what failed by itself, and what was held up or fails because of that.",
    key=("incident_id", "unique_id"),
    base=(IncidentColumns,),
    then=(AirflowColumns, ReachColumns),
)
class IncidentNode(Row, frozen=True, kw_only=True):
    """A node's part in an incident."""

    opened_at: Annotated[datetime, "When the incident was first seen."]
    is_latest: Annotated[bool, "Whether its subject had no incident after this one."]
    bad_runs: Annotated[int, "In how many invocations the incident was seen."]
    alertable: Annotated[bool, "Whether a load that may lead to a message has seen the incident."]
    project_name: Annotated[str | None, "dbt project."]
    environment: Annotated[str, "Deployment."]
    subject: Annotated[str, "unique_id of the node that is to be mended, which tests are attached to; or the step."]
    role: Annotated[
        str,
        "failed: by itself; blocked: skipped because of what failed, or what an interrupted step was at; folded: "
        "failed below it, in the same pipeline run.",
    ]
    is_open: Annotated[
        bool, "Not well yet; of a blocked or folded node, that it neither passed nor failed by itself since."
    ]
    unique_id: Annotated[str, "dbt's unique_id of this node; of a step, its name."]
    resource_type: Annotated[str | None, "model, test, source, …, or step."]
    name: Annotated[str | None, "This node's name."]
    relation_database: Annotated[str | None, "Database (BigQuery: project) of its relation."]
    relation_schema: Annotated[str | None, "Schema (BigQuery: dataset) of its relation."]
    kind: Annotated[
        str | None,
        "node_error, test_failure, source_stale, freshness_runtime_error, run_interrupted or run_failed, as it was "
        "last seen; null for what did not fail by itself.",
    ]
    outcome: Annotated[str | None, "failure or warning, as it was last seen."]
    status: Annotated[str | None, "dbt's status; of a step, its outcome."]
    message: Annotated[str | None, "dbt's message."]
    failures: Annotated[int | None, "Rows that the test found."]
    test_name: Annotated[str | None, "A generic test's kind: unique, not_null, …"]
    column_name: Annotated[str | None, "The column that a test looks at."]
    original_file_path: Annotated[str | None, "Its file, from the package's root."]
    owner: Annotated[str | None, "Who can mend it; of a test without an owner, the owner of what it tests."]
    group_name: Annotated[str | None, "Its dbt group."]
    subject_name: Annotated[str | None, "The subject's name in the current project state."]
    subject_resource_type: Annotated[str | None, "The subject's resource type in the current project state."]
    first_bad_at: Annotated[datetime, "When it was first seen bad, or held up, in this incident."]
    last_bad_at: Annotated[datetime, "When it was last seen so."]
    closed_at: Annotated[datetime | None, "When it was well again or gone, of what failed by itself."]
    closed_by: Annotated[str | None, "recovered, or withdrawn where a later manifest lacks it."]
    last_well_at: Annotated[datetime | None, "When it last passed before it was last seen bad."]
    age_seconds: Annotated[float | None, "Age of a source's data when that was last seen."]
    warn_after_seconds: Annotated[float | None, "Age from which the source's freshness warns."]
    error_after_seconds: Annotated[float | None, "Age from which the source's freshness is an error."]
    command: Annotated[str | None, "dbt's command that last saw it bad."]
    invocation_id: Annotated[str | None, "The invocation that last saw it bad."]


class Part(Row, frozen=True, kw_only=True):
    """A node of an incident: columns of incident_nodes."""

    role: Annotated[str, "failed, blocked or folded."]
    is_open: Annotated[bool, "Whether it is not well yet, or still waits."]
    unique_id: Annotated[str, "dbt's unique_id."]
    name: Annotated[str | None, "Its name."]
    resource_type: Annotated[str | None, "model, test, source, …"]
    kind: Annotated[str | None, "What is wrong with it, of what failed by itself."]
    outcome: Annotated[str | None, "failure or warning."]
    status: Annotated[str | None, "dbt's status."]
    message: Annotated[str | None, "dbt's message."]
    failures: Annotated[int | None, "Rows that the test found."]
    first_bad_at: Annotated[datetime, "When it was first seen so."]
    last_bad_at: Annotated[datetime, "When it was last seen so."]
    test_name: Annotated[str | None, "The generic test, such as not_null."]
    column_name: Annotated[str | None, "The column that is tested."]
    original_file_path: Annotated[str | None, "Its file, from the package's root."]
    age_seconds: Annotated[float | None, "Age of a source's data."]
    warn_after_seconds: Annotated[float | None, "Age from which the source's freshness warns."]
    error_after_seconds: Annotated[float | None, "Age from which the source's freshness is an error."]
    bases: Annotated[list[str], "The nodes that what rests on it rests on: itself, or what it tests."]


class MemberColumns(Row, frozen=True, kw_only=True):
    """What an incident is made of."""

    nodes: Annotated[list[Part], "What failed in it and what was held up, the worst first: the rows of incident_nodes."]


@view(
    "incidents",
    "One row per incident: a cause, from when it was first seen bad until all of it is well again. It expires "
    "where nothing was seen of it for 90 days while its project went on.",
    key=("incident_id",),
    base=(IncidentColumns,),
    then=(AirflowColumns, MemberColumns),
)
class Incident(Row, frozen=True, kw_only=True):
    """What is or was wrong with a subject."""

    project_name: Annotated[str | None, "dbt project."]
    environment: Annotated[str, "Deployment."]
    relation_database: Annotated[str | None, "Database (BigQuery: project) of the subject; null for a step."]
    relation_schema: Annotated[str | None, "Schema (BigQuery: dataset) of the subject; null for a step."]
    subject: Annotated[str, "unique_id of the node that is to be mended, which tests are attached to; or the step."]
    resource_type: Annotated[str | None, "The subject's: model, source, test, …, or step."]
    name: Annotated[str | None, "The subject's name."]
    kind: Annotated[str, "The worst node's, as it was last seen: see incident_nodes."]
    outcome: Annotated[str, "failure or warning: of the worst node, as it was last seen."]
    severity: Annotated[str, "critical (a failure above a critical exposure), error or warning."]
    state: Annotated[
        str,
        "open; fixed (well again, but waiting_nodes are not rebuilt yet); recovered; withdrawn (a later manifest lacks "
        "it); expired.",
    ]
    opened_at: Annotated[datetime, "When it was first seen bad."]
    last_bad_at: Annotated[datetime, "When it was last seen bad."]
    closed_at: Annotated[datetime | None, "When all of it was well again, or gone."]
    last_well_at: Annotated[datetime | None, "When the worst node last passed before, since it was ever seen bad."]
    open_seconds: Annotated[float | None, "Seconds from opened_at to closed_at."]
    bad_runs: Annotated[int, "In how many invocations it was seen bad."]
    failed_nodes: Annotated[
        list[str], "unique_ids of all that failed or warned by itself in it: the subject, its tests."
    ]
    failing_nodes: Annotated[list[str], "Those of failed_nodes that are not well yet."]
    blocked_nodes: Annotated[list[str], "unique_ids of what was skipped because of it; of a step, what it was at."]
    folded_nodes: Annotated[list[str], "unique_ids of what failed too, below it, in the same pipeline run."]
    waiting_nodes: Annotated[
        list[str], "Those of blocked_nodes and folded_nodes that neither passed nor failed by themselves since."
    ]
    exposures: Annotated[list[str], "unique_ids of the exposures below it, however far."]
    worst_node: Annotated[str, "unique_id of what status and message are of."]
    status: Annotated[str, "dbt's status; of a step, its outcome."]
    message: Annotated[str | None, "dbt's message."]
    failures: Annotated[int | None, "Rows that the test found."]
    owner: Annotated[str | None, "Who can mend it."]
    group_name: Annotated[str | None, "Its dbt group."]
    original_file_path: Annotated[str | None, "Its file, from the package's root."]
    alertable: Annotated[bool, "Whether a load that may lead to a message has seen it."]
    command: Annotated[str | None, "dbt's command that last saw it bad."]
    invocation_id: Annotated[str, "The invocation that last saw it bad."]
