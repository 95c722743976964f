"""What Looker would show of the demo's mornings, against SQL that was written by hand."""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from demo import FUNNEL, MORNINGS, Demo
from looker_sql import Asked, Looker
from rich.console import Console

from observability.looker.check import check_project, known_tables, open_project
from observability.looker.check.answers import check_answers
from observability.looker.dashboards import DASHBOARDS, OPEN_FAILURES
from observability.looker.declaration import Question
from observability.looker.project import Place, build_project
from observability.looker.writing import write_files
from observability.stores.duckdb import DuckDBStore

HEALTHY, BAD, MENDED = 1, 3, 4


@dataclass(frozen=True)
class Mornings:
    """The audit file as it was after each morning, the shop's own database, and the project over them."""

    audits: Mapping[int, Path]
    shop: Path
    project: Path

    def ask(self, asked: Asked, morning: int = MENDED, project: Path | None = None) -> list[tuple[Any, ...]]:
        looker = Looker(project or self.project, {"fct_sessions": "shop.fct_sessions"})
        return self.query(looker.sql(asked), morning)

    def query(self, sql: str, morning: int = MENDED) -> list[tuple[Any, ...]]:
        with duckdb.connect(self.audits[morning], read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(f"ATTACH '{self.shop}' AS shop (READ_ONLY)")
            return connection.execute(sql).fetchall()

    def changed(self, folder: Path, path: str, old: str, new: str) -> Path:
        """A copy of the project with a file changed; `path` is without its ending."""
        shutil.copytree(self.project, folder)
        (file,) = folder.glob(f"{path}.*")
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new, 1), encoding="utf-8")
        return folder


@pytest.fixture(scope="module")
def mornings(tmp_path_factory: pytest.TempPathFactory) -> Mornings:
    folder = tmp_path_factory.mktemp("looker")
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.chdir(Path(__file__).parents[2])
    with (folder / "told.txt").open("w", encoding="utf-8") as told:
        demo = Demo(Console(file=told, width=100), Path(sys.executable).parent, folder / "demo")
        demo.begin()
        audits = {}
        for morning in MORNINGS:
            demo.live(morning)
            audits[morning.number] = folder / f"audit-{morning.number}.duckdb"
            shutil.copy(demo.audit, audits[morning.number])
    monkeypatch.undo()
    write_files(build_project(Place("bq", "shop-prod", "dbt_audit")), folder / "lookml")
    return Mornings(audits, demo.database, folder / "lookml")


