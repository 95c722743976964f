"""For Cosmos, which runs a dbt command a task: a callback that keeps what each of them left."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.airflow.places import attempt_folder, default_root, is_remote, step_of

if TYPE_CHECKING:
    from observability.artifacts.step import Step

_FAILED = 2
"""dbt's exit code where it could not do what it was asked to."""


def observe_cosmos(
    project_dir: str, artifacts_root: str | None = None, environment: str | None = None, **kwargs: Any
) -> None:
    """Copy what a Cosmos task left to where a loader finds it: `operator_args={"callback": observe_cosmos}`.

    `artifacts_root` and `environment` are given in `callback_args`. Called by Cosmos before it raises dbt's own error,
    so it never raises: a fault of its own is in the task's log.
    """
    try:
        _keep(Path(project_dir), artifacts_root or default_root(), environment, kwargs["context"])
    except Exception as error:  # noqa: BLE001 - it would hide what dbt's error was
        print(f"dbt-observe: what this task left is not kept: {error}")  # noqa: T201 - into the task's log


def _keep(project: Path, root: str, environment: str | None, context: Any) -> None:
    from observability.artifacts.folder import ARTIFACTS, LOG
    from observability.artifacts.step import FILE_NAME, write_step

    location = attempt_folder(root, context["ti"])
    folder = Path(attempt_folder(default_root(), context["ti"]) if is_remote(location) else location)
    folder.mkdir(parents=True, exist_ok=True)
    # Cosmos gives each task a copy of the project, which lasts no longer than the task
    for name in (*ARTIFACTS, LOG):
        found = next((path for path in (project / "target" / name, project / "logs" / name) if path.is_file()), None)
        if found:
            shutil.copyfile(found, folder / name)
    write_step(_step(context, environment, folder), folder / FILE_NAME)
    if is_remote(location):
        from observability.artifacts.object_store import upload

        upload(folder, location)
        shutil.rmtree(folder)


def _step(context: Any, environment: str | None, folder: Path) -> "Step":
    """What is known of it. Its exit code is not: one that left no results did not get as far."""
    step = step_of(context, environment)
    words = getattr(context["ti"].task, "base_cmd", None) or ()
    step.command = " ".join(("dbt", *words)) if words else None
    found = [folder / name for name in ("run_results.json", "sources.json") if (folder / name).is_file()]
    if words and not found:
        step.exit_code = _FAILED
    elif all(_is_well(path) for path in found):
        step.will_retry = False
    return step


def _is_well(path: Path) -> bool:
    results = json.loads(path.read_bytes())["results"]
    return not any(result["status"] in {"error", "fail", "runtime error"} for result in results)
