"""Situations that a shop gets into, each as somebody lives through it: dbt's steps, what people do, and looks at it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from desk import Desk
from factories import freshness, manifest, node, result
from fake_slack import FakeSlack
from shop import (
    CRITERIA,
    MORNING,
    ORDERS,
    TEST_A,
    TEST_A2,
    TEST_C,
    A,
    B,
    C,
    began,
    failed_run,
    finished,
    gave_up,
    passed,
    shop,
)

from observability.alerts.actions import Action

Situation = Callable[[Desk], None]
SITUATIONS: dict[str, Situation] = {}
IN_SLACK: set[str] = set()
"""Those that need channels, which a terminal has not."""
HOUR = timedelta(hours=1)
EVENING = timedelta(hours=15)
OWNERS = {"Data": "S0DATA", "Ann": "U0ANN"}


def situation(one: Situation) -> Situation:
    SITUATIONS[one.__name__] = one
    return one


def in_slack(one: Situation) -> Situation:
    IN_SLACK.add(one.__name__)
    return situation(one)


def stale(status: str, hours: float) -> dict[str, Any]:
    return freshness(ORDERS, status, max_loaded_at_time_ago_in_s=hours * 3_600, criteria={**CRITERIA, "filter": None})


def with_meta(unique_id: str, **observe: Any) -> dict[str, Any]:
    """The shop with something said in a node's meta."""
    graph = shop()
    for section in ("nodes", "sources", "exposures"):
        if unique_id in graph[section]:
            config = graph[section][unique_id].setdefault("config", {})
            known = config.get("meta", {}).get("observe", {})
            config["meta"] = {"observe": known | observe}
            graph[section][unique_id]["meta"] = config["meta"]
    return graph


def fail(desk: Desk, rows: int, test: str = TEST_A, **given: Any) -> None:
    message = f"Got {rows} results, configured to fail if != 0"
    desk.told.step("test", result(test, "fail", failures=rows, message=message), exit_code=1, **given)


# What goes wrong.


@situation
def model_error(desk: Desk) -> None:
    """A model fails; all that rests on it is skipped, and its tests fail."""
    desk.told.step("run", *passed(A, B, C), dag_run="scheduled__1", exit_code=0)
    failed_run(desk.told, dag_run="scheduled__2")
    tests = (result(TEST_A, "error"), result(TEST_A2, "error"), result(TEST_C, "error"))
    desk.told.step("test", *tests, dag_run="scheduled__2", exit_code=1, log_url="https://airflow/log")
    desk.look()


@situation
def failing_tests(desk: Desk) -> None:
    desk.told.step("test", *passed(TEST_A, TEST_A2, TEST_C), exit_code=0)
    for rows in (900, 1204):
        failing = result(TEST_A, "fail", failures=1), result(TEST_A2, "fail", failures=rows)
        desk.told.step("test", *failing, result(TEST_C, "pass"), exit_code=1)
    desk.look()


@situation
def warning_test(desk: Desk) -> None:
    desk.settle(owners=OWNERS, channels={"terminal": {"mention": ["S0ONCALL"]}})
    desk.told.step("test", result(TEST_C, "warn", failures=3), exit_code=0)
    desk.look()


@situation
def broken_test(desk: Desk) -> None:
    """A test that could not be asked: whether the data is good nobody knows."""
    message = 'Database Error in test unique_a (models/models.yml)\n  Catalog Error: Table "stg_a" does not exist!\n'
    desk.told.step("test", result(TEST_A, "error", message=message), exit_code=1, graph=shop(critical=True))
    desk.look()


@situation
def singular_test(desk: Desk) -> None:
    """A test of its own, that looks at two models."""
    test = "test.shop.totals_agree.9"
    graph = manifest(node(A), node(B), node(test, [A, B]))
    desk.told.step("test", result(test, "fail", failures=1), graph=graph, exit_code=1)
    desk.look()


