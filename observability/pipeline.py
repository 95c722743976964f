"""Puts the parts together: files → records → rows → store. The only place where that happens."""

import gc
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from observability.artifacts.conformance import BackgroundJudge
from observability.artifacts.folder import Folder, StepFiles, find_files, open_folders
from observability.artifacts.judgement import begin_to_judge, judge_record
from observability.artifacts.reader import StepRecord, read_record
from observability.artifacts.step import Step
from observability.audit.build import Load, build_load, with_verdict
from observability.audit.invocation import BuildOptions
from observability.audit.nodes import Project, build_project
from observability.audit.redaction import Redaction
from observability.audit.tables import ROW_VERSION
from observability.config import Settings, load_settings
from observability.errors import ConfigError, ObserveError, StoreError
from observability.stores.base import Store, StoredLoad, commit, open_store

if TYPE_CHECKING:
    import pyarrow as pa

    from observability.alerts.incidents import Incident, Situation
    from observability.alerts.message import Message
    from observability.audit.views import View

_LOADED = "loaded"
"""An empty file beside the artifacts of a step that `run` has loaded: they may go, in time."""

Progress = Callable[[int, int, Path], None]
"""Called before each step is read: how many are done, how many there are, and which one is next."""


class LoadStatus(StrEnum):
    """What became of a step's folder."""

    LOADED = "loaded"
    UNCHANGED = "unchanged"
    STALE = "stale"
    EMPTY = "empty"


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """What became of one step's folder. `rows` are those written, by table."""

    folder: Path
    status: LoadStatus
    invocation_id: str | None = None
    load_id: str | None = None
    command: str | None = None
    outcome: str | None = None
    rows: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class IngestReport:
    """What became of every step. Errors do not keep other steps from being loaded."""

    loads: tuple[LoadReport, ...]
    errors: tuple[ObserveError, ...]


def ingest(
    targets: Sequence[str | Path | Folder],
    settings: Settings,
    *,
    step: Step | None = None,
    started_after: datetime | None = None,
    alertable: bool = True,
    progress: Progress | None = None,
) -> IngestReport:
    """Load the dbt steps below the targets, each exactly once, and say what became of each.

    `step` is what the caller knows of them: an exit code or a command can be given for one step only. Raises
    ConfigError for contradictory arguments and StoreError where the store cannot be used; what is wrong with one
    step's files is in the report.
    """
    folders = [
        folder for target in targets for folder in ([target] if isinstance(target, Folder) else open_folders([target]))
    ]
    given = step or Step()
    if len(folders) > 1 and (given.exit_code is not None or given.command is not None):
        raise ConfigError(
            f"an exit code or a command tells of one step, and there are {len(folders)}",
            where=", ".join(str(folder.path) for folder in folders),
            next_step="load that step's folder by itself, or leave both out where observe.json says them",
        )
    ingestion = _Ingestion(settings, given, started_after, alertable)
    with _paused_gc():
        return ingestion.run(folders, progress or (lambda *_: None))


class _Ingestion:
    def __init__(self, settings: Settings, given: Step, started_after: datetime | None, alertable: bool) -> None:
        self._settings = settings
        self._store: Store = open_store(settings.store, lock_timeout_seconds=settings.lock_timeout_seconds)
        self._given = given
        self._started_after = started_after
        redaction = Redaction(settings.redaction.patterns, settings.redaction.allow)
        self._options = BuildOptions(
            redaction=redaction,
            environment=settings.environment,
            alertable=alertable,
            compiled_code=settings.storage.compiled_code,
        )

    def run(self, folders: Sequence[Folder], progress: Progress) -> IngestReport:
        reports: list[LoadReport] = []
        errors: list[ObserveError] = []
        for done, folder in enumerate(folders):
            progress(done, len(folders), folder.path)
            try:
                reports.append(self._load(find_files(folder, self._given, self._started_after)))
            except StoreError:
                raise  # the next step would not fare better
            except ObserveError as error:
                errors.append(error)
        return IngestReport(tuple(reports), tuple(errors))

    def _load(self, files: StepFiles) -> LoadReport:
        if files.empty:
            return LoadReport(
                folder=files.folder,
                status=LoadStatus.EMPTY,
                warnings=("there is no file of dbt's here, and nothing was said of a step that left none",),
            )
        if self._store.exists:  # else the files are still being hashed while they are read
            content_hash = files.content_hash(ROW_VERSION)
            known = self._store.find_loads([content_hash]).get(content_hash)
            if known:
                return _unchanged(files, known)
        judges = begin_to_judge(files)
        try:
            record = self._read(files)
            if _only_stale(record):
                return LoadReport(
                    folder=files.folder, status=LoadStatus.STALE, command=record.command.name, warnings=record.warnings
                )
            load = self._build(record, judges)
        finally:
            for background in judges.values():
                background.cancel()
        del record  # a large manifest is no longer needed while the store works
        (committed,) = commit(self._store, [load])
        if committed.unchanged:
            return _unchanged(files, committed.unchanged)
        return LoadReport(
            folder=files.folder,
            status=LoadStatus.LOADED,
            invocation_id=load.invocation.invocation_id,
            load_id=load.load_id,
            command=load.invocation.command,
            outcome=load.invocation.outcome,
            rows=dict(committed.rows),
            warnings=tuple(load.warnings),
        )

    def _read(self, files: StepFiles) -> StepRecord:
        """Read a step; a step that failed so early that it wrote nothing leaves an earlier one's files where they lay.

        They are known by this: their invocation is loaded already, on like evidence, and ended with another exit code.
        """
        record = read_record(files)
        proven = files.step.token is not None or files.started_after is not None
        invocation_id, code = record.metadata.invocation_id, files.step.exit_code
        if proven or invocation_id is None or code is None:
            return record
        known = self._store.find_invocations([invocation_id]).get(invocation_id)
        if known is None or known.exit_code in {None, code} or known.evidence != record.evidence:
            return record
        return read_record(files, {invocation_id})

    def _build(self, record: StepRecord, judges: Mapping[str, BackgroundJudge]) -> Load:
        project: Project | None = None
        new = False
        if record.manifest is not None:
            project = build_project(record.manifest, record.started_at.date())
            new = not self._store.known_states([project.manifest_id], [])
            record.files.release()
        load = build_load(record, self._options, project)
        record.files.release()
        # the verdict comes last: a background judge has worked meanwhile
        verdict = judge_record(record, judges, self._settings.storage.conformance_manifest_max_bytes if new else None)
        return with_verdict(load, verdict)


