"""Tells people what is wrong: holds what is against what they were told."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from observability.config import Settings
from observability.errors import ConfigError
from observability.pipeline.questions import situation
from observability.stores.base import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from observability.alerts.delivery import Teller
    from observability.alerts.incidents import Incident
    from observability.stores.base import Lease

_MOST_LOOKS = 5
"""How often it is looked again whether more has become wrong while it was told."""


@dataclass(frozen=True)
class AlertReport:
    """What was told: messages posted, edited or answered; `left` are still to be told. `elsewhere`: another tells."""

    done: int = 0
    failed: int = 0
    dead: int = 0
    left: int = 0
    elsewhere: bool = False


def alert(settings: Settings, now: "Callable[[], datetime]" = lambda: datetime.now(UTC)) -> AlertReport:
    """Tell all that is new in the channel of the settings, each change once.

    Where another process is telling, it sees what is new too: nothing is done. Raises ConfigError without a token or a
    channel, TellingError where Slack lets nobody be told, and StoreError.
    """
    if settings.slack.token is None or settings.slack.channel is None:
        missing = "token" if settings.slack.token is None else "channel"
        raise ConfigError(
            f"there is no Slack {missing} to tell anybody with",
            where=f"slack.{missing} (DBT_OBSERVE_SLACK__{missing.upper()})",
            next_step="set it, or add --dry-run to print the messages",
        )
    store = open_store(settings)
    with store.lease("alert") as lease:
        if lease is None:
            return AlertReport(elsewhere=True)
        return _tell(store, _teller(settings, store, lease), now)


def _teller(settings: Settings, store: Store, lease: "Lease") -> "Teller":
    from observability.alerts.delivery import Teller
    from observability.alerts.slack.client import SlackClient

    slack = settings.slack
    assert slack.token is not None  # noqa: S101 - the caller has looked
    client = SlackClient(slack.token.get_secret_value(), slack.base_url, slack.timeout_seconds)
    return Teller(store, client, lease, slack.channel or "", settle_seconds=slack.settle_seconds)


def _tell(store: Store, teller: "Teller", now: "Callable[[], datetime]") -> AlertReport:
    from observability.alerts.incidents import find_incidents

    total = AlertReport()
    for _ in range(_MOST_LOOKS):
        known = (stream.told for stream in teller.streams().values())
        open_before = {told.incident_id for told in known if told and not told.state.is_over}
        incidents = find_incidents(situation(store, now(), open_before))
        telling = teller.tell(_latest(incidents))
        total = AlertReport(telling.done, telling.failed, telling.dead, telling.left)
        if not telling.news:
            break
    return total


def _latest(incidents: "Iterable[Incident]") -> "list[Incident]":
    """Of each subject the incident that began last: what is over is not told any more where it is back."""
    latest: dict[str, Incident] = {}
    for incident in incidents:
        known = latest.get(incident.key)
        if known is None or incident.since > known.since:
            latest[incident.key] = incident
    return list(latest.values())
