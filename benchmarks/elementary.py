"""Elementary beside dbt-observe on the same project: `python benchmarks/elementary.py`, or `make bench-peers`.

A project of 2,000 models and 3,000 tests, on DuckDB, that dbt really runs: alone, under `dbt-observe run`, and with
Elementary's dbt package. What each adds to a dbt step, how long it takes to tell Slack (one on loopback) what failed,
to write its report, and to say what it can do. A round runs each side once, beginning with another one; what was
measured is kept, so that an interrupted run goes on where it was. Exit code 1 where a side could not be measured.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import report
import runnable_project
from generate import DATA
from measure import ContenderError, Sample, measure, say
from side_figures import BOT, HELP, NOT_MEASURED, REPORT, STEPS, TOLD, Figures, Round, read_figures, tables
from sides import DBT, EDR, OBSERVE, QUIET, Elementary, Observed, Side, Step, edr_version, fetch_package

import observability

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "alerts"))

from fake_slack import FakeSlack  # the tests' own

BEGIN, END = "<!-- elementary: begin -->", "<!-- elementary: end -->"
THREADS = 4
BUSY = 2 * (os.cpu_count() or 1)
"""A load average above this before a round is not ours alone: dbt has four threads."""
CHANNEL = "alerts"
PACKAGES = ("dbt-core", "dbt-duckdb", "duckdb")
Tell = Callable[[Path, FakeSlack], Sample]


class Comparison:
    """The sides in their folders, and what was measured of them."""

    def __init__(self, folder: Path, models: int, tests: int) -> None:
        self.folder = folder
        self.models = runnable_project.plan(models, tests)
        self.expected = runnable_project.expected(self.models)
        self.sides: list[Side] = [Side(folder / "alone"), Observed(folder / "observed")]
        self.problems: dict[str, str] = {}
        self.package = ""
        self.figures = Figures("")

    def prepare(self, packages: Path | None) -> None:
        """Each side has the same tables, and the same morning behind it: two models fail, and some tests."""
        self._join_elementary(packages)
        made_by = self._made_by()
        if found := read_figures(self._kept, made_by):
            self.figures = found
            self._leave_out_who_has_no_morning()
            return
        self.figures = Figures(made_by)
        alone, *others = self.sides
        if not (alone.folder / "built").exists():
            say("building the project's tables")
            self._write(alone)
            measure((DBT, "run"), alone.folder, QUIET)
            (alone.folder / "built").touch()
        for side in others:
            self._write(side)
            shutil.copyfile(alone.warehouse, side.warehouse)
        for side in list(self.sides):
            say(f"a first morning: {side.label}")
            try:
                self._first_morning(side)
            except ContenderError as error:
                if not isinstance(side, Elementary):
                    raise
                self.problems[side.label] = str(error)
                self.sides.remove(side)
        self.figures.keep(self._kept)

    def _leave_out_who_has_no_morning(self) -> None:
        """What could not be made ready before an interruption is not ready after it."""
        for side in self.sides[1:]:
            if not self._morning_of(side).exists():
                self.problems[side.label] = "its first morning failed in an earlier run: begin anew with --fresh"
                self.sides.remove(side)

    def _join_elementary(self, packages: Path | None) -> None:
        try:
            self.package = fetch_package(packages)
        except ContenderError as error:
            self.problems[Elementary.label] = str(error)
        else:
            self.sides.append(Elementary(self.folder / "elementary"))

    def _write(self, side: Side) -> None:
        if side.folder.exists():
            shutil.rmtree(side.folder)
        runnable_project.write(side.folder, self.models, THREADS)

    def _first_morning(self, side: Side) -> None:
        side.prepare()
        broken = [f"{model.name}+" for model in self.models if model.is_broken]
        side.dbt(Step(("run", "--select", *broken)))
        side.dbt(self.step("test"))
        if side is not self.sides[0]:
            shutil.copyfile(side.keeps, self._morning_of(side))

    def _morning_of(self, side: Side) -> Path:
        return side.folder / "morning.duckdb"

    def _made_by(self) -> str:
        package = Path(observability.__file__).parent  # an editable install's version says nothing of its code
        read = (Path(runnable_project.__file__), *sorted(package.rglob("*.py")), *sorted(package.rglob("*.sql")))
        code = sha256(b"".join(path.read_bytes() for path in read)).hexdigest()[:12]
        return f"{code}, Elementary's package {self.package or 'missing'}"

    @property
    def _kept(self) -> Path:
        return self.folder / "figures.json"

    def step(self, name: str) -> Step:
        """A dbt command of a contest."""
        own = ("--select", runnable_project.NAME)
        if name == "one":
            last = next(model for model in reversed(self.models) if not model.is_broken and not model.parents)
            return Step(("run", "--select", last.name), {"success": 1})
        return Step((name, *own), self.expected.run if name == "run" else self.expected.test)

    def contend(self, contest: str, runs: int, sides: Sequence[Side], run: Callable[[Side], Sample]) -> None:
        """Measure rounds of a contest until there are as many as wanted. A side that fails is told and left out."""
        rounds = self._complete(contest, {side.label for side in sides})
        while len(rounds) < runs:
            say(f"{contest}: round {len(rounds) + 1} of {runs}")
            begin = len(rounds) % len(sides)
            this = Round(os.getloadavg()[0])
            for side in (*sides[begin:], *sides[:begin]):
                try:
                    this.add(side.label, run(side))
                except ContenderError as error:
                    self.problems[f"{side.label}, {contest}"] = str(error)
            rounds.append(this)
            self.figures.keep(self._kept)

    def _complete(self, contest: str, labels: Set[str]) -> list[Round]:
        """The rounds that were kept of a contest, without those that a side is missing from."""
        rounds = self.figures.rounds.setdefault(contest, [])
        rounds[:] = [one for one in rounds if labels <= one.seconds.keys()]
        return rounds

    def tell(self, runs: int) -> None:
        """Tell the first morning to a Slack, each time for the first time, and then that nothing is new."""
        rounds = [self._complete(contest, self._tellers().keys()) for contest in TOLD]
        while min(len(kept) for kept in rounds) < runs:
            first, again = (Round(os.getloadavg()[0]) for _ in TOLD)
            for label, (side, tell) in self._tellers().items():
                say(f"telling Slack: {label}")
                try:
                    for this, sample in zip((first, again), self._tell_twice(label, side, tell), strict=True):
                        this.add(label, sample)
                except ContenderError as error:
                    self.problems[f"{label}, alert"] = str(error)
            for kept, this in zip(rounds, (first, again), strict=True):
                kept.append(this)
            self.figures.keep(self._kept)

    def _tellers(self) -> dict[str, tuple[Side, Tell]]:
        """Who tells, and how: each by a webhook, and dbt-observe as a Slack app too."""
        tellers: dict[str, tuple[Side, Tell]] = {}
        for side in self.sides:
            if not isinstance(side, Observed | Elementary):
                continue
            tellers[side.label] = (side, partial(_by_webhook, side))
            if isinstance(side, Observed):
                tellers[BOT] = (side, partial(_as_bot, side))
        return tellers

    def _tell_twice(self, label: str, side: Side, tell: Tell) -> tuple[Sample, Sample]:
        """Both samples; how many messages there were is counted. Raises ContenderError."""
        shutil.copyfile(self._morning_of(side), side.keeps)
        with _scratch(self.folder) as scratch, FakeSlack(CHANNEL) as slack:
            first = tell(scratch, slack)
            messages = len(slack.messages(CHANNEL))
            if not messages:
                raise ContenderError("told Slack nothing")
            again = tell(scratch, slack)
            self.figures.counts.setdefault("alert", {})[label] = messages
            self.figures.counts.setdefault("again", {})[label] = len(slack.messages(CHANNEL)) - messages
        return first, again

    def report(self, runs: int) -> None:
        """Write each side's report of the first morning."""
        with _scratch(self.folder) as scratch:

            def write(side: Side) -> Sample:
                shutil.copyfile(self._morning_of(side), side.keeps)
                page = scratch / f"{side.label}.html"
                sample = side.report(scratch, page)
                if not page.exists():
                    raise ContenderError("wrote no report")
                self.figures.counts.setdefault(REPORT, {})[side.label] = page.stat().st_size
                return sample

            self.contend(REPORT, runs, self.sides[1:], write)

    def help(self, runs: int) -> None:
        """Ask both command lines what they can do; this needs no package."""
        sides: list[Side] = [Observed(self.folder)]
        if Path(EDR).exists():
            sides.append(Elementary(self.folder))
        with _scratch(self.folder) as scratch:

            def ask(side: Side) -> Sample:
                return measure((EDR if isinstance(side, Elementary) else OBSERVE, "--help"), scratch)

            for side in sides:  # once unmeasured: compiled files are there then
                ask(side)
            self.contend(HELP, runs, sides, ask)


