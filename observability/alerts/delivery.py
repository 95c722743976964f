"""Telling: each step intended before it is sent, its outcome recorded after; what is unclear is looked up.

One teller at a time, who holds a lease. Whatever moment it dies at, the next one finds an intent without an outcome,
waits until the request is certainly over, and looks whether Slack has the message.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep
from typing import Any

import msgspec
from uuid_utils import uuid7

from observability.alerts import queries
from observability.alerts.messenger import APP_FAULTS, CHANNEL_FAULTS, GONE, UNREADABLE, Journal, Messenger
from observability.alerts.meta import Record
from observability.alerts.notices import Notice
from observability.alerts.outbox import (
    SAME_THREAD,
    Operation,
    Step,
    Stream,
    digest,
    fingerprint,
    next_step,
    read_streams,
)
from observability.alerts.slack.block_kit import Payload, render_change, render_incident, render_summary
from observability.alerts.slack.client import Busy, Refused, SlackFault, Unclear
from observability.audit.arrow import to_arrow
from observability.audit.tables import Delivery
from observability.errors import TellingError
from observability.stores.base import Lease, Reader

_MANY = 5
"""New incidents that are told one by one; more are told in the thread of one summary."""
_MOST_ATTEMPTS = 5
"""Failures, one after the other, after which a step is given up."""
_MOST_ATTEMPTS_IN_CHANNEL = 100
"""The same where it is the channel that takes nothing: it may be mended within the day."""
_MOST_ROUNDS = 50
_MOST_UNCLEAR = 3
"""In a row: then Slack, or what is between us and it, is not well, and the rest is left for the next time."""
_MARK = "may be a repeat"
_LEAST_LEASE = 30.0
"""Seconds that a lease must last for anything to be sent."""

_DELIVERY = tuple(name for name in Delivery.__struct_fields__ if name != "delivery_date")


@dataclass(frozen=True)
class Telling:
    """What was told: steps by what became of them; `left` are still to be told.

    `problems` says, in a sentence each, what kept something from being told. `elsewhere`: another process tells.
    """

    done: int = 0
    failed: int = 0
    dead: int = 0
    left: int = 0
    problems: tuple[str, ...] = ()
    elsewhere: bool = False


@dataclass
class Teller:
    """Tells incidents, each in its channels. Constructed anew for each alert."""

    store: Journal
    slack: Messenger
    lease: Lease
    settle_seconds: float = 60.0
    """How long after its time is over a request may still take effect."""
    pace_seconds: float = 1.0
    """Between two messages in a channel: Slack takes one a second."""
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    pause: Callable[[float], None] = sleep
    settles: bool = True
    """Whether it is found out what became of steps whose outcome is not known."""
    _streams: dict[str, Stream] = field(default_factory=dict)
    _sent_at: dict[str, float] = field(default_factory=dict)
    closed: dict[str, str] = field(default_factory=dict)
    """Channels that were found to take nothing, and Slack's error for it."""
    _notes: list[str] = field(default_factory=list)
    _unclear: int = 0
    """How many requests in a row had no clear outcome."""
    _silence: str | None = None
    """Why nothing more is tried."""
    done: int = 0
    """Steps that were done so far."""
    _failed: int = 0
    _dead: int = 0

    def streams(self, reader: Reader) -> dict[str, Stream]:
        """What was told so far, by stream. Raises StoreError."""
        self._streams = read_streams(reader.query(queries.DELIVERIES).to_pylist())
        return self._streams

    @property
    def progress(self) -> tuple[int, int]:
        """Grows when something was done, or found to be impossible."""
        return self.done, len(self.closed)

    def revive(self, stream: Stream) -> None:
        """Take up again what was given up in a stream."""
        if stream.last:
            row = {name: stream.last[name] for name in _DELIVERY}
            self._record(stream, {**row, "state": "failed", "attempts": 0})

    def tell(self, notices: Sequence[Notice]) -> Telling:
        """Tell all that is new. What was done before by this teller counts too.

        Raises TellingError where Slack lets this app tell nothing, and StoreError.
        """
        tried: set[str] = set()
        for _ in range(_MOST_ROUNDS):
            self._settle()
            due = [(stream, notice, step) for stream, notice, step in self._due(notices) if stream.name not in tried]
            if not due or self._is_ending() or self._silence:
                break
            threads = self._summarize(due)
            for stream, notice, step in due:
                if self._is_ending() or self._silence:
                    break
                if notice.channel in self.closed:
                    continue
                in_thread = threads.get(notice.stream) if step.transition == "opened" else None
                if in_thread and not self.slack.edits:
                    self._cover(stream, step, notice, in_thread)
                    continue
                if self._take(stream, step, _payload(notice, step, in_thread), notice, in_thread)["state"] == "failed":
                    tried.add(stream.name)
            tried |= {notice.stream for notice in notices if notice.channel in self.closed}
        problems = (
            *(f"{channel}: {error}; {CHANNEL_FAULTS[error]}" for channel, error in self.closed.items()),
            *self._notes,
        )
        left = sum(1 for _ in self._due(notices)) + sum(1 for stream in self._streams.values() if stream.pending)
        if self._silence and left:
            problems = (*problems, f"Slack takes nothing now: {self._silence}; what is left is told the next time")
        return Telling(self.done, self._failed, self._dead, left, problems)

    def _due(self, notices: Sequence[Notice]) -> Iterator[tuple[Stream, Notice, Step]]:
        for notice in notices:
            stream = self._streams.setdefault(notice.stream, Stream(notice.stream))
            if stream.pending:
                continue
            payload = render_incident(notice)
            shown = digest(payload.text, payload.blocks)
            step = next_step(stream, notice, shown, self.clock(), edits=self.slack.edits)
            if step:
                yield stream, notice, step

    def _summarize(self, due: Sequence[tuple[Stream, Notice, Step]]) -> dict[str, str]:
        """Where there are many new ones for a channel, tell so; the messages that their threads hang on, by stream.

        A channel in which nothing was told so far hears of all that is open at once. What a summary tells of already,
        of a teller that did not come to its end, no second one tells.
        """
        summarized = self._summarized()
        spoken_in = {name.partition("/")[0] for name, stream in self._streams.items() if stream.message_ts}
        opened: dict[str, list[Notice]] = {}
        threads = {}
        for _, notice, step in due:
            if step.transition == "opened":
                if ts := summarized.get((notice.channel, notice.incident.id)):
                    threads[notice.stream] = ts
                else:
                    opened.setdefault(notice.channel, []).append(notice)
        for channel, notices in opened.items():
            if len(notices) <= (_MANY if channel in spoken_in else 1):
                continue
            stream = self._summary(channel, [notice.incident.id for notice in notices])
            if stream.message_ts is None and not stream.pending and not self._is_ending():
                self._take(
                    stream,
                    Step(Operation.POST, "summary", None, " ".join(notice.incident.id for notice in notices)),
                    render_summary(notices, in_thread=self.slack.edits),
                )
                self._settle()
            if stream.message_ts:
                threads |= dict.fromkeys((notice.stream for notice in notices), stream.message_ts)
        return threads

    def _summary(self, channel: str, incidents: Sequence[str]) -> Stream:
        """The stream of a summary of these incidents: of one that failed and tells of some of them, where there is."""
        for stream in self._streams.values():
            is_summary = stream.name.startswith(f"{channel}/summary/")
            if is_summary and stream.failed and {*incidents} & {*(stream.failed["shown"] or "").split()}:
                return stream
        name = f"{channel}/summary/{digest('', [{'id': one} for one in incidents])}"
        return self._streams.setdefault(name, Stream(name))

    def _summarized(self) -> dict[tuple[str, str], str]:
        """The messages of late summaries, by the channel and the ids of the incidents that they tell of."""
        return {
            (name.partition("/")[0], incident): stream.message_ts
            for name, stream in self._streams.items()
            if name.partition("/")[2].startswith("summary/") and stream.message_ts and stream.last
            if self.clock() - stream.last["loaded_at"] <= SAME_THREAD
            for incident in (stream.shown or "").split()
        }

    def post_once(self, channel: str, name: str, payload: Payload) -> bool:
        """Post a message that is no incident's, unless one of that name is there. Whether it is there now."""
        stream = self._streams.setdefault(full := f"{channel}/{name}", Stream(full))
        self._settle()
        if stream.message_ts is None and not stream.pending:
            self._take(stream, Step(Operation.POST, name.partition("/")[0], None, None), payload)
            self._settle()
        return stream.message_ts is not None

    def _take(
        self,
        stream: Stream,
        step: Step,
        payload: Payload,
        notice: Notice | None = None,
        thread: str | None = None,
    ) -> Record:
        """Take one step: intent, request, outcome."""
        row = self._intent(stream, step, notice, thread)
        if _MARK in _error_of(stream, step):
            row["error"] = _MARK
            payload = _marked(payload)
        self._record(stream, row)
        try:
            outcome = self._send(stream, row, step, payload)
        except Unclear as fault:
            self._unclear += 1
            self._silence = str(fault) if self._unclear == _MOST_UNCLEAR else self._silence
            return self._record(stream, {**row, "state": "unclear", "error": _still(row, fault)})
        except SlackFault as fault:
            return self._refused(stream, row, fault)
        self._unclear = 0
        self.done += 1
        return self._record(stream, {**row, **outcome, "state": "done"})

    def _cover(self, stream: Stream, step: Step, notice: Notice, ts: str) -> None:
        """Write down that another message has told it."""
        self._record(stream, {**self._intent(stream, step, notice, None), "message_ts": ts, "state": "done"})

    def _intent(self, stream: Stream, step: Step, notice: Notice | None, thread: str | None) -> dict[str, Any]:
        seq = stream.seq + 1
        again = _tried_before(stream, step)
        return {
            "incident_key": notice.incident.key if notice else "",
            "incident_id": notice.incident.id if notice else None,
            "stream": stream.name,
            "seq": seq,
            "transition": step.transition,
            "operation": step.operation.value,
            "fingerprint": fingerprint(stream.name, seq),
            "channel": stream.channel or self._channel_id(stream.name.partition("/")[0]),
            "thread_ts": thread if step.operation is Operation.POST else stream.thread_ts,
            "message_ts": stream.message_ts if step.operation is Operation.UPDATE else None,
            "state": "intended",
            "attempts": (again["attempts"] if again else 0) + 1,
            "expires_at": self.clock() + timedelta(seconds=self.slack.timeout_seconds),
            "told": msgspec.json.encode(step.told).decode() if step.told else None,
            "shown": step.shown,
            "error": None,
        }

    def _send(self, stream: Stream, row: dict[str, Any], step: Step, payload: Payload) -> dict[str, Any]:
        """Send it, as often as Slack says that it had no effect and the same is welcome later."""
        refused: str | None = None
        for attempt in range(_MOST_ATTEMPTS):
            self._keep_pace(row["channel"])
            try:
                if step.operation is Operation.UPDATE:
                    self.slack.update(row["channel"], row["message_ts"], payload)
                    return {"error": refused}
                channel, ts = self.slack.post(
                    row["channel"], payload, row["fingerprint"], row["thread_ts"], broadcast=step.broadcast
                )
            except Busy as fault:
                welcome = self.clock() + timedelta(seconds=fault.seconds)
                if attempt == _MOST_ATTEMPTS - 1 or not self._waited(welcome):
                    raise
                row["expires_at"] = self.clock() + timedelta(seconds=self.slack.timeout_seconds)
                self._record(stream, row)  # it is sent later than was intended
            except Refused as fault:
                if fault.error not in {"invalid_blocks", "msg_blocks_too_long"} or not payload.blocks:
                    raise
                refused, payload = f"sent as plain text: {fault}", payload.plain
                self._notes.append(f"{row['stream']}: {refused}")
            else:
                return {"channel": channel, "message_ts": ts, "error": refused}
        raise Refused("not_welcome")

    def _refused(self, stream: Stream, row: dict[str, Any], fault: SlackFault) -> Record:
        """It certainly had no effect."""
        error = fault.error if isinstance(fault, Refused) else ""
        if error in APP_FAULTS:
            self._record(
                stream, {**row, "state": "failed", "attempts": row["attempts"] - 1, "error": _still(row, fault)}
            )
            raise TellingError(
                f"Slack lets this app tell nothing: {fault}",
                where="slack.token (DBT_OBSERVE_SLACK__TOKEN)",
                next_step=f"{APP_FAULTS[error]}; what was to be told is told the next time",
            )
        most = _MOST_ATTEMPTS_IN_CHANNEL if error in CHANNEL_FAULTS else _MOST_ATTEMPTS
        gives_up = error in GONE or (row["attempts"] >= most and not isinstance(fault, Busy))
        state = "dead" if gives_up else "failed"
        if error in CHANNEL_FAULTS:
            self.closed[stream.name.partition("/")[0]] = error
        if state == "dead":
            self._dead += 1
        else:
            self._failed += 1
        # that Slack is busy, or not there, is no reason to give up what it would take later
        attempts = row["attempts"] - isinstance(fault, Busy)
        if isinstance(fault, Busy):
            self._silence = str(fault)
        return self._record(stream, {**row, "state": state, "attempts": attempts, "error": _still(row, fault)})

    def _settle(self) -> None:
        """Find out what became of steps whose outcome is not known."""
        for stream in list(self._streams.values()) if self.settles else ():
            if not stream.pending:
                continue
            row = {name: stream.pending[name] for name in _DELIVERY}
            if self._waited(row["expires_at"] + timedelta(seconds=self.settle_seconds)):
                self._record(stream, {**row, **self._looked_up(row)})

    def _is_ending(self) -> bool:
        """Whether the lease does not last for another message."""
        return self.lease.seconds_left() < _LEAST_LEASE

    def _waited(self, until: datetime) -> bool:
        """Wait, holding the lease; False where it is lost."""
        left = (until - self.clock()).total_seconds()
        while left > 0:
            if self._is_ending():
                return False
            pause = min(left, _LEAST_LEASE / 2)
            self.pause(pause)
            left = min(left - pause, (until - self.clock()).total_seconds())
        return True

    def _looked_up(self, row: Mapping[str, Any]) -> dict[str, Any]:
        not_there = {"state": "failed", "attempts": row["attempts"] - 1}
        if row["operation"] == Operation.UPDATE:
            return {**not_there, "error": "unclear: it is edited again"}
        since = row["expires_at"].timestamp() - self.slack.timeout_seconds - 300
        for _ in range(_MOST_ATTEMPTS):
            try:
                found = self.slack.find(row["channel"], row["fingerprint"], since, row["thread_ts"])
            except Busy as fault:
                self.pause(fault.seconds)
            except Unclear:
                self.pause(self.pace_seconds)
            except Refused as fault:
                if fault.error not in UNREADABLE:
                    continue
                if row["operation"] == Operation.REPLY and self.slack.edits:
                    return {"state": "done", "error": f"unclear, and {fault}: the message itself says how it is"}
                return {**not_there, "error": f"{_MARK}: {fault}"}
            else:
                self.done += bool(found)
                return (
                    {"state": "done", "message_ts": found}
                    if found
                    else {**not_there, "error": _still(row, "not in Slack")}
                )
        return {"state": "unclear"}

    def _record(self, stream: Stream, row: Mapping[str, Any]) -> Record:
        now = self.clock()
        shared = {"load_id": str(uuid7()), "loaded_at": now}
        self.store.record("deliveries", to_arrow("deliveries", [Delivery(**row, delivery_date=now.date())], shared))
        written = {**row, **shared}
        stream.take(written)
        return written

    def _channel_id(self, name: str) -> str:
        """The channel's id, where Slack has told it."""
        known = (one for one in self._streams.values() if one.name.startswith(f"{name}/") and one.message_ts)
        return next((one.channel for one in known), name)

    def _keep_pace(self, channel: str) -> None:
        wait = self._sent_at.get(channel, -1e9) + self.pace_seconds - monotonic()
        if wait > 0:
            self.pause(wait)
        self._sent_at[channel] = monotonic()


def _tried_before(stream: Stream, step: Step) -> Record | None:
    """The last attempt at the same step, where it certainly failed."""
    return stream.failed if stream.failed and stream.failed["transition"] == step.transition else None


def _error_of(stream: Stream, step: Step) -> str:
    again = _tried_before(stream, step)
    return (again["error"] or "") if again else ""


def _still(row: Mapping[str, Any], error: object) -> str:
    """The error; of what may be a repeat, that it may be one still: what came before it is not looked up again."""
    is_marked = _MARK in (row["error"] or "") and _MARK not in str(error)
    return f"{error}; {_MARK}" if is_marked else str(error)


def _marked(payload: Payload) -> Payload:
    """The same, saying that it may have been told before: where there are blocks, nothing but them is shown."""
    mark = {"type": "context", "elements": [{"type": "mrkdwn", "text": _MARK, "verbatim": True}]}
    return Payload(f"{payload.text} ({_MARK})", (*payload.blocks, mark) if payload.blocks else ())


def _payload(notice: Notice, step: Step, thread: str | None) -> Payload:
    if step.operation is Operation.REPLY:
        return render_change(notice, step.transition)
    called = step.told.mentioned if step.told else bool(notice.mention)
    return render_incident(notice, mentioned=called and thread is None)
