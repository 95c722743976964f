"""Telling: each step intended before it is sent, its outcome recorded after; what is unclear is looked up.

One teller at a time, who holds a lease. Whatever moment it dies at, the next one finds an intent without an outcome,
waits until the request is certainly over, and looks whether Slack has the message.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import msgspec
from uuid_utils import uuid7

from observability.alerts import queries
from observability.alerts.incidents import Incident
from observability.alerts.outbox import Operation, Record, Step, Stream, digest, fingerprint, next_step, read_streams
from observability.alerts.slack.block_kit import Payload, render_change, render_incident, render_summary
from observability.alerts.slack.client import Busy, Refused, SlackClient, SlackFault, Unclear
from observability.audit.arrow import to_arrow
from observability.audit.tables import Delivery
from observability.errors import TellingError
from observability.stores.base import Lease, Store

if TYPE_CHECKING:
    from collections.abc import Iterator

_MANY = 5
"""New incidents that are told one by one; more are told in the thread of one summary."""
_MOST_ATTEMPTS = 5
"""Failures, one after the other, after which a step is given up."""
_MOST_ROUNDS = 50
_LEAST_LEASE = 30.0
"""Seconds that a lease must last for anything to be sent."""
_UNREADABLE = frozenset({"missing_scope", "not_in_channel", "channel_not_found", "not_allowed_token_type"})
_GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "is_archived"})
_NOBODY_CAN = frozenset(
    {"invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive", "missing_scope"}
) | frozenset({"channel_not_found", "not_in_channel"})
"""Why nothing can be told in a channel; no step is to blame."""


@dataclass(frozen=True)
class Telling:
    """What a teller did in all: steps by what became of them; `left` are still to be told, `news` it told just now."""

    done: int
    failed: int
    dead: int
    left: int
    news: int


@dataclass
class Teller:
    """Tells incidents in one channel."""

    store: Store
    slack: SlackClient
    lease: Lease
    channel: str
    settle_seconds: float = 60.0
    """How long after its time is over a request may still take effect."""
    pace_seconds: float = 1.0
    """Between two messages: Slack takes one a second."""
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    pause: Callable[[float], None] = sleep
    _streams: dict[str, Stream] = field(default_factory=dict)
    _sent_at: float = -1e9
    _counts: dict[str, int] = field(default_factory=lambda: {"done": 0, "failed": 0, "dead": 0})

    def streams(self) -> dict[str, Stream]:
        """What this channel was told so far, by stream."""
        known = read_streams(self.store.query(queries.DELIVERIES).to_pylist())
        mine = {name: stream for name, stream in known.items() if name.startswith(f"{self.channel}/")}
        self._streams = mine
        return mine

    def tell(self, incidents: Sequence[Incident]) -> Telling:
        """Tell all that is new. Raises TellingError where nothing can be told here, and StoreError."""
        self.streams()
        was_silent = not self._streams
        before = self._counts["done"]
        tried: set[str] = set()
        for _ in range(_MOST_ROUNDS):
            self._settle()
            steps = [
                (stream, incident, step)
                for stream, incident, step in self._steps(incidents)
                if stream.name not in tried
            ]
            if not steps or self.lease.seconds_left() < _LEAST_LEASE:
                break
            opened = [incident for _, incident, step in steps if step.transition == "opened"]
            thread = self._summarize(opened) if len(opened) > (1 if was_silent else _MANY) else None
            for stream, incident, step in steps:
                if self.lease.seconds_left() < _LEAST_LEASE:
                    break
                in_thread = thread if step.transition == "opened" else None
                if self._take(stream, step, _payload(incident, step), incident, in_thread)["state"] == "failed":
                    tried.add(stream.name)
            was_silent = False
        left = len(list(self._steps(incidents)))
        return Telling(**self._counts, left=left, news=self._counts["done"] - before)

    def _steps(self, incidents: Sequence[Incident]) -> "Iterator[tuple[Stream, Incident, Step]]":
        for incident in incidents:
            stream = self._streams.setdefault(name := f"{self.channel}/{incident.key}", Stream(name))
            payload = render_incident(incident)
            step = (
                None
                if stream.pending
                else next_step(stream, incident, digest(payload.text, payload.blocks), self.clock())
            )
            if step:
                yield stream, incident, step

    def _summarize(self, incidents: Sequence[Incident]) -> str | None:
        """Tell that there are many; the message that their thread hangs on."""
        names = digest("", [{"id": incident.id} for incident in incidents])
        stream = self._streams.setdefault(name := f"{self.channel}/summary/{names}", Stream(name))
        if stream.message_ts is None and not stream.pending:
            self._take(stream, Step(Operation.POST, "summary", None, None), render_summary(incidents))
            self._settle()
        return stream.message_ts

    def _take(
        self,
        stream: Stream,
        step: Step,
        payload: Payload,
        incident: Incident | None = None,
        thread: str | None = None,
    ) -> Record:
        """Take one step: intent, request, outcome."""
        again = stream.failed if stream.failed and stream.failed["transition"] == step.transition else None
        now = self.clock()
        seq = stream.seq + 1
        thread_ts = thread if step.operation is Operation.POST else stream.thread_ts
        if again and "repeat" in (again["error"] or ""):
            payload = Payload(f"{payload.text} (may be a repeat)", payload.blocks)
        row: dict[str, Any] = {
            "incident_key": incident.key if incident else "",
            "incident_id": incident.id if incident else None,
            "stream": stream.name,
            "seq": seq,
            "transition": step.transition,
            "operation": step.operation.value,
            "fingerprint": fingerprint(stream.name, seq),
            "channel": stream.channel or self._channel_id(),
            "thread_ts": thread_ts,
            "message_ts": stream.message_ts if step.operation is Operation.UPDATE else None,
            "state": "intended",
            "attempts": (again["attempts"] if again else 0) + 1,
            "expires_at": now + timedelta(seconds=self.slack.timeout_seconds),
            "told": msgspec.json.encode(step.told).decode() if step.told else None,
            "shown": step.shown,
            "error": None,
        }
        self._record(stream, row)
        try:
            outcome = self._send(stream, row, step, payload)
        except Unclear as fault:
            return self._record(stream, {**row, "state": "unclear", "error": str(fault)})
        except SlackFault as fault:
            return self._refused(stream, row, fault)
        self._counts["done"] += 1
        return self._record(stream, {**row, **outcome, "state": "done"})

    def _send(self, stream: Stream, row: dict[str, Any], step: Step, payload: Payload) -> dict[str, Any]:
        """Send it, as often as Slack says that it had no effect and the same is welcome later."""
        for attempt in range(_MOST_ATTEMPTS):
            self._keep_pace()
            try:
                if step.operation is Operation.UPDATE:
                    self.slack.update(row["channel"], row["message_ts"], payload)
                    return {}
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
                payload = payload.plain  # better than not at all
            else:
                return {"channel": channel, "message_ts": ts}
        raise Busy("it stays busy", 0.0)

    def _refused(self, stream: Stream, row: dict[str, Any], fault: SlackFault) -> Record:
        """It certainly had no effect."""
        error = fault.error if isinstance(fault, Refused) else ""
        is_over = error in _GONE or row["attempts"] >= _MOST_ATTEMPTS
        if error in _NOBODY_CAN:
            self._record(stream, {**row, "state": "failed", "attempts": row["attempts"] - 1, "error": str(fault)})
            raise TellingError(
                f"Slack refuses to tell anything in {self.channel}: {fault}",
                where="slack.channel, slack.token",
                next_step=_HELP.get(
                    error, "check the app's token and scopes; what was to be told is told the next time"
                ),
            )
        self._counts["dead" if is_over else "failed"] += 1
        return self._record(stream, {**row, "state": "dead" if is_over else "failed", "error": str(fault)})

    def _settle(self) -> None:
        """Find out what became of steps whose outcome is not known."""
        for stream in list(self._streams.values()):
            if not stream.pending:
                continue
            row = {name: stream.pending[name] for name in Delivery.__struct_fields__ if name != "delivery_date"}
            if self._waited(row["expires_at"] + timedelta(seconds=self.settle_seconds)):
                self._record(stream, {**row, **self._looked_up(row)})

    def _waited(self, until: datetime) -> bool:
        """Wait, holding the lease; False where it is lost."""
        while (left := (until - self.clock()).total_seconds()) > 0:
            if self.lease.seconds_left() < _LEAST_LEASE:
                return False
            self.pause(min(left, _LEAST_LEASE / 2))
        return True

    def _looked_up(self, row: Mapping[str, Any]) -> dict[str, Any]:
        if row["operation"] == Operation.UPDATE:
            return {"state": "failed", "attempts": row["attempts"] - 1, "error": "unclear: it is edited again"}
        since = row["expires_at"].timestamp() - self.slack.timeout_seconds - 300
        for _ in range(_MOST_ATTEMPTS):
            try:
                found = self.slack.find(row["channel"], row["fingerprint"], since, row["thread_ts"])
            except Busy as fault:
                self.pause(fault.seconds)
            except Unclear:
                self.pause(self.pace_seconds)
            except Refused as fault:
                if fault.error not in _UNREADABLE and fault.error != "thread_not_found":
                    continue
                if row["operation"] == Operation.REPLY:
                    return {"state": "done", "error": f"unclear, and {fault}: the message itself says how it is"}
                return {"state": "failed", "attempts": row["attempts"] - 1, "error": f"may be a repeat: {fault}"}
            else:
                self._counts["done"] += bool(found)
                told = {"state": "done", "message_ts": found} if found else {"state": "failed", "error": "not in Slack"}
                return told if found else {**told, "attempts": row["attempts"] - 1}
        return {"state": "unclear"}

    def _record(self, stream: Stream, row: Mapping[str, Any]) -> Record:
        now = self.clock()
        shared = {"load_id": str(uuid7()), "loaded_at": now}
        self.store.record("deliveries", to_arrow("deliveries", [Delivery(**row, delivery_date=now.date())], shared))
        written = {**row, **shared}
        stream.take(written)
        return written

    def _channel_id(self) -> str:
        """The channel's id, where Slack has told it."""
        return next((one.channel for one in self._streams.values() if one.channel), self.channel)

    def _keep_pace(self) -> None:
        wait = self._sent_at + self.pace_seconds - monotonic()
        if wait > 0:
            self.pause(wait)
        self._sent_at = monotonic()


_HELP = {
    "not_in_channel": "invite the app to the channel: /invite @its-name",
    "channel_not_found": "name the channel by its id, and invite the app to it",
    "missing_scope": "give the app the scope chat:write, and install it again",
}


def _payload(incident: Incident, step: Step) -> Payload:
    return render_change(incident, step.transition) if step.operation is Operation.REPLY else render_incident(incident)
