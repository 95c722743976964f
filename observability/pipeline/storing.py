"""The store itself: made, brought up to date, filled with what was kept aside, emptied of what is past retention."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from observability.audit.pruning import OPEN_NODES, PRUNED, parameters
from observability.audit.views import as_of
from observability.config import Settings
from observability.errors import ConfigError, ObserveError
from observability.stores.base import Store, open_store
from observability.stores.spool import Spool


def _open(settings: Settings) -> Store:
    return open_store(settings)


def init_store(settings: Settings, *, dry_run: bool = False) -> list[str]:
    """Make the store or bring it up to date; says what was done, or would be. Raises StoreError."""
    store = _open(settings)
    return store.plan() if dry_run else store.init()


def store_ddl(settings: Settings) -> str:
    """The store's tables and views as DDL in its own dialect."""
    return _open(settings).ddl()


@dataclass(frozen=True)
class Replay:
    """What became of the loads that were kept aside. `left` are still there."""

    stored: int
    unchanged: int
    left: int
    errors: tuple[ObserveError, ...]


def replay(settings: Settings, store: Store | None = None) -> Replay:
    """Store what was kept aside while the store did not answer. Raises StoreUnavailable where it still does not.

    `store` takes the place of the one that the settings name.
    """
    store = store or _open(settings)
    spool = Spool(settings.spool_dir, store.url)
    outcomes = list(spool.replay(store))
    errors = tuple(one for one in outcomes if isinstance(one, ObserveError))
    unchanged = sum(1 for one in outcomes if not isinstance(one, ObserveError) and one.unchanged)
    return Replay(len(outcomes) - len(errors) - unchanged, unchanged, len(spool.kept()), errors)


def prune(settings: Settings, now: datetime, keep_days: int, *, dry_run: bool = False) -> Mapping[str, int]:
    """Remove what never was committed and what is past retention; the rows removed, or that would be, by table.

    Raises ConfigError for a retention of less than 2 days: a load of today may still be under way. Raises StoreError.
    """
    if keep_days < 2:
        raise ConfigError(
            f"{keep_days} days are too few to keep",
            where="--keep-days",
            next_step="keep 2 or more: what incidents, trends and freshness tell is read from the last 30 to 90 days",
        )
    store = _open(settings)
    open_nodes = store.query(as_of(OPEN_NODES), {"now": now}).to_pylist()
    given = parameters(now, keep_days, open_nodes)
    removed = {}
    for table, condition in PRUNED.items():
        used = {name: value for name, value in given.items() if f"@{name}" in condition}
        if dry_run:
            counted = store.query(f"SELECT COUNT(*) AS n FROM {{raw}}.{table} AS t WHERE {condition}", used)  # noqa: S608 - our own conditions
            removed[table] = int(counted.column("n")[0].as_py())
        else:
            removed[table] = store.execute(f"DELETE FROM {{raw}}.{table} AS t WHERE {condition}", used)  # noqa: S608 - our own conditions
    return removed
