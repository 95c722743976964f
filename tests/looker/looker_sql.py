"""What Looker would ask the database for: one explore's question as DuckDB's SQL, symmetric aggregates included.

Small, and on its own: it reads the LookML files as any Looker does, and shares nothing with what wrote or checks them.
"""

import pickle
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import lkml
import sqlglot

_REFERENCE = re.compile(r"\$\{([^{}]+)\}")
_TIMEFRAMES = {
    "raw": "{sql}",
    "time": "strftime({sql} AT TIME ZONE 'UTC', '%Y-%m-%d %H:%M:%S')",
    "date": "CAST({sql} AT TIME ZONE 'UTC' AS DATE)",
    "week": "CAST(date_trunc('week', {sql} AT TIME ZONE 'UTC') AS DATE)",
    "month": "strftime({sql} AT TIME ZONE 'UTC', '%Y-%m')",
    "year": "extract(year FROM {sql} AT TIME ZONE 'UTC')",
}
_OF_DATES = {"raw": "{sql}", "date": "{sql}", "week": "CAST(date_trunc('week', {sql}) AS DATE)"}
_PLAIN = {
    "sum": "coalesce(sum({sql}), 0)",
    "average": "avg({sql})",
    "median": "median({sql})",
    "percentile": "quantile_cont({sql}, {part})",
    "min": "min({sql})",
    "max": "max({sql})",
    "count_distinct": "count(DISTINCT {sql})",
}
_SYMMETRIC = {
    "sum": "coalesce(list_sum({values}), 0)",
    "average": "list_avg({values})",
    "median": "list_median({values})",
    "percentile": "list_aggregate({values}, 'quantile_cont', {part})",
}


@dataclass(frozen=True)
class Asked:
    """A question of an explore."""

    explore: str
    fields: Sequence[str]
    filters: Mapping[str, str] = field(default_factory=dict)
    sorts: Sequence[str] = ()


