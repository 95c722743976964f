"""Every kind of message, whole: `golden/message_*.txt`. UPDATE_GOLDEN=1 writes them anew."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from factories import freshness, manifest, node, result
from golden import check
from shop import (
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

from observability.alerts.message import Message
from observability.config import load_settings
from observability.pipeline import current_messages


def model_error(told: Shop) -> None:
    told.step("run", *passed(A, B, C), dag_run="scheduled__1", exit_code=0)
    failed_run(told, dag_run="scheduled__2")
    tests = (result(TEST_A, "error"), result(TEST_A2, "error"), result(TEST_C, "error"))
    told.step("test", *tests, dag_run="scheduled__2", exit_code=1, log_url="https://airflow/log")


def failing_tests(told: Shop) -> None:
    told.step("test", *passed(TEST_A, TEST_A2, TEST_C), exit_code=0)
    for rows in (900, 1204):
        failing = result(TEST_A, "fail", failures=1), result(TEST_A2, "fail", failures=rows)
        told.step("test", *failing, result(TEST_C, "pass"), exit_code=1)


def warning_test(told: Shop) -> None:
    told.step("test", result(TEST_C, "warn", failures=3), exit_code=0)


def broken_test(told: Shop) -> None:
    message = 'Database Error in test unique_a (models/models.yml)\n  Catalog Error: Table "stg_a" does not exist!\n'
    told.step("test", result(TEST_A, "error", message=message), exit_code=1, graph=shop(critical=True))


def source_stale(told: Shop) -> None:
    told.step("source freshness", freshness(ORDERS, "error", max_loaded_at_time_ago_in_s=187_200.0), exit_code=1)


def source_empty(told: Shop) -> None:
    never = freshness(ORDERS, "error", max_loaded_at="0001-01-01T00:00:00+00:00", max_loaded_at_time_ago_in_s=6.3e10)
    told.step("source freshness", never, exit_code=1)


def source_not_checked(told: Shop) -> None:
    told.step("source freshness", exit_code=1)


def interrupted(told: Shop) -> None:
    told.step("run", nothing=True, dag_run="scheduled__1", exit_code=-15, log=[began(A), finished(A), began(B)])


def not_run(told: Shop) -> None:
    for _ in range(2):
        told.step("build", nothing=True, exit_code=2, log=[gave_up("Env var required but not provided: 'WAREHOUSE'")])


def failed_outside(told: Shop) -> None:
    told.step("run", *passed(A, B, C), exit_code=2)


def many(told: Shop) -> None:
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
    told.step("run", result(A, "error", message="x" * 500), *skipped, graph=graph, dag_run="1", exit_code=1)
    told.step("test", *(result(one, "error") for one in tests), graph=graph, dag_run="1", exit_code=1)


STORIES: tuple[Callable[[Shop], None], ...] = (
    model_error,
    failing_tests,
    warning_test,
    broken_test,
    source_stale,
    source_empty,
    source_not_checked,
    interrupted,
    not_run,
    failed_outside,
    many,
)


def as_text(message: Message) -> str:
    lines = [f"[{message.severity}] [{message.kind}] {message.subject}", message.headline]
    return "\n".join([*lines, *(f"{label}: {text}" for label, text in message.lines)]) + "\n"


@pytest.mark.parametrize("story", STORIES, ids=[story.__name__ for story in STORIES])
def test_a_message_says_what_broke_who_is_hurt_why_where_and_what_next(
    story: Callable[[Shop], None], tmp_path: Path
) -> None:
    told = Shop(tmp_path, load_settings(store=f"duckdb:///{tmp_path}/audit.duckdb"))
    story(told)
    messages = current_messages(told.settings, MORNING + timedelta(hours=2))
    assert [len(message.lines) < 12 for message in messages] == [True]
    check(f"message_{story.__name__}.txt", "\n".join(as_text(message) for message in messages))
