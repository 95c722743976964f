"""Rules for views and their fields: references, types, keys, and the columns that there are."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from observability.audit.schema import Column, ColumnType
from observability.looker.check import liquid, words
from observability.looker.check.project import Field, Project, View, nearest
from observability.looker.check.source import Block, Item

REFERENCE = re.compile(r"\$\{([^{}]*)\}")
COLUMN = re.compile(r"\$\{TABLE\}\.`?(\w+)`?")
_NUMERIC = frozenset([ColumnType.INT64, ColumnType.FLOAT64])
_FITTING: Mapping[str, frozenset[ColumnType]] = {
    "string": frozenset([ColumnType.STRING, ColumnType.JSON]),
    "number": _NUMERIC,
    "yesno": frozenset([ColumnType.BOOL]),
    "time": frozenset([ColumnType.TIMESTAMP, ColumnType.DATE]),
}
_WHEN = re.compile(
    r"(|NOT NULL|NULL|today|yesterday|tomorrow|(this|last|next) .+|(before|after) .+|\d{4}(-\d\d){0,2}( .+)?"
    r"|.+ (ago|from now)( for .+)?|\d+ (second|minute|hour|day|week|month|quarter|year)s?( to .+)?|.+ to .+"
    r"|(mon|tues|wednes|thurs|fri|satur|sun)day)", re.IGNORECASE
)  # fmt: skip


@dataclass(frozen=True)
class KnownTable:
    """A table of which the columns are known, and which of them name a row."""

    columns: Mapping[str, Column]
    key: Sequence[str]


Tables = Mapping[str, KnownTable]


def check_views(project: Project, tables: Tables) -> None:
    """Check every view that is not another project's."""
    for view in project.views.values():
        table = tables.get(view.table)
        _check_keys(project, view, table)
        seen: set[int] = set()
        for one in view.fields.values():
            if id(one.block) not in seen:
                seen.add(id(one.block))
                _check_field(project, view, one, table)
        for block in view.sets.values():
            for item in block.items("fields"):
                check_member(project, view, block, item)
        _check_circles(project, view)


def check_member(project: Project, view: View, block: Block, item: Item) -> None:
    """Check that an item of a list is a field of the view, or one of its sets; or of another that it names."""
    owner, _, name = item.value.removeprefix("-").rpartition(".")
    found = project.views.get(owner or view.name)
    if found is None:
        return
    if name.endswith("*"):
        wanted = name[:-1]
        if wanted not in found.sets and wanted != "ALL_FIELDS":
            project.say("unknown set", block, f"{found.name} has no set {wanted}{nearest(wanted, [*found.sets])}", item)
    elif name not in found.fields:
        project.say("unknown field", block, f"{found.name} has no field {name}{nearest(name, [*found.fields])}", item)


def check_when(project: Project, block: Block, one: Field, value: str, at: Item | int) -> None:
    """Check that a filter's value is one that the field's type can be filtered by."""
    parts = [part.strip() for part in value.split(",")]
    if one.type == "yesno" and value.lower() not in {"yes", "no", ""}:
        project.say("filter value", block, f"{one.name} is yes or no, not {value!r}", at)
    if one.type == "date" and one.timeframe in {"date", "time", "hour", "week", "month", "quarter", "year"}:
        for part in parts:
            if not _WHEN.fullmatch(part):
                project.say("filter value", block, f"{part!r} is no time that {one.name} can be filtered by", at)
    if one.type == "number" and not re.fullmatch(r"[-\d\s.,<>=!()\[\]]*|(NOT )?NULL|.*\b(to|AND|OR|NOT)\b.*", value):
        project.say("filter value", block, f"{value!r} is no number that {one.name} can be filtered by", at)
    if one.type == "string" and (known := [item.value for item in one.block.items("suggestions")]):
        _check_known(project, block, one.name, parts, known, at)


def _check_known(
    project: Project, block: Block, name: str, parts: Sequence[str], known: Sequence[str], at: Item | int
) -> None:
    """Check that what a text is filtered by is one of the values that it is said to have."""
    for part in parts:
        text = re.sub(r"\^(.)", r"\1", part.removeprefix("-"))
        if text not in {*known, "", "NULL", "EMPTY"} and "%" not in part:
            project.say("filter value", block, f"{name} is never {text!r}{nearest(text, known)}", at)


