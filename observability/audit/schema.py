"""Reads the row classes of `tables.py`: one description of a column, from which every schema follows."""

import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, NewType, TypeVar, get_args, get_origin

import msgspec

if TYPE_CHECKING:
    import pyarrow as pa

Json = NewType("Json", str)
"""Canonical JSON text: keys sorted, no spaces."""


class ColumnType(StrEnum):
    """The types that columns have, by their names in GoogleSQL; JSON is stored as STRING."""

    STRING = "STRING"
    INT64 = "INT64"
    FLOAT64 = "FLOAT64"
    BOOL = "BOOL"
    TIMESTAMP = "TIMESTAMP"
    DATE = "DATE"
    JSON = "JSON"
    STRUCT = "STRUCT"


PYTHON_TYPES: dict[object, ColumnType] = {
    str: ColumnType.STRING,
    int: ColumnType.INT64,
    float: ColumnType.FLOAT64,
    bool: ColumnType.BOOL,
    datetime: ColumnType.TIMESTAMP,
    date: ColumnType.DATE,
    Json: ColumnType.JSON,
}

DUCKDB_TYPES: dict[ColumnType, str] = {
    ColumnType.STRING: "VARCHAR",
    ColumnType.INT64: "BIGINT",
    ColumnType.FLOAT64: "DOUBLE",
    ColumnType.BOOL: "BOOLEAN",
    ColumnType.TIMESTAMP: "TIMESTAMPTZ",
    ColumnType.DATE: "DATE",
    ColumnType.JSON: "VARCHAR",
    ColumnType.STRUCT: "STRUCT",
}


def arrow_types() -> dict[ColumnType, "pa.DataType"]:
    """Arrow's types; STRUCT is built from its fields."""
    import pyarrow as pa

    return {
        ColumnType.STRING: pa.string(),
        ColumnType.INT64: pa.int64(),
        ColumnType.FLOAT64: pa.float64(),
        ColumnType.BOOL: pa.bool_(),
        ColumnType.TIMESTAMP: pa.timestamp("us", tz="UTC"),
        ColumnType.DATE: pa.date32(),
        ColumnType.JSON: pa.string(),
        ColumnType.STRUCT: pa.struct([]),
    }


@dataclass(frozen=True)
class Column:
    """One column: `fields` are a STRUCT's; a repeated column is an array, empty rather than null."""

    name: str
    type: ColumnType
    description: str
    nullable: bool = False
    repeated: bool = False
    fields: tuple["Column", ...] = ()

    @property
    def duckdb_type(self) -> str:
        """The column's type in DuckDB's DDL."""
        name = DUCKDB_TYPES[self.type]
        if self.type is ColumnType.STRUCT:
            name = f"STRUCT({', '.join(f'{field.name} {field.duckdb_type}' for field in self.fields)})"
        return f"{name}[]" if self.repeated else name

    @property
    def googlesql_type(self) -> str:
        """The column's type in GoogleSQL; JSON is text there too, for Parquet loads cannot fill JSON columns."""
        name = "STRING" if self.type is ColumnType.JSON else self.type.value
        if self.type is ColumnType.STRUCT:
            name = f"STRUCT<{', '.join(f'{field.name} {field.googlesql_type}' for field in self.fields)}>"
        return f"ARRAY<{name}>" if self.repeated else name

    @property
    def arrow_type(self) -> "pa.DataType":
        """The column's type in Arrow and so in Parquet."""
        import pyarrow as pa

        kind = arrow_types()[self.type]
        if self.type is ColumnType.STRUCT:
            kind = pa.struct([field.arrow_field for field in self.fields])
        return pa.list_(kind) if self.repeated else kind

    @property
    def arrow_field(self) -> "pa.Field":
        """The column in an Arrow schema. BigQuery refuses a Parquet column that may be null for one that may not."""
        import pyarrow as pa

        return pa.field(self.name, self.arrow_type, nullable=self.nullable or self.repeated)


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The base of every row class. A field is a column; its annotation holds type and description."""


R = TypeVar("R", bound=type[Row])


@dataclass(frozen=True)
class Table:
    """A physical table. Its own columns stand before those of its row class."""

    name: str
    description: str
    row_class: type[Row]
    partition: str | None
    cluster: tuple[str, ...]
    columns: tuple[Column, ...]

    def column(self, name: str) -> Column:
        """One column by name. Raises KeyError."""
        return next((column for column in self.columns if column.name == name), None) or _missing(self.name, name)


def _missing(table: str, column: str) -> Column:
    raise KeyError(f"{table} has no column {column}")


TABLES: dict[str, Table] = {}
"""Every table by name, in the order of `tables.py`."""


def table(
    name: str,
    description: str,
    *,
    base: type[Row],
    of_node: type[Row] | None = None,
    partition: str | None = None,
    cluster: Sequence[str] = (),
) -> Callable[[R], R]:
    """Register a row class as a table.

    `base` holds the columns that its loader fills in, `of_node` those that its rows take over from their node.
    """

    def register(row_class: R) -> R:
        repeated = columns_of(of_node) if of_node else ()
        known = {column.name for column in repeated}
        own = [column for column in columns_of(row_class) if column.name not in known]
        columns = (*columns_of(base), *repeated, *own)
        TABLES[name] = Table(name, description, row_class, partition, tuple(cluster), columns)
        unknown = {*cluster, *((partition,) if partition else ())} - {column.name for column in columns}
        if unknown:
            _missing(name, ", ".join(sorted(unknown)))
        return row_class

    return register


def columns_of(row_class: type) -> tuple[Column, ...]:
    """The columns that a row class, or a struct within one, declares. Raises KeyError for a type that has none."""
    hints = typing.get_type_hints(row_class, include_extras=True)
    return tuple(_column(name, hints[name]) for name in row_class.__struct_fields__)  # type: ignore[attr-defined]


def _column(name: str, hint: Any) -> Column:
    described, description = get_args(hint) if get_origin(hint) is Annotated else (hint, "")
    union = get_origin(described) in {types.UnionType, typing.Union}
    options = get_args(described) if union else (described,)
    nullable = type(None) in options
    (kind,) = [option for option in options if option is not type(None)]
    repeated = get_origin(kind) is list
    if repeated:
        (kind,) = get_args(kind)
    if isinstance(kind, type) and issubclass(kind, Row):
        return Column(name, ColumnType.STRUCT, description, nullable, repeated, columns_of(kind))
    return Column(name, PYTHON_TYPES[kind], description, nullable, repeated)
