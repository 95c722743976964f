"""A dbt step and its loader, whatever happens to them: real Airflow, real dbt, an embedded store, Slack on loopback."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow_runs import SLOW, Run, Stage, go_on, run_dag, wait_for
from emulator import PROJECT, Emulator
from fake_slack import FakeSlack, Fault

from observability.config import load_settings
from observability.runner.family import find_dbt
from observability.stores.base import open_store

GOOD, BAD = "select 1 as id", "select nothing as id"
BAD_AT_FIRST = "select {{ '1' if env_var('TRY') != '1' else 'nothing' }} as id"
AT_ONCE: dict[str, Any] = {"retry_delay": timedelta(0)}


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    stage = Stage(tmp_path, monkeypatch)
    yield stage
    for process in stage.started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def slack(stage: Stage) -> Iterator[FakeSlack]:
    with FakeSlack("alerts") as running:
        stage.tell(running)
        yield running


def texts(slack: FakeSlack) -> list[str]:
    return [message.text for message in slack.messages("alerts")]


def headline(model: str) -> str:
    return f"🟠 error: model {model} failed in bakery / prod"


def test_a_retry_that_succeeds_is_silent_and_both_tries_are_stored(stage: Stage, slack: FakeSlack) -> None:
    stage.model("loaves", BAD_AT_FIRST)
    run = run_dag(stage.dag(retries=1, env={"TRY": "{{ ti.try_number }}"}, **AT_ONCE))
    assert (run.state, run.states["dbt.run"]) == ("success", "success")
    assert stage.attempts == [("dbt.run", None, 1, "failure"), ("dbt.run", None, 2, "success")]
    assert texts(slack) == []


def test_a_retry_that_fails_too_is_one_incident(stage: Stage, slack: FakeSlack) -> None:
    stage.model("loaves", BAD)
    run = run_dag(stage.dag(retries=1, **AT_ONCE))
    assert (run.state, run.states["dbt.run"], run.states["dbt.load_run"]) == ("failed", "failed", "success")
    assert stage.attempts == [("dbt.run", None, number, "failure") for number in (1, 2)]
    assert texts(slack) == [headline("loaves")]


def test_what_does_not_fail_the_task_is_not_waited_for(stage: Stage, slack: FakeSlack) -> None:
    """There are tries left, and none will come."""
    stage.model("loaves", BAD)
    run = run_dag(stage.dag(retries=1, warn_only=True))
    assert (run.state, run.states["dbt.run"]) == ("success", "success")
    assert stage.attempts == [("dbt.run", None, 1, "failure")]
    assert texts(slack) == [headline("loaves")]


def test_stale_sources_hold_nothing_up_and_are_told(stage: Stage, slack: FakeSlack) -> None:
    stage.model("loaves", GOOD)
    (stage.project / "models" / "sources.yml").write_text("""
sources:
  - name: till
    config:
      freshness: {error_after: {count: 1, period: day}}
      loaded_at_query: select now() - interval 3 day
    tables: [{name: visits}]
