"""Run dbt, and load what it leaves."""

import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from observability.artifacts.step import Step
from observability.config import Settings, load_settings
from observability.errors import ObserveError
from observability.pipeline.alerting import tell_after
from observability.pipeline.ingestion import ingest

_LOADED = "loaded"
"""An empty file beside the artifacts of a step that `run` has loaded: they may go, in time."""


def run(
    command: Sequence[str],
    *,
    overrides: Mapping[str, object],
    will_retry: bool = False,
    alertable: bool = True,
    alert: bool = False,
) -> tuple[int, list[str]]:
    """Run dbt, load what it leaves, tell what is new where asked; our process's exit status, and what there is to say.

    Whatever happens to us, the status is dbt's: a fault of ours is one of the messages, and dbt's files are kept.
    """
    from observability.runner import NotStartedError, exit_status, linkage_from_environment, run_step

    messages: list[str] = []
    settings: Settings | None = None
    try:
        settings = load_settings(**overrides)
    except ObserveError as error:
        messages.append(f"dbt runs, and is not loaded: {error}")
    artifacts = settings.artifacts_dir if settings else Path(".dbt_observe/artifacts")
    folder = artifacts / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid4().hex[:8]}"
    step = Step(
        environment=settings.environment if settings else None,
        will_retry=will_retry,
        **linkage_from_environment(os.environ),
    )
    try:
        attempt = run_step(command, folder, step)
    except NotStartedError as error:
        attempt = error.attempt
        messages.append(str(error))
    code = exit_status(attempt.step.exit_code or 0)
    messages += attempt.warnings
    if settings is None or attempt.folder is None:
        return code, messages
    try:
        messages += _load_attempt(attempt.folder, settings, alertable=alertable)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the border where our own faults must not become dbt's
        what = "loading was interrupted" if isinstance(error, KeyboardInterrupt) else error
        messages.append(f"{what}\n  kept:  {attempt.folder} (load it with: dbt-observe ingest {attempt.folder})")
    if alert:
        messages += tell_after(settings)
    return code, messages


def _load_attempt(folder: Path, settings: Settings, *, alertable: bool) -> list[str]:
    report = ingest([folder], settings, alertable=alertable)
    if not report.loads:
        raise report.errors[0]
    (load,) = report.loads
    told = [str(error) for error in report.errors]  # of this step or of what was kept aside before
    told += [f"{load.command or 'dbt'}: {load.outcome}; {_counted(load.rows)} stored in {settings.store}"]
    told += [f"warning: {warning}" for warning in load.warnings]
    (folder / _LOADED).touch()
    _prune(settings.artifacts_dir, settings.artifacts_kept)
    return told


def _counted(rows: Mapping[str, int]) -> str:
    counts = [f"{count:,} {name}" for name, count in rows.items() if count and name != "invocations"]
    return ", ".join(counts) or "no rows"


def _prune(artifacts: Path, kept: int) -> None:
    """Remove the oldest attempts that are loaded; their names begin with their start."""
    attempts = sorted(path.parent for path in artifacts.glob(f"*/{_LOADED}"))
    for path in attempts[: max(len(attempts) - kept, 0)]:
        shutil.rmtree(path, ignore_errors=True)
