"""Rows → Arrow tables, the one form in which a store takes them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from observability.audit.build import Load
from observability.audit.nodes import Project
from observability.audit.schema import TABLES, Column, ColumnType, Row
from observability.audit.tables import Invocation

if TYPE_CHECKING:
    import pyarrow as pa


def to_arrow(table_name: str, rows: Sequence[Row], shared: Mapping[str, object]) -> "pa.Table":
    """Rows of one table as Arrow, its columns in their declared order. `shared` holds the values all rows have."""
    import pyarrow as pa

    table = TABLES[table_name]
    arrays = [
        pa.repeat(pa.scalar(shared[column.name], column.arrow_type), len(rows))
        if column.name in shared
        else pa.array(_values(column, rows), column.arrow_type)
        for column in table.columns
    ]
    return pa.Table.from_arrays(arrays, schema=pa.schema([(c.name, c.arrow_type) for c in table.columns]))


def _values(column: Column, rows: Sequence[Row]) -> list[Any]:
    values = [getattr(row, column.name) for row in rows]
    return msgspec.to_builtins(values) if column.type is ColumnType.STRUCT else values


def fact_tables(load: Load) -> dict[str, "pa.Table"]:
    """A load's facts by table; those that have none are left out."""
    shared = {
        **_load(load),
        "invocation_id": load.invocation.invocation_id,
        "run_date": load.invocation.run_date,
    }
    facts: dict[str, Sequence[Row]] = {"run_results": load.run_results, "source_freshness": load.source_freshness}
    return {name: to_arrow(name, rows, shared) for name, rows in facts.items() if rows}


def node_table(load: Load, project: Project) -> "pa.Table":
    """A project state's nodes, as this load would store them."""
    shared = {**_load(load), "manifest_id": project.manifest_id, "manifest_month": project.month}
    return to_arrow("nodes", list(project.nodes.values()), shared)


def lineage_table(load: Load, project: Project) -> "pa.Table":
    """The ancestors of exposures, as this load would store them."""
    shared = {**_load(load), "lineage_id": project.lineage_id, "lineage_month": project.month}
    return to_arrow("exposure_ancestors", project.ancestors, shared)


def invocation_table(load: Load, row_counts: Mapping[str, int]) -> "pa.Table":
    """The commit row, which says how much this load has written."""
    counts = msgspec.json.encode(row_counts, order="sorted").decode()
    row = msgspec.structs.replace(load.invocation, row_counts=counts)
    assert isinstance(row, Invocation)  # noqa: S101 - for the type checker
    return to_arrow("invocations", [row], _load(load))


def _load(load: Load) -> dict[str, str | datetime]:
    return {"load_id": load.load_id, "loaded_at": load.loaded_at}
