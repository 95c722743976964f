"""What is wrong now, folded to its causes. Pure: rows of the queries and a moment in, incidents out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from observability.alerts.exposures import TESTS, Exposure, Exposures, Record, Risk, observe


class Kind(StrEnum):
    """What went wrong with a subject."""

    NODE_ERROR = "node_error"
    TEST_FAILURE = "test_failure"
    SOURCE_STALE = "source_stale"
    FRESHNESS_RUNTIME_ERROR = "freshness_runtime_error"
    RUN_INTERRUPTED = "run_interrupted"
    RUN_FAILED = "run_failed"


class Severity(StrEnum):
    """How much it matters, worst first."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One node that is not well, as it was last seen."""

    unique_id: str
    name: str
    resource_type: str | None
    status: str
    outcome: str
    message: str | None
    failures: int | None
    since: datetime
    seen_at: datetime
    test_name: str | None = None
    column_name: str | None = None
    original_file_path: str | None = None


@dataclass(frozen=True, kw_only=True)
class Incident:
    """One cause, with all that hangs on it."""

    project_name: str | None
    environment: str
    kind: Kind
    severity: Severity
    subject: str
    """unique_id of the node that is to be mended; for a step, its command or task."""
    name: str
    failures: tuple[Failure, ...]
    """The subject itself, or the tests that fail on it."""
    blocked: tuple[str, ...] = ()
    """unique_ids of nodes that were skipped because of it and not rebuilt since."""
    folded: tuple[str, ...] = ()
    """unique_ids of nodes that fail too, and below it."""
    exposures: tuple[Exposure, ...] = ()
    owner: str | None = None
    runbook: str | None = None
    since: datetime
    seen_at: datetime
    last_good_at: datetime | None = None
    bad_runs: int = 1
    command: str | None = None
    invocation_id: str | None = None
    dag_run_id: str | None = None
    log_url: str | None = None
    alertable: bool = True
    """Whether a load that may lead to a message has seen it."""
    age_seconds: float | None = None
    warn_after_seconds: float | None = None
    error_after_seconds: float | None = None


@dataclass(frozen=True)
class Situation:
    """What the queries answered."""

    steps: Sequence[Record]
    states: Sequence[Record]
    exposures: Sequence[Record]
    runbooks: Sequence[Record] = ()
    now: datetime | None = None
    """The moment as of which it is told. Without one, no retry is waited for."""


INTERRUPTED = "interrupted"
_UNFINISHED = {INTERRUPTED, "not_run"}
_RETRY_WAIT = timedelta(hours=1)
"""How long a retry that was announced is waited for; the queries say the same of nodes."""
_ORDER = {severity: rank for rank, severity in enumerate(Severity)}


def find_incidents(situation: Situation) -> list[Incident]:
    """Every open incident, the worst first: nodes that failed by themselves, and steps that never got to them."""
    ended_badly = {step["invocation_id"]: step for step in situation.steps if _tells_by_itself(step, situation.now)}
    incidents: list[Incident] = []
    for scope, states in _by_scope(situation.states).items():
        exposures = Exposures(scope, situation.exposures)
        # what dbt was at when it was interrupted belongs to the step, which is to be run again
        cut_off = [row for row in states if row["status"] == INTERRUPTED and row["invocation_id"] in ended_badly]
        for row in cut_off:
            step = ended_badly.pop(row["invocation_id"], None)
            if step is not None:
                same = [other for other in cut_off if other["invocation_id"] == step["invocation_id"]]
                incidents.append(_step_incident(step, same, exposures))
        rest = [row for row in states if row not in cut_off]
        incidents += _node_incidents(rest, exposures, _runbooks(scope, situation))
    incidents += [_step_incident(step) for step in ended_badly.values()]
    return sorted(incidents, key=lambda one: (_ORDER[one.severity], -len(one.exposures), one.since, one.subject))


def _tells_by_itself(step: Record, now: datetime | None) -> bool:
    """Whether a step is wrong in itself: it never got to an end, or it failed and none of its nodes did."""
    if step["will_retry"] and now is not None and now - (step["completed_at"] or step["started_at"]) < _RETRY_WAIT:
        return False
    return step["outcome"] in _UNFINISHED or (step["outcome"] == "failure" and not step["failed_nodes"])


def _by_scope(rows: Iterable[Record]) -> dict[tuple[str | None, str], list[Record]]:
    scopes: dict[tuple[str | None, str], list[Record]] = {}
    for row in rows:
        scopes.setdefault((row["project_name"], row["environment"]), []).append(row)
    return scopes


