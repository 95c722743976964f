"""Single values of dbt's, as they are stored."""

import re

import msgspec

from observability.artifacts.json_file import decode_raw
from observability.audit.schema import Json

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def canonical_json(value: object) -> Json:
    """A value as JSON in its one canonical form: keys sorted, no spaces."""
    return Json(msgspec.json.encode(value, order="sorted").decode())


def canonical(raw: msgspec.Raw) -> Json | None:
    """Undecoded JSON in its canonical form; None where it is absent, null or empty."""
    value = decode_raw(raw)
    return canonical_json(value) if value else None


def clean(message: str | None) -> str | None:
    """dbt's text without terminal colours; None for an empty one, which dbt writes where it has none."""
    return _ANSI.sub("", message).strip("\n") or None if message else None


def integer(value: object) -> int | None:
    """A count, which adapters report as a number or as text; None for anything else."""
    try:
        return int(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
    except (ValueError, OverflowError):
        return None
