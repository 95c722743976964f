"""A dbt step and its loader, whatever happens to them: real Airflow, real dbt, an embedded store, Slack on loopback."""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow_runs import DBT, SLOW, Run, Stage, a_day_earlier, go_on, published, returned, run_dag, wait_for
from emulator import PROJECT, Emulator
from fake_slack import FakeSlack, Fault
from filelock import FileLock

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


def test_a_retry_that_succeeds_is_silent_and_both_tries_are_stored(
    stage: Stage, slack: FakeSlack, capfd: pytest.CaptureFixture[str]
) -> None:
    stage.model("loaves", BAD_AT_FIRST)
    run = run_dag(stage.dag(retries=1, env={"TRY": "{{ ti.try_number }}"}, **AT_ONCE))
    assert (run.state, run.states["dbt.run"]) == ("success", "success")
    assert stage.attempts == [("dbt.run", None, 1, "failure"), ("dbt.run", None, 2, "success")]
    assert texts(slack) == []
    assert capfd.readouterr().out.count("1 of 1 START sql view model main.loaves") == 2, "dbt's output is the task's"
    assert tries(stage) == [(1, 1, True), (2, 1, False)]
    rows = stage.rows("SELECT i.try_number, i.max_tries, i.will_retry FROM {main}.invocations AS i ORDER BY 1")
    assert [tuple(row.values()) for row in rows] == tries(stage)
    (second,) = stage.artifacts.glob("*/*/dbt.run/-1/2")
    said = json.loads((second / "run_results.json").read_text())["metadata"]["env"]
    assert said["OBSERVE_DAG_RUN_ID"] == run.run_id
    assert (said["OBSERVE_TASK_ID"], said["OBSERVE_TRY_NUMBER"]) == ("dbt.run", "2"), (
        "dbt's own files tell whose they are"
    )


def tries(stage: Stage) -> list[tuple[int, int, bool]]:
    """What each attempt's observe.json says of its tries."""
    said = [json.loads(file.read_text()) for file in sorted(stage.artifacts.rglob("observe.json"))]
    return [(one["try_number"], one["max_tries"], one.get("will_retry", False)) for one in said]


def test_a_retry_that_fails_too_is_one_incident(stage: Stage, slack: FakeSlack) -> None:
    stage.model("loaves", BAD)
    run = run_dag(stage.dag(retries=1, **AT_ONCE))
    assert (run.state, run.states["dbt.run"], run.states["dbt.load_run"]) == ("failed", "failed", "success")
    assert stage.attempts == [("dbt.run", None, number, "failure") for number in (1, 2)]
    assert texts(slack) == [headline("loaves")]
    assert tries(stage) == [(1, 1, True), (2, 1, False)]


def test_stale_sources_hold_nothing_up_and_are_told(stage: Stage, slack: FakeSlack) -> None:
    stage.model("loaves", GOOD)
    (stage.project / "models" / "sources.yml").write_text("""
sources:
  - name: till
    config:
      freshness: {error_after: {count: 1, period: day}}
      loaded_at_query: select now() - interval 3 day
    tables:
      - name: visits
      - name: sales
        config: {freshness: {warn_after: {count: 1, period: day}, error_after: null}}
""")
    run = run_dag(stage.dag("dbt_pipeline(steps=['source freshness', 'run'], step=STEP)", retries=1))
    assert run.state == "success"
    assert {run.states[f"dbt.{name}"] for name in ("freshness", "load_freshness", "run", "load_run")} == {"success"}
    assert stage.attempts == [("dbt.freshness", None, 1, "failure"), ("dbt.run", None, 1, "success")]
    assert texts(slack) == [
        "2 things are wrong",  # to whom nothing was told yet
        "🟠 error: source till.visits is 3 d old in bakery / prod",
        "🟡 warning: source till.sales is 3 d old in bakery / prod",
    ]
    assert tries(stage) == [(1, 1, False)] * 2, "a try is left; but what does not fail the task is not tried again"


def test_a_step_that_dbt_could_not_even_read_holds_the_run_up(stage: Stage, slack: FakeSlack) -> None:
    stage.model("loaves", GOOD)
    run = run_dag(stage.dag("dbt_pipeline(steps=['source freshness --no-such-option', 'run'], step=STEP)"))
    assert (run.state, run.states["dbt.freshness"], run.states["dbt.run"]) == ("failed", "failed", "upstream_failed")
    assert stage.attempts == [("dbt.freshness", None, 1, "not_run")]
    (text,) = texts(slack)
    assert text.endswith("dbt.freshness ended before it ran a node in prod")


