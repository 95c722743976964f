"""What people did counts for the incident, and while it is what it was."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from test_delivery import incident

from observability.alerts.actions import attend
from observability.alerts.incidents import Attention, Incident, State
from observability.alerts.message import tell_attention

NUMBERS: Iterator[int] = count()
SEEN = incident().seen_at
NOW = SEEN + timedelta(hours=2)


def did(
    action: str, one: Incident | None = None, at: datetime = SEEN + timedelta(hours=1), **given: Any
) -> dict[str, Any]:
    of = one or incident()
    row = {"load_id": f"{next(NUMBERS):09}", "loaded_at": at, "incident_id": of.id, "kind": of.kind.value}
    return row | {"action": action, "acted_by": "ann", "until": None, "reason": None} | given


def after(*actions: dict[str, Any], one: Incident | None = None, now: datetime = NOW) -> Incident:
    (found,) = attend([one or incident()], actions, now)
    return found


def test_without_any_action_nothing_is_different() -> None:
    assert after() == incident()


def test_who_acknowledges_it_is_on_it() -> None:
    found = after(did("ack", reason="looking at it"))
    assert found.attention == Attention(acted_by="ann", reason="looking at it")
    assert tell_attention(found) == "ann is on it: looking at it"
    assert after(did("ack"), did("ack", acted_by="ben")).attention == Attention(acted_by="ben")


def test_a_snooze_ends_by_itself_or_by_hand_and_leaves_the_ack() -> None:
    snooze = did("snooze", until=NOW + timedelta(hours=1))
    assert tell_attention(after(snooze)) == "snoozed until 2026-03-02 09:00 UTC by ann"
    assert after(snooze, now=NOW + timedelta(hours=1)).attention is None
    assert after(snooze, did("unsnooze")).attention is None
    assert after(did("ack"), did("snooze", until=NOW)).attention == Attention(acted_by="ann")


def test_what_was_done_about_another_incident_or_another_kind_does_not_count() -> None:
    another = incident(number=2)
    assert after(did("ack", another)).attention is None
    assert after(did("ack"), one=incident(rows=3)).attention is None


@pytest.mark.parametrize("state", [State.OPEN, State.FIXED])
def test_what_somebody_resolves_is_over_until_it_is_seen_again(state: State) -> None:
    one = incident(state=state)
    found = after(did("ack"), did("resolve", one, reason="by hand"), one=one)
    assert (found.state, found.closed_at) == (State.RESOLVED, SEEN + timedelta(hours=1))
    again = after(did("ack"), did("resolve", one, at=SEEN - timedelta(seconds=1)), one=one)
    assert (again.state, again.attention) == (state, None)


def test_what_is_over_by_itself_stays_as_it_ended() -> None:
    assert after(did("resolve"), one=incident(state=State.RECOVERED)).state is State.RECOVERED
