"""One attempt at one dbt step, from the command line to the files that are left.

Observing must not hurt: where there is no place for dbt's files, dbt runs as if we were not there.
"""

import copy
import os
import shlex
import uuid
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from observability.artifacts.step import FILE_NAME, TOKEN_VARIABLE, Step, write_step
from observability.errors import CommandError
from observability.runner import target
from observability.runner.command import (
    PROJECT_FILE,
    DbtCommand,
    engine_name,
    find_project,
    find_target,
    needed_from_before,
    read_command,
)
from observability.runner.process import held_signals, start_process
from observability.runner.surroundings import git_state

NOT_EXECUTABLE = 126  # the shell's own numbers
NOT_FOUND = 127

_LINKED = ("dag_id", "dag_run_id", "task_id", "map_index", "try_number")


@dataclass(frozen=True)
class Attempt:
    """What came of a step.

    folder: dbt's files, its JSON log and observe.json; None if dbt had to run unobserved, `warnings` say why.
    step: as written to observe.json when dbt had ended. published: the project's own target path, if files went there.
    """

    folder: Path | None
    step: Step
    published: Path | None = None
    warnings: tuple[str, ...] = ()


class NotStartedError(CommandError):
    """The command is not there (127) or cannot be executed (126). `attempt` is the record of it."""

    def __init__(self, what: str, *, where: str, next_step: str, attempt: Attempt) -> None:
        super().__init__(what, where=where, next_step=next_step)
        self.attempt = attempt


@dataclass
class _Run:
    """A step under way. Without a folder it runs unobserved."""

    words: Sequence[str]
    environment: Mapping[str, str]
    step: Step
    folder: Path | None = None
    own: Path | None = None
    project: Path | None = None
    seeds: Mapping[Path, target.Stamp] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def run_step(
    command: Sequence[str],
    folder: Path,
    step: Step,
    *,
    environment: Mapping[str, str] | None = None,
    final_codes: Collection[int] = (0,),
    grace_seconds: float = 30.0,
) -> Attempt:
    """Run dbt with `folder` as its target path, and return when it has ended, however it ended.

    `folder` is this attempt's alone: new, or empty. `step` is what the caller knows; command, times, token, exit code
    and the commit (if not given) are filled in. `environment` is dbt's, else our own. After an exit code that is one of
    `final_codes` the step is not tried again, whatever its caller knew. `grace_seconds` passes between asking dbt to
    stop and killing it; what is raised meanwhile, by a timer of the caller's, stops dbt as a signal does.
    Raises CommandError for a used folder or an empty command, NotStartedError if the command cannot be started.
    """
    if not command:
        raise CommandError("no command was given", next_step="put it after --, as in: dbt-observe run -- dbt build")
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 - resolve() would replace the name that the caller gave
    with held_signals() as signals:  # until all is written: a second Ctrl-C must not leave half a record
        run = _prepare(command, folder, step, os.environ if environment is None else environment)
        try:
            process = start_process(run.words, run.environment, signals, grace_seconds)
        except (OSError, ValueError) as error:  # the second for a null byte
            raise _not_started(run, command, error) from error
        try:
            code = process.wait()
        except BaseException:  # a time limit of our caller's: dbt must not outlive it, and what it has done is recorded
            _finish(run, process.stop())
            raise
        run.step.will_retry = run.step.will_retry and code not in final_codes
        return _finish(run, code)


def _prepare(command: Sequence[str], folder: Path, given: Step, environment: Mapping[str, str]) -> _Run:
    step = copy.copy(given)
    # msgspec refuses what is not Unicode; argv may be anything.
    step.command = shlex.join(command).encode(errors="backslashreplace").decode()
    step.started_at = datetime.now(UTC)
    run = _Run(command, environment, step)
    observed = copy.copy(step)
    observed.token = uuid.uuid4().hex
    try:
        _claim(folder)
        _observe(run, read_command(command), folder, observed)
    except OSError as error:
        run.warnings.append(f"dbt ran unobserved, on its own target path: {folder} cannot be used ({error})")
    return run