@situation
def unit_test_failure(desk: Desk) -> None:
    test = "unit_test.shop.stg_a.rounds_half_up"
    graph = manifest(node(A), node(B, [A]), node(test, [A], name="rounds_half_up"))
    difference = "\n\nactual differs from expected:\n\n@@ ,id,total\n→  ,1 ,0.1→0.2\n\n"
    desk.told.step(
        "build", result(test, "fail", failures=1, message=difference), result(A, "skipped"), result(B, "skipped"),
        graph=graph, exit_code=1,
    )  # fmt: skip
    desk.look()


@situation
def source_stale(desk: Desk) -> None:
    desk.told.step("source freshness", stale("error", 52), exit_code=1)
    desk.look()


@situation
def source_a_little_stale(desk: Desk) -> None:
    """Two lines, nobody is mentioned; and nothing more when it is seen again."""
    desk.settle(owners=OWNERS, channels={"terminal": {"mention": ["S0ONCALL"]}})
    desk.told.step("source freshness", stale("warn", 13), exit_code=0)
    desk.look()
    desk.told.step("source freshness", stale("warn", 14), exit_code=0)
    desk.look()


@situation
def source_a_little_stale_and_then_too_much(desk: Desk) -> None:
    desk.settle(channels={"terminal": {"mention": ["S0ONCALL"]}})
    desk.told.step("source freshness", stale("warn", 13), exit_code=0)
    desk.look()
    desk.told.step("source freshness", stale("error", 49), exit_code=1)
    desk.look()


@situation
def source_empty(desk: Desk) -> None:
    never = freshness(ORDERS, "error", max_loaded_at="0001-01-01T00:00:00+00:00", max_loaded_at_time_ago_in_s=6.3e10)
    desk.told.step("source freshness", never, exit_code=1)
    desk.look()


@situation
def source_not_checked(desk: Desk) -> None:
    desk.told.step("source freshness", exit_code=1)
    desk.look()


@situation
def snapshot_and_seed(desk: Desk) -> None:
    snapshot, seed = "snapshot.shop.orders_history", "seed.shop.countries"
    graph = manifest(
        node(seed, original_file_path="seeds/countries.csv"),
        node(snapshot, original_file_path="snapshots/orders_history.sql"),
        node(A, [seed, snapshot]),
    )
    message = "Database Error in seed countries (seeds/countries.csv)\n  Could not convert string 'x' to INT32"
    desk.told.step("seed", result(seed, "error", message=message), graph=graph, exit_code=1)
    message = "Compilation Error in snapshot orders_history (snapshots/orders_history.sql)\n  'orders' is undefined"
    desk.told.step("snapshot", result(snapshot, "error", message=message), graph=graph, exit_code=1)
    desk.look()


@situation
def hook_on_run_start(desk: Desk) -> None:
    hook = "operation.shop.shop-on-run-start-0"
    message = "Database Error in operation shop-on-run-start-0\n  Permission denied on schema audit"
    skipped = [result(one, "skipped") for one in (A, B, C)]
    desk.told.step("run", result(hook, "error", message=message), *skipped, exit_code=1, dag_run="scheduled__1")
    desk.look()


@situation
def a_version_of_a_model(desk: Desk) -> None:
    versions = [f"model.shop.dim_customers.v{number}" for number in (1, 2)]
    graph = manifest(*(node(one, original_file_path=f"models/{one[11:]}.sql") for one in versions))
    desk.told.step("run", *passed(versions[0]), result(versions[1], "error", message="no"), graph=graph, exit_code=1)
    desk.look()


@situation
def interrupted(desk: Desk) -> None:
    log = [began(A), finished(A), began(B)]
    desk.told.step("run", nothing=True, dag_run="scheduled__1", exit_code=-15, log=log, try_number=2)
    desk.look()


@situation
def not_run(desk: Desk) -> None:
    reason = gave_up("Env var required but not provided: 'WAREHOUSE'")
    for _ in range(2):
        desk.told.step("build", nothing=True, exit_code=2, log=[reason])
    desk.look()


