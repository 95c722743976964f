"""Slack's Web API, as far as telling incidents needs it. A fault says whether the request may have taken effect."""

import urllib.error
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slack_sdk import WebClient
    from slack_sdk.web import SlackResponse

    from observability.alerts.slack.block_kit import Payload

EVENT = "dbt_observe"
"""The type of the metadata by which our messages are found again."""
_UNDECIDED = frozenset({"internal_error", "fatal_error", "request_timeout", "service_unavailable"})
_PAGE, _PAGES = 100, 20
_FIRST_SERVER_ERROR, _TOO_MANY = 500, 429


class SlackFault(Exception):
    """A request failed."""


class Unclear(SlackFault):
    """It may have taken effect, or may still."""


class Busy(SlackFault):
    """It had no effect; the same is welcome in `seconds`."""

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__(reason)
        self.seconds = seconds


class Refused(SlackFault):
    """It had no effect, and the same would have none again. `error` is Slack's word for why."""

    def __init__(self, error: str, details: str = "") -> None:
        super().__init__(f"{error}: {details}" if details else error)
        self.error = error


@dataclass(frozen=True)
class Identity:
    """Who a token is."""

    team: str
    user: str
    is_bot: bool
    scopes: frozenset[str] | None
    """What it may; None where Slack does not tell."""


@dataclass
class SlackClient:
    """Posts, edits and finds messages. Nothing is repeated here: a repeated post is a second one."""

    token: str
    base_url: str = "https://slack.com/api/"
    timeout_seconds: float = 30.0

    @property
    def edits(self) -> bool:
        """True."""
        return True

    @cached_property
    def _client(self) -> "WebClient":
        from slack_sdk import WebClient

        return WebClient(
            token=self.token,
            base_url=self.base_url.rstrip("/") + "/",
            timeout=max(1, round(self.timeout_seconds)),
            retry_handlers=[],
        )

    def post(
        self,
        channel: str,
        payload: "Payload",
        fingerprint: str,
        thread_ts: str | None = None,
        *,
        broadcast: bool = False,
    ) -> tuple[str, str]:
        """Post a message; its channel's id and its ts. Raises SlackFault."""
        body: dict[str, Any] = {
            "channel": channel,
            "metadata": {"event_type": EVENT, "event_payload": {"fingerprint": fingerprint}},
            "unfurl_links": False,
            "unfurl_media": False,
            **_content(payload),
        }
        if thread_ts:
            body |= {"thread_ts": thread_ts, "reply_broadcast": broadcast}
        answer = self._call("chat.postMessage", body)
        return str(answer["channel"]), str(answer["ts"])

    def update(self, channel: str, ts: str, payload: "Payload") -> None:
        """Make a message say something else; may be repeated. Raises SlackFault."""
        self._call("chat.update", {"channel": channel, "ts": ts, **_content(payload)})

    def find(self, channel: str, fingerprint: str, since: float, thread_ts: str | None = None) -> str | None:
        """The ts of the message of this fingerprint, if there is one since then. Raises SlackFault."""
        for message in self._messages(channel, since, thread_ts):
            metadata = message.get("metadata") or {}
            told = metadata.get("event_payload") or {}
            if metadata.get("event_type") == EVENT and told.get("fingerprint") == fingerprint:
                return str(message["ts"])
        return None

    def permalink(self, channel: str, ts: str) -> str | None:
        """Where people find a message; None where Slack does not tell."""
        try:
            return str(self._call("chat.getPermalink", {"channel": channel, "message_ts": ts}, reads=True)["permalink"])
        except SlackFault:
            return None

    def identity(self) -> "Identity":
        """Who the token is. Raises SlackFault."""
        answer = self._call("auth.test", {}, reads=True)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        told = headers.get("x-oauth-scopes")
        told = ",".join(told) if isinstance(told, list) else told
        scopes = None if told is None else frozenset(one.strip() for one in told.split(",") if one.strip())
        return Identity(str(answer.get("team")), str(answer.get("user")), bool(answer.get("bot_id")), scopes)

    def validate(self, payload: "Payload") -> None:
        """Let Slack judge a message's blocks; nobody is told. Raises SlackFault."""
        self._call("blocks.validate", {"blocks": payload.blocks})

    def channel(self, channel: str) -> Mapping[str, Any]:
        """What Slack says of the channel of an id. Raises SlackFault."""
        found: Mapping[str, Any] = self._call("conversations.info", {"channel": channel}, reads=True)["channel"]
        return found

    def channels(self, *, private: bool) -> Iterator[Mapping[str, Any]]:
        """All channels that can be seen, those that are archived too; at most 20,000. Raises SlackFault."""
        types = "public_channel,private_channel" if private else "public_channel"
        return self._pages("conversations.list", {"types": types, "limit": 999}, "channels")

    def glance(self, channel: str) -> None:
        """Read a message of the channel of an id, which only its members may. Raises SlackFault."""
        self._call("conversations.history", {"channel": channel, "limit": 1}, reads=True)

    def user(self, user: str) -> Mapping[str, Any]:
        """What Slack says of the user of an id. Raises SlackFault."""
        found: Mapping[str, Any] = self._call("users.info", {"user": user}, reads=True)["user"]
        return found

    def user_groups(self) -> list[Mapping[str, Any]]:
        """All user groups, those that are disabled too. Raises SlackFault."""
        return list(self._call("usergroups.list", {"include_disabled": True}, reads=True).get("usergroups") or ())

    def _messages(self, channel: str, since: float, thread_ts: str | None) -> Iterator[Mapping[str, Any]]:
        method = "conversations.replies" if thread_ts else "conversations.history"
        asked: dict[str, Any] = {"channel": channel, "limit": _PAGE, "include_all_metadata": True}
        asked |= {"ts": thread_ts} if thread_ts else {"oldest": f"{since:.6f}"}
        return self._pages(method, asked, "messages")

    def _pages(self, method: str, asked: dict[str, Any], what: str) -> Iterator[Mapping[str, Any]]:
        for _ in range(_PAGES):
            answer = self._call(method, asked, reads=True)
            yield from answer.get(what) or ()
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return
            asked["cursor"] = cursor

    def _call(self, method: str, body: dict[str, Any], *, reads: bool = False) -> "SlackResponse":
        from slack_sdk.errors import SlackApiError

        with reached(method):
            try:
                return self._client.api_call(method, params=body) if reads else self._client.api_call(method, json=body)
            except SlackApiError as error:
                raise _fault(error.response) from error


