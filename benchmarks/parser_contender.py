"""The way through dbt-artifacts-parser: parse both files with it, and store the rows that the ingest stores.

What the ingest derives beyond the files is left out, in this contender's favour: lineage of exposures, causes, hashes
of states, redaction, the schema's judge, and the store's views.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa
from dbt_artifacts_parser.parser import parse_manifest, parse_run_results


def store(folder: Path, database: Path) -> None:
    """As its documentation shows it: the document as a dict, the version told by the file."""
    manifest: Any = parse_manifest(orjson.loads((folder / "manifest.json").read_bytes()))
    results: Any = parse_run_results(orjson.loads((folder / "run_results.json").read_bytes()))
    owners = {group.name: group.owner.name or group.owner.email for group in manifest.groups.values()}
    sections = (manifest.nodes, manifest.sources, manifest.exposures, manifest.unit_tests, manifest.groups)
    nodes = {unique_id: _node(node, owners) for section in sections for unique_id, node in section.items()}
    tables = {
        "nodes": _arrow(nodes.values()),
        "run_results": _arrow([_run_result(result, nodes) for result in results.results]),
        "invocations": _arrow([_invocation(manifest, results)]),
    }
    with duckdb.connect(database) as connection:
        connection.begin()
        for name, table in tables.items():
            connection.register(f"{name}_rows", table)
            connection.execute(f"CREATE TABLE {name} AS FROM {name}_rows")
        connection.commit()


def _node(node: Any, owners: Mapping[str, str | None]) -> dict[str, Any]:
    config, test, depends_on = node.config, _get(node, "test_metadata"), _get(node, "depends_on")
    meta = _get(config, "meta") or _get(node, "meta")
    group, owner, checksum = _get(node, "group"), _get(node, "owner"), _get(node, "checksum")
    severity = _get(config, "severity")
    return {
        "unique_id": node.unique_id,
        "resource_type": _text(node.resource_type),
        "name": node.name,
        "package_name": node.package_name,
        "original_file_path": node.original_file_path,
        "relation_database": _get(node, "database"),
        "relation_schema": _get(node, "schema_"),
        "materialized": _get(config, "materialized"),
        "tags": _get(node, "tags") or [],
        "owner": owner.name or owner.email if owner else (meta or {}).get("owner") or owners.get(group or ""),
        "group_name": group,
        "checksum": _get(checksum, "checksum") or (checksum if isinstance(checksum, str) else None),
        "test_name": _get(test, "name"),
        "column_name": _get(node, "column_name"),
        "attached_node": _get(node, "attached_node"),
        "severity": severity.lower() if severity else None,
        "relation_name": _get(node, "relation_name"),
        "meta": _json(meta),
        "access": _text(_get(node, "access")),
        "description": _get(node, "description"),
        "depends_on": _get(depends_on, "nodes") or [],
        "test_args": _json(_get(test, "kwargs")),
        "source_name": _get(node, "source_name"),
        "loader": _get(node, "loader"),
        "loaded_at_field": _get(node, "loaded_at_field"),
        **_criteria(_get(node, "freshness")),
        "exposure_type": _text(_get(node, "type")),
        "maturity": _text(_get(node, "maturity")),
        "url": _get(node, "url"),
        "label": _get(node, "label"),
        "owner_email": _get(owner, "email"),
    }


_SECONDS = {"minute": 60.0, "hour": 3600.0, "day": 86400.0}
# What a fact repeats of its node.
_SHARED = (
    "resource_type", "name", "package_name", "original_file_path", "relation_database", "relation_schema",
    "materialized", "tags", "owner", "group_name", "checksum", "test_name", "column_name", "attached_node", "severity",
)  # fmt: skip


def _criteria(freshness: Any) -> dict[str, Any]:
    def seconds(limit: Any) -> float | None:
        return limit.count * _SECONDS[limit.period.value] if limit and limit.count and limit.period else None

    return {
        "warn_after_seconds": seconds(_get(freshness, "warn_after")),
        "error_after_seconds": seconds(_get(freshness, "error_after")),
        "freshness_filter": _get(freshness, "filter"),
    }


def _run_result(result: Any, nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    node, response = nodes.get(result.unique_id, {}), result.adapter_response
    status = _text(result.status) or ""
    timing = {step.name: step for step in result.timing}
    compiling, executing = timing.get("compile"), timing.get("execute")
    return {
        "unique_id": result.unique_id,
        **{name: node.get(name) for name in _SHARED},
        "status": status,
        "message": result.message,
        "failures": result.failures,
        "execution_time": result.execution_time,
        "compile_started_at": _time(_get(compiling, "started_at")),
        "compile_completed_at": _time(_get(compiling, "completed_at")),
        "execute_started_at": _time(_get(executing, "started_at")),
        "execute_completed_at": _time(_get(executing, "completed_at")),
        "thread_id": result.thread_id,
        "rows_affected": response.get("rows_affected"),
        "bytes_processed": response.get("bytes_processed"),
        "bytes_billed": response.get("bytes_billed"),
        "slot_ms": response.get("slot_ms"),
        "query_id": response.get("job_id"),
        "adapter_response": _json(response),
        "relation_name": result.relation_name,
        "compiled_code": result.compiled_code if status in {"error", "fail"} else None,
        "batch_results": _json(_get(result.batch_results, "__dict__")),
    }


def _invocation(manifest: Any, results: Any) -> dict[str, Any]:
    metadata, args = results.metadata, results.args
    return {
        "invocation_id": metadata.invocation_id,
        "project_name": manifest.metadata.project_name,
        "command": args.get("which"),
        "invocation_command": args.get("invocation_command"),
        "dbt_version": metadata.dbt_version,
        "adapter_type": manifest.metadata.adapter_type,
        "started_at": _time(metadata.invocation_started_at),
        "completed_at": _time(metadata.generated_at),
        "elapsed_seconds": results.elapsed_time,
        "args": _json(args),
        "vars": _json(args.get("vars")),
        "env": _json(metadata.env),
    }


def _get(thing: Any, name: str) -> Any:
    return getattr(thing, name, None)


def _text(value: Any) -> str | None:
    """A literal or an enum's value: the generated classes have both."""
    text: str | None = getattr(value, "value", value)
    return text


def _json(value: Any) -> str | None:
    return orjson.dumps(value).decode() if value else None


def _time(value: Any) -> Any:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _arrow(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    rows = list(rows)
    return pa.table({name: [row[name] for row in rows] for name in rows[0]})
