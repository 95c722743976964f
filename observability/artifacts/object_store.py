"""Steps whose files lie in an object store: gs://, s3:// or whatever else universal-pathlib knows.

Only the files that a step is read from go up or come down. An attempt's observe.json goes up last: whoever sees it sees
the rest. What comes down lies in a temporary folder, and keeps its URI.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from observability.artifacts.bucket import (
    UNREACHABLE,
    Location,
    Place,
    has_bucket,
    in_time,
    modified_at,
    open_place,
    reason_of,
    told,
)
from observability.artifacts.folder import ARTIFACTS, LOG, Folder, merge_step, needs_log
from observability.artifacts.layouts import linkage_of
from observability.artifacts.order import HEAD_BYTES, began_at
from observability.artifacts.step import FILE_NAME, Step, read_step
from observability.errors import ObjectStoreError, ObserveError

READ = (*ARTIFACTS, FILE_NAME, LOG)
_TOGETHER = 8


@dataclass(frozen=True)
class StoredFile:
    """One object of a step's."""

    key: str
    uri: str
    size: int
    modified_at: datetime | None


@dataclass(frozen=True)
class StoredStep:
    """A step as the listing of an object store shows it; its files are fetched when its turn comes."""

    fs: Any
    uri: str
    files: Mapping[str, StoredFile]

    @property
    def place(self) -> str:
        """Where it lies."""
        return self.uri

    @property
    def size(self) -> int:
        """How many bytes would come down, its log left out: few need it."""
        return sum(file.size for name, file in self.files.items() if name != LOG)

    @property
    def modified_at(self) -> datetime:
        """When the last of its files was written; now where there is none."""
        return max((file.modified_at for file in self.files.values() if file.modified_at), default=datetime.now(UTC))

    def began_at(self) -> datetime:
        """When the step began; where its files do not tell, when they were written."""

        def read_head(name: str) -> bytes:
            if name not in self.files:
                return b""
            try:
                return bytes(self.fs.cat_file(self.files[name].key, start=0, end=HEAD_BYTES))
            except Exception:  # noqa: BLE001 - every SDK has errors of its own; whoever fetches the step will tell
                return b""

        return began_at(read_head) or self.modified_at


@dataclass(frozen=True)
class Upload:
    """Where an attempt's files went. `warnings` are of files that are missing there, and not needed."""

    uri: str
    files: tuple[str, ...]
    warnings: tuple[str, ...] = ()


# Up


def upload(folder: Path, location: Location) -> Upload:
    """Upload an attempt's files, observe.json last; never over another attempt's.

    Where something of another attempt lies there already, they go beside it. Raises ConfigError for what is no URI,
    and ObjectStoreError where an artifact cannot be uploaded: then observe.json is not, so that half an attempt never
    passes for a whole one.
    """
    place = open_place(location)
    if _is_taken(place):
        place = place.beside(_suffix())
    try:
        return _upload(folder, place)
    except FileExistsError:  # another attempt was a moment earlier
        return _upload(folder, place.beside(_suffix()))


def _suffix() -> str:
    return f"-{uuid4().hex[:8]}"


def _is_taken(place: Place) -> bool:
    """Whether files of a step lie there. Whoever may only write does not learn it, and is stopped by the first file."""
    try:
        place.fs.invalidate_cache()
        listed = in_time(place.fs, place.fs.ls, place.key, detail=False)
    except Exception as error:  # every SDK has errors of its own
        if isinstance(error, TimeoutError) or reason_of(error) is UNREACHABLE:
            raise told(error, "nothing was uploaded", place.uri) from error
        return False
    return any(str(key).rsplit("/", 1)[-1] in READ for key in listed)


def _upload(folder: Path, place: Place) -> Upload:
    """Raises FileExistsError where another attempt writes to the same place."""
    names = [name for name in ARTIFACTS if (folder / name).is_file()]
    log = next((path for path in (folder / LOG, folder / "logs" / LOG) if path.is_file()), None)
    sources = {name: folder / name for name in names} | ({LOG: log} if log else {})
    warnings: list[str] = []

    def put(name: str, *, first: bool = False) -> str | None:
        try:
            _put(sources[name], place / name, create=first)
        except ObjectStoreError as error:
            if name != LOG:
                raise
            warnings.append(f"dbt's event log is missing there: {error}")
            return None
        return (place / name).uri

    done: list[str | None] = []
    if sources:
        first, *others = sources
        done.append(put(first, first=True))
        with ThreadPoolExecutor(_TOGETHER) as pool:
            done += pool.map(put, others)
    if (folder / FILE_NAME).is_file():
        _put(folder / FILE_NAME, place / FILE_NAME, create=True)
        done.append((place / FILE_NAME).uri)
    return Upload(place.uri, tuple(uri for uri in done if uri), tuple(warnings))


def _put(source: Path, place: Place, *, create: bool) -> None:
    try:
        if place.is_folder:  # folders have to be made there, and nothing is create-only
            place.fs.makedirs(place.key.rsplit("/", 1)[0], exist_ok=True)
            if create and place.fs.exists(place.key):
                raise FileExistsError(place.key)
        mode = {"mode": "create"} if create else {}
        in_time(place.fs, place.fs.put_file, str(source), place.key, size=source.stat().st_size, **mode)
    except FileExistsError:
        raise
    except Exception as error:  # every SDK has errors of its own
        raise told(error, f"{source.name} could not be uploaded", place.uri) from error