def _by_webhook(side: Side, scratch: Path, slack: FakeSlack) -> Sample:
    return side.alert(scratch, slack.webhook_url(CHANNEL))


def _as_bot(side: Observed, scratch: Path, slack: FakeSlack) -> Sample:
    prefix = "DBT_OBSERVE_SLACK__"
    return side.alert_as_bot(
        scratch, {f"{prefix}TOKEN": slack.token, f"{prefix}BASE_URL": slack.url, f"{prefix}CHANNEL": CHANNEL}
    )


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    scratch = folder / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    yield scratch
    shutil.rmtree(scratch)


def facts(comparison: Comparison, models: int, tests: int) -> list[str]:
    """Where, on what and of what it was measured, and what was not."""
    loads = [one.load for rounds in comparison.figures.rounds.values() for one in rounds]
    _, machine, versions, _ = report.machine_facts(comparison.folder, 0)
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    run, test = comparison.expected.run, comparison.expected.test
    busy = ["the machine had much other work: these wall times say little"] if max(loads) > BUSY else []
    return [
        f"{datetime.now(UTC):%Y-%m-%d}; load average before the rounds {min(loads):.1f} - {max(loads):.1f}",
        *busy,
        machine,
        f"{versions.partition(';')[0]}; {packages}; {THREADS} threads",
        f"{models:,} models, of which {run['error']} fail; {tests:,} tests: {test['fail']} fail, {test['warn']} warn",
        f"edr {edr_version()}, Elementary's dbt package {comparison.package or 'not there'}",
        *(f"{NOT_MEASURED}: {who}: {why}" for who, why in comparison.problems.items()),
    ]


