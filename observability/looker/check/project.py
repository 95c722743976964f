"""A LookML project as its files amount to: views with fields, explores with joins, and what is named across files."""

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

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
    """Alias: the view's name. The first is what it begins with. Once what it extends is in it."""
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
    _sets: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)

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
        wanted = _glob(posixpath.normpath(f"/{posixpath.join(posixpath.dirname(path), pattern).lstrip('/')}")[1:])
        return [name for name in (*self.source.files, *self.source.dashboards) if wanted.fullmatch(name)]

    def filled(self, text: str) -> str:
        """A text with the constants' values in it."""
        known = {name: block.text("value") for name, block in self.constants.items()}
        return CONSTANT.sub(lambda found: known.get(found[1], found[0]), text)

    def members(self, view: View, items: Iterable[str]) -> set[str]:
        """The names that a list's items stand for: fields, or sets (`name*`), less those with a `-` before them.

        Those of other views have their view's name before them.
        """
        return _less(items, lambda name: self._stands_for(view, name))

    def _stands_for(self, view: View, item: str) -> frozenset[str]:
        owner, _, name = item.rpartition(".")
        if owner not in {"", view.name}:
            other = self.views.get(owner) if name.endswith("*") else None
            found = self._stands_for(other, name) if other else ()
            return frozenset(one if "." in one else f"{owner}.{one}" for one in found) if other else frozenset([item])
        if not name.endswith("*"):
            return frozenset([name])
        if name == "ALL_FIELDS*":
            return frozenset(view.fields)
        key = view.name, name[:-1]
        if key not in self._sets:
            self._sets[key] = frozenset()  # what a set in a circle finds of itself
            named = view.sets.get(name[:-1])
            items = named.items("fields") if named else ()
            self._sets[key] = frozenset(self.members(view, (one.value for one in items)))
        return self._sets[key]

    def defined(self, explore: Explore) -> dict[str, Field]:
        """All fields of an explore's views by `alias.field`: SQL may speak also of what `fields` leaves out."""
        views = ((alias, self.views.get(name)) for alias, name in explore.views.items())
        return {f"{alias}.{name}": one for alias, view in views if view for name, one in view.fields.items()}

    def brought(self, explore: Explore) -> dict[str, Field]:
        """The fields of an explore that its joins bring: a join may bring some only."""
        found = self.defined(explore)
        for alias, join in explore.joins.items():
            view, said = self.views.get(explore.views[alias]), join.one("fields")
            if view and said:
                own = (re.sub(rf"^(-?){re.escape(alias)}\.", r"\1", item.value) for item in said.items)
                names = {f"{alias}.{name}" for name in self.members(view, own)}
                found = {name: one for name, one in found.items() if name in names or alias != name.partition(".")[0]}
        return found

    def accessible(self, explore: Explore) -> dict[str, Field]:
        """The fields of an explore that can be asked for, by `alias.field`. Once all is put together."""
        if explore.name not in self._accessible:
            found, said = self.brought(explore), explore.block.one("fields")
            if said:
                shown = _less((item.value for item in said.items), lambda item: self._shown(explore, found, item))
                found = {name: one for name, one in found.items() if name in shown}
            self._accessible[explore.name] = found
        return self._accessible[explore.name]

    def _shown(self, explore: Explore, found: Iterable[str], item: str) -> Iterable[str]:
        """What an item of an explore's `fields` stands for: `alias*` is all of a view."""
        if item == "ALL_FIELDS*":
            return found
        if item.endswith("*") and item[:-1] in explore.views:
            return [name for name in found if name.startswith(f"{item[:-1]}.")]
        alias, _, name = item.rpartition(".")
        alias = alias or explore.base
        view = self.views.get(explore.views.get(alias, ""))
        return [one if "." in one else f"{alias}.{one}" for one in self._stands_for(view, name)] if view else [item]


def _less(items: Iterable[str], stands_for: Callable[[str], Iterable[str]]) -> set[str]:
    """What items stand for, less what those stand for that have a `-` before them."""
    put: set[str] = set()
    taken: set[str] = set()
    for item in items:
        (taken if item.startswith("-") else put).update(stands_for(item.removeprefix("-")))
    return put - taken