@situation
def failed_outside(desk: Desk) -> None:
    desk.told.step("run", *passed(A, B, C), exit_code=2)
    desk.look()


@situation
def many_below(desk: Desk) -> None:
    """One cause with more below it than a line names."""
    models = [f"model.shop.m{i:02}" for i in range(12)]
    tests = [f"test.shop.t{i:02}.x" for i in range(8)]
    boards = [f"exposure.shop.e{i}" for i in range(7)]
    graph = manifest(
        node(A),
        *(node(one, [A]) for one in models),
        *(node(one, [models[0]], attached_node=models[0]) for one in tests),
        *(node(one, [models[0]], label=one[-2:].upper(), type="dashboard") for one in boards),
    )
    skipped = [result(one, "skipped") for one in models]
    desk.told.step("run", result(A, "error", message="x" * 500), *skipped, graph=graph, dag_run="1", exit_code=1)
    desk.told.step("test", *(result(one, "error") for one in tests), graph=graph, dag_run="1", exit_code=1)
    desk.look()


@situation
def links_and_tables(desk: Desk) -> None:
    """A test on BigQuery with --store-failures, in an Airflow task: its rows, its job, its log, our links."""
    desk.settle(
        links={
            "dbt docs": "https://docs/#!/{{ resource_type }}/{{ subject | urlencode }}",
            "Looker": "https://looker/explore/runs?f[invocation_id]={{ invocation_id }}&limit=500",
            "Not known here": "https://x/{{ map_index }}",
        }
    )
    failing = result(
        TEST_A, "fail", failures=12, relation_name="`shop-prod`.`dbt_test__audit`.`unique_a`",
        adapter_response={"job_id": "job_7", "project_id": "shop-prod", "location": "EU"},
    )  # fmt: skip
    log = "https://airflow/dags/daily/runs/scheduled__1/tasks/test?try_number=3"
    desk.told.step("test", failing, dag_run="scheduled__1", try_number=3, exit_code=1, log_url=log)
    desk.look()


@situation
def all_that_a_message_can_hold(desk: Desk) -> None:
    desk.settle(owners=OWNERS, channels={"terminal": {"mention": ["S0ONCALL"]}})
    graph = with_meta(A, runbook="ask the people of the cash desk", severity="critical")
    stored = {"relation_name": "shop.dbt_test__audit.unique_a", "failures": 12}
    desk.told.step(
        "build", *passed(A), result(TEST_A, "fail", **stored), result(B, "skipped"), result(C, "skipped"),
        result(TEST_C, "error", message="no table"), dag_run="scheduled__1", graph=graph, exit_code=1,
        log_url="https://airflow/log", try_number=2,
    )  # fmt: skip
    desk.look()
    desk.do(Action.ACK, "stg_a", acted_by="ann", reason="the vendor sent a file twice")
    desk.look()


@situation
def hostile_names(desk: Desk) -> None:
    """A project that tries to call everybody, and to link elsewhere."""
    desk.settle(owners=OWNERS, links={"dbt docs": "https://docs/{{ name }}"})
    observe = {"owner": ["<!channel>", "Data"], "runbook": "https://run.book/<!here>|click"}
    board = node(
        "exposure.shop.board", [A], label="<https://evil.example|Board>", owner={"name": "<@U1>"}, type="x",
        url="https://evil.example",
    )  # fmt: skip
    graph = manifest(
        node(A, config={"meta": {"observe": observe}}, original_file_path="models/`<!channel>`.sql"),
        node("model.shop.<!everyone>", [A]),
        board,
    )
    message = "Database Error in model stg_a\n  <!here> see https://evil.example or <https://evil.example|click> ```x"
    skipped = result("model.shop.<!everyone>", "skipped")
    desk.told.step("run", result(A, "error", message=message), skipped, graph=graph, exit_code=1)
    desk.look()
    desk.do(Action.ACK, "stg_a", acted_by="<@U1>", reason="<!channel>\n*Next*  `rm -rf /`")
    desk.look()


