"""The settings as a reference lists them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from observability.config.models import Settings

ENVIRONMENT_PREFIX = "DBT_OBSERVE_"
NESTED = "__"

LIST_OF_TEXTS = "list of texts"
TABLES = frozenset({"list of tables", "table of texts", "table of tables"})
"""Types that an environment variable gives as JSON."""
_TYPE_NAMES: dict[object, str] = {
    str: "text",
    Path: "path",
    int: "whole number",
    float: "number",
    bool: "true | false",
    SecretStr: "secret text",
    date: "date",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as the reference shows it. `default` is in TOML's notation, empty where there is none.

    `variable` is empty for what stands within a list of tables or below a name of the user's: `key` has `[]` or `*`
    there.
    """

    key: str
    variable: str
    type: str
    default: str
    description: str


def describe_settings() -> list[Setting]:
    """List every setting that can be given, in the order of their declaration."""
    return list(_settings(Settings, "", is_nested=False))


def _settings(model: type[BaseModel], prefix: str, *, is_nested: bool) -> Iterator[Setting]:
    for name, field in model.model_fields.items():
        key, annotation = prefix + name, _plain(field.annotation)
        if _is_model(annotation):
            yield from _settings(annotation, f"{key}.", is_nested=is_nested)
            continue
        variable = "" if is_nested else variable_of(key)
        yield Setting(key, variable, _type_name(annotation), _default(field), field.description or "")
        inner = _inner(annotation)
        if _is_model(inner):
            yield from _settings(inner, f"{key}{_step(annotation)}.", is_nested=True)


def place_of(loc: Sequence[int | str]) -> tuple[str, str]:
    """Where pydantic found something: as people write it, and as the key of a Setting, however deep it lies."""
    shown = key = ""
    current: Any = Settings
    for part in loc:
        is_own_name = get_origin(current) is Mapping or get_origin(current) is tuple
        shown += f"[{part}]" if isinstance(part, int) else f".{part}"
        key += _step(current) if is_own_name else f".{part}"
        field = current.model_fields.get(part) if _is_model(current) else None
        current = _plain(field.annotation) if field else _inner(current)
    return shown.removeprefix("."), key.removeprefix(".")


def variable_of(key: str) -> str:
    """The environment variable of a setting."""
    return ENVIRONMENT_PREFIX + key.replace(".", NESTED).upper()


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _plain(annotation: Any) -> Any:
    """A type without what it may be beside None, and without its checks."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    given = [each for each in get_args(annotation) if each is not NoneType]
    return _plain(given[0]) if NoneType in get_args(annotation) else annotation


def _inner(annotation: Any) -> Any:
    """The type of what a list or a table holds; None where it is neither."""
    if get_origin(annotation) is tuple:
        return _plain(get_args(annotation)[0])
    return _plain(get_args(annotation)[1]) if get_origin(annotation) is Mapping else None


def _step(annotation: Any) -> str:
    return "[]" if get_origin(annotation) is tuple else ".*"


def _type_name(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " | ".join(get_args(annotation))
    inner = _inner(annotation)
    if inner is None:
        return _TYPE_NAMES.get(annotation, "timestamp")
    kind = "tables" if _is_model(inner) else "texts" if inner is str else _type_name(inner)
    return f"list of {kind}" if get_origin(annotation) is tuple else f"table of {kind}"


def _default(field: FieldInfo) -> str:
    """In TOML's notation; nothing for what has none and for a table."""
    value = field.default
    if value is None or value is PydanticUndefined:
        return ""
    return json.dumps(list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value)
