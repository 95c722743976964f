"""What each channel is to be told of each incident, and how loudly. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from observability.alerts.incidents import Incident
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
    incidents: Iterable[Incident], streams: Mapping[str, "Stream"], slack: SlackSettings, links: Links, now: datetime
) -> list[Notice]:
    """What is to be told where, of each incident in turn."""
    held: dict[str, list[Stream]] = {}
    for stream in streams.values():
        held.setdefault(stream.name.partition("/")[2], []).append(stream)
    return [notice for one in incidents for notice in _notices(one, held.get(one.key, []), slack, links.of(one), now)]


def _notices(
    incident: Incident, held: list["Stream"], slack: SlackSettings, links: Iterable[tuple[str, str]], now: datetime
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
    refused = [by_channel[channel] for channel in (route.channel, *route.also) if channel in by_channel]
    for stream in refused:
        if stream.refused and slack.fallback_channel and slack.fallback_channel not in told:
            channel = stream.name.partition("/")[0]
            note = f"meant for {channel}, where Slack takes nothing: {stream.refused}"
            yield Notice(incident, slack.fallback_channel, message, manner, route.mention, note)
            told.add(slack.fallback_channel)
    for channel, stream in by_channel.items():
        if channel not in told and stream.told and not stream.told.state.is_over:
            yield Notice(incident, channel, message, Manner.SILENTLY if route.muted else Manner.QUIETLY)
