"""Which files are read, and which of them are the step's own."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from factories import GENERATED, freshness, manifest, metadata, node, result, run_results, sources, write_step
from recorded import load, read

from observability.artifacts.folder import find_steps
from observability.artifacts.step import Step
from observability.artifacts.step import write_step as write_observed
from observability.errors import UnreadableArtifact

GRAPH = manifest(node("model.shop.a"), node("source.shop.raw.orders", source_name="raw"))
RESULTS = run_results(result("model.shop.a"))
LATER = "2026-03-02T07:00:00Z"


@pytest.mark.parametrize("version", [*range(1, 13), 20])
def test_every_published_manifest_reads(version: int, tmp_path: Path) -> None:
    folder = write_step(tmp_path, manifest=manifest(node("model.shop.a"), version=version), run_results=RESULTS)
    project = load(folder).project
    assert project is not None
    assert list(project.nodes) == ["model.shop.a"]


@pytest.mark.parametrize("version", range(1, 7))
def test_every_published_version_of_run_results_reads(version: int, tmp_path: Path) -> None:
    folder = write_step(tmp_path, run_results=run_results(result("model.shop.a"), version=version))
    assert [row.unique_id for row in load(folder).run_results] == ["model.shop.a"]


@pytest.mark.parametrize("version", range(1, 4))
def test_every_published_version_of_sources_reads(version: int, tmp_path: Path) -> None:
    folder = write_step(tmp_path, sources=sources(freshness("source.shop.raw.orders"), version=version))
    assert [row.age_seconds for row in load(folder).source_freshness] == [3600.0]


def test_freshness_json_of_dbt_2_reads_and_its_statuses_are_put_into_lower_case(tmp_path: Path) -> None:
    document = {
        "metadata": metadata("freshness", 0, dbt_version="2.0.0"),
        "results": [freshness("source.shop.raw.orders", "Warn", resource_type="source")],
        "elapsed_time": 1.0,
    }
    made = load(write_step(tmp_path, freshness=document))
    assert [(row.status, row.outcome) for row in made.source_freshness] == [("warn", "warning")]
    assert (made.invocation.command, made.invocation.outcome) == ("source freshness", "warning")


def test_keys_that_are_missing_as_in_dbt_2_and_keys_that_are_new_make_no_difference(tmp_path: Path) -> None:
    bare = {"unique_id": "model.shop.a", "status": "success", "brand_new": {"a": 1}}
    graph = manifest({"unique_id": "model.shop.a", "resource_type": "model", "brand_new": []})
    folder = write_step(tmp_path, manifest=graph | {"novelties": []}, run_results=run_results(bare) | {"more": 1})
    (row,) = load(folder).run_results
    assert (row.unique_id, row.status, row.outcome, row.failures) == ("model.shop.a", "success", "ok", None)


def test_a_status_that_is_not_known_is_kept_as_it_is_and_is_unknown(tmp_path: Path) -> None:
    (row,) = load(write_step(tmp_path, run_results=run_results(result("model.shop.a", "Half Baked")))).run_results
    assert (row.status, row.outcome) == ("half baked", "unknown")


@pytest.mark.parametrize("command", ["compile", "docs generate", "show", "parse", "ls"])
def test_commands_that_run_nothing_are_recorded_without_results(command: str, tmp_path: Path) -> None:
    which = {"docs generate": "generate"}.get(command, command)
    document = run_results(result("model.shop.a"), command=command, args={"which": which})
    made = load(write_step(tmp_path, manifest=GRAPH, run_results=document))
    assert (made.invocation.command, made.invocation.outcome, made.run_results) == (command, "success", [])


def test_a_file_with_another_steps_token_is_stale_and_one_with_ours_is_not(tmp_path: Path) -> None:
    document = run_results(result("model.shop.a"), env={"OBSERVE_TOKEN": "mine"})
    folder = write_step(tmp_path, manifest=GRAPH, run_results=document)
    assert read(folder, Step(token="mine")).stale == ()  # noqa: S106
    record = read(folder, Step(token="other", exit_code=1, command="dbt run"))  # noqa: S106
    assert record.stale == ("run_results.json",)
    assert record.run_results is None
    assert "run_results.json is not this step's: it carries another step's token" in record.warnings


def test_a_file_from_before_the_step_began_is_stale(tmp_path: Path) -> None:
    folder = write_step(tmp_path, manifest=GRAPH, run_results=RESULTS)
    began = datetime(2026, 3, 2, 6, tzinfo=UTC)
    assert read(folder, started_after=began).stale == ()
    assert set(read(folder, started_after=began + timedelta(seconds=1)).stale) == {"run_results.json"}
    assert set(read(folder, started_after=began + timedelta(minutes=6)).stale) == {"run_results.json", "manifest.json"}


def test_results_that_another_command_wrote_are_stale(tmp_path: Path) -> None:
    folder = write_step(tmp_path, manifest=GRAPH, run_results=RESULTS)
    assert read(folder, Step(command="dbt run --select a")).stale == ()
    assert read(folder, Step(command="dbt test", exit_code=2)).stale == ("run_results.json",)
    assert read(folder, Step(command="dbt source freshness", exit_code=1)).stale == ("run_results.json",)
    # a retry is recorded as what it repeats
    assert read(folder, Step(command="dbt retry")).stale == ()


def test_results_older_than_a_manifest_of_another_invocation_are_stale(tmp_path: Path) -> None:
    newer = manifest(node("model.shop.a"), invocation_id="next", generated_at=LATER)
    record = read(write_step(tmp_path, manifest=newer, run_results=RESULTS), Step(command="dbt run", exit_code=2))
    assert record.stale == ("run_results.json",)
    assert record.metadata.invocation_id == "next"


def test_an_older_manifest_explains_newer_results_and_that_is_said(tmp_path: Path) -> None:
    older = manifest(node("model.shop.a"), invocation_id="before", generated_at="2026-03-01T06:00:00Z")
    record = read(write_step(tmp_path, manifest=older, run_results=RESULTS))
    assert (record.stale, record.manifest is not None) == ((), True)
    (warning,) = record.warnings
    assert warning.startswith("manifest.json is of invocation before, the results of ")


def test_of_results_and_freshness_of_two_invocations_the_manifests_own_is_the_step(tmp_path: Path) -> None:
    document = sources(
        freshness("source.shop.raw.orders"), invocation_id="earlier", generated_at="2026-03-02T05:00:00Z"
    )
    record = read(write_step(tmp_path, manifest=GRAPH, run_results=RESULTS, sources=document))
    assert (record.sources, record.stale, record.used) == (
        None,
        ("sources.json",),
        ("run_results.json", "manifest.json"),
    )


def test_without_a_manifest_the_later_of_two_invocations_is_the_step(tmp_path: Path) -> None:
    document = sources(freshness("source.shop.raw.orders"), invocation_id="later", generated_at=LATER)
    record = read(write_step(tmp_path, run_results=RESULTS, sources=document))
    assert (record.run_results, record.stale) == (None, ("run_results.json",))


def test_results_that_are_missing_though_the_step_ended_well_are_warned_of(tmp_path: Path) -> None:
    record = read(write_step(tmp_path, manifest=GRAPH), Step(command="dbt run", exit_code=0))
    (warning,) = record.warnings
    assert warning.startswith("run_results.json is missing: ")
    assert read(write_step(tmp_path, manifest=GRAPH), Step(command="dbt parse", exit_code=0)).warnings == ()


def test_a_tree_spells_where_in_airflow_each_step_ran(tmp_path: Path) -> None:
    leaf = tmp_path / "greenery_daily" / "scheduled__2026-03-02T06:00:00+00:00" / "dbt.run" / "-1" / "2"
    write_step(leaf, run_results=RESULTS)
    write_step(leaf.with_name("1"), run_results=RESULTS)
    assert find_steps(tmp_path) == [leaf.with_name("1"), leaf]
    row = load(leaf).invocation
    assert (row.dag_id, row.dag_run_id, row.task_id, row.map_index, row.try_number, row.run_type) == (
        "greenery_daily",
        "scheduled__2026-03-02T06:00:00+00:00",
        "dbt.run",
        -1,
        2,
        "scheduled",
    )


def test_a_folder_whose_target_holds_the_artifacts_is_one_step(tmp_path: Path) -> None:
    write_step(tmp_path / "target", run_results=RESULTS)
    assert find_steps(tmp_path) == [tmp_path / "target"]


def test_what_is_given_goes_before_observe_json_and_that_before_dbts_environment(tmp_path: Path) -> None:
    document = run_results(result("model.shop.a"), env={"AIRFLOW_DAG_ID": "env", "AIRFLOW_TASK_ID": "env"})
    folder = write_step(tmp_path, run_results=document)
    write_observed(Step(dag_id="observed", exit_code=1, will_retry=True), folder / "observe.json")
    row = load(folder, Step(exit_code=0)).invocation
    assert (row.dag_id, row.task_id, row.exit_code, row.will_retry) == ("observed", "env", 0, True)


def test_a_damaged_observe_json_is_told(tmp_path: Path) -> None:
    folder = write_step(tmp_path, run_results=RESULTS)
    (folder / "observe.json").write_text("{")
    with pytest.raises(UnreadableArtifact, match=r"observe\.json cannot be read"):
        load(folder)


def test_a_step_that_was_seen_to_start_and_never_to_end_was_interrupted(tmp_path: Path) -> None:
    write_observed(Step(command="dbt run", started_at=datetime(2026, 3, 2, 6, tzinfo=UTC)), tmp_path / "observe.json")
    row = load(tmp_path).invocation
    assert (row.outcome, row.evidence, row.started_at) == (
        "interrupted",
        "not_run",
        datetime(2026, 3, 2, 6, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("selection", "exit_code", "missing"),
    [
        ("", 1, ["raw.orders", "raw.users"]),
        ("", 0, []),  # dbt ends with 0 only where every check came to its end
        ("--select source:raw.users", 1, ["raw.users"]),
        ("--select source:raw --exclude source:raw.users", 1, ["raw.orders"]),
        ("--select source:shop.raw.orders+ tag:nightly", 1, ["raw.orders", "raw.users"]),
        ("--select tag:nightly,source:raw", 1, ["raw.users"]),
        ("--select 'source:raw.o*'", 1, ["raw.orders"]),
        ("--select config.meta.owner:me", 1, []),  # more than we evaluate: said in a warning
        ("--selector nightly", 1, []),
    ],
)
def test_selected_sources_with_criteria_that_dbt_left_out_are_runtime_errors(
    selection: str, exit_code: int, missing: list[str], tmp_path: Path
) -> None:
    criteria = {"warn_after": {"count": 1, "period": "day"}, "error_after": {"count": None, "period": None}}
    graph = manifest(
        node("source.shop.raw.orders", source_name="raw", freshness=criteria),
        node("source.shop.raw.users", source_name="raw", freshness=criteria, tags=["nightly"]),
        node("source.shop.raw.promos", source_name="raw"),
    )
    folder = write_step(tmp_path, manifest=graph, sources=sources())
    made = load(folder, Step(command=f"dbt source freshness {selection}", exit_code=exit_code))
    names = [row.unique_id.removeprefix("source.shop.") for row in made.source_freshness]
    assert (names, {row.status for row in made.source_freshness}) == (missing, {"runtime error"} if missing else set())
    assert bool(made.invocation.warnings) == (not missing and exit_code == 1)


def test_results_of_the_prereleases_of_dbt_0_19_read_though_they_hold_whole_nodes(tmp_path: Path) -> None:
    old: dict[str, Any] = {"node": {"unique_id": "model.shop.a"}, "status": None, "error": "it broke", "timing": []}
    (row,) = load(write_step(tmp_path, run_results=run_results(old, version=1))).run_results
    assert (row.unique_id, row.status, row.message) == ("model.shop.a", "error", "it broke")


def test_the_start_is_the_results_own_and_not_the_manifests_which_partial_parsing_leaves_stale(tmp_path: Path) -> None:
    graph = manifest(node("model.shop.a"), invocation_started_at="2026-01-01T00:00:00Z", env={"A": "old"})
    row = load(write_step(tmp_path, manifest=graph, run_results=RESULTS)).invocation
    assert (row.started_at, row.env) == (datetime(2026, 3, 2, 6, tzinfo=UTC), None)
    assert row.completed_at == datetime.fromisoformat(GENERATED)


def test_an_invocation_without_an_id_gets_the_same_one_each_time(tmp_path: Path) -> None:
    step = Step(command="dbt run", exit_code=2, dag_id="d", dag_run_id="r", task_id="t", try_number=1)
    first, second = (load(write_step(tmp_path / name), step).invocation for name in "ab")
    assert first.invocation_id == second.invocation_id
    assert json.loads(first.row_counts) == {}
