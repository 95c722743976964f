"""What is wrong now, told from what was stored: stories of a shop, loaded step by step."""

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from factories import freshness, manifest, node, result
from shop import (
    BINDER,
    MORNING,
    ORDERS,
    TEST_A,
    TEST_A2,
    TEST_C,
    A,
    B,
    C,
    Shop,
    began,
    failed_run,
    finished,
    gave_up,
    passed,
    shop,
)

from observability.alerts.exposures import Risk
from observability.alerts.incidents import Kind, Severity, exposures_at_risk
from observability.alerts.message import build_message, duration, error_line
from observability.config import load_settings
from observability.pipeline.alerting import rehearse
from observability.pipeline.ingestion import ingest


@pytest.fixture
def told(tmp_path: Path) -> Shop:
    return Shop(tmp_path, load_settings(store=f"duckdb:///{tmp_path}/audit.duckdb"))


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
    message = build_message(incident, now=MORNING + timedelta(minutes=75))
    assert (message.headline, message.lines) == (
        "model stg_a failed in shop / default",
        (
            ("Hurts", "2 exposures: raw_view (stale, ben@shop), Board (stale, Ann)"),
            ("Why", 'Binder Error: column "x" not found'),
            ("File", "models/stg_a.sql"),
            ("Blocks", "2 skipped and not rebuilt: fct_c, int_b"),
            ("Since", "2026-03-02 06:10 UTC (1 h 5 min ago), first time seen, last well 2026-03-02 06:05, dbt run"),
            ("Owner", "Data"),
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
    message = build_message(incident, now=MORNING + timedelta(hours=1))
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
    assert ("Next", "dbt build --select source:raw.orders+") in build_message(incident, now=MORNING).lines


def test_a_stale_source_stands_by_itself(told: Shop) -> None:
    told.step("source freshness", freshness(ORDERS, "warn", max_loaded_at_time_ago_in_s=46_800.0), dag_run="r")
    failed_run(told, dag_run="r")
    broken, stale = told.incidents()
    assert (broken.subject, stale.subject) == (A, ORDERS)
    assert (stale.kind, stale.severity, stale.age_seconds) == (Kind.SOURCE_STALE, Severity.WARNING, 46_800.0)
    message = build_message(stale, now=MORNING + timedelta(hours=1))
    assert message.headline == "source raw.orders is 13 h old in shop / default"


def test_what_hurts_a_critical_exposure_is_critical_and_comes_first(told: Shop) -> None:
    told.step("test", result(TEST_A, "warn", failures=1), result(TEST_C, "fail", failures=1), graph=shop(critical=True))
    first, second = told.incidents()
    assert (first.subject, first.severity, second.severity) == (C, Severity.CRITICAL, Severity.WARNING)
    (at_risk,) = exposures_at_risk([first, second])
    assert (at_risk[0].name, at_risk[0].critical, [one.subject for one in at_risk[1]]) == ("Board", True, [C])


def test_exposures_are_named_whenever_their_lineage_was_first_stored(told: Shop) -> None:
    told.step("run", *passed(A, B, C))
    told.minutes += 40 * 24 * 60
    failed_run(told)
    (incident,) = told.incidents()
    assert [one.name for one in incident.exposures] == ["raw_view", "Board"]


def test_a_node_that_ran_and_passed_is_fixed_and_over_when_what_it_blocked_is_rebuilt(told: Shop) -> None:
    failed_run(told)
    told.step("run", *passed(A))
    (incident,) = told.incidents()
    assert (incident.subject, incident.fixed, incident.blocked) == (A, True, (C, B))
    assert [one.name for one in incident.exposures] == ["Board"]
    assert rehearse(told.settings, lambda: MORNING + timedelta(hours=1)) == []
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
    assert build_message(incident, now=MORNING).headline == "dbt run ended before it ran a node in shop / default"


def test_a_killed_step_is_told_and_over_when_it_runs_again(told: Shop) -> None:
    told.step("run", nothing=True, exit_code=-9)
    assert [incident.kind for incident in told.incidents()] == [Kind.RUN_INTERRUPTED]
    told.step("run", *passed(A, B, C))
    assert told.incidents() == []


def test_what_only_a_backfill_saw_is_shown_and_not_told(told: Shop) -> None:
    told.step("test", result(TEST_A, "fail", failures=1), exit_code=1, alertable=False)
    assert [incident.alertable for incident in told.incidents()] == [False]
    assert rehearse(told.settings, lambda: MORNING + timedelta(hours=1)) == []
    told.step("test", result(TEST_A, "fail", failures=1), exit_code=1)
    (message,) = rehearse(told.settings, lambda: MORNING + timedelta(hours=1))
    assert message.payload.text == "🟠 error: test unique fails on stg_a in shop / default"


def test_no_name_is_cut_silently(told: Shop) -> None:
    many = [f"model.shop.m{i:02}" for i in range(12)]
    graph = manifest(node(A), *(node(one, [A]) for one in many))
    told.step("run", result(A, "error", message="x" * 500), *(result(one, "skipped") for one in many), graph=graph)
    (incident,) = told.incidents()
    lines = dict(build_message(incident, now=MORNING + timedelta(hours=1)).lines)
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


def test_a_killed_step_that_the_orchestrator_will_retry_is_told_only_if_no_retry_comes_for_an_hour(told: Shop) -> None:
    told.step("run", nothing=True, dag_run="r", exit_code=-9, will_retry=True, try_number=1)
    assert told.incidents() == []
    assert [incident.kind for incident in told.incidents(after=timedelta(minutes=61))] == [Kind.RUN_INTERRUPTED]
    told.step("run", *passed(A, B, C), dag_run="r", try_number=2, exit_code=0)
    assert told.incidents(after=timedelta(minutes=61)) == []


def test_the_last_try_is_told_at_once(told: Shop) -> None:
    told.step("run", result(A, "error"), dag_run="r", exit_code=1, will_retry=True, try_number=1)
    told.step("run", result(A, "error"), dag_run="r", exit_code=1, try_number=2)
    (incident,) = told.incidents()
    assert (incident.subject, incident.bad_runs) == (A, 1)  # the superseded try is not counted


@pytest.mark.parametrize(
    ("command", "results", "exit_code", "told_as"),
    [
        ("run", (A, B, C), 2, "dbt run failed outside its nodes in shop / default"),
        ("compile", (), 1, "dbt compile failed outside its nodes in shop / default"),
        ("test", (), 2, "dbt test ended before it ran a node in shop / default"),
    ],
)
def test_a_step_that_failed_though_no_node_of_it_did_is_told(
    command: str, results: tuple[str, ...], exit_code: int, told_as: str, told: Shop
) -> None:
    told.step(command, *passed(*results), nothing=not results, exit_code=exit_code)
    (incident,) = told.incidents()
    assert (incident.kind, incident.subject) == (Kind.RUN_FAILED, f"dbt {command}")
    message = build_message(incident, now=MORNING + timedelta(hours=1))
    assert (message.headline, dict(message.lines)["Why"]) == (told_as, f"dbt ended with exit code {exit_code}")
    told.step(command, *passed(*results), nothing=not results, exit_code=0)
    assert told.incidents() == []


def test_a_step_whose_nodes_failed_is_told_by_them_alone_and_over_when_they_are_well(told: Shop) -> None:
    failed_run(told)
    assert [incident.subject for incident in told.incidents()] == [A]
    told.step("build", *passed(A, B, C), exit_code=0)
    assert told.incidents() == []


def test_a_step_that_ends_badly_again_and_again_is_one_incident_since_the_first_time(told: Shop) -> None:
    told.step("run", *passed(A, B, C), exit_code=0)
    for _ in range(3):
        told.step("run", nothing=True, exit_code=2)
    (incident,) = told.incidents()
    assert (incident.bad_runs, incident.since, incident.last_good_at) == (
        3,
        MORNING + timedelta(minutes=10),
        MORNING + timedelta(minutes=5),
    )


def test_one_index_of_a_mapped_task_does_not_speak_for_another(told: Shop) -> None:
    told.step("run", nothing=True, dag_run="r", exit_code=-9, map_index=0)
    told.step("run", *passed(A, B, C), dag_run="r", exit_code=0, map_index=1)
    assert [(incident.subject, incident.name) for incident in told.incidents()] == [("daily.run[0]", "run[0]")]


def test_an_interrupted_step_names_the_nodes_that_it_was_at_and_what_they_hurt(told: Shop) -> None:
    told.step("run", nothing=True, exit_code=-9, log=[began(A), finished(A), began(B)])
    (incident,) = told.incidents()
    assert (incident.kind, incident.blocked) == (Kind.RUN_INTERRUPTED, (B,))
    assert [(one.name, one.distance) for one in incident.exposures] == [("Board", 2)]
    assert ("Why", "dbt was killed by signal 9; it was at int_b") in build_message(incident, now=MORNING).lines
    told.step("run", *passed(A, B, C), exit_code=0)
    assert told.incidents() == []


def test_a_node_that_was_interrupted_stays_told_until_it_is_built_though_other_runs_end_well(told: Shop) -> None:
    told.step("run", nothing=True, exit_code=-9, log=[began(B)])
    told.step("run", *passed(A), exit_code=0)
    (incident,) = told.incidents()
    assert (incident.kind, incident.fixed, incident.blocked) == (Kind.RUN_INTERRUPTED, True, (B,))
    assert [(one.name, one.distance) for one in incident.exposures] == [("Board", 2)]
    told.step("run", *passed(B), exit_code=0)
    assert told.incidents() == []


def test_a_step_that_never_ran_a_node_gives_the_reason_that_dbt_logged(told: Shop) -> None:
    told.step("run", nothing=True, exit_code=2, log=[gave_up("Env var required but not provided: 'WAREHOUSE'")])
    (incident,) = told.incidents()
    assert ("Why", "Env var required but not provided: 'WAREHOUSE'") in build_message(incident, now=MORNING).lines


def test_pipelines_whose_runs_have_the_same_id_are_not_folded_into_one_another(told: Shop) -> None:
    """Airflow's run ids are unique within a DAG: all that run at six have the same."""
    failed_run(told, dag_run="scheduled__6")
    told.step("test", result(TEST_C, "fail", failures=3), dag_run="scheduled__6", dag_id="hourly", exit_code=1)
    assert {incident.subject for incident in told.incidents()} == {A, C}


def test_environments_are_told_apart_and_well_one_by_one(told: Shop) -> None:
    for environment in ("prod", "qa"):
        told.step("test", result(TEST_C, "fail", failures=1), exit_code=1, environment=environment)
    found = told.incidents()
    assert [(one.environment, one.subject) for one in found] == [("prod", C), ("qa", C)]
    assert [(one.name, hurting) for one, hurting in exposures_at_risk(found)] == [
        ("Board", [found[0]]),
        ("Board", [found[1]]),
    ]
    told.step("test", *passed(TEST_C), exit_code=0, environment="qa")
    assert [one.environment for one in told.incidents()] == ["prod"]


def test_a_version_of_a_model_is_named_with_its_version(told: Shop) -> None:
    second = "model.shop.dim.v2"
    graph = manifest(node("model.shop.dim.v1"), node(second), node("model.shop.below", [second]))
    told.step(
        "run",
        *passed("model.shop.dim.v1"),
        result(second, "error", message="no"),
        result("model.shop.below", "skipped"),
        graph=graph,
        exit_code=1,
    )
    (incident,) = told.incidents()
    message = build_message(incident, now=MORNING)
    assert message.headline == "model dim.v2 failed in shop / default"
    assert ("Next", "dbt build --select dim.v2+") in message.lines


def test_for_a_hook_that_failed_the_command_is_what_to_run_again(told: Shop) -> None:
    told.step("run", *passed(A), result("operation.shop.shop-on-run-end-0", "error", message="no"), exit_code=1)
    (incident,) = told.incidents()
    message = build_message(incident, now=MORNING)
    assert message.headline == "operation shop-on-run-end-0 failed in shop / default"
    assert ("Next", "dbt run") in message.lines


def test_an_exposure_is_at_risk_once_with_its_nearest_cause_and_stale_where_any_stopped_it(told: Shop) -> None:
    told.step("run", *passed(A), result(B, "error", message="no"), result(C, "skipped"), exit_code=1)
    told.step("test", result(TEST_C, "fail", failures=1), exit_code=1)
    found = exposures_at_risk(told.incidents())
    assert [(one.name, one.distance, one.risk, [cause.subject for cause in causes]) for one, causes in found] == [
        ("Board", 1, Risk.STALE, [B, C])
    ]


def test_a_stale_source_puts_exposures_at_risk_and_a_warning_test_does_not(told: Shop) -> None:
    told.step("test", result(TEST_C, "warn", failures=1), exit_code=0)
    assert exposures_at_risk(told.incidents()) == []
    told.step("source freshness", freshness(ORDERS, "warn", max_loaded_at_time_ago_in_s=46_800.0), exit_code=0)
    found = exposures_at_risk(told.incidents())
    assert [(one.name, one.distance, one.risk) for one, _ in found] == [
        ("raw_view", 2, Risk.STALE),
        ("Board", 4, Risk.STALE),
    ]


def test_loading_in_any_order_tells_the_same(told: Shop, tmp_path: Path) -> None:
    told.step("run", *passed(A, B, C), dag_run="1", exit_code=0)
    failed_run(told, dag_run="2")
    told.step("test", result(TEST_A, "error"), result(TEST_C, "fail", failures=2), dag_run="2", exit_code=1)
    told.step("source freshness", freshness(ORDERS, "error", max_loaded_at_time_ago_in_s=180_000.0), exit_code=1)
    told.step("run", nothing=True, dag_run="3", exit_code=-9, log=[began(A), finished(A), began(B)])
    told.step("test", *passed(TEST_A), result(TEST_C, "warn", failures=1), dag_run="3", exit_code=0)
    expected = told.incidents()
    assert [one.fixed for one in expected] == [False, False, False, True]
    folders = sorted(path.parent for path in tmp_path.glob("*/observe.json"))
    dice = random.Random(3)
    for number in range(3):
        dice.shuffle(folders)
        settings = load_settings(store=f"duckdb:///{tmp_path}/{number}.duckdb")
        for folder in folders:
            assert ingest([folder], settings).errors == ()
        assert Shop(tmp_path, settings, told.minutes).incidents() == expected


def test_a_models_own_error_is_not_folded_under_what_a_test_found_in_another_step(told: Shop) -> None:
    """The model ran, and failed by itself; only within one `dbt build` does a failed test block it."""
    told.step("run", *passed(A), result(B, "error", message="no"), result(C, "skipped"), dag_run="r", exit_code=1)
    told.step("test", result(TEST_A, "fail", failures=1), result(TEST_C, "error"), dag_run="r", exit_code=1)
    assert {(one.subject, one.blocked, one.folded) for one in told.incidents()} == {
        (B, (C,), (TEST_C,)),
        (A, (), ()),
    }


def test_a_test_below_another_failing_test_of_the_same_pipeline_run_is_folded_under_it(told: Shop) -> None:
    told.step("test", result(TEST_A, "fail", failures=1), dag_run="r", exit_code=1)
    told.step("test", result(TEST_C, "fail", failures=1), dag_run="r", task_id="more tests", exit_code=1)
    (incident,) = told.incidents()
    assert (incident.subject, incident.folded) == (A, (TEST_C,))


def test_what_a_folded_failure_blocks_is_blocked_by_the_cause(told: Shop) -> None:
    told.step("run --select stg_a", result(A, "error", message="no"), dag_run="r", task_id="staging", exit_code=1)
    told.step("run", result(B, "error", message="no"), result(C, "skipped"), dag_run="r", task_id="marts", exit_code=1)
    (incident,) = told.incidents()
    assert (incident.subject, incident.folded, incident.blocked) == (A, (B,), (C,))
