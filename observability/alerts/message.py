"""Incident → message, as plain data: what broke, who is hurt, the evidence, where, what to do next."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from shlex import quote

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
    """The message that tells an incident as it is, in ten lines at most; without a moment, time changes none of it."""
    is_warning = incident.kind is Kind.SOURCE_STALE and incident.severity is Severity.WARNING
    lines = [
        ("Hurts", _hurts(incident.exposures)),
        ("Why", _evidence(incident)),
        ("File", next((failure.original_file_path for failure in incident.failures if failure.original_file_path), "")),
        ("Rows", (incident.warehouse.failures_table or "").replace("`", "")),
        ("Blocks", _blocks(incident)),
        ("Also", listing([short_name(node) for node in incident.folded], "failing below it")),
        ("Since", _since(incident, now)),
        _owner(incident),
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


def _owner(incident: Incident) -> tuple[str, str]:
    """Who can mend it, and a runbook that is a text: one that is a URL is among the links."""
    runbook = incident.declared.observe.runbook
    told = "" if as_url(runbook) else runbook or ""
    if not incident.owner:
        return "Runbook", told
    return "Owner", f"{incident.owner}; runbook: {told}" if told else incident.owner


def tell_change(incident: Incident, transition: str) -> str:
    """What has become of an incident that was told before, in a sentence or two."""
    changes = _CHANGES | _OVERDUE if incident.kind is Kind.RUN_OVERDUE else _CHANGES
    return changes[transition](incident)


def _fixed(incident: Incident) -> str:
    waiting = _waiting((*incident.blocked, *incident.folded), "not rebuilt yet", "not run since")
    return f"Fixed. {waiting}." if waiting else "Fixed."


def _recovered(incident: Incident) -> str:
    return f"Well again after {duration(((incident.closed_at or incident.seen_at) - incident.since).total_seconds())}."


_CHANGES: dict[str, Callable[[Incident], str]] = {
    "fixed": _fixed,
    "recovered": _recovered,
    "withdrawn": lambda _: "Gone from the project: there is nothing to mend any more.",
    "expired": lambda _: "Nothing was seen of it for 90 days; it is told no further.",
    "cleared": lambda _: "It does not count any more: a repeat of its step took its place, or it is past retention.",
    "resolved": lambda one: f"Resolved by {_by(one)}.",
    "called": lambda one: _because("Still failing", _evidence(one)),
    "critical": lambda one: _because("Critical now", _critical(one)),
    "reopened": lambda one: _because("Failing again", _evidence(one)),
    "worse": lambda one: _because("Worse", _evidence(one)),
    "turned": lambda one: _because(f"Now {_HEADLINES[one.kind](one)}", _evidence(one)),
}


def _critical(incident: Incident) -> str:
    hurt = _hurts([one for one in incident.exposures if one.critical])
    return f"it hurts {hurt}" if hurt else _evidence(incident)


def _because(said: str, why: str) -> str:
    return f"{said}: {why}" if why else f"{said}."


def _came(incident: Incident) -> str:
    """That a step ran after all says nothing of how."""
    late = ((incident.closed_at or incident.seen_at) - incident.since).total_seconds()
    outcome = incident.failures[0].status
    ended = "" if outcome in {"success", "warning"} else f", and ended with {outcome}"
    return f"It ran, {duration(late)} late{ended}."


_OVERDUE: dict[str, Callable[[Incident], str]] = {
    "recovered": _came,
    "cleared": lambda _: "It ran in time and was stored late, or no deadline waits for it any more.",
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
    one = shown[0]
    if all(failure.status == "error" for failure in shown):
        verbs = "could not run", "could not run"  # whether the data is good, nobody knows
    else:
        verbs = ("fails", "fail") if failing else ("warns", "warn")
    if len(shown) > 1:
        return f"{len(shown)} tests {verbs[1]} on {incident.name} in {where(incident)}"
    what = "unit test" if one.resource_type == "unit_test" else "test"
    of = f" on {incident.name}" if incident.subject != one.unique_id else ""
    return f"{what} {one.test_name or one.name} {verbs[0]}{of} in {where(incident)}"


def _source_stale(incident: Incident) -> str:
    if incident.age_seconds is None:
        return f"source {incident.name} holds no rows in {where(incident)}"
    return f"source {incident.name} is {duration(incident.age_seconds)} old in {where(incident)}"


def _freshness_runtime_error(incident: Incident) -> str:
    return f"the freshness of source {incident.name} could not be checked in {where(incident)}"


def _step(incident: Incident) -> str:
    """What people call a step: an orchestrator's task, or the command."""
    return f"task {incident.subject}" if incident.dag_id else incident.name


