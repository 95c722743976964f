import copy
import json
import mmap
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import pytest
from dbt_artifacts_parser import parser
from hypothesis import given, settings
from hypothesis import strategies as st

from observability.artifacts.conformance import Deviation, Verdict, deviations, judge
from observability.artifacts.kinds import Artifact, parse_schema_url
from observability.errors import UnreadableArtifact, UnsupportedArtifact

EXTRA = "Extra inputs are not permitted"
PARSER = f"dbt_artifacts_parser {installed_version('dbt-artifacts-parser')}"


def url(artifact: Artifact, version: int) -> str:
    return f"https://schemas.getdbt.com/dbt/{artifact}/v{version}.json"


def model(unique_id: str, **changes: Any) -> dict[str, Any]:
    name = unique_id.rpartition(".")[2]
    node = {
        "database": "dev",
        "schema": "main",
        "name": name,
        "resource_type": "model",
        "package_name": "greenery",
        "path": f"{name}.sql",
        "original_file_path": f"models/{name}.sql",
        "unique_id": unique_id,
        "fqn": ["greenery", name],
        "alias": name,
        "checksum": {"name": "sha256", "checksum": "0"},
        "columns": {"id": {"name": "id"}, "total": {"name": "total"}},
    }
    return node | changes


def data_test(unique_id: str) -> dict[str, Any]:
    metadata = {"name": "not_null", "kwargs": {"column_name": "id"}}
    return model(unique_id, resource_type="test", test_metadata=metadata)


def manifest(*nodes: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"dbt_schema_version": url(Artifact.MANIFEST, 12), "dbt_version": "1.11.16"},
        "nodes": {node["unique_id"]: node for node in nodes or (model("model.greenery.orders"),)},
        "sources": {},
        "macros": {},
        "docs": {},
        "exposures": {},
        "metrics": {},
        "groups": {},
        "selectors": {},
        "disabled": {"model.greenery.old": [model("model.greenery.old")]},
        "parent_map": {},
        "child_map": {},
        "group_map": {},
        "saved_queries": {},
        "semantic_models": {},
        "unit_tests": {},
    }


def result(unique_id: str, **changes: Any) -> dict[str, Any]:
    row = {
        "unique_id": unique_id,
        "status": "success",
        "timing": [{"name": "execute", "started_at": "2026-11-02T06:00:00Z", "completed_at": None}],
        "thread_id": "Thread-1",
        "execution_time": 0.5,
        "adapter_response": {"rows_affected": 3},
        "message": "OK",
        "failures": None,
        "batch_results": {"successful": [["2026-11-01", "2026-11-02"]], "failed": []},
    }
    return row | changes


def run_results(*results: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"dbt_schema_version": url(Artifact.RUN_RESULTS, 6), "env": {"team": "shop"}},
        "results": list(results) or [result("model.greenery.orders")],
        "elapsed_time": 1.5,
        "args": {"which": "build", "vars": {"a": [1, None]}},
    }


def sources() -> dict[str, Any]:
    return {
        "metadata": {"dbt_schema_version": url(Artifact.SOURCES, 3)},
        "results": [
            {"unique_id": "source.greenery.raw.events", "error": "no such table", "status": "runtime error"},
            {
                "unique_id": "source.greenery.raw.orders",
                "max_loaded_at": "2026-11-02T05:00:00Z",
                "snapshotted_at": "2026-11-02T06:00:00Z",
                "max_loaded_at_time_ago_in_s": 3600.0,
                "status": "warn",
                "criteria": {"warn_after": {"count": 1, "period": "hour"}, "error_after": {}, "filter": None},
                "adapter_response": {},
                "timing": [],
                "thread_id": "Thread-1",
                "execution_time": 0.1,
            },
        ],
        "elapsed_time": 0.3,
    }


