"""The morning's run as a task group: each dbt command a task, each with its loader behind it."""

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import TaskGroup

from observability.airflow.loader import ObserveDbtOperator
from observability.airflow.step import DbtStepOperator

STEPS = ("source freshness", "snapshot", "run", "test")


def dbt_pipeline(
    group_id: str = "dbt",
    *,
    steps: Sequence[str] | Mapping[str, str] = STEPS,
    step: Mapping[str, Any] | None = None,
    loader: Mapping[str, Any] | None = None,
) -> TaskGroup:
    """The steps in order, each followed by a loader that runs whatever became of it.

    `steps` are dbt's commands, by task_id where two begin with the same word; `step` holds arguments for each
    DbtStepOperator (project_dir, dbt_bin, retries, …), and `loader` for each ObserveDbtOperator (store, alert, …); what
    both need, such as artifacts_root and environment, is given in `step`. Errors of source freshness are told and hold
    nothing up. Raises ValueError for two steps of one name, or a step that is no command.
    """
    given = dict(step or {})
    shared = {name: given[name] for name in ("artifacts_root", "artifacts_conn_id", "environment") if name in given}
    with TaskGroup(group_id) as group:
        before: DbtStepOperator | None = None
        for name, command in _named(steps).items():
            task = DbtStepOperator(task_id=name, command=command, **{"warn_only": _checks_freshness(command), **given})
            # a loader is run again with its step only where it has a set-up, and this one cannot fail
            begin = EmptyOperator(task_id=f"begin_{name}").as_setup()
            load = ObserveDbtOperator(
                task_id=f"load_{name}", step_task_ids=[task.task_id], **{**shared, **(loader or {})}
            )
            begin >> task >> load.as_teardown(setups=begin)
            if before is not None:
                before >> task
            before = task
    return group


def _named(steps: Sequence[str] | Mapping[str, str]) -> Mapping[str, str]:
    if isinstance(steps, Mapping):
        return steps
    named = {_task_name(command): command for command in steps}
    if len(named) < len(steps):
        raise ValueError(f"two of these would have one task_id, name them: {{'a': 'run -s a', …}} instead of {steps}")
    return named


def _task_name(command: str) -> str:
    """run --select x+ → run; source freshness → freshness."""
    return "freshness" if _checks_freshness(command) else _words(command)[0].replace("-", "_")


def _checks_freshness(command: str) -> bool:
    return _words(command)[:2] == ["source", "freshness"]


def _words(command: str) -> list[str]:
    words = [word for word in command.split() if not word.startswith("-")]
    if not words:
        raise ValueError(f"{command!r} names no dbt command")
    return words
