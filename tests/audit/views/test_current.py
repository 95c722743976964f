"""What is there now and what was last seen of it, as stories of a shop tell it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from factories import freshness, manifest, node, result
from shop import ORDERS, TEST_A, TEST_A2, TEST_C, A, B, C, passed, shop
from story import Story

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BOARD, RAW_VIEW = "exposure.shop.board", "exposure.shop.raw_view"
UNIT = "unit_test.shop.stg_a.adds_up"
LAST = "unique_id, last_outcome, last_run_at, last_ok_at"


def now_in(story: Story, view: str, columns: str, *, where: str = "TRUE", later: timedelta = timedelta()) -> list[Any]:
    """A view's rows as of two minutes after the last step began, or later."""
    return story.rows(view, columns, where=where, now=story.now + later)


def at(minutes: int) -> datetime:
    """So many minutes after six in the morning of the story's first day."""
    return datetime(2026, 3, 2, 6, tzinfo=UTC) + timedelta(minutes=minutes)


def test_every_node_of_the_current_manifest_is_there_whether_it_was_run_or_not(story: Story) -> None:
    story.step("run", *passed(A), exit_code=0)
    assert now_in(story, "models", LAST) == [
        (C, None, None, None),
        (B, None, None, None),
        (A, "ok", at(5), at(5)),
    ]
    assert now_in(story, "tests", "unique_id, last_outcome") == [(TEST_A2, None), (TEST_C, None), (TEST_A, None)]
    assert now_in(story, "sources", "unique_id, last_outcome") == [(ORDERS, None)]
    assert now_in(story, "exposures", "unique_id") == [BOARD, RAW_VIEW]
    assert len(now_in(story, "current_nodes", "unique_id")) == 9


def test_a_model_is_as_its_last_run_left_it(story: Story) -> None:
    story.step("run", *passed(A), exit_code=0)
    story.step("run", result(A, "error", message="boom", execution_time=2.5), exit_code=1)
    model = f"v.unique_id = '{A}'"
    assert now_in(story, "models", LAST, where=model) == [(A, "failure", at(10), at(5))]
    assert now_in(
        story, "models", "last_status, last_message, last_execution_time, last_invocation_id", where=model
    ) == [("error", "boom", 2.5, "00000000-0000-4000-8000-000000000002")]
    assert now_in(story, "models", "name, owner, materialized, relation_schema, depends_on", where=model) == [
        ("stg_a", "Data", None, "main", [ORDERS])
    ]


def test_a_model_that_was_skipped_is_as_it_was_and_says_for_what_it_waits(story: Story) -> None:
    story.step("run", *passed(A, B, C), exit_code=0)
    story.step("run", result(A, "error"), result(B, "skipped"), result(C, "skipped"), exit_code=1)
    told = "unique_id, last_outcome, last_run_at, skipped_at, skipped_because_of"
    assert now_in(story, "models", told) == [
        (C, "ok", at(5), at(10), [A]),
        (B, "ok", at(5), at(10), [A]),
        (A, "failure", at(10), None, []),
    ]
    story.step("run", *passed(A, B), exit_code=0)
    assert now_in(story, "models", told) == [
        (C, "ok", at(5), at(10), [A]),
        (B, "ok", at(15), None, []),
        (A, "ok", at(15), None, []),
    ]


def test_a_test_is_as_it_last_ended_unit_tests_included(story: Story) -> None:
    graph = manifest(
        node(A),
        node(UNIT, [A], attached_node=A),
        node(TEST_A, [A], attached_node=A, column_name="id", test_metadata={"name": "unique"}),
    )
    story.step("test", result(UNIT, "fail"), result(TEST_A, "warn", failures=3), graph=graph, exit_code=1)
    told = "unique_id, resource_type, test_name, column_name, attached_node, last_outcome, last_failures"
    assert now_in(story, "tests", told) == [
        (TEST_A, "test", "unique", "id", A, "warning", 3),
        (UNIT, "unit_test", None, None, A, "failure", None),
    ]


def test_a_source_is_as_its_last_check_found_it(story: Story) -> None:
    story.step("source freshness", freshness(ORDERS), exit_code=0)
    story.step("source freshness", freshness(ORDERS, "runtime error", error="boom"), exit_code=1)
    told = "source_name, name, last_outcome, last_status, last_message, last_run_at, last_ok_at, warn_after_seconds"
    assert now_in(story, "sources", told) == [
        ("raw", "orders", "failure", "runtime error", "boom", at(10), at(5), 43200.0)
    ]


def test_an_exposure_says_whose_it_is_and_on_how_much_it_rests(story: Story) -> None:
    story.step("run", *passed(A), exit_code=0)
    assert now_in(
        story, "exposures", "unique_id, label, owner, owner_email, url, depends_on, ancestors, ancestor_sources"
    ) == [
        (BOARD, "Board", "Ann", None, "https://board", [C], 4, 1),
        (RAW_VIEW, None, "ben@shop", "ben@shop", None, [A], 2, 1),
    ]


