"""How long models take and how reliable tests are, as stories of a shop make it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from factories import node, result
from shop import TEST_A, TEST_A2, TEST_C, A, B, C, passed, shop
from story import Story

DAY = timedelta(days=1)
COMPARED = "execution_time, earlier_runs, median_execution_time, ratio, is_slow"


def run(story: Story, seconds: float, status: str = "success", unique_id: str = A, **given: Any) -> None:
    """A run of a model that takes so long."""
    exit_code = 1 if status == "error" else 0
    story.step("run", result(unique_id, status, execution_time=seconds), exit_code=exit_code, **given)


def times(story: Story, columns: str, *, later: timedelta = timedelta()) -> list[Any]:
    return story.rows("model_run_times", columns, now=story.now + later)


def one_by_one(story: Story, columns: str = COMPARED) -> list[Any]:
    """What is said of each run, in the order in which they were told of."""
    return [row[1:] for row in times(story, f"invocation_id, {columns}")]


def test_the_median_is_the_middle_one_or_the_mean_of_the_middle_two(story: Story) -> None:
    for seconds in (100.0, 10.0, 20.0, 40.0, 15.0, 5.0):
        run(story, seconds)
    assert one_by_one(story) == [
        (100.0, 0, None, None, False),
        (10.0, 1, 100.0, 0.1, False),
        (20.0, 2, 55.0, 20 / 55, False),
        (40.0, 3, 20.0, 2.0, False),
        (15.0, 4, 30.0, 0.5, False),
        (5.0, 5, 20.0, 0.25, False),
    ]


def test_only_the_last_14_runs_are_compared_with(story: Story) -> None:
    for seconds in (1000.0, 2000.0, *[3.0] * 7, *[5.0] * 6, 8.0):
        run(story, seconds)
    # of the 13 runs before the last the median is 3, of the 15 it is 5
    assert one_by_one(story)[-1] == (8.0, 14, 4.0, 2.0, False)


@pytest.mark.parametrize(
    ("usual", "earlier", "seconds", "is_slow"),
    [
        (30.0, 5, 60.0, False),  # twice, not over it
        (30.0, 5, 60.5, True),
        (30.0, 4, 300.0, False),  # too few to tell
        (1.0, 5, 30.9, False),  # thirty times as long, and nobody waits for it
        (1.0, 5, 31.0, True),
        (3600.0, 5, 5400.0, False),  # half an hour more, which is not twice
    ],
)
def test_slow_is_over_twice_the_median_and_30_seconds_more_given_5_runs(
    usual: float, earlier: int, seconds: float, is_slow: bool, story: Story
) -> None:
    for _ in range(earlier):
        run(story, usual)
    run(story, seconds)
    told = one_by_one(story, "earlier_runs, is_slow")
    assert told == [*((number, False) for number in range(earlier)), (earlier, is_slow)]


def test_only_runs_that_really_built_the_same_model_and_passed_are_compared_with(story: Story) -> None:
    run(story, 10.0)
    run(story, 500.0, "error")
    run(story, 500.0, "skipped")
    run(story, 0.0, "reused")
    run(story, 0.1, args={"empty": True})
    story.step("clone", result(A, execution_time=0.3), exit_code=0)
    run(story, 0.2, args={"sample": "3d"})
    run(story, 500.0, args={"full_refresh": True})
    run(story, 500.0, environment="dev")
    run(story, 500.0, unique_id=B)
    other = shop()
    other["metadata"]["project_name"] = "other"
    run(story, 500.0, graph=other)
    run(story, 400.0, dag_run="r", try_number=1, will_retry=True)
    run(story, 12.0, dag_run="r", try_number=2)
    run(story, 13.0)
    assert one_by_one(story, f"project_name, environment, name, outcome, is_full_refresh, {COMPARED}") == [
        ("shop", "default", "stg_a", "ok", False, 10.0, 0, None, None, False),
        ("shop", "default", "stg_a", "failure", False, 500.0, 1, 10.0, 50.0, False),
        ("shop", "default", "stg_a", "ok", True, 500.0, 0, None, None, False),
        ("shop", "dev", "stg_a", "ok", False, 500.0, 0, None, None, False),
        ("shop", "default", "int_b", "ok", False, 500.0, 0, None, None, False),
        ("other", "default", "stg_a", "ok", False, 500.0, 0, None, None, False),
        ("shop", "default", "stg_a", "ok", False, 400.0, 1, 10.0, 40.0, False),
        ("shop", "default", "stg_a", "ok", False, 12.0, 1, 10.0, 1.2, False),
        ("shop", "default", "stg_a", "ok", False, 13.0, 2, 11.0, 13 / 11, False),
    ]


def test_a_run_that_failed_is_compared_too(story: Story) -> None:
    for seconds in (10.0, 10.0, 10.0, 10.0, 10.0):
        run(story, seconds)
    run(story, 900.0, "error")
    assert one_by_one(story, f"outcome, {COMPARED}")[-1] == ("failure", 900.0, 5, 10.0, 90.0, True)


def test_runs_that_took_no_time_have_no_ratio(story: Story) -> None:
    run(story, 0.0)
    run(story, 4.0)
    assert one_by_one(story) == [(0.0, 0, None, None, False), (4.0, 1, 0.0, None, False)]


def test_runs_are_compared_in_the_order_in_which_they_began(story: Story) -> None:
    run(story, 10.0, after=3 * DAY)
    run(story, 20.0, after=DAY)
    run(story, 90.0, after=-2 * DAY)  # loaded last, and the earliest
    assert one_by_one(story, "started_at, earlier_runs, median_execution_time") == [
        (datetime(2026, 3, 5, 6, tzinfo=UTC), 1, 90.0),
        (datetime(2026, 3, 6, 6, tzinfo=UTC), 2, 50.0),
        (datetime(2026, 3, 4, 6, tzinfo=UTC), 0, None),
    ]


def test_runs_of_the_last_30_days_are_told_and_compared_with_those_of_45(story: Story) -> None:
    run(story, 10.0)
    run(story, 20.0, after=DAY)
    run(story, 30.0, after=16 * DAY)
    assert times(story, "execution_time, earlier_runs", later=28 * DAY) == [(30.0, 2)]
    assert times(story, "execution_time, earlier_runs", later=29 * DAY) == [(30.0, 1)]
    assert times(story, "execution_time, earlier_runs", later=30 * DAY) == [(30.0, 0)]
    assert times(story, "execution_time, earlier_runs", later=31 * DAY) == []


def with_both() -> dict[str, Any]:
    document = shop()
    for unique_id in ("seed.shop.rates", "snapshot.shop.history"):
        document["nodes"][unique_id] = node(unique_id)
    return document


def test_seeds_and_snapshots_are_told_too_and_tests_are_not(story: Story) -> None:
    story.step("build", *passed("seed.shop.rates", "snapshot.shop.history", A, TEST_A), graph=with_both(), exit_code=0)
    assert times(story, "resource_type, name, run_date") == [
        ("model", "stg_a", story.now.date()),
        ("seed", "rates", story.now.date()),
        ("snapshot", "history", story.now.date()),
    ]


def edited(unique_id: str, checksum: str) -> dict[str, Any]:
    """The shop with another text of one node."""
    document = shop()
    document["nodes"][unique_id]["checksum"] = {"name": "sha256", "checksum": checksum}
    return document


def check(story: Story, *statuses: str, unique_id: str = TEST_A, **given: Any) -> None:
    """Runs of a test, one after the other, with these statuses."""
    for status in statuses:
        story.step("test", result(unique_id, status), exit_code=int(status in {"fail", "error"}), **given)


def history(story: Story, columns: str, *, later: timedelta = timedelta()) -> list[Any]:
    return story.rows("test_history", columns, now=story.now + later)


def test_a_test_that_fails_and_passes_on_the_same_code_twice_is_flaky(story: Story) -> None:
    check(story, "pass", "fail", "pass")
    assert history(story, "flips, is_flaky") == [(1, False)]
    check(story, "error", "pass", "pass", "fail")
    assert history(story, "flips, is_flaky, runs, passed_runs, warned_runs, failed_runs, failure_rate") == [
        (2, True, 7, 4, 0, 3, 3 / 7)
    ]
    assert history(story, "last_outcome, last_status, last_run_at, last_failed_at, last_passed_at") == [
        (
            "failure",
            "fail",
            datetime(2026, 3, 2, 6, 35, tzinfo=UTC),
            datetime(2026, 3, 2, 6, 35, tzinfo=UTC),
            datetime(2026, 3, 2, 6, 30, tzinfo=UTC),
        )
    ]
    assert history(
        story, "project_name, environment, unique_id, resource_type, test_name, attached_node, severity"
    ) == [("shop", "default", TEST_A, "test", "unique", A, "error")]


@pytest.mark.parametrize("changed", [TEST_A, A], ids=["test", "model"])
def test_a_test_that_passes_once_its_code_or_its_models_was_changed_is_not_flaky(changed: str, story: Story) -> None:
    for checksum in ("first", "second"):
        check(story, "fail", graph=edited(changed, checksum))
        check(story, "pass", graph=edited(changed, f"{checksum} mended"))
    assert history(story, "runs, failed_runs, flips, is_flaky") == [(4, 2, 0, False)]


def test_another_models_change_does_not_mend_a_test(story: Story) -> None:
    for checksum in ("first", "second"):
        check(story, "fail", graph=edited(C, checksum))
        check(story, "pass", graph=edited(C, f"{checksum} changed"))
    assert history(story, "flips, is_flaky") == [(2, True)]


def test_a_model_that_is_built_elsewhere_is_another_one(story: Story) -> None:
    elsewhere = shop()
    for unique_id in (A, TEST_A):
        elsewhere["nodes"][unique_id]["schema"] = "elsewhere"
    check(story, "fail", graph=elsewhere)
    check(story, "pass")
    assert history(story, "runs, flips") == [(2, 0)]


def test_a_test_that_passes_at_the_second_try_has_flipped(story: Story) -> None:
    check(story, "fail", dag_run="r", try_number=1, will_retry=True)
    check(story, "pass", dag_run="r", try_number=2)
    assert history(story, "runs, flips") == [(2, 1)]


def test_warnings_flip_too_and_a_failure_that_becomes_a_warning_does_not(story: Story) -> None:
    check(story, "fail", "warn", "pass", "warn", "pass")
    assert history(story, "passed_runs, warned_runs, failed_runs, flips, is_flaky") == [(2, 2, 1, 2, True)]


def test_a_test_that_did_not_really_run_says_nothing(story: Story) -> None:
    check(story, "fail", "skipped", "reused")
    check(story, "pass", args={"empty": True})
    check(story, "pass", args={"sample": "3d"})
    check(story, "pondering")
    story.step("test", nothing=True, exit_code=-9)
    assert history(story, "runs, failed_runs, flips, last_outcome") == [(1, 1, 0, "failure")]
    check(story, "pass")
    assert history(story, "runs, failed_runs, flips, last_outcome") == [(2, 1, 1, "ok")]


def test_each_project_and_environment_has_a_history_of_its_own(story: Story) -> None:
    check(story, "fail")
    check(story, "pass", environment="dev")
    other = shop()
    other["metadata"]["project_name"] = "other"
    check(story, "pass", graph=other)
    check(story, "warn", unique_id=TEST_C)
    assert history(story, "project_name, environment, unique_id, last_outcome, flips") == [
        ("other", "default", TEST_A, "ok", 0),
        ("shop", "default", TEST_C, "warning", 0),
        ("shop", "default", TEST_A, "failure", 0),
        ("shop", "dev", TEST_A, "ok", 0),
    ]


def test_a_history_is_in_the_order_of_the_runs_and_begins_30_days_ago(story: Story) -> None:
    check(story, "pass", unique_id=TEST_A2, after=3 * DAY)
    check(story, "fail", unique_id=TEST_A2, after=-2 * DAY)  # loaded last, and the earlier
    assert history(story, "flips, last_outcome, runs", later=2 * DAY) == [(1, "ok", 2)]
    assert history(story, "flips, last_outcome, runs", later=31 * DAY) == [(0, "ok", 1)]
    assert history(story, "runs", later=34 * DAY) == []


def test_a_history_goes_over_the_end_of_a_month(story: Story) -> None:
    check(story, "fail", after=29 * DAY)
    check(story, "pass", after=DAY)
    check(story, "fail", "pass", after=DAY)
    assert history(story, "runs, flips, is_flaky", later=26 * DAY) == [(4, 2, True)]


def test_a_unit_test_has_a_history(story: Story) -> None:
    unit = "unit_test.shop.stg_a.adds_up"
    check(story, "fail", "pass", unique_id=unit)
    assert history(story, "unique_id, resource_type, flips") == [(unit, "unit_test", 1)]
