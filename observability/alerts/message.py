"""Incident → message, as plain data: what broke, who is hurt, the evidence, where, what to do next."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from observability.alerts.exposures import Exposure
from observability.alerts.incidents import STEPS, Failure, Incident, Kind, Severity
from observability.alerts.links import Link, as_url

_SHOWN = 5
"""How many names a line lists before it says how many more there are."""


@dataclass(frozen=True)
class Message:
    """One message: a headline, labelled lines in the order in which they are read, and links."""

    severity: Severity
    headline: str
    lines: tuple[tuple[str, str], ...]
    subject: str
    kind: Kind
    links: tuple[Link, ...] = ()


def build_message(incident: Incident, links: Sequence[Link] = (), now: datetime | None = None) -> Message:
    """The message that tells an incident as it is. Under ten lines; without a moment, none of it changes with time."""
    is_warning = incident.kind is Kind.SOURCE_STALE and incident.severity is Severity.WARNING
    lines = [
        ("Hurts", _hurts(incident.exposures)),
        ("Why", _evidence(incident)),
        ("File", next((failure.original_file_path for failure in incident.failures if failure.original_file_path), "")),
        ("Rows", incident.warehouse.failures_table or ""),
        ("Blocks", _blocks(incident)),
        ("Also", listing([short_name(node) for node in incident.folded], "failing below it")),
        ("Since", _since(incident, now)),
        ("Owner", incident.owner or ""),
        ("Runbook", _unless_url(incident.declared.observe.runbook)),
        ("Next", _next(incident)),
    ]
    if is_warning:  # nobody has to do anything yet
        lines = [(label, text) for label, text in lines if label in {"Hurts", "Why"}]
    lines.append(("Now", tell_attention(incident)))
    return Message(
        severity=incident.severity,
        headline=_HEADLINES[incident.kind](incident),
        lines=tuple((label, text) for label, text in lines if text),
        subject=incident.subject,
        kind=incident.kind,
        links=tuple(links),
    )


def tell_attention(incident: Incident) -> str:
    """Who is on it, or who wants quiet; empty where nobody said anything, or where it is over."""
    did = incident.attention
    if did is None or incident.state.is_over:
        return ""
    why = f": {did.reason}" if did.reason else ""
    if did.snoozed_until:
        return f"snoozed until {did.snoozed_until:%Y-%m-%d %H:%M} UTC by {did.acted_by}{why}"
    return f"{did.acted_by} is on it{why}"


def _unless_url(runbook: str | None) -> str:
    return "" if as_url(runbook) else runbook or ""


def tell_change(incident: Incident, transition: str) -> str:
    """What has become of an incident that was told before, in a sentence or two."""
    if incident.kind is Kind.RUN_OVERDUE and transition in _OVERDUE:
        return _OVERDUE[transition](incident)
    if transition == "fixed":
        waiting = [short_name(node) for node in (*incident.blocked, *incident.folded)]
        return f"Fixed. {listing(waiting, 'not rebuilt yet')}."
    if transition == "recovered":
        took = ((incident.closed_at or incident.seen_at) - incident.since).total_seconds()
        return f"Well again after {duration(took)}."
    return {
        "withdrawn": "Gone from the project: there is nothing to mend any more.",
        "expired": "Nothing was seen of it for 90 days; it is told no further.",
        "resolved": f"Resolved by {_by(incident)}.",
        "called": f"Still failing: {_evidence(incident)}",
        "critical": f"Critical now: it hurts {_hurts([one for one in incident.exposures if one.critical])}",
        "reopened": f"Failing again: {_evidence(incident)}",
        "worse": f"Worse: {_evidence(incident)}",
        "turned": f"Now {_HEADLINES[incident.kind](incident)}: {_evidence(incident)}",
    }[transition]


def _came(incident: Incident) -> str:
    """That a step ran after all says nothing of how."""
    late = ((incident.closed_at or incident.seen_at) - incident.since).total_seconds()
    if late <= 0:
        return "It ran in time, and was stored late."
    outcome = incident.failures[0].status
    ended = "" if outcome in {"success", "warning"} else f", and ended with {outcome}"
    return f"It ran, {duration(late)} late{ended}."


_OVERDUE: dict[str, Callable[[Incident], str]] = {
    "recovered": _came,
    "withdrawn": lambda _: "It is waited for no more: no deadline asks for it, or it was not seen for 90 days.",
    "called": lambda incident: f"Still overdue: {_evidence(incident)}",
    "critical": lambda incident: f"Critical now: {_evidence(incident)}",
    "reopened": lambda incident: f"Overdue again: {_evidence(incident)}",
}


def _by(incident: Incident) -> str:
    did = incident.attention
    return f"{did.acted_by}: {did.reason}" if did and did.reason else did.acted_by if did else "somebody"


def where(incident: Incident) -> str:
    """The project and the environment that an incident is in."""
    return " / ".join(part for part in (incident.project_name, incident.environment) if part)


def _node_error(incident: Incident) -> str:
    kind = incident.subject.partition(".")[0]
    verb = "was interrupted" if incident.failures[0].status == "interrupted" else "failed"
    return f"{kind} {incident.name} {verb} in {where(incident)}"


def _test_failure(incident: Incident) -> str:
    failing = [failure for failure in incident.failures if failure.outcome == "failure"]
    shown = failing or incident.failures
    verb = "fail" if failing else "warn"
    if len(shown) == 1:
        return f"test {shown[0].test_name or shown[0].name} {verb}s on {incident.name} in {where(incident)}"
    return f"{len(shown)} tests {verb} on {incident.name} in {where(incident)}"


def _source_stale(incident: Incident) -> str:
    if incident.age_seconds is None:
        return f"source {incident.name} holds no rows in {where(incident)}"
    return f"source {incident.name} is {duration(incident.age_seconds)} old in {where(incident)}"


def _freshness_runtime_error(incident: Incident) -> str:
    return f"the freshness of source {incident.name} could not be checked in {where(incident)}"


def _run_interrupted(incident: Incident) -> str:
    return f"{incident.name} was interrupted in {where(incident)}"


def _run_failed(incident: Incident) -> str:
    how = "failed outside its nodes" if incident.failures[0].status == "failure" else "ended before it ran a node"
    return f"{incident.name} {how} in {where(incident)}"


def _run_overdue(incident: Incident) -> str:
    return f"{incident.name} is overdue in {where(incident)}"


_HEADLINES: dict[Kind, Callable[[Incident], str]] = {
    Kind.NODE_ERROR: _node_error,
    Kind.TEST_FAILURE: _test_failure,
    Kind.SOURCE_STALE: _source_stale,
    Kind.FRESHNESS_RUNTIME_ERROR: _freshness_runtime_error,
    Kind.RUN_INTERRUPTED: _run_interrupted,
    Kind.RUN_FAILED: _run_failed,
    Kind.RUN_OVERDUE: _run_overdue,
}


def _hurts(exposures: Sequence[Exposure]) -> str:
    told = []
    for exposure in exposures:
        facts = ("critical" if exposure.critical else "", exposure.risk.value, exposure.owner or "")
        told.append(f"{exposure.name} ({', '.join(filter(None, facts))})")
    return listing(told, "exposure" if len(exposures) == 1 else "exposures")


def _blocks(incident: Incident) -> str:
    if incident.kind in STEPS:
        return ""  # what a step was at tells why
    return listing([short_name(node) for node in incident.blocked], "skipped and not rebuilt")


def _evidence(incident: Incident) -> str:
    if incident.kind is Kind.SOURCE_STALE:
        parts = [
            f"newest row {duration(incident.age_seconds)} ago" if incident.age_seconds is not None else "",
            f"warns after {duration(incident.warn_after_seconds)}" if incident.warn_after_seconds else "",
            f"error after {duration(incident.error_after_seconds)}" if incident.error_after_seconds else "",
        ]
        return ", ".join(filter(None, parts))
    if incident.kind is Kind.TEST_FAILURE:
        worst_first = sorted(incident.failures, key=lambda one: (one.outcome != "failure", -(one.failures or 0)))
        return listing([_test(failure) for failure in worst_first], "", separator="; ")
    if incident.kind is Kind.RUN_INTERRUPTED:
        at = listing([short_name(node) for node in incident.blocked], "")
        how = error_line(incident.failures[0].message)
        return f"{how or 'dbt ended'}; it was at {at}" if at else how
    return error_line(incident.failures[0].message)


def _test(failure: Failure) -> str:
    name = (
        f"{failure.test_name} of {failure.column_name}" if failure.test_name and failure.column_name else failure.name
    )
    if failure.status in {"fail", "warn"} and failure.failures:
        rows = "row" if failure.failures == 1 else "rows"
        return f"{failure.failures:,} {rows} broke {name}"
    return f"{name}: {error_line(failure.message) or failure.status}"


def error_line(message: str | None) -> str:
    """The line of dbt's message that says what is wrong; the first only says where, which is told anyway."""
    lines = [line.strip() for line in (message or "").splitlines() if line.strip()]
    if len(lines) > 1 and " Error in " in f" {lines[0]}":
        lines = lines[1:]
    return _cut(lines[0], 200) if lines else ""


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}… ({len(text) - length + 1} more characters)"


