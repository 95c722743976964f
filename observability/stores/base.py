"""What a store must do, so that every path above it is the same on DuckDB and on BigQuery.

Facts are appended, the row in `invocations` last: that row is the commit. Nothing is ever updated.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from observability.config import Settings
from observability.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa

    from observability.audit.build import Load
    from observability.audit.prepared import PreparedLoad

_DATASET = re.compile(r"[A-Za-z0-9_]{1,1020}")


@dataclass(frozen=True)
class StoredLoad:
    """A committed load, as far as a later loader of the same files needs to know it."""

    load_id: str
    invocation_id: str
    command: str | None
    outcome: str
    exit_code: int | None = None
    evidence: str = ""


@dataclass(frozen=True)
class Committed:
    """What became of a load: its rows by table, or the committed load that had the same content already."""

    load_id: str
    rows: Mapping[str, int] = field(default_factory=dict)
    unchanged: StoredLoad | None = None


class Lease(Protocol):
    """The right to be the only one."""

    def seconds_left(self) -> float:
        """For how long it is held for certain; renewed where that is about to end. 0 once it is lost."""


class Reader(Protocol):
    """Answers questions. Every method raises StoreError for a fault of the store's."""

    @property
    def dialect(self) -> Literal["googlesql", "duckdb"]:
        """The SQL that it speaks."""

    def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> "pa.Table":
        """Run a query in GoogleSQL over views `{main}.name` and tables `{raw}.name`, with parameters `@name`."""


class Store(Reader, Protocol):
    """An audit store. Every method raises StoreError for a fault of the store's."""

    @property
    def url(self) -> str:
        """The URL by which `open_store` opens it."""

    @property
    def schemas(self) -> Mapping[str, str]:
        """What `{raw}` and `{main}` stand for."""

    @property
    def batch_rows(self) -> int:
        """How many rows are worth being stored together; 0 where each load had better be stored at once."""

    @property
    def exists(self) -> bool:
        """Whether anything was stored yet; where that is not cheap to tell, true."""

    def init(self) -> list[str]:
        """Make it or bring it up to date; says what was done."""

    def plan(self) -> list[str]:
        """What `init` would do."""

    def ddl(self) -> str:
        """Its tables and views as DDL."""

    def warm_up(self) -> None:
        """Told that a load will come: what can be done meanwhile may be begun."""

    def close(self) -> None:
        """Told that no more will come."""

    def find_loads(self, content_hashes: Collection[str]) -> dict[str, StoredLoad]:
        """The committed loads that have one of these contents, by content hash."""

    def find_invocations(self, invocation_ids: Collection[str]) -> dict[str, StoredLoad]:
        """The winning loads of these invocations, by invocation_id."""

    def known_states(self, manifest_ids: Collection[str], lineage_ids: Collection[str]) -> set[str]:
        """Those of these manifest_ids and lineage_ids whose rows a committed load has stored."""

    def append(self, loads: "Sequence[PreparedLoad]") -> list[Committed]:
        """Store loads, each wholly or not at all and each content once; in the order given."""

    def execute(self, sql: str, parameters: Mapping[str, object] | None = None) -> int:
        """Run a statement in GoogleSQL that changes rows of `{raw}.name`; how many it changed."""

    def record(self, table: str, rows: "pa.Table") -> None:
        """Append rows that are no load's, and can be asked for at once."""

    def lease(self, name: str) -> AbstractContextManager[Lease | None]:
        """Be the only one of that name while it lasts; None where somebody else is."""

    def reading(self) -> AbstractContextManager[Reader]:
        """Ask several questions, cheaper than one by one."""


def commit(store: Store, loads: "Sequence[Load]") -> list[Committed]:
    """Store loads: what the store has of their project states already is not even put together."""
    from observability.audit.prepared import prepare

    projects = [load.project for load in loads if load.project]
    known = store.known_states({one.manifest_id for one in projects}, {one.lineage_id for one in projects})
    return store.append([prepare(load, known) for load in loads])


def open_store(settings: Settings) -> Store:
    """The store that the settings name by a URL. Nothing is opened yet.

    `duckdb:///relative.duckdb`, `duckdb:////absolute.duckdb`, `bigquery://PROJECT/DATASET?location=EU`. Raises
    ConfigError for a URL that names no store.
    """
    parts = urlsplit(settings.store)
    path = parts.path.strip("/")
    if parts.scheme == "duckdb" and not parts.netloc and path:
        from observability.stores.duckdb import DuckDBStore

        return DuckDBStore(unquote(parts.path[1:]), lock_timeout_seconds=settings.lock_timeout_seconds)
    options = parse_qs(parts.query)
    if parts.scheme == "bigquery" and parts.netloc and _DATASET.fullmatch(path) and set(options) <= {"location"}:
        from observability.stores.bigquery import BigQueryStore

        location = options.get("location", [None])[0]
        return BigQueryStore(parts.netloc, path, location, timeout_seconds=settings.store_timeout_seconds)
    raise ConfigError(
        f"{settings.store!r} names no store",
        where="store (--store, DBT_OBSERVE_STORE)",
        next_step="use duckdb:///relative/path.duckdb, with four slashes duckdb:////absolute/path.duckdb, or "
        "bigquery://PROJECT/DATASET?location=EU",
    )
