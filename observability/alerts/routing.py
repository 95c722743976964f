"""Who hears of an incident, where, and why. Pure: an incident, the settings and a moment in, a route out."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from observability.alerts.incidents import Incident, Severity
from observability.alerts.meta import split_names
from observability.config.slack import ChannelSettings, Matcher, Rule, SlackSettings, is_channel

_NO_SETTINGS = ChannelSettings()


@dataclass(frozen=True)
class Route:
    """Where an incident is told now, who is mentioned, and why so."""

    channel: str | None
    """None where nobody said which."""
    also: tuple[str, ...] = ()
    """Channels of those whose exposures it hurts; nobody is mentioned there."""
    mention: tuple[str, ...] = ()
    """Slack ids of users and user groups."""
    muted: str | None = None
    """Why nothing new is told of it now."""
    reasons: tuple[str, ...] = ()


def find_route(incident: Incident, slack: SlackSettings, now: datetime) -> Route:
    """The route of an incident: rules first, then what the project says, then the default channel."""
    rule, number = _rule(incident, slack)
    channel, why = _channel(incident, slack, rule, number)
    reasons = [f"channel {channel}: {why}" if channel else why]
    muted = _muted(incident, slack, now, (rule, number))
    if muted:
        reasons.append(f"told nowhere: {muted}")
    mention, who = _mention(incident, slack, channel, rule)
    quiet = bool(channel) and slack.channels.get(channel or "", _NO_SETTINGS).is_quiet(now)
    if mention and quiet and incident.severity is not Severity.CRITICAL:
        who, mention = f"{who}, once it is no longer quiet in {channel}", ()
    reasons.append(who)
    also = _also(incident, channel, now)
    reasons += [f"channel {other}: of an exposure that it hurts" for other in also]
    reasons += [f"note: {problem}" for problem in incident.declared.observe.problems]
    return Route(channel, also, mention, muted, tuple(reasons))


def _rule(incident: Incident, slack: SlackSettings) -> tuple[Rule | None, int]:
    """The first rule that fits, and its number from 1."""
    found = ((rule, number) for number, rule in enumerate(slack.rules, start=1) if fits(rule, incident))
    return next(found, (None, 0))


_VALUES: Mapping[str, Callable[[Incident], Iterable[str | None]]] = {
    "severity": lambda one: [one.severity.value],
    "kind": lambda one: [one.kind.value],
    "environment": lambda one: [one.environment],
    "project": lambda one: [one.project_name],
    "tag": lambda one: one.declared.tags,
    "path": lambda one: [*one.declared.paths, *(failure.original_file_path for failure in one.failures)],
    "group": lambda one: [one.declared.group],
    "owner": lambda one: [owner for names, _ in _owners(one) for owner in names],
    "resource_type": lambda one: [one.resource_type, *(failure.resource_type for failure in one.failures)],
    "exposure": lambda one: [
        name for exposure in one.exposures for name in (exposure.unique_id.rpartition(".")[2], exposure.name)
    ],
}


def fits(matcher: Matcher, incident: Incident) -> bool:
    """Whether an incident fits all that is given."""
    for name, values in _VALUES.items():
        wanted = getattr(matcher, name)
        if wanted and not any(_matches(value, wanted) for value in values(incident)):
            return False
    return True


def _matches(value: str | None, globs: Iterable[str]) -> bool:
    return value is not None and any(fnmatchcase(value, glob) for glob in globs)


def _channel(incident: Incident, slack: SlackSettings, rule: Rule | None, number: int) -> tuple[str | None, str]:
    if rule and rule.channel:
        return rule.channel, f"rule {number} of slack.rules"
    declared = incident.declared.observe.channel
    if declared:
        return declared, "meta of the node or its group"
    for names, of in _owners(incident):
        for owner in names:
            mapped = _mapped(slack, owner)
            if mapped and is_channel(mapped):
                return mapped, f"slack.owners has it for {owner}, {of}"
    if slack.channel:
        return slack.channel, "slack.channel, the default"
    return None, "no channel: slack.channel is not set"


def _muted(incident: Incident, slack: SlackSettings, now: datetime, rule: tuple[Rule | None, int]) -> str | None:
    if rule[0] and rule[0].mute:
        return f"rule {rule[1]} of slack.rules mutes it"
    for window in slack.maintenance:
        if window.begins <= now < window.ends and fits(window, incident):
            return f"{window.reason}, until {window.ends:%Y-%m-%d %H:%M} UTC"
    said = incident.declared.observe
    if said.mute_until and now < said.mute_until:
        return f"muted until {said.mute_until:%Y-%m-%d %H:%M} UTC: {said.mute_reason or 'no reason is given'}"
    return None


def _mention(
    incident: Incident, slack: SlackSettings, channel: str | None, rule: Rule | None
) -> tuple[tuple[str, ...], str]:
    """Who is mentioned when nothing speaks against it, and why."""
    if incident.severity is Severity.WARNING:
        return (), "nobody is mentioned: it is a warning"
    if incident.severity is Severity.ERROR and not incident.exposures:
        return (), "nobody is mentioned: it hurts no exposure"
    people, why = _menders(incident, slack, channel)
    more = [*(rule.mention if rule else ()), *_people(slack, incident.declared.observe.subscribers)]
    mention = tuple(dict.fromkeys([*people, *more]))
    if not mention:
        return (), "nobody is mentioned: slack.owners has no user or user group for its owner, nor has its channel any"
    parts = [why if people else "", "by a rule or as subscribers" if more else ""]
    return mention, f"mentions {', '.join(mention)}: {'; '.join(filter(None, parts))}"


def _menders(incident: Incident, slack: SlackSettings, channel: str | None) -> tuple[list[str], str]:
    """Those who can mend it: its owner, else its group's, else who is named for the channel."""
    for names, of in _owners(incident):
        if people := _people(slack, names):
            return people, f"{', '.join(names)}, {of}"
    return list(slack.channels.get(channel or "", _NO_SETTINGS).mention), f"who is named for {channel}"


def _owners(incident: Incident) -> list[tuple[tuple[str, ...], str]]:
    """The names of those who can mend it, the nearest first, and of what they are the owners."""
    said = incident.declared
    found = [(said.observe.owner, "owner by its meta"), (said.group_owner, f"owner of group {said.group}")]
    if not any(names for names, _ in found) and incident.owner:
        found.insert(0, (split_names(incident.owner), "owner"))
    return [(names, of) for names, of in found if names]


def _people(slack: SlackSettings, names: Iterable[str]) -> list[str]:
    mapped = (_mapped(slack, name) for name in names)
    return [one for one in mapped if one and not is_channel(one)]


def _mapped(slack: SlackSettings, name: str) -> str | None:
    """What the settings say of a name or an address, however it is capitalised."""
    return {known.casefold(): slack_id for known, slack_id in slack.owners.items()}.get(name.casefold())


def _also(incident: Incident, channel: str | None, now: datetime) -> tuple[str, ...]:
    if incident.severity is Severity.WARNING:
        return ()
    others = [
        exposure.channel
        for exposure in incident.exposures
        if exposure.channel and not (exposure.muted_until and now < exposure.muted_until)
    ]
    return tuple(dict.fromkeys(other for other in others if other != channel))
