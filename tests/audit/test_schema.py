"""One description of a column, from which every schema follows."""

import json
import os
from pathlib import Path

import pytest
from asked import ASKED

import observability.audit.views
from observability.audit.schema import DUCKDB_TYPES, PYTHON_TYPES, TABLES, ColumnType, arrow_types
from observability.audit.views import (
    JOURNALS,
    WINNERS,
    View,
    digest_of,
    duckdb_view,
    find_view,
    translated,
    views,
)
from observability.stores.duckdb import table_ddl


def test_every_column_type_is_mapped_for_each_store() -> None:
    assert set(DUCKDB_TYPES) == set(arrow_types()) == set(ColumnType)
    assert set(PYTHON_TYPES.values()) == set(ColumnType) - {ColumnType.STRUCT}


def test_the_tables_are_those_of_the_audit_dataset() -> None:
    assert list(TABLES) == [
        "invocations",
        "nodes",
        "exposure_ancestors",
        "run_results",
        "source_freshness",
        "deliveries",
        "incident_actions",
    ]


@pytest.mark.parametrize("name", TABLES)
def test_every_column_is_described_once_and_every_table_is_partitioned_and_clustered(name: str) -> None:
    table = TABLES[name]
    names = [column.name for column in table.columns]
    assert len(names) == len(set(names))
    assert [column.name for column in table.columns if not column.description.endswith((".", "…"))] == []
    assert table.description
    assert table.partition in names
    assert 0 < len(table.cluster) <= 4  # as many as BigQuery takes
    assert names[:2] == ["load_id", "loaded_at"]


def test_a_tables_whole_ddl() -> None:
    assert table_ddl(TABLES["exposure_ancestors"]) == (
        "CREATE TABLE IF NOT EXISTS raw.exposure_ancestors (\n"
        '  "load_id" VARCHAR NOT NULL,\n'
        '  "loaded_at" TIMESTAMPTZ NOT NULL,\n'
        '  "lineage_id" VARCHAR NOT NULL,\n'
        '  "lineage_month" DATE NOT NULL,\n'
        '  "exposure_unique_id" VARCHAR NOT NULL,\n'
        '  "ancestor_unique_id" VARCHAR NOT NULL,\n'
        '  "distance" BIGINT NOT NULL\n'
        ")"
    )
    files = TABLES["invocations"].column("files")
    assert files.duckdb_type == ("STRUCT(name VARCHAR, uri VARCHAR, sha256 VARCHAR, bytes BIGINT, used BOOLEAN)[]")
    assert str(files.arrow_type) == (
        "list<item: struct<name: string not null, uri: string not null, sha256: string not null, bytes: int64 not null,"
        " used: bool not null>>"
    )


def test_each_table_has_a_view_of_its_name() -> None:
    assert {*WINNERS, *JOURNALS} == set(TABLES)
    assert [find_view(name).columns for name in TABLES] == [table.columns for table in TABLES.values()]


@pytest.mark.parametrize("view", views(), ids=lambda view: view.name)
def test_what_is_shipped_for_duckdb_is_the_views_translation(view: View) -> None:
    """UPDATE_GOLDEN=1 translates anew."""
    ours = translated(view.sql(raw="raw", main="main")) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        shipped = Path(observability.audit.views.__file__).parent / "duckdb"
        shipped.mkdir(exist_ok=True)
        (shipped / f"{view.name}.sql").write_text(ours, encoding="utf-8")
    assert duckdb_view(view) == ours


def test_what_is_shipped_for_duckdb_is_the_translation_of_every_question() -> None:
    """UPDATE_GOLDEN=1 translates anew."""
    asked = [sql.replace("{main}", "main").replace("{raw}", "raw") for sql in ASKED.values()]
    ours = {digest_of(sql): translated(sql) for sql in asked}
    shipped = Path(observability.audit.views.__file__).parent / "duckdb" / "questions.json"
    if os.environ.get("UPDATE_GOLDEN"):
        shipped.write_text(json.dumps(ours, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    assert json.loads(shipped.read_text(encoding="utf-8")) == ours
