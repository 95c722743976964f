"""The questions that the checker asks a store, in BigQuery's SQL: by Google's own analyzer, and by an emulator."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pytest
from factories import manifest, node, result, run_results, write_step
from googlesql import SCHEMAS, Analyzer, NotGoogleSQL
from recorded import OPTIONS, load

from observability.artifacts.step import Step
from observability.errors import QueryError
from observability.looker.check import Project, known_tables, open_project
from observability.looker.check.answers import check_answers
from observability.looker.project import Place, build_project
from observability.looker.writing import write_files
from observability.stores.base import commit

if TYPE_CHECKING:
    from observability.stores.bigquery import BigQueryStore

AUDITED = Place("bq", "shop-prod", "dbt_audit", greenery=None)


class Judge:
    """A reader of tables without a row: it says what is no GoogleSQL, with the types that the views declare."""

    dialect: Literal["googlesql"] = "googlesql"

    def __init__(self, analyzer: Analyzer) -> None:
        self.analyzer = analyzer
        self.asked = 0

    def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> pa.Table:
        assert not parameters
        self.asked += 1
        try:
            columns = self.analyzer.columns(sql.replace("{main}", SCHEMAS["main"]))
        except NotGoogleSQL as error:
            raise QueryError(str(error), where="a test", next_step="mend it") from error
        rows = 0 if "LIMIT 0" in sql else 1
        return pa.table(
            {name or str(at): [0 if kind == "INT64" else None] * rows for at, (name, kind) in enumerate(columns)}
        )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("lookml")
    write_files(build_project(AUDITED), made)
    return made


@pytest.fixture
def project(folder: Path) -> Project:
    return open_project(folder)


def test_every_field_key_join_and_filter_is_asked_for_in_googlesql(project: Project, analyzer: Analyzer) -> None:
    judge = Judge(analyzer)
    asked = check_answers(project, judge, known_tables())
    assert project.problems == []
    assert asked == sum(len(view.fields) for view in project.views.values())
    joins = [join for explore in project.explores.values() for join in explore.joins]
    with_measures = [view for view in project.views.values() if any(one.is_measure for one in view.fields.values())]
    assert judge.asked == 2 * len(project.views) + len(with_measures) + len(joins)


def test_what_is_no_googlesql_is_told_in_its_words(project: Project, analyzer: Analyzer) -> None:
    block = project.views["incidents"].fields["total_bad_runs"].block
    part = next(part for part in block.parts if part.key == "sql")
    block.parts[block.parts.index(part)] = type(part)("sql", part.line, part.path, value="${subject}")
    check_answers(project, Judge(analyzer), known_tables())
    (problem,) = project.problems
    assert (problem.path, problem.rule) == ("views/incidents.view.lkml", "query")
    assert "No matching signature for aggregate function SUM" in problem.message


@pytest.mark.thorough
def test_bigquery_answers_for_every_field(project: Project, bigquery_store: "BigQueryStore", tmp_path: Path) -> None:
    step = write_step(
        tmp_path / "target",
        manifest=manifest(node("model.shop.a")),
        run_results=run_results(result("model.shop.a", "error", message="no")),
    )
    commit(bigquery_store, [load(step, Step(exit_code=1), OPTIONS)])
    with bigquery_store.reading() as reader:
        check_answers(project, reader, known_tables())
    assert project.problems == []
