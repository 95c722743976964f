"""Who says whether Slack would take a message: two libraries that know its limits, and rules of our own."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fake_slack import block_problems
from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block
from slackblocks import Block as OtherBlock
from slackblocks import Message as OtherMessage
from slackblocks.errors import InvalidUsageError

from observability.alerts.slack.block_kit import Payload

_WHOLE, _LINES = 10_000, 10
_ENTITY = re.compile(r"<([^<>]*)>")
_COUNTED = re.compile(r"\b(\d+) (?:exposures?|skipped and not rebuilt|failing below it|not rebuilt yet): ([^\n]*)")
_MORE = re.compile(r" and (\d+) more$")


def by_slack_sdk(payload: Payload) -> list[str]:
    """What slack_sdk's models find wrong: each block is made anew, held against itself and validated."""
    found = []
    for position, block in enumerate(payload.blocks):
        try:
            made = Block.parse(dict(block))
            if made is None or made.to_dict() != block:  # to_dict validates, the elements too
                found.append(f"block {position}: another block is made of it")
        except SlackObjectFormationError as error:
            found.append(f"block {position}: {error}")
    return found


def by_slackblocks(payload: Payload) -> list[str]:
    """What slackblocks finds wrong: the whole message is made anew of the same texts."""
    try:
        blocks = [OtherBlock.from_dict(dict(block)) for block in payload.blocks]
        message = OtherMessage("alerts", text=payload.text, blocks=blocks).to_dict()
    except (InvalidUsageError, KeyError, TypeError) as error:
        return [f"{type(error).__name__}: {error}"]
    same = [_texts(block) for block in message.get("blocks", [])] == [_texts(block) for block in payload.blocks]
    return [] if same else ["another message is made of it"]


def by_our_rules(payload: Payload) -> list[str]:
    """What is too long or too many, what is there twice, and a notification that does not say what the message says."""
    found = block_problems([dict(block) for block in payload.blocks])
    whole = len(payload.text) + sum(len(text) for block in payload.blocks for text in _texts(block))
    if whole > _WHOLE:
        found.append(f"{whole:,} characters")
    for name in ("block_id", "action_id"):
        counts = Counter(_values(payload.blocks, name))
        found += [f"{name} {key} is there {count} times" for key, count in counts.items() if count > 1]
    if not payload.text.strip():
        found.append("nothing stands for it in a notification")
    first = next((text for block in payload.blocks for text in _texts(block)), payload.text)
    if not _same(_plain(payload.text), _plain(first)):
        found.append(f"the notification says {payload.text!r}, and the message {first!r}")
    return found


def _same(notification: str, first: str) -> bool:
    """A notification has no emoji of a summary, and more after the first line of an answer; both may be cut."""
    return notification[:100] in first or notification.startswith(first[:100])


def by_our_rules_for_incidents(payload: Payload) -> list[str]:
    """A message of an incident is no longer than a phone shows; and what it counts it names, or says how many more."""
    lines = [
        line for block in payload.blocks if block["type"] == "section" for line in block["text"]["text"].split("\n")
    ]
    found = [f"{len(lines)} lines"] if len(lines) > _LINES else []
    for line in lines:
        for counted in _COUNTED.finditer(line):
            names = re.sub(r"\([^)]*\)", "", counted[2]).strip().removesuffix(".*").removesuffix(".").strip("* ")
            more = _MORE.search(names)
            named = len(_MORE.sub("", names).split(", ")) + (int(more[1]) if more else 0)
            if "more characters" not in line and named != int(counted[1]):
                found.append(f"{counted[1]} are counted and {named} told: {line}")
    return found


JUDGES: Mapping[str, Callable[[Payload], list[str]]] = {
    "slack_sdk": by_slack_sdk,
    "slackblocks": by_slackblocks,
    "our rules": by_our_rules,
}


def problems(payload: Payload) -> list[str]:
    """What any judge finds wrong."""
    return [f"{name}: {problem}" for name, judge in JUDGES.items() for problem in judge(payload)]


def entities(payload: Payload) -> list[str]:
    """What Slack would make a mention or a link of."""
    shown = [payload.text, *(text for block in payload.blocks for text in _texts(block, "mrkdwn"))]
    return [entity for text in shown for entity in _ENTITY.findall(text)]


def _texts(block: Any, kind: str | None = None) -> list[str]:
    return [one["text"] for one in _objects(block) if isinstance(one.get("text"), str) and kind in {None, one["type"]}]


def _values(blocks: Any, name: str) -> list[str]:
    return [str(one[name]) for one in _objects(blocks) if name in one]


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, Mapping):
        yield dict(value)
        value = list(value.values())
    if isinstance(value, list | tuple):
        for one in value:
            yield from _objects(one)


def _plain(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
