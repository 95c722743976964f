"""Who is hurt, and how exposures are, as stories of a shop tell it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from factories import freshness, manifest, node, result
from shop import ORDERS, TEST_A, TEST_A2, TEST_C, A, B, C, passed, shop
from story import Story

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BOARD, RAW_VIEW = "exposure.shop.board", "exposure.shop.raw_view"
UNIT = "unit_test.shop.stg_a.adds_up"
IMPACTS = "exposure_unique_id, unique_id, distance, risk"
HEALTH = "unique_id, health, is_stale, is_suspect"
COUNTS = "failed_nodes, failed_tests, failed_sources, warnings, skipped_nodes"
HEALTHY = [(BOARD, "Healthy", False, False), (RAW_VIEW, "Healthy", False, False)]


def impacts(story: Story, columns: str = IMPACTS, *, where: str = "TRUE", later: timedelta = timedelta()) -> list[Any]:
    """What hurts exposures as of two minutes after the last step began, or later."""
    return story.rows("exposure_impacts", columns, where=where, now=story.now + later)


def health(story: Story, columns: str = HEALTH, *, where: str = "TRUE", later: timedelta = timedelta()) -> list[Any]:
    """How exposures are as of two minutes after the last step began, or later."""
    return story.rows("exposure_health", columns, where=where, now=story.now + later)


def failed_build(story: Story) -> None:
    story.step("build", result(A, "error"), result(B, "skipped"), result(C, "skipped"), exit_code=1)


def test_where_nothing_was_seen_of_what_an_exposure_rests_on_its_health_is_unknown(story: Story) -> None:
    story.step("run", exit_code=0)
    told = f"{HEALTH}, ancestors, ancestors_seen, last_built_at, last_checked_at, cause_unique_id"
    assert health(story, told) == [
        (BOARD, "Unknown", False, False, 4, 0, None, None, None),
        (RAW_VIEW, "Unknown", False, False, 2, 0, None, None, None),
    ]


def test_where_all_that_was_seen_is_well_an_exposure_is_healthy(story: Story) -> None:
    story.step("source freshness", freshness(ORDERS), exit_code=0)
    story.step("run", *passed(A, B, C), exit_code=0)
    story.step("test", *passed(TEST_A), exit_code=0)
    assert impacts(story) == []
    assert health(story) == HEALTHY
    built, tested = datetime(2026, 3, 2, 6, 10, tzinfo=UTC), datetime(2026, 3, 2, 6, 15, tzinfo=UTC)
    assert health(story, "unique_id, ancestors, ancestors_seen, last_built_at, last_checked_at") == [
        (BOARD, 4, 4, built, tested),
        (RAW_VIEW, 2, 2, built, tested),
    ]


def test_an_exposure_says_whose_it_is(story: Story) -> None:
    story.step("run", *passed(A), exit_code=0)
    assert health(story, "project_name, environment, name, label, owner, owner_email, url, exposure_type") == [
        ("shop", "default", "board", "Board", "Ann", None, "https://board", "x"),
        ("shop", "default", "raw_view", None, "ben@shop", "ben@shop", None, "x"),
    ]


def test_of_several_nodes_right_above_an_exposure_the_one_built_longest_ago_says_how_old_it_is(story: Story) -> None:
    graph = manifest(node(A), node(B, [A]), node(BOARD, [A, B]))
    story.step("run", *passed(A, B), graph=graph, exit_code=0)
    story.step("run", *passed(A), graph=graph, exit_code=0)
    assert health(story, "last_built_at") == [datetime(2026, 3, 2, 6, 5, tzinfo=UTC)]


def test_a_model_that_failed_leaves_all_exposures_below_it_stale(story: Story) -> None:
    failed_build(story)
    assert impacts(story) == [(BOARD, A, 3, "stale"), (RAW_VIEW, A, 1, "stale")]
    assert health(story) == [(BOARD, "Degraded", True, False), (RAW_VIEW, "Degraded", True, False)]
    assert health(story, f"unique_id, {COUNTS}") == [(BOARD, 1, 0, 0, 0, 2), (RAW_VIEW, 1, 0, 0, 0, 0)]


def test_an_impact_names_what_is_bad_who_can_mend_it_and_who_is_hurt(story: Story) -> None:
    story.step(
        "run",
        result(A, "error", message="boom"),
        dag_run="r",
        try_number=1,
        log_url="https://log/1",
        exit_code=1,
    )
    board = f"v.exposure_unique_id = '{BOARD}'"
    at = datetime(2026, 3, 2, 6, 5, tzinfo=UTC)
    assert impacts(
        story, "resource_type, name, owner, outcome, status, message, is_root_cause, failed_at, last_ok_at", where=board
    ) == [("model", "stg_a", "Data", "failure", "error", "boom", True, at, None)]
    assert impacts(
        story,
        "exposure_name, exposure_label, exposure_owner, exposure_url, command, dag_id, dag_run_id, log_url",
        where=board,
    ) == [("board", "Board", "Ann", "https://board", "run", "daily", "r", "https://log/1")]
    assert health(
        story, "cause_unique_id, cause_name, cause_distance, cause_status, cause_message, cause_owner, cause_seen_at"
    ) == [(A, "stg_a", 1, "error", "boom", "Data", at), (A, "stg_a", 3, "error", "boom", "Data", at)]


def test_what_a_test_found_in_what_was_built_is_live_in_all_exposures_below_it(story: Story) -> None:
    story.step("run", *passed(A, B, C), exit_code=0)
    story.step("test", result(TEST_A, "fail", failures=7), exit_code=1)
    assert impacts(story) == [(BOARD, TEST_A, 3, "suspect"), (RAW_VIEW, TEST_A, 1, "suspect")]
    assert impacts(story, "test_name, column_name, attached_node, failures, owner", where="v.distance = 1") == [
        ("unique", "id", A, 7, "Data")
    ]
    assert health(story) == [(BOARD, "Degraded", False, True), (RAW_VIEW, "Degraded", False, True)]


def test_where_dbt_stops_at_a_failed_test_exposures_further_down_are_stale(story: Story) -> None:
    failed = result(TEST_A, "fail", failures=7)
    story.step("build", *passed(A), failed, result(B, "skipped"), result(C, "skipped"), exit_code=1)
    assert impacts(story) == [(BOARD, TEST_A, 3, "stale"), (RAW_VIEW, TEST_A, 1, "suspect")]
    assert health(story) == [(BOARD, "Degraded", True, False), (RAW_VIEW, "Degraded", False, True)]
    story.step("run --select int_b fct_c", *passed(B, C), exit_code=0)
    assert impacts(story) == [(BOARD, TEST_A, 3, "suspect"), (RAW_VIEW, TEST_A, 1, "suspect")]


def test_an_exposure_that_rests_on_the_tested_model_directly_and_on_what_was_skipped_is_both(story: Story) -> None:
    graph = manifest(node(A), node(B, [A]), node(C, [B]), node(TEST_A, [A], attached_node=A), node(BOARD, [A, C]))
    failed = result(TEST_A, "fail", failures=7)
    story.step("build", *passed(A), failed, result(B, "skipped"), result(C, "skipped"), graph=graph, exit_code=1)
    assert impacts(story) == [(BOARD, TEST_A, 1, "suspect")]
    assert health(story) == [(BOARD, "Degraded", True, True)]


def test_a_unit_test_that_keeps_its_model_from_being_built_leaves_exposures_stale(story: Story) -> None:
    graph = manifest(node(A), node(UNIT, [A], attached_node=A), node(RAW_VIEW, [A]))
    story.step("build", result(UNIT, "fail"), result(A, "skipped"), graph=graph, exit_code=1)
    assert impacts(story) == [(RAW_VIEW, UNIT, 1, "stale")]
    story.step("run", *passed(A), graph=graph, exit_code=0)
    assert impacts(story) == [(RAW_VIEW, UNIT, 1, "suspect")]


def test_a_test_of_several_models_hurts_what_rests_on_any_of_them_once(story: Story) -> None:
    test = "test.shop.relationships.4"
    graph = manifest(
        node(A), node(B), node(C, [A, B]), node(test, [A, B], attached_node=B), node(BOARD, [C]), node(RAW_VIEW, [A])
    )
    story.step("test", result(test, "fail", failures=1), graph=graph, exit_code=1)
    assert impacts(story) == [(BOARD, test, 2, "suspect"), (RAW_VIEW, test, 1, "suspect")]


def test_a_warning_calls_for_caution(story: Story) -> None:
    story.step("test", result(TEST_C, "warn", failures=1), exit_code=0)
    assert impacts(story, f"{IMPACTS}, outcome") == [(BOARD, TEST_C, 1, "suspect", "warning")]
    assert health(story) == [(BOARD, "Caution", False, True), (RAW_VIEW, "Unknown", False, False)]
    assert health(story, COUNTS, where="v.health = 'Caution'") == [(0, 0, 0, 1, 0)]


@pytest.mark.parametrize(
    ("status", "exit_code", "word", "counts"),
    [
        ("warn", 0, "Caution", (0, 0, 0, 1, 0)),
        ("error", 1, "Degraded", (0, 0, 1, 0, 0)),
        ("runtime error", 1, "Degraded", (0, 0, 1, 0, 0)),
    ],
)
def test_a_source_that_is_late_or_could_not_be_checked_leaves_exposures_stale(
    status: str, exit_code: int, word: str, counts: tuple[int, ...], story: Story
) -> None:
    story.step("source freshness", freshness(ORDERS, status), exit_code=exit_code)
    assert impacts(story) == [(BOARD, ORDERS, 4, "stale"), (RAW_VIEW, ORDERS, 2, "stale")]
    assert health(story) == [(BOARD, word, True, False), (RAW_VIEW, word, True, False)]
    assert health(story, COUNTS) == [counts, counts]


def test_what_was_skipped_and_is_not_rebuilt_calls_for_caution_after_its_cause_is_mended(story: Story) -> None:
    failed_build(story)
    story.step("run --select stg_a", *passed(A), exit_code=0)
    assert impacts(story) == []
    assert health(story) == [(BOARD, "Caution", True, False), (RAW_VIEW, "Healthy", False, False)]
    assert health(story, f"cause_unique_id, cause_status, cause_distance, {COUNTS}", where="v.is_stale") == [
        (C, "skipped", 1, 0, 0, 0, 0, 2)
    ]
    story.step("run --select int_b+", *passed(B, C), exit_code=0)
    assert health(story) == HEALTHY


def test_the_cause_is_the_nearest_failure_that_nothing_above_it_caused(story: Story) -> None:
    story.step("test", result(TEST_A, "fail", failures=1), result(TEST_C, "fail", failures=1), exit_code=1)
    board = f"v.unique_id = '{BOARD}'"
    assert health(story, "cause_unique_id, cause_distance, failed_tests", where=board) == [(TEST_A, 3, 2)]
    story.step("test --select fct_c", result(TEST_C, "fail", failures=1), exit_code=1)
    assert health(story, "cause_unique_id, cause_distance, failed_tests", where=board) == [(TEST_C, 1, 2)]


def test_a_failure_is_the_cause_before_a_nearer_warning(story: Story) -> None:
    story.step("test", result(TEST_A, "fail", failures=1), result(TEST_C, "warn", failures=1), exit_code=1)
    told = "health, cause_unique_id, failed_tests, warnings"
    assert health(story, told, where=f"v.unique_id = '{BOARD}'") == [("Degraded", TEST_A, 1, 1)]


def test_what_passes_again_is_bad_no_longer_and_what_was_not_run_since_still_is(story: Story) -> None:
    story.step("test", result(TEST_A, "fail", failures=1), result(TEST_A2, "fail", failures=1), exit_code=1)
    story.step("test", *passed(TEST_A), exit_code=0)
    assert impacts(story, "exposure_unique_id, unique_id") == [(BOARD, TEST_A2), (RAW_VIEW, TEST_A2)]


def test_what_is_skipped_after_it_failed_is_still_bad(story: Story) -> None:
    story.step("run", *passed(A, B), result(C, "error"), exit_code=1)
    failed_build(story)
    assert impacts(story) == [(BOARD, C, 1, "stale"), (BOARD, A, 3, "stale"), (RAW_VIEW, A, 1, "stale")]


@pytest.mark.parametrize("args", [{"empty": True}, {"sample": "3d"}])
def test_what_was_not_really_built_is_not_well_by_that(args: dict[str, Any], story: Story) -> None:
    failed_build(story)
    story.step("run", *passed(A, B, C), args=args, exit_code=0)
    assert impacts(story) == [(BOARD, A, 3, "stale"), (RAW_VIEW, A, 1, "stale")]


def test_what_a_repeated_attempt_found_bad_does_not_count_and_what_it_built_does(story: Story) -> None:
    failed_build(story)
    story.step("run", *passed(A), result(B, "error"), dag_run="r", try_number=1, will_retry=True, exit_code=1)
    assert impacts(story) == []
    assert impacts(story, later=HOUR) == [(BOARD, B, 2, "stale")]
    story.step("run", *passed(B, C), dag_run="r", try_number=2, exit_code=0)
    assert impacts(story, later=HOUR) == []
    assert health(story, later=HOUR) == HEALTHY


def test_a_microbatch_model_hurts_until_the_batches_that_failed_are_built(story: Story) -> None:
    def batches(successful: list[str], failed: list[str]) -> dict[str, Any]:
        days = {"successful": successful, "failed": failed}
        return {"batch_results": {name: [[day, f"{day}T23"] for day in found] for name, found in days.items()}}

    story.step("run", result(A, "partial success", **batches(["03-01"], ["03-02", "03-03"])), exit_code=1)
    story.step("run", result(A, **batches(["03-04"], [])), exit_code=0)
    assert impacts(story, "unique_id, status", where="v.distance = 1") == [(A, "partial success")]
    story.step("retry", result(A, **batches(["03-03", "03-02"], [])), args={"which": "run"}, exit_code=0)
    assert impacts(story) == []
    story.step("run", result(A, **batches(["03-05"], [])), exit_code=0)
    assert health(story, "last_built_at", where=f"v.unique_id = '{RAW_VIEW}'") == [
        datetime(2026, 3, 2, 6, 20, tzinfo=UTC)
    ]


def test_what_was_interrupted_is_not_built_and_a_test_that_was_has_found_nothing(story: Story) -> None:
    story.step("build", *passed(A), result(TEST_A, "interrupted"), result(B, "interrupted"), exit_code=-15)
    assert impacts(story) == [(BOARD, B, 2, "stale")]
    assert health(story) == [(BOARD, "Degraded", True, False), (RAW_VIEW, "Healthy", False, False)]


def test_what_the_current_manifest_lacks_hurts_nobody(story: Story) -> None:
    story.step("test", result(TEST_A, "fail", failures=1), result(TEST_C, "fail", failures=1), exit_code=1)
    story.step("run", *passed(A, B, C), graph=shop(TEST_C, RAW_VIEW), exit_code=0)
    assert impacts(story) == [(BOARD, TEST_A, 3, "suspect")]
    assert health(story) == [(BOARD, "Degraded", False, True)]


def test_environments_and_projects_know_nothing_of_each_other(story: Story) -> None:
    cafe = shop()
    cafe["metadata"]["project_name"] = "cafe"
    story.step("run", result(A, "error"), environment="prod", exit_code=1)
    story.step("run", *passed(A, B, C), environment="dev", exit_code=0)
    story.step("test", result(TEST_C, "warn", failures=1), graph=cafe, environment="dev", exit_code=0)
    told = "project_name, environment, exposure_unique_id, unique_id"
    assert impacts(story, told) == [
        ("cafe", "dev", BOARD, TEST_C),
        ("shop", "prod", BOARD, A),
        ("shop", "prod", RAW_VIEW, A),
    ]
    assert health(story, "project_name, environment, health", where=f"v.unique_id = '{BOARD}'") == [
        ("cafe", "dev", "Caution"),
        ("shop", "dev", "Healthy"),
        ("shop", "prod", "Degraded"),
    ]


def test_what_was_last_seen_longer_than_90_days_ago_says_nothing(story: Story) -> None:
    failed_build(story)
    assert health(story, "health", later=90 * DAY) == ["Degraded", "Degraded"]
    assert health(story, "health", later=91 * DAY) == ["Unknown", "Unknown"]