def _since(incident: Incident, now: datetime | None) -> str:
    ago = f" ({duration((now - incident.since).total_seconds())} ago)" if now else ""
    parts = [f"{incident.since:%Y-%m-%d %H:%M} UTC{ago}"]
    runs = incident.bad_runs
    parts.append("first time seen" if runs == 1 else f"seen {runs} times")
    parts.append(f"last well {incident.last_good_at:%Y-%m-%d %H:%M}" if incident.last_good_at else "never seen well")
    if incident.command:
        parts.append(f"dbt {incident.command}")
    if incident.dag_run_id:
        parts.append(incident.dag_run_id)
    return ", ".join(parts)


def _next(incident: Incident) -> str:
    kind = incident.subject.partition(".")[0]
    if incident.kind is Kind.RUN_OVERDUE:
        return f"see why {incident.name} did not run"
    if incident.kind in STEPS or kind == "operation":
        return f"dbt {incident.command}" if incident.command else ""
    if incident.kind is Kind.SOURCE_STALE:
        return f"see what loads {incident.name}"
    if incident.kind is Kind.FRESHNESS_RUNTIME_ERROR:
        return f"dbt source freshness --select source:{incident.name}"
    method = "source:" if kind == "source" else ""
    return f"dbt build --select {method}{incident.name}+"


def short_name(unique_id: str) -> str:
    """What people call a node, from its unique_id."""
    kind, *parts = unique_id.split(".")
    return ".".join(parts[1:2] if kind == "test" else parts[1:]) or unique_id


def listing(names: Sequence[str], what: str = "", *, separator: str = ", ") -> str:
    """Some names, how many more there are, and of what; empty for none."""
    if not names:
        return ""
    more = len(names) - _SHOWN
    shown = separator.join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
    return f"{len(names)} {what}: {shown}" if what else shown


def duration(seconds: float | None) -> str:
    """A length of time as people say it: 3 h 20 min, 2 d 4 h."""
    whole = int(timedelta(seconds=seconds or 0).total_seconds())
    days, rest = divmod(max(whole, 0), 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, left = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (left, "s")]
    shown = [f"{count} {unit}" for count, unit in parts if count][:2]
    return " ".join(shown) or "0 s"
