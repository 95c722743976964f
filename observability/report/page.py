"""What stands on the triage page. Pure: what the store answered in, plain data out."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from observability.alerts.incidents import STEPS, Failure, Incident, Severity, State, exposures_at_risk
from observability.alerts.links import Links, as_url
from observability.alerts.message import build_message, duration, error_line, is_test, short_name, where
from observability.report.content import (
    Answers,
    AtRisk,
    Cause,
    Earlier,
    Finding,
    Grid,
    Page,
    Record,
    Source,
    Verdict,
)
from observability.report.lineage import Parents, draw, ways
from observability.report.sql import show_sql

CAUSES_SHOWN = 40
"""Causes that are told in full; of the others there are the headlines."""
_SLOWEST = 15
_WAYS = 6
"""Causes whose way to an exposure is drawn."""
EXPOSURES_SHOWN = 30
"""Exposures that are told in full, with a drawing; the others are in a table."""
FINDINGS_SHOWN = 12
"""Tests of one cause whose messages and SQL are told."""
_MESSAGE_LONGEST = 8_000
_TEXT_LONGEST = 500_000
"""Characters of all messages and SQL together: what comes after is left out, and said so."""
_GRID_ROWS = 25
_OVER_SHOWN = 20
_SOURCES_SHOWN = 150


def run_of(target: Record, steps: Sequence[Record], results: Iterable[tuple[str, str, str]]) -> Record:
    """A pipeline run, from its steps and what became of its nodes: as the view `pipeline_runs` has it, however old.

    A result is (invocation_id, unique_id, outcome).
    """
    superseded = {step["invocation_id"] for step in steps if step["is_superseded"]}
    worst: dict[str, int] = {}
    for invocation_id, unique_id, outcome in results:
        rank = _NODE_RANKS.get(outcome, _NODE_RANKS["unknown"])
        if invocation_id in superseded and rank != 1:
            rank = 0
        worst[unique_id] = max(worst.get(unique_id, 0), rank)
    counts = Counter(worst.values())

    def last(name: str) -> Any:
        return next((step[name] for step in reversed(steps) if step[name] is not None), None)

    ranks = {outcome: rank for rank, outcome in _RUN_OUTCOMES.items()}
    ended = max(step["completed_at"] or step["started_at"] for step in steps)
    began = min(step["started_at"] for step in steps)
    outcomes = [ranks.get(step["outcome"], 1) for step in steps if not step["is_superseded"]]
    return {
        "pipeline_run_id": target["pipeline_run_id"],
        "project_name": last("project_name"),
        "environment": target["environment"],
        "dag_id": target["dag_id"],
        "dag_run_id": target["dag_run_id"],
        "logical_date": last("logical_date"),
        "git_sha": last("git_sha"),
        "git_branch": last("git_branch"),
        "outcome": _RUN_OUTCOMES[max(outcomes, default=0)],
        "is_awaiting_retry": any(step["is_awaiting_retry"] for step in steps),
        "started_at": began,
        "completed_at": ended,
        "duration_seconds": _seconds_between(began, ended),
        **{f"nodes_{outcome}": counts[rank] for outcome, rank in _NODE_RANKS.items()},
    }


def _seconds_between(began: datetime, ended: datetime) -> float | None:
    """None where nobody knows when it ended: of a step that was killed only its beginning is stored."""
    return (ended - began).total_seconds() or None


_NODE_RANKS = {"ok": 1, "skipped": 2, "unknown": 3, "warning": 4, "failure": 5}


def step_names(steps: Sequence[Record]) -> dict[str, str]:
    """What people call each step of a run, by its invocation: with its map index, and its try where there are more."""
    names: dict[str, str] = {}
    for step in steps:
        index = step["map_index"]
        mapped = f"[{index}]" if index is not None and index >= 0 else ""
        names[step["invocation_id"]] = f"{step['task_id'] or step['command'] or step['step'] or '?'}{mapped}"
    often = Counter(names.values())
    return {
        step["invocation_id"]: f"{name}, try {step['try_number']}" if often[name] > 1 and step["try_number"] else name
        for step in steps
        for name in (names[step["invocation_id"]],)
    }


def build_page(said: Answers, links: Links) -> Page:
    """The page of a pipeline run."""
    going_on = [one for one in said.incidents if not one.state.is_over]
    failing, warning, over = _parted(said.incidents)
    cards = _Cards(said, links)
    in_run = {step["invocation_id"] for step in said.steps}
    shown = {one.id: cards.anchor(one) for one in (*failing[:CAUSES_SHOWN], *warning[:CAUSES_SHOWN])}
    at_risk = _at_risk(going_on, said.parents, shown)
    run = said.run
    sources = [_source(row) for row in sorted(said.freshness, key=_worst_source_first)]
    return Page(
        title=" · ".join(
            part for part in (run["project_name"] or "", said.target["environment"], _run_name(said)) if part
        ),
        verdict=_verdict(said, going_on),
        as_of=said.as_of,
        invocation_id=said.target["invocation_id"],
        linked=tuple(sorted({one.invocation_id for one in said.incidents if one.invocation_id} & in_run)),
        run=run,
        steps=tuple(said.steps),
        causes=tuple(map(cards.card, failing[:CAUSES_SHOWN])),
        more_causes=tuple(headline(one) for one in failing[CAUSES_SHOWN:]),
        warnings=tuple(map(cards.card, warning[:CAUSES_SHOWN])),
        more_warnings=tuple(headline(one) for one in warning[CAUSES_SHOWN:]),
        well_again=tuple(map(cards.card, over[:_OVER_SHOWN])),
        more_well_again=tuple(f"{headline(one)}: {one.state.value}" for one in over[_OVER_SHOWN:]),
        exposures=at_risk[:EXPOSURES_SHOWN],
        more_exposures=at_risk[EXPOSURES_SHOWN:],
        sources=tuple(sources[:_SOURCES_SHOWN]),
        sources_left_out=max(len(sources) - _SOURCES_SHOWN, 0),
        grid=_grid(said, going_on),
        slowest=tuple(said.slowest[:_SLOWEST]),
        slower=tuple(said.slower),
        flaky=tuple(said.flaky),
        results=said.results,
    )


def told_in_full(incidents: Sequence[Incident]) -> list[Incident]:
    """Those that have a card, in the order in which they stand on the page."""
    failing, warning, over = _parted(incidents)
    return [*failing[:CAUSES_SHOWN], *warning[:CAUSES_SHOWN], *over[:_OVER_SHOWN]]


def _parted(incidents: Sequence[Incident]) -> tuple[list[Incident], list[Incident], list[Incident]]:
    """What fails, what warns, and what is over."""
    going_on = [one for one in incidents if not one.state.is_over]
    return (
        [one for one in going_on if one.severity is not Severity.WARNING],
        [one for one in going_on if one.severity is Severity.WARNING],
        [one for one in incidents if one.state.is_over],
    )


def _run_name(said: Answers) -> str:
    return said.target["dag_run_id"] or said.target["step"] or ""


def concerned(incidents: Iterable[Incident], run: Record, *, is_newest: bool) -> list[Incident]:
    """What went on during a run, or since where the same did not run again: what came before is another page's."""

    def _is(incident: Incident) -> bool:
        if incident.environment != run["environment"]:
            return False
        if incident.project_name and run["project_name"] and incident.project_name != run["project_name"]:
            return False
        if (incident.closed_at or incident.seen_at) < run["started_at"] and incident.state.is_over:
            return False
        return is_newest or incident.since <= run["completed_at"]

    return [one for one in incidents if _is(one)]


