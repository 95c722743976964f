"""The DAG files: what Airflow makes of them, and what parsing them costs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow_runs import DBT, load_dag, run_dag

ROOT = Path(__file__).parents[2]
DAGS = sorted(path.stem for path in (ROOT / "dags").glob("*.py"))
HEAVY = {
    "dbt",
    "duckdb",
    "google.cloud.bigquery",
    "airflow.providers.google",
    "pyarrow",
    "slack_sdk",
    "sqlglot",
    "gcsfs",
    "dbt_artifacts_parser",
}


def parsed(path: Path) -> Any:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(path))
    assert bag.import_errors == {}
    return bag.dags


@pytest.fixture
def dag(request: pytest.FixtureRequest) -> Any:
    (found,) = parsed(ROOT / "dags" / f"{request.param}.py").values()
    return found


@pytest.mark.parametrize("dag", ["greenery_daily"], indirect=True)
def test_what_hangs_on_what_in_the_morning(dag: Any) -> None:
    downstream = {name: sorted(task.downstream_task_ids) for name, task in dag.task_dict.items()}
    assert downstream["dbt.freshness"] == ["dbt.load_freshness", "dbt.snapshot"]
    assert downstream["dbt.snapshot"] == ["dbt.load_snapshot", "dbt.run"]
    assert downstream["dbt.run"] == ["dbt.load_run", "dbt.test"]
    assert downstream["dbt.test"] == ["dbt.load_test"]
    assert downstream["dbt.begin_run"] == ["dbt.load_run", "dbt.run"]
    for step in ("freshness", "snapshot", "run", "test"):
        assert dag.task_dict[f"dbt.load_{step}"].is_teardown
        assert not dag.task_dict[f"dbt.load_{step}"].on_failure_fail_dagrun
        assert dag.task_dict[f"dbt.begin_{step}"].is_setup
    assert [name for name, task in dag.task_dict.items() if getattr(task, "warn_only", False)] == ["dbt.freshness"]


@pytest.mark.parametrize("dag", ["greenery_kubernetes"], indirect=True)
def test_a_pod_is_told_whose_attempt_it_is(dag: Any) -> None:
    from observability.airflow import POD_ENVIRONMENT
    from observability.runner import linkage_from_environment

    step = dag.task_dict["run"]
    assert step.env_vars == {**POD_ENVIRONMENT, "DBT_OBSERVE_ENVIRONMENT": "prod"}
    rendered = dict.fromkeys(POD_ENVIRONMENT, "3")
    assert linkage_from_environment(rendered) == {
        "dag_id": "3",
        "dag_run_id": "3",
        "task_id": "3",
        "map_index": 3,
        "try_number": 3,
        "max_tries": 3,
        "log_url": "3",
    }
    assert "--artifacts-to gs://greenery-artifacts/dbt --no-load -- dbt run" in step.arguments[0]


POD = """
import datetime, json
from pathlib import Path

from airflow.sdk import BaseOperator, dag

from observability.airflow import POD_ENVIRONMENT


class Pod(BaseOperator):
    template_fields = ("env_vars",)

    def __init__(self, *, env_vars, **kwargs):
        super().__init__(**kwargs)
        self.env_vars = env_vars

    def execute(self, context):
        Path({told!r}).write_text(json.dumps(self.env_vars))


@dag(schedule=None, start_date=datetime.datetime(2026, 1, 1), catchup=False)
def in_pods():
    Pod(task_id="run", env_vars=POD_ENVIRONMENT, retries=2)


in_pods()
"""


def test_what_a_pod_is_told_leads_to_where_its_loader_looks(tmp_path: Path) -> None:
    from observability.airflow.places import step_folder
    from observability.artifacts.layouts import attempt_path
    from observability.artifacts.step import Step
    from observability.runner import linkage_from_environment

    run = run_dag(load_dag("in_pods", POD.format(told=str(tmp_path / "told.json"))))
    assert run.state == "success"
    linkage = linkage_from_environment(json.loads((tmp_path / "told.json").read_text()))
    assert linkage == {
        "dag_id": "in_pods",
        "dag_run_id": run.run_id,
        "task_id": "run",
        "try_number": 1,
        "max_tries": 2,
        "log_url": f"https://airflow.example/dags/in_pods/runs/{run.quoted_id}/tasks/run?try_number=1",
    }
    place = f"gs://bucket/dbt/{attempt_path(Step(**linkage))}"
    assert place == f"{step_folder('gs://bucket/dbt', 'in_pods', run.run_id, 'run')}/-1/1"


def test_airflow_takes_each_of_them_and_all_tasks_of_cosmos_are_loaded_in_an_order_that_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of a long list, Airflow compares the text: another order would be a new version of the DAG."""
    monkeypatch.setenv("GREENERY_DBT_BIN", DBT)  # Cosmos asks dbt for the nodes
    monkeypatch.setenv("GREENERY_DUCKDB_PATH", str(tmp_path / "greenery.duckdb"))
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / "target"))
    dags = parsed(ROOT / "dags")
    assert sorted(dags) == DAGS == ["greenery_cosmos", "greenery_daily", "greenery_kubernetes", "observe_tick"]
    dag = dags["greenery_cosmos"]
    nodes = sorted(set(dag.task_dict) - {"begin", "load"})
    assert dag.task_dict["load"].step_task_ids == nodes
    assert {name.rpartition(".")[2] for name in nodes if "stg_orders." in name} == {"run", "test"}
    assert dag.task_dict["load"].is_teardown


