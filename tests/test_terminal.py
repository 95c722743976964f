"""What the commands print: whole outputs in `golden/`, and dbt's text as text whatever is in it."""

import json
import os
import pty
import re
import subprocess
import sys
import unicodedata
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from factories import freshness, manifest, node, result
from golden import check
from shop import MORNING, ORDERS, TEST_A, TEST_C, A, B, C, Shop, began, passed, shop

from observability.config import load_settings
from observability.errors import ConfigError, ObserveError
from observability.pipeline.alerting import rehearse
from observability.pipeline.ingestion import IngestReport, LoadReport, LoadStatus
from observability.pipeline.questions import current_status
from observability.terminal.loads import show_ingest, show_notes
from observability.terminal.plain import plain, plain_error, plain_lines
from observability.terminal.reports import show_status
from observability.terminal.telling import show_rehearsal

COMMAND = str(Path(sys.executable).with_name("dbt-observe"))
NOW = MORNING + timedelta(hours=2)
URL = "duckdb:///audit.duckdb"
HOSTILE = "\x1b]0;title\x07\x1b[2J\x9b1m\u202eRTL\r\nFORGED  line\t[bold]b[/bold] :smile: \x08<!channel>"
SPELLED = r"\x1b]0;title\x07\x1b[2J\x9b1m\u202eRTL FORGED  line [bold]b[/bold] :smile: \x08<!channel>"


@pytest.fixture
def told(tmp_path: Path) -> Shop:
    return Shop(tmp_path, load_settings(store=f"duckdb:///{tmp_path}/audit.duckdb"))


def bad_morning(told: Shop) -> None:
    told.step("run", *passed(A, B, C), dag_run="scheduled__1", exit_code=0, graph=shop(critical=True))
    stale = freshness(ORDERS, "warn", max_loaded_at_time_ago_in_s=46_800.0)
    told.step("source freshness", stale, dag_run="scheduled__2", exit_code=0, graph=shop(critical=True))
    told.step(
        "run",
        *passed(A),
        result(B, "error", message="Runtime Error in model int_b (models/int_b.sql)\n  Binder Error: no column x"),
        result(C, "skipped"),
        dag_run="scheduled__2",
        exit_code=1,
        graph=shop(critical=True),
    )
    failing = result(TEST_A, "fail", failures=12), result(TEST_C, "error", message="no table fct_c")
    told.step("test", *failing, dag_run="scheduled__2", exit_code=1, graph=shop(critical=True))
    told.step("snapshot", nothing=True, exit_code=-9, graph=shop(critical=True))


