"""Questions over one view, as people ask them."""

from collections.abc import Sequence
from difflib import get_close_matches

from observability.audit.views import View
from observability.errors import ConfigError


def pretty(sql: str, dialect: str) -> str:
    """GoogleSQL laid out for people, as it is or in DuckDB's dialect."""
    import sqlglot

    if dialect == "googlesql":
        return sql.strip()  # as it was written
    (statement,) = sqlglot.transpile(
        sql, read="bigquery", write="duckdb", pretty=True, unsupported_level=sqlglot.ErrorLevel.RAISE
    )
    return statement


def select(view: View, where: str | None = None, columns: Sequence[str] = (), limit: int = 0) -> str:
    """A query over one view, sorted by its key. Raises ConfigError for an unknown column or a broken condition."""
    declared = [column.name for column in view.columns]
    for name in columns:
        if name not in declared:
            near = get_close_matches(name, declared, n=1)
            raise ConfigError(
                f"{view.name} has no column {name!r}" + (f"; did you mean {near[0]}?" if near else ""),
                where="columns",
                next_step=f"one of: {', '.join(declared)}",
            )
    chosen = ", ".join(f"v.{name}" for name in columns or declared)
    order = ", ".join(f"v.{name}" for name in view.key)
    condition = f"\nWHERE ({_condition(where)}\n)" if where else ""
    return f"SELECT {chosen}\nFROM {{main}}.{view.name} AS v{condition}\nORDER BY {order}" + (
        f"\nLIMIT {limit}" if limit else ""
    )


def _condition(where: str) -> str:
    """A condition that is one expression, and nothing after it."""
    import sqlglot

    try:
        sqlglot.condition(where, dialect="bigquery")
    except sqlglot.errors.SqlglotError as error:
        raise ConfigError(
            "the condition cannot be read as one expression",
            where=where,
            next_step="write it in GoogleSQL, such as: state = 'open' AND severity <> 'warning'",
        ) from error
    return where
