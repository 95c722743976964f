"""Works out what the audit store costs in BigQuery: jobs, bytes stored, bytes scanned. `python benchmarks/costs.py`.

Nothing is asked of BigQuery. Row sizes are those of rows that `ingest` builds from the files of `generate.py`, each
value counted as BigQuery counts it; what a query scans is found by following its columns and its bounds of date through
all the views that it reads. `--write` puts the sheet into docs/bigquery.md.
"""

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import report
import sqlglot
from generate import cached
from sqlglot import exp
from sqlglot.optimizer.pushdown_predicates import pushdown_predicates
from sqlglot.optimizer.pushdown_projections import pushdown_projections
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import traverse_scope

from observability.alerts import queries
from observability.artifacts.folder import find_files, open_folders
from observability.artifacts.reader import read_record
from observability.artifacts.step import Step
from observability.audit.build import build_load
from observability.audit.invocation import BuildOptions
from observability.audit.prepared import prepare
from observability.audit.redaction import Redaction
from observability.audit.schema import TABLES
from observability.audit.views import views
from observability.stores.bigquery.store import QUESTIONS

PAGE = Path(__file__).parent.parent / "docs" / "bigquery.md"
BEGIN, END = "<!-- costs: begin -->", "<!-- costs: end -->"
PROJECTS = {2_000: (500, 1_500), 40_000: (10_000, 30_000)}
"""Models and tests of a project, by their sum."""
STEPS = ("source freshness", "snapshot", "run", "test")
RETENTIONS = (30, 90, 365)
STATES_A_WEEK = 5
"""How often the project changes: each time its nodes are stored anew, and again at the turn of a month."""
LEAST = 10_000_000
"""BigQuery bills a query for at least so many bytes of each table that it reads."""
_PARTITIONS = {"run_date", "manifest_month", "lineage_month"}
ALERT = [
    getattr(queries, name)
    for name in ("STEPS", "DELIVERIES", "INCIDENTS", "STATES", "EXPOSURES", "DECLARED", "RESULTS", "ACTIONS")
]
ALL = 10_000
DASHBOARDS = {
    "a dashboard of the morning": {
        "pipeline_runs": ALL,
        "incidents": ALL,
        "exposure_health": ALL,
        "source_health": ALL,
    },
    "a dashboard of tests": {"test_failures": 30, "test_history": ALL},
    "a dashboard of run times": {"model_run_times": ALL, "bigquery_costs": 30},
}
"""The views that it asks, and of how many days; a test shows that this reaches the partitions of those that have it."""
FACTS = {"run_results", "source_freshness"}


@dataclass(frozen=True, slots=True)
class Scan:
    """Columns of one table that a query reads, of so many days; None is all that there are."""

    table: str
    columns: frozenset[str]
    days: int | None


Sizes = Mapping[str, tuple[int, Mapping[str, float]]]
"""By table: rows that a day adds (a state, for tables of states), and bytes of a row by column."""


def column_bytes(array: pa.ChunkedArray | pa.Array) -> int:
    """The logical size of a column: what BigQuery stores and scans by. A null is nothing."""
    kind = array.type
    if pa.types.is_list(kind):
        return column_bytes(pc.list_flatten(array))
    if pa.types.is_struct(kind):
        return sum(column_bytes(pc.struct_field(array, [i])) for i in range(kind.num_fields))
    there: int = len(array) - array.null_count
    if pa.types.is_string(kind):
        return 2 * there + int(pc.sum(pc.binary_length(array)).as_py() or 0)
    return (1 if pa.types.is_boolean(kind) else 8) * there


def measure(models: int, tests: int) -> Sizes:
    """What a day of a project adds: its run, tests and snapshots once, its source freshness, four invocations."""
    tables: dict[str, list[pa.Table]] = {}
    for name in ("build", "source_freshness"):
        (folder,) = open_folders([cached(models, tests) / name])
        record = read_record(find_files(folder, Step(exit_code=1), None))
        load = build_load(record, BuildOptions(redaction=Redaction(("secret",))))
        for table, rows in prepare(load).tables.items():
            tables.setdefault(table, []).append(rows)
    sizes = {}
    for name, parts in tables.items():
        rows = parts[0] if name in {"nodes", "exposure_ancestors"} else pa.concat_tables(parts)
        count = len(STEPS) if name == "invocations" else rows.num_rows
        sizes[name] = count, {column: column_bytes(rows[column]) / rows.num_rows for column in rows.column_names}
    return sizes


