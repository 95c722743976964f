"""For Cosmos, which runs a dbt command a task: a callback that keeps what each of them left."""

import shutil
from pathlib import Path
from typing import Any

from observability.airflow.places import attempt_folder, default_root, step_of

_FILES = ("manifest.json", "run_results.json", "sources.json", "dbt.log")


def observe_cosmos(
    project_dir: str, artifacts_root: str | None = None, environment: str | None = None, **kwargs: Any
) -> None:
    """Copy what a Cosmos task left to where a loader finds it: `operator_args={"callback": observe_cosmos}`.

    Called by Cosmos before it raises dbt's own error, so it never raises.
    """
    try:
        _keep(Path(project_dir), artifacts_root or default_root(), environment, kwargs["context"])
    except Exception as error:  # noqa: BLE001 - it would hide what dbt's error was
        print(f"dbt-observe: what this task left is not kept: {error}")  # noqa: T201 - into the task's log


def _keep(project: Path, root: str, environment: str | None, context: Any) -> None:
    from observability.artifacts.step import FILE_NAME, write_step

    location = attempt_folder(root, context["ti"])
    if "://" in location:
        raise ValueError("an object store: use Cosmos' own upload callback, whose layout is read too")
    folder = Path(location)
    folder.mkdir(parents=True, exist_ok=True)
    for name in _FILES:
        for found in (project / "target" / name, project / "logs" / name):
            if found.is_file():
                shutil.copyfile(found, folder / name)
    write_step(step_of(context, environment), folder / FILE_NAME)
