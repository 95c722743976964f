"""Small artifacts as dbt writes them, made in the test that reads them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SCHEMA = "https://schemas.getdbt.com/dbt"
INVOCATION = "5f1c3e0a-0000-4000-8000-000000000001"
STARTED = "2026-03-02T06:00:00.000000Z"
GENERATED = "2026-03-02T06:05:00.000000Z"

Json = dict[str, Any]


def metadata(artifact: str, version: int, **given: Any) -> Json:
    """An artifact's `metadata`."""
    stamp = f"{SCHEMA}/{artifact}/v{version}.json"
    return {
        "dbt_schema_version": stamp,
        "dbt_version": "1.11.16",
        "generated_at": GENERATED,
        "invocation_id": INVOCATION,
        "invocation_started_at": STARTED,
        "env": {},
    } | given


def node(unique_id: str, parents: Sequence[str] = (), **given: Any) -> Json:
    """One node, source, exposure or test of a manifest."""
    resource_type, package, *names = unique_id.split(".")
    return {
        "unique_id": unique_id,
        "resource_type": resource_type,
        "name": names[0] if resource_type in {"model", "test"} else names[-1],
        "package_name": package,
        "original_file_path": f"models/{names[0]}.sql",
        "database": "shop",
        "schema": "main",
        "tags": [],
        "meta": {},
        "config": {"materialized": "table", "meta": {}},
        "depends_on": {"nodes": list(parents), "macros": []},
        "checksum": {"name": "sha256", "checksum": "c0ffee"},
    } | given


def manifest(*nodes: Json, version: int = 12, **stamped: Any) -> Json:
    """A manifest of these nodes, each in the section of its type."""
    sections: dict[str, Json] = {
        "nodes": {},
        "sources": {},
        "exposures": {},
        "unit_tests": {},
        "metrics": {},
        "groups": {},
    }
    for one in nodes:
        kind = one["resource_type"]
        section = {"source": "sources", "exposure": "exposures", "unit_test": "unit_tests"}.get(kind, "nodes")
        sections[section][one["unique_id"]] = one
    stamp = metadata("manifest", version, project_name="shop", adapter_type="duckdb", **stamped)
    return {"metadata": stamp, **sections, "disabled": {}, "macros": {}, "docs": {}}


def result(unique_id: str, status: str = "success", **given: Any) -> Json:
    """One result of run_results.json."""
    return {
        "unique_id": unique_id,
        "status": status,
        "message": None,
        "failures": None,
        "execution_time": 0.5,
        "timing": [
            {"name": "compile", "started_at": "2026-03-02T06:01:00Z", "completed_at": "2026-03-02T06:01:01Z"},
            {"name": "execute", "started_at": "2026-03-02T06:01:01Z", "completed_at": "2026-03-02T06:01:02Z"},
        ],
        "thread_id": "Thread-1",
        "adapter_response": {},
        "compiled": True,
        "compiled_code": "select 1",
        "relation_name": None,
        "batch_results": None,
    } | given


def run_results(
    *results: Json, command: str = "run", version: int = 6, args: Mapping[str, Any] | None = None, **stamped: Any
) -> Json:
    """A run_results.json of `dbt COMMAND`."""
    return {
        "metadata": metadata("run-results", version, **stamped),
        "results": list(results),
        "elapsed_time": 12.5,
        "args": {"which": command.split(maxsplit=1)[0], "invocation_command": f"dbt {command}", **(args or {})},
    }


def freshness(unique_id: str, status: str = "pass", **given: Any) -> Json:
    """One result of sources.json."""
    return {
        "unique_id": unique_id,
        "status": status,
        "max_loaded_at": "2026-03-02T05:00:00+00:00",
        "snapshotted_at": "2026-03-02T06:00:00+00:00",
        "max_loaded_at_time_ago_in_s": 3600.0,
        "criteria": {
            "warn_after": {"count": 12, "period": "hour"},
            "error_after": {"count": None, "period": None},
            "filter": None,
        },
        "adapter_response": {},
        "timing": [],
        "thread_id": "Thread-1",
        "execution_time": 0.1,
    } | given


def sources(*results: Json, version: int = 3, **stamped: Any) -> Json:
    """A sources.json."""
    return {"metadata": metadata("sources", version, **stamped), "results": list(results), "elapsed_time": 1.0}


def write_step(folder: Path, **artifacts: Json) -> Path:
    """Write artifacts into a folder by their names without `.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in artifacts.items():
        (folder / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
    return folder
