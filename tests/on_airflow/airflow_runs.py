"""DAGs that are run to their end, in this process or in one that can be killed, on a store of their own."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fake_slack import FakeSlack

from observability.airflow.places import XCOM_KEY
from observability.config import load_settings
from observability.stores.base import open_store

DBT = str(Path(sys.executable).with_name("dbt"))
TESTS = Path(__file__).parents[1]
SLOW = "select count(*) as n from range(100000000) a(i), range(100000) b(j) where hash(i, j) = 0"
_NAMES = count()

DAG = """
import datetime

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import dag

from observability.airflow import DbtStepOperator, ObserveDbtOperator, ObserveTickOperator, dbt_pipeline

STEP = {step!r}


@dag(schedule=None, start_date=datetime.datetime(2026, 1, 1), catchup=False, render_template_as_native_obj={native})
def {name}():
    {body}


{name}()
"""


@dataclass
class Run:
    """A DAG run that has ended."""

    run_id: str
    state: str
    states: dict[str, str | None]
    """By task_id, with [map_index] of a mapped one."""

    @property
    def quoted_id(self) -> str:
        return quote(self.run_id)


@dataclass
class Stage:
    """A folder with a dbt project, a store, artifacts and settings, for the environment of tasks that run here."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = f"duckdb:///{self.folder}/audit.duckdb"
        self.artifacts = self.folder / "artifacts"
        self.project = self.folder / "bakery"
        self.set(
            DBT_OBSERVE_STORE=self.store,
            DBT_OBSERVE_ARTIFACTS_DIR=str(self.artifacts),
            DBT_OBSERVE_SPOOL_DIR=str(self.folder / "spool"),
            DBT_OBSERVE_STORE_TIMEOUT_SECONDS="1",
        )
        self.monkeypatch.chdir(self.folder)

    def set(self, **variables: str) -> None:
        for name, value in variables.items():
            self.monkeypatch.setenv(name, value)

    def tell(self, slack: FakeSlack) -> None:
        self.set(
            DBT_OBSERVE_SLACK__TOKEN=slack.token,
            DBT_OBSERVE_SLACK__CHANNEL=slack.channels["alerts"].id,
            DBT_OBSERVE_SLACK__BASE_URL=slack.url,
            DBT_OBSERVE_SLACK__SETTLE_SECONDS="0",
            DBT_OBSERVE_SLACK__TIMEOUT_SECONDS="1",
        )

    def model(self, name: str, sql: str) -> None:
        """Write a model of the tests' dbt project."""
        if not self.project.exists():
            shutil.copytree(TESTS / "fixture_project", self.project)
            for model in (self.project / "models").iterdir():
                model.unlink()
            shutil.rmtree(self.project / "snapshots")
            shutil.rmtree(self.project / "tests")
            self.set(DBT_PROFILES_DIR=str(self.project))
        (self.project / "models" / f"{name}.sql").write_text(sql)

    def dag(self, body: str = "dbt_pipeline(steps=['run'], step=STEP)", *, native: bool = False, **step: Any) -> Any:
        """A DAG with this body, in which STEP holds what a step of the project needs."""
        name = f"daily_{next(_NAMES)}"
        given = {"dbt_bin": DBT, "project_dir": str(self.project), "environment": "prod", **step}
        return load_dag(name, DAG.format(name=name, body=body, step=given, native=native))

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """What the store answers."""
        found: list[dict[str, Any]] = open_store(load_settings(store=self.store)).query(sql).to_pylist()
        return found

    @property
    def attempts(self) -> list[tuple[Any, ...]]:
        """What is known of each step: task, map index, try and outcome."""
        rows = self.rows(
            "SELECT i.task_id, i.map_index, i.try_number, i.outcome FROM {main}.invocations AS i ORDER BY i.started_at"
        )
        return [tuple(row.values()) for row in rows]

    def start(self, dag: Any) -> subprocess.Popen[bytes]:
        """Run it in a process of its own, which can be killed."""
        words = [sys.executable, str(Path(__file__)), dag.fileloc, dag.dag_id]
        path = os.pathsep.join([str(TESTS.parent), str(TESTS), str(TESTS / "alerts")])
        process = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": path}, start_new_session=True)
        self.started.append(process)
        return process

    def has_begun(self, model: str) -> bool:
        """Whether dbt has sent this model to its warehouse."""
        return any(f'"On model.bakery.{model}' in log.read_text() for log in self.artifacts.rglob("dbt.log"))


