"""How a path spells which attempt of which task left its files. Names may be percent-encoded in any of them.

    {dag_id}/{run_id}/{task_id}/{map_index}/{try_number}           ours
    {dag_id}/{run_id}/{task_id}/{try_number}/target                what Cosmos' upload callbacks write
    dag_id=…/run_id=…/task_id=…/[map_index=…/]attempt=…            as Airflow lays out the logs that it uploads

A `target` at the end counts for nothing. An index of -1 is Airflow's word for a task that is not mapped.
"""

import re
from collections.abc import Sequence
from urllib.parse import unquote

from observability.artifacts.step import Step

_NUMBER = re.compile(r"-?\d{1,9}")
_RUN_ID = re.compile(r"(\w+__)?\d{4}-\d\d-\d\d.*")
"""Airflow's own run ids carry a date: scheduled__2026-03-02T06:00:00+00:00. Without it, a path is as likely another."""


def attempt_path(step: Step) -> str | None:
    """Where an attempt lies below a root, in our layout; None where its task is not known, or which try it is."""
    if not (step.dag_id and step.dag_run_id and step.task_id) or step.try_number is None:
        return None
    index = -1 if step.map_index is None else step.map_index
    return "/".join((*map(quoted, (step.dag_id, step.dag_run_id, step.task_id)), str(index), str(step.try_number)))


def quoted(name: str) -> str:
    """A name as a folder's: only what would lead elsewhere is encoded, so that it can still be read."""
    encoded = name.replace("%", "%25").replace("/", "%2F")
    return encoded.replace(".", "%2E") if set(encoded) <= {"."} else encoded


def linkage_of(parts: Sequence[str]) -> Step:
    """What the parts of a path say of the attempt whose files lie there; an empty Step where that is nothing."""
    names = [unquote(part) for part in parts]
    if names and names[-1] == "target":
        names.pop()
    return _named(names) or _numbered(names) or Step()


def _named(names: Sequence[str]) -> Step | None:
    said = dict(name.split("=", 1) for name in names[-5:] if "=" in name)
    if not all(said.get(key) for key in ("dag_id", "run_id", "task_id")):
        return None
    return Step(
        dag_id=said["dag_id"],
        dag_run_id=said["run_id"],
        task_id=said["task_id"],
        map_index=_number(said.get("map_index")),
        try_number=_number(said.get("attempt") or said.get("try_number")),
    )


def _numbered(names: Sequence[str]) -> Step | None:
    if len(names) < 5 or not _NUMBER.fullmatch(names[-1]) or names[-1].startswith("-"):  # a root, and four of Cosmos'
        return None
    if _RUN_ID.fullmatch(names[-3]):
        dag_id, run_id, task_id, try_number = names[-4:]
        return Step(dag_id=dag_id, dag_run_id=run_id, task_id=task_id, try_number=int(try_number))
    if len(names) < 6 or not _NUMBER.fullmatch(names[-2]):
        return None
    dag_id, run_id, task_id, map_index, try_number = names[-5:]
    return Step(dag_id=dag_id, dag_run_id=run_id, task_id=task_id, map_index=int(map_index), try_number=int(try_number))


def _number(text: str | None) -> int | None:
    return int(text) if text and _NUMBER.fullmatch(text) else None
