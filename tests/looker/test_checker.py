"""The checker finds nothing in what is generated, and each fault that is put into it."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from observability.errors import ConfigError
from observability.looker.check import Problem, check_project, open_project
from observability.looker.check.project import build_project as put_together
from observability.looker.check.source import read_source
from observability.looker.project import Place, build_project

PLACE = Place(
    "bq", "shop-prod", "dbt_audit", "https://airflow.example", "https://docs.example", "https://triage.example"
)
FILES = build_project(PLACE)
MODEL = "dbt_observability.model.lkml"
INCIDENTS, RESULTS = "views/incidents.view.lkml", "views/run_results.view.lkml"
NODES, STEPS = "explores/node_results.explore.lkml", "explores/dbt_steps.explore.lkml"
BOARD = "dashboards/process_failures.dashboard.lookml"

Mutant = tuple[str, str, str, str]
MUTANTS: dict[str, Mutant] = {
    # a rule, a file, what stands there, what stands there instead
    "a bracket is missing": ("duplicate", INCIDENTS, "  dimension: incident_id {", "  dimension: incident_id "),
    "a text has no end": ("syntax", MODEL, 'label: "dbt observability"', 'label: "dbt observability'),
    "a dashboard is no YAML": ("syntax", BOARD, "  title: Process failures", "  title: [Process failures"),
    "a key is misspelt": ("unknown key", INCIDENTS, "primary_key: yes", "primary_keys: yes"),
    "a type is misspelt": ("type", INCIDENTS, "type: count_distinct", "type: count_distinkt"),
    "a dimension is there twice": ("duplicate", INCIDENTS, "dimension: kind {", "dimension: state {"),
    "a key is said twice": ("duplicate", INCIDENTS, 'label: "Kind"', 'label: "Kind"\n    label: "Sort"'),
    "a view is defined twice": ("duplicate", RESULTS, "view: run_results {", "view: incidents {"),
    "a column does not exist": ("unknown column", INCIDENTS, "${TABLE}.severity", "${TABLE}.severety"),
    "a measure is of a field that is not there": ("unknown field", INCIDENTS, "sql: ${bad_runs}", "sql: ${bad_run}"),
    "a filtered measure names no field": ("unknown field", INCIDENTS, '      state: "open"', '      status_: "open"'),
    "a drill names no set": ("unknown set", INCIDENTS, "drill_fields: [detail*]", "drill_fields: [details*]"),
    "a set names no field": ("unknown field", INCIDENTS, "      opened_time,\n      closed_time", "      opened,\n      closed_time"),
    "a filtered measure waits for what never comes": ("filter value", INCIDENTS, '      state: "open"', '      state: "opened"'),
    "a tile is filtered by what never comes": ("filter value", BOARD, "incidents.outcome: failure", "incidents.outcome: failed"),
    "a yes or no is compared with a text": ("filter value", "views/test_history.view.lkml", 'is_flaky: "yes"', 'is_flaky: "true"'),
    "a sum of texts": ("type", INCIDENTS, "sql: ${bad_runs}", "sql: ${subject}"),
    "a sum of a count": ("type", INCIDENTS, "sql: ${bad_runs}", "sql: ${count}"),
    "a number is said to be a text": ("type", INCIDENTS, "type: number\n    value_format_name: decimal_0\n    sql: ${TABLE}.bad_runs", "type: yesno\n    sql: ${TABLE}.bad_runs"),
    "an array is shown as it is": ("type", INCIDENTS, "ARRAY_TO_STRING(${TABLE}.exposures, ', ')", "${TABLE}.exposures"),
    "the primary key is gone": ("primary key", INCIDENTS, "    primary_key: yes\n", ""),
    "the primary key names no row": ("primary key", RESULTS, "CONCAT(${TABLE}.invocation_id, '|', ${TABLE}.unique_id)", "${TABLE}.unique_id"),
    "a date is converted": ("datatype", "views/pipeline_runs.view.lkml", "    convert_tz: no\n", ""),
    "a date is said to be a timestamp": ("datatype", "views/pipeline_runs.view.lkml", "    datatype: date\n", ""),
    "a timeframe does not exist": ("timeframe", INCIDENTS, "      hour_of_day,", "      hours_of_day,"),
    "a value format does not exist": ("unknown format", INCIDENTS, "value_format_name: decimal_2", "value_format_name: decimal_9"),
    "an access grant does not exist": ("unknown grant", INCIDENTS, "[dbt_error_text]", "[dbt_errors]"),
    "an access grant names nobody": ("incomplete", "access_grants.lkml", "  user_attribute: dbt_error_text\n", ""),
    "a constant does not exist": ("unknown constant", INCIDENTS, "@{DATASET}", "@{DATASETS}"),
    "a constant is exported somehow": ("unknown value", "manifest.lkml", "export: override_required", "export: overridable"),
    "a field is not described": ("description", INCIDENTS, '    description: "dbt project."\n', ""),
    "liquid has no end": ("liquid", INCIDENTS, "{% endif %}", ""),
    "liquid knows no such filter": ("liquid", INCIDENTS, "| url_encode", "| urlencode"),
    "liquid speaks of no field": ("unknown field", INCIDENTS, "incidents.dag_id._value", "incidents.dag._value"),
    "a link leads nowhere": ("incomplete", INCIDENTS, '      label: "dbt docs"\n', ""),
    "brackets in SQL": ("sql", INCIDENTS, "ARRAY_TO_STRING(${TABLE}.exposures, ', ')", "ARRAY_TO_STRING(${TABLE}.exposures, ', '"),
    "a field is made of itself": ("circle", INCIDENTS, "sql: ${TABLE}.incident_key", "sql: ${incident_key}"),
    "a name is written large": ("name", INCIDENTS, "dimension: kind {", "dimension: Kind {"),
    "a time is called so": ("name", "views/pipeline_runs.view.lkml", "dimension_group: completed {", "dimension_group: completed_time {"),
    "a join has no relationship": ("relationship", NODES, "    relationship: many_to_one\n", ""),
    "a relationship does not exist": ("relationship", NODES, "relationship: many_to_one", "relationship: many_to_1"),
    "a join finds many rows": ("relationship", "explores/source_freshness.explore.lkml", " AND ${source_freshness_history.unique_id} = ${source_health.unique_id}", ""),
    "a join is said to be to one, both ways": ("relationship", NODES, "relationship: many_to_one", "relationship: one_to_one"),
    "a join has no condition": ("incomplete", NODES, "    sql_on: ${run_results.invocation_id} = ${invocations.invocation_id} ;;\n", ""),
    "a join's condition names no field": ("unknown field", NODES, "= ${invocations.invocation_id}", "= ${invocations.id}"),
    "a join's condition names no view": ("unknown view", NODES, "${run_results.invocation_id} = ${invocations", "${results.invocation_id} = ${invocations"),
    "a join names no view": ("unknown view", NODES, "join: attempts {", "join: tries {"),
    "a join leaves behind what a measure needs": ("out of reach", "explores/incident_nodes.explore.lkml", "fields: [incidents.joined*]", "fields: [incidents.incident_id, incidents.open_failures]"),
    "a view is not included": ("unknown file", "explores/exposures_at_risk.explore.lkml", 'include: "/views/exposure_impacts.view.lkml"', ""),
    "an include matches nothing": ("unknown file", NODES, "/views/attempts.view.lkml", "/view/attempts.view.lkml"),
    "a default filter names no field": ("unknown field", NODES, 'run_results.run_date: "7 days"', 'run_results.date: "7 days"'),
    "a default filter is no time": ("filter value", NODES, '"7 days"', '"7 dais"'),
    "what lifts it names no field": ("unknown field", NODES, "unless: [run_results.invocation_id", "unless: [run_results.invocation"),
    "all partitions are read": ("unfiltered", "explores/snapshot_runs.explore.lkml", "conditionally_filter", "always_join_"),
    "a label is long": ("label", NODES, 'label: "Node results"', 'label: "Results of all the nodes there are"'),
    "two explores have one label": ("label", NODES, 'label: "Node results"', 'label: "dbt steps"'),
    "the datagroup does not exist": ("unknown datagroup", MODEL, "persist_with: last_load", "persist_with: last_loads"),
    "a model has no connection": ("incomplete", MODEL, 'connection: "@{CONNECTION}"\n', ""),
    "a test asks for no field": ("unknown field", "tests/keys.lkml", "field: incidents.incident_id", "field: incidents.id"),
    "a test asks no explore": ("unknown explore", "tests/keys.lkml", "explore_source: incidents {", "explore_source: incident {"),
    "a test asserts of what it does not ask": ("unknown field", "tests/keys.lkml", "${incidents.count} = 1", "${incidents.subjects} = 1"),
    "a tile asks no model": ("unknown model", BOARD, "model: dbt_observability\n    explore: incidents\n    type: single_value", "model: dbt\n    explore: incidents\n    type: single_value"),
    "a tile asks no explore": ("unknown explore", BOARD, "explore: exposures_at_risk\n    type: single_value", "explore: exposures\n    type: single_value"),
    "a tile asks for no field": ("unknown field", BOARD, "- incidents.open_failures", "- incidents.open_failure"),
    "a tile is filtered by no field": ("unknown field", BOARD, "incidents.outcome: failure", "incidents.result: failure"),
    "a tile is filtered by no time": ("filter value", BOARD, "pipeline_runs.run_date: 14 days", "pipeline_runs.run_date: fortnight"),
    "a tile listens to no filter": ("unknown filter", BOARD, "      Environment: incidents.environment", "      Environments: incidents.environment"),
    "a tile listens with no field": ("unknown field", BOARD, "      Environment: incidents.environment", "      Environment: incidents.env"),
    "a tile is sorted by what it lacks": ("unknown field", BOARD, "- incidents.severity\n    - incidents.opened_time desc", "- incidents.state\n    - incidents.opened_time desc"),
    "a tile is of no type": ("type", BOARD, "type: looker_column", "type: looker_columns"),
    "two tiles lie on each other": ("layout", BOARD, "    row: 3\n", "    row: 2\n"),
    "a tile hangs over the edge": ("layout", BOARD, "    col: 18\n", "    col: 20\n"),
    "a tile is there twice": ("duplicate", BOARD, "name: Critical", "name: Open failures"),
    "a dashboard is in no model": ("unknown file", MODEL, 'include: "/dashboards/*.dashboard.lookml"\n', ""),
}  # fmt: skip


NEAR: dict[str, str] = {
    "a bracket is missing": '    label: "Incident ID"',
    "a text has no end": 'include: "/explores/*.explore.lkml"',
    "a dimension is there twice": "  dimension: state {",
    "the primary key is gone": "view: incidents {",
    "a dashboard is no YAML": "  description: What is broken now. Its first number is made to be the condition of an alert.",
    "a date is converted": "  dimension_group: run {",
    "a date is said to be a timestamp": "  dimension_group: run {",
    "an access grant names nobody": "access_grant: dbt_error_text {",
    "a join is said to be to one, both ways": "    sql_on: ${run_results.invocation_id} = ${invocations.invocation_id} ;;",
    "a field is not described": "  dimension: project_name {",
    "a link leads nowhere": "    link: {",
    "a join has no relationship": "  join: invocations {",
    "a join has no condition": "  join: invocations {",
    "a view is not included": "explore: exposures_at_risk {",
    "all partitions are read": "explore: snapshot_runs {",
    "a dashboard is in no model": "- dashboard: process_failures",
}
"""The line that is told of what is missing, or of what is there twice: not the one that was changed."""


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What is generated, as it was read: to parse it anew for each fault would take most of the time."""
    return pickle.dumps(read_source(write(tmp_path_factory.mktemp("generated"), FILES)))