""")
    run = run_dag(stage.dag("dbt_pipeline(steps=['source freshness', 'run'], step=STEP)"))
    assert run.state == "success"
    assert {run.states[f"dbt.{name}"] for name in ("freshness", "load_freshness", "run", "load_run")} == {"success"}
    assert stage.attempts == [("dbt.freshness", None, 1, "failure"), ("dbt.run", None, 1, "success")]
    assert texts(slack) == ["🟠 error: source till.visits is 3 d old in bakery / prod"]


def test_a_step_that_dbt_could_not_even_read_holds_the_run_up(stage: Stage, slack: FakeSlack) -> None:
    stage.model("loaves", GOOD)
    run = run_dag(stage.dag("dbt_pipeline(steps=['source freshness --no-such-option', 'run'], step=STEP)"))
    assert (run.state, run.states["dbt.freshness"], run.states["dbt.run"]) == ("failed", "failed", "upstream_failed")
    assert stage.attempts == [("dbt.freshness", None, 1, "not_run")]
    (text,) = texts(slack)
    assert text.endswith("dbt.freshness ended before it ran a node in prod")


def test_each_of_a_mapped_step_is_loaded_by_the_one_loader(stage: Stage, slack: FakeSlack) -> None:
    stage.model("loaves", GOOD)
    stage.model("rolls", BAD)
    body = """begin = EmptyOperator(task_id="begin").as_setup()
    commands = ["run --select loaves", "run --select rolls", ["run", "--select", "loaves"]]
    run = DbtStepOperator.partial(task_id="run", **STEP).expand(command=commands)
    load = ObserveDbtOperator(task_id="load", step_task_ids=["run"], environment="prod")
    begin >> run >> load.as_teardown(setups=begin)"""
    run = run_dag(stage.dag(body))
    assert run.state == "failed"
    assert run.states == {
        "begin": "success",
        "run[0]": "success",
        "run[1]": "failed",
        "run[2]": "success",
        "load": "success",
    }
    assert sorted(stage.attempts) == [
        ("run", 0, 1, "success"),
        ("run", 1, 1, "failure"),
        ("run", 2, 1, "success"),
    ]
    (link,) = stage.rows("SELECT i.log_url FROM {main}.invocations AS i WHERE i.map_index = 1")
    assert link["log_url"] == (
        f"https://airflow.example/dags/{stage_dag(run, stage)}/runs/{run.quoted_id}/tasks/run/mapped/1?try_number=1"
    )
    assert texts(slack) == [headline("rolls")]


def stage_dag(run: Run, stage: Stage) -> str:
    rows = stage.rows("SELECT DISTINCT i.dag_id, i.dag_run_id FROM {main}.invocations AS i")
    assert [row["dag_run_id"] for row in rows] == [run.run_id]
    return str(rows[0]["dag_id"])


def test_a_task_that_is_cleared_runs_again_with_its_loader_and_erases_nothing(stage: Stage, slack: FakeSlack) -> None:
    from airflow.models.taskinstance import clear_task_instances

    stage.model("loaves", BAD)
    dag = stage.dag()
    first = run_dag(dag)
    assert first.state == "failed"
    stage.model("loaves", GOOD)

    def clear(instances: list[Any], session: Any) -> None:
        # as the button does: the task, and what its teardown needs
        clear_task_instances([ti for ti in instances if ti.task_id in dag_ids("dbt.run")], session)

    def dag_ids(task_id: str) -> set[str]:
        return set(dag.partial_subset(task_id, include_downstream=True, include_upstream=False).task_ids)

    again = go_on(dag, first.run_id, clear)
    assert (again.run_id, again.state) == (first.run_id, "success")
    assert stage.attempts == [("dbt.run", None, 1, "failure"), ("dbt.run", None, 2, "success")]
    assert [text.partition(" (")[0][:1] for text in texts(slack)] == ["✅", "✅"], "told, and well again"
    (incident,) = stage.rows("SELECT i.state, i.bad_runs FROM {main}.incidents AS i")
    assert incident == {"state": "recovered", "bad_runs": 1}


def test_a_dbt_that_is_killed_is_loaded_and_told(stage: Stage, slack: FakeSlack) -> None:
    stage.model("loaves", GOOD)
    stage.model("rolls_table", "{{ config(materialized='table') }} select * from {{ ref('loaves') }}, (" + SLOW + ")")

    def kill() -> None:
        wait_for(lambda: stage.has_begun("rolls_table"))
        for pid in find_dbt(os.getpid()):
            os.kill(pid, signal.SIGKILL)

    threading.Thread(target=kill).start()
    run = run_dag(stage.dag())
    assert (run.state, run.states["dbt.run"], run.states["dbt.load_run"]) == ("failed", "failed", "success")
    assert stage.attempts == [("dbt.run", None, 1, "interrupted")]
    (text,) = texts(slack)
    assert text.endswith("dbt.run was interrupted in bakery / prod")


def running(project: Path) -> list[str]:
    """The commands of all processes that name this project."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(file.read_bytes().replace(b"\0", b" ").decode())
    return [command for command in found if str(project) in command and "dbt" in command.split()[0]]


@pytest.mark.parametrize("signum", [signal.SIGTERM, None], ids=["asked to stop", "out of time"])
def test_a_step_that_must_stop_writes_down_what_it_had_finished(
    signum: signal.Signals | None, stage: Stage, slack: FakeSlack
) -> None:
    stage.model("loaves", GOOD)
    stage.model("rolls", "{{ config(materialized='table') }} select * from {{ ref('loaves') }}, (" + SLOW + ")")
    dag = stage.dag(execution_timeout=timedelta(seconds=600 if signum else 12))
    process = stage.start(dag)
    wait_for(lambda: stage.has_begun("rolls"))
    if signum:
        process.send_signal(signum)
    wait_for(lambda: process.poll() is not None)
    assert stage.attempts == [("dbt.run", None, 1, "interrupted")]
    rows = stage.rows("SELECT r.unique_id, r.status FROM {main}.run_results AS r ORDER BY r.unique_id")
    assert rows[0] == {"unique_id": "model.bakery.loaves", "status": "success"}
    assert not running(stage.project)
    assert len(texts(slack)) == 1


