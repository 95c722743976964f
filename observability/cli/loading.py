"""Commands that load what dbt steps leave behind, or judge it."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from observability.cli.app import (
    OUR_ERROR,
    AlertOption,
    EnvironmentOption,
    Format,
    FormatOption,
    NoAlertOption,
    StoreOption,
    WillRetryOption,
    app,
    errors,
    moment,
    shown,
)

if TYPE_CHECKING:
    from observability.artifacts.step import Step
    from observability.config import Settings
    from observability.pipeline.ingestion import IngestReport

TargetsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="TARGET...",
        help="Folders that dbt wrote to, trees {dag_id}/{run_id}/{task_id}/{map_index}/{try_number}/ of them, "
        "or either in an object store: gs://bucket/prefix.",
    ),
]


@app.command()
def ingest(
    targets: TargetsArgument,
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
    alert: AlertOption = False,
    output: FormatOption = Format.TEXT,
) -> None:
    """Load the artifacts of dbt steps into the audit store, each exactly once, the earliest first.

    Exit code 0, or 2 where a step could not be loaded, or with --alert something could not be told.
    """
    with errors():
        from observability.artifacts.step import Step

        given = Step(exit_code=exit_code, command=command, will_retry=will_retry)
        overrides = {"store": store, "environment": environment}
        settings, report = _load(
            targets, overrides, output, given, moment(started_after, "--started-after"), alertable=not no_alert
        )

        from observability.pipeline.alerting import tell_after
        from observability.pipeline.reporting import report_after
        from observability.terminal.loads import show_notes

        problems = report_after(settings, report)
        problems += tell_after(settings) if alert else []
        with shown():
            show_notes(problems)
        if report.errors or problems:
            raise typer.Exit(OUR_ERROR)


@app.command()
def backfill(
    targets: TargetsArgument,
    store: StoreOption = None,
    environment: EnvironmentOption = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Load the history of a project, the earliest step first: as ingest, but none of it ever leads to a message.

    What is loaded already is not loaded again, so that it can be stopped and started anew. Exit code 0, or 2 where a
    step could not be loaded.
    """
    with errors():
        _, report = _load(targets, {"store": store, "environment": environment}, output, alertable=False)
        if report.errors:
            raise typer.Exit(OUR_ERROR)


def _load(
    targets: Sequence[str],
    overrides: Mapping[str, object],
    output: Format,
    given: "Step | None" = None,
    started_after: datetime | None = None,
    *,
    alertable: bool,
) -> "tuple[Settings, IngestReport]":
    """Load and show what became of each step: the settings, and that."""
    from observability.artifacts.targets import opened_early

    early = opened_early(targets)  # hashes large files while the rest is imported

    from observability.config import load_settings
    from observability.pipeline.ingestion import ingest
    from observability.terminal.loads import progress_bar, show_ingest

    settings = load_settings(**overrides)
    with progress_bar() as progress:
        report = ingest(
            early, settings, step=given, started_after=started_after, alertable=alertable, progress=progress
        )
    with shown():
        show_ingest(report, as_json=output is Format.JSON)
    return settings, report


@app.command(context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True})
def run(
    command: Annotated[list[str], typer.Argument(metavar="-- dbt build …", help="The dbt command line.")],
    store: StoreOption = None,
    environment: EnvironmentOption = None,
    will_retry: WillRetryOption = False,
    no_alert: NoAlertOption = False,
    alert: AlertOption = False,
    artifacts_to: Annotated[
        str | None,
        typer.Option(
            "--artifacts-to",
            metavar="URI",
            help="Then upload what dbt left below gs://bucket/prefix, whatever became of it: for a later ingest.",
        ),
    ] = None,
    no_load: Annotated[
        bool, typer.Option("--no-load", help="Load nothing here, so that no store is needed: with --artifacts-to.")
    ] = False,
) -> None:
    """Run dbt and load whatever it leaves behind.

    dbt gets a fresh target path and writes a JSON event log; its files are put where the project expects them
    afterwards. The exit code is dbt's, whatever happens to us.
    """
    from observability.pipeline.running import Afterwards
    from observability.pipeline.running import run as run_observed
    from observability.terminal.loads import show_notes

    code, messages = run_observed(
        command,
        overrides={"store": store, "environment": environment, "artifacts_to": artifacts_to},
        will_retry=will_retry,
        afterwards=Afterwards(load=not no_load, alertable=not no_alert, alert=alert),
    )
    with suppress(OSError):  # nobody listens to us; the exit code is dbt's all the same
        show_notes(messages)
    raise typer.Exit(code)


@app.command()
def validate(
    targets: Annotated[list[Path], typer.Argument(metavar="TARGET...", help="Folders that dbt wrote to, or files.")],
    output: FormatOption = Format.TEXT,
) -> None:
    """Hold artifacts against their published schemas, by dbt-artifacts-parser, and print what deviates.

    Exit code 0 where they conform, 1 where they deviate, 2 where they cannot be judged.
    """
    with errors():
        from observability.artifacts.judgement import validate as judge
        from observability.terminal.reports import show_validation

        report = judge(targets)
        with shown():
            show_validation(report, as_json=output is Format.JSON)
        if report.errors:
            raise typer.Exit(OUR_ERROR)
        raise typer.Exit(1 if report.deviates else 0)
