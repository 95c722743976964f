"""Rows → Arrow tables, the one form in which a store takes them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from observability.audit.nodes import Project, stub
from observability.audit.schema import TABLES, Column, ColumnType, Row, columns_of
from observability.audit.tables import Node, NodeColumns, RunResult, SourceFreshness

if TYPE_CHECKING:
    import pyarrow as pa

    from observability.audit.build import Load

_LONGEST = 2_000_000
"""Characters of one text that are stored; BigQuery takes cells of 10 MB and rows of 100 MB."""


def to_arrow(table_name: str, rows: Sequence[Row], shared: Mapping[str, object]) -> "pa.Table":
    """Rows of one table as Arrow, its columns in their declared order. `shared` holds the values all rows have."""
    return _assemble(TABLES[table_name].columns, rows, shared, {})


def _assemble(
    columns: Sequence[Column], rows: Sequence[Row], shared: Mapping[str, object], made: Mapping[str, "pa.Array"]
) -> "pa.Table":
    import pyarrow as pa

    fields = rows[0].__struct_fields__ if rows else ()
    values = dict(zip(fields, zip(*map(msgspec.structs.astuple, rows), strict=True), strict=True))
    arrays = []
    for column in columns:
        if column.name in made:
            arrays.append(made[column.name])
        elif column.name in shared:
            arrays.append(pa.repeat(pa.scalar(shared[column.name], column.arrow_type), len(rows)))
        else:
            own = values.get(column.name, ())
            made_here = pa.array(_plain(own) if column.type is ColumnType.STRUCT else own, column.arrow_type)
            arrays.append(_cut(made_here, column))
    return pa.Table.from_arrays(arrays, schema=pa.schema([column.arrow_field for column in columns]))


def _cut(array: "pa.Array", column: Column) -> "pa.Array":
    """Texts of a length that every store takes. Of JSON, which cannot be cut, only its length is left."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.repeated or column.type not in {ColumnType.STRING, ColumnType.JSON}:
        return array
    longest = pc.max(pc.binary_length(array)).as_py() or 0
    if longest <= _LONGEST:
        return array
    shorten = _shorten_json if column.type is ColumnType.JSON else _shorten
    return pa.array([shorten(text) if text else text for text in array.to_pylist()], array.type)


def _shorten(text: str) -> str:
    more = len(text) - _LONGEST
    return f"{text[:_LONGEST]} … ({more:,} more characters were cut off)" if more > 0 else text


def _shorten_json(text: str) -> str:
    return text if len(text) <= _LONGEST else msgspec.json.encode({"characters_cut_off": len(text)}).decode()


def _plain(values: Sequence[Any]) -> list[Any]:
    return [msgspec.to_builtins(value) for value in values]


def fact_tables(load: "Load", nodes: "pa.Table | None" = None) -> dict[str, "pa.Table"]:
    """A load's facts by table; those that have none are left out.

    `nodes` is the project's `node_table`, where it was made: the facts then take their nodes' columns from it.
    """
    shared = {
        **_load(load),
        "invocation_id": load.invocation.invocation_id,
        "run_date": load.invocation.run_date,
    }
    facts: dict[str, Sequence[RunResult] | Sequence[SourceFreshness]] = {
        "run_results": load.run_results,
        "source_freshness": load.source_freshness,
    }
    known = load.project.nodes if load.project else {}
    return {
        name: _assemble(TABLES[name].columns, rows, shared, _of_nodes([row.unique_id for row in rows], known, nodes))
        for name, rows in facts.items()
        if rows
    }


def _of_nodes(
    unique_ids: Sequence[str], known: Mapping[str, Node], nodes: "pa.Table | None"
) -> dict[str, "pa.Array | pa.ChunkedArray"]:
    """The columns that facts take over from their nodes, one value per unique_id."""
    import pyarrow as pa

    columns = columns_of(NodeColumns)
    if nodes is None:
        rows = [known.get(unique_id) or stub(unique_id) for unique_id in unique_ids]
        table = _assemble(columns, rows, {}, {})
    else:
        missing = [unique_id for unique_id in unique_ids if unique_id not in known]
        position = {unique_id: i for i, unique_id in enumerate((*known, *missing))}
        stubs = _assemble(columns, [stub(unique_id) for unique_id in missing], {}, {})
        everything = pa.concat_tables([nodes.select([column.name for column in columns]), stubs]).combine_chunks()
        table = everything.take(pa.array([position[unique_id] for unique_id in unique_ids]))
    return dict(zip(table.column_names, table.columns, strict=True))


def node_table(load: "Load", project: Project) -> "pa.Table":
    """A project state's nodes, as this load would store them."""
    shared = {**_load(load), "manifest_id": project.manifest_id, "manifest_month": project.month}
    return to_arrow("nodes", list(project.nodes.values()), shared)


def lineage_table(load: "Load", project: Project) -> "pa.Table":
    """The ancestors of exposures, as this load would store them."""
    shared = {**_load(load), "lineage_id": project.lineage_id, "lineage_month": project.month}
    return to_arrow("exposure_ancestors", project.ancestors, shared)


def invocation_table(load: "Load") -> "pa.Table":
    """The commit row; how many rows there are of each table is put in when they are written."""
    return to_arrow("invocations", [load.invocation], _load(load))


def _load(load: "Load") -> dict[str, str | datetime]:
    return {"load_id": load.load_id, "loaded_at": load.loaded_at}