@pytest.fixture
def project(generated: bytes, tmp_path: Path) -> Callable[..., list[Problem]]:
    """Checks what is generated, with some files changed."""

    def check(**changed: str) -> list[Problem]:
        source = pickle.loads(generated)  # noqa: S301 - our own
        if changed:
            read = read_source(write(tmp_path, changed))
            for name in changed:
                source.files.pop(name, None)
                source.dashboards.pop(name, None)
            source.files = dict(sorted({**source.files, **read.files}.items()))
            source.dashboards = dict(sorted({**source.dashboards, **read.dashboards}.items()))
            source.problems += read.problems
        return check_project(put_together(source))

    return check


def test_nothing_is_found_in_what_is_generated(project: Callable[..., list[Problem]]) -> None:
    assert project() == []


@pytest.mark.parametrize("name", MUTANTS)
def test_a_fault_is_found_where_it_is(project: Callable[..., list[Problem]], name: str) -> None:
    rule, path, there, instead = MUTANTS[name]
    assert there in FILES[path], "the mutant is no mutant"
    text = FILES[path].replace(there, instead, 1)
    found = project(**{path: text})
    at = FILES[path].index(there)
    changed = {at_line(text, at + offset) for offset in range(len(instead) or 1)}
    told = [one for one in found if one.rule == rule and one.path == (BOARD if "in no model" in name else path)]
    assert told, found
    if name in NEAR:
        lines = text.splitlines() if told[0].path == path else FILES[told[0].path].splitlines()
        assert NEAR[name] in [lines[one.line - 1] for one in told], (told, [lines[one.line - 1] for one in told])
    else:
        assert changed & {one.line for one in told}, (changed, told)


