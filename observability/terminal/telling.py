"""What `alert`, `digest`, `incidents`, `route` and their like print."""

import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

import typer
from rich.text import Text

from observability.alerts.delivery import Telling
from observability.alerts.incidents import Incident, State
from observability.alerts.message import build_message, duration, tell_attention
from observability.alerts.outbox import Operation
from observability.alerts.printing import Printed
from observability.alerts.slack.block_kit import Payload
from observability.pipeline.attending import Explanation
from observability.pipeline.ticking import Tick
from observability.terminal.console import console, table, texts
from observability.terminal.machine import print_json
from observability.terminal.plain import plain, plain_error

_REFERENCE = re.compile(r"<([^<>|]+)(?:\|([^<>]+))?>")
_LABEL = re.compile(r"^\*([^*\n]+)\*(?:  )?")
_ENTITIES = {"&lt;": "<", "&gt;": ">", "&amp;": "&"}
_ID = 12
"""Characters of an incident's id that are shown: enough to name it by."""


def show_rehearsal(messages: Sequence[Printed], *, as_json: bool) -> None:
    """What would be told: as people would read it, or as Slack would be sent it."""
    if as_json:
        print_json({"messages": [_as_sent(one) for one in messages]})
        return
    for one in messages:
        show_printed(one)
    if not messages:
        console().print(Text("Nothing to tell.", "green"))


def show_printed(one: Printed) -> None:
    """A message, an answer below it or an edit, as people would read it."""
    where = {
        Operation.POST: f"\n# {one.channel}",
        Operation.REPLY: "  ↳ in the thread" + (", and to all" if one.broadcast else ""),
        Operation.UPDATE: "  ✎ the message says now",
    }[one.operation]
    out = console()
    out.print(Text(plain(where.lstrip("\n")) if one.operation is not Operation.POST else where, "dim"))
    lines = payload_lines(one.payload)
    if one.operation is Operation.UPDATE:
        lines = lines[:2]  # what it is now; the rest is as it was, or follows from it
    for number, (label, text) in enumerate(lines):
        shown = plain(text)
        if label:
            out.print(Text.assemble((f"    {plain(label):<8} ", "dim"), shown))
        else:
            is_title = number == 0 and one.operation is not Operation.REPLY
            out.print(Text(f"    {shown}" if not is_title else f"  {shown}", "bold" if is_title else ""))


def payload_lines(payload: Payload) -> list[tuple[str, str]]:
    """What a message says, line by line: a label, or none, and text without Slack's markup."""
    if not payload.blocks:
        return [("", _unmarked(line)) for line in payload.text.splitlines()]
    found: list[tuple[str, str]] = []
    for block in payload.blocks:
        holders = block.get("elements") or [block["text"]]
        for holder in holders:
            is_marked = holder["type"] == "mrkdwn"
            found += [_line(line) if is_marked else ("", line) for line in holder["text"].splitlines()]
    return found


def _line(line: str) -> tuple[str, str]:
    label = _LABEL.match(line)
    rest = line[label.end() :] if label else line
    if label and not rest:
        return "", _unmarked(label[1])
    return (_unmarked(label[1]) if label else ""), _unmarked(rest)


def _unmarked(text: str) -> str:
    def named(found: re.Match[str]) -> str:
        target, label = found[1], found[2]
        if target.startswith(("@", "!subteam^")):
            return f"@{target.removeprefix('@').removeprefix('!subteam^')}"
        return f"{label}: {target}" if label else target

    bare = _REFERENCE.sub(named, text).replace("`", "")
    return re.sub("&lt;|&gt;|&amp;", lambda found: _ENTITIES[found[0]], bare)


def _as_sent(one: Printed) -> dict[str, object]:
    sent = {"operation": one.operation.value, "channel": one.channel, "ts": one.ts, "thread_ts": one.thread_ts}
    return {**sent, "broadcast": one.broadcast, "text": one.payload.text, "blocks": one.payload.blocks}


