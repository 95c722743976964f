"""What is asked of a store: what is wrong now, and rows of its views."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from observability.config import Settings
from observability.errors import ConfigError
from observability.stores.base import Store, open_store

if TYPE_CHECKING:
    import pyarrow as pa

    from observability.alerts.incidents import Incident, Situation
    from observability.alerts.message import Message
    from observability.audit.views import View


@dataclass(frozen=True)
class Status:
    """What runs and what is wrong, as of a moment."""

    as_of: datetime
    steps: tuple[dict[str, object], ...]
    incidents: tuple["Incident", ...]


def current_status(settings: Settings, now: datetime) -> Status:
    """The last step of each command and every open incident. Raises StoreError where there is no store yet."""
    from observability.alerts import queries
    from observability.alerts.incidents import find_incidents

    store = open_store(settings)
    return Status(now, tuple(store.query(queries.STEPS).to_pylist()), tuple(find_incidents(_situation(store, now))))


def _situation(store: Store, now: datetime) -> "Situation":
    from observability.alerts import queries
    from observability.alerts.incidents import Situation
    from observability.audit.views import as_of

    def ask(sql: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = store.query(as_of(sql), {"now": now}).to_pylist()
        return rows

    return Situation(
        incidents=ask(queries.INCIDENTS),
        nodes=ask(queries.INCIDENT_NODES),
        exposures=ask(queries.EXPOSURES),
        runbooks=store.query(queries.RUNBOOKS).to_pylist(),
    )


def current_messages(settings: Settings, now: datetime) -> "list[Message]":
    """The message of each open incident, the worst first; none for what only loads marked `--no-alert` have told."""
    from observability.alerts.message import build_message

    incidents = current_status(settings, now).incidents
    return [build_message(incident, now) for incident in incidents if incident.alertable and not incident.fixed]


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
    now: datetime,
    *,
    where: str | None = None,
    columns: Sequence[str] = (),
    limit: int = 0,
) -> Rows:
    """Rows of a view, sorted by its key; no more than `limit`, which is 0 for all.

    Raises ConfigError for a view or a column that is not there or a condition that is none, and StoreError.
    """
    from observability.audit.views import as_of
    from observability.audit.views.questions import select

    statement = select(_view(name), where, columns, limit + 1 if limit else 0)
    store = open_store(settings)
    question = as_of(statement)
    table = store.query(question, {"now": now} if "@now" in question else None)
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
