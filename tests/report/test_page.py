"""What the triage page says of a run."""

import base64
import gzip
import json
import re
import shlex
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from factories import manifest, node, result, run_results, write_step
from pages import late, new_shop, page_of
from shop import (
    BINDER,
    CRITERIA,
    MORNING,
    ORDERS,
    TEST_A,
    TEST_A2,
    TEST_C,
    A,
    B,
    C,
    Shop,
    began,
    failed_run,
    finished,
    passed,
    shop,
)

from observability.artifacts.step import Step
from observability.artifacts.step import write_step as write_observed
from observability.errors import ConfigError
from observability.pipeline.ingestion import ingest
from observability.pipeline.reporting import Wanted, write_report
from observability.report.render import render_page


@pytest.fixture
def told(tmp_path: Path) -> Shop:
    return new_shop(tmp_path)


def bad_morning(told: Shop) -> None:
    told.step("run", *passed(A, B, C), dag_run="monday")
    told.step("test", *passed(TEST_A, TEST_A2, TEST_C), dag_run="monday")
    told.step("source freshness", late(), dag_run="tuesday")
    told.step(
        "run",
        result(A, "error", message=BINDER, compiled_code="select x from raw.orders"),
        result(B, "skipped"),
        result(C, "skipped"),
        dag_run="tuesday",
        exit_code=1,
        graph=shop(critical=True),
    )


def test_it_says_what_is_broken_why_whom_it_hurts_and_what_to_do(told: Shop) -> None:
    bad_morning(told)
    page = page_of(told)
    assert page.title == "shop · default · tuesday"
    assert (page.verdict.tone, page.verdict.text, page.verdict.detail) == (
        "bad",
        "1 cause of failure, 2 exposures at risk, 1 of them critical.",
        "Model stg_a failed. Also 1 warning.",
    )
    (cause,) = page.causes
    assert (cause.severity, cause.headline) == ("critical", "model stg_a failed")
    assert dict(cause.lines)["Why"] == 'Binder Error: column "x" not found'
    assert (cause.command, cause.blocked, cause.past) == ("dbt build --select stg_a+", ("fct_c", "int_b"), ())
    assert ("Runbook", "https://run.book/a") in cause.links
    (finding,) = cause.findings
    assert finding.sql
    assert [(line.number, line.text, line.is_marked) for line in finding.sql.lines] == [
        (1, "select x from raw.orders", True)
    ]
    assert (finding.message, finding.message_left_out, finding.sql.left_out) == (BINDER, 0, 0)
    assert [(one.exposure.name, [name for _, name in one.causes]) for one in page.exposures] == [
        ("Board", ["stg_a", "raw.orders"]),
        ("raw_view", ["stg_a", "raw.orders"]),
    ]
    assert page.exposures[0].causes[0][0] == cause.anchor
    assert page.exposures[0].drawing is not None
    assert page.exposures[0].drawing.words == (
        "stg_a → int_b → fct_c → Board",
        "raw.orders → stg_a → int_b → fct_c → Board",
    )
    (warning,) = page.warnings
    assert warning.headline == "source raw.orders is 3 d old"
    assert [step["command"] for step in page.steps] == ["source freshness", "run"]
    (source,) = page.sources
    assert (source.tone, source.age, source.allowed) == ("warn", "3 d 7 min", "warns after 12 h, error after 2 d")
    assert page.grid.rows[0] == ("stg_a", ("ok", "failure"))
    assert [run["dag_run_id"] for run in page.grid.runs] == ["monday", "tuesday"]
    assert dict(page.results.outcomes) == {"failure": 1, "warning": 1, "skipped": 2}


def test_the_page_of_an_earlier_run_says_what_became_of_it(told: Shop) -> None:
    bad_morning(told)
    told.step("run", *passed(A, B, C), dag_run="wednesday")
    mended = page_of(told)
    assert (mended.verdict.tone, mended.causes) == ("warn", ())
    assert mended.verdict.text == "Nothing fails. 1 warning, 2 exposures at risk."
    assert [one.state for one in mended.well_again] == ["recovered"]
    tuesday = page_of(told, dag_run="daily/tuesday")
    assert tuesday.title.endswith("tuesday")
    assert (tuesday.verdict.tone, tuesday.verdict.text) == (
        "warn",
        "This run failed; nothing of it is broken any more.",
    )
    assert [one.headline for one in tuesday.well_again] == ["model stg_a failed"]
    monday = page_of(told, dag_run="monday")
    assert monday.well_again == monday.causes == monday.warnings == ()
    assert monday.verdict.text == "All is well."
    assert [run["dag_run_id"] for run in monday.grid.runs] == ["monday"]