PARSERS: dict[Artifact, Callable[[Any], object]] = {
    Artifact.MANIFEST: parser.parse_manifest,
    Artifact.RUN_RESULTS: parser.parse_run_results,
    Artifact.SOURCES: parser.parse_sources,
}
DOCUMENTS = {Artifact.MANIFEST: manifest(), Artifact.RUN_RESULTS: run_results(), Artifact.SOURCES: sources()}
LATEST = {Artifact.MANIFEST: 12, Artifact.RUN_RESULTS: 6, Artifact.SOURCES: 3}


def parser_accepts(artifact: Artifact, text: bytes) -> bool:
    try:
        PARSERS[artifact](json.loads(text))
    except (ValueError, TypeError, RecursionError):
        return False
    return True


def found(artifact: Artifact, document: object) -> list[Deviation]:
    return deviations(artifact, json.dumps(document).encode(), url(artifact, LATEST[artifact]))


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("https://schemas.getdbt.com/dbt/manifest/v12.json", (Artifact.MANIFEST, 12)),
        ("https://schemas.getdbt.com/dbt/run-results/v6.json", (Artifact.RUN_RESULTS, 6)),
        ("https://schemas.getdbt.com/dbt/sources/v3.json", (Artifact.SOURCES, 3)),
        ("https://schemas.getdbt.com/dbt/freshness/v0.json", (Artifact.FRESHNESS, 0)),
        ("https://schemas.getdbt.com/dbt/catalog/v1.json", None),
        ("https://schemas.getdbt.com/dbt/manifest/v012.json", None),
        ("https://schemas.getdbt.com/dbt/manifest/v12.json\n", None),
        ("https://schemas.getdbt.com/dbt/manifest/v\u0661\u0662.json", None),
        (f"https://schemas.getdbt.com/dbt/manifest/v{'9' * 5000}.json", None),
        ("https://example.com/dbt/manifest/v12.json", None),
        ("", None),
    ],
)
def test_schema_urls_name_a_kind_and_a_version(text: str, parsed: tuple[Artifact, int] | None) -> None:
    assert parse_schema_url(text) == parsed


@pytest.mark.parametrize("artifact", DOCUMENTS)
def test_a_document_that_follows_its_schema_conforms(artifact: Artifact) -> None:
    text = json.dumps(DOCUMENTS[artifact]).encode()
    assert parser_accepts(artifact, text)
    assert judge(artifact, text, url(artifact, LATEST[artifact])) == Verdict(True, None)


def test_bytes_memoryview_and_mapped_file_are_judged_alike(tmp_path: Path) -> None:
    text = json.dumps(run_results(result("model.greenery.orders", surprise=1))).encode()
    path = tmp_path / "run_results.json"
    path.write_bytes(text)
    expected = Verdict(False, f"1 deviation: results.0.surprise: {EXTRA}")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        for document in (text, memoryview(text), mapped):
            assert judge(Artifact.RUN_RESULTS, document, url(Artifact.RUN_RESULTS, 6)) == expected


def test_one_new_key_on_every_node_is_one_deviation_with_a_count() -> None:
    nodes = [
        model("model.greenery.orders", freshness={}),
        model("model.greenery.users", freshness={}),
        data_test("test.greenery.not_null_orders_id") | {"freshness": {}},
    ]
    assert found(Artifact.MANIFEST, manifest(*nodes)) == [
        Deviation("nodes.*.freshness", EXTRA, 3, "nodes.model.greenery.orders.freshness")
    ]


def test_a_node_is_judged_as_what_its_resource_type_says() -> None:
    seed = model("seed.greenery.users", resource_type="seed", refs=[], compiled=True)
    assert found(Artifact.MANIFEST, manifest(seed)) == [
        Deviation("nodes.seed.greenery.users.refs", EXTRA, 1, "nodes.seed.greenery.users.refs"),
        Deviation("nodes.seed.greenery.users.compiled", EXTRA, 1, "nodes.seed.greenery.users.compiled"),
    ]