def test_each_of_a_mapped_step_is_tried_by_itself_and_loaded_by_the_one_loader(stage: Stage, slack: FakeSlack) -> None:
    stage.model("loaves", BAD_AT_FIRST)
    stage.model("rolls", BAD)
    body = """begin = EmptyOperator(task_id="begin").as_setup()
    commands = ["run --select loaves", ["run", "--select", "rolls"]]
    run = DbtStepOperator.partial(task_id="run", **STEP).expand(command=commands)
    load = ObserveDbtOperator(task_id="load", step_task_ids=["run"], environment="prod")
    none = DbtStepOperator.partial(task_id="none", **STEP).expand(command=[])
    load_none = ObserveDbtOperator(task_id="load_none", step_task_ids=["none"], fail_on_error=True)
    begin >> run >> load.as_teardown(setups=begin)
    begin >> none >> load_none.as_teardown(setups=begin)"""
    run = run_dag(stage.dag(body, retries=1, env={"TRY": "{{ ti.try_number }}"}, **AT_ONCE))
    assert run.state == "failed"
    assert {name: state for name, state in run.states.items() if not name.startswith("none")} == {
        "begin": "success",
        "run[0]": "success",
        "run[1]": "failed",
        "load": "success",
        "load_none": "success",
    }
    assert sorted(stage.attempts) == [
        ("run", 0, 1, "failure"),
        ("run", 0, 2, "success"),
        ("run", 1, 1, "failure"),
        ("run", 1, 2, "failure"),
    ]
    links = stage.rows("SELECT i.log_url FROM {main}.invocations AS i WHERE i.map_index = 1 ORDER BY i.try_number")
    place = f"https://airflow.example/dags/{stage_dag(run, stage)}/runs/{run.quoted_id}/tasks/run/mapped/1"
    assert [row["log_url"] for row in links] == [f"{place}?try_number={number}" for number in (1, 2)]
    assert texts(slack) == [headline("rolls")]


def test_the_loaders_of_a_mapped_group_do_not_look_at_each_others_steps(stage: Stage) -> None:
    """One may still run while the other is loaded; it would pass for one that was interrupted."""
    body = """from airflow.sdk import task_group

    @task_group
    def of_shop(name):
        dbt_pipeline(steps=["run"], step={**STEP, "env": {"SHOP": name}})

    of_shop.expand(name=["north", "south"])"""
    run = run_dag(stage.dag(body, dbt_bin="no-such-dbt"))
    assert run.state == "failed"
    assert sorted(stage.attempts) == [("of_shop.dbt.run", index, 1, "not_run") for index in (0, 1)]
    assert returned(run, "of_shop.dbt.load_run") == [{"loaded": 1}, {"loaded": 1}]


def test_loaders_that_are_mapped_by_themselves_find_steps_that_are_not(stage: Stage) -> None:
    body = """steps = [DbtStepOperator(task_id=name, command="run", **STEP) for name in ("north", "south")]
    load = ObserveDbtOperator.partial(task_id="load", trigger_rule="all_done")
    steps >> load.expand(step_task_ids=[["north"], ["south"]])"""
    run = run_dag(stage.dag(body, dbt_bin="no-such-dbt"))
    assert sorted(stage.attempts) == [("north", None, 1, "not_run"), ("south", None, 1, "not_run")]
    assert returned(run, "load") == [{"loaded": 1}, {"loaded": 1}]


