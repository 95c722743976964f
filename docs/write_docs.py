"""Writes what is generated in the documentation: `python docs/write_docs.py`, or `make docs`. A test holds it fresh."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from inspect import cleandoc
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import typer

from observability.audit.schema import TABLES, Column, Table
from observability.audit.views import JOURNALS, WINNERS, View, views
from observability.cli import app
from observability.config import describe_settings

ROOT = Path(__file__).parent.parent
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

_ABOUT_COMMANDS = """An option goes before the environment variable of its [setting](settings.md), and this before
`dbt_observe.toml`. Output goes to stdout; errors, and notes about what was left out, to stderr.

| exit code | |
| --- | --- |
| 0 | done |
| 1 | done, and something was found: `validate`, `doctor`, `lookml --check` |
| 2 | an error of ours or of what we were given, told in three lines: what, where, what next |
| dbt's | `run`, whatever became of loading and telling; 126 or 127 where dbt could not be started |"""


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


def commands_page() -> str:
    """Every command, with what can be said to it."""
    group: Any = typer.main.get_command(app)
    commands = sorted(group.commands.items())
    parts = [
        _NOTE,
        "# Commands",
        _ABOUT_COMMANDS,
        _index((name, _paragraphs(command)[0]) for name, command in commands),
    ]
    for name, command in commands:
        usage = " ".join(["dbt-observe", name, "[OPTIONS]", *(_argument(one) for one in _arguments(command))])
        parts += [f"## {name}", f"`{usage}`", *_paragraphs(command), _parameters(command)]
    return "\n\n".join(parts) + "\n"


def _paragraphs(command: Any) -> list[str]:
    """A command's help, a line a paragraph; what looks like markup in it is code."""
    return [_plain(" ".join(part.split())) for part in cleandoc(command.help).split("\n\n")]


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _arguments(command: Any) -> list[Any]:
    return [one for one in command.params if one.param_type_name == "argument"]


def _argument(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _parameters(command: Any) -> str:
    """Arguments first; of each option what it takes, what it is without, and what it means."""
    rows = [(f"`{_argument(one)}`", "", _plain(one.help or "")) for one in _arguments(command)]
    kinds = {one: _without_none(kind) for one, kind in get_type_hints(command.callback).items()}
    options = [one for one in command.params if one.param_type_name == "option"]
    for one in options:
        names = ", ".join([*one.opts, *one.secondary_opts])
        kind = kinds[one.name]
        choices = list(kind) if isinstance(kind, type) and issubclass(kind, Enum) else []
        takes = "" if one.is_flag else " " + ("\\|".join(map(_value, choices)) if choices else str(one.metavar))
        has_default = one.default not in (None, "", False) and not one.is_flag
        needed = "needed" if one.required else f"`{_value(one.default)}`" if has_default else ""
        needed = "on" if one.is_flag and one.default is True else needed
        rows.append((f"`{names}{takes}`", needed, _plain(one.help or "")))
    return _table(("", "default", ""), rows)


def _without_none(kind: Any) -> Any:
    given = [one for one in get_args(kind) if one is not NoneType]
    return given[0] if NoneType in get_args(kind) else kind


def _value(value: object) -> str:
    return str(getattr(value, "value", value))


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
    REFERENCE / "cli.md": commands_page,
}
"""Whole pages."""


def main() -> None:
    """Write all pages."""
    for path, page in PAGES.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
