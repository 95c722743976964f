"""Fixtures that several folders of tests share."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from emulator import Emulator, emulator

if TYPE_CHECKING:
    from story import Engine, Story


@pytest.fixture(scope="session")
def bigquery_emulator() -> Iterator[Emulator]:
    """One emulator a test process; each test takes a dataset of its own."""
    with emulator() as running:
        yield running


@pytest.fixture(params=["duckdb"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> "Engine":
    """A store or an executor of queries, empty."""
    from story import StoreEngine

    from observability.stores.duckdb import DuckDBStore

    numbers = count()
    assert request.param == "duckdb"
    return StoreEngine(lambda: DuckDBStore(tmp_path / f"audit{next(numbers)}.duckdb"))


@pytest.fixture
def story(tmp_path: Path, engine: "Engine") -> "Story":
    """A story that begins, told to each engine in turn."""
    from story import Story

    return Story(tmp_path, engine)
