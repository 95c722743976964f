"""Who brings messages, and what their refusals mean."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from observability.alerts.slack.block_kit import Payload

APP_FAULTS: Mapping[str, str] = {
    "missing_scope": "give the app the scope chat:write, and install it again",
    **dict.fromkeys(
        ("invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive", "not_allowed_token_type"),
        "put the bot token of an installed app into DBT_OBSERVE_SLACK__TOKEN; dbt-observe doctor checks it",
    ),
}
"""Why Slack lets this app tell nothing at all, and what to do."""
CHANNEL_FAULTS: Mapping[str, str] = {
    "not_in_channel": "invite the app to the channel: /invite @its-name",
    "channel_not_found": "name the channel by its id, and invite the app to it",
    "is_archived": "unarchive the channel, or name another one",
    "restricted_action": "let the app post in the channel, or name another one",
    **dict.fromkeys(
        ("no_service", "no_team", "invalid_token", "channel_is_archived", "action_prohibited"),
        "make a new incoming webhook, and put it into DBT_OBSERVE_SLACK__WEBHOOK_URL",
    ),
}
"""Why a channel takes nothing, and what to do."""
GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found"})
"""Why a step can never be done."""
UNREADABLE = frozenset({"missing_scope", "not_allowed_token_type", "no_history", "thread_not_found", *CHANNEL_FAULTS})
"""Why it cannot be looked up whether Slack has a message."""


class Journal(Protocol):
    """Where it is kept what was told: a store."""

    def record(self, table: str, rows: "pa.Table") -> None:
        """Append rows that can be asked for at once."""


class Messenger(Protocol):
    """Who brings messages. Every method raises SlackFault."""

    timeout_seconds: float

    @property
    def edits(self) -> bool:
        """Whether messages can be edited and answered in a thread."""

    def post(
        self,
        channel: str,
        payload: "Payload",
        fingerprint: str,
        thread_ts: str | None = None,
        *,
        broadcast: bool = False,
    ) -> tuple[str, str]:
        """Post a message; its channel's id and its ts."""

    def update(self, channel: str, ts: str, payload: "Payload") -> None:
        """Make a message say something else; may be repeated."""

    def find(self, channel: str, fingerprint: str, since: float, thread_ts: str | None = None) -> str | None:
        """The ts of the message of this fingerprint, if there is one since then."""

    def permalink(self, channel: str, ts: str) -> str | None:
        """Where people find a message; None where that cannot be told."""
