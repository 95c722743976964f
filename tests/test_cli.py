"""The commands as their users meet them: output, errors, exit codes."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from factories import freshness, manifest, node, result, run_results, sources, write_step
from fake_slack import FakeSlack
from filelock import FileLock

COMMAND = str(Path(sys.executable).with_name("dbt-observe"))
HOSTILE = "\x1b[31m[bold]x[/bold]\x07 :smile: <!channel>"


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def observe(*arguments: str | Path, cwd: Path, **environment: str) -> Ran:
    """Run dbt-observe in a folder, as a shell would."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DBT_", "AIRFLOW_"))}
    ran = subprocess.run(
        [COMMAND, *map(str, arguments)], cwd=cwd, env=kept | environment, capture_output=True, text=True, check=False
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr)


@pytest.fixture
def step(tmp_path: Path) -> Path:
    graph = manifest(node("model.shop.a"), node("model.shop.b", ["model.shop.a"]))
    failed = result("model.shop.a", "error", message=f"Database Error in model a (models/a.sql)\n  {HOSTILE}")
    return write_step(
        tmp_path / "target", manifest=graph, run_results=run_results(failed, result("model.shop.b", "skipped"))
    )


def test_ingest_tells_machines_what_became_of_each_step(step: Path, tmp_path: Path) -> None:
    first = observe("ingest", step, "--exit-code", "1", "--format", "json", cwd=tmp_path)
    assert (first.code, first.err) == (0, "")
    (load,) = first.json["loads"]
    assert load.pop("load_id")
    assert load == {
        "invocation_id": "5f1c3e0a-0000-4000-8000-000000000001",
        "status": "loaded",
        "command": "run",
        "outcome": "failure",
        "rows": {"invocations": 1, "nodes": 2, "exposure_ancestors": 0, "run_results": 2, "source_freshness": 0},
        "warnings": [],
    }
    again = observe("ingest", step, "--exit-code", "1", "--format", "json", cwd=tmp_path)
    assert [(load["status"], load["rows"]) for load in again.json["loads"]] == [("unchanged", {})]
    assert (tmp_path / ".dbt_observe" / "audit.duckdb").is_file()


def test_ingest_tells_people_in_a_line_a_step(step: Path, tmp_path: Path) -> None:
    ran = observe("ingest", step, cwd=tmp_path)
    assert ran.out == f"loaded    run failure 1 invocations, 2 nodes, 2 run_results  {step}\n"


def test_a_damaged_step_is_told_in_three_lines_and_the_others_are_loaded(step: Path, tmp_path: Path) -> None:
    other = write_step(tmp_path / "other", sources=sources(freshness("source.shop.raw.o")))
    (step / "run_results.json").write_text('{"metadata": {')
    ran = observe("ingest", step, other, "--format", "json", cwd=tmp_path)
    assert ran.code == 2
    what, where, then = ran.err.splitlines()
    assert what == "dbt-observe: run_results.json cannot be read: it ends in the middle"
    assert where.startswith(f"  where: {step}/run_results.json (14 bytes, sha256 ")
    assert then.startswith("  next:  ")
    assert [load["command"] for load in ran.json["loads"]] == ["source freshness"]