class Looker:
    """A LookML project that can be asked."""

    def __init__(self, folder: Path, tables: Mapping[str, str]) -> None:
        """`tables` are the places of tables by their last name, where they are not in `main`."""
        self.tables = tables
        self.views: dict[str, dict[str, Any]] = {}
        self.explores: dict[str, dict[str, Any]] = {}
        self.repeated: set[str] = set()
        for path in folder.rglob("*.lkml"):
            document = pickle.loads(_parsed(path.read_text(encoding="utf-8")))  # noqa: S301 - our own
            self.views |= {view["name"]: view for view in document.get("views", [])}
            self.explores |= {explore["name"]: explore for explore in document.get("explores", [])}

    def sql(self, asked: Asked) -> str:
        explore = self.explores[asked.explore]
        base = explore.get("view_name", explore["name"])
        joins = {join["name"]: join for join in explore.get("joins", [])}
        filters = self._with_defaults(explore, asked)
        used = {name.partition(".")[0] for name in [*asked.fields, *filters]}
        self.repeated = {name for name in [base, *joins] if _is_repeated(name, base, joins, used)}
        dimensions = [name for name in asked.fields if not self._is_measure(name)]
        columns = [f'{self._column(name, base)} AS "{name}"' for name in asked.fields]
        lines = [f"SELECT {', '.join(columns)}", f"FROM {self._table(base)} AS {base}"]
        for name, join in joins.items():
            if name in used:
                lines.append(f"LEFT JOIN {self._table(name)} AS {name} ON {self._put_in(join['sql_on'], base)}")
        conditions = [self._condition(name, value) for name, value in filters.items() if not self._is_measure(name)]
        if conditions:
            lines.append(f"WHERE {' AND '.join(conditions)}")
        if dimensions:
            lines.append(f"GROUP BY {', '.join(str(asked.fields.index(name) + 1) for name in dimensions)}")
        havings = [self._having(name, value, base) for name, value in filters.items() if self._is_measure(name)]
        if havings:
            lines.append(f"HAVING {' AND '.join(havings)}")
        order = [f'"{name.removesuffix(" desc")}"{" DESC" if name.endswith(" desc") else ""}' for name in asked.sorts]
        lines.append(f"ORDER BY {', '.join(order) or 'ALL'}")
        return "\n".join(lines)

    def _with_defaults(self, explore: Mapping[str, Any], asked: Asked) -> dict[str, str]:
        given = explore.get("conditionally_filter")
        if given is None or set(given.get("unless", [])) & asked.filters.keys():
            return dict(asked.filters)
        defaults = {name: value for one in given["filters__all"][0] for name, value in one.items()}
        return defaults | dict(asked.filters)

    def _table(self, view: str) -> str:
        name = self.views[view]["sql_table_name"].strip("`").rpartition(".")[2]
        return self.tables.get(name, f"main.{name}")

    def _is_measure(self, name: str) -> bool:
        view, _, field_name = name.partition(".")
        return any(one["name"] == field_name for one in self.views[view].get("measures", []))

    def _find(self, name: str) -> tuple[str, dict[str, Any], str]:
        """A field's kind, its block, and its timeframe."""
        view, _, field_name = name.partition(".")
        for kind in ("dimensions", "measures"):
            for one in self.views[view].get(kind, []):
                if one["name"] == field_name:
                    return kind, one, ""
        for one in self.views[view]["dimension_groups"]:
            frame = field_name.removeprefix(f"{one['name']}_")
            if field_name.startswith(f"{one['name']}_") and frame in one["timeframes"]:
                return "dimension_groups", one, frame
        raise KeyError(name)

    def _column(self, name: str, base: str) -> str:
        kind, block, frame = self._find(name)
        if kind == "measures":
            return self._measure(name, block, base)
        sql = _translated(self._put_in(block["sql"], base, name.partition(".")[0]))
        if kind == "dimension_groups":
            return (_OF_DATES if block.get("datatype") == "date" else _TIMEFRAMES)[frame].format(sql=sql)
        return sql

    def _put_in(self, sql: str, base: str, view: str = "") -> str:
        def put(found: re.Match[str]) -> str:
            if found[1] == "TABLE":
                return view
            name = found[1] if "." in found[1] else f"{view}.{found[1]}"
            return f"({self._column(name, base)})"

        return _REFERENCE.sub(put, sql)

    def _measure(self, name: str, block: Mapping[str, Any], base: str) -> str:
        view = name.partition(".")[0]
        if block["type"] == "number":
            return self._put_in(block["sql"], base, view)
        conditions = [
            self._condition(f"{view}.{column}", value)
            for one in block.get("filters__all", [[]])[0]
            for column, value in one.items()
        ]
        where = " AND ".join(conditions) or "TRUE"
        (key,) = [one for one in self.views[view]["dimensions"] if one.get("primary_key") == "yes"]
        key_sql = _translated(self._put_in(key["sql"], base, view))
        if block["type"] == "count":
            counted = f"DISTINCT {key_sql}" if view in self.repeated else key_sql
            return f"count({counted}) FILTER (WHERE {where})"
        sql = self._put_in(block["sql"], base, view)
        part = int(block.get("percentile", 50)) / 100
        if view not in self.repeated or block["type"] not in _SYMMETRIC:
            return _PLAIN[block["type"]].format(sql=f"CASE WHEN {where} THEN {sql} END", part=part)
        pairs = f"list(DISTINCT {{'k': {key_sql}, 'v': {sql}}}) FILTER (WHERE {where} AND {key_sql} IS NOT NULL)"
        return _SYMMETRIC[block["type"]].format(values=f"list_transform({pairs}, lambda one: one.v)", part=part)

    def _having(self, name: str, value: str, base: str) -> str:
        return f"({self._column(name, base)}) {value}"

    def _condition(self, name: str, value: str) -> str:
        """A filter expression of Looker's as SQL: as much of its grammar as is used here."""
        _, block, frame = self._find(name)
        sql = self._column(name, "")
        if block.get("type") == "yesno":
            return f"{'NOT ' if value == 'no' else ''}coalesce({sql}, FALSE)"
        if frame:
            if hours := re.fullmatch(r"(\d+) hours", value):
                raw = self._column(name.removesuffix(frame) + "raw", "")
                return f"{raw} > date_trunc('hour', now()) - INTERVAL {int(hours[1]) - 1} HOUR"
            days = re.fullmatch(r"(\d+) days", value)
            return f"{sql} > current_date - {days[1]}" if days else f"{sql} = DATE '{value}'"
        if block.get("type") == "number":
            return f"({sql}) {value}" if value[0] in "<>=" else f"({sql}) = {value}"
        parts = [part.strip().replace("^", "") for part in value.split(",")]
        wanted = [part for part in parts if not part.startswith("-")]
        unwanted = [part[1:] for part in parts if part.startswith("-")]
        said = [f"{sql} IN ({_texts(wanted)})"] if wanted else []
        said += [f"coalesce({sql} NOT IN ({_texts(unwanted)}), TRUE)"] if unwanted else []
        return " AND ".join(said)


def _is_repeated(view: str, base: str, joins: Mapping[str, Mapping[str, Any]], used: set[str]) -> bool:
    """Whether a view's rows can be there several times, by what the joins' relationships say: then its aggregates have
    to be symmetric. Looker believes them.
    """
    of_others = [join["relationship"] for name, join in joins.items() if name in used and name != view]
    own = [joins[view]["relationship"]] if view != base else []
    return any(one in {"many_to_one", "many_to_many"} for one in own) or any(
        one in {"one_to_many", "many_to_many"} for one in of_others
    )


@cache
def _parsed(text: str) -> bytes:
    """A document, parsed once: each project has its own copy."""
    return pickle.dumps(lkml.load(text))


@cache
def _translated(sql: str) -> str:
    """A field's GoogleSQL as DuckDB's: CONCAT of a null is null."""
    (text,) = sqlglot.transpile(f"SELECT {sql}", read="bigquery", write="duckdb")
    return text.removeprefix("SELECT ")


def _texts(values: Sequence[str]) -> str:
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)
