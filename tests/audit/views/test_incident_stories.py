"""The incidents that stories of a shop make, from their first sight until all is well again."""

from datetime import timedelta
from typing import Any

import pytest
from factories import freshness, manifest, node, result
from shop import BINDER, ORDERS, TEST_A, TEST_A2, TEST_C, A, B, C, passed, shop
from story import Story

pytestmark = pytest.mark.parametrize(
    "engine", ["duckdb", pytest.param("bigquery", marks=pytest.mark.thorough), "googlesql"], indirect=True
)
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


def test_a_node_that_a_later_manifest_lacks_but_that_was_well_before_is_recovered(story: Story) -> None:
    story.step("test", result(TEST_C, "fail", failures=1), exit_code=1)
    story.step("test", result(TEST_C, "pass"), exit_code=0)
    story.step("run", *passed(A, B, C), graph=shop(TEST_C), exit_code=0)
    assert story.rows("incidents", "state, open_seconds") == [("recovered", 300.0)]


def test_a_renamed_model_is_withdrawn_under_its_old_name_and_new_under_its_new_one(story: Story) -> None:
    story.step("run", result(C, "error"), exit_code=1)
    renamed = "model.shop.fct_d"
    graph = manifest(node(A), node(B, [A]), node(renamed, [B]))
    story.step("run", *passed(A, B), result(renamed, "error"), graph=graph, exit_code=1)
    assert story.rows("incidents", "subject, state") == [(C, "withdrawn"), (renamed, "open")]


@pytest.mark.parametrize(
    ("command", "nodes", "args"),
    [
        ("run --select int_b", (B,), {}),
        ("run --empty", (A, B, C), {"empty": True}),
        ("run --sample 3d", (A, B, C), {"sample": "3d"}),
        ("compile", (A, B, C), {}),
    ],
)
def test_a_run_that_did_not_really_build_the_model_says_nothing_of_it(
    command: str, nodes: tuple[str, ...], args: dict[str, Any], story: Story
) -> None:
    failed_run(story)
    story.step(command, *passed(*nodes), args=args, exit_code=0)
    assert story.rows("incidents", "subject, state, bad_runs") == [(A, "open", 1)]


def test_a_retry_that_was_made_and_passed_says_nothing_of_the_first_try(story: Story) -> None:
    story.step("run", result(A, "error"), dag_run="r", try_number=1, will_retry=True, exit_code=1)
    assert story.rows("incidents", TOLD) == []
    story.step("run", *passed(A, B, C), dag_run="r", try_number=2, exit_code=0)
    assert story.rows("incidents", TOLD) == []
    assert story.rows("incidents", TOLD, now=story.now + timedelta(days=1)) == []


def test_retries_that_are_spent_are_one_bad_run(story: Story) -> None:
    story.step("run", result(A, "error"), dag_run="r", try_number=1, will_retry=True, exit_code=1)
    story.step("run", result(A, "error"), dag_run="r", try_number=2, exit_code=1)
    assert story.rows("incidents", "subject, state, bad_runs, try_number") == [(A, "open", 1, 2)]


def test_a_retry_that_never_came_is_told_after_an_hour(story: Story) -> None:
    story.step("run", result(A, "error"), dag_run="r", try_number=1, will_retry=True, exit_code=1)
    ended = story.now - timedelta(minutes=1)
    assert story.rows("incidents", "subject", now=ended + timedelta(minutes=59)) == []
    assert story.rows("incidents", "subject", now=ended + timedelta(minutes=61)) == [A]


def test_what_a_repeated_try_found_well_counts(story: Story) -> None:
    failed_run(story, dag_run="monday")
    story.step("run", *passed(A), result(B, "error"), dag_run="tuesday", try_number=1, will_retry=True, exit_code=1)
    story.step(
        "retry", *passed(B, C), dag_run="tuesday", try_number=2, task_id="run", args={"which": "run"}, exit_code=0
    )
    assert story.rows("incidents", "subject, state") == [(A, "recovered")]


def test_mapped_tasks_are_steps_of_their_own(story: Story) -> None:
    for index in (0, 1):
        story.step("run", nothing=True, dag_run="r", map_index=index, exit_code=-9)
    story.step("run", *passed(A), dag_run="s", map_index=1, exit_code=0)
    assert story.rows("incidents", "subject, state") == [("daily.run[0]", "open"), ("daily.run[1]", "recovered")]


