"""The nodes and sources of a made-up project as dbt-core 1.11 writes them into manifest.json."""

import hashlib
import random
from collections.abc import Iterable, Iterator
from typing import Any

from synthetic import words
from synthetic.model import DATABASE, PROJECT, Column, Project, Relation, Test
from synthetic.outcome import STARTED_AT, Run
from synthetic.results import freshness_criteria
from synthetic.sql import model_sql, test_options, test_sql

Json = dict[str, Any]
Entries = Iterator[tuple[str, Json]]

PARSED_AT = STARTED_AT.timestamp() - 60
SHOWN = {"show": True, "node_color": None}
_NO_QUOTING = {"database": None, "schema": None, "identifier": None, "column": None}
_NODE_CONTRACT = {"enforced": False, "alias_types": True, "checksum": None}
_EXECUTION_MACROS = ("macro.dbt.get_limit_subquery_sql", "macro.dbt.should_store_failures", "macro.dbt.statement")


def nodes(project: Project, run: Run) -> Entries:
    """Models, seeds, snapshots, then tests."""
    for relation in project.relations:
        if relation.resource_type != "source":
            yield relation.unique_id, _relation_node(relation, project.seed, ran=not run.skipped(relation.unique_id))
    for number, test in enumerate(project.tests):
        yield test.unique_id, _test_node(test, number, ran=not run.skipped(test.unique_id))


def disabled(project: Project) -> Iterator[tuple[str, list[Json]]]:
    for relation in project.disabled:
        yield relation.unique_id, [_relation_node(relation, project.seed, ran=False)]


def _relation_node(relation: Relation, seed: int, *, ran: bool) -> Json:
    path = relation.original_file_path
    node: Json = {
        "database": DATABASE,
        "schema": relation.schema,
        "name": relation.name,
        "resource_type": relation.resource_type,
        "package_name": PROJECT,
        "path": path.split("/", 1)[1],
        "original_file_path": path,
        "unique_id": relation.unique_id,
        "fqn": [PROJECT, *path.removesuffix(".sql").removesuffix(".csv").split("/")[1:]],
        "alias": relation.name,
        "checksum": {"name": "sha256", "checksum": hashlib.sha256(relation.unique_id.encode()).hexdigest()},
        "config": _relation_config(relation),
        "tags": list(relation.tags),
        "description": relation.description,
        "columns": {column.name: _column(column, seed) for column in relation.columns},
        "meta": relation.meta,
        "group": relation.group,
        "docs": SHOWN,
        "patch_path": f"{PROJECT}://{relation.yaml_path}" if relation.description or relation.columns else None,
        "build_path": f"target/run/{PROJECT}/{path}" if ran else None,
        "unrendered_config": _unrendered(relation),
        "created_at": PARSED_AT + relation.index / 400,
        "relation_name": relation.relation_name,
    }
    if relation.resource_type == "seed":
        return node | {"raw_code": "", "doc_blocks": [], "root_path": "transform", "depends_on": {"macros": []}}
    sql = model_sql(relation, seed)
    macros = ["macro.dbt.is_incremental"] if relation.materialized == "incremental" else []
    node |= _code(sql.raw, relation.parents, macros)
    node |= _compiled(path, sql.compiled) if ran else {"compiled_path": None}
    node["contract"] = _NODE_CONTRACT
    if relation.resource_type == "model":
        node |= {
            "access": "private" if relation.group else "protected",
            "constraints": [],
            "version": None,
            "latest_version": None,
            "deprecation_date": None,
            "primary_key": [column.name for column in relation.columns[:1]],
            "time_spine": None,
        }
    return node


def _code(raw: str, parents: Iterable[Relation], macros: list[str]) -> Json:
    """What dbt knows of a node's code after parsing."""
    parents = tuple(parents)
    return {
        "raw_code": raw,
        "doc_blocks": [],
        "language": "sql",
        "refs": [ref(parent) for parent in parents if not parent.source_name],
        "sources": [[parent.source_name, parent.name] for parent in parents if parent.source_name],
        "metrics": [],
        "functions": [],
        "depends_on": {"macros": macros, "nodes": [parent.unique_id for parent in parents]},
    }