def test_what_failed_before_is_told(told: Shop) -> None:
    failed_run(told, "monday")
    told.step("run", *passed(A, B, C), dag_run="tuesday")
    failed_run(told, "wednesday")
    (cause,) = page_of(told).causes
    (before,) = cause.past
    assert (before.state, before.open_seconds, before.said, cause.times) == ("recovered", 300.0, "", 1)


def test_a_run_that_is_well_says_so(told: Shop) -> None:
    told.step("build", *passed(A, B, C, TEST_A))
    page = page_of(told)
    assert (page.verdict.tone, page.verdict.text) == ("good", "All is well.")
    assert (page.causes, page.exposures, page.warnings) == ((), (), ())


def test_a_step_that_is_to_be_repeated_is_waited_for(told: Shop) -> None:
    told.step("run", result(A, "error", message=BINDER), dag_run="monday", will_retry=True, exit_code=1)
    assert page_of(told).verdict.text == "A step failed and is to be tried again."


def test_what_is_mended_and_not_rebuilt_is_waited_for(told: Shop) -> None:
    failed_run(told)
    told.step("run", *passed(A))
    page = page_of(told)
    assert (page.verdict.tone, page.verdict.text) == ("wait", "Mended; 2 nodes not rebuilt yet.")


def test_a_run_that_was_killed_is_told_by_its_step(told: Shop) -> None:
    told.step("run", nothing=True, exit_code=-9, dag_run="monday")
    page = page_of(told)
    assert page.verdict.tone == "bad"
    assert page.results.count == 0
    assert [step["exit_code"] for step in page.steps] == [-9]


def test_of_a_step_that_was_killed_the_way_begins_where_it_was(told: Shop) -> None:
    told.step("run", *passed(A, B, C), dag_run="monday")
    told.step("run", nothing=True, log=[began(A), finished(A), began(B)], exit_code=-9, dag_run="tuesday")
    page = page_of(told)
    assert page.verdict.detail == "Task daily.run was interrupted."
    assert (page.run["outcome"], page.run["duration_seconds"]) == ("interrupted", None)
    (board,) = page.exposures
    assert board.drawing
    assert board.drawing.words == ("int_b → fct_c → Board",)


def test_every_result_is_in_the_table(told: Shop) -> None:
    told.step("build", result(A, execution_time=2.5), *passed(B), result(TEST_A, "fail", failures=7, message="Got 7"))
    page = page_of(told)
    table = json.loads(gzip.decompress(base64.b64decode(page.results.packed)))
    rows = {
        name: {
            "type": table["type"]["values"][table["type"]["at"][row]],
            "status": table["status"]["values"][table["status"]["at"][row]],
            "ms": table["ms"][row],
            "rows": table["rows"].get(str(row)),
            "on": table["on"]["values"][table["on"]["at"][row]],
        }
        for row, name in enumerate(table["name"])
    }
    assert rows == {
        "stg_a": {"type": "model", "status": "success", "ms": 2500, "rows": None, "on": ""},
        "int_b": {"type": "model", "status": "success", "ms": 500, "rows": None, "on": ""},
        "unique_a": {"type": "test", "status": "fail", "ms": 500, "rows": 7, "on": "stg_a"},
    }
    assert page.slowest[0]["name"] == "stg_a"


def test_many_causes_are_told_by_name(told: Shop) -> None:
    nodes = [f"model.shop.m{number:03}" for number in range(60)]
    told.step("run", *(result(one, "error", message=BINDER) for one in nodes), graph=manifest(*map(node, nodes)))
    page = page_of(told)
    assert (len(page.causes), len(page.more_causes)) == (40, 20)
    text = (told.folder / "page.html").read_text(encoding="utf-8")
    assert "20 more causes" in text
    assert all(f"model m{number:03} failed" in text for number in range(60))


