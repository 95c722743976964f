"""A damaged file is refused with what, where and what next; nothing of it is stored, and nothing else is raised."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from factories import freshness, manifest, node, result, run_results, sources, write_step
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recorded import load

from observability.artifacts.step import Step
from observability.config import load_settings
from observability.errors import ArtifactError, UnreadableArtifact, UnsupportedArtifact
from observability.pipeline.ingestion import ingest

DOCUMENTS: dict[str, dict[str, Any]] = {
    "manifest.json": manifest(node("model.shop.a"), node("test.shop.t.0", ["model.shop.a"])),
    "run_results.json": run_results(result("model.shop.a"), result("test.shop.t.0", "fail", failures=3)),
    "sources.json": sources(freshness("source.shop.raw.orders")),
}
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NAMES = sorted(DOCUMENTS)


def refused(folder: Path, name: str, content: bytes) -> ArtifactError:
    """The error with which a folder that holds just this file is refused."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    with pytest.raises(ArtifactError) as caught:
        load(folder)
    error = caught.value
    assert error.what
    assert name in error.where
    assert error.next_step
    return error


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@QUICK
def test_a_file_cut_off_anywhere_is_refused(name: str, data: st.DataObject, tmp_path: Path) -> None:
    whole = json.dumps(DOCUMENTS[name]).encode()
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert isinstance(refused(tmp_path / "s", name, whole[:cut]), UnreadableArtifact)


def paths(value: Any, way: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The way to every value in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way] * bool(way) + [found for key, child in inner for found in paths(child, (*way, key))]


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@QUICK
def test_a_value_of_another_kind_is_refused_or_makes_no_difference(
    name: str, data: st.DataObject, tmp_path: Path
) -> None:
    document = json.loads(json.dumps(DOCUMENTS[name]))
    way = data.draw(st.sampled_from(paths(document)))
    holder = document
    for key in way[:-1]:
        holder = holder[key]
    holder[way[-1]] = data.draw(st.sampled_from([None, 0, -1, 1.5, True, "", "x", [], [1], {}, {"x": None}]))
    folder = write_step(tmp_path / "s")
    (folder / name).write_text(json.dumps(document))
    with suppress(ArtifactError):  # nothing but an error of ours may come out
        load(folder)


def conflict(text: str) -> str:
    half = len(text) // 2
    return f"{text[:half]}\n<<<<<<< HEAD\n{text[half:]}\n=======\n{text[half:]}\n>>>>>>> main\n"


NONSENSE: dict[str, Callable[[str], bytes]] = {
    "empty": lambda _: b"",
    "white space": lambda _: b" \n ",
    "null": lambda _: b"null",
    "a list": lambda _: b"[]",
    "a number": lambda _: b"12",
    "HTML": lambda _: b"<html><body>404 Not Found</body></html>",
    "YAML": lambda _: b"metadata:\n  env: {}\n",
    "a conflict": lambda text: conflict(text).encode(),
    "twice": lambda text: (text + text).encode(),
    "Latin-1": lambda text: text.replace("shop", "sh\xf6p").encode("latin-1") + b"\xff",
    "UTF-16": lambda text: text.encode("utf-16"),
    "gzip": lambda _: b"\x1f\x8b\x08\x00" + bytes(64),
    "zeros": lambda _: bytes(4096),
    "deeply nested": lambda _: b'{"metadata":' + b"[" * 100_000,
    "deeply nested objects": lambda _: b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "NaN": lambda _: b'{"metadata": NaN}',
    "a lone surrogate": lambda text: text.encode().replace(b'"shop', rb'"\ud800shop'),
}


@pytest.mark.parametrize("kind", NONSENSE)
@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_the_artifact_is_refused(name: str, kind: str, tmp_path: Path) -> None:
    content = NONSENSE[kind](json.dumps(DOCUMENTS[name]))
    if kind == "a lone surrogate" and b"\\ud800" not in content:
        content = content.replace(b"{", rb'{"\ud800": 1, ', 1)
    refused(tmp_path / "s", name, content)


def test_two_hundred_megabytes_of_nonsense_are_refused(tmp_path: Path) -> None:
    folder = write_step(tmp_path / "s")
    with (folder / "manifest.json").open("wb") as file:
        file.write(b'{"metadata": {}, "nodes": {"')
        file.truncate(200_000_000)
    with pytest.raises(UnreadableArtifact, match=r"manifest\.json cannot be read") as caught:
        load(folder)
    assert "200,000,000 bytes" in caught.value.where


@pytest.mark.parametrize("name", NAMES)
def test_a_file_from_before_version_stamps_is_refused_by_name(name: str, tmp_path: Path) -> None:
    document = json.loads(json.dumps(DOCUMENTS[name]))
    del document["metadata"]["dbt_schema_version"]
    error = refused(tmp_path / "s", name, json.dumps(document).encode())
    assert isinstance(error, UnsupportedArtifact)
    assert error.what == f"{name} carries no schema version: dbt before 0.19 wrote it, or it is not dbt's"


@pytest.mark.parametrize("stamp", ["manifest/v21", "run-results/v7", "sources/v4", "sources/v0", "catalog/v1", "x"])
@pytest.mark.parametrize("name", NAMES)
def test_a_version_that_is_not_read_is_refused(name: str, stamp: str, tmp_path: Path) -> None:
    document = json.loads(json.dumps(DOCUMENTS[name]))
    document["metadata"]["dbt_schema_version"] = f"https://schemas.getdbt.com/dbt/{stamp}.json"
    error = refused(tmp_path / "s", name, json.dumps(document).encode())
    assert isinstance(error, UnsupportedArtifact)
    assert stamp in error.what


def test_nothing_of_a_step_with_one_damaged_file_is_loaded_and_other_steps_are(tmp_path: Path) -> None:
    damaged = write_step(tmp_path / "damaged", run_results=DOCUMENTS["run_results.json"])
    (damaged / "manifest.json").write_bytes(b'{"metadata": {')
    whole = write_step(tmp_path / "whole", sources=DOCUMENTS["sources.json"])
    store = tmp_path / "audit.duckdb"
    report = ingest([damaged, whole], load_settings(store=f"duckdb:///{store}"))
    assert [load.folder for load in report.loads] == [whole]
    assert [type(error) for error in report.errors] == [UnreadableArtifact]


def test_a_killed_dbt_may_leave_half_files_and_its_log_is_used_instead(tmp_path: Path) -> None:
    folder = write_step(tmp_path / "s")
    (folder / "manifest.json").write_bytes(b"")
    (folder / "run_results.json").write_bytes(b'{"metadata": ')
    info = {"invocation_id": "i", "level": "debug", "msg": "", "ts": "2026-03-02T06:00:00Z"}
    at = {"node_info": {"unique_id": "model.shop.a", "resource_type": "model"}}
    (folder / "dbt.log").write_text(json.dumps({"info": info | {"name": "NodeStart"}, "data": at}) + '\n{"info": {"na')
    made = load(folder, Step(command="dbt run", exit_code=-9))
    assert [(row.unique_id, row.status) for row in made.run_results] == [("model.shop.a", "interrupted")]
    assert (made.invocation.outcome, made.invocation.evidence) == ("interrupted", "event_log")
    assert [warning.partition(":")[0] for warning in made.invocation.warnings] == [
        "manifest.json cannot be read",
        "run_results.json cannot be read",
    ]
    assert {file.name: file.used for file in made.invocation.files} == {
        "manifest.json": False,
        "run_results.json": False,
        "dbt.log": True,
    }
