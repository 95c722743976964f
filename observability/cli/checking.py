"""The command that looks whether the others will work."""

from typing import Annotated

import typer

from observability.cli.app import Format, FormatOption, StoreOption, app, errors, shown

_FAILED = 1


@app.command()
def doctor(
    store: StoreOption = None,
    send: Annotated[
        bool, typer.Option("--send", help="Post a test message to slack.channel and slack.fallback_channel too.")
    ] = False,
    manifest: Annotated[
        bool, typer.Option("--manifest", help="Print the manifest to create the Slack app from; check nothing.")
    ] = False,
    output: FormatOption = Format.TEXT,
) -> None:
    """Check whether telling will work: settings, store, Slack's app, channels, people, what dbt projects say.

    Exit code 0, or 1 where a check failed; nothing is written.
    """
    with errors():
        from observability.pipeline.checking import app_manifest
        from observability.pipeline.checking import doctor as check

        if manifest:
            with shown():
                typer.echo(app_manifest(), nl=False)
            return
        from observability.alerts.checks import State
        from observability.config import load_settings, settings_places
        from observability.terminal.checks import show_checks

        settings = load_settings(store=store)
        places = [*(["--store"] if store else []), *settings_places()]
        with shown():
            checks = show_checks(check(settings, places, send=send), as_json=output is Format.JSON)
        if any(one.state is State.FAILED for one in checks):
            raise typer.Exit(_FAILED)