def test_a_resource_type_that_no_schema_has_is_the_only_thing_said_of_its_node() -> None:
    where = "nodes.dragon.greenery.smaug.resource_type"
    (deviation,) = found(Artifact.MANIFEST, manifest(model("dragon.greenery.smaug", resource_type="dragon")))
    assert deviation == Deviation(
        where,
        "Input should be 'seed', 'analysis', 'test', 'operation', 'model', 'sql_operation', 'snapshot' or 'function'",
        1,
        where,
    )


def test_columns_disabled_nodes_and_list_positions_are_folded() -> None:
    odd = {"id": {"name": 1}, "total": {"name": 2}}
    document = manifest(model("model.greenery.orders", columns=odd))
    document["disabled"]["model.greenery.old"][0]["tags"] = ["a", 1, 2]
    assert found(Artifact.MANIFEST, document) == [
        Deviation(
            "nodes.*.columns.*.name",
            "Input should be a valid string",
            2,
            "nodes.model.greenery.orders.columns.id.name",
        ),
        Deviation("disabled.*.*.tags.*", "Input should be a valid string", 2, "disabled.model.greenery.old.0.tags.1"),
    ]


def test_a_value_that_no_type_of_a_union_takes_is_told_once() -> None:
    rows = [result("model.greenery.orders", status="cancelled"), result("model.greenery.users", status="cancelled")]
    assert found(Artifact.RUN_RESULTS, run_results(*rows)) == [
        Deviation(
            "results.*.status",
            "Input should be 'success', 'error', 'skipped', 'partial success', 'no-op', 'reused', 'pass', 'fail', "
            "'warn' or 'runtime error'",
            2,
            "results.0.status",
        )
    ]


def test_a_source_is_judged_as_checked_or_as_failed_whichever_it_resembles() -> None:
    document = sources()
    document["results"][0]["cause"] = "x"
    del document["results"][1]["timing"]
    document["results"][1]["status"] = "Warn"
    assert [(each.path, each.problem) for each in found(Artifact.SOURCES, document)] == [
        ("results.0.cause", EXTRA),
        ("results.1.status", "Input should be 'pass', 'warn', 'error' or 'runtime error'"),
        ("results.1.timing", "Field required"),
    ]


def test_a_section_larger_than_a_portion_is_judged_to_its_end() -> None:
    nodes = [model(f"model.greenery.m{number}") for number in range(1001)]
    assert found(Artifact.MANIFEST, manifest(*nodes)) == []
    nodes[-1]["extra"] = 1
    document = manifest(*nodes) | {"unheard_of": {str(number): 1 for number in range(1001)}}
    document["metadata"]["extra"] = 1
    assert [(each.path, each.count) for each in found(Artifact.MANIFEST, document)] == [
        ("metadata.extra", 1),
        ("unheard_of", 1),
        ("nodes.model.greenery.m1000.extra", 1),
    ]


def test_metadata_is_judged_as_one_however_large() -> None:
    document = run_results()
    document["metadata"] = {f"extra_{number}": 1 for number in range(500)} | document["metadata"]
    assert {each.problem for each in found(Artifact.RUN_RESULTS, document)} == {EXTRA}


def test_a_key_with_the_name_of_a_branch_does_not_break_the_judge() -> None:
    node = model("model.greenery.orders", tags=[1], Nodes4="x", Nodes={"tags": 3})
    assert len(found(Artifact.MANIFEST, manifest(node))) >= 1