def test_dbt_retry_mends_what_the_run_before_it_left(story: Story) -> None:
    failed_run(story)
    story.step("retry", *passed(A, B, C), args={"which": "run"}, exit_code=0)
    assert story.rows("incidents", "subject, state, waiting_nodes") == [(A, "recovered", [])]


def test_a_killed_run_is_an_incident_of_its_step_and_holds_what_dbt_was_at(story: Story) -> None:
    story.step("run", *passed(A), result(B, "interrupted"), dag_run="r", exit_code=-15)
    assert story.rows("incidents", "subject, resource_type, kind, severity, message, blocked_nodes, exposures") == [
        (
            "daily.run",
            "step",
            "run_interrupted",
            "error",
            "dbt was killed by signal 15",
            [B],
            ["exposure.shop.board"],
        )
    ]
    story.step("run", *passed(A, B, C), dag_run="s", exit_code=0)
    assert story.rows("incidents", "subject, state, waiting_nodes") == [("daily.run", "recovered", [])]


def test_a_step_that_never_got_to_a_node_is_well_again_when_it_does(story: Story) -> None:
    story.step("run", *passed(A), exit_code=0)
    story.step("run", nothing=True, no_manifest=True, exit_code=2)
    assert story.rows("incidents", "project_name, subject, kind, state, message") == [
        ("shop", "dbt run", "run_failed", "open", "dbt ended with exit code 2")
    ]
    failed_run(story)
    assert story.rows("incidents", "subject, state") == [("dbt run", "recovered"), (A, "open")]


def test_another_selection_is_another_step(story: Story) -> None:
    story.step("run --select stg_a", nothing=True, exit_code=-9)
    story.step("run --select int_b", *passed(B), exit_code=0)
    assert story.rows("incidents", "subject, state") == [("dbt run --select stg_a", "open")]


def test_a_warning_that_becomes_a_failure_is_the_same_incident(story: Story) -> None:
    story.step("test", result(TEST_A, "warn", failures=3), exit_code=0)
    assert story.rows("incidents", TOLD) == [(A, "test_failure", "warning", "open", 1, [TEST_A])]
    story.step("test", result(TEST_A, "fail", failures=30), exit_code=1)
    assert story.rows("incidents", "subject, severity, bad_runs, failures") == [(A, "error", 2, 30)]


def test_a_unit_test_that_fails_is_told_of_its_model_and_blocks_it(story: Story) -> None:
    unit = "unit_test.shop.stg_a.adds_up"
    graph = manifest(node(A), node(B, [A]), node(unit, [A], attached_node=A))
    story.step("build", result(unit, "fail"), result(A, "skipped"), result(B, "skipped"), graph=graph, exit_code=1)
    assert story.rows("incidents", "kind, state, failed_nodes, blocked_nodes") == [
        ("test_failure", "open", [unit], [B, A])
    ]
    story.step("build", result(unit, "pass"), *passed(A, B), graph=graph, exit_code=0)
    assert story.rows("incidents", "state, waiting_nodes") == [("recovered", [])]


def test_dbt_build_and_run_then_test_tell_the_same(story: Story) -> None:
    failures = (result(TEST_A, "fail", failures=1),)
    story.step("build", *passed(A), *failures, result(B, "skipped"), result(C, "skipped"), exit_code=1)
    story.step("run", *passed(A, B, C), dag_run="r", environment="other", exit_code=0)
    story.step("test", *failures, dag_run="r", environment="other", exit_code=1)
    assert story.rows("incidents", "environment, subject, kind, severity, exposures, blocked_nodes") == [
        ("default", A, "test_failure", "error", ["exposure.shop.board", "exposure.shop.raw_view"], [C, B]),
        ("other", A, "test_failure", "error", ["exposure.shop.board", "exposure.shop.raw_view"], []),
    ]


def test_two_environments_know_nothing_of_each_other(story: Story) -> None:
    story.step("run", result(A, "error"), environment="prod", exit_code=1)
    story.step("run", *passed(A, B, C), environment="dev", exit_code=0)
    assert story.rows("incidents", "environment, subject, state") == [("prod", A, "open")]


def test_two_projects_with_models_of_one_name_know_nothing_of_each_other(story: Story) -> None:
    other = manifest(node("model.cafe.stg_a"))
    other["metadata"]["project_name"] = "cafe"
    story.step("run", result(A, "error"), dag_run="r", exit_code=1)
    story.step("run", *passed("model.cafe.stg_a"), graph=other, dag_run="r", task_id="cafe", exit_code=0)
    assert story.rows("incidents", "project_name, subject, state") == [("shop", A, "open")]


