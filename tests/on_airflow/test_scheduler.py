"""Under a whole Airflow (scheduler, API server, supervisors): what only they do to a task. `make e2e` runs it."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from airflow_runs import SLOW, Stage, wait_for
from fake_slack import FakeSlack
from standalone import Airflow

pytestmark = pytest.mark.e2e

# slow at first, and only so slow that an orphan comes to its end
SLOW_AT_FIRST = """{{ config(materialized='table') }}
select count(*) as n from range(3000000) a(i), range({{ 600 if env_var('TRY', '1') == '1' else 1 }}) b(j)
where hash(i, j) = 0"""


@pytest.fixture
def slack(stage: Stage) -> Iterator[FakeSlack]:
    with FakeSlack("alerts") as running:
        stage.tell(running)
        yield running


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(tmp_path, monkeypatch)


def runners(stage: Stage) -> list[int]:
    """The processes that run a dbt of this stage."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = file.read_bytes().split(b"\0")
            if str(stage.project).encode() in words and b"dbt" in words[1]:
                status = (file.parent / "status").read_text()
                found.append(int(status.partition("PPid:")[2].split()[0]))
    return found


def test_a_runner_that_is_killed_and_a_task_that_is_marked_failed_are_loaded_and_told_once(
    stage: Stage, slack: FakeSlack
) -> None:
    stage.model("loaves", SLOW_AT_FIRST)
    killed = stage.dag(retries=1, retry_delay=0, env={"TRY": "{{ ti.try_number }}"})
    dags = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    text = (dags / f"{killed.dag_id}.py").read_text()
    marked = stage.dag(retries=1)  # of which there will be none
    (dags / f"{killed.dag_id}.py").write_text(text)
    home = stage.folder / "home"
    home.mkdir()
    with Airflow(home, dags, sys.executable) as airflow:
        wait_for(lambda: airflow.knows(killed.dag_id) and airflow.knows(marked.dag_id), 180)

        run_id = airflow.trigger(killed.dag_id)
        wait_for(lambda: stage.has_begun("loaves"))
        (runner,) = runners(stage)
        os.kill(runner, signal.SIGKILL)
        wait_for(lambda: airflow.state(killed.dag_id, run_id) in {"success", "failed"}, 240)
        assert airflow.state(killed.dag_id, run_id) == "success"
        assert stage.attempts == [("dbt.run", None, 1, "success"), ("dbt.run", None, 2, "success")]
        assert slack.messages("alerts") == []

        stage.model("loaves", "{{ config(materialized='table') }} " + SLOW)
        for log in stage.artifacts.rglob("dbt.log"):
            log.unlink()
        run_id = airflow.trigger(marked.dag_id)
        wait_for(lambda: stage.has_begun("loaves"))
        task = f"/api/v2/dags/{marked.dag_id}/dagRuns/{run_id}/taskInstances/dbt.run"
        airflow.ask("PATCH", task, {"new_state": "failed"})
        wait_for(lambda: airflow.state(marked.dag_id, run_id) in {"success", "failed"}, 240)
        assert airflow.state(marked.dag_id, run_id) == "failed"
        wait_for(lambda: not runners(stage), 30)
        assert stage.attempts[2:] == [("dbt.run", None, 1, "interrupted")]
        (message,) = slack.messages("alerts")
        assert message.text.endswith(f"task {marked.dag_id}.dbt.run was interrupted in bakery / prod")
        log = airflow.ask("GET", f"{task}/logs/1")
        assert "1 of 1 START sql table model main.loaves" in json.dumps(log), "dbt's output is in the task's log"
