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


def view(
    name: str,
    description: str,
    *,
    key: Sequence[str],
    base: Sequence[type[Row]] = (),
    then: Sequence[type[Row]] = (),
) -> Callable[[R], R]:
    """Register a row class as the columns of the view of that name, whose SQL lies in `NAME.sql`.

    `key` are the columns that together name a row: no two rows have the same values in them. The columns of `base`
    stand before those of the row class, which may describe them anew in their place, those of `then` after it.
    """

    def register(row_class: R) -> R:
        parts: list[type[Row]] = [*base, row_class, *then]
        columns = {column.name: column for part in parts for column in columns_of(part)}
        unknown = set(key) - columns.keys()
        if unknown:
            raise KeyError(f"{name} has no column {', '.join(sorted(unknown))}")
        DECLARED[name] = Declaration(name, description, tuple(key), tuple(columns.values()))
        return row_class

    return register
