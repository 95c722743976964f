"""What is generated: the same each time, described, parsed by whoever parses LookML, and nothing but columns."""

import json
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path
from shutil import which
from typing import Any

import golden
import lkml
import looker_cst
import pytest
import yaml

from observability.audit.schema import ColumnType
from observability.audit.views import JOURNALS, find_view
from observability.config import Settings
from observability.errors import ConfigError
from observability.looker import funnel
from observability.looker.check import open_project
from observability.looker.dashboards import DASHBOARDS, LOOKS
from observability.looker.explores import EXPLORES
from observability.looker.fields import LOOKML_TYPES, label_of
from observability.looker.project import Place, build_project, look_path
from observability.looker.views import VIEWS
from observability.looker.writing import write_files
from observability.pipeline.looking import check_lookml, lookml_place, write_lookml

PLACE = Place(
    "bq", "shop-prod", "dbt_audit", "https://airflow.example", "https://docs.example", "https://triage.example"
)
FILES = build_project(PLACE)
QUOTED = 'project_name: "dbt_observability"\n'
"""As Looker's own reference writes it; lkml leaves the quotes out."""
BLOCKS = ("dimensions", "dimension_groups", "measures")


@cache
def views() -> dict[str, dict[str, Any]]:
    found = [lkml.load(text) for name, text in FILES.items() if name.endswith(".view.lkml")]
    return {view["name"]: view for document in found for view in document["views"]}


def test_it_is_the_same_each_time() -> None:
    assert build_project(PLACE) == FILES
    assert list(FILES) == sorted(FILES)


@pytest.mark.parametrize(
    "name",
    [
        "manifest.lkml",
        "dbt_observability.model.lkml",
        "views/exposure_impacts.view.lkml",
        "explores/node_results.explore.lkml",
        "dashboards/process_failures.dashboard.lookml",
        "greenery/sessions.view.lkml",
        "README.md",
    ],
)
def test_a_file_is_as_it_was_read(name: str) -> None:
    golden.check(f"lookml/{name.replace('/', '.')}", FILES[name])


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".lkml")])
def test_lookml_parses_and_comes_back_the_same(name: str) -> None:
    again = str(lkml.dump(lkml.load(FILES[name]))).replace("project_name: dbt_observability\n", QUOTED)
    assert again.strip() == FILES[name].strip()
    assert looker_cst.parse(FILES[name]) is not None


def test_a_parser_in_another_language_reads_the_same_fields() -> None:
    """By npm's lookml-parser, a grammar of its own."""
    folder = Path(__file__).parents[2] / ".venv" / "lookml-parser"
    if not (folder / "node_modules").is_dir() or which("node") is None:
        pytest.skip("no lookml-parser: there is no node, or its packages are not set up: make .venv/lookml-parser.ok")
    given = {name: text for name, text in FILES.items() if name.endswith(".lkml")} | {
        "broken": "view: a { dimension: }"
    }
    script = [which("node") or "", str(Path(__file__).with_name("parse.js")), str(folder)]
    done = subprocess.run(script, input=json.dumps(given), capture_output=True, text=True, check=True, timeout=300)
    read = json.loads(done.stdout)
    assert isinstance(read.pop("broken"), str), "it refuses what is none"
    wanted = {view: {one["name"] for kind in BLOCKS for one in block.get(kind, [])} for view, block in views().items()}
    assert {view: set(fields) for found in read.values() for view, fields in found.items()} == wanted
    assert read.keys() == given.keys() - {"broken"}


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".lookml")])
def test_a_dashboard_is_yaml(name: str) -> None:
    (board,) = yaml.safe_load(FILES[name])
    assert {"dashboard", "title", "description", "layout", "filters", "elements"} <= board.keys()


def test_every_type_of_a_column_has_one_in_lookml() -> None:
    assert LOOKML_TYPES.keys() == set(ColumnType)


