"""`dbt-observe`: thin commands over `pipeline`. Heavy imports stay inside them, so that `--help` is quick."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from enum import StrEnum
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

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
    str | None, typer.Option("--environment", metavar="NAME", help="Name of the deployment; else dbt's target.")
]
FormatOption = Annotated[Format, typer.Option("--format", help="text for people, json for machines.")]
WillRetryOption = Annotated[
    bool, typer.Option("--will-retry", help="The orchestrator will try this step again if it failed.")
]
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


@app.command()
def ingest(
    targets: Annotated[
        list[Path],
        typer.Argument(
            metavar="TARGET...",
            help="Folders that dbt wrote to, or trees {dag_id}/{run_id}/{task_id}/{map_index}/{try_number}/ of them.",
        ),
    ],
    store: StoreOption = None,
    environment: EnvironmentOption = None,
    exit_code: Annotated[
        int | None, typer.Option("--exit-code", metavar="N", help="dbt's exit code, which its files do not tell.")
    ] = None,
    command: Annotated[
        str | None, typer.Option("--command", metavar="TEXT", help='The command line, such as "dbt run --select x".')
    ] = None,
    started_after: Annotated[
        str | None,
        typer.Option("--started-after", metavar="ISO", help="When the step began: files from before are not its own."),
    ] = None,
    will_retry: WillRetryOption = False,
    no_alert: NoAlertOption = False,
    output: FormatOption = Format.TEXT,
) -> None:
    """Load the artifacts of dbt steps into the audit store, each exactly once.

    Exit code 0, or 2 where a step could not be loaded.
    """
    with _errors():
        from observability.artifacts.folder import open_folders
        from observability.artifacts.step import Step

        folders = open_folders(targets)  # hashes large files while the rest is imported

        from observability.config import load_settings
        from observability.pipeline import ingest as load
        from observability.terminal.loads import progress_bar, show_ingest

        settings = load_settings(store=store, environment=environment)
        step = Step(exit_code=exit_code, command=command, will_retry=will_retry)
        with progress_bar() as progress:
            report = load(
                folders,
                settings,
                step=step,
                started_after=_moment(started_after, "--started-after"),
                alertable=not no_alert,
                progress=progress,
            )
        with _output():
            show_ingest(report, as_json=output is Format.JSON)
        if report.errors:
            raise typer.Exit(OUR_ERROR)


@app.command(context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True})
def run(
    command: Annotated[list[str], typer.Argument(metavar="-- dbt build …", help="The dbt command line.")],
    store: StoreOption = None,
    environment: EnvironmentOption = None,
    will_retry: WillRetryOption = False,
    no_alert: NoAlertOption = False,
) -> None:
    """Run dbt and load whatever it leaves behind.

    dbt gets a fresh target path and writes a JSON event log; its files are put where the project expects them
    afterwards. The exit code is dbt's, whatever happens to us.
    """
    from observability.pipeline import run as run_observed
    from observability.terminal.loads import show_run

    code, messages = run_observed(
        command, overrides={"store": store, "environment": environment}, will_retry=will_retry, alertable=not no_alert
    )
    with suppress(OSError):  # nobody listens to us; the exit code is dbt's all the same
        show_run(messages)
    raise typer.Exit(code)


@app.command()
def status(store: StoreOption = None, output: FormatOption = Format.TEXT) -> None:
    """What runs, what fails now and since when, why, and who is hurt."""
    with _errors():
        from observability.config import load_settings
        from observability.pipeline import current_status
        from observability.terminal.reports import show_status

        settings = load_settings(store=store)
        found = current_status(settings, datetime.now(UTC))
        with _output():
            show_status(found, settings.store, as_json=output is Format.JSON)


@app.command()
def alert(
    store: StoreOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the messages; nobody is told.")] = False,
    output: FormatOption = Format.TEXT,
) -> None:
    """Print the message of each open incident: what broke, who is hurt, what to do next."""
    with _errors():
        from observability.config import load_settings
        from observability.errors import ConfigError
        from observability.pipeline import current_messages
        from observability.terminal.reports import show_messages

        if not dry_run:
            raise ConfigError(
                "there is no channel to post to: this version prints messages only",
                where="dbt-observe alert",
                next_step="add --dry-run to print them",
            )
        messages = current_messages(load_settings(store=store), datetime.now(UTC))
        with _output():
            show_messages(messages, as_json=output is Format.JSON)


@app.command()
def validate(
    targets: Annotated[list[Path], typer.Argument(metavar="TARGET...", help="Folders that dbt wrote to, or files.")],
    output: FormatOption = Format.TEXT,
) -> None:
    """Hold artifacts against their published schemas, by dbt-artifacts-parser, and print what deviates.

    Exit code 0 where they conform, 1 where they deviate, 2 where they cannot be judged.
    """
    with _errors():
        from observability.artifacts.judgement import validate as judge
        from observability.terminal.reports import show_validation

        report = judge(targets)
        with _output():
            show_validation(report, as_json=output is Format.JSON)
        if report.errors:
            raise typer.Exit(OUR_ERROR)
        raise typer.Exit(1 if report.deviates else 0)


def _moment(text: str | None, option: str) -> datetime | None:
    if text is None:
        return None
    from observability.errors import ConfigError

    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"{text!r} is no ISO 8601 timestamp",
            where=option,
            next_step="write it as 2026-11-23T06:00:00Z; without a zone it is taken as UTC",
        ) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


@contextmanager
def _errors() -> Iterator[None]:
    """Tell an error of ours in three lines instead of a traceback."""
    try:
        yield
    except ObserveError as error:
        from observability.terminal.plain import plain_error

        typer.echo(f"dbt-observe: {plain_error(error)}", err=True)
        raise typer.Exit(OUR_ERROR) from error


@contextmanager
def _output() -> Iterator[None]:
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


def main(arguments: list[str] | None = None) -> Any:
    """Run a command; ends in SystemExit."""
    run_app: Callable[..., Any] = app
    return run_app(args=arguments if arguments is not None else sys.argv[1:], prog_name="dbt-observe")


def console_script() -> None:
    """`dbt-observe`. Ends without taking objects down one by one, which takes long after a large load."""
    code: object = 0
    streams = (sys.stdout, sys.stderr)
    for stream in streams:
        if isinstance(stream, TextIOWrapper):  # what a terminal has no character for is spelled out
            stream.reconfigure(errors="backslashreplace")
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    for stream in streams:
        with suppress(AttributeError, OSError):  # one that was closed from the start is None
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))
