"""Where pages lie: written into a folder or an object store, and listed as each says at its head what it is."""

import json
import os
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from html import unescape
from pathlib import Path
from typing import Any

from observability.artifacts.bucket import Place, in_time, is_uri, open_place, reason_of, told
from observability.errors import ConfigError, ReportError

HEAD_BYTES = 8_192
"""So much of a page is enough to know it."""
LISTED = 200
"""Runs that an index lists."""
_LOOKED_AT = 500
"""Files whose beginnings are read for it: those that were written last."""
INDEX = "index.html"
_ABOUT = re.compile(r'<meta name="dbt-observe-page" content="([^"]*)">')
_OURS = re.compile(r'<meta name="dbt-observe-index" content="[^"]*">')


@dataclass(frozen=True)
class Entry:
    """What an index says of a page."""

    file: str
    verdict: str
    tone: str
    project: str
    environment: str
    run: str
    """As people call it."""
    started_at: str
    as_of: str
    pipeline_run: str = ""
    """What tells it from every other run; empty on a page that does not say."""


def read_entry(file: str, head: bytes) -> Entry | None:
    """A page's entry, from the beginning of the file; None where it is none of ours."""
    found = _ABOUT.search(head.decode("utf-8", "replace"))
    if not found:
        return None
    try:
        said = json.loads(unescape(found[1]))
        known = {"pipeline_run": "", **said, "file": file}
        return Entry(**{field.name: str(known[field.name]) for field in fields(Entry)})
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def is_index(head: bytes) -> bool:
    """Whether a file is an index of ours, which may be written anew."""
    return bool(_OURS.search(head.decode("utf-8", "replace")))


def newest_first(entries: Iterable[Entry]) -> tuple[list[Entry], int]:
    """The pages that an index lists, of each run the one that was written last, and how many runs it leaves out."""
    latest: dict[tuple[str, ...], Entry] = {}
    for one in sorted(entries, key=lambda one: (one.as_of, one.file)):
        run = (one.pipeline_run,) if one.pipeline_run else (one.run, one.started_at)
        latest[one.project, one.environment, *run] = one
    ordered = sorted(latest.values(), key=lambda one: (one.started_at, one.as_of, one.file), reverse=True)
    return ordered[:LISTED], max(len(ordered) - LISTED, 0)


class Shelf:
    """A folder of this machine's or a prefix in an object store (gs://…) that pages are put into."""

    def __init__(self, location: str) -> None:
        """Raises ConfigError for what is no folder and no URI."""
        self.location = location
        self._place: Place | None = open_place(location) if is_uri(location) else None
        self._folder = Path(location)

    def put(self, name: str, text: str) -> str:
        """Write a file whole or not at all; where it is. Raises ReportError."""
        data = text.encode("utf-8", "replace")
        where = f"{self.location.rstrip('/')}/{name}"
        try:
            if self._place is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                _replace(self._folder / name, data)
            else:
                place = self._place / name
                in_time(place.fs, place.fs.pipe_file, place.key, data, size=len(data), **_html(place.uri))
        except Exception as error:  # every SDK has errors of its own
            raise _told(error, where) from error
        return where

    def put_index(self, render: Callable[[list[Entry], int, int], str]) -> str:
        """Write the index of the pages that lie here now. Raises ReportError, and leaves a file of others' alone.

        It is rendered of the pages to list, how many runs these leave out, and how many files were not looked at.
        """
        heads, unread = self._heads()
        if INDEX in heads and not is_index(heads[INDEX]):
            raise ReportError(
                "index.html is not ours, and is left alone",
                where=f"{self.location.rstrip('/')}/{INDEX}",
                next_step="name a folder for pages only",
            )
        entries = (read_entry(name, head) for name, head in heads.items() if name != INDEX)
        listed, left_out = newest_first(entry for entry in entries if entry)
        return self.put(INDEX, render(listed, left_out, unread))

    def _heads(self) -> tuple[dict[str, bytes], int]:
        """The beginnings of the HTML files that were written last, and how many others there are.

        The index is among them, however old it is.
        """
        try:
            if self._place is None:
                return _heads_in(self._folder)
            fs = self._place.fs
            fs.invalidate_cache()
            found = in_time(fs, fs.ls, self._place.key, detail=True)
            keys = {str(one["name"]).rsplit("/", 1)[-1]: one for one in found if str(one["name"]).endswith(".html")}
            names, unread = _last_written({name: _written_at(one) for name, one in keys.items()})
            asked = [keys[name]["name"] for name in names]
            heads = fs.cat_ranges(asked, [0] * len(asked), [HEAD_BYTES] * len(asked), on_error="return")
            for name, head in zip(names, heads, strict=True):
                if name == INDEX and isinstance(head, BaseException) and not isinstance(head, FileNotFoundError):
                    raise head  # whose it is must be known before it is written
            return {
                name: bytes(head)
                for name, head in zip(names, heads, strict=True)
                if not isinstance(head, BaseException)
            }, unread
        except FileNotFoundError:
            return {}, 0
        except Exception as error:  # every SDK has errors of its own
            raise _told(error, self.location) from error


def _last_written(files: Mapping[str, float | str]) -> tuple[list[str], int]:
    names = sorted(files, key=lambda name: (name == INDEX, files[name], name), reverse=True)
    return names[:_LOOKED_AT], max(len(names) - _LOOKED_AT, 0)


def _written_at(info: Mapping[str, Any]) -> str:
    """When a store says that a file was written: each under a name of its own."""
    return next((str(info[name]) for name in ("mtime", "LastModified", "last_modified", "created") if name in info), "")


def put_file(out: str, text: str) -> str:
    """Write a page to a path or a URI of its own; where it is. Raises ConfigError and ReportError."""
    folder, _, name = out.rpartition("/")
    if not name:
        raise ConfigError(f"{out!r} names no file", where="--out", next_step="name one, such as page.html")
    path = Path(out)
    try:
        is_other = not is_uri(out) and path.exists() and not path.is_file()
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise _told(error, out) from error
    if is_other:
        what = "a folder" if path.is_dir() else "no file that can be replaced"
        raise ConfigError(f"{out!r} is {what}", where="--out", next_step="name a file, such as page.html")
    return Shelf(folder or ("/" if out.startswith("/") else ".")).put(name, text)


def _replace(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _heads_in(folder: Path) -> tuple[dict[str, bytes], int]:
    """The same of a folder, but for what somebody removes meanwhile."""
    times: dict[str, float | str] = {}
    for path in folder.glob("*.html"):
        with suppress(FileNotFoundError):
            if path.is_file():
                times[path.name] = path.stat().st_mtime
    names, unread = _last_written(times)
    heads = {}
    for name in names:
        with suppress(FileNotFoundError), (folder / name).open("rb") as file:
            heads[name] = file.read(HEAD_BYTES)
    return heads, unread


def _html(uri: str) -> dict[str, str]:
    """How a store is told that a browser may show it; others guess by the name."""
    return {"gs": {"content_type": "text/html; charset=utf-8"}, "s3": {"ContentType": "text/html; charset=utf-8"}}.get(
        uri.partition(":")[0], {}
    )


def _told(error: Exception, where: str) -> ReportError:
    if isinstance(error, OSError) and error.strerror and reason_of(error) is None:
        return ReportError(
            f"the page cannot be written: {error.strerror}",
            where=where,
            next_step="name a place that can be written to",
        )
    said = told(error, "the page cannot be written", where)
    return ReportError(said.what, where=said.where, next_step=said.next_step)