def test_status_tells_the_last_steps_what_fails_what_is_stale_and_who_is_hurt(
    told: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    bad_morning(told)
    status = current_status(told.settings, NOW)
    show_status(status, URL, as_json=False)
    check("status.txt", capsys.readouterr().out)
    show_status(status, URL, as_json=True)
    check("status.json", capsys.readouterr().out)


def test_status_says_which_environment_where_there_are_several(told: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    for environment in ("prod", "qa"):
        told.step("test", result(TEST_C, "fail", failures=1), exit_code=1, environment=environment)
    show_status(current_status(told.settings, NOW), URL, as_json=False)
    check("status_several.txt", capsys.readouterr().out)


def test_nothing_wrong_is_said_too(told: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    told.step("run", *passed(A, B, C), exit_code=0)
    show_status(current_status(told.settings, NOW), URL, as_json=False)
    check("status_well.txt", capsys.readouterr().out)
    show_rehearsal([], as_json=False)
    assert capsys.readouterr().out == "Nothing to tell.\n"
    show_rehearsal([], as_json=True)
    assert json.loads(capsys.readouterr().out) == {"messages": []}


def test_alert_prints_the_messages_one_below_another(told: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    bad_morning(told)
    messages = rehearse(told.settings, lambda: NOW)
    show_rehearsal(messages, as_json=False)
    check("alert.txt", capsys.readouterr().out)
    show_rehearsal(messages, as_json=True)
    check("alert.json", capsys.readouterr().out)


def test_ingest_tells_each_step_in_a_line_and_its_warnings_below(capsys: pytest.CaptureFixture[str]) -> None:
    loaded = LoadReport(
        folder=Path("a/target"),
        status=LoadStatus.LOADED,
        invocation_id="i",
        load_id="l",
        command="build",
        outcome="failure",
        rows={"invocations": 1, "nodes": 1200, "run_results": 40, "source_freshness": 0},
        warnings=("sources.json is not this step's", HOSTILE),
    )
    empty = LoadReport(folder=Path("b"), status=LoadStatus.EMPTY)
    fault = ConfigError("this is wrong", where=f"file {HOSTILE}", next_step="mend it")
    show_ingest(IngestReport((loaded, empty), (fault,)), as_json=False)
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        "loaded    build failure 1 invocations, 1,200 nodes, 40 run_results  a/target",
        "          warning: sources.json is not this step's",
        f"          warning: {SPELLED}",
        "empty     - b",
    ]
    assert shown.err.splitlines() == [
        "dbt-observe: this is wrong",
        f"  where: file {SPELLED}",
        "  next:  mend it",
    ]
    show_ingest(IngestReport((loaded, empty), (fault,)), as_json=True)
    first, second = json.loads(capsys.readouterr().out)["loads"]
    assert first == {
        "invocation_id": "i",
        "load_id": "l",
        "status": "loaded",
        "command": "build",
        "outcome": "failure",
        "rows": {"invocations": 1, "nodes": 1200, "run_results": 40, "source_freshness": 0},
        "warnings": ["sources.json is not this step's", HOSTILE],
    }
    assert (second["status"], second["invocation_id"], second["rows"]) == ("empty", None, {})


def test_run_tells_on_stderr_only(capsys: pytest.CaptureFixture[str]) -> None:
    show_notes(["it is so:\n  where: \x1b[31mhere", "and so"])
    assert capsys.readouterr() == ("", "dbt-observe: it is so:\n  where: \\x1b[31mhere\ndbt-observe: and so\n")


def hostile_morning(told: Shop) -> None:
    """Every text that dbt or its project may set says what a terminal might obey."""
    observed = {"meta": {"observe": {"owner": HOSTILE, "runbook": HOSTILE}}}
    graph = manifest(
        node(ORDERS, name=HOSTILE, source_name=HOSTILE),
        node(A, [ORDERS], name=HOSTILE, config=observed, original_file_path=HOSTILE),
        node(TEST_A, [A], name=HOSTILE, attached_node=A, column_name=HOSTILE, test_metadata={"name": HOSTILE}),
        node("exposure.shop.e", [A], name=HOSTILE, label=HOSTILE, url=HOSTILE, owner={"name": HOSTILE, "email": "x"}),
    )
    graph["metadata"]["project_name"] = HOSTILE
    given: dict[str, Any] = {
        "environment": HOSTILE,
        "graph": graph,
        "dag_id": HOSTILE,
        "task_id": HOSTILE,
        "log_url": HOSTILE,
    }
    told.step("test", result(TEST_A, "fail", failures=2, message=HOSTILE), dag_run=HOSTILE, exit_code=1, **given)
    error = result(A, "error", message=f"Error in model\n{HOSTILE}")
    told.step("run", error, dag_run=f"{HOSTILE}2", exit_code=1, **given)
    told.step("source freshness", freshness(ORDERS, "error"), dag_run=f"{HOSTILE}3", exit_code=1, **given)
    killed = given | {"task_id": f"{HOSTILE}4"}
    told.step("snapshot", nothing=True, dag_run=f"{HOSTILE}4", exit_code=-9, log=[began(A)], **killed)


def controls(text: str) -> set[str]:
    """The characters that a terminal may obey, line feeds left out."""
    return {char for char in text if unicodedata.category(char) in {"Cc", "Cf", "Zl", "Zp"}} - {"\n"}


def test_dbts_text_is_text_in_every_table_and_message(told: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    hostile_morning(told)
    show_status(current_status(told.settings, NOW), HOSTILE, as_json=False)
    status = capsys.readouterr().out
    show_rehearsal(rehearse(told.settings, lambda: NOW), as_json=False)
    alert = capsys.readouterr().out
    assert (controls(status), controls(alert)) == (set(), set())
    for text in (status, alert):
        for part in ("[bold]b[/bold]", ":smile:", "<!channel>"):
            assert part in text
    assert r"\x1b]0;title\x07" in status
    labels = "Hurts|Why|File|Blocks|Also|Since|Owner|Runbook|Next"
    line = re.compile(rf"(# terminal|  ↳ in the thread|  [🚨🟠] .*|    [🟠] .*|    ({labels}) +\S.*|)")
    assert [one for one in alert.splitlines() if not line.fullmatch(one)] == []
    assert len([one for one in alert.splitlines() if one.startswith("    🟠 error: ")]) == 3


def on_terminal(*arguments: str, cwd: Path, columns: int) -> str:
    """What a command prints on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DBT_", "AIRFLOW_"))}
    kept |= {"TERM": "xterm-256color", "COLUMNS": str(columns)}
    with subprocess.Popen([COMMAND, *arguments], cwd=cwd, env=kept, stdout=theirs, stderr=theirs, stdin=theirs) as ran:
        os.close(theirs)
        printed = b""
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # Linux says so where the other end is closed
                chunk = b""
            if not chunk:
                break
            printed += chunk
    os.close(ours)
    assert ran.returncode == 0
    return printed.decode().replace("\r\n", "\n")


OUR_COLOURS = re.compile(r"\x1b\[(?:\d+(?:;\d+)*)?m")


def test_on_a_terminal_only_our_own_colours_are_obeyed(told: Shop, tmp_path: Path) -> None:
    hostile_morning(told)
    for arguments in (["status"], ["alert", "--dry-run"]):
        printed = on_terminal(*arguments, "--store", told.settings.store, cwd=tmp_path, columns=100)
        assert OUR_COLOURS.search(printed)
        assert controls(OUR_COLOURS.sub("", printed)) == set()


@pytest.mark.parametrize("columns", [140, 70])
def test_no_long_text_is_cut(columns: int, told: Shop, tmp_path: Path) -> None:
    long = {"ж": "name", "щ": "owner", "я": "url", "э": "environment", "ю": "model", "ц": "task"}
    text = {meaning: char * 180 for char, meaning in long.items()}
    model = f"model.shop.{text['model']}"
    graph = manifest(
        node(model, name=text["model"], config={"meta": {"owner": text["owner"]}}),
        node("exposure.shop.e", [model], label=text["name"], url=text["url"], type="dashboard"),
    )
    told.step(
        "run",
        result(model, "error", message="no"),
        graph=graph,
        dag_run="r",
        exit_code=1,
        environment=text["environment"],
        task_id=text["task"],
    )
    printed = on_terminal("status", "--store", told.settings.store, cwd=tmp_path, columns=columns)
    counted = {char: printed.count(char) for char in long}
    # the model is named where it fails and where it puts the exposure at risk
    assert counted == {"ж": 180, "щ": 180, "я": 180, "э": 180, "ю": 360, "ц": 180}
    assert "2026-03-02 06:05" in printed


def test_what_a_terminal_might_obey_is_spelled_out() -> None:
    assert plain(HOSTILE) == SPELLED
    assert plain("a\u2028b\u0085c\n\n  d") == "a b c d"
    assert plain("naïve ✓ 東京 👩‍🔧 \ud800") == "naïve ✓ 東京 👩‍🔧 \\ud800"
    assert plain_lines("a\x07\n  b\x1b") == "a\\x07\n  b\\x1b"
    assert plain_error(ObserveError("a\nb", where="c\nd", next_step="e")) == "a b\n  where: c d\n  next:  e"
