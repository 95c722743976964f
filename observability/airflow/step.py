"""One dbt command as a task, whose files are left where a loader finds them whatever becomes of it."""

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException

from observability.airflow.places import XCOM_KEY, at, attempt_folder, is_remote, local_root, root_of, step_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from observability.runner import Attempt

_ENDED_WITH_FINDINGS = 1
"""dbt's exit code where nodes failed; 2 says that it could not do what it was asked to."""
_MARKED = frozenset({"failed", "success", "skipped"})
"""What a task that runs is only after somebody has said so."""


class DbtStepOperator(BaseOperator):
    """Run one dbt command. Fails where dbt does.

    command: dbt's subcommand and options: "run --select orders+", or a list of words.
    dbt_bin: dbt in an environment of its own, such as /opt/dbt/bin/dbt; may be a launcher (uv run dbt).
    project_dir, profiles_dir: as dbt's options of these names.
    env: variables for dbt, beside those of this process.
    artifacts_root: folder or object store (gs://…) in which each attempt has a folder of its own; a loader that runs
        on another machine must see it too. artifacts_conn_id: Airflow's connection for that object store.
    environment: name of the deployment; else dbt's --target, else default.
    warn_only: exit code 1 is a result and no failure: for source freshness, whose errors must not hold the run up.
    grace_seconds: between SIGINT, upon which dbt writes down what it has finished, and SIGTERM, where the task is to
        stop; Airflow kills the task itself after five.
    """

    template_fields: Sequence[str] = (
        "command",
        "dbt_bin",
        "project_dir",
        "profiles_dir",
        "env",
        "artifacts_root",
        "artifacts_conn_id",
        "environment",
    )
    template_fields_renderers = {"command": "bash", "env": "json"}  # noqa: RUF012 - as Airflow declares it
    ui_color = "#ffe3d9"

    def __init__(
        self,
        *,
        command: str | Sequence[str],
        dbt_bin: str = "dbt",
        project_dir: str | None = None,
        profiles_dir: str | None = None,
        env: Mapping[str, str] | None = None,
        artifacts_root: str | None = None,
        artifacts_conn_id: str | None = None,
        environment: str | None = None,
        warn_only: bool = False,
        grace_seconds: float = 4.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.command = command
        self.dbt_bin = dbt_bin
        self.project_dir = project_dir
        self.profiles_dir = profiles_dir
        self.env = env
        self.artifacts_root = artifacts_root
        self.artifacts_conn_id = artifacts_conn_id
        self.environment = environment
        self.warn_only = warn_only
        self.grace_seconds = grace_seconds

    def execute(self, context: "Context") -> str:
        """Run dbt; where its files lie. Raises AirflowException where it failed."""
        location = attempt_folder(root_of(self.artifacts_root), context["ti"])
        self._publish(context, location)  # before dbt starts: it may be killed
        folder = Path(attempt_folder(local_root(), context["ti"]) if is_remote(location) else location)
        try:
            code = self._run(folder, context)
        finally:
            if is_remote(location):
                self._upload(folder, location)
        if code not in self._well:
            raise AirflowException(f"dbt ended with exit code {code}; what it left is in {location}")
        return location

    @property
    def _well(self) -> tuple[int, ...]:
        return (0, _ENDED_WITH_FINDINGS) if self.warn_only else (0,)

    def _note_mark(self, attempt: "Attempt", ti: Any) -> None:
        """No other try follows where somebody has marked the task, for which dbt was stopped: nobody waits for one."""
        from observability.artifacts.step import FILE_NAME, write_step

        if attempt.folder is None or not attempt.step.will_retry:
            return
        index = ti.map_index if ti.map_index >= 0 else None
        try:
            states = ti.get_task_states(ti.dag_id, map_index=index, task_ids=[ti.task_id], run_ids=[ti.run_id])
            if any(state in _MARKED for run in states.values() for state in run.values()):
                attempt.step.will_retry = False
                write_step(attempt.step, attempt.folder / FILE_NAME)
        except Exception as error:  # noqa: BLE001 - the border where our own faults must not become dbt's
            self.log.warning("whether another try follows is not known: %s", error)

    def _publish(self, context: "Context", location: str) -> None:
        """Tell where the files will be. A loader finds them without, so that dbt need not wait for Airflow's answer."""
        try:
            context["ti"].xcom_push(key=XCOM_KEY, value=location)
        except Exception as error:  # noqa: BLE001 - the border where our own faults must not become dbt's
            self.log.warning("where dbt's files will be is not in XCom: %s", error)

    def _run(self, folder: Path, context: "Context") -> int:
        from observability.runner import NotStartedError, exit_status, run_step

        # a DAG that renders templates as native objects makes a number of "{{ ti.try_number }}"
        given = {str(name): str(value) for name, value in (self.env or {}).items() if value is not None}
        environment = {**os.environ, **given}
        try:
            attempt = run_step(
                self._words(),
                folder,
                step_of(context, self.environment),
                environment=environment,
                final_codes=self._well,
                grace_seconds=self.grace_seconds,
            )
        except NotStartedError as error:
            self.log.error("%s", error)
            attempt = error.attempt
        self._note_mark(attempt, context["ti"])
        for warning in attempt.warnings:
            self.log.warning("%s", warning)
        return exit_status(attempt.step.exit_code or 0)

    def _upload(self, folder: Path, location: str) -> None:
        """A fault of ours is none of dbt's: its files are kept on this machine then."""
        from observability.artifacts.object_store import upload

        try:
            done = upload(folder, at(location, self.artifacts_conn_id))
        except Exception as error:  # noqa: BLE001 - the border where our own faults must not become dbt's
            self.log.error("%s\n  kept:  %s, on this machine only", error, folder)
            return
        self.log.info("%d files uploaded to %s", len(done.files), done.uri)
        for warning in done.warnings:
            self.log.warning("%s", warning)
        shutil.rmtree(folder, ignore_errors=True)

    def _words(self) -> list[str]:
        command = shlex.split(self.command) if isinstance(self.command, str) else [str(word) for word in self.command]
        options = {"--project-dir": self.project_dir, "--profiles-dir": self.profiles_dir}
        given = [word for name, value in options.items() if value for word in (name, str(value))]
        return [*shlex.split(str(self.dbt_bin)), *command, *given]
