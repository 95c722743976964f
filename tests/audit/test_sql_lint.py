"""What the lint of our SQL finds; and that a filter on a day reads that day's partition."""

import json
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from asked import ASKED
from sql_lint import BANNED, lint, name_of, table_reads, unbounded

from observability.audit.schema import TABLES
from observability.audit.views import View, duckdb_view, find_view, views
from observability.stores.duckdb import table_ddl

FACTS = ("run_results", "source_freshness")
READ_ALL_THAT_IS_RETAINED = {
    "incident_nodes": "only the first bad observation tells since when",
    "source_health": "only so can it be said that a source was never checked",
}
EXCEPTIONS = {
    # a test has a row because it ran
    "test_history": ["/ s.runs: by 0 it is an error in GoogleSQL and infinite on DuckDB: use NULLIF"],
}


def open_schemas(view: View) -> str:
    return view.sql(raw="raw", main="main", now="@now")


@pytest.mark.parametrize("view", views(), ids=lambda view: view.name)
def test_the_lint_finds_nothing_in_a_view(view: View) -> None:
    assert lint(open_schemas(view)) == EXCEPTIONS.get(view.name, [])


def test_no_question_is_too_large_for_bigquerys_planner() -> None:
    # it refuses what reads 1,000 tables or more, and has been seen to refuse less
    known = {view.name: open_schemas(view) for view in views()}
    asked = {name: sql.replace("{main}", "main").replace("{raw}", "raw") for name, sql in ASKED.items()}
    reads = {name: table_reads(sql, known) for name, sql in (known | asked).items()}
    assert reads["current_nodes"] == 12
    assert {name: count for name, count in reads.items() if count > 180} == {}


@pytest.mark.parametrize("name", ASKED)
def test_the_lint_finds_nothing_in_a_question(name: str) -> None:
    assert lint(ASKED[name].replace("{main}", "main").replace("{raw}", "raw")) == []


PLANTED = [
    ("TIMESTAMP_DIFF(t.a, t.b, HOUR)", "TIMESTAMP_DIFF"),
    ("DATETIME_DIFF(t.a, t.b, MINUTE)", "DATETIME_DIFF"),
    ("TIME_DIFF(t.a, t.b, MINUTE)", "TIME_DIFF"),
    ("CURRENT_DATE()", "CURRENT_DATE"),
    ("CURRENT_DATETIME()", "CURRENT_DATETIME"),
    ("CURRENT_TIME()", "CURRENT_TIME"),
    ("t.a > CURRENT_TIMESTAMP()", "CURRENT_TIMESTAMP"),
    ("FORMAT_TIMESTAMP('%Y', t.a)", "FORMAT_*"),
    ("FORMAT('%d', t.a)", "FORMAT"),
    ("EXTRACT(DAYOFWEEK FROM t.a)", "EXTRACT"),
    ("TRIM(t.a)", "TRIM"),
    ("APPROX_QUANTILES(t.a, 4)", "APPROX_QUANTILES"),
    ("APPROX_COUNT_DISTINCT(t.a)", "APPROX_DISTINCT"),
    ("APPROX_TOP_COUNT(t.a, 1)", "APPROX_TOP_K"),
    ("SAFE_DIVIDE(t.a, t.b)", "SAFE_DIVIDE"),
    ("RAND()", "RAND"),
    ("GENERATE_UUID()", "UUID"),
    ("ANY_VALUE(t.a)", "ANY_VALUE"),
    ("ARRAY_AGG(t.a)", "ARRAY_AGG without ORDER BY"),
    ("ARRAY_AGG(DISTINCT t.a IGNORE NULLS)", "ARRAY_AGG without ORDER BY"),
    ("ARRAY_AGG(t.a) OVER (PARTITION BY t.b)", "ARRAY_AGG without ORDER BY"),
    ("STRING_AGG(t.a, ',')", "STRING_AGG without ORDER BY"),
    ("ROW_NUMBER() OVER ()", "ROW_NUMBER without ORDER BY"),
    ("RANK() OVER (PARTITION BY t.b)", "RANK without ORDER BY"),
    ("LAG(t.a) OVER (PARTITION BY t.b)", "LAG without ORDER BY"),
    ("LEAD(t.a) OVER by_b", "LEAD without ORDER BY"),
    ("FIRST_VALUE(t.a IGNORE NULLS) OVER (PARTITION BY t.b)", "FIRST_VALUE without ORDER BY"),
    ("LAST_VALUE(t.a) OVER by_b", "LAST_VALUE without ORDER BY"),
    ("ROW_NUMBER() OVER (ORDER BY t.loaded_at)", "ORDER BY loaded_at"),
    ("ARRAY_AGG(t.a ORDER BY IF(t.b, t.loaded_at, NULL))", "ORDER BY loaded_at"),
    ("*", "SELECT * from a raw table"),
    ("t.*", "SELECT * from a raw table"),
    ("COUNTIF(t.a) OVER by_b", "COUNTIF without CAST"),
    ("CAST(COUNTIF(t.a) AS INT64)", "COUNTIF over no rows"),
    (
        "CAST(COUNTIF(t.a) OVER (ORDER BY t.b ROWS BETWEEN 2 PRECEDING AND 1 PRECEDING) AS INT64)",
        "COUNTIF over no rows",
    ),
    (
        "CAST(COUNTIF(t.a) OVER (ORDER BY t.b ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING) AS INT64)",
        "COUNTIF over no rows",
    ),
    ("t.a / t.b", "/ t.b"),
    ("t.a / (t.b - 1)", "/ t.b - 1"),
    ("t.a / 0", "/ 0"),
    ("SUBSTR(t.a, 0, 3)", "SUBSTR from 0"),
]


