"""What is told next: pure, from what was told last and what is now."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from test_delivery import incident

from observability.alerts.exposures import Exposure, Risk
from observability.alerts.incidents import Attention, Incident, Kind, Severity, State
from observability.alerts.links import Links
from observability.alerts.message import build_message
from observability.alerts.notices import Manner, Notice, give_notice
from observability.alerts.outbox import Stream, Told, next_step, read_streams
from observability.config import SlackSettings

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
SNOOZED = Attention(acted_by="ann", snoozed_until=NOW + timedelta(hours=1))


def notice(one: Incident, **given: Any) -> Notice:
    return Notice(one, "C1", build_message(one), **given)


def row(transition: str, told: Told | None, *, seq: int = 1, at: datetime = NOW, **given: Any) -> dict[str, Any]:
    """A step that was done."""
    made = {"load_id": f"{seq:04}", "loaded_at": at, "incident_key": "k", "stream": "C1/k", "seq": seq}
    made |= {"transition": transition, "operation": "post", "state": "done", "channel": "C1", "message_ts": "1.0"}
    made |= {"thread_ts": None, "shown": "as it was", "error": None, "attempts": 1}
    return made | {"told": msgspec.json.encode(told).decode() if told else None} | given


def told(one: Incident, **given: Any) -> Stream:
    """A stream in which this incident was told."""
    return read_streams([row("opened", Told.of(notice(one, **given), None))])["C1/k"]


def step(stream: Stream, given: Notice, *, shown: str = "as it was", **more: Any) -> tuple[str, str, bool] | None:
    found = next_step(stream, given, shown, NOW, **more)
    return (found.operation.value, found.transition, found.broadcast) if found else None


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (incident(), incident(), None),
        (incident(), incident(state=State.FIXED), ("reply", "fixed", False)),
        (incident(), incident(state=State.RECOVERED), ("reply", "recovered", False)),
        (incident(), incident(state=State.WITHDRAWN), ("reply", "withdrawn", False)),
        (incident(), incident(state=State.EXPIRED), ("reply", "expired", False)),
        (incident(), incident(state=State.RESOLVED), ("reply", "resolved", False)),
        (incident(state=State.FIXED), incident(), ("reply", "reopened", True)),
        (incident(), incident(rows=3, seen_at=NOW), ("reply", "turned", True)),
        (incident(), incident(rows=3), ("update", "turned", False)),  # the model is mended, the test was seen before
        (incident(severity=Severity.WARNING), incident(), ("reply", "worse", True)),
        (incident(), incident(severity=Severity.CRITICAL), ("reply", "critical", True)),
        (incident(severity=Severity.CRITICAL), incident(), None),
        (incident(rows=100), incident(rows=199), None),
        (incident(rows=100), incident(rows=200), ("reply", "worse", True)),
        (incident(rows=60), incident(rows=159), None),
        (incident(rows=0), incident(rows=99), None),
        (incident(rows=0), incident(rows=100), ("reply", "worse", True)),
        (incident(attention=SNOOZED), incident(), ("reply", "called", True)),
        (incident(attention=replace(SNOOZED, snoozed_until=None)), incident(), None),
    ],
)  # fmt: skip
def test_a_change_is_told_by_what_it_is(before: Incident, now: Incident, expected: object) -> None:
    assert step(told(before), notice(now)) == expected


def test_a_message_is_brought_up_to_date_before_its_thread_is_told() -> None:
    stream = told(incident())
    assert step(stream, notice(incident(state=State.FIXED)), shown="now") == ("update", "changed", False)
    assert step(stream, notice(incident()), shown="now") == ("update", "changed", False)


def test_an_edit_tells_that_it_was_seen_again_unless_there_is_more_to_tell() -> None:
    seen = next_step(told(incident()), notice(incident(seen_at=NOW)), "now", NOW)
    assert seen is not None
    assert seen.told == replace(Told.of(notice(incident()), None), seen_at=NOW)
    turned = next_step(told(incident()), notice(incident(rows=3, seen_at=NOW)), "now", NOW)
    assert turned is not None
    assert (turned.transition, turned.told) == ("changed", None)


def test_a_mention_that_was_held_back_comes_when_it_may() -> None:
    held = told(incident())
    assert step(held, notice(incident(), mention=("U0ANN",))) == ("reply", "called", True)
    called = told(incident(), mention=("U0ANN",))
    assert step(called, notice(incident(), mention=("U0ANN",))) is None
    missed = incident(number=2)
    assert step(called, notice(missed, mention=("U0ANN",))) is None, "it was well for a moment in which nobody looked"


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (incident(rows=300), ("update", "worse", False)),
        (incident(rows=100, severity=Severity.CRITICAL), ("reply", "critical", True)),
        (incident(rows=100, state=State.FIXED), ("reply", "fixed", False)),
        (incident(rows=100, state=State.RECOVERED), ("reply", "recovered", False)),
    ],
)
def test_while_somebody_is_on_it_nobody_is_called_unless_it_becomes_critical(now: Incident, expected: object) -> None:
    assert step(told(incident(rows=100)), notice(now, manner=Manner.QUIETLY)) == expected


def test_while_it_is_muted_a_message_that_is_there_is_edited_and_nothing_else_is_told() -> None:
    silently: dict[str, Any] = {"manner": Manner.SILENTLY}
    assert step(Stream("C1/k"), notice(incident(), **silently)) is None
    for now in (incident(state=State.RECOVERED), incident(rows=900), incident(severity=Severity.CRITICAL)):
        assert step(told(incident()), notice(now, **silently)) is None
        assert step(told(incident()), notice(now, **silently), shown="now") == ("update", "changed", False)
    assert step(told(incident()), notice(incident(state=State.RECOVERED))) == ("reply", "recovered", False), "later"


def test_where_nothing_can_be_edited_openings_and_endings_are_told() -> None:
    opened = told(incident())
    assert step(opened, notice(incident(state=State.FIXED)), shown="now", edits=False) is None
    assert step(opened, notice(incident(rows=900)), shown="now", edits=False) is None
    assert step(opened, notice(incident(state=State.RECOVERED)), shown="now", edits=False) == (
        "reply", "recovered", False,
    )  # fmt: skip


def test_what_was_given_up_counts_as_told_until_it_is_taken_up_again() -> None:
    was = Told.of(notice(incident()), None)
    dead = row("opened", was, state="dead", message_ts=None, error="no")
    stream = read_streams([dead])["C1/k"]
    assert (stream.told, stream.refused, stream.is_stuck) == (was, "no", True)
    assert step(stream, notice(incident(rows=900))) is None
    revived = read_streams([dead, {**dead, "load_id": "0002", "state": "failed", "attempts": 0}])["C1/k"]
    assert step(revived, notice(incident())) == ("post", "opened", False)


def test_told_as_an_earlier_version_wrote_it_is_read() -> None:
    earlier = '{"incident_id":"a1","state":"open","kind":"node_error","rows":0}'
    assert msgspec.json.decode(earlier, type=Told) == Told("a1", State.OPEN, Kind.NODE_ERROR, 0)


BOARD = Exposure(
    unique_id="exposure.shop.board", name="Board", owner=None, owner_email=None, url=None, distance=1,
    risk=Risk.STALE, channel="#board",
)  # fmt: skip


def given(one: Incident, *rows: dict[str, Any], **settings: Any) -> list[tuple[str, Manner, tuple[str, ...], str]]:
    slack = SlackSettings.model_validate({"channel": "C1", **settings})
    found = give_notice([one], read_streams(rows), slack, Links({}), NOW)
    return [(notice.channel, notice.manner, notice.mention, notice.note) for notice in found]


def test_an_exposures_people_are_told_in_their_channel_without_a_mention() -> None:
    one = incident(exposures=(BOARD,))
    assert given(one, channels={"C1": {"mention": ["S0ONCALL"]}}) == [
        ("C1", Manner.ALOUD, ("S0ONCALL",), ""),
        ("#board", Manner.ALOUD, (), "it hurts an exposure of yours"),
    ]


def test_a_channel_that_is_no_longer_meant_hears_the_end_of_what_it_was_told() -> None:
    one = incident()
    stream = f"C9/{one.key}"
    before = row("opened", Told.of(notice(one), None), stream=stream, channel="C9")
    assert given(one, before) == [("C1", Manner.ALOUD, (), ""), ("C9", Manner.QUIETLY, (), "")]
    over = row("recovered", Told.of(notice(incident(state=State.RECOVERED)), None), stream=stream, seq=2)
    assert given(one, before, over) == [("C1", Manner.ALOUD, (), "")]


def test_where_nothing_is_configured_nobody_is_told() -> None:
    assert given(incident(), channel=None) == []


def test_what_is_muted_or_acknowledged_is_told_that_way() -> None:
    acknowledged = incident(attention=Attention(acted_by="ann"))
    assert given(acknowledged) == [("C1", Manner.QUIETLY, (), "")]
    assert given(acknowledged, rules=[{"mute": True}]) == [("C1", Manner.SILENTLY, (), "")]
