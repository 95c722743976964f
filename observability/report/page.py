"""What stands on the triage page. Pure: what the store answered in, plain data out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from observability.alerts.exposures import Exposure
from observability.alerts.incidents import STEPS, Incident, Severity, State, exposures_at_risk
from observability.alerts.links import Link, Links, as_url
from observability.alerts.message import build_message, duration, is_test, short_name
from observability.report.lineage import Drawing, Parents, draw, ways
from observability.report.results import Results

Record = Mapping[str, Any]

CAUSES_SHOWN = 40
"""Causes that are told in full; of the others there are the headlines."""
_SLOWEST = 15
_WAYS = 6
"""Causes whose way to an exposure is drawn."""
_DRAWN = 60
"""Exposures that have a drawing."""
_SQL_LONGEST = 20_000
_GRID_ROWS = 25


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What the store said of a pipeline run; of the views' rows, as their names say."""

    as_of: datetime
    target: Record
    run: Record
    steps: Sequence[Record]
    incidents: Sequence[Incident]
    results: Results
    slowest: Sequence[Record] = ()
    evidence: Sequence[Record] = ()
    past: Sequence[Record] = ()
    earlier_runs: Sequence[Record] = ()
    is_newest: bool = True
    """Whether the same DAG or step did not run since."""
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
    sql: str
    sql_left_out: int
    """Characters that are not shown of its SQL."""
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
    exposures: tuple[Exposure, ...]
    blocked: tuple[str, ...]
    folded: tuple[str, ...]
    command: str
    """What to run once it is mended; empty where that is nothing of dbt's."""
    next_step: str
    """What to do where there is no such command."""
    runbook: str
    """One that is no URL."""
    past: tuple[Record, ...]
    times: int
    """Earlier incidents of the same subject."""


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
    run: Record
    steps: tuple[Record, ...]
    causes: tuple[Cause, ...]
    more_causes: tuple[str, ...]
    warnings: tuple[Cause, ...]
    more_warnings: tuple[str, ...]
    well_again: tuple[Cause, ...]
    exposures: tuple[AtRisk, ...]
    sources: tuple[Source, ...]
    grid: Grid
    slowest: tuple[Record, ...]
    slower: tuple[Record, ...]
    flaky: tuple[Record, ...]
    results: Results


def build_page(said: Answers, links: Links) -> Page:
    """The page of a pipeline run."""
    concerned = [one for one in said.incidents if _concerns(one, said)]
    going_on = [one for one in concerned if not one.state.is_over]
    failing = [one for one in going_on if one.severity is not Severity.WARNING]
    warning = [one for one in going_on if one.severity is Severity.WARNING]
    over = [one for one in concerned if one.state.is_over]
    cards = _Cards(said, links)
    shown = {one.id: cards.anchor(one) for one in (*failing[:CAUSES_SHOWN], *warning[:CAUSES_SHOWN])}
    run = said.run
    return Page(
        title=" · ".join(
            part for part in (run.get("project_name") or "", said.target["environment"], _run_name(said)) if part
        ),
        verdict=_verdict(said, going_on),
        as_of=said.as_of,
        invocation_id=said.target["invocation_id"],
        run=run,
        steps=tuple(said.steps),
        causes=tuple(map(cards.card, failing[:CAUSES_SHOWN])),
        more_causes=tuple(build_message(one).headline for one in failing[CAUSES_SHOWN:]),
        warnings=tuple(map(cards.card, warning[:CAUSES_SHOWN])),
        more_warnings=tuple(build_message(one).headline for one in warning[CAUSES_SHOWN:]),
        well_again=tuple(map(cards.card, over[:CAUSES_SHOWN])),
        exposures=_at_risk(going_on, said.parents, shown),
        sources=tuple(_source(row) for row in sorted(said.freshness, key=_worst_source_first)),
        grid=_grid(said, going_on),
        slowest=tuple(said.slowest[:_SLOWEST]),
        slower=tuple(said.slower),
        flaky=tuple(said.flaky),
        results=said.results,
    )


def _run_name(said: Answers) -> str:
    return said.target["dag_run_id"] or said.target["step"] or ""


def _concerns(incident: Incident, said: Answers) -> bool:
    """Whether it went on during the run, or since: what came and went before is another page's, and what came later."""
    if incident.environment != said.target["environment"]:
        return False
    project = said.run.get("project_name")
    if incident.project_name and project and incident.project_name != project:
        return False
    if incident.closed_at and incident.closed_at < said.run["started_at"]:
        return False
    return said.is_newest or incident.since <= said.run["completed_at"]


def _verdict(said: Answers, going_on: Sequence[Incident]) -> Verdict:
    open_now = [one for one in going_on if one.state is State.OPEN]
    failing = [one for one in open_now if one.severity is not Severity.WARNING]
    warnings = len(open_now) - len(failing)
    hurt = {(one.project_name, exposure.unique_id): exposure for one in failing for exposure in one.exposures}
    critical = sum(exposure.critical for exposure in hurt.values())
    also = f"{_count(warnings, 'warning')}." if warnings else ""
    if failing:
        harm = "no exposure is hurt"
        if hurt:
            harm = f"{_count(len(hurt), 'exposure')} {'is' if len(hurt) == 1 else 'are'} hurt"
            harm += f", {critical} of them critical" if critical else ""
        return Verdict("bad", f"{_count(len(failing), 'cause')} of failure, {harm}.", also)
    if said.run.get("is_awaiting_retry"):
        return Verdict("wait", "A step failed and is to be tried again.", also)
    waiting = sum(len(one.blocked) + len(one.folded) for one in going_on if one.state is State.FIXED)
    if waiting:
        return Verdict("wait", f"Mended; {_count(waiting, 'node')} not rebuilt yet.", also)
    if said.run.get("outcome") in {"interrupted", "not_run", "failure"}:
        return Verdict("warn", "This run did not end well; nothing of it is broken any more.", also)
    if warnings:
        return Verdict("warn", f"Nothing fails. {also}")
    return Verdict("good", "All is well.")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


