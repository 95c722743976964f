import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from observability.artifacts.step import Step, read_step
from observability.errors import CommandError
from observability.runner import (
    NotStartedError,
    exit_status,
    git_state,
    linkage_from_environment,
    run_step,
)
from observability.runner.command import find_project, find_target, read_command

ROOT = Path(__file__).parent.parent

# A dbt that tells what it was given, writes what it is told to, and ends as it is told to.
FAKE_DBT = """\
import json, os, pathlib, sys
target = pathlib.Path(os.environ.get("DBT_TARGET_PATH", "target"))
for name, text in json.loads(os.environ.get("FAKE_WRITES", "{}")).items():
    (target / name).parent.mkdir(parents=True, exist_ok=True)
    (target / name).write_text(text)
seen = {"argv": sys.argv[1:], "env": {k: v for k, v in os.environ.items() if "DBT_" in k}}
seen["there"] = {p.name: p.read_text() for p in target.glob("*") if p.is_file() and p.stat().st_size < 9999}
pathlib.Path(os.environ["FAKE_SEEN"]).write_text(json.dumps(seen))
code = int(os.environ.get("FAKE_CODE", "0"))
os.kill(os.getpid(), -code) if code < 0 else sys.exit(code)
"""

# A dbt that notes each signal in a file; it gives up on SIGINT unless it is stubborn.
SIGNALLED = """\
import os, pathlib, signal, sys, time
notes = pathlib.Path(sys.argv[1])
def note(signum, frame):
    with notes.open("a") as file:
        file.write(signal.Signals(signum).name + " ")
    if "stubborn" not in sys.argv and signum == signal.SIGINT:
        time.sleep(0.3)  # a signal that comes twice would be noted twice
        sys.exit(2)
signal.signal(signal.SIGINT, note)
signal.signal(signal.SIGTERM, note)
print("ready", os.getpid(), flush=True)
end = time.monotonic() + 30
while time.monotonic() < end:
    time.sleep(0.01)
"""

DRIVER = """\
import signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests themselves may run under nohup
from pathlib import Path
from observability.artifacts.step import Step
from observability.runner import exit_status, run_step
attempt = run_step(sys.argv[3:], Path(sys.argv[1]), Step(), grace_seconds=float(sys.argv[2]))
sys.exit(exit_status(attempt.step.exit_code))
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dbt project, the fake dbt first on the path, and nothing of dbt's in the environment."""
    for name in [name for name in os.environ if name.startswith(("DBT_", "AIRFLOW_"))]:
        monkeypatch.delenv(name)
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "dbt_project.yml").write_text("name: shop\n")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "dbt").write_text(f"#!{sys.executable} -S\n{FAKE_DBT}")
    (programs / "dbt").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SEEN", str(tmp_path / "seen.json"))
    monkeypatch.chdir(folder)
    return folder


def seen(project: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project.parent / "seen.json").read_text())
    return found


def files_in(folder: Path) -> dict[str, str]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_text() for path in paths}


# The command line and the environment


