"""dbt's JSON event log: several invocations, half lines, cancelled queries, and text that is none."""

import json
from pathlib import Path
from typing import Any

from observability.artifacts.event_log import read_event_log


def event(name: str, invocation: str = "i", level: str = "debug", **data: Any) -> str:
    info = {
        "name": name,
        "invocation_id": invocation,
        "level": level,
        "msg": f"{name} said",
        "ts": "2026-03-02T06:00:00Z",
    }
    return json.dumps({"info": info | {"extra": {"OBSERVE_TOKEN": f"t-{invocation}"}}, "data": data})


def about(unique_id: str, **more: Any) -> dict[str, Any]:
    return {"node_info": {"unique_id": unique_id, "resource_type": unique_id.partition(".")[0]}, **more}


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_what_began_and_never_finished_is_interrupted(tmp_path: Path) -> None:
    finished = about("model.shop.a", run_result={"status": "success", "execution_time": 1.5, "num_failures": 0})
    (log,) = read_event_log(
        write(
            tmp_path / "dbt.log",
            event("NodeStart", **about("model.shop.a")),
            event("NodeFinished", **finished),
            event("NodeStart", **about("model.shop.b")),
            event("NodeFinished", **about("model.shop.b"))[:90],
        )
    )
    assert [(one.unique_id, one.status, one.failures) for one in log.results.values()] == [
        ("model.shop.a", "success", None)
    ]
    assert [one.unique_id for one in log.interrupted] == ["model.shop.b"]
    assert (log.success, log.token) == (None, "t-i")


def test_each_invocation_of_a_log_is_told_apart(tmp_path: Path) -> None:
    logs = read_event_log(
        write(
            tmp_path / "dbt.log",
            event("NodeStart", "one", **about("model.shop.a")),
            event("CommandCompleted", "one", success=True),
            event("NodeStart", "two", **about("model.shop.b")),
        )
    )
    assert [(log.invocation_id, log.success, len(log.started)) for log in logs] == [("one", True, 1), ("two", None, 1)]


def test_a_query_that_was_cancelled_was_interrupted_and_did_not_fail(tmp_path: Path) -> None:
    (log,) = read_event_log(
        write(
            tmp_path / "dbt.log",
            event("NodeStart", **about("model.shop.a")),
            event("LogCancelLine", level="error", conn_name="model.shop.a"),
            event("NodeFinished", **about("model.shop.a", run_result={"status": "error", "message": "INTERRUPT"})),
            event("MainEncounteredError", level="error", exc=""),
        )
    )
    assert ([one.unique_id for one in log.interrupted], log.results, log.error) == (["model.shop.a"], {}, None)


def test_the_error_that_is_no_nodes_own_is_kept(tmp_path: Path) -> None:
    (log,) = read_event_log(
        write(
            tmp_path / "dbt.log",
            event("LogModelResult", level="error"),
            event("MainEncounteredError", level="error", exc="Env var required but not provided: 'X'"),
            event("MainStackTrace", level="error"),
        )
    )
    assert log.error == "Env var required but not provided: 'X'"


def test_a_log_in_text_and_an_empty_one_tell_nothing(tmp_path: Path) -> None:
    assert read_event_log(write(tmp_path / "a.log", "06:00:00  Running with dbt=1.11.16", '"name": "NodeStart"')) == []
    assert read_event_log(write(tmp_path / "b.log")) == []
