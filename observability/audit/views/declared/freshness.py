"""Views that tell how fresh sources are."""

from datetime import datetime
from typing import Annotated

from observability.audit.schema import Row
from observability.audit.views.declaration import view
from observability.audit.views.declared.columns import AirflowColumns, NodeRunColumns, ProjectNodeColumns


@view(
    "source_freshness_history",
    "One row per invocation and source whose freshness it checked, or was expected to check.",
    key=("invocation_id", "unique_id"),
    base=(NodeRunColumns,),
    then=(AirflowColumns,),
)
class SourceFreshnessCheck(Row, frozen=True, kw_only=True):
    """A check of a source's freshness."""

    source_name: Annotated[str | None, "The source's first name: the schema-like group that it is in."]
    name: Annotated[str | None, "The source table's name."]
    package_name: Annotated[str | None, "The dbt package that it comes from."]
    relation_database: Annotated[str | None, "Its database (BigQuery: project)."]
    relation_schema: Annotated[str | None, "Its schema (BigQuery: dataset)."]
    owner: Annotated[str | None, "Who can mend it."]
    tags: Annotated[list[str], "Its tags."]
    status: Annotated[str, "pass, warn, error, or runtime error where the check itself failed."]
    outcome: Annotated[str, "ok, warning, failure or unknown."]
    checked_at: Annotated[datetime, "When it was checked; of a check that failed, when its step ended."]
    max_loaded_at: Annotated[datetime | None, "The newest row's load time; null for an empty table."]
    age_seconds: Annotated[float | None, "Seconds between them."]
    warn_after_seconds: Annotated[float | None, "Age from which it warns."]
    error_after_seconds: Annotated[float | None, "Age from which it is an error."]
    warn_ratio: Annotated[float | None, "Age in parts of the age from which it warns: above 1 it is too old."]
    error_ratio: Annotated[float | None, "Age in parts of the age from which it is an error."]
    minutes_over_warn: Annotated[float | None, "Minutes by which it is older than the age from which it warns, or 0."]
    minutes_over_error: Annotated[
        float | None, "Minutes by which it is older than the age from which it is an error, or 0."
    ]
    is_empty_table: Annotated[bool, "Whether it was checked and has no row to tell an age by."]
    filter: Annotated[str | None, "Condition on the rows looked at."]
    error: Annotated[str | None, "Why the check failed, where that is known."]
    execution_time: Annotated[float | None, "Seconds that the check took."]
    superseded: Annotated[
        bool,
        "Whether another try of the step took its place, or may still within an hour: what it found bad does not "
        "count then.",
    ]
    started_at: Annotated[datetime, "When the invocation began."]
    command: Annotated[str | None, "dbt's command."]


@view(
    "source_health",
    "One row per project, environment and source of the current state that has freshness criteria or was ever checked. "
    "It reads every check that is retained.",
    key=("project_name", "environment", "unique_id"),
    base=(ProjectNodeColumns,),
)
class SourceHealth(Row, frozen=True, kw_only=True):
    """How fresh a source is, and whether anybody still looks."""

    source_name: Annotated[str | None, "The source's first name: the schema-like group that it is in."]
    name: Annotated[str | None, "The source table's name."]
    health: Annotated[
        str,
        "never_checked; overdue (whatever the last check found, it is older than twice the tightest threshold); "
        "healthy, warning, stale or check_failed, as the last check found it.",
    ]
    last_checked_at: Annotated[datetime | None, "When it was last checked, a repeated attempt's bad result left out."]
    last_status: Annotated[str | None, "dbt's status then: pass, warn, error or runtime error."]
    last_outcome: Annotated[str | None, "ok, warning or failure."]
    last_error: Annotated[str | None, "Why that check failed, where that is known."]
    max_loaded_at: Annotated[datetime | None, "The newest row's load time as of that check; null for an empty table."]
    age_at_check_seconds: Annotated[float | None, "Age of its newest row when it was checked."]
    age_seconds: Annotated[float | None, "Age of that row now; a newer one may have come unseen."]
    seconds_since_check: Annotated[float | None, "Seconds since the last check."]
    is_empty_table: Annotated[bool, "Whether it was checked and had no row to tell an age by."]
    last_ok_at: Annotated[datetime | None, "When a check last found it fresh enough."]
    checks: Annotated[int, "Checks that count, of all that are retained."]
    has_criteria: Annotated[bool, "Whether the current state has a threshold for it."]
    warn_after_seconds: Annotated[float | None, "Age from which it warns, in the current state."]
    error_after_seconds: Annotated[float | None, "Age from which it is an error, in the current state."]
    tightest_seconds: Annotated[float | None, "The smaller of the two."]
    freshness_filter: Annotated[str | None, "Condition on the rows that freshness looks at."]
    loaded_at_field: Annotated[str | None, "The column or query by which its freshness is known."]
    loader: Annotated[str | None, "What loads it, in its owner's words."]
    exposures: Annotated[int, "Exposures that rest on it, however far below."]
    owner: Annotated[str | None, "Who can mend it."]
    tags: Annotated[list[str], "Its tags."]
    relation_database: Annotated[str | None, "Its database (BigQuery: project)."]
    relation_schema: Annotated[str | None, "Its schema (BigQuery: dataset)."]
    relation_name: Annotated[str | None, "Its relation, quoted as the adapter quotes."]
    last_invocation_id: Annotated[str | None, "The invocation that checked it last."]
    last_log_url: Annotated[str | None, "Airflow's log of that check."]
