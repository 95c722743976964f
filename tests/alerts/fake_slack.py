"""A Slack on loopback: it keeps what it was sent, is as strict as Slack, and fails as it is told."""

import json
import math
import random
import socket
import struct
import sys
import time
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from email.message import Message as Headers
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Condition, Event, RLock, Thread, Timer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, quote, unquote, urlsplit

JSON = dict[str, Any]
Match = Callable[[JSON], bool]
"""Given the payload of a request: whether a fault is meant for it."""

POST = "chat.postMessage"
WEBHOOK = "webhook"
"""What the requests to `/webhook/NAME` are called, where a method is asked for."""
HISTORIES = frozenset({"conversations.history", "conversations.replies"})
BOT, BOT_USER, TEAM = "B0FAKEBOT", "U0FAKEBOT", "T0FAKE"
JSON_FIELDS = ("attachments", "blocks", "message", "metadata")
SCOPES = frozenset(
    {
        "channels:history",
        "channels:join",
        "channels:read",
        "chat:write",
        "chat:write.customize",
        "groups:history",
        "groups:read",
        "usergroups:read",
        "users:read",
    }
)


class Fault(Enum):
    """What goes wrong with a request. Of those in pairs, the second has done what was asked."""

    RESET_BEFORE = "reset_before"
    RESET_AFTER = "reset_after"
    LATE_EFFECT = "late_effect"  # reset at once, and done `delay` seconds later
    TIMEOUT_BEFORE = "timeout_before"  # no answer for `hang` seconds, then none at all
    TIMEOUT_AFTER = "timeout_after"
    HTTP_429 = "http_429"  # `retry_after` is its header, None leaves that out
    HTTP_500 = "http_500"
    HTTP_500_AFTER = "http_500_after"
    HTTP_502 = "http_502"
    HTTP_502_AFTER = "http_502_after"
    HTTP_503 = "http_503"
    HTTP_503_AFTER = "http_503_after"
    OK_FALSE = "ok_false"  # `error` says why
    OK_FALSE_AFTER = "ok_false_after"
    INVALID_BLOCKS = "invalid_blocks"  # only requests that have blocks
    HISTORY_DENIED = "history_denied"  # only conversations.history and conversations.replies

    @property
    def takes_effect(self) -> bool:
        """Whether the request is carried out, whatever its client is told."""
        return self is Fault.LATE_EFFECT or self.value.endswith("_after")


@dataclass
class Trouble:
    """A fault with its numbers, and the requests that it is meant for."""

    fault: Fault
    method: str | None = None
    times: float = 1
    match: Match | None = None
    delay: float = 0.05
    hang: float = 0.3
    retry_after: int | str | None = 1
    error: str = "internal_error"

    def applies(self, call: "Call") -> bool:
        """Whether this request is one that it is meant for."""
        if self.fault is Fault.INVALID_BLOCKS and not call.payload.get("blocks"):
            return False
        if self.fault is Fault.HISTORY_DENIED and call.method not in HISTORIES:
            return False
        return self.method in {None, "*", call.method} and (self.match is None or self.match(call.payload))


@dataclass
class Chaos:
    """Faults that come at random."""

    random: random.Random
    probability: float
    troubles: Sequence[Trouble]
    methods: Collection[str] | None

    def trouble(self, call: "Call") -> Trouble | None:
        """What goes wrong with this request, if anything does."""
        if self.methods is not None and call.method not in self.methods:
            return None
        if self.random.random() >= self.probability:
            return None
        possible = [trouble for trouble in self.troubles if trouble.applies(call)]
        return self.random.choice(possible) if possible else None


@dataclass
class Channel:
    """A channel; `members` says that the bot is one."""

    name: str
    id: str
    members: bool = True
    archived: bool = False
    private: bool = False


@dataclass(frozen=True)
class Version:
    """What a message said."""

    text: str
    blocks: list[JSON]
    metadata: JSON | None


@dataclass
class Message:
    """A message as it is now, and what it said before each of its edits."""

    ts: str
    channel: str
    text: str
    blocks: list[JSON] = field(default_factory=list)
    metadata: JSON | None = None
    thread_ts: str | None = None
    broadcast: bool = False
    user: str = BOT_USER
    username: str | None = None
    webhook: bool = False
    edits: list[Version] = field(default_factory=list)


@dataclass
class Request:
    """A request that came: what its client was told, and what became of it if it was carried out."""

    method: str
    payload: JSON
    outcome: str
    """ "ok", Slack's error, or the value of the fault that the client met."""
    effect: str | None = None
    """ "ok" or Slack's error if it was carried out, None if it was not, or not yet."""
    at: float = 0.0


