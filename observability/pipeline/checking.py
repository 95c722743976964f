"""Checks, one after another, whether telling will work. Nothing is written, and nobody is told unless that is asked."""

from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING

from observability.config import Settings
from observability.errors import ObserveError, StoreBusy, StoreUnavailable
from observability.pipeline.alerting import Clock, utc_now
from observability.pipeline.questions import ask, states_parameters
from observability.stores.base import Store, open_store

if TYPE_CHECKING:
    from observability.alerts.checks import Check
    from observability.alerts.meta import Record
    from observability.alerts.slack.checks import SlackChecks
    from observability.alerts.slack.client import SlackClient

_LONGEST_WAIT = 20.0
"""Seconds to wait for a store that others hold, or that does not answer."""
_WRITE_NOTHING = "DELETE FROM {raw}.invocations AS t WHERE FALSE"
"""Needs the same permissions as writing does."""


def doctor(
    settings: Settings, places: Sequence[str] = (), now: Clock = utc_now, *, send: bool = False
) -> "Iterator[Check]":
    """Each check as soon as it is done; `places` are where the settings were read, `send` posts a test message."""
    yield _check_settings(places)
    links_are_good = yield from _check_links(settings)
    store = yield from _check_store(settings)
    rows = (yield from _read_project(store)) if store else None
    if store and settings.deadlines:
        yield _check_deadlines(settings, store, now)
    yield from _check_slack(settings, rows, now, links_are_good=links_are_good, send=send)
    if rows is not None:
        from observability.alerts.checks import check_meta, check_owners

        yield check_owners(rows, settings.slack)
        yield from check_meta(rows)


def app_manifest() -> str:
    """What is pasted at Slack's "create an app from a manifest"."""
    from importlib.resources import files

    return files("observability.alerts.slack").joinpath("app_manifest.yaml").read_text(encoding="utf-8")


def _check_settings(places: Sequence[str]) -> "Check":
    from observability.alerts.checks import Check, State

    found = f"read from {', '.join(places)}" if places else "all as they are by default: no file, no DBT_OBSERVE_…"
    return Check("settings", State.OK, found)


def _check_links(settings: Settings) -> "Generator[Check, None, bool]":
    """Whether the templates can be used; no message can be made where they cannot."""
    from observability.alerts.checks import Check, State
    from observability.alerts.links import Links

    templates = settings.slack.links
    try:
        Links(templates).check()
    except ObserveError as error:
        yield _failed("links", error)
        return False
    found = f"{', '.join(templates)} can be made" if templates else "no templates in slack.links"
    yield Check("links", State.OK, found)
    return True


def _check_store(settings: Settings) -> "Generator[Check, None, Store | None]":
    """Whether the store is as it should be; None where it cannot be asked further."""
    from observability.alerts.checks import Check, State

    impatient = {
        name: min(getattr(settings, name), _LONGEST_WAIT) for name in ("lock_timeout_seconds", "store_timeout_seconds")
    }
    try:
        store = open_store(settings.model_copy(update=impatient))
        if not store.exists:
            found = f"there is none at {store.url} yet"
            step = "make it with dbt-observe init, or load a dbt step: dbt-observe ingest TARGET"
            yield Check("store", State.FAILED, found, step)
            return None
    except ObserveError as error:
        yield _failed("store", error)
        return None
    goes_on = yield from _check_version(store)
    is_readable = goes_on and (yield from _check_use(store))
    return store if is_readable else None


def _check_version(store: Store) -> "Generator[Check, None, bool]":
    """Whether its tables and views are those of this version; and whether it can be asked further as it is."""
    from observability.alerts.checks import Check, State
    from observability.alerts.message import listing

    is_file = store.dialect == "duckdb"  # whoever reads an older one brings it up to date
    try:
        plan = store.plan()
    except StoreBusy as error:
        yield Check("store", State.WARNING, error.what, error.next_step)
        return False
    except ObserveError as error:
        if is_file or isinstance(error, StoreUnavailable):
            yield _failed("store", error)
            return False
        found = f"whether it is up to date cannot be seen: {error.what}"
        yield Check("store", State.WARNING, found, error.next_step)
        return True
    if not plan:
        yield Check("store", State.OK, f"{store.url} is there and up to date")
        return True
    by_itself = "; the next load or alert does that too" if is_file else ""
    found = f"dbt-observe init would {listing(plan)}"
    yield Check("store", State.WARNING, found, f"run dbt-observe init{by_itself}")
    return not is_file


def _check_use(store: Store) -> "Generator[Check, None, bool]":
    """Whether a teller could read and write it, and whether there is one now."""
    from observability.alerts import queries
    from observability.alerts.checks import Check, State

    try:
        (told,) = ask(store, queries.TOLD)
        ask(store, queries.READABLE)
    except ObserveError as error:
        yield _failed("reading", error)
        return False
    last = f", the last {told['last_at']:%Y-%m-%d %H:%M} UTC" if told["last_at"] else ""
    yield Check("reading", State.OK, f"incidents can be read, and what was told: {told['steps']:,} steps{last}")
    try:
        store.execute(_WRITE_NOTHING)
    except ObserveError as error:
        yield _failed("writing", error)
    else:
        yield Check("writing", State.OK, "it can be written down what was told")
    yield _check_teller(store)
    return True


