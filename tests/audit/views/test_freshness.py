"""How fresh sources are, as stories of a shop tell it."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from factories import freshness, manifest, node
from shop import CRITERIA, ORDERS, A, passed, shop
from story import Story

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ALL_CRITERIA: dict[str, Any] = {"criteria": CRITERIA}
EMPTY: dict[str, Any] = {"max_loaded_at": "0001-01-01T00:00:00+00:00", "max_loaded_at_time_ago_in_s": 63908204400.0}
NO_ANSWER: dict[str, Any] = {"max_loaded_at": None, "max_loaded_at_time_ago_in_s": None, "criteria": None}


def history(story: Story, columns: str, *, where: str = "TRUE") -> list[Any]:
    """The checks, as of two minutes after the last step began."""
    return story.rows("source_freshness_history", columns, where=where, now=story.now)


def health(story: Story, columns: str, *, later: timedelta = timedelta()) -> list[Any]:
    """The health of the sources as of two minutes after the last step began, or later."""
    return story.rows("source_health", columns, now=story.now + later)


def hours_old(hours: float, status: str, **given: Any) -> dict[str, Any]:
    return freshness(ORDERS, status, max_loaded_at_time_ago_in_s=hours * 3600, **(ALL_CRITERIA | given))


def test_each_check_is_a_row_with_its_age_held_against_the_thresholds(story: Story) -> None:
    story.step("source freshness", hours_old(6, "pass"), dag_run="r", log_url="https://log/1", exit_code=0)
    story.step("source freshness", hours_old(15, "warn"), exit_code=0)
    story.step("source freshness", hours_old(60, "error"), exit_code=1)
    ratios = "status, outcome, age_seconds, warn_ratio, error_ratio, minutes_over_warn, minutes_over_error"
    assert history(story, ratios) == [
        ("error", "failure", 216000.0, 5.0, 1.25, 2880.0, 720.0),
        ("pass", "ok", 21600.0, 0.5, 0.125, 0.0, 0.0),
        ("warn", "warning", 54000.0, 1.25, 0.3125, 180.0, 0.0),
    ]
    assert history(
        story,
        "run_date, unique_id, project_name, environment, source_name, name, checked_at, started_at, dag_id, "
        "dag_run_id, log_url, superseded",
        where="v.status = 'pass'",
    ) == [
        (
            date(2026, 3, 2),
            ORDERS,
            "shop",
            "default",
            "raw",
            "orders",
            datetime(2026, 3, 2, 6, 5, tzinfo=UTC),
            datetime(2026, 3, 2, 6, 5, tzinfo=UTC),
            "daily",
            "r",
            "https://log/1",
            False,
        )
    ]


def test_without_a_threshold_nothing_is_over_it(story: Story) -> None:
    only_warning = {"warn_after": {"count": 1, "period": "hour"}, "error_after": {"count": None, "period": None}}
    story.step("source freshness", hours_old(2, "warn", criteria=only_warning), exit_code=0)
    assert history(story, "warn_ratio, minutes_over_warn, error_ratio, minutes_over_error") == [(2.0, 60.0, None, None)]


def test_an_empty_table_has_no_age_and_is_told_from_a_check_that_failed(story: Story) -> None:
    story.step("source freshness", freshness(ORDERS, "error", **(ALL_CRITERIA | EMPTY)), exit_code=1)
    story.step("source freshness", freshness(ORDERS, "runtime error", error="boom", **NO_ANSWER), exit_code=1)
    assert history(story, "status, is_empty_table, age_seconds, warn_ratio, minutes_over_warn, error") == [
        ("error", True, None, None, None, None),
        ("runtime error", False, None, None, None, "boom"),
    ]


def test_a_source_is_as_its_last_check_found_it(story: Story) -> None:
    told = "health, last_status, last_outcome, age_at_check_seconds, last_ok_at"
    first = datetime(2026, 3, 2, 6, 5, tzinfo=UTC)
    story.step("source freshness", hours_old(6, "pass"), exit_code=0)
    assert health(story, told) == [("healthy", "pass", "ok", 21600.0, first)]
    story.step("source freshness", hours_old(15, "warn"), exit_code=0)
    assert health(story, told) == [("warning", "warn", "warning", 54000.0, first)]
    story.step("source freshness", hours_old(60, "error"), exit_code=1)
    assert health(story, told) == [("stale", "error", "failure", 216000.0, first)]
    story.step("source freshness", freshness(ORDERS, "runtime error", error="boom", **NO_ANSWER), exit_code=1)
    assert health(story, told) == [("check_failed", "runtime error", "failure", None, first)]
    assert health(story, "last_error, is_empty_table, checks") == [("boom", False, 4)]


def test_a_sources_health_says_whose_it_is_and_what_rests_on_it(story: Story) -> None:
    story.step("source freshness", hours_old(1, "pass"), exit_code=0)
    assert health(
        story,
        "project_name, environment, unique_id, source_name, name, has_criteria, warn_after_seconds, "
        "error_after_seconds, tightest_seconds, exposures, owner",
    ) == [("shop", "default", ORDERS, "raw", "orders", True, 43200.0, 172800.0, 43200.0, 2, None)]


def test_an_age_goes_on_growing_after_the_check(story: Story) -> None:
    story.step("source freshness", freshness(ORDERS, max_loaded_at="2026-03-02T05:05:00+00:00"), exit_code=0)
    assert health(story, "age_at_check_seconds, age_seconds, seconds_since_check") == [(3600.0, 3720.0, 120.0)]
    assert health(story, "age_seconds, seconds_since_check", later=HOUR) == [(7320.0, 3720.0)]


def test_a_check_that_is_older_than_twice_the_tightest_threshold_is_overdue_whatever_it_found(story: Story) -> None:
    story.step("source freshness", hours_old(1, "pass"), exit_code=0)
    until = DAY - 2 * MINUTE  # two minutes have gone already
    assert health(story, "health", later=until) == ["healthy"]
    assert health(story, "health, last_status", later=until + MINUTE) == [("overdue", "pass")]
    story.step("source freshness", hours_old(60, "error"), exit_code=1)
    assert health(story, "health", later=until) == ["stale"]
    assert health(story, "health, last_status", later=until + MINUTE) == [("overdue", "error")]


def test_where_there_is_one_threshold_it_is_the_tightest(story: Story) -> None:
    for only in ("warn_after", "error_after"):
        source = node(ORDERS, freshness={only: {"count": 1, "period": "hour"}})
        story.step("source freshness", freshness(ORDERS), graph=manifest(source), environment=only, exit_code=0)
    assert health(story, "environment, tightest_seconds, health", later=2 * HOUR - 4 * MINUTE) == [
        ("error_after", 3600.0, "healthy"),
        ("warn_after", 3600.0, "overdue"),
    ]


def test_a_source_with_criteria_that_nobody_ever_checked_is_never_checked(story: Story) -> None:
    plain = node("source.shop.raw.plain", source_name="raw")
    story.step("run", *passed(A), graph=manifest(node(ORDERS, freshness=CRITERIA), plain, node(A, [ORDERS])))
    told = "unique_id, health, last_checked_at, seconds_since_check, is_empty_table, checks, exposures"
    assert health(story, told) == [(ORDERS, "never_checked", None, None, False, 0, 0)]
    assert health(story, "health", later=365 * DAY) == ["never_checked"]


def test_an_empty_table_is_stale_and_said_to_be_empty(story: Story) -> None:
    story.step("source freshness", freshness(ORDERS, "error", **(ALL_CRITERIA | EMPTY)), exit_code=1)
    assert health(story, "health, is_empty_table, max_loaded_at, age_seconds") == [("stale", True, None, None)]


def test_a_source_whose_criteria_are_gone_is_shown_for_its_checks_and_never_overdue(story: Story) -> None:
    story.step("source freshness", hours_old(15, "warn"), exit_code=0)
    story.step("run", *passed(A), graph=manifest(node(ORDERS), node(A, [ORDERS])), exit_code=0)
    assert health(story, "health, has_criteria, tightest_seconds", later=365 * DAY) == [("warning", False, None)]


def test_a_source_that_the_current_manifest_lacks_has_no_health(story: Story) -> None:
    story.step("source freshness", hours_old(60, "error"), exit_code=1)
    story.step("run", *passed(A), graph=manifest(node(A)), exit_code=0)
    assert health(story, "unique_id") == []
    assert history(story, "status") == ["error"]


def test_what_a_repeated_check_found_bad_does_not_count_once_it_is_repeated(story: Story) -> None:
    story.step("source freshness", hours_old(6, "pass"), exit_code=0)
    story.step("source freshness", hours_old(60, "error"), dag_run="r", try_number=1, will_retry=True, exit_code=1)
    assert health(story, "health, checks") == [("healthy", 1)]
    assert health(story, "health, checks", later=HOUR) == [("stale", 2)]
    story.step("source freshness", hours_old(13, "warn"), dag_run="r", try_number=2, exit_code=0)
    assert health(story, "health, checks", later=HOUR) == [("warning", 2)]
    assert history(story, "status, superseded") == [("error", True), ("pass", False), ("warn", False)]


def test_environments_and_projects_have_sources_of_their_own(story: Story) -> None:
    other = shop()
    other["metadata"]["project_name"] = "cafe"
    story.step("source freshness", hours_old(60, "error"), environment="prod", exit_code=1)
    story.step("source freshness", hours_old(6, "pass"), environment="dev", exit_code=0)
    story.step("run", *passed(A), graph=other, environment="dev", exit_code=0)
    assert health(story, "project_name, environment, health") == [
        ("cafe", "dev", "never_checked"),
        ("shop", "dev", "healthy"),
        ("shop", "prod", "stale"),
    ]
