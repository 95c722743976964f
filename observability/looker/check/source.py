"""LookML files as they are written: blocks, lists and values, each with its line."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.errors import ConfigError

if TYPE_CHECKING:
    from lkml.tree import ContainerNode

_LARGEST = 5_000_000
_MOST_FILES = 5_000
_SUFFIXES = (".lkml", ".dashboard.lookml")


@dataclass(frozen=True, order=True)
class Problem:
    """A fault of a project. `rule` names its kind, `path` is below the project's root, lines count from 1."""

    path: str
    line: int
    rule: str
    message: str


@dataclass(frozen=True)
class Item:
    """A value in a list: with a key in `filters: [a: "x"]`, without one in `fields: [a]`."""

    key: str
    value: str
    line: int
    path: str


@dataclass
class Block:
    """A block: `dimension: name { … }`. What may be said once and is said twice is in `parts` twice."""

    kind: str
    name: str
    path: str
    line: int
    parts: list["Part"] = field(default_factory=list)

    def all(self, key: str) -> Iterator["Part"]:
        """What is said by that key, in order."""
        return (part for part in self.parts if part.key == key)

    def one(self, key: str) -> "Part | None":
        """What is said last by that key."""
        return next(reversed([*self.all(key)]), None)

    def text(self, key: str, default: str = "") -> str:
        """The value of a key that has one."""
        part = self.one(key)
        return part.value if part and part.value is not None else default

    def items(self, key: str) -> Sequence[Item]:
        """The items of all lists by that key."""
        return [item for part in self.all(key) for item in part.items]

    def blocks(self, *kinds: str) -> Iterator["Block"]:
        """The blocks in it, of these kinds."""
        return (part.block for part in self.parts if part.block and part.key in kinds)


@dataclass(frozen=True)
class Part:
    """What is said by a key: a value, a list's items, or a block."""

    key: str
    line: int
    path: str
    value: str | None = None
    items: Sequence[Item] = ()
    block: Block | None = None


@dataclass(frozen=True)
class Yaml:
    """A value of a dashboard's YAML, with its line: a text, a list or a mapping."""

    line: int
    value: Any

    def get(self, key: str) -> "Yaml | None":
        """A mapping's value by key."""
        return next((value for name, value in self.entries() if name == key), None)

    def entries(self) -> Sequence[tuple[str, "Yaml"]]:
        """A mapping's keys and values."""
        return self.value if isinstance(self.value, tuple) else ()

    def each(self) -> "Sequence[Yaml]":
        """A list's values."""
        return self.value if isinstance(self.value, list) else []

    def text(self) -> str:
        """A scalar's text."""
        return self.value if isinstance(self.value, str) else ""


@dataclass
class Source:
    """All files of a project."""

    root: Path
    files: dict[str, Block] = field(default_factory=dict)
    """Per LookML file its contents, as one block."""
    dashboards: dict[str, Yaml] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read_source(root: Path) -> Source:
    """Read a folder. What cannot be read is among the problems. Raises ConfigError where there is no project."""
    if not root.is_dir():
        raise ConfigError(f"{str(root)!r} is no folder", where="--check", next_step="name the root of a LookML project")
    source = Source(root)
    found = sorted(_walk(root, source))
    if len(found) > _MOST_FILES:
        raise ConfigError(
            f"{len(found):,} files of LookML are in {str(root)!r}: more than one project has",
            where="--check",
            next_step="name the root of one LookML project",
        )
    if not found and not source.problems:
        raise ConfigError(
            f"no .lkml file is in {str(root)!r}",
            where="--check",
            next_step="name the root of a LookML project, such as what dbt-observe lookml --out wrote to",
        )
    for path in found:
        name = path.relative_to(root).as_posix()
        try:
            if path.stat().st_size > _LARGEST:
                raise _UnreadableError(f"larger than {_LARGEST:,} bytes")
            text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")  # as Git on Windows has it
            if name.endswith(".lookml"):
                source.dashboards[name] = _read_yaml(text)
            else:
                source.files[name] = _read_lookml(name, text)
        except _UnreadableError as error:
            source.problems.append(Problem(name, error.line, error.rule, error.message))
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            told = f"no UTF-8: byte 0x{error.object[error.start]:02x} at {error.start:,}; save it as UTF-8"
            source.problems.append(Problem(name, line, "syntax", told))
        except OSError as error:
            source.problems.append(Problem(name, 1, "syntax", f"cannot be read: {error.strerror}"))
    return source


def _walk(root: Path, source: Source) -> Iterator[Path]:
    """The files of a project; hidden folders are none of it. A folder that cannot be read is a problem."""

    def note(error: OSError) -> None:
        name = Path(error.filename).relative_to(root).as_posix()
        source.problems.append(Problem(name, 1, "syntax", f"cannot be read: {error.strerror}"))

    for place, folders, names in os.walk(root, onerror=note):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "node_modules"]
        for name in names:
            path = Path(place, name)
            if name.endswith(_SUFFIXES) and path.is_file():
                yield path