def _check_teller(store: Store) -> "Check":
    from observability.alerts.checks import Check, State

    if store.dialect == "googlesql":
        found = "on BigQuery, to see whether somebody is telling now would keep others from it for two minutes"
        return Check("teller", State.SKIPPED, found)
    try:
        with store.lease("alert") as lease:
            is_free = lease is not None
    except ObserveError as error:
        return _failed("teller", error)
    if is_free:
        return Check("teller", State.OK, "nobody is telling now")
    return Check(
        "teller",
        State.WARNING,
        "another process is telling now; as long as it does, nobody else can",
        "where that lasts for longer than a few minutes, look for a dbt-observe that hangs",
    )


def _read_project(store: Store) -> "Generator[Check, None, list[Record] | None]":
    """What the projects say as they are now."""
    from observability.alerts import queries

    try:
        states = ask(store, queries.STATES)
        return [*ask(store, queries.SAID, parameters=states_parameters(states))] if states else []
    except ObserveError as error:
        yield _failed("projects", error)
        return None


def _check_deadlines(settings: Settings, store: Store, now: Clock) -> "Check":
    """Whether the steps are there that are waited for."""
    from observability.alerts import queries
    from observability.alerts.checks import check_deadlines

    try:
        attempts = ask(store, queries.ATTEMPTS, parameters={"since": now()})
    except ObserveError as error:
        return _failed("deadlines", error)
    return check_deadlines(settings.deadlines, attempts, settings.environment)


def _check_slack(
    settings: Settings, rows: "Sequence[Record] | None", now: Clock, *, links_are_good: bool, send: bool
) -> "Iterator[Check]":
    from observability.alerts.checks import Check, State
    from observability.alerts.slack.checks import SlackChecks, check_webhook, send_test
    from observability.alerts.slack.client import SlackClient
    from observability.alerts.slack.webhook import CHANNEL, Webhook

    slack = settings.slack
    if slack.token:
        client = SlackClient(slack.token.get_secret_value(), slack.base_url, slack.timeout_seconds)
        checks = SlackChecks(client)
        yield checks.check_identity()
        if checks.is_known:
            yield from _ask_slack(settings, rows, now, checks, links_are_good=links_are_good)
            yield from _send(settings, client) if send else ()
    elif slack.webhook_url:
        url = slack.webhook_url.get_secret_value()
        yield from check_webhook(url)
        if send:
            yield send_test(Webhook(url, slack.timeout_seconds), CHANNEL)
    else:
        yield Check(
            "Slack",
            State.FAILED,
            "there is no token to tell anybody with",
            "paste what dbt-observe doctor --manifest prints at Slack's “create an app from a manifest”, install the "
            "app, and put its bot token into DBT_OBSERVE_SLACK__TOKEN; without Slack, dbt-observe alert --print tells "
            "a terminal",
        )


def _ask_slack(
    settings: Settings, rows: "Sequence[Record] | None", now: Clock, checks: "SlackChecks", *, links_are_good: bool
) -> "Iterator[Check]":
    from observability.alerts.checks import (
        Check,
        State,
        channels_of_deadlines,
        channels_of_project,
        channels_of_settings,
        people_of_settings,
        sample_incident,
    )
    from observability.alerts.links import Links
    from observability.alerts.message import build_message
    from observability.alerts.notices import Notice
    from observability.alerts.slack.block_kit import render_incident

    slack = settings.slack
    people = people_of_settings(slack)
    yield checks.check_scopes()
    incident = sample_incident(now())
    links = Links(slack.links, settings.report.url).of(incident) if links_are_good else ()
    notice = Notice(incident, slack.channel or "", build_message(incident, links), mention=tuple(people)[:3])
    yield checks.check_message(render_incident(notice, mentioned=True))
    if not slack.channel:
        step = "set it to the id of a channel (DBT_OBSERVE_SLACK__CHANNEL)"
        yield Check("channel", State.FAILED, "slack.channel is not set", step)
    channels = {name: list(sources) for name, sources in channels_of_settings(slack).items()}
    for named in (channels_of_deadlines(settings.deadlines), channels_of_project(rows or ())):
        for name, sources in named.items():
            channels.setdefault(name, []).extend(sources)
    for name, sources in channels.items():
        yield checks.check_channel(name, sources)
    for name in sorted(slack.channels.keys() - channels.keys()) if rows is not None else ():
        found = "nothing is told in a channel of this name: what slack.channels says of it holds nowhere"
        step = "write it there as it is written where incidents are sent to it, an id or a name"
        yield Check(f"channel {name}", State.WARNING, found, step)
    yield from checks.check_people(people)


def _send(settings: Settings, client: "SlackClient") -> "Iterator[Check]":
    from observability.alerts.slack.checks import send_test

    for channel in dict.fromkeys((settings.slack.channel, settings.slack.fallback_channel)):
        if channel:
            yield send_test(client, channel)


def _failed(name: str, error: ObserveError) -> "Check":
    from observability.alerts.checks import Check, State

    where = f" ({error.where})" if error.where else ""
    return Check(name, State.FAILED, f"{error.what}{where}", error.next_step)
