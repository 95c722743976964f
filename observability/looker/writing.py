"""Writes a LookML project into a folder, and nothing over what it did not write."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from observability.errors import ConfigError

_MARK = "Written by dbt-observe lookml: what is changed here is never overwritten, so change it in files of your own."
_MARKED = re.compile(rf"(?:# |<!-- ){re.escape(_MARK)} sha256:([0-9a-f]{{64}})(?: -->)?\n")
_SUFFIXES = (".lkml", ".lookml", ".md")
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

    Files that were written before are replaced, and removed where there are none such any more. Raises ConfigError,
    and writes nothing, where a file is in the way that is not ours or was changed.
    """
    marked = {path: _marked(path, text) for path, text in files.items()}
    try:
        _refuse_strangers(marked, folder)
        done = Written()
        for path, text in marked.items():
            target = folder / path
            if target.is_file() and _read(target) == text:
                done.unchanged.append(path)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            _replace(target, text)
            done.written.append(path)
        for path in sorted(_found(folder) - marked.keys()):
            state = _state(folder / path)
            if state == "ours":
                (folder / path).unlink(missing_ok=True)
                with suppress(OSError):  # others' files are in it
                    (folder / path).parent.rmdir()
                done.removed.append(path)
            elif state == "changed":
                done.kept.append(path)
    except OSError as error:
        raise ConfigError(
            f"the project cannot be written: {error.strerror}",
            where=str(error.filename or folder),
            next_step="name a folder that can be written to with --out; what was written can be written again",
        ) from error
    return done


def _marked(path: str, text: str) -> str:
    mark = f"{_MARK} sha256:{sha256(text.encode()).hexdigest()}"
    return (f"<!-- {mark} -->\n" if path.endswith(".md") else f"# {mark}\n") + text


def _state(path: Path) -> str:
    """ours, changed (ours, but not as we wrote it) or foreign."""
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


def _found(folder: Path) -> set[str]:
    return set(_walk(folder))


def _walk(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.name.endswith(_SUFFIXES) and not hidden and path.is_file():
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
        return False
    return not path.is_file() or (_read(path) != text and _state(path) != "ours")


def _replace(target: Path, text: str) -> None:
    """Write a file whole or not at all."""
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8", newline="\n")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
