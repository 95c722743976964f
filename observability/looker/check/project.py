"""A LookML project as its files amount to: views with fields, explores with joins, and what is named across files."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase

from observability.looker.check.source import Block, Item, Part, Problem, Source

_DEFAULT_TIMEFRAMES = ("raw", "time", "date", "week", "month", "quarter", "year")
_FIELD_KINDS = ("dimension", "dimension_group", "measure", "filter", "parameter")
CONSTANT = re.compile(r"@\{(\w+)\}")


@dataclass(frozen=True)
class Field:
    """A field as an explore knows it: of a dimension group, each of its timeframes is one."""

    name: str
    view: str
    block: Block
    timeframe: str = ""

    @property
    def kind(self) -> str:
        """dimension, measure, filter or parameter."""
        return "dimension" if self.block.kind == "dimension_group" else self.block.kind

    @property
    def type(self) -> str:
        """Its LookML type."""
        if self.timeframe:
            return "date" if self.timeframe != "raw" else "raw"
        return self.block.text("type", "string")

    @property
    def is_measure(self) -> bool:
        """Whether it is of many rows."""
        return self.block.kind == "measure"


@dataclass
class View:
    """A view with what refines it."""

    name: str
    block: Block
    fields: dict[str, Field] = field(default_factory=dict)
    sets: dict[str, Block] = field(default_factory=dict)
    extended: bool = False
    """Whether what it extends is in it."""

    @property
    def table(self) -> str:
        """The last name of its table, constants put in by nobody."""
        return self.block.text("sql_table_name").strip().strip("`").rpartition(".")[2]

    def primary_keys(self) -> list[Field]:
        """The dimensions that name a row."""
        return [one for one in self.fields.values() if one.block.text("primary_key") == "yes"]


@dataclass
class Explore:
    """An explore: the views in it, by the names that it gives them."""

    name: str
    block: Block
    views: dict[str, str] = field(default_factory=dict)
    """Alias: the view's name. The first is what it begins with."""
    joins: dict[str, Block] = field(default_factory=dict)
    extended: bool = False
    """Whether what it extends is in it."""

    @property
    def base(self) -> str:
        """The alias of what it begins with."""
        return next(iter(self.views), self.name)


