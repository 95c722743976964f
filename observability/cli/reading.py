"""Commands that answer questions of what is stored."""

from enum import StrEnum
from typing import Annotated

import typer

from observability.cli.app import Format, FormatOption, StoreOption, app, errors, shown


@app.command()
def status(store: StoreOption = None, output: FormatOption = Format.TEXT) -> None:
    """What runs, what fails now and since when, why, and who is hurt."""
    with errors():
        from observability.config import load_settings
        from observability.pipeline.questions import current_status
        from observability.terminal.reports import show_status

        settings = load_settings(store=store)
        found = current_status(settings)
        with shown():
            show_status(found, settings.store, as_json=output is Format.JSON)


class Dialect(StrEnum):
    """The SQL of one of the engines."""

    GOOGLESQL = "googlesql"
    DUCKDB = "duckdb"


class TableFormat(StrEnum):
    """How rows are written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


ViewArgument = Annotated[str, typer.Argument(metavar="VIEW", help="Name of a view, such as incidents.")]


@app.command()
def sql(
    view: ViewArgument,
    store: StoreOption = None,
    dialect: Annotated[
        Dialect | None, typer.Option("--dialect", help="googlesql or duckdb; else that of the store.")
    ] = None,
) -> None:
    """Print the SQL of a view, as the store runs it or in the other dialect."""
    with errors():
        from observability.config import load_settings
        from observability.pipeline.questions import view_sql

        text = view_sql(load_settings(store=store), view, dialect.value if dialect else None)
        with shown():
            typer.echo(text)


@app.command()
def query(
    view: ViewArgument,
    where: Annotated[
        str | None, typer.Option("--where", metavar="SQL", help="Condition in GoogleSQL, such as \"state = 'open'\".")
    ] = None,
    columns: Annotated[
        str | None, typer.Option("--columns", metavar="A,B", help="Columns to show, in this order; else all.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, metavar="N", help="Rows at most; 0 for all.")] = 100,
    output: Annotated[TableFormat, typer.Option("--format", help="table for people, json or csv.")] = TableFormat.TABLE,
    store: StoreOption = None,
) -> None:
    """Read rows of a view, sorted by its key.

    What --limit cuts off is told on stderr.
    """
    with errors():
        from observability.config import load_settings
        from observability.pipeline.questions import query_view
        from observability.terminal.tables import show_rows

        names = [name.strip() for name in columns.split(",")] if columns else []
        rows = query_view(load_settings(store=store), view, where=where, columns=names, limit=limit)
        with shown():
            show_rows(rows, output.value)
