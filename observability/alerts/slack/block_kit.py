"""Messages as Slack's blocks. What dbt said is text: nothing in it mentions, links or formats."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from observability.alerts.incidents import Incident, Severity, State
from observability.alerts.message import Message, build_message, tell_change

_EMOJI = {Severity.CRITICAL: "🔴", Severity.ERROR: "🟠", Severity.WARNING: "🟡"}
_STATES = {
    State.FIXED: ("🛠️", "fixed, not rebuilt"),
    State.RECOVERED: ("✅", "well again"),
    State.WITHDRAWN: ("⚪", "withdrawn"),
    State.EXPIRED: ("⚪", "expired"),
}
_LINE, _HEADLINE = 700, 140
"""Characters, as Slack counts them, that a line and a headline have at most."""
_CODE = frozenset({"Next", "File"})
_INVISIBLE = re.compile(r"[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


@dataclass(frozen=True)
class Payload:
    """A message as it is sent: blocks, and the text that stands for them in notifications."""

    text: str
    blocks: tuple[dict[str, Any], ...] = ()

    @property
    def plain(self) -> "Payload":
        """The same without blocks."""
        return Payload(self.text)


def render_incident(incident: Incident) -> Payload:
    """The message of an incident as it is: always the same for the same."""
    message = build_message(incident)
    emoji, word = _STATES.get(incident.state) or (_EMOJI[incident.severity], incident.severity.value)
    headline = f"{emoji} {word}: {message.headline}"
    return Payload(escape(headline, _LINE), (_header(headline), _section(_lines(message, incident))))


def render_change(incident: Incident, transition: str) -> Payload:
    """What has become of it, for its thread."""
    emoji = {"recovered": "✅", "fixed": "🛠️", "worse": "🔺", "turned": "🔺", "reopened": "🔁"}.get(transition, "⚪")
    message = build_message(incident)
    text = escape(f"{emoji} {tell_change(incident, transition)}", _LINE)
    context = escape(message.headline, _HEADLINE)
    return Payload(f"{text} ({context})", (_section([text]), _context(context)))


def render_summary(incidents: Sequence[Incident], shown: int = 10) -> Payload:
    """Many at once: what they are, the worst first. Each is told in the thread."""
    headline = f"{len(incidents)} things are wrong"
    lines = [f"{_EMOJI[one.severity]} {escape(build_message(one).headline, _HEADLINE)}" for one in incidents[:shown]]
    if len(incidents) > shown:
        lines.append(f"… and {len(incidents) - shown} more, each of them in this thread")
    return Payload(headline, (_header(f"🚨 {headline}"), _section(lines)))


def escape(text: str, longest: int) -> str:
    """Text for mrkdwn that is only text, cut where it is too long, never within an entity; says how much is gone."""
    cleaned = _INVISIBLE.sub("", text)
    pieces = [{"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(one, one) for one in cleaned]
    if sum(map(len, pieces)) <= longest:
        return "".join(pieces)
    kept, used = 0, 0
    while used + len(pieces[kept]) <= longest - 30:
        used += len(pieces[kept])
        kept += 1
    return "".join(pieces[:kept]) + f"… ({len(pieces) - kept:,} more characters)"


def _lines(message: Message, incident: Incident) -> list[str]:
    lines = []
    if incident.state is not State.OPEN:
        lines.append(f"*{escape(tell_change(incident, incident.state.value), _LINE)}*")
    for label, text in message.lines:
        if incident.state.is_over and label in {"Blocks", "Also", "Next"}:
            continue
        shown = escape(text.replace("`", "'") if label in _CODE else text, _LINE)
        lines.append(f"*{label}*  `{shown}`" if label in _CODE else f"*{label}*  {shown}")
    return lines


def _header(text: str) -> dict[str, Any]:
    from slack_sdk.models.blocks import HeaderBlock

    cleaned = _INVISIBLE.sub("", text)
    return dict(HeaderBlock(text=cleaned if len(cleaned) <= _HEADLINE else f"{cleaned[: _HEADLINE - 1]}…").to_dict())


def _section(lines: Sequence[str]) -> dict[str, Any]:
    from slack_sdk.models.blocks import MarkdownTextObject, SectionBlock

    fitting: list[str] = []
    for line in lines:
        if sum(map(len, fitting)) + len(fitting) + len(line) > 2_900:
            fitting.append(f"… and {len(lines) - len(fitting)} more lines")
            break
        fitting.append(line)
    # verbatim: Slack looks for no names, channels and links in it
    return dict(SectionBlock(text=MarkdownTextObject(text="\n".join(fitting), verbatim=True)).to_dict())


def _context(text: str) -> dict[str, Any]:
    from slack_sdk.models.blocks import ContextBlock, MarkdownTextObject

    return dict(ContextBlock(elements=[MarkdownTextObject(text=text, verbatim=True)]).to_dict())
