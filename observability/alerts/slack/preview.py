"""Messages as a browser shows them, much as Slack would: one page that asks nobody for anything."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from jinja2 import Template

_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}
_WEB = re.compile(r"https?://[^\s|]+")
_ATOM = r"```.+?```|`[^`\n]+`|<[^<>\n]+>"
"""What no emphasis ends in: code and references."""


def _emphasis(name: str, mark: str) -> str:
    """Text between two marks that stand at the edges of words. Possessive, so that hostile text costs no time."""
    return rf"(?<![\w{mark}]){mark}(?!\s)(?P<{name}>(?>{_ATOM}|[^{mark}\n])++)(?<!\s){mark}(?![\w{mark}])"


_MARKS = re.compile(
    r"```\n?(?P<pre>.+?)```\n?|`(?P<code>[^`\n]+)`|<(?P<reference>[^<>\n]+)>|"
    + "|".join((_emphasis("bold", r"\*"), _emphasis("italic", "_"), _emphasis("strike", "~"))),
    re.DOTALL,
)
_CODE = frozenset({"pre", "code"})
_TAGS = {
    "pre": Markup("<pre>{}</pre>"),
    "code": Markup("<code>{}</code>"),
    "bold": Markup("<strong>{}</strong>"),
    "italic": Markup("<em>{}</em>"),
    "strike": Markup("<s>{}</s>"),
}
_LINK = Markup('<a href="{}" rel="noopener noreferrer">{}</a>')
_MENTION = Markup('<span class="mention">{}{}</span>')
_CALL = Markup('<span class="mention call">@{}</span>')
_CALLS = frozenset({"!here", "!channel", "!everyone"})
_MENTIONED = {"@": "@", "#": "#", "!subteam^": "@"}
"""How a mention is written, and how it is shown."""


@dataclass(frozen=True)
class Shown:
    """A message as Slack shows it."""

    text: str
    """mrkdwn, shown where there are no blocks."""
    blocks: Sequence[Mapping[str, Any]] = ()
    at: str = ""
    """The time of day beside the name, such as 06:12."""
    edited: bool = False
    replies: Sequence["Shown"] = ()
    """Its thread."""
    broadcast: bool = False
    """Whether a reply was sent to the channel too."""


def render_preview(channel: str, messages: Sequence[Shown], *, title: str = "Slack preview") -> str:
    """One HTML page that needs nothing else."""
    return _template().render(channel=channel.removeprefix("#"), messages=messages, title=title)


def render_mrkdwn(text: str) -> Markup:
    """Slack's markup as HTML; whatever is no markup of Slack's is only text."""
    parts, end = [], 0
    for found in _MARKS.finditer(text):
        parts += [_text(text[end : found.start()]), _marked(str(found.lastgroup), found[str(found.lastgroup)])]
        end = found.end()
    return Markup().join([*parts, _text(text[end:])])


def _marked(kind: str, content: str) -> Markup:
    if kind == "reference":
        return _reference(content)
    return _TAGS[kind].format(_text(content) if kind in _CODE else render_mrkdwn(content))


def _reference(content: str) -> Markup:
    """A link or a mention. Of anything else, what was written."""
    target, _, label = content.partition("|")
    if _WEB.fullmatch(target):
        return _LINK.format(_plain(target), _text(label or target))
    if target in _CALLS:
        return _CALL.format(target[1:])
    for prefix, sign in _MENTIONED.items():
        if re.fullmatch(rf"{re.escape(prefix)}\w+", target):
            return _MENTION.format(sign, _plain(label or target.removeprefix(prefix)).removeprefix(sign))
    return _text(f"<{content}>")


def _text(escaped: str) -> Markup:
    return escape(_plain(escaped))


def _plain(escaped: str) -> str:
    """Without the three entities that Slack's texts have."""
    return re.sub("|".join(_ENTITIES), lambda found: _ENTITIES[found[0]], escaped)


@cache
def _template() -> "Template":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    pages = Environment(
        loader=PackageLoader("observability.alerts.slack", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    pages.filters["mrkdwn"] = render_mrkdwn
    pages.tests["web"] = lambda url: isinstance(url, str) and _WEB.fullmatch(url) is not None
    return pages.get_template("preview.html.j2")