def test_a_loader_waits_for_a_step_that_was_marked_until_it_has_written_down_its_end(stage: Stage) -> None:
    """Airflow starts a teardown when a task was marked, though the task's process still ends dbt."""
    body = """import subprocess
    from pathlib import Path

    from airflow.sdk import task

    @task(task_id="run")
    def marked(ti=None):
        from observability.airflow.places import attempt_folder, root_of
        from observability.artifacts.step import Step, write_step

        folder = Path(attempt_folder(root_of(None), ti))
        folder.mkdir(parents=True)
        at = datetime.datetime.now(datetime.UTC)
        write_step(Step(command="dbt run", started_at=at, try_number=1), folder / "observe.json")
        write_step(Step(command="dbt run", started_at=at, completed_at=at, exit_code=1, try_number=1), folder / "end")
        subprocess.run("(sleep 10; mv end observe.json) > /dev/null 2>&1 &", shell=True, cwd=folder, check=True)

    marked() >> ObserveDbtOperator(task_id="load", step_task_ids=["run"])"""
    run = run_dag(stage.dag(body))
    assert returned(run, "load") == [{"loaded": 1}]
    assert stage.rows("SELECT i.exit_code, i.outcome FROM {main}.invocations AS i") == [
        {"exit_code": 1, "outcome": "not_run"}
    ]


def test_what_is_skipped_is_neither_loaded_nor_told(stage: Stage, slack: FakeSlack) -> None:
    stage.model("loaves", GOOD)
    body = """from airflow.providers.standard.operators.python import ShortCircuitOperator

    ShortCircuitOperator(task_id="is_open", python_callable=lambda: False) >> dbt_pipeline(steps=["run"], step=STEP)"""
    run = run_dag(stage.dag(body))
    assert run.state == "success"
    assert {name for name, state in run.states.items() if state == "skipped"} == {
        "dbt.begin_run",
        "dbt.run",
        "dbt.load_run",
    }
    assert (list(stage.artifacts.rglob("*")), texts(slack)) == ([], [])


def stage_dag(run: Run, stage: Stage) -> str:
    rows = stage.rows("SELECT DISTINCT i.dag_id, i.dag_run_id FROM {main}.invocations AS i")
    assert [row["dag_run_id"] for row in rows] == [run.run_id]
    return str(rows[0]["dag_id"])


def test_a_task_that_is_cleared_runs_again_on_another_day_with_its_loader_and_erases_nothing(
    stage: Stage, slack: FakeSlack
) -> None:
    from airflow.models.taskinstance import clear_task_instances

    def clear(task_id: str) -> Callable[[list[Any], Any], None]:
        # as the button does: the task, and what its teardown needs
        below = dag.partial_subset(task_id, include_downstream=True, include_upstream=False).task_ids
        return lambda instances, session: clear_task_instances([ti for ti in instances if ti.task_id in below], session)

    stage.model("loaves", BAD)
    dag = stage.dag()
    monday = run_dag(dag, without="dbt.load_run")
    a_day_earlier(stage.artifacts)
    monday = go_on(dag, monday.run_id, clear("dbt.load_run"))
    assert (monday.state, texts(slack)) == ("failed", [headline("loaves")])
    stage.model("loaves", GOOD)
    tuesday = go_on(dag, monday.run_id, clear("dbt.run"))
    assert (tuesday.run_id, tuesday.state) == (monday.run_id, "success")
    assert stage.attempts == [("dbt.run", None, 1, "failure"), ("dbt.run", None, 2, "success")]
    days = stage.rows("SELECT i.run_date FROM {main}.invocations AS i ORDER BY i.try_number")
    assert days[1]["run_date"] - days[0]["run_date"] == timedelta(days=1)
    assert [text.partition(" (")[0][:1] for text in texts(slack)] == ["✅", "✅"], "told, and well again"
    (incident,) = stage.rows("SELECT i.state, i.bad_runs, i.opened_at FROM {main}.incidents AS i")
    assert (incident["state"], incident["bad_runs"]) == ("recovered", 1)
    assert incident["opened_at"].date() == days[0]["run_date"]
    failures = stage.rows("SELECT r.run_date, r.status FROM {main}.run_results AS r WHERE r.outcome = 'failure'")
    assert failures == [{**days[0], "status": "error"}], "Monday's is not erased"


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


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGALRM], ids=["marked failed", "out of time"])
def test_a_step_that_must_stop_writes_down_what_it_had_finished(
    signum: signal.Signals, stage: Stage, slack: FakeSlack
) -> None:
    stage.model("loaves", GOOD)
    stage.model("rolls", "{{ config(materialized='table') }} select * from {{ ref('loaves') }}, (" + SLOW + ")")
    is_marked = signum is signal.SIGTERM  # the other is what Airflow's own timer sends
    dag = stage.dag(execution_timeout=timedelta(hours=1), retries=int(is_marked))
    process = stage.start(dag)
    wait_for(lambda: stage.has_begun("rolls"))
    if is_marked:  # as the button does, whereupon the supervisor sends the signal
        mark_failed(dag.dag_id, "dbt.run")
    process.send_signal(signum)
    if is_marked:  # `dag.test` tries again all the same, a scheduler does not
        wait_for(lambda: tries(stage) == [(1, 1, False)])
        process.kill()
        (folder,) = stage.artifacts.glob("*/*/dbt.run/-1/1")
        go_on(dag, folder.parts[-4], lambda *_: mark_failed(dag.dag_id, "dbt.run"))
    wait_for(lambda: process.poll() is not None)
    assert stage.attempts == [("dbt.run", None, 1, "interrupted")]
    rows = stage.rows("SELECT r.unique_id, r.status FROM {main}.run_results AS r ORDER BY r.unique_id")
    assert rows[0] == {"unique_id": "model.bakery.loaves", "status": "success"}
    assert not running(stage.project)
    assert tries(stage) == [(1, int(is_marked), False)], "no try follows, and nobody waits for one"
    assert len(texts(slack)) == 1


