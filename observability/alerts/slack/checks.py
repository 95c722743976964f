"""What Slack says of itself before anybody relies on being told there. Nothing is posted unless that is asked for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from time import sleep
from typing import Any, TypeVar
from urllib.parse import urlsplit

from uuid_utils import uuid7

from observability.alerts.checks import Check, Named, State, is_channel_id
from observability.alerts.message import listing
from observability.alerts.messenger import APP_FAULTS, CHANNEL_FAULTS, Messenger
from observability.alerts.slack.block_kit import Payload
from observability.alerts.slack.client import Busy, Identity, Refused, SlackClient, SlackFault, Unclear

T = TypeVar("T")
POSTING = "chat:write"
LOOKUP = ("channels:history", "groups:history")
"""Scopes by which it is found out whether Slack has a message whose answer got lost."""
READING = ("channels:read", "groups:read", "users:read", "usergroups:read")
"""Scopes that only these checks need."""
_MANIFEST = "dbt-observe doctor --manifest has all of them"
_LONGEST_WAIT = 60.0
"""Seconds to wait in all where Slack wants to be asked more slowly."""
_MOST_UNCLEAR = 2
"""Answers that do not come, after which nothing more is asked."""
_UNSEEN = "channel_not_found"
_HOOKS = frozenset({"hooks.slack.com", "hooks.slack-gov.com"})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_TEST = Payload("A test by dbt-observe doctor: here it will be told what breaks in dbt. Nothing is wrong.")


@dataclass
class SlackChecks:
    """Asks Slack for one thing after another. Who does not answer is not asked for ever."""

    client: SlackClient
    pause: Callable[[float], None] = sleep
    _patience: float = _LONGEST_WAIT
    _unclear: int = 0
    _who: Identity | None = field(default=None, init=False)

    def check_identity(self) -> Check:
        """Whether Slack knows the token; all others are asked only if it does."""
        try:
            who = self.client.identity()
        except Refused as fault:
            step = APP_FAULTS.get(fault.error, "see Slack's own word for it").partition("; dbt-observe doctor")[0]
            return Check("Slack", State.FAILED, f"the token is refused: {fault}", step)
        except SlackFault as fault:
            host = urlsplit(self.client.base_url).hostname
            step = "see whether this machine may reach it, and slack.base_url"
            return Check("Slack", State.FAILED, f"{host} does not answer: {fault}", step)
        self._who = who
        if not who.is_bot:
            found = f"{who.user} in {who.team} is a person, not an app: messages are told in that person's name"
            return Check(
                "Slack", State.WARNING, found, "put the app's bot token, xoxb-…, into DBT_OBSERVE_SLACK__TOKEN"
            )
        return Check("Slack", State.OK, f"the app is {who.user} in {who.team}")

    @property
    def is_known(self) -> bool:
        """Whether Slack knows the token."""
        return self._who is not None

    def check_scopes(self) -> Check:
        """Whether the app may do what telling needs."""
        scopes = self._scopes
        if scopes is None:
            return Check("scopes", State.SKIPPED, "Slack does not tell which the app has")
        if POSTING not in scopes:
            return Check(
                "scopes", State.FAILED, f"the app lacks {POSTING}", f"{APP_FAULTS['missing_scope']}; {_MANIFEST}"
            )
        if lacking := [one for one in LOOKUP if one not in scopes]:
            return Check(
                "scopes",
                State.WARNING,
                f"without {' and '.join(lacking)}, a message whose answer got lost is not looked for there: it is told "
                "again, as one that may be a repeat",
                f"add the scope to the app, and install it again; {_MANIFEST}",
            )
        return Check("scopes", State.OK, ", ".join((POSTING, *LOOKUP)))

    def check_message(self, payload: Payload) -> Check:
        """Whether Slack takes the blocks of a message."""
        try:
            self._ask(lambda: self.client.validate(payload))
        except Refused as fault:
            if fault.error not in {"invalid_blocks", "invalid_message"}:
                return Check("message", State.SKIPPED, f"Slack judges no blocks here: {fault}")
            step = "report this to dbt-observability's makers; incidents are told as plain text meanwhile"
            return Check("message", State.WARNING, f"Slack refuses the blocks of a sample: {fault}", step)
        except SlackFault as fault:
            return _unasked("message", fault)
        return Check("message", State.OK, "Slack takes the blocks of a sample incident")

    def check_channel(self, channel: str, sources: Sequence[str]) -> Check:
        """Whether a channel is there, and the app in it."""
        name = f"channel {channel}"
        try:
            found = self._channel(channel)
        except Refused as fault:
            state = State.FAILED if fault.error in CHANNEL_FAULTS else State.SKIPPED
            why = ": there is none, or it is private and the app is not in it" if fault.error == _UNSEEN else ""
            check = Check(name, state, f"{fault}{why}", self._mended(fault.error))
        except SlackFault as fault:
            check = _unasked(name, fault)
        else:
            check = Check(name, *found)
        where = f" ({listing(sources)})" if sources else ""
        return Check(check.name, check.state, f"{check.found}{where}", check.next_step)

    def _channel(self, channel: str) -> tuple[State, str, str]:
        if is_channel_id(channel):
            return self._channel_by_id(channel)
        by_id = "name it by its id, which is surer: it stands at the end of the channel's details"
        if not self._has("channels:read"):
            return State.SKIPPED, "a name cannot be looked up: needs channels:read", by_id
        known = self._channels
        described = known.get(channel.removeprefix("#"))
        if described is None:
            unseen = "" if self._has("groups:read") else "; if it is private, that cannot be seen without groups:read"
            state = State.WARNING if unseen else State.FAILED
            return state, f"it is none of the {len(known)} channels that the app can see{unseen}", by_id
        state, found, step = self._described(described)
        if state is State.OK:
            step = f"name it by its id, which is surer: {described.get('id')}"
        return state, found, step

    def _channel_by_id(self, channel: str) -> tuple[State, str, str]:
        if self._has("channels:read") or self._has("groups:read"):
            try:
                return self._described(self._ask(lambda: self.client.channel(channel)))
            except Refused as fault:
                if fault.error != "missing_scope":
                    raise
        try:
            self._ask(lambda: self.client.glance(channel))
        except Refused as fault:
            if fault.error != "missing_scope":
                raise
            return State.SKIPPED, "needs channels:read, or groups:read if it is private", ""
        return State.OK, "the app is in it; whether it is archived cannot be seen without channels:read", ""

    def _described(self, channel: Mapping[str, Any]) -> tuple[State, str, str]:
        kind = "private" if channel.get("is_private") else "public"
        called = f"#{channel.get('name')} is {kind}"
        if channel.get("is_archived"):
            return State.FAILED, f"{called} and archived", CHANNEL_FAULTS["is_archived"]
        if channel.get("is_member"):
            return State.OK, f"{called}, and the app is in it", ""
        step = self._mended("not_in_channel")
        if kind == "public" and self._has("chat:write.public"):
            return State.WARNING, f"{called}, and the app may post but not look up there: it is not in it", step
        return State.FAILED, f"{called}, and the app is not in it", step

    def check_people(self, people: Named) -> Iterator[Check]:
        """Whether those whom the settings mention are there."""
        groups = {one: sources for one, sources in people.items() if one.startswith("S")}
        users = {one: sources for one, sources in people.items() if one not in groups}
        if users:
            yield from self._checked("users", users, "users:read", self._user)
        if groups:
            yield from self._checked("user groups", groups, "usergroups:read", self._user_group)

    def _checked(self, what: str, people: Named, scope: str, look: Callable[[str], str]) -> Iterator[Check]:
        """Each of them who is not there, and how many are."""
        if not self._has(scope):
            yield Check(what, State.SKIPPED, f"{len(people)} not looked up: needs {scope}")
            return
        there = 0
        for one, sources in people.items():
            name = f"{what.removesuffix('s')} {one}"
            try:
                problem = look(one)
            except Refused as fault:
                yield Check(name, State.SKIPPED, f"Slack does not say: {fault}")
            except SlackFault as fault:
                yield _unasked(name, fault)
            else:
                there += not problem
                if problem:
                    yield Check(name, State.FAILED, f"{problem} ({listing(sources)})", "name somebody else there")
        if there:
            yield Check(
                what, State.OK, "all are there" if there == len(people) else f"{there} of {len(people)} are there"
            )

    def _user(self, user: str) -> str:
        """What is wrong with a user."""
        try:
            found = self._ask(lambda: self.client.user(user))
        except Refused as fault:
            if fault.error in {"user_not_found", "user_not_visible"}:
                return "there is no such user"
            raise
        return "the user is deactivated" if found.get("deleted") else ""

    def _user_group(self, group: str) -> str:
        """What is wrong with a user group."""
        found = self._user_groups.get(group)
        if found is None:
            return "there is no such user group"
        return "the user group is disabled" if found.get("date_delete") else ""

    @cached_property
    def _channels(self) -> Mapping[str, Mapping[str, Any]]:
        private = self._has("groups:read")
        found = self._ask(lambda: list(self.client.channels(private=private)))
        return {str(one.get("name")): one for one in found}

    @cached_property
    def _user_groups(self) -> Mapping[str, Mapping[str, Any]]:
        return {str(one.get("id")): one for one in self._ask(self.client.user_groups)}

    @property
    def _scopes(self) -> frozenset[str] | None:
        return self._who.scopes if self._who else None

    def _has(self, scope: str) -> bool:
        """Whether the app has a scope, as far as Slack tells."""
        return self._scopes is None or scope in self._scopes

    def _mended(self, error: str) -> str:
        step = CHANNEL_FAULTS.get(error, "")
        return step.replace("@its-name", f"@{self._who.user}") if self._who else step

    def _ask(self, question: Callable[[], T]) -> T:
        """Ask, once more where Slack wants to be asked more slowly."""
        if self._unclear >= _MOST_UNCLEAR:
            raise Unclear("Slack does not answer any more")
        try:
            return question()
        except Busy as fault:
            if fault.seconds > self._patience:
                raise
            self._patience -= fault.seconds
            self.pause(fault.seconds)
            return question()
        except Unclear:
            self._unclear += 1
            raise


def check_webhook(url: str) -> Iterator[Check]:
    """What can be said of an incoming webhook without posting. Its URL is a secret."""
    yield Check(
        "Slack",
        State.WARNING,
        "an incoming webhook: it tells what opens and what is well again, in its one channel; it neither edits nor "
        "threads, and what it told cannot be looked up",
        "an app with a bot token can do all of that: paste what dbt-observe doctor --manifest prints at Slack's "
        "“create an app from a manifest”",
    )
    try:
        scheme, host = urlsplit(url).scheme, urlsplit(url).hostname
    except ValueError:
        scheme, host = "", None
    if (scheme == "https" and host in _HOOKS) or (scheme in {"http", "https"} and host in _LOOPBACK):
        yield Check("webhook", State.OK, f"a URL of {host}", "only --send shows whether it works")
    else:
        step = "make an incoming webhook, and put its URL into DBT_OBSERVE_SLACK__WEBHOOK_URL"
        yield Check("webhook", State.FAILED, "the URL is none of https://hooks.slack.com/", step)


def send_test(messenger: Messenger, channel: str) -> Check:
    """Post a message that says that it is a test."""
    try:
        posted_in, ts = messenger.post(channel, _TEST, f"doctor/{uuid7()}")
    except Refused as fault:
        step = CHANNEL_FAULTS.get(fault.error) or APP_FAULTS.get(fault.error, "see Slack's own word for it")
        return Check(f"test in {channel}", State.FAILED, str(fault), step)
    except SlackFault as fault:
        found = f"it is not known whether Slack took it: {fault}"
        return Check(f"test in {channel}", State.FAILED, found, "look into the channel, and try again")
    return Check(f"test in {channel}", State.OK, f"posted: {messenger.permalink(posted_in, ts) or 'look there'}")


def _unasked(name: str, fault: SlackFault) -> Check:
    return Check(name, State.WARNING, f"it could not be looked at: {fault}", "try again later")
