"""A load as the tables that a store takes: what can be kept aside and stored later, without dbt's files."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from observability.audit.arrow import fact_tables, invocation_table, lineage_table, node_table

if TYPE_CHECKING:
    import pyarrow as pa

    from observability.audit.build import Load

COMMIT = "invocations"
"""The table whose row commits a load; it is written last."""
STATES = {"nodes": "manifest_id", "exposure_ancestors": "lineage_id"}
"""The tables whose rows are shared by many loads, and what names those rows."""
WRITTEN = (*STATES, "run_results", "source_freshness")
"""The tables that a load is counted in, besides the one that commits it."""


@dataclass(frozen=True)
class PreparedLoad:
    """One load, table by table. Those of STATES are absent where the store is known to have their rows."""

    tables: Mapping[str, "pa.Table"]

    @property
    def load_id(self) -> str:
        """The load's own id."""
        return str(self._said("load_id"))

    @property
    def content_hash(self) -> str:
        """What the same content is known by."""
        return str(self._said("content_hash"))

    @property
    def loaded_at(self) -> datetime:
        """When it was built, or last renewed."""
        moment: datetime = self._said("loaded_at")
        return moment

    @property
    def states(self) -> dict[str, str]:
        """The manifest_id and the lineage_id whose rows it holds, by table."""
        return {table: str(self._said(column)) for table, column in STATES.items() if table in self.tables}

    def _said(self, column: str) -> Any:
        return self.tables[COMMIT].column(column)[0].as_py()

    def without(self, known: Collection[str]) -> "PreparedLoad":
        """The same, but for the project states that the store has already."""
        left_out = {table for table, state in self.states.items() if state in known}
        return PreparedLoad({name: table for name, table in self.tables.items() if name not in left_out})

    def to_write(self, known: Collection[str]) -> tuple[dict[str, "pa.Table"], dict[str, int]]:
        """The tables to write, the committing one last, and their rows; without the states that are known by now."""
        kept = self.without(known).tables
        tables = {name: kept[name] for name in WRITTEN if name in kept}
        counts = {name: tables[name].num_rows if name in tables else 0 for name in WRITTEN}
        return {**tables, COMMIT: _with_value(self.tables[COMMIT], "row_counts", _json(counts))}, counts

    def renewed(self, load_id: str, loaded_at: datetime) -> "PreparedLoad":
        """The same content as a new attempt to store it."""
        return PreparedLoad(
            {
                name: _with_value(_with_value(table, "load_id", load_id), "loaded_at", loaded_at)
                for name, table in self.tables.items()
            }
        )


def prepare(load: "Load", known: Collection[str] = ()) -> PreparedLoad:
    """A load's tables; `known` are the manifest_ids and lineage_ids whose rows the store has."""
    project = load.project
    tables: dict[str, pa.Table] = {}
    if project and project.manifest_id not in known:
        tables["nodes"] = node_table(load, project)
    if project and project.lineage_id not in known:
        tables["exposure_ancestors"] = lineage_table(load, project)
    tables |= fact_tables(load, tables.get("nodes"))
    return PreparedLoad({**tables, COMMIT: invocation_table(load)})


def _with_value(table: "pa.Table", column: str, value: object) -> "pa.Table":
    import pyarrow as pa

    field = table.schema.field(column)
    return table.set_column(
        table.schema.get_field_index(column), field, pa.repeat(pa.scalar(value, field.type), table.num_rows)
    )


def _json(counts: Mapping[str, int]) -> str:
    return msgspec.json.encode(counts, order="sorted").decode()