def _run_dbt(step: Step, side: Side) -> Sample:
    return side.dbt(step)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure Elementary beside dbt-observe on the same project.")
    parser.add_argument(
        "--packages", type=Path, metavar="DIR", help="a dbt_packages folder with elementary and dbt_utils"
    )
    parser.add_argument("--runs", type=int, default=3, help="medians are taken over them (default 3)")
    parser.add_argument("--steps", nargs="*", choices=STEPS, default=list(STEPS), help="dbt steps to measure (all)")
    parser.add_argument("--quick", action="store_true", help="a small project, one round: does it all still run?")
    parser.add_argument("--fresh", action="store_true", help="begin anew, whatever was measured before")
    parser.add_argument("--write", action="store_true", help="put the figures into benchmarks/README.md")
    options = parser.parse_args()
    if options.write and (options.quick or options.runs < 3):
        parser.error("--write wants the whole project and at least three rounds")
    models, tests, runs = (60, 90, 1) if options.quick else (2_000, 3_000, options.runs)
    folder = DATA / f"elementary-{models}-{tests}"
    if options.fresh and folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)

    comparison = Comparison(folder, models, tests)
    try:
        comparison.prepare(options.packages)
    except ContenderError as error:
        sys.exit(f"the project cannot be made ready: {error}")
    comparison.tell(runs)
    comparison.report(runs)
    comparison.help(runs)
    for name in options.steps:
        step = comparison.step(name)
        comparison.contend(name, runs, comparison.sides, partial(_run_dbt, step))
    lines = [*(f"- {fact}" for fact in facts(comparison, models, tests)), "", *tables(comparison.figures)]
    print("\n".join(lines))
    if options.write:
        report.put(lines, BEGIN, END)
    return int(bool(comparison.problems))


if __name__ == "__main__":
    sys.exit(main())
