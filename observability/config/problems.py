"""What one place says, checked; what is wrong there is told with its place and what it should be."""

import difflib
from collections.abc import Callable

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from observability.config.models import RedactionSettings, Settings
from observability.config.reference import describe_settings, place_of
from observability.errors import ConfigError

PYPROJECT_TABLE = "tool.dbt-observe"
_SHOWN_LENGTH = 80


def check(values: object, where: Callable[[str], str]) -> None:
    """Check what one place says. `where` tells the place of a dotted key."""
    try:
        Settings.model_validate(values)
    except ValidationError as error:
        # Without a cause: pydantic's own error shows the values.
        raise _config_error(error.errors(include_url=False), where) from None


def _config_error(findings: list[ErrorDetails], where: Callable[[str], str]) -> ConfigError:
    """Tell the first finding, unknown keys before wrong values, and how many more there are."""
    finding = min(findings, key=lambda each: each["type"] != "extra_forbidden")
    place, key = place_of(finding["loc"])
    settings = {setting.key: setting for setting in describe_settings()}
    if finding["type"] == "extra_forbidden":
        tables = sorted({each.rpartition(".")[0] for each in settings} - {""})
        return unknown(place, where(place), nearest(key, [*settings, *tables]), list(settings))
    more = f" ({len(findings) - 1} more to correct)" if len(findings) > 1 else ""
    setting = settings.get(key) or settings.get(key.removesuffix("[]").removesuffix(".*"))
    if setting and setting.key != key and setting.type != "list of tables":
        place = place.rpartition("[")[0] or place  # which of some texts it is, its value tells
    if setting is None:
        table = place or PYPROJECT_TABLE
        return ConfigError(
            f"{table} {_TABLE}{more}", where=where(place), next_step=f"write [{table}], and its settings below"
        )
    such_as = f", such as {setting.default}" if setting.default else ""
    return ConfigError(
        f"{place}{_shown(key, finding['input'])} {_problem(finding, setting.type)}{more}",
        where=where(place),
        next_step=f"expected: {setting.type}{such_as}",
    )


def _problem(finding: ErrorDetails, expected: str) -> str:
    said = finding["msg"].removeprefix("Input ").removeprefix("Value error, ")
    return f"should be a {expected}" if finding["type"] == "tuple_type" else _PROBLEMS.get(finding["type"], said)


_TABLE = "should be a table"
_DATE = "should be a date such as 2026-12-01"
_PROBLEMS = {
    "string_type": "should be text",
    "path_type": "should be a path",
    "int_type": "should be a whole number",
    "int_parsing": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_type": "should be a number",
    "float_parsing": "should be a number",
    "finite_number": "should be a finite number",
    "string_too_short": "should not be empty",
    "date_type": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_from_datetime_inexact": _DATE,
    "missing": "is missing",
    "model_type": _TABLE,
    "mapping_type": _TABLE,
}


def _shown(key: str, value: object) -> str:
    """A wrong value as part of a sentence; nothing where it may hold a secret or is no single value."""
    secret = any(pattern in key for pattern in RedactionSettings().patterns)
    if secret or not isinstance(value, str | int | float) or "://" in str(value):
        return ""
    text = repr(value)
    return f" is {text}, but" if len(text) <= _SHOWN_LENGTH else ""


def unknown(name: str, where: str, near: str | None, known: list[str]) -> ConfigError:
    """The error for a name that is no setting; `near` is what may have been meant."""
    next_step = f"did you mean {near}?" if near else f"there are: {', '.join(known)}"
    return ConfigError(f"{name} is not a setting", where=where, next_step=next_step)


def nearest(key: str, known: list[str]) -> str | None:
    """The known key that resembles `key` most, in full or in its last part."""
    wanted = key.lower().replace("-", "_")
    by_last_part = {each.rpartition(".")[2]: each for each in known}
    full = difflib.get_close_matches(wanted, known, n=1)
    last = difflib.get_close_matches(wanted.rpartition(".")[2], by_last_part, n=1)
    return full[0] if full else by_last_part[last[0]] if last else None
