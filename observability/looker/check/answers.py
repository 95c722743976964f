"""Rules that a store's rows answer: every field runs, keys name one row, joins find one at most, filters offer all."""

import re
from collections.abc import Iterator, Mapping, Sequence

from observability.errors import QueryError
from observability.looker.check.explores import EQUAL
from observability.looker.check.fields import REFERENCE, Tables
from observability.looker.check.project import Explore, Field, Project, View
from observability.looker.check.source import Block
from observability.stores.base import Reader

_AGGREGATES: Mapping[str, str] = {
    "count": "COUNT(*)",
    "count_distinct": "COUNT(DISTINCT {sql})",
    "sum": "SUM({sql})",
    "average": "AVG({sql})",
    "median": "AVG({sql})",
    "percentile": "AVG({sql})",
    "min": "MIN({sql})",
    "max": "MAX({sql})",
    "number": "{sql}",
}
"""Enough to know that a measure runs: medians and percentiles are asked for as averages, of the same values."""
_MOST_SHOWN = 5
_TO_ONE = frozenset(["many_to_one", "one_to_one"])


def check_answers(project: Project, reader: Reader, tables: Tables) -> int:
    """Ask the store for every field of the views over audit views; how many fields. Raises StoreError."""
    asked = 0
    audited = {name: view for name, view in project.views.items() if view.table in tables and _is_audit(view)}
    for view in audited.values():
        asked += len(view.fields)
        if _run_fields(project, reader, view):
            _check_rows(project, reader, view)
    for explore in project.explores.values():
        for join in explore.joins.values():
            joined = audited.get(explore.views[join.name])
            if joined and join.text("relationship") in _TO_ONE:
                _check_join(project, reader, explore, join, joined)
    return asked


def _is_audit(view: View) -> bool:
    return "@{DATASET}" in view.block.text("sql_table_name")


def _run_fields(project: Project, reader: Reader, view: View) -> bool:
    """Whether all fields of a view run; a problem for each that does not."""
    fields = [*{id(one.block): one for one in view.fields.values()}.values()]
    dimensions = [one for one in fields if not one.is_measure]
    measures = [one for one in fields if one.is_measure]
    failing = [*_failing(reader, view, dimensions), *_failing(reader, view, measures)]
    for one, error in failing:
        project.say("query", one.block, f"{view.name}.{one.name} does not run: {error.what}", "sql")
    return not failing


def _failing(reader: Reader, view: View, fields: Sequence[Field]) -> Iterator[tuple[Field, QueryError]]:
    """The fields that do not run. By halves: whatever is asked of a view, all of it is planned."""
    try:
        _ask(reader, view, fields)
    except QueryError as error:
        if len(fields) == 1:
            yield fields[0], error
            return
        middle = len(fields) // 2
        yield from _failing(reader, view, fields[:middle])
        yield from _failing(reader, view, fields[middle:])


def _ask(reader: Reader, view: View, fields: Sequence[Field]) -> None:
    columns = list(dict.fromkeys(sql for one in fields for sql in _sql_of(view, one, ()) if sql))
    if columns:
        reader.query(f"SELECT {', '.join(columns)}\nFROM {{main}}.{view.table} AS v\nLIMIT 0")


def _sql_of(view: View, one: Field, above: tuple[str, ...]) -> Iterator[str]:
    """What a field is asked for with; the fields that a measure is filtered by, too."""
    sql = _expanded(view, one.block.text("sql"), above)
    if not one.is_measure:
        yield sql
        return
    yield _AGGREGATES.get(one.block.text("type"), "{sql}").format(sql=sql)
    for item in one.block.items("filters"):
        target = view.fields.get(item.key)
        if target and not above:
            yield f"COUNT({_expanded(view, target.block.text('sql'), ())})"


def _expanded(view: View, sql: str, above: tuple[str, ...]) -> str:
    """A field's SQL with all that it speaks of put in; the view's rows are `v`."""

    def put(found: re.Match[str]) -> str:
        name = found[1].rpartition(".")[2]
        if name == "TABLE":
            return "v"
        one = view.fields.get(name)
        if one is None or name in above:
            return found[0]
        return next(_sql_of(view, one, (*above, name)))

    return REFERENCE.sub(put, sql.strip())


def _check_rows(project: Project, reader: Reader, view: View) -> None:
    """Check that keys name one row, and that filters offer all there is: what is not offered, nobody will ask for.

    In one question: a view is read whole for each.
    """
    keys = view.primary_keys()
    offering = [one for one in view.fields.values() if one.block.items("suggestions") and not one.is_measure]
    columns = ["COUNT(*) AS n"]
    for number, key in enumerate(_expanded(view, one.block.text("sql"), ()) for one in keys):
        columns += [f"COUNT({key}) AS present{number}", f"COUNT(DISTINCT {key}) AS names{number}"]
    for number, one in enumerate(offering):
        value = _expanded(view, one.block.text("sql"), ())
        columns.append(f"ARRAY_AGG(DISTINCT {value} IGNORE NULLS) AS values{number}")
    (row,) = reader.query(f"SELECT {', '.join(columns)}\nFROM {{main}}.{view.table} AS v").to_pylist()
    for number, one in enumerate(keys):
        _check_key(project, view, one, row["n"], row[f"present{number}"], row[f"names{number}"])
    for number, one in enumerate(offering):
        offered = {item.value for item in one.block.items("suggestions")}
        if missing := sorted({str(value) for value in row[f"values{number}"] or ()} - offered):
            more = f" and {len(missing) - _MOST_SHOWN} more" if len(missing) > _MOST_SHOWN else ""
            shown = f"{', '.join(missing[:_MOST_SHOWN])}{more}"
            text = f"{view.name}.{one.name} is also {shown}, which its filter does not offer"
            project.say("suggestions", one.block, text, "suggestions")


def _check_key(project: Project, view: View, one: Field, rows: int, present: int, names: int) -> None:
    if missing := rows - present:
        project.say("primary key", one.block, f"{view.name}.{one.name} is null in {missing:,} rows", "sql")
    if names < present:
        text = f"{view.name}.{one.name} names {names:,} of {rows:,} rows"
        project.say("primary key", one.block, text, "sql")


def _check_join(project: Project, reader: Reader, explore: Explore, join: Block, view: View) -> None:
    """Check that the values that a join asks for are those of one row."""
    sides = [name for pair in EQUAL.findall(join.text("sql_on")) for name in pair]
    names = [name.partition(".")[2] for name in sides if name.startswith(f"{join.name}.")]
    asked = [_expanded(view, view.fields[name].block.text("sql"), ()) for name in names if name in view.fields]
    if not asked:
        return
    keys = ", ".join(f"{sql} AS k{number}" for number, sql in enumerate(asked))
    there = " AND ".join(f"{sql} IS NOT NULL" for sql in asked)
    grouped = ", ".join(f"k{number}" for number in range(len(asked)))
    table = f"{{main}}.{view.table}"
    sql = f"""
        SELECT MAX(g.n) AS most
        FROM (
          SELECT {grouped}, COUNT(*) AS n
          FROM (SELECT {keys} FROM {table} AS v WHERE {there}) AS k
          GROUP BY {grouped}
        ) AS g"""  # noqa: S608 - the SQL is the project's own, and only asks
    (row,) = reader.query(sql).to_pylist()
    if (row["most"] or 0) > 1:
        text = f"{join.text('relationship')}, but up to {row['most']:,} rows of {join.name} match one of {explore.name}"
        project.say("relationship", join, text, "relationship")
