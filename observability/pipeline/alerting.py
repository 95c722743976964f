"""Tells people what is wrong: holds what is against what they were told."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import monotonic, sleep
from typing import TYPE_CHECKING

from observability.config import Settings
from observability.errors import ConfigError
from observability.pipeline.questions import current_incidents
from observability.stores.base import Store, open_store

if TYPE_CHECKING:
    import pyarrow as pa

    from observability.alerts.delivery import Teller, Telling
    from observability.alerts.digest import Digest
    from observability.alerts.incidents import Incident
    from observability.alerts.messenger import Messenger
    from observability.alerts.notices import Notice
    from observability.alerts.printing import Printed
    from observability.alerts.slack.block_kit import Payload

Clock = Callable[[], datetime]
_MOST_LOOKS = 5
"""How often it is looked again whether more has become wrong while it was told."""
_PATIENCE_SECONDS = 10.0
"""How long another process that tells is waited for; one that takes longer will look again."""


def utc_now() -> datetime:
    """The moment it is."""
    return datetime.now(UTC)


def alert(
    settings: Settings,
    now: Clock | None = None,
    *,
    show: "Callable[[Printed], None] | None" = None,
    store: Store | None = None,
) -> "Telling":
    """Tell all that is new, each change once; to `show` in place of Slack where it is given.

    `store` takes the place of the one that the settings name.
    `now` is a clock that goes on; without it, the one on the wall. Where another process is telling, it sees
    what is new too: nothing is done. Raises ConfigError without a token and
    a channel (or a webhook), TellingError where Slack lets nobody be told, and StoreError.
    """
    from observability.alerts.delivery import Telling

    with _telling(settings, now, show, store) as outlet:
        return _tell(outlet, now) if outlet else Telling(elsewhere=True)


def tell_after(settings: Settings) -> list[str]:
    """Tell all that is new after a load, which no fault of the telling may spoil: what went wrong, in texts."""
    try:
        telling = alert(settings)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the border where the load is done already
        what = "telling was interrupted" if isinstance(error, KeyboardInterrupt) else error
        return [f"{what}\n  next:  what is new is told by the next dbt-observe alert"]
    untold = telling.failed + telling.dead
    return [
        *telling.problems,
        *([f"{untold} messages could not be told; dbt-observe status says why"] if untold else []),
    ]


def rehearse(settings: Settings, now: Clock | None = None) -> "list[Printed]":
    """What `alert` would tell now; nobody is told, and nothing is written. Raises ConfigError and StoreError."""
    from observability.alerts.delivery import Teller
    from observability.alerts.printing import CHANNEL, Printer

    shown: list[Printed] = []
    store, only = open_store(settings), _only_channel(settings)
    messenger = Printer(shown.append, edits=only is None)
    teller = Teller(_Unwritten(), messenger, _Forever(), pace_seconds=0, clock=now or utc_now, settles=False)
    _tell(_Outlet(settings, store, teller, only or (None if settings.slack.channel else CHANNEL)), now, looks=1)
    return shown


def send_digest(settings: Settings, now: Clock | None = None, *, dry_run: bool = False) -> "tuple[Payload, bool]":
    """Post the day's summary, once a day; the message, and whether it is in Slack now. Raises as `alert` does."""
    from observability.alerts.slack.block_kit import render_digest

    if dry_run:
        store = open_store(settings)
        return render_digest(_digest(settings, store, {}, now)), False
    with _telling(settings, now) as outlet:
        if outlet is None:
            raise ConfigError("another process is telling now", where="digest", next_step="try again in a minute")
        streams = outlet.teller.streams(outlet.store)
        links: dict[str, str] = {}
        for stream in streams.values():
            if stream.message_ts and stream.told and not stream.told.state.is_over:
                url = outlet.teller.slack.permalink(stream.channel, stream.message_ts)
                links |= {stream.told.incident_id: url} if url else {}
        payload = render_digest(_digest(settings, outlet.store, links, now))
        channel = outlet.only_channel or settings.slack.channel or ""
        return payload, outlet.teller.post_once(channel, f"digest/{(now or utc_now)():%Y-%m-%d}", payload)


def resend(settings: Settings, names: Collection[str] = (), now: Clock | None = None) -> "Telling":
    """Try again what was given up, of these incidents or of all, and tell all that is new. Raises as `alert` does."""
    from observability.alerts.delivery import Telling

    with _telling(settings, now) as outlet:
        if outlet is None:
            return Telling(elsewhere=True)
        for stream in outlet.teller.streams(outlet.store).values():
            last = stream.last
            if (
                last
                and last["state"] == "dead"
                and (not names or {last["incident_id"], last["incident_key"]} & {*names})
            ):
                outlet.teller.revive(stream)
        return _tell(outlet, now)


@dataclass(frozen=True)
class _Outlet:
    """Where it is told."""

    settings: Settings
    store: Store
    teller: "Teller"
    only_channel: str | None = None
    """The one channel that there is: a webhook's, or a terminal. None where Slack's can be chosen."""


