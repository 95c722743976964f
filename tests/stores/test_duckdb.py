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
from factories import manifest, node, result, run_results, write_step

from observability.audit.schema import TABLES
from observability.audit.views import NAMES
from observability.config import load_settings
from observability.errors import ConfigError, StoreBusy, StoreError, StoreSchemaError
from observability.pipeline import IngestReport, ingest
from observability.stores.base import open_store
from observability.stores.duckdb import SCHEMA_VERSION, DuckDBStore


@pytest.fixture
def step(tmp_path: Path) -> Path:
    graph = manifest(node("model.shop.a"), node("exposure.shop.e", ["model.shop.a"], type="dashboard"))
    return write_step(tmp_path / "step", manifest=graph, run_results=run_results(result("model.shop.a")))


def load(step: Path, store: Path, timeout: float = 30.0) -> IngestReport:
    return ingest([step], load_settings(store=f"duckdb:///{store}", lock_timeout_seconds=timeout))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "er" / "audit.duckdb"


def test_tables_are_in_raw_and_views_in_main_with_the_declared_columns(step: Path, store: Path) -> None:
    load(step, store)
    with duckdb.connect(str(store), read_only=True) as connection:
        tables = connection.sql("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
        found = connection.sql("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        assert sorted(tables) == sorted(("raw", name) for name in TABLES)
        assert sorted(name for (name,) in found) == sorted(NAMES)
        for name in NAMES:
            described = connection.sql(f"DESCRIBE main.{name}").fetchall()
            assert [row[0] for row in described] == [column.name for column in TABLES[name].columns]
            raw = connection.sql(f"DESCRIBE raw.{name}").fetchall()
            assert [row[1] for row in described] == [row[1] for row in raw]


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


def test_an_older_store_gets_the_columns_that_it_lacks(step: Path, store: Path) -> None:
    load(step, store)
    with duckdb.connect(str(store)) as connection:
        for view in reversed(NAMES):
            connection.execute(f"DROP VIEW main.{view}")
        connection.execute("ALTER TABLE raw.run_results DROP COLUMN slot_ms")
        connection.execute("COMMENT ON TABLE raw.invocations IS 'dbt-observability schema_version=0'")
    other = write_step(step.parent / "other", run_results=run_results(result("model.shop.a"), invocation_id="other"))
    assert [report.status for report in load(other, store).loads] == ["loaded"]
    assert DuckDBStore(store).query("SELECT r.slot_ms FROM {main}.run_results AS r").num_rows == 2
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


def test_what_is_no_duckdb_file_is_refused_and_left_as_it_is(step: Path, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a database " * 500)
    with pytest.raises(StoreError, match="DuckDB cannot use the audit store"):
        load(step, text)
    assert text.read_text() == "not a database " * 500
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(StoreError):
        load(step, folder)


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


def test_a_store_that_another_loader_holds_is_waited_for_and_then_told_with_its_name(step: Path, store: Path) -> None:
    load(step, store)
    code = f"""
        import time
        from observability.stores.duckdb import DuckDBStore
        with DuckDBStore({str(store)!r})._locked():
            print("ready", flush=True)
            time.sleep(60)
    """
    with process(code) as holder:
        with pytest.raises(StoreBusy, match=f"process {holder.pid} on {socket.gethostname()}, since 2") as caught:
            load(step, store, timeout=0.3)
        assert "DBT_OBSERVE_LOCK_TIMEOUT_SECONDS" in caught.value.next_step
    assert [report.status for report in load(step, store).loads] == ["unchanged"]  # a dead holder holds nothing


def test_a_store_that_another_program_has_open_is_told(step: Path, store: Path) -> None:
    load(step, store)
    code = f"""
        import duckdb, time
        connection = duckdb.connect({str(store)!r})
        print("ready", flush=True)
        time.sleep(60)
    """
    with process(code), pytest.raises(StoreBusy, match="another program has the audit store open"):
        load(step, store, timeout=0.3)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to_is_told(step: Path, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(StoreError, match="cannot be used"):
        load(step, tmp_path / "closed" / "audit.duckdb")


@pytest.mark.parametrize("url", ["duckdb://", "duckdb:///", "duckdb://host/x", "postgres:///x", "audit.duckdb", ""])
def test_a_url_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="names no store"):
        open_store(url, lock_timeout_seconds=1)


def test_three_slashes_are_relative_and_four_absolute() -> None:
    for url, path in (("duckdb:///a%20b.duckdb", "a b.duckdb"), ("duckdb:////srv/x.duckdb", "/srv/x.duckdb")):
        store = open_store(url, lock_timeout_seconds=1)
        assert isinstance(store, DuckDBStore)
        assert store.path == Path(path)
