"""The store: questions and loads, each in a connection of its own."""

import math
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import duckdb

from observability.audit.prepared import COMMIT, PreparedLoad
from observability.errors import StoreError
from observability.stores.base import Committed, Lease, Reader, StoredLoad
from observability.stores.duckdb.faults import mapped, questioned, translate
from observability.stores.duckdb.file import StoreFile
from observability.stores.duckdb.schema import SCHEMA_VERSION, Blank, ddl, migrate, schema_version

if TYPE_CHECKING:
    import pyarrow as pa


class DuckDBStore:
    """An audit store in a DuckDB file. The constructor touches nothing."""

    def __init__(self, path: str | Path, *, lock_timeout_seconds: float = 60.0) -> None:
        self.path = Path(path)
        self.url = f"duckdb:///{path}"
        self._file = StoreFile(self.path, lock_timeout_seconds)
        self._blank: Blank | None = None

    dialect: Literal["googlesql", "duckdb"] = "duckdb"
    batch_rows = 5_000
    schemas: Mapping[str, str] = MappingProxyType({"raw": "raw", "main": "main"})

    @property
    def exists(self) -> bool:
        """Whether anything was stored yet."""
        return self.path.exists()

    def plan(self) -> list[str]:
        """What `init` would do."""
        if not self.path.exists():
            return [f"create {self.path}"]
        with self._file.locked() as deadline, self._file.connected(deadline, read_only=True) as connection:
            version = schema_version(connection, self.path)
        return (
            [f"bring {self.path} from schema version {version} to {SCHEMA_VERSION}"] if version < SCHEMA_VERSION else []
        )

    def init(self) -> list[str]:
        """Make the file or bring it up to date, which every load does too."""
        done = self.plan()
        with self._loading():
            return done

    def ddl(self) -> str:
        """The file's schemas, tables and views."""
        return ddl()

    def warm_up(self) -> None:
        """Begin to make the file where there is none, while its first load is read."""
        if not self.path.exists():
            self._blank = Blank()

    def close(self) -> None:
        """Drop what was begun and not needed."""
        blank, self._blank = self._blank, None
        if blank:
            blank.discard()

    def find_loads(self, content_hashes: Collection[str]) -> dict[str, StoredLoad]:
        """The committed loads that have one of these contents, by content hash."""
        if not self.path.exists():
            return {}
        with self._file.reading() as connection:
            return _find_loads(connection, content_hashes)

    def find_invocations(self, invocation_ids: Collection[str]) -> dict[str, StoredLoad]:
        """The winning loads of these invocations, by invocation_id."""
        if not self.path.exists():
            return {}
        with self._file.reading() as connection:
            rows = connection.execute(
                "SELECT load_id, invocation_id, command, outcome, exit_code, evidence FROM main.invocations"
                " WHERE invocation_id IN (SELECT unnest(?::VARCHAR[]))",
                [list(invocation_ids)],
            ).fetchall()
            return {load.invocation_id: load for load in (StoredLoad(*row) for row in rows)}

    def known_states(self, manifest_ids: Collection[str], lineage_ids: Collection[str]) -> set[str]:
        """Those of these ids whose rows a committed load has stored."""
        if not self.path.exists():
            return set()
        with self._file.reading() as connection:
            return _known_states(connection, [*manifest_ids, *lineage_ids])

    def append(self, loads: Sequence[PreparedLoad]) -> list[Committed]:
        """Store loads in one transaction, each content once."""
        with self._loading() as connection:
            connection.begin()
            committed = [_append(connection, load) for load in loads]
            connection.commit()
            return committed

    def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> "pa.Table":
        """Run a query over the views and close the file again."""
        with self.reading() as reader:
            return reader.query(sql, parameters)

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """Ask several questions and close the file again. Others wait meanwhile."""
        if not self.path.exists():
            raise StoreError(
                "there is no audit store yet",
                where=str(self.path),
                next_step="load a dbt step first: dbt-observe ingest TARGET, or dbt-observe run -- dbt build; or name "
                "another store with --store",
            )
        with self._file.reading() as connection:
            yield _Reader(connection, self.schemas)

    def execute(self, sql: str, parameters: Mapping[str, object] | None = None) -> int:
        """Run a statement that changes rows; how many it changed."""
        statement = translate(_placed(sql, self.schemas))
        with self._file.writing() as connection, questioned(sql):
            (changed,) = connection.execute(statement, parameters).fetchone() or (0,)
            return int(changed)

    def record(self, table: str, rows: "pa.Table") -> None:
        """Append rows that are no load's."""
        with self._file.writing() as connection:
            _insert(connection, table, rows)

    @contextmanager
    def lease(self, name: str) -> Iterator[Lease | None]:
        """Hold a lock beside the file; the kernel takes it back from a process that is gone."""
        with self._file.named_lock(name) as held:
            yield _Held() if held else None

    @contextmanager
    def _loading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the file to change it; made where there is none."""
        with self._file.locked() as deadline:
            self._create()
            with self._file.connected(deadline) as connection:
                migrate(connection, self.path)
                yield connection

    def _create(self) -> None:
        """Make a new file with its tables and views, whole before anybody sees it."""
        if self.path.exists():
            return
        # we hold the lock: what lies here is of one that was killed
        for left in self.path.parent.glob(f"{escape(self.path.name)}.*.partial*"):
            left.unlink(missing_ok=True)
        partial = self.path.with_name(f"{self.path.name}.{os.getpid()}.partial")
        blank, self._blank = self._blank or Blank(), None
        try:
            with mapped(self.path):
                shutil.copyfile(blank.made(), partial)
                partial.replace(self.path)
        finally:
            blank.discard()
            partial.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Reader:
    """Answers questions over an open connection."""

    connection: duckdb.DuckDBPyConnection
    schemas: Mapping[str, str]
    dialect: Literal["googlesql", "duckdb"] = "duckdb"

    def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> "pa.Table":
        """Run a query."""
        statement = translate(_placed(sql, self.schemas))
        with questioned(sql):
            return self.connection.sql(statement, params=parameters).to_arrow_table()


def _placed(sql: str, schemas: Mapping[str, str]) -> str:
    for name, schema in schemas.items():
        sql = sql.replace(f"{{{name}}}", schema)
    return sql


class _Held:
    """A lock of this machine's."""

    def seconds_left(self) -> float:
        """For ever."""
        return math.inf


