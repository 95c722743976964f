"""Where a shop is watched: what was told at each look, written down for a person to read and to hold against a file."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from fake_slack import POST, WEBHOOK, FakeSlack
from pydantic import SecretStr
from shop import MORNING, Shop

from observability.alerts.actions import Action
from observability.alerts.outbox import Operation
from observability.alerts.printing import CHANNEL, Printed
from observability.alerts.slack.block_kit import Payload
from observability.config import Settings, SlackSettings
from observability.pipeline.alerting import alert, send_digest
from observability.pipeline.attending import Deed, act

SOON = timedelta(minutes=2)


@dataclass
class Desk:
    """A shop in production, and all that is told of it: to a terminal, or to a Slack where there is one."""

    folder: Path
    slack: FakeSlack | None = None
    looks: list[tuple[datetime, list[Printed]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        store = f"duckdb:///{self.folder}/audit.duckdb"
        self.told = Shop(self.folder, Settings(store=store, environment="prod"))
        self._seen = 0
        if self.slack:
            self.settle()

    def settle(self, *, webhook: bool = False, **given: Any) -> None:
        """Choose other settings of Slack's."""
        slack = self.slack
        if slack and webhook:
            given |= {"webhook_url": SecretStr(slack.webhook_url("alerts"))}
        elif slack:
            given |= {"token": SecretStr(slack.token), "channel": slack.channels["alerts"].id, "base_url": slack.url}
        found = SlackSettings.model_validate({"settle_seconds": 0, **given})
        self.told.settings = self.told.settings.model_copy(update={"slack": found})

    def now(self, after: timedelta = SOON) -> datetime:
        return MORNING + timedelta(minutes=self.told.minutes) + after

    def look(self, after: timedelta = SOON) -> list[Printed]:
        """Tell what is new, some time after the last step."""
        now, shown = self.now(after), list[Printed]()
        if self.slack:
            alert(self.told.settings, lambda: now)
            shown = self._heard()
        else:
            alert(self.told.settings, lambda: now, show=shown.append)
        self.looks.append((now, shown))
        return shown

    def digest(self, after: timedelta = SOON) -> None:
        """Show the day's summary."""
        now = self.now(after)
        payload, _ = send_digest(self.told.settings, lambda: now, dry_run=True)
        self.looks.append((now, [Printed(Operation.POST, CHANNEL, "digest", payload)]))

    def do(self, action: Action, name: str, after: timedelta = SOON, **given: Any) -> None:
        """Somebody does something about an incident."""
        act(self.told.settings, name, Deed(action=action, **given), self.now(after))

    def wait(self, passed: timedelta) -> None:
        """Time goes by."""
        self.told.minutes += int(passed.total_seconds()) // 60

    @property
    def all_told(self) -> list[Printed]:
        return [one for _, shown in self.looks for one in shown]

    def _heard(self) -> list[Printed]:
        """What Slack was asked since the last look, and did."""
        slack = self.slack
        assert slack
        requests, self._seen = slack.requests[self._seen :], len(slack.requests)
        names = {channel.id: name for name, channel in slack.channels.items()}
        stamps = {name: iter([one.ts for one in slack.messages(name)]) for name in slack.channels}
        told = {one.ts for _, shown in self.looks for one in shown}
        found = []
        for request in requests:
            said = request.payload
            channel = names.get(str(said.get("channel")), "alerts")
            payload = Payload(said.get("text", ""), tuple(said.get("blocks") or ()))
            if request.effect != "ok" or request.method not in {POST, WEBHOOK, "chat.update"}:
                continue
            if request.method == "chat.update":
                found.append(Printed(Operation.UPDATE, channel, said["ts"], payload))
                continue
            ts = next(stamp for stamp in stamps[channel] if stamp not in told)
            thread, aloud = said.get("thread_ts"), str(said.get("reply_broadcast")).lower() == "true"
            operation = Operation.REPLY if thread else Operation.POST
            found.append(Printed(operation, channel, ts, payload, thread, aloud))
        return found


def transcript(looks: Sequence[tuple[datetime, Sequence[Printed]]]) -> str:
    """All that was told, whole: a message is named by its number, and a block that is no usual one is shown as JSON."""
    numbers: dict[str, int] = {}
    pages = []
    for at, shown in looks:
        page = [f"──── {at:%a %Y-%m-%d %H:%M} UTC ────"]
        page += [_written(one, numbers) for one in shown] or ["(nothing is told)"]
        pages.append("\n\n".join(page))
    return "\n\n\n".join(pages) + "\n"


def _written(one: Printed, numbers: dict[str, int]) -> str:
    number = numbers.setdefault(one.ts, len(numbers) + 1)
    what = {
        Operation.POST: f"#{number} in {one.channel}",
        Operation.UPDATE: f"#{number} in {one.channel}, edited",
        Operation.REPLY: f"#{number} in {one.channel}, in the thread of #{numbers.get(one.thread_ts or '')}",
    }[one.operation]
    aloud = ", shown in the channel too" if one.broadcast else ""
    lines = [f"{what}{aloud}", f"notification  {one.payload.text}"]
    return "\n".join([*lines, *(line for block in one.payload.blocks for line in _block(block))])


def _block(block: Mapping[str, Any]) -> Iterator[str]:
    kind = block.get("type")
    text = block.get("text") or (block.get("elements") or [{}])[0]
    said = text.get("text", "") if isinstance(text, dict) else ""
    mrkdwn = {"type": "mrkdwn", "text": said, "verbatim": True}
    usual: dict[Any, dict[str, Any]] = {
        "header": {"type": "header", "text": {"type": "plain_text", "text": said, "emoji": True}},
        "section": {"type": "section", "text": mrkdwn},
        "context": {"type": "context", "elements": [mrkdwn]},
    }
    if usual.get(kind) != block:
        yield json.dumps(block, ensure_ascii=False)
        return
    for line in said.split("\n"):
        yield f"{kind:<12}  {line}"
