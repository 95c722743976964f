"""The documentation stays true: what is generated in it is up to date, and what its pages link to exists."""

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
import write_docs

from observability.alerts.links import Links
from observability.alerts.meta import Observe
from observability.config import load_settings

ROOT = write_docs.ROOT
PAGES = [write_docs.README, *sorted((ROOT / "docs").rglob("*.md")), ROOT / "benchmarks" / "README.md"]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize(("path", "page"), write_docs.PAGES.items(), ids=lambda value: getattr(value, "name", ""))
def test_a_reference_page_is_what_is_declared(path: Path, page: Callable[[], str]) -> None:
    assert path.read_text(encoding="utf-8") == page(), "make it anew: make docs"


@pytest.mark.parametrize(("path", "name"), write_docs.BLOCKS)
def test_a_table_within_a_page_is_what_is_declared(path: Path, name: str) -> None:
    assert write_docs.block(path.read_text(encoding="utf-8"), name) == write_docs.BLOCKS[path, name](), "make docs"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    for target in (target for target in targets if "://" not in target):
        path, _, anchor = target.partition("#")
        aim = (page.parent / path).resolve() if path else page
        assert aim.exists(), f"{target} in {named(page)}"
        if anchor:
            assert anchor in anchors(aim), f"{target} in {named(page)}"


def anchors(page: Path) -> set[str]:
    """The headings of a page as links name them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_a_page_is_found_from_the_readme() -> None:
    text = write_docs.README.read_text(encoding="utf-8")
    assert [named(page) for page in PAGES[1:] if named(page) not in text] == []


def test_the_settings_of_an_example_are_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs" / "slack.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "dbt_observe.toml").write_text(example, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    slack = load_settings().slack
    Links(slack.links).check()
    assert (len(slack.rules), len(slack.owners), len(slack.links)) == (2, 3, 2)


def test_what_an_example_says_in_meta_means_something() -> None:
    text = (ROOT / "docs" / "slack.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"        observe:\n(.*?)```", text, re.DOTALL)
    said = {line.split(":")[0].strip() for line in example.splitlines() if line.strip()}
    assert said == {field.name for field in fields(Observe)} - {"problems"}


def test_the_deadlines_of_an_example_are_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "airflow.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "dbt_observe.toml").write_text(example, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (deadline,) = load_settings().deadlines
    assert (deadline.step, deadline.by, deadline.severity) == ("greenery_daily.dbt.run", "07:30", "critical")
