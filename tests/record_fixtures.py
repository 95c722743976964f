"""Records what real dbt commands leave behind, into tests/fixtures/: one folder a case. `make fixtures` runs it.

Each case starts from a copy of tests/fixture_project/ that was built once. What goes wrong in it is an edit of that
copy or of the rows that the till left. tests/fixtures/README.md tells what is changed in the files that are kept.
"""

import gzip
import json
import os
import shlex
import shutil
import signal as signals
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

HERE = Path(__file__).parent
FIXTURES = HERE / "fixtures"
BIN = Path(sys.executable).parent

ARTIFACTS = ("manifest.json", "run_results.json", "sources.json", "catalog.json")
LOG = "dbt.log"
WITH_ITS_MACROS = "build_ok"
"""The one case whose manifest is kept whole."""

SLOW_SECONDS = 300
SLOW_MODEL = """
{{ config(materialized='table') }}

select sum(a.i * b.i) as steps
from range(10000000) as a(i), range(10000000) as b(i)
"""
BATCHES = """
{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='ordered_at', batch_size='day',
          begin='2021-02-09') }}

select order_id, ordered_at, cast(status as integer) as status_code
from {{ ref('coded_orders') }}
"""
CODED_ORDERS = """
{{ config(event_time='ordered_at') }}

select order_id, ordered_at, case when order_id = 3 then 'no number' else '7' end as status
from {{ ref('stg_orders') }}
"""

MISSING, EMPTY = "missing", "empty"
Ages = Mapping[str, timedelta | str]
FRESH: Ages = {"payments": timedelta(minutes=5), "visits": timedelta(minutes=5)}


@dataclass(frozen=True)
class Case:
    """One dbt command and what is the matter when it runs.

    exit_code: what it has to end with. edits: text of files by path, or a pair of what is replaced and by what.
    before: commands that run first. ages: how old the till's tables are, or that one is missing or empty.
    """

    name: str
    command: str
    exit_code: int = 0
    edits: Mapping[str, str | tuple[str, str]] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    ages: Ages = field(default_factory=lambda: FRESH)
    environment: Mapping[str, str] = field(default_factory=dict)
    with_log: bool = False
    from_scratch: bool = False
    reuses_target: bool = False
    signal: signals.Signals | None = None


BROKEN_MODEL = {"models/stg_orders.sql": ("loaves, status", "loafs, status")}
ORDER_TWICE = {"seeds/raw_orders.csv": ("6,2,2021-02-11", "5,4,2021-02-11 09:00:00,3,ordered\n6,2,2021-02-11")}
NO_CITY = {"seeds/raw_customers.csv": ("Dario,Turin", "Dario,")}
NEGATIVE = {"seeds/raw_orders.csv": ("08:10:00,1,", "08:10:00,-1,")}
FAILING_HOOK = 'on-run-start: "select * from no_such_table"'
SLOW = {"models/slow_report.sql": SLOW_MODEL}

