"""Messages as Slack's blocks. What dbt said is text: nothing in it mentions, links or formats."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from observability.alerts.digest import Digest, Entry
from observability.alerts.incidents import Severity, State
from observability.alerts.message import listing, tell_change
from observability.alerts.notices import Notice
from observability.alerts.outbox import FOR_ALL

_EMOJI = {Severity.CRITICAL: "🔴", Severity.ERROR: "🟠", Severity.WARNING: "🟡"}
_STATES = {
    State.FIXED: ("🛠️", "fixed, not rebuilt"),
    State.RECOVERED: ("✅", "well again"),
    State.WITHDRAWN: ("⚪", "withdrawn"),
    State.EXPIRED: ("⚪", "expired"),
    State.RESOLVED: ("☑️", "resolved"),
}
_LINE, _HEADLINE = 700, 140
"""Characters, as Slack counts them, that a line and a headline have at most."""
_CODE = frozenset({"Next", "File", "Rows"})
_BREAKS = re.compile(r"[ \t]*[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+[ \t]*")
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


def render_incident(notice: Notice, *, mentioned: bool = False) -> Payload:
    """The message of an incident as it is: always the same for the same. `mentioned` calls those who are to be called.

    What it shows beside those names does not depend on the hour, so that nothing is edited because a night begins.
    """
    incident, message = notice.incident, notice.message
    emoji, word = _STATES.get(incident.state) or (_EMOJI[incident.severity], incident.severity.value)
    headline = f"{emoji} {word}: {message.headline}"
    links = " · ".join(_link(label, url) for label, url in message.links)
    called = _mentions(notice.mention) if mentioned and not incident.state.is_over else ""
    below = [text for text in (called, links, escape(notice.note, _LINE)) if text]
    contexts = [_context("   ".join(below))] if below else []
    return Payload(escape(headline, _LINE), (_header(headline), _section(_lines(notice)), *contexts))


def render_change(notice: Notice, transition: str) -> Payload:
    """What has become of it, for its thread."""
    emoji = _CHANGES.get(transition, "⚪")
    text = escape(f"{emoji} {tell_change(notice.incident, transition)}", _LINE)
    context = escape(notice.message.headline, _HEADLINE)
    called = f" {_mentions(notice.mention)}" if notice.mention and transition in FOR_ALL else ""
    return Payload(f"{text}{called} ({context})", (_section([f"{text}{called}"]), _context(context)))


_CHANGES = {"recovered": "✅", "resolved": "☑️", "fixed": "🛠️", "reopened": "🔁", "called": "🔔"}
_CHANGES |= dict.fromkeys(("worse", "turned", "critical"), "🔺")


def render_summary(notices: Sequence[Notice], shown: int = 10) -> Payload:
    """Many at once: what they are, the worst first. Each is told in the thread."""
    headline = f"{len(notices)} things are wrong"
    lines = [f"{_EMOJI[one.incident.severity]} {escape(one.message.headline, _HEADLINE)}" for one in notices[:shown]]
    if len(notices) > shown:
        lines.append(f"… and {len(notices) - shown} more, each of them in this thread")
    people = tuple(dict.fromkeys(one for notice in notices for one in notice.mention))
    contexts = [_context(_mentions(people))] if people else []
    return Payload(headline, (_header(f"🚨 {headline}"), _section(lines), *contexts))


def render_digest(digest: Digest, shown: int = 15) -> Payload:
    """The day's summary. When all is well, it says so: that it came is proof of life."""
    is_well = not (digest.open or digest.at_risk)
    new = f" ({digest.new} new)" if digest.new else ""
    ends = f", {len(digest.over)} over" if digest.over else ""
    facts = f"{len(digest.at_risk)} exposures at risk, {len(digest.open)} open{new}{ends}"
    headline = f"☀️ All is well{ends}" if is_well else f"📋 {facts}"
    at_risk = [
        f"• {escape(exposure.name, _HEADLINE)} ({exposure.risk.value}"
        f"{', critical' if exposure.critical else ''}): {escape(listing([one.name for one in hurting]), _LINE)}"
        for exposure, hurting in digest.at_risk
    ]
    sections = [("At risk", at_risk)]
    sections += [
        (name, [_entry_line(entry) for entry in entries])
        for name, entries in (("Open", digest.open), ("Over since yesterday", digest.over), ("Muted", digest.muted))
    ]
    blocks = [_header(headline)]
    for name, lines in sections:
        if lines:
            more = [f"… and {len(lines) - shown} more: dbt-observe incidents"] if len(lines) > shown else []
            blocks.append(_section([f"*{name}*", *lines[:shown], *more]))
    blocks.append(_context(f"as of {digest.at:%Y-%m-%d %H:%M} UTC"))
    return Payload(headline, tuple(blocks))


def _entry_line(entry: Entry) -> str:
    emoji, _ = _STATES.get(entry.incident.state) or (_EMOJI[entry.incident.severity], "")
    told = f" {_link('message', entry.permalink)}" if entry.permalink else ""
    return f"{emoji} {escape(entry.headline, _HEADLINE)}: {escape(entry.note, _HEADLINE)}{told}"


def _mentions(people: Sequence[str]) -> str:
    """Ids from the settings, which were checked: nothing that dbt said is ever one."""
    return " ".join(f"<!subteam^{one}>" if one.startswith("S") else f"<@{one}>" for one in people)


def _link(label: str, url: str) -> str:
    return f"<{escape(url, 3_000)}|{escape(label, _HEADLINE).replace('|', ' ')}>"


def escape(text: str, longest: int) -> str:
    """Text for mrkdwn that is only text, cut where it is too long, never within an entity; says how much is gone."""
    cleaned = _one_line(text)
    pieces = [{"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(one, one) for one in cleaned]
    if sum(map(len, pieces)) <= longest:
        return "".join(pieces)
    kept, used = 0, 0
    while used + len(pieces[kept]) <= longest - 30:
        used += len(pieces[kept])
        kept += 1
    return "".join(pieces[:kept]) + f"… ({len(pieces) - kept:,} more characters)"


def _one_line(text: str) -> str:
    """Without what would begin a line of ours, or turn one around."""
    return _INVISIBLE.sub("", _BREAKS.sub(" ", text))


def _lines(notice: Notice) -> list[str]:
    message, incident, lines = notice.message, notice.incident, []
    if incident.state is not State.OPEN:
        lines.append(f"*{escape(tell_change(incident, incident.state.value), _LINE)}*")
    for label, text in message.lines:
        if incident.state.is_over and label in {"Blocks", "Also", "Next", "Now"}:
            continue
        shown = escape(text.replace("`", "'") if label in _CODE else text, _LINE)
        lines.append(f"*{label}*  `{shown}`" if label in _CODE else f"*{label}*  {shown}")
    return lines


def _header(text: str) -> dict[str, Any]:
    from slack_sdk.models.blocks import HeaderBlock

    cleaned = _one_line(text)
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
