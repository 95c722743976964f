"""Find the files of a dbt step, and prove that they belong to it.

dbt rewrites only some of its files at each command and none when it is killed early, so what lies in a target folder
may be an earlier command's. The evidence, strongest first: the token that the caller put into dbt's environment; the
step's start; the command that wrote the file; the manifest, which every command that gets so far writes anew.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import msgspec

from observability.artifacts import event_log
from observability.artifacts.commands import KINDS, Command, CommandKind, from_args, parse_command
from observability.artifacts.json_file import JsonFile, Metadata, open_json_file
from observability.artifacts.manifest import Manifest, read_manifest
from observability.artifacts.run_results import RunResults, read_run_results
from observability.artifacts.sources import Sources, read_sources
from observability.artifacts.step import FILE_NAME, TOKEN_KEY, Step, read_step
from observability.errors import ArtifactError, UnreadableArtifact

MANIFEST, RUN_RESULTS, LOG = "manifest.json", "run_results.json", "dbt.log"
FRESHNESS = ("sources.json", "freshness.json")
ARTIFACTS = (MANIFEST, RUN_RESULTS, *FRESHNESS)
_RECOGNISED = (*ARTIFACTS, FILE_NAME)
_CLOCK_SLACK = timedelta(seconds=1)


class Evidence:
    """What a load's rows rest on, best first."""

    RESULTS = "results"
    EVENT_LOG = "event_log"
    NOT_RUN = "not_run"


@dataclass(frozen=True)
class StepFiles:
    """The files of one step's folder, none of them read yet, and what the caller knows of the step."""

    folder: Path
    step: Step
    files: dict[str, JsonFile]
    log: Path | None = None
    started_after: datetime | None = None

    def content_hash(self, row_version: int) -> str:
        """Names what a load of these files would store: sha256 in hex over their digests and the step's context."""
        context = (
            [(name, file.sha256) for name, file in sorted(self.files.items())],
            msgspec.structs.asdict(self.step),
            self.started_after,
            self.log and self.log_file.sha256,
            row_version,
        )
        return sha256(msgspec.json.encode(context)).hexdigest()

    def release(self) -> None:
        """Give the files' pages back. What is left undecoded is read again when it is asked for."""
        for file in self.files.values():
            file.release()

    @property
    def empty(self) -> bool:
        """Nothing lies here and nothing was said of it: there is no step to tell of."""
        return not self.files and self.log is None and self.step.exit_code is None and self.step.command is None

    @cached_property
    def log_file(self) -> JsonFile:
        """The event log's bytes. Only for a step that has one."""
        assert self.log is not None  # noqa: S101 - callers look first
        return open_json_file(self.log)


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """One dbt step as its files and its caller tell of it."""

    files: StepFiles
    command: Command
    metadata: Metadata
    run_results: RunResults | None = None
    sources: Sources | None = None
    manifest: Manifest | None = None
    events: event_log.Invocation | None = None
    evidence: str = Evidence.NOT_RUN
    started_at: datetime
    completed_at: datetime | None = None
    stale: tuple[str, ...] = ()
    used: tuple[str, ...] = ()
    """The names of the files that this record rests on."""
    warnings: tuple[str, ...] = ()

    @property
    def kind(self) -> CommandKind | None:
        """What this step's command does; freshness where it left only that."""
        if self.command.kind is None and self.sources and not self.run_results:
            return CommandKind.CHECKS_FRESHNESS
        return self.command.kind


def find_steps(target: Path) -> list[Path]:
    """The step folders below a target, itself included: those that hold a file of dbt's, or the caller's account.

    A folder whose `target/` holds them is one step (Cosmos and `dbt` itself lay them out so); a tree of
    `{dag_id}/{run_id}/{task_id}/{map_index}/{try_number}/` is many.
    """
    if _is_step(target):
        return [target]
    if _is_step(target / "target"):
        return [target / "target"]
    found = list(_walk(target))
    return sorted(found) or [target]


@dataclass(frozen=True)
class Folder:
    """A step's folder with its artifacts opened: hashing the large ones is under way."""

    path: Path
    files: dict[str, JsonFile]


def open_folders(targets: Sequence[str | Path]) -> list[Folder]:
    """Open every artifact below the targets. Raises UnreadableArtifact for one that cannot be opened."""
    return [
        Folder(folder, {name: open_json_file(folder / name) for name in ARTIFACTS if (folder / name).is_file()})
        for target in targets
        for folder in find_steps(Path(target))
    ]


def _is_step(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (*_RECOGNISED, LOG))


def _walk(folder: Path) -> Iterator[Path]:
    for child in sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()):
        if _is_step(child):
            yield child
        else:
            yield from _walk(child)