def _glob(wanted: str) -> re.Pattern[str]:
    """An include as Looker reads it: `*` stays in its folder, `**/` is any or none, the last suffix may be left out."""
    wild = {"*": "[^/]*", "**/": "(?:.*/)?"}
    parts = re.split(r"(\*\*/|\*+)", re.sub(r"(\*\*/)+", "**/", wanted))
    written = [wild.get(part, ".*") if number % 2 else re.escape(part) for number, part in enumerate(parts)]
    return re.compile(f"{''.join(written)}(?:\\.lkml|\\.lookml)?")


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
            block = _over(one.block, own.block) if own else one.block
            view.fields[name] = Field(name, view.name, block, own.timeframe if own else one.timeframe)
        view.sets = {**parent.sets, **view.sets}
    view.extended = True


def _extend_explore(project: Project, explore: Explore, below: frozenset[str]) -> None:
    """Add what an explore takes from those that it extends: its joins come after theirs; then say what is in it."""
    if explore.extended:
        return
    parents: list[Explore] = []
    for item in [] if explore.name in below else reversed(explore.block.items("extends")):
        parent = project.explores.get(item.value)
        if parent is None:
            hint = nearest(item.value, [*project.explores])
            text = f"{explore.name} extends {item.value}, which is no explore{hint}"
            project.say("unknown explore", explore.block, text, item)
            continue
        _extend_explore(project, parent, below | {explore.name})
        parents.append(parent)
        over = {name: _over(parent.joins.get(name), join) for name, join in explore.joins.items()}
        explore.joins = {**parent.joins, **over}
        explore.block.parts[:0] = [part for part in parent.block.parts if part.key not in {"extends", "label"}]
    named, source = explore.block.text("view_name"), explore.block.text("from")
    alias = named or explore.name
    view = source or alias
    if parents and not named and not source and view not in project.views:
        base = parents[0].base
        text = f"{explore.name} begins with no view: write view_name: {base} in explore {parents[0].name}, or in it"
        project.say("unknown view", explore.block, text, "extends")
        alias, view = base, parents[0].views[base]
    if alias in explore.joins:
        project.say("duplicate", explore.joins[alias], f"{alias} is in explore {explore.name} already")
    explore.views = {alias: view, **{name: join.text("from") or name for name, join in explore.joins.items()}}
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
            before = view.fields.get(name)
            view.fields[name] = Field(name, view.name, _over(before.block if before else None, one), timeframe)
    for one in block.blocks("set"):
        if one.name in view.sets and not refines:
            project.say("duplicate", one, f"set {one.name} is defined twice")
        view.sets[one.name] = one


def _over(before: Block | None, block: Block) -> Block:
    """A field's or a join's block, over what it refines."""
    if before is None:
        return block
    return Block(block.kind, block.name, block.path, block.line, [*before.parts, *block.parts])


def _names(block: Block) -> Iterator[tuple[str, str]]:
    """The names of a block's fields, and their timeframes."""
    if block.kind != "dimension_group":
        yield block.name, ""
        return
    said = [item.value for item in block.items("timeframes")] or list(_DEFAULT_TIMEFRAMES)
    for timeframe in said if block.text("type") != "duration" else []:
        yield f"{block.name}_{timeframe}", timeframe


def _add_joins(project: Project, explore: Explore, block: Block, *, refines: bool = False) -> None:
    for join in block.blocks("join"):
        if join.name in explore.joins and not refines:
            project.say("duplicate", join, f"{join.name} is in explore {explore.name} already")
        explore.joins[join.name] = _over(explore.joins.get(join.name), join)


def _refine(project: Project, block: Block) -> None:
    name = block.name.removeprefix("+")
    if block.kind == "view" and name in project.views:
        view = project.views[name]
        view.block.parts += [part for part in block.parts if part.block is None]
        _add_fields(project, view, block, refines=True)
    elif block.kind == "explore" and name in project.explores:
        explore = project.explores[name]
        explore.block.parts += block.parts
        _add_joins(project, explore, block, refines=True)
    else:
        known = [*_of(project, block.kind)]
        project.say("unknown view" if block.kind == "view" else "unknown explore", block,
                    f"+{name} refines a {block.kind} that is not there{nearest(name, known)}")  # fmt: skip
