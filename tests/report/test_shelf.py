"""Where pages lie: folders and object stores, and the index of what is in them."""

import re
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from observability.errors import ConfigError, ObserveError, ReportError
from observability.report.render import render_index
from observability.report.shelf import LISTED, Shelf, newest_first, put_file, read_entry


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
    assert "7 older ones are in this folder" in render_index(shown, left_out)


def test_a_file_is_written_where_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert put_file("page.html", "x") == "./page.html"
    assert put_file(f"{tmp_path}/new/folder/page.html", "é\udcff") == f"{tmp_path}/new/folder/page.html"
    assert (tmp_path / "new/folder/page.html").read_text(encoding="utf-8") == "é?"
    assert put_file("memory://bucket/page.html", "y") == "memory://bucket/page.html"
    assert MemoryFileSystem().cat_file("/bucket/page.html") == b"y"


@pytest.mark.parametrize("out", ["folder/", "gs:///page.html", "nosuchscheme://bucket/page.html", "{file}/page.html"])
def test_a_place_that_is_none_is_an_error_that_names_it(out: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(ObserveError) as told:
        put_file(out.format(file=tmp_path / "file"), "x")
    assert isinstance(told.value, ConfigError | ReportError)
    assert told.value.where
    assert told.value.next_step
