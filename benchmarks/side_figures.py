"""What was measured of dbt-observe and Elementary side by side: kept in a file, and shown as Markdown."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

import report
from measure import Sample
from sides import Elementary, Observed, Side

STEPS = {"one": "dbt run of one model", "run": "dbt run of all models", "test": "dbt test of all tests"}
TOLD = {"alert": "tell Slack what failed", "again": "the same again: nothing is new"}
REPORT, HELP = "write the report", "--help"
BOT = "dbt-observe, as a Slack app"
NOT_MEASURED = "not measured"


@dataclass
class Round:
    """Seconds and those of them that are CPU's, by side, and the load average before."""

    load: float
    seconds: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)

    def add(self, side: str, sample: Sample) -> None:
        self.seconds[side], self.cpu[side] = sample.seconds, sample.cpu_seconds

    def taken(self, *, cpu: bool) -> dict[str, float]:
        """By side."""
        return self.cpu if cpu else self.seconds


@dataclass
class Figures:
    """What was measured, by contest, and the numbers of messages and bytes by contest and side. Kept in a file."""

    made_by: str
    rounds: dict[str, list[Round]] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)

    def of(self, contest: str, side: str, *, cpu: bool = False) -> list[float]:
        """What a side took, round by round."""
        rounds = [one.taken(cpu=cpu) for one in self.rounds.get(contest, [])]
        return [taken[side] for taken in rounds if side in taken]

    def added(self, contest: str, side: str, *, cpu: bool = False) -> list[float]:
        """What a side took more than dbt alone, round by round."""
        rounds = [one.taken(cpu=cpu) for one in self.rounds.get(contest, [])]
        return [taken[side] - taken[Side.label] for taken in rounds if taken.keys() >= {side, Side.label}]

    def keep(self, path: Path) -> None:
        """Write them to a file, whole or not at all."""
        new = path.with_suffix(".partial")
        new.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        new.replace(path)


def read_figures(kept: Path, made_by: str) -> Figures | None:
    """What was measured before, if it was of the same things."""
    if not kept.exists():
        return None
    found = json.loads(kept.read_text(encoding="utf-8"))
    if found["made_by"] != made_by:
        return None
    rounds = {name: [Round(**one) for one in rounds] for name, rounds in found["rounds"].items()}
    return Figures(made_by, rounds, found["counts"])


def tables(figures: Figures) -> list[str]:
    """The figures in Markdown."""
    ours, theirs = Observed.label, Elementary.label
    steps = [
        (
            "of it CPU" if cpu else _with_rounds(figures, step, words),
            _spread(figures.of(step, Side.label, cpu=cpu)),
            *(
                _spread(seconds(step, side, cpu=cpu))
                for side in (ours, theirs)
                for seconds in (figures.of, figures.added)
            ),
        )
        for step, words in STEPS.items()
        for cpu in (False, True)
    ]
    others = [
        *(
            (_with_rounds(figures, contest, words), *(_told(figures, contest, side) for side in (ours, BOT, theirs)))
            for contest, words in TOLD.items()
        ),
        (_with_rounds(figures, REPORT, REPORT), _sized(figures, ours), "", _sized(figures, theirs)),
        (_with_rounds(figures, HELP, HELP), _spread(figures.of(HELP, ours)), "", _spread(figures.of(HELP, theirs))),
    ]
    took = "median s (min - max)"
    return [
        *report.markdown((took, "dbt alone", "under dbt-observe", "added", "with Elementary", "added"), steps),
        "",
        *report.markdown((took, f"{ours}, by a webhook", BOT, f"{theirs}, by a webhook"), others),
    ]


def _with_rounds(figures: Figures, contest: str, words: str) -> str:
    rounds = len(figures.rounds.get(contest, []))
    return f"{words}, {rounds} round{'s' * (rounds != 1)}"


def _told(figures: Figures, contest: str, side: str) -> str:
    seconds = figures.of(contest, side)
    return f"{_spread(seconds)}; {figures.counts[contest][side]} messages" if seconds else NOT_MEASURED


def _sized(figures: Figures, side: str) -> str:
    seconds = figures.of(REPORT, side)
    return f"{_spread(seconds)}; {figures.counts[REPORT][side] / 1e6:.2f} MB" if seconds else NOT_MEASURED


def _spread(seconds: Sequence[float]) -> str:
    if not seconds:
        return NOT_MEASURED
    return f"{_number(median(seconds))} ({_number(min(seconds))} - {_number(max(seconds))})"


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.0f}"
