"""The same files give the same rows once: twice, by many at once, killed at any moment, in any order."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import duckdb
import pytest
from factories import GENERATED, INVOCATION, freshness, manifest, node, result, run_results, sources, write_step
from loaders import Loaders

from observability.artifacts.step import Step
from observability.audit.views import WINNERS
from observability.config import load_settings
from observability.pipeline.ingestion import LoadStatus, ingest
from observability.stores.duckdb import DuckDBStore

NOT_COMPARED = {"load_id", "loaded_at"}
COMMAND = Path(sys.executable).with_name("dbt-observe")


@pytest.fixture(scope="module")
def loaders() -> Iterator[Loaders]:
    with Loaders() as running:
        yield running


@pytest.fixture(scope="module")
def step(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build of twenty models and their tests, one of which failed, under two exposures."""
    models = [f"model.shop.m{i:02}" for i in range(20)]
    nodes = [node("source.shop.raw.orders", source_name="raw"), node(models[0], ["source.shop.raw.orders"])]
    nodes += [node(child, [parent]) for parent, child in pairwise(models)]
    nodes += [node(f"test.shop.unique_{i}.0", [model], attached_node=model) for i, model in enumerate(models)]
    nodes += [node(f"exposure.shop.e{i}", [models[-i]], type="dashboard") for i in (1, 2)]
    results = [result(model) for model in models]
    results += [
        result(f"test.shop.unique_{i}.0", "fail" if i == 19 else "pass", failures=int(i == 19)) for i in range(20)
    ]
    folder = tmp_path_factory.mktemp("step") / "target"
    return write_step(folder, manifest=manifest(*nodes), run_results=run_results(*results, command="build"))


def shown(store: Path) -> dict[str, list[Any]]:
    """What every view shows, but for when and by which load it came."""
    views = {}
    with duckdb.connect(str(store), read_only=True) as connection:
        for name in WINNERS:
            relation = connection.sql(f"SELECT * FROM main.{name}")
            columns = [column for column in relation.columns if column not in NOT_COMPARED]
            rows = connection.sql(f"SELECT {', '.join(columns)} FROM main.{name}").fetchall()
            views[name] = sorted(repr(row) for row in rows)
    return views


def raw_counts(store: Path) -> dict[str, int]:
    with duckdb.connect(str(store), read_only=True) as connection:
        return {name: connection.sql(f"SELECT count(*) FROM raw.{name}").fetchall()[0][0] for name in WINNERS}