def _verdict(said: Answers, going_on: Sequence[Incident]) -> Verdict:
    open_now = [one for one in going_on if one.state is State.OPEN]
    failing = [one for one in open_now if one.severity is not Severity.WARNING]
    warnings = len(open_now) - len(failing)
    hurt = [exposure for exposure, _ in exposures_at_risk(going_on)]
    harm = _harm(len(hurt), sum(exposure.critical for exposure in hurt))
    also = f"{_count(warnings, 'warning')}." if warnings else ""
    outcome = said.run["outcome"]
    if failing:
        names = [headline(one) for one in failing[:_NAMED]]
        if len(failing) > _NAMED:
            names.append(f"and {len(failing) - _NAMED} more")
        named = "; ".join(names)
        detail = f"{named[:1].upper()}{named[1:]}. {f'Also {also}' if also else ''}".strip()
        return Verdict("bad", f"{_count(len(failing), 'cause')} of failure, {harm}.", detail)
    if said.run["is_awaiting_retry"]:
        return Verdict("wait", "A step failed and is to be tried again.", also)
    waiting = {node for one in going_on if one.state is State.FIXED for node in (*one.blocked, *one.folded)}
    if waiting:
        return Verdict("wait", f"Mended; {_count(len(waiting), 'node')} not rebuilt yet.", also)
    if outcome in {"interrupted", "not_run", "failure"}:
        how = {"interrupted": "was interrupted", "not_run": "never ran a node", "failure": "failed"}[outcome]
        return Verdict("warn", f"This run {how}; nothing of it is broken any more.", also)
    if warnings:
        return Verdict("warn", f"Nothing fails. {_count(warnings, 'warning')}{f', {harm}' if hurt else ''}.")
    return Verdict("good", "All is well.")


