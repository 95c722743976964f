"""Where dbt-artifacts-parser accepts a file, our fields are its fields."""

import json
from pathlib import Path
from typing import Any

import pytest
from dbt_artifacts_parser.parser import parse_manifest, parse_run_results, parse_sources
from recorded import CASES, unpack

from observability.artifacts.json_file import open_json_file
from observability.artifacts.manifest import read_manifest
from observability.artifacts.run_results import read_run_results
from observability.artifacts.sources import read_sources

NODE_FIELDS = (
    *("unique_id", "name", "package_name", "original_file_path", "database", "schema_", "relation_name", "tags"),
    *("description", "column_name", "attached_node", "source_name", "loader", "loaded_at_field"),
    *("maturity", "url", "label"),
)


def plain(value: Any) -> Any:
    """The parser's enums and timestamps as the text that dbt wrote."""
    value = getattr(value, "value", value)
    return value.isoformat() if hasattr(value, "isoformat") else value


@pytest.mark.parametrize("name", CASES)
def test_manifest(name: str, tmp_path: Path) -> None:
    path = unpack(name, tmp_path).folder / "manifest.json"
    if not path.exists():
        return
    theirs: Any = parse_manifest(json.loads(path.read_bytes()))
    ours = read_manifest(open_json_file(path))
    compared = 0
    for section in ("nodes", "sources", "exposures", "unit_tests"):
        mine = getattr(ours, section) or {}
        other = getattr(theirs, section) or {}
        assert mine.keys() == other.keys()
        for unique_id, node in mine.items():
            for field in NODE_FIELDS:
                if hasattr(other[unique_id], field):
                    assert getattr(node, field.rstrip("_")) == plain(getattr(other[unique_id], field)), (
                        unique_id,
                        field,
                    )
                    compared += 1
            parents = getattr(getattr(other[unique_id], "depends_on", None), "nodes", None)
            assert node.parents == (parents or [])
    assert compared > 100


@pytest.mark.parametrize("name", CASES)
def test_run_results(name: str, tmp_path: Path) -> None:
    path = unpack(name, tmp_path).folder / "run_results.json"
    if not path.exists():
        return
    theirs: Any = parse_run_results(json.loads(path.read_bytes()))
    ours = read_run_results(open_json_file(path))
    assert ours.elapsed_time == theirs.elapsed_time
    assert len(ours.results) == len(theirs.results)
    for mine, other in zip(ours.results, theirs.results, strict=True):
        for field in ("unique_id", "status", "message", "failures", "execution_time", "thread_id", "relation_name"):
            assert getattr(mine, field) == plain(getattr(other, field)), (mine.unique_id, field)
        assert [phase.name for phase in mine.timing or []] == [phase.name for phase in other.timing]


@pytest.mark.parametrize("name", [case for case in CASES if case.startswith("freshness")])
def test_sources(name: str, tmp_path: Path) -> None:
    path = unpack(name, tmp_path).folder / "sources.json"
    theirs: Any = parse_sources(json.loads(path.read_bytes()))
    ours = read_sources(open_json_file(path))
    assert len(ours.results) == len(theirs.results)
    for mine, other in zip(ours.results, theirs.results, strict=True):
        assert (mine.unique_id, mine.status) == (other.unique_id, plain(other.status))
        assert mine.max_loaded_at_time_ago_in_s == other.max_loaded_at_time_ago_in_s
        assert mine.execution_time == other.execution_time
