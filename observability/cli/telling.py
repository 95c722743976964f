"""Commands that tell people, and by which people answer."""

from datetime import UTC, datetime
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from observability.cli.app import (
    OUR_ERROR,
    Format,
    FormatOption,
    StoreOption,
    app,
    errors,
    length_of_time,
    moment,
    shown,
)

if TYPE_CHECKING:
    from observability.alerts.delivery import Telling
    from observability.config import Settings

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print what would be told; nobody is told.")]
IncidentArgument = Annotated[
    str, typer.Argument(metavar="INCIDENT", help="Its id or the beginning of it, or the name of what is wrong.")
]
ByOption = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who you are; else your login name.")]
ReasonOption = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why, in your words.")]
TellOption = Annotated[bool, typer.Option("--alert", help="Tell Slack at once; else the next alert does.")]


@app.command()
def alert(
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    to_terminal: Annotated[
        bool, typer.Option("--print", help="Tell this terminal in place of Slack, each change once.")
    ] = False,
    preview: Annotated[
        Path | None,
        typer.Option(
            "--preview", metavar="FILE", help="With --dry-run: an HTML page of the messages, as Slack shows them."
        ),
    ] = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Tell Slack what broke, who is hurt, what to do next, and when it is well again; each change once.

    Exit code 0, or 2 where something could not be told.
    """
    with errors():
        from observability.config import load_settings
        from observability.pipeline.alerting import alert as tell
        from observability.pipeline.alerting import rehearse
        from observability.terminal.telling import show_printed, show_rehearsal

        settings = load_settings(store=store)
        if dry_run or preview:
            messages = rehearse(settings)
            if preview:
                from observability.terminal.previews import write_preview

                write_preview(messages, preview)
            with shown():
                show_rehearsal(messages, as_json=output is Format.JSON)
            return
        _report(tell(settings, show=show_printed if to_terminal else None), output)


def _report(telling: "Telling", output: Format) -> None:
    from observability.terminal.telling import show_telling

    with shown():
        show_telling(telling, as_json=output is Format.JSON)
    if telling.failed or telling.dead or telling.problems:
        raise typer.Exit(OUR_ERROR)


@app.command()
def tick(store: StoreOption = None, output: FormatOption = Format.TEXT) -> None:
    """What cron calls every ten minutes: store what was kept aside, then tell what is new, as alert does.

    It is the clock that sees a retry that never came, or a step that is overdue. Exit code 0, or 2 where something
    could not be stored or told.
    """
    with errors():
        from observability.config import load_settings
        from observability.pipeline.ticking import tick as do_all
        from observability.terminal.telling import show_tick

        done = do_all(load_settings(store=store))
        with shown():
            show_tick(done, as_json=output is Format.JSON)
        if not done.is_well:
            raise typer.Exit(OUR_ERROR)


@app.command()
def digest(store: StoreOption = None, dry_run: DryRunOption = False, output: FormatOption = Format.TEXT) -> None:
    """Post the day's summary: what is at risk, what is open, what came and went; also when all is well.

    Once a day (UTC), however often it is called. Exit code 0, or 2 where it could not be posted.
    """
    with errors():
        from observability.config import load_settings
        from observability.pipeline.alerting import send_digest
        from observability.terminal.telling import show_digest

        payload, is_posted = send_digest(load_settings(store=store), dry_run=dry_run)
        with shown():
            show_digest(payload, is_posted=None if dry_run else is_posted, as_json=output is Format.JSON)
        if not (dry_run or is_posted):
            raise typer.Exit(OUR_ERROR)


@app.command()
def resend(
    incidents: Annotated[
        list[str] | None, typer.Argument(metavar="[INCIDENT]...", help="Ids of incidents; else all that was given up.")
    ] = None,
    store: StoreOption = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Try again to tell what was given up, which `status` lists, and all else that is new."""
    with errors():
        from observability.config import load_settings
        from observability.pipeline.alerting import resend as tell_again

        _report(tell_again(load_settings(store=store), incidents or ()), output)


@app.command()
def incidents(
    only_open: Annotated[bool, typer.Option("--open", help="Only what is not well.")] = False,
    days: Annotated[
        int, typer.Option("--days", min=0, metavar="N", help="Those that ended in the last N days too.")
    ] = 7,
    store: StoreOption = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Incidents, the worst first: since when, whom they hurt, who is on it."""
    with errors():
        from observability.config import load_settings
        from observability.pipeline.attending import list_incidents
        from observability.terminal.telling import show_incidents

        found = list_incidents(load_settings(store=store), days=0 if only_open else days)
        wanted = [one for one in found if not (only_open and one.state.is_over)]
        with shown():
            show_incidents(wanted, datetime.now(UTC), as_json=output is Format.JSON)


@app.command()
def ack(
    incident: IncidentArgument,
    reason: ReasonOption = None,
    by: ByOption = None,
    tell: TellOption = False,
    store: StoreOption = None,
) -> None:
    """Say that you are on it: nobody is called to it any more, unless it becomes another or a critical one."""
    _act("ack", incident, by=by, reason=reason, tell=tell, store=store)


@app.command()
def snooze(
    incident: IncidentArgument,
    until: Annotated[
        str, typer.Option("--until", metavar="WHEN", help="4h, 2d or an ISO timestamp; without a zone it is UTC.")
    ],
    reason: ReasonOption = None,
    by: ByOption = None,
    tell: TellOption = False,
    store: StoreOption = None,
) -> None:
    """Let nobody be called to it for a while; what is still wrong then is told again."""
    _act("snooze", incident, by=by, reason=reason, tell=tell, store=store, until=until)


@app.command()
def unsnooze(
    incident: IncidentArgument, by: ByOption = None, tell: TellOption = False, store: StoreOption = None
) -> None:
    """End a snooze."""
    _act("unsnooze", incident, by=by, reason=None, tell=tell, store=store)


@app.command()
def resolve(
    incident: IncidentArgument,
    reason: ReasonOption = None,
    by: ByOption = None,
    tell: TellOption = False,
    store: StoreOption = None,
) -> None:
    """Say that it is over, though no run has shown it: told as resolved, and as back when it is seen again."""
    _act("resolve", incident, by=by, reason=reason, tell=tell, store=store)


def _act(
    name: str,
    incident: str,
    *,
    by: str | None,
    reason: str | None,
    tell: bool,
    store: str | None,
    until: str | None = None,
) -> None:
    with errors():
        from observability.alerts.actions import Action
        from observability.config import load_settings
        from observability.pipeline.attending import Deed, act
        from observability.terminal.plain import plain

        settings = load_settings(store=store)
        deed = Deed(action=Action(name), acted_by=by or getuser(), until=_until(until), reason=reason)
        found = act(settings, incident, deed)
        with shown():
            typer.echo(plain(f"{_DONE[name]}: {found.name} ({found.id[:12]})"))
        if tell:
            _tell(settings)


_DONE = {"ack": "acknowledged", "snooze": "snoozed", "unsnooze": "no longer snoozed", "resolve": "resolved"}


def _tell(settings: "Settings") -> None:
    from observability.pipeline.alerting import alert as tell_all

    _report(tell_all(settings), Format.TEXT)


def _until(text: str | None) -> datetime | None:
    """A moment, or how long from now."""
    length = length_of_time(text) if text else None
    return datetime.now(UTC) + length if length else moment(text, "--until")


@app.command()
def route(
    node: Annotated[str, typer.Argument(metavar="NODE", help="Name or unique_id of a model, source, test, …")],
    store: StoreOption = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Explain who would hear of it if a node failed now, and why."""
    with errors():
        from observability.config import load_settings
        from observability.pipeline.attending import explain_route
        from observability.terminal.telling import show_routes

        found = explain_route(load_settings(store=store), node)
        with shown():
            show_routes(found, as_json=output is Format.JSON)
