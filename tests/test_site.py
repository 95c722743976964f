"""The documentation as a site: it builds strictly, every page is there, and a reader asks nobody else for anything."""

import functools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from browser import NoBrowser, start_browser

ROOT = Path(__file__).parent.parent
FETCHED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "object": "data"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (built.returncode, built.stderr) == (0, "")
    return folder


class Fetched(HTMLParser):
    """What a browser fetches for a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        if tag in FETCHED and said.get("rel") != "canonical" and (address := said.get(FETCHED[tag])):
            self.addresses.append(address)


def test_every_page_of_the_repository_is_a_page(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    pages |= {Path("index.html"), Path("CONTRIBUTING.html"), Path("SECURITY.html"), Path("CHANGELOG.html")}
    assert [str(page) for page in sorted(pages) if not (site / page).exists()] == []
    assert [path.name for path in site.rglob("*.py")] == []


def test_no_page_fetches_anything_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    found = {address for page in pages for address in Fetched(page).addresses}
    assert len(pages) > 15
    assert [address for address in found if re.match(r"(\w+:)?//", address)] == []
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert re.findall(r"(?:url\(|@import )[\"']?(?:\w+:)?//[^)\"']+", styles) == []


def test_lists_and_examples_are_what_they_are_in_the_repository(site: Path) -> None:
    """Of a list, the site's Markdown wants four spaces where the repository's is content with three."""
    for page in site.rglob("*.html"):
        if "sources" not in page.parts:
            text = re.sub(r"<(code|pre)\b.*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
            assert re.findall(r"```.*|^(?:<p>)?\d\. .*", text, re.MULTILINE) == [], page.name


def test_the_drawing_can_be_read_as_text(site: Path) -> None:
    page = (site / "index.html").read_text(encoding="utf-8")
    assert page.count("<svg") > 1
    assert ">each change told once</text>" in page


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class' name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    serving = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    serving.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    serving.join()
    server.server_close()


def test_a_browser_finds_what_it_looks_for_and_asks_nobody_else(address: str) -> None:
    asked: list[str] = []
    faults: list[str] = []
    try:
        with start_browser() as browser:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.on("request", lambda request: asked.append(request.url))
            page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
            page.on("pageerror", lambda error: faults.append(str(error)))
            for name in ("index", "airflow", "reference/views", "sources/dags/greenery_daily.py"):
                page.goto(f"{address}/{name}.html")
                page.wait_for_load_state("networkidle")
                broken = "() => [...document.images].filter(one => !one.naturalWidth).map(one => one.src)"
                assert page.evaluate(broken) == [], name
            page.goto(f"{address}/index.html")
            page.locator(".md-search__input").click()
            page.keyboard.type("retention")
            page.locator(".md-search-result__item").first.wait_for()
            page.set_viewport_size({"width": 390, "height": 844})
            page.goto(f"{address}/operating.html")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
    except NoBrowser as error:
        pytest.skip(str(error))
    assert [one for one in asked if not one.startswith((address, "data:", "blob:"))] == []
    assert faults == []
