"""The commands that look after the store, and those that read its views, as their users meet them."""

import csv
import io
import json
from pathlib import Path

import pytest
from emulator import Emulator
from factories import manifest, node, result, run_results, write_step
from shop import A, shop
from test_cli import HOSTILE, Ran, observe

from observability.audit.schema import TABLES
from observability.audit.views import views


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A folder in which a failed run was loaded."""
    failed = result("model.shop.a", "error", message=HOSTILE)
    folder = write_step(
        tmp_path / "target",
        manifest=manifest(node("model.shop.a"), node("model.shop.b", ["model.shop.a"])),
        run_results=run_results(failed, result("model.shop.b", "skipped")),
    )
    assert observe("ingest", folder, "--exit-code", "1", cwd=tmp_path).code == 0
    return tmp_path


def test_query_shows_rows_of_a_view_as_a_table(stored: Path) -> None:
    ran = observe("query", "incidents", "--columns", "subject, state,blocked_nodes", cwd=stored)
    assert (ran.code, ran.err) == (0, "")
    assert [line.split() for line in ran.out.splitlines()] == [
        ["subject", "state", "blocked_nodes"],
        ["model.shop.a", "open", '["model.shop.b"]'],
    ]


def test_query_gives_json_and_csv_to_machines(stored: Path) -> None:
    asked = ("query", "run_results", "--columns", "unique_id,message,failures", "--where", "outcome = 'failure'")
    assert observe(*asked, "--format", "json", cwd=stored).json == {
        "rows": [{"unique_id": "model.shop.a", "message": HOSTILE.replace("\x1b[31m", ""), "failures": None}]
    }
    ran = observe(*asked, "--format", "csv", cwd=stored)
    assert list(csv.reader(io.StringIO(ran.out))) == [
        ["unique_id", "message", "failures"],
        ["model.shop.a", HOSTILE.replace("\x1b[31m", ""), ""],
    ]


def test_what_the_limit_cuts_off_is_told(stored: Path) -> None:
    ran = observe("query", "run_results", "--columns", "unique_id", "--limit", "1", "--format", "csv", cwd=stored)
    assert (ran.out, ran.err) == (
        "unique_id\nmodel.shop.a\n",
        "dbt-observe: there are more rows than the 1 shown; --limit 0 shows all\n",
    )
    assert observe("query", "run_results", "--limit", "0", "--format", "csv", cwd=stored).err == ""


def test_a_view_without_rows_says_so(stored: Path) -> None:
    ran = observe("query", "source_freshness", cwd=stored)
    assert (ran.code, ran.out) == (0, "no rows\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("incident",), "'incident' is no view; did you mean incidents?"),
        (("incidents", "--columns", "subjekt"), "incidents has no column 'subjekt'; did you mean subject?"),
        (("incidents", "--where", "state = "), "the condition cannot be read as one expression"),
        (("incidents", "--where", "1=1) OR (2=2"), "the condition cannot be read as one expression"),
        (("incidents", "--where", "1=1; DROP TABLE x"), "the condition cannot be read as one expression"),
        (("incidents", "--where", "nope = 1"), "does not understand the query"),
        (("invocations", "--where", "outcome = 3"), "does not understand the query"),
    ],
)
def test_a_question_that_cannot_be_answered_is_told_in_three_lines(
    arguments: tuple[str, ...], said: str, stored: Path
) -> None:
    ran = observe("query", *arguments, cwd=stored)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert len(ran.err.splitlines()) == 3


def test_sql_prints_a_view_in_the_dialect_of_the_store_or_the_other(stored: Path) -> None:
    duckdb = observe("sql", "incidents", cwd=stored)
    google = observe("sql", "incidents", "--dialect", "googlesql", cwd=stored)
    assert (duckdb.code, google.code) == (0, 0)
    assert "COUNT_IF" in observe("sql", "incident_nodes", cwd=stored).out
    assert "COUNTIF" in observe("sql", "incident_nodes", "--dialect", "googlesql", cwd=stored).out
    production = observe("sql", "run_results", cwd=stored, DBT_OBSERVE_STORE="bigquery://shop-prod/audit")
    assert "FROM `shop-prod`.`audit_raw`.run_results AS f" in production.out


def test_sql_of_no_view_is_refused(stored: Path) -> None:
    ran = observe("sql", "nope", cwd=stored)
    assert (ran.code, ran.out) == (2, "")
    assert "one of: " in ran.err


def test_init_makes_the_embedded_store_and_then_needs_nothing(tmp_path: Path) -> None:
    assert observe("init", "--dry-run", cwd=tmp_path).out.splitlines() == [
        "would create .dbt_observe/audit.duckdb",
        "duckdb:///.dbt_observe/audit.duckdb is not touched",
    ]
    assert not (tmp_path / ".dbt_observe/audit.duckdb").exists()
    assert observe("init", cwd=tmp_path).out.splitlines()[-1] == "duckdb:///.dbt_observe/audit.duckdb is ready"
    assert observe("init", cwd=tmp_path).out == "duckdb:///.dbt_observe/audit.duckdb needs nothing\n"
    assert observe("query", "incidents", cwd=tmp_path).out == "no rows\n"


@pytest.mark.parametrize("store", ["duckdb:///a.duckdb", "bigquery://shop-prod/audit?location=EU"])
def test_the_ddl_is_printed_without_asking_anybody(store: str, tmp_path: Path) -> None:
    ran = observe("init", "--print-ddl", "--store", store, cwd=tmp_path)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.count("CREATE TABLE IF NOT EXISTS") == len(TABLES)
    assert ran.out.count("CREATE OR REPLACE VIEW") == len(views())
    assert list(tmp_path.iterdir()) == []


def test_prune_says_what_it_removes(stored: Path) -> None:
    ran = observe("prune", "--keep-days", "30", "--dry-run", cwd=stored)
    # what opened its incident stays
    assert "would remove 1 row of run_results" in ran.out.splitlines()
    assert observe("prune", "--keep-days", "1", cwd=stored).code == 2
    removed = observe("prune", "--keep-days", "30", "--format", "json", cwd=stored).json
    assert removed["dry_run"] is False
    assert set(removed["removed"]) == {"run_results", "source_freshness", "nodes", "exposure_ancestors", "invocations"}


def test_replay_with_nothing_kept_aside_says_so(stored: Path) -> None:
    ran = observe("replay", cwd=stored)
    assert (ran.code, ran.out) == (0, "0 stored, 0 were stored already, 0 left\n")


def on_emulator(emulator: Emulator, *arguments: str | Path, cwd: Path, dataset: str = "by_command") -> Ran:
    return observe(
        *arguments,
        cwd=cwd,
        BIGQUERY_EMULATOR_HOST=emulator.url,
        DBT_OBSERVE_STORE=f"bigquery://test-project/{dataset}",
    )


def test_the_way_of_a_step_through_bigquery_by_commands_alone(bigquery_emulator: Emulator, tmp_path: Path) -> None:
    def run(*arguments: str | Path) -> Ran:
        return on_emulator(bigquery_emulator, *arguments, cwd=tmp_path)

    folder = write_step(tmp_path / "target", manifest=shop(), run_results=run_results(result(A, "error", message="no")))
    missing = run("ingest", folder, "--exit-code", "1")
    assert missing.code == 2
    assert "dbt-observe init" in missing.err
    planned = run("init", "--dry-run")
    made = run("init")
    assert made.code == 0
    assert [f"would {line}" for line in made.out.splitlines()[:-1]] == planned.out.splitlines()[:-1]
    assert run("init").out == "bigquery://test-project/by_command needs nothing\n"
    assert run("ingest", folder, "--exit-code", "1").out.startswith("loaded    run failure 1 invocations")
    assert run("ingest", folder, "--exit-code", "1").out.startswith("unchanged")
    assert "model stg_a failed" in run("status").out
    assert "dbt build --select stg_a+" in run("alert", "--dry-run").out
    (row,) = json.loads(run("query", "incidents", "--format", "json").out)["rows"]
    assert (row["subject"], row["state"]) == (A, "open")
    assert run("prune", "--keep-days", "9999").out.splitlines()[0] == "removed 0 rows of invocations"


def test_a_store_that_does_not_answer_keeps_nobody_waiting_for_ever_and_loses_nothing(
    bigquery_emulator: Emulator, tmp_path: Path
) -> None:
    folder = write_step(tmp_path / "target", manifest=shop(), run_results=run_results(result(A, "error", message="no")))
    nobody = Emulator("http://127.0.0.1:9", "127.0.0.1:9")
    assert on_emulator(bigquery_emulator, "init", cwd=tmp_path, dataset="outage").code == 0
    ran = observe(
        "ingest",
        folder,
        cwd=tmp_path,
        BIGQUERY_EMULATOR_HOST=nobody.url,
        DBT_OBSERVE_STORE="bigquery://test-project/outage",
        DBT_OBSERVE_STORE_TIMEOUT_SECONDS="1",
    )
    assert ran.code == 2
    assert ran.out.startswith("spooled   run")
    assert "BigQuery does not answer" in ran.err
    again = on_emulator(bigquery_emulator, "replay", cwd=tmp_path, dataset="outage")
    assert (again.code, again.out) == (0, "1 stored, 0 were stored already, 0 left\n")
    assert on_emulator(bigquery_emulator, "ingest", folder, cwd=tmp_path, dataset="outage").out.startswith("unchanged")
