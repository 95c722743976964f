"""The command that writes the triage page."""

from typing import Annotated

import typer

from observability.cli.app import EnvironmentOption, Format, FormatOption, StoreOption, app, errors, shown


@app.command()
def report(
    run: Annotated[
        str, typer.Argument(metavar="[latest]", help="The newest run; others by --invocation or --dag-run.")
    ] = "latest",
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="FILE", help="Write the page to this file, or URI in an object store."),
    ] = None,
    index: Annotated[
        str | None,
        typer.Option("--index", metavar="DIR", help="Put it into this folder or prefix too, and list its pages anew."),
    ] = None,
    invocation: Annotated[
        str | None, typer.Option("--invocation", metavar="ID", help="The run that this dbt invocation is a part of.")
    ] = None,
    dag_run: Annotated[
        str | None, typer.Option("--dag-run", metavar="ID", help="An Airflow DAG run: its id, or dag_id/run_id.")
    ] = None,
    store: StoreOption = None,
    environment: EnvironmentOption = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Write the triage page: one HTML file of what is broken, why, whom it hurts and what to do next.

    Where neither --out nor --index says where, it goes to the setting report.to.
    """
    with errors():
        from observability.config import load_settings
        from observability.errors import ConfigError
        from observability.pipeline.reporting import Wanted, write_report
        from observability.terminal.pages import show_page

        if run != "latest" or (invocation and dag_run):
            raise ConfigError(
                "a page is of one run", where=run, next_step="say latest, or --invocation ID, or --dag-run ID"
            )
        settings = load_settings(store=store)
        to = index or (None if out else settings.report.to)
        if not (out or to):
            raise ConfigError(
                "it is not said where the page is to go",
                where="--out, --index",
                next_step="say --out page.html, or --index DIR for a folder of pages",
            )
        where = environment or (settings.environment if not invocation else None) or ""
        wanted = Wanted(invocation=invocation or "", dag_run=dag_run or "", environment=where)
        done = write_report(settings, wanted, out=out, index=to)
        with shown():
            show_page(done, as_json=output is Format.JSON)