@pytest.mark.parametrize(
    ("artifact", "schema_url", "reason"),
    [
        (Artifact.MANIFEST, url(Artifact.MANIFEST, 20), f"{PARSER} has no schema of manifest v20"),
        (Artifact.FRESHNESS, url(Artifact.FRESHNESS, 0), f"{PARSER} has no schema of freshness v0"),
        (Artifact.MANIFEST, "", "it carries no schema version"),
        (
            Artifact.MANIFEST,
            url(Artifact.SOURCES, 3),
            "its schema is https://schemas.getdbt.com/dbt/sources/v3.json, which is none of manifest",
        ),
    ],
)
def test_without_a_schema_there_is_no_verdict(artifact: Artifact, schema_url: str, reason: str) -> None:
    assert judge(artifact, b"{}", schema_url) == Verdict(None, f"not judged: {reason}")
    with pytest.raises(UnsupportedArtifact) as caught:
        deviations(artifact, b"{}", schema_url)
    assert (caught.value.what, caught.value.where) == (reason, "metadata.dbt_schema_version")


@pytest.mark.parametrize(
    ("size", "limit", "reason"),
    [
        (182_000_123, 20_000_000, "not judged: manifest of 182 MB is above 20 MB"),
        (1_234_567, 1_000, "not judged: manifest of 1.2 MB is above 1,000 bytes"),
    ],
)
def test_a_document_above_the_limit_is_not_judged(size: int, limit: int, reason: str) -> None:
    large = memoryview(bytes(size))
    assert judge(Artifact.MANIFEST, large, url(Artifact.MANIFEST, 12), max_bytes=limit) == Verdict(None, reason)


def test_a_document_at_the_limit_is_judged() -> None:
    text = json.dumps(run_results()).encode()
    assert judge(Artifact.RUN_RESULTS, text, url(Artifact.RUN_RESULTS, 6), max_bytes=len(text)).conforms


def test_the_error_is_short_says_how_much_was_left_out_and_stays_on_one_line() -> None:
    key = "line\nfeed\ud800\x1b[31m" + "x" * 2000
    error = judge(Artifact.MANIFEST, json.dumps(manifest() | {key: 1}).encode(), url(Artifact.MANIFEST, 12)).error
    assert error is not None
    assert error.isprintable()
    assert len(error) <= 500
    error.encode()


def test_a_long_path_is_cut_with_a_count_of_what_is_missing() -> None:
    error = judge(
        Artifact.MANIFEST, json.dumps(manifest() | {"x" * 2000: 1}).encode(), url(Artifact.MANIFEST, 12)
    ).error
    assert error == "1 deviation: " + "x" * 447 + f"… ({2000 - 447 + len(': ' + EXTRA):,} more characters)"


def in_args(value: str) -> bytes:
    return json.dumps(run_results()).encode().replace(b'"which": "build"', b'"which": ' + value.encode())


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b"{",
        b"\xff",
        b"\x00" * 100,
        json.dumps(run_results()).encode()[:-9],
        json.dumps(run_results()).encode() + b"x",
        b"\xef\xbb\xbf" + json.dumps(run_results()).encode(),
        json.dumps(run_results()).encode("utf-16"),
        json.dumps(run_results(result("\ud800"))).encode(),
        json.dumps(run_results() | {"\ud800": 1}).encode(),
        json.dumps(run_results()).encode().replace(b'"team"', b'"\\ud800"'),
        json.dumps(run_results() | {"elapsed_time": float("nan")}).encode(),
        json.dumps(run_results() | {"elapsed_time": 10**400}).encode(),
        json.dumps(run_results() | {"elapsed_time": True}).encode(),
        json.dumps(run_results(result("model.a.b", failures=1.5))).encode(),
        in_args("1e999"),
        in_args("1" + "0" * 5000),
        in_args('"\\ud800"'),
        in_args("[" * 500 + "]" * 500),
        in_args('{"a": 1, "a": 2}'),
        json.dumps(run_results()).encode().replace(b'"team": "shop"', b'"team": 1, "team": "shop"'),
    ],
    ids=lambda text: repr(text[:30]),
)
def test_the_judge_never_raises_and_conforms_means_that_the_parser_accepts(text: bytes) -> None:
    verdict = judge(Artifact.RUN_RESULTS, text, url(Artifact.RUN_RESULTS, 6))
    assert (verdict.conforms is True) == parser_accepts(Artifact.RUN_RESULTS, text)
    assert (verdict.error is None) == (verdict.conforms is True)


