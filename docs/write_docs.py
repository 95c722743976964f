"""Writes what is generated in the documentation: `python docs/write_docs.py`, or `make docs`. A test holds it fresh."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from observability.audit.schema import TABLES, Column, Table
from observability.audit.views import JOURNALS, WINNERS, View, views
from observability.config import describe_settings

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
REFERENCE = ROOT / "docs" / "reference"
_NOTE = "<!-- Made by `make docs` from the declarations in the code; changes here are lost. -->"
_ABOUT_TABLES = """Facts, appended and never changed. What a load stores becomes visible with its row in `invocations`,
the last one that it writes. Read the [views](views.md) instead: they show each dbt step once, whatever was loaded
twice. The tables lie in schema `raw` (DuckDB) or dataset `{DATASET}_raw` (BigQuery). JSON is text that
JSON functions read."""
_ABOUT_VIEWS = """The same in DuckDB (schema `main`) and BigQuery (dataset `{DATASET}`). `dbt-observe query VIEW` reads
one, `dbt-observe sql VIEW` prints its SQL."""


_ABOUT_SETTINGS = """In `dbt_observe.toml`, or under `[tool.dbt-observe]` in `pyproject.toml`. `[]` stands for each
entry of a list of tables (`[[slack.rules]]`), `*` for a name of yours (`[slack.channels.C0123456789]`). A variable
holds lists of texts with commas between them, and tables as JSON."""


def tables_page() -> str:
    """The audit tables, column by column."""
    parts = [
        _NOTE,
        "# Audit tables",
        _ABOUT_TABLES,
        _index((table.name, table.description) for table in TABLES.values()),
    ]
    for table in TABLES.values():
        parts += [f"## {table.name}", table.description, _layout(table), _columns(table.columns)]
    return "\n\n".join(parts) + "\n"


def views_page() -> str:
    """The views, column by column."""
    told = sorted(view.name for view in views() if view.name not in TABLES)
    by_name = {view.name: view for view in views()}
    parts = [
        _NOTE,
        "# Views",
        _ABOUT_VIEWS,
        _index((name, by_name[name].description) for name in told),
        "The views "
        + ", ".join(f"[`{name}`](tables.md#{name})" for name in WINNERS)
        + " show the winning rows of the tables of those names: each invocation once, by the load with the best"
        " evidence, and each project state once. "
        + " and ".join(f"[`{name}`](tables.md#{name})" for name in JOURNALS)
        + " show what was told, each step with what became of it, and what people did.",
    ]
    for view in (by_name[name] for name in told):
        parts += [f"## {view.name}", view.description, _key(view), _columns(view.columns)]
    return "\n\n".join(parts) + "\n"


def settings_table() -> str:
    """Every setting: key, type, default, what it is."""
    rows = [
        (f"`{one.key}`", one.type.replace("|", "\\|"), f"`{one.default}`" if one.default else "", one.description)
        for one in describe_settings()
        if one.variable
    ]
    return _table(("key", "type", "default", ""), rows)


def settings_page() -> str:
    """Every setting, those within tables too."""
    rows = [
        (
            f"`{one.key}`",
            one.type.replace("|", "\\|"),
            f"`{one.default}`" if one.default else "",
            f"`{one.variable}`" if one.variable else "",
            one.description,
        )
        for one in describe_settings()
    ]
    return (
        "\n\n".join([_NOTE, "# Settings", _ABOUT_SETTINGS, _table(("key", "type", "default", "variable", ""), rows)])
        + "\n"
    )


def views_table() -> str:
    """Every view that is no table's winning rows, in a line."""
    rows = [(f"`{view.name}`", _first(view.description)) for view in views() if view.name not in TABLES]
    return _table(("view", ""), sorted(rows))


def _index(described: Iterator[tuple[str, str]]) -> str:
    return "\n".join(f"- [`{name}`](#{name}): {_first(text)}" for name, text in described)


def _first(text: str) -> str:
    """The first sentence, without its full stop."""
    return text.partition(". ")[0].rstrip(".")


def _layout(table: Table) -> str:
    parts = [f"Partitioned by `{table.partition}`" if table.partition else "Not partitioned"]
    if table.cluster:
        parts.append("clustered by " + ", ".join(f"`{name}`" for name in table.cluster))
    return f"{', '.join(parts)} (BigQuery)."


def _key(view: View) -> str:
    return "One row per " + ", ".join(f"`{name}`" for name in view.key) + "."


def _columns(columns: Sequence[Column]) -> str:
    return _table(("column", "type", "", ""), [row for column in columns for row in _rows(column, "")])


def _rows(column: Column, prefix: str) -> Iterator[tuple[str, str, str, str]]:
    name = f"{prefix}{column.name}"
    needed = "" if column.nullable or column.repeated else "never null"
    kind = f"ARRAY of {column.type.value}" if column.repeated else column.type.value
    yield f"`{name}`", kind, needed, column.description.replace("|", "\\|")
    for field in column.fields:
        yield from _rows(field, f"{name}.")


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("|" + "".join(f" {cell} |" if cell else " |" for cell in line) for line in lines)


PAGES: Mapping[Path, Callable[[], str]] = {
    REFERENCE / "tables.md": tables_page,
    REFERENCE / "views.md": views_page,
    REFERENCE / "settings.md": settings_page,
}
"""Whole pages."""
BLOCKS: Mapping[tuple[Path, str], Callable[[], str]] = {
    (README, "settings"): settings_table,
    (README, "views"): views_table,
}
"""Parts of pages, between `<!-- NAME: begin -->` and `<!-- NAME: end -->`."""


def block(page: str, name: str) -> str:
    """What stands between a block's marks. Raises ValueError where they are not there."""
    return page[slice(*_bounds(page, name))].strip()


def _bounds(page: str, name: str) -> tuple[int, int]:
    begin = f"<!-- {name}: begin -->\n"
    return page.index(begin) + len(begin), page.index(f"<!-- {name}: end -->")


def main() -> None:
    """Write all pages and blocks."""
    for path, page in PAGES.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page(), encoding="utf-8")
    for (path, name), part in BLOCKS.items():
        text = path.read_text(encoding="utf-8")
        begin, end = _bounds(text, name)
        path.write_text(f"{text[:begin]}{part()}\n{text[end:]}", encoding="utf-8")


if __name__ == "__main__":
    main()
