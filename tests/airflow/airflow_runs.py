"""DAGs that are run to their end in this process, on a store of their own."""

import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fake_slack import FakeSlack

from observability.config import load_settings
from observability.stores.base import open_store

DBT = str(Path(sys.executable).with_name("dbt"))


@dataclass
class Run:
    """A DAG run that has ended."""

    run_id: str
    state: str
    states: dict[str, str | None]
    """By task_id, with [map_index] of a mapped one."""
    log: str = ""

    @property
    def quoted_id(self) -> str:
        return quote(self.run_id)


@dataclass
class Stage:
    """A folder with a store, artifacts and settings, for the environment of tasks that run here."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    given: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = f"duckdb:///{self.folder}/audit.duckdb"
        self.set(
            DBT_OBSERVE_STORE=self.store,
            DBT_OBSERVE_ARTIFACTS_DIR=str(self.folder / "artifacts"),
            DBT_OBSERVE_SPOOL_DIR=str(self.folder / "spool"),
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
        )

    def load_dag(self, file: Path, dag_id: str, *, retries: int) -> Any:
        """A DAG of a file, parsed anew, with so many retries."""
        from airflow.dag_processing.dagbag import DagBag

        there = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"]) / file.name
        there.write_text(re.sub(r'"retries": \d+', f'"retries": {retries}', file.read_text()))
        bag = DagBag(str(there))
        assert bag.import_errors == {}
        return bag.dags[dag_id]

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """What the store answers."""
        found: list[dict[str, Any]] = open_store(load_settings(store=self.store)).query(sql).to_pylist()
        return found


def run_dag(dag: Any) -> Run:
    """Run it to its end."""
    ended = dag.test()
    states = {
        f"{ti.task_id}[{ti.map_index}]" if ti.map_index >= 0 else ti.task_id: ti.state and str(ti.state)
        for ti in ended.get_task_instances()
    }
    return Run(ended.run_id, str(ended.state), states)