@contextmanager
def _telling(
    settings: Settings,
    now: Clock | None,
    show: "Callable[[Printed], None] | None" = None,
    store: Store | None = None,
) -> "Iterator[_Outlet | None]":
    """Be the one who tells; None where another process is, and goes on to be."""
    from observability.alerts.delivery import Teller
    from observability.alerts.printing import CHANNEL

    messenger = _messenger(settings, show)
    store = store or open_store(settings)
    with ExitStack() as stack:
        lease = stack.enter_context(store.lease("alert"))
        # whoever tells has perhaps looked for the last time before our load was there: that is over soon
        until = monotonic() + _PATIENCE_SECONDS
        while lease is None and monotonic() < until:
            sleep(_PATIENCE_SECONDS / 10)
            lease = stack.enter_context(store.lease("alert"))
        if lease is None:
            yield None
            return
        teller = Teller(store, messenger, lease, settle_seconds=settings.slack.settle_seconds, clock=now or utc_now)
        if show:
            teller.settle_seconds = teller.pace_seconds = 0
        yield _Outlet(settings, store, teller, CHANNEL if show else _only_channel(settings))


def _messenger(settings: Settings, show: "Callable[[Printed], None] | None") -> "Messenger":
    from observability.alerts.printing import Printer
    from observability.alerts.slack.client import SlackClient
    from observability.alerts.slack.webhook import Webhook

    slack = settings.slack
    if show:
        return Printer(show)
    if slack.token and slack.channel:
        return SlackClient(slack.token.get_secret_value(), slack.base_url, slack.timeout_seconds)
    if slack.webhook_url and not slack.token:
        return Webhook(slack.webhook_url.get_secret_value(), slack.timeout_seconds)
    missing = "channel" if slack.token else "token"
    raise ConfigError(
        f"there is no Slack {missing} to tell anybody with",
        where=f"slack.{missing} (DBT_OBSERVE_SLACK__{missing.upper()})",
        next_step="set it; or --dry-run shows what would be told, and --print tells this terminal",
    )


def _only_channel(settings: Settings) -> str | None:
    from observability.alerts.slack.webhook import CHANNEL

    return CHANNEL if settings.slack.webhook_url and not settings.slack.token else None


def _tell(outlet: _Outlet, now: Clock | None, looks: int = _MOST_LOOKS) -> "Telling":
    from observability.alerts.delivery import Telling
    from observability.alerts.links import Links
    from observability.alerts.notices import give_notice, open_keys
    from observability.alerts.overdue import is_overdue

    slack, teller = outlet.settings.slack, outlet.teller
    links = Links(slack.links, outlet.settings.report.url)
    links.check()
    to = slack.model_copy(update={"channel": outlet.only_channel}) if outlet.only_channel else slack
    telling = Telling()
    for _ in range(looks):
        before = teller.progress
        with outlet.store.reading() as reader:
            streams = teller.streams(reader)
            incidents = _latest(current_incidents(reader, outlet.settings, now and now(), open_keys(streams.values())))
        if not outlet.settings.deadlines:  # nobody knows here what is waited for
            streams = {name: stream for name, stream in streams.items() if not is_overdue(stream.incident_key)}
        notices = give_notice(incidents, streams, to, links, (now or utc_now)(), teller.closed)
        telling = teller.tell(_in_one(notices, outlet.only_channel) if outlet.only_channel else notices)
        if teller.progress == before:
            break
    return telling


def _latest(incidents: "Iterable[Incident]") -> "list[Incident]":
    """Of each subject the incident that began last: what is over is not told any more where it is back."""
    latest: dict[str, Incident] = {}
    for incident in incidents:
        known = latest.get(incident.key)
        if known is None or incident.since > known.since:
            latest[incident.key] = incident
    return list(latest.values())


def _in_one(notices: "Sequence[Notice]", channel: str) -> "list[Notice]":
    """Each incident once, for the one channel that there is."""
    from observability.alerts.slack.webhook import CHANNEL

    note = "told by a webhook: what changes in between is not" if channel == CHANNEL else ""
    first: dict[str, Notice] = {}
    for notice in notices:
        first.setdefault(notice.incident.key, replace(notice, channel=channel, note=note))
    return list(first.values())


def _digest(settings: Settings, store: Store, permalinks: Mapping[str, str], now: Clock | None) -> "Digest":
    from observability.alerts.digest import SINCE, build_digest
    from observability.alerts.routing import find_route

    at = (now or utc_now)()
    with store.reading() as reader:
        incidents = current_incidents(reader, settings, now and at, since=at - SINCE)
    routes = {one.id: find_route(one, settings.slack, at) for one in incidents}
    muted = {name: route.muted for name, route in routes.items() if route.muted}
    return build_digest(incidents, at, permalinks=permalinks, muted=muted)


class _Unwritten:
    """A store in which nothing is written down."""

    def record(self, table: str, rows: "pa.Table") -> None:
        """Forget it."""


class _Forever:
    """A lease for one who writes nothing."""

    def seconds_left(self) -> float:
        """An hour."""
        return 3_600.0
