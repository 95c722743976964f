"""What a dbt project says to us: `meta.observe` of its nodes, sources, groups and exposures."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

import msgspec

Record = Mapping[str, Any]
"""A row of one of the queries."""
SEVERITIES = ("critical", "error", "warning")


@dataclass(frozen=True)
class Observe:
    """What one resource says, or what several of them do after inheritance."""

    channel: str | None = None
    """Where its incidents are told."""
    owner: tuple[str, ...] = ()
    """Who can mend it."""
    subscribers: tuple[str, ...] = ()
    """Who is mentioned beside its owner."""
    severity: str | None = None
    """How much its failures matter; of an exposure, how much what hurts it does."""
    runbook: str | None = None
    mute_until: datetime | None = None
    """Until then, nothing new is told of it."""
    mute_reason: str | None = None
    problems: tuple[str, ...] = ()
    """What it says that means nothing."""


NOTHING = Observe()
_TEXTS = ("channel", "runbook", "mute_reason")


def read_observe(meta: str | None) -> Observe:
    """What a resource's meta says, as canonical JSON. Elementary's own keys count where `observe` is silent."""
    decoded = msgspec.json.decode(meta) if meta else None
    if not isinstance(decoded, dict):
        return NOTHING
    said = decoded.get("observe", {})
    problems = [] if isinstance(said, dict) else [f"meta.observe should be a mapping, not {said!r}"]
    said = said if isinstance(said, dict) else {}
    elsewhere = {name: decoded[name] for name in ("owner", "channel", "subscribers") if name in decoded}
    known = {field.name for field in fields(Observe)} - {"problems"}
    problems += [f"meta.observe.{name} means nothing" for name in said if name not in known]
    severity = said.get("severity")
    if severity is not None and severity not in SEVERITIES:
        problems.append(f"meta.observe.severity should be one of {', '.join(SEVERITIES)}, not {severity!r}")
        severity = None
    merged = elsewhere | said
    texts = {name: _text(merged.get(name), name, problems) for name in _TEXTS}
    mute_until = _moment(said.get("mute_until"), problems)
    return Observe(
        owner=_names(merged.get("owner")),
        subscribers=_names(merged.get("subscribers")),
        severity=severity,
        mute_until=mute_until,
        problems=tuple(problems),
        **texts,
    )


def inherit(chain: Iterable[Observe]) -> Observe:
    """What holds for a resource: of each thing what the nearest says, it itself first. A mute goes with its reason."""
    found: dict[str, Any] = {}
    problems: list[str] = []
    for one in chain:
        problems += one.problems
        is_muted = found.get("mute_until") is not None
        for field in fields(Observe):
            if field.name == "problems" or (field.name == "mute_reason" and is_muted):
                continue
            found[field.name] = found.get(field.name) or getattr(one, field.name)
    return Observe(**found, problems=tuple(dict.fromkeys(problems))) if found else NOTHING


def _names(value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(str(one) for one in value if one)
    return split_names(value) if isinstance(value, str) else ()


def split_names(text: str) -> tuple[str, ...]:
    """Several names in one text, separated by commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _text(value: object, name: str, problems: list[str]) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        problems.append(f"meta.observe.{name} should be text, not {value!r}")
        return None
    return value


def _moment(value: object, problems: list[str]) -> datetime | None:
    if value is None:
        return None
    try:
        read = datetime.fromisoformat(str(value))
    except ValueError:
        problems.append(f"meta.observe.mute_until should be a date such as 2026-12-01, not {value!r}")
        return None
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read


@dataclass(frozen=True)
class Declared:
    """What the project declares of what is to be mended: of the failing node, of what it tests, of their group."""

    tags: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    group: str | None = None
    group_owner: tuple[str, ...] = ()
    """The group's owner by name and by address."""
    observe: Observe = NOTHING


NOTHING_DECLARED = Declared()


def find_declared(rows: Sequence[Record], scope: tuple[str | None, str], unique_ids: Sequence[str]) -> Declared:
    """What is declared of these nodes, the nearest first, among the rows of a query for them and all groups."""
    mine = [row for row in rows if (row["project_name"], row["environment"]) == scope]
    nodes = [row for one in dict.fromkeys(unique_ids) for row in mine if row["unique_id"] == one]
    names = [row["group_name"] for row in nodes if row["group_name"]]
    groups = [row for row in mine if row["resource_type"] == "group" and row["name"] in names[:1]]
    owner = [name for row in groups for name in (row["owner"], row["owner_email"]) if name]
    return Declared(
        tags=tuple(dict.fromkeys(tag for row in nodes for tag in row["tags"])),
        paths=tuple(dict.fromkeys(row["original_file_path"] for row in nodes if row["original_file_path"])),
        group=names[0] if names else None,
        group_owner=tuple(dict.fromkeys(name for one in owner for name in split_names(one))),
        observe=inherit(read_observe(row["meta"]) for row in (*nodes, *groups)),
    )