QUESTIONS: Mapping[str, tuple[Asked, str]] = {
    "runs by outcome": (
        Asked("pipeline_runs", ["pipeline_runs.outcome", "pipeline_runs.count"]),
        "SELECT outcome, count(*) FROM pipeline_runs GROUP BY 1",
    ),
    "runs that went well, in parts of all": (
        Asked("pipeline_runs", ["pipeline_runs.success_rate", "pipeline_runs.failed_runs", "pipeline_runs.count"]),
        "SELECT 0.75, 1, 4",
    ),
    "runs by day, with what they built": (
        Asked("pipeline_runs", ["pipeline_runs.run_date", "pipeline_runs.total_models_built"]),
        "SELECT run_date, sum(models_built) FROM pipeline_runs GROUP BY 1",
    ),
    "one run, whatever its date": (
        Asked("pipeline_runs", ["pipeline_runs.total_failed_tests"], {"pipeline_runs.dag_run_id": "morning_3"}),
        "SELECT 8",
    ),
    "the longest run": (
        Asked("pipeline_runs", ["pipeline_runs.longest_duration_seconds", "pipeline_runs.average_duration_seconds"]),
        "SELECT max(duration_seconds), avg(duration_seconds) FROM pipeline_runs",
    ),
    "95 of 100 runs": (
        Asked("pipeline_runs", ["pipeline_runs.p95_duration_seconds"]),
        "SELECT quantile_cont(duration_seconds, 0.95) FROM pipeline_runs",
    ),
    "steps by command": (
        Asked("dbt_steps", ["invocations.command", "invocations.count", "invocations.failed_steps"]),
        """SELECT command, count(*), count(*) FILTER (outcome IN ('failure', 'interrupted', 'not_run'))
        FROM invocations GROUP BY 1""",
    ),
    "steps that no other try took the place of": (
        Asked("dbt_steps", ["attempts.is_superseded", "invocations.count"]),
        "SELECT is_superseded, count(*) FROM attempts GROUP BY 1",
    ),
    "nodes by kind and outcome": (
        Asked("node_results", ["run_results.resource_type", "run_results.outcome", "run_results.count"]),
        "SELECT resource_type, outcome, count(*) FROM run_results GROUP BY 1, 2",
    ),
    "a step's seconds are not added once a node": (
        Asked(
            "node_results",
            ["invocations.command", "invocations.total_elapsed_seconds", "invocations.count", "run_results.count"],
        ),
        """SELECT i.command, sum(i.elapsed_seconds), count(*), sum(r.n)
           FROM invocations AS i
           JOIN (SELECT invocation_id, count(*) AS n FROM run_results GROUP BY 1) AS r USING (invocation_id)
           GROUP BY 1""",
    ),
    "nor their mean weighed by nodes": (
        Asked("node_results", ["invocations.average_elapsed_seconds", "run_results.total_execution_time"]),
        """SELECT (SELECT avg(elapsed_seconds) FROM invocations AS i
                   WHERE EXISTS (FROM run_results AS r WHERE r.invocation_id = i.invocation_id)),
                  (SELECT sum(execution_time) FROM run_results)""",
    ),
    "seconds by DAG run, of models only": (
        Asked(
            "node_results",
            ["invocations.dag_run_id", "run_results.total_execution_time", "run_results.median_execution_time"],
            {"run_results.resource_type": "model"},
        ),
        """SELECT i.dag_run_id, sum(r.execution_time), median(r.execution_time)
           FROM run_results AS r JOIN invocations AS i USING (invocation_id)
           WHERE r.resource_type = 'model' GROUP BY 1""",
    ),
    "test failures by what they test": (
        Asked("test_failures", ["test_failures.attached_node", "test_failures.count", "test_failures.failed_runs"]),
        "SELECT attached_node, count(*), count(*) FILTER (outcome = 'failure') FROM test_failures GROUP BY 1",
    ),
    "rows that tests found, beside the runs of the tests": (
        Asked(
            "test_failures",
            ["test_failures.total_failing_rows", "test_history.total_runs", "test_history.total_failed_runs"],
        ),
        """SELECT (SELECT sum(failures) FROM test_failures), sum(h.runs), sum(h.failed_runs)
           FROM test_history AS h WHERE h.unique_id IN (SELECT unique_id FROM test_failures)""",
    ),
    "root causes among the tests that failed": (
        Asked("test_failures", ["test_failures.root_causes", "test_failures.tests"], {"test_failures.status": "fail"}),
        "SELECT count(*) FILTER (is_root_cause), count(DISTINCT unique_id) FROM test_failures WHERE status = 'fail'",
    ),
    "tests that failed more than once in a hundred": (
        Asked("test_health", ["test_history.name", "test_history.failed_runs"], {"test_history.failed_runs": ">0"}),
        "SELECT name, failed_runs FROM test_history WHERE failed_runs > 0",
    ),
    "tests, the flaky ones and the failing ones": (
        Asked("test_health", ["test_history.count", "test_history.flaky_tests", "test_history.failing_tests"]),
        "SELECT count(*), count(*) FILTER (is_flaky), count(*) FILTER (last_outcome = 'failure') FROM test_history",
    ),
    "freshness by source": (
        Asked(
            "source_freshness",
            [
                "source_freshness_history.name",
                "source_freshness_history.sla_met",
                "source_freshness_history.worst_warn_ratio",
            ],
        ),
        """SELECT name, count(*) FILTER (outcome = 'ok') / count(*), max(warn_ratio)
           FROM source_freshness_history GROUP BY 1""",
    ),
    "sources are counted once, however often checked": (
        Asked(
            "source_freshness",
            ["source_health.count", "source_health.unhealthy_sources", "source_freshness_history.count"],
        ),
        "SELECT 4, 0, 16",
    ),
    "exposures by health": (
        Asked("exposure_health", ["exposure_health.health", "exposure_health.count"]),
        "SELECT health, count(*) FROM exposure_health GROUP BY 1",
    ),
    "incidents by kind, with the time to recover": (
        Asked(
            "incidents",
            ["incidents.kind", "incidents.mean_seconds_to_recover", "incidents.median_seconds_to_recover"],
        ),
        "SELECT kind, avg(open_seconds), median(open_seconds) FROM incidents WHERE state = 'recovered' GROUP BY 1",
    ),
    "an incident's seconds are not added once a node": (
        Asked(
            "incident_nodes",
            ["incidents.severity", "incidents.mean_seconds_to_recover", "incidents.count", "incident_nodes.nodes"],
        ),
        """SELECT i.severity, avg(i.open_seconds), count(*), max(n.nodes)
           FROM incidents AS i
           JOIN (SELECT severity, count(DISTINCT n.unique_id) AS nodes FROM incident_nodes AS n
                 JOIN incidents USING (incident_id) GROUP BY 1) AS n USING (severity)
           GROUP BY 1""",
    ),
    "what incidents are made of": (
        Asked("incident_nodes", ["incident_nodes.role", "incident_nodes.count"]),
        "SELECT role, count(*) FROM incident_nodes GROUP BY 1",
    ),
    "models by seconds": (
        Asked(
            "model_run_times",
            ["model_run_times.name", "model_run_times.count", "model_run_times.longest_execution_time"],
            sorts=["model_run_times.longest_execution_time desc"],
        ),
        "SELECT name, count(*), max(execution_time) FROM model_run_times GROUP BY 1 ORDER BY 3 DESC",
    ),
    "models are counted once, however often run": (
        Asked("model_run_times", ["models.count", "model_run_times.models", "model_run_times.count"]),
        """SELECT (SELECT count(*) FROM models), count(DISTINCT unique_id), count(*) FROM model_run_times""",
    ),
    "snapshots, with the versions that they wrote": (
        Asked("snapshot_runs", ["snapshot_runs.name", "snapshot_runs.count", "snapshot_runs.failed_runs"]),
        "SELECT 'orders_snapshot', 4, 0",
    ),
    "BigQuery billed nothing": (
        Asked("bigquery_costs", ["bigquery_costs.count", "bigquery_costs.total_tib_billed"]),
        "SELECT 0, 0",
    ),
    "messages by what they tell": (
        Asked("alert_history", ["deliveries.transition", "deliveries.count"]),
        "SELECT transition, count(*) FROM deliveries GROUP BY 1",
    ),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_explore_shows_what_the_rows_say(mornings: Mornings, name: str) -> None:
    asked, by_hand = QUESTIONS[name]
    found = [tuple(_rounded(value) for value in row) for row in mornings.ask(asked)]
    wanted = [tuple(_rounded(value) for value in row) for row in mornings.query(by_hand)]
    if not asked.sorts:
        found, wanted = sorted(found, key=repr), sorted(wanted, key=repr)
    assert found == wanted
    assert wanted, "a question that no row answers shows nothing"


TRAPS = {
    "a step's seconds are not added once a node": ("node_results", "one_to_one"),
    "nor their mean weighed by nodes": ("node_results", "one_to_one"),
    "an incident's seconds are not added once a node": ("incident_nodes", "one_to_one"),
    "sources are counted once, however often checked": ("source_freshness", "one_to_one"),
    "models are counted once, however often run": ("model_run_times", "one_to_one"),
}
"""Questions whose numbers are wrong where the first join of their explore has this relationship in place of its own."""


@pytest.mark.parametrize("name", TRAPS)
def test_a_wrong_relationship_gives_other_numbers(mornings: Mornings, tmp_path: Path, name: str) -> None:
    explore, relationship = TRAPS[name]
    asked, by_hand = QUESTIONS[name]
    wrong = mornings.changed(
        tmp_path / "lookml", f"explores/{explore}", "relationship: many_to_one", f"relationship: {relationship}"
    )
    assert _sorted(mornings.ask(asked, project=wrong)) != _sorted(mornings.query(by_hand))


def _sorted(rows: list[tuple[Any, ...]]) -> list[tuple[object, ...]]:
    return sorted((tuple(_rounded(value) for value in row) for row in rows), key=repr)


def _rounded(value: object) -> object:
    return round(float(value), 6) if isinstance(value, float | int | Decimal) else value


def test_open_failures_are_0_on_a_healthy_morning_and_right_on_a_bad_one(mornings: Mornings) -> None:
    asked = _asked(OPEN_FAILURES)
    assert [mornings.ask(asked, morning) for morning in (HEALTHY, BAD, MENDED)] == [[(0,)], [(2,)], [(0,)]]


def test_a_bad_morning_has_its_causes_and_whom_they_hurt(mornings: Mornings) -> None:
    causes = Asked("incidents", ["incidents.name", "incidents.severity"], {"incidents.state": "open"})
    assert mornings.ask(causes, BAD) == [
        ("events", "warning"),
        ("stg_order_items", "critical"),
        ("stg_promos", "critical"),
        ("stg_users", "warning"),
    ]
    hurt = Asked("exposures_at_risk", ["exposure_impacts.exposures", "exposure_impacts.failing_causes"])
    by_hand = "SELECT count(DISTINCT exposure_unique_id), count(DISTINCT unique_id) FILTER (outcome = 'failure')"
    assert mornings.ask(hurt, BAD) == mornings.query(f"{by_hand} FROM exposure_impacts", BAD) != [(0, 0)]
    health = Asked("exposures_at_risk", ["exposure_health.health", "exposure_health.count", "exposure_impacts.count"])
    once = "SELECT h.health, count(DISTINCT h.unique_id), count(*) FROM exposure_impacts AS i JOIN exposure_health AS h"
    assert mornings.ask(health, BAD) == mornings.query(
        f"{once} ON h.unique_id = i.exposure_unique_id GROUP BY 1 ORDER BY ALL", BAD
    )


def test_the_funnel_is_that_of_the_shops_analysis(mornings: Mornings) -> None:
    names = [
        "session_created_date", "total_page_view_sessions", "total_add_to_cart_sessions", "total_checkout_sessions",
        "percentage_total_sessions", "percentage_add_to_cart_sessions", "percentage_checkout_sessions",
        "total_add_to_cart_drop_off", "total_checkout_drop_off",
    ]  # fmt: skip
    rows = mornings.ask(Asked("conversion_funnel", [f"sessions.{name}" for name in names]))
    shares = slice(4, 7)
    shown = [(f"{row[0]}T00:00:00Z", *row[1:4], *(f"{part:.4f}" for part in row[shares]), *row[7:]) for row in rows]
    assert [tuple(str(value) for value in row) for row in shown] == list(FUNNEL)


def test_every_tile_of_every_dashboard_can_be_asked(mornings: Mornings) -> None:
    for tile in (tile for board in DASHBOARDS for tile in board.tiles):
        assert mornings.ask(_asked(tile.question), BAD) is not None


def test_the_checker_asks_the_store_for_every_field_and_finds_nothing(mornings: Mornings) -> None:
    project = open_project(mornings.project)
    assert check_project(project) == []
    with DuckDBStore(str(mornings.audits[BAD])).reading() as reader:
        asked = check_answers(project, reader, known_tables())
    assert project.problems == []
    assert asked == sum(len(view.fields) for name, view in project.views.items() if name != "sessions")


def test_the_demos_triage_pages_are_small_and_listed(mornings: Mornings) -> None:
    folder = mornings.project.parent / "demo" / "triage"
    pages = [path for path in folder.glob("*.html") if path.name != "index.html"]
    assert len(pages) == len(MORNINGS)
    assert max(path.stat().st_size for path in pages) <= 150_000
    index = (folder / "index.html").read_text(encoding="utf-8")
    assert all(path.name in index for path in pages)
    assert index.count("All is well.") == 3
    assert "2 causes of failure, 3 exposures at risk, 1 of them critical." in index


def _asked(question: Question) -> Asked:
    return Asked(question.explore, question.fields, question.filters, question.sorts)


DEFECTS = {
    "a column that is none": ("query", "views/incidents", "${TABLE}.incident_key", "${TABLE}.incident_keys", "incidents.incident_key does not run"),
    "a sum of texts": ("query", "views/incidents", "sql: ${bad_runs}", "sql: ${subject}", "incidents.total_bad_runs does not run"),
    "a key of many rows": ("primary key", "views/run_results", "CONCAT(${TABLE}.invocation_id, '|', ${TABLE}.unique_id)", "${TABLE}.invocation_id", "run_results.key names "),
    "a key that is null": ("primary key", "views/invocations", "sql: ${TABLE}.invocation_id", "sql: ${TABLE}.dag_id", "is null in"),
    "a join that finds many": ("relationship", "explores/test_failures", " AND ${test_failures.unique_id} = ${tests.unique_id}", "", "match one of test_failures"),
    "a value that no filter offers": ("suggestions", "views/incidents", '"critical", ', "", "incidents.severity is also critical"),
}  # fmt: skip
"""What only rows can tell: the rule, the file, what stands there, what is put in its place, what is said."""


@pytest.mark.parametrize("name", DEFECTS)
def test_the_checker_finds_what_only_rows_can_tell(mornings: Mornings, tmp_path: Path, name: str) -> None:
    rule, path, old, new, told = DEFECTS[name]
    folder = mornings.changed(tmp_path / "lookml", path, old, new)
    project = open_project(folder)
    concerned = {Path(path).name}
    if explore := project.explores.get(Path(path).name):
        concerned = set(explore.views.values())
        project.explores = {explore.name: explore}
    else:
        project.explores = {}
    project.views = {name: view for name, view in project.views.items() if name in concerned}
    with DuckDBStore(str(mornings.audits[BAD])).reading() as reader:
        check_answers(project, reader, known_tables())
    assert [(one.rule, one.path) for one in project.problems if told in one.message] == [
        (rule, next(folder.glob(f"{path}.*")).relative_to(folder).as_posix())
    ], project.problems
