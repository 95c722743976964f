"""Settings: arguments > environment > dbt_observe.toml > `[tool.dbt-observe]` in pyproject.toml > defaults.

The two files are looked for from the current directory upwards, as far as the git root. The nearest directory that has
either of them is the one that is read. Each place is checked by itself, before they are merged, so that an error names
the place that it stands in, and a wrong value is told even where another place overrides it.
"""

import difflib
import json
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, NamedTuple, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from observability.errors import ConfigError

ENVIRONMENT_PREFIX = "DBT_OBSERVE_"
FILE_NAME = "dbt_observe.toml"
_TABLE = "dbt-observe"
PYPROJECT_TABLE = f"tool.{_TABLE}"
_NESTED = "__"
_SHOWN_LENGTH = 80

_FROZEN = ConfigDict(frozen=True, extra="forbid")
_Names = tuple[Annotated[str, StringConstraints(min_length=1)], ...]


class RedactionSettings(BaseModel):
    """What is taken out of dbt's environment and variables before they are stored."""

    model_config = _FROZEN

    patterns: _Names = Field(
        default=("token", "password", "passwd", "secret", "key", "credential", "private"),
        description="Parts of names, in any case: what a variable holds whose name contains one of them is not stored.",
    )
    allow: _Names = Field(default=(), description="Names whose values are stored although a pattern matches them.")


class StorageSettings(BaseModel):
    """How much of dbt's artifacts is stored."""

    model_config = _FROZEN

    compiled_code: Literal["failures", "all", "none"] = Field(
        default="failures", description="Of which results the compiled SQL is stored."
    )
    conformance_manifest_max_bytes: int = Field(
        default=20_000_000,
        ge=0,
        description="Manifests larger than this are not checked against their schema, which takes 1 s for 20 MB.",
    )


class SlackSettings(BaseModel):
    """Where incidents are told."""

    model_config = _FROZEN

    token: SecretStr | None = Field(
        default=None, description="Bot token (xoxb-…) of a Slack app; without one, nothing is posted."
    )
    channel: str | None = Field(
        default=None, min_length=1, description="Channel that incidents are told in: its id or its name."
    )
    base_url: str = Field(
        default="https://slack.com/api/", min_length=1, description="Slack's Web API, or a proxy to it."
    )
    timeout_seconds: float = Field(
        default=30.0, gt=0, allow_inf_nan=False, description="Seconds to wait for an answer of Slack."
    )
    settle_seconds: float = Field(
        default=60.0,
        ge=0,
        allow_inf_nan=False,
        description="Seconds after which a post whose answer got lost is looked for, for it may take effect late.",
    )


