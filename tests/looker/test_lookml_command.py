"""`dbt-observe lookml` as its users meet it."""

from pathlib import Path

import pytest
from factories import manifest, node, result, run_results, write_step
from test_cli import observe


def test_a_project_is_written_checked_and_written_anew(tmp_path: Path) -> None:
    first = observe("lookml", "--out", "lookml", "--project", "shop-prod", "--dataset", "audit", cwd=tmp_path)
    assert (first.code, first.out, first.err) == (0, "lookml: 48 written\n", "")
    manifest_file = (tmp_path / "lookml" / "manifest.lkml").read_text(encoding="utf-8")
    assert 'value: "shop-prod"' in manifest_file
    checked = observe("lookml", "--check", "lookml", cwd=tmp_path)
    assert (checked.code, checked.out, checked.err) == (0, "No problem in 47 files.\n", "")
    again = observe(
        "lookml", "--out", "lookml", "--project", "shop-prod", "--dataset", "audit", "--no-greenery", cwd=tmp_path
    )
    assert (again.code, again.out, again.err) == (0, "lookml: 1 written, 43 unchanged, 4 removed\n", "")


def test_what_people_changed_is_never_overwritten(tmp_path: Path) -> None:
    observe("lookml", "--out", "lookml", "--project", "shop-prod", "--dataset", "audit", cwd=tmp_path)
    view = tmp_path / "lookml" / "views" / "incidents.view.lkml"
    view.write_text(view.read_text(encoding="utf-8").replace("Incident", "Fault"), encoding="utf-8")
    told = observe("lookml", "--out", "lookml", "--project", "other", "--dataset", "audit", cwd=tmp_path)
    assert (told.code, told.out) == (2, "")
    assert "files are in the way that were changed" in told.err
    assert "lookml: views/incidents.view.lkml" in told.err
    assert "Fault" in view.read_text(encoding="utf-8")
    assert 'value: "shop-prod"' in (tmp_path / "lookml" / "manifest.lkml").read_text(encoding="utf-8"), "nothing was"


def test_what_is_no_more_and_was_changed_is_left_and_named(tmp_path: Path) -> None:
    place = ("--project", "shop-prod", "--dataset", "audit")
    observe("lookml", "--out", "lookml", *place, cwd=tmp_path)
    model = tmp_path / "lookml" / "greenery.model.lkml"
    model.write_text(model.read_text(encoding="utf-8").replace("Greenery", "Shop"), encoding="utf-8")
    told = observe("lookml", "--out", "lookml", *place, "--no-greenery", cwd=tmp_path)
    assert told.code == 0
    assert "left alone, for it was changed since it was written: greenery.model.lkml" in told.out
    as_json = observe("lookml", "--out", "lookml", *place, "--no-greenery", "--format", "json", cwd=tmp_path)
    assert (as_json.json["kept"], as_json.json["written"]) == (["greenery.model.lkml"], [])


def test_a_project_without_a_place_says_so(tmp_path: Path) -> None:
    told = observe("lookml", "--out", "lookml", cwd=tmp_path)
    assert told.code == 0
    assert "stands for yours: say --project and --dataset" in told.out


def test_the_place_of_the_views_is_that_of_the_store(tmp_path: Path) -> None:
    place = {"DBT_OBSERVE_STORE": "bigquery://shop-prod/dbt_audit?location=EU"}
    told = observe("lookml", "--out", "lookml", cwd=tmp_path, **place)
    assert (told.code, told.out) == (0, "lookml: 48 written\n")
    text = (tmp_path / "lookml" / "manifest.lkml").read_text(encoding="utf-8")
    assert 'value: "shop-prod"' in text
    assert 'value: "dbt_audit"' in text


def test_the_triage_pages_are_where_the_settings_say_unless_it_is_said(tmp_path: Path) -> None:
    settings = {"DBT_OBSERVE_REPORT__URL": "https://triage.example/pages/"}
    manifest_file = tmp_path / "lookml" / "manifest.lkml"
    observe("lookml", "--out", "lookml", cwd=tmp_path, **settings)
    assert 'value: "https://triage.example/pages"' in manifest_file.read_text(encoding="utf-8")
    observe("lookml", "--out", "lookml", "--triage-url", "", cwd=tmp_path, **settings)
    assert "triage.example" not in manifest_file.read_text(encoding="utf-8")


def test_what_is_wrong_is_told_with_file_line_and_rule_and_ends_with_1(tmp_path: Path) -> None:
    observe("lookml", "--out", "lookml", cwd=tmp_path)
    refined = tmp_path / "lookml" / "explores" / "team.explore.lkml"
    refined.write_text(
        'include: "/views/incidents.view.lkml"\n\n'
        'view: +incidents {\n  dimension: team {\n    description: "x"\n    sql: ${ownr} ;;\n  }\n}\n',
        encoding="utf-8",
    )
    told = observe("lookml", "--check", "lookml", cwd=tmp_path)
    assert told.code == 1
    (problem, count) = told.out.splitlines()
    assert problem.startswith("explores/team.explore.lkml:")
    assert "unknown field" in problem
    assert "owner" in problem
    assert count == "1 problem in 48 files."
    as_json = observe("lookml", "--check", "lookml", "--format", "json", cwd=tmp_path)
    assert (as_json.code, [one["rule"] for one in as_json.json["problems"]]) == (1, ["unknown field"])


def test_a_check_asks_the_store(tmp_path: Path) -> None:
    step = write_step(
        tmp_path / "target",
        manifest=manifest(node("model.shop.a")),
        run_results=run_results(result("model.shop.a", "error", message="no")),
    )
    observe("ingest", step, "--exit-code", "1", cwd=tmp_path)
    observe("lookml", "--out", "lookml", cwd=tmp_path)
    told = observe("lookml", "--check", "lookml", "--store", "duckdb:///.dbt_observe/audit.duckdb", cwd=tmp_path)
    assert (told.code, told.err) == (0, "")
    assert told.out.startswith("No problem in 47 files, 1063 fields asked of the store")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--out, --check"),
        (("--out", "a", "--check", "b"), "--out, --check"),
        (("--out", "lookml", "--project", 'x"; DROP'), "--project"),
        (("--out", "lookml", "--dataset", "a-b"), "--dataset"),
        (("--out", "lookml", "--connection", "a b"), "--connection"),
        (("--out", "lookml", "--triage-url", "javascript:alert(1)"), "--triage-url"),
        (("--out", "file"), "file"),
        (("--check", "nowhere"), "nowhere"),
        (("--check", "file"), "file"),
        (("--check", "empty"), "empty"),
    ],
)
def test_what_cannot_be_is_an_error_of_three_lines(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    told = observe("lookml", *arguments, cwd=tmp_path)
    assert (told.code, told.out) == (2, "")
    assert said in told.err
    assert "Traceback" not in told.err
    assert len(told.err.strip().splitlines()) == 3, told.err
    assert not (tmp_path / "lookml").exists()
