"""What a store must do, so that every path above it is the same on DuckDB and on BigQuery.

Facts are appended, the row in `invocations` last: that row is the commit. Nothing is ever updated.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol
from urllib.parse import unquote, urlsplit

from observability.audit.build import Load
from observability.audit.prepared import PreparedLoad, prepare
from observability.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa


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


class Store(Protocol):
    """An audit store. Every method raises StoreError for a fault of the store's."""

    url: str
    dialect: Literal["googlesql", "duckdb"]
    schemas: Mapping[str, str]
    """What `{raw}` and `{main}` stand for, in its dialect."""

    @property
    def exists(self) -> bool:
        """Whether anything was stored yet; where that is not cheap to tell, true."""

    def find_loads(self, content_hashes: Collection[str]) -> dict[str, StoredLoad]:
        """The committed loads that have one of these contents, by content hash."""

    def find_invocations(self, invocation_ids: Collection[str]) -> dict[str, StoredLoad]:
        """The winning loads of these invocations, by invocation_id."""

    def known_states(self, manifest_ids: Collection[str], lineage_ids: Collection[str]) -> set[str]:
        """Those of these manifest_ids and lineage_ids whose rows a committed load has stored."""

    def append(self, loads: Sequence[PreparedLoad]) -> list[Committed]:
        """Store loads, each wholly or not at all and each content once; in the order given."""

    def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> "pa.Table":
        """Run a query in GoogleSQL over views `{main}.name` and tables `{raw}.name`, with parameters `@name`."""


def commit(store: Store, loads: Sequence[Load]) -> list[Committed]:
    """Store loads: what the store has of their project states already is not even put together."""
    projects = [load.project for load in loads if load.project]
    known = store.known_states({one.manifest_id for one in projects}, {one.lineage_id for one in projects})
    return store.append([prepare(load, known) for load in loads])


def open_store(url: str, *, lock_timeout_seconds: float) -> Store:
    """A store by its URL: `duckdb:///relative.duckdb`, `duckdb:////absolute.duckdb`. Nothing is opened yet.

    Raises ConfigError for a URL that names no store.
    """
    parts = urlsplit(url)
    if parts.scheme == "duckdb" and not parts.netloc and parts.path.strip("/"):
        from observability.stores.duckdb import DuckDBStore

        return DuckDBStore(unquote(parts.path[1:]), lock_timeout_seconds=lock_timeout_seconds)
    raise ConfigError(
        f"{url!r} names no store",
        where="store (--store, DBT_OBSERVE_STORE)",
        next_step="use duckdb:///relative/path.duckdb or, with four slashes, duckdb:////absolute/path.duckdb",
    )
