"""Standard output for texts of dbt's: neither markup nor emoji codes in them mean anything."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from observability.terminal.plain import plain

WHOLE = {"began (UTC)", "last good", "since (UTC)"}
"""Columns that are not folded: what is in them has one width. Text of dbt's is folded, for it would be cut off."""
_FILE_WIDTH = 140
"""Columns of what goes to a file or a pipe, where nobody says how many there are."""


def console() -> Console:
    """Standard output."""
    made = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
    if not made.is_terminal:
        made.width = _FILE_WIDTH
    return made


def table(title: str, *columns: str) -> Table:
    """A table without lines and rows."""
    made = Table(
        title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    for column in columns:
        made.add_column(column, header_style="dim", overflow="fold", no_wrap=column in WHOLE)
    return made


def texts(*values: object) -> list[Text]:
    """Cells, whatever is in them."""
    return [Text(plain(value)) for value in values]