def test_sql_that_is_cut_says_by_how_much(told: Shop) -> None:
    told.step("run", result(A, "error", message=BINDER, compiled_code="x" * 25_000))
    page_of(told)
    assert "5,000 more characters are not shown" in (told.folder / "page.html").read_text(encoding="utf-8")


def test_environments_and_projects_are_told_apart(told: Shop) -> None:
    failed_run(told)
    told.settings = told.settings.model_copy(update={"environment": "dev"})
    told.step("run", *passed(A, B, C))
    assert page_of(told, environment="default").verdict.tone == "bad"
    assert page_of(told).verdict.tone == "good"


@pytest.mark.parametrize(
    ("wanted", "what"),
    [
        ({"invocation": "ffff"}, "no run of 'ffff' is stored"),
        ({"dag_run": "sunday"}, "no run of 'sunday' is stored"),
        ({"invocation": "0000"}, "several invocations begin with '0000'"),
    ],
)
def test_a_run_that_is_not_there_is_an_error(told: Shop, wanted: dict[str, Any], what: str) -> None:
    bad_morning(told)
    with pytest.raises(ConfigError, match=what):
        page_of(told, **wanted)


def test_the_beginning_of_an_invocation_names_it(told: Shop) -> None:
    bad_morning(told)
    assert page_of(told, invocation="00000000-0000-4000-8000-000000000010").title.endswith("monday")


HOSTILE = (
    "</script></style><!--<img src=x onerror=alert(1)><script>alert(2)</script>\"' onmouseover=alert(3) {{ 7 * 7 }} "
    "\u202e\u2028\x00\x1b[31m; rm -rf /"
)


def hostile_graph() -> dict[str, Any]:
    meta = {"observe": {"owner": HOSTILE, "runbook": "javascript:alert(4)"}}
    return manifest(
        node(A, config={"meta": meta}, name=f"stg{HOSTILE}", original_file_path=HOSTILE),
        node(TEST_A, [A], attached_node=A, name=HOSTILE),
        node(ORDERS, source_name=HOSTILE, name=HOSTILE, config={"meta": {"owner": HOSTILE}}),
        node(
            "exposure.shop.board",
            [A],
            label=HOSTILE,
            owner={"name": HOSTILE, "email": HOSTILE},
            url="javascript:alert(5)",
            type="x",
        ),
    )


def hostile_page(told: Shop) -> str:
    told.step(
        "build",
        result(A, "error", message=HOSTILE, compiled_code=HOSTILE),
        result(TEST_A, "fail", failures=3, message=HOSTILE, compiled_code=HOSTILE),
        graph=hostile_graph(),
        exit_code=1,
        dag_run=HOSTILE,
        log_url="javascript:alert(6)",
    )
    told.step(
        "source freshness",
        {"unique_id": ORDERS, "status": "runtime error", "error": HOSTILE},
        graph=hostile_graph(),
        dag_run=HOSTILE,
    )
    page_of(told)
    return (told.folder / "page.html").read_text(encoding="utf-8")


def test_hostile_texts_are_only_text(told: Shop) -> None:
    text = hostile_page(told)
    assert text.count("<script") == text.count("</script>") == 2
    assert "<img" not in text
    assert "{{ 7 * 7 }}" in text
    assert not re.search(r"""(?:href|src)=["']?javascript:""", text)
    assert not re.search(r"\son\w+=", re.sub(r">[^<]*<|=\"[^\"]*\"", "", text))
    assert "javascript:alert(4)" in unescape(text), "a runbook that is no link is told as a text"
    assert not re.search("[\\x00-\\x08\\x0b-\\x1f\\u202a-\\u202e\\u2028\\u2029]", text)
    assert r"\u202e\u2028\x00\x1b[31m" in text
    commands = [unescape(one) for one in re.findall(r'data-copy="([^"]*)"', text)]
    assert commands == ["dbt build --select stg_a+", "dbt source freshness --select source:raw.orders"]


def test_in_a_command_a_name_is_one_word_of_a_shell(told: Shop) -> None:
    name = "x; rm -rf ~ 'y'"
    told.step("run", result(f"model.shop.{name}", "error"), graph=manifest(node(f"model.shop.{name}")), exit_code=1)
    (cause,) = page_of(told).causes
    assert shlex.split(cause.command) == ["dbt", "build", "--select", f"{name}+"]