# Down


def list_steps(location: Location) -> list[StoredStep]:
    """The steps below a prefix, itself included, by URI; one that has no files where there is none.

    Raises ConfigError for what is no URI, ObjectStoreError where it cannot be listed.
    """
    place = open_place(location)
    try:
        place.fs.invalidate_cache()
        listed: Mapping[str, Mapping[str, Any]] = place.fs.find(place.key, detail=True)
        if not listed and place.uri.count("/") > 2 and not place.uri.startswith("memory:"):
            place.fs.ls(place.key)  # find says nothing of a bucket that is not there
    except FileNotFoundError as error:
        if has_bucket(place):
            listed = {}
        else:
            raise told(error, "there is nothing to list", place.uri) from error
    except Exception as error:  # every SDK has errors of its own
        raise told(error, "what lies there cannot be listed", place.uri) from error
    files = {_relative(key, place): (key, info) for key, info in listed.items() if key.rsplit("/", 1)[-1] in READ}
    steps = []
    for folder, names in group(files).items():
        uri = f"{place.uri}/{folder}" if folder else place.uri
        found = {name: _stored(*files[relative], f"{place.uri}/{relative}") for name, relative in names.items()}
        steps.append(StoredStep(place.fs, uri, found))
    return sorted(steps, key=lambda step: step.uri) or [StoredStep(place.fs, place.uri, {})]


def _relative(key: str, place: Place) -> str:
    return key.removeprefix(place.key).lstrip("/")


def _stored(key: str, info: Mapping[str, Any], uri: str) -> StoredFile:
    return StoredFile(key, uri, int(info.get("size") or 0), modified_at(info))


def group(paths: Iterable[str]) -> dict[str, dict[str, str]]:
    """Relative paths of objects as steps: folder → name → path.

    As for folders of this machine: a step holds a file of dbt's or observe.json; below a step there is no other, and
    `logs/` belongs to it, or to none where a `target/` beside it is one.
    """
    steps: dict[str, dict[str, str]] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        if name in READ:
            steps.setdefault(folder, {})[name] = path
    for folder in sorted(steps):
        parent, _, last = folder.rpartition("/")
        if last != "logs":
            continue
        above = steps.get(parent)
        if above is not None:
            above.setdefault(LOG, steps[folder].get(LOG, f"{folder}/{LOG}"))
        if above is not None or f"{parent}/target".lstrip("/") in steps:
            del steps[folder]
    whole = set(steps)
    return {folder: names for folder, names in steps.items() if not _above(folder) & whole}


def _above(folder: str) -> set[str]:
    """The folders that a folder lies in, the root ("") included."""
    parts = folder.split("/")
    return {"/".join(parts[:depth]) for depth in range(len(parts))} if folder else set()


def began_at_all(steps: Sequence[StoredStep]) -> list[datetime]:
    """When each of them began: one small request a step, many at a time."""
    with ThreadPoolExecutor(_TOGETHER * 2) as pool:
        return list(pool.map(StoredStep.began_at, steps))


@contextmanager
def fetched(steps: Sequence[StoredStep], given: Step | None = None) -> Iterator[list[Folder | ObserveError]]:
    """The steps' files in temporary folders, for as long as this lasts; an error for one out of reach.

    `given` is what the caller knows of the step: a log comes down only where it counts.
    """
    with TemporaryDirectory(prefix="dbt-observe-") as root, ThreadPoolExecutor(_TOGETHER) as pool:
        folders = [Path(root) / str(number) for number in range(len(steps))]
        yield list(pool.map(lambda step, folder: _fetch(step, folder, given or Step()), steps, folders))


def _fetch(step: StoredStep, folder: Path, given: Step) -> Folder | ObserveError:
    try:
        folder.mkdir()
        for name in step.files:  # none of them has a name of an object's: those may be anything
            if name != LOG:
                _get(step, name, folder)
        if LOG in step.files and needs_log(_observed(step, folder, given), step.files):
            _get(step, LOG, folder)
        moment = step.modified_at.timestamp()
        os.utime(folder, (moment, moment))
    except ObserveError as error:
        return error
    except OSError as error:
        return told(error, "a step cannot be fetched", step.uri)
    return Folder(folder, step.uri, {name: file.uri for name, file in step.files.items()})


def _observed(step: StoredStep, folder: Path, given: Step) -> Step:
    try:
        observed = read_step(folder / FILE_NAME) if FILE_NAME in step.files else linkage_of(step.uri.split("/"))
    except ObserveError:  # told when the step is read
        observed = Step()
    return merge_step(given, observed)


def _get(step: StoredStep, name: str, folder: Path) -> None:
    file = step.files[name]
    try:
        in_time(step.fs, step.fs.get_file, file.key, str(folder / name), size=file.size)
    except Exception as error:  # every SDK has errors of its own
        what = f"{name} cannot be fetched"
        if isinstance(error, FileNotFoundError):
            raise ObjectStoreError(
                f"{what}: it was there when its folder was listed, and is gone",
                where=file.uri,
                next_step="load it again; if a lifecycle rule removes such files, load them earlier",
            ) from error
        raise told(error, what, file.uri) from error