def mark_failed(dag_id: str, task_id: str) -> None:
    from airflow import settings
    from airflow.models.taskinstance import TaskInstance

    session = settings.Session()
    session.query(TaskInstance).filter_by(dag_id=dag_id, task_id=task_id).update({"state": "failed"})
    session.commit()


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
    assert published(run_id, "dbt.run") == str(folder), "told before dbt began"
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


def test_a_store_that_somebody_holds_is_no_hindrance_and_the_next_loader_stores_what_was_kept(
    stage: Stage, slack: FakeSlack
) -> None:
    stage.model("loaves", BAD)
    run_dag(stage.dag("ObserveTickOperator(task_id='tick')"))
    with FileLock(f"{stage.folder}/audit.duckdb.lock"):
        stage.set(DBT_OBSERVE_LOCK_TIMEOUT_SECONDS="0.2")
        first = run_dag(stage.dag())
    assert (first.state, first.states["dbt.run"], first.states["dbt.load_run"]) == ("failed", "failed", "success")
    assert (returned(first, "dbt.load_run"), texts(slack)) == ([{"spooled": 1}], [])
    stage.set(DBT_OBSERVE_LOCK_TIMEOUT_SECONDS="60")
    tick = run_dag(stage.dag("ObserveTickOperator(task_id='tick', fail_on_error=True)"))
    assert tick.state == "success"
    assert stage.attempts == [("dbt.run", None, 1, "failure")]
    assert texts(slack) == [headline("loaves")]


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
    assert run_dag(tick).state == "success"
    assert texts(slack) == [headline("loaves")]
    stage.set(AIRFLOW_HOME=str(stage.folder))
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    (stage.folder / "dbt_observe.toml").write_text(
        f'[[deadlines]]\nstep = "evening.dbt.run"\nby = "00:00"\nsince = {yesterday}\nenvironment = "prod"\n'
    )
    for _ in range(2):
        assert run_dag(tick).state == "success"
        assert len(texts(slack)) == 2
    assert "evening.dbt.run is overdue" in texts(slack)[1]


@pytest.mark.parametrize(
    ("dbt_bin", "fails", "states"),
    [
        (DBT, False, ("success", "success", "success")),
        (DBT, True, ("failed", "success", "failed")),
        ("no-such-dbt", False, ("failed", "failed", "success")),
    ],
    ids=["green stays green", "asked for", "red stays red"],
)
def test_a_fault_of_ours_makes_a_run_red_only_where_that_is_asked_for(
    dbt_bin: str, fails: bool, states: tuple[str, str, str], stage: Stage
) -> None:
    stage.model("loaves", GOOD)
    stage.set(DBT_OBSERVE_STORE="nonsense://")
    body = f"""begin = EmptyOperator(task_id="begin").as_setup()
    load = ObserveDbtOperator(task_id="load", step_task_ids=["run"], fail_on_error={fails})
    begin >> DbtStepOperator(task_id="run", command="run", **STEP) >> load.as_teardown(setups=begin)"""
    run = run_dag(stage.dag(body, dbt_bin=dbt_bin))
    assert (run.state, run.states["run"], run.states["load"]) == states