def test_dbt_is_pointed_to_a_fresh_target_path_with_a_token_and_a_whole_json_log(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBT_ENGINE_TARGET_PATH", "of_the_user")  # comes before DBT_TARGET_PATH in dbt 1.11
    folder = tmp_path / "attempts" / "1"
    given = Step(environment="prod", dag_id="daily", dag_run_id="r1", task_id="build", map_index=0, try_number=2)
    attempt = run_step(["dbt", "build", "--log-path=x", "-s", "a", "--log-level-file", "none"], folder, given)
    assert seen(project)["argv"] == ["build", "-s", "a"]
    assert seen(project)["env"] == {
        "DBT_TARGET_PATH": str(folder),
        "DBT_LOG_PATH": str(folder),
        "DBT_LOG_FORMAT_FILE": "json",
        "DBT_LOG_LEVEL_FILE": "debug",
        "DBT_LOG_FILE_MAX_BYTES": "0",
        "DBT_ENV_CUSTOM_ENV_OBSERVE_TOKEN": attempt.step.token,
        "DBT_ENV_CUSTOM_ENV_OBSERVE_DAG_ID": "daily",
        "DBT_ENV_CUSTOM_ENV_OBSERVE_DAG_RUN_ID": "r1",
        "DBT_ENV_CUSTOM_ENV_OBSERVE_TASK_ID": "build",
        "DBT_ENV_CUSTOM_ENV_OBSERVE_MAP_INDEX": "0",
        "DBT_ENV_CUSTOM_ENV_OBSERVE_TRY_NUMBER": "2",
    }
    assert attempt.step.environment == "prod"
    assert given == Step(
        environment="prod", dag_id="daily", dag_run_id="r1", task_id="build", map_index=0, try_number=2
    )


@pytest.mark.parametrize(
    ("line", "words", "subcommand", "target", "wrapped"),
    [
        ("dbt build", "dbt build", "build", None, False),
        ("dbt --target-path=t run -s a", "dbt run -s a", "run", "t", False),
        ("/opt/bin/dbt run --target-path t", "/opt/bin/dbt run", "run", "t", False),
        ("python -m dbt.cli.main test --target-path t", "python -m dbt.cli.main test", "test", "t", False),
        ("uv run --log-path l dbt seed --log-path m", "uv run --log-path l dbt seed", "seed", None, False),
        ("poetry run dbt source freshness", "poetry run dbt source freshness", "source", None, False),
        ("./wrapper.sh build --target-path t", "./wrapper.sh build", "build", "t", True),
        ("sh -c 'dbt run --target-path t'", "sh -c 'dbt run --target-path t'", None, None, True),
        ("dbt clean --target-path t", "dbt clean --target-path t", "clean", "t", False),
        ("dbt docs serve --port 1", "dbt docs serve --port 1", "docs serve", None, False),
        ("dbt docs generate", "dbt docs generate", "docs", None, False),
        ("dbt run -s clean", "dbt run -s clean", "run", None, False),
        ("dbt run --target-path", "dbt run --target-path", "run", None, False),
    ],
)
def test_a_command_line_is_read_however_dbt_is_started(
    line: str, words: str, subcommand: str | None, target: str | None, wrapped: bool
) -> None:
    command = read_command(shlex.split(line))
    assert shlex.join(command.words) == words
    assert (command.subcommand, command.target_path, command.wrapped) == (subcommand, target, wrapped)


@pytest.mark.parametrize("subcommand", [["clean"], ["docs", "serve"], ["init"]])
def test_commands_that_work_on_the_target_path_that_is_there_keep_it(
    project: Path, tmp_path: Path, subcommand: list[str]
) -> None:
    (project / "target").mkdir()
    run_step(["dbt", *subcommand], tmp_path / "a", Step())
    assert "DBT_TARGET_PATH" not in seen(project)["env"]


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("name: shop\n", "target"),
        ("target-path: out\n", "out"),
        ("target-path: 'my out'  # why not\n", "my out"),
        ('"target-path":   "out#1"\r\nname: x\n', "out#1"),
        ("target-path: out # comment\n", "out"),
        ("target-path:\nname: x\n", "target"),
        ("models:\n  target-path: nested\n", "target"),
        ("# target-path: no\n", "target"),
        ("target-path: \"{{ env_var('X', 'y') }}\"\n", None),
        ("target-path: *anchor\n", None),
    ],
)
def test_the_own_target_path_is_read_from_the_project_file(tmp_path: Path, text: str, target: str | None) -> None:
    (tmp_path / "dbt_project.yml").write_text(text)
    found = find_target(read_command(["dbt", "run"]), {}, tmp_path)
    assert found == (tmp_path / target if target else None)


def test_the_own_target_path_comes_from_flag_then_environment_then_project_file(tmp_path: Path) -> None:
    (tmp_path / "dbt_project.yml").write_text("target-path: file\n")
    plain, flagged = read_command(["dbt", "run"]), read_command(["dbt", "run", "--target-path", "flag"])
    both = {"DBT_TARGET_PATH": "old", "DBT_ENGINE_TARGET_PATH": "new"}
    assert find_target(flagged, both, tmp_path) == tmp_path / "flag"
    assert find_target(plain, both, tmp_path) == tmp_path / "new"
    assert find_target(plain, {"DBT_TARGET_PATH": "old"}, tmp_path) == tmp_path / "old"
    assert find_target(plain, {"DBT_TARGET_PATH": ""}, tmp_path) == tmp_path / "file"
    assert find_target(plain, {"DBT_TARGET_PATH": "/abs"}, tmp_path) == Path("/abs")