class _UnreadableError(Exception):
    def __init__(self, message: str, line: int = 1, rule: str = "syntax") -> None:
        super().__init__(message)
        self.message, self.line, self.rule = message, line, rule


def _read_lookml(name: str, text: str) -> Block:
    import lkml

    try:
        tree = lkml.parse(text)
    except KeyError as error:
        key, line = _said_twice(text)
        raise _UnreadableError(f"{key} is said twice in one block", line, rule="duplicate") from error
    except IndexError as error:
        raise _UnreadableError('no LookML: it ends within a text: " or ;; is missing', _lines(text)) from error
    except (SyntaxError, AttributeError, RecursionError) as error:
        told = str(error)
        if "<stream end>" in told:
            told = "a value or a bracket is missing before its end"
        raise _UnreadableError(f"no LookML: {told or type(error).__name__}", _line_in(str(error))) from error
    read = str(tree)
    if rest := text[len(read) :].strip():
        line = _lines(text) - text[len(read) :].lstrip().count("\n")
        raise _UnreadableError(f"no LookML from here on: {rest[:20]!r}; a bracket too many?", line)
    return _block("file", "", name, 1, tree.container)


def _lines(text: str) -> int:
    """How many it has, counted from 1."""
    return text.count("\n") + 1


def _said_twice(text: str) -> tuple[str, int]:
    """The key that a block has twice, and its line: the parser names neither the line nor the block."""
    from lkml import tokens
    from lkml.keys import PLURAL_KEYS
    from lkml.lexer import Lexer

    above: list[set[str]] = [set()]
    lists = 0
    for token, after in pairwise(Lexer(text).scan()):
        lists += isinstance(token, tokens.ListStartToken) - isinstance(token, tokens.ListEndToken)
        if isinstance(token, tokens.BlockStartToken):
            above.append(set())
        elif isinstance(token, tokens.BlockEndToken):
            above.pop()
        elif isinstance(token, tokens.LiteralToken) and isinstance(after, tokens.ValueToken) and not lists:
            if len(above) > 1 and token.value in above[-1] and token.value not in PLURAL_KEYS:
                return token.value, token.line_number
            above[-1].add(token.value)
    return "a key", 1


def _line_in(message: str) -> int:
    numbers = re.findall(r"\bline ([0-9]{1,9})\b", message)
    return int(numbers[-1]) if numbers else 1


def _block(kind: str, name: str, path: str, line: int, container: "ContainerNode | None") -> Block:
    from lkml.tree import BlockNode, ListNode

    made = Block(kind, name, path, line)
    for node in container.items if container else ():
        key, at = node.type.value, node.type.line_number or line
        if isinstance(node, BlockNode):
            inner = _block(key, node.name.value if node.name else "", path, at, node.container)
            made.parts.append(Part(key, at, path, block=inner))
        elif isinstance(node, ListNode):
            made.parts.append(Part(key, at, path, items=tuple(_items(node.items, at, path))))
        else:
            made.parts.append(Part(key, at, path, value=str(node.value.value)))
    return made


def _items(nodes: Sequence[Any], line: int, path: str) -> Iterator[Item]:
    for node in nodes:
        if hasattr(node, "type"):
            yield Item(node.type.value, str(node.value.value), node.type.line_number or line, path)
        else:
            yield Item("", str(node.value), node.line_number or line, path)


def _read_yaml(text: str) -> Yaml:
    import yaml

    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        return Yaml(1, []) if node is None else _yaml(node, frozenset(), {})
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise _UnreadableError(f"no YAML: {error.problem}", mark.line + 1 if mark else 1) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise _UnreadableError(f"no YAML: {error}") from error


def _yaml(node: Any, above: frozenset[int], known: dict[int, Yaml]) -> Yaml:
    """A node of YAML's own tree, each once however many aliases name it. What is said twice in a mapping stays so."""
    import yaml

    line = node.start_mark.line + 1
    if id(node) in above:
        raise _UnreadableError("an alias that holds itself", line)
    if id(node) not in known:
        inner = above | {id(node)}
        made: Any
        if isinstance(node, yaml.SequenceNode):
            made = [_yaml(one, inner, known) for one in node.value]
        elif isinstance(node, yaml.MappingNode):
            made = tuple((_key(key), _yaml(value, inner, known)) for key, value in node.value)
        else:
            made = str(node.value)
        known[id(node)] = Yaml(line, made)
    return known[id(node)]


def _key(node: Any) -> str:
    if not isinstance(node.value, str):
        raise _UnreadableError("a key that is no text", node.start_mark.line + 1)
    return node.value
