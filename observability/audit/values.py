"""Single values of dbt's, as they are stored."""

import re

import msgspec

from observability.audit.schema import Json

_ENCODER = msgspec.json.Encoder(order="sorted")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def canonical_json(value: object) -> Json:
    """A value as JSON in its one canonical form: keys sorted, no spaces."""
    return Json(_ENCODER.encode(value).decode())


def canonical(value: object) -> Json | None:
    """The same; None for what is absent, null or empty."""
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
