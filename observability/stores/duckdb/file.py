"""The store's file: who may open it, and for how long one waits for the others."""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from observability.errors import StoreBusy
from observability.stores.duckdb.faults import first_line, mapped, store_error
from observability.stores.duckdb.schema import SCHEMA_VERSION, migrate, schema_version


@dataclass(frozen=True)
class StoreFile:
    """A DuckDB file with a lock beside it."""

    path: Path
    timeout_seconds: float

    @property
    def _holder(self) -> Path:
        return self.path.with_name(f"{self.path.name}.holder")

    @contextmanager
    def locked(self) -> Iterator[float]:
        """Hold the lock beside the file; gives the moment until which to go on trying. Raises StoreError."""
        deadline = time.monotonic() + self.timeout_seconds
        lock = FileLock(f"{self.path}.lock", timeout=self.timeout_seconds)
        with mapped(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire()
            except Timeout as error:
                raise StoreBusy(
                    f"another process has held the audit store for {self.timeout_seconds:g} s: {self._read_holder()}",
                    where=str(self.path),
                    next_step="try again when it is done, or wait longer: DBT_OBSERVE_LOCK_TIMEOUT_SECONDS",
                ) from error
            try:
                self._holder.write_text(_myself(), encoding="utf-8")
                yield deadline
            finally:
                self._holder.unlink(missing_ok=True)
                lock.release()

    @contextmanager
    def named_lock(self, name: str) -> Iterator[bool]:
        """Hold another lock beside the file, if it is free; the kernel takes it back from a process that is gone."""
        lock = FileLock(f"{self.path}.{name}.lock", timeout=0)
        with mapped(self.path):
            try:
                lock.acquire()
            except Timeout:
                yield False
                return
        try:
            yield True
        finally:
            lock.release()

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the file to read from it; one that an earlier version made is brought up to date first."""
        with self.locked() as deadline:
            with self.connected(deadline, read_only=True) as connection:
                if schema_version(connection, self.path) >= SCHEMA_VERSION:
                    yield connection
                    return
            with self.connected(deadline) as connection:
                migrate(connection, self.path)
                yield connection

    @contextmanager
    def writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the file, which is there, to change it; brought up to date first."""
        with self.locked() as deadline, self.connected(deadline) as connection:
            migrate(connection, self.path)
            yield connection

    @contextmanager
    def connected(self, deadline: float, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the file for one who holds the lock, and put DuckDB's errors into ours."""
        with mapped(self.path):
            connection = self._connect(deadline, read_only=read_only)
            try:
                connection.execute("SET TimeZone = 'UTC'").fetchall()
                yield connection
            finally:
                connection.close()

    def _connect(self, deadline: float, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        """Open the file, waiting for one who has it open without our lock (a DuckDB shell, say)."""
        while True:
            try:
                # a second thread makes one load neither quicker nor smaller
                return duckdb.connect(str(self.path), read_only=read_only, config={} if read_only else {"threads": 1})
            except duckdb.IOException as error:
                if "Could not set lock" not in str(error):
                    raise store_error(error, self.path) from error
                if time.monotonic() > deadline:
                    raise StoreBusy(
                        f"another program has the audit store open: {first_line(error)}",
                        where=str(self.path),
                        next_step="close it there; a reader that stays connected should open a copy",
                    ) from error
            time.sleep(0.05)

    def _read_holder(self) -> str:
        try:
            holder = json.loads(self._holder.read_text(encoding="utf-8"))
            return f"process {holder['pid']} on {holder['host']}, since {holder['since']}"
        except (OSError, ValueError, KeyError, TypeError):
            return "it did not say which"


def _myself() -> str:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since})
