"""The embedded store: one DuckDB file.

DuckDB lets one process at a time into a file, readers too. So everybody takes a lock beside the file first, stays
short, and waits for the others for a bounded time.
"""

import json
import math
import os
import shutil
import socket
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from glob import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import duckdb
from filelock import FileLock, Timeout

from observability.audit.prepared import COMMIT, PreparedLoad
from observability.audit.schema import TABLES, Table
from observability.audit.views import duckdb_view, to_duckdb, views
from observability.errors import QueryError, StoreBusy, StoreError, StoreSchemaError
from observability.stores.base import Committed, Lease, StoredLoad

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_VERSION = 2
"""Raised whenever tables or views change, so that a file made before is brought up to date."""
_MARK = "dbt-observability schema_version="


class DuckDBStore:
    """An audit store in a DuckDB file. The constructor touches nothing."""

    def __init__(self, path: str | Path, *, lock_timeout_seconds: float = 60.0) -> None:
        self.path = Path(path)
        self.url = f"duckdb:///{path}"
        self._timeout = lock_timeout_seconds
        self._blank: _Blank | None = None
        self._holder = self.path.with_name(f"{self.path.name}.holder")

    dialect: Literal["googlesql", "duckdb"] = "duckdb"
    batch_rows = 0
    schemas: Mapping[str, str] = MappingProxyType({"raw": "raw", "main": "main"})

    @property
    def exists(self) -> bool:
        """Whether anything was stored yet."""
        return self.path.exists()

    def plan(self) -> list[str]:
        """What `init` would do."""
        if not self.path.exists():
            return [f"create {self.path}"]
        with self._locked() as deadline, self._connected(deadline, read_only=True) as connection:
            version = _refuse_strangers(connection, self.path)
        return (
            [f"bring {self.path} from schema version {version} to {SCHEMA_VERSION}"] if version < SCHEMA_VERSION else []
        )

    def init(self) -> list[str]:
        """Make the file or bring it up to date, which every load does too."""
        done = self.plan()
        with self._locked() as deadline:
            self._create()
            with self._connected(deadline) as connection:
                _migrate(connection, self.path)
        return done

    def ddl(self) -> str:
        """The file's schemas, tables and views."""
        statements = ["CREATE SCHEMA IF NOT EXISTS raw", *(table_ddl(table) for table in TABLES.values())]
        statements += [f"CREATE OR REPLACE VIEW main.{view.name} AS\n{duckdb_view(view).strip()}" for view in views()]
        return ";\n\n".join(statements) + ";\n"

    def warm_up(self) -> None:
        """Begin to make the file where there is none, while its first load is read."""
        if not self.path.exists():
            self._blank = _Blank()

    def close(self) -> None:
        """Drop what was begun and not needed."""
        blank, self._blank = self._blank, None
        if blank:
            blank.discard()

    def find_loads(self, content_hashes: Collection[str]) -> dict[str, StoredLoad]:
        """The committed loads that have one of these contents, by content hash."""
        if not self.path.exists():
            return {}
        with self._reading() as connection:
            return _find_loads(connection, content_hashes)

    def find_invocations(self, invocation_ids: Collection[str]) -> dict[str, StoredLoad]:
        """The winning loads of these invocations, by invocation_id."""
        if not self.path.exists():
            return {}
        with self._reading() as connection:
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
        with self._reading() as connection:
            return _known_states(connection, [*manifest_ids, *lineage_ids])

    def append(self, loads: Sequence[PreparedLoad]) -> list[Committed]:
        """Store loads in one transaction, each content once."""
        with self._locked() as deadline:
            self._create()
            with self._connected(deadline) as connection:
                _migrate(connection, self.path)
                connection.begin()
                committed = [_append(connection, load) for load in loads]
                connection.commit()
                return committed

    def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> "pa.Table":
        """Run a query over the views and close the file again."""
        if not self.path.exists():
            raise StoreError(
                "there is no audit store yet",
                where=str(self.path),
                next_step="load a dbt step first: dbt-observe ingest TARGET, or dbt-observe run -- dbt build; or name "
                "another store with --store",
            )
        statement = _translate(sql.replace("{main}", "main").replace("{raw}", "raw"))
        with self._reading() as connection, _questioned(sql):
            return connection.sql(statement, params=parameters).to_arrow_table()

    def execute(self, sql: str, parameters: Mapping[str, object] | None = None) -> int:
        """Run a statement that changes rows; how many it changed."""
        statement = _translate(sql.replace("{main}", "main").replace("{raw}", "raw"))
        with self._locked() as deadline, self._connected(deadline) as connection, _questioned(sql):
            _migrate(connection, self.path)
            (changed,) = connection.execute(statement, parameters).fetchone() or (0,)
            return int(changed)

    def record(self, table: str, rows: "pa.Table") -> None:
        """Append rows that are no load's."""
        with self._locked() as deadline, self._connected(deadline) as connection:
            _migrate(connection, self.path)
            connection.register("rows", rows)
            connection.execute(f"INSERT INTO raw.{table} BY NAME SELECT * FROM rows")  # noqa: S608 - our own names

    @contextmanager
    def lease(self, name: str) -> Iterator[Lease | None]:
        """Hold a lock beside the file; the kernel takes it back from a process that is gone."""
        lock = FileLock(f"{self.path}.{name}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            yield None
            return
        except OSError as error:
            raise StoreError(
                f"the audit store cannot be used: {error}",
                where=str(self.path),
                next_step="check its folder's permissions",
            ) from error
        try:
            yield _Held()
        finally:
            lock.release()

    @contextmanager
    def _locked(self) -> Iterator[float]:
        """Hold the lock beside the file; gives the moment until which to go on trying."""
        deadline = time.monotonic() + self._timeout
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self.path}.lock", timeout=self._timeout):
                self._holder.write_text(_myself(), encoding="utf-8")
                try:
                    yield deadline
                finally:
                    self._holder.unlink(missing_ok=True)
        except Timeout as error:
            raise StoreBusy(
                f"another process has held the audit store for {self._timeout:g} s: {self._read_holder()}",
                where=str(self.path),
                next_step="try again when it is done, or wait longer: DBT_OBSERVE_LOCK_TIMEOUT_SECONDS",
            ) from error
        except OSError as error:
            raise StoreError(
                f"the audit store cannot be used: {error}",
                where=str(self.path),
                next_step="check its folder's permissions",
            ) from error

    def _read_holder(self) -> str:
        try:
            holder = json.loads(self._holder.read_text(encoding="utf-8"))
            return f"process {holder['pid']} on {holder['host']}, since {holder['since']}"
        except (OSError, ValueError, KeyError, TypeError):
            return "it did not say which"

    @contextmanager
    def _reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the file to read from it; one that an earlier version made is brought up to date first."""
        with self._locked() as deadline:
            with self._connected(deadline, read_only=True) as connection:
                if _refuse_strangers(connection, self.path) >= SCHEMA_VERSION:
                    yield connection
                    return
            with self._connected(deadline) as connection:
                _migrate(connection, self.path)
                yield connection

    @contextmanager
    def _connected(self, deadline: float, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the file, and put DuckDB's errors into ours."""
        connection = _connect(self.path, deadline, read_only=read_only)
        try:
            connection.execute("SET TimeZone = 'UTC'").fetchall()
            yield connection
        except duckdb.Error as error:
            raise _map(error, self.path) from error
        finally:
            connection.close()

    def _create(self) -> None:
        """Make a new file with its tables and views, whole before anybody sees it."""
        if self.path.exists():
            return
        # we hold the lock: what lies here is of one that was killed
        for left in self.path.parent.glob(f"{escape(self.path.name)}.*.partial*"):
            left.unlink(missing_ok=True)
        partial = self.path.with_name(f"{self.path.name}.{os.getpid()}.partial")
        blank, self._blank = self._blank or _Blank(), None
        try:
            shutil.copyfile(blank.made(), partial)
            partial.replace(self.path)
        except duckdb.Error as error:
            raise _map(error, self.path) from error
        finally:
            blank.discard()
            partial.unlink(missing_ok=True)