def test_the_project_is_found_as_dbt_finds_it(tmp_path: Path) -> None:
    for name in ("flag", "env", "here"):
        (tmp_path / name / "models").mkdir(parents=True)
        (tmp_path / name / "dbt_project.yml").touch()
    flagged = read_command(["dbt", "run", "--project-dir", "flag"])
    plain = read_command(["dbt", "run"])
    launched = read_command(["uv", "run", "--directory", "here", "dbt", "run"])
    environment = {"DBT_PROJECT_DIR": "env"}
    assert find_project(flagged, environment, tmp_path) == tmp_path / "flag"
    assert find_project(plain, environment, tmp_path) == tmp_path / "env"
    assert find_project(plain, {}, tmp_path / "here" / "models") == tmp_path / "here"
    assert find_project(launched, {}, tmp_path) == tmp_path / "here"
    assert find_project(plain, {"DBT_PROJECT_DIR": "missing"}, tmp_path / "here") is None


# What is recorded


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("code", [0, 1, 2, 77, -9, -15])
def test_the_exit_code_is_dbts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    monkeypatch.setenv("FAKE_CODE", str(code))
    attempt = run_step(["dbt", "build"], tmp_path / "a", Step())
    assert attempt.step.exit_code == code
    assert read_step(tmp_path / "a" / "observe.json") == attempt.step


def test_exit_status_is_what_a_shell_reports() -> None:
    assert [exit_status(code) for code in (0, 1, 2, 127, -2, -9, -15)] == [0, 1, 2, 127, 130, 137, 143]


def test_observe_json_is_there_before_dbt_starts_and_complete_after_it_ended(project: Path, tmp_path: Path) -> None:
    before = datetime.now(UTC)
    attempt = run_step(["dbt", "run", "--vars", "{a: 1}"], tmp_path / "a", Step(will_retry=True))
    while_running = json.loads(seen(project)["there"]["observe.json"])
    assert "exit_code" not in while_running
    assert (while_running["token"], while_running["will_retry"]) == (attempt.step.token, True)
    step = read_step(tmp_path / "a" / "observe.json")
    assert (step.command, step.exit_code, step.will_retry) == ("dbt run --vars '{a: 1}'", 0, False), "it is well"
    assert step.started_at is not None
    assert step.completed_at is not None
    assert before <= step.started_at <= step.completed_at <= datetime.now(UTC)


@pytest.mark.usefixtures("project")
def test_the_three_streams_are_dbts_own(tmp_path: Path) -> None:
    code = "import sys; print(sys.stdin.read().upper(), end=''); print('to stderr', file=sys.stderr)"
    result = drive(tmp_path / "a", [sys.executable, "-c", code], input=b"caf\xc3\xa9 \xff")
    assert (result.stdout[:3], result.stderr, result.returncode) == (b"CAF", b"to stderr\n", 0)


@pytest.mark.usefixtures("project")
def test_a_command_that_is_not_unicode_is_recorded_too(tmp_path: Path) -> None:
    attempt = run_step(["dbt", "run", "-s", os.fsdecode(b"\xff")], tmp_path / "a", Step())
    assert attempt.step.command == r"dbt run -s '\udcff'"
    assert attempt.warnings == ()


@pytest.mark.usefixtures("project")
def test_a_command_that_is_not_there_leaves_a_record_with_127(tmp_path: Path) -> None:
    with pytest.raises(NotStartedError, match="dbt-not-here was not found") as caught:
        run_step(["dbt-not-here", "build"], tmp_path / "a", Step())
    assert caught.value.attempt.step.exit_code == 127
    assert read_step(tmp_path / "a" / "observe.json") == caught.value.attempt.step
    assert caught.value.where == "dbt-not-here build"
    assert "activate the environment" in caught.value.next_step


