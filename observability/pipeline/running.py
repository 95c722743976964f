"""Run dbt, keep what it leaves where others find it, and load it."""

import os
import shutil
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from observability.artifacts.folder import Folder
from observability.artifacts.layouts import attempt_path
from observability.artifacts.step import Step
from observability.config import Settings, load_settings
from observability.errors import ObserveError
from observability.pipeline.alerting import tell_after
from observability.pipeline.ingestion import LoadStatus, ingest
from observability.pipeline.reporting import report_after

_DONE = "loaded"
"""An empty file beside the artifacts of a step that `run` has loaded, or was to upload only: they may go, in time."""


@dataclass(frozen=True, kw_only=True)
class Afterwards:
    """What is done when dbt has ended: `load` its files, then `alert`; `alertable` is whether they may ever alert."""

    load: bool = True
    alertable: bool = True
    alert: bool = False


def run(
    command: Sequence[str],
    *,
    overrides: Mapping[str, object],
    will_retry: bool = False,
    afterwards: Afterwards | None = None,
) -> tuple[int, list[str]]:
    """Run dbt, then upload and load what it leaves, and tell what is new where asked.

    Our process's exit status, and what there is to say. Whatever happens to us, the status is dbt's: a fault of ours is
    one of the messages, and dbt's files are kept.
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
    linkage = linkage_from_environment(os.environ)
    has_tries_left = linkage.get("try_number", 1) <= linkage.get("max_tries", 0)
    step = Step(
        environment=settings.environment if settings else None, will_retry=will_retry or has_tries_left, **linkage
    )
    try:
        attempt = run_step(command, folder, step)
    except NotStartedError as error:
        attempt = error.attempt
        messages.append(str(error))
    code = exit_status(attempt.step.exit_code or 0)
    messages += attempt.warnings
    # where some setting is wrong, this one is taken by itself: the only trace of a pod
    asked = overrides.get("artifacts_to") or os.environ.get("DBT_OBSERVE_ARTIFACTS_TO")
    to = settings.artifacts_to if settings else asked
    left = Folder(attempt.folder) if attempt.folder else None
    if to and left is None:
        messages.append(f"nothing is uploaded to {to}: dbt ran unobserved")
    elif to and left is not None:
        left = _upload(left, f"{str(to).rstrip('/')}/{attempt_path(attempt.step) or folder.name}", messages)
    if settings is not None and left is not None:
        _finish(left, settings, afterwards or Afterwards(), messages)
    return code, messages


def _upload(folder: Folder, location: str, messages: list[str]) -> Folder:
    """Upload an attempt; the folder that knows where its files are now, or the same one where that failed."""
    from observability.artifacts.object_store import upload

    try:
        with _undisturbed():
            done = upload(folder.path, location)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the border where our own faults must not become dbt's
        what = "uploading was interrupted" if isinstance(error, KeyboardInterrupt) else error
        messages.append(f"{what}\n  kept:  {folder.path}, on this machine only")
        return folder
    messages.append(f"{len(done.files)} files uploaded to {done.uri}")
    messages.extend(done.warnings)
    return Folder(folder.path, done.uri, {uri.rpartition("/")[2]: uri for uri in done.files})


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A pod that is evicted gets SIGTERM, and SIGKILL when its time is up: what is left of it belongs to the upload."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


def _finish(folder: Folder, settings: Settings, afterwards: Afterwards, messages: list[str]) -> None:
    if not afterwards.load:
        if folder.uri:
            _mark_done(folder.path, settings)
        elif not settings.artifacts_to:
            messages.append(f"not loaded, as asked\n  kept:  {folder.path}")
        return
    try:
        messages += _load_attempt(folder, settings, alertable=afterwards.alertable)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the border where our own faults must not become dbt's
        what = "loading was interrupted" if isinstance(error, KeyboardInterrupt) else error
        messages.append(f"{what}\n  kept:  {folder.path} (load it with: dbt-observe ingest {folder.place})")
    if afterwards.alert:
        messages += tell_after(settings)


def _load_attempt(folder: Folder, settings: Settings, *, alertable: bool) -> list[str]:
    report = ingest([folder], settings, alertable=alertable)
    if not report.loads:
        raise report.errors[0]
    (load,) = report.loads
    told = [str(error) for error in report.errors]  # of this step or of what was kept aside before
    stored = f"{_counted(load.rows)} stored in {settings.store}"
    if load.status is LoadStatus.SPOOLED:
        stored = f"kept aside in {settings.spool_dir}: the next ingest, replay or tick stores it"
    told += [f"{load.command or 'dbt'}: {load.outcome}; {stored}"]
    told += [f"warning: {warning}" for warning in load.warnings]
    _mark_done(folder.path, settings)
    return told + report_after(settings, report)


def _counted(rows: Mapping[str, int]) -> str:
    counts = [f"{count:,} {name}" for name, count in rows.items() if count and name != "invocations"]
    return ", ".join(counts) or "no rows"


def _mark_done(folder: Path, settings: Settings) -> None:
    """This attempt may go, in time; the oldest that may go do so now: their names begin with their start."""
    (folder / _DONE).touch()
    attempts = sorted(path.parent for path in settings.artifacts_dir.glob(f"*/{_DONE}"))
    for path in attempts[: max(len(attempts) - settings.artifacts_kept, 0)]:
        shutil.rmtree(path, ignore_errors=True)