CASES = (
    Case("build_ok", "dbt build", from_scratch=True),
    Case("build_test_failures", "dbt build", 1, edits=ORDER_TWICE),
    Case("build_model_error", "dbt build", 1, edits=BROKEN_MODEL, with_log=True),
    Case("run_ok", "dbt run", with_log=True),
    Case("run_model_error", "dbt run", 1, edits=BROKEN_MODEL),
    Case(
        "test_mixed",
        "dbt test",
        1,
        edits={**ORDER_TWICE, **NO_CITY, "tests/asks_for_too_much.sql": "select price from {{ ref('orders') }}\n"},
        before=("dbt seed",),
    ),
    Case("test_warn_only", "dbt test", edits=NO_CITY, before=("dbt seed",)),
    Case("store_failures", "dbt test --store-failures", 1, edits=ORDER_TWICE, before=("dbt seed",)),
    Case(
        "unit_test_fail",
        "dbt test --select test_type:unit",
        1,
        edits={"models/models.yml": ("orders: 2, loaves: 5", "orders: 2, loaves: 6")},
    ),
    Case(
        "build_unit_test_fail",
        "dbt build",
        1,
        edits={"models/models.yml": ("orders: 2, loaves: 5", "orders: 2, loaves: 6")},
    ),
    Case("snapshot", "dbt snapshot", edits={"seeds/raw_orders.csv": ("3,ordered", "3,baked")}, before=("dbt seed",)),
    Case("seed", "dbt seed"),
    Case("compile", "dbt compile"),
    Case("parse", "dbt parse"),
    Case("ls", "dbt ls"),
    Case("docs_generate", "dbt docs generate"),
    Case("freshness_pass", "dbt source freshness"),
    Case("freshness_warn", "dbt source freshness", ages={**FRESH, "visits": timedelta(hours=18)}),
    Case("freshness_error", "dbt source freshness", 1, ages={**FRESH, "visits": timedelta(days=3)}),
    Case("freshness_runtime_error", "dbt source freshness", 1, ages={**FRESH, "visits": MISSING}),
    Case("freshness_runtime_error_log", "dbt source freshness", 1, ages={**FRESH, "visits": MISSING}, with_log=True),
    Case("freshness_empty_table", "dbt source freshness", 1, ages={**FRESH, "visits": EMPTY}),
    Case(
        "freshness_selected",
        "dbt source freshness --select source:till.payments",
        ages={**FRESH, "visits": timedelta(days=3)},
    ),
    Case("retry", "dbt retry", 1, edits=BROKEN_MODEL, before=("dbt run",), reuses_target=True),
    Case("run_operation", "dbt run-operation count_orders"),
    Case("empty_run", "dbt run --empty"),
    Case("nothing_selected", "dbt run --select tag:nightly"),
    Case(
        "custom_env",
        "dbt run --select stg_orders --vars '{as_of: 2021-02-11, api_token: hush}'",
        environment={"DBT_ENV_CUSTOM_ENV_TEAM": "counter", "DBT_ENV_CUSTOM_ENV_API_TOKEN": "not-for-the-audit"},
    ),
    Case(
        "microbatch_partial",
        "dbt run --select coded_orders+ --event-time-start 2021-02-09 --event-time-end 2021-02-12",
        1,
        edits={"models/coded_orders.sql": CODED_ORDERS, "models/orders_by_day.sql": BATCHES},
    ),
    Case("on_run_start_error", "dbt run", 1, edits={"dbt_project.yml": ("flags:", f"{FAILING_HOOK}\n\nflags:")}),
    Case(
        "on_run_start_error_skips",
        "dbt run",
        1,
        edits={"dbt_project.yml": ("flags:", f"{FAILING_HOOK}\n\nflags:\n  skip_nodes_if_on_run_start_fails: true")},
    ),
    Case(
        "on_run_end_compile_error",
        "dbt run",
        2,
        edits={"dbt_project.yml": ("flags:", 'on-run-end: "{{ results[0].no_such.thing }}"\n\nflags:')},
    ),
    Case("missing_ref", "dbt run", 2, edits={"models/stg_orders.sql": ("raw_orders", "rye_orders")}),
    Case("usage_error", "dbt run --no-such-option", 2),
    Case("killed_log", "dbt run", -9, edits=SLOW, with_log=True, signal=signals.SIGKILL),
    Case("killed_reused_target", "dbt run", -9, edits=SLOW, reuses_target=True, signal=signals.SIGKILL),
    Case("sigterm", "dbt run", -15, edits=SLOW, signal=signals.SIGTERM),
    Case("sigint", "dbt run", 2, edits=SLOW, signal=signals.SIGINT),
    Case("sigint_log", "dbt run", 2, edits=SLOW, with_log=True, signal=signals.SIGINT),
)


