"""The embedded store: its file, its lock, its versions."""

import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest
from factories import INVOCATION, manifest, node, result, run_results, write_step

from observability.artifacts.step import Step
from observability.audit.schema import TABLES
from observability.audit.views import WINNERS, duckdb_view, find_view, views
from observability.config import Settings, load_settings
from observability.errors import ConfigError, StoreBusy, StoreError, StoreSchemaError
from observability.pipeline.ingestion import IngestReport, ingest
from observability.stores.base import open_store
from observability.stores.duckdb import SCHEMA_VERSION, DuckDBStore


@pytest.fixture
def step(tmp_path: Path) -> Path:
    graph = manifest(node("model.shop.a"), node("exposure.shop.e", ["model.shop.a"], type="dashboard"))
    return write_step(tmp_path / "step", manifest=graph, run_results=run_results(result("model.shop.a")))


def load(step: Path, store: Path, timeout: float = 30.0) -> IngestReport:
    spool = store.parent / "spool"
    return ingest([step], load_settings(store=f"duckdb:///{store}", lock_timeout_seconds=timeout, spool_dir=spool))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "er" / "audit.duckdb"


def test_tables_are_in_raw_and_views_in_main_with_the_declared_columns(step: Path, store: Path) -> None:
    load(step, store)
    with duckdb.connect(str(store), read_only=True) as connection:
        tables = connection.sql("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
        found = connection.sql("SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        assert sorted(tables) == sorted(("raw", name) for name in TABLES)
        assert sorted(found) == sorted(("main", view.name) for view in views())
        for relation, columns in [
            *((f"raw.{table.name}", table.columns) for table in TABLES.values()),
            *((f"main.{view.name}", view.columns) for view in views()),
        ]:
            described = [
                (name, kind.replace('"', "")) for name, kind, *_ in connection.sql(f"DESCRIBE {relation}").fetchall()
            ]
            declared = [(column.name, column.duckdb_type) for column in columns]
            # DuckDB has another name for it
            assert described == [
                (name, kind.replace("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE")) for name, kind in declared
            ]


def test_every_view_says_what_it_holds_and_the_store_its_version(step: Path, store: Path) -> None:
    load(step, store)
    with duckdb.connect(str(store), read_only=True) as connection:
        told = dict(connection.sql("SELECT view_name, comment FROM duckdb_views() WHERE NOT internal").fetchall())
        assert told == {view.name: view.description for view in views()}
        marks = connection.sql("SELECT comment FROM duckdb_tables() WHERE table_name = 'invocations'").fetchall()
        assert marks == [(f"dbt-observability schema_version={SCHEMA_VERSION}",)]


def test_a_load_survives_the_round_trip(step: Path, store: Path) -> None:
    load(step, store)
    (row,) = DuckDBStore(store).query("SELECT * FROM {main}.invocations AS i").to_pylist()
    assert (row["outcome"], row["environment"], row["project_name"]) == ("success", "default", "shop")
    assert [file["name"] for file in row["files"]] == ["manifest.json", "run_results.json"]
    assert row["row_counts"] == '{"exposure_ancestors":1,"nodes":2,"run_results":1,"source_freshness":0}'
    assert row["conforms"] is False  # what the factories make is less than dbt writes
    assert row["started_at"].isoformat() == "2026-03-02T06:00:00+00:00"


def test_a_loader_that_knows_less_works_against_newer_tables(step: Path, store: Path) -> None:
    load(step, store)
    with duckdb.connect(str(store)) as connection:
        for table in TABLES:
            connection.execute(f"ALTER TABLE raw.{table} ADD COLUMN novelty VARCHAR")
        connection.execute("COMMENT ON TABLE raw.invocations IS 'dbt-observability schema_version=99'")
    other = write_step(step.parent / "other", run_results=run_results(result("model.shop.a"), invocation_id="other"))
    assert [report.status for report in load(other, store).loads] == ["loaded"]
    with duckdb.connect(str(store), read_only=True) as connection:
        assert connection.sql("SELECT count(*) FROM main.invocations").fetchall() == [(2,)]
        assert connection.sql("SELECT DISTINCT novelty FROM raw.run_results").fetchall() == [(None,)]
        marks = connection.sql("SELECT comment FROM duckdb_tables() WHERE table_name = 'invocations'").fetchall()
        assert marks == [("dbt-observability schema_version=99",)]


def make_older(store: Path, lacking: dict[str, str], *, with_views: bool) -> None:
    """What an earlier version left: tables that lack a column each, views over what there is, or no views yet."""
    with duckdb.connect(str(store)) as connection:
        for view in reversed(views()):
            connection.execute(f"DROP VIEW main.{view.name}")
        for table, column in lacking.items():
            connection.execute(f"ALTER TABLE raw.{table} DROP COLUMN {column}")
        for view in [find_view(name) for name in WINNERS] if with_views else []:
            query = duckdb_view(view)
            for column in lacking.values():
                query = query.replace(f"f.{column}, ", "")
            connection.execute(f"CREATE VIEW main.{view.name} AS {query}")
        connection.execute("COMMENT ON TABLE raw.invocations IS 'dbt-observability schema_version=0'")


@pytest.mark.parametrize("exit_code", [None, 0])
@pytest.mark.parametrize("with_views", [True, False])
def test_an_older_store_gets_the_columns_and_views_that_it_lacks(
    with_views: bool, exit_code: int | None, step: Path, store: Path
) -> None:
    load(step, store)
    make_older(store, {"run_results": "slot_ms", "invocations": "log_url"}, with_views=with_views)
    other = write_step(step.parent / "other", run_results=run_results(result("model.shop.a"), invocation_id="other"))
    settings = load_settings(store=f"duckdb:///{store}")
    report = ingest([other], settings, step=Step(exit_code=exit_code, log_url="https://log"))
    assert [load.status for load in report.loads] == ["loaded"]
    found = DuckDBStore(store).query("SELECT r.invocation_id, r.slot_ms FROM {main}.run_results AS r ORDER BY 1")
    assert found.to_pylist() == [
        {"invocation_id": INVOCATION, "slot_ms": None},
        {"invocation_id": "other", "slot_ms": None},
    ]
    found = DuckDBStore(store).query("SELECT i.log_url FROM {main}.invocations AS i ORDER BY i.invocation_id")
    assert found.column("log_url").to_pylist() == [None, "https://log"]
    with duckdb.connect(str(store), read_only=True) as connection:
        marks = connection.sql("SELECT comment FROM duckdb_tables() WHERE table_name = 'invocations'").fetchall()
        assert marks == [(f"dbt-observability schema_version={SCHEMA_VERSION}",)]


def test_the_file_of_somebody_else_is_refused_and_left_as_it_is(step: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(theirs)) as connection:
        connection.execute("CREATE SCHEMA raw")
        connection.execute("CREATE TABLE raw.orders AS SELECT 1 AS id")
    before = theirs.read_bytes()
    with pytest.raises(StoreSchemaError, match="not an audit store"):
        load(step, theirs)
    with pytest.raises(StoreSchemaError, match="not an audit store"):
        DuckDBStore(theirs).query("SELECT 1 AS x FROM {main}.invocations AS i")
    assert theirs.read_bytes() == before


@pytest.mark.parametrize("place", [".", "stopclock"])
def test_what_is_no_duckdb_file_is_refused_at_once_and_left_as_it_is(place: str, step: Path, tmp_path: Path) -> None:
    text = tmp_path / place / "notes.txt"
    text.parent.mkdir(exist_ok=True)
    text.write_text("not a database " * 500)
    with pytest.raises(StoreError, match="DuckDB cannot use the audit store") as caught:
        load(step, text, timeout=0.3)
    assert type(caught.value) is StoreError  # nobody holds it: waiting would not help
    assert text.read_text() == "not a database " * 500


def test_a_store_that_was_cut_off_is_refused_and_left_as_it_is(step: Path, store: Path) -> None:
    load(step, store)
    half = store.read_bytes()[: store.stat().st_size // 2]
    store.write_bytes(half)
    other = write_step(step.parent / "other", run_results=run_results(result("model.shop.a"), invocation_id="other"))
    with pytest.raises(StoreError) as caught:
        load(other, store)
    assert (caught.value.where, bool(caught.value.next_step)) == (str(store), True)
    assert store.read_bytes() == half


def test_a_folder_in_the_stores_place_is_refused(step: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError) as caught:
        load(step, tmp_path / "folder")
    assert caught.value.where == str(tmp_path / "folder")
    assert list((tmp_path / "folder").iterdir()) == []


def test_a_place_where_no_folder_can_be_made_is_told(step: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", Path("/proc/nowhere")):
        with pytest.raises(StoreError, match="the audit store cannot be used") as caught:
            load(step, place / "audit.duckdb")
        assert caught.value.next_step == "check its folder's permissions"


def test_asking_a_store_that_is_not_there_yet_says_how_to_begin(store: Path) -> None:
    with pytest.raises(StoreError, match="there is no audit store yet") as caught:
        DuckDBStore(store).query("SELECT 1 AS x FROM {main}.invocations AS i")
    assert "dbt-observe run -- dbt build" in caught.value.next_step
    assert not store.exists()


@contextmanager
def process(code: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that says when it is ready."""
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline().strip() == "ready"
        try:
            yield running
        finally:
            running.kill()


def other_step(folder: Path) -> Path:
    results = run_results(result("model.shop.b"), invocation_id="later")
    return write_step(folder, manifest=manifest(node("model.shop.b"), invocation_id="later"), run_results=results)


def test_a_store_that_another_loader_holds_is_waited_for_and_then_told_with_its_name(
    step: Path, store: Path, tmp_path: Path
) -> None:
    load(step, store)
    other = other_step(tmp_path / "other")
    code = f"""
        import time
        from pathlib import Path
        from observability.stores.duckdb.file import StoreFile
        with StoreFile(Path({str(store)!r}), 1).locked():
            print("ready", flush=True)
            time.sleep(60)
    """
    with process(code) as holder:
        report = load(other, store, timeout=0.3)
        (error,) = report.errors
        assert isinstance(error, StoreBusy)
        assert f"process {holder.pid} on {socket.gethostname()}, since 2" in error.what
        assert "DBT_OBSERVE_LOCK_TIMEOUT_SECONDS" in error.next_step
        assert [one.status for one in report.loads] == ["spooled"], "it is kept aside for the next one"
    report = load(step, store)  # a dead holder holds nothing
    assert ([one.status for one in report.loads], report.errors) == (["unchanged"], ())
    assert [one.status for one in load(other, store).loads] == ["unchanged"]


def test_a_store_that_another_loader_gives_back_in_time_is_waited_for(step: Path, store: Path) -> None:
    load(step, store)
    code = f"""
        import time
        from pathlib import Path
        from observability.stores.duckdb.file import StoreFile
        with StoreFile(Path({str(store)!r}), 1).locked():
            print("ready", flush=True)
            time.sleep(0.5)
    """
    with process(code):
        assert [report.status for report in load(step, store).loads] == ["unchanged"]


def test_a_store_that_another_program_has_open_is_told_and_the_load_kept_aside(step: Path, store: Path) -> None:
    load(step, store)
    code = f"""
        import duckdb, time
        connection = duckdb.connect({str(store)!r})
        print("ready", flush=True)
        time.sleep(60)
    """
    with process(code):
        report = load(step, store, timeout=0.3)
    (error,) = report.errors
    assert isinstance(error, StoreBusy)
    assert error.what.startswith("another program has the audit store open")
    assert [one.status for one in report.loads] == ["spooled"]
    report = load(step, store)  # what was kept aside is stored already, and goes
    assert ([one.status for one in report.loads], report.errors) == (["unchanged"], ())
    assert list((store.parent / "spool").rglob("*.arrow")) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to_is_told(step: Path, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(StoreError, match="cannot be used"):
        load(step, tmp_path / "closed" / "audit.duckdb")


@pytest.mark.parametrize("url", ["duckdb://", "duckdb:///", "duckdb://host/x", "postgres:///x", "audit.duckdb"])
def test_a_url_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="names no store"):
        open_store(Settings(store=url))


def test_three_slashes_are_relative_and_four_absolute() -> None:
    for url, path in (("duckdb:///a%20b.duckdb", "a b.duckdb"), ("duckdb:////srv/x.duckdb", "/srv/x.duckdb")):
        store = open_store(Settings(store=url))
        assert isinstance(store, DuckDBStore)
        assert store.path == Path(path)