def test_two_schemas_are_two_places(story: Story) -> None:
    def graph(schema: str) -> dict[str, Any]:
        return manifest(node(A, schema=schema), node(TEST_A, [A], attached_node=A, schema="tests"))

    story.step("run", result(A, "error"), graph=graph("ann"), exit_code=1)
    story.step("run", result(A, "error"), graph=graph("ben"), exit_code=1)
    story.step("run", *passed(A), graph=graph("ben"), exit_code=0)
    assert story.rows("incidents", "relation_schema, subject, state") == [("ann", A, "open"), ("ben", A, "recovered")]


def test_flapping_is_told_as_so_many_incidents(story: Story) -> None:
    for _ in range(3):
        story.step("test", result(TEST_A, "fail", failures=1), exit_code=1)
        story.step("test", result(TEST_A, "pass"), exit_code=0)
    found = story.rows("incidents", "incident_key, incident_id, state, open_seconds")
    assert len({row[0] for row in found}) == 1
    assert len({row[1] for row in found}) == 3
    assert {row[2:] for row in found} == {("recovered", 300.0)}


def test_a_backfill_that_comes_late_lengthens_the_incident_and_is_not_told(story: Story) -> None:
    story.step("test", result(TEST_A, "fail", failures=1), alertable=False, exit_code=1)
    assert story.rows("incidents", "bad_runs, alertable") == [(1, False)]
    story.step("test", result(TEST_A, "fail", failures=1), exit_code=1)
    assert story.rows("incidents", "bad_runs, alertable") == [(2, True)]


def test_failures_of_different_pipeline_runs_are_not_folded(story: Story) -> None:
    failed_run(story, dag_run="monday")
    story.step("test", result(TEST_C, "fail", failures=3), dag_run="tuesday", exit_code=1)
    assert story.rows("incidents", "subject, folded_nodes") == [(C, []), (A, [])]


def test_a_task_that_is_cleared_and_run_again_another_day_erases_nothing(story: Story) -> None:
    failed_run(story, dag_run="monday")
    story.step("run", *passed(A, B, C), dag_run="monday", try_number=2, after=timedelta(days=1), exit_code=0)
    story.step("test", result(TEST_C, "fail", failures=1), dag_run="monday", exit_code=1)
    assert story.rows("incidents", "subject, state, bad_runs, folded_nodes") == [
        (C, "open", 1, []),
        (A, "recovered", 1, []),
    ]


def test_a_test_that_fails_in_a_step_of_its_own_below_another_that_failed_before_it_folds_under_that(
    story: Story,
) -> None:
    story.step("test --select stg_a", result(TEST_A, "fail", failures=1), dag_run="r", exit_code=1)
    story.step("test --select fct_c", result(TEST_C, "fail", failures=1), dag_run="r", exit_code=1)
    assert story.rows("incidents", "subject, failed_nodes, folded_nodes") == [(A, [TEST_A], [TEST_C])]


def test_a_model_that_errors_by_itself_is_not_blamed_on_what_a_test_found_before(story: Story) -> None:
    story.step("test --select stg_a", result(TEST_A, "fail", failures=1), dag_run="r", exit_code=1)
    story.step("run", *passed(A, B), result(C, "error"), dag_run="r", exit_code=1)
    assert story.rows("incidents", "subject, kind") == [(C, "node_error"), (A, "test_failure")]


def test_what_was_explained_by_its_model_first_and_fails_by_itself_then_is_told_once(story: Story) -> None:
    failed_run(story, dag_run="r")
    story.step("test", result(TEST_A, "error"), dag_run="r", exit_code=1)
    story.step("run", *passed(A, B, C), dag_run="r", try_number=2, exit_code=0)
    story.step("test", result(TEST_A, "fail", failures=1), dag_run="r", try_number=2, exit_code=1)
    assert story.rows("incident_nodes", "subject, unique_id, role, is_open", where="v.resource_type <> 'model'") == [
        (A, TEST_A, "failed", True)
    ]
    assert story.rows("incidents", "state, failed_nodes, failing_nodes") == [("open", [A, TEST_A], [TEST_A])]


