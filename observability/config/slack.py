"""Where incidents are told, to whom, and when not."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, time
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints, model_validator

FROZEN = ConfigDict(frozen=True, extra="forbid")
Names = tuple[Annotated[str, StringConstraints(min_length=1)], ...]

_PERSON = re.compile(r"[UWS][A-Z0-9]{2,}")
_CHANNEL = re.compile(r"[CG][A-Z0-9]{2,}|#\S+")
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


def is_channel(name: str) -> bool:
    """Whether this is a channel, by its id (C…, G…) or its name with a #."""
    return bool(_CHANNEL.fullmatch(name))


def _mentionable(name: str) -> str:
    if not _PERSON.fullmatch(name):
        raise ValueError("should be the id of a Slack user (U… or W…) or user group (S…)")
    return name


def _person_or_channel(name: str) -> str:
    if not (_PERSON.fullmatch(name) or is_channel(name)):
        raise ValueError("should be the id of a Slack user (U…, W…), user group (S…) or channel (C…, G…, #name)")
    return name


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("should be a time zone of this machine, such as Europe/Berlin") from error
    return name


def _hours(text: str) -> str:
    if not _HOURS.fullmatch(text):
        raise ValueError('should be two times of day, such as "20:00-07:00"')
    return text


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


People = tuple[Annotated[str, AfterValidator(_mentionable)], ...]
Owners = Mapping[str, Annotated[str, AfterValidator(_person_or_channel)]]
Templates = Mapping[str, Annotated[str, StringConstraints(min_length=1)]]
_Moment = Annotated[datetime, AfterValidator(_in_utc)]
Severity = Literal["critical", "error", "warning"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Zone = Annotated[str, AfterValidator(_zone)]
_Kind = Literal[
    "node_error",
    "test_failure",
    "source_stale",
    "freshness_runtime_error",
    "run_interrupted",
    "run_failed",
    "run_overdue",
]


class Matcher(BaseModel):
    """Which incidents are meant: those that fit all of what is given. Names are globs: `stg_*`, `models/finance/*`."""

    model_config = FROZEN

    severity: tuple[Severity, ...] = Field(default=(), description="How bad it is.")
    kind: tuple[_Kind, ...] = Field(default=(), description="What went wrong.")
    environment: Names = Field(default=(), description="The deployment's name.")
    project: Names = Field(default=(), description="The dbt project's name.")
    tag: Names = Field(default=(), description="A tag of the node, or of what it tests.")
    path: Names = Field(default=(), description="The node's file, from the package's root.")
    group: Names = Field(default=(), description="The node's dbt group.")
    owner: Names = Field(default=(), description="Who can mend it.")
    resource_type: Names = Field(default=(), description="model, source, test, snapshot, seed, step and so on.")
    exposure: Names = Field(default=(), description="An exposure that it hurts, by its name.")


class Rule(Matcher):
    """Who hears of some incidents. The first rule that fits decides."""

    channel: str | None = Field(default=None, min_length=1, description="Where they are told.")
    mention: People = Field(default=(), description="Who is mentioned, beside those who can mend it.")
    mute: bool = Field(default=False, description="They are told nowhere.")

    @model_validator(mode="after")
    def _says_something(self) -> "Rule":
        if not (self.channel or self.mention or self.mute):
            raise ValueError("should name a channel, people to mention, or mute = true")
        return self


class Maintenance(Matcher):
    """A time in which nothing new is told of some incidents; what is still bad afterwards is told then."""

    begins: _Moment = Field(description="When it begins; without a zone, in UTC.")
    ends: _Moment = Field(description="When it ends.")
    reason: str = Field(default="maintenance", min_length=1, description="Why, in your words.")

    @model_validator(mode="after")
    def _ends_later(self) -> "Maintenance":
        if self.ends <= self.begins:
            raise ValueError("should end after it begins")
        return self


class ChannelSettings(BaseModel):
    """What holds for one channel."""

    model_config = FROZEN

    mention: People = Field(
        default=(), description="Who is mentioned where nobody is known who can mend it: Slack ids U…, W… or S…."
    )
    quiet_hours: Annotated[str, AfterValidator(_hours)] | None = Field(
        default=None, description='When only what is critical mentions people, such as "20:00-07:00".'
    )
    quiet_days: tuple[Weekday, ...] = Field(default=(), description="Days that are quiet from midnight to midnight.")
    zone: Zone = Field(default="UTC", description="Time zone of these hours and days.")

    def is_quiet(self, now: datetime) -> bool:
        """Whether people are left alone at this moment."""
        local = now.astimezone(ZoneInfo(self.zone))
        if local.strftime("%a").lower() in self.quiet_days:
            return True
        if self.quiet_hours is None:
            return False
        begins, ends = (time.fromisoformat(part) for part in self.quiet_hours.split("-"))
        clock = local.time()
        return begins <= clock < ends if begins < ends else clock >= begins or clock < ends


class SlackSettings(BaseModel):
    """Where incidents are told."""

    model_config = FROZEN

    token: SecretStr | None = Field(
        default=None, description="Bot token (xoxb-…) of a Slack app; without one, nothing is posted."
    )
    channel: str | None = Field(
        default=None, min_length=1, description="Channel that incidents are told in: its id or its name."
    )
    fallback_channel: str | None = Field(
        default=None, min_length=1, description="Channel for what another channel does not take; else slack.channel."
    )
    webhook_url: SecretStr | None = Field(
        default=None,
        description="Incoming webhook, where there is no token: it tells what opens and what is well again, and "
        "neither edits nor threads.",
    )
    base_url: str = Field(
        default="https://slack.com/api/", min_length=1, description="Slack's Web API, or a proxy to it."
    )
    timeout_seconds: float = Field(
        default=30.0, gt=0, allow_inf_nan=False, description="Seconds to wait for an answer of Slack."
    )
    settle_seconds: float = Field(
        default=60.0,
        ge=0,
        allow_inf_nan=False,
        description="Seconds after which a post whose answer got lost is looked for, for it may take effect late.",
    )
    owners: Owners = Field(
        default_factory=dict,
        description="Who an owner's name or address is in Slack: a user's, user group's or channel's id.",
    )
    rules: tuple[Rule, ...] = Field(default=(), description="Who hears of what; the first rule that fits decides.")
    channels: Mapping[str, ChannelSettings] = Field(
        default_factory=dict, description="What holds for a channel: quiet hours, who is mentioned."
    )
    maintenance: tuple[Maintenance, ...] = Field(default=(), description="Times in which nothing new is told.")
    links: Templates = Field(
        default_factory=dict, description="Links below each message: a label, and a URL as a Jinja2 template."
    )
