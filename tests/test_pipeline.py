"""From folders to rows: what is loaded, what is refused, and that one fault is no other step's."""

import os
import resource
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from factories import INVOCATION, STARTED, freshness, manifest, node, result, run_results, sources, write_step
from recorded import unpack

from observability.artifacts.folder import open_folders
from observability.artifacts.step import Step
from observability.audit.views import WINNERS
from observability.config import Settings, load_settings
from observability.errors import ConfigError, StoreError
from observability.pipeline.ingestion import IngestReport, LoadStatus, ingest
from observability.stores.duckdb import DuckDBStore

MODEL = "model.shop.a"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(store=f"duckdb:///{tmp_path}/audit.duckdb")


def rows(settings: Settings, columns: str, view: str = "invocations") -> list[dict[str, Any]]:
    store = DuckDBStore(settings.store.removeprefix("duckdb:///"))
    found: list[dict[str, Any]] = store.query(f"SELECT {columns} FROM {{main}}.{view} AS f ORDER BY 1").to_pylist()
    return found


def step(folder: Path, invocation_id: str = INVOCATION, status: str = "success") -> Path:
    return write_step(
        folder,
        manifest=manifest(node(MODEL), invocation_id=invocation_id),
        run_results=run_results(result(MODEL, status), invocation_id=invocation_id),
    )


def statuses(report: IngestReport) -> list[str]:
    return [load.status.value for load in report.loads]


@pytest.mark.parametrize("name", ["manifest.json", "run_results.json"])
def test_a_damaged_step_loads_nothing_and_the_steps_beside_it_load(
    name: str, settings: Settings, tmp_path: Path
) -> None:
    before, damaged, after = (step(tmp_path / str(number), f"i{number}") for number in range(3))
    (damaged / name).write_text((damaged / name).read_text()[:-40])
    report = ingest([before, damaged, after], settings)
    assert [(load.status, load.invocation_id) for load in report.loads] == [("loaded", "i0"), ("loaded", "i2")]
    (error,) = report.errors
    assert error.where.startswith(f"{damaged}/{name} (")
    assert rows(settings, "f.invocation_id") == [{"invocation_id": "i0"}, {"invocation_id": "i2"}]
    assert rows(settings, "f.invocation_id", "run_results") == [{"invocation_id": "i0"}, {"invocation_id": "i2"}]
    # and when it is whole again, it loads
    step(damaged, "i1")
    assert statuses(ingest([before, damaged, after], settings)) == ["unchanged", "loaded", "unchanged"]


def test_one_folder_given_twice_is_loaded_once(settings: Settings, tmp_path: Path) -> None:
    folder = step(tmp_path / "step")
    report = ingest([folder, str(folder), *open_folders([folder])], settings)
    assert statuses(report) == ["loaded", "unchanged", "unchanged"]
    assert len({load.load_id for load in report.loads}) == 1


def test_a_tree_is_loaded_step_by_step_with_its_place_in_airflow(settings: Settings, tmp_path: Path) -> None:
    for task, map_index, try_number in (("run", -1, 1), ("run", -1, 2), ("test", 0, 1)):
        step(tmp_path / "tree" / "daily" / "r1" / task / str(map_index) / str(try_number), f"{task}{try_number}")
    told: list[tuple[int, int]] = []
    report = ingest([tmp_path / "tree"], settings, progress=lambda done, total, _: told.append((done, total)))
    assert statuses(report) == ["loaded"] * 3
    assert told == [(0, 3), (1, 3), (2, 3)]
    found = rows(settings, "f.invocation_id, f.dag_id, f.dag_run_id, f.task_id, f.map_index, f.try_number")
    assert [tuple(row.values()) for row in found] == [
        ("run1", "daily", "r1", "run", -1, 1),
        ("run2", "daily", "r1", "run", -1, 2),
        ("test1", "daily", "r1", "test", 0, 1),
    ]


@pytest.mark.parametrize("given", [Step(exit_code=1), Step(command="dbt run")])
def test_what_tells_of_one_step_is_refused_for_several_and_nothing_is_loaded(
    given: Step, settings: Settings, tmp_path: Path
) -> None:
    folders = [step(tmp_path / "a"), step(tmp_path / "b", "other")]
    with pytest.raises(ConfigError, match="an exit code or a command tells of one step, and there are 2") as caught:
        ingest(folders, settings, step=given)
    assert caught.value.where == f"{tmp_path}/a, {tmp_path}/b"
    assert not (tmp_path / "audit.duckdb").exists()