class Settings(BaseModel):
    """All settings; immutable. `load_settings` reads them from where they are set."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    store: str = Field(
        default="duckdb:///.dbt_observe/audit.duckdb", min_length=1, description="Where the audit rows are kept."
    )
    environment: str | None = Field(
        default=None,
        min_length=1,
        description="Name of the deployment, such as prod; without one, dbt's target is taken.",
    )
    artifacts_dir: Path = Field(
        default=Path(".dbt_observe/artifacts"),
        description="Directory in which `dbt-observe run` gives each dbt command a fresh target path.",
    )
    lock_timeout_seconds: float = Field(
        default=60.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds to wait for another process that is writing to the store.",
    )
    store_timeout_seconds: float = Field(
        default=60.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds for which a request to BigQuery is repeated while it does not answer.",
    )
    spool_dir: Path = Field(
        default=Path(".dbt_observe/spool"),
        description="Directory in which loads are kept while the store does not answer; the next ingest stores them.",
    )
    artifacts_kept: int = Field(
        default=10,
        ge=0,
        description="How many loaded steps of `dbt-observe run` keep their artifacts and event log in artifacts_dir.",
    )
    redaction: RedactionSettings = Field(default=RedactionSettings(), description="What is not stored.")
    storage: StorageSettings = Field(default=StorageSettings(), description="How much is stored.")
    slack: SlackSettings = Field(default=SlackSettings(), description="Where incidents are told.")


def load_settings(**cli_overrides: object) -> Settings:
    """Read the settings. An override of None is as good as absent, in nested tables too. Raises ConfigError."""
    overrides = _without_none(cli_overrides)
    _check(overrides, lambda key: f"argument {key}")
    merged: dict[str, Any] = {}
    for layer in (*reversed(_read_files(_working_directory())), _read_environment(os.environ), overrides):
        merged = _merge(merged, layer)
    return Settings.model_validate(merged)


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Two places as one: what stands above hides what stands below, table by table."""
    merged = dict(below)
    for key, value in above.items():
        known = merged.get(key)
        merged[key] = _merge(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as the reference shows it. `default` is in TOML's notation, empty where there is none."""

    key: str
    variable: str
    type: str
    default: str
    description: str


def describe_settings() -> list[Setting]:
    """List every setting that can be given, in the order of their declaration."""
    return list(_settings(Settings, ""))


def _settings(model: type[BaseModel], prefix: str) -> Iterator[Setting]:
    for name, field in model.model_fields.items():
        key = prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _settings(field.annotation, f"{key}.")
        else:
            kind, default = _type_name(field.annotation), _toml(field.default)
            yield Setting(key, _variable(key), kind, default, field.description or "")


_TYPE_NAMES: dict[object, str] = {
    str: "text",
    Path: "path",
    int: "whole number",
    float: "number",
    SecretStr: "secret text",
    _Names: "list of texts",
}


def _type_name(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " | ".join(get_args(annotation))
    given = [each for each in get_args(annotation) if each is not NoneType]
    return _TYPE_NAMES[given[0] if NoneType in get_args(annotation) else annotation]


def _toml(value: object) -> str:
    if value is None:
        return ""
    return json.dumps(list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value)


def _variable(key: str) -> str:
    return ENVIRONMENT_PREFIX + key.replace(".", _NESTED).upper()


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise ConfigError(
            f"the current directory cannot be told: {error.strerror}",
            next_step="change to a directory that exists",
        ) from error


def _read_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """Read `DBT_OBSERVE_…`; lists are separated by commas, and an empty variable is as good as absent."""
    known = {setting.variable: setting for setting in describe_settings()}
    layer: dict[str, Any] = {}
    for name, value in environ.items():
        if not name.upper().startswith(ENVIRONMENT_PREFIX):
            continue
        if name not in known:
            key = name[len(ENVIRONMENT_PREFIX) :].lower().replace(_NESTED, ".")
            near = _nearest(key, [setting.key for setting in known.values()])
            raise _unknown(name, f"environment variable {name}", near and _variable(near), list(known))
        if value:
            _put(layer, known[name], value)
    _check(layer, lambda key: f"environment variable {_variable(key)}")
    return layer


def _put(layer: dict[str, Any], setting: Setting, value: str) -> None:
    *tables, last = setting.key.split(".")
    for table in tables:
        layer = layer.setdefault(table, {})
    is_list = setting.type == _TYPE_NAMES[_Names]
    layer[last] = [part.strip() for part in value.split(",") if part.strip()] if is_list else value


class _File(NamedTuple):
    path: Path
    table: str
    content: Any

    def where(self, key: str) -> str:
        return f"{self.path}: {'.'.join(filter(None, (self.table, key)))}"


def _read_files(start: Path) -> list[dict[str, Any]]:
    """Read the nearest directory's settings, dbt_observe.toml first; upwards, no further than the git root."""
    for directory in (start, *start.parents):
        found = [*_own_file(directory / FILE_NAME), *_pyproject(directory / "pyproject.toml")]
        for file in found:
            _check(file.content, file.where)
        if found or (directory / ".git").exists():
            return [file.content for file in found]
    return []


def _own_file(path: Path) -> Iterator[_File]:
    if _is_file(path):
        yield _File(path, "", _read_toml(path))


def _pyproject(path: Path) -> Iterator[_File]:
    tools = _read_toml(path).get("tool", {}) if _is_file(path) else {}
    if not isinstance(tools, dict):
        return
    for name in tools:
        if name != _TABLE and name.lower().replace("_", "-") in {_TABLE, "dbt-observability"}:
            raise _unknown(f"tool.{name}", f"{path}: tool.{name}", PYPROJECT_TABLE, [])
    if _TABLE in tools:
        yield _File(path, PYPROJECT_TABLE, tools[_TABLE])


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


def _check(values: object, where: Callable[[str], str]) -> None:
    """Check what one place says. `where` tells the place of a dotted key."""
    try:
        Settings.model_validate(values)
    except ValidationError as error:
        # Without a cause: pydantic's own error shows the values.
        raise _config_error(error.errors(include_url=False), where) from None


def _config_error(findings: list[ErrorDetails], where: Callable[[str], str]) -> ConfigError:
    """Tell the first finding, unknown keys before wrong values, and how many more there are."""
    finding = min(findings, key=lambda each: each["type"] != "extra_forbidden")
    key = ".".join(part for part in finding["loc"] if isinstance(part, str))
    settings = {setting.key: setting for setting in describe_settings()}
    if finding["type"] == "extra_forbidden":
        tables = sorted({each.rpartition(".")[0] for each in settings} - {""})
        return _unknown(key, where(key), _nearest(key, [*settings, *tables]), list(settings))
    more = f" ({len(findings) - 1} more to correct)" if len(findings) > 1 else ""
    setting = settings.get(key)
    if setting is None:
        table = key or PYPROJECT_TABLE
        return ConfigError(
            f"{table} should be a table{more}", where=where(key), next_step=f"write [{table}], and its settings below"
        )
    such_as = f", such as {setting.default}" if setting.default else ""
    return ConfigError(
        f"{key}{_shown(key, finding['input'])} {_PROBLEMS.get(finding['type'], finding['msg'].removeprefix('Input '))}"
        + more,
        where=where(key),
        next_step=f"expected: {setting.type}{such_as}",
    )


_PROBLEMS = {
    "string_type": "should be text",
    "path_type": "should be a path",
    "tuple_type": "should be a list of texts",
    "int_type": "should be a whole number",
    "int_parsing": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_type": "should be a number",
    "float_parsing": "should be a number",
    "finite_number": "should be a finite number",
    "string_too_short": "should not be empty",
}


def _shown(key: str, value: object) -> str:
    """A wrong value as part of a sentence; nothing where it may hold a secret or is no single value."""
    secret = any(pattern in key for pattern in RedactionSettings().patterns)
    if secret or not isinstance(value, str | int | float) or "://" in str(value):
        return ""
    text = repr(value)
    return f" is {text}, but" if len(text) <= _SHOWN_LENGTH else ""


def _unknown(name: str, where: str, near: str | None, known: list[str]) -> ConfigError:
    next_step = f"did you mean {near}?" if near else f"there are: {', '.join(known)}"
    return ConfigError(f"{name} is not a setting", where=where, next_step=next_step)


def _nearest(key: str, known: list[str]) -> str | None:
    """The known key that resembles `key` most, in full or in its last part."""
    wanted = key.lower().replace("-", "_")
    by_last_part = {each.rpartition(".")[2]: each for each in known}
    full = difflib.get_close_matches(wanted, known, n=1)
    last = difflib.get_close_matches(wanted.rpartition(".")[2], by_last_part, n=1)
    return full[0] if full else by_last_part[last[0]] if last else None
