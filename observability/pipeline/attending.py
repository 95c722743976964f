"""What people do about incidents, and what they ask of them: who is on it, who would hear of it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from observability.config import Settings
from observability.errors import ConfigError
from observability.pipeline.questions import ask, current_incidents, states_parameters
from observability.stores.base import Reader, open_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from observability.alerts.actions import Action
    from observability.alerts.incidents import Incident
    from observability.alerts.routing import Route

_SHORTEST = 4
"""Characters that the beginning of an incident's id must have to name it."""


def list_incidents(settings: Settings, now: datetime | None = None, *, days: int = 0) -> "list[Incident]":
    """What is wrong now, the worst first, and what ended in the last `days`. Raises StoreError."""
    at = now or datetime.now(UTC)
    with open_store(settings).reading() as reader:
        return current_incidents(reader, settings, now, since=at - timedelta(days=days) if days else None)


@dataclass(frozen=True, kw_only=True)
class Deed:
    """What somebody does about an incident."""

    action: "Action"
    acted_by: str
    until: datetime | None = None
    reason: str | None = None


def act(settings: Settings, name: str, deed: Deed, now: datetime | None = None) -> "Incident":
    """Write down what somebody does about the incident of that name. Raises ConfigError and StoreError."""
    from uuid_utils import uuid7

    from observability.alerts.actions import Action
    from observability.audit.arrow import to_arrow
    from observability.audit.tables import IncidentAction

    at = now or datetime.now(UTC)
    if deed.action is Action.SNOOZE and (deed.until is None or deed.until <= at):
        raise ConfigError(
            "a snooze needs an end that is still to come",
            where="--until",
            next_step="write --until 4h, --until 2d or --until 2026-12-01T08:00Z",
        )
    store = open_store(settings)
    with store.reading() as reader:
        incident = _named(current_incidents(reader, settings, now), name)
    row = IncidentAction(
        incident_key=incident.key,
        incident_id=incident.id,
        kind=incident.kind.value,
        action=deed.action.value,
        acted_by=deed.acted_by,
        until=deed.until,
        reason=deed.reason,
        action_date=at.date(),
    )
    store.record("incident_actions", to_arrow("incident_actions", [row], {"load_id": str(uuid7()), "loaded_at": at}))
    return incident


def _named(incidents: "Sequence[Incident]", name: str) -> "Incident":
    """The incident of this id, the beginning of an id, or a subject's name."""
    by_name = [one for one in incidents if name in {one.id, one.key, one.subject, one.name}]
    found = by_name or [one for one in incidents if len(name) >= _SHORTEST and one.id.startswith(name)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{one.id[:12]} ({one.name})" for one in (found or incidents)[:10])
    raise ConfigError(
        f"{name!r} names {'several incidents' if found else 'no incident that is open'}",
        where="INCIDENT",
        next_step=f"one of: {known}; dbt-observe incidents lists all" if known else "nothing is wrong now",
    )


@dataclass(frozen=True)
class Explanation:
    """Who would hear of it if a node failed now."""

    incident: "Incident"
    route: "Route"


def explain_route(settings: Settings, name: str, now: datetime | None = None) -> list[Explanation]:
    """Who would hear of a failure of the node of that name, and why; in each project and environment that has it.

    Raises ConfigError where there is no such node, and StoreError.
    """
    from observability.alerts import queries
    from observability.alerts.routing import find_route

    at = now or datetime.now(UTC)
    with open_store(settings).reading() as reader:
        states = ask(reader, queries.STATES)
        named = states_parameters(states)
        rows = ask(reader, queries.NAMED, parameters={**named, "name": name}) if states else []
        incidents = [_imagined(reader, row, named, at) for row in rows]
    if not incidents:
        raise ConfigError(
            f"{name!r} is no model, seed, snapshot, source or test of a project that was loaded",
            where="NODE",
            next_step="give its name or its unique_id, such as model.shop.orders",
        )
    return [Explanation(one, find_route(one, settings.slack, at)) for one in incidents]


def _imagined(reader: Reader, row: dict[str, object], named: dict[str, object], at: datetime) -> "Incident":
    """The incident that there would be."""
    from observability.alerts import queries
    from observability.alerts.imagined import imagine

    subject = str(row["attached_node"] or row["unique_id"])
    bases = [subject] if row["attached_node"] or row["resource_type"] != "test" else list(row["depends_on"])  # type: ignore[call-overload]
    return imagine(
        row,
        exposures=ask(reader, queries.EXPOSURES, parameters={**named, "bases": bases}),
        declared=ask(reader, queries.DECLARED, parameters={**named, "subjects": [str(row["unique_id"]), subject]}),
        bases=bases,
        now=at,
    )
