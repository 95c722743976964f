"""The views that people read: one GoogleSQL file each, in the order in which they build on one another.

In a file, `{raw}` is the schema of the tables, `{main}` that of the views, and `{columns}` the columns of the table of
the same name, each with the alias `f`.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import observability.audit.tables  # noqa: F401 - registers the tables
from observability.audit.schema import TABLES, Column

NAMES = ("invocations", "nodes", "exposure_ancestors", "run_results", "source_freshness")
"""In dependency order."""


@dataclass(frozen=True)
class View:
    """A view: its SQL with the schemas left open, and the columns that it must have."""

    name: str
    description: str
    template: str
    columns: tuple[Column, ...]

    def sql(self, *, raw: str, main: str) -> str:
        """The view's query in GoogleSQL, over the given schemas (or datasets)."""
        columns = ", ".join(f"f.{column.name}" for column in self.columns)
        return self.template.replace("{columns}", columns).replace("{raw}", raw).replace("{main}", main)


@cache
def views() -> tuple[View, ...]:
    """Every view, each after those that it reads."""
    return tuple(_view(name) for name in NAMES)


def _view(name: str) -> View:
    template = files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
    return View(name, f"The winning rows of {name}. {TABLES[name].description}", template, TABLES[name].columns)


def duckdb_view(view: View) -> str:
    """The view's query in DuckDB's dialect, as it was translated when the package was made: sqlglot takes its time."""
    return files(__name__).joinpath("duckdb", f"{view.name}.sql").read_text(encoding="utf-8")


def to_duckdb(sql: str) -> str:
    """GoogleSQL in DuckDB's dialect. Raises sqlglot's UnsupportedError where there is no faithful translation."""
    import sqlglot

    (statement,) = sqlglot.transpile(sql, read="bigquery", write="duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE)
    return statement