@dataclass(frozen=True)
class Call:
    """A request, read."""

    method: str
    payload: JSON
    token: str | None
    problem: str | None = None


@dataclass(frozen=True)
class Answer:
    """What is sent back; `outcome` is for the log."""

    status: int
    body: bytes
    content_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)
    outcome: str = "ok"


@dataclass(frozen=True)
class Reply:
    """An answer, or after `hang` seconds none: at 0 the connection is reset."""

    answer: Answer | None
    hang: float = 0.0


class SlackError(Exception):
    """A request that Slack does not carry out."""

    def __init__(self, error: str, **extra: Any) -> None:
        super().__init__(error)
        self.error = error
        self.extra = extra


class FakeSlack:
    """A Slack with the channels of these names. `now` is the time that a ts is made of, by default a second each.

    `clock` is what `enforce_rate` measures by.
    """

    def __init__(
        self,
        *channels: str,
        now: Callable[[], float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.now = now
        self.clock = clock
        self.token = "xoxb-fake"  # noqa: S105
        self.revoked = False
        self.scopes: set[str] = set(SCOPES)
        self.channels: dict[str, Channel] = {}
        self.users: dict[str, bool] = {"U0HUMAN": True}
        """Users by id, and whether they are active."""
        self.user_groups: dict[str, bool] = {}
        """User groups by id, and whether they are enabled."""
        self.requests: list[Request] = []
        self.max_page = 999
        self.max_text = self.max_update_text = 40_000
        self.max_blocks_characters: int | None = None
        """All blocks together, as JSON: Slack has an undocumented limit near 13,200 (msg_blocks_too_long)."""
        self.crashes: list[BaseException] = []
        self.closing = Event()
        self._lock = RLock()
        self._settled = Condition(self._lock)
        self._messages: dict[str, list[Message]] = {}
        self._troubles: list[Trouble] = []
        self._chaos: Chaos | None = None
        self._seconds_between_posts = 0.0
        self._posted_at: dict[str, float] = {}
        self._last_stamp = 0 if now else 1_700_000_000_000_100 - 1_000_000
        self._late: dict[int, tuple[Call, Request]] = {}
        self._timers: list[Timer] = []
        self._numbers = count(1)
        self._methods: dict[str, Callable[[JSON], JSON]] = {
            "auth.test": self._auth_test,
            "blocks.validate": self._blocks_validate,
            "chat.getPermalink": self._permalink,
            "chat.postMessage": self._post_message,
            "chat.update": self._update,
            "conversations.history": self._history,
            "conversations.info": self._info,
            "conversations.join": self._join,
            "conversations.list": self._list,
            "conversations.replies": self._replies,
            "usergroups.list": self._list_user_groups,
            "users.info": self._user_info,
        }
        for name in channels or ("alerts",):
            self.add_channel(name)

    def __enter__(self) -> Self:
        self._server = _Server(self)
        self._serving = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._serving.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._serving.join()
        self._server.server_close()
        with self._lock:
            self._late.clear()
            timers = list(self._timers)
        for timer in timers:
            timer.cancel()
            timer.join()
        if self.crashes and error is None:
            raise self.crashes[0]

    # Where it is, and what it holds.

    @property
    def url(self) -> str:
        """What WebClient calls its base_url."""
        return f"{self._root}/api/"

    def webhook_url(self, channel: str) -> str:
        """The incoming webhook of a channel."""
        return f"{self._root}/webhook/{quote(channel, safe='')}"

    @property
    def _root(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def add_channel(self, name: str, *, members: bool = True, archived: bool = False, private: bool = False) -> Channel:
        """One more channel."""
        with self._lock:
            channel = Channel(name, f"C{len(self.channels) + 1:09d}", members, archived, private)
            self.channels[name] = channel
            return channel

    def messages(self, channel: str) -> list[Message]:
        """Copies of a channel's messages, replies among them, in order of arrival."""
        with self._lock:
            return deepcopy(self._messages.get(self._known(channel).id, []))

    def calls(self, method: str) -> list[Request]:
        """The requests of one method."""
        with self._lock:
            return [request for request in self.requests if request.method == method]

    def say(self, channel: str, text: str, *, thread_ts: str | None = None, user: str = "U0HUMAN") -> str:
        """A message of somebody else's; its ts."""
        with self._lock:
            message = Message(self._stamp(), self._known(channel).id, text, thread_ts=thread_ts, user=user)
            return self._keep(message).ts

    def delete(self, channel: str, ts: str) -> None:
        """Somebody deletes a message."""
        with self._lock:
            kept = self._messages[self._known(channel).id]
            kept.remove(next(message for message in kept if message.ts == ts))

    # What goes wrong.

    def script(
        self,
        fault: Fault,
        method: str | None = None,
        times: float = 1,
        match: Match | None = None,
        *,
        delay: float = 0.05,
        hang: float = 0.3,
        retry_after: int | str | None = 1,
        error: str = "internal_error",
    ) -> None:
        """Queue a fault for the next requests of a method ("*": any) that match. The method is chat.postMessage
        by default, or both readings of a history if that is what is denied.
        """
        if method is None and fault is not Fault.HISTORY_DENIED:
            method = POST
        with self._lock:
            self._troubles.append(Trouble(fault, method, times, match, delay, hang, retry_after, error))

    def chaos(
        self,
        rng: random.Random,
        probability: float,
        kinds: Collection[Fault] = tuple(Fault),
        *,
        methods: Collection[str] | None = None,
        delay: float = 0.05,
        hang: float = 0.3,
        retry_after: int | str | None = 1,
        error: str = "internal_error",
    ) -> None:
        """From now on, each request (of these methods) fails with this probability. Scripted faults go first."""
        troubles = [
            Trouble(kind, delay=delay, hang=hang, retry_after=retry_after, error=error)
            for kind in sorted(kinds, key=list(Fault).index)
        ]
        with self._lock:
            self._chaos = Chaos(rng, probability, troubles, methods)

    def heal(self) -> None:
        """No more faults, scripted or random; effects that are late still come."""
        with self._lock:
            self._troubles.clear()
            self._chaos = None

    @property
    def pending_faults(self) -> list[Fault]:
        """Scripted faults that no request has met yet."""
        with self._lock:
            return [trouble.fault for trouble in self._troubles]

    def enforce_rate(self, per_channel_seconds: float = 1.0) -> None:
        """Answer 429 to messages that come to a channel faster than this; 0 ends it."""
        with self._lock:
            self._seconds_between_posts = per_channel_seconds

    @property
    def late_effects(self) -> int:
        """How many effects are still to come."""
        with self._lock:
            return len(self._late)

    def wait_for_late_effects(self, timeout: float = 10.0) -> None:
        """Until all that was to come late is there."""
        with self._settled:
            if not self._settled.wait_for(lambda: not self._late, timeout):
                raise TimeoutError(f"{len(self._late)} effects have not come within {timeout} s")

    def release_late_effects(self) -> None:
        """All that was to come late comes now, in order of its requests."""
        with self._lock:
            for number in sorted(self._late):
                self._land(number)

    # A request, from its arrival to its effect.

    def reply_to(self, call: Call) -> Reply:
        """Carry out a request or fail it, and say what its client is told."""
        with self._lock:
            request = Request(call.method, call.payload, "", at=self.clock())
            self.requests.append(request)
            if wait := self._too_early(call):
                request.outcome = "ratelimited"
                return Reply(_too_many_requests(math.ceil(wait)))
            trouble = self._trouble(call)
            if trouble is not None:
                return self._fail(call, trouble, request)
            answer = self._carry_out(call)
            request.outcome = request.effect = answer.outcome
            return Reply(answer)

    def _trouble(self, call: Call) -> Trouble | None:
        for trouble in self._troubles:
            if trouble.applies(call):
                trouble.times -= 1
                if trouble.times <= 0:
                    self._troubles.remove(trouble)
                return trouble
        return self._chaos.trouble(call) if self._chaos else None

    def _fail(self, call: Call, trouble: Trouble, request: Request) -> Reply:
        fault = trouble.fault
        request.outcome = fault.value
        if fault is Fault.LATE_EFFECT:
            self._carry_out_later(call, request, trouble.delay)
        elif fault.takes_effect:
            request.effect = self._carry_out(call).outcome
        if fault in {Fault.LATE_EFFECT, Fault.RESET_BEFORE, Fault.RESET_AFTER}:
            return Reply(None)
        if fault in {Fault.TIMEOUT_BEFORE, Fault.TIMEOUT_AFTER}:
            return Reply(None, trouble.hang)
        return Reply(self._failure(call, trouble))

    def _failure(self, call: Call, trouble: Trouble) -> Answer:
        if trouble.fault is Fault.HTTP_429:
            return _too_many_requests(trouble.retry_after)
        if trouble.fault.value.startswith("http_"):
            status = int(trouble.fault.value.split("_")[1])
            return Answer(status, f"<html><h1>{status}</h1></html>".encode(), "text/html")
        if trouble.fault is Fault.INVALID_BLOCKS:
            return self._refusal(call, _invalid_blocks(["[ERROR] unsupported block [json-pointer:/blocks/0]"]))
        if trouble.fault is Fault.HISTORY_DENIED:
            return self._refusal(call, self._missing("channels:history", self.scopes - {"channels:history"}))
        return self._refusal(call, SlackError(trouble.error))

    def _carry_out_later(self, call: Call, request: Request, delay: float) -> None:
        number = next(self._numbers)
        self._late[number] = (call, request)
        timer = Timer(delay, self._land, (number,))
        timer.daemon = True
        self._timers.append(timer)
        timer.start()

    def _land(self, number: int) -> None:
        with self._settled:
            if due := self._late.pop(number, None):
                call, request = due
                request.effect = self._carry_out(call).outcome
                self._settled.notify_all()

    def _carry_out(self, call: Call) -> Answer:
        try:
            if call.method == WEBHOOK:
                self._hook(call)
                return Answer(200, b"ok", "text/plain")
            return self._json({"ok": True, **self._method(call)(call.payload)})
        except SlackError as error:
            return self._refusal(call, error)

    def _json(self, body: JSON) -> Answer:
        scopes = {"x-oauth-scopes": ",".join(sorted(self.scopes))}
        return Answer(200, json.dumps(body).encode(), headers=scopes, outcome=body.get("error", "ok"))

    def _refusal(self, call: Call, error: SlackError) -> Answer:
        if call.method == WEBHOOK:
            status = {"no_service": 404, "channel_is_archived": 410}.get(error.error, 400)
            return Answer(status, error.error.encode(), "text/plain", outcome=error.error)
        return self._json({"ok": False, "error": error.error, **error.extra})

    def _method(self, call: Call) -> Callable[[JSON], JSON]:
        method = self._methods.get(call.method)
        if method is None:
            raise SlackError("unknown_method", req_method=call.method)
        if call.token is None:
            raise SlackError("not_authed")
        if call.token != self.token:
            raise SlackError("invalid_auth")
        if self.revoked:
            raise SlackError("token_revoked")
        if call.problem:
            raise SlackError(call.problem)
        return method

    def _too_early(self, call: Call) -> float:
        """How many seconds a message came before its channel may have it."""
        if call.method not in {POST, WEBHOOK} or not self._seconds_between_posts:
            return 0.0
        channel = self._find(call.payload.get("channel"))
        if channel is None or channel.id not in self._posted_at:
            return 0.0
        return max(0.0, self._posted_at[channel.id] + self._seconds_between_posts - self.clock())

    # What the methods share.

    def _need(self, scope: str) -> None:
        if scope not in self.scopes:
            raise self._missing(scope, self.scopes)

    @staticmethod
    def _missing(scope: str, scopes: Collection[str]) -> SlackError:
        return SlackError("missing_scope", needed=scope, provided=",".join(sorted(scopes)))

    def _find(self, given: object, by_name: bool = True) -> Channel | None:
        for channel in self.channels.values():
            if given == channel.id or (by_name and str(given).removeprefix("#") == channel.name):
                return channel
        return None

    def _known(self, given: str) -> Channel:
        channel = self._find(given)
        if channel is None:
            raise KeyError(given)
        return channel

    def _visible(self, payload: JSON, by_name: bool = False) -> Channel:
        """The channel that is asked for. Only chat.postMessage takes a name."""
        channel = self._find(payload.get("channel"), by_name)
        if channel is None or (channel.private and not channel.members):
            raise SlackError("channel_not_found")
        return channel

    def _readable(self, payload: JSON, right: str) -> Channel:
        channel = self._find(payload.get("channel"), by_name=False)
        self._need(f"groups:{right}" if channel and channel.private else f"channels:{right}")
        return self._visible(payload)

    def _message(self, channel: Channel, ts: object, error: str = "message_not_found") -> Message:
        for message in self._messages.get(channel.id, []):
            if message.ts == ts:
                return message
        raise SlackError(error)

    def _stamp(self) -> str:
        """A time that no other message has, later than theirs."""
        wanted = int(self.now() * 1_000_000) if self.now else self._last_stamp + 1_000_000
        self._last_stamp = max(self._last_stamp + 100, wanted)
        return _written(self._last_stamp)

    def _keep(self, message: Message) -> Message:
        self._messages.setdefault(message.channel, []).append(message)
        return message

    def _said(self, payload: JSON, most: int) -> Version:
        """What a request wants a message to say, if a message may say it."""
        text = str(payload.get("text") or "")
        blocks = self._valid_blocks(payload)
        if not (text.strip() or blocks or payload.get("attachments")):
            raise SlackError("no_text")
        if len(text) > most:
            raise SlackError("msg_too_long")
        return Version(text, blocks, _valid_metadata(payload.get("metadata")))

    def _valid_blocks(self, payload: JSON) -> list[JSON]:
        blocks = payload.get("blocks") or []
        if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
            raise SlackError("invalid_blocks_format")
        if problems := block_problems(blocks):
            raise _invalid_blocks(problems)
        if self.max_blocks_characters is not None and len(json.dumps(blocks)) > self.max_blocks_characters:
            raise SlackError("msg_blocks_too_long")
        return blocks

    def _shown(self, message: Message, metadata: bool = True) -> JSON:
        """A message as Slack tells it."""
        shown: JSON = {"type": "message", "ts": message.ts, "user": message.user, "team": TEAM, "text": message.text}
        if message.user == BOT_USER:
            shown["bot_id"] = BOT
        if message.username:
            shown["username"] = message.username
        if message.blocks:
            shown["blocks"] = message.blocks
        if metadata and message.metadata:
            shown["metadata"] = message.metadata
        if message.edits:
            shown["edited"] = {"user": message.user, "ts": message.ts}
        if message.thread_ts:
            shown["thread_ts"] = message.thread_ts
            if message.broadcast:
                shown["subtype"] = "thread_broadcast"
        elif replies := self._thread(message):
            shown |= {"thread_ts": message.ts, "reply_count": len(replies), "latest_reply": replies[-1].ts}
        return deepcopy(shown)

    def _thread(self, parent: Message) -> list[Message]:
        return [reply for reply in self._messages.get(parent.channel, []) if reply.thread_ts == parent.ts]

    def _page(self, payload: JSON, messages: list[Message], *, newest_first: bool) -> JSON:
        limit = _limit(payload.get("limit"), self.max_page)
        if cursor := payload.get("cursor"):
            start = _cursor_read(cursor)
            messages = [
                message
                for message in messages
                if (_micros(message.ts) <= start if newest_first else _micros(message.ts) >= start)
            ]
        rest = messages[limit:]
        metadata = _flag(payload.get("include_all_metadata"))
        return {
            "messages": [self._shown(message, metadata) for message in messages[:limit]],
            "has_more": bool(rest),
            "response_metadata": {"next_cursor": _cursor_written(rest[0].ts) if rest else ""},
        }

    # The methods.

    def _auth_test(self, _: JSON) -> JSON:
        return {
            "url": "https://fake.slack.com/",
            "team": "Fake",
            "user": "fakebot",
            "team_id": TEAM,
            "user_id": BOT_USER,
            "bot_id": BOT,
        }

    def _blocks_validate(self, payload: JSON) -> JSON:
        message = payload.get("message")
        self._valid_blocks(message if isinstance(message, dict) else payload)
        return {}

    def _post_message(self, payload: JSON) -> JSON:
        self._need("chat:write")
        if any(payload.get(key) for key in ("username", "icon_emoji", "icon_url")):
            self._need("chat:write.customize")
        channel = self._visible(payload, by_name=True)
        if channel.archived:
            raise SlackError("is_archived")
        if not channel.members and "chat:write.public" not in self.scopes:
            raise SlackError("not_in_channel")
        message = self._post(channel, payload)
        return {"channel": channel.id, "ts": message.ts, "message": self._shown(message)}

    def _post(self, channel: Channel, payload: JSON, *, webhook: bool = False) -> Message:
        said = self._said(payload, self.max_text)
        thread_ts = self._parent(channel, payload.get("thread_ts"))
        message = Message(self._stamp(), channel.id, said.text, said.blocks, said.metadata, thread_ts)
        message.broadcast = thread_ts is not None and _flag(payload.get("reply_broadcast"))
        message.username = payload.get("username")
        message.webhook = webhook
        self._posted_at[channel.id] = self.clock()
        return self._keep(message)

    def _parent(self, channel: Channel, thread_ts: object) -> str | None:
        if not thread_ts:
            return None
        _micros(thread_ts, "invalid_thread_ts")
        parent = self._message(channel, thread_ts, "thread_not_found")
        if parent.thread_ts:
            raise SlackError("cannot_reply_to_message")
        return parent.ts

    def _hook(self, call: Call) -> None:
        channel = self._find(call.payload.get("channel"))
        if channel is None:
            raise SlackError("no_service")
        if channel.archived:
            raise SlackError("channel_is_archived")
        if call.problem:
            raise SlackError("invalid_payload")
        self._post(channel, call.payload, webhook=True)

    def _update(self, payload: JSON) -> JSON:
        self._need("chat:write")
        channel = self._visible(payload)
        if channel.archived:
            raise SlackError("is_archived")
        message = self._message(channel, payload.get("ts"))
        if message.user != BOT_USER or message.webhook:
            raise SlackError("cant_update_message")
        said = self._said(payload, self.max_update_text)
        message.edits.append(Version(message.text, message.blocks, message.metadata))
        # Blocks that are not given go when a text is given; metadata that are not given stay.
        message.text, message.blocks = said.text, said.blocks
        if payload.get("metadata") is not None:
            message.metadata = said.metadata
        return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": self._shown(message)}

    def _permalink(self, payload: JSON) -> JSON:
        channel = self._visible(payload)
        message = self._message(channel, payload.get("message_ts"))
        link = f"https://fake.slack.com/archives/{channel.id}/p{message.ts.replace('.', '')}"
        if message.thread_ts:
            link += f"?thread_ts={message.thread_ts}&cid={channel.id}"
        return {"channel": channel.id, "permalink": link}

    def _history(self, payload: JSON) -> JSON:
        channel = self._readable(payload, "history")
        if not channel.members:
            raise SlackError("not_in_channel")
        shown = [m for m in self._messages.get(channel.id, []) if m.thread_ts is None or m.broadcast]
        return self._page(payload, _window(payload, shown)[::-1], newest_first=True)

    def _replies(self, payload: JSON) -> JSON:
        channel = self._readable(payload, "history")
        if not channel.members:
            raise SlackError("not_in_channel")
        first = self._message(channel, payload.get("ts"), "thread_not_found")
        return self._page(payload, [first, *_window(payload, self._thread(first))], newest_first=False)

    def _info(self, payload: JSON) -> JSON:
        return {"channel": _described(self._readable(payload, "read"))}

    def _list(self, payload: JSON) -> JSON:
        types = str(payload.get("types") or "public_channel").split(",")
        self._need("channels:read")
        if "private_channel" in types:
            self._need("groups:read")
        seen = [
            one
            for one in self.channels.values()
            if (one.members and "private_channel" in types if one.private else "public_channel" in types)
        ]
        start, limit = int(payload.get("cursor") or 0), _limit(payload.get("limit"), self.max_page)
        rest = start + limit < len(seen)
        return {
            "channels": [_described(one) for one in seen[start : start + limit]],
            "response_metadata": {"next_cursor": str(start + limit) if rest else ""},
        }

    def _user_info(self, payload: JSON) -> JSON:
        self._need("users:read")
        user = str(payload.get("user"))
        if user not in self.users:
            raise SlackError("user_not_found")
        return {"user": {"id": user, "deleted": not self.users[user]}}

    def _list_user_groups(self, payload: JSON) -> JSON:
        self._need("usergroups:read")
        all_of_them = _flag(payload.get("include_disabled"))
        return {
            "usergroups": [
                {"id": group, "date_delete": 0 if is_enabled else 1_700_000_000}
                for group, is_enabled in self.user_groups.items()
                if is_enabled or all_of_them
            ]
        }

    def _join(self, payload: JSON) -> JSON:
        self._need("channels:join")
        channel = self._visible(payload)
        if channel.private:
            raise SlackError("method_not_supported_for_channel_type")
        if channel.archived:
            raise SlackError("is_archived")
        channel.members = True
        return {"channel": _described(channel)}


def _described(channel: Channel) -> JSON:
    return {
        "id": channel.id,
        "name": channel.name,
        "is_channel": True,
        "is_private": channel.private,
        "is_archived": channel.archived,
        "is_member": channel.members,
    }


def _too_many_requests(retry_after: int | str | None) -> Answer:
    headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    return Answer(429, b'{"ok": false, "error": "ratelimited"}', headers=headers)


def _invalid_blocks(problems: list[str]) -> SlackError:
    return SlackError("invalid_blocks", errors=problems, response_metadata={"messages": problems})


def _valid_metadata(metadata: Any) -> JSON | None:
    if not metadata:
        return None
    if not isinstance(metadata, dict):
        raise SlackError("invalid_metadata_format")
    if not isinstance(metadata.get("event_type"), str) or not isinstance(metadata.get("event_payload"), dict):
        raise SlackError("invalid_metadata_schema")
    return metadata


def _flag(value: object) -> bool:
    return str(value).lower() in {"1", "true"}


def _limit(value: object, most: int) -> int:
    if value is None or value == "":
        return min(100, most)
    if not str(value).isdecimal() or int(str(value)) == 0:
        raise SlackError("invalid_limit")
    return min(int(str(value)), most)


def _micros(ts: object, error: str = "invalid_ts") -> int:
    try:
        return int(Decimal(str(ts)) * 1_000_000)
    except (InvalidOperation, ValueError, OverflowError) as problem:
        raise SlackError(error) from problem


def _written(micros: int) -> str:
    return f"{micros // 1_000_000}.{micros % 1_000_000:06d}"


def _window(payload: JSON, messages: list[Message]) -> list[Message]:
    """The messages between `oldest` and `latest`, neither of them included unless `inclusive`."""
    inclusive = _flag(payload.get("inclusive"))
    if oldest := payload.get("oldest"):
        least = _micros(oldest, "invalid_ts_oldest") + (not inclusive)
        messages = [message for message in messages if _micros(message.ts) >= least]
    if latest := payload.get("latest"):
        most = _micros(latest, "invalid_ts_latest") - (not inclusive)
        messages = [message for message in messages if _micros(message.ts) <= most]
    return messages


def _cursor_written(ts: str) -> str:
    return b64encode(f"next_ts:{_micros(ts)}".encode()).decode()


def _cursor_read(cursor: object) -> int:
    try:
        return int(b64decode(str(cursor), validate=True).decode().removeprefix("next_ts:"))
    except (Base64Error, ValueError) as problem:
        raise SlackError("invalid_cursor") from problem


# Blocks.

KEYS = {
    "actions": {"elements"},
    "context": {"elements"},
    "divider": set[str](),
    "header": {"text"},
    "image": {"image_url", "slack_file", "alt_text", "title"},
    "markdown": {"text"},
    "section": {"text", "fields", "accessory", "expand"},
}
"""What a block of a type can have beside its type and its block_id."""
BUTTON_KEYS = {"type", "text", "action_id", "url", "value", "style", "confirm", "accessibility_label"}
UNCHECKED = {"alert", "card", "file", "input", "rich_text", "table", "video"}
BOTH_TEXTS = ("plain_text", "mrkdwn")


def block_problems(blocks: list[JSON]) -> list[str]:
    """What Slack finds wrong with blocks, in its words."""
    found = _Blocks()
    found.check(blocks)
    return found.problems


class _Blocks:
    """Blocks that are being checked; a pointer says where."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.checks: dict[str, Callable[[JSON, str], None]] = {
            "actions": self.actions,
            "context": self.context,
            "header": self.header,
            "image": self.image,
            "markdown": self.markdown,
            "section": self.section,
        }

    def wrong(self, pointer: str, what: str) -> None:
        self.problems.append(f"[ERROR] {what} [json-pointer:{pointer}]")

    def check(self, blocks: list[JSON]) -> None:
        if len(blocks) > 50:
            self.wrong("/blocks", "no more than 50 items allowed")
        ids: list[object] = []
        for position, block in enumerate(blocks):
            pointer = f"/blocks/{position}"
            self.block(block, pointer)
            block_id = block.get("block_id")
            if block_id is not None:
                self.string(block_id, f"{pointer}/block_id", 255)
                if block_id in ids:
                    self.wrong(f"{pointer}/block_id", "`block_id` already exists")
                ids.append(block_id)

    def block(self, block: JSON, pointer: str) -> None:
        kind = str(block.get("type", ""))
        if not kind:
            self.wrong(pointer, "missing required field: type")
        elif kind in KEYS:
            self.keys(block, pointer, KEYS[kind] | {"type", "block_id"})
            if kind in self.checks:
                self.checks[kind](block, pointer)
        elif kind not in UNCHECKED:
            self.wrong(f"{pointer}/type", f"unsupported type: {kind}")

    def section(self, block: JSON, pointer: str) -> None:
        if "text" not in block and "fields" not in block:
            self.wrong(pointer, "missing required field: text")
        if "text" in block:
            self.text(block["text"], f"{pointer}/text", 3000)
        if "fields" in block:
            for where, value in self.items(block["fields"], f"{pointer}/fields", 10):
                self.text(value, where, 2000)
        accessory = block.get("accessory")
        if accessory is not None:
            self.element(accessory, f"{pointer}/accessory")

    def header(self, block: JSON, pointer: str) -> None:
        self.text(block.get("text"), f"{pointer}/text", 150, ("plain_text",))

    def context(self, block: JSON, pointer: str) -> None:
        for where, value in self.items(block.get("elements"), f"{pointer}/elements", 10):
            if isinstance(value, dict) and value.get("type") == "image":
                self.image(value, where)
            else:
                self.text(value, where, 3000)

    def actions(self, block: JSON, pointer: str) -> None:
        ids: list[object] = []
        for where, value in self.items(block.get("elements"), f"{pointer}/elements", 25):
            self.element(value, where)
            action_id = value.get("action_id") if isinstance(value, dict) else None
            if action_id is not None and action_id in ids:
                self.wrong(f"{where}/action_id", "`action_id` already exists")
            ids.append(action_id)

    def image(self, block: JSON, pointer: str) -> None:
        self.string(block.get("alt_text"), f"{pointer}/alt_text", 2000)
        if "slack_file" not in block:
            self.string(block.get("image_url"), f"{pointer}/image_url", 3000)

    def markdown(self, block: JSON, pointer: str) -> None:
        self.string(block.get("text"), f"{pointer}/text", 12_000)

    def element(self, element: Any, pointer: str) -> None:
        if not isinstance(element, dict) or "type" not in element:
            self.wrong(pointer, "missing required field: type")
        elif element["type"] == "button":
            self.button(element, pointer)

    def button(self, button: JSON, pointer: str) -> None:
        self.keys(button, pointer, BUTTON_KEYS)
        self.text(button.get("text"), f"{pointer}/text", 75, ("plain_text",))
        for key, most in (("url", 3000), ("value", 2000), ("action_id", 255)):
            if key in button:
                self.string(button[key], f"{pointer}/{key}", most)

    def text(self, value: Any, pointer: str, most: int, kinds: Sequence[str] = BOTH_TEXTS) -> None:
        if not isinstance(value, dict):
            self.wrong(pointer, "must be a text object")
            return
        if value.get("type") not in kinds:
            self.wrong(f"{pointer}/type", f"must be one of: {', '.join(kinds)}")
        self.keys(value, pointer, {"type", "text", "emoji", "verbatim"})
        self.string(value.get("text"), f"{pointer}/text", most)

    def string(self, value: Any, pointer: str, most: int) -> None:
        if not isinstance(value, str):
            self.wrong(pointer, "must be a string")
        elif not value:
            self.wrong(pointer, "must be more than 0 characters")
        elif len(value) > most:
            self.wrong(pointer, f"must be less than {most + 1} characters")

    def items(self, value: Any, pointer: str, most: int) -> list[tuple[str, Any]]:
        if not isinstance(value, list) or not value:
            self.wrong(pointer, "no less than 1 items allowed")
            return []
        if len(value) > most:
            self.wrong(pointer, f"no more than {most} items allowed")
        return [(f"{pointer}/{position}", item) for position, item in enumerate(value)]

    def keys(self, value: JSON, pointer: str, known: Collection[str]) -> None:
        for key in value:
            if key not in known:
                self.wrong(pointer, f"invalid additional property: {key}")


# HTTP.


def read_call(path: str, headers: Headers, body: bytes) -> Call | None:
    """A request to the API or to a webhook, None if to neither."""
    url = urlsplit(path)
    payload: JSON = dict(parse_qsl(url.query, keep_blank_values=True))
    sent, problem = _read_body(headers.get("Content-Type", ""), body)
    payload |= sent
    for key in JSON_FIELDS:
        if isinstance(payload.get(key), str):
            with suppress(ValueError):
                payload[key] = json.loads(payload[key])
    if url.path.startswith("/webhook/"):
        payload["channel"] = unquote(url.path.removeprefix("/webhook/"))
        return Call(WEBHOOK, payload, None, problem)
    if not url.path.startswith("/api/"):
        return None
    in_payload = payload.pop("token", None)
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    token = token.strip() if scheme.lower() == "bearer" else ""
    return Call(url.path.removeprefix("/api/"), payload, token or in_payload or None, problem)


def _read_body(content_type: str, body: bytes) -> tuple[JSON, str | None]:
    """What was sent, and what is wrong with it."""
    kind = content_type.partition(";")[0].strip().lower()
    if not body:
        return {}, None
    if kind == "application/x-www-form-urlencoded":
        form = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
        # A webhook's form is its JSON in one field.
        return _read_json(form["payload"]) if set(form) == {"payload"} else (form, None)
    return _read_json(body) if kind == "application/json" else ({}, "invalid_post_type")


def _read_json(text: str | bytes) -> tuple[JSON, str | None]:
    try:
        sent = json.loads(text)
    except ValueError:
        return {}, "invalid_json"
    return (sent, None) if isinstance(sent, dict) else ({}, "json_not_object")


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # closing waits for what is being answered
    request_queue_size = 128

    def __init__(self, slack: FakeSlack) -> None:
        self.slack = slack
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        error = sys.exception()
        if error is not None and not isinstance(error, ConnectionError | TimeoutError):
            self.slack.crashes.append(error)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""

    def _respond(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            return  # its client died over it
        call = read_call(self.path, self.headers, body)
        if call is None:
            self._send(Answer(404, b"not found", "text/plain"))
            return
        reply = self.server.slack.reply_to(call)
        if reply.answer is not None:
            self._send(reply.answer)
        elif reply.hang:
            self.server.slack.closing.wait(reply.hang)
        else:
            self._reset()

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for key, value in answer.headers.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()