def _compiled(path: str, code: str) -> Json:
    """What a node has once it ran."""
    return {
        "compiled_path": f"target/compiled/{PROJECT}/{path}",
        "compiled": True,
        "compiled_code": code,
        "extra_ctes_injected": True,
        "extra_ctes": [],
    }


def ref(relation: Relation) -> Json:
    """A reference as dbt writes it down."""
    return {"name": relation.name, "package": None, "version": None}


def _column(column: Column, seed: int) -> Json:
    # A word or two of types: most projects declare few of them.
    typed = random.Random(f"{seed} {column.name}").random() < 0.25
    return {
        "name": column.name,
        "description": column.description,
        "meta": column.meta,
        "data_type": column.data_type if typed else None,
        "constraints": [],
        "quote": None,
        "config": {"meta": column.meta, "tags": []},
        "tags": [],
        "granularity": None,
        "doc_blocks": [],
    }


def _relation_config(relation: Relation) -> Json:
    incremental = relation.materialized == "incremental"
    config: Json = {
        "enabled": relation.enabled,
        "alias": None,
        "schema": relation.schema.removeprefix("prod_"),
        "database": None,
        "tags": list(relation.tags),
        "meta": relation.meta,
        "group": relation.group,
        "static_analysis": None,
        "materialized": relation.materialized,
        "incremental_strategy": "merge" if incremental else None,
        "batch_size": None,
        "lookback": 1,
        "begin": None,
        "persist_docs": {"relation": True, "columns": True},
        "post-hook": [],
        "pre-hook": [],
        "quoting": {},
        "column_types": {},
        "full_refresh": None,
        "unique_key": f"{relation.entity}_id" if incremental or relation.materialized == "snapshot" else None,
        "on_schema_change": "append_new_columns" if incremental else "ignore",
        "on_configuration_change": "apply",
        "grants": {},
        "packages": [],
        "docs": SHOWN,
        "contract": {"enforced": False, "alias_types": True},
        "event_time": None,
        "concurrent_batches": None,
    }
    config |= _SPECIFIC_CONFIG[relation.resource_type]
    if relation.materialized in {"table", "incremental"}:
        config["labels"] = {"domain": relation.domain}
        if incremental:
            config["partition_by"] = {"field": f"{relation.entity}_date", "data_type": "date", "granularity": "day"}
    return config


_SPECIFIC_CONFIG: dict[str, Json] = {
    "model": {"access": "protected", "freshness": None},
    "seed": {"delimiter": ",", "quote_columns": None},
    "snapshot": {
        "strategy": "timestamp",
        "target_schema": None,
        "target_database": None,
        "updated_at": "updated_at",
        "check_cols": None,
        "snapshot_meta_column_names": dict.fromkeys(
            ("dbt_valid_to", "dbt_valid_from", "dbt_scd_id", "dbt_updated_at", "dbt_is_deleted")
        ),
        "dbt_valid_to_current": None,
    },
}


def _unrendered(relation: Relation) -> Json:
    config: Json = {"schema": relation.schema.removeprefix("prod_"), "materialized": relation.materialized}
    config["persist_docs"] = {"relation": True, "columns": True}
    if relation.tags:
        config["tags"] = list(relation.tags)
    if relation.meta:
        config["meta"] = relation.meta
    if relation.group:
        config["group"] = relation.group
    return config


def _test_node(test: Test, number: int, *, ran: bool) -> Json:
    first, path = test.parents[0], test.original_file_path
    generic = test.kind != "singular"
    sql = test_sql(test)
    node: Json = {
        "database": DATABASE,
        "schema": "prod_dbt_test__audit",
        "name": test.name,
        "resource_type": "test",
        "package_name": PROJECT,
        "path": f"{test.alias}.sql",
        "original_file_path": path,
        "unique_id": test.unique_id,
        "fqn": [PROJECT, *(path.split("/")[1:-1] if generic else ()), test.name],
        "alias": test.alias,
        "checksum": _checksum(None if generic else sql.raw),
        "config": _test_config(test),
        "tags": list(test.tags),
        "description": "",
        "columns": {},
        "meta": {},
        "group": first.group,
        "docs": SHOWN,
        "patch_path": None,
        "build_path": f"target/run/{PROJECT}/{test.written_path}" if ran else None,
        "unrendered_config": test_options(test),
        "created_at": PARSED_AT + 30 + number / 1000,
        "relation_name": test.relation_name,
    }
    # dbt names a relationship's other side first.
    macros = [f"macro.{test.package or 'dbt'}.test_{test.kind}", "macro.dbt.get_where_subquery"] if generic else []
    node |= _code(sql.raw, reversed(test.parents), [*macros, *(_EXECUTION_MACROS if ran else ())])
    node |= _compiled(test.written_path, sql.compiled) if ran else {"compiled_path": None}
    node["contract"] = _NODE_CONTRACT
    if generic:
        node |= _generic_test(test, first)
    return node