def test_every_column_is_a_field_and_no_field_is_anything_else() -> None:
    """No SQL of Looker's own: a column, a list as text, or the columns that name a row."""
    made = views()
    declared = [(look, find_view(look.name).columns, find_view(look.name).key) for look in VIEWS]
    for look, all_columns, key in [*declared, (funnel.LOOK, funnel.COLUMNS, funnel.KEY)]:
        columns = {column.name: column for column in all_columns if not look.only or column.name in look.only}
        wanted = {name for name, column in columns.items() if column.type is not ColumnType.STRUCT}
        found = set()
        for kind in ("dimensions", "dimension_groups"):
            for field in made[look.name].get(kind, []):
                if field["name"] == "key" and len(key) > 1:
                    column = r"(?:\$\{TABLE\}\.\w+|CAST\(\$\{TABLE\}\.\w+ AS STRING\))"
                    part = rf"(?:{column}|COALESCE\({column}, ''\))"
                    assert re.fullmatch(rf"CONCAT\({part}(?:, '\|', {part})+\)", field["sql"]), field
                    assert re.findall(r"\$\{TABLE\}\.(\w+)", field["sql"]) == list(key)
                    continue
                plain = re.fullmatch(r"\$\{TABLE\}\.(\w+)|ARRAY_TO_STRING\(\$\{TABLE\}\.(\w+), ', '\)", field["sql"])
                assert plain, field
                found.add(plain[1] or plain[2])
        assert found == wanted
        for measure in made[look.name].get("measures", []):
            simple = r"\$\{\w+\}|1\.0 \* \$\{\w+\} / NULLIF\(\$\{\w+\}, 0\)|\$\{\w+\} - \$\{\w+\}|"
            assert re.fullmatch(simple, measure.get("sql", "")), measure


def test_no_sql_stands_anywhere_else() -> None:
    """Not in a derived table, a filter of an explore or a join: the joins say only which fields are equal."""
    equal = r"\$\{\w+\.\w+\} = \$\{\w+\.\w+\}"
    spoken = {"sql_table_name": r"`@\{PROJECT\}\.@\{(GREENERY_)?DATASET\}\.\w+`", "sql_on": rf"{equal}( AND {equal})*",
              "sql_trigger": r"SELECT MAX\(loaded_at\) FROM `@\{PROJECT\}\.@\{DATASET\}\.invocations`"}  # fmt: skip
    found = {
        key
        for text in FILES.values()
        for key in re.findall(r"^\s*(sql\w*|derived_table|expression_\w+):", text, re.MULTILINE)
    }
    assert found == {"sql", *spoken}
    for key, pattern in spoken.items():
        for text in FILES.values():
            for sql in re.findall(rf"^\s*{key}: (.*) ;;$", text, re.MULTILINE):
                assert re.fullmatch(pattern, sql), sql


def test_a_link_by_an_id_works_whenever_it_is_followed(tmp_path: Path) -> None:
    """Whoever asks for one incident, DAG run or invocation asks for it whatever its date."""
    ids = ("incident_id", "invocation_id", "dag_run_id", "pipeline_run_id", "job_id")
    write_lookml(PLACE, tmp_path)
    project = open_project(tmp_path)
    for explore in project.explores.values():
        for given in explore.block.blocks("conditionally_filter"):
            named = {name for name in project.accessible(explore) if name.partition(".")[2] in ids}
            shown = {name for name in named if project.accessible(explore)[name].block.text("hidden") != "yes"}
            assert shown <= {item.value for item in given.items("unless")}, explore.name


def test_every_field_is_described_and_says_what_it_is() -> None:
    for view in views().values():
        for kind in BLOCKS:
            for field in view.get(kind, []):
                assert field["description"], field
                assert field.get("hidden") == "yes" or field["label"], field
        for measure in view.get("measures", []):
            assert measure["drill_fields"] == ["detail*"], measure


def test_errors_and_sql_are_for_those_who_are_granted_it() -> None:
    granted = {
        (view["name"], field["name"]): field["required_access_grants"]
        for view in views().values()
        for field in view["dimensions"]
        if "required_access_grants" in field
    }
    assert granted["incidents", "message"] == ["dbt_error_text"]
    assert granted["test_failures", "compiled_code"] == ["dbt_compiled_sql"]
    told = {"message", "error", "code", "vars", "env", "args"}
    for view in views().values():
        for field in (one for one in view["dimensions"] if one["type"] == "string"):
            assert (view["name"], field["name"]) in granted or field["name"].rpartition("_")[2] not in told, field


