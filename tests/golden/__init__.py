"""Whole expected outputs, a file each. UPDATE_GOLDEN=1 writes them anew: read the difference before it is kept."""

import os
from pathlib import Path


def check(name: str, text: str) -> None:
    """Hold an output against the file of its name."""
    path = Path(__file__).parent / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"golden/{name} differs; UPDATE_GOLDEN=1 writes it anew"
