"""Telling Slack: a life of incidents under faults, each change told once, in order, in the right thread."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copyfile

import pytest
from fake_slack import FakeSlack, Fault, Message
from shop import MORNING

from observability.alerts.delivery import Teller, Telling
from observability.alerts.incidents import Failure, Incident, Kind, Severity, State
from observability.alerts.message import build_message
from observability.alerts.notices import Notice
from observability.alerts.slack.client import SlackClient
from observability.errors import TellingError
from observability.stores.duckdb import DuckDBStore

CHANNEL = "alerts"


def incident(
    name: str = "a", state: State = State.OPEN, *, number: int = 1, rows: int | None = None, **given: object
) -> Incident:
    """An incident of a model or, where rows are given, of a test on it."""
    failure = Failure(
        unique_id=f"model.shop.{name}",
        name=name,
        resource_type="model",
        status="error" if rows is None else "fail",
        outcome="failure",
        message="Database Error in model a\n  no such column",
        failures=rows,
        since=MORNING,
        seen_at=MORNING,
    )
    made = Incident(
        key=f"shop/prod/db.main/model.shop.{name}",
        id=f"{name}{number}",
        project_name="shop",
        environment="prod",
        kind=Kind.NODE_ERROR if rows is None else Kind.TEST_FAILURE,
        severity=Severity.ERROR,
        state=state,
        subject=f"model.shop.{name}",
        name=name,
        failures=(failure,),
        since=MORNING + timedelta(minutes=number),
        seen_at=MORNING,
        closed_at=MORNING + timedelta(hours=2) if state.is_over else None,
    )
    return replace(made, **given)  # type: ignore[arg-type]


class Clock:
    """A clock that only pauses move on."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 8, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def seconds(self) -> float:
        return self.now.timestamp()

    def pause(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Held:
    """A lease that lasts."""

    def seconds_left(self) -> float:
        return 1e9


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slack(clock: Clock) -> Iterator[FakeSlack]:
    with FakeSlack(CHANNEL, now=clock.seconds) as running:
        yield running


@pytest.fixture
def store(tmp_path: Path, empty_duckdb_file: Path) -> DuckDBStore:
    return DuckDBStore(copyfile(empty_duckdb_file, tmp_path / "audit.duckdb"))


class Office:
    """One channel and who tells there."""

    def __init__(self, store: DuckDBStore, slack: FakeSlack, clock: Clock) -> None:
        self.store, self.slack, self.clock = store, slack, clock
        self.channel = slack.channels[CHANNEL].id

    def teller(self) -> Teller:
        client = SlackClient(self.slack.token, self.slack.url, timeout_seconds=1)
        return Teller(self.store, client, Held(), pace_seconds=0, clock=self.clock, pause=self._pause)

    def _pause(self, seconds: float) -> None:
        self.slack.release_late_effects()
        self.clock.pause(seconds)

    def tell(self, *incidents: Incident, after: timedelta = timedelta()) -> Telling:
        self.clock.now += after
        return self.give(*(self.notice(one) for one in incidents))

    def notice(self, one: Incident, **given: object) -> Notice:
        return replace(Notice(one, self.channel, build_message(one)), **given)  # type: ignore[arg-type]

    def give(self, *notices: Notice) -> Telling:
        teller = self.teller()
        teller.streams(self.store)
        return teller.tell(notices)

    @property
    def messages(self) -> list[Message]:
        return self.slack.messages(CHANNEL)

    @property
    def parents(self) -> list[Message]:
        return [message for message in self.messages if not message.thread_ts or message.thread_ts == message.ts]

    def replies(self, parent: Message) -> list[str]:
        return [
            message.text.partition(" (")[0]
            for message in self.messages
            if message.thread_ts == parent.ts and message.ts != parent.ts
        ]


@pytest.fixture
def office(store: DuckDBStore, slack: FakeSlack, clock: Clock) -> Office:
    return Office(store, slack, clock)


def test_an_incident_is_one_message_that_is_edited_and_closed(office: Office) -> None:
    assert office.tell(incident()).done == 1
    assert office.tell(incident()) == Telling()
    office.tell(incident(bad_runs=2))
    office.tell(incident(state=State.FIXED, blocked=("model.shop.b",)))
    office.tell(incident(state=State.RECOVERED))
    (parent,) = office.parents
    assert office.replies(parent) == ["🛠️ Fixed. 1 not rebuilt yet: b.", "✅ Well again after 1 h 59 min."]
    assert parent.text.startswith("✅ well again: model a failed in shop / prod")
    assert parent.edits[0].text.startswith("🟠 error: ")
    assert office.tell(incident(state=State.RECOVERED)).done == 0


def test_what_comes_back_within_a_day_is_told_in_its_thread_and_later_anew(office: Office) -> None:
    office.tell(incident())
    office.tell(incident(state=State.RECOVERED))
    office.tell(incident(number=2), after=timedelta(hours=23))
    office.tell(incident(number=2, state=State.RECOVERED))
    office.tell(incident(number=3), after=timedelta(hours=25))
    first, second = office.parents
    assert [text[:9] for text in office.replies(first)] == ["✅ Well ag", "🔁 Failing", "✅ Well ag"]
    assert office.replies(second) == []


def test_what_comes_and_goes_only_edits_its_message(office: Office) -> None:
    for number in range(1, 6):
        office.tell(incident(number=number), after=timedelta(minutes=10))
        office.tell(incident(number=number, state=State.RECOVERED), after=timedelta(minutes=10))
    (parent,) = office.parents
    assert len(office.replies(parent)) == 5, (
        "recovered, back, recovered, back, recovered; from the third return on, only the message says so"
    )
    assert parent.text.startswith("✅")


def test_worse_is_told_to_the_channel(office: Office) -> None:
    office.tell(incident(rows=60))
    office.tell(incident(rows=119))
    office.tell(incident(rows=300))
    office.tell(incident(rows=310))
    (parent,) = office.parents
    (reply,) = [message for message in office.messages if message.ts != parent.ts]
    assert (reply.thread_ts, reply.broadcast) == (parent.ts, True)
    assert reply.text.startswith("🔺 Worse: 300 rows broke a")
    office.tell(incident(seen_at=MORNING + timedelta(hours=1)))
    assert office.messages[-1].text.startswith("🔺 Now model a failed in shop / prod: no such column")


def test_many_at_once_are_a_summary_with_a_thread(office: Office) -> None:
    office.tell(incident("z"))
    told = [incident(f"m{number}") for number in range(30)]
    office.tell(incident("z"), *told)
    _, summary = office.parents
    assert summary.text == "30 things are wrong"
    assert "and 20 more, each of them in this thread" in str(summary.blocks)
    assert len(office.replies(summary)) == 30
    office.tell(incident("m7", State.RECOVERED))
    assert len(office.parents) == 2
    assert office.messages[-1].thread_ts == summary.ts


@pytest.mark.parametrize("error", ["invalid_auth", "token_revoked", "missing_scope"])
def test_an_app_that_may_tell_nothing_is_an_error_and_nothing_is_lost(office: Office, error: str) -> None:
    office.slack.script(Fault.OK_FALSE, error=error)
    with pytest.raises(TellingError, match=error):
        office.tell(incident())
    assert office.tell(incident()).done == 1
    assert len(office.messages) == 1


@pytest.mark.parametrize("error", ["channel_not_found", "not_in_channel", "is_archived"])
def test_a_channel_that_takes_nothing_is_told_and_keeps_no_other(office: Office, error: str) -> None:
    other = office.slack.add_channel("other")
    office.slack.script(Fault.OK_FALSE, error=error, times=2, match=lambda body: body["channel"] == office.channel)
    notices = [
        office.notice(incident("a")),
        office.notice(incident("b")),
        office.notice(incident("c"), channel=other.id),
    ]
    telling = office.give(*notices)
    assert (telling.done, telling.failed, telling.left) == (1, 1, 2)
    assert [problem.partition(";")[0] for problem in telling.problems] == [f"{office.channel}: {error}"]
    assert [message.text.split()[3] for message in office.slack.messages("other")] == ["c"]
    assert office.give(*notices).failed == 1
    assert office.give(*notices).done == 3, "a summary and two, once the channel is mended"


def test_blocks_that_slack_refuses_are_told_as_plain_text_and_reported(office: Office) -> None:
    office.slack.script(Fault.INVALID_BLOCKS)
    told = office.tell(incident())
    assert told.done == 1
    (problem,) = told.problems
    assert "sent as plain text: invalid_blocks: " in problem
    (message,) = office.messages
    assert message.blocks == []
    assert message.text.startswith("🟠 error: ")


def test_a_step_that_always_fails_is_given_up_and_keeps_no_other(office: Office) -> None:
    office.slack.script(
        Fault.OK_FALSE, error="as_user_not_supported", times=99, match=lambda body: "model a " in body["text"]
    )
    office.tell(incident("z"))
    outcomes = [office.tell(incident("a"), incident("b"), incident("z")) for _ in range(6)]
    assert [(one.done, one.failed, one.dead) for one in outcomes] == [(1, 1, 0), *[(0, 1, 0)] * 3, (0, 0, 1), (0, 0, 0)]
    assert [message.text.split()[3] for message in office.messages] == ["z", "b"]


def test_a_summary_that_failed_is_told_later_also_when_more_is_open_by_then(office: Office) -> None:
    office.slack.script(Fault.OK_FALSE, error="msg_too_long", times=3)
    assert office.tell(incident("a"), incident("b")).failed == 3
    assert office.tell(incident("a"), incident("b"), incident("c")).left == 0
    (summary,) = office.parents
    assert summary.text == "3 things are wrong"
    assert [text[:1] for text in office.replies(summary)] == ["🟠"] * 3


def test_that_slack_is_away_is_no_reason_to_give_up(office: Office) -> None:
    office.slack.script(Fault.HTTP_429, times=1000)
    outcomes = {(one.done, one.failed, one.dead) for one in (office.tell(incident()) for _ in range(20))}
    assert outcomes == {(0, 1, 0)}
    office.slack.heal()
    assert office.tell(incident()).done == 1


@pytest.mark.parametrize("fault", [Fault.HTTP_503, Fault.HTTP_429, Fault.RESET_BEFORE])
def test_while_slack_is_away_it_is_tried_a_few_times_and_told_later_once(office: Office, fault: Fault) -> None:
    told = [incident(name) for name in "abcdefg"]
    office.tell(incident("z"))
    office.slack.script(fault, times=1000)
    telling = office.tell(incident("z"), *told)
    assert (telling.done, telling.dead, telling.left) == (0, 0, 7)
    assert "Slack takes nothing now: " in telling.problems[0]
    assert len(office.slack.calls("chat.postMessage")) <= 1 + 5, "not each of them several times"
    office.slack.heal()
    assert office.tell(incident("z"), *told).left == 0
    assert sorted(message.text.split()[3] for message in office.messages) == [*"abcdefg", "wrong", "z"]


def test_without_the_history_a_post_may_be_a_repeat_and_says_so(office: Office) -> None:
    office.tell(incident("z"))
    office.slack.scopes.discard("channels:history")
    office.slack.script(Fault.RESET_AFTER)
    office.slack.script(Fault.OK_FALSE, error="msg_too_long")
    office.tell(incident("z"), incident())
    office.tell(incident("z"), incident())
    first, second = office.parents[1:]
    assert "may be a repeat" not in first.text
    assert second.text.endswith("(may be a repeat)")
    assert second.blocks[-1]["elements"][0]["text"] == "may be a repeat", "where there are blocks, only they are shown"
    assert "may be a repeat" not in str(first.blocks)
