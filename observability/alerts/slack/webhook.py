"""An incoming webhook: it takes messages, and neither edits, threads nor finds them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from observability.alerts.slack.client import Refused, fault_of, reached

if TYPE_CHECKING:
    from observability.alerts.slack.block_kit import Payload

CHANNEL = "webhook"
"""What the webhook's channel is called in `deliveries`: Slack does not tell its name."""
_OK = 200


@dataclass
class Webhook:
    """Posts to the one channel that the webhook was made for."""

    url: str
    timeout_seconds: float = 30.0

    @property
    def edits(self) -> bool:
        """False."""
        return False

    def post(
        self,
        channel: str,
        payload: "Payload",
        fingerprint: str,
        thread_ts: str | None = None,
        *,
        broadcast: bool = False,
    ) -> tuple[str, str]:
        """Post a message. Its ts is not told: the fingerprint stands for it. Raises SlackFault."""
        from slack_sdk.webhook import WebhookClient

        client = WebhookClient(self.url, timeout=max(1, round(self.timeout_seconds)), retry_handlers=[])
        with reached("webhook"):
            answer = client.send(
                text=payload.text, blocks=payload.blocks or None, unfurl_links=False, unfurl_media=False
            )
        if answer.status_code == _OK:
            return channel, fingerprint
        raise fault_of(answer.status_code, answer.body.strip()[:200] or f"HTTP {answer.status_code}", answer.headers)

    def update(self, channel: str, ts: str, payload: "Payload") -> None:
        """Raise Refused: a webhook cannot."""
        raise Refused("cant_update_message")

    def find(self, channel: str, fingerprint: str, since: float, thread_ts: str | None = None) -> str | None:
        """Raise Refused: a webhook cannot."""
        raise Refused("no_history")

    def permalink(self, channel: str, ts: str) -> str | None:
        """None: it is not known which message it was."""
        return None