def test_it_asks_no_server_for_anything(told: Shop) -> None:
    bad_morning(told)
    file = told.folder / "page.html"
    page_of(told, file)
    text = file.read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy
    assert policy[1].startswith("default-src 'none'")
    assert "unsafe" not in policy[1]
    assert not re.search(r"(?:src|href)=\"//|@import|url\(", text)
    assert 'style="' not in text


def test_each_page_has_a_nonce_of_its_own(told: Shop, tmp_path: Path) -> None:
    bad_morning(told)
    nonces = set()
    for name in ("one.html", "two.html"):
        page_of(told, tmp_path / name)
        nonces |= set(re.findall(r'nonce="([^"]+)"', (tmp_path / name).read_text(encoding="utf-8")))
    assert len(nonces) == 2


def test_the_same_page_with_the_same_nonce_is_the_same_file(told: Shop) -> None:
    bad_morning(told)
    page = page_of(told)
    assert render_page(page, "n") == render_page(page, "n")
    first, second = render_page(page), render_page(page)
    assert first != second
    assert re.sub(r"nonce(=\"|-)[^\"']+", "", first) == re.sub(r"nonce(=\"|-)[^\"']+", "", second)


def test_texts_have_room_for_so_much_and_what_is_left_out_is_told(told: Shop) -> None:
    nodes = [f"model.shop.m{number:03}" for number in range(60)]
    failed = [result(one, "error", message="x" * 1_000_000, compiled_code="select 1\n" * 3_000) for one in nodes]
    told.step("run", *failed, graph=manifest(*map(node, nodes)))
    page = page_of(told)
    (first,), (last,) = page.causes[0].findings, page.causes[-1].findings
    assert (len(first.message), first.message_left_out) == (8_000, 992_000)
    assert first.sql
    assert (first.sql.left_out > 0, first.is_sql_left_out) == (True, False)
    assert (last.sql, last.is_sql_left_out) == (None, True)
    text = (told.folder / "page.html").read_text(encoding="utf-8")
    assert "992,000 more characters of the message are not shown; they are in run_results." in text
    assert "Its SQL had no room here; it is in run_results." in text
    assert len(text) < 900_000


def test_a_dag_run_of_two_projects_is_a_run_in_each(told: Shop) -> None:
    for day in ("monday", "tuesday"):
        failed_run(told, day)
        other = manifest(node("model.other.x"))
        other["metadata"]["project_name"] = "other"
        told.step("run", result("model.other.x", "error", message=BINDER), graph=other, dag_run=day, exit_code=1)
    page = page_of(told)
    assert page.title == "other · default · tuesday"
    assert [one.headline for one in page.causes] == ["model x failed"]
    assert [run["dag_run_id"] for run in page.grid.runs] == ["monday", "tuesday"], "each run once"
    assert [run["nodes_failure"] for run in page.grid.runs] == [1, 1]
    assert (page.results.count, len(page.steps)) == (1, 1)
    with pytest.raises(
        ConfigError, match=r"several projects have a part in the run 'monday', .*: other, shop"
    ) as error:
        page_of(told, dag_run="monday")
    assert error.value.next_step == (
        "name a step of one: --invocation 00000000-0000-4000-8000-000000000010 (other)"
        " or --invocation 00000000-0000-4000-8000-000000000005 (shop)"
    )
    mine = page_of(told, invocation="00000000-0000-4000-8000-000000000015")
    assert (mine.title, mine.results.count) == ("shop · default · tuesday", 3)
    assert [one.headline for one in mine.causes] == ["model stg_a failed"]
    assert mine.run["nodes_skipped"] == 2


def test_a_dag_run_with_a_step_of_which_nothing_is_known_is_one_run(told: Shop) -> None:
    told.step("run", *passed(A, B, C), dag_run="monday")
    told.step("test", nothing=True, exit_code=-9, dag_run="monday")
    page = page_of(told, dag_run="monday")
    assert (page.title, len(page.steps)) == ("shop · default · monday", 2)


