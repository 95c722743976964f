"""A step's folder: what lies in it, and what its caller said of the step. Nothing of dbt's is read yet."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import msgspec

from observability.artifacts.json_file import JsonFile, open_json_file
from observability.artifacts.layouts import linkage_of
from observability.artifacts.step import FILE_NAME, Step, read_step
from observability.errors import UnreadableArtifact

MANIFEST, RUN_RESULTS, LOG = "manifest.json", "run_results.json", "dbt.log"
FRESHNESS = ("sources.json", "freshness.json")
ARTIFACTS = (MANIFEST, RUN_RESULTS, *FRESHNESS)
_CLOCK_SLACK = timedelta(seconds=1)


@dataclass(frozen=True)
class Folder:
    """A step's folder. Its artifacts are opened when they are first asked for, and hashed from then on.

    `uri` is where they were fetched from, if they were, and `uris` where each file was, by name.
    """

    path: Path
    uri: str | None = None
    uris: Mapping[str, str] = field(default_factory=dict)

    @property
    def place(self) -> Path | str:
        """Where the step lies, for people: its URI, else its path."""
        return self.uri or self.path

    @cached_property
    def files(self) -> dict[str, JsonFile]:
        """The artifacts that lie in it, by name. Raises UnreadableArtifact for one that cannot be opened."""
        return {
            name: open_json_file(self.path / name, self.uris.get(name))
            for name in ARTIFACTS
            if (self.path / name).is_file()
        }

    def close(self) -> None:
        """Let go of its files, of which a process may have so many open; they are opened again when asked for."""
        self.__dict__.pop("files", None)


@dataclass(frozen=True)
class StepFiles:
    """The files of one step, and what the caller knows of it."""

    folder: Path
    step: Step
    files: dict[str, JsonFile]
    log: Path | None = None
    started_after: datetime | None = None
    uri: str | None = None
    log_uri: str | None = None

    @property
    def place(self) -> Path | str:
        """Where the step lies, for people: its URI, else its path."""
        return self.uri or self.folder

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
        return open_json_file(self.log, self.log_uri)


def open_folders(targets: Sequence[str | Path]) -> list[Folder]:
    """The step folders below the targets. That of a single step is opened already, so that hashing is under way."""
    folders = [Folder(path) for target in targets for path in find_steps(Path(target))]
    if len(folders) == 1:
        _ = folders[0].files
    return folders


def find_steps(target: Path) -> list[Path]:
    """The step folders below a target, itself included: those that hold a file of dbt's, or the caller's account.

    A folder whose `target/` holds them is one step (Cosmos and `dbt` itself lay them out so), `logs/` beside it no
    other; a tree of `{dag_id}/{run_id}/{task_id}/{map_index}/{try_number}/` is many.
    """
    if _is_step(target) or not target.is_dir():
        return [target]
    if _is_step(target / "target"):
        return [target / "target"]
    found = list(_walk(target))
    return sorted(found) or [target]


def _is_step(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (*ARTIFACTS, FILE_NAME, LOG))


def _walk(folder: Path) -> Iterator[Path]:
    try:
        children = sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError as error:
        raise UnreadableArtifact(
            f"{folder} cannot be looked into: {error.strerror}", where=str(folder), next_step="check its permissions"
        ) from error
    if any(child.name == "target" and _is_step(child) for child in children):
        children = [child for child in children if child.name != "logs"]
    for child in children:
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
    try:
        step = merge_step(given, read_step(observed) if observed.is_file() else linkage_of(_parts(opened)))
    except UnreadableArtifact as error:
        raise UnreadableArtifact(
            error.what, where=opened.uris.get(FILE_NAME, error.where), next_step=error.next_step
        ) from error
    return StepFiles(
        folder,
        step,
        files,
        _find_log(folder) if needs_log(step, files) else None,
        started_after or _slack(step.started_at),
        opened.uri,
        opened.uris.get(LOG),
    )


def _slack(started_at: datetime | None) -> datetime | None:
    return utc(started_at) - _CLOCK_SLACK if started_at else None


def _parts(opened: Folder) -> Sequence[str]:
    return opened.uri.split("/") if opened.uri else opened.path.absolute().parts


def merge_step(given: Step, observed: Step) -> Step:
    """What is given of a step, and for the rest what was observed."""
    defaults = msgspec.structs.asdict(Step())
    said = {name: value for name, value in msgspec.structs.asdict(given).items() if value != defaults[name]}
    return msgspec.structs.replace(observed, **said)


def needs_log(step: Step, names: Collection[str]) -> bool:
    """Whether the results may be missing or partial: else the log does not count, and can be 1,000 times as large."""
    complete = (RUN_RESULTS in names and step.exit_code in {None, 0, 1}) or (
        any(name in names for name in FRESHNESS) and step.exit_code == 0
    )
    return not complete


def _find_log(folder: Path) -> Path | None:
    return next((path for path in (folder / LOG, folder / "logs" / LOG) if path.is_file()), None)


def utc(moment: datetime) -> datetime:
    """A moment in UTC; one without a zone is UTC already."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
