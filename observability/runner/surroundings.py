"""What surrounds a dbt step: the commit of its project, the Airflow task that runs it. Best effort, never an error."""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict, cast

_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class Linkage(TypedDict, total=False):
    """The fields of a `Step` that say which task of which DAG run it is."""

    dag_id: str
    dag_run_id: str
    task_id: str
    map_index: int
    try_number: int
    max_tries: int
    logical_date: datetime
    log_url: str


def _index(text: str) -> int:
    if (number := int(text)) < 0:
        raise ValueError("Airflow's -1 says that there is none")
    return number


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)


# Airflow sets most of AIRFLOW_CTX_* for BashOperator; a pod is given all of them; our operators set the other names.
_VARIABLES: dict[str, tuple[Callable[[str], str | int | datetime], tuple[str, ...]]] = {
    "dag_id": (str, ("AIRFLOW_CTX_DAG_ID", "DBT_ENV_CUSTOM_ENV_AIRFLOW_DAG_ID")),
    "dag_run_id": (str, ("AIRFLOW_CTX_DAG_RUN_ID", "DBT_ENV_CUSTOM_ENV_AIRFLOW_RUN_ID")),
    "task_id": (str, ("AIRFLOW_CTX_TASK_ID", "DBT_ENV_CUSTOM_ENV_AIRFLOW_TASK_ID")),
    "map_index": (_index, ("AIRFLOW_CTX_MAP_INDEX", "DBT_ENV_CUSTOM_ENV_AIRFLOW_MAP_INDEX")),
    "try_number": (_index, ("AIRFLOW_CTX_TRY_NUMBER", "DBT_ENV_CUSTOM_ENV_AIRFLOW_TRY_NUMBER")),
    "max_tries": (_index, ("AIRFLOW_CTX_MAX_TRIES",)),
    "log_url": (str, ("AIRFLOW_CTX_LOG_URL",)),
    "logical_date": (_moment, ("AIRFLOW_CTX_LOGICAL_DATE", "AIRFLOW_CTX_EXECUTION_DATE")),
}


def linkage_from_environment(environment: Mapping[str, str]) -> Linkage:
    """The Airflow task that this process belongs to. What is absent or malformed is left out."""
    values: dict[str, str | int | datetime] = {}
    for field, (parse, names) in _VARIABLES.items():
        text = next((environment[name] for name in names if environment.get(name)), None)
        if text is not None:
            with suppress(ValueError):
                values[field] = parse(text)
    return cast("Linkage", values)


def git_state(folder: Path) -> tuple[str | None, str | None]:
    """The commit and branch that are checked out around a folder, read from .git without running git.

    (None, None) outside a repository; the branch is None on a detached HEAD.
    """
    with suppress(OSError):
        for parent in (folder, *folder.parents):
            git = _git_folder(parent / ".git")
            if git is not None:
                return _head(git)
    return None, None


def _git_folder(path: Path) -> Path | None:
    """`.git`, or where a worktree's or submodule's `.git` file points."""
    if path.is_dir():
        return path
    text = _read(path)
    return path.parent / text.removeprefix("gitdir:").strip() if text.startswith("gitdir:") else None


def _head(git: Path) -> tuple[str | None, str | None]:
    head = _read(git / "HEAD")
    if not head.startswith("ref:"):
        return _sha(head), None
    name = head.removeprefix("ref:").strip()
    common = git / (_read(git / "commondir") or ".")
    sha = _sha(_read(git / name)) or _sha(_read(common / name)) or _packed(common, name)
    # With reftable, HEAD names a branch that cannot exist.
    branch = (
        name.removeprefix("refs/heads/") if name.startswith("refs/heads/") and not name.endswith("/.invalid") else None
    )
    return sha, branch


def _packed(common: Path, name: str) -> str | None:
    for line in _read(common / "packed-refs").splitlines():
        sha, _, ref = line.partition(" ")
        if ref == name:
            return _sha(sha)
    return None


def _sha(text: str) -> str | None:
    return text if _SHA.fullmatch(text) else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
