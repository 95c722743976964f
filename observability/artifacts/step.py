"""One dbt step as its caller saw it: `observe.json`, written beside dbt's own files.

dbt writes down neither its exit code nor that it was killed; whoever starts it does, here.
"""

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec

from observability.errors import UnreadableArtifact

FILE_NAME = "observe.json"
TOKEN_VARIABLE = "DBT_ENV_CUSTOM_ENV_OBSERVE_TOKEN"  # noqa: S105 - a name, not a secret
TOKEN_KEY = "OBSERVE_TOKEN"  # noqa: S105 - as dbt shows it in metadata.env and in its log


_Number = Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]


class Step(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What the caller of a dbt step knows of it. Timestamps are UTC; `exit_code` is None while dbt runs.

    A negative exit code is a signal's number, as in `subprocess`. `token` was put into dbt's environment and comes
    back in every file of this step that carries `metadata.env`.
    """

    version: int = 1
    command: str | None = None
    exit_code: _Number | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    token: str | None = None
    environment: str | None = None
    will_retry: bool = False
    git_sha: str | None = None
    git_branch: str | None = None
    dag_id: str | None = None
    dag_run_id: str | None = None
    task_id: str | None = None
    map_index: _Number | None = None
    try_number: _Number | None = None
    max_tries: _Number | None = None
    logical_date: datetime | None = None
    log_url: str | None = None


def read_step(path: Path) -> Step:
    """Read an `observe.json`. Raises UnreadableArtifact; keys that are not known are ignored."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Step)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OSError) as error:
        raise UnreadableArtifact(
            f"{FILE_NAME} cannot be read: {error}",
            where=str(path),
            next_step="remove it; the step is then read from dbt's own files and from the options given",
        ) from error


def write_step(step: Step, path: Path) -> None:
    """Write an `observe.json` so that no reader ever sees half of it."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(step), indent=1))
    partial.replace(path)
