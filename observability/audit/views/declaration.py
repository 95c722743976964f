"""How a view's columns are declared: as a row class, like a table's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from observability.audit.schema import Column, Row, columns_of

R = TypeVar("R", bound=type[Row])


@dataclass(frozen=True)
class Declaration:
    """What a view promises: one row per `key`, with these columns in this order."""

    name: str
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]


DECLARED: dict[str, Declaration] = {}
"""Every declared view by name."""


def view(name: str, description: str, *, key: Sequence[str]) -> Callable[[R], R]:
    """Register a row class as the columns of the view of that name, whose SQL lies in `NAME.sql`.

    `key` are the columns that together name a row: no two rows have the same values in them.
    """

    def register(row_class: R) -> R:
        columns = columns_of(row_class)
        unknown = set(key) - {column.name for column in columns}
        if unknown:
            raise KeyError(f"{name} has no column {', '.join(sorted(unknown))}")
        DECLARED[name] = Declaration(name, description, tuple(key), columns)
        return row_class

    return register
