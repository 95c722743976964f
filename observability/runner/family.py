"""Which of a command's processes is dbt.

A launcher that sees no terminal passes signals on (`uv run` does, `doppler run` too), a shell does not: signalling the
whole group would interrupt dbt twice under the one, signalling the launcher not at all under the other. The second
SIGINT would hit dbt while it writes down its results. So the one process that is dbt gets it.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from observability.runner.command import is_dbt

_PROC = Path("/proc")
_PROGRAM_WORDS = 5  # `python -X … /bin/dbt`, `uv run --frozen dbt`: further right stand dbt's own arguments


def find_dbt(leader: int) -> list[int]:
    """The processes below `leader`, itself included, that are dbt. Empty where that cannot be told: no /proc, say."""
    parents = dict(_parents())
    named = {pid for pid in parents if _is_below(pid, leader, parents) and _names_dbt(pid)}
    return sorted(named - {parents[pid] for pid in named})  # `uv run dbt` names dbt, and is not it


def _parents() -> Iterator[tuple[int, int]]:
    if not _PROC.is_dir():
        return
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            # pid (any name, even with brackets) state ppid …
            fields = _read(entry / "stat").rpartition(b")")[2].split()
            if len(fields) > 1:
                yield int(entry.name), int(fields[1])


def _is_below(pid: int, leader: int, parents: dict[int, int]) -> bool:
    seen = set()  # the list was not read at one instant, so it might run in a circle
    while pid in parents and pid not in seen and pid != leader:
        seen.add(pid)
        pid = parents[pid]
    return pid == leader


def _names_dbt(pid: int) -> bool:
    words = _read(_PROC / str(pid) / "cmdline").split(b"\0")[:_PROGRAM_WORDS]
    return any(is_dbt(os.fsdecode(word)) for word in words)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended
        return b""
