"""The files of views: an audit view's columns as fields, with its measures and sets."""

from collections.abc import Sequence
from typing import Any

from observability.audit.schema import Column, ColumnType
from observability.looker import fields
from observability.looker.declaration import LookView, Measure

LookML = dict[str, Any]
"""A block as lkml takes it: repeated keys in the plural, with lists."""


def render_view(look: LookView, columns: Sequence[Column], key: Sequence[str], table: str) -> LookML:
    """A view of a table, whose name stands behind that of BigQuery's project."""
    shown = [column for column in columns if not look.only or column.name in look.only]
    made: LookML = {
        "name": look.name,
        "label": look.label,
        "sql_table_name": f"`@{{PROJECT}}.{table}`",
        "dimensions": [_key(columns, key)] if len(key) > 1 else [],
        "dimension_groups": [],
        "measures": [_measure(measure) for measure in look.measures],
        "sets": [{"name": "detail", "fields": list(look.detail)}],
    }
    for kind, field in fields.render_fields(look.name, shown, frozenset(look.hidden)):
        primary = {"primary_key": "yes"} if key == (field["name"],) else {}
        made[f"{kind}s"].append({"name": field["name"], **primary, **field})
    if look.joined:
        made["sets"].append({"name": "joined", "fields": _joined(look, columns, key)})
    return {name: part for name, part in made.items() if part}


def _key(columns: Sequence[Column], key: Sequence[str]) -> LookML:
    """A dimension that names a row, where several columns do so together."""
    by_name = {column.name: column for column in columns}
    sql = "CONCAT(" + ", '|', ".join(_text(by_name[name]) for name in key) + ")"
    text = "Names the row."
    return {"name": "key", "primary_key": "yes", "hidden": "yes", "description": text, "type": "string", "sql": sql}


def _text(column: Column) -> str:
    sql = f"${{TABLE}}.{column.name}"
    if column.type is not ColumnType.STRING:
        sql = f"CAST({sql} AS STRING)"
    return f"COALESCE({sql}, '')" if column.nullable else sql


def _joined(look: LookView, columns: Sequence[Column], key: Sequence[str]) -> list[str]:
    """The fields that a joined view brings along: what it is joined for, its measures, and all that these rest on."""
    by_name = {column.name: column for column in columns}
    of_measures = [name for one in look.measures for name in (one.column, *one.filters) if name]
    names = [*key, *look.joined, *of_measures]
    fields_of = [field for name in names for field in _timeframes(by_name[name])]
    compound = ["key"] if len(key) > 1 else []
    return list(dict.fromkeys([*compound, *fields_of, *look.detail, *(one.name for one in look.measures)]))


def _timeframes(column: Column) -> list[str]:
    name = fields.field_name(column)
    if column.repeated or column.type not in {ColumnType.TIMESTAMP, ColumnType.DATE}:
        return [name]
    frames = fields.TIMEFRAMES if column.type is ColumnType.TIMESTAMP else fields.DATE_TIMEFRAMES
    return [f"{name}_{frame}" for frame in frames]


def _measure(measure: Measure) -> LookML:
    made: LookML = {
        "name": measure.name,
        "label": measure.label or fields.label_of(measure.name),
        "description": measure.description,
        "type": measure.type,
    }
    if measure.group_label:
        made["group_label"] = measure.group_label
    if measure.percentile is not None:
        made["percentile"] = str(measure.percentile)
    if measure.shown:
        made["value_format_name"] = measure.shown.value
    if measure.filters:
        made["filters__all"] = [[{name: value} for name, value in measure.filters.items()]]
    made["drill_fields"] = ["detail*"]
    if measure.column or measure.expression:
        made["sql"] = measure.expression or f"${{{measure.column}}}"
    return made