def test_steps_outside_of_a_dag_are_runs_of_their_own_project(told: Shop) -> None:
    told.step("run", *passed(A, B, C))
    other = manifest(node("model.other.x"))
    other["metadata"]["project_name"] = "other"
    told.step("run", result("model.other.x"), graph=other)
    told.step("run", *passed(A, B, C))
    page = page_of(told)
    assert [run["started_at"].minute for run in page.grid.runs] == [5, 15]
    first = page_of(told, invocation="00000000-0000-4000-8000-000000000010")
    assert (first.title, len(first.grid.runs)) == ("other · default · dbt run", 1)


def test_all_steps_of_a_run_count_whether_its_dag_is_known_or_not(told: Shop) -> None:
    for day in ("monday", "tuesday"):
        told.step("run", *passed(A, B, C), dag_run=day, dag_id=None, task_id=None)
        told.step("test", result(TEST_A, "fail", failures=1), dag_run=day, dag_id=None, task_id=None, exit_code=1)
    page = page_of(told)
    assert [(run["dag_run_id"], run["outcome"], run["duration_seconds"]) for run in page.grid.runs] == [
        ("monday", "failure", 360.0),
        ("tuesday", "failure", 360.0),
    ]


def test_the_last_fourteen_runs_are_shown(told: Shop) -> None:
    for number in range(16):
        told.step("run", *passed(A, B, C), dag_run=f"r{number:02}")
    assert [run["dag_run_id"] for run in page_of(told).grid.runs] == [f"r{number:02}" for number in range(2, 16)]
    earlier = page_of(told, dag_run="r03").grid.runs
    assert [run["dag_run_id"] for run in earlier] == ["r00", "r01", "r02", "r03"], "not what came later"


def test_a_run_of_long_ago_has_its_page_still(told: Shop) -> None:
    failed_run(told, "monday")
    now = MORNING + timedelta(days=200)
    page = write_report(told.settings, Wanted(dag_run="monday"), out=str(told.folder / "page.html"), now=now).page
    assert (page.run["outcome"], page.run["nodes_failure"], page.run["nodes_skipped"]) == ("failure", 1, 2)
    assert page.results.count == 3
    assert [one.headline for one in (*page.causes, *page.well_again)] == ["model stg_a failed"]


def flapping(told: Shop, times: int) -> None:
    """Runs in which A fails, each followed by one in which it is well: loaded as one."""
    folders = []
    for number in range(2 * times):
        at = MORNING + timedelta(minutes=told.minutes + 5 + number)
        stamp: dict[str, Any] = {
            "invocation_id": f"11111111-0000-4000-8000-{number:012}",
            "invocation_started_at": at.isoformat(),
            "generated_at": (at + timedelta(seconds=30)).isoformat(),
        }
        (one,) = passed(A) if number % 2 else [result(A, "error", message=BINDER)]
        one["timing"] = [{"name": "execute", "started_at": at.isoformat(), "completed_at": at.isoformat()}]
        graph = shop()
        graph["metadata"] |= stamp
        ran = run_results(one, command="run", **stamp)
        folder = write_step(told.folder / f"flap{number}", manifest=graph, run_results=ran)
        write_observed(Step(command="dbt run", dag_id="hourly", dag_run_id=f"h{number}"), folder / "observe.json")
        folders.append(folder)
    assert not ingest(folders, told.settings).errors
    told.minutes += 2 * times + 5


def test_an_older_run_has_what_failed_in_it_however_often_it_failed_before_and_since(told: Shop) -> None:
    failed_run(told, "sunday")
    told.step("run", *passed(A, B, C), dag_run="sunday_again")
    failed_run(told, "monday")
    told.step("run", *passed(A, B, C), dag_run="monday_again")
    flapping(told, 51)
    monday = page_of(told, dag_run="monday")
    assert monday.verdict.text == "This run failed; nothing of it is broken any more."
    (cause,) = monday.well_again
    assert (cause.headline, cause.times, [one.state for one in cause.past]) == ("model stg_a failed", 1, ["recovered"])
    last = page_of(told, dag_run="h100")
    (cause,) = last.well_again
    assert (cause.times, len(cause.past)) == (52, 3)


