"""The engines that each story is told to."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from story import Engine, StoreEngine, Story

from observability.stores.duckdb import DuckDBStore

ENGINES = ("duckdb",)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A store or an executor of queries, empty."""
    numbers = count()
    yield StoreEngine(lambda: DuckDBStore(tmp_path / f"audit{next(numbers)}.duckdb"))


@pytest.fixture
def story(tmp_path: Path, engine: Engine) -> Story:
    """A story that begins, told to each engine in turn."""
    return Story(tmp_path, engine)
