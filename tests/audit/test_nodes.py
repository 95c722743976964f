"""A manifest's rows, and the names of a project's state."""

from datetime import date
from pathlib import Path
from typing import Any

import msgspec
from factories import manifest, node, write_step
from recorded import read

from observability.audit.nodes import Project, build_project
from observability.audit.tables import Node

MARCH = date(2026, 3, 2)


def project(folder: Path, *nodes: dict[str, Any], seen: date = MARCH, **more: Any) -> Project:
    record = read(write_step(folder, manifest=manifest(*nodes) | more))
    assert record.manifest is not None
    return build_project(record.manifest, seen)


A, B = node("model.shop.a"), node("model.shop.b", ["model.shop.a"])
E = node("exposure.shop.e", ["model.shop.b"], type="dashboard", owner={"name": "Ann", "email": "ann@shop.example"})


def test_a_state_has_one_name_whatever_the_order_and_whatever_dbt_compiled(tmp_path: Path) -> None:
    first = project(tmp_path / "1", A, B, E)
    second = project(tmp_path / "2", E, B | {"compiled_code": "select 2", "compiled": True}, A, macros={"m": {}})
    reordered = B | {"depends_on": {"nodes": ["model.shop.a"], "macros": ["macro.dbt.other"]}}
    third = project(tmp_path / "3", A, reordered, E)
    assert {one.manifest_id for one in (first, second, third)} == {first.manifest_id}


def test_another_checksum_is_another_state_with_the_same_lineage_and_another_month_both(tmp_path: Path) -> None:
    first = project(tmp_path / "1", A, B, E)
    edited = project(tmp_path / "2", A, B | {"checksum": {"name": "sha256", "checksum": "beef"}}, E)
    april = project(tmp_path / "3", A, B, E, seen=date(2026, 4, 1))
    rewired = project(tmp_path / "4", A, B | {"depends_on": {"nodes": []}}, E)
    assert len({one.manifest_id for one in (first, edited, april, rewired)}) == 4
    assert first.lineage_id == edited.lineage_id
    assert len({one.lineage_id for one in (first, april, rewired)}) == 3


def test_a_models_whole_row(tmp_path: Path) -> None:
    meta = {"observe": {"owner": "Data", "runbook": "https://x"}, "b": [1]}
    config = {"materialized": "incremental", "meta": meta, "group": "core", "access": "public"}
    model = node("model.shop.a", ["source.shop.raw.o"], config=config, relation_name='"shop"."main"."a"', tags=["t"])
    row = project(tmp_path, model | {"description": "About a."}).nodes["model.shop.a"]
    assert {key: value for key, value in msgspec.structs.asdict(row).items() if value is not None} == {
        "unique_id": "model.shop.a",
        "resource_type": "model",
        "name": "a",
        "package_name": "shop",
        "original_file_path": "models/a.sql",
        "relation_database": "shop",
        "relation_schema": "main",
        "relation_name": '"shop"."main"."a"',
        "materialized": "incremental",
        "tags": ["t"],
        "owner": "Data",
        "group_name": "core",
        "checksum": "c0ffee",
        "meta": '{"b":[1],"observe":{"owner":"Data","runbook":"https://x"}}',
        "access": "public",
        "description": "About a.",
        "depends_on": ["source.shop.raw.o"],
    }


def rows(folder: Path, *nodes: dict[str, Any], **more: Any) -> dict[str, Node]:
    return dict(project(folder, *nodes, **more).nodes)


def test_who_can_mend_a_node_is_told_by_its_meta_else_by_what_it_tests_else_by_its_group(tmp_path: Path) -> None:
    groups = {"group.shop.core": {"name": "core", "owner": {"email": ["a@x", "b@x"]}}}
    found = rows(
        tmp_path,
        node("model.shop.own", meta={"owner": ["Ann", "Ben"]}, group="core"),
        node("model.shop.grouped", config={"group": "core"}),
        node("model.shop.nobodys"),
        node("test.shop.of_own.1", ["model.shop.own"], attached_node="model.shop.own", group="core"),
        node("test.shop.of_cara.1", ["model.shop.own"], attached_node="model.shop.own", meta={"owner": "Cara"}),
        node("test.shop.of_grouped.1", ["model.shop.grouped"], attached_node="model.shop.grouped", group="core"),
        node("unit_test.shop.own.u", ["model.shop.own"]),
        E,
        groups=groups,
    )
    assert {name: row.owner for name, row in found.items()} == {
        "test.shop.of_own.1": "Ann, Ben",
        "test.shop.of_cara.1": "Cara",
        "test.shop.of_grouped.1": "a@x, b@x",
        "unit_test.shop.own.u": "Ann, Ben",
        "model.shop.own": "Ann, Ben",
        "model.shop.grouped": "a@x, b@x",
        "model.shop.nobodys": None,
        "exposure.shop.e": "Ann",
        "group.shop.core": "a@x, b@x",
    }
    assert found["exposure.shop.e"].owner_email == "ann@shop.example"


def test_a_test_is_attached_to_what_its_arguments_name_where_the_manifest_does_not_say(tmp_path: Path) -> None:
    kwargs = {"model": "{{ get_where_subquery(ref('shop', 'b')) }}", "column_name": "a_id", "to": "ref('a')"}
    relationship = node(
        "test.shop.relationships_b.1",
        ["model.shop.a", "model.shop.b"],
        test_metadata={"name": "relationships", "kwargs": kwargs},
        column_name="a_id",
        config={"severity": "WARN"},
    )
    single = node("test.shop.singular.2", ["model.shop.a"])
    both = node("test.shop.singular.3", ["model.shop.a", "model.shop.b"])
    found = rows(tmp_path, A, B | {"schema": "marts"}, relationship, single, both)
    attached = {name: row.attached_node for name, row in found.items() if name.startswith("test.")}
    assert list(attached.values()) == ["model.shop.b", "model.shop.a", None]
    row = found["test.shop.relationships_b.1"]
    assert (row.test_name, row.column_name, row.severity, row.relation_schema) == (
        "relationships",
        "a_id",
        "warn",
        "marts",
    )


def test_a_sources_thresholds_are_in_seconds(tmp_path: Path) -> None:
    freshness = {"warn_after": {"count": 12, "period": "hour"}, "error_after": {"count": 2, "period": "day"}}
    old = node("source.shop.raw.o", source_name="raw", freshness=freshness, loaded_at_field="at")
    new = node(
        "source.shop.raw.n", source_name="raw", config={"freshness": {"warn_after": {"count": 5, "period": "minute"}}}
    )
    none = node("source.shop.raw.x", freshness={"warn_after": {"count": None, "period": None}})
    found = rows(tmp_path, old, new, none)
    assert [(row.warn_after_seconds, row.error_after_seconds) for row in found.values()] == [
        (43_200.0, 172_800.0),
        (300.0, None),
        (None, None),
    ]
