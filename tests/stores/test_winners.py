"""Which rows the views show, whatever loaders left in the tables: races as BigQuery allows them, orphans, and ties."""

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from factories import freshness, manifest, node, result, run_results, sources, write_step

from observability.audit.views import WINNERS
from observability.config import load_settings
from observability.pipeline.ingestion import ingest

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
FACTS = ("nodes", "exposure_ancestors", "run_results", "source_freshness")
LOWEST, HIGHEST = "00000000-0000-7000-8000-000000000000", "ffffffff-0000-7000-8000-000000000000"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """One load that has rows in every table."""
    graph = manifest(
        node("source.shop.raw.orders", source_name="raw"),
        node("model.shop.a", ["source.shop.raw.orders"]),
        node("exposure.shop.board", ["model.shop.a"], type="dashboard"),
    )
    step = write_step(
        tmp_path / "step",
        manifest=graph,
        run_results=run_results(result("model.shop.a"), command="build"),
        sources=sources(freshness("source.shop.raw.orders")),
    )
    store = tmp_path / "audit.duckdb"
    (load,) = ingest([step], load_settings(store=f"duckdb:///{store}")).loads
    assert load.rows == {
        "invocations": 1,
        "nodes": 3,
        "exposure_ancestors": 2,
        "run_results": 1,
        "source_freshness": 1,
    }
    return store


def shown(store: Path) -> dict[str, list[tuple[Any, ...]]]:
    with duckdb.connect(str(store), read_only=True) as connection:
        return {name: sorted(connection.sql(f"SELECT * FROM main.{name}").fetchall(), key=repr) for name in WINNERS}


def execute(store: Path, *statements: str) -> None:
    with duckdb.connect(str(store)) as connection:
        for statement in statements:
            connection.execute(statement)


def copy_rows(tables: Sequence[str], load_id: str, **given: str) -> list[str]:
    """Statements that append what one load stored once more, as another load with other values."""
    values = ", ".join(f"'{value}' AS {column}" for column, value in {"load_id": load_id, **given}.items())
    return [
        f"INSERT INTO raw.{table} SELECT * REPLACE ({values}) FROM raw.{table}"
        f" WHERE load_id NOT IN ('{LOWEST}', '{HIGHEST}')"
        for table in tables
    ]


@pytest.mark.parametrize("load_id", [LOWEST, HIGHEST])
def test_what_a_load_left_that_never_committed_is_invisible(load_id: str, store: Path) -> None:
    before = shown(store)
    execute(store, *copy_rows(FACTS, load_id))
    assert shown(store) == before


@pytest.mark.parametrize("load_id", [LOWEST, HIGHEST])
def test_of_two_loaders_that_both_stored_a_new_manifest_and_its_step_one_is_shown(load_id: str, store: Path) -> None:
    before = shown(store)
    execute(store, *copy_rows((*FACTS, "invocations"), load_id))
    after = shown(store)
    winner = min(load_id, before["invocations"][0][0])
    assert {row[0] for name in WINNERS for row in after[name]} == {winner}
    assert {name: [row[1:] for row in rows] for name, rows in after.items()} == {
        name: [row[1:] for row in rows] for name, rows in before.items()
    }


@pytest.mark.parametrize("load_id", [LOWEST, HIGHEST])
def test_two_invocations_that_both_stored_a_new_manifest_show_each_node_once(load_id: str, store: Path) -> None:
    before = shown(store)
    execute(
        store,
        *copy_rows(("nodes", "exposure_ancestors"), load_id),
        *copy_rows(("run_results", "source_freshness"), load_id, invocation_id="other"),
        *copy_rows(("invocations",), load_id, invocation_id="other", content_hash="other"),
    )
    after = shown(store)
    assert {name: len(rows) for name, rows in after.items()} == {
        "invocations": 2,
        "nodes": 3,
        "exposure_ancestors": 2,
        "run_results": 2,
        "source_freshness": 2,
    }
    assert [row[2:] for row in after["nodes"]] == [row[2:] for row in before["nodes"]]


def test_a_lower_load_that_found_the_manifest_known_hides_no_node(store: Path) -> None:
    """It named the manifest and wrote no rows of it; the load that did is a higher one."""
    before = shown(store)
    counts = json.dumps(dict.fromkeys(FACTS, 0))
    execute(store, *copy_rows(("invocations",), LOWEST, invocation_id="other", content_hash="other", row_counts=counts))
    after = shown(store)
    assert (after["nodes"], after["exposure_ancestors"]) == (before["nodes"], before["exposure_ancestors"])
    assert len(after["invocations"]) == 2


def test_the_winner_is_told_by_evidence_then_row_version_then_content_then_load_and_never_by_time(store: Path) -> None:
    dice = random.Random(2)
    loads: list[dict[str, Any]] = [
        {
            "invocation_id": f"invocation-{number}",
            "load_id": f"{dice.randrange(16**8):08x}-{number}-{attempt}",
            "loaded_at": NOON + timedelta(seconds=dice.randrange(1000)),
            "evidence": dice.choice(["results", "event_log", "not_run"]),
            "row_version": dice.choice([1, 2, 10]),
            "content_hash": dice.choice("abc"),
        }
        for number in range(300)
        for attempt in range(dice.randrange(1, 6))
    ]
    best: dict[str, dict[str, Any]] = {}
    for load in loads:
        best[load["invocation_id"]] = min(best.get(load["invocation_id"], load), load, key=rank)
    with duckdb.connect(str(store)) as connection:
        connection.execute("CREATE TEMP TABLE base AS SELECT * FROM raw.invocations")
        connection.execute("CREATE TEMP TABLE fact AS SELECT * FROM raw.run_results")
        connection.execute("DELETE FROM raw.invocations")
        connection.execute("DELETE FROM raw.run_results")
        own = ("invocation_id", "load_id", "loaded_at", "evidence", "row_version", "content_hash")
        connection.execute(
            f"CREATE TEMP TABLE loads ({own[0]} VARCHAR, {own[1]} VARCHAR, {own[2]} TIMESTAMPTZ, {own[3]} VARCHAR,"
            f" {own[4]} BIGINT, {own[5]} VARCHAR)"
        )
        connection.executemany("INSERT INTO loads VALUES (?, ?, ?, ?, ?, ?)", [list(load.values()) for load in loads])
        for table, source, columns in (("invocations", "base", own), ("run_results", "fact", own[:3])):
            replaced = ", ".join(f"loads.{column} AS {column}" for column in columns)
            connection.execute(f"INSERT INTO raw.{table} SELECT {source}.* REPLACE ({replaced}) FROM {source}, loads")
        for view in ("invocations", "run_results"):
            rows = connection.sql(f"SELECT invocation_id, load_id FROM main.{view}").fetchall()
            assert sorted(rows) == sorted((load["invocation_id"], load["load_id"]) for load in best.values())
    assert len(loads) > 2 * len(best)


def rank(load: dict[str, Any]) -> tuple[Any, ...]:
    evidence = ("results", "event_log", "not_run").index(load["evidence"])
    return evidence, -load["row_version"], load["content_hash"], load["load_id"]
