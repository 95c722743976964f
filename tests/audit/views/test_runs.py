"""Pipeline runs, snapshots and costs, as stories of a shop make them."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from factories import freshness, node, result
from shop import ORDERS, TEST_A, TEST_A2, TEST_C, A, B, C, passed, shop
from story import Story

NODES = "nodes_ok, nodes_warning, nodes_failure, nodes_skipped, nodes_unknown"
SNAPSHOT = "snapshot.shop.orders_snapshot"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def runs(story: Story, columns: str, *, later: timedelta = timedelta()) -> list[Any]:
    """Pipeline runs as of two minutes after the last step began, or later."""
    return story.rows("pipeline_runs", columns, now=story.now + later)


def graph_of(project_name: str) -> dict[str, Any]:
    document = shop()
    document["metadata"]["project_name"] = project_name
    return document


def test_all_steps_of_a_dag_run_are_one_row(story: Story) -> None:
    story.step("source freshness", freshness(ORDERS, "warn"), dag_run="r", exit_code=0)
    story.step("run", result(A), result(B, "error"), result(C, "skipped"), dag_run="r", exit_code=1)
    story.step(
        "test",
        result(TEST_A, "pass"),
        result(TEST_A2, "warn", failures=3),
        result(TEST_C, "fail", failures=1),
        dag_run="r",
        exit_code=1,
    )
    assert runs(story, "pipeline_run_id, project_name, environment, run_date, dag_id, dag_run_id, outcome, steps") == [
        (
            "daily/r",
            "shop",
            "default",
            date(2026, 3, 2),
            "daily",
            "r",
            "failure",
            ["source freshness: warning", "run: failure", "test: failure"],
        )
    ]
    assert runs(story, "started_at, completed_at, duration_seconds, busy_seconds") == [
        (datetime(2026, 3, 2, 6, 5, tzinfo=UTC), datetime(2026, 3, 2, 6, 16, tzinfo=UTC), 660.0, 180.0)
    ]
    assert runs(story, "step_count, attempts, retries, is_awaiting_retry") == [(3, 3, 0, False)]
    assert runs(story, NODES) == [(2, 2, 2, 1, 0)]
    assert runs(story, "tests_failed, sources_stale, models_built, exposures_affected") == [(1, 1, 1, 2)]


def test_a_step_outside_of_any_dag_run_is_a_run_of_its_own(story: Story) -> None:
    first = story.step("run", *passed(A, B, C), exit_code=0)
    second = story.step("test", *passed(TEST_A), exit_code=0)
    assert runs(story, "pipeline_run_id, dag_run_id, outcome, steps") == [
        (first, None, "success", ["run: success"]),
        (second, None, "success", ["test: success"]),
    ]


def test_runs_of_two_dags_that_bear_the_same_name_are_two(story: Story) -> None:
    story.step("run", *passed(A), dag_run="r", exit_code=0)
    story.step("run", result(A, "error"), dag_run="r", dag_id="hourly", exit_code=1)
    assert runs(story, "pipeline_run_id, outcome") == [("daily/r", "success"), ("hourly/r", "failure")]


def test_a_repeated_attempt_counts_for_what_it_found_good_and_cost(story: Story) -> None:
    billed: dict[str, Any] = {"adapter_response": {"bytes_billed": 1000, "slot_ms": 20}}
    story.step(
        "run",
        result(A, **billed),
        result(B, "error", **billed),
        result(C, "skipped"),
        dag_run="r",
        try_number=1,
        will_retry=True,
        exit_code=1,
    )
    story.step(
        "retry",
        result(B, **billed),
        result(C, **billed),
        dag_run="r",
        task_id="run",
        try_number=2,
        args={"which": "run"},
        exit_code=0,
    )
    assert runs(story, "outcome, steps, step_count, attempts, retries") == [("success", ["retry: success"], 1, 2, 1)]
    assert runs(story, NODES) == [(3, 0, 0, 0, 0)]
    assert runs(story, "models_built, bytes_billed, slot_ms, exposures_affected") == [(3, 4000, 80, 0)]


def test_a_run_whose_only_attempt_is_to_be_repeated_has_no_outcome_for_an_hour(story: Story) -> None:
    story.step("run", result(A, "error"), dag_run="r", try_number=1, will_retry=True, exit_code=1)
    told = "outcome, steps, is_awaiting_retry, step_count, attempts, retries, nodes_failure, exposures_affected"
    assert runs(story, told) == [(None, [], True, 1, 1, 0, 0, 0)]
    assert runs(story, told, later=HOUR) == [("failure", ["run: failure"], False, 1, 1, 0, 1, 2)]


def test_each_mapped_task_is_a_step_and_only_its_own_retry_repeats_it(story: Story) -> None:
    story.step("run -s stg_a", *passed(A), dag_run="r", task_id="run", map_index=0, try_number=1, exit_code=0)
    failed: dict[str, Any] = {"dag_run": "r", "task_id": "run", "try_number": 1, "exit_code": 1}
    story.step("run -s int_b", result(B, "error"), map_index=1, will_retry=True, **failed)
    story.step("run -s fct_c", result(C, "error"), map_index=2, **failed)
    story.step("run -s int_b", *passed(B), dag_run="r", task_id="run", map_index=1, try_number=2, exit_code=0)
    assert runs(story, "outcome, steps, step_count, attempts, retries, nodes_ok, nodes_failure") == [
        ("failure", ["run: success", "run: failure", "run: success"], 3, 4, 1, 2, 1)
    ]


def test_a_killed_step_is_worse_than_one_that_failed(story: Story) -> None:
    story.step("run", dag_run="r", nothing=True, exit_code=-9)
    story.step("test", result(TEST_A, "fail", failures=1), dag_run="r", exit_code=1)
    assert runs(story, "outcome, steps") == [("interrupted", ["run: interrupted", "test: failure"])]


def test_a_step_that_never_named_its_project_belongs_to_its_pipeline_run(story: Story) -> None:
    story.step("source freshness", freshness(ORDERS), dag_run="r", exit_code=0)
    story.step("run", dag_run="r", nothing=True, no_manifest=True, exit_code=2)
    assert runs(story, "project_name, outcome, steps") == [
        ("shop", "not_run", ["source freshness: success", "run: not_run"])
    ]


def test_a_lone_step_that_never_named_its_project_belongs_to_that_of_its_other_times(story: Story) -> None:
    story.step("run", nothing=True, no_manifest=True, exit_code=2)
    assert runs(story, "project_name, outcome") == [(None, "not_run")]
    story.step("run", *passed(A, B, C), exit_code=0)
    assert runs(story, "project_name, outcome") == [("shop", "not_run"), ("shop", "success")]


def test_two_projects_and_two_environments_in_one_dag_run_are_rows_of_their_own(story: Story) -> None:
    story.step("run", *passed(A, B, C), dag_run="r", exit_code=0)
    story.step("run", result(A, "error"), dag_run="r", task_id="run_other", graph=graph_of("other"), exit_code=1)
    story.step(
        "run", result(A), result(B, "warn"), dag_run="r", task_id="run_staging", environment="staging", exit_code=0
    )
    told = "project_name, environment, pipeline_run_id, outcome, nodes_ok, nodes_warning, nodes_failure, step_count"
    assert runs(story, told) == [
        ("other", "default", "daily/r", "failure", 0, 0, 1, 1),
        ("shop", "default", "daily/r", "success", 3, 0, 0, 1),
        ("shop", "staging", "daily/r", "warning", 1, 1, 0, 1),
    ]


def test_with_empty_nothing_is_really_built(story: Story) -> None:
    story.step("run --empty", *passed(A, B, C), args={"empty": True}, exit_code=0)
    assert runs(story, "outcome, nodes_ok, models_built") == [("success", 3, 0)]


def test_a_node_counts_once_as_the_worst_of_its_steps(story: Story) -> None:
    story.step("build", *passed(A, TEST_A), dag_run="r", exit_code=0)
    story.step("test", result(TEST_A, "fail", failures=1), dag_run="r", exit_code=1)
    story.step("test", *passed(TEST_A), dag_run="r", task_id="test_again", exit_code=0)
    assert runs(story, f"{NODES}, tests_failed") == [(1, 0, 1, 0, 0, 1)]


def test_a_status_that_is_not_known_is_counted_as_such(story: Story) -> None:
    story.step("run", result(A, "pondering"), result(B, "no-op"), exit_code=0)
    assert runs(story, f"{NODES}, models_built") == [(1, 0, 0, 0, 1, 0)]


def test_a_failed_test_affects_what_is_below_that_which_it_tests(story: Story) -> None:
    story.step("test", result(TEST_C, "fail", failures=1), dag_run="c", exit_code=1)
    story.step("test", result(TEST_A2, "warn", failures=1), dag_run="a", exit_code=0)
    assert runs(story, "pipeline_run_id, exposures_affected") == [("daily/a", 2), ("daily/c", 1)]


def test_what_steps_may_differ_in_is_as_the_last_of_them_has_it(story: Story) -> None:
    monday = datetime(2026, 3, 1, tzinfo=UTC)
    story.step("run", *passed(A), dag_run="r", git_sha="aaa", git_branch="main", logical_date=monday, exit_code=0)
    story.step("test", *passed(TEST_A), dag_run="r", git_sha="bbb", exit_code=0)
    assert runs(story, "git_sha, git_branch, logical_date, dbt_version") == [("bbb", "main", monday, "1.11.16")]


def test_a_run_that_is_backfilled_lies_where_it_ran_and_one_of_90_days_ago_is_gone(story: Story) -> None:
    story.step("run", *passed(A), dag_run="today", after=100 * DAY, exit_code=0)
    story.step("run", result(A, "error"), dag_run="missed", after=-3 * DAY, alertable=False, exit_code=1)
    assert runs(story, "pipeline_run_id, run_date, outcome", later=3 * DAY) == [
        ("daily/missed", date(2026, 6, 7), "failure"),
        ("daily/today", date(2026, 6, 10), "success"),
    ]
    assert runs(story, "pipeline_run_id", later=91 * DAY) == ["daily/today"]
    assert runs(story, "pipeline_run_id", later=94 * DAY) == []


def with_snapshot() -> dict[str, Any]:
    document = shop()
    document["nodes"][SNAPSHOT] = node(SNAPSHOT, [A], config={"materialized": "snapshot", "meta": {"owner": "Data"}})
    return document


def test_each_run_of_a_snapshot_is_a_row(story: Story) -> None:
    wrote: dict[str, Any] = {"adapter_response": {"rows_affected": 7}, "execution_time": 2.5}
    first = story.step("snapshot", result(SNAPSHOT, **wrote), graph=with_snapshot(), dag_run="r", exit_code=0)
    second = story.step(
        "build", *passed(A), result(SNAPSHOT, "error", message="no such column"), graph=with_snapshot(), exit_code=1
    )
    third = story.step(
        "snapshot --empty",
        *passed(SNAPSHOT),
        graph=with_snapshot(),
        args={"empty": True},
        environment="dev",
        exit_code=0,
    )
    told = "invocation_id, unique_id, environment, command, outcome, rows_affected, execution_time, is_empty"
    assert story.rows("snapshot_runs", told) == [
        (first, SNAPSHOT, "default", "snapshot", "ok", 7, 2.5, False),
        (second, SNAPSHOT, "default", "build", "failure", None, 0.5, False),
        (third, SNAPSHOT, "dev", "snapshot", "ok", None, 0.5, True),
    ]
    assert story.rows("snapshot_runs", "name, owner, message, dag_run_id, run_date") == [
        ("orders_snapshot", "Data", "no such column", None, date(2026, 3, 2)),
        ("orders_snapshot", "Data", None, "r", date(2026, 3, 2)),
        ("orders_snapshot", "Data", None, None, date(2026, 3, 2)),
    ]
    assert story.rows("snapshot_runs", "invocation_id", where="v.run_date > DATE '2026-03-02'") == []


def test_each_result_that_bigquery_billed_is_a_row_with_its_job(story: Story) -> None:
    job = {
        "bytes_processed": 500_000_000_000,
        "bytes_billed": 549_755_813_888,
        "slot_ms": 5_400_000,
        "job_id": "job-1",
        "project_id": "shop-prod",
        "location": "EU",
    }
    tried: dict[str, Any] = {"dag_run": "r", "task_id": "run"}
    story.step("run", result(A, "error", adapter_response=job), try_number=1, will_retry=True, exit_code=1, **tried)
    story.step("run", result(A, adapter_response={"slot_ms": 0}), result(B), try_number=2, exit_code=0, **tried)
    assert story.rows("bigquery_costs", "try_number, unique_id, outcome, bytes_billed, tib_billed, slot_hours") == [
        (1, A, "failure", 549_755_813_888, 0.5, 1.5),
        (2, A, "ok", None, None, 0.0),
    ]
    assert story.rows("bigquery_costs", "bytes_processed, job_project, job_location, job_id") == [
        (500_000_000_000, "shop-prod", "EU", "job-1"),
        (None, None, None, None),
    ]
    assert story.rows("bigquery_costs", "unique_id", where="v.run_date < DATE '2026-03-02'") == []
