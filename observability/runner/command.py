"""What a command line says of dbt: which subcommand it runs, where its project and its target path are.

The command may be `dbt`, a launcher (`uv run dbt`, `python -m dbt.cli.main`) or a script that ends in dbt. What cannot
be known is left open rather than guessed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

PROJECT_FILE = "dbt_project.yml"
CACHE = "partial_parse.msgpack"

# Flags beat the environment in dbt, so these have to leave the command line for our values to count.
_LOG_OPTIONS = ("--log-path", "--log-format-file", "--log-level-file", "--log-file-max-bytes")

_PROGRAM = re.compile(r"dbtf?(\.exe)?|dbt(\.cli)?\.(__)?main(__)?")
_PARSING = frozenset(
    """build clone compile docs freshness list ls parse retry run run-operation seed show snapshot source
    test""".split()  # noqa: SIM905 - sixteen quoted words would hide them
)
_NOT_PARSING = frozenset(("clean", "debug", "deps", "init"))
# These work on the target path that is already there: a fresh one would change what they do.
_ON_OWN_TARGET = frozenset(("clean", "init", "docs serve"))
_NOT_PLAIN = "|>&*!{[~"  # what starts a YAML value that is not a plain scalar


@dataclass(frozen=True)
class DbtCommand:
    """A command line, read. `words` is what to start; options that would send dbt's files elsewhere are out of it.

    `wrapped` means that no word of it is dbt itself, so that what dbt is asked to do is not known.
    """

    words: tuple[str, ...]
    subcommand: str | None = None
    wrapped: bool = False
    target_path: str | None = None
    project_dir: str | None = None
    directory: str | None = None

    @property
    def redirected(self) -> bool:
        """Whether dbt gets a fresh target path."""
        return self.subcommand not in _ON_OWN_TARGET

    @property
    def parses(self) -> bool:
        """Whether dbt reads the project, as far as we know."""
        return self.redirected and self.subcommand not in _NOT_PARSING


def is_dbt(word: str) -> bool:
    """Whether a word of a command line is dbt's own program."""
    return _PROGRAM.fullmatch(PurePath(word).name) is not None


def read_command(command: Sequence[str]) -> DbtCommand:
    """Read a command line."""
    program = next((i for i, word in enumerate(command) if is_dbt(word)), None)
    start = 0 if program is None else program
    launcher, arguments = list(command[: start + 1]), list(command[start + 1 :])
    subcommand = _subcommand(arguments)
    _, project_dir = _take(arguments, ("--project-dir",))
    _, directory = _take(launcher[:-1], ("--directory", "-C"))
    arguments, _ = _take(arguments, _LOG_OPTIONS)
    without, target_path = _take(arguments, ("--target-path",))
    if subcommand not in _ON_OWN_TARGET:
        arguments = without
    return DbtCommand(
        words=(*launcher, *arguments),
        subcommand=subcommand,
        wrapped=program is None,
        target_path=target_path,
        project_dir=project_dir,
        directory=directory,
    )


def _subcommand(arguments: Sequence[str]) -> str | None:
    for i, word in enumerate(arguments):
        if word == "docs" and "serve" in arguments[i + 1 :]:
            return "docs serve"
        if word in _PARSING or word in _NOT_PARSING:
            return word
    return None


def _take(words: Sequence[str], names: Sequence[str]) -> tuple[list[str], str | None]:
    """The words without these options, and the value of the last one. A name without a value is dbt's to refuse."""
    kept: list[str] = []
    value = None
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, after = word.partition("=")
        if word in names and rest:
            value = rest.pop(0)
        elif name in names and equals:
            value = after
        else:
            kept.append(word)
    return kept, value


def find_project(command: DbtCommand, environment: Mapping[str, str], cwd: Path) -> Path | None:
    """The folder of dbt_project.yml, found as dbt finds it; None if it is not there."""
    start = cwd / (command.directory or "")
    named = command.project_dir or from_environment(environment, "DBT_PROJECT_DIR")
    folders = (start / named,) if named else (start, *start.parents)
    return next((folder for folder in folders if (folder / PROJECT_FILE).is_file()), None)


def find_target(command: DbtCommand, environment: Mapping[str, str], project: Path) -> Path | None:
    """The project's own target path; None if dbt_project.yml computes it, which only dbt can do."""
    named = command.target_path or from_environment(environment, "DBT_TARGET_PATH")
    if named:
        return project / named
    written = read_setting(project, "target-path") or "target"
    return None if "{{" in written or written[0] in _NOT_PLAIN else project / written


def from_environment(environment: Mapping[str, str], name: str) -> str | None:
    """A setting of dbt's. Since 1.11 each has a second name, DBT_ENGINE_…, which comes first."""
    return environment.get(engine_name(name)) or environment.get(name) or None


def engine_name(name: str) -> str:
    """DBT_X → DBT_ENGINE_X."""
    return name.replace("DBT_", "DBT_ENGINE_", 1)


def read_setting(project: Path, key: str) -> str | None:
    """A top-level scalar of dbt_project.yml as it is written there: a YAML parser is a lot for two keys."""
    try:
        text = (project / PROJECT_FILE).read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return None
    found = re.search(
        rf"""^(['"]?){key}\1[ \t]*:[ \t]+("[^"\n]*"|'[^'\n]*'|[^\n]*?)[ \t]*(\s#.*)?$""", text, re.MULTILINE
    )
    return found[2].strip("'\"") if found else None


def needed_from_before(command: DbtCommand, project: Path) -> tuple[str, ...]:
    """The files of earlier steps that dbt reads from its target path, and so has to find in a fresh one.

    The cache saves a full parse, `dbt retry` starts from run_results.json, and `source_status:` compares
    with sources.json. The last two are given only where needed: a fresh path proves most when it is empty.
    """
    if not command.parses:
        return ()
    names = [CACHE]
    if command.wrapped or "retry" in command.words:
        names.append("run_results.json")
    if command.wrapped or _mentions_source_status(command, project):
        names.append("sources.json")
    return tuple(names)


def _mentions_source_status(command: DbtCommand, project: Path) -> bool:
    if any("source_status:" in word for word in command.words):
        return True
    try:
        return "source_status" in (project / "selectors.yml").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
