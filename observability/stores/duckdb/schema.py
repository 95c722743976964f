"""What a store's file holds: schemas, tables, views and the mark that it is ours."""

from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import duckdb

from observability.audit.schema import TABLES, Table
from observability.audit.views import duckdb_view, views
from observability.errors import StoreSchemaError

SCHEMA_VERSION = 4
"""Raised whenever tables or views change, so that a file made before is brought up to date."""
_MARK = "dbt-observability schema_version="


def ddl() -> str:
    """The file's schemas, tables and views."""
    statements = ["CREATE SCHEMA IF NOT EXISTS raw", *(table_ddl(table) for table in TABLES.values())]
    statements += [f"CREATE OR REPLACE VIEW main.{view.name} AS\n{duckdb_view(view).strip()}" for view in views()]
    return ";\n\n".join(statements) + ";\n"


def table_ddl(table: Table) -> str:
    """CREATE TABLE for one of our tables."""
    columns = ",\n  ".join(
        f'"{column.name}" {column.duckdb_type}{"" if column.nullable else " NOT NULL"}' for column in table.columns
    )
    return f"CREATE TABLE IF NOT EXISTS raw.{table.name} (\n  {columns}\n)"


def schema_version(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    """The schema version of a file of ours. Raises StoreSchemaError for another's."""
    rows = connection.execute(
        "SELECT comment FROM duckdb_tables() WHERE schema_name = 'raw' AND table_name = 'invocations'"
    ).fetchall()
    mark = str(rows[0][0] or "") if rows else ""
    if not mark.startswith(_MARK):
        raise StoreSchemaError(
            "this DuckDB file is not an audit store",
            where=str(path),
            next_step="give the audit store a file of its own: dbt's warehouse must not be the same file, because "
            "DuckDB lets only one process into it",
        )
    return int(mark.removeprefix(_MARK))


def migrate(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Bring an older file up to date. A newer one is left as it is: what it has more, we do not fill."""
    if schema_version(connection, path) < SCHEMA_VERSION:
        _create_objects(connection)


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


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> set[str]:
    rows = connection.execute(
        "SELECT column_name FROM duckdb_columns() WHERE schema_name = 'raw' AND table_name = ?", [table]
    ).fetchall()
    return {row[0] for row in rows}


class Blank:
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
