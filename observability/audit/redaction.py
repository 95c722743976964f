"""Takes secrets out of what dbt records of its environment and its command line, before anything is stored.

A command line comes as a person typed it, its arguments quoted for a shell, or as dbt recorded it, without those
quotes. What stands in it may be a shell's assignment, an option, or `--vars` in JSON or YAML. Where it cannot be told
where a secret ends, more is taken rather than less.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

REDACTED = "[redacted]"
_ALWAYS = "dbt_env_secret_"
_COLUMNS = re.compile(
    r"(^|[_.-])(unique|primary|foreign|surrogate|natural|business|partition|cluster|sort|dist|join|merge)[_-]?keys?$"
)
"""Names of columns, not of secrets, though a pattern may well be `key`."""

_WORD = re.compile(r"""(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+""", re.DOTALL)
_ASSIGNMENT = re.compile(r"""(?<![\w.-])(?P<name>[\w.-]++)(?P<quote>\\*["']?)(?P<sign>[ \t]*+[:=][ \t]*|[ \t]+)""")
"""`name: `, `name=` and `--name `, the name quoted or not."""

_NEXT_OPTION = re.compile(r"\s+(?:--[a-z][\w-]*|-[A-Za-z])(?=[\s=]|$)")
_OPTION = re.compile(r"-{0,2}[\w-]+=")
_QUOTED = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^']|'')*\'""", re.DOTALL)
_NESTING = re.compile(rf"{_QUOTED.pattern}|\\.|(?P<open>[\[{{])|(?P<close>[\]}}])", re.DOTALL)
_PLAIN = re.compile(r"[^,\[\]{}\n]*?(?=\s*(?:[,\[\]{}\n]|$))")
_ESCAPED = re.compile(r"""(\\*)(["'])""")
_FLOW_END = re.compile(r"\s*[,}\]]")
_NO_SECRET = re.compile(r"""["']?(true|false|null|none|~|)["']?""", re.IGNORECASE)


class _Edit(NamedTuple):
    start: int
    end: int
    replacement: str = REDACTED


@dataclass(frozen=True)
class Redaction:
    """Which names mark a secret: those that contain one of `patterns`, unless allowed; `DBT_ENV_SECRET_*` always."""

    patterns: Sequence[str]
    allow: Sequence[str] = ()

    @cached_property
    def _allowed(self) -> frozenset[str]:
        return frozenset(name.lower() for name in self.allow)

    @cached_property
    def _names(self) -> re.Pattern[str]:
        return re.compile("|".join(re.escape(pattern) for pattern in (*self.patterns, _ALWAYS)), re.IGNORECASE)

    def is_secret(self, name: str) -> bool:
        """Whether a value of this name is a secret."""
        lowered = name.lower()
        if _ALWAYS in lowered:
            return True
        if lowered in self._allowed or _COLUMNS.search(lowered):
            return False
        return any(pattern.lower() in lowered for pattern in self.patterns)

    def value(self, value: object, name: str = "") -> object:
        """A JSON value with the secrets inside it redacted, at any depth; text that holds assignments too."""
        if name and self.is_secret(name) and not isinstance(value, bool) and value is not None:
            return REDACTED
        if isinstance(value, Mapping):
            return {str(key): self.value(inner, str(key)) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(inner) for inner in value]
        return self.text(value) if isinstance(value, str) else value

    def text(self, text: str) -> str:
        """Free text, such as a command line, with the value of each secret name redacted."""
        return self._redact(text, quoted=False)

    def _redact(self, text: str, *, quoted: bool) -> str:
        """`quoted`: the text is one argument of a command line, taken out of its quotes."""
        if not self._names.search(text):
            return text
        arguments = list(_arguments(text))
        edits = [edit for start, end in arguments if (edit := self._argument(text, start, end))]
        braces = counted = covered = 0
        for match in _ASSIGNMENT.finditer(text):
            start = match.start()
            while arguments and arguments[0][1] <= start:
                arguments.pop(0)
            inside = arguments and arguments[0][0] <= start
            if start < covered or inside or not self.is_secret(match["name"]):
                continue
            braces += text.count("{", counted, start) - text.count("}", counted, start)
            counted = start
            edit = _edit(text, match, quoted=quoted, braces=braces > 0)
            if edit:
                edits.append(edit)
                covered = edit.end
        return _apply(text, edits)

    def _argument(self, text: str, start: int, end: int) -> _Edit | None:
        (content,) = shlex.split(text[start:end])
        redacted = self._redact(content, quoted=True)
        return _Edit(start, end, shlex.quote(redacted)) if redacted != content else None


def _apply(text: str, edits: list[_Edit]) -> str:
    done: list[str] = []
    position = 0
    for edit in sorted(edits):
        if edit.start >= position:
            done += (text[position : edit.start], edit.replacement)
            position = edit.end
    return "".join(done) + text[position:]


def _arguments(text: str) -> Iterator[tuple[int, int]]:
    """Where the arguments stand that are quoted for a shell; of `--vars='…'`, what is after the sign."""
    for word in _WORD.finditer(text):
        option = _OPTION.match(word[0])
        start = word.start() + (option.end() if option else 0)
        content = text[start : word.end()]
        if content.startswith("{") and not content.startswith("{{"):
            return  # a shell would have taken it apart: dbt has dropped the quotes
        if content and re.search(r"""["'\\]""", content):
            yield start, word.end()


def _edit(text: str, match: re.Match[str], *, quoted: bool, braces: bool) -> _Edit | None:
    """What is to be redacted of the value that follows a secret's name; None where none does."""
    name, quote, sign, start = match["name"], match["quote"], match["sign"], match.end()
    following = text[start : start + 1]
    end: int | None = None
    if braces:
        end = _flow_end(text, start) if sign.strip() else None
    elif "=" in sign:
        # one whole argument is one whole value
        end = len(text) if quoted and not match.start() else _word_end(text, start)
    elif ":" in sign:
        # `tag:key:other` is a selection; YAML has a space, and JSON has quotes
        if quote or sign[-1] != ":" or following in {"", "\n"}:
            end = _block_end(text, match, quoted=quoted)
    elif name.startswith("-") and not quote and following not in {"", "-"}:
        # `run --select stg_keys other`: only an option takes its value after a space
        end = _word_end(text, start)
    return None if end is None else _keep_quotes(text, start, end)


def _keep_quotes(text: str, start: int, end: int) -> _Edit | None:
    value = text[start:end]
    if _NO_SECRET.fullmatch(value):
        return None
    escaped = _ESCAPED.match(value)
    quote = escaped[0] if escaped and len(value) >= 2 * len(escaped[0]) and value.endswith(escaped[0]) else ""
    return _Edit(start + len(quote), end - len(quote))


def _word_end(text: str, start: int) -> int:
    """The end of a shell's word; of the text, where a quote is never closed."""
    word = _WORD.match(text, start)
    end = word.end() if word else start
    return len(text) if text[end : end + 1] in {'"', "'", "\\"} else end


def _flow_end(text: str, start: int) -> int:
    """The end of a value between braces."""
    exact = _QUOTED.match(text, start)
    if exact and _FLOW_END.match(text, exact.end()):
        return exact.end()
    quote = _ESCAPED.match(text, start)
    if quote:
        depth = len(quote[1])
        # in text that is escaped once, \" ends a string and \\\" stands inside it; and so on
        for closing in _ESCAPED.finditer(text, quote.end()):
            ends = closing[2] == quote[2] and (len(closing[1]) - depth) % (2 * depth + 2) == 0
            if ends and _FLOW_END.match(text, closing.end()):
                return closing.end()
        return len(text)
    if text[start : start + 1] in {"[", "{"}:
        return _nesting_end(text, start)
    plain = _PLAIN.match(text, start)
    return plain.end() if plain else len(text)


def _nesting_end(text: str, start: int) -> int:
    depth = 0
    for token in _NESTING.finditer(text, start):
        depth += bool(token["open"]) - bool(token["close"])
        if not depth:
            return token.end()
    return len(text)


def _block_end(text: str, match: re.Match[str], *, quoted: bool) -> int:
    """The end of a value in YAML's block style: its line, and those below that are indented deeper."""
    line = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
    indent = line[: len(line) - len(line.lstrip(" \t"))]
    block = re.compile(rf"[^\n]*(?:\n(?:[ \t]*|{indent}[ \t]+[^\n]*|{indent}-[ \t][^\n]*)(?=\n|$))*").match(
        text, match.end()
    )
    end = block.end() if block else len(text)
    exact = _QUOTED.match(text, match.end())
    option = None if quoted else _NEXT_OPTION.search(text, exact.end() if exact else match.end(), end)
    return option.start() if option else len(text[:end].rstrip())
