"""What each channel is to be told of each incident, and how loudly. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from observability.alerts.incidents import Incident, State
from observability.alerts.links import Links
from observability.alerts.message import Message, build_message
from observability.alerts.routing import find_route
from observability.config.slack import SlackSettings

if TYPE_CHECKING:
    from observability.alerts.outbox import Stream


class Manner(StrEnum):
    """How loudly."""

    ALOUD = "aloud"
    QUIETLY = "quietly"
    """Somebody is on it, or it is told elsewhere by now: the message is edited; only its end is told in its thread."""
    SILENTLY = "silently"
    """Muted: a message that is there already is edited, nothing else."""


@dataclass(frozen=True)
class Notice:
    """An incident for a channel."""

    incident: Incident
    channel: str
    message: Message
    manner: Manner = Manner.ALOUD
    mention: tuple[str, ...] = ()
    """Slack ids of those who are mentioned now."""
    note: str = ""
    """Why it is told here, where that is not plain."""

    @property
    def stream(self) -> str:
        """The name of the stream that it belongs to."""
        return f"{self.channel}/{self.incident.key}"


def give_notice(
    incidents: Iterable[Incident],
    streams: Mapping[str, "Stream"],
    slack: SlackSettings,
    links: Links,
    now: datetime,
    closed: Mapping[str, str] = MappingProxyType({}),
) -> list[Notice]:
    """What is to be told where, of each incident in turn; what is meant for a closed channel, in the fallback too.

    `closed` are the channels that were just found to take nothing, and Slack's error for it.
    """
    held: dict[str, list[Stream]] = {}
    for stream in streams.values():
        held.setdefault(stream.name.partition("/")[2], []).append(stream)
    found = list(incidents)
    given = [
        notice for one in found for notice in _notices(one, held.get(one.key, []), slack, links.of(one), now, closed)
    ]
    known = {one.key for one in found}
    orphans = (stream for key, some in held.items() if key not in known for stream in some if _is_open(stream))
    return [*given, *map(_cleared, orphans)]


def open_keys(streams: Iterable["Stream"]) -> set[str]:
    """The subjects of which people were told that something is wrong, and not yet that it is over."""
    return {stream.incident_key for stream in streams if _is_open(stream)}


def _is_open(stream: "Stream") -> bool:
    return bool(stream.incident_key and stream.told and not stream.told.state.is_over)


def _cleared(stream: "Stream") -> Notice:
    """The end of what was told of a subject that has no incident any more."""
    told = stream.told
    assert told is not None  # noqa: S101 - it is open
    incident = Incident(
        key=stream.incident_key,
        id=told.incident_id,
        project_name=None,
        environment="",
        kind=told.kind,
        severity=told.severity,
        state=State.CLEARED,
        subject=stream.incident_key,
        name=stream.incident_key,
        failures=(),
        since=told.seen_at or _LONG_AGO,
        seen_at=told.seen_at or _LONG_AGO,
    )
    message = Message(told.severity, told.headline or stream.incident_key, (), stream.incident_key, told.kind)
    return Notice(incident, stream.name.partition("/")[0], message)


_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def _notices(
    incident: Incident,
    held: list["Stream"],
    slack: SlackSettings,
    links: Iterable[tuple[str, str]],
    now: datetime,
    closed: Mapping[str, str],
) -> Iterator[Notice]:
    message = build_message(incident, tuple(links))
    route = find_route(incident, slack, now)
    manner = Manner.SILENTLY if route.muted else Manner.QUIETLY if incident.attention else Manner.ALOUD
    told: set[str] = set()
    if route.channel:
        yield Notice(incident, route.channel, message, manner, route.mention)
        told.add(route.channel)
    for channel in route.also:
        yield Notice(incident, channel, message, manner, note="it hurts an exposure of yours")
        told.add(channel)
    by_channel = {stream.name.partition("/")[0]: stream for stream in held}
    fallback = slack.fallback_channel or slack.channel
    for channel in filter(None, (route.channel, *route.also)):
        why = (channel in by_channel and by_channel[channel].refused) or closed.get(channel)
        if why and fallback and fallback not in told:
            note = f"meant for {channel}, where Slack takes nothing: {why}"
            yield Notice(incident, fallback, message, manner, route.mention, note)
            told.add(fallback)
    for channel, stream in by_channel.items():
        if channel not in told and _is_open(stream):
            yield Notice(incident, channel, message, Manner.SILENTLY if route.muted else Manner.QUIETLY)
