"""Tests that failed or warned, as stories of a shop tell it."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from factories import manifest, node, result
from shop import TEST_A, TEST_A2, TEST_C, A, B, C, passed, shop
from story import Story

HOUR = timedelta(hours=1)
UNIT = "unit_test.shop.stg_a.adds_up"


def failures(story: Story, columns: str, *, where: str = "TRUE", later: timedelta = timedelta()) -> list[Any]:
    """The failures as of two minutes after the last step began, or later."""
    return story.rows("test_failures", columns, where=where, now=story.now + later)


def test_each_test_that_failed_or_warned_is_a_row_and_no_other(story: Story) -> None:
    story.step(
        "build",
        result(A, "error"),
        result(B, "skipped"),
        result(TEST_A, "fail", failures=3),
        result(TEST_A2, "warn", failures=1),
        result(TEST_C, "skipped"),
        result(UNIT, "pass"),
        graph=manifest(*shop()["nodes"].values(), node(UNIT, [A], attached_node=A)),
        exit_code=1,
    )
    assert failures(story, "unique_id, status, outcome, failures") == [
        (TEST_A2, "warn", "warning", 1),
        (TEST_A, "fail", "failure", 3),
    ]


def test_a_failure_has_all_that_is_needed_to_look_into_it(story: Story) -> None:
    graph = shop()
    graph["nodes"][TEST_A] |= {"config": {"meta": {"owner": "Ann"}, "severity": "ERROR"}, "tags": ["nightly"]}
    story.step(
        "test",
        result(
            TEST_A,
            "fail",
            failures=3,
            message="Got 3 results, configured to fail if != 0",
            relation_name='"shop"."main_dbt_test__audit"."unique_a"',
            compiled_code="select id from stg_a",
            adapter_response={"job_id": "job-7", "bytes_billed": 1000},
        ),
        graph=graph,
        dag_run="r",
        map_index=-1,
        try_number=2,
        log_url="https://log/2",
        exit_code=1,
    )
    at = datetime(2026, 3, 2, 6, 5, tzinfo=UTC)
    assert failures(story, "run_date, project_name, environment, started_at, failed_at, command, superseded") == [
        (date(2026, 3, 2), "shop", "default", at, at, "test", False)
    ]
    assert failures(
        story, "name, resource_type, test_name, column_name, attached_node, severity, owner, tags, relation_schema"
    ) == [("unique_a", "test", "unique", "id", A, "error", "Ann", ["nightly"], "main")]
    assert failures(story, "message, relation_name, compiled_code, query_id, bytes_billed, execution_time") == [
        (
            "Got 3 results, configured to fail if != 0",
            '"shop"."main_dbt_test__audit"."unique_a"',
            "select id from stg_a",
            "job-7",
            1000,
            0.5,
        )
    ]
    assert failures(story, "dag_id, dag_run_id, task_id, map_index, try_number, log_url") == [
        ("daily", "r", "test", -1, 2, "https://log/2")
    ]


def test_a_failure_below_another_of_the_same_step_is_no_root_cause(story: Story) -> None:
    story.step("test", result(TEST_A, "fail", failures=1), result(TEST_C, "fail", failures=9), exit_code=1)
    assert failures(story, "unique_id, is_root_cause, causes") == [
        (TEST_C, False, [TEST_A]),
        (TEST_A, True, [TEST_A]),
    ]


def test_unit_tests_and_tests_that_could_not_run_are_failures_too(story: Story) -> None:
    graph = manifest(node(A), node(UNIT, [A], attached_node=A), node(TEST_A, [A], attached_node=A))
    story.step(
        "test", result(UNIT, "fail"), result(TEST_A, "error", message="no such column"), graph=graph, exit_code=1
    )
    assert failures(story, "resource_type, unique_id, status, outcome, attached_node") == [
        ("test", TEST_A, "error", "failure", A),
        ("unit_test", UNIT, "fail", "failure", A),
    ]


def test_a_failure_whose_step_was_tried_again_is_superseded(story: Story) -> None:
    story.step("test", result(TEST_A, "fail", failures=1), dag_run="r", try_number=1, will_retry=True, exit_code=1)
    assert failures(story, "try_number, superseded") == [(1, True)]
    assert failures(story, "try_number, superseded", later=HOUR) == [(1, False)]
    story.step("test", result(TEST_A, "fail", failures=1), dag_run="r", try_number=2, exit_code=1)
    assert failures(story, "try_number, superseded", later=HOUR) == [(1, True), (2, False)]


def test_a_failure_of_another_task_or_mapped_index_supersedes_nothing(story: Story) -> None:
    failed: dict[str, Any] = {"dag_run": "r", "exit_code": 1}
    story.step("test", result(TEST_A, "fail"), try_number=1, map_index=0, will_retry=True, **failed)
    story.step("test", result(TEST_A, "fail"), try_number=2, map_index=1, **failed)
    story.step("test", result(TEST_A, "fail"), try_number=2, map_index=0, dag_id="hourly", **failed)
    assert failures(story, "dag_id, map_index, superseded", later=HOUR) == [
        ("daily", 0, False),
        ("daily", 1, False),
        ("hourly", 0, False),
    ]


def test_the_same_test_fails_in_each_environment_and_project_by_itself(story: Story) -> None:
    cafe = shop()
    cafe["metadata"]["project_name"] = "cafe"
    story.step("test", result(TEST_C, "fail", failures=1), environment="prod", exit_code=1)
    story.step("test", result(TEST_C, "fail", failures=2), environment="dev", exit_code=1)
    story.step("test", result(TEST_C, "fail", failures=3), graph=cafe, environment="dev", exit_code=1)
    story.step("run", *passed(A, B, C), environment="dev", exit_code=0)
    assert failures(story, "project_name, environment, failures") == [
        ("cafe", "dev", 3),
        ("shop", "dev", 2),
        ("shop", "prod", 1),
    ]


def test_failures_are_found_by_the_date_of_their_run(story: Story) -> None:
    story.step("test", result(TEST_A, "fail", failures=1), exit_code=1)
    story.step("test", result(TEST_A, "fail", failures=2), after=timedelta(days=1), exit_code=1)
    assert failures(story, "failures", where="v.run_date = DATE '2026-03-03'") == [2]
