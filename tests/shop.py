"""A small shop whose dbt steps are loaded one after another: source → a → b → c → dashboard, with tests on a and c."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from factories import manifest, node, result, run_results, sources, write_step

from observability.alerts.incidents import Incident
from observability.artifacts.step import Step
from observability.artifacts.step import write_step as write_observed
from observability.config import Settings
from observability.pipeline.ingestion import ingest
from observability.pipeline.questions import current_status

MORNING = datetime(2026, 3, 2, 6, tzinfo=UTC)
A, B, C = "model.shop.stg_a", "model.shop.int_b", "model.shop.fct_c"
TEST_A, TEST_A2, TEST_C = "test.shop.unique_a.1", "test.shop.not_null_a.2", "test.shop.positive_c.3"
ORDERS = "source.shop.raw.orders"
CRITERIA = {"warn_after": {"count": 12, "period": "hour"}, "error_after": {"count": 2, "period": "day"}}
BINDER = 'Runtime Error in model stg_a (models/stg_a.sql)\n  Binder Error: column "x" not found\n  LINE 1: select x'


def shop(*left_out: str, **config: Any) -> dict[str, Any]:
    """Source → a → b → c → dashboard, with tests on a and c."""
    observe = {"meta": {"observe": {"severity": "critical"}}} if config.pop("critical", False) else {}
    nodes = [
        node(ORDERS, source_name="raw", freshness=CRITERIA),
        node(A, [ORDERS], config={"meta": {"observe": {"owner": "Data", "runbook": "https://run.book/a"}}}),
        node(B, [A]),
        node(C, [B]),
        node(TEST_A, [A], attached_node=A, column_name="id", test_metadata={"name": "unique"}),
        node(TEST_A2, [A], attached_node=A, column_name="id", test_metadata={"name": "not_null"}),
        node(TEST_C, [C], attached_node=C),
        node(
            "exposure.shop.board", [C], label="Board", owner={"name": "Ann"}, url="https://board", type="x", **observe
        ),
        node("exposure.shop.raw_view", [A], owner={"email": "ben@shop"}, type="x"),
    ]
    return manifest(*(one for one in nodes if one["unique_id"] not in left_out))


@dataclass
class Shop:
    """An audit store that dbt steps are loaded into, one after another."""

    folder: Path
    settings: Settings
    minutes: int = 0

    def step(
        self,
        command: str,
        *results: dict[str, Any],
        dag_run: str | None = None,
        graph: dict[str, Any] | None = None,
        **given: Any,
    ) -> None:
        """Load the next step, five minutes after the last one."""
        self.minutes += 5
        at = MORNING + timedelta(minutes=self.minutes)
        stamp: dict[str, Any] = {
            "invocation_id": f"00000000-0000-4000-8000-{self.minutes:012}",
            "invocation_started_at": at.isoformat(),
            "generated_at": (at + timedelta(minutes=1)).isoformat(),
        }
        document = graph or shop()
        document["metadata"] |= stamp
        args = given.pop("args", {})
        artifacts = {"manifest": document}
        if command == "source freshness":
            artifacts["sources"] = sources(*results, **stamp)
        elif not given.pop("nothing", False):
            for one in results:
                one["timing"] = [{"name": "execute", "started_at": at.isoformat(), "completed_at": at.isoformat()}]
            artifacts["run_results"] = run_results(*results, command=command, args=args, **stamp)
        folder = write_step(self.folder / f"step{self.minutes}", **artifacts)
        alertable = given.pop("alertable", True)
        if "log" in given:
            lines = [_event(one, stamp["invocation_id"], at) for one in given.pop("log")]
            (folder / "dbt.log").write_text("\n".join(lines), encoding="utf-8")
        linkage: dict[str, Any] = {"dag_id": "daily", "dag_run_id": dag_run, "task_id": command} if dag_run else {}
        write_observed(Step(command=f"dbt {command}", **(linkage | given)), folder / "observe.json")
        report = ingest([folder], self.settings, alertable=alertable)
        assert [load.status for load in report.loads] == ["loaded"]

    def incidents(self, after: timedelta = timedelta()) -> list[Incident]:
        """What is open some time after the last step."""
        now = MORNING + timedelta(minutes=self.minutes + 2) + after
        return list(current_status(self.settings, now).incidents)


def _event(said: dict[str, Any], invocation_id: str, at: datetime) -> str:
    """A line of dbt's JSON log."""
    info = {"invocation_id": invocation_id, "level": "debug", "msg": "", "ts": at.isoformat(), "name": said["name"]}
    return json.dumps({"info": info | said.get("info", {}), "data": said.get("data", {})})


def began(unique_id: str) -> dict[str, Any]:
    """What dbt logs when it starts a node."""
    return {"name": "NodeStart", "data": {"node_info": {"unique_id": unique_id, "resource_type": "model"}}}


def finished(unique_id: str, status: str = "success", **run_result: Any) -> dict[str, Any]:
    """What dbt logs when a node is done."""
    info = {"unique_id": unique_id, "resource_type": "model"}
    return {"name": "NodeFinished", "data": {"node_info": info, "run_result": {"status": status, **run_result}}}


def gave_up(reason: str) -> dict[str, Any]:
    """What dbt logs when it ends before it runs a node."""
    return {"name": "MainEncounteredError", "info": {"level": "error"}, "data": {"exc": reason}}


def passed(*unique_ids: str) -> list[dict[str, Any]]:
    return [result(unique_id, "pass" if unique_id.startswith("test") else "success") for unique_id in unique_ids]


def failed_run(told: Shop, dag_run: str | None = None) -> None:
    told.step(
        "run",
        result(A, "error", message=BINDER),
        result(B, "skipped", message=""),
        result(C, "skipped"),
        dag_run=dag_run,
        exit_code=1,
    )