def test_what_failed_in_a_run_and_was_never_seen_again_is_told_when_it_is_expired(told: Shop) -> None:
    failed_run(told, "monday")
    told.minutes += 100 * 24 * 60
    told.step("run", *passed(B), dag_run="summer")
    monday = page_of(told, dag_run="monday")
    assert [(one.headline, one.state) for one in monday.well_again] == [("model stg_a failed", "expired")]
    assert page_of(told).well_again == ()


def test_sql_that_has_no_room_is_told_and_what_has_no_sql_is_not(told: Shop) -> None:
    models = [f"model.shop.m{number:02}" for number in range(12)]
    tests = {f"test.shop.t{number:02}_{one}.x": model for number, model in enumerate(models) for one in range(12)}
    bare = max(tests)
    ran = [result(one, "fail", failures=1, compiled_code=None if one == bare else "select 1") for one in tests]
    graph = manifest(*map(node, models), *(node(one, [on], attached_node=on) for one, on in tests.items()))
    told.step("test", *ran, graph=graph, exit_code=1)
    page = page_of(told)
    findings = [finding for cause in page.causes for finding in cause.findings]
    assert (len(findings), sum(finding.sql is not None for finding in findings)) == (144, 100)
    assert [one.unique_id for one in findings if not one.sql and not one.is_sql_left_out] == [bare]
    assert (told.folder / "page.html").read_text(encoding="utf-8").count("Its SQL had no room here") == 43


def test_room_for_sql_is_kept_for_what_has_a_card(told: Shop) -> None:
    models = [f"model.shop.m{number:02}" for number in range(110)]
    tests = {f"test.shop.t{number:02}.x": model for number, model in enumerate(models[70:])}
    ran = [
        *(result(one, "error", message=BINDER, compiled_code="select 1") for one in models[:70]),
        *(result(one, "warn", failures=1, compiled_code="select 2") for one in tests),
    ]
    graph = manifest(*map(node, models), *(node(one, [on], attached_node=on) for one, on in tests.items()))
    told.step("build", *ran, graph=graph, exit_code=1)
    page = page_of(told)
    assert (len(page.causes), len(page.more_causes), len(page.warnings)) == (40, 30, 40)
    assert all(finding.sql for cause in (*page.causes, *page.warnings) for finding in cause.findings)


def test_what_failed_later_is_no_earlier_time(told: Shop) -> None:
    failed_run(told, "monday")
    told.step("run", *passed(A, B, C), dag_run="tuesday")
    failed_run(told, "wednesday")
    (then,) = page_of(told, dag_run="monday").well_again
    assert (then.past, then.times) == ((), 0)
    (now,) = page_of(told).causes
    assert now.times == 1


def test_an_earlier_time_says_what_was_wrong_then(told: Shop) -> None:
    told.step("run", result(A, "error", message="Database Error in model a (a.sql)\n  disk is full"), exit_code=1)
    told.step("run", *passed(A, B, C))
    failed_run(told)
    (cause,) = page_of(told).causes
    assert [one.said for one in cause.past] == ["disk is full"]


def test_a_step_that_was_tried_again_is_told_from_its_first_try(told: Shop) -> None:
    told.step("run", result(A, "error", message=BINDER), dag_run="r", will_retry=True, try_number=1, exit_code=1)
    told.step("run", *passed(A), dag_run="r", try_number=2)
    page = page_of(told)
    assert page.verdict.text == "All is well."
    assert (page.run["outcome"], page.run["nodes_ok"], page.run["nodes_failure"]) == ("success", 1, 0)
    table = json.loads(gzip.decompress(base64.b64decode(page.results.packed)))
    assert sorted(table["step"]["values"]) == ["run, try 1", "run, try 2"]
    assert "tried again" in (told.folder / "page.html").read_text(encoding="utf-8")


def test_a_run_whose_manifest_is_missing_has_a_page(told: Shop) -> None:
    told.step("run", *passed(A, B, C))
    folder = write_step(
        told.folder / "bare",
        run_results=run_results(
            result(A, "error", message=BINDER),
            invocation_id="99999999-0000-4000-8000-000000000000",
            generated_at="2026-03-02T07:00:00Z",
            invocation_started_at="2026-03-02T06:59:00Z",
        ),
    )
    assert not ingest([folder], told.settings).errors
    told.minutes = 62
    page = page_of(told)
    assert page.invocation_id.startswith("9999")
    assert [one.headline for one in page.causes] == ["model stg_a failed"]
    assert page.results.count == 1


