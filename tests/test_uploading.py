"""`dbt-observe run --artifacts-to`: what goes up, where, and what stays here."""

import os
import signal
import sys
from pathlib import Path

import pytest

from observability.artifacts.step import read_step
from observability.pipeline.running import Afterwards, run

pytest.importorskip("upath", reason="needs universal-pathlib: make test installs it")

TASK = {
    "AIRFLOW_CTX_DAG_ID": "daily",
    "AIRFLOW_CTX_DAG_RUN_ID": "manual__2026-03-02T06:00:00+00:00",
    "AIRFLOW_CTX_TASK_ID": "dbt.run",
}
UPLOAD_ONLY = Afterwards(load=False)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith(("DBT_", "AIRFLOW_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def dbt(code: int) -> list[str]:
    return [sys.executable, "-c", f"raise SystemExit({code})"]


def places(here: Path) -> list[str]:
    return sorted(str(path.parent.relative_to(here / "bucket")) for path in here.glob("bucket/**/observe.json"))


@pytest.mark.parametrize("to", ["file://{}/bucket", "file://{}/bucket/", "{}/bucket", "bucket"])
def test_an_attempt_of_a_task_has_its_place_wherever_the_root_is(
    to: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variables in ({}, {"AIRFLOW_CTX_MAP_INDEX": "3"}):
        for name, value in (TASK | variables | {"AIRFLOW_CTX_TRY_NUMBER": "2"}).items():
            monkeypatch.setenv(name, value)
        code, messages = run(dbt(1), overrides={"artifacts_to": to.format(here)}, afterwards=UPLOAD_ONLY)
        assert (code, len(messages)) == (1, 1)
        assert messages[0].startswith("1 files uploaded to ")
    root = "daily/manual__2026-03-02T06:00:00+00:00/dbt.run"
    assert places(here) == [f"{root}/-1/2", f"{root}/3/2"]
    assert read_step(here / "bucket" / root / "3" / "2" / "observe.json").exit_code == 1


def test_an_attempt_whose_try_is_not_known_has_a_place_that_nobody_else_has(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in TASK.items():
        monkeypatch.setenv(name, value)
    for _ in range(2):
        run(dbt(0), overrides={"artifacts_to": "bucket"}, afterwards=UPLOAD_ONLY)
    assert len(places(here)) == 2
    assert all(place.startswith("20") and "/" not in place for place in places(here))


def test_what_was_to_be_uploaded_only_may_go_when_it_is(here: Path) -> None:
    run(dbt(0), overrides={"artifacts_to": "bucket", "artifacts_kept": 0}, afterwards=UPLOAD_ONLY)
    assert len(places(here)) == 1
    kept = here / ".dbt_observe" / "artifacts"
    assert list(kept.iterdir()) == []
    assert not (here / ".dbt_observe" / "audit.duckdb").exists()
    (here / "file").write_text("in the way")
    code, messages = run(dbt(0), overrides={"artifacts_to": "file/bucket", "artifacts_kept": 0}, afterwards=UPLOAD_ONLY)
    (folder,) = kept.iterdir()
    assert code == 0
    assert messages[0].startswith("observe.json could not be uploaded: ")
    assert messages[0].endswith(f"kept:  {folder.absolute()}, on this machine only")


def test_what_is_neither_uploaded_nor_loaded_is_kept_and_said(here: Path) -> None:
    code, messages = run(dbt(0), overrides={}, afterwards=UPLOAD_ONLY)
    (folder,) = (here / ".dbt_observe" / "artifacts").iterdir()
    assert (code, messages) == (0, [f"not loaded, as asked\n  kept:  {folder.absolute()}"])


def test_a_wrong_setting_keeps_nothing_from_being_uploaded(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBT_OBSERVE_STOER", "typo")
    monkeypatch.setenv("DBT_OBSERVE_ARTIFACTS_TO", "bucket")
    code, messages = run(dbt(2), overrides={})
    assert code == 2
    assert messages[0].startswith("dbt runs, and is not loaded: ")
    assert messages[1].startswith("1 files uploaded to ")
    assert len(places(here)) == 1


def test_a_command_that_cannot_be_started_leaves_its_record_there(here: Path) -> None:
    code, messages = run(["no-such-dbt"], overrides={"artifacts_to": "bucket"}, afterwards=UPLOAD_ONLY)
    assert (code, "no-such-dbt was not found" in messages[0]) == (127, True)
    assert read_step(here / "bucket" / places(here)[0] / "observe.json").exit_code == 127


def test_sigterm_means_again_what_it_meant_before() -> None:
    before = signal.getsignal(signal.SIGTERM)
    run(dbt(0), overrides={"artifacts_to": "bucket"}, afterwards=UPLOAD_ONLY)
    assert signal.getsignal(signal.SIGTERM) == before