class _Held:
    """A lock of this machine's."""

    def seconds_left(self) -> float:
        """For ever."""
        return math.inf


class _Blank:
    """An empty store, made in the background: DuckDB takes its time to understand the views."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="dbt-observe-", ignore_cleanup_errors=True)
        self._path = Path(self._folder.name) / "blank.duckdb"
        self._error: Exception | None = None
        self._making = Thread(target=self._make, daemon=True)
        self._making.start()

    def _make(self) -> None:
        try:
            with duckdb.connect(str(self._path), config={"threads": 1}) as connection:
                _create_objects(connection)
        except Exception as error:  # noqa: BLE001 - told to whoever asks for the file
            self._error = error

    def made(self) -> Path:
        """The file, whole."""
        self._making.join()
        if self._error:
            raise self._error
        return self._path

    def discard(self) -> None:
        """Remove the file."""
        self._making.join()
        self._folder.cleanup()


def _translate(sql: str) -> str:
    from sqlglot.errors import SqlglotError

    try:
        return to_duckdb(sql)
    except SqlglotError as error:
        raise QueryError(
            f"the query cannot be put into DuckDB's dialect: {_first_line(error)}",
            where=_start(sql),
            next_step="write it in GoogleSQL, and simpler",
        ) from error


def _start(sql: str) -> str:
    """As much of a query as tells which one it is."""
    words = " ".join(sql.split())
    return words if len(words) <= 200 else f"{words[:200]}…"


@contextmanager
def _questioned(sql: str) -> Iterator[None]:
    """Tell a question that DuckDB does not understand from a fault of the store's."""
    try:
        yield
    except (duckdb.BinderException, duckdb.ParserException, duckdb.DataError, duckdb.CatalogException) as error:
        raise QueryError(
            f"the store does not understand the query: {_first_line(error)}",
            where=_start(sql),
            next_step="check the names of its columns and the types that it compares",
        ) from error


