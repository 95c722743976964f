"""Files → records → rows → store."""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from observability.artifacts.conformance import BackgroundJudge
from observability.artifacts.folder import Folder, StepFiles, find_files
from observability.artifacts.judgement import begin_to_judge, judge_record
from observability.artifacts.reader import StepRecord, read_record
from observability.artifacts.step import Step
from observability.artifacts.targets import Found, Target, at_hand, find_targets, portions
from observability.audit.build import Load, build_load, with_verdict
from observability.audit.invocation import BuildOptions
from observability.audit.nodes import Project, build_project
from observability.audit.prepared import prepare
from observability.audit.redaction import Redaction
from observability.audit.tables import ROW_VERSION
from observability.config import Settings
from observability.errors import ConfigError, ObserveError, StoreError, StoreUnavailable
from observability.pipeline.lookups import Lookups
from observability.stores.base import Committed, Store, StoredLoad, commit, open_store
from observability.stores.spool import Spool

Progress = Callable[[int, int, Path], None]
"""Called before each step is read: how many are done, how many there are, and which one is next."""


class LoadStatus(StrEnum):
    """What became of a step's folder."""

    LOADED = "loaded"
    UNCHANGED = "unchanged"
    SPOOLED = "spooled"
    STALE = "stale"
    EMPTY = "empty"


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """What became of one step's folder, a path or a URI. `rows` are those written, by table."""

    folder: Path | str
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


def ingest(  # noqa: PLR0913 - each of them says something else
    targets: Sequence[Target],
    settings: Settings,
    *,
    step: Step | None = None,
    started_after: datetime | None = None,
    alertable: bool = True,
    progress: Progress | None = None,
    store: Store | None = None,
) -> IngestReport:
    """Load the dbt steps below the targets, each exactly once and the earliest first, and say what became of each.

    A target is a folder, a tree of them, or a prefix in an object store, as a URI or a UPath.

    `store` takes the place of the one that the settings name. `step` is what the caller knows of them: an exit code or
    a command can be given for one step only. Raises ConfigError for contradictory arguments and StoreError where the
    store cannot be used; what is wrong with one step's files, or with one target, is in the report.
    """
    found, errors = find_targets(targets)
    given = step or Step()
    if len(found) > 1 and (given.exit_code is not None or given.command is not None):
        raise ConfigError(
            f"an exit code or a command tells of one step, and there are {len(found)}",
            where=", ".join(str(one.place) for one in found),
            next_step="load that step's folder by itself, or leave both out where observe.json says them",
        )
    if not found:
        return IngestReport((), tuple(errors))
    ingestion = _Ingestion(settings, store or open_store(settings), given, started_after, alertable=alertable)
    with _paused_gc():
        report = ingestion.run(found, progress or (lambda *_: None))
    return replace(report, errors=(*errors, *report.errors))