def test_what_was_folded_waits_until_it_is_seen_again(story: Story) -> None:
    story.step("test", result(TEST_A, "fail", failures=1), result(TEST_C, "fail", failures=1), exit_code=1)
    assert story.rows("incidents", "subject, folded_nodes") == [(A, [TEST_C])]
    story.step("test --select stg_a", result(TEST_A, "pass"), exit_code=0)
    assert story.rows("incidents", "subject, state, waiting_nodes") == [(A, "fixed", [TEST_C])]
    story.step("test --select fct_c", result(TEST_C, "fail", failures=1), exit_code=1)
    assert story.rows("incidents", "subject, state") == [(C, "open"), (A, "recovered")]


def batches(successful: list[str], failed: list[str]) -> dict[str, list[list[str]]]:
    return {"successful": [[day, f"{day}T23"] for day in successful], "failed": [[day, f"{day}T23"] for day in failed]}


def test_a_microbatch_model_is_well_again_with_the_batches_that_failed(story: Story) -> None:
    story.step("run", result(A, "partial success", batch_results=batches(["03-01"], ["03-02", "03-03"])), exit_code=1)
    story.step("run", result(A, batch_results=batches(["03-04"], [])), exit_code=0)
    assert story.rows("incidents", "kind, state, bad_runs") == [("node_error", "open", 1)]
    story.step("retry", result(A, batch_results=batches(["03-03", "03-02"], [])), args={"which": "run"}, exit_code=0)
    assert story.rows("incidents", "state, open_seconds") == [("recovered", 600.0)]


def test_a_full_refresh_mends_all_batches(story: Story) -> None:
    story.step("run", result(A, "partial success", batch_results=batches([], ["03-02"])), exit_code=1)
    story.step("run --full-refresh", result(A), exit_code=0)
    assert story.rows("incidents", "state") == ["recovered"]


def test_freshness_that_could_not_be_checked_and_then_is_stale_is_one_incident_of_another_kind(story: Story) -> None:
    story.step("source freshness", freshness(ORDERS, "runtime error"), exit_code=1)
    assert story.rows("incidents", "kind, severity") == [("freshness_runtime_error", "error")]
    story.step("source freshness", freshness(ORDERS, "error"), exit_code=1)
    assert story.rows("incidents", "kind, severity, bad_runs, name") == [("source_stale", "error", 2, "orders")]
    story.step("source freshness", freshness(ORDERS), exit_code=0)
    assert story.rows("incidents", "state") == ["recovered"]


def test_what_hurts_a_critical_exposure_is_critical_while_it_fails(story: Story) -> None:
    story.step("test", result(TEST_C, "fail", failures=1), graph=shop(critical=True), exit_code=1)
    assert story.rows("incidents", "severity") == ["critical"]
    story.step("test", result(TEST_C, "warn", failures=1), graph=shop(critical=True), exit_code=0)
    assert story.rows("incidents", "severity") == ["warning"]


def test_a_hook_that_fails_is_a_node_and_is_not_withdrawn(story: Story) -> None:
    hook = "operation.shop.shop-on-run-end-0"
    story.step("run", *passed(A), result(hook, "error", message="boom"), exit_code=1)
    assert story.rows("incidents", "subject, kind, state") == [(hook, "node_error", "open")]


def test_an_incident_of_which_nothing_was_seen_for_90_days_while_its_project_went_on_is_expired(story: Story) -> None:
    story.step("test", result(TEST_A, "fail", failures=1), exit_code=1)
    assert story.rows("incidents", "state", now=story.now + timedelta(days=365)) == ["open"]
    story.step("run", *passed(A, B, C), after=timedelta(days=90), exit_code=0)
    assert story.rows("incidents", "state") == ["open"]
    story.step("run", *passed(A, B, C), after=timedelta(days=1), exit_code=0)
    assert story.rows("incidents", "state, closed_at") == [("expired", None)]


def test_incidents_that_stand_side_by_side_keep_apart(story: Story) -> None:
    story.step("run", result(A, "error"), result(B, "skipped"), result(C, "skipped"), exit_code=1)
    story.step("run --select fct_c", result(C, "error"), exit_code=1)
    assert story.rows("incidents", "subject, waiting_nodes") == [(C, []), (A, [B])]
    story.step("run", *passed(A, B), result(C, "error"), exit_code=1)
    assert story.rows("incidents", "subject, state, bad_runs") == [(C, "open", 2), (A, "recovered", 1)]
