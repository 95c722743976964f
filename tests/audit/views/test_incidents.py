"""The incidents that stories of a shop make, from their first sight until all is well again."""

from datetime import timedelta

from factories import freshness, result
from shop import BINDER, ORDERS, TEST_A, TEST_A2, TEST_C, A, B, C, passed, shop
from story import Story

TOLD = "subject, kind, severity, state, bad_runs, failing_nodes"


def failed_run(story: Story, dag_run: str | None = None) -> None:
    story.step(
        "run",
        result(A, "error", message=BINDER),
        result(B, "skipped"),
        result(C, "skipped"),
        dag_run=dag_run,
        exit_code=1,
    )


def test_where_all_is_well_there_is_no_incident(story: Story) -> None:
    story.step("run", *passed(A, B, C), exit_code=0)
    assert story.rows("incidents", TOLD) == []


def test_a_failed_model_is_one_incident_with_all_that_it_blocks_and_hurts(story: Story) -> None:
    failed_run(story)
    assert story.rows("incidents", TOLD) == [(A, "node_error", "error", "open", 1, [A])]
    assert story.rows("incidents", "blocked_nodes, waiting_nodes, exposures, message, owner, status") == [
        ([C, B], [C, B], ["exposure.shop.board", "exposure.shop.raw_view"], BINDER, "Data", "error")
    ]


def test_a_model_that_is_mended_is_fixed_first_and_recovered_when_what_it_blocked_is_rebuilt(story: Story) -> None:
    failed_run(story)
    failed_run(story)
    story.step("run", *passed(A), exit_code=0)
    assert story.rows("incidents", "subject, state, bad_runs, open_seconds, failing_nodes, waiting_nodes") == [
        (A, "fixed", 2, 600.0, [], [C, B])
    ]
    story.step("run", *passed(A, B, C), exit_code=0)
    assert story.rows("incidents", "subject, state, open_seconds, waiting_nodes") == [(A, "recovered", 600.0, [])]


def test_tests_that_fail_on_a_model_that_errored_earlier_in_the_pipeline_run_belong_to_it(story: Story) -> None:
    failed_run(story, dag_run="r")
    story.step("test", result(TEST_A, "error"), result(TEST_C, "error"), dag_run="r", exit_code=1)
    assert story.rows("incidents", "subject, kind, failed_nodes, folded_nodes, bad_runs") == [
        (A, "node_error", [A], [TEST_C, TEST_A], 1)
    ]


def test_several_tests_that_fail_on_one_model_are_one_incident(story: Story) -> None:
    story.step("test", result(TEST_A, "fail", failures=1), result(TEST_A2, "warn", failures=1204), exit_code=1)
    assert story.rows("incidents", TOLD) == [(A, "test_failure", "error", "open", 1, [TEST_A2, TEST_A])]
    story.step("test", result(TEST_A, "pass"), result(TEST_A2, "warn", failures=7), exit_code=0)
    assert story.rows("incidents", TOLD) == [(A, "test_failure", "warning", "open", 2, [TEST_A2])]


def test_a_stale_source_stands_by_itself(story: Story) -> None:
    story.step("source freshness", freshness(ORDERS, "warn"), dag_run="r", exit_code=0)
    failed_run(story, dag_run="r")
    assert story.rows("incidents", TOLD) == [
        (A, "node_error", "error", "open", 1, [A]),
        (ORDERS, "source_stale", "warning", "open", 1, [ORDERS]),
    ]


def test_a_model_that_is_mended_while_its_tests_still_fail_is_one_story(story: Story) -> None:
    failed_run(story, dag_run="monday")
    day = timedelta(days=1)
    story.step("run", *passed(A, B, C), dag_run="tuesday", after=day, exit_code=0)
    story.step("test", result(TEST_A, "fail", failures=2), dag_run="tuesday", exit_code=1)
    assert story.rows("incidents", TOLD) == [(A, "test_failure", "error", "open", 2, [TEST_A])]
    story.step("test", result(TEST_A, "pass"), dag_run="wednesday", after=day, exit_code=0)
    story.step("test", result(TEST_A, "fail", failures=1), dag_run="thursday", after=day, exit_code=1)
    assert story.rows("incidents", "state, bad_runs") == [("open", 1), ("recovered", 2)]


def test_a_node_that_a_later_manifest_lacks_is_withdrawn(story: Story) -> None:
    story.step("test", result(TEST_C, "fail", failures=1), exit_code=1)
    story.step("run", *passed(A, B, C), graph=shop(TEST_C), exit_code=0)
    assert story.rows("incidents", "subject, state, failed_nodes") == [(C, "withdrawn", [TEST_C])]