# What becomes of it.


@situation
def recovered(desk: Desk) -> None:
    """Fixed, then well again once what it blocked is rebuilt."""
    desk.settle(owners=OWNERS)
    failed_run(desk.told)
    desk.look()
    desk.told.step("run", *passed(A))
    desk.look()
    desk.told.step("run", *passed(A, B, C))
    desk.look()


@situation
def withdrawn(desk: Desk) -> None:
    fail(desk, 1, TEST_C)
    desk.look()
    desk.told.step("run", *passed(A, B, C), graph=shop(TEST_C))
    desk.look()


@situation
def expired(desk: Desk) -> None:
    fail(desk, 1, TEST_C)
    desk.look()
    desk.wait(timedelta(days=91))
    desk.told.step("run", *passed(A))
    desk.look()


@situation
def back_within_a_day(desk: Desk) -> None:
    desk.settle(owners=OWNERS)
    fail(desk, 3)
    desk.look()
    desk.told.step("test", *passed(TEST_A))
    desk.look()
    desk.wait(23 * HOUR)
    fail(desk, 4)
    desk.look()


@situation
def back_after_more_than_a_day(desk: Desk) -> None:
    fail(desk, 3)
    desk.look()
    desk.told.step("test", *passed(TEST_A))
    desk.look()
    desk.wait(25 * HOUR)
    fail(desk, 4)
    desk.look()


@situation
def comes_and_goes(desk: Desk) -> None:
    """From the third return on only the message says so."""
    for rows in range(1, 5):
        fail(desk, rows)
        desk.look()
        desk.told.step("test", *passed(TEST_A))
        desk.look()


@situation
def worse(desk: Desk) -> None:
    """Doubled, and by a hundred rows or more: told to all. Less than that only edits the message."""
    desk.settle(owners=OWNERS)
    for rows in (60, 119, 1204):
        fail(desk, rows)
        desk.look()


@situation
def something_else(desk: Desk) -> None:
    """First a test failed on it, now it cannot be built at all."""
    desk.settle(owners=OWNERS)
    fail(desk, 3)
    desk.look()
    failed_run(desk.told)
    desk.look()


@situation
def critical_now(desk: Desk) -> None:
    """Somebody declares an exposure below it critical while it is failing."""
    desk.settle(owners=OWNERS)
    fail(desk, 3)
    desk.look()
    fail(desk, 3, graph=shop(critical=True))
    desk.look()


@situation
def critical_now_by_its_own_meta(desk: Desk) -> None:
    fail(desk, 3, TEST_C)
    desk.look()
    fail(desk, 3, TEST_C, graph=with_meta(C, severity="critical"))
    desk.look()


# Who is called, and when.


@situation
def quiet_hours(desk: Desk) -> None:
    """At night it is told and nobody is called; in the morning, if it is still failing, somebody is."""
    desk.settle(owners=OWNERS, channels={"terminal": {"quiet_hours": "20:00-07:00"}})
    desk.wait(EVENING)
    failed_run(desk.told)
    desk.look()
    desk.look(after=5 * HOUR)
    desk.look(after=10 * HOUR)


@situation
def critical_in_quiet_hours(desk: Desk) -> None:
    desk.settle(owners=OWNERS, channels={"terminal": {"quiet_hours": "20:00-07:00"}})
    desk.wait(EVENING)
    fail(desk, 3, graph=shop(critical=True))
    desk.look()


@situation
def acknowledged(desk: Desk) -> None:
    """Somebody is on it: that it gets worse edits the message; that it becomes critical is told all the same."""
    fail(desk, 60)
    desk.look()
    desk.do(Action.ACK, "stg_a", acted_by="ann", reason="on the train, in an hour")
    desk.look()
    fail(desk, 1204)
    desk.look()
    fail(desk, 1204, graph=shop(critical=True))
    desk.look()


