"""Commands that look after the store itself."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from observability.cli.app import OUR_ERROR, Format, FormatOption, StoreOption, app, errors, shown

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


@app.command()
def init(
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    print_ddl: Annotated[
        bool,
        typer.Option("--print-ddl", help="Print tables and views as DDL instead, for those who make them by hand."),
    ] = False,
) -> None:
    """Make the audit store, or bring it up to date: datasets, tables, views.

    Only ever adds; what cannot be brought up to date so is refused. Doing it twice does nothing more.
    """
    with errors():
        from observability.config import load_settings
        from observability.pipeline.storing import init_store, store_ddl

        settings = load_settings(store=store)
        if print_ddl:
            with shown():
                typer.echo(store_ddl(settings), nl=False)
            return
        done = init_store(settings, dry_run=dry_run)
        with shown():
            for what in done:
                typer.echo(f"would {what}" if dry_run else what)
            typer.echo(
                f"{settings.store} {'needs nothing' if not done else 'is not touched' if dry_run else 'is ready'}"
            )


@app.command()
def replay(store: StoreOption = None) -> None:
    """Store the loads that were kept aside while the store did not answer. The next ingest does the same.

    Exit code 0, or 2 where some are left.
    """
    with errors():
        from observability.config import load_settings
        from observability.pipeline.storing import replay as store_again
        from observability.terminal.plain import plain_error

        done = store_again(load_settings(store=store))
        with shown():
            typer.echo(f"{done.stored} stored, {done.unchanged} were stored already, {done.left} left")
        for error in done.errors:
            typer.echo(f"dbt-observe: {plain_error(error)}", err=True)
        if done.left:
            raise typer.Exit(OUR_ERROR)


@app.command()
def prune(
    keep_days: Annotated[int, typer.Option("--keep-days", metavar="N", help="Days of runs to keep.")],
    store: StoreOption = None,
    dry_run: DryRunOption = False,
    output: FormatOption = Format.TEXT,
) -> None:
    """Remove runs past retention, and what was never committed.

    What opened an incident that is still open is kept, and the project states that a kept run names.
    """
    with errors():
        from observability.config import load_settings
        from observability.pipeline.storing import prune as remove
        from observability.terminal.machine import print_json

        removed = remove(load_settings(store=store), datetime.now(UTC), keep_days, dry_run=dry_run)
        with shown():
            if output is Format.JSON:
                print_json({"dry_run": dry_run, "removed": dict(removed)})
                return
            for table, rows in removed.items():
                what = f"{rows:,} {'row' if rows == 1 else 'rows'} of {table}"
                typer.echo(f"{'would remove' if dry_run else 'removed'} {what}")
