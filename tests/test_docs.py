"""The documentation stays true: what is generated in it is up to date, and what its pages link to exists."""

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from urllib.parse import unquote

import pytest
import write_docs

from observability.alerts.links import Links
from observability.alerts.meta import Observe
from observability.config import load_settings
from observability.looker.check import check_project, open_project
from observability.looker.dashboards import DASHBOARDS
from observability.looker.project import Place, build_project
from observability.looker.writing import write_files

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


def test_the_refinement_of_an_example_is_one_that_the_checker_accepts(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "looker.md").read_text(encoding="utf-8")
    refinement, imported = re.findall(r"```lookml\n(.*?)```", text, re.DOTALL)
    write_files(build_project(Place("bigquery", "my-project", "dbt_audit")), tmp_path)
    refined = tmp_path / "explores" / "team.explore.lkml"
    refined.write_text(refinement, encoding="utf-8")
    project = open_project(tmp_path)
    assert check_project(project) == []
    assert "team" in project.views["incidents"].fields
    refined.write_text(refinement.replace("${TABLE}.owner", "${TABLE}.owners"), encoding="utf-8")
    assert [problem.path for problem in check_project(open_project(tmp_path))] == ["explores/team.explore.lkml"]
    constants = set(
        re.findall(
            r"constant: (\w+) {\s+value: [^\n]+\s+export: override_required", (tmp_path / "manifest.lkml").read_text()
        )
    )
    assert set(re.findall(r"override_constant: (\w+)", imported)) == constants


def test_a_link_to_looker_names_a_dashboard_and_its_filter() -> None:
    (triage,) = (board for board in DASHBOARDS if board.name == "on_call_triage")
    titles = {one.title for one in triage.filters}
    for page in ("looker.md", "slack.md"):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        (link,) = re.findall(r'"Looker" = "([^"]+)"', text)
        board, name = re.fullmatch(
            r"https://looker.example.com/dashboards/dbt_observability::(\w+)\?([^=]+)=.*", link
        ).groups()  # type: ignore[union-attr]
        assert (board, unquote(name) in titles) == ("on_call_triage", True)
        Links({"Looker": link}).check()