def _unchanged(files: StepFiles, stored: StoredLoad) -> LoadReport:
    return LoadReport(
        folder=files.folder,
        status=LoadStatus.UNCHANGED,
        invocation_id=stored.invocation_id,
        load_id=stored.load_id,
        command=stored.command,
        outcome=stored.outcome,
    )


def _only_stale(record: StepRecord) -> bool:
    """Everything that lies there is an earlier step's, and nobody said that a later one ended."""
    step = record.files.step
    return bool(record.stale) and not record.used and record.events is None and step.exit_code is None


def run(
    command: Sequence[str], *, overrides: Mapping[str, object], will_retry: bool = False, alertable: bool = True
) -> tuple[int, list[str]]:
    """Run dbt, load what it leaves, and give the exit status for our own process with what there is to say to people.

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
    return code, messages


def _load_attempt(folder: Path, settings: Settings, *, alertable: bool) -> list[str]:
    report = ingest([folder], settings, alertable=alertable)
    if report.errors:
        raise report.errors[0]
    (load,) = report.loads
    told = [f"{load.command or 'dbt'}: {load.outcome}; {_counted(load.rows)} stored in {settings.store}"]
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


@dataclass(frozen=True)
class Status:
    """What runs and what is wrong, as of a moment."""

    as_of: datetime
    steps: tuple[dict[str, object], ...]
    incidents: tuple["Incident", ...]


def current_status(settings: Settings, now: datetime) -> Status:
    """The last step of each command and every open incident. Raises StoreError where there is no store yet."""
    from observability.alerts import queries
    from observability.alerts.incidents import find_incidents

    store = open_store(settings.store, lock_timeout_seconds=settings.lock_timeout_seconds)
    return Status(now, tuple(store.query(queries.STEPS).to_pylist()), tuple(find_incidents(_situation(store, now))))


def _situation(store: Store, now: datetime) -> "Situation":
    from observability.alerts import queries
    from observability.alerts.incidents import Situation
    from observability.audit.views import as_of

    def ask(sql: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = store.query(as_of(sql), {"now": now}).to_pylist()
        return rows

    return Situation(
        incidents=ask(queries.INCIDENTS),
        nodes=ask(queries.INCIDENT_NODES),
        exposures=ask(queries.EXPOSURES),
        runbooks=store.query(queries.RUNBOOKS).to_pylist(),
    )


def current_messages(settings: Settings, now: datetime) -> "list[Message]":
    """The message of each open incident, the worst first; none for what only loads marked `--no-alert` have told."""
    from observability.alerts.message import build_message

    incidents = current_status(settings, now).incidents
    return [build_message(incident, now) for incident in incidents if incident.alertable and not incident.fixed]


def view_sql(settings: Settings, name: str, dialect: str | None = None) -> str:
    """The SQL of a view in GoogleSQL or DuckDB's dialect, else that of the store. Raises ConfigError for no view."""
    from observability.audit.views.questions import pretty

    store = open_store(settings.store, lock_timeout_seconds=settings.lock_timeout_seconds)
    return pretty(_view(name).sql(**store.schemas), dialect or store.dialect)


@dataclass(frozen=True)
class Rows:
    """Rows of a view; `more` says that there were others, which the limit left out."""

    table: "pa.Table"
    more: bool


def query_view(
    settings: Settings,
    name: str,
    now: datetime,
    *,
    where: str | None = None,
    columns: Sequence[str] = (),
    limit: int = 0,
) -> Rows:
    """Rows of a view, sorted by its key; no more than `limit`, which is 0 for all.

    Raises ConfigError for a view or a column that is not there or a condition that is none, and StoreError.
    """
    from observability.audit.views import as_of
    from observability.audit.views.questions import select

    statement = select(_view(name), where, columns, limit + 1 if limit else 0)
    store = open_store(settings.store, lock_timeout_seconds=settings.lock_timeout_seconds)
    question = as_of(statement)
    table = store.query(question, {"now": now} if "@now" in question else None)
    return Rows(table.slice(0, limit) if limit else table, bool(limit) and table.num_rows > limit)


def _view(name: str) -> "View":
    from observability.audit.views import views

    known = {view.name: view for view in views()}
    if name not in known:
        near = get_close_matches(name, known, n=1)
        raise ConfigError(
            f"{name!r} is no view" + (f"; did you mean {near[0]}?" if near else ""),
            where="VIEW",
            next_step=f"one of: {', '.join(sorted(known))}",
        )
    return known[name]


@contextmanager
def _paused_gc() -> Iterator[None]:
    """Decoding makes many objects and no cycles: the collector would only walk over them again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
