"""The project's own target path: what a fresh one needs from it, and what goes back there when dbt has ended.

Users, IDEs, `dbt retry`, `--state target` and `dbt docs serve` look for dbt's files there, so there they come, each one
replaced whole. Copies both ways: dbt writes into its files in place, and a link would change them for both.

Only `compiled/` and `run/` are links to the project's own. They are no evidence, and there can be a hundred thousand
files in them: copying took 11 s for 80,000.
"""

import errno
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from observability.artifacts.step import FILE_NAME
from observability.runner.command import CACHE, read_setting

LOG_NAME = "dbt.log"
_STAYS = frozenset((FILE_NAME, LOG_NAME))
_SPARE_BYTES = 64 * 1024 * 1024
_PROJECT_NAME = re.compile(rb'"project_name": ?"([^"]*)"')

Stamp = tuple[int, int, int]


def check_room(folder: Path, own: Path | None) -> None:
    """Raise OSError unless the disk of `folder` could hold twice what dbt last wrote: it must not fail for our sake."""
    # Only what dbt itself writes at the top: people keep database files in there too.
    names = ("manifest.json", "run_results.json", "sources.json", "catalog.json", CACHE)
    needed = sum((own / name).stat().st_size for name in names if (own / name).is_file()) if own else 0
    if shutil.disk_usage(folder).free < 2 * needed + _SPARE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def seed(own: Path, folder: Path, names: Sequence[str]) -> dict[Path, Stamp]:
    """Copy files of earlier steps into a fresh target path. Raises OSError."""
    stamps = {}
    for name in names:
        if (own / name).is_file():
            shutil.copyfile(own / name, folder / name)
            stamps[folder / name] = _stamp(folder / name)
    return stamps


def link_code(own: Path, folder: Path) -> None:
    """Have dbt write compiled and executed SQL where it always does. Where links cannot be, it is copied afterwards."""
    for name in ("compiled", "run"):
        with suppress(OSError):
            (own / name).mkdir(parents=True, exist_ok=True)
            (folder / name).symlink_to(own / name, target_is_directory=True)


def remove_untouched(seeds: Mapping[Path, Stamp]) -> None:
    """Remove the seeds that dbt has not written: they say nothing of this step. Raises OSError."""
    for path, stamp in seeds.items():
        if path.exists() and _stamp(path) == stamp:
            path.unlink()


def _stamp(path: Path) -> Stamp:
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def is_of_project(folder: Path, project: Path) -> bool:
    """Whether the manifest in `folder` is this project's: a script may have changed to another one."""
    try:
        with (folder / "manifest.json").open("rb") as file:
            said = _PROJECT_NAME.search(file.read(16384))
    except OSError:
        return True
    name = read_setting(project, "name")
    return said is None or name is None or said[1].decode(errors="replace") == name


@dataclass
class Publication:
    """How publishing went."""

    files: int = 0
    failed: int = 0
    first_error: str = ""
    halves: int = 0

    def warnings(self, own: Path, folder: Path) -> Iterator[str]:
        """What the user should know."""
        if self.failed:
            yield (
                f"{self.failed} of {self.files + self.failed} files of dbt's could not be put into {own} "
                f"({self.first_error}); they are in {folder}"
            )
        if self.halves:
            yield f"dbt was killed: {self.halves} files that may be unfinished stay in {folder}, and out of {own}"


def publish(folder: Path, own: Path, *, killed: bool) -> Publication:
    """Put what dbt wrote into the project's own target path.

    Each file appears whole or not at all. Of a killed dbt only complete JSON files count. Never raises OSError.
    """
    done = Publication()
    suffix = f".{uuid.uuid4().hex[:12]}.partial"  # a folder may be shared by containers with equal process ids
    for parent, _, names in os.walk(folder):
        here = Path(parent)
        at_top = here == folder
        for name in names:
            if at_top and (name in _STAYS or name.endswith(".partial")):
                continue
            try:
                if killed and not _is_whole_json(here / name):
                    done.halves += 1
                    continue
                _replace(here / name, own / here.relative_to(folder) / name, suffix, move=at_top and name == CACHE)
                done.files += 1
            except OSError as error:
                done.failed += 1
                done.first_error = done.first_error or str(error)
    return done


def _is_whole_json(path: Path) -> bool:
    if path.suffix != ".json":
        return False
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 16))
        return file.read().rstrip().endswith(b"}")


def _replace(source: Path, destination: Path, suffix: str, *, move: bool) -> None:
    destination = Path(os.path.realpath(destination))  # a link stays a link
    destination.parent.mkdir(parents=True, exist_ok=True)
    if move:  # the cache is large and is no evidence
        try:
            source.replace(destination)
            return
        except OSError:  # another disk
            pass
    partial = destination.with_name(suffix)
    try:
        shutil.copyfile(source, partial)
        partial.replace(destination)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    if move:
        source.unlink()