@cache
def scans(sql: str) -> tuple[Scan, ...]:
    """What a query reads of the tables, through all views."""
    for view in reversed(views()):
        body = view.sql(raw="{raw}", main="{main}").rstrip()
        sql = re.sub(rf"\{{main\}}\.{view.name}\b", lambda _, body=body: f"(\n{body}\n)", sql)  # type: ignore[misc]
    sql = sql.replace("{raw}", "raw").replace("@now", "CURRENT_TIMESTAMP()")
    schema: dict[str, object] = {
        "raw": {table.name: {c.name: c.googlesql_type for c in table.columns} for table in TABLES.values()}
    }
    parsed = sqlglot.parse_one(sql, read="bigquery")
    query = pushdown_projections(
        pushdown_predicates(qualify(parsed, schema=schema, dialect="bigquery"), dialect="bigquery")
    )
    return tuple(_scans(query))


def _scans(query: exp.Expr) -> Iterator[Scan]:
    for scope in traverse_scope(query):
        for alias, source in scope.sources.items():
            if isinstance(source, exp.Table) and source.name in TABLES:
                columns = frozenset(column.name for column in scope.columns if column.table == alias)
                yield Scan(source.name, columns, _days(scope.expression, alias))


def _days(query: exp.Expr, alias: str) -> int | None:
    """The constant bound on the partition of a table in its own WHERE."""
    where = query.args.get("where")
    for bound in where.find_all(exp.GTE, exp.In) if where else ():
        of = bound.this
        if isinstance(of, exp.Column) and of.table == alias and of.name in _PARTITIONS:
            least = 0 if of.name == "run_date" else 31
            interval = bound.find(exp.DateSub)
            return least + (int(interval.expression.name) if interval else 0)
    return None


def stored(sizes: Sizes, days: int) -> float:
    """Bytes of all tables after so many days."""
    return sum(_rows(sizes, name, days) * sum(columns.values()) for name, (_, columns) in sizes.items())


def _rows(sizes: Sizes, table: str, days: int) -> float:
    count, _ = sizes[table]
    if table not in {"nodes", "exposure_ancestors"}:
        return count * days
    return count * (days * STATES_A_WEEK / 7 + days / 30)


def scanned(sizes: Sizes, question: str, retention: int, asked: int = ALL) -> tuple[float, float]:
    """Bytes that a query reads, and those that are billed: each column of each day once, however often it is named.

    `asked` are the days for which it asks from outside, which bounds the facts.
    """
    read: dict[str, dict[str, int]] = {}
    for scan in scans(question):
        if scan.table in sizes:
            columns = read.setdefault(scan.table, {})
            for column in scan.columns:
                days = min(scan.days or retention, retention, asked if scan.table in FACTS else retention)
                columns[column] = max(columns.get(column, 0), days)
    by_table = {
        table: sum(_rows(sizes, table, days) * sizes[table][1][column] for column, days in columns.items())
        for table, columns in read.items()
    }
    return sum(by_table.values()), sum(max(bytes_, LEAST) for bytes_ in by_table.values())


def lines() -> list[str]:
    """The sheet in Markdown."""
    rows = []
    for nodes, (models, tests) in PROJECTS.items():
        sizes = measure(models, tests)
        asked: dict[str, list[tuple[str, int]]] = {
            "an ingest of one step": [(sql, ALL) for sql in QUESTIONS],
            "an `alert` or `status`": [(sql, ALL) for sql in ALERT],
        }
        for what, names in DASHBOARDS.items():
            asked[what] = [(f"SELECT v.* FROM {{main}}.{name} AS v", days) for name, days in names.items()]  # noqa: S608
        rows.append((f"{nodes:,} nodes", "stored after so long", *(_size(stored(sizes, days)) for days in RETENTIONS)))
        for what, questions in asked.items():
            cells = []
            for kept in RETENTIONS:
                amounts = [scanned(sizes, sql, kept, days) for sql, days in questions]
                cells.append(f"{_size(sum(a for a, _ in amounts))} ({_size(sum(b for _, b in amounts))})")
            rows.append(("", f"read by {what}", *cells))
    return report.markdown(("project", "", *(f"{days} days kept" for days in RETENTIONS)), rows)


def _size(amount: float) -> str:
    unit, digits, name = next(one for one in ((1e9, 1, "GB"), (1e6, 0, "MB"), (1e3, 0, "kB")) if amount >= one[0])
    return f"{amount / unit:,.{digits}f} {name}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the sheet, or put it into the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="put the sheet into docs/bigquery.md")
    sheet = lines()
    print("\n".join(sheet))
    if parser.parse_args(arguments).write:
        report.put(sheet, BEGIN, END, PAGE)


if __name__ == "__main__":
    main()
