"""What is looked at before anybody relies on being told: what is named in settings and projects. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from observability.alerts.exposures import Exposure, Risk
from observability.alerts.imagined import imagine
from observability.alerts.incidents import Incident
from observability.alerts.meta import Record, read_observe, split_names
from observability.alerts.overdue import is_awaited
from observability.config import Deadline
from observability.config.slack import SlackSettings, is_channel

Named = Mapping[str, Sequence[str]]
"""Channels, or people, by what they are called; and where they are named so."""
_MOST = 10
"""Owners, and mistakes, that are listed."""
_ID = re.compile(r"[CG][A-Z0-9]{2,}")


class State(StrEnum):
    """What came of a check."""

    OK = "ok"
    WARNING = "warning"
    """It will be told, but not as it might be."""
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: what was found, and what to do next."""

    name: str
    state: State
    found: str
    next_step: str = ""


def is_channel_id(name: str) -> bool:
    """Whether a channel is named by its id, not by its name."""
    return bool(_ID.fullmatch(name))


def channels_of_settings(slack: SlackSettings) -> Named:
    """The channels that something can be told in by the settings; `slack.channels` only says what holds for some."""
    found: dict[str, list[str]] = {}
    if slack.channel:
        found.setdefault(slack.channel, []).append("slack.channel")
    if slack.fallback_channel:
        found.setdefault(slack.fallback_channel, []).append("slack.fallback_channel")
    for number, rule in enumerate(slack.rules, start=1):
        if rule.channel:
            found.setdefault(rule.channel, []).append(f"rule {number}")
    for owner, name in slack.owners.items():
        if is_channel(name):
            found.setdefault(name, []).append(f"slack.owners of {owner}")
    return found


def channels_of_deadlines(deadlines: Sequence[Deadline]) -> Named:
    """The channels that deadlines name."""
    found: dict[str, list[str]] = {}
    for number, deadline in enumerate(deadlines, start=1):
        if deadline.channel:
            found.setdefault(deadline.channel, []).append(f"deadline {number}")
    return found


def check_deadlines(deadlines: Sequence[Deadline], rows: Sequence[Record], environment: str | None) -> Check:
    """Whether there is a step for each deadline: a misspelt one would wait for nothing. Rows as ATTEMPTS gives them."""
    idle = [one.step for one in deadlines if not is_awaited(one, rows, environment)]
    if not idle:
        return Check("deadlines", State.OK, f"{len(deadlines)}, each of a step that is waited for")
    return Check(
        "deadlines",
        State.WARNING,
        f"no step in the last 90 days is {_listing(idle)}: nothing is waited for there",
        "write the step as dbt-observe status lists it; for one that is still to come, say since which day and in "
        "which environment",
    )


def channels_of_project(rows: Sequence[Record]) -> Named:
    """The channels that projects name in their meta."""
    found: dict[str, list[str]] = {}
    for row in rows:
        channel = read_observe(row["meta"]).channel
        if channel and row["unique_id"] not in found.setdefault(channel, []):
            found[channel].append(row["unique_id"])
    return found


def people_of_settings(slack: SlackSettings) -> Named:
    """The users and user groups whom the settings mention."""
    found: dict[str, list[str]] = {}
    for owner, name in slack.owners.items():
        if not is_channel(name):
            found.setdefault(name, []).append(f"slack.owners of {owner}")
    for number, rule in enumerate(slack.rules, start=1):
        for name in rule.mention:
            found.setdefault(name, []).append(f"rule {number}")
    for channel, settings in slack.channels.items():
        for name in settings.mention:
            found.setdefault(name, []).append(f"slack.channels of {channel}")
    return found


def check_owners(rows: Sequence[Record], slack: SlackSettings) -> Check:
    """Whether the owners that projects name are known in Slack: of each, one of its names is enough."""
    known = {name.casefold() for name in slack.owners}
    owners = dict.fromkeys(names for row in rows for names in _owners(row))
    unknown = [names[0] for names in owners if not known & {one.casefold() for one in names}]
    if not unknown:
        found = f"slack.owners has all {len(owners)} that projects name" if owners else "projects name none"
        return Check("owners", State.OK, found)
    return Check(
        "owners",
        State.WARNING,
        f"slack.owners does not have {_listing(unknown)}",
        "map them to Slack's ids there (a user's U…, a user group's S… or a channel's C…); until then, those named for "
        "the channel are mentioned",
    )


def _owners(row: Record) -> Iterator[tuple[str, ...]]:
    """The names of those who can mend a node: those of one owner together."""
    if row["resource_type"] == "exposure":
        return
    said = read_observe(row["meta"]).owner
    is_group = row["resource_type"] == "group"
    for one in said:
        yield (one,)
    if is_group:
        if names := [name for text in (row["owner"], row["owner_email"]) if text for name in split_names(text)]:
            yield tuple(dict.fromkeys(names))
    elif not (said or row["group_name"]):  # else its group's owner stands there
        for one in split_names(row["owner"] or ""):
            yield (one,)


def check_meta(rows: Sequence[Record]) -> Iterator[Check]:
    """What projects say in meta.observe that means nothing: each mistake with those who make it."""
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        for problem in read_observe(row["meta"]).problems:
            found.setdefault(problem, {})[row["unique_id"]] = None
    for problem, unique_ids in list(found.items())[:_MOST]:
        yield Check("meta", State.WARNING, f"{problem}: {_listing(list(unique_ids))}", "correct it in the dbt project")
    if len(found) > _MOST:
        yield Check("meta", State.WARNING, f"{len(found) - _MOST} more mistakes", "correct those above first")
    if not found:
        yield Check("meta", State.OK, "no mistake in what projects say to dbt-observe")


def _listing(names: Sequence[str]) -> str:
    more = len(names) - _MOST
    return ", ".join(names[:_MOST]) + (f" and {more} more" if more > 0 else "")


def sample_incident(now: datetime) -> Incident:
    """An incident as there might be one, with all that a message can show."""
    row = {
        "project_name": "sample",
        "environment": "prod",
        "unique_id": "model.sample.orders",
        "resource_type": "model",
        "attached_node": None,
        "name": "orders",
        "severity": None,
        "original_file_path": "models/orders.sql",
        "owner": "Data & Analytics",
    }
    made = imagine(row, exposures=(), declared=(), bases=(), now=now)
    board = Exposure(
        unique_id="exposure.sample.board",
        name="Board",
        owner="Ann",
        owner_email=None,
        url="https://example.com/board",
        distance=2,
        risk=Risk.STALE,
        critical=True,
    )
    message = 'Database Error in model orders (models/orders.sql)\n  column "x" <not> found & `nothing` else'
    return replace(
        made,
        id="0" * 64,
        failures=tuple(replace(one, message=message) for one in made.failures),
        blocked=tuple(f"model.sample.below_{number}" for number in range(9)),
        exposures=(board,),
        last_good_at=now - timedelta(days=1),
        command="build",
        invocation_id="00000000-0000-4000-8000-000000000000",
        dag_id="daily",
        dag_run_id="scheduled__1",
        task_id="build",
        try_number=1,
        log_url="https://example.com/log",
    )
