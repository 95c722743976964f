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
_BY_DEFAULT = ".dbt_observe/artifacts"

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


def root_of(given: str | None) -> str:
    """Where attempts leave their files: what is given, else DBT_OBSERVE_ARTIFACTS_DIR, else a folder in Airflow's home.

    A relative path begins in Airflow's home: a step and its loader need not run in one directory.
    """
    root = given or os.environ.get("DBT_OBSERVE_ARTIFACTS_DIR") or _BY_DEFAULT
    return root if is_remote(root) else home_path(root)


def home_path(path: str | Path) -> str:
    """A path as tasks on whatever worker take it: what is relative begins in Airflow's home."""
    return str(airflow_home() / os.path.expanduser(path))  # noqa: PTH111 - Path's raises for a user unknown


def local_root() -> str:
    """Where an attempt lies on this machine until it is uploaded, and stays if it cannot be."""
    root = root_of(None)
    return root_of(_BY_DEFAULT) if is_remote(root) else root


def step_folder(root: str, dag_id: str, run_id: str, task_id: str, map_index: int | None = None) -> str:
    """Where all attempts of a task in a DAG run lie, whatever their map index; or those of one."""
    folder = "/".join((root.rstrip("/"), *map(quoted, (dag_id, run_id, task_id))))
    return folder if map_index is None else f"{folder}/{map_index}"


def attempt_folder(root: str, ti: Any) -> str:
    """Where one attempt leaves its files; beside them where it has run before, as a repeated test of a DAG does."""
    folder = f"{step_folder(root, ti.dag_id, ti.run_id, ti.task_id, ti.map_index)}/{ti.try_number}"
    try:
        taken = not is_remote(folder) and any(Path(folder).iterdir())
    except OSError:  # it is not there; or cannot be used, as whoever writes to it will tell
        taken = False
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
