"""Greenery's DAG, end to end: real Airflow, real dbt, an embedded store, a Slack on loopback."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow_runs import DBT, Stage, load_dag, run_dag, with_retries
from fake_slack import FakeSlack

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "dbt"))

import raw_data  # noqa: E402


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(tmp_path, monkeypatch)


def greenery(stage: Stage, morning: int) -> Any:
    """The DAG, on the raw data of a morning."""
    database = stage.folder / "greenery.duckdb"
    raw_data.land_in_duckdb(raw_data.shop(morning, datetime.now(UTC)), database)
    project = str(ROOT / "dbt" / "greenery")
    stage.set(GREENERY_PROJECT_DIR=project, GREENERY_DUCKDB_PATH=str(database), GREENERY_DBT_BIN=DBT)
    stage.set(DBT_TARGET_PATH=str(stage.folder / "target"))
    return load_dag("greenery_daily", with_retries((ROOT / "dags" / "greenery_daily.py").read_text(), 0))


def test_a_morning_on_which_all_is_well(stage: Stage) -> None:
    with FakeSlack("alerts") as slack:
        stage.tell(slack)
        run = run_dag(greenery(stage, 1))
        assert (run.state, slack.messages("alerts")) == ("success", [])
    assert run.states == {
        **{f"dbt.begin_{name}": "success" for name in ("freshness", "snapshot", "run", "test")},
        **{f"dbt.{name}": "success" for name in ("freshness", "snapshot", "run", "test")},
        **{f"dbt.load_{name}": "success" for name in ("freshness", "snapshot", "run", "test")},
    }
    rows = stage.rows(
        "SELECT i.command, i.outcome, i.dag_id, i.dag_run_id, i.task_id, i.map_index, i.try_number, i.environment,"
        " i.log_url FROM {main}.invocations AS i ORDER BY i.started_at"
    )
    assert [row["command"] for row in rows] == ["source freshness", "snapshot", "run", "test"]
    for row, task in zip(rows, ("freshness", "snapshot", "run", "test"), strict=True):
        assert row | {"command": None} == {
            "command": None,
            "outcome": "success",
            "dag_id": "greenery_daily",
            "dag_run_id": run.run_id,
            "task_id": f"dbt.{task}",
            "map_index": None,
            "try_number": 1,
            "environment": "prod",
            "log_url": f"https://airflow.example/dags/greenery_daily/runs/{run.quoted_id}/tasks/dbt.{task}?try_number=1",
        }


def test_a_bad_morning_is_red_loaded_and_told_once(stage: Stage) -> None:
    with FakeSlack("alerts") as slack:
        stage.tell(slack)
        run = run_dag(greenery(stage, raw_data.BROKEN_MORNING))
        assert run.state == "failed"
        assert {name: run.states[f"dbt.{name}"] for name in ("freshness", "snapshot", "run", "test")} == {
            "freshness": "success",
            "snapshot": "success",
            "run": "failed",
            "test": "upstream_failed",
        }
        assert {name: run.states[f"dbt.load_{name}"] for name in ("freshness", "run", "test")} == {
            "freshness": "success",
            "run": "success",
            "test": "success",
        }
        texts = [message.text for message in slack.messages("alerts")]
    assert len(texts) == 2
    assert texts[0].startswith("🟡 warning: source greenery.events is 3 d")
    assert texts[1] == "🔴 critical: model stg_promos failed in greenery / prod"
