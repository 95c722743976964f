"""README stays true: what is generated in it is up to date, and what it names exists."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from observability.audit.views import WINNERS, views
from observability.cli import app
from observability.config import describe_settings

README = Path(__file__).parent.parent / "README.md"


def settings_table() -> str:
    rows = [f"| `{one.key}` | {one.type} | `{one.default}` | {one.description} |" for one in describe_settings()]
    return "\n".join(["| key | type | default | |", "|---|---|---|---|", *rows]).replace("| `` |", "| |")


def views_table() -> str:
    told = [view for view in views() if view.name not in WINNERS]
    rows = [f"| `{view.name}` | {view.description.partition('. ')[0].rstrip('.')} |" for view in told]
    return "\n".join(["| view | |", "|---|---|", *sorted(rows)])


@pytest.mark.parametrize(("name", "table"), [("settings", settings_table), ("views", views_table)])
def test_its_tables_are_what_is_declared(name: str, table: Callable[[], str]) -> None:
    text = README.read_text(encoding="utf-8")
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    if os.environ.get("UPDATE_GOLDEN"):
        head, tail = text.split(begin)[0], text.split(end)[1]
        text = f"{head}{begin}{table()}\n{end}{tail}"
        README.write_text(text, encoding="utf-8")
    assert text.split(begin)[1].split(end)[0].strip() == table()


def test_its_table_of_commands_names_every_command_and_no_other() -> None:
    commands = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    text = README.read_text(encoding="utf-8")
    table = text.split("| command | what it does |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `dbt-observe ([a-z]+)", table, re.MULTILINE)) == commands
    assert set(re.findall(r"dbt-observe ([a-z]+)", text)) <= commands | {"run"}


def test_what_it_links_to_is_there() -> None:
    text = README.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert links
    assert [link for link in links if not (README.parent / link).exists()] == []


def test_every_make_target_that_it_names_is_in_the_makefile() -> None:
    makefile = (README.parent / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`?make ([a-z-]+)", README.read_text(encoding="utf-8"))):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