def find_files(opened: Folder, given: Step, started_after: datetime | None = None) -> StepFiles:
    """What a step's folder holds, and what is known of the step: what is `given` goes before observe.json and the path.

    Raises UnreadableArtifact for an observe.json that is damaged, or a folder that is not there.
    """
    folder, files = opened.path, opened.files
    if not folder.is_dir() and given.exit_code is None:
        raise UnreadableArtifact(
            f"there is no folder {folder}",
            where=str(folder),
            next_step="give the folder that dbt wrote to (its target path), or --exit-code if it never wrote one",
        )
    observed = folder / FILE_NAME
    step = _merge(given, read_step(observed) if observed.is_file() else _from_path(folder))
    return StepFiles(folder, step, files, _needed_log(folder, step, files), started_after or _slack(step.started_at))


def _slack(started_at: datetime | None) -> datetime | None:
    return _utc(started_at) - _CLOCK_SLACK if started_at else None


def _merge(given: Step, observed: Step) -> Step:
    defaults = msgspec.structs.asdict(Step())
    said = {name: value for name, value in msgspec.structs.asdict(given).items() if value != defaults[name]}
    return msgspec.structs.replace(observed, **said)


def _from_path(folder: Path) -> Step:
    """The linkage that a tree's folders spell: `{dag_id}/{run_id}/{task_id}/{map_index}/{try_number}`."""
    parts = folder.absolute().parts
    parts = parts[:-1] if parts[-1] == "target" else parts
    if len(parts) > 5 and re.fullmatch(r"-?\d+", parts[-2]) and parts[-1].isdigit():
        dag_id, dag_run_id, task_id, map_index, try_number = parts[-5:]
        return Step(
            dag_id=dag_id,
            dag_run_id=dag_run_id,
            task_id=task_id,
            map_index=int(map_index),
            try_number=int(try_number),
        )
    return Step()


def _needed_log(folder: Path, step: Step, files: dict[str, JsonFile]) -> Path | None:
    """The event log, where the results may be missing or partial: it can be a thousand times their size."""
    complete = (RUN_RESULTS in files and step.exit_code in {None, 0, 1}) or (
        any(name in files for name in FRESHNESS) and step.exit_code == 0
    )
    if complete:
        return None
    return next((path for path in (folder / LOG, folder / "logs" / LOG) if path.is_file()), None)


def read_record(files: StepFiles, others: Collection[str] = ()) -> StepRecord:
    """Read a step's files and leave out those that are not its own: `others` are invocations known to be other steps.

    Raises ArtifactError where a file of this step cannot be read, unless dbt was killed and its event log or its exit
    code tells what happened: then the file is named in a warning.
    """
    return _Reading(files, others).record()


