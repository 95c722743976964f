"""For Cosmos, which runs a dbt command a task: a callback that keeps what each of them left."""

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.airflow.places import at, attempt_folder, is_remote, local_root, root_of, step_of

if TYPE_CHECKING:
    from observability.artifacts.step import Step

_FAILED = 2
"""dbt's exit code where it could not do what it was asked to."""


def observe_cosmos(
    project_dir: str,
    artifacts_root: str | None = None,
    artifacts_conn_id: str | None = None,
    environment: str | None = None,
    **kwargs: Any,
) -> None:
    """Copy what a Cosmos task left to where a loader finds it: `operator_args={"callback": observe_cosmos}`.

    `artifacts_root`, `artifacts_conn_id` and `environment` are given in `callback_args`, and mean what they do in a
    DbtStepOperator. Called by Cosmos before it raises dbt's own error, so it never raises: a fault of its own is in the
    task's log.
    """
    try:
        folder, location = _keep(Path(project_dir), root_of(artifacts_root), environment, kwargs["context"])
    except Exception as error:  # noqa: BLE001 - it would hide what dbt's error was
        print(f"dbt-observe: what this task left is not kept: {error}")  # noqa: T201 - into the task's log
        return
    if is_remote(location):
        _upload(folder, location, artifacts_conn_id)


def _keep(project: Path, root: str, environment: str | None, context: Any) -> tuple[Path, str]:
    """The folder on this machine that holds the files now, and where a loader looks for them."""
    from observability.artifacts.folder import ARTIFACTS, LOG
    from observability.artifacts.step import FILE_NAME, write_step

    location = attempt_folder(root, context["ti"])
    folder = Path(attempt_folder(local_root(), context["ti"]) if is_remote(location) else location)
    folder.mkdir(parents=True, exist_ok=True)
    # Cosmos gives each task a copy of the project, which lasts no longer than the task
    target = _target(project, context["ti"].task)
    for path in (*(target / name for name in ARTIFACTS), project / "logs" / LOG):
        if path.is_file():
            shutil.copyfile(path, folder / path.name)
    write_step(_step(context, environment, folder), folder / FILE_NAME)
    return folder, location


def _target(project: Path, task: Any) -> Path:
    """Where dbt wrote: its variable says so, else it is the folder whose manifest is the newest."""
    around = os.environ if getattr(task, "append_env", True) else {}
    given: str | None = {**around, **(getattr(task, "env", None) or {})}.get("DBT_TARGET_PATH")
    if given:
        return project / given
    manifests = project.glob("*/manifest.json")
    return max(manifests, key=lambda path: path.stat().st_mtime, default=project / "target" / "manifest.json").parent


def _step(context: Any, environment: str | None, folder: Path) -> "Step":
    """What is known of it. Cosmos keeps dbt's exit code only where it runs dbt in a process of its own."""
    from observability.artifacts.commands import CommandKind, parse_command

    ti = context["ti"]
    words = getattr(ti.task, "base_cmd", None) or ()
    process = getattr(getattr(ti.task, "subprocess_hook", None), "sub_process", None)
    step = step_of(context, environment)
    step.command = " ".join(("dbt", *words)) if words else None
    step.exit_code = getattr(process, "returncode", None)
    found = [folder / name for name in ("run_results.json", "sources.json") if (folder / name).is_file()]
    kind = parse_command(step.command).kind
    if step.exit_code is None and not found and kind not in {None, CommandKind.RUNS_NOTHING}:
        step.exit_code = _FAILED
    if step.exit_code is not None or found:  # else that it began would say that it never ended
        step.started_at = datetime.fromtimestamp(ti.start_date.timestamp(), UTC)
        step.completed_at = datetime.now(UTC)
    is_well = all(map(_is_well, found)) if step.exit_code is None else step.exit_code == 0
    step.will_retry = step.will_retry and not is_well
    return step


def _is_well(path: Path) -> bool:
    from observability.audit.outcomes import Outcome, outcome_of

    results = json.loads(path.read_bytes())["results"]
    return all(outcome_of(result["status"]) is not Outcome.FAILURE for result in results)


def _upload(folder: Path, location: str, conn_id: str | None) -> None:
    from observability.artifacts.object_store import upload

    try:
        done = upload(folder, at(location, conn_id))
    except Exception as error:  # noqa: BLE001 - as above
        print(f"dbt-observe: {error}\n  kept:  {folder}, on this machine only")  # noqa: T201 - into the task's log
        return
    for warning in done.warnings:
        print(f"dbt-observe: {warning}")  # noqa: T201
    shutil.rmtree(folder, ignore_errors=True)
