"""What is wrong now. Pure: rows of the views as of a moment in, incidents out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from observability.alerts.exposures import Exposure, Exposures, Risk
from observability.alerts.meta import NOTHING_DECLARED, Declared, Record, find_declared


class Kind(StrEnum):
    """What went wrong with a subject."""

    NODE_ERROR = "node_error"
    TEST_FAILURE = "test_failure"
    SOURCE_STALE = "source_stale"
    FRESHNESS_RUNTIME_ERROR = "freshness_runtime_error"
    RUN_INTERRUPTED = "run_interrupted"
    RUN_FAILED = "run_failed"
    RUN_OVERDUE = "run_overdue"


class State(StrEnum):
    """Where an incident is in its life."""

    OPEN = "open"
    FIXED = "fixed"
    """Well again, but what it blocked is not rebuilt yet."""
    RECOVERED = "recovered"
    WITHDRAWN = "withdrawn"
    """A later manifest lacks it."""
    EXPIRED = "expired"
    """Nothing was seen of it for 90 days while its project went on."""
    RESOLVED = "resolved"
    """Somebody said that it is over, and it was not seen since."""
    CLEARED = "cleared"
    """What was seen does not count any more: a repeat took its place, or it is past retention."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more is waited for."""
        return self not in {State.OPEN, State.FIXED}


class Severity(StrEnum):
    """How much it matters, worst first."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One node that is not well, as it was last seen; of a step, the step itself."""

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
class Attention:
    """What people did about an incident: who is on it, or until when nobody wants to hear of it, and why."""

    acted_by: str
    snoozed_until: datetime | None = None
    """None where it is acknowledged, or resolved."""
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Warehouse:
    """Where the warehouse has more of what failed."""

    query_id: str | None = None
    job_project: str | None = None
    job_location: str | None = None
    failures_table: str | None = None
    """The table of a test's rows, with --store-failures."""


_NOWHERE = Warehouse()


@dataclass(frozen=True, kw_only=True)
class Incident:
    """One cause, with all that hangs on it."""

    key: str
    """The subject, the same for all its incidents."""
    id: str
    project_name: str | None
    environment: str
    kind: Kind
    severity: Severity
    state: State
    subject: str
    """unique_id of the node that is to be mended; for a step, its command or task."""
    name: str
    failures: tuple[Failure, ...]
    """The subject itself, or the tests that fail on it; what the incident is called after comes first."""
    blocked: tuple[str, ...] = ()
    """unique_ids of nodes that were skipped because of it and not rebuilt since; of a step, what it was at."""
    folded: tuple[str, ...] = ()
    """unique_ids of nodes that fail too, and below it."""
    exposures: tuple[Exposure, ...] = ()
    owner: str | None = None
    declared: Declared = NOTHING_DECLARED
    attention: Attention | None = None
    warehouse: Warehouse = _NOWHERE
    since: datetime
    seen_at: datetime
    last_good_at: datetime | None = None
    bad_runs: int = 1
    command: str | None = None
    invocation_id: str | None = None
    dag_id: str | None = None
    dag_run_id: str | None = None
    task_id: str | None = None
    map_index: int | None = None
    try_number: int | None = None
    log_url: str | None = None
    closed_at: datetime | None = None
    alertable: bool = True
    """Whether a load that may lead to a message has seen it."""
    age_seconds: float | None = None
    warn_after_seconds: float | None = None
    error_after_seconds: float | None = None

    @property
    def fixed(self) -> bool:
        """Whether it is well again, but what it blocked is not rebuilt yet."""
        return self.state is State.FIXED

    @property
    def resource_type(self) -> str:
        """Of the node that is to be mended; step for a step."""
        return "step" if self.kind in STEPS else self.subject.partition(".")[0]

    @property
    def rows(self) -> int:
        """Rows that its failing tests found."""
        return sum(failure.failures or 0 for failure in self.failures)


@dataclass(frozen=True)
class Situation:
    """What the queries answered, all as of one moment."""

    incidents: Sequence[Record]
    exposures: Sequence[Record] = ()
    declared: Sequence[Record] = ()
    results: Sequence[Record] = ()


STEPS = frozenset({Kind.RUN_INTERRUPTED, Kind.RUN_FAILED, Kind.RUN_OVERDUE})
"""The kinds of incidents whose subject is a step."""
_ORDER = {severity: rank for rank, severity in enumerate(Severity)}