def test_an_empty_folder_is_told_and_stores_nothing(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (load,) = ingest([tmp_path / "empty"], settings).loads
    assert (load.status, load.invocation_id, load.rows) == (LoadStatus.EMPTY, None, {})
    assert len(load.warnings) == 1
    assert not (tmp_path / "audit.duckdb").exists()


def test_stale_files_store_nothing_unless_it_is_said_that_a_step_ended(settings: Settings, tmp_path: Path) -> None:
    folder = write_step(tmp_path / "step", run_results=run_results(result(MODEL)))
    after = datetime(2026, 3, 2, 7, tzinfo=UTC)
    (load,) = ingest([folder], settings, started_after=after).loads
    assert (load.status, load.invocation_id, load.rows) == (LoadStatus.STALE, None, {})
    assert load.warnings == (f"run_results.json is not this step's: dbt began it at {STARTED}, before this step",)
    assert not (tmp_path / "audit.duckdb").exists()
    (load,) = ingest([folder], settings, step=Step(command="dbt run", exit_code=2), started_after=after).loads
    assert (load.status, load.outcome, load.rows["run_results"]) == (LoadStatus.LOADED, "not_run", 0)
    assert load.invocation_id != INVOCATION
    (row,) = rows(settings, "f.files, f.warnings")
    assert [(file["name"], file["used"]) for file in row["files"]] == [("run_results.json", False)]
    assert row["warnings"] == list(load.warnings)


def test_a_load_that_must_not_alert_and_one_that_will_be_retried_say_so(settings: Settings, tmp_path: Path) -> None:
    ingest([step(tmp_path / "a", "a")], settings, alertable=False)
    ingest([step(tmp_path / "b", "b")], settings, step=Step(will_retry=True))
    assert rows(settings, "f.invocation_id, f.alertable, f.will_retry") == [
        {"invocation_id": "a", "alertable": False, "will_retry": False},
        {"invocation_id": "b", "alertable": True, "will_retry": True},
    ]


def test_the_schema_judges_verdict_is_in_the_row_and_keeps_nothing_out(tmp_path: Path) -> None:
    store = f"duckdb:///{tmp_path}/audit.duckdb"
    real = unpack("build_ok", tmp_path)
    ingest([real.folder], load_settings(store=store))
    small = {"storage": {"conformance_manifest_max_bytes": 10}}
    other = step(tmp_path / "unjudged", "unjudged")
    ingest([other], load_settings(store=store, **small))
    extra = write_step(
        tmp_path / "extra", run_results=run_results(result(MODEL, novelty=1, nothing=2), invocation_id="extra")
    )
    ingest([extra], load_settings(store=store))
    found = {
        row["invocation_id"]: (row["conforms"], row["conformance_error"])
        for row in rows(load_settings(store=store), "f.invocation_id, f.conforms, f.conformance_error")
    }
    assert found.pop("extra") == (
        False,
        "run_results.json: 2 deviations of 2 kinds; first: results.0.novelty: Extra inputs are not permitted",
    )
    conforms, reason = found.pop("unjudged")
    assert (conforms, "manifest.json: " in (reason or "")) == (None, True)
    assert list(found.values()) == [(True, None)]


def test_two_steps_of_one_project_state_store_its_nodes_once(settings: Settings, tmp_path: Path) -> None:
    first, second = ingest([step(tmp_path / "a", "a"), step(tmp_path / "b", "b")], settings).loads
    assert (first.rows["nodes"], second.rows["nodes"]) == (1, 0)
    assert len(rows(settings, "f.unique_id", "nodes")) == 1
    ids = rows(settings, "f.manifest_id")
    assert ids[0] == ids[1]


def test_freshness_is_loaded_with_its_sources(settings: Settings, tmp_path: Path) -> None:
    folder = write_step(tmp_path / "s", sources=sources(freshness("source.shop.raw.orders", "warn")))
    (load,) = ingest([folder], settings).loads
    assert (load.command, load.outcome, load.rows) == (
        "source freshness",
        "warning",
        {"invocations": 1, "nodes": 0, "exposure_ancestors": 0, "run_results": 0, "source_freshness": 1},
    )


def test_a_store_that_cannot_be_used_ends_the_ingest(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError):
        ingest(
            [step(tmp_path / "a"), step(tmp_path / "b", "other")],
            load_settings(store=f"duckdb:///{tmp_path}/file/audit.duckdb"),
        )


def test_of_many_steps_few_files_are_open_at_once(settings: Settings, tmp_path: Path) -> None:
    folders = [step(tmp_path / f"s{number}", f"invocation-{number}") for number in range(150)]
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + 200, hard))
    try:
        report = ingest(folders, settings)
        again = ingest(folders, settings)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))
    assert statuses(report) == ["loaded"] * 150
    assert statuses(again) == ["unchanged"] * 150


def test_a_folder_whose_name_is_no_unicode_is_loaded(settings: Settings, tmp_path: Path) -> None:
    folder = step(Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")))
    assert statuses(ingest([folder], settings)) == ["loaded"]
    (row,) = rows(settings, "f.files")
    assert [Path(file["uri"]).name for file in row["files"]] == ["manifest.json", "run_results.json"]


def test_every_view_is_there_from_the_first_load_on(settings: Settings, tmp_path: Path) -> None:
    ingest([write_step(tmp_path / "s", run_results=run_results(result(MODEL)))], settings)
    assert {name: len(rows(settings, "f.load_id", name)) for name in WINNERS} == {
        "invocations": 1,
        "nodes": 0,
        "exposure_ancestors": 0,
        "run_results": 1,
        "source_freshness": 0,
    }
