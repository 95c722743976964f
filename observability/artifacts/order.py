"""Steps in the order in which they ran, from as few bytes of their files as tell it."""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TypeVar

from observability.artifacts.folder import FRESHNESS, LOG, MANIFEST, RUN_RESULTS, Folder
from observability.artifacts.reader import parse_timestamp
from observability.artifacts.step import FILE_NAME

HEAD_BYTES = 4096
"""dbt writes a file's metadata first."""

_OWN_START = (rb"invocation_started_at", rb"generated_at")
_KEYS: dict[str, tuple[bytes, ...]] = {
    FILE_NAME: (rb"started_at",),
    RUN_RESULTS: _OWN_START,
    **dict.fromkeys(FRESHNESS, _OWN_START),
    MANIFEST: (rb"generated_at",),  # with partial parsing its start is an earlier run's
    LOG: (rb"ts",),
}
"""Which keys of which file tell when a step began, the best witness first."""

WITNESSES = tuple(_KEYS)

T = TypeVar("T")


def began_at(read_head: Callable[[str], bytes]) -> datetime | None:
    """When a step began. `read_head` gives the first bytes of a file by its name, and none where there is no such."""
    for name, keys in _KEYS.items():
        head = read_head(name)
        for key in keys:
            found = re.search(rb'"%s" ?: ?"([^"]{10,40})"' % key, head)
            moment = parse_timestamp(found[1].decode(errors="replace")) if found else None
            if moment:
                return moment
    return None


def folder_began_at(folder: Folder) -> datetime:
    """When the step of a folder began; where nothing tells, when it was last written to."""

    def read_head(name: str) -> bytes:
        try:
            with (folder.path / name).open("rb") as file:
                return file.read(HEAD_BYTES)
        except OSError:  # whoever reads the step will tell
            return b""

    try:
        return began_at(read_head) or datetime.fromtimestamp(folder.path.stat().st_mtime, UTC)
    except OSError:
        return datetime.max.replace(tzinfo=UTC)


def in_order(timed: Iterable[tuple[datetime, str, T]]) -> list[T]:
    """By time; at the same time by name."""
    return [one for _, _, one in sorted(timed, key=lambda each: each[:2])]