def _node_incidents(states: Sequence[Record], exposures: Exposures, runbooks: Mapping[str, str]) -> list[Incident]:
    bad = {row["unique_id"]: row for row in states if row["outcome"] in {"failure", "warning"}}
    roots = {unique_id: _root(row, bad) for unique_id, row in bad.items()}
    groups: dict[str, list[Record]] = {}
    for unique_id, row in bad.items():
        if roots[unique_id] == unique_id:
            groups.setdefault(_subject(row), []).append(row)
    incidents = []
    for subject, rows in groups.items():
        causes = {row["unique_id"] for row in rows}
        folded = sorted(other for other, root in roots.items() if root in causes and other not in causes)
        failing = causes.union(folded)
        blocked = sorted(
            row["unique_id"] for row in states if row["outcome"] == "skipped" and failing & set(row["causes"] or ())
        )
        incidents.append(_incident(subject, rows, blocked, folded, exposures, runbooks))
    return incidents


def _root(row: Record, bad: Mapping[str, Record]) -> str:
    """The failing node that this one is to be blamed on: itself where none that fails is above it.

    Above are the causes that its own step has found, and failing nodes of other steps of the same pipeline run.
    """
    seen: set[str] = set()
    current = row
    while current["unique_id"] not in seen:
        seen.add(current["unique_id"])
        above = next((other for other in _above(current, bad) if other not in seen), None)
        if above is None:
            break
        current = bad[above]
    return str(current["unique_id"])


def _above(row: Record, bad: Mapping[str, Record]) -> list[str]:
    """The failing nodes above this one; models before tests, for what was not built explains more than a bad row."""
    own = row["unique_id"]
    causes = {cause for cause in row["causes"] or () if cause != own and cause in bad}
    if not causes and row["resource_type"] == "unit_test" and row["status"] == "fail":
        return []
    ancestors = set(row["ancestors"] or ())
    elsewhere = {
        other
        for other, candidate in bad.items()
        if other != own
        and candidate["outcome"] == "failure"
        and not (causes and candidate["invocation_id"] == row["invocation_id"])  # its own step knows better
        and _same_run(row, candidate)
        and _is_above(candidate, row, ancestors)
    }
    return sorted(causes | elsewhere, key=lambda other: (bad[other]["resource_type"] in TESTS, other))


def _same_run(row: Record, other: Record) -> bool:
    if row["dag_run_id"]:  # unique within its DAG only: two that run at six have the same
        return bool((row["dag_id"], row["dag_run_id"]) == (other["dag_id"], other["dag_run_id"]))
    return bool(row["invocation_id"] == other["invocation_id"])


def _is_above(candidate: Record, row: Record, ancestors: set[str]) -> bool:
    if candidate["resource_type"] == "source":
        return False  # a stale source is a possible cause: it is named, never blamed
    if candidate["resource_type"] == "test":
        # the tests of one node stand side by side: what this one tests is not above it in that sense; and a model that
        # ran in another step was not blocked by what a test found there: its error is its own
        parents, tested = set(candidate["parents"] or ()), set(row["parents"] or ())
        return row["resource_type"] in TESTS and bool(parents) and parents <= ancestors - tested
    return candidate["unique_id"] in ancestors


def _subject(row: Record) -> str:
    if row["resource_type"] in TESTS and row["attached_node"]:
        return str(row["attached_node"])
    return str(row["unique_id"])


def _kind(row: Record) -> Kind:
    if row["resource_type"] in TESTS:
        return Kind.TEST_FAILURE
    if row["resource_type"] == "source":
        return Kind.FRESHNESS_RUNTIME_ERROR if row["status"] == "runtime error" else Kind.SOURCE_STALE
    return Kind.NODE_ERROR


def _incident(
    subject: str,
    rows: Sequence[Record],
    blocked: Sequence[str],
    folded: Sequence[str],
    exposures: Exposures,
    runbooks: Mapping[str, str],
) -> Incident:
    worst = min(rows, key=lambda row: (row["outcome"] != "failure", row["resource_type"] in TESTS, row["since"]))
    kind = _kind(worst)
    at_risk = exposures.below(rows, blocked, built=kind is Kind.TEST_FAILURE)
    failing = any(row["outcome"] == "failure" for row in rows)
    critical = failing and any(exposure.critical for exposure in at_risk)
    wells = [row["well_at"] for row in rows]
    return Incident(
        project_name=worst["project_name"],
        environment=worst["environment"],
        kind=kind,
        severity=Severity.CRITICAL if critical else Severity.ERROR if failing else Severity.WARNING,
        subject=subject,
        name=_name(subject, worst),
        failures=tuple(_failure(row) for row in sorted(rows, key=lambda row: row["unique_id"])),
        # an exposure that was skipped is told among those that are hurt
        blocked=tuple(node for node in blocked if not node.startswith("exposure.")),
        folded=tuple(folded),
        exposures=at_risk,
        owner=worst["owner"],
        runbook=next((runbooks[node] for node in (worst["unique_id"], subject) if node in runbooks), None),
        since=min(row["since"] for row in rows),
        seen_at=max(row["seen_at"] for row in rows),
        last_good_at=None if None in wells else min(wells),
        bad_runs=max(row["bad_runs"] for row in rows),
        command=worst["command"],
        invocation_id=worst["invocation_id"],
        dag_run_id=worst["dag_run_id"],
        log_url=worst["log_url"],
        alertable=any(row["alertable"] for row in rows),
        age_seconds=worst["age_seconds"],
        warn_after_seconds=worst["warn_after_seconds"],
        error_after_seconds=worst["error_after_seconds"],
    )