@pytest.mark.usefixtures("project")
def test_a_file_that_cannot_be_executed_leaves_a_record_with_126(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("exit 0\n")
    with pytest.raises(NotStartedError, match="cannot be executed") as caught:
        run_step([str(script)], tmp_path / "a", Step())
    assert read_step(tmp_path / "a" / "observe.json").exit_code == 126
    assert caught.value.attempt.folder == tmp_path / "a"


@pytest.mark.usefixtures("project")
def test_words_that_no_program_can_be_given_leave_a_record_too(tmp_path: Path) -> None:
    with pytest.raises(NotStartedError, match="cannot be executed: embedded null byte"):
        run_step(["dbt", "run", "--select", "a\0b"], tmp_path / "a", Step())
    step = read_step(tmp_path / "a" / "observe.json")
    assert (step.exit_code, step.completed_at is not None) == (126, True)


def test_no_command_and_a_used_folder_are_refused(project: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no command"):
        run_step([], tmp_path / "a", Step())
    assert not (tmp_path / "a").exists()
    with pytest.raises(CommandError, match="not empty"):
        run_step(["dbt", "build"], project, Step())
    assert not (tmp_path / "seen.json").exists()


# The project's own target path


def test_what_dbt_wrote_is_where_dbt_would_have_left_it_and_the_rest_is_untouched(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = project / "target"
    own.mkdir()
    (own / "sources.json").write_text("of an earlier step")
    (own / "manifest.json").write_text("old")
    (tmp_path / "elsewhere.json").write_text("old")
    (own / "run_results.json").symlink_to(tmp_path / "elsewhere.json")
    written = {
        "manifest.json": "{}",
        "run_results.json": "{1}",
        "partial_parse.msgpack": "cache",
        "compiled/shop/models/a.sql": "select 1",
        "run/shop/models/a.sql": "create",
        "assets/logo.svg": "<svg/>",
    }
    monkeypatch.setenv("FAKE_WRITES", json.dumps(written))
    attempt = run_step(["dbt", "build"], tmp_path / "a", Step())
    assert (attempt.published, attempt.warnings) == (own, ())
    assert files_in(own) == {**written, "sources.json": "of an earlier step"}
    assert (own / "run_results.json").is_symlink()
    assert (tmp_path / "elsewhere.json").read_text() == "{1}"
    evidence = {"manifest.json", "run_results.json", "observe.json", "assets/logo.svg"}
    assert {name for name in files_in(attempt.folder or own) if not name.startswith(("run/", "compiled/"))} == evidence


def test_a_later_dbt_that_writes_in_place_does_not_change_the_evidence(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_WRITES", json.dumps({"manifest.json": "{1}"}))
    run_step(["dbt", "build"], tmp_path / "a", Step())
    monkeypatch.setenv("FAKE_WRITES", json.dumps({"manifest.json": "{2}"}))
    subprocess.run([str(shutil.which("dbt")), "build"], check=True)
    assert (tmp_path / "a" / "manifest.json").read_text() == "{1}"
    assert (project / "target" / "manifest.json").read_text() == "{2}"


def test_of_a_killed_dbt_only_whole_json_files_are_published(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "target").mkdir()
    (project / "target" / "run_results.json").write_text("{old}")
    writes = {"manifest.json": "{}\n", "run_results.json": '{"results": [', "partial_parse.msgpack": "half"}
    monkeypatch.setenv("FAKE_WRITES", json.dumps(writes))
    monkeypatch.setenv("FAKE_CODE", "-9")
    attempt = run_step(["dbt", "build"], tmp_path / "a", Step())
    assert files_in(project / "target") == {"manifest.json": "{}\n", "run_results.json": "{old}"}
    assert attempt.warnings == (
        f"dbt was killed: 2 files that may be unfinished stay in {tmp_path / 'a'}, and out of {project / 'target'}",
    )


@pytest.mark.parametrize(
    ("command", "given"),
    [
        (["dbt", "build"], {"partial_parse.msgpack"}),
        (["dbt", "retry"], {"partial_parse.msgpack", "run_results.json"}),
        (["dbt", "build", "-s", "source_status:fresher+"], {"partial_parse.msgpack", "sources.json"}),
        (["sh", "-c", "dbt build"], {"partial_parse.msgpack", "run_results.json", "sources.json"}),
        (["dbt", "deps"], set[str]()),
    ],
)
def test_dbt_finds_the_earlier_files_that_it_reads_and_none_of_them_counts_as_its_own(
    project: Path, tmp_path: Path, command: list[str], given: set[str]
) -> None:
    own = project / "target"
    own.mkdir()
    for name in ("partial_parse.msgpack", "run_results.json", "sources.json", "manifest.json"):
        (own / name).write_text("old")
    before = {path: path.stat() for path in own.iterdir() if path.is_file()}
    run_step(command, tmp_path / "a", Step())
    assert set(seen(project)["there"]) == given | {"observe.json"}
    assert set(files_in(tmp_path / "a")) == {"observe.json"}
    assert {path: path.stat() for path in own.iterdir() if path.is_file()} == before


def test_sources_json_is_given_when_a_selector_compares_source_status(project: Path, tmp_path: Path) -> None:
    (project / "target").mkdir()
    (project / "target" / "sources.json").write_text("old")
    (project / "selectors.yml").write_text("selectors: [{name: fresh, definition: {method: source_status}}]")
    run_step(["dbt", "build", "--selector", "fresh"], tmp_path / "a", Step())
    assert "sources.json" in seen(project)["there"]


def test_nothing_is_published_into_another_project(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = '{"metadata": {"project_name": "another"}}'
    monkeypatch.setenv("FAKE_WRITES", json.dumps({"manifest.json": manifest}))
    attempt = run_step(["dbt", "build"], tmp_path / "a", Step())
    assert attempt.published is None
    assert "is not known from here" in attempt.warnings[0]
    assert files_in(project / "target") == {}


@pytest.mark.usefixtures("project")
def test_outside_a_project_dbt_still_runs_and_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FAKE_CODE", "2")
    attempt = run_step(["dbt", "build"], tmp_path / "a", Step())
    assert (attempt.step.exit_code, attempt.published, attempt.warnings) == (2, None, ())
    assert not (tmp_path / "target").exists()


# Harmless


def test_a_target_path_that_cannot_be_written_is_a_warning(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "target").write_text("a file where a folder should be")
    monkeypatch.setenv("FAKE_WRITES", json.dumps({"manifest.json": "{}", "compiled/shop/a.sql": "select 1"}))
    attempt = run_step(["dbt", "build"], tmp_path / "a", Step())
    assert (attempt.step.exit_code, attempt.published) == (0, None)
    assert attempt.warnings[0].startswith(f"2 of 2 files of dbt's could not be put into {project / 'target'} (")
    assert set(files_in(tmp_path / "a")) == {"manifest.json", "compiled/shop/a.sql", "observe.json"}


def test_without_a_place_for_its_files_dbt_runs_as_if_unobserved(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FAKE_CODE", "1")
    attempt = run_step(["dbt", "build", "--target-path", "mine"], tmp_path / "file" / "a", Step())
    assert seen(project)["argv"] == ["build", "--target-path", "mine"]
    assert seen(project)["env"] == {}
    assert (attempt.folder, attempt.step.exit_code, attempt.step.token) == (None, 1, None)
    assert attempt.warnings[0].startswith("dbt ran unobserved, on its own target path: ")


def test_on_a_disk_that_is_too_full_dbt_runs_as_if_unobserved_and_no_half_record_stays(
    project: Path, tmp_path: Path
) -> None:
    (project / "target").mkdir()
    with (project / "target" / "manifest.json").open("wb") as sparse:
        sparse.truncate(shutil.disk_usage(tmp_path).free)
    attempt = run_step(["dbt", "build"], tmp_path / "a", Step())
    assert seen(project)["env"] == {}
    assert "No space left" in attempt.warnings[0]
    assert not (tmp_path / "a").exists()


@pytest.mark.usefixtures("project")
def test_in_a_thread_dbt_runs_though_python_allows_no_signal_handlers_there(tmp_path: Path) -> None:
    codes: list[int | None] = []
    run = threading.Thread(
        target=lambda: codes.append(run_step(["dbt", "build"], tmp_path / "a", Step()).step.exit_code)
    )
    run.start()
    run.join()
    assert codes == [0]


@pytest.mark.usefixtures("project")
def test_signal_handlers_are_as_before_when_dbt_has_ended(tmp_path: Path) -> None:
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGCHLD)
    before = [signal.getsignal(signum) for signum in signals]
    run_step(["dbt", "build"], tmp_path / "a", Step())
    assert [signal.getsignal(signum) for signum in signals] == before


# Signals


def driver(folder: Path, command: Sequence[str], grace_seconds: float = 30.0) -> list[str]:
    return [sys.executable, "-c", DRIVER, str(folder), str(grace_seconds), *command]


def drive(folder: Path, command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(driver(folder, command), env=environment, capture_output=True, check=False, **options)


# What `uv run` does where there is no terminal.
FORWARDER = """\
import signal, subprocess, sys
child = subprocess.Popen(sys.argv[1:])
signal.signal(signal.SIGINT, lambda signum, frame: child.send_signal(signum))
sys.exit(child.wait())
"""


class Running:
    """Our runner in a process of its own, with the child that notes its signals."""

    def __init__(
        self,
        tmp_path: Path,
        *words: str,
        grace_seconds: float = 30.0,
        prefix: Sequence[str] = (),
        launcher: Sequence[str] = (),
    ) -> None:
        self.folder = tmp_path / "a"
        self.notes = tmp_path / "notes"
        command = [sys.executable, "-S", "-c", SIGNALLED, str(self.notes), *words]
        if launcher:
            dbt = tmp_path / "dbt"
            dbt.write_text(f"#!{sys.executable} -S\n{SIGNALLED}")
            dbt.chmod(0o755)
            command = [*launcher, str(dbt), str(self.notes), *words]
        self.process = subprocess.Popen(
            [*prefix, *driver(self.folder, command, grace_seconds)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline().split()
        assert line[0] == b"ready"
        self.child = int(line[1])

    def send(self, signum: signal.Signals) -> None:
        self.process.send_signal(signum)

    def press(self, key: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(key)
        self.process.stdin.flush()

    def noted(self) -> list[str]:
        return self.notes.read_text().split() if self.notes.exists() else []

    def wait_for(self, *names: str) -> None:
        deadline = time.monotonic() + 30
        while self.noted() != list(names):
            assert time.monotonic() < deadline, f"expected {names}, noted {self.noted()}"
            time.sleep(0.02)

    def ended(self) -> tuple[int, int | None, list[str]]:
        """Our status, the code that was recorded, the signals that the child noted."""
        status = self.process.wait(timeout=20)
        return status, read_step(self.folder / "observe.json").exit_code, self.noted()

    def close(self) -> None:
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(*words: str, **options: Any) -> Running:
        started.append(Running(tmp_path, *words, **options))
        return started[-1]

    yield start
    for run in started:
        run.close()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whatever_asks_to_stop_becomes_one_sigint_and_we_wait_for_dbt(
    running: Callable[..., Running], signum: signal.Signals
) -> None:
    run = running()
    run.send(signum)
    assert run.ended() == (2, 2, ["SIGINT"])


def test_sigterm_becomes_sigint_then_sigterm_then_sigkill(running: Callable[..., Running]) -> None:
    run = running("stubborn", grace_seconds=0.4)
    run.send(signal.SIGTERM)
    assert run.ended() == (137, -9, ["SIGINT", "SIGTERM"])


def test_a_repeated_sigterm_does_not_hurry_dbt(running: Callable[..., Running]) -> None:
    run = running()
    run.send(signal.SIGTERM)
    run.wait_for("SIGINT")
    run.send(signal.SIGTERM)
    assert run.ended() == (2, 2, ["SIGINT"])


def test_each_further_ctrl_c_escalates_but_one_press_told_twice_does_not(running: Callable[..., Running]) -> None:
    run = running("stubborn")
    run.send(signal.SIGINT)
    run.wait_for("SIGINT")
    run.send(signal.SIGINT)
    time.sleep(0.6)
    assert run.noted() == ["SIGINT"]
    run.send(signal.SIGINT)
    run.wait_for("SIGINT", "SIGTERM")
    time.sleep(0.6)
    run.send(signal.SIGINT)
    assert run.ended() == (137, -9, ["SIGINT", "SIGTERM"])


def test_a_signal_to_our_whole_process_group_reaches_dbt_once(running: Callable[..., Running]) -> None:
    run = running(prefix=["setsid"])
    os.killpg(run.process.pid, signal.SIGTERM)
    assert run.ended() == (2, 2, ["SIGINT"])


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="tells processes apart by /proc")
@pytest.mark.parametrize(
    "launcher",
    [
        [sys.executable, "-S", "-c", FORWARDER],
        ["sh", "-c", '"$@"; exit $?', "script"],
        ["env", "A=b"],
    ],
    ids=["passes signals on", "does not pass signals on", "becomes dbt"],
)
def test_dbt_is_interrupted_once_whatever_its_launcher_does(
    running: Callable[..., Running], launcher: list[str]
) -> None:
    run = running(launcher=launcher)
    run.send(signal.SIGTERM)
    assert run.ended() == (2, 2, ["SIGINT"])


def test_in_a_scripts_background_ctrl_c_is_ignored_but_dbt_can_still_be_asked_to_stop(
    running: Callable[..., Running],
) -> None:
    run = running(prefix=["sh", "-c", 'trap "" INT; exec "$@"', "sh"])
    run.send(signal.SIGINT)
    time.sleep(0.3)
    assert run.noted() == []
    run.send(signal.SIGTERM)
    assert run.ended() == (2, 2, ["SIGINT"])


def test_when_we_are_killed_dbt_goes_on_and_the_record_has_no_end(running: Callable[..., Running]) -> None:
    run = running()
    run.send(signal.SIGKILL)
    run.process.wait(timeout=10)
    assert read_step(run.folder / "observe.json").exit_code is None
    os.kill(run.child, signal.SIGINT)
    run.wait_for("SIGINT")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads process states from /proc")
def test_a_suspended_runner_suspends_dbt_and_both_go_on(running: Callable[..., Running]) -> None:
    run = running()

    def states() -> list[str]:
        return [
            Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in (run.process.pid, run.child)
        ]

    def wait_until(stopped: bool) -> None:
        deadline = time.monotonic() + 30
        while [state == "T" for state in states()] != [stopped] * 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    run.send(signal.SIGTSTP)
    wait_until(stopped=True)
    run.send(signal.SIGCONT)
    wait_until(stopped=False)
    run.send(signal.SIGINT)
    assert run.ended() == (2, 2, ["SIGINT"])


PTY = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"


def test_ctrl_c_at_a_terminal_reaches_dbt_once(running: Callable[..., Running]) -> None:
    run = running(prefix=[sys.executable, "-c", PTY])
    run.press(b"\x03")
    assert run.ended() == (2, 2, ["SIGINT"])


def test_a_second_ctrl_c_at_a_terminal_escalates(running: Callable[..., Running]) -> None:
    run = running("stubborn", prefix=[sys.executable, "-c", PTY], grace_seconds=0.4)
    run.press(b"\x03")
    run.wait_for("SIGINT")
    time.sleep(0.6)
    run.press(b"\x03")
    status, code, noted = run.ended()
    assert (status, code) == (137, -9)
    assert sorted(noted) == ["SIGINT", "SIGINT", "SIGTERM"]  # the terminal's own second one, and ours


def test_dbt_can_read_from_the_terminal(tmp_path: Path) -> None:
    command = driver(tmp_path / "a", [sys.executable, "-c", "import sys; print('got', input(), sys.stdin.isatty())"])
    result = subprocess.run(
        [sys.executable, "-c", PTY, *command],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input=b"hello\n",
        capture_output=True,
        check=True,
        timeout=20,
    )
    assert b"got hello True" in result.stdout


# Surroundings


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        [str(shutil.which("git")), *identity, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="compares with git itself")
def test_git_state_is_what_git_says(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    (repository / "dbt" / "models").mkdir(parents=True)
    git(repository, "init")
    assert git_state(repository) == (None, "main")
    git(repository, "commit", "--allow-empty", "-m", "one")
    first = git(repository, "rev-parse", "HEAD")
    assert git_state(repository / "dbt" / "models") == (first, "main")
    git(repository, "checkout", "-b", "feature/x")
    git(repository, "commit", "--allow-empty", "-m", "two")
    second = git(repository, "rev-parse", "HEAD")
    assert git_state(repository) == (second, "feature/x")
    git(repository, "pack-refs", "--all")
    assert git_state(repository) == (second, "feature/x")
    git(repository, "worktree", "add", "../worktree", "main")
    assert git_state(tmp_path / "worktree") == (first, "main")
    git(repository, "checkout", "--detach")
    assert git_state(repository) == (second, None)


def test_git_state_is_unknown_without_git_and_in_a_broken_repository(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert git_state(tmp_path) == (None, None)
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/.invalid\n")  # as reftable leaves it
    assert git_state(tmp_path) == (None, None)


def test_the_commit_goes_into_the_step_unless_it_was_given(project: Path, tmp_path: Path) -> None:
    sha = "0123456789" * 4
    (project / ".git").mkdir()
    (project / ".git" / "HEAD").write_text(sha)
    assert run_step(["dbt", "build"], tmp_path / "a", Step()).step.git_sha == sha
    given = run_step(["dbt", "build"], tmp_path / "b", Step(git_sha="abc", git_branch="main")).step
    assert (given.git_sha, given.git_branch) == ("abc", "main")


def test_linkage_comes_from_airflows_environment() -> None:
    linkage = linkage_from_environment(
        {
            "AIRFLOW_CTX_DAG_ID": "daily",
            "AIRFLOW_CTX_DAG_RUN_ID": "scheduled__2026-01-01",
            "AIRFLOW_CTX_TASK_ID": "build",
            "AIRFLOW_CTX_TRY_NUMBER": "2",
            "AIRFLOW_CTX_LOGICAL_DATE": "2026-01-01T02:00:00+02:00",
            "DBT_ENV_CUSTOM_ENV_AIRFLOW_MAP_INDEX": "3",
        }
    )
    assert Step(**linkage) == Step(
        dag_id="daily",
        dag_run_id="scheduled__2026-01-01",
        task_id="build",
        try_number=2,
        map_index=3,
        logical_date=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_linkage_leaves_out_what_is_absent_or_malformed() -> None:
    environment = {
        "AIRFLOW_CTX_DAG_ID": "",
        "AIRFLOW_CTX_TRY_NUMBER": "two",
        "AIRFLOW_CTX_MAP_INDEX": "-1",
        "AIRFLOW_CTX_EXECUTION_DATE": "None",
    }
    assert linkage_from_environment({}) == linkage_from_environment(environment) == {}


# Real dbt


PROFILES = """\
shop:
  target: dev
  outputs:
    dev: {type: duckdb, path: target/shop.duckdb, threads: 1}
"""

# Long enough to be interrupted at any speed, and interruptible.
SLOW = "select count(*) as n from range(100000000) a(i), range(100000) b(j) where hash(i, j) = 0"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith(("DBT_", "AIRFLOW_"))]:
        monkeypatch.delenv(name)
    folder = tmp_path / "shop"
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text("name: shop\nprofile: shop\nflags: {send_anonymous_usage_stats: false}\n")
    (folder / "profiles.yml").write_text(PROFILES)
    (folder / "models" / "first.sql").write_text("select 1 as id")
    (folder / "models" / "second.sql").write_text("select * from {{ ref('first') }}")
    monkeypatch.chdir(folder)
    return folder


def results_in(folder: Path) -> dict[str, str]:
    results = json.loads((folder / "run_results.json").read_text())["results"]
    return {result["unique_id"].removeprefix("model.shop."): result["status"] for result in results}


@pytest.mark.xdist_group("live_dbt")
def test_run_failing_run_and_retry_work_through_the_runner_as_without_it(shop: Path, tmp_path: Path) -> None:
    dbt = str(Path(sys.executable).with_name("dbt"))

    first = run_step([dbt, "--quiet", "run"], tmp_path / "1", Step())
    assert (first.step.exit_code, first.published, first.warnings) == (0, shop / "target", ())
    metadata = json.loads((tmp_path / "1" / "run_results.json").read_text())["metadata"]
    assert metadata["env"] == {"OBSERVE_TOKEN": first.step.token}
    assert "Starting full parse" in (tmp_path / "1" / "dbt.log").read_text()
    for name in ("manifest.json", "run_results.json", "semantic_manifest.json"):
        assert (shop / "target" / name).read_bytes() == (tmp_path / "1" / name).read_bytes()
    assert (shop / "target" / "compiled" / "shop" / "models" / "first.sql").read_text() == "select 1 as id"

    (shop / "models" / "second.sql").write_text("select nothing from {{ ref('first') }}")
    second = run_step([dbt, "--quiet", "run"], tmp_path / "2", Step())
    assert second.step.exit_code == 1
    assert results_in(tmp_path / "2") == {"first": "success", "second": "error"}
    log = [json.loads(line) for line in (tmp_path / "2" / "dbt.log").read_text().splitlines()]
    assert not [event for event in log if "Starting full parse" in event["info"]["msg"]]
    assert {event["info"]["extra"]["OBSERVE_TOKEN"] for event in log} == {second.step.token}

    (shop / "models" / "second.sql").write_text("select id from {{ ref('first') }}")
    third = run_step([dbt, "--quiet", "retry"], tmp_path / "3", Step())
    assert third.step.exit_code == 0
    assert results_in(tmp_path / "3") == results_in(shop / "target") == {"second": "success"}

    broken = run_step([dbt, "--quiet", "run", "--no-such-option"], tmp_path / "4", Step())
    assert broken.step.exit_code == 2
    assert not (tmp_path / "4" / "run_results.json").exists()
    assert results_in(shop / "target") == {"second": "success"}
    # dbt by itself goes on from what the runner left.
    assert subprocess.run([dbt, "--quiet", "retry"], check=False).returncode == 0


@pytest.mark.xdist_group("live_dbt")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_dbt_that_is_interrupted_leaves_partial_results(shop: Path, tmp_path: Path, signum: signal.Signals) -> None:
    (shop / "models" / "second.sql").write_text(
        f"{{{{ config(materialized='table') }}}} -- {{{{ ref('first') }}}}\n{SLOW}"
    )
    command = driver(tmp_path / "a", [str(Path(sys.executable).with_name("dbt")), "--quiet", "run"])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    log = tmp_path / "a" / "dbt.log"
    with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            deadline = time.monotonic() + 120
            while not (log.exists() and '"On model.shop.second' in log.read_text()):
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.1)
            process.send_signal(signum)
            assert process.wait(timeout=60) == 2
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # else a slow model goes on for ever
    assert read_step(tmp_path / "a" / "observe.json").exit_code == 2
    assert results_in(tmp_path / "a") == results_in(shop / "target") == {"first": "success"}