def _append(connection: duckdb.DuckDBPyConnection, load: PreparedLoad) -> Committed:
    found = _find_loads(connection, [load.content_hash])
    if found:
        return Committed(load.load_id, unchanged=found[load.content_hash])
    tables, counts = load.to_write(_known_states(connection, list(load.states.values())))
    for name, table in tables.items():
        connection.register("incoming", table)
        connection.execute(f"INSERT INTO raw.{name} BY NAME SELECT * FROM incoming")  # noqa: S608 - our own names
        connection.unregister("incoming")
    return Committed(load.load_id, {COMMIT: 1, **counts})


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


def _connect(path: Path, deadline: float, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """Open the file, waiting for one who has it open without our lock (a DuckDB shell, say)."""
    while True:
        try:
            # a second thread makes one load neither quicker nor smaller
            return duckdb.connect(str(path), read_only=read_only, config={} if read_only else {"threads": 1})
        except duckdb.IOException as error:
            if "Could not set lock" not in str(error):
                raise _map(error, path) from error
            if time.monotonic() > deadline:
                raise StoreBusy(
                    f"another program has the audit store open: {_first_line(error)}",
                    where=str(path),
                    next_step="close it there; a reader that stays connected should open a copy",
                ) from error
        except duckdb.Error as error:
            raise _map(error, path) from error
        time.sleep(0.05)


def _create_objects(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("SET TimeZone = 'UTC'")
    connection.begin()
    connection.execute("CREATE SCHEMA IF NOT EXISTS raw")
    for table in TABLES.values():
        connection.execute(table_ddl(table))
        existing = _columns(connection, table.name)
        for column in table.columns:
            if column.name not in existing:
                connection.execute(f'ALTER TABLE raw.{table.name} ADD COLUMN "{column.name}" {column.duckdb_type}')
    for view in views():
        connection.execute(f"CREATE OR REPLACE VIEW main.{view.name} AS {duckdb_view(view)}")
        connection.execute(f"COMMENT ON VIEW main.{view.name} IS '{view.description.replace(chr(39), chr(39) * 2)}'")
    connection.execute(f"COMMENT ON TABLE raw.invocations IS '{_MARK}{SCHEMA_VERSION}'")
    connection.commit()


def table_ddl(table: Table) -> str:
    """CREATE TABLE for one of our tables."""
    columns = ",\n  ".join(
        f'"{column.name}" {column.duckdb_type}{"" if column.nullable else " NOT NULL"}' for column in table.columns
    )
    return f"CREATE TABLE IF NOT EXISTS raw.{table.name} (\n  {columns}\n)"


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> set[str]:
    rows = connection.execute(
        "SELECT column_name FROM duckdb_columns() WHERE schema_name = 'raw' AND table_name = ?", [table]
    ).fetchall()
    return {row[0] for row in rows}


def _version(connection: duckdb.DuckDBPyConnection) -> int | None:
    """The schema version of a file of ours; None for another's."""
    rows = connection.execute(
        "SELECT comment FROM duckdb_tables() WHERE schema_name = 'raw' AND table_name = 'invocations'"
    ).fetchall()
    mark = str(rows[0][0] or "") if rows else ""
    return int(mark.removeprefix(_MARK)) if mark.startswith(_MARK) else None


def _refuse_strangers(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    version = _version(connection)
    if version is None:
        raise StoreSchemaError(
            "this DuckDB file is not an audit store",
            where=str(path),
            next_step="give the audit store a file of its own: dbt's warehouse must not be the same file, because "
            "DuckDB lets only one process into it",
        )
    return version


def _migrate(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Bring an older file up to date. A newer one is left as it is: what it has more, we do not fill."""
    if _refuse_strangers(connection, path) < SCHEMA_VERSION:
        _create_objects(connection)


def _map(error: duckdb.Error, path: Path) -> StoreError:
    if isinstance(error, duckdb.CatalogException | duckdb.BinderException):
        return StoreSchemaError(
            f"the audit store's tables are not as expected: {_first_line(error)}",
            where=str(path),
            next_step="give the audit store a file of its own, or restore the file that dbt-observe made",
        )
    return StoreError(
        f"DuckDB cannot use the audit store: {_first_line(error)}",
        where=str(path),
        next_step="check that it is a DuckDB file and that the disk has room; a load that failed left nothing behind "
        "and can be repeated",
    )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _myself() -> str:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since})