def _claim(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise CommandError(
            "the folder of this attempt is not empty, so what dbt leaves there could not be told from what was there",
            where=str(folder),
            next_step="give each attempt a folder of its own, for example one that ends in the try number",
        )


def _observe(run: _Run, dbt: DbtCommand, folder: Path, step: Step) -> None:
    """Make the fresh target path ready and point dbt to it. Raises OSError, and has then changed nothing."""
    project = find_project(dbt, run.environment, Path.cwd())
    own = find_target(dbt, run.environment, project) if project else None
    if step.git_sha is None:
        sha, branch = git_state(project or Path.cwd())
        step.git_sha, step.git_branch = sha, step.git_branch or branch
    try:
        target.check_room(folder, own)
        write_step(step, folder / FILE_NAME)
        seeds = target.seed(own, folder, needed_from_before(dbt, project)) if own and project else {}
    except OSError:
        _undo(folder)
        raise
    if own and dbt.parses:
        target.link_code(own, folder)
    run.words = dbt.words
    run.environment = _environment(dbt, folder, step, run.environment)
    run.step, run.folder, run.own, run.project, run.seeds = step, folder, own, project, seeds


def _undo(folder: Path) -> None:
    """Take back a folder that dbt will not use: a record without an end would read as a dbt that is still running."""
    with suppress(OSError):
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def _environment(dbt: DbtCommand, folder: Path, step: Step, given: Mapping[str, str]) -> dict[str, str]:
    ours = {
        "DBT_LOG_PATH": str(folder),
        "DBT_LOG_FORMAT_FILE": "json",
        "DBT_LOG_LEVEL_FILE": "debug",
        "DBT_LOG_FILE_MAX_BYTES": "0",  # never rotated: the start of a log says as much as its end
    }
    if dbt.redirected:
        ours["DBT_TARGET_PATH"] = str(folder)
    first_names = {engine_name(name) for name in ours}
    environment = {name: value for name, value in given.items() if name not in first_names}
    prefix = TOKEN_VARIABLE.removesuffix("TOKEN")
    linked = {prefix + name.upper(): str(getattr(step, name)) for name in _LINKED if getattr(step, name) is not None}
    return environment | ours | linked | {TOKEN_VARIABLE: step.token or ""}


def _not_started(run: _Run, command: Sequence[str], error: OSError | ValueError) -> NotStartedError:
    missing = isinstance(error, FileNotFoundError | NotADirectoryError)
    attempt = _finish(run, NOT_FOUND if missing else NOT_EXECUTABLE)
    if missing:
        what = f"{command[0]} was not found, or the interpreter that its first line names"
        next_step = "activate the environment that dbt is installed in, or give the whole path"
    else:
        what = f"{command[0]} cannot be executed: {getattr(error, 'strerror', None) or error}"
        next_step = "give the program or script itself, and make it executable (chmod +x)"
    return NotStartedError(what, where=shlex.join(command), next_step=next_step, attempt=attempt)


def _finish(run: _Run, code: int) -> Attempt:
    """Record the end, then publish: what is slower or can fail comes last."""
    run.step.completed_at = datetime.now(UTC)
    run.step.exit_code = code
    if run.folder is None:
        return Attempt(None, run.step, warnings=tuple(run.warnings))
    try:
        write_step(run.step, run.folder / FILE_NAME)
    except OSError as error:
        run.warnings.append(f"the end of this step could not be recorded in {run.folder}: {error}")
    try:
        target.remove_untouched(run.seeds)
    except OSError as error:
        run.warnings.append(f"files of earlier steps could not be removed from {run.folder}: {error}")
        return Attempt(run.folder, run.step, warnings=tuple(run.warnings))
    published = _publish(run, run.folder, killed=code < 0 or code >= 128)
    return Attempt(run.folder, run.step, published, tuple(run.warnings))


def _publish(run: _Run, folder: Path, *, killed: bool) -> Path | None:
    if run.own is None or run.project is None or not target.is_of_project(folder, run.project):
        if (folder / "manifest.json").exists():
            run.warnings.append(
                f"dbt's files are in {folder} only: the target path of its project is not known from here; "
                f"run from the folder of {PROJECT_FILE}, or give --project-dir and --target-path"
            )
        return None
    publication = target.publish(folder, run.own, killed=killed)
    run.warnings.extend(publication.warnings(run.own, folder))
    return run.own if publication.files else None
