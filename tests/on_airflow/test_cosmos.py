"""Cosmos, which runs a task for each node: what each of them leaves is loaded once a DAG run."""

import shutil
from pathlib import Path

import pytest
from airflow_runs import DBT, TESTS, Stage, load_dag, run_dag
from fake_slack import FakeSlack

# Cosmos leaves a file of dbt's output open
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

DAG = """
import datetime
from pathlib import Path

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import dag
from cosmos import DbtTaskGroup, ExecutionConfig, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.constants import InvocationMode, LoadMode, TestBehavior

from observability.airflow import ObserveDbtOperator, observe_cosmos

PROJECT = Path({project!r})
MODE = InvocationMode.SUBPROCESS


@dag(schedule=None, start_date=datetime.datetime(2026, 1, 1), catchup=False)
def by_cosmos():
    nodes = DbtTaskGroup(
        group_id="nodes",
        project_config=ProjectConfig(PROJECT, install_dbt_deps=False),
        profile_config=ProfileConfig("bakery", "dev", profiles_yml_filepath=PROJECT / "profiles.yml"),
        execution_config=ExecutionConfig(dbt_executable_path={dbt!r}, invocation_mode=MODE),
        render_config=RenderConfig(
            load_method=LoadMode.DBT_LS, dbt_executable_path={dbt!r}, invocation_mode=MODE,
            test_behavior=TestBehavior.NONE,
        ),
        operator_args={{"callback": observe_cosmos, "callback_args": {args!r}}},
    )
    begin = EmptyOperator(task_id="begin").as_setup()
    load = ObserveDbtOperator(task_id="load", step_task_ids=sorted(task.task_id for task in nodes.iter_tasks()))
    begin >> nodes >> load.as_teardown(setups=begin)


by_cosmos()
"""


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = Stage(tmp_path, monkeypatch)
    stage.model("loaves", "select 1 as id")
    stage.model("rolls", "select nothing from {{ ref('loaves') }}")
    stage.model("toast", "select * from {{ ref('rolls') }}")
    shutil.rmtree(stage.project / "seeds")
    profile = (TESTS / "fixture_project" / "profiles.yml").read_text()
    # Cosmos runs dbt in a copy of the project
    (stage.project / "profiles.yml").write_text(profile.replace("bakery.duckdb", f"{tmp_path}/bakery.duckdb"))
    return stage


def test_each_task_is_loaded_and_a_failure_is_dbts_own(stage: Stage) -> None:
    with FakeSlack("alerts") as slack:
        stage.tell(slack)
        args = {"environment": "prod"}
        run = run_dag(load_dag("by_cosmos", DAG.format(project=str(stage.project), dbt=DBT, args=args)))
        texts = [message.text for message in slack.messages("alerts")]
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
    ]
    rows = stage.rows("SELECT i.command, i.environment, i.log_url, i.will_retry FROM {main}.invocations AS i")
    assert {(row["command"], row["environment"], row["will_retry"]) for row in rows} == {("run", "prod", False)}
    assert all(row["log_url"].startswith("https://airflow.example/dags/by_cosmos/runs/") for row in rows)
    assert texts == ["🟠 error: model rolls failed in bakery / prod"]
    (state,) = stage.rows("SELECT COUNT(DISTINCT n.manifest_id) AS states FROM {raw}.nodes AS n")
    assert state == {"states": 1}, "nodes are stored once, though each task has a manifest of its own"


@pytest.mark.thorough
def test_a_callback_that_cannot_keep_the_files_hides_nothing(stage: Stage) -> None:
    args = {"artifacts_root": "/proc/nowhere"}
    run = run_dag(load_dag("by_cosmos", DAG.format(project=str(stage.project), dbt=DBT, args=args)))
    assert (run.states["nodes.loaves_run"], run.states["nodes.rolls_run"]) == ("success", "failed")
    assert run.states["load"] == "success"