@dataclass
class _Reading:
    files: StepFiles
    others: Collection[str]
    stale: list[str] = field(default_factory=list)
    used: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def record(self) -> StepRecord:
        step = self.files.step
        asked = parse_command(step.command)
        log = event_log.read_event_log(self.files.log) if self.files.log else []
        manifest = self._read_manifest()
        stamp = _stamp(manifest)
        run_results = self._read(RUN_RESULTS, asked, stamp)
        freshness = [sources for name in FRESHNESS if (sources := self._read(name, asked, stamp))]
        sources = freshness[0] if freshness else None
        assert run_results is None or isinstance(run_results, RunResults)  # noqa: S101 - for the type checker
        assert sources is None or isinstance(sources, Sources)  # noqa: S101 - for the type checker
        run_results, sources = self._one_invocation(run_results, sources, stamp)
        events = self._events(log, run_results or sources, stamp)
        own = (run_results and run_results.metadata) or (sources and sources.metadata) or None
        manifest = self._own_manifest(manifest, own, events)
        command = _command(asked, run_results, sources, events)
        metadata = own or _of_events(events) or _stamp(manifest) or Metadata()
        if manifest is not None:
            metadata = _complete(metadata, _stamp(manifest))
        record = StepRecord(
            files=self.files,
            command=command,
            metadata=metadata,
            run_results=run_results,
            sources=sources,
            manifest=manifest,
            events=events,
            evidence=_evidence(run_results, sources, events),
            started_at=self._started_at(metadata, own, run_results or sources),
            completed_at=_completed_at(step, own, events),
            stale=tuple(self.stale),
        )
        self._warn_of_absence(record)
        return replace(record, used=tuple(self.used), warnings=tuple(self.warnings))

    def _read_manifest(self) -> Manifest | None:
        file = self.files.files.get(MANIFEST)
        return read_manifest(file) if file else None

    def _read(self, name: str, asked: Command, manifest: Metadata | None) -> RunResults | Sources | None:
        """One file of results, or None where there is none or it is another step's."""
        file = self.files.files.get(name)
        if file is None:
            return None
        try:
            artifact = read_run_results(file) if name == RUN_RESULTS else read_sources(file)
        except ArtifactError as error:
            if not was_killed(self.files.step.exit_code):
                raise
            self.warnings.append(f"{error.what} ({error.where}); dbt was killed, its event log is used instead")
            return None
        stale = self._why_stale(name, artifact, asked, manifest)
        if stale:
            self.stale.append(name)
            self.warnings.append(f"{name} is not this step's: {stale}")
            return None
        self.used.append(name)
        return artifact

    def _why_stale(
        self, name: str, artifact: RunResults | Sources, asked: Command, manifest: Metadata | None
    ) -> str | None:
        """Why a file of results is another step's; None where nothing speaks against it."""
        metadata = artifact.metadata or Metadata()
        if metadata.invocation_id in self.others:
            return f"it is of invocation {metadata.invocation_id}, which ended otherwise and is loaded already"
        files = self.files
        token = (metadata.env or {}).get(TOKEN_KEY)
        if files.step.token and token:
            return None if token == files.step.token else "it carries another step's token"
        at = metadata.invocation_started_at or metadata.generated_at
        began = parse_timestamp(at)
        if files.started_after and began and began < files.started_after:
            return f"dbt began it at {at}, before this step"
        wrote = _wrote(name, artifact)
        if asked.name and wrote and not _could_write(asked, wrote):
            return f"`dbt {wrote}` wrote it, this step is `dbt {asked.name}`"
        other = manifest is not None and manifest.invocation_id != metadata.invocation_id
        if other and manifest and _later(manifest.generated_at, metadata.generated_at):
            return f"{MANIFEST} is newer and of {manifest.invocation_id}, it is of {metadata.invocation_id}"
        return None

    def _one_invocation(
        self, run_results: RunResults | None, sources: Sources | None, manifest: Metadata | None
    ) -> tuple[RunResults | None, Sources | None]:
        """Of two files of two invocations, the one that the manifest names, else the later one."""
        if run_results is None or sources is None:
            return run_results, sources
        a, b = run_results.metadata or Metadata(), sources.metadata or Metadata()
        if a.invocation_id == b.invocation_id:
            return run_results, sources
        named = manifest.invocation_id if manifest else None
        if named == b.invocation_id or (named != a.invocation_id and (a.generated_at or "") < (b.generated_at or "")):
            self._drop(RUN_RESULTS, a, b)
            return None, sources
        self._drop(next(name for name in FRESHNESS if name in self.files.files), b, a)
        return run_results, None

    def _drop(self, name: str, dropped: Metadata, kept: Metadata) -> None:
        self.stale.append(name)
        self.used.remove(name)
        self.warnings.append(
            f"{name} is not this step's: it is of invocation {dropped.invocation_id}, the step is {kept.invocation_id}"
        )

    def _events(
        self, log: list[event_log.Invocation], own: RunResults | Sources | None, manifest: Metadata | None
    ) -> event_log.Invocation | None:
        """This step's part of the log: by token, by the invocation that the files name, else the last one."""
        if not log:
            return None
        token = self.files.step.token
        if token:
            return next((one for one in log if one.token == token), None)
        if own is not None and own.metadata:
            return next((one for one in log if one.invocation_id == own.metadata.invocation_id), None)
        last = log[-1]
        after = self.files.started_after
        started_at = parse_timestamp(last.started_at)
        if after and started_at and started_at < after:
            self.stale.append(LOG)
            self.warnings.append(f"{LOG} is not this step's: its last invocation began at {last.started_at}")
            return None
        named = manifest.invocation_id if manifest else None
        return next((one for one in log if one.invocation_id == named), last)

    def _own_manifest(
        self, manifest: Manifest | None, own: Metadata | None, events: event_log.Invocation | None
    ) -> Manifest | None:
        """The manifest, unless it is an earlier step's and this step has no results that it could explain."""
        stamp = _stamp(manifest)
        if manifest is None or stamp is None:
            return None
        invocation_id = own.invocation_id if own else events.invocation_id if events else None
        generated_at = parse_timestamp(stamp.generated_at)
        after = self.files.started_after
        early = after is not None and generated_at is not None and generated_at < after
        if own is None and (early or stamp.invocation_id in self.others):
            self.stale.append(MANIFEST)
            self.warnings.append(
                f"{MANIFEST} is not this step's: invocation {stamp.invocation_id} wrote it at {stamp.generated_at}"
            )
            return None
        if invocation_id and stamp.invocation_id != invocation_id:
            self.warnings.append(
                f"{MANIFEST} is of invocation {stamp.invocation_id}, the results of {invocation_id}: its nodes may "
                "differ from those that ran"
            )
        self.used.append(MANIFEST)
        return manifest

    def _started_at(self, metadata: Metadata, own: Metadata | None, results: RunResults | Sources | None) -> datetime:
        """When the step began: UTC. Where nothing tells, when its folder was last written to."""
        step = self.files.step
        generated_at = parse_timestamp(own.generated_at) if own else None
        elapsed = timedelta(seconds=(results.elapsed_time if results else None) or 0)
        told = (
            (parse_timestamp(own.invocation_started_at) if own else None)
            or (generated_at - elapsed if generated_at else None)
            or (_utc(step.started_at) if step.started_at else None)
            or parse_timestamp(metadata.invocation_started_at if own is None else None)
            or parse_timestamp(metadata.generated_at)
            or self.files.started_after
        )
        if told:
            return told
        folder = self.files.folder
        while not folder.exists():
            folder = folder.parent
        return datetime.fromtimestamp(folder.stat().st_mtime, UTC)

    def _warn_of_absence(self, record: StepRecord) -> None:
        if record.evidence != Evidence.NOT_RUN or self.files.step.exit_code not in {None, 0}:
            return
        if record.kind is CommandKind.RUNS_NOTHING or (record.command.name is None and not record.manifest):
            return
        missing = "sources.json" if record.kind is CommandKind.CHECKS_FRESHNESS else RUN_RESULTS
        self.warnings.append(
            f"{missing} is missing: what became of the nodes is not known (was dbt told not to write it, or to write "
            "it elsewhere?)"
        )


