"""What `query` prints."""

import csv
import sys
from datetime import datetime
from typing import Any

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from observability.pipeline.questions import Rows
from observability.terminal.console import console, table, texts
from observability.terminal.machine import print_json
from observability.terminal.plain import plain

_NARROWEST = 12
"""Columns of text that a column needs to be read. Where they do not fit beside one another, a row is a list."""


def show_rows(rows: Rows, form: str) -> None:
    """Rows as a table, JSON or CSV on stdout; that there are more is told on stderr."""
    records: list[dict[str, Any]] = rows.table.to_pylist()
    if form == "json":
        print_json({"rows": records})
    elif form == "csv":
        _show_csv(rows.table.column_names, records)
    else:
        _show_table(rows.table.column_names, records)
    if rows.more:
        typer.echo(f"dbt-observe: there are more rows than the {len(records):,} shown; --limit 0 shows all", err=True)


def _show_csv(names: list[str], records: list[dict[str, Any]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_cell(record[name]) for name in names] for record in records)


def _show_table(names: list[str], records: list[dict[str, Any]]) -> None:
    out = console()
    if not records:
        out.print(Text("no rows", "dim"))
    elif out.is_terminal and len(names) * _NARROWEST > out.width:
        _show_lists(out, names, records)
    else:
        rows = table("", *names)
        for record in records:
            rows.add_row(*texts(*(_cell(record[name]) for name in names)))
        if not out.is_terminal:
            out.width = 1_000_000  # a file has room
        out.print(rows)


def _show_lists(out: Console, names: list[str], records: list[dict[str, Any]]) -> None:
    width = max(map(len, names))
    for number, record in enumerate(records, start=1):
        out.print(Text(f"row {number}", "bold"))
        for name in names:
            if record[name] not in (None, []):
                out.print(Text.assemble((f"  {name:<{width}}  ", "dim"), plain(_cell(record[name]))))


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, list | dict):
        return msgspec.json.encode(value).decode()
    return str(value)