def test_an_exposure_that_rests_on_nothing_is_there_too(story: Story) -> None:
    story.step("run", *passed(A), graph=manifest(node(A), node(BOARD)), exit_code=0)
    assert now_in(story, "exposures", "unique_id, ancestors, ancestor_sources") == [(BOARD, 0, 0)]


def test_what_a_later_manifest_lacks_is_there_no_longer(story: Story) -> None:
    story.step("run", *passed(A, B, C), exit_code=0)
    story.step("run", *passed(A), graph=shop(C, TEST_C, BOARD), exit_code=0)
    assert now_in(story, "models", "unique_id") == [B, A]
    assert now_in(story, "tests", "unique_id") == [TEST_A2, TEST_A]
    assert now_in(story, "exposures", "unique_id") == [RAW_VIEW]


def test_a_step_without_a_manifest_leaves_the_project_as_it_was(story: Story) -> None:
    story.step("run", *passed(A), exit_code=0)
    story.step("run", nothing=True, no_manifest=True, exit_code=2)
    assert now_in(story, "current_states", "project_name, started_at, invocation_id") == [
        ("shop", at(5), "00000000-0000-4000-8000-000000000001")
    ]
    assert now_in(story, "models", "unique_id") == [C, B, A]


@pytest.mark.parametrize("args", [{"empty": True}, {"sample": "3d"}])
def test_what_was_not_really_built_is_as_it_was(args: dict[str, Any], story: Story) -> None:
    story.step("run", *passed(A), exit_code=0)
    story.step("run", *passed(A), args=args, exit_code=0)
    assert now_in(story, "models", LAST, where=f"v.unique_id = '{A}'") == [(A, "ok", at(5), at(5))]
    assert now_in(story, "attempts", "is_real") == [False, True]


def test_a_failure_with_empty_is_a_failure(story: Story) -> None:
    story.step("run", *passed(A), exit_code=0)
    story.step("run", result(A, "error"), args={"empty": True}, exit_code=1)
    assert now_in(story, "models", LAST, where=f"v.unique_id = '{A}'") == [(A, "failure", at(10), at(5))]


def test_a_status_that_nobody_knows_says_nothing(story: Story) -> None:
    story.step("run", *passed(A), exit_code=0)
    story.step("run", result(A, "quantum"), exit_code=0)
    assert now_in(story, "models", LAST, where=f"v.unique_id = '{A}'") == [(A, "ok", at(5), at(5))]


def test_of_a_repeated_attempt_only_what_it_found_well_counts(story: Story) -> None:
    story.step(
        "run",
        *passed(A),
        result(B, "error"),
        result(C, "skipped"),
        dag_run="r",
        try_number=1,
        will_retry=True,
        exit_code=1,
    )
    told = "unique_id, last_outcome, skipped_at"
    assert now_in(story, "models", told) == [(C, None, None), (B, None, None), (A, "ok", None)]
    assert now_in(story, "attempts", "is_repeated, is_awaiting_retry, is_superseded") == [(False, True, True)]
    assert now_in(story, "models", told, later=HOUR) == [(C, None, at(5)), (B, "failure", None), (A, "ok", None)]
    story.step("run", *passed(B, C), dag_run="r", try_number=2, exit_code=0)
    assert now_in(story, "models", told) == [(C, "ok", None), (B, "ok", None), (A, "ok", None)]
    assert now_in(story, "attempts", "try_number, is_repeated, is_awaiting_retry, is_superseded") == [
        (1, True, False, True),
        (2, False, False, False),
    ]


def test_what_fails_because_of_another_is_no_root_cause(story: Story) -> None:
    story.step("test", result(TEST_A, "fail", failures=1), result(TEST_C, "fail", failures=1), exit_code=1)
    assert now_in(story, "current_nodes", "unique_id, is_root_cause", where="v.is_bad") == [
        (TEST_C, False),
        (TEST_A, True),
    ]


def test_environments_and_projects_are_each_as_they_are(story: Story) -> None:
    cafe = manifest(node(A))
    cafe["metadata"]["project_name"] = "cafe"
    story.step("run", result(A, "error"), environment="prod", exit_code=1)
    story.step("run", *passed(A), environment="dev", exit_code=0)
    story.step("run", *passed(A), graph=cafe, environment="dev", exit_code=0)
    model = f"v.unique_id = '{A}'"
    assert now_in(story, "models", "project_name, environment, last_outcome, last_run_at", where=model) == [
        ("cafe", "dev", "ok", at(15)),
        ("shop", "dev", "ok", at(10)),
        ("shop", "prod", "failure", at(5)),
    ]
    assert len(now_in(story, "models", "unique_id")) == 7


def test_the_last_90_days_are_looked_back_on(story: Story) -> None:
    story.step("run", *passed(A), exit_code=0)
    model = f"v.unique_id = '{A}'"
    assert now_in(story, "models", "last_outcome", where=model, later=90 * DAY) == ["ok"]
    assert now_in(story, "models", "last_outcome", where=model, later=91 * DAY) == [None]
