"""Settings: arguments > environment > dbt_observe.toml > `[tool.dbt-observe]` in pyproject.toml > defaults.

The two files are looked for from the current directory upwards, as far as the git root. The nearest directory that has
either of them is the one that is read. Each place is checked by itself, before they are merged, so that an error names
the place that it stands in, and a wrong value is told even where another place overrides it.
"""

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from observability.config.models import Settings
from observability.config.problems import PYPROJECT_TABLE, check, nearest, unknown
from observability.config.reference import (
    ENVIRONMENT_PREFIX,
    LIST_OF_TEXTS,
    NESTED,
    TABLES,
    Setting,
    describe_settings,
    variable_of,
)
from observability.errors import ConfigError

FILE_NAME = "dbt_observe.toml"
_OWN_TABLE = "dbt-observe"


def load_settings(start: Path | None = None, /, **cli_overrides: object) -> Settings:
    """Read the settings. An override of None is as good as absent, in nested tables too. Raises ConfigError.

    Files are looked for from `start` upwards, else from the current directory.
    """
    overrides = _without_none(cli_overrides)
    check(overrides, lambda key: f"argument {key}")
    merged: dict[str, Any] = {}
    files = [file.content for file in _read_files(start or _working_directory())]
    for layer in (*reversed(files), _read_environment(os.environ), overrides):
        merged = _merge(merged, layer)
    return Settings.model_validate(merged)


def settings_places() -> list[str]:
    """Where settings are given, what counts most first: environment variables by name, then files; no values.

    Raises ConfigError.
    """
    variables = sorted(name for name in os.environ if name.upper().startswith(ENVIRONMENT_PREFIX) and os.environ[name])
    return [*variables, *(os.path.relpath(file.path) for file in _read_files(_working_directory()))]


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Two places as one: what stands above hides what stands below, table by table."""
    merged = dict(below)
    for key, value in above.items():
        known = merged.get(key)
        merged[key] = _merge(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise ConfigError(
            f"the current directory cannot be told: {error.strerror}",
            next_step="change to a directory that exists",
        ) from error


def _read_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """Read `DBT_OBSERVE_…`: lists of texts with commas, tables as JSON; an empty variable is as good as absent."""
    known = {setting.variable: setting for setting in describe_settings() if setting.variable}
    layer: dict[str, Any] = {}
    for name, value in environ.items():
        if not name.upper().startswith(ENVIRONMENT_PREFIX):
            continue
        if name not in known:
            key = name[len(ENVIRONMENT_PREFIX) :].lower().replace(NESTED, ".")
            near = nearest(key, [setting.key for setting in known.values()])
            raise unknown(name, f"environment variable {name}", near and variable_of(near), list(known))
        if value:
            _put(layer, known[name], value)
    check(layer, lambda key: f"environment variable {variable_of(key)}")
    return layer


def _put(layer: dict[str, Any], setting: Setting, value: str) -> None:
    *tables, last = setting.key.split(".")
    for table in tables:
        layer = layer.setdefault(table, {})
    if setting.type == LIST_OF_TEXTS:
        layer[last] = [part.strip() for part in value.split(",") if part.strip()]
    elif setting.type in TABLES:
        layer[last] = _read_json(setting, value)
    else:
        layer[last] = value


def _read_json(setting: Setting, value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError as error:
        raise ConfigError(
            f"{setting.key} cannot be read: {error}",
            where=f"environment variable {setting.variable}",
            next_step=f"write the {setting.type} as JSON, or set it in {FILE_NAME}",
        ) from error


class _File(NamedTuple):
    path: Path
    table: str
    content: Any

    def where(self, key: str) -> str:
        return f"{self.path}: {'.'.join(filter(None, (self.table, key)))}"


def _read_files(start: Path) -> list[_File]:
    """Read the nearest directory's settings, dbt_observe.toml first; upwards, no further than the git root."""
    for directory in (start, *start.parents):
        found = [*_own_file(directory / FILE_NAME), *_pyproject(directory / "pyproject.toml")]
        for file in found:
            check(file.content, file.where)
        if found or (directory / ".git").exists():
            return found
    return []


def _own_file(path: Path) -> Iterator[_File]:
    if _is_file(path):
        yield _File(path, "", _read_toml(path))


def _pyproject(path: Path) -> Iterator[_File]:
    tools = _read_toml(path).get("tool", {}) if _is_file(path) else {}
    if not isinstance(tools, dict):
        return
    for name in tools:
        if name != _OWN_TABLE and name.lower().replace("_", "-") in {_OWN_TABLE, "dbt-observability"}:
            raise unknown(f"tool.{name}", f"{path}: tool.{name}", PYPROJECT_TABLE, [])
    if _OWN_TABLE in tools:
        yield _File(path, PYPROJECT_TABLE, tools[_OWN_TABLE])


def _is_file(path: Path) -> bool:
    # A directory above ours that we may not look into has no settings for us.
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises PermissionError


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        # tomllib's message ends in "(at line 3, column 5)".
        problem = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(
            f"{path.name} cannot be read: {problem}", where=str(path), next_step="correct the file, or remove it"
        ) from error


def _without_none(values: Mapping[str, object]) -> dict[str, Any]:
    return {
        key: _without_none(cast("Mapping[str, object]", value)) if isinstance(value, dict) else value
        for key, value in values.items()
        if value is not None
    }
