"""Files → records → rows → store."""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

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
from observability.config import Settings
from observability.errors import ConfigError, ObserveError, StoreError
from observability.stores.base import Store, StoredLoad, commit, open_store

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
