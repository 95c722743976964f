"""The morning's summary: what is at risk, what is open and for how long, what came and what went. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from observability.alerts.exposures import Exposure
from observability.alerts.incidents import Incident, State, exposures_at_risk
from observability.alerts.message import build_message, duration, tell_attention

SINCE = timedelta(hours=24)
"""How far a digest looks back."""


@dataclass(frozen=True)
class Entry:
    """An incident in a line; `note` says how long it has been open, or took, and who is on it."""

    incident: Incident
    headline: str
    note: str
    permalink: str | None = None


@dataclass(frozen=True)
class Digest:
    """What is told of a day. Each list has the worst first."""

    at: datetime
    at_risk: tuple[tuple[Exposure, tuple[Incident, ...]], ...]
    open: tuple[Entry, ...]
    new: int
    """How many of those that are open began since the last one."""
    over: tuple[Entry, ...]
    muted: tuple[Entry, ...]


def build_digest(
    incidents: Sequence[Incident], now: datetime, *, permalinks: Mapping[str, str], muted: Mapping[str, str]
) -> Digest:
    """The digest of all incidents that are not over or ended since SINCE.

    `permalinks` are those of their messages, and `muted` why nothing is told of some, by incident id.
    """
    told = [one for one in incidents if one.alertable]
    now_open = [one for one in told if one.state is State.OPEN]

    def entries(some: Iterable[Incident]) -> tuple[Entry, ...]:
        return tuple(_entry(one, now, permalinks.get(one.id), muted.get(one.id)) for one in some)

    return Digest(
        at=now,
        at_risk=tuple((exposure, tuple(hurting)) for exposure, hurting in exposures_at_risk(now_open)),
        open=entries(one for one in now_open if one.id not in muted),
        new=sum(now - one.since <= SINCE for one in now_open if one.id not in muted),
        over=entries(one for one in told if one.state is not State.OPEN and _ended_since(one, now)),
        muted=entries(one for one in now_open if one.id in muted),
    )


def _ended_since(one: Incident, now: datetime) -> bool:
    return one.state is State.FIXED or (one.closed_at is not None and now - one.closed_at <= SINCE)


def _entry(one: Incident, now: datetime, permalink: str | None, muted: str | None) -> Entry:
    if one.state is State.OPEN:
        note = [f"for {duration((now - one.since).total_seconds())}", tell_attention(one), muted or ""]
    elif one.state is State.FIXED:
        note = ["fixed, not rebuilt"]
    else:
        note = [f"{one.state.value} after {duration(((one.closed_at or now) - one.since).total_seconds())}"]
    return Entry(one, build_message(one).headline, ", ".join(filter(None, note)), permalink)
