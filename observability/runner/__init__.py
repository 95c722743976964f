"""Runs one dbt step and keeps what it left: a fresh target path, a token, the exit code, the times.

`run_step` is `dbt` with a witness: same output, same exit code, same files where the project expects them.
"""

from observability.runner.attempt import Attempt, NotStartedError, run_step
from observability.runner.process import exit_status
from observability.runner.surroundings import Linkage, git_state, linkage_from_environment

__all__ = [
    "Attempt",
    "Linkage",
    "NotStartedError",
    "exit_status",
    "git_state",
    "linkage_from_environment",
    "run_step",
]
