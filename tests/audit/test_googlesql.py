"""Everything that we send to BigQuery, before the GoogleSQL analyzer; and what the engines answer differently."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from asked import ASKED
from factories import result
from googlesql import SCHEMAS, Analyzer, AnalyzerEngine, NotGoogleSQL, our_catalogue, tables_catalogue
from shop import A
from sql_lint import lint
from story import StoreEngine, Story

from observability.audit import pruning
from observability.audit.schema import Column, ColumnType
from observability.audit.views import View, as_of, find_view, to_duckdb, views
from observability.stores.bigquery.schema import Layout
from observability.stores.bigquery.store import QUESTIONS
from observability.stores.duckdb import DuckDBStore

VIEWS = pytest.mark.parametrize("view", views(), ids=lambda view: view.name)


def placed(sql: str) -> str:
    for name, schema in SCHEMAS.items():
        sql = sql.replace(f"{{{name}}}", schema)
    return sql


def declared(view: View) -> list[tuple[str, str]]:
    return [(column.name, column.googlesql_type) for column in view.columns]


# --- what we send -----------------------------------------------------------------------------------------------------


@VIEWS
def test_a_view_is_googlesql_and_gives_the_declared_columns(view: View, analyzer: Analyzer) -> None:
    assert analyzer.columns(view.sql(**SCHEMAS)) == declared(view)


@pytest.mark.parametrize("name", ASKED)
def test_the_questions_are_googlesql_by_the_clock_and_as_of_a_moment(name: str, analyzer: Analyzer) -> None:
    texts = ("states", "bases", "subjects", "told", "invocations", "nodes", "shown", "incidents", "keys", "runs")
    types = {**dict.fromkeys(texts, "ARRAY<STRING>"), **dict.fromkeys(("months", "days"), "ARRAY<DATE>")}
    types |= dict.fromkeys(("name", "invocation", "dag_run", "environment", "run", "project", "dag", "step"), "STRING")
    types |= {"since": "TIMESTAMP", "until": "TIMESTAMP", "since_day": "DATE"}
    analyzer.check(placed(ASKED[name]), types)
    analyzer.check(placed(as_of(ASKED[name])), {**types, "now": ColumnType.TIMESTAMP})


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_questions_of_loaders_are_googlesql(question: str, analyzer: Analyzer) -> None:
    analyzer.check(placed(question), {"hashes": "ARRAY<STRING>", "ids": "ARRAY<STRING>"})


@pytest.mark.parametrize("table", pruning.PRUNED)
def test_the_pruning_is_googlesql(table: str, analyzer: Analyzer) -> None:
    types = {"cutoff": "DATE", "opened": "DATE", "open_nodes": "ARRAY<STRING>", "orphans": "TIMESTAMP"}
    condition = placed(pruning.PRUNED[table])
    analyzer.check(f"DELETE FROM {SCHEMAS['raw']}.{table} AS t WHERE {condition}", types)
    analyzer.check(f"SELECT COUNT(*) AS n FROM {SCHEMAS['raw']}.{table} AS t WHERE {condition}", types)
    assert analyzer.columns(placed(pruning.OPEN_NODES)) == [("unique_id", "STRING"), ("opened_on", "DATE")]


def test_the_whole_ddl_is_googlesql(analyzer: Analyzer) -> None:
    *statements, note = Layout("test-project", "audit", "EU").ddl().split(";\n\n")
    assert len(statements) == 2 + len(tables_catalogue()) + len(views())
    assert note.startswith("-- ")
    for statement in statements:
        analyzer.check(statement)


# --- that the judge judges --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mistaken", "words"),
    [
        ("SELECT n.nope FROM {main}.nodes AS n", "Name nope not found inside n [at 1:10]"),
        ("SELECT 1 AS one FROM {main}.nope AS n", "Table not found: `test-project`.audit.nope"),
        ("SELECT n.name = 1 AS same FROM {main}.nodes AS n", "No matching signature for operator ="),
        (
            "SELECT n.tags = n.tags AS same FROM {main}.nodes AS n",
            "Equality is not defined for arguments of type ARRAY",
        ),
        ("SELECT i.run_date = i.started_at AS same FROM {main}.invocations AS i", "{DATE, TIMESTAMP}"),
        ("SELECT @now = 1 AS same", "No matching signature for operator ="),
        ("SELECT @then AS moment", "Query parameter 'then' not found"),
        (
            "SELECT n.name FROM {main}.nodes AS n QUALIFY ROW_NUMBER() OVER (ORDER BY n.name) = 1",
            "QUALIFY clause must be used in conjunction with WHERE or GROUP BY or HAVING clause",
        ),
        (
            "SELECT n.name, n.owner, COUNT(*) AS nodes FROM {main}.nodes AS n GROUP BY n.name",
            "SELECT list expression references n.owner which is neither grouped nor aggregated",
        ),
        ("SELECT n.name ILIKE 'x' AS alike FROM {main}.nodes AS n", "Expected end of input but got string literal 'x'"),
        ("SELECT n.name::INT64 AS number FROM {main}.nodes AS n", 'Expected end of input but got ":"'),
        ("SELECT strftime(@now, '%Y') AS year", "Function not found: strftime"),
        ("SELECT MAX_BY(n.name, n.owner) AS name FROM {main}.nodes AS n", "Function not found: MAX_BY"),
        ("SELECT at.name FROM {main}.nodes AS at", "Unexpected keyword AT"),
        ("SELECT COUNT(*) FILTER (WHERE TRUE) AS n FROM {main}.nodes AS n", 'Expected end of input but got "("'),
        ("CREATE TABLE made (name TEXT)", "Type not found: TEXT"),
        ("CREATE TABLE made (name STRING) PARTITION BY day", "Unrecognized name: day"),
        ("DELETE FROM {raw}.nodes AS t WHERE t.nope", "Name nope not found inside t"),
    ],
)
def test_a_mistake_is_refused_in_the_analyzers_words(mistaken: str, words: str, analyzer: Analyzer) -> None:
    with pytest.raises(NotGoogleSQL) as refused:
        analyzer.check(placed(mistaken), {"now": ColumnType.TIMESTAMP})
    assert words in str(refused.value)


def test_a_wrong_type_and_a_missing_column_in_a_declaration_are_noticed(analyzer: Analyzer) -> None:
    view = find_view("snapshot_runs")
    given = analyzer.columns(view.sql(**SCHEMAS))
    mistyped = [replace(one, type=ColumnType.STRING) if one.name == "run_date" else one for one in view.columns]
    assert given != declared(replace(view, columns=tuple(mistyped)))
    assert given != declared(replace(view, columns=view.columns[:-1]))
    assert given[0] == ("run_date", "DATE")


def test_a_view_is_judged_against_what_the_views_below_it_declare() -> None:
    view = find_view("snapshot_runs")
    catalogue = {
        name: tuple(one for one in columns if one.name != "task_id") for name, columns in our_catalogue().items()
    }
    with pytest.raises(NotGoogleSQL, match="task_id"):
        Analyzer(catalogue).check(view.sql(**SCHEMAS))


def test_types_are_written_out(analyzer: Analyzer) -> None:
    assert analyzer.columns(
        "SELECT 1 AS i, 0.5 AS f, TRUE AS b, ['x'] AS a, [STRUCT('x' AS s, [STRUCT(@now AS t)] AS r)] AS n",
        {"now": "TIMESTAMP"},
    ) == [
        ("i", "INT64"),
        ("f", "FLOAT64"),
        ("b", "BOOL"),
        ("a", "ARRAY<STRING>"),
        ("n", "ARRAY<STRUCT<s STRING, r ARRAY<STRUCT<t TIMESTAMP>>>>"),
    ]


def test_rows_go_into_the_executor_and_come_out_unchanged() -> None:
    import pyarrow as pa

    columns = (
        Column("s", ColumnType.STRING, ""),
        Column("t", ColumnType.TIMESTAMP, "", nullable=True),
        Column("d", ColumnType.DATE, "", nullable=True),
        Column("n", ColumnType.FLOAT64, "", nullable=True),
        Column("a", ColumnType.STRING, "", repeated=True),
        Column("r", ColumnType.STRUCT, "", repeated=True, fields=(Column("i", ColumnType.INT64, "", nullable=True),)),
    )
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    rows = [
        {"s": "é😀\0`'\n", "t": moment, "d": date(1969, 1, 2), "n": -0.1, "a": ["x", ""], "r": [{"i": 7}, {"i": None}]},
        {"s": "", "t": None, "d": None, "n": None, "a": [], "r": []},
    ]
    held = pa.Table.from_pylist(rows, pa.schema([(column.name, column.arrow_type) for column in columns]))
    judge = Analyzer({"raw.held": columns})
    found = judge.evaluate("SELECT h.* FROM `raw.held` AS h ORDER BY h.s DESC", {"raw.held": held})
    assert found == rows
    found = judge.evaluate(
        "SELECT @m AS m, @a AS a, @s AS s", parameters={"m": moment, "a": [date(2026, 1, 2)], "s": "é"}
    )
    assert found == [{"m": moment, "a": [date(2026, 1, 2)], "s": "é"}]
    assert judge.evaluate("SELECT h.s FROM `raw.held` AS h") == []


def test_the_executor_tells_a_story_as_duckdb_does(tmp_path: Path) -> None:
    executor = AnalyzerEngine(Analyzer(tables_catalogue()))
    story = Story(tmp_path / "told", executor)
    story.step("run", result(A, "error", message="boom"), dag_run="r", exit_code=1)
    story.step("run", result(A), dag_run="s")
    other = Story(tmp_path, StoreEngine(lambda: DuckDBStore(tmp_path / "audit.duckdb")), story.minutes, story.loads)
    for told in (story, other):
        assert told.rows("incidents", "subject, kind, state, bad_runs, message, failed_nodes, open_seconds") == [
            (A, "node_error", "recovered", 1, "boom", [A], 300.0)
        ]
        assert told.rows("pipeline_runs", "outcome, steps, nodes_ok, nodes_failure", now=told.now) == [
            ("failure", ["run: failure"], 0, 1),
            ("success", ["run: success"], 1, 0),
        ]


# --- what the engines answer ------------------------------------------------------------------------------------------


def on_duckdb(expression: str) -> Any:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.sql(to_duckdb(f"SELECT {expression} AS v")).to_arrow_table().to_pylist()[0]["v"]


def in_googlesql(expression: str, analyzer: Analyzer) -> Any:
    return analyzer.evaluate(f"SELECT {expression} AS v")[0]["v"]


JSON = """'{"a": {"b": "x", "n": null}, "t": true, "f": ["x", "y"]}'"""
NO_NUMBERS = "UNNEST(CAST([] AS ARRAY<INT64>)) AS x"
NEXT_ROW = "ORDER BY x ROWS BETWEEN 1 FOLLOWING AND 1 FOLLOWING"


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        # JSON is canonical text
        (f"JSON_VALUE({JSON}, '$.a.b')", "x"),
        (f"JSON_VALUE({JSON}, '$.a.n')", None),
        (f"JSON_VALUE({JSON}, '$.a.missing')", None),
        (f"JSON_VALUE({JSON}, '$.missing.b')", None),
        (f"JSON_VALUE({JSON}, '$.a')", None),
        (f"JSON_VALUE({JSON}, '$.f')", None),
        (f"JSON_VALUE({JSON}, '$.t')", "true"),
        ("JSON_VALUE(CAST(NULL AS STRING), '$.a')", None),
        (f"JSON_QUERY_ARRAY({JSON}, '$.f')", ['"x"', '"y"']),
        (f"ARRAY_LENGTH(JSON_QUERY_ARRAY({JSON}, '$.missing'))", None),
        # moments and days
        ("UNIX_MICROS(TIMESTAMP '2026-01-02 03:04:05.678901+00')", 1767323045678901),
        ("UNIX_MICROS(TIMESTAMP '1969-12-31 23:59:59.999999+00')", -1),
        ("DATE(TIMESTAMP '2026-01-02 23:59:59-05')", date(2026, 1, 3)),
        ("CAST(DATE_SUB(DATE '2026-03-31', INTERVAL 30 DAY) AS DATE)", date(2026, 3, 1)),
        ("CAST(DATE_TRUNC(DATE '2026-03-18', MONTH) AS DATE)", date(2026, 3, 1)),
        ("DATE_TRUNC(DATE '2026-03-18', WEEK)", date(2026, 3, 15)),
        ("CAST(DATE_TRUNC(DATE '2026-03-18', ISOWEEK) AS DATE)", date(2026, 3, 16)),
        ("TIMESTAMP_TRUNC(TIMESTAMP '2026-03-18 23:11:12-05', DAY)", datetime(2026, 3, 19, tzinfo=UTC)),
        ("TIMESTAMP_SUB(TIMESTAMP '2026-03-31 12:00:00+00', INTERVAL 90 DAY)", datetime(2025, 12, 31, 12, tzinfo=UTC)),
        (
            "TIMESTAMP_SUB(TIMESTAMP '2026-03-31 00:30:00+00', INTERVAL 60 MINUTE)",
            datetime(2026, 3, 30, 23, 30, tzinfo=UTC),
        ),
        # text
        ("SPLIT('a.b.c', '.')", ["a", "b", "c"]),
        ("SPLIT('', '.')", [""]),
        ("SPLIT('a.b', '.')[SAFE_OFFSET(1)]", "b"),
        ("SPLIT('a.b', '.')[SAFE_OFFSET(2)]", None),
        ("CONCAT('a', CAST(NULL AS STRING))", None),
        ("COALESCE(CAST(NULL AS STRING), '')", ""),
        ("STARTS_WITH(CAST(NULL AS STRING), 'a')", None),
        ("ENDS_WITH('x withdrawn', 'withdrawn')", True),
        ("REGEXP_CONTAINS('stg_orders', r'^stg_')", True),
        ("REGEXP_CONTAINS('orders_stg', r'^stg_')", False),
        ("SUBSTR('😀bcd', 1, 2)", "😀b"),
        ("SUBSTR('abc', 2, 9)", "bc"),
        ("LENGTH('😀')", 1),
        ("LENGTH('e\u0301')", 2),
        ("SUBSTR(TO_HEX(SHA256('é')), 1, 12)", "4a99557e4033"),
        ("'a' = 'A'", False),
        ("'B' < 'a'", True),
        # arrays
        ("ARRAY_LENGTH(CAST(NULL AS ARRAY<STRING>))", None),
        ("ARRAY_LENGTH(CAST([] AS ARRAY<STRING>))", 0),
        ("1 IN UNNEST(CAST([] AS ARRAY<INT64>))", False),
        ("1 NOT IN UNNEST(CAST(NULL AS ARRAY<INT64>))", True),
        ("1 IN UNNEST([2, NULL])", None),
        ("CAST(NULL AS INT64) IN UNNEST([1])", None),
        ("EXISTS(SELECT 1 FROM UNNEST(CAST(NULL AS ARRAY<INT64>)) AS x)", False),
        ("(SELECT ARRAY_AGG(x ORDER BY x) FROM UNNEST([2, NULL, 1]) AS x)", [None, 1, 2]),
        ("(SELECT ARRAY_AGG(x ORDER BY x DESC) FROM UNNEST([2, NULL, 1]) AS x)", [2, 1, None]),
        ("(SELECT ARRAY_AGG(x IGNORE NULLS ORDER BY x DESC)[SAFE_OFFSET(0)] FROM UNNEST([2, NULL, 3]) AS x)", 3),
        (
            "(SELECT ARRAY_LENGTH(ARRAY_AGG(x IGNORE NULLS ORDER BY x)) FROM UNNEST([CAST(NULL AS INT64)]) AS x)",
            None,
        ),
        (
            "(SELECT ARRAY_AGG(x ORDER BY x) FROM UNNEST(['b', 'B', 'ä', '😀', '_', '.']) AS x)",
            [".", "B", "_", "b", "ä", "😀"],
        ),
        # null and order
        ("(SELECT x FROM UNNEST([2, NULL, 1]) AS x ORDER BY x LIMIT 1)", None),
        ("(SELECT x FROM UNNEST([2, NULL, 1]) AS x ORDER BY x DESC LIMIT 1)", 2),
        ("LEAST(1, NULL)", None),
        ("GREATEST(TIMESTAMP '2026-01-01 00:00:00+00', NULL)", None),
        ("IF(CAST(NULL AS BOOL), 1, 2)", 2),
        ("CAST(NULL AS STRING) <> 'x'", None),
        # sums and counts
        (f"(SELECT LOGICAL_OR(x > 1) FROM {NO_NUMBERS})", None),
        ("(SELECT LOGICAL_OR(x > 1) FROM UNNEST([0, NULL]) AS x)", False),
        (f"(SELECT SUM(x) FROM {NO_NUMBERS})", None),
        (f"(SELECT COUNT(IF(x > 1, 1, NULL)) FROM {NO_NUMBERS})", 0),
        ("(SELECT COUNT(DISTINCT x) FROM UNNEST([1, 1, NULL]) AS x)", 1),
        ("(SELECT PERCENTILE_CONT(x, 0.5) OVER () FROM UNNEST([1, 2, 10, 20]) AS x LIMIT 1)", 6.0),
        ("(SELECT ANY_VALUE(x HAVING MAX x) FROM UNNEST([2, 3, 1]) AS x)", 3),
        ("7 / 2", 3.5),
        ("1 / NULLIF(0, 0)", None),
        ("CAST(2.5 AS INT64)", 3),
        ("CAST(UNIX_MICROS(TIMESTAMP '2026-01-01 00:00:00+00') AS STRING)", "1767225600000000"),
    ],
)
def test_what_the_views_use_has_the_same_value_on_both_engines(expression: str, value: Any, analyzer: Analyzer) -> None:
    assert in_googlesql(expression, analyzer) == value
    assert on_duckdb(expression) == value


REFUSED = "refused"


@pytest.mark.parametrize(
    ("expression", "googlesql", "on_the_other"),
    [
        ("TIMESTAMP_DIFF(TIMESTAMP '2026-01-01 10:01:00', TIMESTAMP '2026-01-01 09:59:00', HOUR)", 0, 1),
        ("TIMESTAMP_DIFF(TIMESTAMP '2026-01-01 00:00:01.1', TIMESTAMP '2026-01-01 00:00:00.9', SECOND)", 0, 1),
        ("EXTRACT(DAYOFWEEK FROM DATE '2026-03-18')", 4, 3),
        ("EXTRACT(WEEK FROM DATE '2026-03-18')", 11, 12),
        ("FORMAT_DATE('%e', DATE '2026-03-01')", " 1", "1"),
        ("FORMAT('%d', 5)", "5", "%d"),
        ("TRIM('a\\n')", "a", "a\n"),
        ("SUBSTR('abc', 0, 2)", "ab", "a"),
        ("1 / 0", REFUSED, float("inf")),
        (f"(SELECT CAST(COUNTIF(x > 1) AS INT64) FROM {NO_NUMBERS})", 0, None),
        (f"(SELECT CAST(COUNTIF(x) OVER ({NEXT_ROW}) AS INT64) FROM UNNEST([TRUE]) AS x)", 0, None),
    ],
)
def test_what_the_lint_forbids_has_another_value_on_each_engine(
    expression: str, googlesql: Any, on_the_other: Any, analyzer: Analyzer
) -> None:
    try:
        found = in_googlesql(expression, analyzer)
    except NotGoogleSQL:
        found = REFUSED
    assert (found, on_duckdb(expression)) == (googlesql, on_the_other)
    assert lint(f"SELECT {expression} AS v")
