"""The triage page in a real browser: nothing asked, nothing run that is not ours, and everything usable."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import NoBrowser, start_browser
from factories import manifest, node, result
from pages import new_shop, page_of
from playwright.sync_api import Browser, Dialog, Page, Request, expect
from shop import BINDER
from test_page import bad_morning, hostile_page

from observability.report.render import render_index
from observability.report.shelf import Shelf

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

OPEN_ALL = "for (const one of document.querySelectorAll('details')) one.open = true"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    try:
        with start_browser() as browser:
            yield browser
    except NoBrowser as error:
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail(f"no browser: {error}")
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages of a bad morning, of hostile texts, and of many nodes."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("bad", "hostile", "many")}
    bad = new_shop(folders["bad"])
    bad_morning(bad)
    page_of(bad)
    hostile_page(new_shop(folders["hostile"]))
    many = new_shop(folders["many"])
    names = [f"model.shop.model_{number:04}" for number in range(1_200)]
    results = [result(name, execution_time=float(number)) for number, name in enumerate(names)]
    results[7] |= {"status": "error", "message": BINDER}
    results[8] |= {"status": "error", "message": BINDER}
    many.step("run", *results, graph=manifest(*map(node, names)), exit_code=1)
    page_of(many)
    pages = {name: folder / "page.html" for name, folder in folders.items()}
    shelf = Shelf(str(tmp_path_factory.mktemp("index")))
    for name, page in pages.items():
        shelf.put(f"{name}.html", page.read_text(encoding="utf-8"))
    shelf.put_index(render_index)
    return {**pages, "index": Path(shelf.location) / "index.html"}


@dataclass
class Opened:
    """A page in a window, and what the browser had to say of it."""

    page: Page
    said: list[str] = field(default_factory=list)


def opened(browser: Browser, file: Path, **context: object) -> Opened:
    window = browser.new_context(**context)  # type: ignore[arg-type]
    window.set_default_timeout(10_000)
    found = Opened(window.new_page())

    def refuse(dialog: Dialog) -> None:
        found.said.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def asked(request: Request) -> None:
        if not request.url.startswith(("file:", "data:,")):
            found.said.append(f"request: {request.url}")

    found.page.on("console", lambda message: found.said.append(f"console {message.type}: {message.text}"))
    found.page.on("pageerror", lambda error: found.said.append(f"error: {error}"))
    found.page.on("dialog", refuse)
    found.page.on("request", asked)
    found.page.goto(file.as_uri())
    expect(found.page.locator("table").last).to_be_visible()
    return found


@pytest.mark.parametrize("name", ["bad", "hostile", "many", "index"])
@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_it_asks_nobody_and_nothing_goes_wrong(chromium: Browser, files: dict[str, Path], name: str, look: str) -> None:
    phone = {"viewport": {"width": 360, "height": 740}} if look == "phone" else {}
    found = opened(chromium, files[name], color_scheme="dark" if look == "dark" else "light", **phone)
    found.page.evaluate(OPEN_ALL)
    found.page.mouse.move(200, 300)
    assert found.said == []
    too_wide = found.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    assert not too_wide, "only tables and drawings may scroll sideways, by themselves"
    found.page.context.close()


@pytest.mark.parametrize("name", ["bad", "hostile", "many", "index"])
@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_it_can_be_used_by_all(chromium: Browser, files: dict[str, Path], name: str, look: str) -> None:
    phone = {"viewport": {"width": 360, "height": 740}} if look == "phone" else {}
    page = opened(
        chromium, files[name], color_scheme="dark" if look == "dark" else "light", bypass_csp=True, **phone
    ).page
    page.evaluate(OPEN_ALL)
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": WCAG}})
    violations = found.response["violations"]
    told = [(one["id"], one["impact"], [node["html"][:120] for node in one["nodes"][:3]]) for one in violations]
    assert told == []
    page.context.close()


def test_the_table_is_filtered_and_sorted(chromium: Browser, files: dict[str, Path]) -> None:
    page = opened(chromium, files["many"]).page
    shown, names = page.locator("#shown"), page.locator("#results tbody th .name")
    expect(shown).to_have_text("200 of 1,200 shown")
    assert names.nth(0).text_content() == "model_0007", "what failed comes first"
    page.click("[data-sort=ms]")
    assert names.nth(0).text_content() == "model_1199"
    assert page.get_attribute("#results th:has([data-sort=ms])", "aria-sort") == "descending"
    page.click("[data-sort=ms]")
    assert names.nth(0).text_content() == "model_0000"
    page.fill("#filter", "MODEL_00 1")
    expect(shown).to_have_text("21 of 21 shown, 1,200 in all")  # 19 by their names, two by their messages
    page.fill("#filter", "binder")
    expect(shown).to_have_text("2 of 2 shown, 1,200 in all")
    page.fill("#filter", "")
    page.click(".chip[data-outcome=failure]")
    expect(shown).to_have_text("2 of 2 shown, 1,200 in all")
    page.click(".chip[data-outcome=failure]")
    expect(shown).to_have_text("200 of 1,200 shown")
    page.click("#more")
    expect(shown).to_have_text("1,200 of 1,200 shown")
    expect(page.locator("#more")).to_be_hidden()
    page.context.close()


def test_a_command_is_copied(chromium: Browser, files: dict[str, Path]) -> None:
    found = opened(chromium, files["bad"], permissions=["clipboard-read", "clipboard-write"])
    found.page.locator("article.cause button.copy").first.click()
    expect(found.page.locator("#said")).to_have_text("Copied: dbt build --select stg_a+")
    assert found.page.evaluate("navigator.clipboard.readText()") == "dbt build --select stg_a+"
    found.page.context.close()


def test_where_the_clipboard_is_closed_it_is_copied_as_of_old(chromium: Browser, files: dict[str, Path]) -> None:
    window = chromium.new_context()
    window.add_init_script("delete Navigator.prototype.clipboard")
    page = window.new_page()
    page.goto(files["bad"].as_uri())
    button = page.locator("article.cause button.copy").first
    button.click()
    expect(button).to_have_text("Copied")
    assert page.evaluate("document.activeElement.className") == "copy", "the focus stays"
    window.close()


def test_it_can_be_used_by_keyboard(chromium: Browser, files: dict[str, Path]) -> None:
    page = opened(chromium, files["many"], permissions=["clipboard-read", "clipboard-write"]).page
    focus = "document.activeElement.id || document.activeElement.tagName"
    causes = [one.get_attribute("id") for one in page.locator("article.cause").all()]
    assert len(causes) == 2
    for key, wanted in (("j", 0), ("j", 1), ("j", 0), ("k", 1), ("k", 0)):
        page.keyboard.press(key)
        assert page.evaluate(focus) == causes[wanted]
    page.keyboard.press("c")
    expect(page.locator("#said")).to_have_text("Copied: dbt build --select model_0007+")
    page.keyboard.press("/")
    assert page.evaluate(focus) == "filter"
    page.keyboard.type("model_0011 j k c /")
    assert page.input_value("#filter") == "model_0011 j k c /", "a letter in a field is a letter"
    page.keyboard.press("Escape")
    assert (page.input_value("#filter"), page.evaluate(focus)) == ("", "BODY")
    expect(page.locator("#shown")).to_have_text("200 of 1,200 shown")
    page.click(".chip[data-outcome=failure]")
    page.select_option("#type", "model")
    expect(page.locator("#shown")).to_have_text("2 of 2 shown, 1,200 in all")
    page.keyboard.press("Escape")
    expect(page.locator("#shown")).to_have_text("200 of 1,200 shown")
    assert page.locator(".chip[aria-pressed=true]").count() == 0
    assert page.input_value("#type") == ""
    page.context.close()


def test_on_paper_all_is_open(chromium: Browser, files: dict[str, Path]) -> None:
    page = opened(chromium, files["bad"]).page
    assert page.locator("details:not([open])").count() > 0
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details:not([open])").count() > 0, "what was closed is closed again"
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_paper_it_is_dark_on_white_and_whole(chromium: Browser, files: dict[str, Path], scheme: str) -> None:
    page = opened(chromium, files["many"], color_scheme=scheme).page
    page.emulate_media(media="print", color_scheme=scheme)  # type: ignore[arg-type]
    colours = "(one => [getComputedStyle(one).color, getComputedStyle(one).backgroundColor])"
    assert page.evaluate(f"{colours}(document.body)") == ["rgb(31, 35, 40)", "rgb(255, 255, 255)"]
    assert page.locator("form.filters, nav, #more, button.copy").filter(visible=True).count() == 0
    assert page.locator("#results thead button").first.is_visible(), "columns have their names"
    expect(page.locator("#cut")).to_have_text("200 of 1,200 shown; the others are in the page itself.")
    assert page.locator("#cut").is_visible()
    page.pdf()
    assert page.locator("details[open]").count() > 0
    page.context.close()


def test_times_are_told_where_the_reader_is(chromium: Browser, files: dict[str, Path]) -> None:
    page = opened(chromium, files["bad"], timezone_id="Asia/Kolkata", locale="en-GB").page
    assert page.locator("header .as-of").inner_text().startswith("Run ✖ failure 2026-03-02 06:15 UTC (11:45 GMT+5:30)")
    assert page.locator("header time").first.get_attribute("title") == "2 Mar 2026, 11:45 where you are"
    page.context.close()
    page = opened(chromium, files["bad"], timezone_id="UTC").page
    assert page.locator(".local").count() == 0
    page.context.close()


def test_the_line_that_fails_is_marked_in_its_sql(chromium: Browser, files: dict[str, Path]) -> None:
    page = opened(chromium, files["bad"], permissions=["clipboard-read", "clipboard-write"]).page
    card = page.locator("article.cause").first
    expect(card.locator("p.pointed")).to_have_text("Line 1 of the compiled SQL: dbt's message points at it.")
    expect(card.locator("pre.excerpt mark")).to_have_text("select x from raw.orders")
    card.get_by_text("Compiled SQL", exact=True).click()
    card.locator("button[data-copy-next]").click()
    assert page.evaluate("navigator.clipboard.readText()").strip() == "select x from raw.orders"
    page.context.close()


def test_without_a_script_what_is_broken_is_told(chromium: Browser, files: dict[str, Path]) -> None:
    window = chromium.new_context(java_script_enabled=False)
    page = window.new_page()
    page.goto(files["bad"].as_uri())
    expect(page.locator("article.cause h3").first).to_contain_text("model stg_a failed")
    expect(page.locator("#results")).to_be_hidden()
    expect(page.locator("#filters")).to_be_hidden()
    window.close()


def test_the_way_to_an_exposure_is_drawn(chromium: Browser, files: dict[str, Path]) -> None:
    page = opened(chromium, files["bad"]).page
    drawing = page.locator("svg.lineage").first
    assert (
        drawing.get_attribute("aria-label")
        == "stg_a → int_b → fct_c → Board; raw.orders → stg_a → int_b → fct_c → Board"
    )
    names_stay_in_their_boxes(page)
    assert page.locator("ul.ways").first.is_hidden()
    page.set_viewport_size({"width": 360, "height": 740})
    assert drawing.is_hidden()
    assert page.locator("ul.ways li").first.inner_text() == "stg_a → int_b → fct_c → Board", "on a phone it is told"
    page.context.close()


def names_stay_in_their_boxes(page: Page) -> None:
    groups = page.locator("svg.lineage g").all()
    assert groups
    for group in groups:
        box = group.locator("rect").bounding_box()
        assert box
        for one in group.locator("text").all():
            text = one.bounding_box()
            assert text
            assert box["x"] <= text["x"]
            assert text["x"] + text["width"] <= box["x"] + box["width"], one.inner_text()
            assert box["y"] <= text["y"]
            assert text["y"] + text["height"] <= box["y"] + box["height"] + 1