def _run_interrupted(incident: Incident) -> str:
    return f"{_step(incident)} was interrupted in {where(incident)}"


def _run_failed(incident: Incident) -> str:
    how = "failed outside its nodes" if incident.failures[0].status == "failure" else "ended before it ran a node"
    return f"{_step(incident)} {how} in {where(incident)}"


def _run_overdue(incident: Incident) -> str:
    return f"{_step(incident)} is overdue in {where(incident)}"


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
    return _waiting(incident.blocked, "skipped and not rebuilt", "not run")


def _waiting(nodes: Sequence[str], rebuilt: str, run: str) -> str:
    """What waits: models and their like by name, tests by number."""
    built = [short_name(node) for node in nodes if not is_test(node)]
    tests = len(nodes) - len(built)
    counted = f"{tests} {'test' if tests == 1 else 'tests'} {run}" if tests else ""
    return "; ".join(filter(None, (listing(built, rebuilt), counted)))


def is_test(unique_id: str) -> bool:
    """Whether a node is a test: it is run, not built."""
    return unique_id.startswith(("test.", "unit_test."))


def _evidence(incident: Incident) -> str:
    if incident.kind is Kind.SOURCE_STALE:
        parts = [
            f"newest row {duration(incident.age_seconds)} ago" if incident.age_seconds is not None else "no newest row",
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
    # of a unit test dbt counts no rows: it is the difference that counts
    if failure.status in {"fail", "warn"} and failure.failures and failure.resource_type != "unit_test":
        rows = "row" if failure.failures == 1 else "rows"
        return f"{failure.failures:,} {rows} broke {name}"
    return f"{name}: {error_line(failure.message) or failure.status}"


def error_line(message: str | None) -> str:
    """The line of dbt's message that says what is wrong; the first only says where, which is told anyway."""
    lines = [line.strip() for line in (message or "").splitlines() if line.strip()]
    if len(lines) > 1 and " Error in " in f" {lines[0]}":
        lines = lines[1:]
    return _cut(lines[0].removesuffix(":"), 200) if lines else ""


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}… ({len(text) - length + 1} more characters)"


def _since(incident: Incident, now: datetime | None) -> str:
    ago = f" ({duration((now - incident.since).total_seconds())} ago)" if now else ""
    parts = [f"{incident.since:%Y-%m-%d %H:%M} UTC{ago}"]
    runs = incident.bad_runs
    parts.append("first time seen" if runs == 1 else f"seen {runs} times")
    parts.append(f"last well {incident.last_good_at:%Y-%m-%d %H:%M}" if incident.last_good_at else "never well before")
    if incident.command:
        parts.append(f"dbt {incident.command}")
    if incident.dag_id and incident.kind not in STEPS:
        parts.append(f"task {incident.dag_id}.{incident.task_id}" if incident.task_id else f"DAG {incident.dag_id}")
    if incident.dag_run_id:
        parts.append(incident.dag_run_id)
    if incident.try_number and incident.try_number > 1:
        parts.append(f"try {incident.try_number}")
    return ", ".join(parts)


def _next(incident: Incident) -> str:
    kind = incident.subject.partition(".")[0]
    if incident.kind is Kind.RUN_OVERDUE:
        return f"see why {_step(incident)} did not run"
    if incident.kind in STEPS or kind == "operation":
        return f"dbt {incident.command}" if incident.command else ""
    if incident.kind is Kind.SOURCE_STALE:
        return f"see what loads {incident.name}"
    if incident.kind is Kind.FRESHNESS_RUNTIME_ERROR:
        return f"dbt source freshness --select {quote(f'source:{incident.name}')}"
    method = "source:" if kind == "source" else ""
    return f"dbt build --select {quote(f'{method}{incident.name}+')}"  # it is pasted into a shell


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
