"""What is wrong now, told from what was stored: stories of a shop, loaded step by step."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from factories import freshness, manifest, node, result, run_results, sources, write_step

from observability.alerts.exposures import Risk
from observability.alerts.incidents import Incident, Kind, Severity, exposures_at_risk
from observability.alerts.message import build_message, duration, error_line
from observability.artifacts.step import Step
from observability.config import Settings, load_settings
from observability.pipeline import current_messages, current_status, ingest

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
        linkage: dict[str, Any] = {"dag_id": "daily", "dag_run_id": dag_run, "task_id": command} if dag_run else {}
        step = Step(command=f"dbt {command}", **linkage, **given)
        report = ingest([folder], self.settings, step=step, alertable=alertable)
        assert [load.status for load in report.loads] == ["loaded"]

    def incidents(self, after: timedelta = timedelta()) -> list[Incident]:
        """What is open some time after the last step."""
        now = MORNING + timedelta(minutes=self.minutes + 2) + after
        return list(current_status(self.settings, now).incidents)


@pytest.fixture
def told(tmp_path: Path) -> Shop:
    return Shop(tmp_path, load_settings(store=f"duckdb:///{tmp_path}/audit.duckdb"))


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


def test_all_is_well(told: Shop) -> None:
    told.step("run", *passed(A, B, C))
    assert told.incidents() == []


def test_a_failed_model_is_one_incident_with_all_that_it_blocks_and_hurts(told: Shop) -> None:
    told.step("run", *passed(A, B, C))
    failed_run(told)
    (incident,) = told.incidents()
    assert (incident.kind, incident.severity, incident.subject) == (Kind.NODE_ERROR, Severity.ERROR, A)
    assert (incident.blocked, incident.folded) == ((C, B), ())
    assert [(one.name, one.distance, one.risk) for one in incident.exposures] == [
        ("raw_view", 1, Risk.STALE),
        ("Board", 3, Risk.STALE),
    ]
    assert (incident.since, incident.last_good_at) == (
        MORNING + timedelta(minutes=10),
        MORNING + timedelta(minutes=5),
    )
    message = build_message(incident, MORNING + timedelta(minutes=75))
    assert (message.headline, message.lines) == (
        "model stg_a failed in shop / default",
        (
            ("Hurts", "2 exposures: raw_view (stale, ben@shop), Board (stale, Ann)"),
            ("Why", 'Binder Error: column "x" not found'),
            ("File", "models/stg_a.sql"),
            ("Blocks", "2 skipped and not rebuilt: fct_c, int_b"),
            ("Since", "2026-03-02 06:10 UTC (1 h 5 min ago), first time seen, last well 2026-03-02 06:05, dbt run"),
            ("Owner", "Data"),
            ("Runbook", "https://run.book/a"),
            ("Next", "dbt build --select stg_a+"),
        ),
    )


def test_tests_that_fail_on_a_model_that_errored_earlier_in_the_pipeline_run_belong_to_it(told: Shop) -> None:
    failed_run(told, dag_run="scheduled__1")
    told.step("test", result(TEST_A, "error"), result(TEST_C, "error"), dag_run="scheduled__1", exit_code=1)
    (incident,) = told.incidents()
    assert (incident.subject, incident.folded) == (A, (TEST_C, TEST_A))


def test_failures_of_different_pipeline_runs_are_not_folded(told: Shop) -> None:
    failed_run(told, dag_run="scheduled__1")
    told.step("test", result(TEST_C, "fail", failures=3), dag_run="scheduled__2", exit_code=1)
    assert {incident.subject for incident in told.incidents()} == {A, C}


def test_several_tests_that_fail_on_one_model_are_one_incident(told: Shop) -> None:
    told.step("test", result(TEST_A, "fail", failures=1), result(TEST_A2, "fail", failures=1204), exit_code=1)
    (incident,) = told.incidents()
    assert (incident.kind, incident.subject, len(incident.failures)) == (Kind.TEST_FAILURE, A, 2)
    assert {one.risk for one in incident.exposures} == {Risk.SUSPECT}
    message = build_message(incident, MORNING + timedelta(hours=1))
    assert message.headline == "2 tests fail on stg_a in shop / default"
    assert ("Why", "1,204 rows broke not_null of id; 1 row broke unique of id") in message.lines


def test_a_failed_test_that_stops_the_build_leaves_what_is_below_stale(told: Shop) -> None:
    told.step(
        "build", *passed(A), result(TEST_A, "fail", failures=2), result(B, "skipped"), result(C, "skipped"), exit_code=1
    )
    (incident,) = told.incidents()
    assert incident.blocked == (C, B)
    assert {one.name: one.risk for one in incident.exposures} == {"raw_view": Risk.SUSPECT, "Board": Risk.STALE}


def test_an_exposure_that_was_skipped_is_hurt_and_not_blocked(told: Shop) -> None:
    board = "exposure.shop.board"
    told.step("build", *passed(A, B, C), result(TEST_C, "fail", failures=1), result(board, "skipped"), exit_code=1)
    (incident,) = told.incidents()
    assert (incident.blocked, [(one.name, one.risk) for one in incident.exposures]) == ((), [("Board", Risk.STALE)])


def test_what_to_run_again_for_a_test_of_a_source_selects_the_source(told: Shop) -> None:
    test = "test.shop.unique_orders.4"
    graph = manifest(node(ORDERS, source_name="raw"), node(test, [ORDERS], attached_node=ORDERS))
    told.step("test", result(test, "fail", failures=1), graph=graph, exit_code=1)
    (incident,) = told.incidents()
    assert ("Next", "dbt build --select source:raw.orders+") in build_message(incident, MORNING).lines


def test_a_stale_source_stands_by_itself(told: Shop) -> None:
    told.step("source freshness", freshness(ORDERS, "warn", max_loaded_at_time_ago_in_s=46_800.0), dag_run="r")
    failed_run(told, dag_run="r")
    broken, stale = told.incidents()
    assert (broken.subject, stale.subject) == (A, ORDERS)
    assert (stale.kind, stale.severity, stale.age_seconds) == (Kind.SOURCE_STALE, Severity.WARNING, 46_800.0)
    message = build_message(stale, MORNING + timedelta(hours=1))
    assert message.headline == "source raw.orders is 13 h old in shop / default"


def test_what_hurts_a_critical_exposure_is_critical_and_comes_first(told: Shop) -> None:
    told.step("test", result(TEST_A, "warn", failures=1), result(TEST_C, "fail", failures=1), graph=shop(critical=True))
    first, second = told.incidents()
    assert (first.subject, first.severity, second.severity) == (C, Severity.CRITICAL, Severity.WARNING)
    (at_risk,) = exposures_at_risk([first, second])
    assert (at_risk[0].name, at_risk[0].critical, [one.subject for one in at_risk[1]]) == ("Board", True, [C])


def test_a_node_that_ran_and_passed_is_well_again_and_what_it_blocked_is_not_yet(told: Shop) -> None:
    failed_run(told)
    told.step("run", *passed(A))
    assert told.incidents() == []
    told.step("run", *passed(A, B, C))
    assert told.incidents() == []


@pytest.mark.parametrize(
    "later",
    [
        {"command": "run --select int_b", "nodes": (B,)},
        {"command": "run --empty", "nodes": (A, B, C), "args": {"empty": True}},
        {"command": "compile", "nodes": (A, B, C)},
    ],
)
def test_a_run_that_did_not_really_build_the_node_says_nothing_of_it(later: dict[str, Any], told: Shop) -> None:
    failed_run(told)
    told.step(later["command"], *passed(*later["nodes"]), args=later.get("args", {}))
    assert [incident.subject for incident in told.incidents()] == [A]


def test_a_node_that_a_later_manifest_lacks_is_withdrawn(told: Shop) -> None:
    told.step("test", result(TEST_C, "fail", failures=1), exit_code=1)
    told.step("run", *passed(A, B, C), graph=shop(TEST_C))
    assert told.incidents() == []


def test_a_failure_that_the_orchestrator_will_retry_is_told_only_if_no_retry_comes_for_an_hour(told: Shop) -> None:
    told.step("run", result(A, "error"), dag_run="r", exit_code=1, will_retry=True, try_number=1)
    assert told.incidents() == []
    assert [incident.subject for incident in told.incidents(after=timedelta(minutes=61))] == [A]
    told.step("run", *passed(A), dag_run="r", try_number=2)
    assert told.incidents(after=timedelta(minutes=61)) == []


def test_a_step_that_never_started_is_told_with_dbts_own_words(told: Shop) -> None:
    told.step("run", nothing=True, exit_code=2)
    (incident,) = told.incidents()
    assert (incident.kind, incident.name) == (Kind.RUN_FAILED, "dbt run")
    assert build_message(incident, MORNING).headline == "dbt run ended before it ran a node in shop / default"


def test_a_killed_step_is_told_and_over_when_it_runs_again(told: Shop) -> None:
    told.step("run", nothing=True, exit_code=-9)
    assert [incident.kind for incident in told.incidents()] == [Kind.RUN_INTERRUPTED]
    told.step("run", *passed(A, B, C))
    assert told.incidents() == []


def test_what_only_a_backfill_saw_is_shown_and_not_told(told: Shop) -> None:
    told.step("test", result(TEST_A, "fail", failures=1), exit_code=1, alertable=False)
    now = MORNING + timedelta(hours=1)
    assert [incident.alertable for incident in told.incidents()] == [False]
    assert current_messages(told.settings, now) == []
    told.step("test", result(TEST_A, "fail", failures=1), exit_code=1)
    assert [message.subject for message in current_messages(told.settings, now)] == [A]


def test_no_name_is_cut_silently(told: Shop) -> None:
    many = [f"model.shop.m{i:02}" for i in range(12)]
    graph = manifest(node(A), *(node(one, [A]) for one in many))
    told.step("run", result(A, "error", message="x" * 500), *(result(one, "skipped") for one in many), graph=graph)
    (incident,) = told.incidents()
    lines = dict(build_message(incident, MORNING + timedelta(hours=1)).lines)
    assert lines["Blocks"] == "12 skipped and not rebuilt: m00, m01, m02, m03, m04 and 7 more"
    assert lines["Why"].endswith("… (301 more characters)")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59.9, "59 s"), (61, "1 min 1 s"), (12_000, "3 h 20 min"), (187_200, "2 d 4 h"), (None, "0 s")],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds: float | None, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (BINDER, 'Binder Error: column "x" not found'),
        ("Compilation Error", "Compilation Error"),
        ("Got 3 results, configured to fail if != 0", "Got 3 results, configured to fail if != 0"),
        (None, ""),
        ("\n \n", ""),
    ],
)
def test_the_line_that_says_what_is_wrong_is_found(message: str | None, line: str) -> None:
    assert error_line(message) == line
