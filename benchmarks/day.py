"""A day of a DAG with a task for each model: a thousand loads, a loader for each DAG run. `python benchmarks/day.py`.

Each task leaves a whole manifest, as under Cosmos, and the result of its one node. Exit code 1 where a later loader
takes longer than the first by more than a half, where nodes are stored twice, or where a loader makes more than one set
of load jobs. The counts of BigQuery are the emulator's, which needs `make .venv/emulator.ok`.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import report
from generate import cached
from round_trips import Traffic, counted

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from emulator import PROJECT, emulator  # noqa: E402 - the tests' own

from observability.artifacts.step import Step, write_step  # noqa: E402
from observability.config import Settings  # noqa: E402
from observability.pipeline.ingestion import ingest  # noqa: E402
from observability.stores.base import Store, open_store  # noqa: E402
from observability.stores.bigquery import BigQueryStore  # noqa: E402

MODELS, TESTS, RUNS = 100, 100, 5
BEGIN, END = "<!-- day: begin -->", "<!-- day: end -->"


@dataclass
class Loader:
    """What the loader of one DAG run took."""

    loads: int
    seconds: float
    load_jobs: int = 0
    traffic: Traffic | None = None


def tasks(day: Path) -> Iterator[Path]:
    """The tree of each DAG run in turn: five a day, a task for each model and each test of the project."""
    build = cached(MODELS, TESTS) / "build"
    manifest, results = (
        msgspec.json.decode((build / name).read_bytes()) for name in ("manifest.json", "run_results.json")
    )
    began = datetime(2026, 3, 2, 6, tzinfo=UTC)
    for run in range(RUNS):
        tree = day / "daily" / f"scheduled__2026-03-02T{6 + run:02}:00:00+00:00"
        for number, result in enumerate(results["results"]):
            start = began + timedelta(hours=run, seconds=number)
            stamp = {"invocation_id": f"{run}-{number}", "invocation_started_at": start.isoformat()}
            stamp["generated_at"] = (start + timedelta(seconds=1)).isoformat()
            folder = tree / f"task_{number}" / "-1" / "1"
            folder.mkdir(parents=True)
            for name, document in (
                ("manifest.json", manifest),
                ("run_results.json", {**results, "results": [result]}),
            ):
                stamped = {**document, "metadata": {**document["metadata"], **stamp}}
                (folder / name).write_bytes(msgspec.json.encode(stamped))
            code = int(result["status"] in {"error", "fail"})
            write_step(Step(command="dbt build", exit_code=code, started_at=start), folder / "observe.json")
        yield tree


def load(tree: Path, settings: Settings, store: Store) -> Loader:
    """Run the loader of one DAG run."""
    began = time.perf_counter()
    done = ingest([tree], settings, store=store)
    seconds = time.perf_counter() - began
    told = [*done.errors, *(warning for one in done.loads for warning in one.warnings)]
    if told or {one.status.value for one in done.loads} != {"loaded"}:
        raise SystemExit(f"not everything was loaded: {told[:1]}")
    return Loader(len(done.loads), seconds)


def on_duckdb(folder: Path, trees: Sequence[Path]) -> tuple[list[Loader], int]:
    """What each loader took, and how often the nodes are stored."""
    settings = Settings(store=f"duckdb:///{folder}/audit.duckdb", spool_dir=folder / "spool")
    store = open_store(settings)
    made = [load(tree, settings, store) for tree in trees]
    return made, _times_stored(store)


def _times_stored(store: Store) -> int:
    (row,) = store.query(
        "SELECT MAX(c.times) AS times FROM"
        " (SELECT COUNT(*) AS times FROM {raw}.nodes AS n GROUP BY n.manifest_id, n.unique_id) AS c"
    ).to_pylist()
    return int(row["times"])


@contextmanager
def _bigquery() -> Iterator[tuple[BigQueryStore, Any]]:
    with emulator() as running:
        client = running.client()
        store = BigQueryStore(PROJECT, "day", client=client)
        store.init()
        yield store, client


def on_bigquery(folder: Path, trees: Sequence[Path]) -> tuple[list[Loader], int]:
    """The same, with the load jobs and requests of each loader."""
    made = []
    with _bigquery() as (store, client):
        settings = Settings(store=store.url, spool_dir=folder / "spool")
        traffic, jobs = Traffic(), [0]
        counted(client._http, traffic)
        send = client._http.request

        def request(method: str, url: str, data: Any = None, **kwargs: Any) -> Any:
            jobs[0] += method == "POST" and "/upload/" in url
            return send(method, url, data=data, **kwargs)

        client._http.request = request
        for tree in trees:
            traffic.requests = traffic.sent = jobs[0] = 0
            one = load(tree, settings, store)
            made.append(replace(one, load_jobs=jobs[0], traffic=replace(traffic)))
        return made, _times_stored(store)


def main() -> int:
    """Measure, show, and judge."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--write", action="store_true", help="put the figures into benchmarks/README.md")
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="dbt-observe-day-") as name:
        folder = Path(name)
        trees = list(tasks(folder / "tree"))
        duck, times = on_duckdb(folder, trees)
        big, times_there = on_bigquery(folder, trees)
    rows = [
        (
            str(number),
            f"{one.loads:,}",
            f"{one.seconds:.1f}",
            f"{one.seconds / one.loads * 1000:.0f}",
            str(there.load_jobs),
            str(there.traffic.requests if there.traffic else 0),
            f"{there.traffic.sent / 1e6:.2f}" if there.traffic else "",
        )
        for number, (one, there) in enumerate(zip(duck, big, strict=True), 1)
    ]
    headings = ("loader", "loads", "DuckDB s", "ms a load", "BigQuery load jobs", "requests", "MB sent")
    loads, nodes = sum(one.loads for one in duck), f"{MODELS} models and {TESTS} tests"
    lines = [
        f"{loads:,} loads of {nodes}; a node is stored {times} time on DuckDB, {times_there} on BigQuery:",
        "",
        *report.markdown(headings, rows),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    if arguments.write:
        report.put(lines, BEGIN, END)
    is_linear = duck[-1].seconds <= 1.5 * duck[0].seconds
    return int(not is_linear or times != 1 or times_there != 1 or max(one.load_jobs for one in big) > 10)


if __name__ == "__main__":
    sys.exit(main())