def test_all_that_people_ask_of_a_run_is_in_an_explore() -> None:
    """Also deliveries, which are a journal; what other views are made of is in none."""
    shown = {look.name for look in VIEWS}
    left_out = {"nodes", "exposure_ancestors", "incident_actions", "current_nodes", "current_states", "exposures",
                "sources", "source_freshness"}  # fmt: skip
    assert shown == {view.name for view in map(find_view, shown)}
    assert shown.isdisjoint(left_out)
    assert {explore.view for explore in EXPLORES} | {j.view for e in EXPLORES for j in e.joins} == shown
    assert "deliveries" in JOURNALS


def test_labels_are_written_as_people_write_them() -> None:
    assert [label_of(name) for name in ("dag_run_id", "log_url", "tib_billed", "dbt_version", "git_sha")] == [
        "DAG run ID",
        "Log URL",
        "TiB billed",
        "dbt version",
        "Git SHA",
    ]


def test_a_look_is_opened_by_an_address() -> None:
    paths = [look_path(look.question) for look in LOOKS]
    assert paths[1] == (
        "/explore/dbt_observability/pipeline_runs?fields=pipeline_runs.started_time%2Cpipeline_runs.dag_id%2C"
        "pipeline_runs.dag_run_id%2Cpipeline_runs.environment%2Cpipeline_runs.outcome%2Cpipeline_runs.nodes_failure%2C"
        "pipeline_runs.tests_failed%2Cpipeline_runs.exposures_affected&f[pipeline_runs.run_date]=2%20days"
        "&f[pipeline_runs.started_time]=24%20hours"
        "&f[pipeline_runs.outcome]=failure%2Cinterrupted%2Cnot%5E_run&sorts=pipeline_runs.started_time%20desc&limit=500"
    )
    assert all(path in FILES["README.md"] for path in paths)


def test_the_shops_funnel_can_be_left_out() -> None:
    made = build_project(Place("bq", "shop-prod", "dbt_audit", greenery=None))
    assert not [name for name in made if name.startswith(funnel.MODEL)]
    assert "GREENERY" not in "".join(made.values())


def test_every_dashboard_has_a_first_row_of_numbers() -> None:
    for board in DASHBOARDS:
        assert board.tiles[0].type == "single_value" or board.name == "on_call_triage"


def test_each_tile_listens_to_the_environment_and_the_project() -> None:
    for board in DASHBOARDS:
        (made,) = yaml.safe_load(FILES[f"dashboards/{board.name}.dashboard.lookml"])
        asked = {one["title"] for one in made["filters"]}
        assert {"Environment", "Project"} <= asked
        for element in made["elements"]:
            wanted = asked if board.name == "on_call_triage" else {"Environment", "Project"}
            assert wanted - {"State"} <= element["listen"].keys(), (board.name, element["title"])


def test_the_number_for_the_alert_is_the_first_and_red_above_0() -> None:
    (board,) = yaml.safe_load(FILES["dashboards/process_failures.dashboard.lookml"])
    first = board["elements"][0]
    assert (first["type"], first["fields"]) == ("single_value", ["incidents.open_failures"])
    assert first["filters"] == {"incidents.state": "open"}, "so that one that is open for longer than 90 days counts"
    assert [(one["type"], one["value"]) for one in first["conditional_formatting"]] == [("greater than", 0)]


# Writing


def test_what_is_written_again_is_unchanged(tmp_path: Path) -> None:
    first = write_lookml(PLACE, tmp_path / "looker")
    assert (len(first.written), first.unchanged) == (len(FILES), [])
    assert check_lookml(tmp_path / "looker").problems == []
    again = write_lookml(PLACE, tmp_path / "looker")
    assert (again.written, len(again.unchanged)) == ([], len(FILES))