def test_a_document_that_is_not_json_deviates_as_a_whole() -> None:
    assert deviations(Artifact.RUN_RESULTS, b"{", url(Artifact.RUN_RESULTS, 6)) == [
        Deviation(
            "$",
            "Input should be JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
            1,
            "$",
        )
    ]
    assert found(Artifact.RUN_RESULTS, []) == [Deviation("$", "Input should be an object", 1, "$")]


def test_nesting_beyond_what_can_be_decoded_is_not_judged() -> None:
    text = in_args("[" * 100_000 + "]" * 100_000)
    reason = "this run-results is nested too deeply to be judged"
    assert judge(Artifact.RUN_RESULTS, text, url(Artifact.RUN_RESULTS, 6)) == Verdict(None, f"not judged: {reason}")
    with pytest.raises(UnreadableArtifact, match=reason):
        deviations(Artifact.RUN_RESULTS, text, url(Artifact.RUN_RESULTS, 6))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def containers(value: object) -> Iterator[Any]:
    if isinstance(value, dict | list) and value:
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from containers(inner)


@st.composite
def damaged(draw: st.DrawFn) -> tuple[Artifact, bytes]:
    """A document of which one to three places are removed, replaced or added to; its stamp stays."""
    artifact = draw(st.sampled_from(list(DOCUMENTS)))
    document = copy.deepcopy(DOCUMENTS[artifact])
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(list(containers(document))))
        key = draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
        damage = draw(st.sampled_from(["remove", "replace", "add"]))
        if damage == "remove":
            del place[key]
        elif damage == "replace" or isinstance(place, list):
            place[key] = draw(JSON)
        else:
            place[draw(st.text(max_size=3))] = draw(JSON)
    metadata = document.get("metadata")
    stamp = {"dbt_schema_version": url(artifact, LATEST[artifact])}
    document["metadata"] = metadata | stamp if isinstance(metadata, dict) else stamp
    return artifact, json.dumps(document).encode()


@given(damaged())
@settings(max_examples=300, deadline=None)
def test_a_damaged_document_conforms_exactly_when_the_parser_accepts_it(case: tuple[Artifact, bytes]) -> None:
    artifact, text = case
    verdict = judge(artifact, text, url(artifact, LATEST[artifact]))
    assert verdict.conforms == parser_accepts(artifact, text)
    all_found = deviations(artifact, text, url(artifact, LATEST[artifact]))
    assert bool(all_found) != verdict.conforms
    assert all(each.path.isprintable() and each.problem and each.count > 0 for each in all_found)


def test_every_version_that_the_parser_has_is_judged() -> None:
    for artifact, latest in LATEST.items():
        for version in range(1, latest + 1):
            verdict = judge(artifact, b"{}", url(artifact, version))
            assert verdict.conforms is False, (artifact, version)


def test_judging_imports_no_other_version() -> None:
    script = (
        "import sys\n"
        "from observability.artifacts.conformance import judge\n"
        "from observability.artifacts.kinds import Artifact\n"
        "assert not [name for name in sys.modules if name.startswith('dbt_artifacts_parser')]\n"
        f"judge(Artifact.RUN_RESULTS, b'{{}}', {url(Artifact.RUN_RESULTS, 6)!r})\n"
        "print(*sorted(name for name in sys.modules if name.startswith('dbt_artifacts_parser')))\n"
    )
    out = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert out.split() == [
        "dbt_artifacts_parser",
        "dbt_artifacts_parser.parsers",
        "dbt_artifacts_parser.parsers.base",
        "dbt_artifacts_parser.parsers.run_results",
        "dbt_artifacts_parser.parsers.run_results.run_results_v6",
    ]
