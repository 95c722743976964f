"""What a path says of the attempt whose files lie there, and in which order attempts ran."""

import gzip
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from factories import result, run_results, write_step
from recorded import CASES, FIXTURES

from observability.artifacts.folder import Folder, find_steps
from observability.artifacts.layouts import attempt_path, linkage_of
from observability.artifacts.object_store import group
from observability.artifacts.order import HEAD_BYTES, WITNESSES, began_at, folder_began_at
from observability.artifacts.step import Step
from observability.artifacts.step import write_step as write_observed

RUN_ID = "scheduled__2026-03-02T06:00:00+00:00"
MAPPED = Step(dag_id="daily", dag_run_id=RUN_ID, task_id="dbt.run", map_index=3, try_number=2)
PLAIN = Step(dag_id="daily", dag_run_id=RUN_ID, task_id="dbt.run", map_index=-1, try_number=2)
COSMOS = Step(dag_id="daily", dag_run_id=RUN_ID, task_id="orders.stg_orders.run", try_number=2)


@pytest.mark.parametrize("run_id", [RUN_ID, quote(RUN_ID), quote(RUN_ID, safe="+"), RUN_ID.replace(":", "%3a")])
@pytest.mark.parametrize(
    ("path", "step"),
    [
        ("daily/{}/dbt.run/3/2", MAPPED),
        ("daily/{}/dbt.run/-1/2", PLAIN),
        ("daily/{}/dbt.run/3/2/target", MAPPED),
        ("daily/{}/orders.stg_orders.run/2/target", COSMOS),
        ("daily/{}/orders.stg_orders.run/2", COSMOS),
        ("dag_id=daily/run_id={}/task_id=dbt.run/map_index=3/attempt=2", MAPPED),
        ("dag_id=daily/run_id={}/task_id=orders.stg_orders.run/attempt=2/target", COSMOS),
    ],
)
def test_each_layout_spells_the_attempt_however_its_run_id_is_encoded(path: str, step: Step, run_id: str) -> None:
    for root in ("gs://bucket/some/prefix", "gs://bucket", "/data/a"):
        assert linkage_of(f"{root}/{path.format(run_id)}".split("/")) == step


@pytest.mark.parametrize(
    "path",
    [
        "gs://bucket",
        "gs://bucket/daily/target",
        "/home/me/shop/2/target",
        "/home/me/projects/shop/target",
        "gs://bucket/2026-03-02/target",
        "gs://bucket/daily/2026-03-02/run/latest",
        "gs://bucket/dag_id=daily/1",
        "gs://bucket/dag_id=/run_id=/task_id=/attempt=1",
    ],
)
def test_a_path_that_is_no_layouts_says_nothing(path: str) -> None:
    assert linkage_of(path.split("/")) == Step()


def test_a_run_id_of_ones_own_is_read_in_our_layout_and_not_guessed_in_cosmos() -> None:
    assert linkage_of(["gs:", "", "b", "daily", "nightly-42", "run", "-1", "1"]).dag_run_id == "nightly-42"
    assert linkage_of(["gs:", "", "b", "daily", "nightly-42", "run", "1", "target"]) == Step()


@pytest.mark.parametrize(
    ("step", "path"),
    [
        (MAPPED, f"daily/{RUN_ID}/dbt.run/3/2"),
        (Step(dag_id="daily", dag_run_id=RUN_ID, task_id="run", try_number=1), f"daily/{RUN_ID}/run/-1/1"),
        (Step(dag_id="d", dag_run_id="a/../%2F", task_id="..", try_number=1), "d/a%2F..%2F%252F/%2E%2E/-1/1"),
        (Step(dag_id="daily", dag_run_id=RUN_ID, task_id="run"), None),
        (Step(dag_id="daily", try_number=1), None),
        (Step(), None),
    ],
)
def test_an_attempts_path_leads_nowhere_else_and_is_read_back(step: Step, path: str | None) -> None:
    assert attempt_path(step) == path
    if path:
        read = linkage_of(["gs:", "", "bucket", *path.split("/")])
        assert (read.dag_id, read.dag_run_id, read.task_id, read.try_number) == (
            step.dag_id,
            step.dag_run_id,
            step.task_id,
            step.try_number,
        )


def test_objects_are_grouped_as_folders_are(tmp_path: Path) -> None:
    """One tree, twice: as a folder of this machine's, and as the listing of its files."""
    trees = [
        "d/r/t/-1/1/run_results.json",
        "d/r/t/-1/1/observe.json",
        "d/r/t/-1/1/logs/dbt.log",
        "d/r/t/-1/1/state/manifest.json",
        "d/r/c/1/target/manifest.json",
        "d/r/c/1/target/compiled/manifest.json",
        "d/r/c/1/logs/dbt.log",
        "d/r/k/-1/1/dbt.log",
        "alone/logs/dbt.log",
        "alone/catalog.json",
        "target/sources.json",
        "readme.md",
    ]
    for path in trees:
        (tmp_path / "tree" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / path).write_text("{}")
    (tmp_path / "tree" / "target").rename(tmp_path / "tree" / "shop")
    trees = ["shop/sources.json" if path == "target/sources.json" else path for path in trees]
    grouped = group(trees)
    assert sorted(grouped) == [str(path.relative_to(tmp_path / "tree")) for path in find_steps(tmp_path / "tree")]
    assert grouped["d/r/t/-1/1"] == {
        "run_results.json": "d/r/t/-1/1/run_results.json",
        "observe.json": "d/r/t/-1/1/observe.json",
        "dbt.log": "d/r/t/-1/1/logs/dbt.log",
    }
    assert grouped["d/r/c/1/target"] == {"manifest.json": "d/r/c/1/target/manifest.json"}
    assert group(["manifest.json", "a/b/manifest.json"]) == {"": {"manifest.json": "manifest.json"}}
    assert group(["target/manifest.json", "logs/dbt.log"]) == {"target": {"manifest.json": "target/manifest.json"}}
    assert group([]) == {}


@pytest.mark.parametrize("case", CASES)
def test_a_few_bytes_of_real_files_tell_when_a_step_began(case: str) -> None:
    def read_head(name: str) -> bytes:
        packed = FIXTURES / case / f"{name}.gz"
        return gzip.decompress(packed.read_bytes())[:HEAD_BYTES] if packed.is_file() else b""

    if any(read_head(name) for name in WITNESSES):
        moment = began_at(read_head)
        assert moment is not None
        assert moment.year >= 2024


def test_observe_json_is_the_best_witness_and_the_folders_own_time_the_last(tmp_path: Path) -> None:
    folder = write_step(tmp_path / "a", run_results=run_results(result("model.shop.a")))
    assert folder_began_at(Folder(folder)) == datetime(2026, 3, 2, 6, tzinfo=UTC)
    write_observed(Step(started_at=datetime(2026, 3, 1, 5, tzinfo=UTC)), folder / "observe.json")
    assert folder_began_at(Folder(folder)) == datetime(2026, 3, 1, 5, tzinfo=UTC)
    (folder / "observe.json").write_text("{")
    assert folder_began_at(Folder(folder)) == datetime(2026, 3, 2, 6, tzinfo=UTC)
    (folder / "run_results.json").write_bytes(b'"generated_at": "\xff\xfe once upon a time"')
    assert abs(folder_began_at(Folder(folder)).timestamp() - folder.stat().st_mtime) < 1e-3
    assert folder_began_at(Folder(tmp_path / "nowhere")).year == 9999
