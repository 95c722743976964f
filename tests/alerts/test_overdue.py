"""By when steps are to have run: what is overdue, since when, and when it is not any more."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from factories import result
from fake_slack import FakeSlack
from pydantic import SecretStr
from shop import MORNING, TEST_A, A, B, C, Shop, passed
from story import Story

from observability.alerts import queries
from observability.alerts.actions import Action
from observability.alerts.incidents import Incident, Kind, Severity
from observability.alerts.message import build_message, tell_change
from observability.alerts.overdue import find_overdue
from observability.audit.prepared import COMMIT, WRITTEN, PreparedLoad
from observability.config import Deadline, Settings, SlackSettings
from observability.pipeline.alerting import alert, send_digest
from observability.pipeline.attending import Deed, act, list_incidents
from observability.pipeline.questions import current_status, query_view
from observability.pipeline.storing import Replay
from observability.pipeline.ticking import tick
from observability.stores.base import open_store
from observability.stores.spool import Spool

STEP = "daily.run"


def at(text: str) -> datetime:
    """A moment of March 2026 in UTC, such as "2 07:30"."""
    day, clock = text.split()
    return datetime.fromisoformat(f"2026-03-{int(day):02}T{clock}").replace(tzinfo=UTC)


def ran(began: str, ended: str, outcome: str = "success", **given: Any) -> dict[str, Any]:
    """A row of ATTEMPTS."""
    row: dict[str, Any] = {
        "project_name": "shop",
        "environment": "prod",
        "step": STEP,
        "command": "run",
        "dag_id": "daily",
    }
    row |= {"task_id": "run", "map_index": -1, "started_at": at(began), "ended_at": at(ended), "outcome": outcome}
    return row | {"last_good_at": at(began) if outcome == "success" else None} | given


def deadline(**given: Any) -> Deadline:
    return Deadline(**{"step": STEP, "by": "07:30", **given})


def shown(incidents: list[Incident]) -> list[str]:
    """Each incident in a line: where, since when, how many deadlines, its state and until when."""
    return [
        f"{one.environment} {one.since:%-d %H:%M} x{one.bad_runs} {one.state}"
        + (f" {one.closed_at:%-d %H:%M}" if one.closed_at else "")
        for one in sorted(incidents, key=lambda one: (one.environment, one.since))
    ]


DAILY = [ran(f"{day} 05:00", f"{day} 06:00") for day in range(1, 10)]
"""Early on each of nine days, the second of which is a Monday."""
FIRST = DAILY[:1]
LATER = ran("1 07:00", "1 07:10")


@pytest.mark.parametrize(
    ("given", "rows", "now", "expected"),
    [
        # as it should be
        ({}, DAILY, "9 23:00", []),
        ({}, FIRST, "2 07:29", []),
        ({}, FIRST, "2 07:34", []),
        ({}, [*FIRST, ran("2 07:00", "2 07:30")], "2 08:00", []),
        ({}, [*FIRST, ran("2 06:00", "2 06:10", "failure")], "2 08:00", []),
        ({}, [*FIRST, ran("2 06:00", "2 06:10", "interrupted")], "2 08:00", []),
        ({}, [*FIRST, ran("2 06:00", "2 06:10", "failure"), ran("2 07:20", "2 08:20")], "2 09:00", []),
        # missed
        ({}, FIRST, "2 07:35", ["prod 2 07:30 x1 open"]),
        ({}, FIRST, "4 07:40", ["prod 2 07:30 x3 open"]),
        ({}, [*FIRST, ran("2 07:00", "2 08:00")], "2 07:50", ["prod 2 07:30 x1 open"]),
        # it came after all, and what follows is another incident
        ({}, [*FIRST, ran("2 07:00", "2 08:00")], "2 09:00", ["prod 2 07:30 x1 recovered 2 08:00"]),
        ({}, [*FIRST, ran("2 07:40", "2 08:00", "failure")], "2 09:00", ["prod 2 07:30 x1 recovered 2 08:00"]),
        ({}, [*FIRST, ran("4 09:00", "4 10:00")], "4 11:00", ["prod 2 07:30 x3 recovered 4 10:00"]),
        (
            {},
            [*FIRST, ran("2 09:00", "2 10:00")],
            "3 08:00",
            ["prod 2 07:30 x1 recovered 2 10:00", "prod 3 07:30 x1 open"],
        ),
        # two tries, both late: the first to end counts
        (
            {},
            [*FIRST, ran("2 08:00", "2 08:10", "failure"), ran("2 08:20", "2 08:50")],
            "2 12:00",
            ["prod 2 07:30 x1 recovered 2 08:10"],
        ),
        # from when on a run counts
        ({}, [*FIRST, ran("1 19:29", "1 20:00")], "2 08:00", ["prod 2 07:30 x1 open"]),
        ({}, [*FIRST, ran("1 19:30", "1 20:00")], "2 08:00", []),
        ({"begins": "18:00"}, [*FIRST, ran("1 18:00", "1 20:00")], "2 08:00", []),
        ({"begins": "06:00"}, [LATER, ran("2 05:59", "2 07:00")], "2 08:00", ["prod 2 07:30 x1 open"]),
        ({"begins": "06:00"}, [LATER, ran("2 06:00", "2 07:00")], "2 08:00", []),
        ({"begins": "07:30"}, [*FIRST, ran("1 07:30", "1 08:00")], "2 08:00", []),
        # days
        ({"days": ("mon", "tue", "wed", "thu", "fri")}, DAILY[:6], "9 07:00", []),
        ({"days": ("mon", "tue", "wed", "thu", "fri")}, DAILY[:6], "9 08:00", ["prod 9 07:30 x1 open"]),
        ({"days": ("sat", "sun")}, FIRST, "7 08:00", ["prod 7 07:30 x1 open"]),
        # since a day
        ({"since": date(2026, 3, 4)}, FIRST, "3 23:00", []),
        ({"since": date(2026, 3, 4)}, FIRST, "5 08:00", ["prod 4 07:30 x2 open"]),
        # never seen
        ({"environment": "prod"}, [], "5 08:00", []),
        ({"since": date(2026, 3, 4)}, [], "5 08:00", []),
        ({"since": date(2026, 3, 4), "environment": "prod"}, [], "4 07:30", []),
        ({"since": date(2026, 3, 4), "environment": "prod"}, [], "5 08:00", ["prod 4 07:30 x2 open"]),
        ({"since": date(2026, 3, 4), "environment": "prod", "step": "daily.*"}, [], "5 08:00", []),
        (
            {"since": date(2026, 3, 4), "environment": "prod"},
            [ran("5 08:00", "5 09:00")],
            "5 10:00",
            ["prod 4 07:30 x2 recovered 5 09:00"],
        ),
        # seen for the first time today: this morning is not judged
        ({}, [ran("5 08:00", "5 09:00")], "5 10:00", []),
        # other places
        ({"environment": "qa"}, FIRST, "2 08:00", []),
        ({"project": "hotel"}, FIRST, "2 08:00", []),
        ({"project": "shop", "environment": "prod"}, FIRST, "2 08:00", ["prod 2 07:30 x1 open"]),
        (
            {"step": "daily.*"},
            [*DAILY[:2], ran("1 05:00", "1 06:00", environment="qa")],
            "2 08:00",
            ["qa 2 07:30 x1 open"],
        ),
        ({"step": "run[0]"}, [ran("1 05:00", "1 06:00", step="run[0]")], "2 08:00", ["prod 2 07:30 x1 open"]),
        # a run that never got as far as its project's name is one of the step all the same
        ({"project": "shop"}, [*FIRST, ran("2 05:00", "2 05:01", "not_run", project_name=None)], "2 08:00", []),
    ],
)  # fmt: skip
def test_a_deadline_is_missed_where_no_run_came_in_time(
    given: dict[str, Any], rows: list[dict[str, Any]], now: str, expected: list[str]
) -> None:
    assert shown(find_overdue([deadline(**given)], rows, at(now))) == expected


BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"


@pytest.mark.parametrize(
    ("zone", "by", "day", "missed"),
    [
        ("UTC", "07:30", "2026-03-30", "2026-03-30T07:30"),
        (BERLIN, "07:30", "2026-03-28", "2026-03-28T06:30"),
        (BERLIN, "07:30", "2026-03-29", "2026-03-29T05:30"),
        (BERLIN, "07:30", "2026-10-25", "2026-10-25T06:30"),
        # the clock skips it: an hour later by the clock
        (BERLIN, "02:30", "2026-03-29", "2026-03-29T01:30"),
        # it shows it twice: the second time
        (BERLIN, "02:30", "2026-10-25", "2026-10-25T01:30"),
        # the day of a deadline is that of its zone
        (NEW_YORK, "22:00", "2026-03-08", "2026-03-09T02:00"),
        ("Asia/Tokyo", "07:30", "2026-03-08", "2026-03-07T22:30"),
        ("Pacific/Kiritimati", "00:00", "2026-03-08", "2026-03-07T10:00"),
    ],
)
def test_a_time_of_day_is_the_one_on_the_wall(zone: str, by: str, day: str, missed: str) -> None:
    when = datetime.fromisoformat(missed).replace(tzinfo=UTC)
    weekday = date.fromisoformat(day).strftime("%a").lower()
    asked = Deadline(step="x", by=by, zone=zone, days=(weekday,), since=date.fromisoformat(day), environment="prod")  # type: ignore[arg-type]
    assert find_overdue([asked], [], when + timedelta(minutes=4)) == []
    (incident,) = find_overdue([asked], [], when + timedelta(minutes=5))
    assert incident.since == when


@pytest.mark.parametrize(
    ("night", "began"),
    [
        # 02:30 is not there: from 01:30 on, by the clock
        ("2026-03-29", "2026-03-29T00:30"),
        # 02:30 is there twice: from the first on
        ("2026-10-25", "2026-10-25T00:30"),
    ],
)
def test_a_run_counts_from_the_earlier_of_two_times_on(night: str, began: str) -> None:
    day = date.fromisoformat(night)
    asked = deadline(begins="02:30", zone=BERLIN, since=day, environment="prod", project="shop")
    for minutes, expected in ((0, []), (-1, ["open"])):
        started = datetime.fromisoformat(began).replace(tzinfo=UTC) + timedelta(minutes=minutes)
        row = ran("1 00:00", "1 00:00", started_at=started, ended_at=started + timedelta(minutes=10))
        now = datetime.fromisoformat(f"{night}T10:00").replace(tzinfo=UTC)
        assert [one.state for one in find_overdue([asked], [row], now)] == expected


def test_deadlines_of_one_step_are_one_incident_and_the_one_that_matters_most_speaks() -> None:
    soft = deadline(by="07:00", severity="warning", owner="Ann", channel="C0SOFT")
    hard = deadline(by="09:00", severity="critical", owner="Ops", channel="C0HARD", runbook="wake somebody")
    (early,) = find_overdue([soft, hard], FIRST, at("2 08:00"))
    (late,) = find_overdue([soft, hard], FIRST, at("2 09:05"))
    assert early.id == late.id
    assert (early.severity, early.owner, early.declared.observe.channel) == (Severity.WARNING, "Ann", "C0SOFT")
    assert (late.severity, late.owner, late.declared.observe.channel) == (Severity.CRITICAL, "Ops", "C0HARD")
    assert late.declared.observe.runbook == "wake somebody"
    assert (
        tell_change(late, "critical")
        == "Critical now: due by 09:00 UTC; its last run ended 2026-03-01 06:00 UTC: success"
    )


def test_an_incident_keeps_its_id_while_it_lasts_and_after() -> None:
    found = [
        find_overdue([deadline()], rows, at(now))
        for rows, now in (
            (FIRST, "2 08:00"),
            (FIRST, "8 08:00"),
            # the last run but one is all that is known of what was before
            (FIRST, "30 08:00"),
            ([*FIRST, ran("8 09:00", "8 10:00")], "8 11:00"),
        )
    ]
    assert {incident.id for (incident,) in found} == {"d39ae1218729"}
    assert {incident.key for (incident,) in found} == {"shop/prod/overdue/daily.run"}
    (other,) = find_overdue([deadline()], DAILY[:2], at("3 08:00"))
    assert other.id != found[0][0].id


def test_what_ended_in_time_and_was_stored_late_is_over_where_it_was_told(told: Shop, slack: FakeSlack) -> None:
    run(told, at("2 05:00"))
    tick(told.settings, lambda: at("3 07:00"))
    run(told, at("3 05:00"))
    tick(told.settings, lambda: at("3 07:10"))
    assert texts(slack) == [
        "⚪ cleared: dbt run is overdue in shop / default",
        "⚪ It ran in time and was stored late, or no deadline waits for it any more.",
    ]


def test_the_environment_of_the_settings_is_where_a_step_that_was_never_seen_is_waited_for() -> None:
    asked = deadline(since=date(2026, 3, 2))
    others = [ran("1 05:00", "1 06:00", step="daily.test")]
    (incident,) = find_overdue([asked], others, at("2 08:00"), environment="prod")
    assert (incident.project_name, incident.environment, incident.failures[0].message) == (
        "shop",
        "prod",
        "due by 07:30 UTC; no run of it is known",
    )


def test_what_is_told_of_it() -> None:
    rows = [*FIRST, ran("2 05:00", "2 05:10", step="daily.seed"), ran("2 05:10", "2 05:20", step="daily.snapshot")]
    (incident,) = find_overdue([deadline(owner="Data", runbook="ask Ops")], rows, at("3 08:00"))
    message = build_message(incident, now=at("3 08:00"))
    assert (message.headline, message.lines) == (
        "task daily.run is overdue in shop / prod",
        (
            ("Why", "due by 07:30 UTC; its last run ended 2026-03-01 06:00 UTC: success"),
            ("Since", "2026-03-02 07:30 UTC (1 d 30 min ago), seen 2 times, last well 2026-03-01 05:00, dbt run"),
            ("Owner", "Data; runbook: ask Ops"),
            ("Next", "see why task daily.run did not run"),
        ),
    )
    (on_its_way,) = find_overdue([deadline()], rows, at("2 08:00"))
    assert on_its_way.failures[0].message == (
        "due by 07:30 UTC; its last run ended 2026-03-01 06:00 UTC: success; "
        "daily has come as far as snapshot, 2026-03-02 05:20 UTC"
    )


@pytest.mark.parametrize(
    ("outcome", "told"),
    [("success", "It ran, 30 min late."), ("failure", "It ran, 30 min late, and ended with failure.")],
)
def test_that_it_ran_is_told_with_how(outcome: str, told: str) -> None:
    (incident,) = find_overdue([deadline()], [*FIRST, ran("2 07:40", "2 08:00", outcome)], at("2 09:00"))
    assert tell_change(incident, "recovered") == told


def test_of_each_step_the_last_attempt_before_the_look_back_is_known_and_all_since(story: Story) -> None:
    day = timedelta(days=1)
    story.step("run", *passed(A))
    story.step("build", *passed(A), after=80 * day)  # May 21
    story.step("run", *passed(A))
    story.step("run", result(A, "error"), exit_code=1)
    story.step("run", *passed(A), after=20 * day)  # June 10
    story.step("run", *passed(A), args={"empty": True}, after=day)
    story.step("run", *passed(A), alertable=False)
    story.step("test", *passed(TEST_A), environment="qa", dag_run="r1")
    story.step("run", result(A, "error"), exit_code=1)
    question = queries.ATTEMPTS.replace("@since", "TIMESTAMP '2026-06-09 12:00:00+00'")
    assert [
        (row["environment"], row["step"], f"{row['started_at']:%m-%d %H:%M}", row["outcome"], row["last_good_at"])
        for row in story.ask(question)
    ] == [
        ("default", "dbt build", "05-21 06:05", "success", moment("2026-05-21T06:05")),
        ("default", "dbt run", "05-21 06:15", "failure", moment("2026-05-21T06:10")),
        ("default", "dbt run", "06-10 06:15", "success", moment("2026-06-10T06:15")),
        ("default", "dbt run", "06-11 06:30", "failure", moment("2026-06-10T06:15")),
        ("qa", "daily.test", "06-11 06:25", "success", moment("2026-06-11T06:25")),
    ]
    later = queries.ATTEMPTS.replace("@since", "TIMESTAMP '2026-08-25 00:00:00+00'")
    assert [row["step"] for row in story.ask(later)] == ["dbt run", "daily.test"], "the build is 96 days ago by then"


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# --- the whole way ----------------------------------------------------------------------------------------------------


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack("alerts") as running:
        yield running


@pytest.fixture
def told(tmp_path: Path, slack: FakeSlack) -> Shop:
    """A shop of which `dbt run` is to have ended by 07:30, in Berlin."""
    to = SlackSettings(
        token=SecretStr(slack.token), channel=slack.channels["alerts"].id, base_url=slack.url, settle_seconds=0
    )
    due = Deadline(step="dbt run", by="07:30", zone=BERLIN)
    store = f"duckdb:///{tmp_path}/audit.duckdb"
    return Shop(tmp_path, Settings(store=store, spool_dir=tmp_path / "spool", slack=to, deadlines=(due,)))


def run(told: Shop, when: datetime, **given: Any) -> None:
    """Load a run that begins then; it takes a minute."""
    told.minutes = int((when - MORNING).total_seconds() / 60) - 5
    told.step("run", *passed(A, B, C), **given)


def texts(slack: FakeSlack) -> list[str]:
    return [message.text.partition(" (")[0] for message in slack.messages("alerts")]


def test_what_is_overdue_is_told_once_and_over_when_it_comes(told: Shop, slack: FakeSlack) -> None:
    run(told, at("2 05:00"))
    assert tick(told.settings, lambda: at("3 06:30")).telling.done == 0
    for clock in ("06:35", "06:40", "06:50"):
        tick(told.settings, partial(at, f"3 {clock}"))
    assert texts(slack) == ["🟠 error: dbt run is overdue in shop / default"]
    run(told, at("3 07:59"))
    for clock in ("09:00", "09:10"):
        tick(told.settings, partial(at, f"3 {clock}"))
    (first,) = list_incidents(told.settings, at("3 12:00"), days=7)
    assert texts(slack) == ["✅ well again: dbt run is overdue in shop / default", "✅ It ran, 1 h 30 min late."]
    tick(told.settings, lambda: at("5 08:00"))
    last = "due by 07:30 Europe/Berlin; its last run ended 2026-03-03 08:00 UTC: success"
    assert texts(slack)[2:] == ["🟠 error: dbt run is overdue in shop / default"], "a day later, anew"
    assert last in str(slack.messages("alerts")[-1].blocks)
    (second,) = current_status(told.settings, at("5 08:00")).incidents
    assert (second.since, second.bad_runs, second.key) == (at("4 06:30"), 2, first.key)
    assert second.id != first.id
    run(told, at("5 08:10"))
    tick(told.settings, lambda: at("5 08:20"))
    assert texts(slack)[3:] == ["✅ It ran, 1 d 1 h late."]
    assert slack.messages("alerts")[3].thread_ts == slack.messages("alerts")[2].ts


def test_neither_a_backfill_nor_a_run_that_builds_nothing_is_the_run_that_is_due(told: Shop, slack: FakeSlack) -> None:
    run(told, at("2 05:00"))
    run(told, at("3 05:00"), alertable=False)
    run(told, at("3 05:30"), args={"empty": True})
    tick(told.settings, lambda: at("3 06:40"))
    assert texts(slack) == ["🟠 error: dbt run is overdue in shop / default"]


def test_people_can_answer_it_and_the_digest_has_it(told: Shop, slack: FakeSlack) -> None:
    run(told, at("2 05:00"))
    now = at("3 07:00")
    alert(told.settings, lambda: now)
    act(told.settings, "dbt run", Deed(action=Action.RESOLVE, acted_by="ann", reason="a holiday"), now)
    alert(told.settings, lambda: now)
    assert texts(slack)[1:] == ["☑️ Resolved by ann: a holiday."]
    payload, _ = send_digest(told.settings, lambda: at("4 06:40"), dry_run=True)
    assert payload.text == "📋 1 open", "the next deadline was missed too"
    assert query_view(told.settings, "incidents", now).table.num_rows == 0, "settings are no facts"


def test_what_no_deadline_waits_for_any_more_is_told_as_that(told: Shop, slack: FakeSlack) -> None:
    run(told, at("2 05:00"))
    tick(told.settings, lambda: at("3 07:00"))
    without = told.settings.model_copy(update={"deadlines": ()})
    assert tick(without, lambda: at("3 08:00")).telling.done == 0, "who knows no deadline says nothing of them"
    other = told.settings.model_copy(update={"deadlines": (deadline(),)})
    for _ in range(2):
        tick(other, lambda: at("3 08:10"))
    assert texts(slack) == [
        "⚪ cleared: dbt run is overdue in shop / default",
        "⚪ It ran in time and was stored late, or no deadline waits for it any more.",
    ]


def test_nothing_is_overdue_where_there_are_no_deadlines(told: Shop) -> None:
    run(told, at("2 05:00"))
    without = told.settings.model_copy(update={"deadlines": ()})
    assert current_status(without, at("3 08:00")).incidents == ()
    (incident,) = current_status(told.settings, at("3 08:00")).incidents
    assert (incident.kind, incident.resource_type) == (Kind.RUN_OVERDUE, "step")


def test_what_was_kept_aside_is_stored_before_it_is_asked_what_is_overdue(told: Shop, slack: FakeSlack) -> None:
    run(told, at("2 05:00"))
    elsewhere = told.settings
    told.settings = elsewhere.model_copy(update={"store": f"duckdb:///{told.folder}/other.duckdb"})
    run(told, at("3 05:00"))
    store = open_store(elsewhere)
    Spool(elsewhere.spool_dir, store.url).keep(stored_elsewhere(told.settings))
    done = tick(elsewhere, lambda: at("3 07:00"))
    assert (done.replay, done.telling.done, slack.requests) == (Replay(1, 0, 0, ()), 0, [])


def stored_elsewhere(settings: Settings) -> PreparedLoad:
    """The one load of a store, as it would be kept aside for another."""
    store = open_store(settings)
    tables = {name: store.query(f"SELECT t.* FROM {{raw}}.{name} AS t") for name in (*WRITTEN, COMMIT)}
    return PreparedLoad({name: table for name, table in tables.items() if table.num_rows or name == COMMIT})


def test_a_tick_before_anything_was_stored_tells_nothing(told: Shop, slack: FakeSlack) -> None:
    done = tick(told.settings, lambda: at("3 08:00"))
    assert (done.is_well, done.replay.stored, done.telling.done) == (True, 0, 0)
    assert slack.requests == []
