"""A messenger that only shows what it is given: for terminals, and to see what would be told."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from observability.alerts.outbox import Operation

if TYPE_CHECKING:
    from observability.alerts.slack.block_kit import Payload

CHANNEL = "terminal"
"""What a terminal is called in `deliveries`."""


@dataclass(frozen=True)
class Printed:
    """A message, an answer in a thread or an edit. `ts` names the message, `thread_ts` the one that it answers."""

    operation: Operation
    channel: str
    ts: str
    payload: "Payload"
    thread_ts: str | None = None
    broadcast: bool = False


@dataclass
class Printer:
    """Shows each message to `show`. Nothing goes wrong."""

    show: Callable[[Printed], None]
    prefix: str = "shown"
    """What the names of its messages begin with."""
    timeout_seconds: float = 1.0
    edits: bool = True

    def __post_init__(self) -> None:
        self._numbers = count(1)

    def post(
        self,
        channel: str,
        payload: "Payload",
        fingerprint: str,
        thread_ts: str | None = None,
        *,
        broadcast: bool = False,
    ) -> tuple[str, str]:
        """Show a message."""
        ts = f"{self.prefix}-{fingerprint[:8]}-{next(self._numbers)}"
        operation = Operation.REPLY if thread_ts else Operation.POST
        self.show(Printed(operation, channel, ts, payload, thread_ts, broadcast))
        return channel, ts

    def update(self, channel: str, ts: str, payload: "Payload") -> None:
        """Show how a message is now."""
        self.show(Printed(Operation.UPDATE, channel, ts, payload))

    def find(
        self,
        channel: str,
        fingerprint: str,
        since: float,
        thread_ts: str | None = None,
    ) -> str | None:
        """None: what was not shown to the end is shown again."""
        return None

    def permalink(self, channel: str, ts: str) -> str | None:
        """None: it is only shown."""
        return None