def _check_keys(project: Project, view: View, table: KnownTable | None) -> None:
    keys = view.primary_keys()
    if len(keys) != 1:
        project.say("primary key", view.block, f"{view.name} has {len(keys) or 'no'} primary keys; one names its rows")
    elif table:
        columns = set(COLUMN.findall(keys[0].block.text("sql")))
        if columns != set(table.key):
            wanted = ", ".join(table.key)
            project.say("primary key", keys[0].block, f"{view.name}.{keys[0].name} is not made of {wanted}", "sql")


def _check_field(project: Project, view: View, one: Field, table: KnownTable | None) -> None:
    block = one.block
    is_hidden = block.text("hidden") == "yes"
    if not is_hidden and not block.text("description"):
        project.say("description", block, f"{view.name}.{one.name} is neither described nor hidden")
    _check_type(project, view, one)
    _check_references(project, view, one)
    _check_column(project, view, one, table)
    for item in block.items("required_access_grants"):
        if item.value not in project.grants:
            hint = nearest(item.value, [*project.grants])
            project.say("unknown grant", block, f"{item.value} is no access grant{hint}", item)
    shown = block.text("value_format_name")
    if shown and shown not in words.FORMATS | project.formats:
        hint = nearest(shown, sorted(words.FORMATS | project.formats))
        project.say("unknown format", block, f"{shown} is no value format{hint}", "value_format_name")
    for link in block.blocks("link"):
        if not (link.text("label") and link.text("url")):
            project.say("incomplete", link, f"a link of {view.name}.{one.name} needs label and url")
    for item in block.items("drill_fields"):
        check_member(project, view, block, item)


def _check_type(project: Project, view: View, one: Field) -> None:
    block = one.block
    kind = block.text("type", "string")
    known = {"measure": words.MEASURE_TYPES, "dimension": words.DIMENSION_TYPES, "dimension_group": words.GROUP_TYPES}
    if (types := known.get(block.kind)) and kind not in types:
        project.say("type", block, f"{kind} is no type of a {block.kind}{nearest(kind, sorted(types))}", "type")
    if block.kind == "dimension_group":
        for item in block.items("timeframes"):
            if item.value not in words.TIMEFRAMES:
                hint = nearest(item.value, sorted(words.TIMEFRAMES))
                project.say("timeframe", block, f"{item.value} is no timeframe{hint}", item)
        if re.search(r"(^|_)(date|time)$", block.name):
            project.say("name", block, f"{block.name}: its fields' names would end in date or time twice")
    if block.kind == "measure":
        _check_measure(project, view, one, kind)


def _check_measure(project: Project, view: View, one: Field, kind: str) -> None:
    block = one.block
    if kind == "count" and block.one("sql"):
        project.say(
            "type", block, f"{one.name} counts rows: sql has no effect in it; count_distinct counts values", "sql"
        )
    if kind != "count" and not block.text("sql"):
        project.say("incomplete", block, f"{one.name} is of type {kind} and has no sql")
    if kind.startswith("percentile") and not re.fullmatch(r"[1-9]?\d(\.\d+)?", block.text("percentile")):
        project.say("incomplete", block, f"{one.name} needs a percentile from 0 to 99.9")
    _check_measure_filters(project, view, one)
    for name in _own_references(one):
        target = view.fields.get(name)
        if target is None:
            continue
        if target.is_measure and kind not in words.OF_MEASURES:
            project.say("type", block, f"{one.name} is a {kind} of {name}, which is a measure already", "sql")
        if not target.is_measure and kind == "number":
            project.say("type", block, f"{one.name} is a number of measures, and {name} is none", "sql")
        if (
            kind in words.OF_NUMBERS
            and not target.is_measure
            and target.type not in {"number", "int", "bigint", "tier"}
        ):
            project.say("type", block, f"{one.name} is a {kind} of {name}, which is a {target.type}", "sql")


def _check_measure_filters(project: Project, view: View, one: Field) -> None:
    block = one.block
    for item in block.items("filters"):
        target = view.fields.get(item.key.rpartition(".")[2])
        if target is None:
            hint = nearest(item.key, [*view.fields])
            project.say("unknown field", block, f"{view.name} has no field {item.key}{hint}", item)
        elif target.is_measure:
            project.say("type", block, f"{one.name} cannot be filtered by the measure {item.key}", item)
        else:
            check_when(project, block, target, item.value, item)