def test_a_check_of_freshness_by_itself_has_a_page(told: Shop) -> None:
    told.step("source freshness", late())
    page = page_of(told)
    assert (page.verdict.tone, page.verdict.text) == ("warn", "Nothing fails. 1 warning, 2 exposures at risk.")
    assert (page.results.count, [one.tone for one in page.sources]) == (1, ["warn"])


def test_of_a_run_in_several_environments_one_is_to_be_named(told: Shop) -> None:
    failed_run(told, "monday")
    told.settings = told.settings.model_copy(update={"environment": "dev"})
    told.step("run", *passed(A, B, C), dag_run="monday")
    with pytest.raises(ConfigError, match="several environments have a run 'monday': default, dev"):
        page_of(told, dag_run="monday")
    assert page_of(told, dag_run="monday", environment="default").verdict.tone == "bad"


def test_an_index_of_many_exposures_and_sources_is_kept_short(told: Shop) -> None:
    boards = [node(f"exposure.shop.board{number:03}", [A], type="dashboard") for number in range(400)]
    sources = [node(f"source.shop.raw.s{number:03}", source_name="raw", freshness=CRITERIA) for number in range(200)]
    told.step("run", result(A, "error", message=BINDER), graph=manifest(node(A), *boards, *sources), exit_code=1)
    page = page_of(told)
    assert (len(page.exposures), len(page.more_exposures)) == (30, 370)
    assert (len(page.sources), page.sources_left_out) == (150, 50)
    text = (told.folder / "page.html").read_text(encoding="utf-8")
    assert "370 more exposures at risk" in text
    assert "board399" in text
    assert "50 more have no row here; they are in source_health." in text
    assert len(text) < 400_000


def test_a_run_of_many_steps_shows_those_that_did_not_end_well(told: Shop) -> None:
    for number in range(14):
        told.step("run", *passed(A), dag_run="r", task_id=f"t{number}")
    told.step("run", result(A, "error", message=BINDER), dag_run="r", task_id="bad", exit_code=1)
    page_of(told)
    text = (told.folder / "page.html").read_text(encoding="utf-8")
    assert "Steps that did not end well" in text
    assert "All 15 steps" in text


def test_a_source_without_rows_or_thresholds_is_told(told: Shop) -> None:
    none = {"warn_after": {"count": None, "period": None}, "error_after": {"count": None, "period": None}}
    told.step(
        "source freshness",
        {"unique_id": ORDERS, "status": "runtime error", "error": "no such table"},
        graph=manifest(node(ORDERS, source_name="raw", freshness=none)),
    )
    (source,) = page_of(told).sources
    assert (source.age, source.allowed, source.bar, source.tone) == ("not known", "no threshold", None, "bad")


def test_the_time_is_that_of_the_question(told: Shop) -> None:
    bad_morning(told)
    page = page_of(told)
    assert page.as_of - page.run["started_at"] < timedelta(hours=1)


@pytest.mark.parametrize(("causes", "shown"), [(5, 500), (6, 20)])
def test_of_what_a_cause_holds_up_as_many_are_named_as_there_is_room_for(told: Shop, causes: int, shown: int) -> None:
    roots = [f"model.shop.root_{number}" for number in range(causes)]
    held = {root: [f"{root}_{number:03}" for number in range(shown + 7)] for root in roots}
    below = [node(one, [root]) for root, ones in held.items() for one in ones]
    results = [result(root, "error", message="no") for root in roots]
    results += [result(one, "skipped") for ones in held.values() for one in ones]
    told.step("run", *results, graph=manifest(*map(node, roots), *below), exit_code=1)
    html = render_page(page_of(told))
    assert html.count(f"Blocks {shown + 7}: skipped or not rebuilt") == causes
    assert html.count("7 more in the view incident_nodes.") == causes
    assert (html.count(f"<li>root_0_{shown - 1:03}</li>"), html.count(f"<li>root_0_{shown:03}</li>")) == (1, 0)
