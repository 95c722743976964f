"""What is asked of a store: what is wrong now, and rows of its views."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from observability.config import Settings
from observability.errors import ConfigError
from observability.stores.base import Reader, open_store

if TYPE_CHECKING:
    import pyarrow as pa

    from observability.alerts.incidents import Incident, Situation
    from observability.audit.views import View


@dataclass(frozen=True)
class Status:
    """What runs and what is wrong, as of a moment."""

    as_of: datetime
    steps: tuple[dict[str, object], ...]
    incidents: tuple["Incident", ...]
    untold: tuple[Mapping[str, Any], ...] = ()
    """Rows of `deliveries`: what could not be told."""


def current_status(settings: Settings, now: datetime | None = None) -> Status:
    """The last step of each command and every open incident. Raises StoreError where there is no store yet."""
    from observability.alerts import queries
    from observability.alerts.outbox import read_streams

    with open_store(settings).reading() as reader:
        steps = ask(reader, queries.STEPS)
        streams = read_streams(ask(reader, queries.DELIVERIES))
        incidents = current_incidents(reader, settings, now)
    untold = tuple(stream.last for stream in streams.values() if stream.is_stuck and stream.last)
    return Status(now or datetime.now(UTC), tuple(steps), tuple(incidents), untold)


def current_incidents(
    reader: Reader,
    settings: Settings,
    now: datetime | None,
    told: Collection[str] = (),
    *,
    since: datetime | None = None,
) -> "list[Incident]":
    """What is wrong, what became of the subjects `told`, and what ended `since` then; as people left it."""
    from observability.alerts import queries

    ended = {"told": ["", *sorted(told)], "since": since or NEVER}  # an array without an element has no type in DuckDB
    rows = ask(reader, queries.INCIDENTS, now, ended)
    return incidents_of(reader, settings, now, rows, told=told, since=since)


def incidents_of(
    reader: Reader,
    settings: Settings,
    now: datetime | None,
    rows: Sequence[Mapping[str, Any]],
    *,
    told: Collection[str] = (),
    since: datetime | None = None,
) -> "list[Incident]":
    """The same of rows of `incidents` that were asked for already; steps that did not run in time have none there."""
    from observability.alerts import queries
    from observability.alerts.actions import attend
    from observability.alerts.incidents import find_incidents, worst_first

    incidents = find_incidents(situation(reader, rows))
    if settings.deadlines:
        incidents = worst_first([*incidents, *_overdue(reader, settings, now, told, since)])
    if not incidents:
        return []
    actions = ask(reader, queries.ACTIONS, parameters={"incidents": [one.id for one in incidents]})
    return attend(incidents, actions, now or datetime.now(UTC))


def _overdue(
    reader: Reader, settings: Settings, now: datetime | None, told: Collection[str], since: datetime | None
) -> "list[Incident]":
    """The steps that did not run in time; what is over only of the keys `told` or since then."""
    from observability.alerts import queries
    from observability.alerts.incidents import State
    from observability.alerts.overdue import LOOK_BACK, find_overdue

    at = now or datetime.now(UTC)
    rows = ask(reader, queries.ATTEMPTS, now, {"since": at - LOOK_BACK})
    found = find_overdue(settings.deadlines, rows, at, environment=settings.environment)
    return [
        one for one in found if one.state is State.OPEN or one.key in told or (one.closed_at or at) >= (since or NEVER)
    ]


def situation(reader: Reader, incidents: Sequence[Mapping[str, Any]]) -> "Situation":
    """What the views say of these rows of theirs: whom it hurts, and what the project declares of it."""
    from observability.alerts import queries
    from observability.alerts.incidents import Situation

    if not incidents:
        return Situation(())
    states = ask(reader, queries.STATES)
    named = states_parameters(states)
    bases = sorted({base for row in incidents for node in row["nodes"] or () for base in node["bases"]})
    subjects = sorted({name for row in incidents for name in (row["subject"], row["worst_node"])})
    return Situation(
        incidents,
        ask(reader, queries.EXPOSURES, parameters={**named, "bases": bases}) if bases and states else (),
        ask(reader, queries.DECLARED, parameters={**named, "subjects": subjects}) if states else (),
        ask(
            reader,
            queries.RESULTS,
            parameters={
                "days": sorted({(row["last_bad_at"] - ago).date() for row in incidents for ago in _DAYS}),
                "invocations": sorted({row["invocation_id"] for row in incidents}),
                "nodes": subjects,
            },
        ),
    )


def states_parameters(states: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    """`@states` and `@months` of the rows that STATES gives."""
    return {
        "states": [row[state] for row in states for state in ("manifest_id", "lineage_id") if row[state]],
        "months": sorted({row["month"] for row in states}),
    }


NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""Later than all that is stored."""
_DAYS = (timedelta(), timedelta(days=1))
"""A result lies in the partition of the day on which its step began."""


def ask(
    reader: Reader, sql: str, now: datetime | None = None, parameters: Mapping[str, object] | None = None
) -> list[dict[str, Any]]:
    """The rows that a query gives, asked as of a moment."""
    rows: list[dict[str, Any]] = query(reader, sql, now, parameters).to_pylist()
    return rows


def query(reader: Reader, sql: str, now: datetime | None, parameters: Mapping[str, object] | None = None) -> "pa.Table":
    """Ask as of a moment; None is now, for which the store's own views answer: BigQuery's readers may read no table."""
    from observability.audit.views import as_of

    if now is None:
        return reader.query(sql, parameters)
    question = as_of(sql)
    moment = {"now": now} if "@now" in question else {}
    return reader.query(question, {**(parameters or {}), **moment})


def view_sql(settings: Settings, name: str, dialect: str | None = None) -> str:
    """The SQL of a view in GoogleSQL or DuckDB's dialect, else that of the store. Raises ConfigError for no view."""
    from observability.audit.views.questions import pretty

    store = open_store(settings)
    return pretty(_view(name).sql(**store.schemas), dialect or store.dialect)


@dataclass(frozen=True)
class Rows:
    """Rows of a view; `more` says that there were others, which the limit left out."""

    table: "pa.Table"
    more: bool


def query_view(
    settings: Settings,
    name: str,
    now: datetime | None = None,
    *,
    where: str | None = None,
    columns: Sequence[str] = (),
    limit: int = 0,
) -> Rows:
    """Rows of a view, sorted by its key; no more than `limit`, which is 0 for all.

    Raises ConfigError for a view or a column that is not there or a condition that is none, and StoreError.
    """
    from observability.audit.views.questions import select

    statement = select(_view(name), where, columns, limit + 1 if limit else 0)
    table = query(open_store(settings), statement, now)
    return Rows(table.slice(0, limit) if limit else table, bool(limit) and table.num_rows > limit)


def _view(name: str) -> "View":
    from observability.audit.views import views

    known = {view.name: view for view in views()}
    if name not in known:
        near = get_close_matches(name, known, n=1)
        raise ConfigError(
            f"{name!r} is no view" + (f"; did you mean {near[0]}?" if near else ""),
            where="VIEW",
            next_step=f"one of: {', '.join(sorted(known))}",
        )
    return known[name]