@dataclass
class Project:
    """Everything that is defined, and what was wrong with defining it."""

    source: Source
    views: dict[str, View] = field(default_factory=dict)
    explores: dict[str, Explore] = field(default_factory=dict)
    constants: dict[str, Block] = field(default_factory=dict)
    grants: dict[str, Block] = field(default_factory=dict)
    datagroups: dict[str, Block] = field(default_factory=dict)
    formats: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    _reached: dict[str, frozenset[str]] = field(default_factory=dict)
    _accessible: dict[str, dict[str, Field]] = field(default_factory=dict)

    def say(self, rule: str, block: Block, message: str, at: Part | Item | str | int | None = None) -> None:
        """Note a problem of a block: of a part of it, of what it says by a key, or at a line.

        A part of a block that is refined is in another file than the block.
        """
        found = block.one(at) if isinstance(at, str) else at
        path, line = (found.path, found.line) if isinstance(found, Part | Item) else (block.path, found)
        self.problems.append(Problem(path, line or block.line, rule, message))

    @property
    def models(self) -> Mapping[str, Block]:
        """The model files, by the model's name."""
        suffix = ".model.lkml"
        return {
            path.rpartition("/")[2].removesuffix(suffix): block
            for path, block in self.source.files.items()
            if path.endswith(suffix)
        }

    def reach(self, path: str) -> frozenset[str]:
        """The files that a file includes, itself and their own includes too."""
        if path in self._reached:
            return self._reached[path]
        found, waiting = {path}, [path]
        while waiting:
            block = self.source.files.get(waiting.pop())
            for name in self.included(block) if block else ():
                if name not in found:
                    found.add(name)
                    waiting.append(name)
        self._reached[path] = frozenset(found)
        return self._reached[path]

    def included(self, block: Block) -> Iterator[str]:
        """The files that a file's own includes match."""
        for part in block.all("include"):
            yield from self.matching(part.value or "", block.path)

    def matching(self, pattern: str, path: str) -> list[str]:
        """The files that an include matches; what is of other projects matches none here."""
        if pattern.startswith("//"):
            return []
        folder = path.rpartition("/")[0]
        wanted = pattern[1:] if pattern.startswith("/") else f"{folder}/{pattern}".lstrip("/")
        names = [*self.source.files, *self.source.dashboards]
        return [name for name in names if any(fnmatchcase(name, f"{wanted}{end}") for end in ("", ".lkml", ".lookml"))]

    def filled(self, text: str) -> str:
        """A text with the constants' values in it."""
        known = {name: block.text("value") for name, block in self.constants.items()}
        return CONSTANT.sub(lambda found: known.get(found[1], found[0]), text)

    def members(self, view: View, item: str, seen: frozenset[str] = frozenset()) -> list[str]:
        """The names that an item of a list stands for: a field's own, or those of a set (`name*`)."""
        if not item.endswith("*"):
            return [item.removeprefix("-")]
        name = item.removeprefix("-")[:-1].rpartition(".")[2]
        if name == "ALL_FIELDS":
            return [*view.fields]
        if name not in view.sets or name in seen:
            return []
        items = [one.value for one in view.sets[name].items("fields")]
        return [member for one in items for member in self.members(view, one, seen | {name})]

    def accessible(self, explore: Explore) -> dict[str, Field]:
        """The fields of an explore by `alias.field`: a join may bring some only. Once all is put together."""
        if explore.name in self._accessible:
            return self._accessible[explore.name]
        found = self._accessible[explore.name] = {}
        for alias, name in explore.views.items():
            view = self.views.get(name)
            if view is None:
                continue
            brought = explore.joins[alias].items("fields") if alias in explore.joins else ()
            names = (
                {m.rpartition(".")[2] for one in brought for m in self.members(view, one.value)} if brought else None
            )
            for field_name, one in view.fields.items():
                if names is None or field_name in names:
                    found[f"{alias}.{field_name}"] = one
        return found


def nearest(name: str, known: Sequence[str]) -> str:
    """A hint at what was meant, with a comma before it."""
    near = get_close_matches(name, known, n=1)
    return f", did you mean {near[0]}?" if near else ""


def build_project(source: Source) -> Project:
    """Put a project's files together."""
    project = Project(source, problems=[*source.problems])
    named = {"constant": project.constants, "access_grant": project.grants, "datagroup": project.datagroups}
    refinements: list[Block] = []
    for file in source.files.values():
        for kind, known in named.items():
            for block in file.blocks(kind):
                _define(project, known, block)
        project.formats |= {block.name for block in file.blocks("named_value_format")}
        for block in file.blocks("view", "explore"):
            if block.name.startswith("+"):
                refinements.append(block)
            elif _define(project, {name: one.block for name, one in _of(project, block.kind).items()}, block):
                _add(project, block)
    for block in refinements:
        _refine(project, block)
    for view in project.views.values():
        _extend_view(project, view, frozenset())
    for explore in project.explores.values():
        _extend_explore(project, explore, frozenset())
    return project


def _extend_view(project: Project, view: View, below: frozenset[str]) -> None:
    """Add what a view takes from those that it extends, once these are whole; its own goes before theirs."""
    for item in [] if view.extended or view.name in below else reversed(view.block.items("extends")):
        parent = project.views.get(item.value)
        if parent is None:
            hint = nearest(item.value, [*project.views])
            project.say("unknown view", view.block, f"{view.name} extends {item.value}, which is no view{hint}", item)
            continue
        _extend_view(project, parent, below | {view.name})
        view.block.parts[:0] = [part for part in parent.block.parts if part.block is None and part.key != "extends"]
        for name, one in parent.fields.items():
            own = view.fields.get(name)
            block = _over(one, own.block) if own else one.block
            view.fields[name] = Field(name, view.name, block, own.timeframe if own else one.timeframe)
        view.sets = {**parent.sets, **view.sets}
    view.extended = True


