"""What `lookml` prints: what was written, or what a check found, a line each."""

from dataclasses import asdict
from pathlib import Path

from rich.text import Text

from observability.looker.project import PLACEHOLDER, Place
from observability.looker.writing import Written
from observability.pipeline.looking import Checked
from observability.terminal.console import console
from observability.terminal.machine import print_json
from observability.terminal.plain import plain


def show_written(done: Written, folder: Path, place: Place, *, as_json: bool) -> None:
    """What became of the files."""
    if as_json:
        print_json(asdict(done))
        return
    parts = [
        f"{len(files)} {what}"
        for what, files in (("written", done.written), ("unchanged", done.unchanged), ("removed", done.removed))
        if files
    ]
    _say(f"{folder}: {', '.join(parts)}")
    for path in done.kept:
        _say(f"  left alone, for it was changed since it was written: {path}")
    if place.project == PLACEHOLDER:
        _say(f"  {PLACEHOLDER} in manifest.lkml stands for yours: say --project and --dataset, or override them there")


def show_checked(found: Checked, *, as_json: bool) -> None:
    """What is wrong, by place."""
    if as_json:
        print_json({"problems": [asdict(one) for one in found.problems], "files": found.files})
        return
    for one in found.problems:
        _say(f"{one.path}:{one.line}: {one.rule}: {one.message}")
    asked = f", {found.fields_asked} fields asked of the store" if found.fields_asked is not None else ""
    count = len(found.problems)
    told = f"{count} problem{'s' if count > 1 else ''}" if count else "No problem"
    _say(f"{told} in {found.files} files{asked}.")


def _say(text: str) -> None:
    console().print(Text(plain(text)), soft_wrap=True)