class _Ingestion:
    """One call: reads the steps, and stores them one by one or together, as the store likes it."""

    def __init__(
        self, settings: Settings, store: Store, given: Step, started_after: datetime | None, *, alertable: bool
    ) -> None:
        self._settings = settings
        self._lookups = Lookups(store)
        self._spool = Spool(settings.spool_dir, store.url)
        self._given = given
        self._started_after = started_after
        self._options = BuildOptions(
            redaction=Redaction(settings.redaction.patterns, settings.redaction.allow),
            environment=settings.environment,
            alertable=alertable,
            compiled_code=settings.storage.compiled_code,
        )
        self._waiting: list[tuple[int, Path | str, Load]] = []
        self._projects: dict[str, Project] = {}
        self._reports: dict[int, LoadReport] = {}
        self._errors: list[ObserveError] = []

    def run(self, found: Sequence[Found], progress: Progress) -> IngestReport:
        store = self._lookups.store
        store.warm_up()
        try:
            return self._run(found, progress)
        finally:
            store.close()

    def _run(self, found: Sequence[Found], progress: Progress) -> IngestReport:
        self._replay()
        done = 0
        for portion in portions(found):
            with at_hand(portion, self._given) as folders:
                self._take_all(
                    dict(enumerate(folders, done)), lambda number, place: progress(number, len(found), place)
                )
            done += len(portion)
        self._store_waiting()
        if self._lookups.outage:
            self._errors.append(self._lookups.outage)
        return IngestReport(tuple(self._reports[number] for number in sorted(self._reports)), tuple(self._errors))

    def _take_all(self, folders: Mapping[int, Folder | ObserveError], progress: Callable[[int, Path], None]) -> None:
        """Load what is at hand, each under its number; what is not is an error."""
        store = self._lookups.store
        steps: dict[int, StepFiles] = {}
        many = store.exists and len(folders) > 1
        if many:  # one question for all of them
            steps = {number: files for number, folder in folders.items() if (files := self._find(folder))}
            self._lookups.expect([step.content_hash(ROW_VERSION) for step in steps.values() if not step.empty])
        for number, folder in folders.items():
            if isinstance(folder, Folder):
                progress(number, Path(folder.place))
            files = steps.pop(number, None) if many else self._find(folder)
            if files is not None:
                self._take(number, files)
            if isinstance(folder, Folder):
                folder.close()
            if sum(_rows(load) for _, _, load in self._waiting) >= store.batch_rows:
                self._store_waiting()

    def _replay(self) -> None:
        """Store first what an earlier call could not."""
        try:
            for outcome in self._spool.replay(self._lookups.store):
                if isinstance(outcome, ObserveError):
                    self._errors.append(outcome)
        except StoreUnavailable as error:
            self._lookups.outage = error

    def _find(self, folder: Folder | ObserveError) -> StepFiles | None:
        try:
            if isinstance(folder, ObserveError):
                raise folder
            return find_files(folder, self._given, self._started_after)
        except ObserveError as error:
            self._errors.append(error)
            return None

    def _take(self, number: int, files: StepFiles) -> None:
        """Read a step. What is wrong with its files keeps no other from being loaded; a fault of the store's does."""
        try:
            taken = self._load(files)
        except StoreError:
            raise
        except ObserveError as error:
            self._errors.append(error)
            return
        if isinstance(taken, Load):
            self._waiting.append((number, files.place, taken))
        else:
            self._reports[number] = taken

    def _store_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._projects.clear()
        self._lookups.learned(load.project.manifest_id for _, _, load in waiting if load.project)
        if not waiting:
            return
        committed = self._commit([load for _, _, load in waiting])
        for (number, folder, load), outcome in zip(waiting, committed, strict=True):
            self._reports[number] = _report(folder, load, outcome)

    def _commit(self, loads: Sequence[Load]) -> Sequence[Committed | None]:
        """What became of each load; None for one that is kept aside because the store does not answer."""
        if not self._lookups.outage:
            try:
                return commit(self._lookups.store, loads)
            except StoreUnavailable as error:
                self._lookups.outage = error
        for load in loads:
            self._spool.keep(prepare(load))
        return [None] * len(loads)

    def _load(self, files: StepFiles) -> Load | LoadReport:
        if files.empty:
            return LoadReport(
                folder=files.place,
                status=LoadStatus.EMPTY,
                warnings=("there is no file of dbt's here, and nothing was said of a step that left none",),
            )
        if self._lookups.store.exists:  # else the files are still being hashed while they are read
            known = self._lookups.find_load(files.content_hash(ROW_VERSION))
            if known:
                return _unchanged(files.place, known)
        judges = begin_to_judge(files)
        try:
            record = self._read(files)
            if _only_stale(record):
                return LoadReport(
                    folder=files.place, status=LoadStatus.STALE, command=record.command.name, warnings=record.warnings
                )
            load = self._build(record, judges)
        finally:
            for background in judges.values():
                background.cancel()
        return load

    def _read(self, files: StepFiles) -> StepRecord:
        """Read a step; a step that failed so early that it wrote nothing leaves an earlier one's files where they lay.

        They are known by this: their invocation is loaded already, on like evidence, and ended with another exit code.
        """
        record = read_record(files)
        proven = files.step.token is not None or files.started_after is not None
        invocation_id, code = record.metadata.invocation_id, files.step.exit_code
        if proven or invocation_id is None or code is None:
            return record
        known = self._lookups.find_invocation(invocation_id, [load for _, _, load in self._waiting])
        if known is None or known.exit_code in {None, code} or known.evidence != record.evidence:
            return record
        return read_record(files, {invocation_id})

    def _build(self, record: StepRecord, judges: Mapping[str, BackgroundJudge]) -> Load:
        project: Project | None = None
        new = False
        if record.manifest is not None:
            project = build_project(record.manifest, record.started_at.date())
            # all that wait and have the same state share one
            new = project.manifest_id not in self._projects and not self._lookups.is_known(project.manifest_id)
            project = self._projects.setdefault(project.manifest_id, project)
            record.files.release()
        load = build_load(record, self._options, project)
        record.files.release()
        # the verdict comes last: a background judge has worked meanwhile
        verdict = judge_record(record, judges, self._settings.storage.conformance_manifest_max_bytes if new else None)
        return with_verdict(load, verdict)


def _rows(load: Load) -> int:
    return 1 + len(load.run_results) + len(load.source_freshness)


def _report(folder: Path | str, load: Load, outcome: Committed | None) -> LoadReport:
    if outcome is not None and outcome.unchanged:
        return _unchanged(folder, outcome.unchanged)
    return LoadReport(
        folder=folder,
        status=LoadStatus.LOADED if outcome else LoadStatus.SPOOLED,
        invocation_id=load.invocation.invocation_id,
        load_id=load.load_id,
        command=load.invocation.command,
        outcome=load.invocation.outcome,
        rows=dict(outcome.rows) if outcome else {},
        warnings=tuple(load.warnings),
    )


def _unchanged(folder: Path | str, stored: StoredLoad) -> LoadReport:
    return LoadReport(
        folder=folder,
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