def load_dag(name: str, text: str) -> Any:
    """Parse a DAG file as Airflow does."""
    from airflow.dag_processing.dagbag import DagBag

    for old in (folder := Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])).glob("*.py"):
        old.unlink()  # every run parses all of them
    file = folder / f"{name}.py"
    file.write_text(text)
    bag = DagBag(str(file))
    assert bag.import_errors == {}, "\n".join(bag.import_errors.values())
    return bag.dags[name]


def with_retries(text: str, retries: int) -> str:
    """The text of a DAG file, with so many retries that come at once."""
    return re.sub(r'"retry_delay": timedelta\(.*\)', '"retry_delay": timedelta(0)', text).replace(
        '"retries": 1', f'"retries": {retries}'
    )


def run_dag(dag: Any, *, without: str | None = None) -> Run:
    """Run it to its end; `without` is a task that is only marked as done."""
    return _ended(dag.test(mark_success_pattern=without and re.escape(without)))


def a_day_earlier(folder: Path) -> None:
    """Have it be yesterday in what dbt and the step wrote down; the DAG run keeps its name."""
    for path in (path for path in folder.rglob("*") if path.suffix in {".json", ".log"}):
        text = re.sub(
            r"(?<!__)\d{4}-\d\d-\d\d(?=T\d\d:\d\d:\d\d)",
            lambda found: str(date.fromisoformat(found[0]) - timedelta(days=1)),
            path.read_text(),
        )
        path.write_text(text)


def published(run_id: str, task_id: str) -> Any:
    """Where a step says, in XCom, that its files will be."""
    from airflow import settings
    from airflow.models.xcom import XComModel

    query = settings.Session().query(XComModel).filter_by(run_id=run_id, task_id=task_id, key=XCOM_KEY)
    (one,) = query.all()
    return one.value


def returned(run: Run, task_id: str) -> list[Any]:
    """What a task returned, by map index."""
    from airflow import settings
    from airflow.models.xcom import XComModel

    query = settings.Session().query(XComModel).filter_by(run_id=run.run_id, task_id=task_id, key="return_value")
    return [one.value for one in query.order_by(XComModel.map_index)]


def go_on(dag: Any, run_id: str, change: Callable[[list[Any], Any], None]) -> Run:
    """Change task instances of a run, in their session, and run what is to run then, as `dag.test` does."""
    from airflow import settings
    from airflow.models.dagrun import DagRun
    from airflow.sdk.definitions.dag import _run_task
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.utils.state import DagRunState, TaskInstanceState

    session = settings.Session()
    run = session.query(DagRun).filter_by(dag_id=dag.dag_id, run_id=run_id).one()
    run.dag = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    change(run.get_task_instances(session=session), session)
    run.state = DagRunState.RUNNING
    session.commit()
    until = time.monotonic() + 300
    while run.state == DagRunState.RUNNING:
        assert time.monotonic() < until
        session.expire_all()
        for ti in run.update_state(session=session)[0]:
            ti.try_number += 1
            ti.state = TaskInstanceState.SCHEDULED
        session.commit()
        for ti in run.get_task_instances(session=session):
            if ti.state == TaskInstanceState.SCHEDULED:
                _run_task(ti=ti, task=dag.task_dict[ti.task_id])
    return _ended(run)


def _ended(run: Any) -> Run:
    states = {
        f"{ti.task_id}[{ti.map_index}]" if ti.map_index >= 0 else ti.task_id: ti.state and str(ti.state)
        for ti in run.get_task_instances()
    }
    return Run(run.run_id, str(run.state), states)


def wait_for(what: Callable[[], Any], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.1)


if __name__ == "__main__":
    file, dag_id = sys.argv[1:]
    from airflow.dag_processing.dagbag import DagBag

    DagBag(file).dags[dag_id].test()
