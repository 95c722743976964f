"""What a dbt command line says of its step: the command, its target and what it selected."""

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


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

_TWO_WORDS = {"source": "source freshness", "docs": "docs generate"}
_SYNONYMS = {
    "list": "ls",
    "generate": "docs generate",
    "serve": "docs serve",
    "snapshot-freshness": "source freshness",
    "source snapshot-freshness": "source freshness",
    "docs": "docs generate",
    "source": "source freshness",
}
_WITH_VALUE = re.compile(
    r"--(?!no-)[\w-]*(?:dir|path|target|profile|level|format|threads|vars|options|width|size)$|-t$"
)
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
    """Read a command line as a person typed it or as dbt recorded it (which drops the quotes)."""
    if not text or not text.strip():
        return Command()
    try:
        words = shlex.split(text)
    except ValueError:  # a quote that is never closed
        words = text.split()
    name, rest = _find_name(words)
    options = _options(words[: len(words) - len(rest)] + rest)
    return Command(
        text=text,
        name=name,
        target=next(iter(options.get("target", ())), None),
        select=tuple(options.get("select", ())),
        exclude=tuple(options.get("exclude", ())),
        selector=next(iter(options.get("selector", ())), None),
        flags=frozenset(word.partition("=")[0] for word in words if word.startswith("-")),
    )


def _find_name(words: list[str]) -> tuple[str | None, list[str]]:
    known = KINDS.keys() | _SYNONYMS.keys()
    # `uv run dbt build` runs dbt, not `run`
    start = next((i + 1 for i, word in enumerate(words) if re.search(r"(^|[/\\])dbtf?(\.exe|\.cli\.main)?$", word)), 0)
    skip = False
    for i, word in enumerate(words[start:], start):
        if skip:
            skip = False
        elif word.startswith("-"):
            skip = bool(_WITH_VALUE.match(word))
        elif word in known:
            follower = words[i + 1] if i + 1 < len(words) else ""
            if word in _TWO_WORDS:
                return normalise(f"{word} {follower}" if f"{word} {follower}" in known else word), words[i + 2 :]
            return normalise(word), words[i + 1 :]
    return None, []


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
        selector=typed.selector,
        flags=typed.flags,
    )


def _words(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(str(word) for word in value) if isinstance(value, list) else ()
