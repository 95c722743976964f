"""The documentation stays true: what is generated in it is up to date, and what its pages link to exists."""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import unquote

import msgspec
import pytest
import write_docs
import yaml
from test_cli import observe

import observability.airflow
from observability.alerts.links import Links
from observability.alerts.meta import Observe, read_observe
from observability.alerts.routing import find_route
from observability.config import Settings, load_settings
from observability.errors import ConfigError
from observability.looker.check import check_project, open_project
from observability.looker.dashboards import DASHBOARDS
from observability.looker.project import Place, build_project
from observability.looker.writing import write_files
from observability.pipeline.questions import current_status

ROOT = write_docs.ROOT
README = ROOT / "README.md"
PAGES = [
    README,
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "benchmarks/README.md")),
]
BENCHMARKS = ROOT / "benchmarks" / "README.md"


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def fenced(page: Path, kind: str) -> list[str]:
    """The examples of one kind that a page has."""
    return re.findall(rf"^ *```{kind}\n(.*?)^ *```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("path", "page"), write_docs.PAGES.items(), ids=lambda value: getattr(value, "name", ""))
def test_a_reference_page_is_what_is_declared(path: Path, page: Callable[[], str]) -> None:
    assert path.read_text(encoding="utf-8") == page(), "make it anew: make docs"


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
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_a_page_is_found_from_the_readme() -> None:
    text = README.read_text(encoding="utf-8")
    assert [named(page) for page in PAGES[1:] if named(page) not in text] == []


EXAMPLES = [(page, text) for page in PAGES for text in fenced(page, "toml")]


@pytest.mark.parametrize(
    ("page", "example"), EXAMPLES, ids=lambda value: named(value) if isinstance(value, Path) else ""
)
def test_the_settings_of_an_example_are_settings(
    page: Path, example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dbt_observe.toml").write_text(example, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    Links(settings.slack.links).check()
    assert settings != Settings(), named(page)
    (tmp_path / "dbt_observe.toml").write_text(example + "\n[slak]\n", encoding="utf-8")
    with pytest.raises(ConfigError):
        load_settings()


def test_the_deadline_of_the_example_is_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = fenced(ROOT / "docs" / "airflow.md", "toml")
    (tmp_path / "dbt_observe.toml").write_text(example, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (deadline,) = load_settings().deadlines
    assert (deadline.step, deadline.by, deadline.severity) == ("greenery_daily.dbt.run", "07:30", "critical")


def observed(value: object) -> Iterator[object]:
    """All that stands under `observe`, however deep, in what a dbt project says."""
    if isinstance(value, dict):
        if "observe" in value:
            yield value["observe"]
        for inner in value.values():
            yield from observed(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from observed(inner)


YAML_EXAMPLES = [(page, text) for page in PAGES for text in fenced(page, "yaml") if page != BENCHMARKS]


def test_the_packages_to_measure_beside_us_are_those_that_their_lock_asks_for() -> None:
    (example,) = (yaml.safe_load(text) for text in fenced(BENCHMARKS, "yaml"))
    versions = {one["package"]: one["version"] for one in example["packages"]}
    asked = (ROOT / "requirements" / "elementary.in").read_text(encoding="utf-8")
    assert f"elementary-data[duckdb]=={versions['elementary-data/elementary']}\n" in asked


@pytest.mark.parametrize(("page", "example"), YAML_EXAMPLES, ids=lambda value: getattr(value, "name", ""))
def test_what_an_example_says_in_meta_means_something(page: Path, example: str) -> None:
    said = [one for one in observed(yaml.safe_load(example)) if isinstance(one, dict)]
    assert said, named(page)
    for one in said:
        assert not any(isinstance(value, date) for value in one.values()), "dbt fails on a date without quotes"
        read = read_observe(msgspec.json.encode({"observe": one}).decode())
        assert read.problems == ()
        assert {field.name for field in fields(Observe) if getattr(read, field.name)} == set(one)


@pytest.mark.parametrize("page", ["slack.md", "meta.md"])
def test_the_examples_of_a_page_show_every_key_of_meta(page: str) -> None:
    path = ROOT / "docs" / page
    shown = {name for text in fenced(path, "yaml") for one in observed(yaml.safe_load(text)) for name in dict(one)}  # type: ignore[call-overload]
    assert shown == {field.name for field in fields(Observe)} - {"problems"}


def test_every_key_of_meta_is_explained() -> None:
    table = (ROOT / "docs" / "meta.md").read_text(encoding="utf-8").split("## Every key")[1].split("\n## ")[0]
    keys = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert set(keys) == {field.name for field in fields(Observe)} - {"problems"}


def test_the_example_of_meta_is_told_as_its_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project of the example, built by dbt and failing: where it is told, whom it calls, how much it matters."""
    page = ROOT / "docs" / "meta.md"
    project, folder = fenced(page, "yaml")
    files = {
        "dbt_project.yml": f"name: shop\nprofile: shop\n{folder}",
        "profiles.yml": "shop: {target: dev, outputs: {dev: {type: duckdb, path: shop.duckdb, threads: 2}}}\n",
        "models/models.yml": project,
        "models/fct_orders.sql": "select 1 as order_id union all select 1",
        "models/staging/stg_orders.sql": "select 1 as order_id",
        "dbt_observe.toml": '[slack]\nchannel = "C0DEFAULT"\n' + fenced(page, "toml")[0],
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    bin_folder = Path(sys.executable).parent
    ran = observe("run", "--", bin_folder / "dbt", "build", cwd=tmp_path, DBT_SEND_ANONYMOUS_USAGE_STATS="false")
    assert (ran.code, "[WARNING]" in ran.out) == (1, False), ran.out
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    (incident,) = current_status(settings).incidents
    route = find_route(incident, settings.slack, datetime.now(UTC))
    assert (incident.severity.value, incident.owner) == ("critical", "Ann, Data platform")
    assert (route.channel, route.also) == ("C0FINANCE", ("C0REPORTS",))
    assert route.mention == ("U0ANN", "S0PLATFORM", "U0BEN")
    assert [one.name for one in incident.exposures] == ["Weekly orders"]


@pytest.mark.parametrize(
    ("page", "example"),
    [(page, text) for page in PAGES for text in fenced(page, "python")],
    ids=lambda value: getattr(value, "name", ""),
)
def test_an_example_in_python_is_python(page: Path, example: str) -> None:
    """Whole DAGs are loaded in tests/on_airflow; here is what no Airflow is needed for."""
    compile(example, named(page), "exec")
    for name in re.findall(r"from observability\.airflow import (\w+)", example):
        assert name in observability.airflow.__all__


def taken_by(module: str, name: str) -> set[str]:
    """What a function, or a class when it is made, takes by name. Read, not imported: Airflow lives elsewhere."""
    tree = ast.parse((ROOT / "observability" / "airflow" / f"{module}.py").read_text(encoding="utf-8"))
    (found,) = (one for one in tree.body if isinstance(one, ast.ClassDef | ast.FunctionDef) and one.name == name)
    own = [found] if isinstance(found, ast.FunctionDef) else found.body
    (made,) = (one for one in own if isinstance(one, ast.FunctionDef) and one.name in {name, "__init__"})
    return {argument.arg for argument in (*made.args.args, *made.args.kwonlyargs)} - {"self"}


OPERATORS = {
    "DbtStepOperator": taken_by("step", "DbtStepOperator"),
    "ObserveDbtOperator": taken_by("loader", "ObserveDbtOperator") | taken_by("loader", "_ObserveOperator"),
}


def test_what_an_operator_is_said_to_take_is_what_it_takes() -> None:
    text = (ROOT / "docs" / "airflow.md").read_text(encoding="utf-8").split("## What an operator takes")[1]
    for name, takes in OPERATORS.items():
        first, rest = re.findall(rf"`{name}\((\w+)=…\)`:(.*?)[;.]", text, re.DOTALL)[0]
        assert {first, *re.findall(r"`(\w+)`", rest)} == takes


@pytest.mark.parametrize("page", [README, ROOT / "docs" / "airflow.md"], ids=named)
def test_what_an_example_gives_a_step_is_what_steps_take(page: Path) -> None:
    tasks = {"retries"}  # of every task of Airflow's
    given = [
        key.value
        for example in fenced(page, "python")
        for call in ast.walk(ast.parse(example))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "dbt_pipeline"
        for argument in call.keywords
        if argument.arg == "step" and isinstance(argument.value, ast.Dict)
        for key in argument.value.keys
        if isinstance(key, ast.Constant)
    ]
    assert given
    assert set(given) <= OPERATORS["DbtStepOperator"] | tasks


JUDGED = {
    "console": "tests/test_commands_in_docs.py",
    "toml": "here",
    "yaml": "here",
    "python": "here, and tests/on_airflow/test_dags.py",
    "lookml": "here",
    "text": "the tour of the house: here",
}
"""Who judges the examples of a kind."""


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_no_example_is_without_a_judge(page: Path) -> None:
    kinds = re.findall(r"^ *```(\S*)\n.*?^ *```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert set(kinds) <= JUDGED.keys()


def test_the_tour_of_the_house_names_every_room() -> None:
    (tour,) = fenced(ROOT / "CONTRIBUTING.md", "text")
    package, rooms = tour.partition("\ndbt/")[0], re.findall(r"^(\w+)/", tour, re.MULTILINE)
    inside = {path.name for path in (ROOT / "observability").iterdir() if (path / "__init__.py").exists()}
    assert set(re.findall(r"^  (\w+)/", package, re.MULTILINE)) == inside
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()}
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    assert set(rooms) == {"observability"} | (folders - ignored)


@pytest.mark.parametrize(
    "path", re.findall(r"`(tests/[\w./]+|benchmarks/[\w./]+)`", (ROOT / "CONTRIBUTING.md").read_text())
)
def test_what_the_tour_points_to_is_there(path: str) -> None:
    assert (ROOT / path).exists()


def test_the_refinement_of_an_example_is_one_that_the_checker_accepts(tmp_path: Path) -> None:
    refinement, imported = fenced(ROOT / "docs" / "looker.md", "lookml")
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