@contextmanager
def reached(what: str) -> Iterator[None]:
    """Raise SlackFault where a request gets no answer."""
    try:
        yield
    except urllib.error.URLError as error:
        if isinstance(error.reason, ConnectionRefusedError):
            raise Busy("nobody answers", 5.0) from error
        raise Unclear(f"{what}: {error.reason}") from error
    except (OSError, HTTPException) as error:
        raise Unclear(f"{what}: {error or type(error).__name__}") from error


def _content(payload: "Payload") -> dict[str, Any]:
    return {"text": payload.text, **({"blocks": payload.blocks} if payload.blocks else {})}


def _fault(response: Any) -> SlackFault:
    data = response.data if isinstance(getattr(response, "data", None), dict) else {}
    status = int(getattr(response, "status_code", 0) or 0)
    told = (data.get("response_metadata") or {}).get("messages") or data.get("errors") or ()
    details = "; ".join(
        f"{one.get('message')} [json-pointer:{one.get('pointer')}]" if isinstance(one, dict) else str(one)
        for one in told
    )
    error = str(data.get("error") or f"HTTP {status}")
    return fault_of(status, error, response.headers or {}, details or str(data.get("needed") or ""))


def fault_of(status: int, error: str, headers: Mapping[str, Any], details: str = "") -> SlackFault:
    """The fault that an answer tells: its HTTP status, Slack's word for it, what else is said."""
    if status == _TOO_MANY or error in {"ratelimited", "rate_limited"}:
        return Busy(error, _seconds({name.lower(): value for name, value in headers.items()}.get("retry-after")))
    if status >= _FIRST_SERVER_ERROR or error in _UNDECIDED:
        return Unclear(error)
    return Refused(error, details)


def _seconds(told: Any) -> float:
    try:
        return max(float(told[0] if isinstance(told, list) else told), 0.0)
    except (TypeError, ValueError):
        return 1.0