@pytest.fixture(scope="module")
def clean(step: Path, loaders: Loaders, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What one undisturbed load shows."""
    store = tmp_path_factory.mktemp("clean") / "audit.duckdb"
    assert loaders.run([(step, store)]) == [0]
    views = shown(store)
    assert {name: len(rows) for name, rows in views.items()} == {
        "invocations": 1,
        "nodes": 43,
        "exposure_ancestors": 41,
        "run_results": 40,
        "source_freshness": 0,
    }
    return views


def test_the_same_files_twice_are_loaded_once(step: Path, tmp_path: Path, clean: dict[str, list[Any]]) -> None:
    store = tmp_path / "audit.duckdb"
    settings = load_settings(store=f"duckdb:///{store}")
    reports = [ingest([step], settings).loads[0] for _ in range(2)]
    assert [report.status for report in reports] == [LoadStatus.LOADED, LoadStatus.UNCHANGED]
    assert reports[0].load_id == reports[1].load_id
    assert reports[1].rows == {}
    assert shown(store) == clean
    assert raw_counts(store) == {name: len(rows) for name, rows in clean.items()}


def another(step: Path, folder: Path, invocation_id: str) -> Path:
    """The same project state and results, of another invocation."""
    shutil.copytree(step, folder)
    document = json.loads((folder / "run_results.json").read_text())
    document["metadata"]["invocation_id"] = invocation_id
    (folder / "run_results.json").write_text(json.dumps(document))
    return folder


@pytest.fixture(scope="module")
def earlier(loaders: Loaders, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that holds a step of another project state already."""
    folder = tmp_path_factory.mktemp("earlier")
    graph = manifest(node("model.shop.m00"), node("exposure.shop.e", ["model.shop.m00"], type="dashboard"))
    results = run_results(result("model.shop.m00"), invocation_id="earlier")
    step = write_step(folder / "target", manifest=graph, run_results=results)
    assert loaders.run([(step, folder / "audit.duckdb")]) == [0]
    return folder / "audit.duckdb"


def together(*views: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {name: sorted(row for one in views for row in one[name]) for name in WINNERS}


@pytest.mark.parametrize("exists", [False, True], ids=["new store", "store with another step"])
def test_eight_commands_at_once_load_once(
    exists: bool, step: Path, tmp_path: Path, earlier: Path, clean: dict[str, list[Any]]
) -> None:
    store = tmp_path / "audit.duckdb"
    expected = clean
    if exists:
        shutil.copy(earlier, store)
        expected = together(shown(store), clean)
    command = [str(COMMAND), "ingest", str(step), "--store", f"duckdb:///{store}", "--format", "json"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(8)]
    ended = [(*process.communicate(), process.returncode) for process in running]
    assert [(err, code) for _, err, code in ended] == [(b"", 0)] * 8
    loads = [load for out, _, _ in ended for load in json.loads(out)["loads"]]
    assert sorted(load["status"] for load in loads) == ["loaded"] + ["unchanged"] * 7
    assert len({(load["load_id"], load["invocation_id"]) for load in loads}) == 1
    assert shown(store) == expected
    assert raw_counts(store) == {name: len(rows) for name, rows in expected.items()}


def quickest_run(loaders: Loaders, step: Path, folder: Path, template: Path | None) -> float:
    """Seconds that an undisturbed loader takes: the first one is slower than those that follow."""
    seconds = []
    for number in range(3):
        store = folder / f"timed{number}-{template is not None}.duckdb"
        if template:
            shutil.copy(template, store)
        began = time.monotonic()
        assert loaders.run([(step, store)]) == [0]
        seconds.append(time.monotonic() - began)
    return min(seconds)


def test_a_loader_killed_at_any_of_fifty_moments_leaves_nothing_half_and_nothing_double(
    step: Path, tmp_path: Path, loaders: Loaders, earlier: Path, clean: dict[str, list[Any]]
) -> None:
    nothing: dict[str, list[Any]] = {name: [] for name in WINNERS}
    befores: dict[Path | None, dict[str, list[Any]]] = {None: nothing, earlier: shown(earlier)}
    lifetimes = {template: quickest_run(loaders, step, tmp_path, template) for template in befores}
    moments = random.Random(7)
    ends: Counter[int] = Counter()
    for number in range(50):
        template = earlier if number % 2 else None
        before, after = befores[template], together(befores[template], clean)
        store = tmp_path / f"{number}" / "audit.duckdb"
        store.parent.mkdir()
        if template:
            shutil.copy(template, store)
        ends.update(loaders.run([(step, store)], kill_after=moments.uniform(0, lifetimes[template])))
        if store.exists():
            assert shown(store) in (before, after)
        assert loaders.run([(step, store)]) == [0]
        assert shown(store) == after
        assert raw_counts(store) == {name: len(rows) for name, rows in after.items()}
        # a write-ahead log stays until the next load writes; partial files and holders' names do not
        left = {path.name for path in store.parent.iterdir()} - {"audit.duckdb.wal"}
        assert left == {"audit.duckdb", "audit.duckdb.lock"}
        shutil.rmtree(store.parent)
    assert set(ends) <= {-signal.SIGKILL, 0}
    assert ends[-signal.SIGKILL] > 25  # most were really killed at work


def test_loaders_of_one_new_manifest_at_once_show_each_node_once(step: Path, tmp_path: Path, loaders: Loaders) -> None:
    store = tmp_path / "audit.duckdb"
    steps = [step, *(another(step, tmp_path / str(i), f"another-{i}") for i in range(3))]
    assert loaders.run([(one, store) for one in steps]) == [0] * 4
    views = shown(store)
    assert {name: len(rows) for name, rows in views.items()} == {
        "invocations": 4,
        "nodes": 43,
        "exposure_ancestors": 41,
        "run_results": 160,
        "source_freshness": 0,
    }
    assert raw_counts(store) == {name: len(rows) for name, rows in views.items()}


def test_where_two_racing_loads_both_stored_the_nodes_the_view_shows_one_of_them(step: Path, tmp_path: Path) -> None:
    """BigQuery has no lock: two loaders of one new manifest may both append it."""
    store = tmp_path / "audit.duckdb"
    ingest([step], load_settings(store=f"duckdb:///{store}"))
    before = shown(store)
    with duckdb.connect(str(store)) as connection:
        for name in ("nodes", "exposure_ancestors", "run_results"):
            connection.execute(f"INSERT INTO raw.{name} SELECT * REPLACE ('ffffffff' AS load_id) FROM raw.{name}")
        assert len(before["nodes"]) * 2 == connection.sql("SELECT count(*) FROM raw.nodes").fetchall()[0][0]
    assert shown(store) == before  # its commit row is missing: what a crash leaves is invisible
    with duckdb.connect(str(store)) as connection:
        connection.execute("INSERT INTO raw.invocations SELECT * REPLACE ('ffffffff' AS load_id) FROM raw.invocations")
    assert shown(store) == before


def partial_and_complete(folder: Path) -> dict[str, tuple[Path, Step]]:
    """Three accounts of one invocation: it never got to a node, it was killed half-way, it is complete."""
    graph = manifest(node("model.shop.a"), node("model.shop.b", ["model.shop.a"]))
    started = {"info": {"name": "NodeStart", "invocation_id": INVOCATION, "level": "debug", "msg": "", "ts": GENERATED}}
    log = []
    for name, status in (("a", "success"), ("b", "")):
        info = {"unique_id": f"model.shop.{name}", "resource_type": "model"}
        log.append(started | {"data": {"node_info": info}})
        if status:
            finished = {"info": started["info"] | {"name": "NodeFinished"}}
            log.append(finished | {"data": {"node_info": info, "run_result": {"status": status}}})
    not_run = write_step(folder / "not_run", manifest=graph)
    killed = write_step(folder / "killed", manifest=graph)
    (killed / "dbt.log").write_text("\n".join(map(json.dumps, log)))
    complete = write_step(
        folder / "complete", manifest=graph, run_results=run_results(result("model.shop.a"), result("model.shop.b"))
    )
    return {
        "not_run": (not_run, Step(command="dbt run", exit_code=2)),
        "killed": (killed, Step(command="dbt run", exit_code=-9)),
        "complete": (complete, Step(command="dbt run", exit_code=0)),
    }


@pytest.mark.parametrize("order", list(permutations(("not_run", "killed", "complete"))))
def test_the_most_complete_account_of_an_invocation_wins_in_whatever_order_they_come(
    order: tuple[str, ...], tmp_path: Path
) -> None:
    accounts = partial_and_complete(tmp_path)
    store = tmp_path / "audit.duckdb"
    settings = load_settings(store=f"duckdb:///{store}")
    seen: list[str] = []
    for name in order:
        folder, step = accounts[name]
        (load,) = ingest([folder], settings, step=step).loads
        assert (load.status, load.invocation_id) == (LoadStatus.LOADED, INVOCATION)
        seen.append(name)
        best = max(seen, key=("not_run", "killed", "complete").index)
        rows = DuckDBStore(store).query("SELECT i.outcome, i.evidence FROM {main}.invocations AS i").to_pylist()
        assert rows == [
            {
                "not_run": {"outcome": "not_run", "evidence": "not_run"},
                "killed": {"outcome": "interrupted", "evidence": "event_log"},
                "complete": {"outcome": "success", "evidence": "results"},
            }[best]
        ]
        results = DuckDBStore(store).query("SELECT r.unique_id FROM {main}.run_results AS r").num_rows
        assert results == {"not_run": 0, "killed": 2, "complete": 2}[best]


def test_of_two_equal_accounts_the_winner_is_not_the_one_that_came_last(tmp_path: Path) -> None:
    stores = []
    for order in ((0, None), (None, 0)):
        folder = write_step(tmp_path / "s", sources=sources(freshness("source.shop.raw.orders")))
        store = tmp_path / f"{order[0]}.duckdb"
        for exit_code in order:
            step = Step(command="dbt source freshness", exit_code=exit_code)
            ingest([folder], load_settings(store=f"duckdb:///{store}"), step=step)
        stores.append(shown(store))
    assert stores[0] == stores[1]
    assert len(stores[0]["invocations"]) == 1
