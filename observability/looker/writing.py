"""Writes a LookML project into a folder, and nothing over what it did not write."""

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from observability.errors import ConfigError

_MARK = "Written by dbt-observe lookml: what is changed here is never overwritten, so change it in files of your own."
_MARKED = re.compile(rf"(?:# |<!-- ){re.escape(_MARK)} sha256:([0-9a-f]{{64}})(?: -->)?\n")
_SUFFIXES = (".lkml", ".lookml", ".md")
_PARTIAL = ".dbt-observe-partial"
_MOST_SHOWN = 5


@dataclass
class Written:
    """What became of the files, by their paths below the folder."""

    written: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    """What an earlier version wrote, and this one has no more."""
    kept: list[str] = field(default_factory=list)
    """The same, but changed since: left alone."""


def write_files(files: Mapping[str, str], folder: Path) -> Written:
    """Write files, given by path and text, below a folder.

    Files that were written before are replaced, and removed where there are none such any more. Each is there whole or
    not at all: who is killed half-way is finished by the next, and of two at once one waits. Raises ConfigError, and
    writes nothing, where a file is in the way that is not ours or was changed.
    """
    marked = {path: _marked(path, text) for path, text in files.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            _refuse_strangers(marked, folder)
            return _write(marked, folder)
    except OSError as error:
        raise ConfigError(
            f"the project cannot be written: {error.strerror}",
            where=str(error.filename or folder),
            next_step="name a folder that can be written to with --out; what was written can be written again",
        ) from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else writes into the folder: its own lock, so that no file is left in a repository."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _write(marked: Mapping[str, str], folder: Path) -> Written:
    done = Written()
    for path, text in marked.items():
        target = folder / path
        if target.is_file() and _read(target) == text:
            done.unchanged.append(path)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, text)
        done.written.append(path)
    for path in sorted(set(_walk(folder)) - marked.keys()):
        state = _state(folder / path)
        if state == "ours":
            (folder / path).unlink(missing_ok=True)
            with suppress(OSError):  # others' files are in it
                (folder / path).parent.rmdir()
            done.removed.append(path)
        elif state == "changed":
            done.kept.append(path)
    return done


def _marked(path: str, text: str) -> str:
    mark = f"{_MARK} sha256:{sha256(text.encode()).hexdigest()}"
    return (f"<!-- {mark} -->\n" if path.endswith(".md") else f"# {mark}\n") + text


def _state(path: Path) -> str:
    """ours, changed (ours, but not as we wrote it) or foreign."""
    with path.open("rb") as file:
        if not file.read(len(_MARK) + 10).lstrip(b"# <!-").startswith(_MARK.encode()):
            return "foreign"  # whatever else is in a repository need not be read
    text = _read(path)
    found = _MARKED.match(text)
    if not found:
        return "foreign"
    return "ours" if sha256(text[found.end() :].encode()).hexdigest() == found[1] else "changed"


def _read(path: Path) -> str:
    """A file's text; where it is none, something that we never wrote. Git may have changed the ends of its lines."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def _walk(folder: Path) -> Iterator[str]:
    """The files that may be ours. What a link leads to is not, and hidden folders are nobody's."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(place, name)
            if name.startswith(".") and name.endswith(_PARTIAL):
                path.unlink(missing_ok=True)  # of one that was killed
            elif name.endswith(_SUFFIXES) and not name.startswith(".") and path.is_file() and not path.is_symlink():
                yield path.relative_to(folder).as_posix()


def _refuse_strangers(marked: Mapping[str, str], folder: Path) -> None:
    changed = [path for path, text in marked.items() if _is_strange(folder / path, text)]
    if changed:
        shown = ", ".join(changed[:_MOST_SHOWN])
        more = f" and {len(changed) - _MOST_SHOWN} more" if len(changed) > _MOST_SHOWN else ""
        raise ConfigError(
            "files are in the way that were changed, or that dbt-observe did not write; nothing was written",
            where=f"{folder}: {shown}{more}",
            next_step="move changes into files of your own (view: +incidents { … }) and remove these, or name another"
            " folder with --out and import it",
        )


def _is_strange(path: Path, text: str) -> bool:
    if not path.exists():
        return path.is_symlink()  # a link that leads nowhere
    if not path.is_file():
        return True
    return _read(path) != text and (path.is_symlink() or _state(path) != "ours")


def _replace(target: Path, text: str) -> None:
    """Write a file whole or not at all."""
    partial = target.with_name(f".{target.name}{_PARTIAL}")
    try:
        partial.write_text(text, encoding="utf-8", newline="\n")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
