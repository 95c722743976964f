"""What the page asks: of facts, only their days; and all of it few times."""

import re
from pathlib import Path

import pytest
import sqlglot
from factories import freshness, result
from googlesql import Analyzer, AnalyzerEngine, tables_catalogue
from shop import BINDER, ORDERS, TEST_A, A, B, C, passed
from sqlglot import exp
from story import StoreEngine, Story

from observability.report import questions
from observability.stores.duckdb import DuckDBStore

FACTS = {"run_results", "source_freshness", "source_freshness_history", "model_run_times", "test_failures"}
"""Views whose rows lie in partitions by run_date, which a filter on it reaches."""
QUESTIONS = {name: sql for name, sql in vars(questions).items() if name.isupper()}


def unpruned(sql: str) -> list[str]:
    """The facts that a query reads without saying of which days."""
    found = []
    for select in sqlglot.parse_one(sql.replace("{main}", "main"), read="bigquery").find_all(exp.Select):
        sources = [select.args["from_"], *select.args.get("joins", ())]
        tables = [source.this for source in sources if isinstance(source.this, exp.Table)]
        where = select.args.get("where")
        filtered = (
            {column.table for column in where.find_all(exp.Column) if column.name == "run_date"} if where else set()
        )
        found += [table.name for table in tables if table.name in FACTS and table.alias not in filtered]
    return found


@pytest.mark.parametrize("name", QUESTIONS)
def test_of_facts_only_the_days_that_are_needed_are_read(name: str) -> None:
    assert unpruned(QUESTIONS[name]) == []


@pytest.mark.parametrize(
    ("sql", "facts"),
    [
        ("SELECT r.name FROM {main}.run_results AS r", ["run_results"]),
        ("SELECT r.name FROM {main}.run_results AS r WHERE r.name = 'x'", ["run_results"]),
        (
            (
                "SELECT r.name FROM {main}.attempts AS a JOIN {main}.run_results AS r ON r.load_id = a.load_id"
                " WHERE a.run_date = @day"
            ),
            ["run_results"],
        ),
        (
            (
                "SELECT r.name FROM {main}.run_results AS r WHERE r.run_date = @day UNION ALL"
                " SELECT f.name FROM {main}.source_freshness_history AS f WHERE TRUE"
            ),
            ["source_freshness_history"],
        ),
    ],
)
def test_a_question_without_days_is_noticed(sql: str, facts: list[str]) -> None:
    assert unpruned(sql) == facts


LITERALS = {
    "invocation": "'00000000'",
    "dag_run": "''",
    "environment": "'default'",
    "project": "'shop'",
    "dag": "'daily'",
    "step": "''",
    "run": "'daily/monday'",
    "runs": "['daily/monday', 'daily/tuesday', 'daily/wednesday']",
    "nodes": f"['{A}', '{B}', '{ORDERS}', '{TEST_A}']",
    "invocations": "['00000000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-000000000003']",
    "days": "[DATE '2026-03-02']",
    "since_day": "DATE '2026-03-02'",
    "since": "TIMESTAMP '2026-03-02 06:00:00+00'",
    "until": "TIMESTAMP '2026-03-02 06:20:00+00'",
    "shown": f"['{A}', '{B}']",
}
SAME_EACH_TIME = {"manifest_id"}
"""Columns that are told apart by more than the story."""


def three_mornings(told: Story) -> None:
    late = freshness(ORDERS, "warn", max_loaded_at_time_ago_in_s=90_000.0, max_loaded_at="2026-03-01T05:00:00+00:00")
    told.step("source freshness", late, dag_run="monday")
    for day in ("monday", "tuesday", "wednesday"):
        failed = result(A, "error", message=BINDER, compiled_code="select x")
        told.step("run", *passed(A, B, C) if day == "tuesday" else (failed, result(B, "skipped")), dag_run=day)
        told.step("test", result(TEST_A, "fail", failures=3, compiled_code="select y"), dag_run=day)


@pytest.mark.parametrize("name", sorted(QUESTIONS.keys() - {"LINEAGE"}))
def test_googlesql_and_duckdb_give_the_same_answer(name: str, tmp_path: Path) -> None:
    sql = re.sub(r"@(\w+)", lambda found: LITERALS[found[1]], QUESTIONS[name])
    answers = []
    for folder, engine in (
        ("executor", AnalyzerEngine(Analyzer(tables_catalogue()))),
        ("duckdb", StoreEngine(lambda: DuckDBStore(tmp_path / "audit.duckdb"))),
    ):
        told = Story(tmp_path / folder, engine)
        three_mornings(told)
        rows = told.ask(sql, now=told.now)
        kept = [{column: value for column, value in row.items() if column not in SAME_EACH_TIME} for row in rows]
        answers.append(kept if "ORDER BY" in sql.rpartition("FROM")[2] else sorted(kept, key=repr))
    assert answers[0] == answers[1]
    assert bool(answers[0]) == (name not in {"SLOWER", "FLAKY"})
