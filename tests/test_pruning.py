"""What goes with retention, and what stays whatever its age; in each store."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from factories import node, result
from shop import MORNING, TEST_A, A, B, C, passed, shop
from story import StoreEngine, Story
from uuid_utils import uuid7

from observability.config import Settings
from observability.errors import ConfigError, StoreError
from observability.pipeline.storing import prune
from observability.stores.base import Store, commit
from observability.stores.duckdb import DuckDBStore

DAY = timedelta(days=1)


@pytest.fixture(params=["duckdb", "bigquery"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    if request.param == "duckdb":
        yield DuckDBStore(tmp_path / "audit.duckdb")
    else:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", request.getfixturevalue("bigquery_emulator").url)
        yield request.getfixturevalue("bigquery_store")


@pytest.fixture
def told(store: Store, tmp_path: Path) -> Story:
    """Eighty days: a model that failed on the first and is well, a test that failed on the second and was not seen
    since, a project that changed on the third."""
    story = Story(tmp_path, StoreEngine(lambda: store))
    story.step("run", result(A, "error"), result(B, "skipped"), result(C, "skipped"), exit_code=1)
    story.step("test", result(TEST_A, "fail", failures=1), after=DAY, exit_code=1)
    changed = shop()
    changed["nodes"]["model.shop.new"] = node("model.shop.new", [A])
    story.step("run", *passed(A, B, C), graph=changed, after=DAY, exit_code=0)
    for _ in range(4):
        story.step("run --select fct_c", *passed(C), graph=changed, after=20 * DAY, exit_code=0)
    attempts = [replace(load, loaded_at=load.invocation.started_at) for load in story.loads]
    commit(store, [replace(load, loaded_at=datetime.now(UTC)) for load in attempts])
    return story


def days(store: Store, table: str) -> list[int]:
    """How many days after the first step the rows of a table are of."""
    found = store.query(f"SELECT t.run_date FROM {{raw}}.{table} AS t").column("run_date").to_pylist()
    return sorted((day - MORNING.date()).days for day in found)


def states(store: Store) -> int:
    return len(store.query("SELECT DISTINCT n.manifest_id FROM {main}.nodes AS n").to_pylist())


def incidents(store: Store) -> list[tuple[str, str, int]]:
    rows = store.query("SELECT i.subject, i.state, i.opened_at FROM {main}.incidents AS i").to_pylist()
    return sorted((row["subject"], row["state"], (row["opened_at"] - MORNING).days) for row in rows)


def test_what_is_past_retention_goes_and_what_an_open_incident_rests_on_stays(told: Story, store: Store) -> None:
    settings = Settings(store=store.url)
    assert days(store, "invocations") == [0, 1, 2, 22, 42, 62, 82]
    before = incidents(store)
    assert before == [(A, "open", 0)]
    now = told.now
    counted = prune(settings, now, 30, dry_run=True)
    assert days(store, "invocations") == [0, 1, 2, 22, 42, 62, 82]
    removed = prune(settings, now, 30)
    assert removed == counted
    assert set(prune(settings, now, 30).values()) == {0}
    assert days(store, "run_results") == [0, 1, 2, 62, 82]  # of the first three days only what tells of the incident
    assert days(store, "invocations") == [0, 1, 2, 62, 82]
    assert states(store) == 3  # as the project was on the first day, on the third, and two months later
    assert incidents(store) == before


def test_an_incident_that_is_over_keeps_nothing(told: Story, store: Store) -> None:
    told.step("test", result(TEST_A, "pass"), after=DAY, exit_code=0)
    commit(store, [replace(told.loads[-1], loaded_at=datetime.now(UTC))])
    prune(Settings(store=store.url), told.now, 30)
    assert days(store, "run_results") == [62, 82, 83]
    assert days(store, "invocations") == [62, 82, 83]
    assert incidents(store) == []


@pytest.mark.parametrize("statements", range(5))
def test_a_prune_that_dies_leaves_what_the_next_load_completes(
    told: Story, store: Store, statements: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute, left = type(store).execute, iter(range(statements))

    def until_then(*arguments: Any) -> int:
        if next(left, None) is None:
            raise StoreError("it dies", where="here", next_step="none")
        return execute(*arguments)

    now = told.now + 400 * DAY
    monkeypatch.setattr(type(store), "execute", until_then)
    with pytest.raises(StoreError):
        prune(Settings(store=store.url), now, 30)
    monkeypatch.setattr(type(store), "execute", execute)
    told.step("run", *passed(A, B, C), graph=shop(), after=DAY, exit_code=0)
    commit(store, [replace(told.loads[-1], load_id=str(uuid7()), loaded_at=datetime.now(UTC))])
    (row,) = store.query(
        "SELECT COUNT(*) AS n FROM {main}.nodes AS n WHERE n.manifest_id = @id",
        {"id": told.loads[-1].invocation.manifest_id},
    ).to_pylist()
    assert row["n"] == len(told.loads[-1].project.nodes)  # type: ignore[union-attr]


def test_nothing_goes_while_it_is_young(told: Story, store: Store) -> None:
    assert set(prune(Settings(store=store.url), told.now, 365).values()) == {0}


@pytest.mark.parametrize("keep_days", [-1, 0, 1])
def test_a_retention_of_nothing_is_refused(keep_days: int, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="too few to keep"):
        prune(Settings(store=f"duckdb:///{tmp_path}/a.duckdb"), datetime.now(UTC), keep_days)
