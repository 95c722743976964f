"""Where pages lie: folders and object stores, and the index of what is in them."""

import re
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from threading import Event

import pytest
from fsspec import register_implementation
from fsspec.implementations.memory import MemoryFileSystem

from observability.errors import ConfigError, ObserveError, ReportError
from observability.report.render import render_index
from observability.report.shelf import LISTED, Entry, Shelf, newest_first, put_file, read_entry


def page(number: int, verdict: str = "All is well.", written: int = 0) -> str:
    about = (
        f'{{"file": "x", "verdict": "{verdict}", "tone": "good", "project": "shop", "environment": "prod",'
        f' "run": "r{number}", "started_at": "2026-11-{number % 28 + 1:02} 06:00 UTC",'
        f' "as_of": "2026-11-30 06:{written:02}:00 UTC"}}'
    )
    return (
        f'<!doctype html>\n<meta name="dbt-observe-page" content="{about.replace(chr(34), "&#34;")}">\n' + "x" * 9_000
    )


def listed(index: str) -> list[str]:
    return [unescape(href) for href in re.findall(r'<a href="([^"]+)">', index)]


@pytest.fixture(params=["folder", "memory"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    if request.param == "folder":
        return Shelf(str(tmp_path / "pages"))
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    return Shelf("memory://bucket/pages")


def read(shelf: Shelf, name: str) -> str:
    if shelf.location.startswith("memory:"):
        return bytes(MemoryFileSystem().cat_file(f"/bucket/pages/{name}")).decode()
    return (Path(shelf.location) / name).read_text(encoding="utf-8")


def test_the_index_lists_the_pages_the_newest_first(shelf: Shelf) -> None:
    for number in (3, 1, 2):
        shelf.put(f"page-{number}.html", page(number, f"{number} causes & more"))
    shelf.put("notes.html", "<p>somebody else's</p>")
    shelf.put("broken.html", '<meta name="dbt-observe-page" content="{">')
    shelf.put_index(render_index)
    index = read(shelf, "index.html")
    assert listed(index) == ["page-3.html", "page-2.html", "page-1.html"]
    assert "3 causes &amp; more" in index
    shelf.put("page-4.html", page(4))
    shelf.put_index(render_index)
    assert listed(read(shelf, "index.html"))[0] == "page-4.html"


def test_of_each_run_the_index_lists_the_page_that_was_written_last(shelf: Shelf) -> None:
    shelf.put("test.html", page(1, "2 causes", written=5))
    shelf.put("run.html", page(1, "1 cause", written=3))
    shelf.put("other.html", page(2, written=1))
    shelf.put_index(render_index)
    assert listed(read(shelf, "index.html")) == ["other.html", "test.html"]


def entry(file: str, run: str, pipeline_run: str, written: int, **other: str) -> Entry:
    told = {"verdict": "All is well.", "tone": "good", "project": "shop", "environment": "prod"}
    began = "2026-11-28 06:00 UTC"
    as_of = f"2026-11-30 06:{written:02}:00 UTC"
    return Entry(**{**told, "started_at": began, **other}, file=file, run=run, as_of=as_of, pipeline_run=pipeline_run)


def test_runs_of_two_dags_that_are_called_alike_have_a_line_each() -> None:
    listed, left_out = newest_first(
        [
            entry("daily.html", "daily/scheduled__1", "daily/scheduled__1", 1),
            entry("hourly.html", "hourly/scheduled__1", "hourly/scheduled__1", 2),
            entry("dbt.html", "dbt run", "a", 3),
            entry("again.html", "dbt run", "b", 4),
        ]
    )
    assert (left_out, [one.file for one in listed]) == (0, ["again.html", "dbt.html", "hourly.html", "daily.html"])


def test_a_run_that_is_found_to_have_begun_earlier_has_one_line() -> None:
    late = entry("late.html", "daily/r", "daily/r", 2, started_at="2026-11-28 05:00 UTC")
    assert newest_first([entry("first.html", "daily/r", "daily/r", 1), late]) == ([late], 0)


def test_what_is_nested_too_deep_to_read_is_none_of_our_pages() -> None:
    deep = "[" * 8_000
    assert read_entry("x.html", f'<meta name="dbt-observe-page" content="{deep}">'.encode()) is None


def test_pages_that_others_remove_meanwhile_hide_no_index_of_theirs(tmp_path: Path) -> None:
    theirs = tmp_path / "index.html"
    theirs.write_text("<h1>Our site</h1>", encoding="utf-8")
    paths = [tmp_path / f"page-{number}.html" for number in range(20)]
    is_over = Event()

    def come_and_go() -> None:
        while not is_over.is_set():
            for path in paths:
                path.write_text("x", encoding="utf-8")
            for path in paths:
                path.unlink()

    with ThreadPoolExecutor(1) as pool:
        going_on = pool.submit(come_and_go)
        try:
            for _ in range(200):
                with pytest.raises(ReportError, match="not ours"):
                    Shelf(str(tmp_path)).put_index(render_index)
        finally:
            is_over.set()
        going_on.result()
    assert theirs.read_text(encoding="utf-8") == "<h1>Our site</h1>"


@pytest.mark.filterwarnings("ignore:UPath 'forbidding' filesystem")
def test_an_index_that_cannot_be_read_is_left_alone() -> None:
    class Forbidding(MemoryFileSystem):  # type: ignore[misc] # fsspec has no types
        """A store of whose files one may not be read."""

        protocol = "forbidding"

        def cat_file(self, path: str, *args: object, **given: object) -> bytes:
            if path.endswith("index.html"):
                raise PermissionError(path)
            return bytes(super().cat_file(path, *args, **given))

    register_implementation("forbidding", Forbidding, clobber=True)
    Forbidding.store.clear()
    shelf = Shelf("forbidding://bucket/pages")
    shelf.put("index.html", "<h1>Our site</h1>")
    shelf.put("page-1.html", page(1))
    with pytest.raises(ReportError, match="cannot be written"):
        shelf.put_index(render_index)
    (theirs,) = (file.getvalue() for key, file in Forbidding.store.items() if key.endswith("/index.html"))
    assert theirs == b"<h1>Our site</h1>"


def test_an_index_of_others_is_left_alone(shelf: Shelf) -> None:
    shelf.put("index.html", "<h1>Our site</h1>")
    with pytest.raises(ReportError, match="not ours"):
        shelf.put_index(render_index)
    assert read(shelf, "index.html") == "<h1>Our site</h1>"


def test_many_writers_at_once_leave_whole_files_and_a_whole_index(tmp_path: Path) -> None:
    def write(number: int) -> None:
        one = Shelf(str(tmp_path))
        one.put("same.html", page(number))
        one.put(f"page-{number}.html", page(number))
        one.put_index(render_index)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(24)))
    Shelf(str(tmp_path)).put_index(render_index)
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert len(listed(index)) == 24, "a run has one page, whatever it is called"
    assert (tmp_path / "same.html").read_text(encoding="utf-8") in {page(number) for number in range(24)}
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_what_is_not_listed_is_counted() -> None:
    entries = [read_entry(f"{number}.html", page(number).encode()) for number in range(LISTED + 7)]
    shown, left_out = newest_first(entry for entry in entries if entry)
    assert (len(shown), left_out) == (LISTED, 7)
    index = render_index(shown, left_out, 0)
    assert "7 older runs with pages in this folder are not listed." in index
    assert "not looked at" not in index
    index = render_index(shown, 0, 1)
    assert "1 file that was written before these was not looked at." in index
    assert "older" not in index


def test_a_file_is_written_where_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert put_file("page.html", "x") == "./page.html"
    assert put_file(f"{tmp_path}/new/folder/page.html", "é\udcff") == f"{tmp_path}/new/folder/page.html"
    assert (tmp_path / "new/folder/page.html").read_text(encoding="utf-8") == "é?"
    assert put_file("memory://bucket/page.html", "y") == "memory://bucket/page.html"
    assert MemoryFileSystem().cat_file("/bucket/page.html") == b"y"


@pytest.mark.parametrize(
    "out",
    [
        "folder/",
        "gs:///page.html",
        "nosuchscheme://bucket/page.html",
        "{file}/page.html",
        f"{'x' * 300}.html",
        f"{'x' * 5_000}/page.html",
    ],
)
def test_a_place_that_is_none_is_an_error_that_names_it(out: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(ObserveError) as told:
        put_file(out.format(file=tmp_path / "file"), "x")
    assert isinstance(told.value, ConfigError | ReportError)
    assert told.value.where
    assert told.value.next_step