def show_telling(telling: Telling, *, as_json: bool) -> None:
    """Show what was told, and on stderr what kept something from being told."""
    for problem in telling.problems:
        typer.echo(f"dbt-observe: {plain(problem)}", err=True)
    if as_json:
        print_json(asdict(telling))
        return
    if telling.elsewhere:
        typer.echo("another process is telling; it sees what is new too")
        return
    parts = [f"{telling.done} told" if telling.done else "nothing new was told"]
    parts += [f"{count} {name}" for count, name in ((telling.failed, "failed"), (telling.dead, "given up")) if count]
    parts += [f"{telling.left} still to be told"] if telling.left else []
    typer.echo(", ".join(parts))


def show_tick(tick: Tick, *, as_json: bool) -> None:
    """Show what was stored and what was told; on stderr what went wrong."""
    stored = tick.replay
    for error in stored.errors:
        typer.echo(f"dbt-observe: {plain_error(error)}", err=True)
    if as_json:
        for problem in tick.telling.problems:
            typer.echo(f"dbt-observe: {plain(problem)}", err=True)
        counts = {"stored": stored.stored, "unchanged": stored.unchanged, "left": stored.left}
        print_json({"replay": counts, "telling": asdict(tick.telling)})
        return
    if stored.stored or stored.unchanged or stored.left:
        typer.echo(f"{stored.stored} stored, {stored.unchanged} were stored already, {stored.left} left")
    show_telling(tick.telling, as_json=False)


def show_digest(payload: Payload, *, is_posted: bool | None, as_json: bool) -> None:
    """The day's summary; None says that it was not to be posted."""
    if as_json:
        print_json({"text": payload.text, "blocks": payload.blocks, "posted": is_posted})
        return
    show_printed(Printed(Operation.POST, "digest", "", payload))
    if is_posted is not None:
        typer.echo("it is in Slack" if is_posted else "it is not in Slack yet; the next digest or alert finds out why")


def show_incidents(incidents: Sequence[Incident], now: datetime, *, as_json: bool) -> None:
    """Incidents in lines."""
    if as_json:
        print_json({"incidents": [asdict(one) for one in incidents]})
        return
    if not incidents:
        console().print(Text("No incident.", "green"))
        return
    rows = table("", "id", "state", "severity", "what", "since (UTC)", "for", "hurts", "who")
    for one in incidents:
        ended = now if one.state is State.OPEN else one.closed_at or now
        rows.add_row(
            *texts(
                one.id[:_ID],
                one.state.value,
                one.severity.value,
                build_message(one).headline,
                f"{one.since:%Y-%m-%d %H:%M}",
                duration((ended - one.since).total_seconds()),
                str(len(one.exposures) or ""),
                tell_attention(one) or one.owner or "",
            )
        )
    console().print(rows)


def show_routes(explanations: Sequence[Explanation], *, as_json: bool) -> None:
    """Who would hear of a node's failure, and why."""
    if as_json:
        print_json({"routes": [_route_json(one) for one in explanations]})
        return
    out = console()
    for one in explanations:
        where = " / ".join(filter(None, (one.incident.project_name, one.incident.environment)))
        out.print(Text(plain(f"{one.incident.failures[0].unique_id} in {where}"), "bold"))
        hurt = ", ".join(exposure.name for exposure in one.incident.exposures) or "no exposure"
        out.print(Text(plain(f"  {one.incident.severity.value}: a failure hurts {hurt}")))
        for reason in one.route.reasons:
            out.print(Text(plain(f"  {reason}")))


def _route_json(one: Explanation) -> dict[str, object]:
    incident = one.incident
    return {
        "unique_id": incident.failures[0].unique_id,
        "project_name": incident.project_name,
        "environment": incident.environment,
        "severity": incident.severity,
        "exposures": [exposure.unique_id for exposure in incident.exposures],
        **asdict(one.route),
    }
