"""DuckDB's errors and those of the disk, as ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from observability.audit.views import shipped_for_duckdb, to_duckdb
from observability.errors import QueryError, StoreError, StoreSchemaError


@contextmanager
def mapped(path: Path) -> Iterator[None]:
    """Raise StoreError for what DuckDB or the disk raises."""
    try:
        yield
    except duckdb.Error as error:
        raise store_error(error, path) from error
    except OSError as error:
        raise StoreError(
            f"the audit store cannot be used: {error}",
            where=str(path),
            next_step="check its folder's permissions",
        ) from error


@contextmanager
def questioned(sql: str) -> Iterator[None]:
    """Tell a question that DuckDB does not understand from a fault of the store's. Raises QueryError."""
    try:
        yield
    except (duckdb.BinderException, duckdb.ParserException, duckdb.DataError, duckdb.CatalogException) as error:
        raise QueryError(
            f"the store does not understand the query: {first_line(error)}",
            where=_start(sql),
            next_step="check the names of its columns and the types that it compares",
        ) from error


def translate(sql: str) -> str:
    """A query in GoogleSQL as DuckDB's. Raises QueryError."""
    if shipped := shipped_for_duckdb(sql):
        return shipped
    from sqlglot.errors import SqlglotError

    try:
        return to_duckdb(sql)
    except SqlglotError as error:
        raise QueryError(
            f"the query cannot be put into DuckDB's dialect: {first_line(error)}",
            where=_start(sql),
            next_step="write it in GoogleSQL, and simpler",
        ) from error


def store_error(error: duckdb.Error, path: Path) -> StoreError:
    """The error of ours for one of DuckDB's."""
    if isinstance(error, duckdb.CatalogException | duckdb.BinderException):
        return StoreSchemaError(
            f"the audit store's tables are not as expected: {first_line(error)}",
            where=str(path),
            next_step="give the audit store a file of its own, or restore the file that dbt-observe made",
        )
    return StoreError(
        f"DuckDB cannot use the audit store: {first_line(error)}",
        where=str(path),
        next_step="check that it is a DuckDB file and that the disk has room; a load that failed left nothing behind "
        "and can be repeated",
    )


def first_line(error: Exception) -> str:
    """What an error says first."""
    return str(error).partition("\n")[0]


def _start(sql: str) -> str:
    """As much of a query as tells which one it is."""
    words = " ".join(sql.split())
    return words if len(words) <= 200 else f"{words[:200]}…"
