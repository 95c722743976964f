"""What people did about incidents: an incident with whoever is on it, who wants quiet, who says that it is over."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from observability.alerts.incidents import Attention, Incident, State
from observability.alerts.meta import Record


class Action(StrEnum):
    """What a person can do about an incident."""

    ACK = "ack"
    SNOOZE = "snooze"
    UNSNOOZE = "unsnooze"
    RESOLVE = "resolve"


def attend(incidents: Iterable[Incident], actions: Sequence[Record], now: datetime) -> list[Incident]:
    """The incidents as people left them. What was done counts for that incident, and while its kind is the same."""
    by_incident: dict[str, list[Record]] = {}
    for row in sorted(actions, key=lambda row: str(row["load_id"])):
        by_incident.setdefault(row["incident_id"], []).append(row)
    return [_attended(one, by_incident.get(one.id, []), now) for one in incidents]


def _attended(incident: Incident, actions: Iterable[Record], now: datetime) -> Incident:
    acknowledged: Attention | None = None
    snoozed: Attention | None = None
    for row in actions:
        if row["kind"] != incident.kind:
            continue
        did = Attention(acted_by=row["acted_by"], reason=row["reason"])
        match Action(row["action"]):
            case Action.ACK:
                acknowledged = did
            case Action.SNOOZE:
                snoozed = replace(did, snoozed_until=row["until"])
            case Action.UNSNOOZE:
                snoozed = None
            case Action.RESOLVE if not incident.state.is_over and incident.seen_at <= row["loaded_at"]:
                return replace(incident, state=State.RESOLVED, closed_at=row["loaded_at"], attention=did)
            case Action.RESOLVE:
                acknowledged = snoozed = None  # it was seen again: what was done before is over
    if snoozed and snoozed.snoozed_until and snoozed.snoozed_until > now:
        return replace(incident, attention=snoozed)
    return replace(incident, attention=acknowledged)
