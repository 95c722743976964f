"""What the page asks: of facts, only their days; and all of it few times."""

import pytest
import sqlglot
from sqlglot import exp

from observability.report import questions

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
