"""Where the attempts of a task leave dbt's files: `{root}/{dag_id}/{run_id}/{task_id}/{map_index}/{try_number}`."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from observability.artifacts.layouts import quoted

if TYPE_CHECKING:
    from observability.artifacts.step import Step

XCOM_KEY = "dbt_artifacts"
"""Under which a step tells where it leaves its files, before dbt starts."""


POD_ENVIRONMENT = {
    "AIRFLOW_CTX_DAG_ID": "{{ dag.dag_id }}",
    "AIRFLOW_CTX_DAG_RUN_ID": "{{ run_id }}",
    "AIRFLOW_CTX_TASK_ID": "{{ ti.task_id }}",
    "AIRFLOW_CTX_MAP_INDEX": "{{ ti.map_index }}",
    "AIRFLOW_CTX_TRY_NUMBER": "{{ ti.try_number }}",
    "AIRFLOW_CTX_MAX_TRIES": "{{ ti.max_tries }}",
    "AIRFLOW_CTX_LOG_URL": "{{ ti.log_url }}",
}
"""Templates of the variables by which `dbt-observe run` knows, in a pod, whose attempt it is."""


def airflow_home() -> Path:
    """AIRFLOW_HOME, or Airflow's default for it."""
    return Path(os.environ.get("AIRFLOW_HOME") or "~/airflow").expanduser()


def default_root() -> str:
    """DBT_OBSERVE_ARTIFACTS_DIR, else a folder in Airflow's home."""
    return os.environ.get("DBT_OBSERVE_ARTIFACTS_DIR") or str(airflow_home() / ".dbt_observe" / "artifacts")


def step_folder(root: str, dag_id: str, run_id: str, task_id: str) -> str:
    """Where all attempts of a task in a DAG run lie, whatever their map index."""
    return "/".join((root.rstrip("/"), *map(quoted, (dag_id, run_id, task_id))))


def attempt_folder(root: str, ti: Any) -> str:
    """Where one attempt leaves its files; beside them where it has run before, as a repeated test of a DAG does."""
    folder = f"{step_folder(root, ti.dag_id, ti.run_id, ti.task_id)}/{ti.map_index}/{ti.try_number}"
    taken = not is_remote(folder) and Path(folder).is_dir() and any(Path(folder).iterdir())
    return f"{folder}-{uuid4().hex[:8]}" if taken else folder


def at(location: str, conn_id: str | None) -> Any:
    """A place as it is to be opened: by Airflow's connection where one is named, else by the credentials around us."""
    if not conn_id or not is_remote(location):
        return location
    from airflow.sdk import ObjectStoragePath

    return ObjectStoragePath(location, conn_id=conn_id)


def is_remote(location: str) -> bool:
    """Whether it is in an object store."""
    return "://" in location


def step_of(context: Any, environment: str | None) -> "Step":
    """What Airflow knows of an attempt. It will retry where tries are left."""
    from observability.artifacts.step import Step

    ti = context["ti"]
    return Step(
        environment=environment,
        will_retry=ti.try_number <= ti.max_tries,
        dag_id=ti.dag_id,
        dag_run_id=ti.run_id,
        task_id=ti.task_id,
        map_index=ti.map_index if ti.map_index >= 0 else None,
        try_number=ti.try_number,
        max_tries=ti.max_tries,
        logical_date=_plain(context.get("logical_date")),
        log_url=ti.log_url,
    )


def _plain(moment: datetime | None) -> datetime | None:
    """A moment of pendulum's as Python's own."""
    return datetime.fromtimestamp(moment.timestamp(), UTC) if moment else None