def _extend_explore(project: Project, explore: Explore, below: frozenset[str]) -> None:
    """Add what an explore takes from those that it extends: its views begin with theirs."""
    for item in [] if explore.extended or explore.name in below else reversed(explore.block.items("extends")):
        parent = project.explores.get(item.value)
        if parent is None:
            hint = nearest(item.value, [*project.explores])
            text = f"{explore.name} extends {item.value}, which is no explore{hint}"
            project.say("unknown explore", explore.block, text, item)
            continue
        _extend_explore(project, parent, below | {explore.name})
        first, *joined = explore.views.items()
        if explore.block.text("view_name") or explore.block.text("from"):
            explore.views = dict([first, *[*parent.views.items()][1:], *joined])
        else:
            explore.views = {**parent.views, **dict(joined)}
        explore.joins = {**parent.joins, **explore.joins}
        explore.block.parts[:0] = [part for part in parent.block.parts if part.key not in {"extends", "label"}]
    explore.extended = True


def _of(project: Project, kind: str) -> Mapping[str, View] | Mapping[str, Explore]:
    return project.views if kind == "view" else project.explores


def _define(project: Project, known: dict[str, Block], block: Block) -> bool:
    """Whether it is the first by its name; a problem where it is not."""
    if first := known.get(block.name):
        where = f"{first.path}:{first.line}"
        project.say("duplicate", block, f"{block.kind} {block.name} is defined at {where} already")
        return False
    known[block.name] = block
    return True


def _add(project: Project, block: Block) -> None:
    if block.kind == "view":
        view = project.views.setdefault(block.name, View(block.name, _copy(block)))
        _add_fields(project, view, block)
    else:
        explore = project.explores.setdefault(block.name, Explore(block.name, _copy(block)))
        alias = block.text("view_name") or block.name
        explore.views[alias] = block.text("from") or alias
        _add_joins(project, explore, block)


def _copy(block: Block) -> Block:
    """A block that can be added to, while its file stays as it was written."""
    return Block(block.kind, block.name, block.path, block.line, [*block.parts])


def _add_fields(project: Project, view: View, block: Block, *, refines: bool = False) -> None:
    for one in block.blocks(*_FIELD_KINDS):
        for name, timeframe in _names(one):
            if name in view.fields and not refines:
                first = view.fields[name].block
                project.say("duplicate", one, f"field {view.name}.{name} is defined at line {first.line} already")
            view.fields[name] = Field(name, view.name, _over(view.fields.get(name), one), timeframe)
    for one in block.blocks("set"):
        if one.name in view.sets and not refines:
            project.say("duplicate", one, f"set {one.name} is defined twice")
        view.sets[one.name] = one


def _over(before: Field | None, block: Block) -> Block:
    """A field's block, over what it refines."""
    if before is None:
        return block
    return Block(block.kind, block.name, block.path, block.line, [*before.block.parts, *block.parts])


def _names(block: Block) -> Iterator[tuple[str, str]]:
    """The names of a block's fields, and their timeframes."""
    if block.kind != "dimension_group":
        yield block.name, ""
        return
    said = [item.value for item in block.items("timeframes")] or list(_DEFAULT_TIMEFRAMES)
    for timeframe in said if block.text("type") != "duration" else []:
        yield f"{block.name}_{timeframe}", timeframe


def _add_joins(project: Project, explore: Explore, block: Block) -> None:
    for join in block.blocks("join"):
        if join.name in explore.views:
            project.say("duplicate", join, f"{join.name} is in explore {explore.name} already")
        explore.views[join.name] = join.text("from") or join.name
        explore.joins[join.name] = join


def _refine(project: Project, block: Block) -> None:
    name = block.name.removeprefix("+")
    if block.kind == "view" and name in project.views:
        view = project.views[name]
        view.block.parts += [part for part in block.parts if part.block is None]
        _add_fields(project, view, block, refines=True)
    elif block.kind == "explore" and name in project.explores:
        explore = project.explores[name]
        explore.block.parts += block.parts
        _add_joins(project, explore, block)
    else:
        known = [*_of(project, block.kind)]
        project.say("unknown view" if block.kind == "view" else "unknown explore", block,
                    f"+{name} refines a {block.kind} that is not there{nearest(name, known)}")  # fmt: skip
