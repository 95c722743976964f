"""What `ingest` and `run` print. Plain enough to do without rich, which takes as long to import as hashing a file."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import typer

from observability.pipeline.ingestion import IngestReport
from observability.terminal.machine import print_json
from observability.terminal.plain import plain, plain_error, plain_lines

_COLOURS = {"success": "green", "warning": "yellow", "failure": "red", "interrupted": "red", "not_run": "red"}


@contextmanager
def progress_bar() -> Iterator[Callable[[int, int, Path], None]]:
    """A progress bar on stderr that shows itself only where the work takes more than a second."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    state: dict[str, object] = {"completed": 0, "total": None, "description": "loading"}
    bars: list[_Bar] = []
    timer = Timer(1.0, lambda: bars.append(_Bar(state)))
    timer.daemon = True
    timer.start()

    def advance(done: int, total: int, folder: Path) -> None:
        state.update(completed=done, total=total, description=f"loading {plain(folder.name)}")
        for bar in bars:
            bar.show(state)

    try:
        yield advance
    finally:
        timer.cancel()
        for bar in bars:
            bar.stop()


class _Bar:
    def __init__(self, state: dict[str, object]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task("loading")
        self.show(state)
        self._progress.start()

    def show(self, state: dict[str, object]) -> None:
        self._progress.update(self._task, **state)  # type: ignore[arg-type]

    def stop(self) -> None:
        self._progress.stop()


def show_ingest(report: IngestReport, *, as_json: bool) -> None:
    """What became of each step; errors go to stderr in either form."""
    for error in report.errors:
        typer.echo(f"dbt-observe: {plain_error(error)}", err=True)
    if as_json:
        keys = ("invocation_id", "load_id", "status", "command", "outcome", "rows", "warnings")
        print_json({"loads": [{key: getattr(load, key) for key in keys} for load in report.loads]})
        return
    for load in report.loads:
        counts = ", ".join(f"{count:,} {name}" for name, count in load.rows.items() if count)
        words = [
            typer.style(f"{load.status:<9}", bold=True),
            plain(load.command or "-"),
            typer.style(load.outcome, fg=_COLOURS.get(load.outcome)) if load.outcome else "",
            typer.style(f"{counts}  {plain(load.folder)}" if counts else plain(load.folder), dim=True),
        ]
        typer.echo(" ".join(word for word in words if word))
        for warning in load.warnings:
            typer.echo(typer.style(f"          warning: {plain(warning)}", fg="yellow"))


def show_notes(messages: Sequence[str]) -> None:
    """What there is to say after a dbt step, on stderr: stdout is dbt's."""
    for message in messages:
        typer.echo(typer.style(f"dbt-observe: {plain_lines(message)}", dim=True), err=True)
