"""Rules for dashboards: explores, fields, filters, and where the tiles lie."""

import re
from collections.abc import Iterator, Mapping, Sequence

from observability.looker.check import words
from observability.looker.check.fields import check_when
from observability.looker.check.project import Explore, Field, Project, nearest
from observability.looker.check.source import Block, Yaml

_COLUMNS = 24
_NUMBER = re.compile(r"[0-9]{1,6}")
_SIMPLE = frozenset(["text", "button"])


def check_dashboards(project: Project) -> None:
    """Check every dashboard of every file."""
    names: dict[str, str] = {}
    reached = {path for model in project.models.values() for path in project.reach(model.path)}
    for path, document in project.source.dashboards.items():
        if path not in reached:
            project.say("unknown file", Block("file", "", path, 1), "no model includes this dashboard")
        if not document.each():
            project.say("dashboard", Block("file", "", path, document.line), "a list of dashboards is expected")
        for board in document.each():
            name = _text(board, "dashboard")
            block = Block("dashboard", name, path, board.line)
            if not name:
                project.say("dashboard", block, "a dashboard needs a name: - dashboard: name")
            if names.setdefault(name, path) != path:
                project.say("duplicate", block, f"dashboard {name} is defined in {names[name]} already")
            _check_board(project, block, board)


def _text(yaml: Yaml, key: str) -> str:
    found = yaml.get(key)
    return found.text() if found else ""


def _line(yaml: Yaml, key: str) -> int:
    """Where a key's value stands; where there is none, what it is missed in."""
    found = yaml.get(key)
    return found.line if found else yaml.line


def _each(yaml: Yaml, key: str) -> Iterator[Yaml]:
    found = yaml.get(key)
    yield from found.each() if found else ()


def _check_board(project: Project, block: Block, board: Yaml) -> None:
    _check_twice(project, block, board)
    if not _text(board, "title"):
        project.say("description", block, f"dashboard {block.name} has no title")
    filters: dict[str, Yaml] = {}
    for one in _each(board, "filters"):
        name = _text(one, "name")
        if name in filters:
            project.say("duplicate", block, f"filter {name!r} is there twice", one.line)
        filters[name] = one
        _check_twice(project, block, one)
        if explore := _explore(project, block, one):
            _field(project, block, explore, one.get("field"))
    seen: set[str] = set()
    taken: dict[tuple[int, int], str] = {}
    for element in _each(board, "elements"):
        _check_twice(project, block, element)
        name = _text(element, "name") or _text(element, "title")
        if name in seen:
            project.say("duplicate", block, f"element {name!r} is there twice", _line(element, "name"))
        seen.add(name)
        _check_element(project, block, element, filters)
        _check_place(project, block, element, name, taken)


def _check_twice(project: Project, block: Block, yaml: Yaml) -> None:
    seen: set[str] = set()
    for key, value in yaml.entries():
        if key in seen:
            project.say("duplicate", block, f"{key} is said twice", value.line)
        seen.add(key)


def _explore(project: Project, block: Block, yaml: Yaml) -> Explore | None:
    """The explore that something asks, in a model that has it."""
    model, name = _text(yaml, "model"), _text(yaml, "explore")
    if model not in project.models:
        hint = nearest(model, [*project.models])
        project.say("unknown model", block, f"there is no model {model!r}{hint}", _line(yaml, "model"))
        return None
    explore = project.explores.get(name)
    if explore is None:
        hint = nearest(name, [*project.explores])
        project.say("unknown explore", block, f"there is no explore {name!r}{hint}", _line(yaml, "explore"))
    elif explore.block.path not in project.reach(project.models[model].path):
        project.say("unknown explore", block, f"explore {name} is not in model {model}", _line(yaml, "explore"))
    return explore


def _field(project: Project, block: Block, explore: Explore, yaml: Yaml | None) -> Field | None:
    found = project.accessible(explore)
    name = yaml.text() if yaml else ""
    if name not in found:
        hint = ": fields leaves it out" if name in project.defined(explore) else nearest(name, [*found])
        text = f"explore {explore.name} has no field {name!r}{hint}"
        project.say("unknown field", block, text, yaml.line if yaml else None)
    return found.get(name)


def _check_element(project: Project, block: Block, element: Yaml, filters: Mapping[str, Yaml]) -> None:
    kind = _text(element, "type")
    if kind not in words.TILES:
        hint = nearest(kind, sorted(words.TILES))
        project.say("type", block, f"{kind!r} is no type of element{hint}", _line(element, "type"))
    if kind in _SIMPLE:
        return
    explore = _explore(project, block, element)
    if explore is None:
        return
    fields = [one.text() for one in _each(element, "fields")]
    if not fields:
        project.say("dashboard", block, "an element asks for no field", element.line)
    _check_fields(project, block, explore, element, fields)
    if kind == "single_value" and len(fields) > 2:
        project.say("dashboard", block, "a single value shows one field, and one beside it", element.line)
    _check_asked(project, block, explore, element, filters)


def _check_fields(project: Project, block: Block, explore: Explore, element: Yaml, fields: Sequence[str]) -> None:
    for one in _each(element, "fields"):
        _field(project, block, explore, one)
    for key in ("pivots", "sorts"):
        for one in _each(element, key):
            name = one.text().removesuffix(" desc").removesuffix(" asc").rstrip("0123456789").strip()
            if name not in fields:
                project.say("unknown field", block, f"{key} speaks of {name}, which is not among the fields", one.line)


def _check_asked(project: Project, block: Block, explore: Explore, element: Yaml, filters: Mapping[str, Yaml]) -> None:
    """Check an element's own filters, and those of the dashboard that it listens to."""
    asked = element.get("filters")
    found = project.accessible(explore)
    for name, value in asked.entries() if asked else ():
        _field(project, block, explore, Yaml(value.line, name))
        if name in found:
            check_when(project, block, found[name], value.text(), value.line)
    listen = element.get("listen")
    for name, value in listen.entries() if listen else ():
        if name not in filters:
            hint = nearest(name, [*filters])
            project.say("unknown filter", block, f"the dashboard has no filter {name!r}{hint}", value.line)
        _field(project, block, explore, value)


def _check_place(project: Project, block: Block, element: Yaml, name: str, taken: dict[tuple[int, int], str]) -> None:
    """Check that the tiles lie within the page, and not on each other."""
    said = {key: _text(element, key) for key in ("row", "col", "width", "height")}
    if not all(_NUMBER.fullmatch(text) for text in said.values()):
        project.say("layout", block, f"{name!r} needs row, col, width and height", element.line)
        return
    row, col, width, height = (int(text) for text in said.values())
    if col + width > _COLUMNS or not width or not height:
        project.say("layout", block, f"{name!r} does not fit into {_COLUMNS} columns", _line(element, "col"))
        return
    for cell in ((y, x) for y in range(row, row + min(height, 100)) for x in range(col, col + width)):
        if taken.setdefault(cell, name) != name:
            project.say("layout", block, f"{name!r} lies on {taken[cell]!r}", _line(element, "row"))
            return