PARSING = """
import importlib, json, runpy, sys

for theirs, ours in json.loads(sys.argv[1]):
    for name in theirs:
        importlib.import_module(name)
    before = set(sys.modules)
    runpy.run_path(ours)
    print(json.dumps([ours, sorted(set(sys.modules) - before)]))
"""


def test_parsing_imports_nothing_that_only_a_task_needs(tmp_path: Path) -> None:
    """But for what Airflow, its providers and Cosmos import themselves."""
    theirs = {
        "greenery_daily": ["airflow.sdk", "airflow.providers.standard.operators.empty"],
        "observe_tick": [],
        "greenery_kubernetes": ["airflow.providers.cncf.kubernetes.operators.pod"],
        "greenery_cosmos": ["cosmos"],
    }
    assert sorted(theirs) == DAGS
    given = json.dumps([(names, str(ROOT / "dags" / f"{dag}.py")) for dag, names in theirs.items()])
    database = {"GREENERY_DUCKDB_PATH": str(tmp_path / "greenery.duckdb"), "DBT_TARGET_PATH": str(tmp_path / "target")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PARSING, given],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "GREENERY_DBT_BIN": DBT, **database},
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('["')]
    imported = {Path(file).stem: set(names) for file, names in lines}
    assert "observability.airflow.step" in imported["greenery_daily"]
    assert {name: names & HEAVY for name, names in imported.items()} == {name: set() for name in theirs}


def test_the_morning_is_wiring_only() -> None:
    for name in DAGS:
        assert len((ROOT / "dags" / f"{name}.py").read_text().splitlines()) < 60


def test_the_dag_of_the_how_to_is_one(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "airflow.md").read_text()
    (tmp_path / "morning.py").write_text(
        page.partition("<!-- example: airflow dag -->\n```python\n")[2].partition("```")[0]
    )
    assert len(parsed(tmp_path)["morning"].tasks) == 12


@pytest.mark.parametrize(
    ("steps", "named"),
    [
        (("source freshness", "run --select a+"), ["freshness", "run"]),
        (("run-operation grant", "docs generate"), ["run_operation", "docs"]),
        ({"early": "run -s a", "late": "run -s b"}, ["early", "late"]),
    ],
)
def test_steps_are_named_by_their_command_or_by_whoever_wires_them(steps: Any, named: list[str]) -> None:
    from airflow.sdk import DAG

    from observability.airflow import dbt_pipeline

    with DAG("x"):
        group = dbt_pipeline(steps=steps)
    assert {name for name in group.children if "begin" not in name and "load" not in name} == {
        f"dbt.{name}" for name in named
    }


def test_two_steps_of_one_name_are_refused() -> None:
    from airflow.sdk import DAG

    from observability.airflow import dbt_pipeline

    with DAG("x"), pytest.raises(ValueError, match="two of these would have one task_id"):
        dbt_pipeline(steps=["run -s a", "run -s b"])


def test_without_airflow_the_rest_works_and_operators_say_what_they_need() -> None:
    code = """
import sys
sys.modules["airflow"] = None
import observability, observability.cli, observability.airflow
try:
    observability.airflow.DbtStepOperator
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("DbtStepOperator needs Airflow: pip install 'dbt-observability[airflow]'")


def last_words_beside(folder: Path) -> str:
    """How an operator is missed where of Airflow only this folder can be imported."""
    words = [sys.executable, "-S", "-c", "import observability.airflow as ours; ours.DbtStepOperator"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    return done.stderr.splitlines()[-1]


def test_a_folder_that_is_named_airflow_is_not_taken_for_it(tmp_path: Path) -> None:
    """Such as Airflow's default home, where one works in what is above it."""
    (tmp_path / "airflow").mkdir()
    needs = "ImportError: DbtStepOperator needs Airflow: pip install 'dbt-observability[airflow]'"
    assert last_words_beside(tmp_path).startswith(needs)


def test_what_airflow_itself_lacks_is_not_hidden(tmp_path: Path) -> None:
    (tmp_path / "airflow").mkdir()
    (tmp_path / "airflow" / "sdk.py").write_text("import no_such_module")
    assert last_words_beside(tmp_path) == "ModuleNotFoundError: No module named 'no_such_module'"