def test_an_empty_folder_and_stale_files_are_no_errors(step: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    empty = observe("ingest", tmp_path / "empty", "--format", "json", cwd=tmp_path)
    assert (empty.code, [load["status"] for load in empty.json["loads"]]) == (0, ["empty"])
    stale = observe("ingest", step, "--started-after", "2027-01-01", "--format", "json", cwd=tmp_path)
    (load,) = stale.json["loads"]
    assert [warning.partition(":")[0] for warning in load.pop("warnings")] == [
        "run_results.json is not this step's",
        "manifest.json is not this step's",
    ]
    assert (stale.code, load) == (
        0,
        {
            "invocation_id": None,
            "load_id": None,
            "status": "stale",
            "command": None,
            "outcome": None,
            "rows": {},
        },
    )
    assert not (tmp_path / ".dbt_observe" / "audit.duckdb").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ingest", "nowhere"], "there is no folder nowhere"),
        (["ingest", ".", "--started-after", "today"], "'today' is no ISO 8601 timestamp"),
        (["ingest", ".", "--store", "postgres:///x"], "'postgres:///x' names no store"),
        (["status"], "there is no audit store yet"),
        (["alert"], "there is no Slack token to tell anybody with"),
        (["validate", "nowhere"], "nowhere cannot be opened: "),
        (["validate", "."], "there is no artifact of dbt's"),
    ],
)
def test_an_error_of_ours_has_exit_code_2_and_says_what_where_and_what_next(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    ran = observe(*arguments, cwd=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"dbt-observe: {said}")
    assert "\n  where: " in ran.err
    assert "\n  next:  " in ran.err
    assert "Traceback" not in ran.err


def test_an_exit_code_tells_of_one_step_only(step: Path, tmp_path: Path) -> None:
    ran = observe("ingest", step, step, "--exit-code", "1", cwd=tmp_path)
    assert ran.code == 2
    assert ran.err.startswith("dbt-observe: an exit code or a command tells of one step, and there are 2")


def test_a_setting_that_is_not_known_is_an_error_that_names_the_nearest(step: Path, tmp_path: Path) -> None:
    ran = observe("ingest", step, cwd=tmp_path, DBT_OBSERVE_STOER="duckdb:///x.duckdb")
    assert ran.code == 2
    assert "DBT_OBSERVE_STORE" in ran.err


def test_settings_of_a_file_hold_and_options_go_before_them(step: Path, tmp_path: Path) -> None:
    (tmp_path / "dbt_observe.toml").write_text('store = "duckdb:///mine.duckdb"\nenvironment = "prod"\n')
    observe("ingest", step, cwd=tmp_path)
    observe("ingest", step, "--environment", "qa", "--exit-code", "1", cwd=tmp_path)
    with duckdb.connect(str(tmp_path / "mine.duckdb"), read_only=True) as connection:
        assert set(connection.sql("SELECT environment FROM raw.invocations").fetchall()) == {("prod",), ("qa",)}


def test_a_load_marked_so_never_leads_to_a_message(step: Path, tmp_path: Path) -> None:
    observe("ingest", step, "--no-alert", "--will-retry", cwd=tmp_path)
    with duckdb.connect(str(tmp_path / ".dbt_observe" / "audit.duckdb"), read_only=True) as connection:
        assert connection.sql("SELECT alertable, will_retry FROM invocations").fetchall() == [(False, True)]


def test_a_backfill_loads_a_tree_in_the_order_of_time_and_nothing_of_it_ever_leads_to_a_message(tmp_path: Path) -> None:
    for name, hour in (("a", 9), ("b", 7), ("c", 8)):
        document = run_results(
            result("model.shop.a"), invocation_id=f"at{hour}", invocation_started_at=f"2026-03-02T{hour:02}:00:00Z"
        )
        write_step(tmp_path / "tree" / name, run_results=document)
    for status in ("loaded", "unchanged"):
        ran = observe("backfill", tmp_path / "tree", "--format", "json", cwd=tmp_path)
        assert (ran.code, ran.err) == (0, "")
        assert [(load["invocation_id"], load["status"]) for load in ran.json["loads"]] == [
            ("at7", status),
            ("at8", status),
            ("at9", status),
        ]
    with duckdb.connect(str(tmp_path / ".dbt_observe" / "audit.duckdb"), read_only=True) as connection:
        assert connection.sql("SELECT DISTINCT alertable FROM invocations").fetchall() == [(False,)]


def test_status_and_alert_show_dbts_text_as_text(step: Path, tmp_path: Path) -> None:
    observe("ingest", step, cwd=tmp_path)
    for ran in (observe("status", cwd=tmp_path), observe("alert", "--dry-run", cwd=tmp_path)):
        assert ran.code == 0
        assert "model a failed" in ran.out
        assert "\x1b" not in ran.out
        assert "\x07" not in ran.out
        assert "[bold]x[/bold]" in ran.out
        assert ":smile:" in ran.out
    told = observe("status", "--format", "json", cwd=tmp_path).json
    assert set(told) == {"as_of", "store", "steps", "failing", "stale_sources", "fixed", "untold", "exposures_at_risk"}
    assert [(one["subject"], one["blocked"]) for one in told["failing"]] == [("model.shop.a", ["model.shop.b"])]
    assert [step["outcome"] for step in told["steps"]] == ["failure"]
    (message,) = observe("alert", "--dry-run", "--format", "json", cwd=tmp_path).json["messages"]
    assert message["text"] == "🟠 error: model a failed in shop / default"


def test_nothing_wrong_is_said_too(tmp_path: Path) -> None:
    folder = write_step(tmp_path / "s", run_results=run_results(result("model.shop.a")))
    observe("ingest", folder, cwd=tmp_path)
    assert "Nothing fails now." in observe("status", cwd=tmp_path).out
    assert observe("alert", "--dry-run", cwd=tmp_path).out == "Nothing to tell.\n"


def test_a_tick_stores_and_tells(step: Path, tmp_path: Path) -> None:
    with FakeSlack("alerts") as slack:
        to = {
            "DBT_OBSERVE_SLACK__TOKEN": slack.token,
            "DBT_OBSERVE_SLACK__BASE_URL": slack.url,
            "DBT_OBSERVE_SLACK__CHANNEL": slack.channels["alerts"].id,
        }
        ran = observe("tick", cwd=tmp_path, **to)
        assert (ran.code, ran.out, ran.err) == (0, "nothing new was told\n", ""), "there is no store yet"
        due = '[{"step": "dbt build", "by": "00:00", "since": "2026-01-01", "project": "shop", "environment": "qa"}]'
        observe("ingest", step, cwd=tmp_path)
        slack.revoked = True
        ran = observe("tick", cwd=tmp_path, DBT_OBSERVE_DEADLINES=due, **to)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith("dbt-observe: Slack lets this app tell nothing: ")
        slack.revoked = False
        ran = observe("tick", "--format", "json", cwd=tmp_path, DBT_OBSERVE_DEADLINES=due, **to)
        telling = {"done": 3, "failed": 0, "dead": 0, "left": 0, "problems": [], "elsewhere": False}
        assert (ran.code, ran.json) == (0, {"replay": {"stored": 0, "unchanged": 0, "left": 0}, "telling": telling})
        assert [message.text for message in slack.messages("alerts")] == [
            "2 things are wrong",
            "🟠 error: dbt build is overdue in shop / qa",
            "🟠 error: model a failed in shop / default",
        ]
        shown = observe("status", cwd=tmp_path, DBT_OBSERVE_DEADLINES=due)
        assert "dbt build is overdue" in " ".join(shown.out.split())
        listed = observe("incidents", "--format", "json", cwd=tmp_path, DBT_OBSERVE_DEADLINES=due).json["incidents"]
        assert [one["kind"] for one in listed] == ["run_overdue", "node_error"]


def test_validate_tells_conforming_and_deviating_files_apart(tmp_path: Path) -> None:
    good = write_step(tmp_path / "good", run_results=run_results(result("model.shop.a")))
    bad = write_step(tmp_path / "bad", run_results=run_results(result("model.shop.a", novelty=1)))
    assert observe("validate", good, cwd=tmp_path).code == 0
    ran = observe("validate", good, bad / "run_results.json", "--format", "json", cwd=tmp_path)
    assert ran.code == 1
    assert [[one["path"] for one in file["deviations"]] for file in ran.json["files"]] == [[], ["results.0.novelty"]]
    shown = observe("validate", bad, cwd=tmp_path).out
    assert "1 deviation\n" in shown
    assert "results.0.novelty: Extra inputs are not permitted" in shown


def script(folder: Path, *lines: str) -> Path:
    """A stand-in for dbt."""
    path = folder / "dbt"
    path.write_text("\n".join([f"#!{sys.executable}", "import json, os, sys", *lines]), encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def writes_results(folder: Path, code: int) -> Path:
    document = json.dumps(run_results(result("model.shop.a", "error" if code else "success")))
    return script(
        folder,
        f"document = json.loads({document!r})",
        "token = os.environ['DBT_ENV_CUSTOM_ENV_OBSERVE_TOKEN']",
        "document['metadata']['env'] = {'OBSERVE_TOKEN': token}",
        "open(os.environ['DBT_TARGET_PATH'] + '/run_results.json', 'w').write(json.dumps(document))",
        "print('dbt says hello')",
        f"sys.exit({code})",
    )


@pytest.mark.parametrize("code", [0, 1, 2, 77])
def test_run_ends_with_dbts_own_exit_code_and_passes_its_output_through(code: int, tmp_path: Path) -> None:
    ran = observe("run", "--", writes_results(tmp_path, code), "run", cwd=tmp_path)
    assert (ran.code, ran.out) == (code, "dbt says hello\n")
    assert "1 run_results stored in duckdb:///.dbt_observe/audit.duckdb" in ran.err
    with duckdb.connect(str(tmp_path / ".dbt_observe" / "audit.duckdb"), read_only=True) as connection:
        assert connection.sql("SELECT exit_code, command FROM invocations").fetchall() == [(code, "run")]


@pytest.mark.parametrize(
    "broken",
    [
        {"DBT_OBSERVE_STORE": "duckdb:////proc/nowhere/audit.duckdb"},
        {"DBT_OBSERVE_STORE": "nonsense"},
        {"DBT_OBSERVE_UNKNOWN": "1"},
        {"DBT_OBSERVE_LOCK_TIMEOUT_SECONDS": "soon"},
    ],
)
def test_no_fault_of_ours_changes_what_dbt_returns_and_its_files_are_kept(
    broken: dict[str, str], tmp_path: Path
) -> None:
    ran = observe("run", "--", writes_results(tmp_path, 1), "run", cwd=tmp_path, **broken)
    assert (ran.code, ran.out) == (1, "dbt says hello\n")
    assert "dbt-observe: " in ran.err
    assert "Traceback" not in ran.err
    (kept,) = (tmp_path / ".dbt_observe" / "artifacts").iterdir()
    assert {path.name for path in kept.iterdir()} >= {"run_results.json", "observe.json"}
    # and can be loaded when the fault is mended
    loaded = observe("ingest", kept, "--format", "json", cwd=tmp_path)
    assert [(load["status"], load["outcome"]) for load in loaded.json["loads"]] == [("loaded", "failure")]


def test_a_store_that_is_held_by_another_does_not_hold_up_dbt_for_long_and_is_told_by_name(tmp_path: Path) -> None:
    store = tmp_path / "audit.duckdb"
    hold = f"""
import sys
from pathlib import Path
from observability.stores.duckdb.file import StoreFile
with StoreFile(Path({str(store)!r}), 1).locked():
    print("ready", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        settings = {"DBT_OBSERVE_STORE": f"duckdb:///{store}", "DBT_OBSERVE_LOCK_TIMEOUT_SECONDS": "0.3"}
        ran = observe("run", "--", writes_results(tmp_path, 1), "run", cwd=tmp_path, **settings)
        assert ran.code == 1
        assert f"another process has held the audit store for 0.3 s: process {holder.pid} on " in ran.err
        holder.communicate()
    assert "run: failure; kept aside in .dbt_observe/spool: the next ingest, replay or tick stores it" in ran.err
    assert observe("replay", cwd=tmp_path, **settings).out.startswith("1 stored, ")
    (kept,) = (tmp_path / ".dbt_observe" / "artifacts").iterdir()
    again = observe("ingest", kept, "--format", "json", cwd=tmp_path, **settings)
    assert [load["status"] for load in again.json["loads"]] == ["unchanged"]


def test_a_second_ctrl_c_while_we_load_leaves_dbts_exit_code(tmp_path: Path) -> None:
    store = tmp_path / "audit.duckdb"
    with FileLock(f"{store}.lock"):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DBT_", "AIRFLOW_"))}
        kept |= {"DBT_OBSERVE_STORE": f"duckdb:///{store}", "DBT_OBSERVE_LOCK_TIMEOUT_SECONDS": "2"}
        command = [COMMAND, "run", "--", str(writes_results(tmp_path, 7)), "run"]
        with subprocess.Popen(
            command, cwd=tmp_path, env=kept, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as running:
            while running.poll() is None and not ended(tmp_path):
                time.sleep(0.02)
            time.sleep(0.7)  # it imports what it loads with, and waits for the store
            running.send_signal(signal.SIGINT)
            _, err = running.communicate()
    assert running.returncode == 7
    assert "Traceback" not in err


def ended(folder: Path) -> bool:
    """Whether the end of dbt was written down."""
    return any("exit_code" in path.read_text() for path in folder.glob(".dbt_observe/artifacts/*/observe.json"))


@pytest.mark.parametrize(
    "ruin",
    [
        "import shutil; shutil.rmtree(os.environ['DBT_TARGET_PATH'])",
        "open(os.environ['DBT_TARGET_PATH'] + '/run_results.json', 'w').write('{')",
        "open(os.environ['DBT_TARGET_PATH'] + '/observe.json', 'w').write('{')",
        "os.mkdir(os.environ['DBT_TARGET_PATH'] + '/manifest.json')",
        "os.mkdir('.dbt_observe/audit.duckdb')",
    ],
)
def test_whatever_dbt_does_to_our_files_its_exit_code_stays(ruin: str, tmp_path: Path) -> None:
    ran = observe("run", "--", script(tmp_path, ruin, "sys.exit(5)"), "run", cwd=tmp_path)
    assert (ran.code, ran.out) == (5, "")
    assert ran.err.startswith("dbt-observe: ")
    assert "Traceback" not in ran.err


def test_where_there_is_no_place_for_its_files_dbt_runs_as_if_we_were_not_there(tmp_path: Path) -> None:
    (tmp_path / ".dbt_observe").touch()
    told = script(tmp_path, "print(os.environ.get('DBT_TARGET_PATH'))", "sys.exit(3)")
    ran = observe("run", "--", told, "run", cwd=tmp_path)
    assert (ran.code, ran.out) == (3, "None\n")
    assert ran.err.startswith("dbt-observe: dbt ran unobserved, on its own target path: ")


@pytest.mark.parametrize("errors", ["2>/dev/full", "2>&-", "2> >(exec true)"])
def test_nobody_listening_to_us_changes_nothing_of_dbts_exit_code(errors: str, tmp_path: Path) -> None:
    script(tmp_path, "sys.exit(7)")
    shell = f"{COMMAND} run -- ./dbt run {errors}"
    ran = subprocess.run(
        ["/bin/bash", "-c", shell], cwd=tmp_path, env=os.environ | {"DBT_OBSERVE_STORE": "x"}, check=False
    )
    assert ran.returncode == 7


def test_what_is_no_dbt_runs_too(tmp_path: Path) -> None:
    assert observe("run", "--", "sh", "-c", "exit 3", cwd=tmp_path).code == 3
    with duckdb.connect(str(tmp_path / ".dbt_observe" / "audit.duckdb"), read_only=True) as connection:
        rows = connection.sql("SELECT outcome, exit_code, invocation_command FROM invocations").fetchall()
        assert rows == [("not_run", 3, "sh -c 'exit 3'")]


@pytest.mark.parametrize("arguments", [["ingest", "target", "--format", "json"], ["ingest", "target"], ["status"]])
def test_an_output_that_cannot_be_written_is_told(arguments: list[str], step: Path, tmp_path: Path) -> None:
    observe("ingest", step, cwd=tmp_path)
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [COMMAND, *arguments], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (ran.returncode, ran.stderr.splitlines()[:2]) == (
        2,
        [
            "dbt-observe: the output cannot be written: No space left on device",
            "  where: standard output",
        ],
    )


def test_a_terminal_that_knows_only_ascii_gets_the_rest_spelled_out_and_machines_get_utf_8(tmp_path: Path) -> None:
    failed = result("model.shop.a", "error", message="café")
    step = write_step(tmp_path / "target", run_results=run_results(failed))
    observe("ingest", step, cwd=tmp_path)
    ran = observe("alert", "--dry-run", cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert (ran.code, ran.out.splitlines()[1:4]) == (
        0,
        ["# terminal", "  \\U0001f7e0 error: model a failed in shop / default", "    Why      caf\\xe9"],
    )
    ran = observe("status", "--format", "json", cwd=tmp_path, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert ran.json["failing"][0]["failures"][0]["message"] == "café"


def test_a_step_that_leaves_nothing_is_recorded_as_not_run(tmp_path: Path) -> None:
    assert observe("run", "--", script(tmp_path, "sys.exit(2)"), "run", cwd=tmp_path).code == 2
    with duckdb.connect(str(tmp_path / ".dbt_observe" / "audit.duckdb"), read_only=True) as connection:
        assert connection.sql("SELECT outcome, evidence FROM invocations").fetchall() == [("not_run", "not_run")]


def test_a_killed_dbt_gives_a_shells_status_for_the_signal(tmp_path: Path) -> None:
    killed = script(tmp_path, "import signal", "os.kill(os.getpid(), signal.SIGKILL)")
    assert observe("run", "--", killed, "run", cwd=tmp_path).code == 137
    with duckdb.connect(str(tmp_path / ".dbt_observe" / "audit.duckdb"), read_only=True) as connection:
        assert connection.sql("SELECT outcome, exit_code FROM invocations").fetchall() == [("interrupted", -9)]


def test_a_command_that_is_not_there_is_told_with_a_shells_status(tmp_path: Path) -> None:
    ran = observe("run", "--", "no-such-dbt", "run", cwd=tmp_path)
    assert ran.code == 127
    assert "no-such-dbt was not found" in ran.err


def test_only_so_many_loaded_steps_are_kept_and_every_one_that_is_not_loaded(tmp_path: Path) -> None:
    dbt = writes_results(tmp_path, 0)
    kept = tmp_path / ".dbt_observe" / "artifacts"
    observe("run", "--", dbt, "run", cwd=tmp_path, DBT_OBSERVE_STORE="nonsense")
    (unloaded,) = kept.iterdir()
    for _ in range(3):
        observe("run", "--", dbt, "run", cwd=tmp_path, DBT_OBSERVE_ARTIFACTS_KEPT="1")
    assert len(list(kept.iterdir())) == 2
    assert (unloaded / "run_results.json").exists()


HEAVY = {"duckdb", "pyarrow", "pydantic", "pydantic_settings", "rich", "sqlglot", "dbt_artifacts_parser", "msgspec"}


@pytest.mark.parametrize("code", ["import observability", "from observability.cli import main; main(['--help'])"])
def test_help_and_the_bare_package_import_nothing_heavy(code: str) -> None:
    program = f"import atexit, sys\natexit.register(lambda: print('IMPORTED', *sys.modules))\n{code}"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    imported = ran.stdout.rpartition("IMPORTED")[2].split()
    assert "observability" in imported
    assert HEAVY & set(imported) == set()


def test_every_command_has_help() -> None:
    def names(arguments: Sequence[str]) -> str:
        return subprocess.run([COMMAND, *arguments, "--help"], capture_output=True, text=True, check=True).stdout

    listed = names([]).split("Commands:")[1]
    for command in ("ingest", "backfill", "run", "status", "alert", "validate"):
        assert f"  {command} " in listed
        assert "--help" in names([command])


def test_the_public_api_is_what_it_says(tmp_path: Path) -> None:
    import observability

    for name in observability.__all__:
        assert getattr(observability, name) is not None
    folder = write_step(tmp_path / "s", run_results=run_results(result("model.shop.a")))
    report = observability.ingest([folder], observability.Settings(store=f"duckdb:///{tmp_path}/a.duckdb"))
    assert [load.outcome for load in report.loads] == ["success"]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = observability.nothing
