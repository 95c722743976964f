"""Fixtures that several folders of tests share."""

import signal
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from shutil import copyfile
from threading import current_thread, main_thread
from typing import TYPE_CHECKING

import pytest
from emulator import PROJECT, Emulator, emulator

from observability.audit.schema import TABLES

if TYPE_CHECKING:
    from googlesql import Analyzer
    from story import Engine, Story

    from observability.stores.bigquery import BigQueryStore


collect_ignore = [] if find_spec("airflow") else ["on_airflow"]
"""Airflow is in an environment of its own."""


def pytest_configure() -> None:
    """What a shell starts in the background ignores SIGINT, and so would every process that a test starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and current_thread() is main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def bigquery_emulator() -> Iterator[Emulator]:
    """One emulator a test process; each test takes a dataset of its own."""
    with emulator() as running:
        yield running


@pytest.fixture(scope="session")
def shared_bigquery_store(bigquery_emulator: Emulator) -> "BigQueryStore":
    """Audit datasets that are made once a test process, for tests that empty them first."""
    from observability.stores.bigquery import BigQueryStore

    store = BigQueryStore(PROJECT, "shared", client=bigquery_emulator.client())
    store.init()
    return store


@pytest.fixture
def bigquery_store(shared_bigquery_store: "BigQueryStore") -> "BigQueryStore":
    """An audit store in the emulator, empty."""
    empty(shared_bigquery_store)
    return shared_bigquery_store


def empty(store: "BigQueryStore") -> "BigQueryStore":
    for table in TABLES:
        store.execute(f"DELETE FROM {{raw}}.{table} WHERE TRUE")
    return store


@pytest.fixture(scope="session")
def analyzer() -> "Analyzer":
    """The GoogleSQL analyzer over our tables and views, started by the first test that asks it."""
    from googlesql import Analyzer, our_catalogue

    return Analyzer(our_catalogue())


@pytest.fixture(scope="session")
def executor() -> "Analyzer":
    """The analyzer's executor of queries over our tables."""
    from googlesql import Analyzer, tables_catalogue

    return Analyzer(tables_catalogue())


@pytest.fixture(scope="session")
def empty_duckdb_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An audit file without rows, to be copied: making its views takes longer than a story."""
    from observability.stores.duckdb import DuckDBStore

    path = tmp_path_factory.mktemp("empty") / "audit.duckdb"
    DuckDBStore(path).init()
    return path


@pytest.fixture(params=["duckdb", pytest.param("bigquery", marks=pytest.mark.thorough)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> "Engine":
    """A store or an executor of queries, empty."""
    from story import StoreEngine

    from observability.stores.duckdb import DuckDBStore

    if request.param == "duckdb":
        numbers = count()
        blank: Path = request.getfixturevalue("empty_duckdb_file")
        return StoreEngine(
            lambda: DuckDBStore(copyfile(blank, tmp_path / f"audit{next(numbers)}.duckdb")), reorders=True
        )
    if request.param == "googlesql":
        from googlesql import AnalyzerEngine

        return AnalyzerEngine(request.getfixturevalue("executor"))
    store: BigQueryStore = request.getfixturevalue("shared_bigquery_store")
    return StoreEngine(lambda: empty(store))


@pytest.fixture
def story(tmp_path: Path, engine: "Engine") -> "Story":
    """A story that begins, told to each engine in turn."""
    from story import Story

    return Story(tmp_path, engine)
