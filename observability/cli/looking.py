"""The command that writes and checks the LookML project."""

from pathlib import Path
from typing import Annotated

import typer

from observability.cli.app import Format, FormatOption, app, errors, shown

_FOUND = 1


@app.command()
def lookml(
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Write the project into this folder, the root of a repository."),
    ] = None,
    check: Annotated[
        Path | None, typer.Option("--check", metavar="DIR", help="Check the project in this folder, yours included.")
    ] = None,
    connection: Annotated[
        str, typer.Option("--connection", metavar="NAME", help="Looker's connection to BigQuery.")
    ] = "bigquery",
    project: Annotated[
        str | None, typer.Option("--project", metavar="ID", help="BigQuery project of the views; else the store's.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", metavar="NAME", help="Dataset of the views; else the store's.")
    ] = None,
    airflow_url: Annotated[
        str, typer.Option("--airflow-url", metavar="URL", help="Airflow, for links to DAG runs.")
    ] = "",
    dbt_docs_url: Annotated[
        str, typer.Option("--dbt-docs-url", metavar="URL", help="dbt's docs, for links to nodes.")
    ] = "",
    triage_url: Annotated[
        str | None,
        typer.Option("--triage-url", metavar="URL", help="Folder of triage pages, for links; else report.url."),
    ] = None,
    greenery: Annotated[
        bool, typer.Option("--greenery/--no-greenery", help="With the conversion funnel of the Greenery shop.")
    ] = True,
    greenery_dataset: Annotated[
        str, typer.Option("--greenery-dataset", metavar="NAME", help="Dataset of the shop's fct_sessions.")
    ] = "greenery",
    store: Annotated[
        str | None,
        typer.Option("--store", metavar="URL", help="With --check: ask this store for every field, key and join."),
    ] = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Write a LookML project of the audit views for Looker, or check one.

    Where a file was changed, or is somebody else's, nothing is written. Exit code 1 where a check found something.
    """
    with errors():
        from observability.config import load_settings
        from observability.errors import ConfigError
        from observability.pipeline.looking import check_lookml, lookml_place, write_lookml
        from observability.terminal.looking import show_checked, show_written

        as_json = output is Format.JSON
        if (out is None) == (check is None):
            raise ConfigError(
                "either a project is written or one is checked",
                where="--out, --check",
                next_step="say --out DIR or --check DIR",
            )
        if check is not None:
            found = check_lookml(check, load_settings(store=store) if store else None)
            with shown():
                show_checked(found, as_json=as_json)
            if found.problems:
                raise typer.Exit(_FOUND)
        if out is not None:
            settings = load_settings(store=store)
            place = lookml_place(
                settings.store,
                connection=connection,
                project=project,
                dataset=dataset,
                airflow_url=airflow_url.rstrip("/"),
                dbt_docs_url=dbt_docs_url.rstrip("/"),
                triage_url=(settings.report.url or "" if triage_url is None else triage_url).rstrip("/"),
                greenery=greenery_dataset if greenery else None,
            )
            done = write_lookml(place, out)
            with shown():
                show_written(done, out, place, as_json=as_json)