def _name(subject: str, row: Record) -> str:
    """What people call the subject: a source by both its names, a model of several versions with its version."""
    kind, *parts = subject.split(".")
    if kind == "test":
        return str(row["name"] or subject)
    return ".".join(parts[1:]) or subject


def _failure(row: Record) -> Failure:
    return Failure(
        unique_id=row["unique_id"],
        name=row["name"] or row["unique_id"],
        resource_type=row["resource_type"],
        status=row["status"],
        outcome=row["outcome"],
        message=row["message"],
        failures=row["failures"],
        since=row["since"],
        seen_at=row["seen_at"],
        test_name=row["test_name"],
        column_name=row["column_name"],
        original_file_path=row["original_file_path"],
    )


def _runbooks(scope: tuple[str | None, str], situation: Situation) -> dict[str, str]:
    return {
        row["unique_id"]: str(observe(row["meta"])["runbook"])
        for row in situation.runbooks
        if (row["project_name"], row["environment"]) == scope
    }


def step_name(step: Record) -> str:
    """What people call a step: its Airflow task, one of a mapped task by its index, else its command."""
    if not step["task_id"]:
        return f"dbt {step['command'] or '(unknown command)'}"
    index = step["map_index"]
    return str(step["task_id"]) if index is None or index < 0 else f"{step['task_id']}[{index}]"


def _step_incident(step: Record, cut_off: Sequence[Record] = (), exposures: Exposures | None = None) -> Incident:
    """A step that ended without its nodes telling why; `cut_off` are the nodes that it was at."""
    name = step_name(step)
    ended_at = step["completed_at"] or step["started_at"]
    at_risk = exposures.below(cut_off, (), built=False) if exposures else ()
    own = Failure(
        unique_id=step["invocation_id"],
        name=name,
        resource_type=None,
        status=step["outcome"],
        outcome="failure",
        message=step["error"] or _exit(step),
        failures=None,
        since=step["since"],
        seen_at=ended_at,
    )
    return Incident(
        project_name=step["project_name"],
        environment=step["environment"],
        kind=Kind.RUN_INTERRUPTED if step["outcome"] == INTERRUPTED else Kind.RUN_FAILED,
        severity=Severity.CRITICAL if any(one.critical for one in at_risk) else Severity.ERROR,
        subject=".".join(part for part in (step["dag_id"], name) if part),
        name=name,
        failures=(own, *(_failure(row) for row in cut_off)),
        exposures=at_risk,
        since=step["since"],
        seen_at=ended_at,
        last_good_at=step["last_good_at"],
        bad_runs=step["bad_runs"],
        command=step["command"],
        invocation_id=step["invocation_id"],
        dag_run_id=step["dag_run_id"],
        log_url=step["log_url"],
        alertable=step["alertable"],
    )


def _exit(step: Record) -> str | None:
    """How dbt ended, where it left no word of it."""
    code = step["exit_code"] or 0
    if code < 0:
        return f"dbt was killed by signal {-code}"
    return f"dbt ended with exit code {code}" if code else None


def exposures_at_risk(incidents: Sequence[Incident]) -> list[tuple[Exposure, list[Incident]]]:
    """Each exposure of each environment once, with the incidents that hurt it; the nearest gives the distance."""
    found: dict[tuple[str | None, str, str], tuple[Exposure, list[Incident]]] = {}
    for incident in incidents:
        if incident.severity is Severity.WARNING and incident.kind is not Kind.SOURCE_STALE:
            continue
        for exposure in incident.exposures:
            key = (incident.project_name, incident.environment, exposure.unique_id)
            known, hurting = found.get(key, (exposure, []))
            nearest = min(known, exposure, key=lambda one: one.distance)
            stale = Risk.STALE in {known.risk, exposure.risk}
            found[key] = (replace(nearest, risk=Risk.STALE if stale else Risk.SUSPECT), [*hurting, incident])
    return [
        found[key]
        for key in sorted(found, key=lambda key: (not found[key][0].critical, found[key][0].distance, key[2], key[1]))
    ]
