"""The views that people read: one GoogleSQL file each, and beside it, in `declared/`, the columns that it must have.

In a file, `{raw}` is the schema of the tables, `{main}` that of the views, `{now}` the moment as of which a question is
asked, and `{columns}` the columns of the table of the same name, each with the alias `f`.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from hashlib import sha256
from importlib import import_module
from importlib.resources import files

import observability.audit.tables  # noqa: F401 - registers the tables
from observability.audit.schema import TABLES, Column
from observability.audit.views.declaration import DECLARED

WINNERS = ("invocations", "nodes", "exposure_ancestors", "run_results", "source_freshness")
"""The views that bear a table's name: its winning rows."""
JOURNALS = ("deliveries", "incident_actions")
"""And these: what was told, as it came out, and what people did."""

_KEYS = {
    "invocations": ("invocation_id",),
    "nodes": ("manifest_id", "unique_id"),
    "exposure_ancestors": ("lineage_id", "exposure_unique_id", "ancestor_unique_id"),
    "run_results": ("invocation_id", "unique_id"),
    "source_freshness": ("invocation_id", "unique_id"),
    "deliveries": ("stream", "seq"),
    "incident_actions": ("load_id",),
}
_MODULES = ("current", "exposures", "failures", "freshness", "incidents", "runs", "trends")
_READS = re.compile(r"\{main\}\.(\w+)")
_NOW = "CURRENT_TIMESTAMP()"


@dataclass(frozen=True)
class View:
    """A view: its SQL with the schemas left open, the columns that it must have, and which of them name a row."""

    name: str
    description: str
    template: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def reads(self) -> frozenset[str]:
        """The views that it is made of."""
        return frozenset(_READS.findall(self.template))

    def sql(self, *, raw: str, main: str, now: str = _NOW) -> str:
        """The view's query in GoogleSQL, over the given schemas (or datasets)."""
        columns = ", ".join(f"f.{column.name}" for column in self.columns)
        filled = self.template.replace("{columns}", columns).replace("{now}", now)
        return filled.replace("{raw}", raw).replace("{main}", main)


@cache
def views() -> tuple[View, ...]:
    """Every view, each after those that it reads."""
    for module in _MODULES:
        import_module(f"{__name__}.declared.{module}")
    known = {name: _of_table(name) for name in (*WINNERS, *JOURNALS)} | {name: _declared(name) for name in DECLARED}
    return tuple(
        known[name] for name in TopologicalSorter({v.name: sorted(v.reads) for v in known.values()}).static_order()
    )


def find_view(name: str) -> View:
    """A view by its name. Raises KeyError."""
    return {view.name: view for view in views()}[name]


def _template(name: str) -> str:
    return files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8")


def _of_table(name: str) -> View:
    about = TABLES[name].description
    description = f"The winning rows of {name}. {about}" if name in WINNERS else _JOURNAL_DESCRIPTIONS[name]
    return View(name, description, _template(name), TABLES[name].columns, _KEYS[name])


_JOURNAL_DESCRIPTIONS = {
    "deliveries": "One row per step of telling somebody of an incident, with what became of it.",
    "incident_actions": "One row per thing that a person did to an incident.",
}


def _declared(name: str) -> View:
    declared = DECLARED[name]
    return View(name, declared.description, _template(name), declared.columns, declared.key)


def as_of(sql: str) -> str:
    """The query with the moment `@now` in place of the clock, in all the views that look at it.

    Their SQL becomes part of the query: in place where it is needed once, before the query where more often.
    """
    shared: dict[str, str] = {}
    for view in reversed(views()):  # what reads a view comes before it
        name = re.compile(rf"\{{main\}}\.{view.name}\b")
        uses = sum(len(name.findall(text)) for text in (sql, *shared.values()))
        if not uses or not _looks_at_the_clock(view.name):
            continue
        body = view.template.replace("{now}", "@now").strip()
        put = f"(\n{body}\n)" if uses == 1 else f"as_of_{view.name}"
        sql, *texts = (name.sub(lambda _, put=put: put, text) for text in (sql, *shared.values()))  # type: ignore[misc]
        shared = ({f"as_of_{view.name}": body} if uses > 1 else {}) | dict(zip(shared, texts, strict=True))
    if not shared:
        return sql
    before = ",\n".join(f"{name} AS (\n{body}\n)" for name, body in shared.items())
    rest = re.sub(r"^\s*WITH\b", ",", sql) if re.match(r"\s*WITH\b", sql) else f"\n{sql}"
    return f"WITH {before}{rest}"


@cache
def _looks_at_the_clock(name: str) -> bool:
    view = find_view(name)
    return "{now}" in view.template or any(_looks_at_the_clock(read) for read in view.reads)


def duckdb_view(view: View) -> str:
    """The view's query in DuckDB's dialect, as it was translated when the package was made: sqlglot takes its time."""
    return files(__name__).joinpath("duckdb", f"{view.name}.sql").read_text(encoding="utf-8")


@cache
def to_duckdb(sql: str) -> str:
    """GoogleSQL in DuckDB's dialect. Raises sqlglot's UnsupportedError where there is no faithful translation."""
    return shipped_for_duckdb(sql) or translated(sql)


def shipped_for_duckdb(sql: str) -> str | None:
    """The same where it was translated when the package was made: then sqlglot need not even be imported."""
    return _shipped().get(digest_of(sql))


def translated(sql: str) -> str:
    """The same, by sqlglot, whatever was translated before."""
    import sqlglot

    (statement,) = sqlglot.transpile(sql, read="bigquery", write="duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE)
    return statement


def digest_of(sql: str) -> str:
    """What a question is known by."""
    return sha256(sql.encode()).hexdigest()[:16]


@cache
def _shipped() -> dict[str, str]:
    """Questions that are asked at every alert, as they were translated when the package was made."""
    text = files(__name__).joinpath("duckdb", "questions.json").read_text(encoding="utf-8")
    known: dict[str, str] = json.loads(text)
    return known
