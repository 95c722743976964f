"""README stays true: what it names exists."""

import re
from pathlib import Path

import typer

from observability.cli import app

README = Path(__file__).parent.parent / "README.md"


def test_its_table_of_commands_names_every_command_and_no_other() -> None:
    commands = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    text = README.read_text(encoding="utf-8")
    table = text.split("| command | what it does |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `dbt-observe ([a-z]+)", table, re.MULTILINE)) == commands
    assert set(re.findall(r"dbt-observe ([a-z]+)", text)) <= commands | {"run"}


def test_every_make_target_that_it_names_is_in_the_makefile() -> None:
    makefile = (README.parent / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`?make ([a-z-]+)", README.read_text(encoding="utf-8"))):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
