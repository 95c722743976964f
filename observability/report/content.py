"""What the triage page is made from, and what it holds, as plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from observability.alerts.exposures import Exposure
from observability.alerts.incidents import Incident
from observability.alerts.links import Link
from observability.report.lineage import Drawing, Parents
from observability.report.results import Results
from observability.report.sql import Sql

Record = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What the store said of a pipeline run; of the views' rows, as their names say."""

    as_of: datetime
    target: Record
    run: Record
    steps: Sequence[Record]
    incidents: Sequence[Incident]
    """Those that `concerned` leaves."""
    results: Results
    slowest: Sequence[Record] = ()
    evidence: Sequence[Record] = ()
    """Of the SQL that there is: None where it is not asked for."""
    past: Sequence[Record] = ()
    earlier_runs: Sequence[Record] = ()
    failed_in: Mapping[str, int] = field(default_factory=dict)
    """How many nodes failed in each of these runs."""
    seen: Sequence[Record] = ()
    slower: Sequence[Record] = ()
    flaky: Sequence[Record] = ()
    freshness: Sequence[Record] = ()
    parents: Parents = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """The run in a sentence or two; `tone` is bad, warn, wait or good."""

    tone: str
    text: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One node or step that is not well, with what dbt said of it."""

    name: str
    unique_id: str
    status: str
    outcome: str
    rows: int | None
    message: str
    message_left_out: int
    """Characters that are not shown of its message."""
    sql: Sql | None
    is_sql_left_out: bool
    """Whether there is SQL that had no room on the page."""
    since: datetime


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One incident."""

    anchor: str
    headline: str
    severity: str
    state: str
    lines: tuple[tuple[str, str], ...]
    links: tuple[Link, ...]
    findings: tuple[Finding, ...]
    more_findings: int
    """Failing tests that are not told one by one."""
    exposures: tuple[Exposure, ...]
    blocked: tuple[str, ...]
    folded: tuple[str, ...]
    command: str
    """What to run once it is mended; empty where that is nothing of dbt's."""
    next_step: str
    """What to do where there is no such command."""
    runbook: str
    """One that is no URL."""
    past: tuple["Earlier", ...]
    times: int
    """Earlier incidents of the same subject."""


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """An earlier incident of the same subject: when, what became of it after how long, and what dbt said then."""

    opened_at: datetime
    state: str
    open_seconds: float | None
    said: str
    """Empty where it says the same now."""


@dataclass(frozen=True, kw_only=True)
class AtRisk:
    """An exposure that is hurt, by what, and the way there."""

    exposure: Exposure
    url: str | None
    causes: tuple[tuple[str, str], ...]
    """Anchor and name of each; no anchor where it is not told in full."""
    drawing: Drawing | None


@dataclass(frozen=True, kw_only=True)
class Source:
    """How fresh a source is, on a scale from 0 to twice its widest threshold."""

    row: Record
    tone: str
    age: str
    allowed: str
    bar: float | None
    """Its age in parts of the scale, 1 at most."""
    marks: tuple[float, ...]
    """Its thresholds in parts of the scale."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The last runs side by side, and what became of the failing nodes in each."""

    runs: tuple[Record, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    """A node's name, and its outcome in each run; empty where it did not run."""
    left_out: int
    """Nodes that have no row of their own."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """All that the triage page shows."""

    title: str
    verdict: Verdict
    as_of: datetime
    invocation_id: str
    linked: tuple[str, ...]
    """Invocations of this run that messages link as the page of an incident."""
    run: Record
    steps: tuple[Record, ...]
    causes: tuple[Cause, ...]
    more_causes: tuple[str, ...]
    warnings: tuple[Cause, ...]
    more_warnings: tuple[str, ...]
    well_again: tuple[Cause, ...]
    more_well_again: tuple[str, ...]
    exposures: tuple[AtRisk, ...]
    more_exposures: tuple[AtRisk, ...]
    sources: tuple[Source, ...]
    sources_left_out: int
    """Sources that have no row, all of them as good as the last that has one, or better."""
    grid: Grid
    slowest: tuple[Record, ...]
    slower: tuple[Record, ...]
    flaky: tuple[Record, ...]
    results: Results
