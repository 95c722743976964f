"""What `status`, `alert` and `validate` print."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from observability.alerts.exposures import Exposure
from observability.alerts.incidents import Incident, Kind, Severity, exposures_at_risk
from observability.alerts.message import build_message, duration, listing, short_name, where
from observability.artifacts.judgement import Validation
from observability.pipeline.questions import Status
from observability.terminal.console import console, table, texts
from observability.terminal.machine import print_json
from observability.terminal.plain import plain, plain_error

_STYLES = {
    "success": "green",
    "warning": "yellow",
    "failure": "red",
    "interrupted": "red",
    "not_run": "red",
}
_MARKS = {Severity.CRITICAL: ("●", "bold red"), Severity.ERROR: ("●", "red"), Severity.WARNING: ("▲", "yellow")}


def show_status(status: Status, store: str, *, as_json: bool) -> None:
    """What runs, what fails, which sources are stale, and who is hurt."""
    if as_json:
        print_json(_status_json(status, store))
        return
    out = console()
    out.print(_steps_table(status))
    failing, stale, fixed = _by_state(status)
    if not failing and not stale:
        out.print(Text("Nothing fails now.", "green"))
    if failing:
        out.print(_incidents_table(failing, status))
    if stale:
        out.print(_sources_table(stale))
    if fixed:
        out.print(_fixed_table(fixed))
    at_risk = exposures_at_risk(status.incidents)
    if status.untold:
        out.print(_untold_table(status))
    if at_risk:
        out.print(_exposures_table(at_risk, status))
    out.print(Text(f"as of {_clock(status.as_of)} UTC, from {plain(store)}", "dim"))


def _by_state(status: Status) -> tuple[list[Incident], list[Incident], list[Incident]]:
    """What fails, the sources that are stale, and what is fixed while others wait to be rebuilt."""
    is_open = [one for one in status.incidents if not one.fixed]
    return (
        [one for one in is_open if one.kind is not Kind.SOURCE_STALE],
        [one for one in is_open if one.kind is Kind.SOURCE_STALE],
        [one for one in status.incidents if one.fixed],
    )


def _steps_table(status: Status) -> Table:
    rows = table("Last steps", "project", "environment", "step", "began (UTC)", "outcome", "last good")
    for step in status.steps:
        outcome = str(step["outcome"])
        rows.add_row(
            *texts(
                step["project_name"] or "-",
                step["environment"],
                f"dbt {step['command'] or '(unknown command)'} ({step['step']})" if step["task_id"] else step["step"],
                _clock(step["started_at"]),
            ),
            Text(plain(outcome), _STYLES.get(outcome, "")),
            Text(_clock(step["last_good_at"]) if step["last_good_at"] else "never"),
        )
    return rows


def _several(status: Status) -> bool:
    """Whether the store holds more than one project or environment, so that each line has to say which it is of."""
    return len({(step["project_name"], step["environment"]) for step in status.steps}) > 1


def _incidents_table(incidents: Sequence[Incident], status: Status) -> Table:
    now, several = status.as_of, _several(status)
    rows = table("\nFails now", "", "what", "since (UTC)", "why", "blocks", "hurts", "owner")
    for incident in incidents:
        message = build_message(incident, now=now)
        why = next((text for label, text in message.lines if label == "Why"), "")
        rows.add_row(
            Text(*_MARKS[incident.severity]),
            *texts(
                message.headline if several else message.headline.removesuffix(f" in {where(incident)}"),
                f"{_clock(incident.since)} ({duration((now - incident.since).total_seconds())})",
                why,
                str(len(incident.blocked) + len(incident.folded) or ""),
                str(len(incident.exposures) or ""),
                incident.owner or "",
            ),
        )
    return rows


def _sources_table(incidents: Sequence[Incident]) -> Table:
    rows = table("\nStale sources", "", "source", "age", "warns after", "error after", "hurts", "owner")
    for incident in incidents:
        rows.add_row(
            Text(*_MARKS[incident.severity]),
            *texts(
                incident.name,
                duration(incident.age_seconds) if incident.age_seconds is not None else "no rows",
                duration(incident.warn_after_seconds) if incident.warn_after_seconds else "-",
                duration(incident.error_after_seconds) if incident.error_after_seconds else "-",
                str(len(incident.exposures) or ""),
                incident.owner or "",
            ),
        )
    return rows


def _fixed_table(incidents: Sequence[Incident]) -> Table:
    rows = table("\nFixed, not rebuilt yet", "what", "waiting", "hurts", "owner")
    for incident in incidents:
        rows.add_row(
            *texts(
                incident.name,
                listing([short_name(node) for node in (*incident.blocked, *incident.folded)]),
                str(len(incident.exposures) or ""),
                incident.owner or "",
            ),
        )
    return rows


def _untold_table(status: Status) -> Table:
    """What Slack did not take: given up, or to be tried again by the next alert."""
    rows = table("\nNot told (dbt-observe resend tries again what was given up)", "channel", "what", "state", "why")
    for row in status.untold:
        channel, _, key = row["stream"].partition("/")
        state = "given up" if row["state"] == "dead" else f"failed {row['attempts']} times"
        rows.add_row(*texts(channel, f"{row['transition']}: {key}", state, row["error"] or ""))
    return rows


def _exposures_table(at_risk: Sequence[tuple[Exposure, list[Incident]]], status: Status) -> Table:
    several = _several(status)
    rows = table("\nExposures at risk", "exposure", "risk", "because of", "distance", "owner", "url")
    for exposure, incidents in at_risk:
        name = plain(exposure.name) + (" (critical)" if exposure.critical else "")
        rows.add_row(
            Text(f"{name} in {plain(where(incidents[0]))}" if several else name, "bold" if exposure.critical else ""),
            Text(exposure.risk.value, "red" if exposure.risk.value == "suspect" else "yellow"),
            *texts(
                ", ".join(dict.fromkeys(incident.name for incident in incidents)),
                str(exposure.distance),
                " ".join(dict.fromkeys(part for part in (exposure.owner, exposure.owner_email) if part)),
                exposure.url or "",
            ),
        )
    return rows


def _clock(moment: object) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if isinstance(moment, datetime) else "-"


_UNTOLD = ("incident_key", "incident_id", "stream", "transition", "state", "attempts", "error", "loaded_at")


def _status_json(status: Status, store: str) -> dict[str, object]:
    failing, stale, fixed = _by_state(status)
    return {
        "as_of": status.as_of,
        "store": store,
        "steps": status.steps,
        "failing": failing,
        "stale_sources": stale,
        "fixed": fixed,
        "untold": [{name: row[name] for name in _UNTOLD} for row in status.untold],
        "exposures_at_risk": [
            {
                "project_name": incidents[0].project_name,
                "environment": incidents[0].environment,
                **msgspec.to_builtins(exposure),
                "because_of": [incident.subject for incident in incidents],
            }
            for exposure, incidents in exposures_at_risk(status.incidents)
        ],
    }


def show_validation(report: Validation, *, as_json: bool) -> None:
    """What deviates, file by file; errors go to stderr in either form."""
    for error in report.errors:
        typer.echo(f"dbt-observe: {plain_error(error)}", err=True)
    if as_json:
        print_json({"files": report.files})
        return
    out = console()
    for file in report.files:
        if file.reason:
            verdict = Text(f"not judged: {plain(file.reason)}", "yellow")
        elif file.deviations:
            count = sum(one.count for one in file.deviations)
            verdict = Text(f"{count:,} deviation{'' if count == 1 else 's'}", "red")
        else:
            verdict = Text("conforms", "green")
        out.print(Text.assemble((plain(file.path), "bold"), f"  {plain(file.schema)}  ", verdict))
        for one in file.deviations:
            times = f"  ({one.count:,} times, first at {one.example})" if one.count > 1 else ""
            out.print(Text(f"  {plain(f'{one.path}: {one.problem}{times}')}"))
