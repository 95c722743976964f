"""Times every view over 400 loads of a large project: `python benchmarks/views.py`, or `make bench-views`.

Exit code 1 where a view takes longer than it may or could not be measured, or where tables grow without need.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from shutil import copyfile
from statistics import median

import duckdb
import report
from generate import DATA, cached
from history import DAYS, LAST_DAY, MODELS, TESTS, day_of, plan_faults, plan_states
from history_files import STARTS, Day, manifest_body, read_recorded
from measure import say

from observability.audit.schema import TABLES
from observability.audit.tables import ROW_VERSION
from observability.audit.views import View, as_of, duckdb_view, views
from observability.config import load_settings
from observability.errors import ObserveError
from observability.pipeline.alerting import alert
from observability.pipeline.ingestion import ingest
from observability.stores.duckdb import DuckDBStore, table_ddl

HERE = Path(__file__).parent
BEGIN, END = "<!-- views: begin -->", "<!-- views: end -->"
LIMIT_SECONDS = 1.0
NOW = datetime.combine(LAST_DAY, datetime.min.time(), UTC) + timedelta(hours=6)
"""As of when the views are asked: an hour after the last step, whatever the clock says."""
SINCE = LAST_DAY - timedelta(days=6)
_GROWING = {"nodes": "manifest_id", "exposure_ancestors": "lineage_id"}


@dataclass(slots=True)
class Timing:
    """A view, how it was asked, and how long the answers took. `problem` is why there are none."""

    view: str
    asked: str
    rows: int = 0
    seconds: list[float] = field(default_factory=list)
    problem: str | None = None

    limit: float = LIMIT_SECONDS

    @property
    def holds(self) -> bool:
        return self.problem is None and median(self.seconds) <= self.limit


@dataclass(frozen=True, slots=True)
class Growth:
    """How many rows a table has for how many distinct states, and how many of the loads wrote to it."""

    table: str
    rows: int
    states: int
    writers: int

    @property
    def holds(self) -> bool:
        return self.writers == self.states


def store_path() -> Path:
    """Where the store with the loads of this version is kept."""
    made_by = [(HERE / name).read_bytes() for name in ("history.py", "history_files.py")]
    made_by += [table_ddl(table).encode() for table in TABLES.values()]
    code = sha256(b"\n".join([str(ROW_VERSION).encode(), *made_by])).hexdigest()
    return DATA / f"views-{code[:12]}.duckdb"


def build(path: Path) -> None:
    """Load a hundred days as they would have been: after each, what its steps left is ingested."""
    for old in DATA.glob("views-*"):
        old.unlink()
    partial = path.with_suffix(".partial")
    settings = load_settings(store=f"duckdb:///{partial}", storage={"conformance_manifest_max_bytes": 0})
    recorded = read_recorded(cached(MODELS, TESTS))
    states = list(plan_states(recorded.manifest))
    faults = plan_faults(states[0][1], [result["unique_id"] for result in recorded.sources["results"]])
    for days, state in states:
        body = manifest_body(state)
        for number in days:
            say(f"loading {day_of(number)}, day {number + 1} of {DAYS}")
            with tempfile.TemporaryDirectory(dir=DATA) as folder:
                Day(number, recorded, state, body, faults[number]).write(Path(folder))
                loaded = ingest([folder], settings)
            if loaded.errors:
                raise loaded.errors[0]
    for left in DATA.glob(f"{partial.name}.*"):
        left.unlink()
    partial.rename(path)


def renew_views(path: Path) -> dict[str, str]:
    """Make the views of today in a store that was built before; gives those that cannot be made, and why."""
    problems: dict[str, str] = {}
    with duckdb.connect(str(path)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for view in views():
            try:
                connection.execute(f"CREATE OR REPLACE VIEW main.{view.name} AS {duckdb_view(view)}")
            except (duckdb.Error, OSError) as error:
                problems[view.name] = str(error).partition("\n")[0]
    return problems


def question(view: View) -> tuple[str, str]:
    """How a view is asked, in words and in SQL: the last days of what has a run_date, else all of it."""
    sql = f"SELECT v.* FROM {{main}}.{view.name} AS v"  # noqa: S608 - our own names
    if any(column.name == "run_date" for column in view.columns):
        return "last 7 days", f"{sql} WHERE v.run_date >= DATE '{SINCE}'"
    return "all of it", sql


def time_view(store: DuckDBStore, view: View, runs: int) -> Timing:
    """Ask so many times, each time opening the store and fetching all rows; once before, unmeasured."""
    asked, sql = question(view)
    timing = Timing(view.name, asked)
    sql = as_of(sql)
    parameters = {"now": NOW} if "@now" in sql else None
    try:
        timing.rows = store.query(sql, parameters).num_rows
        for _ in range(runs):
            began = time.perf_counter()
            store.query(sql, parameters)
            timing.seconds.append(time.perf_counter() - began)
    except ObserveError as error:
        timing.problem = error.what
    return timing


def time_alert(path: Path, runs: int) -> list[Timing]:
    """Tell all that is open in a terminal, and then, so many times, that nothing is new."""
    copy = Path(copyfile(path, path.with_suffix(".told")))
    settings = load_settings(store=f"duckdb:///{copy}")
    printed: list[object] = []
    # Slack takes a message a second: what is to be told is no slower than that
    first, again = Timing("alert", "all that is open"), Timing("alert", "nothing new")
    try:
        began = time.perf_counter()
        first.rows = alert(settings, lambda: NOW, show=printed.append).done
        first.seconds.append(time.perf_counter() - began)
        first.limit = float(first.rows)
        for _ in range(runs):
            began = time.perf_counter()
            again.rows += alert(settings, lambda: NOW, show=printed.append).done
            again.seconds.append(time.perf_counter() - began)
    except ObserveError as error:
        first.problem = again.problem = error.what
    finally:
        for left in copy.parent.glob(f"{copy.name}*"):
            left.unlink()
    if again.rows:
        again.problem = f"{again.rows} messages were told again"
    return [first, again]


def measure_growth(store: DuckDBStore) -> list[Growth]:
    """What the tables of project states hold."""
    growths = []
    for table, state in _GROWING.items():
        (row,) = store.query(
            f"SELECT (SELECT COUNT(*) FROM {{raw}}.{table}) AS row_count, COUNT(DISTINCT i.{state}) AS states,"  # noqa: S608
            f" CAST(COUNTIF(CAST(JSON_VALUE(i.row_counts, '$.{table}') AS INT64) > 0) AS INT64) AS writers"
            " FROM {raw}.invocations AS i"
        ).to_pylist()
        growths.append(Growth(table, row["row_count"], row["states"], row["writers"]))
    return growths


def lines_of(timings: Sequence[Timing], growths: Sequence[Growth], facts: Sequence[str]) -> list[str]:
    """The figures in Markdown."""
    return [
        *(f"- {fact}" for fact in facts),
        "",
        "| view | asked for | rows | median s | min - max | verdict |",
        "| --- | --- | ---: | ---: | ---: | --- |",
        *(f"| {' | '.join(_cells(timing))} |" for timing in timings),
        "",
        "| table | rows | distinct states | loads that wrote to it | verdict |",
        "| --- | ---: | ---: | ---: | --- |",
        *(f"| {g.table} | {g.rows:,} | {g.states} | {g.writers} | {_verdict(g.holds)} |" for g in growths),
    ]


def _cells(timing: Timing) -> tuple[str, ...]:
    if timing.problem:
        return (timing.view, timing.asked, "", "", "", f"NOT MEASURED: {timing.problem}")
    fastest, slowest = min(timing.seconds), max(timing.seconds)
    spread = f"{fastest:.3f} - {slowest:.3f}"
    return (
        timing.view,
        timing.asked,
        f"{timing.rows:,}",
        f"{median(timing.seconds):.3f}",
        spread,
        _verdict(timing.holds),
    )


def _verdict(holds: bool) -> str:
    return "OK" if holds else "MISSED"


def _facts(path: Path, runs: int, busy: float) -> list[str]:
    loads, size = DAYS * len(STARTS), path.stat().st_size
    with duckdb.connect(str(path), read_only=True) as connection:
        ((used,),) = connection.execute("SELECT used_blocks * block_size FROM pragma_database_size()").fetchall()
    _, machine, versions, _ = report.machine_facts(DATA, runs)
    return [
        f"{datetime.now(UTC):%Y-%m-%d}; {runs} runs of each in one process; load average before {busy:.1f}",
        machine,
        versions,
        f"{loads} loads of {MODELS:,} models and {TESTS:,} tests",
        f"store: {size / 1e6:.1f} MB, {size / loads / 1e3:.0f} kB a load",
        f"of that in use, the rest free to be used again: {used / 1e6:.1f} MB, {used / loads / 1e3:.0f} kB a load",
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="Time every view over 400 loads of a large project.")
    parser.add_argument("views", nargs="*", help="only these")
    parser.add_argument("--runs", type=int, default=5, help="medians are taken over them (default 5)")
    parser.add_argument("--fresh", action="store_true", help="build the store anew: about four minutes")
    parser.add_argument("--write", action="store_true", help="put the figures into benchmarks/README.md")
    options = parser.parse_args()
    if options.write and (options.views or options.runs < 5):
        parser.error("--write wants all views and at least five runs")
    unknown = set(options.views) - {view.name for view in views()}
    if unknown:
        parser.error(f"no such view: {', '.join(sorted(unknown))}")

    path = store_path()
    if options.fresh or not path.exists():
        began = time.perf_counter()
        build(path)
        say(f"built in {time.perf_counter() - began:.0f} s")
    broken = renew_views(path)
    busy = os.getloadavg()[0]
    store = DuckDBStore(path)
    timings = []
    for view in views():
        if options.views and view.name not in options.views:
            continue
        say(f"asking {view.name}")
        problem = broken.get(view.name)
        timings.append(Timing(view.name, "", problem=problem) if problem else time_view(store, view, options.runs))
    if not options.views:
        say("telling what is wrong")
        timings += time_alert(path, options.runs)
    growths = measure_growth(store)
    lines = lines_of(timings, growths, _facts(path, options.runs, busy))
    print("\n".join(lines))
    if options.write:
        report.put(lines, BEGIN, END)
    held = [timing.holds for timing in timings] + [growth.holds for growth in growths]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