def test_what_changed_is_replaced_and_what_is_no_more_is_removed(tmp_path: Path) -> None:
    write_files({"a.lkml": "one\n", "old/b.lkml": "two\n", "c.md": "three\n"}, tmp_path)
    done = write_files({"a.lkml": "ONE\n", "c.md": "three\n"}, tmp_path)
    assert (done.written, done.unchanged, done.removed) == (["a.lkml"], ["c.md"], ["old/b.lkml"])
    assert not (tmp_path / "old").exists()
    assert (tmp_path / "a.lkml").read_text(encoding="utf-8").endswith("ONE\n")


def test_what_was_changed_by_hand_is_never_overwritten(tmp_path: Path) -> None:
    write_files({"a.lkml": "one\n", "b.lkml": "two\n"}, tmp_path)
    mine = (tmp_path / "a.lkml").read_text(encoding="utf-8") + "# mine\n"
    (tmp_path / "a.lkml").write_text(mine, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"a\.lkml"):
        write_files({"a.lkml": "ONE\n", "b.lkml": "TWO\n"}, tmp_path)
    assert (tmp_path / "a.lkml").read_text(encoding="utf-8") == mine
    assert (tmp_path / "b.lkml").read_text(encoding="utf-8").endswith("two\n"), "nothing is written half"
    done = write_files({"b.lkml": "TWO\n"}, tmp_path)
    assert (done.kept, done.removed) == (["a.lkml"], [])


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.view.lkml").write_text("view: mine {}\n", encoding="utf-8")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.lkml").write_text("", encoding="utf-8")
    write_files({"a.lkml": "one\n"}, tmp_path)
    assert (tmp_path / "mine.view.lkml").read_text(encoding="utf-8") == "view: mine {}\n"
    (tmp_path / "manifest.lkml").write_text('project_name: "theirs"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"manifest\.lkml"):
        write_lookml(PLACE, tmp_path)
    assert not (tmp_path / "views").exists()


def test_the_ends_of_lines_that_git_changed_are_no_change(tmp_path: Path) -> None:
    write_files({"a.lkml": "one\ntwo\n"}, tmp_path)
    path = tmp_path / "a.lkml"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert write_files({"a.lkml": "ONE\n"}, tmp_path).written == ["a.lkml"]


@pytest.mark.parametrize("leads_to", ["theirs.lkml", "nowhere.lkml", "ours.lkml"])
def test_what_a_link_leads_to_is_never_written(tmp_path: Path, leads_to: str) -> None:
    (tmp_path / "theirs.lkml").write_text("theirs\n", encoding="utf-8")
    write_files({"ours.lkml": "one\n"}, tmp_path / "before")
    (tmp_path / "before" / "ours.lkml").rename(tmp_path / "ours.lkml")
    folder = tmp_path / "lookml"
    folder.mkdir()
    (folder / "a.lkml").symlink_to(tmp_path / leads_to)
    with pytest.raises(ConfigError, match=r"a\.lkml"):
        write_files({"a.lkml": "new\n"}, folder)
    assert (folder / "a.lkml").readlink() == tmp_path / leads_to
    assert write_files({"b.lkml": "new\n"}, folder).removed == [], "a link is nobody's file of ours"
    assert (tmp_path / "theirs.lkml").read_text(encoding="utf-8") == "theirs\n"
    assert not (tmp_path / "nowhere.lkml").exists()


def test_a_link_to_the_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "repository").mkdir()
    (tmp_path / "lookml").symlink_to(tmp_path / "repository")
    write_files({"a.lkml": "one\n"}, tmp_path / "lookml")
    assert (tmp_path / "repository" / "a.lkml").exists()


def test_whoever_was_killed_half_way_is_finished_by_the_next(tmp_path: Path) -> None:
    before = {f"views/{name}.lkml": f"{name}\n" for name in "abc"}
    write_files(before, tmp_path)
    half = dict(list(before.items())[:2])
    write_files({**before, **{path: text.upper() for path, text in half.items()}}, tmp_path)
    (tmp_path / "views" / ".c.lkml.dbt-observe-partial").write_text("# Written by db", encoding="utf-8")
    done = write_files({path: text.upper() for path, text in before.items()}, tmp_path)
    assert (done.written, done.unchanged) == (["views/c.lkml"], [*half])
    assert sorted(path.name for path in (tmp_path / "views").iterdir()) == ["a.lkml", "b.lkml", "c.lkml"]


