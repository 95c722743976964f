"""What the figures are held against: bounds that must hold, and aims that are only reported."""

# ruff: noqa: RUF001 - the times sign is meant

from collections.abc import Mapping
from dataclasses import dataclass

from measure import Figure

GROWTH_LIMIT = 10 * 1.25


@dataclass(frozen=True, slots=True)
class Check:
    """A value and its bound, in the same unit. A value of None was not measured."""

    what: str
    value: float | None
    bound: float | None
    unit: str
    must: bool = True
    at_least: bool = False

    @property
    def holds(self) -> bool | None:
        if self.value is None or self.bound is None:
            return None
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    @property
    def verdict(self) -> str:
        return {True: "OK", False: "MISSED", None: "NOT MEASURED"}[self.holds]


def checks(figures: Mapping[str, Figure]) -> list[Check]:
    """All bounds, by the figures of the contenders that `run.py` names."""
    seconds = {key: figure.median for key, figure in figures.items()}
    ingest, peak = seconds["ingest"], figures["ingest"].peak_mb
    return [
        Check("ingest, against json.load of both files", ingest, seconds["json"], "s"),
        Check("dbt-artifacts-parser ÷ ingest", _ratio(seconds["parser"], ingest), 6, "×", at_least=True),
        Check("ingest, peak memory", peak, 800, "MB"),
        Check("ingest again ÷ (sha256 + import duckdb)", _ratio(seconds["again"], seconds["hash"]), 1.5, "×"),
        Check("--help", seconds["help"], 0.2, "s"),
        Check("growth of ingest over ten times the project", _growth(seconds), GROWTH_LIMIT, "×"),
        Check("ingest ÷ raw read", _ratio(ingest, seconds["raw"]), 10, "×", must=False),
        Check("ingest, peak memory", peak, 500, "MB", must=False),
    ]


def _ratio(value: float | None, base: float | None) -> float | None:
    return None if value is None or base is None else value / base


def _growth(seconds: Mapping[str, float | None]) -> float | None:
    """(large - start) / (small - start), where `start` is the ingest of a project of next to nothing.

    Both ends of a slope: what every ingest costs whatever its size (the interpreter, imports, a new file, dbt's own
    macros) is subtracted, and what is left should grow as the project does.
    """
    large, small, start = seconds["ingest"], seconds["ingest_small"], seconds["ingest_start"]
    if large is None or small is None or start is None or small <= start:
        return None
    return (large - start) / (small - start)