def at_line(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def test_what_cannot_be_read_is_told_and_nothing_that_only_follows_from_it(
    project: Callable[..., list[Problem]],
) -> None:
    cut = FILES[INCIDENTS][: FILES[INCIDENTS].index("sql: ${TABLE}.severity") + 10]
    assert project(**{INCIDENTS: cut}) == [
        Problem(INCIDENTS, cut.count("\n") + 1, "syntax", 'no LookML: it ends within a text: " or ;; is missing')
    ]


@pytest.mark.parametrize(
    ("data", "line", "told"),
    [
        (b"view: a {\n  dimension: b {\n  }\n", 4, "no LookML: a value or a bracket is missing before its end"),
        (b"view: a {\n}\n}\nview: b {\n}\n", 3, "no LookML from here on: '}\\nview: b {\\n}'; a bracket too many?"),
        (b"view: a {\n}\n\x00", 3, "no LookML from here on: '\\x00'; a bracket too many?"),
        (b'view: a {\n  label: "b"\n  label: "c"\n}\n', 3, "label is said twice in one block"),
        ("view: a {\n}\n".encode("utf-16"), 1, "no UTF-8: byte 0xff at 0; save it as UTF-8"),
        (b'view: a {\n  label: "caf\xe9"\n}\n', 2, "no UTF-8: byte 0xe9 at 23; save it as UTF-8"),
        (
            b"view: a {\n<<<<<<< HEAD\n}\n",
            2,
            "no LookML: Unable to find a matching expression for '<literal>' on line 2",
        ),
        (b"#" * 5_000_001, 1, "larger than 5,000,000 bytes"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(tmp_path: Path, data: bytes, line: int, told: str) -> None:
    (tmp_path / "a.view.lkml").write_bytes(data)
    (problem,) = check_project(open_project(tmp_path))
    assert (problem.line, problem.message) == (line, told)


def test_a_mark_of_utf8_and_the_ends_of_lines_of_windows_are_read(
    project: Callable[..., list[Problem]], tmp_path: Path
) -> None:
    write(tmp_path, {})
    for name, text in FILES.items():
        path = tmp_path / "windows" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert check_project(open_project(tmp_path / "windows")) == project() == []


def test_what_is_hidden_or_of_packages_is_no_part_of_a_project(tmp_path: Path) -> None:
    write(tmp_path, dict.fromkeys((".git/a.lkml", "node_modules/b/c.lkml", "docs/.d/e.view.lkml"), "view: {"))
    write(tmp_path, {"project.lkml": 'constant: A { value: "b" }'})
    (tmp_path / "loop").symlink_to(tmp_path)
    project = open_project(tmp_path)
    assert list(project.source.files) == ["project.lkml"]
    assert check_project(project) == []


def test_a_folder_of_many_projects_is_an_error(tmp_path: Path) -> None:
    for number in range(5_001):
        (tmp_path / f"{number}.lkml").touch()
    with pytest.raises(ConfigError, match=r"5,001 files of LookML"):
        open_project(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    write(tmp_path, {"a/b.lkml": "", "c.lkml": ""})
    (tmp_path / "a").chmod(0)
    (problem,) = check_project(open_project(tmp_path))
    assert (problem.path, problem.message) == ("a", "cannot be read: Permission denied")


def test_a_fault_is_told_where_it_is_and_with_what_was_meant(project: Callable[..., list[Problem]]) -> None:
    text = FILES[INCIDENTS].replace("sql: ${bad_runs}", "sql: ${bad_run}", 1)
    line = text[: text.index("sql: ${bad_run} ")].count("\n") + 1
    assert project(**{INCIDENTS: text}) == [
        Problem(
            INCIDENTS,
            line,
            "unknown field",
            "sql of incidents.total_bad_runs: incidents has no field bad_run, did you mean bad_runs?",
        )
    ]


def test_refinements_of_ones_own_are_checked_with_it(project: Callable[..., list[Problem]]) -> None:
    mine = """
include: "/views/incidents.view.lkml"
view: +incidents {
  dimension: severity { label: "How bad" }
  dimension: team { description: "Ours." type: string sql: ${owner} ;; }
  measure: ours { description: "Of a team." type: count filters: [team: "Data"] }
}
"""
    model = FILES[MODEL].replace('include: "/tests/*.lkml"', 'include: "/tests/*.lkml"\ninclude: "/mine.lkml"')
    assert project(**{"mine.lkml": mine, MODEL: model}) == []
    found = project(**{"mine.lkml": mine.replace("${owner}", "${owners}"), MODEL: model})
    assert [(problem.path, problem.rule) for problem in found] == [("mine.lkml", "unknown field")]
    wrong = FILES[INCIDENTS].replace("sql: ${TABLE}.severity", "sql: ${TABLE}.severety")
    found = project(**{"mine.lkml": mine, MODEL: model, INCIDENTS: wrong})
    line = at_line(wrong, wrong.index("severety"))
    assert [(problem.path, problem.line) for problem in found] == [(INCIDENTS, line)], "not where it is refined"
    found = project(**{"mine.lkml": mine.replace("+incidents", "+incident"), MODEL: model})
    assert ("mine.lkml", "unknown view") in {(problem.path, problem.rule) for problem in found}


def test_what_is_refined_is_not_said_twice(project: Callable[..., list[Problem]]) -> None:
    mine = """
include: "/explores/*.explore.lkml"
view: +incidents { label: "Fault" }
explore: +incidents { label: "Faults" description: "Ours." }
"""
    model = FILES[MODEL].replace('include: "/tests/*.lkml"', 'include: "/tests/*.lkml"\ninclude: "/mine.lkml"')
    assert project(**{"mine.lkml": mine, MODEL: model}) == []
    told = project(**{"mine.lkml": mine.replace('"Faults"', '"Faults that are not to be read so"'), MODEL: model})
    assert [(one.path, one.line, one.rule) for one in told] == [("mine.lkml", 4, "label")]


def test_what_is_extended_is_there_too(project: Callable[..., list[Problem]]) -> None:
    mine = """
include: "/explores/*.explore.lkml"
view: faults {
  extends: [incidents]
  dimension: team { description: "Ours." type: string sql: ${owner} ;; }
  dimension: severity { label: "How bad" }
}
explore: faults { description: "Ours." conditionally_filter: { filters: [faults.last_bad_date: "90 days"] } }
explore: our_results {
  label: "Our results"
  extends: [node_results]
  access_filter: { field: invocations.project_name user_attribute: dbt_projects }
}
"""
    model = FILES[MODEL].replace('include: "/tests/*.lkml"', 'include: "/tests/*.lkml"\ninclude: "/mine.lkml"')
    assert project(**{"mine.lkml": mine, MODEL: model}) == []
    for old, new, rule in [
        ("${owner}", "${owners}", "unknown field"),
        ("extends: [incidents]", "extends: [incident]", "unknown view"),
        ("[node_results]", "[node_result]", "unknown explore"),
        ("invocations.project_name", "invocations.project", "unknown field"),
    ]:
        told = project(**{"mine.lkml": mine.replace(old, new), MODEL: model})
        assert ("mine.lkml", rule) in {(one.path, one.rule) for one in told}, (new, told)
    assert project(**{"mine.lkml": mine.replace("[incidents]", "[faults]"), MODEL: model}), "a circle ends"


def test_files_of_other_projects_are_not_looked_for(project: Callable[..., list[Problem]]) -> None:
    model = FILES[MODEL] + 'include: "//block/views/*.view.lkml"\n'
    assert project(**{MODEL: model}) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\x00\x01",
        "view: {",
        "[" * 5_000,
        "view: a { dimension: b { sql: x",
        "- dashboard: x",
        "🔴" * 1_000,
        "{" * 3_000,
    ],
)
@pytest.mark.parametrize("name", ["views/hostile.view.lkml", "dashboards/hostile.dashboard.lookml"])
def test_whatever_a_file_holds_the_check_ends(project: Callable[..., list[Problem]], name: str, text: str) -> None:
    found = project(**{name: text})
    assert {problem.path for problem in found} <= {name}


def test_an_anchor_of_yaml_that_grows_takes_no_time(tmp_path: Path) -> None:
    lines = ["- &a0 [x, x]"] + [f"- &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}]" for n in range(1, 30)]
    (tmp_path / "a.dashboard.lookml").write_text("\n".join(lines), encoding="utf-8")
    assert {problem.rule for problem in check_project(open_project(tmp_path))} >= {"dashboard", "unknown file"}


def test_an_alias_that_holds_itself_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.dashboard.lookml").write_text("&a [*a]", encoding="utf-8")
    (problem,) = check_project(open_project(tmp_path))
    assert (problem.rule, problem.message) == ("syntax", "an alias that holds itself")


@pytest.mark.parametrize("made", [False, True])
def test_a_folder_without_a_project_is_an_error(tmp_path: Path, made: bool) -> None:
    folder = tmp_path / "lookml"
    if made:
        folder.mkdir()
    with pytest.raises(ConfigError):
        open_project(folder)
