"""Read the files of a dbt step, and prove that they belong to it.

dbt rewrites only some of its files at each command and none when it is killed early, so what lies in a target folder
may be an earlier command's. The evidence, strongest first: the token that the caller put into dbt's environment; the
step's start; the command that wrote the file; the manifest, which every command that gets so far writes anew.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import msgspec

from observability.artifacts import event_log
from observability.artifacts.commands import KINDS, Command, CommandKind, from_args, parse_command
from observability.artifacts.folder import FRESHNESS, LOG, MANIFEST, RUN_RESULTS, StepFiles, utc
from observability.artifacts.json_file import Metadata
from observability.artifacts.manifest import Manifest, read_manifest
from observability.artifacts.run_results import RunResults, read_run_results
from observability.artifacts.sources import Sources, read_sources
from observability.artifacts.step import TOKEN_KEY, Step
from observability.errors import ArtifactError


class Evidence:
    """What a load's rows rest on, best first."""

    RESULTS = "results"
    EVENT_LOG = "event_log"
    NOT_RUN = "not_run"


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
        try:
            return read_manifest(file) if file else None
        except ArtifactError as error:
            self._forgive(error)
            return None

    def _read(self, name: str, asked: Command, manifest: Metadata | None) -> RunResults | Sources | None:
        """One file of results, or None where there is none or it is another step's."""
        file = self.files.files.get(name)
        if file is None:
            return None
        try:
            artifact = read_run_results(file) if name == RUN_RESULTS else read_sources(file)
        except ArtifactError as error:
            self._forgive(error)
            return None
        stale = self._why_stale(name, artifact, asked, manifest)
        if stale:
            self.stale.append(name)
            self.warnings.append(f"{name} is not this step's: {stale}")
            return None
        self.used.append(name)
        return artifact

    def _forgive(self, error: ArtifactError) -> None:
        """A dbt that is killed leaves half a file, or an empty one: what else it left still tells. Raises otherwise."""
        step = self.files.step
        never_ended = step.exit_code is None and step.started_at is not None
        if not was_killed(step.exit_code) and not never_ended:
            raise error
        self.warnings.append(f"{error.what} ({error.where}); dbt was killed: what its event log tells is used")

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
        told = (
            (parse_timestamp(own.invocation_started_at) if own else None)
            or _before(generated_at, results.elapsed_time if results else None)
            or (utc(step.started_at) if step.started_at else None)
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
        if moment.tzinfo is not UTC:
            moment = utc(moment)
    except (ValueError, OverflowError):  # the second where a zone puts it before the year 1
        return None
    return moment if moment.year > 1 else None


def _before(moment: datetime | None, seconds: float | None) -> datetime | None:
    """So many seconds earlier; None where that is no time."""
    try:
        return moment - timedelta(seconds=seconds or 0) if moment else None
    except OverflowError:
        return None


def _stamp(manifest: Manifest | None) -> Metadata | None:
    return manifest.metadata if manifest else None


def was_killed(exit_code: int | None) -> bool:
    """Whether an exit code is a signal's, as `subprocess` (-9) or a shell (137) tells it."""
    return exit_code is not None and (exit_code < 0 or 128 < exit_code <= 128 + 64)


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
    """The command by the best witness of its text: the caller, then dbt's own record.

    What the caller's text leaves open, dbt may have taken from its environment: that its record tells.
    """
    recorded = events.command if events is not None else Command()
    if run_results is not None:
        recorded = from_args(run_results.args)
    if asked.name:
        return replace(
            asked,
            target=asked.target or recorded.target,
            select=asked.select or recorded.select,
            exclude=asked.exclude or recorded.exclude,
            selector=asked.selector or recorded.selector,
            flags=asked.flags | recorded.flags,
        )
    if recorded.name:
        return recorded
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
        (utc(step.completed_at) if step.completed_at else None)
        or parse_timestamp(own.generated_at if own else None)
        or parse_timestamp(events.last_at if events else None)
    )