def _checksum(text: str | None) -> Json:
    if text is None:
        return {"name": "none", "checksum": ""}
    return {"name": "sha256", "checksum": hashlib.sha256(text.encode()).hexdigest()}


def _generic_test(test: Test, attached: Relation) -> Json:
    of_source = bool(attached.source_name)
    column = {} if test.column is None else {"column_name": test.column}
    kwargs = {**test.arguments, **column, "model": f"{{{{ get_where_subquery({attached.jinja}) }}}}"}
    return {
        "column_name": test.column,
        "file_key_name": f"sources.{attached.source_name}"
        if of_source
        else f"{attached.resource_type}s.{attached.name}",
        "attached_node": None if of_source else attached.unique_id,
        "test_metadata": {"name": test.kind, "kwargs": kwargs, "namespace": test.package},
    }


def _test_config(test: Test) -> Json:
    return {
        "enabled": True,
        "alias": test.alias if test.alias != test.name else None,
        "schema": "dbt_test__audit",
        "database": None,
        "tags": list(test.tags),
        "meta": {},
        "group": test.parents[0].group,
        "static_analysis": None,
        "materialized": "test",
        "severity": test.severity,
        "store_failures": test.store_failures,
        "store_failures_as": "table" if test.store_failures else None,
        "where": None,
        "limit": None,
        "fail_calc": "count(*)",
        "warn_if": "!= 0",
        "error_if": "!= 0",
    }


def sources(project: Project) -> Entries:
    for relation in project.relations:
        if relation.resource_type == "source":
            yield relation.unique_id, _source(relation, project.seed)


def _source(relation: Relation, seed: int) -> Json:
    criteria = freshness_criteria(relation)
    unset = {"count": None, "period": None}
    freshness = criteria or {"warn_after": unset, "error_after": unset, "filter": None}
    loaded_at = {"loaded_at_field": "_loaded_at" if criteria else None, "loaded_at_query": None}
    return {
        "database": DATABASE,
        "schema": relation.schema,
        "name": relation.name,
        "resource_type": "source",
        "package_name": PROJECT,
        "path": relation.yaml_path,
        "original_file_path": relation.yaml_path,
        "unique_id": relation.unique_id,
        "fqn": [PROJECT, "staging", relation.domain, relation.source_name, relation.name],
        "source_name": relation.source_name,
        "source_description": f"The {words.spoken(relation.source_name)} system",
        "loader": "fivetran",
        "identifier": relation.name,
        "quoting": _NO_QUOTING,
        **loaded_at,
        "freshness": freshness,
        "external": None,
        "description": relation.description,
        "columns": {column.name: _column(column, seed) for column in relation.columns},
        "meta": relation.meta,
        "source_meta": {},
        "tags": list(relation.tags),
        "config": {
            "enabled": True,
            "event_time": None,
            "freshness": freshness,
            **loaded_at,
            "meta": relation.meta,
            "tags": list(relation.tags),
            "static_analysis": None,
        },
        "patch_path": None,
        "unrendered_config": {
            **loaded_at, "freshness": freshness, "meta": relation.meta, "tags": list(relation.tags)
        },
        "relation_name": relation.relation_name,
        "created_at": PARSED_AT + 50 + relation.index / 1000,
        "unrendered_database": "{{ var('raw_database', target.database) }}",
        "unrendered_schema": relation.schema,
        "doc_blocks": [],
    }  # fmt: skip
