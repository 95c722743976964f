"""What a dbt command line says of its step: the command, its target and what it selected."""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise


class CommandKind(StrEnum):
    """What a command leaves behind."""

    RUNS_NODES = "runs nodes"
    CHECKS_FRESHNESS = "checks freshness"
    RUNS_NOTHING = "runs nothing"


KINDS: dict[str, CommandKind] = {
    **dict.fromkeys(
        ("run", "test", "build", "seed", "snapshot", "retry", "clone", "run-operation"), CommandKind.RUNS_NODES
    ),
    **dict.fromkeys(("source freshness", "freshness"), CommandKind.CHECKS_FRESHNESS),
    **dict.fromkeys(
        ("compile", "docs generate", "docs serve", "show", "parse", "ls", "debug", "deps", "clean", "init"),
        CommandKind.RUNS_NOTHING,
    ),
}
"""Every command that is known. What is not here is treated as one that runs nodes if it left run results."""

_SYNONYMS = {
    "list": "ls",
    "generate": "docs generate",
    "serve": "docs serve",
    "snapshot-freshness": "source freshness",
    "source snapshot-freshness": "source freshness",
    "docs": "docs generate",
    "source": "source freshness",
}
_DBT = re.compile(r"(^|[/\\])dbtf?(\.exe|\.cli\.main)?$")
_IMAGE = re.compile(r"(^|/)dbt-[\w-]+:[\w.-]+$")
_WITH_VALUE = re.compile(
    r"--(?!no-)[\w-]*(?:dir|path|target|profile|level|level-file|format|format-file|threads|vars|options|width|size"
    r"|bytes|state|info)$|-[rt]$"
)
_SHORT = {"-x": "--fail-fast", "-f": "--full-refresh"}
_SELECTION = {"--select": "select", "-s": "select", "--models": "select", "--model": "select", "-m": "select"}
_SELECTION |= {"--exclude": "exclude", "--selector": "selector", "--target": "target", "-t": "target"}


@dataclass(frozen=True)
class Command:
    """A dbt command line. `name` is dbt's own word for the command, or None where the text holds none."""

    text: str | None = None
    name: str | None = None
    target: str | None = None
    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    selector: str | None = None
    flags: frozenset[str] = field(default_factory=frozenset)

    @property
    def kind(self) -> CommandKind | None:
        """None for a command that is not known."""
        return KINDS.get(self.name or "")


def normalise(name: str | None) -> str | None:
    """A command by one name, whichever way dbt spells it: `list` is `ls`, `generate` is `docs generate`."""
    return _SYNONYMS.get(name, name) if name else None


def parse_command(text: str | None) -> Command:
    """Read a command line as a person typed it or as dbt recorded it (which drops the quotes).

    Of a chain such as `dbt deps && dbt build`, it is the one that leaves results; where several would, which of them
    it was is not known.
    """
    if not text or not text.strip():
        return Command()
    try:
        words = shlex.split(text)
    except ValueError:  # a quote that is never closed
        words = text.split()
    links = list(_chain(words))
    dbt = [link for link in links if _start(link)] or links
    found = [command for link in dbt if (command := _parse(text, link)).name]
    telling = [command for command in found if command.kind is not CommandKind.RUNS_NOTHING] or found
    if len({command.name for command in telling}) == 1:
        return telling[-1]
    return Command(text=text) if telling else _parse(text, words)


def _chain(words: list[str]) -> Iterator[list[str]]:
    """The commands that a shell runs one after the other."""
    link: list[str] = []
    for word in words:
        if word not in {"&&", "||", ";"}:
            link.append(word.removesuffix(";"))
        if word in {"&&", "||"} or word.endswith(";"):
            yield link
            link = []
    yield link


def _start(words: list[str]) -> int:
    """Where dbt's own words begin: `uv run dbt build` runs dbt, not `run`. 0 where no word is dbt itself."""
    for program in (_DBT, _IMAGE):
        for i, word in enumerate(words):
            if program.search(word):
                return i + 1
    return 0


def _parse(text: str, words: list[str]) -> Command:
    words = words[_start(words) :]
    options = _options(words)
    flags = (word.partition("=")[0] for word in words if word.startswith("-"))
    return Command(
        text=text,
        name=_name(words),
        target=next(iter(options.get("target", ())), None),
        select=tuple(options.get("select", ())),
        exclude=tuple(options.get("exclude", ())),
        selector=next(iter(options.get("selector", ())), None),
        flags=frozenset(_SHORT.get(flag, flag) for flag in flags),
    )


def _name(words: list[str]) -> str | None:
    known = KINDS.keys() | _SYNONYMS.keys()
    skip = False
    for word, follower in pairwise((*words, "")):
        if skip:
            skip = False
        elif word.startswith("-"):
            skip = bool(_WITH_VALUE.match(word))
        elif word in known:
            return normalise(f"{word} {follower}" if f"{word} {follower}" in known else word)
    return None


def _options(words: Iterable[str]) -> Mapping[str, list[str]]:
    options: dict[str, list[str]] = {}
    current: str | None = None
    for word in words:
        if word.startswith("-"):
            flag, equals, value = word.partition("=")
            current = _SELECTION.get(flag)
            if current and equals:
                options.setdefault(current, []).append(value)
        elif current:
            options.setdefault(current, []).append(word)
            if current in {"selector", "target"}:
                current = None
    return options


def from_args(args: Mapping[str, object] | None) -> Command:
    """The command that a run_results.json's `args` tells of. dbt writes `run` for a retry: only the text says it."""
    args = args or {}
    text = args.get("invocation_command")
    typed = parse_command(text if isinstance(text, str) else None)
    which = args.get("which") or args.get("rpc_method") or args.get("command")
    target = args.get("target")
    return Command(
        text=typed.text,
        name=typed.name or normalise(which if isinstance(which, str) else None),
        target=typed.target or (target if isinstance(target, str) else None),
        select=typed.select or _words(args.get("select")),
        exclude=typed.exclude or _words(args.get("exclude")),
        selector=typed.selector or next(iter(_words(args.get("selector"))), None),
        # dbt also takes these from its environment and from dbt_project.yml
        flags=typed.flags | {flag for flag in _SHORT.values() if args.get(flag[2:].replace("-", "_")) is True},
    )


def _words(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(str(word) for word in value) if isinstance(value, list) else ()