def _own_references(one: Field) -> Iterator[str]:
    for text in REFERENCE.findall(one.block.text("sql")):
        view, _, name = text.rpartition(".")
        if text != "TABLE" and view in {"", one.view}:
            yield name


def _check_references(project: Project, view: View, one: Field) -> None:
    block = one.block
    texts = [(part.key, part) for part in block.parts]
    texts += [("url", part) for link in block.blocks("link") for part in link.parts]
    for key, part in texts:
        text = part.value or ""
        spoken = [
            *REFERENCE.findall(text),
            *(liquid.references(project.filled(text)) if key in {"html", "url"} else ()),
        ]
        for name in spoken:
            problem = _unknown(project, view, name)
            if problem:
                project.say("unknown field", block, f"{key} of {view.name}.{one.name}: {problem}", part)
    if block.kind in {"dimension", "dimension_group"}:
        for name in _own_references(one):
            if name in view.fields and view.fields[name].is_measure:
                project.say("type", block, f"dimension {one.name} cannot be made of the measure {name}", "sql")


def _unknown(project: Project, view: View, reference: str) -> str:
    """What is wrong with a reference; nothing where it is one."""
    if reference == "TABLE":
        return ""
    other, _, name = reference.rpartition(".")
    found = project.views.get(other or view.name)
    if name == "SQL_TABLE_NAME" or (other and found is None):
        return "" if other in project.views or _is_alias(project, other) else f"there is no view {other}"
    if found and name not in found.fields:
        return f"{found.name} has no field {name}{nearest(name, [*found.fields])}"
    return ""


def _is_alias(project: Project, name: str) -> bool:
    return any(name in explore.views for explore in project.explores.values())


def _check_column(project: Project, view: View, one: Field, table: KnownTable | None) -> None:
    """Check a field's columns against the table's own."""
    if table is None:
        return
    sql = one.block.text("sql").strip()
    for name in COLUMN.findall(sql):
        if name not in table.columns:
            hint = nearest(name, [*table.columns])
            project.say("unknown column", one.block, f"{view.table} has no column {name}{hint}", "sql")
    found = COLUMN.fullmatch(sql)
    column = table.columns.get(found[1]) if found else None
    if column is None or one.block.kind == "measure":
        return
    if column.repeated:
        project.say("type", one.block, f"column {column.name} is an array, which cannot be a field by itself", "sql")
    elif column.type not in _FITTING.get(one.block.text("type", "string"), frozenset([column.type])):
        kind = one.block.text("type", "string")
        project.say(
            "type", one.block, f"{view.name}.{one.name} is of type {kind}, its column is a {column.type.value}", "type"
        )
    if one.block.kind == "dimension_group":
        is_date = one.block.text("datatype") == "date"
        if is_date != (column.type is ColumnType.DATE):
            project.say("datatype", one.block, f"{view.name}.{one.block.name}: its column is a {column.type.value}")
        if is_date and one.block.text("convert_tz") != "no":
            project.say("datatype", one.block, f"{one.block.name} is a date: convert_tz: no, or it moves by a day")


def _check_circles(project: Project, view: View) -> None:
    """Check that no field is made of itself."""
    done: set[str] = set()

    def walk(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            circle = " → ".join([*above[above.index(name) :], name])
            project.say("circle", view.fields[name].block, f"{view.name}: {circle}", "sql")
        elif name in view.fields and name not in done:
            for other in _own_references(view.fields[name]):
                walk(other, (*above, name))
        done.add(name)

    for name in view.fields:
        walk(name, ())
    named: set[str] = set()
    for name in view.sets:
        _check_set_circle(project, view, name, (), named)


def _check_set_circle(project: Project, view: View, name: str, above: tuple[str, ...], done: set[str]) -> None:
    if name in above:
        project.say("circle", view.sets[name], f"set {' → '.join([*above[above.index(name) :], name])}")
    elif name not in done:
        for item in view.sets[name].items("fields"):
            inner = item.value.removeprefix("-").removeprefix(f"{view.name}.")
            if inner.endswith("*") and inner[:-1] in view.sets:
                _check_set_circle(project, view, inner[:-1], (*above, name), done)
    done.add(name)