@pytest.mark.parametrize(("planted", "found"), PLANTED)
def test_what_is_planted_is_found_alone(planted: str, found: str) -> None:
    (finding,) = lint(f"SELECT {planted} FROM raw.things AS t WHERE TRUE WINDOW by_b AS (PARTITION BY t.b)")
    assert finding.startswith(found)


def test_each_banned_function_is_planted_above() -> None:
    assert {name_of(kind) for kind in BANNED} <= {found for _, found in PLANTED}


def test_what_is_well_defined_is_let_through() -> None:
    assert (
        lint("""
        WITH own AS (
          SELECT t.a, t.b, t.loaded_at, LAG(t.a) OVER one_by_one AS earlier,
            CAST(COUNTIF(t.c) OVER (one_by_one ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) AS INT64) AS n,
            ARRAY_AGG(t.a) OVER (PARTITION BY t.b ORDER BY t.a) AS window_of_a
          FROM raw.things AS t
          WINDOW one_by_one AS (PARTITION BY t.b ORDER BY t.a)
        )
        SELECT o.b, CAST(COUNTIF(o.c) AS INT64) AS n, SUM(o.a) / 60 AS minutes, SUM(o.a) / NULLIF(SUM(o.n), 0) AS mean,
          ARRAY_AGG(o.a IGNORE NULLS ORDER BY o.a LIMIT 1)[SAFE_OFFSET(0)] AS first,
          STRING_AGG(o.a, ', ' ORDER BY o.a) AS listed, ANY_VALUE(o.a HAVING MAX o.b) AS last,
          UNIX_MICROS(@now) - MAX(UNIX_MICROS(o.loaded_at)) AS age_micros, SUBSTR(o.a, 1, 2) AS prefix
        FROM (SELECT o.* FROM own AS o) AS o
        GROUP BY o.b
        """)
        == []
    )


# --- partitions -------------------------------------------------------------------------------------------------------


@pytest.fixture
def empty() -> Iterator[duckdb.DuckDBPyConnection]:
    """Our tables and views, empty, on an engine that does not look how many rows there are before it plans."""
    with duckdb.connect() as connection:
        connection.execute(
            "SET TimeZone = 'UTC'; SET disabled_optimizers = 'statistics_propagation,empty_result_pullup'"
        )
        connection.execute("CREATE SCHEMA raw")
        for table in TABLES.values():
            connection.execute(table_ddl(table))
        for view in views():
            connection.execute(f"CREATE VIEW main.{view.name} AS {duckdb_view(view)}")
        yield connection


def scans(connection: duckdb.DuckDBPyConnection, view: str) -> list[bool]:
    """For each scan of a table of facts, when one day of a view is asked: whether only that day is read."""
    query = f"EXPLAIN (FORMAT json) SELECT v.* FROM main.{view} AS v WHERE v.run_date = DATE '2026-01-01'"
    ((_, plan),) = connection.execute(query).fetchall()
    return ["run_date = '2026-01-01'" in str(filters) for filters in _fact_filters(json.loads(plan))]


def _fact_filters(nodes: list[dict[str, Any]]) -> Iterator[Any]:
    for node in nodes:
        if str(node["extra_info"].get("Table", "")).rpartition(".")[2] in FACTS:
            yield node["extra_info"].get("Filters")
        yield from _fact_filters(node["children"])


def dated(view: View) -> bool:
    return any(column.name == "run_date" for column in view.columns)


BY_THE_ROW = [view.name for view in views() if dated(view) and unbounded(open_schemas(view))]


@pytest.mark.parametrize("name", BY_THE_ROW)
def test_a_filter_on_the_day_of_a_fact_reads_that_day_only(name: str, empty: duckdb.DuckDBPyConnection) -> None:
    assert scans(empty, name) == [True]


def test_those_are_the_views_whose_rows_are_facts() -> None:
    assert {"run_results", "source_freshness", "snapshot_runs", "bigquery_costs"} <= set(BY_THE_ROW)
    assert all(find_view(name).key == ("invocation_id", "unique_id") for name in BY_THE_ROW)


def test_a_window_between_keeps_the_filter_from_the_facts(empty: duckdb.DuckDBPyConnection) -> None:
    empty.execute(
        "CREATE VIEW main.numbered AS SELECT *, ROW_NUMBER() OVER (PARTITION BY unique_id ORDER BY invocation_id) AS n"
        " FROM main.run_results"
    )
    assert scans(empty, "numbered") == [False]


@pytest.mark.parametrize("view", views(), ids=lambda view: view.name)
def test_a_view_bounds_what_it_reads_of_the_facts_where_a_filter_does_not(view: View) -> None:
    reads = unbounded(open_schemas(view))
    assert (reads > 0) == (view.name in {*BY_THE_ROW, *READ_ALL_THAT_IS_RETAINED})


@pytest.mark.parametrize(
    ("where", "reads"),
    [
        ("r.run_date >= DATE_SUB(DATE(@now), INTERVAL 30 DAY) AND r.outcome = 'ok'", 0),
        ("r.run_date = DATE '2026-01-01'", 0),
        ("r.run_date >= i.run_date", 1),
        ("i.run_date >= DATE '2026-01-01'", 1),
        ("r.run_date <= DATE '2026-01-01'", 1),
        ("r.run_date >= DATE '2026-01-01' OR r.outcome = 'ok'", 1),
        ("TRUE", 1),
    ],
)
def test_a_bound_is_a_condition_on_the_facts_own_day_that_no_row_has_a_part_in(where: str, reads: int) -> None:
    assert unbounded(f"SELECT r.a FROM raw.run_results AS r JOIN raw.invocations AS i ON TRUE WHERE {where}") == reads
