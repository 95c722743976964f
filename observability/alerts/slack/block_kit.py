"""Messages as Slack's blocks. What dbt said is text: nothing in it mentions anybody, links or begins a line."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from observability.alerts.digest import Digest, Entry
from observability.alerts.incidents import Severity, State
from observability.alerts.links import Link
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
    State.CLEARED: ("⚪", "cleared"),
}
_LINE, _HEADLINE = 450, 140
"""Characters, as Slack counts them, that a line and a headline have at most."""
_SECTION, _LINKS = 2_200, 2_000
"""Characters that the lines of a section and all links have at most, so that a message has less than 10,000."""
_ALL = -1
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
    called = _mentions(notice.mention) if mentioned and not incident.state.is_over else ""
    below = [text for text in (called, _links(message.links), escape(notice.note, _LINE)) if text]
    contexts = [_context("   ".join(below))] if below else []
    return Payload(escape(headline, _LINE), (_header(headline), *_sections(_lines(notice), most=3), *contexts))


def render_change(notice: Notice, transition: str) -> Payload:
    """What has become of it, for its thread."""
    emoji = _CHANGES.get(transition, "⚪")
    text = escape(f"{emoji} {tell_change(notice.incident, transition)}", _LINE)
    called = f" {_mentions(notice.mention)}" if notice.mention and transition in FOR_ALL else ""
    section = _section([f"{text}{called}"])
    if transition == "turned":  # says already what it is about
        return Payload(f"{text}{called}", (section,))
    context = escape(notice.message.headline, _HEADLINE)
    return Payload(f"{text}{called} ({context})", (section, _context(context)))


_CHANGES = {"recovered": "✅", "resolved": "☑️", "fixed": "🛠️", "reopened": "🔁", "called": "🔔"}
_CHANGES |= dict.fromkeys(("worse", "turned", "critical"), "🔺")


def render_summary(notices: Sequence[Notice], shown: int = 10, *, in_thread: bool = True) -> Payload:
    """Many at once: what they are, the worst first. Each is told in the thread; where there is none, all that fit."""
    headline = f"{len(notices)} things are wrong"
    lines = [f"{_EMOJI[one.incident.severity]} {escape(one.message.headline, _HEADLINE)}" for one in notices]
    if in_thread:
        sections = _sections(lines, "each of them in this thread", shown=shown)
    else:
        sections = _sections(lines, "dbt-observe incidents lists all", most=3)
    people = tuple(dict.fromkeys(one for notice in notices for one in notice.mention))
    contexts = [_context(_mentions(people))] if people else []
    return Payload(headline, (_header(f"🚨 {headline}"), *sections, *contexts))


def render_digest(digest: Digest, shown: int = 15) -> Payload:
    """The day's summary. When all is well, it says so: that it came is proof of life."""
    is_well = not (digest.open or digest.at_risk)
    hurt, new = len(digest.at_risk), f" ({digest.new} new)" if digest.new else ""
    facts = [
        f"{hurt} exposure{'s' * (hurt > 1)} at risk" if hurt else "",
        f"{len(digest.open)} open{new}" if digest.open else "",
        f"{len(digest.over)} over" if digest.over else "",
        f"{len(digest.muted)} muted" if digest.muted else "",
    ]
    told = ", ".join(filter(None, ("All is well" if is_well else "", *facts)))
    headline = f"{'☀️' if is_well else '📋'} {told}"
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
            blocks += _sections([f"*{name}*", *lines], "dbt-observe incidents lists all", shown=shown + 1)
    blocks.append(_context(f"as of {digest.at:%Y-%m-%d %H:%M} UTC"))
    return Payload(headline, tuple(blocks))


def _entry_line(entry: Entry) -> str:
    emoji, _ = _STATES.get(entry.incident.state) or (_EMOJI[entry.incident.severity], "")
    told = f" {_link('message', entry.permalink)}" if entry.permalink else ""
    return f"{emoji} {escape(entry.headline, _HEADLINE)}: {escape(entry.note, _HEADLINE)}{told}"


def _mentions(people: Sequence[str]) -> str:
    """Ids from the settings, which were checked: nothing that dbt said is ever one."""
    return " ".join(f"<!subteam^{one}>" if one.startswith("S") else f"<@{one}>" for one in people)


def _links(links: Sequence[Link]) -> str:
    """Those that fit, whole: half a link leads nowhere."""
    shown: list[str] = []
    for label, url in links:
        link = _link(label, url)
        if sum(map(len, shown)) + len(link) <= _LINKS:
            shown.append(link)
    left = len(links) - len(shown)
    more = [f"{left} more link{'s' * (left != 1)}: too long to show"] if left else []
    return " · ".join([*shown, *more])


def _link(label: str, url: str) -> str:
    return f"<{escape(url, 5 * len(url))}|{escape(label, _HEADLINE).replace('|', ' ')}>"


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
    """Without what would begin or turn around a line of ours, or make code of it."""
    return _INVISIBLE.sub("", _BREAKS.sub(" ", text)).replace("`", "'")


def _lines(notice: Notice) -> list[str]:
    message, incident, lines = notice.message, notice.incident, []
    if incident.state is not State.OPEN:
        lines.append(f"*{escape(tell_change(incident, incident.state.value), _LINE)}*")
    for label, text in message.lines:
        if label in _left_out(incident.state):
            continue
        shown = escape(text, _LINE)
        is_code = label in _CODE and not (label == "Next" and text.startswith("see "))
        lines.append(f"*{label}*  `{shown}`" if is_code else f"*{label}*  {shown}")
    return lines


def _left_out(state: State) -> Collection[str]:
    """Labels of what is no longer so, or said by the line on top."""
    if state.is_over:
        return ("Hurts", "Blocks", "Also", "Next", "Now")
    return ("Blocks", "Also") if state is State.FIXED else ()


def _header(text: str) -> dict[str, Any]:
    from slack_sdk.models.blocks import HeaderBlock

    cleaned = _one_line(text)
    return dict(HeaderBlock(text=cleaned if len(cleaned) <= _HEADLINE else f"{cleaned[: _HEADLINE - 1]}…").to_dict())


def _sections(lines: Sequence[str], more: str = "", *, shown: int = _ALL, most: int = 1) -> list[dict[str, Any]]:
    """Lines in as many sections as they need, and at most so many; of what is left out, how many, and `more`."""
    sections: list[list[str]] = [[]]
    for number, line in enumerate(lines):
        is_full = sum(map(len, sections[-1])) + len(sections[-1]) + len(line) > _SECTION
        if number == shown or (is_full and len(sections) == most):
            sections[-1].append(", ".join(filter(None, (f"… and {len(lines) - number} more", more))))
            break
        if is_full:
            sections.append([])
        sections[-1].append(line)
    return [_section(section) for section in sections]


def _section(lines: Sequence[str]) -> dict[str, Any]:
    from slack_sdk.models.blocks import MarkdownTextObject, SectionBlock

    # verbatim: Slack looks for no names, channels and links in it
    return dict(SectionBlock(text=MarkdownTextObject(text="\n".join(lines), verbatim=True)).to_dict())


def _context(text: str) -> dict[str, Any]:
    from slack_sdk.models.blocks import ContextBlock, MarkdownTextObject

    return dict(ContextBlock(elements=[MarkdownTextObject(text=text, verbatim=True)]).to_dict())