def test_a_file_that_was_cut_is_somebodys_change(tmp_path: Path) -> None:
    """Ours are written whole or not at all, so that we did not do it."""
    write_files({"a.lkml": "one\ntwo\n"}, tmp_path)
    whole = (tmp_path / "a.lkml").read_bytes()
    for size in (0, 20, len(whole) - 4):
        (tmp_path / "a.lkml").write_bytes(whole[:size])
        with pytest.raises(ConfigError, match=r"a\.lkml"):
            write_files({"a.lkml": "ONE\n"}, tmp_path)
    (tmp_path / "a.lkml").write_bytes(b"\xff" + whole)
    with pytest.raises(ConfigError, match=r"a\.lkml"):
        write_files({"a.lkml": "ONE\n"}, tmp_path)


def test_of_many_at_once_the_last_one_is_there_whole(tmp_path: Path) -> None:
    others = replace(PLACE, project="other-project")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda place: write_lookml(place, tmp_path), [PLACE, others] * 4))
    there = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert there == FILES.keys()
    assert check_lookml(tmp_path).problems == []
    last = write_lookml(PLACE, tmp_path)
    assert (last.written == [], len(last.written)) in {(True, 0), (False, 2)}, "all of it is of one of the two"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigError, match="cannot be written: Permission denied"):
        write_files({"a.lkml": "one\n"}, tmp_path)


def test_a_folder_that_cannot_be_made_is_said() -> None:
    with pytest.raises(ConfigError, match="cannot be written") as refused:
        write_files({"a.lkml": "one\n"}, Path("/proc/lookml"))
    assert "/proc/lookml" in str(refused.value.where)


def test_where_a_file_is_in_the_way_of_a_folder_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "views").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_files({"views/a.lkml": "one\n"}, tmp_path)
    with pytest.raises(ConfigError, match="in the way"):
        write_files({"views": "one\n"}, tmp_path)


# Names


@pytest.mark.parametrize(
    ("option", "given"),
    [
        ("--connection", {"connection": 'a" } view: x {'}),
        ("--connection", {"connection": "a\nb"}),
        ("--connection", {"connection": "{{ a }}"}),
        ("--connection", {"connection": "@{PROJECT}"}),
        ("--connection", {"connection": ""}),
        ("--project", {"project": "p\n"}),
        ("--project", {"project": "{{p}}"}),
        ("--dataset", {"dataset": "d;;"}),
        ("--dataset", {"dataset": 'd"'}),
        ("--airflow-url", {"airflow_url": "https://x/\ny"}),
        ("--dbt-docs-url", {"dbt_docs_url": "https://x/;; }"}),
        ("--project", {"project": "a`b"}),
        ("--dataset", {"dataset": "a-b"}),
        ("--greenery-dataset", {"greenery": "a b"}),
        ("--airflow-url", {"airflow_url": "javascript:alert(1)"}),
        ("--dbt-docs-url", {"dbt_docs_url": 'https://x" }'}),
        ("--triage-url", {"triage_url": "https://x/{{ y }}"}),
    ],
)
def test_names_that_would_break_out_are_refused(tmp_path: Path, option: str, given: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as refused:
        write_lookml(Place(**({"connection": "bq", "project": "p", "dataset": "d"} | given)), tmp_path / "out")
    assert refused.value.where == option
    assert not (tmp_path / "out").exists()


def test_a_bigquery_store_says_where_the_views_are() -> None:
    named = lookml_place("bigquery://shop-prod/dbt?location=EU", project=None, dataset=None, connection="bq")
    assert (named.project, named.dataset) == ("shop-prod", "dbt")
    other = lookml_place("bigquery://shop-prod/dbt", project="else", dataset="where", connection="bq")
    assert (other.project, other.dataset) == ("else", "where")
    unknown = lookml_place(Settings().store, project=None, dataset=None, connection="bq")
    assert (unknown.project, unknown.dataset) == ("your-project", "dbt_audit")