def find_incidents(situation: Situation) -> list[Incident]:
    """Every incident that was asked for; the worst first, what is fixed or over last."""
    warehouse = {
        (row["invocation_id"], row["unique_id"]): Warehouse(
            query_id=row["query_id"],
            job_project=row["job_project"],
            job_location=row["job_location"],
            failures_table=row["failures_table"],
        )
        for row in situation.results
    }
    exposures = _exposures(situation)
    incidents = []
    for row in situation.incidents:
        scope = (row["project_name"], row["environment"])
        at_risk = exposures.setdefault(scope, Exposures(scope, ()))
        declared = find_declared(situation.declared, scope, (row["worst_node"], row["subject"]))
        found = _incident(row, row["nodes"] or [], at_risk, declared)
        known = warehouse.get((row["invocation_id"], row["worst_node"]), found.warehouse)
        incidents.append(replace(found, warehouse=known))
    return worst_first(incidents)


def worst_first(incidents: Iterable[Incident]) -> list[Incident]:
    """In the order in which they are told; what is fixed or over last."""
    return sorted(incidents, key=_place)


def _place(one: Incident) -> tuple[object, ...]:
    return one.state is not State.OPEN, _ORDER[one.severity], -len(one.exposures), one.since, one.subject


def _exposures(situation: Situation) -> dict[tuple[str | None, str], Exposures]:
    scopes = {(row["project_name"], row["environment"]) for row in situation.exposures}
    return {scope: Exposures(scope, situation.exposures) for scope in scopes}


def _incident(
    row: Record,
    nodes: Sequence[Record],
    exposures: Exposures,
    declared: Declared,
) -> Incident:
    kind = Kind(row["kind"])
    state = State(row["state"])
    fixed = state is not State.OPEN
    failing = [node for node in nodes if node["role"] == "failed" and (node["is_open"] or fixed)]
    failing.sort(key=lambda node: (node["unique_id"] != row["worst_node"], node["unique_id"]))
    blocked = _names(nodes, "blocked")
    worst = next((node for node in failing if node["unique_id"] == row["worst_node"]), row)
    said = declared.observe.severity if row["outcome"] == "failure" else None
    return Incident(
        key=row["incident_key"],
        id=row["incident_id"],
        project_name=row["project_name"],
        environment=row["environment"],
        kind=kind,
        severity=Severity(said or row["severity"]),
        state=state,
        subject=row["subject"],
        name=_name(row),
        failures=tuple(_failure(node) for node in failing),
        # an exposure that was skipped is told among those that are hurt
        blocked=tuple(node for node in blocked if not node.startswith("exposure.")),
        folded=tuple(_names(nodes, "folded")),
        exposures=exposures.below(
            [node for node in nodes if node["is_open"]] if fixed or kind in STEPS else failing,
            blocked,
            built=kind is Kind.TEST_FAILURE and not fixed,
        ),
        owner=row["owner"],
        declared=declared,
        since=row["opened_at"],
        seen_at=row["last_bad_at"],
        last_good_at=row["last_well_at"],
        bad_runs=row["bad_runs"],
        command=row["command"],
        invocation_id=row["invocation_id"],
        dag_id=row["dag_id"],
        dag_run_id=row["dag_run_id"],
        task_id=row["task_id"],
        map_index=row["map_index"],
        try_number=row["try_number"],
        log_url=row["log_url"],
        closed_at=row["closed_at"],
        alertable=row["alertable"],
        age_seconds=worst.get("age_seconds"),
        warn_after_seconds=worst.get("warn_after_seconds"),
        error_after_seconds=worst.get("error_after_seconds"),
    )


def _names(nodes: Iterable[Record], role: str) -> list[str]:
    return sorted(node["unique_id"] for node in nodes if node["role"] == role and node["is_open"])


def _name(row: Record) -> str:
    """What people call the subject: a source by both its names, a model of several versions with its version."""
    kind, *parts = str(row["subject"]).split(".")
    if row["resource_type"] == "step":
        return str(row["subject"]).removeprefix(f"{row['dag_id']}.")
    if kind == "test":
        return str(row["name"])
    return ".".join(parts[1:]) or str(row["subject"])


def _failure(node: Record) -> Failure:
    return Failure(
        unique_id=node["unique_id"],
        name=node["name"] or node["unique_id"],
        resource_type=node["resource_type"],
        status=node["status"],
        outcome=node["outcome"],
        message=node["message"],
        failures=node["failures"],
        since=node["first_bad_at"],
        seen_at=node["last_bad_at"],
        test_name=node["test_name"],
        column_name=node["column_name"],
        original_file_path=node["original_file_path"],
    )


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
