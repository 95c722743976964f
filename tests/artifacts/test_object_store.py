"""Attempts in an object store: they go up whole and once, and come down as they were. On memory:// and file://."""

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import pytest
from factories import manifest, node, result, run_results, write_step

from observability.artifacts.bucket import is_uri
from observability.artifacts.object_store import StoredStep, fetched, list_steps, upload
from observability.artifacts.step import Step
from observability.artifacts.step import write_step as write_observed
from observability.artifacts.targets import find_targets, portions
from observability.config import Settings
from observability.errors import ConfigError, ObjectStoreError, ObserveError
from observability.pipeline.ingestion import ingest

upath = pytest.importorskip("upath", reason="needs universal-pathlib: make test installs it")

RUN_ID = "scheduled__2026-03-02T06:00:00+00:00"


@pytest.fixture(params=["memory", "file"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A prefix that nobody else writes to."""
    return f"memory://bucket-{uuid4().hex}" if request.param == "memory" else f"file://{tmp_path}/store"


def attempt(folder: Path, invocation_id: str = "i1", *, hour: int = 6, ended: bool = True, **linkage: Any) -> Path:
    """A step as `run` leaves it."""
    at = f"2026-03-02T{hour:02}:00:00Z"
    stamp: dict[str, Any] = {
        "invocation_id": invocation_id,
        "invocation_started_at": at,
        "generated_at": at.replace(":00Z", ":09Z"),
    }
    graph = manifest(node("model.shop.a"), **stamp)
    write_step(folder, manifest=graph, run_results=run_results(result("model.shop.a"), **stamp))
    (folder / "dbt.log").write_text("{}\n")
    (folder / "partial_parse.msgpack").write_text("not for others")
    if ended:
        started = datetime(2026, 3, 2, hour, tzinfo=UTC)
        write_observed(Step(command="dbt run", exit_code=0, started_at=started, **linkage), folder / "observe.json")
    return folder


def contents(root: str) -> dict[str, bytes]:
    place = upath.UPath(root)
    return {key.removeprefix(place.path).lstrip("/"): place.fs.cat_file(key) for key in place.fs.find(place.path)}


def loaded(tmp_path: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(tmp_path / "audit.duckdb"), read_only=True) as connection:
        return connection.sql(
            "SELECT invocation_id, dag_id, dag_run_id, task_id, try_number, outcome FROM invocations ORDER BY ALL"
        ).fetchall()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(store=f"duckdb:///{tmp_path}/audit.duckdb", spool_dir=tmp_path / "spool")


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("gs://b/x", True),
        ("memory://x", True),
        ("s3+x://b", True),
        ("target", False),
        ("/a/b", False),
        ("c://", False),
        ("./gs://b", False),
        (Path("gs://b"), False),
    ],
)
def test_what_a_uri_is(text: object, uri: bool) -> None:
    assert is_uri(text) is uri


def test_an_attempt_goes_up_without_what_nobody_reads_and_observe_json_last(root: str, tmp_path: Path) -> None:
    folder = attempt(tmp_path / "a")
    done = upload(folder, f"{root}/x/")
    names = ["manifest.json", "run_results.json", "dbt.log", "observe.json"]
    assert (done.uri, done.warnings) == (f"{root}/x", ())
    assert list(done.files) == [f"{root}/x/{name}" for name in names]
    assert contents(root) == {f"x/{name}": (folder / name).read_bytes() for name in names}


def test_an_attempt_never_goes_over_another(root: str, tmp_path: Path) -> None:
    first = upload(attempt(tmp_path / "a", "i1"), f"{root}/x")
    second = upload(attempt(tmp_path / "b", "i2"), f"{root}/x")
    assert first.uri == f"{root}/x"
    assert second.uri.startswith(f"{root}/x-")
    documents = {
        json.loads(body)["metadata"]["invocation_id"] for name, body in contents(root).items() if "results" in name
    }
    assert documents == {"i1", "i2"}


def test_an_attempt_that_left_nothing_but_the_record_of_its_end_goes_up(root: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    write_observed(Step(command="dbt run", exit_code=127), tmp_path / "a" / "observe.json")
    assert upload(tmp_path / "a", f"{root}/x").files == (f"{root}/x/observe.json",)


def test_what_came_down_is_what_went_up_and_keeps_its_uri(root: str, settings: Settings, tmp_path: Path) -> None:
    folder = attempt(tmp_path / "a", dag_id="daily", dag_run_id=RUN_ID, task_id="run", try_number=1)
    upload(folder, f"{root}/daily/{RUN_ID}/run/-1/1")
    report = ingest([root], settings)
    assert [(load.status, load.folder, load.warnings) for load in report.loads] == [
        ("loaded", f"{root}/daily/{RUN_ID}/run/-1/1", ())
    ]
    assert report.errors == ()
    with duckdb.connect(str(tmp_path / "audit.duckdb"), read_only=True) as connection:
        files = connection.sql("SELECT unnest(files, recursive := true) FROM invocations").fetchall()
    assert {file[1] for file in files} == {
        f"{root}/daily/{RUN_ID}/run/-1/1/{name}" for name in ("manifest.json", "run_results.json")
    }
    # the same files are the same step, wherever they lie
    # (one by one: of a file in memory://, two readers at once get in each other's way)
    for place in (root, folder, f"{root}/daily/"):
        assert [load.status for load in ingest([place], settings).loads] == ["unchanged"]
    assert loaded(tmp_path) == [("i1", "daily", RUN_ID, "run", 1, "success")]


@pytest.mark.parametrize("run_id", [RUN_ID, RUN_ID.replace(":", "%3A").replace("+", "%2B")])
def test_every_layout_is_read_without_observe_json(run_id: str, root: str, settings: Settings, tmp_path: Path) -> None:
    places = {
        "ours": f"daily/{run_id}/run/-1/2",
        "cosmos": f"daily/{run_id}/orders.stg_orders.run/2/target",
        "logs": f"dag_id=daily/run_id={run_id}/task_id=test/attempt=2",
        "plain": "shop/target",
    }
    for name, place in places.items():
        upload(attempt(tmp_path / name, name, ended=False), f"{root}/{place}")
    upload(attempt(tmp_path / "compiled", "no", ended=False), f"{root}/{places['cosmos']}/compiled/target")
    report = ingest([root], settings)
    assert report.errors == ()
    assert loaded(tmp_path) == [
        ("cosmos", "daily", RUN_ID, "orders.stg_orders.run", 2, "success"),
        ("logs", "daily", RUN_ID, "test", 2, "success"),
        ("ours", "daily", RUN_ID, "run", 2, "success"),
        ("plain", None, None, None, None, "success"),
    ]


def test_what_is_of_several_places_is_loaded_in_the_order_of_time(
    root: str, settings: Settings, tmp_path: Path
) -> None:
    upload(attempt(tmp_path / "x", "third", hour=8), f"{root}/a")
    upload(attempt(tmp_path / "y", "first", hour=3, ended=False), f"{root}/b")
    tree = tmp_path / "tree"
    attempt(tree / "a", "fourth", hour=9)
    attempt(tree / "b", "second", hour=5, ended=False)
    told: list[tuple[int, int, str]] = []
    report = ingest([tree, root], settings, progress=lambda done, total, place: told.append((done, total, place.name)))
    assert [load.invocation_id for load in report.loads] == ["first", "second", "third", "fourth"]
    assert told == [(0, 4, "b"), (1, 4, "b"), (2, 4, "a"), (3, 4, "a")]


def test_a_history_comes_down_in_portions(root: str, tmp_path: Path) -> None:
    for number in range(3):
        upload(attempt(tmp_path / str(number), f"i{number}"), f"{root}/{number}")
    found, errors = find_targets([root])
    assert errors == []
    many = [*found] * 50
    assert [len(portion) for portion in portions(many)] == [64, 64, 22]
    large = [
        replace(step, files={**step.files, "manifest.json": replace(step.files["manifest.json"], size=400_000_000)})
        for step in found
        if isinstance(step, StoredStep)
    ]
    assert [len(portion) for portion in portions(large)] == [1, 1, 1]


def test_a_log_comes_down_only_where_it_counts(root: str, tmp_path: Path) -> None:
    whole = attempt(tmp_path / "whole")
    killed = attempt(tmp_path / "killed", ended=False)
    write_observed(Step(command="dbt run", exit_code=-9), killed / "observe.json")
    for folder in (whole, killed):
        upload(folder, f"{root}/{folder.name}")
    steps = list_steps(root)
    with fetched(steps) as folders:
        there = {
            folder.uri: (folder.path / "dbt.log").is_file()
            for folder in folders
            if not isinstance(folder, ObserveError)
        }
    assert there == {f"{root}/killed": True, f"{root}/whole": False}
    with fetched(steps, Step(exit_code=2)) as folders:
        assert all((folder.path / "dbt.log").is_file() for folder in folders if not isinstance(folder, ObserveError))
        path = next(folder.path for folder in folders if not isinstance(folder, ObserveError))
    assert not path.exists()


def test_an_object_that_goes_away_between_listing_and_reading_is_that_steps_error(
    root: str, settings: Settings, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        upload(attempt(tmp_path / name, name), f"{root}/{name}")
    steps = list_steps(root)
    gone = steps[0].files["run_results.json"]
    steps[0].fs.rm_file(gone.key)
    report = ingest(steps, settings)
    assert [load.invocation_id for load in report.loads] == ["b"]
    (error,) = report.errors
    assert error.what == "run_results.json cannot be fetched: it was there when its folder was listed, and is gone"
    assert (error.where, bool(error.next_step)) == (gone.uri, True)


def test_damaged_files_are_told_by_their_uris(root: str, settings: Settings, tmp_path: Path) -> None:
    for name, file in (("a", "run_results.json"), ("b", "observe.json")):
        folder = attempt(tmp_path / name, name)
        (folder / file).write_text('{"metadata": ')
        upload(folder, f"{root}/{name}")
    report = ingest([root], settings)
    assert report.loads == ()
    assert sorted(error.where.split(" ")[0] for error in report.errors) == [
        f"{root}/a/run_results.json",
        f"{root}/b/observe.json",
    ]


def test_names_of_objects_lead_nowhere_on_this_machine(settings: Settings, tmp_path: Path) -> None:
    fs = upath.UPath("memory://x").fs
    root = f"/hostile-{uuid4().hex}"
    body = (attempt(tmp_path / "a") / "run_results.json").read_bytes()
    for name in ("a b/%2e%2e/\n", "..\\..", "täsk/-1/1", "'; drop"):
        fs.pipe_file(f"{root}/{name}/run_results.json", body)
    report = ingest([f"memory:/{root}"], settings)
    assert (len(report.loads), report.errors) == (4, ())


def test_a_step_without_an_id_keeps_the_one_that_its_uri_gives_it(settings: Settings, tmp_path: Path) -> None:
    root = f"memory://bucket-{uuid4().hex}"
    (tmp_path / "a").mkdir()
    at = datetime(2026, 3, 2, tzinfo=UTC)
    write_observed(Step(command="dbt run", exit_code=2, started_at=at), tmp_path / "a" / "observe.json")
    upload(tmp_path / "a", f"{root}/a")
    first = ingest([root], settings).loads[0]
    second = ingest([root], Settings(store=f"duckdb:///{tmp_path}/other.duckdb")).loads[0]
    assert (first.outcome, first.invocation_id) == ("not_run", second.invocation_id)


def test_a_prefix_where_nothing_lies_is_empty(settings: Settings) -> None:
    (load,) = ingest([f"memory://bucket-{uuid4().hex}/nothing"], settings).loads
    assert load.status == "empty"


def test_a_upath_is_as_good_as_its_uri(root: str, tmp_path: Path) -> None:
    done = upload(attempt(tmp_path / "a"), upath.UPath(root) / "x")
    assert done.uri == f"{root}/x"
    assert [step.uri for step in find_targets([upath.UPath(root)])[0] if isinstance(step, StoredStep)] == [f"{root}/x"]


@pytest.mark.parametrize(
    ("uri", "what", "next_step"),
    [
        ("gs://", "gs:// names no bucket", "write gs://bucket/prefix"),
        ("gs:///x", "gs:///x names no bucket", "write gs://bucket/prefix"),
        (
            "gs://google_cloud_default@b/x",
            "the bucket is named with a connection, which only Airflow knows",
            "write gs://b/x",
        ),
        ("nonsense://b/x", "nonsense://b/x is no URI of an object store: ", "write gs://bucket/prefix, "),
        ("abfs://b/x", "a package for abfs:// is missing: ", "pip install 'dbt-observability[gcs]'; for other stores"),
    ],
)
def test_what_is_no_place_is_told_and_the_others_are_loaded(
    uri: str, what: str, next_step: str, settings: Settings, tmp_path: Path
) -> None:
    report = ingest([uri, attempt(tmp_path / "a")], settings)
    assert [load.status for load in report.loads] == ["loaded"]
    (error,) = report.errors
    assert isinstance(error, ConfigError)
    assert error.what.startswith(what)
    assert error.where == uri
    assert error.next_step.startswith(next_step)
    with pytest.raises(ConfigError, match=r".+"):
        upload(tmp_path / "a", uri)


class FaultyStore:
    """A filesystem that fails at what it is told to."""

    protocol, path = "faulty", "bucket/x"

    def __init__(self, faults: dict[str, Exception]) -> None:
        self.faults = faults
        self.put: list[str] = []

    @property
    def fs(self) -> "FaultyStore":
        return self

    def invalidate_cache(self) -> None:
        pass

    def ls(self, _key: str, **_options: Any) -> list[str]:
        self._ask("ls")
        return []

    def find(self, _key: str, **_options: Any) -> dict[str, Any]:
        self._ask("find")
        return {}

    def put_file(self, _source: str, key: str, **_options: Any) -> None:
        self._ask(key.rsplit("/", 1)[-1])
        self.put.append(key)

    def _ask(self, name: str) -> None:
        fault = self.faults.get(name)
        if fault:
            raise fault


class HttpError(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(f"answered, {code}")
        self.code = code


class DefaultCredentialsError(Exception):
    pass


@pytest.mark.parametrize(
    ("fault", "said", "then"),
    [
        (FileNotFoundError("b/bucket/o"), "there is no such bucket", "check its name"),
        (PermissionError("no"), "this account may not (no)", "grant it roles/storage.objectUser"),
        (OSError("Forbidden: https://x\ncaller lacks it"), "this account may not (Forbidden", "grant it"),
        (HttpError(401), "this account may not", "grant it"),
        (HttpError(503), "it does not answer", "check the network"),
        (TimeoutError(), "it does not answer", "check the network"),
        (DefaultCredentialsError("none"), "there are no credentials (none)", "run as a service account"),
        (RuntimeError("odd\nthing"), "RuntimeError: odd thing", "see the message"),
    ],
)
def test_a_store_that_takes_nothing_is_told_and_no_half_attempt_passes_for_a_whole_one(
    fault: Exception, said: str, then: str, tmp_path: Path
) -> None:
    store = FaultyStore({"run_results.json": fault})
    with pytest.raises(ObjectStoreError) as caught:
        upload(attempt(tmp_path / "a"), store)
    assert caught.value.what.startswith(f"run_results.json could not be uploaded: {said}")
    assert caught.value.where == "faulty://bucket/x/run_results.json"
    assert caught.value.next_step.startswith(then)
    assert "bucket/x/observe.json" not in store.put
    with pytest.raises(ObjectStoreError) as caught:
        list_steps(FaultyStore({"find": fault, "ls": fault}))
    assert said in caught.value.what


def test_a_store_out_of_reach_is_told_before_anything_is_uploaded(tmp_path: Path) -> None:
    store = FaultyStore({"ls": TimeoutError()})
    with pytest.raises(ObjectStoreError, match="nothing was uploaded: it does not answer"):
        upload(attempt(tmp_path / "a"), store)
    assert store.put == []


def test_whoever_may_write_and_not_list_uploads(tmp_path: Path) -> None:
    assert len(upload(attempt(tmp_path / "a"), FaultyStore({"ls": PermissionError()})).files) == 4


def test_an_event_log_that_cannot_be_uploaded_is_a_warning(tmp_path: Path) -> None:
    done = upload(attempt(tmp_path / "a"), FaultyStore({"dbt.log": TimeoutError()}))
    assert [uri.rpartition("/")[2] for uri in done.files] == ["manifest.json", "run_results.json", "observe.json"]
    (warning,) = done.warnings
    assert warning.startswith("dbt's event log is missing there: dbt.log could not be uploaded: it does not answer")


@pytest.mark.parametrize("name", ["manifest.json", "observe.json"])
def test_an_upload_that_another_was_a_moment_before_goes_beside_it(name: str, tmp_path: Path) -> None:
    class Raced(FaultyStore):
        def put_file(self, _source: str, key: str, **options: Any) -> None:
            if key == f"bucket/x/{name}":
                assert options == {"mode": "create"}
                raise FileExistsError(key)
            super().put_file(_source, key)

    done = upload(attempt(tmp_path / "a"), Raced({}))
    assert done.uri.startswith("faulty://bucket/x-")
    assert len(done.files) == 4


@pytest.fixture
def without_upath(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "upath", None)


@pytest.mark.usefixtures("without_upath")
def test_without_the_package_the_extra_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        upload(attempt(tmp_path / "a"), "gs://b/x")
    assert caught.value.next_step == "pip install 'dbt-observability[gcs]'"