class _Cards:
    """Makes incidents into what the page tells of them."""

    def __init__(self, said: Answers, links: Links) -> None:
        self._links = links
        self._now = said.as_of
        self._sql = {(row["invocation_id"], row["unique_id"]): row["compiled_code"] for row in said.evidence}
        self._past: dict[str, list[Record]] = {}
        for row in said.past:
            self._past.setdefault(row["incident_key"], []).append(row)

    @staticmethod
    def anchor(incident: Incident) -> str:
        return f"i-{incident.id[:16]}"

    def card(self, incident: Incident) -> Cause:
        message = build_message(incident, now=self._now)
        lines = {"Since": f"{incident.since:%Y-%m-%d %H:%M} UTC", **dict(message.lines)}
        next_step = lines.get("Next", "")
        past = self._past.get(incident.key, [])
        runbook = incident.declared.observe.runbook or ""
        told = ("Why", "File", "Rows", "Since", "Owner", "Now")
        return Cause(
            anchor=self.anchor(incident),
            headline=message.headline,
            severity=incident.severity.value,
            state=incident.state.value,
            lines=tuple((label, lines[label]) for label in told if label in lines),
            links=self._links.of(incident),
            findings=tuple(self._finding(incident, failure) for failure in incident.failures),
            exposures=incident.exposures,
            blocked=tuple(sorted(map(short_name, incident.blocked))),
            folded=tuple(sorted(map(short_name, incident.folded))),
            command=next_step if next_step.startswith("dbt ") else "",
            next_step="" if next_step.startswith("dbt ") else next_step,
            runbook="" if as_url(runbook) else runbook,
            past=tuple(past),
            times=past[0]["times"] if past else 0,
        )

    def _finding(self, incident: Incident, failure: Any) -> Finding:
        sql = self._sql.get((incident.invocation_id, failure.unique_id)) or ""
        return Finding(
            name=failure.name,
            unique_id=failure.unique_id,
            status=failure.status,
            outcome=failure.outcome,
            rows=failure.failures if is_test(failure.unique_id) else None,
            message=failure.message or "",
            sql=sql[:_SQL_LONGEST],
            sql_left_out=max(len(sql) - _SQL_LONGEST, 0),
            since=failure.since,
        )


def _at_risk(incidents: Sequence[Incident], parents: Parents, shown: Mapping[str, str]) -> tuple[AtRisk, ...]:
    found = []
    for number, (exposure, hurting) in enumerate(exposures_at_risk(incidents)):
        subjects = {one.subject: one.name for one in hurting if one.kind not in STEPS}
        names = {**subjects, exposure.unique_id: exposure.name}
        drawn = None
        if number < _DRAWN:
            found_ways = ways(parents, exposure.unique_id, list(subjects)[:_WAYS])
            for way in found_ways.values():
                names |= {node: names.get(node) or short_name(node) for node in way}
            drawn = draw(found_ways, names)
        found.append(
            AtRisk(
                exposure=exposure,
                url=as_url(exposure.url),
                causes=tuple((shown.get(one.id, ""), one.name) for one in hurting),
                drawing=drawn,
            )
        )
    return tuple(found)


_TONES = {"healthy": "good", "warning": "warn", "stale": "bad", "check_failed": "bad", "overdue": "bad"}
_BY_TONE = ("bad", "warn", "wait", "good")


def _worst_source_first(row: Record) -> tuple[object, ...]:
    return _BY_TONE.index(_TONES.get(row["health"], "wait")), row["source_name"] or "", row["name"] or ""


def _source(row: Record) -> Source:
    thresholds = [row[name] for name in ("warn_after_seconds", "error_after_seconds") if row[name]]
    scale = 2 * max(thresholds, default=0)
    age = row["age_seconds"]
    allowed = [
        f"{word} after {duration(row[name])}"
        for word, name in (("warns", "warn_after_seconds"), ("error", "error_after_seconds"))
        if row[name]
    ]
    empty = "no rows" if row["is_empty_table"] else "not known"
    return Source(
        row=row,
        tone=_TONES.get(row["health"], "wait"),
        age=empty if age is None else duration(age),
        allowed=", ".join(allowed) or "no threshold",
        bar=None if age is None or not scale else min(age / scale, 1.0),
        marks=tuple(one / scale for one in thresholds),
    )


_WORST = ("failure", "warning", "skipped", "unknown", "ok")


def grid_nodes(incidents: Sequence[Incident]) -> list[str]:
    """The nodes whose past the page shows: the failing ones of each incident, the worst incidents first."""
    found = dict.fromkeys(failure.unique_id for one in incidents if one.kind not in STEPS for failure in one.failures)
    return list(found)


def _grid(said: Answers, incidents: Sequence[Incident]) -> Grid:
    nodes = grid_nodes(incidents)
    worst: dict[tuple[str, str], str] = {}
    for row in said.seen:
        key = row["unique_id"], row["pipeline_run_id"]
        outcome = row["outcome"] if row["outcome"] in _WORST else "unknown"
        worst[key] = min(worst.get(key, outcome), outcome, key=_WORST.index)
    runs = tuple(said.earlier_runs)
    return Grid(
        runs=runs,
        rows=tuple(
            (short_name(node), tuple(worst.get((node, run["pipeline_run_id"]), "") for run in runs))
            for node in nodes[:_GRID_ROWS]
        ),
        left_out=max(len(nodes) - _GRID_ROWS, 0),
    )