def parse_timestamp(text: str | None) -> datetime | None:
    """dbt's timestamps as UTC; those without a zone are UTC already. None for what is not one, or the year 1."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is not UTC:
        moment = _utc(moment)
    return moment if moment.year > 1 else None


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _stamp(manifest: Manifest | None) -> Metadata | None:
    return manifest.metadata if manifest else None


def was_killed(exit_code: int | None) -> bool:
    """Whether an exit code is a signal's, as `subprocess` (-9) or a shell (137) tells it."""
    return exit_code is not None and (exit_code < 0 or exit_code > 128)


def _wrote(name: str, artifact: RunResults | Sources) -> str | None:
    if isinstance(artifact, RunResults):
        return from_args(artifact.args).name
    return "freshness" if name == "freshness.json" else "source freshness"


def _could_write(asked: Command, wrote: str) -> bool:
    # a retry is recorded as the command that it repeats, and `freshness` writes both files
    both_freshness = {KINDS.get(asked.name or ""), KINDS.get(wrote)} == {CommandKind.CHECKS_FRESHNESS}
    return asked.kind is None or asked.name in {wrote, "retry"} or both_freshness


def _later(a: str | None, b: str | None) -> bool:
    first, second = parse_timestamp(a), parse_timestamp(b)
    return bool(first and second and first > second)


def _command(
    asked: Command, run_results: RunResults | None, sources: Sources | None, events: event_log.Invocation | None
) -> Command:
    """The command by the best witness of its text: the caller, then dbt's own record."""
    if asked.name:
        return asked
    if run_results is not None:
        return from_args(run_results.args)
    if events is not None and events.command.name:
        return events.command
    return replace(asked, name="source freshness") if sources is not None else asked


def _of_events(events: event_log.Invocation | None) -> Metadata | None:
    if events is None:
        return None
    return Metadata(
        invocation_id=events.invocation_id,
        dbt_version=events.dbt_version,
        invocation_started_at=events.started_at,
        env=dict(events.env),
    )


def _complete(metadata: Metadata, manifest: Metadata | None) -> Metadata:
    """Only the manifest names the project and the adapter; its env and its start may be an earlier run's."""
    if manifest is None or metadata is manifest:
        return metadata
    return msgspec.structs.replace(metadata, project_name=manifest.project_name, adapter_type=manifest.adapter_type)


def _evidence(run_results: RunResults | None, sources: Sources | None, events: event_log.Invocation | None) -> str:
    if run_results is not None or sources is not None:
        return Evidence.RESULTS
    return Evidence.EVENT_LOG if events and (events.results or events.started) else Evidence.NOT_RUN


def _completed_at(step: Step, own: Metadata | None, events: event_log.Invocation | None) -> datetime | None:
    return (
        (_utc(step.completed_at) if step.completed_at else None)
        or parse_timestamp(own.generated_at if own else None)
        or parse_timestamp(events.last_at if events else None)
    )