def _append(connection: duckdb.DuckDBPyConnection, load: PreparedLoad) -> Committed:
    found = _find_loads(connection, [load.content_hash])
    if found:
        return Committed(load.load_id, unchanged=found[load.content_hash])
    tables, counts = load.to_write(_known_states(connection, list(load.states.values())))
    for name, table in tables.items():
        _insert(connection, name, table)
    return Committed(load.load_id, {COMMIT: 1, **counts})


def _insert(connection: duckdb.DuckDBPyConnection, table: str, rows: "pa.Table") -> None:
    connection.register("incoming", rows)
    connection.execute(f"INSERT INTO raw.{table} BY NAME SELECT * FROM incoming")  # noqa: S608 - our own names
    connection.unregister("incoming")


def _find_loads(connection: duckdb.DuckDBPyConnection, content_hashes: Collection[str]) -> dict[str, StoredLoad]:
    rows = connection.execute(
        "SELECT content_hash, load_id, invocation_id, command, outcome, exit_code, evidence FROM raw.invocations"
        " WHERE content_hash IN (SELECT unnest(?::VARCHAR[])) ORDER BY load_id DESC",
        [list(content_hashes)],
    ).fetchall()
    return {content_hash: StoredLoad(*load) for content_hash, *load in rows}


def _known_states(connection: duckdb.DuckDBPyConnection, ids: Sequence[str]) -> set[str]:
    rows = connection.execute(
        "SELECT manifest_id FROM raw.invocations WHERE manifest_id IN (SELECT unnest($ids::VARCHAR[]))"
        " UNION SELECT lineage_id FROM raw.invocations WHERE lineage_id IN (SELECT unnest($ids::VARCHAR[]))",
        {"ids": list(ids)},
    ).fetchall()
    return {row[0] for row in rows}
