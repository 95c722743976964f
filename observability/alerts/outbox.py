"""What was told and what is to be told next. Pure: rows of `deliveries` and incidents in, steps out.

A stream is one subject in one channel: a message that is edited as the incident changes, and a thread below it. What
was told last is held against what is now; states that came and went between two looks are not told.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any

import msgspec

from observability.alerts.incidents import Incident, Kind, Severity, State
from observability.alerts.meta import Record
from observability.alerts.notices import Manner, Notice

SAME_THREAD = timedelta(hours=24)
"""What comes back within this time is told in the thread that it had."""
_FLAPPING = 3
"""Returns within SAME_THREAD from which on only the message is edited."""
FOR_ALL = frozenset({"worse", "turned", "critical", "called", "reopened"})
"""What is shown in the channel too, not in the thread alone, and mentions people."""
_ENDS = frozenset(state.value for state in State if state.is_over)
_WITHOUT_EDITS = _ENDS | {"reopened"}
"""What is told where messages can be neither edited nor answered."""
_WORSE_BY = 100
"""Rows that a doubling must amount to."""


class Operation(StrEnum):
    """What is asked of Slack."""

    POST = "post"
    REPLY = "reply"
    UPDATE = "update"


@dataclass(frozen=True)
class Told:
    """What people were told of an incident."""

    incident_id: str
    state: State
    kind: Kind
    rows: int
    severity: Severity = Severity.ERROR
    mentioned: bool = False
    """Whether somebody was called to it."""
    attention: str = ""
    """acked or snoozed, where the message says so."""
    seen_at: datetime | None = None
    """When it had last been seen bad."""
    headline: str = ""

    @classmethod
    def of(cls, notice: Notice, before: "Told | None") -> "Told":
        """What telling this tells."""
        one = notice.incident
        mentioned = bool(notice.mention) or bool(before and before.incident_id == one.id and before.mentioned)
        return cls(
            incident_id=one.id,
            state=one.state,
            kind=one.kind,
            rows=one.rows,
            severity=one.severity,
            mentioned=mentioned,
            attention=_attention(one),
            seen_at=one.seen_at,
            headline=notice.message.headline,
        )


@dataclass
class Stream:
    """What a channel knows of a subject."""

    name: str
    incident_key: str = ""
    channel: str = ""
    seq: int = 0
    thread_ts: str | None = None
    message_ts: str | None = None
    told: Told | None = None
    shown: str | None = None
    endings: list[datetime] = field(default_factory=list)
    """When it was told that it is over."""
    returns: list[datetime] = field(default_factory=list)
    """When it was told that it is back."""
    last: Record | None = None
    """The last row of the last step."""

    @property
    def pending(self) -> Record | None:
        """The intent of which the outcome is not known."""
        return self.last if self.last and self.last["state"] in {"intended", "unclear"} else None

    @property
    def refused(self) -> str | None:
        """Why its first message is not in Slack, where it was tried."""
        if self.message_ts is None and self.last and self.last["state"] in {"failed", "dead"}:
            return str(self.last["error"] or "unknown")
        return None

    @property
    def is_stuck(self) -> bool:
        """Whether the last step did not get there: given up, or to be tried again."""
        return bool(self.last) and self.last["state"] in {"failed", "dead"}  # type: ignore[index]

    @property
    def failed(self) -> Record | None:
        """The last step, where it certainly failed and may be tried again."""
        return self.last if self.last and self.last["state"] == "failed" else None

    def take(self, row: Record) -> None:
        """Learn what became of a step."""
        self.last, self.seq, self.channel = row, row["seq"], row["channel"]
        self.incident_key = row["incident_key"] or self.incident_key
        if row["state"] not in {"done", "dead"}:
            return
        # what was given up counts as told: else it would be tried for ever
        if row["operation"] == Operation.POST:
            self.message_ts, self.thread_ts = row["message_ts"], row["thread_ts"] or row["message_ts"]
        if row["operation"] in {Operation.POST, Operation.UPDATE}:
            self.shown = row["shown"]
        if row["told"]:
            self._learn(msgspec.json.decode(row["told"], type=Told), row["loaded_at"])

    def _learn(self, told: Told, at: datetime) -> None:
        if told.state.is_over:
            self.endings.append(at)
        elif self.told and self.told.state.is_over:
            self.returns.append(at)
        self.told = told


@dataclass(frozen=True)
class Step:
    """One thing to tell in one stream."""

    operation: Operation
    transition: str
    told: Told | None
    """None where nobody is told anything new: the message is only brought up to date."""
    shown: str | None
    broadcast: bool = False


def read_streams(rows: Iterable[Record]) -> dict[str, Stream]:
    """The streams by name, from all rows of `deliveries`: of each step the row that was written last counts."""
    latest: dict[tuple[str, int], Record] = {}
    for row in sorted(rows, key=lambda row: str(row["load_id"])):
        latest[row["stream"], row["seq"]] = row
    streams: dict[str, Stream] = {}
    for name, seq in sorted(latest):
        streams.setdefault(name, Stream(name)).take(latest[name, seq])
    return streams


def next_step(stream: Stream, notice: Notice, shown: str, now: datetime, *, edits: bool = True) -> Step | None:
    """What is to be told of an incident next, in a stream in which nothing is pending; None where all is told.

    `shown` is the digest of the message as it would be now. Without `edits`, only openings and endings are told.
    """
    transition = _transition(stream, notice, now)
    told = Told.of(notice, stream.told)
    if transition == "opened":
        return Step(Operation.POST, transition, told, shown) if notice.manner is not Manner.SILENTLY else None
    if stream.message_ts is None:
        return None
    if notice.manner is Manner.SILENTLY or not (edits or transition in _WITHOUT_EDITS):
        transition = None
    if edits and transition and _is_only_edited(transition, stream, notice, now):
        return Step(Operation.UPDATE, transition, told, shown)
    if edits and stream.shown != shown:
        # what is still to be told of it in the thread is not told by this
        return Step(Operation.UPDATE, "changed", None if transition else _noticed(stream.told, notice.incident), shown)
    return Step(Operation.REPLY, transition, told, None, transition in FOR_ALL) if transition else None


def _is_only_edited(transition: str, stream: Stream, notice: Notice, now: datetime) -> bool:
    """Whether nobody is called: it comes and goes, or somebody is on it already."""
    if _recent(stream.returns, now) + (transition == "reopened") >= _FLAPPING:
        return True
    if transition == "turned" and not _is_newer(stream.told, notice.incident):
        return True  # part of it is mended, and what is left was seen before
    return notice.manner is Manner.QUIETLY and transition in FOR_ALL - {"critical"}


def _is_newer(told: Told | None, incident: Incident) -> bool:
    return told is None or told.seen_at is None or incident.seen_at > told.seen_at


def _noticed(told: Told | None, incident: Incident) -> Told | None:
    """What an edit tells: that it was seen again, that somebody is on it now; else nothing new."""
    if told is None:
        return None
    now = replace(told, seen_at=incident.seen_at, attention=_attention(incident) or told.attention)
    return now if now != told else None


def _attention(incident: Incident) -> str:
    did = incident.attention
    return "" if did is None or incident.state.is_over else "snoozed" if did.snoozed_until else "acked"


def _transition(stream: Stream, notice: Notice, now: datetime) -> str | None:
    told, incident = stream.told, notice.incident
    if told is None or told.state.is_over:
        if incident.state is not State.OPEN or not incident.alertable:
            return None
        return "reopened" if stream.message_ts and _recent(stream.endings, now) else "opened"
    if incident.state is State.OPEN:
        return _change(told, notice)
    return None if incident.state is told.state else incident.state.value


def _change(told: Told, notice: Notice) -> str | None:
    """What has become of what is still open."""
    incident = notice.incident
    if told.state is State.FIXED:
        return "reopened"
    if incident.kind is not told.kind:
        return "turned"
    if incident.severity is Severity.CRITICAL and told.severity is not Severity.CRITICAL:
        return "critical"
    has_doubled = incident.rows >= 2 * told.rows and incident.rows - told.rows >= _WORSE_BY
    if has_doubled or (told.severity is Severity.WARNING and incident.severity is not Severity.WARNING):
        return "worse"
    is_awake = told.attention == "snoozed" and not _attention(incident)
    return "called" if is_awake or (notice.mention and not told.mentioned) else None


def _recent(moments: Iterable[datetime], now: datetime) -> int:
    return sum(now - moment <= SAME_THREAD for moment in moments)


def fingerprint(stream: str, seq: int) -> str:
    """Names one step of a stream, in Slack too."""
    return sha256(f"{stream} {seq}".encode()).hexdigest()[:32]


def digest(text: str, blocks: Sequence[Mapping[str, Any]]) -> str:
    """What a message shows, as a short text."""
    return sha256(msgspec.json.encode([text, list(blocks)])).hexdigest()[:16]