@situation
def snoozed(desk: Desk) -> None:
    desk.settle(owners=OWNERS)
    failed_run(desk.told)
    desk.look()
    until = desk.now() + HOUR
    desk.do(Action.SNOOZE, "stg_a", acted_by="ann", until=until, reason="the vendor mends it by eight")
    desk.look()
    desk.look(after=0.5 * HOUR)
    desk.look(after=1.1 * HOUR)


@situation
def resolved_and_seen_again(desk: Desk) -> None:
    failed_run(desk.told)
    desk.look()
    desk.do(Action.RESOLVE, "stg_a", acted_by="ben", reason="rebuilt by hand")
    desk.look()
    failed_run(desk.told)
    desk.look()


@situation
def muted_by_its_meta(desk: Desk) -> None:
    until = {"mute_until": "2026-03-02T09:00:00Z", "mute_reason": "the vendor is migrating"}
    fail(desk, 3, graph=with_meta(A, **until))
    desk.look()
    desk.digest()
    desk.look(after=4 * HOUR)


@situation
def maintenance(desk: Desk) -> None:
    """What is still failing when the window is over is told then."""
    window = {"begins": MORNING, "ends": MORNING + 2 * HOUR, "environment": ["prod"], "reason": "upgrade of the engine"}
    desk.settle(maintenance=[window])
    failed_run(desk.told)
    desk.look()
    desk.look(after=2 * HOUR)


@in_slack
def in_the_channel_of_an_exposure_too(desk: Desk) -> None:
    board = _slack(desk).add_channel("board")
    desk.settle(owners=OWNERS)
    graph = with_meta("exposure.shop.board", channel=board.id, severity="critical")
    fail(desk, 3, TEST_C, graph=graph)
    desk.look()


@in_slack
def by_a_rule_in_another_channel(desk: Desk) -> None:
    loading = _slack(desk).add_channel("loading")
    desk.settle(rules=[{"channel": loading.id, "resource_type": ["source"], "mention": ["U0LOADER"]}])
    desk.told.step("source freshness", stale("error", 52), exit_code=1)
    desk.look()


@in_slack
def by_the_fallback_channel(desk: Desk) -> None:
    closed = _slack(desk).add_channel("closed", members=False)
    desk.settle(rules=[{"channel": closed.id}], fallback_channel=_slack(desk).channels["alerts"].id)
    failed_run(desk.told)
    desk.look()


def _slack(desk: Desk) -> FakeSlack:
    assert desk.slack
    return desk.slack


@in_slack
def by_a_webhook(desk: Desk) -> None:
    """Only what opens and what is over: nothing can be edited."""
    desk.settle(webhook=True)
    failed_run(desk.told)
    desk.look()
    desk.told.step("run", *passed(A))
    desk.look()
    desk.told.step("run", *passed(A, B, C))
    desk.look()


# Many at once, and the day's summary.


@situation
def first_look_at_a_store_with_several_open(desk: Desk) -> None:
    desk.settle(owners=OWNERS, channels={"terminal": {"mention": ["S0ONCALL"]}})
    fail(desk, 3, TEST_C, graph=shop(critical=True))
    desk.told.step("source freshness", stale("warn", 13), exit_code=0, graph=shop(critical=True))
    desk.told.step("snapshot", nothing=True, exit_code=-9, graph=shop(critical=True))
    desk.look()


@situation
def digest_when_all_is_well(desk: Desk) -> None:
    desk.told.step("build", *passed(A, B, C, TEST_A, TEST_A2, TEST_C))
    desk.digest()


@situation
def digest_when_it_is_not(desk: Desk) -> None:
    fail(desk, 3, TEST_C, graph=shop(critical=True))
    desk.told.step("source freshness", stale("error", 52), exit_code=1)
    desk.do(Action.ACK, "raw.orders", acted_by="ann")
    desk.told.step("snapshot", nothing=True, exit_code=-9)
    desk.told.step("snapshot", *passed(A), exit_code=0)
    desk.digest(after=20 * HOUR)
    desk.digest(after=30 * HOUR)