class Recorder:
    """A project that was built once, and the commands that run on copies of it."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.project = work / "project"
        self.built = work / "built"
        self.logs = work / "logs"

    def record(self, case: Case) -> None:
        """Run a case and keep what it left. Raises RuntimeError if it did not end as it has to."""
        self._prepare(case)
        for command in case.before:
            self._run(command, case)
        kept = {name: _stamp(self.target / name) for name in ARTIFACTS} if case.reuses_target else self._empty_target()
        shutil.rmtree(self.logs, ignore_errors=True)
        started_at = datetime.now(UTC)
        exit_code, output = self._run(case.command, case)
        if exit_code != case.exit_code:
            raise RuntimeError(f"{case.name}: dbt ended with {exit_code}, not {case.exit_code}\n{output}")
        self._keep(case, started_at, exit_code, kept)
        if case.from_scratch:
            shutil.copytree(self.project, self.built)

    @property
    def target(self) -> Path:
        """dbt's target path."""
        return self.project / "target"

    def _prepare(self, case: Case) -> None:
        shutil.rmtree(self.project, ignore_errors=True)
        shutil.copytree(HERE / "fixture_project" if case.from_scratch else self.built, self.project)
        for name, edit in case.edits.items():
            path = self.project / name
            if isinstance(edit, str):
                path.write_text(edit.lstrip("\n"))
            else:
                text = path.read_text()
                if text.count(edit[0]) < 1:
                    raise RuntimeError(f"{case.name}: {name} holds no {edit[0]!r} any more")
                path.write_text(text.replace(*edit))
        _land(self.project / "bakery.duckdb", case.ages)

    def _empty_target(self) -> dict[str, object]:
        for name in ARTIFACTS:
            (self.target / name).unlink(missing_ok=True)
        return dict.fromkeys(ARTIFACTS)

    def _run(self, command: str, case: Case) -> tuple[int, str]:
        program, *arguments = shlex.split(command)
        process = subprocess.Popen(
            [BIN / program, *arguments],
            cwd=self.project,
            env=self._environment(case),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if case.signal:
            try:
                _wait_for(lambda: self._is_at_slow_model(process))
                process.send_signal(case.signal)
            except BaseException:
                process.kill()
                raise
        output, _ = process.communicate(timeout=SLOW_SECONDS)
        return process.returncode, output

    def _environment(self, case: Case) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("DBT_") and name != "PYTHONDONTWRITEBYTECODE"
        }
        return inherited | {
            "DBT_PROFILES_DIR": str(self.project),
            "DBT_LOG_PATH": str(self.logs),
            "DBT_LOG_FORMAT_FILE": "json",
            "DBT_LOG_LEVEL_FILE": "debug",
            "DBT_USE_COLORS": "false",
            **case.environment,
        }

    def _is_at_slow_model(self, process: subprocess.Popen[str]) -> bool:
        if process.poll() is not None:
            raise RuntimeError("dbt ended before it came to the slow model")
        try:
            lines = (self.logs / LOG).read_text().splitlines()
        except OSError:
            return False
        # The last line may be half written.
        events = [json.loads(line) for line in lines if line.endswith("}")]
        done = [event["info"]["msg"] for event in events if event["info"]["name"] == "LogModelResult"]
        if any("slow_report" in message for message in done):
            raise RuntimeError("the slow model is not slow")
        return len(done) == len(list(self.project.glob("models/*.sql"))) - 1

    def _keep(self, case: Case, started_at: datetime, exit_code: int, kept: Mapping[str, object]) -> None:
        folder = FIXTURES / case.name
        folder.mkdir()
        stale = []
        for name in ARTIFACTS:
            path = self.target / name
            if not path.exists():
                continue
            if _stamp(path) == kept[name]:
                stale.append(name)
            text = path.read_text()
            _write(
                folder / f"{name}.gz", self._neutral(text if case.name == WITH_ITS_MACROS else _without_macros(text))
            )
        if case.with_log:
            _write(folder / f"{LOG}.gz", self._neutral((self.logs / LOG).read_text()))
        about = {
            "command": case.command,
            "exit_code": exit_code,
            "started_at": started_at.isoformat(),
            "stale": stale,
        }
        (folder / "case.json").write_text(json.dumps(about, indent=2) + "\n")

    def _neutral(self, text: str) -> str:
        """The text without a word about this machine. Raises RuntimeError if one is left."""
        environment = BIN.parent.as_posix()
        names = {
            self.project.as_posix(): "/project",
            self.work.as_posix(): "/recorder",
            environment: "/env",
            str(Path(environment).resolve()): "/env",
            sys.base_prefix: "/python",
            str(HERE.parent): "/repository",
        }
        for path, neutral in names.items():
            text = text.replace(path, neutral)
        for left in (str(self.work), str(HERE.parent), str(Path.home()), tempfile.gettempdir(), socket.gethostname()):
            if left in text:
                at = text.index(left)
                raise RuntimeError(f"{left} is left in: …{text[max(0, at - 200) : at + 200]}…")
        return text


def _land(database: Path, ages: Ages) -> None:
    with duckdb.connect(database) as connection:
        connection.execute("SET TimeZone = 'UTC'; CREATE SCHEMA IF NOT EXISTS till")
        connection.execute(
            "CREATE OR REPLACE TABLE till.opening_hours AS SELECT 1 AS day, now()::TIMESTAMP AS loaded_at"
        )
        for name, age in ages.items():
            loaded_at = datetime.now(UTC) - age if isinstance(age, timedelta) else None
            connection.execute(
                f"CREATE OR REPLACE TABLE till.{name} AS "
                "SELECT i AS order_id, i * 1.5 AS amount, ?::TIMESTAMP AS loaded_at FROM range(1, 7) AS r(i)",
                [loaded_at and loaded_at.replace(tzinfo=None)],
            )
            if age == EMPTY:
                connection.execute(f"TRUNCATE till.{name}")
            elif age == MISSING:
                connection.execute(f"DROP TABLE till.{name}")


def _stamp(path: Path) -> object:
    return (path.stat().st_mtime_ns, path.stat().st_size) if path.exists() else None


def _without_macros(text: str) -> str:
    """An artifact, as it is unless it is a manifest: that one's 500 macros, the same in each, are left out."""
    if '"macros": {' not in text:
        return text
    artifact = json.loads(text)
    own = artifact["metadata"]["project_name"]
    artifact["macros"] = {
        unique_id: macro for unique_id, macro in artifact["macros"].items() if macro["package_name"] == own
    }
    return json.dumps(artifact)


def _write(path: Path, text: str) -> None:
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def _wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        if time.monotonic() > deadline:
            raise RuntimeError("dbt did not come to the slow model within a minute")
        time.sleep(0.05)


def main() -> None:
    """Record all cases anew, or those that are named on the command line."""
    wanted = set(sys.argv[1:]) or {case.name for case in CASES}
    unknown = wanted - {case.name for case in CASES}
    if unknown:
        sys.exit(f"there is no case {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as work:
        recorder = Recorder(Path(work).resolve())
        for case in CASES:
            if case.name in wanted or case.from_scratch:
                shutil.rmtree(FIXTURES / case.name, ignore_errors=True)
                recorder.record(case)
                print(f"{case.name}: {', '.join(sorted(path.name for path in (FIXTURES / case.name).iterdir()))}")
    if wanted == {case.name for case in CASES}:
        for folder in FIXTURES.iterdir():
            if folder.is_dir() and folder.name not in wanted:
                shutil.rmtree(folder)


if __name__ == "__main__":
    main()