def test_slack_by_a_connection_and_one_that_cannot_be_used(stage: Stage, slack: FakeSlack) -> None:
    stage.monkeypatch.delenv("DBT_OBSERVE_SLACK__TOKEN")
    stage.set(
        AIRFLOW_CONN_BOT=json.dumps({"conn_type": "slack", "password": slack.token}),
        AIRFLOW_CONN_EMPTY=json.dumps({"conn_type": "slack"}),
    )
    loader = "dbt_pipeline(steps=['run'], step=STEP, loader={'slack_conn_id': 'empty', 'fail_on_error': True})"
    run = run_dag(stage.dag(loader, dbt_bin="no-such-dbt"))
    assert run.states["dbt.load_run"] == "failed", "silence is not what was asked for"
    assert (stage.attempts, texts(slack)) == ([("dbt.run", None, 1, "not_run")], []), "it is loaded all the same"
    for conn_id, state, told in (("nobody", "failed", 0), ("bot", "success", 1)):
        tick = f"ObserveTickOperator(task_id='tick', slack_conn_id={conn_id!r}, fail_on_error=True)"
        assert (run_dag(stage.dag(tick)).state, len(texts(slack))) == (state, told)


def test_where_there_is_no_room_for_its_files_dbt_runs_all_the_same(stage: Stage, slack: FakeSlack) -> None:
    stage.model("loaves", GOOD)
    no_place = str(stage.folder / ("a-name-too-long" * 20))
    run = run_dag(stage.dag(artifacts_root=no_place))
    assert (run.state, set(run.states.values()), texts(slack)) == ("success", {"success"}, [])


def test_a_home_that_nobody_knows_is_no_hindrance(stage: Stage) -> None:
    stage.set(AIRFLOW_HOME=str(stage.folder / "home"))
    run = run_dag(stage.dag(dbt_bin="no-such-dbt", artifacts_root="~nobody-knows/left"))
    assert [outcome for *_, outcome in stage.attempts] == ["not_run"]
    (folder,) = (stage.folder / "home" / "~nobody-knows" / "left").glob("*/*/dbt.run/-1/*")
    assert (run.state, folder.name) == ("failed", "1")


def test_fields_are_templates_and_relative_paths_begin_in_airflows_home(stage: Stage) -> None:
    """Also where a DAG makes objects of what templates give: a number is no variable's value."""
    stage.model("loaves", BAD_AT_FIRST)
    stage.set(AIRFLOW_HOME=str(stage.folder / "home"), DBT_OBSERVE_REPORT__TO="pages")
    body = "dbt_pipeline(steps=[\"run --select {{ 'loaves' }}\"], step=STEP)"
    step = {"env": {"TRY": "{{ ti.try_number + 1 }}"}, "artifacts_root": "{{ 'left' }}", "environment": "{{ 'night' }}"}
    run = run_dag(stage.dag(body, native=True, **step))
    assert run.state == "success"
    rows = stage.rows(
        "SELECT i.invocation_id, i.environment, i.invocation_command, i.outcome FROM {main}.invocations AS i"
    )
    assert [(row["environment"], row["outcome"]) for row in rows] == [("night", "success")]
    assert "--select loaves" in rows[0]["invocation_command"]
    (folder,) = (stage.folder / "home" / "left").glob("*/*/dbt.run/-1/1")
    assert returned(run, "dbt.run") == [str(folder)]
    pages = {page.name for page in (stage.folder / "home" / "pages").iterdir()}
    assert pages == {"index.html", f"{rows[0]['invocation_id']}.html"}


@pytest.mark.parametrize("absent", [{"dbt_bin": "no-such-dbt"}, {"project_dir": "/no/such/project"}], ids=str)
def test_where_there_is_no_dbt_or_no_project_the_task_says_so_and_it_is_told(
    absent: dict[str, Any], stage: Stage, slack: FakeSlack
) -> None:
    stage.model("loaves", GOOD)
    run = run_dag(stage.dag(**absent))
    assert (run.state, run.states["dbt.run"], run.states["dbt.load_run"]) == ("failed", "failed", "success")
    assert stage.attempts == [("dbt.run", None, 1, "not_run")]
    (text,) = texts(slack)
    assert text.endswith("dbt.run ended before it ran a node in prod")