def test_a_runner_that_is_killed_leaves_dbt_running_and_what_it_wrote_is_loaded_later(
    stage: Stage, slack: FakeSlack
) -> None:
    from airflow.utils.state import TaskInstanceState

    slow = "select count(*) as n from range(3000000) a(i), range(400) b(j) where hash(i, j) = 0"
    stage.model("loaves", "{{ config(materialized='table') }} " + slow)
    dag = stage.dag(retries=1, **AT_ONCE)
    process = stage.start(dag)
    wait_for(lambda: stage.has_begun("loaves"))
    process.kill()
    process.wait()
    (folder,) = stage.artifacts.glob("*/*/dbt.run/-1/1")
    run_id = folder.parts[-4]
    wait_for((folder / "run_results.json").exists)

    def up_for_retry(instances: list[Any], _: Any) -> None:
        for ti in instances:
            if ti.state == TaskInstanceState.RUNNING:  # as the scheduler does when its heartbeats stay away
                ti.state, ti.end_date = TaskInstanceState.UP_FOR_RETRY, datetime.now(UTC)

    run = go_on(dag, run_id, up_for_retry)
    assert run.state == "success"
    assert stage.attempts == [("dbt.run", None, 1, "success"), ("dbt.run", None, 2, "success")]
    assert texts(slack) == []


def test_without_a_store_the_run_stays_green_and_the_next_loader_stores_what_was_kept(
    stage: Stage, slack: FakeSlack, bigquery_emulator: Emulator
) -> None:
    stage.model("loaves", GOOD)
    stage.set(
        DBT_OBSERVE_STORE=f"bigquery://{PROJECT}/airflow_audit",
        BIGQUERY_EMULATOR_HOST="http://127.0.0.1:9",
        AIRFLOW_CONN_WAREHOUSE=f'{{"conn_type": "google_cloud_platform", "extra": {{"project": "{PROJECT}", '
        '"is_anonymous": true}}',
    )
    body = "dbt_pipeline(steps=['run'], step=STEP, loader={'gcp_conn_id': 'warehouse'})"
    first = run_dag(stage.dag(body))
    assert (first.state, first.states["dbt.load_run"]) == ("success", "success")
    assert len(list((stage.folder / "spool").rglob("*"))) > 0
    stage.set(BIGQUERY_EMULATOR_HOST=bigquery_emulator.url, DBT_OBSERVE_STORE_TIMEOUT_SECONDS="60")
    open_store(load_settings()).init()
    stage.store = f"bigquery://{PROJECT}/airflow_audit"
    second = run_dag(stage.dag(body))
    assert second.state == "success"
    assert stage.attempts == [("dbt.run", None, 1, "success")] * 2
    assert texts(slack) == []


def test_without_slack_it_is_told_late_and_once(stage: Stage, slack: FakeSlack) -> None:
    stage.model("loaves", BAD)
    slack.script(Fault.HTTP_503, times=100)
    first = run_dag(stage.dag())
    assert (first.state, first.states["dbt.load_run"], texts(slack)) == ("failed", "success", [])
    slack.heal()
    run_dag(stage.dag())
    assert texts(slack) == [headline("loaves")]


def test_the_tick_tells_what_no_loader_has_told(stage: Stage, slack: FakeSlack) -> None:
    before = run_dag(stage.dag("ObserveTickOperator(task_id='tick', fail_on_error=True)"))
    assert (before.state, texts(slack)) == ("success", []), "where nothing was stored yet, there is nothing to tell"
    stage.model("loaves", BAD)
    run_dag(stage.dag("dbt_pipeline(steps=['run'], step=STEP, loader={'alert': False})"))
    assert texts(slack) == []
    tick = stage.dag("ObserveTickOperator(task_id='tick', fail_on_error=True)")
    for _ in range(2):
        assert run_dag(tick).state == "success"
        assert texts(slack) == [headline("loaves")]


@pytest.mark.parametrize(("fails", "state"), [(False, "success"), (True, "failed")])
def test_a_fault_of_ours_makes_a_run_red_only_where_that_is_asked_for(fails: bool, state: str, stage: Stage) -> None:
    stage.model("loaves", GOOD)
    stage.set(DBT_OBSERVE_STORE="nonsense://")
    run = run_dag(stage.dag(f"dbt_pipeline(steps=['run'], step=STEP, loader={{'fail_on_error': {fails}}})"))
    assert (run.state, run.states["dbt.run"], run.states["dbt.load_run"]) == (state, "success", state)


def test_where_there_is_no_dbt_the_task_says_so_and_it_is_told(stage: Stage, slack: FakeSlack) -> None:
    stage.model("loaves", GOOD)
    run = run_dag(stage.dag(dbt_bin="no-such-dbt"))
    assert (run.state, run.states["dbt.run"], run.states["dbt.load_run"]) == ("failed", "failed", "success")
    assert stage.attempts == [("dbt.run", None, 1, "not_run")]
    (text,) = texts(slack)
    assert text.endswith("dbt.run ended before it ran a node in prod")
