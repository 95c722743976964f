"""Four mornings of the Greenery shop on real dbt, watched by dbt-observe: `make demo`.

The first is healthy; before the second, orders change their status; on the third upstream breaks; the fourth is
healthy again. Everything it writes is below .demo/, or the folder that is its argument, made anew each time. Whatever
does not come out as it has to ends the demo with exit code 1.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import raw_data
from rich.console import Console
from rich.table import Table
from rich.text import Text

ROOT = Path(__file__).parent.parent
PROJECT = Path("dbt", "greenery")
DEMO = Path(".demo")
WIDTH = 100
SLACK_SETTINGS = "DBT_OBSERVE_SLACK__"
SLACK_TOKEN = f"{SLACK_SETTINGS}TOKEN"
INTERRUPTED = 128 + signal.SIGINT

FUNNEL = (
    ("2021-02-09T00:00:00Z", "2", "2", "2", "1.0000", "1.0000", "1.0000", "0", "0"),
    ("2021-02-10T00:00:00Z", "175", "175", "175", "1.0000", "1.0000", "1.0000", "0", "0"),
    ("2021-02-11T00:00:00Z", "401", "290", "184", "1.0000", "0.7232", "0.4589", "111", "106"),
)

_STYLES = {"success": "green", "pass": "green", "warn": "yellow", "skipped": "yellow", "fail": "red", "error": "red"}


class UnexpectedError(Exception):
    """Something did not come out as it has to. `log` holds what was said."""

    def __init__(self, what: str, log: Path | None = None) -> None:
        super().__init__(what)
        self.log = log


@dataclass(frozen=True)
class Outcome:
    """What a dbt command has to come to: its exit code, and how many of its results have which status."""

    exit_code: int
    statuses: Mapping[str, int]


HEALTHY = {
    "source freshness": Outcome(0, {"pass": 4}),
    "snapshot": Outcome(0, {"success": 1}),
    "run": Outcome(0, {"success": 14}),
    "test": Outcome(0, {"pass": 38}),
}
BROKEN = HEALTHY | {
    "source freshness": Outcome(0, {"pass": 3, "warn": 1}),
    "run": Outcome(1, {"success": 10, "error": 1, "skipped": 3}),
    "test": Outcome(1, {"pass": 29, "fail": 3, "error": 5, "warn": 1}),
}


@dataclass(frozen=True)
class Morning:
    """One morning: what happened before it, and what each dbt command has to come to."""

    number: int
    story: str
    outcomes: Mapping[str, Outcome] = field(default_factory=lambda: HEALTHY)
    told: tuple[str, ...] = ("nothing new",)
    """What the alert must speak of."""


MORNINGS = (
    Morning(1, "all is well"),
    Morning(2, "orders were shipped over night"),
    Morning(
        raw_data.BROKEN_MORNING,
        "no events for three days, promos.discount was renamed, returns came as items",
        BROKEN,
        ("stg_promos", "Weekly orders", "Finance analytics"),
    ),
    Morning(4, "upstream is mended", told=("well again: model stg_promos failed", "Well again after")),
)


class Demo:
    """The four mornings, told on a console."""

    def __init__(self, console: Console, bin_folder: Path, folder: Path = DEMO) -> None:
        self.console = console
        self.bin = bin_folder
        self.folder = folder
        self.database, self.audit = folder / "greenery.duckdb", folder / "audit.duckdb"
        self.target, self.logs = folder / "target", folder / "logs"
        self.triage = folder / "triage"
        self.store = f"duckdb:///{self.audit}"

    def play(self) -> None:
        """Live through the mornings. Raises UnexpectedError."""
        began = time.monotonic()
        self.begin()
        self._say(Text("Greenery: four mornings of a shop, on real dbt and DuckDB", "bold"))
        self._say(Text(f"Each dbt command runs under dbt-observe, which keeps what it left in {self.audit}.", "dim"))
        for morning in MORNINGS:
            self.live(morning)
        self._finale(time.monotonic() - began)

    def begin(self) -> None:
        """Make the folder anew. Raises UnexpectedError for one that is no demo's."""
        if self.folder.exists():
            if self.folder != DEMO and any(self.folder.iterdir()) and not self.audit.exists():
                raise UnexpectedError(f"{self.folder} is no folder of an earlier demo, so it is not removed")
            shutil.rmtree(self.folder)
        self.logs.mkdir(parents=True)

    def live(self, morning: Morning) -> None:
        """Live through one morning. Raises UnexpectedError."""
        self._say()
        self._say(Text(f"Morning {morning.number}: {morning.story}", "bold"))
        began = time.monotonic()
        tables = raw_data.shop(morning.number, datetime.now(UTC))
        try:
            raw_data.land_in_duckdb(tables, self.database)
        except duckdb.Error as error:
            raise UnexpectedError(f"the raw data cannot be landed: {error}") from error
        rows = sum(table.num_rows for table in tables.values())
        self._line("land raw data", Text(f"{rows:,} rows in {len(tables)} tables"), time.monotonic() - began)
        for command, outcome in morning.outcomes.items():
            self._step(morning, command, outcome)
            if command == "snapshot" and morning.number > 1:
                self._check_snapshot(tell=morning.number == 2)
        self._alert(morning)

    def _step(self, morning: Morning, command: str, expected: Outcome) -> None:
        """One dbt command under dbt-observe. What it came to is read from the audit store, not from dbt."""
        began, log = time.monotonic(), self.logs / f"morning-{morning.number}-{command.replace(' ', '-')}.txt"
        observe = [str(self.bin / "dbt-observe"), "run", "--store", self.store, "--environment", "demo", "--"]
        exit_code = self._run(
            [*observe, *self._dbt(command)], log, {"AIRFLOW_CTX_DAG_RUN_ID": f"morning_{morning.number}"}
        )
        found = self._stored(command, log)
        self._line(f"dbt {command}", _counts(found.statuses), time.monotonic() - began)
        if exit_code != expected.exit_code:
            raise UnexpectedError(f"dbt {command} ended with exit code {exit_code}, not {expected.exit_code}", log)
        if found != expected:
            raise UnexpectedError(f"the audit store has {found} of dbt {command}, not {expected}", log)

    def _dbt(self, command: str) -> list[str]:
        words = [str(self.bin / "dbt"), "--no-use-colors", "--no-version-check", *command.split()]
        return [*words, "--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]

    def _run(self, command: list[str], log: Path, environment: Mapping[str, str]) -> int:
        """Run a command to its end, its output into a file. A Ctrl-C reaches it too: it is waited for."""
        with log.open("w", encoding="utf-8") as output:
            process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env=self._environment(environment)
            )
            try:
                return process.wait()
            except BaseException:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=30)
                process.kill()
                process.wait()
                raise

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        # Nothing of the user's own set-up may reach the demo.
        foreign = ("DBT_", "GREENERY_", "AIRFLOW_CTX_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        inherited.pop("PYTHONDONTWRITEBYTECODE", None)
        return {
            **inherited,
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "DBT_TARGET_PATH": str(self.target.absolute()),
            "DBT_LOG_PATH": str(self.logs.absolute()),
            "DBT_OBSERVE_ARTIFACTS_DIR": str(self.folder / "artifacts"),
            "GREENERY_DUCKDB_PATH": str(self.database.absolute()),
            **more,
        }

    def _stored(self, command: str, log: Path) -> Outcome:
        facts = "source_freshness" if command == "source freshness" else "run_results"
        last = "SELECT invocation_id, command, exit_code FROM invocations ORDER BY started_at DESC LIMIT 1"
        steps = _query(self.audit, last) if self.audit.exists() else []
        if not steps or steps[0][1] != command:
            raise UnexpectedError(f"dbt {command} is not in the audit store", log)
        counts = f"SELECT status, count(*) FROM {facts} WHERE invocation_id = ? GROUP BY 1"  # noqa: S608
        return Outcome(steps[0][2], dict(_query(self.audit, counts, steps[0][0])))

    def _check_snapshot(self, *, tell: bool) -> None:
        states = "SELECT order_id, count(*) AS states FROM orders_snapshot GROUP BY 1"
        found = dict(_query(self.database, f"SELECT states, count(*) FROM ({states}) GROUP BY 1"))  # noqa: S608
        orders = _query(self.database, "SELECT count(*) FROM raw.orders")[0][0]
        changed = raw_data.CHANGED_ORDERS
        if found != {1: orders - changed, 2: changed}:
            raise UnexpectedError(
                f"the snapshot has {found} (rows per order: orders), not two rows for {changed} orders"
            )
        if tell:
            self._note(f"{changed} orders changed status: each has two snapshot rows now")

    def _alert(self, morning: Morning) -> None:
        """Tell what is new: here, and in Slack where a token is set."""
        self._say(Text("  What dbt-observe tells of it (dbt-observe alert --print)", "bold"))
        told = self._observe("alert", "--print")
        for needed in morning.told:
            if needed not in told:
                raise UnexpectedError(f"the alert does not speak of {needed}", self.logs / "alert.txt")
        if SLACK_TOKEN in os.environ:
            self._observe("alert", slack=True)
        self._say()
        self._say(Text("  Its triage page (dbt-observe report --index)", "bold"))
        self._observe("report", "--index", str(self.triage))

    def _observe(self, command: str, *options: str, slack: bool = False) -> str:
        """Run a dbt-observe command, pass on what it prints, and return that; with `slack`, by the user's settings."""
        log = self.logs / f"{command}.txt"
        look = {"FORCE_COLOR": "1", "COLUMNS": str(self.console.width)} if self.console.is_terminal else {}
        if slack:  # all of it in the one channel that is set: the shop's own channels are not there
            look |= {name: value for name, value in os.environ.items() if name.startswith(SLACK_SETTINGS)}
            rule = {"channel": os.environ.get(f"{SLACK_SETTINGS}CHANNEL")}
            look[f"{SLACK_SETTINGS}RULES"] = json.dumps([rule] if rule["channel"] else [])
        exit_code = self._run([str(self.bin / "dbt-observe"), command, *options, "--store", self.store], log, look)
        text = log.read_text(encoding="utf-8")
        if exit_code:
            raise UnexpectedError(f"dbt-observe {command} ended with exit code {exit_code}", log)
        self.console.file.write(f"\n{text.strip()}\n")
        self.console.file.flush()
        return text

    def _finale(self, seconds: float) -> None:
        self._say()
        self._say(Text("After the four mornings (dbt-observe status)", "bold"))
        self._observe("status")
        log = self.logs / "compile.txt"
        if self._run([*self._dbt("compile"), "--select", "conversion_funnel"], log, {}):
            raise UnexpectedError("the analysis conversion_funnel cannot be compiled", log)
        sql = (self.target / "compiled" / "greenery" / "analyses" / "conversion_funnel.sql").read_text(encoding="utf-8")
        columns, found = _ask(self.database, sql)
        rows = tuple(tuple(str(value) for value in row) for row in found)
        self._say()
        self._say(Text("The product funnel (analyses/conversion_funnel.sql), a column a day", "bold"))
        self._say(_transposed(columns, rows))
        if rows != FUNNEL:
            raise UnexpectedError("the funnel is not what the shop's data amounts to")
        self._say()
        where = f"The audit rows are in {self.audit}, dbt's own files in {self.folder / 'artifacts'}."
        self._say(Text(f"Four mornings in {seconds:.0f} s. {where}"))
        index = self.triage / "index.html"
        self._say(Text(f"The triage pages are in {self.triage}: open {index} in a browser."))
        self._say("To try next:")
        for command in self._next_commands():
            self.console.print(Text(f"  {command}"), soft_wrap=True)

    def _next_commands(self) -> tuple[str, ...]:
        folder = self.bin.relative_to(ROOT) if self.bin.is_relative_to(ROOT) else self.bin
        causes = "name,kind,severity,state,opened_at,closed_at"
        runs = "dag_run_id,outcome,duration_seconds,nodes_ok,nodes_failure,tests_failed,exposures_affected"
        return (
            f"{folder}/dbt-observe incidents --store {self.store}",
            f"{folder}/dbt-observe route fct_orders --store {self.store}",
            f"{folder}/dbt-observe validate {self.target}",
            f"less {self.logs / f'morning-{raw_data.BROKEN_MORNING}-run.txt'}",
            f"{folder}/dbt-observe query pipeline_runs --store {self.store} --columns {runs}",
            f"{folder}/dbt-observe query incidents --store {self.store} --columns {causes}",
            f"{folder}/dbt-observe lookml --out {self.folder / 'lookml'}",
        )

    def _say(self, what: Text | Table | str = "") -> None:
        self.console.print(what)

    def _note(self, text: str) -> None:
        self._say(Text(f"    {text}", "cyan"))

    def _line(self, name: str, result: Text, seconds: float) -> None:
        padding = " " * max(1, 48 - len(result))
        self._say(Text.assemble(f"  {name:<22}", result, padding, (f"{seconds:5.1f} s", "dim")))


def _counts(statuses: Mapping[str, int]) -> Text:
    known = [status for status in _STYLES if status in statuses]
    unknown = sorted(statuses.keys() - _STYLES.keys())
    return Text(", ").join(Text(f"{statuses[status]} {status}", _STYLES.get(status, "")) for status in known + unknown)


def _ask(database: Path, sql: str, *parameters: object) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Names of the columns, and rows. Raises UnexpectedError."""
    try:
        with duckdb.connect(database, read_only=True) as connection:
            answer = connection.execute(sql, parameters)
            return [column[0] for column in answer.description or ()], answer.fetchall()
    except duckdb.Error as error:
        raise UnexpectedError(f"{database} does not answer: {error}") from error


def _query(database: Path, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    return _ask(database, sql, *parameters)[1]


def _transposed(columns: list[str], rows: tuple[tuple[str, ...], ...]) -> Table:
    """Nine columns do not fit beside each other, three days do."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), show_header=False)
    table.add_column(no_wrap=True, style="dim")
    for _ in rows:
        table.add_column(no_wrap=True, justify="right")
    for number, column in enumerate(columns):
        table.add_row(column, *(row[number] for row in rows))
    return table


def main() -> int:
    """Play the demo; give its exit code."""
    os.chdir(ROOT)
    console = Console(highlight=False, markup=False, emoji=False)
    folder = Path(*sys.argv[1:2]) if sys.argv[1:] else DEMO
    console.width = min(console.width, WIDTH) if console.is_terminal else WIDTH
    try:
        Demo(console, Path(sys.executable).parent, folder).play()
    except UnexpectedError as error:
        console.print(Text(f"\nThe demo did not come out as it has to: {error}", "bold red"))
        if error.log:
            said = error.log.read_text(encoding="utf-8", errors="replace").splitlines()[-30:]
            console.print(Text("\n".join(["", *said, "", f"All of it is in {error.log}."])), soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print(Text(f"\nStopped. What there is lies in {folder}; the next demo starts anew.", "yellow"))
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
