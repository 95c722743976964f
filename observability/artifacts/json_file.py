"""Open one of dbt's JSON files and decode it straight from the page cache."""

import mmap
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from threading import Thread
from typing import TypeVar

import msgspec

from observability.artifacts.kinds import Artifact, parse_schema_url
from observability.errors import UnreadableArtifact, UnsupportedArtifact

_LARGE = 1_000_000

T = TypeVar("T", bound=msgspec.Struct)

READ_VERSIONS: dict[Artifact, range] = {
    Artifact.MANIFEST: range(1, 21),
    Artifact.RUN_RESULTS: range(1, 7),
    Artifact.SOURCES: range(1, 4),
    Artifact.FRESHNESS: range(1),
}
"""Schema versions by artifact. Manifest v13 to v19 were never published; v20 is dbt 2.x's."""


class Metadata(msgspec.Struct, gc=False):
    """The `metadata` of any artifact. With partial parsing a manifest's env and start time are an earlier run's."""

    dbt_schema_version: str | None = None
    dbt_version: str | None = None
    generated_at: str | None = None
    invocation_id: str | None = None
    invocation_started_at: str | None = None
    env: dict[str, str | None] | None = None
    project_name: str | None = None
    project_id: str | None = None
    adapter_type: str | None = None


def decode_raw(raw: msgspec.Raw) -> object:
    """A value that was left undecoded; None where it is absent or null. Raises nothing: it is JSON already."""
    return msgspec.json.decode(raw) if raw else None


class _Stamp(msgspec.Struct):
    metadata: Metadata | None = None


class _Digest(Thread):
    """sha256 over a large file beside our other work: hashing holds no lock of the interpreter."""

    def __init__(self, document: mmap.mmap) -> None:
        super().__init__(daemon=True)
        self._document = document
        self.hexdigest = ""

    def run(self) -> None:
        self.hexdigest = sha256(self._document).hexdigest()


@dataclass(frozen=True)
class JsonFile:
    """A file's bytes, mapped rather than copied. `document` must outlive every `msgspec.Raw` decoded from it."""

    path: Path
    document: mmap.mmap | bytes
    digest: _Digest | None = None
    """Under way since the file was opened, where it is large."""
    uri: str | None = None
    """Where it was fetched from, if it was."""

    @property
    def place(self) -> str:
        """Where it lies, for people: its URI, else its path."""
        return self.uri or str(self.path)

    @cached_property
    def sha256(self) -> str:
        """The bytes' digest in hex."""
        if self.digest is None:
            return sha256(self.document).hexdigest()
        self.digest.join()
        self.release()
        return self.digest.hexdigest

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.document)

    def release(self) -> None:
        """Give the mapped pages back: they stay in the page cache, and count as ours no longer."""
        if isinstance(self.document, mmap.mmap):
            self.document.madvise(mmap.MADV_DONTNEED)


def open_json_file(path: Path, uri: str | None = None) -> JsonFile:
    """Map a file, and begin to hash it where it is large. Raises UnreadableArtifact where it cannot be opened."""
    try:
        with path.open("rb") as file:
            # an empty file cannot be mapped
            if not path.stat().st_size:
                return JsonFile(path, b"", uri=uri)
            document = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise UnreadableArtifact(
            f"{path.name} cannot be opened: {error}", where=uri or str(path), next_step="check its permissions"
        ) from error
    if len(document) < _LARGE:
        return JsonFile(path, document, uri=uri)
    digest = _Digest(document)
    digest.start()
    return JsonFile(path, document, digest, uri)


def decode(file: JsonFile, kind: Artifact, shape: type[T]) -> T:
    """Decode a whole file into `shape`, ignoring keys that it does not name.

    Raises UnsupportedArtifact for another artifact, no version stamp or an unread version; UnreadableArtifact for
    anything that is not JSON of that shape.
    """
    try:
        decoded = msgspec.json.decode(file.document, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # A wrong version explains a wrong shape better than the shape does.
        _check_stamp(file, kind)
        raise _unreadable(file, error) from error
    _check_version(file, kind, getattr(decoded, "metadata", None))
    file.release()
    return decoded


def schema_of(file: JsonFile) -> str:
    """The schema URL that a file is stamped with. Raises ArtifactError where it is not JSON or carries none."""
    try:
        stamp = msgspec.json.decode(file.document, type=_Stamp)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(file, error) from error
    url = stamp.metadata.dbt_schema_version if stamp.metadata else None
    if not url:
        raise _unstamped(file)
    return url


def _check_stamp(file: JsonFile, kind: Artifact) -> None:
    try:
        stamp = msgspec.json.decode(file.document, type=_Stamp)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    _check_version(file, kind, stamp.metadata)


def _check_version(file: JsonFile, kind: Artifact, metadata: Metadata | None) -> None:
    url = metadata.dbt_schema_version if metadata else None
    if not url:
        raise _unstamped(file)
    parsed = parse_schema_url(url)
    if parsed is None or parsed[0] is not kind or parsed[1] not in READ_VERSIONS[kind]:
        versions = READ_VERSIONS[kind]
        raise UnsupportedArtifact(
            f"{file.path.name} is stamped {url}, where {kind} v{versions[0]} to v{versions[-1]} is read",
            where=file.place,
            next_step="upgrade dbt-observability if dbt is newer than it; if the file has another's name, rename it",
        )


def _unreadable(file: JsonFile, error: Exception) -> UnreadableArtifact:
    return UnreadableArtifact(
        f"{file.path.name} cannot be read: {_plain(error)}",
        where=f"{file.place} ({file.size:,} bytes, sha256 {file.sha256})",
        next_step="dbt was probably killed while it wrote this file, or something else wrote to it; run the step "
        "again, or fetch the file again from where it was copied",
    )


def _unstamped(file: JsonFile) -> UnsupportedArtifact:
    return UnsupportedArtifact(
        f"{file.path.name} carries no schema version: dbt before 0.19 wrote it, or it is not dbt's",
        where=file.place,
        next_step="artifacts are read from dbt 0.19 on; upgrade dbt, or leave this file out",
    )


def _plain(error: Exception) -> str:
    """The decoder's words without its jargon."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error).replace("Input data was truncated", "it ends in the middle").replace("JSON is malformed: ", "")