_NAMED = 3
"""Causes that the verdict names."""


def _harm(hurt: int, critical: int) -> str:
    if not hurt:
        return "no exposure at risk"
    told = f"{_count(hurt, 'exposure')} at risk"
    return f"{told}, {'it is' if hurt == 1 else f'{critical} of them'} critical" if critical else told


def headline(incident: Incident) -> str:
    """What is wrong, without where: all that stands on a page is in one project and environment."""
    return build_message(incident).headline.removesuffix(f" in {where(incident)}")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


class _Cards:
    """Makes incidents into what the page tells of them, as long as there is room for their texts."""

    def __init__(self, said: Answers, links: Links) -> None:
        self._links = links
        self._now = said.as_of
        self._room = _TEXT_LONGEST
        self._sql = {row["unique_id"]: row["compiled_code"] for row in said.evidence}
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
        earlier = [row for row in self._past.get(incident.key, ()) if row["opened_at"] < incident.since]
        runbook = incident.declared.observe.runbook or ""
        lines["Owner"] = incident.owner or ""  # messages tell it together with the runbook, or not at all
        told = ("Why", "File", "Rows", "Since", "Owner", "Now")
        return Cause(
            anchor=self.anchor(incident),
            headline=headline(incident),
            severity=incident.severity.value,
            state=incident.state.value,
            lines=tuple((label, lines[label]) for label in told if lines.get(label)),
            links=self._links.of(incident),
            findings=tuple(self._finding(failure) for failure in incident.failures[:FINDINGS_SHOWN]),
            more_findings=max(len(incident.failures) - FINDINGS_SHOWN, 0),
            exposures=incident.exposures,
            blocked=tuple(sorted(map(short_name, incident.blocked))),
            folded=tuple(sorted(map(short_name, incident.folded))),
            command=next_step if next_step.startswith("dbt ") else "",
            next_step="" if next_step.startswith("dbt ") else next_step,
            runbook="" if as_url(runbook) else runbook,
            past=tuple(_earlier(row, lines.get("Why", "")) for row in earlier[:3]),
            times=earlier[0]["nth"] if earlier else 0,
        )

    def _finding(self, failure: Failure) -> Finding:
        said = failure.message or ""
        message = said[: min(_MESSAGE_LONGEST, self._room)]
        self._room -= len(message)
        code = self._sql.get(failure.unique_id, "")
        sql = show_sql(code, said) if code else None
        fits = code is not None and (sql is None or sql.length <= self._room)
        self._room -= sql.length if sql and fits else 0
        return Finding(
            name=failure.name,
            unique_id=failure.unique_id,
            status=failure.status,
            outcome=failure.outcome,
            rows=failure.failures if is_test(failure.unique_id) else None,
            message=message,
            message_left_out=len(said) - len(message),
            sql=sql if fits else None,
            is_sql_left_out=not fits,
            since=failure.since,
        )


def _earlier(row: Record, why: str) -> Earlier:
    said = error_line(row["message"])
    return Earlier(
        opened_at=row["opened_at"],
        state=row["state"],
        open_seconds=row["open_seconds"],
        said="" if said == why else said,
    )


def _at_risk(incidents: Sequence[Incident], parents: Parents, shown: Mapping[str, str]) -> tuple[AtRisk, ...]:
    found = []
    for number, (exposure, hurting) in enumerate(exposures_at_risk(incidents)):
        subjects: dict[str, str] = {}
        for one in hurting:  # of a step, the way begins at the nodes that it was at
            subjects |= (
                {node: short_name(node) for node in one.blocked} if one.kind in STEPS else {one.subject: one.name}
            )
        names = {**subjects, exposure.unique_id: exposure.name}
        drawn = None
        if number < EXPOSURES_SHOWN:
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
_RUN_OUTCOMES = {5: "interrupted", 4: "not_run", 3: "failure", 2: "warning", 1: "success", 0: "unknown"}


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
    runs = tuple(
        {
            **run,
            "outcome": _RUN_OUTCOMES[run["worst"]],
            "duration_seconds": _seconds_between(run["started_at"], run["ended_at"]),
            "nodes_failure": said.failed_in.get(run["pipeline_run_id"], 0),
        }
        for run in said.earlier_runs
    )
    return Grid(
        runs=runs,
        rows=tuple(
            (short_name(node), tuple(worst.get((node, run["pipeline_run_id"]), "") for run in runs))
            for node in nodes[:_GRID_ROWS]
        ),
        left_out=max(len(nodes) - _GRID_ROWS, 0),
    )
