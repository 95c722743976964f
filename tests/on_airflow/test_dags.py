"""The DAG files: what Airflow makes of them, and what parsing them costs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow_runs import DBT

ROOT = Path(__file__).parents[2]
DAGS = sorted(path.stem for path in (ROOT / "dags").glob("*.py"))
HEAVY = {"dbt", "duckdb", "google.cloud.bigquery", "pyarrow", "slack_sdk", "sqlglot", "gcsfs", "dbt_artifacts_parser"}


@pytest.fixture
def bag(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    from airflow.dag_processing.dagbag import DagBag

    monkeypatch.setenv("GREENERY_DBT_BIN", DBT)  # Cosmos asks dbt for the nodes
    monkeypatch.setenv("GREENERY_DUCKDB_PATH", str(tmp_path / "greenery.duckdb"))
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / "target"))
    return DagBag(str(ROOT / "dags"))


def test_airflow_takes_each_of_them(bag: Any) -> None:
    assert bag.import_errors == {}
    assert sorted(bag.dags) == DAGS == ["greenery_cosmos", "greenery_daily", "greenery_kubernetes", "observe_tick"]


def test_what_hangs_on_what_in_the_morning(bag: Any) -> None:
    dag = bag.dags["greenery_daily"]
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


def test_a_pod_is_told_whose_attempt_it_is(bag: Any) -> None:
    from observability.airflow import POD_ENVIRONMENT
    from observability.runner import linkage_from_environment

    step = bag.dags["greenery_kubernetes"].task_dict["run"]
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


@pytest.mark.parametrize("name", DAGS)
def test_parsing_imports_nothing_that_only_a_task_needs(name: str) -> None:
    """But for what Airflow, its providers and Cosmos import themselves."""
    theirs = imported("import airflow.sdk, airflow.providers.standard.operators.empty")
    if name == "greenery_cosmos":
        theirs |= imported("import cosmos")
    if name == "greenery_kubernetes":
        theirs |= imported("import airflow.providers.cncf.kubernetes.operators.pod")
    ours = imported(f"import runpy; runpy.run_path({str(ROOT / 'dags' / f'{name}.py')!r})")
    assert (ours - theirs) & HEAVY == set()


def imported(code: str) -> set[str]:
    words = [sys.executable, "-W", "ignore", "-c", f"{code}; import sys, json; print(json.dumps(list(sys.modules)))"]
    environment = {**os.environ, "GREENERY_DBT_BIN": DBT}
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_morning_is_wiring_only() -> None:
    for name in DAGS:
        assert len((ROOT / "dags" / f"{name}.py").read_text().splitlines()) < 60


def test_the_dag_of_the_how_to_is_one(tmp_path: Path) -> None:
    from airflow.dag_processing.dagbag import DagBag

    page = (ROOT / "docs" / "airflow.md").read_text()
    (tmp_path / "morning.py").write_text(
        page.partition("<!-- example: airflow dag -->\n```python\n")[2].partition("```")[0]
    )
    bag = DagBag(str(tmp_path))
    assert bag.import_errors == {}
    assert len(bag.dags["morning"].tasks) == 12


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
