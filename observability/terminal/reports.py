"""What `status`, `alert` and `validate` print."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from observability.alerts.incidents import Incident, Kind, Severity, exposures_at_risk
from observability.alerts.message import Message, build_message, duration
from observability.artifacts.judgement import Validation
from observability.pipeline import Status
from observability.terminal.machine import print_json

_STYLES = {
    "success": "green",
    "warning": "yellow",
    "failure": "red",
    "interrupted": "red",
    "not_run": "red",
}
_WHOLE = {"project", "environment", "step", "began (UTC)", "last good", "since (UTC)", "source", "exposure"}
_FILE_WIDTH = 140
"""Columns of what goes to a file or a pipe, where nobody says how many there are."""
_MARKS = {Severity.CRITICAL: ("●", "bold red"), Severity.ERROR: ("●", "red"), Severity.WARNING: ("▲", "yellow")}


def _console(*, stderr: bool = False) -> Console:
    # dbt's text is data: neither markup nor emoji codes in it mean anything
    console = Console(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    return console


def show_status(status: Status, store: str, *, as_json: bool) -> None:
    """What runs, what fails, which sources are stale, and who is hurt."""
    if as_json:
        print_json(_status_json(status, store))
        return
    console = _console()
    console.print(_steps_table(status))
    failing = [one for one in status.incidents if one.kind is not Kind.SOURCE_STALE]
    stale = [one for one in status.incidents if one.kind is Kind.SOURCE_STALE]
    if not status.incidents:
        console.print(Text("Nothing fails now.", "green"))
    if failing:
        console.print(_incidents_table(failing, status.as_of))
    if stale:
        console.print(_sources_table(stale))
    at_risk = exposures_at_risk(status.incidents)
    if at_risk:
        console.print(_exposures_table(at_risk))
    console.print(Text(f"as of {_clock(status.as_of)} UTC, from {store}", "dim"))


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, header_style="dim", overflow="fold", no_wrap=column in _WHOLE)
    return table


def _steps_table(status: Status) -> Table:
    table = _table("Last steps", "project", "environment", "step", "began (UTC)", "outcome", "last good")
    for step in status.steps:
        outcome = str(step["outcome"])
        table.add_row(
            *_texts(
                step["project_name"] or "-",
                step["environment"],
                f"dbt {step['command'] or '(unknown)'}" + (f" ({step['task_id']})" if step["task_id"] else ""),
                _clock(step["started_at"]),
            ),
            Text(outcome, _STYLES.get(outcome, "")),
            Text(_clock(step["last_good_at"]) if step["last_good_at"] else "never"),
        )
    return table


def _incidents_table(incidents: Sequence[Incident], now: datetime) -> Table:
    table = _table("\nFails now", "", "what", "since (UTC)", "why", "blocks", "hurts", "owner")
    for incident in incidents:
        message = build_message(incident, now)
        why = next((text for label, text in message.lines if label == "Why"), "")
        table.add_row(
            Text(*_MARKS[incident.severity]),
            *_texts(
                message.headline.rpartition(" in ")[0],
                f"{_clock(incident.since)} ({duration((now - incident.since).total_seconds())})",
                why,
                str(len(incident.blocked) + len(incident.folded) or ""),
                str(len(incident.exposures) or ""),
                incident.owner or "",
            ),
        )
    return table


def _sources_table(incidents: Sequence[Incident]) -> Table:
    table = _table("\nStale sources", "", "source", "age", "warns after", "error after", "hurts", "owner")
    for incident in incidents:
        table.add_row(
            Text(*_MARKS[incident.severity]),
            *_texts(
                incident.name,
                duration(incident.age_seconds) if incident.age_seconds is not None else "no rows",
                duration(incident.warn_after_seconds) if incident.warn_after_seconds else "-",
                duration(incident.error_after_seconds) if incident.error_after_seconds else "-",
                str(len(incident.exposures) or ""),
                incident.owner or "",
            ),
        )
    return table


def _exposures_table(at_risk: Sequence[tuple[Any, list[Incident]]]) -> Table:
    table = _table("\nExposures at risk", "exposure", "risk", "because of", "distance", "owner", "url")
    for exposure, incidents in at_risk:
        table.add_row(
            Text(exposure.name + (" (critical)" if exposure.critical else ""), "bold" if exposure.critical else ""),
            Text(exposure.risk.value, "red" if exposure.risk.value == "suspect" else "yellow"),
            *_texts(
                ", ".join(dict.fromkeys(incident.name for incident in incidents)),
                str(exposure.distance),
                " ".join(part for part in (exposure.owner, exposure.owner_email) if part),
                exposure.url or "",
            ),
        )
    return table


def _texts(*values: object) -> list[Text]:
    return [Text(str(value)) for value in values]


def _clock(moment: object) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if isinstance(moment, datetime) else "-"


def _status_json(status: Status, store: str) -> dict[str, object]:
    return {
        "as_of": status.as_of,
        "store": store,
        "steps": status.steps,
        "failing": [one for one in status.incidents if one.kind is not Kind.SOURCE_STALE],
        "stale_sources": [one for one in status.incidents if one.kind is Kind.SOURCE_STALE],
        "exposures_at_risk": [
            {
                **msgspec.to_builtins(exposure),
                "because_of": [incident.subject for incident in incidents],
            }
            for exposure, incidents in exposures_at_risk(status.incidents)
        ],
    }


def show_messages(messages: Sequence[Message], *, as_json: bool) -> None:
    """Each message as people would read it."""
    if as_json:
        print_json({"messages": messages})
        return
    console = _console()
    if not messages:
        console.print(Text("Nothing to tell: no incident is open.", "green"))
    for number, message in enumerate(messages):
        mark, style = _MARKS[message.severity]
        console.print(
            Text.assemble("\n" if number else "", (f"{mark} {message.severity}: ", style), (message.headline, "bold"))
        )
        for label, text in message.lines:
            console.print(Text.assemble((f"  {label:<8}", "dim"), text))


def show_validation(report: Validation, *, as_json: bool) -> None:
    """What deviates, file by file; errors go to stderr in either form."""
    for error in report.errors:
        _console(stderr=True).print(Text(f"dbt-observe: {error}"))
    if as_json:
        print_json({"files": report.files})
        return
    console = _console()
    for file in report.files:
        if file.reason:
            verdict = Text(f"not judged: {file.reason}", "yellow")
        elif file.deviations:
            verdict = Text(f"{sum(one.count for one in file.deviations):,} deviations", "red")
        else:
            verdict = Text("conforms", "green")
        console.print(Text.assemble((str(file.path), "bold"), f"  {file.schema}  ", verdict))
        for one in file.deviations:
            times = f"  ({one.count:,} times, first at {one.example})" if one.count > 1 else ""
            console.print(Text(f"  {one.path}: {one.problem}{times}"))
