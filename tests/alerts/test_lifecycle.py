"""The life of Slack's messages over real dbt runs: nothing here is made up but Slack.

Each test is one story, for each dbt command takes seconds; all begin with a copy of a project that was built once.
"""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from bakery import CHANNEL, Bakery, lines
from fake_slack import FakeSlack

from observability.alerts.message import duration
from observability.pipeline.questions import query_view


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, well: built and loaded."""
    bakery = Bakery(tmp_path_factory.mktemp("built") / "bakery")
    bakery.set_up()
    assert bakery.dbt("build --exclude orders_by_day") == 0
    return bakery.folder


@pytest.fixture
def bakery(built: Path, tmp_path: Path) -> Iterator[Bakery]:
    with FakeSlack(CHANNEL) as slack:
        yield Bakery(Path(shutil.copytree(built, tmp_path / "bakery")), slack)


def shown(bakery: Bakery) -> list[str]:
    """The first message as people read it, whatever the minute."""
    return [re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "TODAY", line) for line in lines(bakery.messages[0])]


BEFORE_AN_HOUR, AFTER_AN_HOUR = timedelta(minutes=59), timedelta(minutes=61)


@dataclass(frozen=True)
class Chapter:
    """What the till has written, a dbt command and its exit code, and what Slack is then asked to show.

    spoilt: so many payments have nothing in them. amount: what their column is called. attempt: the DAG run and its
    try, which Airflow repeats if it fails. after: how much later it is told.
    """

    command: str
    exit_code: int
    told: tuple[str, ...] = ()
    spoilt: int = 0
    amount: str = "amount"
    attempt: tuple[str, int] | None = None
    after: timedelta = AFTER_AN_HOUR


TEST = "test positive_value fails on stg_payments in bakery / prod"
MODEL = "model stg_payments failed in bakery / prod"
NO_AMOUNT = 'Binder Error: Referenced column "amount" not found in FROM clause!'
ALL = "build --select stg_payments+"
FIXED = "Fixed. 2 not rebuilt yet: customer_orders, orders; 3 tests not run since."
REPEATED = (
    Chapter(ALL, 1, spoilt=60, attempt=("monday", 1), after=BEFORE_AN_HOUR),
    Chapter(ALL, 0, attempt=("monday", 2)),
    Chapter(ALL, 1, spoilt=60, attempt=("tuesday", 1), after=BEFORE_AN_HOUR),
)
LIFE = {
    "still failing": Chapter(ALL, 1, (f"edit: 🔴 critical: {TEST}",), spoilt=70),
    "a selection without the test": Chapter("run --select stg_payments", 0),
    "nothing in it": Chapter("build --empty --select stg_payments", 0),
    "another schema": Chapter("build --target elsewhere --target-path elsewhere --select stg_payments", 0),
    "worse": Chapter(
        ALL,
        1,
        (f"edit: 🔴 critical: {TEST}", f"reply to all: 🔺 Worse: 180 rows broke positive_value of amount ({TEST})"),
        spoilt=180,
    ),
    "another kind": Chapter(
        ALL,
        1,
        (f"edit: 🔴 critical: {MODEL}", f"reply to all: 🔺 Now {MODEL}: {NO_AMOUNT}"),
        amount="price",
    ),
    "fixed": Chapter(
        "build --select stg_payments",
        0,
        (f"edit: 🛠️ fixed, not rebuilt: {MODEL}", f"reply: 🛠️ {FIXED} ({MODEL})"),
    ),
    "rebuilt": Chapter(
        "build --select orders customer_orders",
        0,
        (f"edit: ✅ well again: {MODEL}", f"reply: ✅ Well again after DURATION. ({MODEL})"),
    ),
    "back": Chapter(
        ALL,
        1,
        (
            f"edit: 🔴 critical: {TEST}",
            f"reply to all: 🔁 Failing again: 6 rows broke positive_value of amount ({TEST})",
        ),
        spoilt=6,
    ),
}
OPEN = [
    f"🔴 critical: {TEST}",
    "*Hurts*  2 exposures: Loyalty programme (critical, stale, Marketing), Orders (stale, Counter team)",
    "*Why*  60 rows broke positive_value of amount",
    "*File*  `models/more.yml`",
    "*Blocks*  2 skipped and not rebuilt: customer_orders, orders; 3 tests not run",
    "*Since*  TODAY UTC, first time seen, last well TODAY, dbt build, task daily.build, tuesday",
    "*Next*  `dbt build --select stg_payments+`",
]


@pytest.mark.xdist_group("live_dbt")
def test_a_message_is_posted_edited_answered_and_closed_as_what_broke_is_seen_worse_fixed_rebuilt_and_back(
    bakery: Bakery,
) -> None:
    for chapter in REPEATED:
        assert live(bakery, chapter) == (), chapter
    # the repeat that never came
    assert bakery.hear(AFTER_AN_HOUR) == [f"post: 🔴 critical: {TEST}"]
    assert shown(bakery) == OPEN

    read = {}
    for name, chapter in LIFE.items():
        assert live(bakery, chapter) == chapter.told, name
        read[name] = shown(bakery)

    parent, *replies = bakery.messages
    assert [(reply.thread_ts, reply.broadcast) for reply in replies] == [
        (parent.ts, is_for_all) for is_for_all in (True, True, False, False, True)
    ]
    assert [line for line in read["still failing"] if line not in OPEN] == [
        "*Why*  70 rows broke positive_value of amount",
        "*Since*  TODAY UTC, seen 2 times, last well TODAY, dbt build",
    ]
    assert read["still failing"] == read["a selection without the test"] == read["nothing in it"]
    assert read["still failing"] == read["another schema"]
    took = duration(_seconds_until_its_test_passed(bakery))
    assert lines(replies[3]) == [f"✅ Well again after {took}.", MODEL]
    assert read["rebuilt"] == [
        f"✅ well again: {MODEL}",
        f"*Well again after {took}.*",
        f"*Why*  {NO_AMOUNT}",
        "*File*  `models/stg_payments.sql`",
        "*Since*  TODAY UTC, seen 4 times, last well TODAY, dbt build",
    ]


def live(bakery: Bakery, chapter: Chapter) -> tuple[str, ...]:
    """Live through a chapter; what Slack was asked to show, whatever the duration."""
    bakery.land(chapter.spoilt, chapter.amount)
    day, try_number = chapter.attempt or (None, None)
    airflow = {"dag_id": "daily", "task_id": "build", "dag_run_id": day, "try_number": try_number} if day else {}
    code = bakery.dbt(chapter.command, will_retry=try_number == 1, airflow=airflow)
    assert code == chapter.exit_code, chapter
    return tuple(re.sub(r"(?<=Well again after ).*?\.", "DURATION.", text) for text in bakery.hear(chapter.after))


def _seconds_until_its_test_passed(bakery: Bakery) -> float:
    """From the first run in which the test failed, and was told, to that in which it really ran and passed."""
    rows = query_view(bakery.settings, "run_results", where="name = 'positive_value_stg_payments_amount'")
    ran = [row for row in rows.table.sort_by("execute_completed_at").to_pylist() if row["status"] != "skipped"]
    before, repeated, told = ["pass"], ["fail", "pass"], ["fail", "fail"]
    empty_and_elsewhere, worse, fixed, back = ["pass", "pass"], ["fail"], ["pass"], ["fail"]
    assert [row["status"] for row in ran] == [*before, *repeated, *told, *empty_and_elsewhere, *worse, *fixed, *back]
    took: timedelta = ran[8]["execute_completed_at"] - ran[3]["execute_completed_at"]
    return took.total_seconds()


@pytest.mark.xdist_group("live_dbt")
def test_a_microbatch_model_is_well_again_with_the_batches_that_failed_not_with_others(bakery: Bakery) -> None:
    def run_days(first: int, end: int) -> int:
        days = f"--event-time-start 2021-02-{first:02} --event-time-end 2021-02-{end:02}"
        return bakery.dbt(f"run --select orders_by_day {days}")

    bakery.query("ALTER TABLE raw_orders ALTER loaves TYPE VARCHAR")
    bakery.query("UPDATE raw_orders SET loaves = 'many' WHERE order_id = 3")
    assert run_days(9, 12) == 1
    assert bakery.hear() == ["post: 🟠 error: model orders_by_day failed in bakery / prod"]
    assert "*Why*  PARTIAL SUCCESS (2/3)" in shown(bakery)
    bakery.query("UPDATE raw_orders SET loaves = '4' WHERE order_id = 3")
    assert run_days(11, 12) == 0
    assert bakery.hear() == []
    assert run_days(10, 11) == 0
    assert [text.partition(" after ")[0] for text in bakery.hear()] == [
        "edit: ✅ well again: model orders_by_day failed in bakery / prod",
        "reply: ✅ Well again",
    ]


BROKEN = "🔴 critical: model stg_orders failed in bakery / prod"
HURT = (  # 3, 1, 2, 4 and 7 steps away
    "Loyalty programme (critical, stale, Marketing), Export (stale, Tax office), Orders (stale, Counter team), "
    "Leaflet (stale, Marketing), Forecast (stale, Planning)"
)
FACTS = [
    f"*Hurts*  5 exposures: {HURT}",
    '*Why*  Binder Error: Referenced column "loaves" not found in FROM clause!',
    "*File*  `models/stg_orders.sql`",
]
BLOCKED = "customer_orders, leaf_1, leaf_2, leaf_3, leaf_4"
FAILING = (
    "every_order_has_a_customer, not_null_leaf_3_order_id, not_null_link_1_order_id, not_null_stg_orders_order_id, "
    "relationships_stg_orders_customer_id__customer_id__ref_stg_customers_"
)
NEXT = ["*Next*  `dbt build --select stg_orders+`", "<https://runbooks.bakery.example/orders|Runbook>"]


@pytest.fixture
def broken(bakery: Bakery) -> Bakery:
    """What stg_orders selects is called something else."""
    bakery.query("ALTER TABLE raw_orders RENAME loaves TO loafs")
    return bakery


def task(name: str) -> dict[str, str]:
    return {"dag_id": "daily", "dag_run_id": "monday", "task_id": name}


def unwell(bakery: Bakery) -> list[tuple[str, str, int]]:
    """What did not go well, and how often."""
    where = "status IN ('error', 'skipped') AND resource_type <> 'exposure'"
    rows = query_view(bakery.settings, "run_results", where=where).table.group_by(["resource_type", "status"])
    counts = rows.aggregate([([], "count_all")]).to_pylist()
    return sorted((row["resource_type"], row["status"], row["count_all"]) for row in counts)


@pytest.mark.xdist_group("live_dbt")
def test_a_build_in_which_one_model_breaks_is_one_message_whatever_it_skips(broken: Bakery) -> None:
    assert broken.dbt("build --select stg_orders+", airflow=task("build")) == 1
    assert broken.hear() == [f"post: {BROKEN}"]
    assert unwell(broken) == [
        ("model", "error", 1),
        ("model", "skipped", 14),
        ("test", "skipped", 8),
        ("unit_test", "skipped", 1),
    ]
    assert shown(broken) == [
        BROKEN,
        *FACTS,
        f"*Blocks*  14 skipped and not rebuilt: {BLOCKED} and 9 more; 9 tests not run",
        "*Since*  TODAY UTC, first time seen, last well TODAY, dbt build, task daily.build, monday",
        *NEXT,
    ]


@pytest.mark.xdist_group("live_dbt")
def test_a_run_in_which_one_model_breaks_and_the_tests_after_it_are_one_message(broken: Bakery) -> None:
    assert broken.dbt("run --select stg_orders+", airflow=task("run")) == 1
    assert broken.hear() == [f"post: {BROKEN}"]
    assert broken.dbt("test", airflow=task("test")) == 1
    assert broken.hear() == [f"edit: {BROKEN}"]
    assert unwell(broken) == [("model", "error", 1), ("model", "skipped", 14), ("test", "error", 6)]
    assert len(broken.messages) == 1
    assert shown(broken) == [
        BROKEN,
        *FACTS,
        f"*Blocks*  14 skipped and not rebuilt: {BLOCKED} and 9 more",
        f"*Also*  6 failing below it: {FAILING} and 1 more",
        "*Since*  TODAY UTC, first time seen, last well TODAY, dbt run, task daily.run, monday",
        *NEXT,
    ]
