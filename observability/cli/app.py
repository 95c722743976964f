"""The application that all commands register with: shared options, and how errors and output are told."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer

from observability.errors import ObserveError
from observability.version import __version__

OUR_ERROR = 2
"""Exit code of a fault that is ours or our input's; findings have 1, and `run` always has dbt's own."""


class Format(StrEnum):
    """For people or for machines."""

    TEXT = "text"
    JSON = "json"


app = typer.Typer(
    name="dbt-observe",
    help="Watches dbt from the outside: stores what each dbt step leaves behind, and tells what broke and who is hurt.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

StoreOption = Annotated[
    str | None,
    typer.Option("--store", metavar="URL", help="Audit store, such as duckdb:///.dbt_observe/audit.duckdb."),
]
EnvironmentOption = Annotated[
    str | None,
    typer.Option("--environment", metavar="NAME", help="Name of the deployment; else dbt's --target, else default."),
]
FormatOption = Annotated[Format, typer.Option("--format", help="text for people, json for machines.")]
WillRetryOption = Annotated[
    bool, typer.Option("--will-retry", help="The orchestrator will try this step again if it failed.")
]
AlertOption = Annotated[bool, typer.Option("--alert", help="Then tell Slack what is new, as dbt-observe alert does.")]
NoAlertOption = Annotated[bool, typer.Option("--no-alert", help="This load never leads to a message, as a backfill.")]


def _version(show: bool) -> None:
    if show:
        typer.echo(f"dbt-observe {__version__}")
        raise typer.Exit


@app.callback()
def root(
    _version_option: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Watches dbt from the outside: stores what each dbt step leaves behind, and tells what broke and who is hurt."""


def moment(text: str | None, option: str) -> datetime | None:
    """An option's timestamp; without a zone it is UTC. Raises ConfigError."""
    if text is None:
        return None
    from observability.errors import ConfigError

    try:
        read = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"{text!r} is no ISO 8601 timestamp",
            where=option,
            next_step="write it as 2026-11-23T06:00:00Z; without a zone it is taken as UTC",
        ) from error
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read


_LENGTH = re.compile(r"(\d{1,6})(m|h|d)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def length_of_time(text: str) -> timedelta | None:
    """A length such as 30m, 4h or 2d; None where it is none."""
    found = _LENGTH.fullmatch(text.strip())
    return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None


@contextmanager
def errors() -> Iterator[None]:
    """Tell an error of ours in three lines instead of a traceback."""
    try:
        yield
    except ObserveError as error:
        from observability.terminal.plain import plain_error

        typer.echo(f"dbt-observe: {plain_error(error)}", err=True)
        raise typer.Exit(OUR_ERROR) from error


@contextmanager
def shown() -> Iterator[None]:
    """Tell of an output that cannot be written; a reader that went away (`| head`) is left to click."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ObserveError(
            f"the output cannot be written: {error.strerror}",
            where="standard output",
            next_step="make room where it goes; what was to be stored is stored",
        ) from error
