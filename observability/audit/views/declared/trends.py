"""Views that tell what changes over time: how long models take, how reliable tests are."""

from datetime import date, datetime
from typing import Annotated

from observability.audit.schema import Row
from observability.audit.views.declaration import view
from observability.audit.views.declared.columns import AirflowColumns, NodeRunColumns, ProjectNodeColumns


@view(
    "model_run_times",
    "One row per run of a model, seed or snapshot in the last 30 days, beside the median of the 14 runs before it. "
    "Reads the last 45 days: a constant bound. Left out is what dbt skipped, cloned or had no need to build, or "
    "built with --empty or --sample.",
    key=("invocation_id", "unique_id"),
    base=(NodeRunColumns,),
    then=(AirflowColumns,),
)
class ModelRunTime(Row, frozen=True, kw_only=True):
    """How long a run of a model took, and how long it used to take."""

    run_date: Annotated[date, "UTC date of the invocation's start."]
    resource_type: Annotated[str, "model, seed or snapshot."]
    name: Annotated[str | None, "The node's name."]
    materialized: Annotated[str | None, "view, table, incremental, snapshot, seed, …"]
    owner: Annotated[str | None, "Who can mend it: meta.owner, else its group's owner."]
    group_name: Annotated[str | None, "Its dbt group."]
    started_at: Annotated[datetime, "When the invocation began."]
    status: Annotated[str, "dbt's status in lower case."]
    outcome: Annotated[str, "ok, warning or failure."]
    execution_time: Annotated[float | None, "Seconds that it took."]
    rows_affected: Annotated[int | None, "Rows that its last statement wrote, as the adapter reported."]
    is_full_refresh: Annotated[bool, "Whether --full-refresh was given; such runs are compared with one another."]
    earlier_runs: Annotated[
        int,
        "Runs that it is compared with: the last ones before it, up to 14, of the same node in the same project and "
        "environment, which passed and were not repeated.",
    ]
    median_execution_time: Annotated[
        float | None, "Median of their seconds; of an even number, the mean of the middle two."
    ]
    ratio: Annotated[float | None, "execution_time divided by median_execution_time."]
    is_slow: Annotated[
        bool, "Whether it took more than twice the median and at least 30 seconds more, given at least 5 earlier runs."
    ]
    command: Annotated[str | None, "dbt's command."]


@view(
    "test_history",
    "One row per test that ran in the last 30 days (a constant bound), in each project and environment. Left out are "
    "runs in which dbt skipped it, had no need of it, or was cut off, and those with --empty or --sample; attempts "
    "that were repeated count.",
    key=("project_name", "environment", "unique_id"),
    base=(ProjectNodeColumns,),
)
class TestHistory(Row, frozen=True, kw_only=True):
    """How reliable a test is."""

    unique_id: Annotated[str, "dbt's unique_id of the test. What else tells of the test is as in its last run."]
    resource_type: Annotated[str, "test or unit_test."]
    name: Annotated[str | None, "The test's name."]
    test_name: Annotated[str | None, "A generic test's kind: unique, not_null, …"]
    column_name: Annotated[str | None, "The column that it looks at."]
    attached_node: Annotated[str | None, "The node that it tests."]
    severity: Annotated[str | None, "error or warn."]
    owner: Annotated[str | None, "Who can mend it: meta.owner, else its group's owner."]
    group_name: Annotated[str | None, "Its dbt group."]
    original_file_path: Annotated[str | None, "Its file, from the package's root."]
    runs: Annotated[int, "How often it ran."]
    passed_runs: Annotated[int, "How often it passed."]
    warned_runs: Annotated[int, "How often it warned."]
    failed_runs: Annotated[int, "How often it failed, or could not be run for an error."]
    failure_rate: Annotated[float, "failed_runs divided by runs."]
    flips: Annotated[
        int,
        "How often it passed, having failed or warned the time before, though neither its checksum nor that of the "
        "node that it tests had changed, nor the schema that this lies in.",
    ]
    is_flaky: Annotated[bool, "Whether it flipped at least twice."]
    last_outcome: Annotated[str, "ok, warning or failure."]
    last_status: Annotated[str, "dbt's status in lower case: pass, warn, fail or error."]
    last_failures: Annotated[int | None, "Rows that it found when it last ran."]
    last_run_at: Annotated[datetime, "When the invocation began in which it last ran."]
    last_failed_at: Annotated[datetime | None, "When the invocation began in which it last failed."]
    last_passed_at: Annotated[datetime | None, "When the invocation began in which it last passed."]
    last_invocation_id: Annotated[str, "The invocation in which it last ran."]
    last_log_url: Annotated[str | None, "Airflow's log of that try."]
