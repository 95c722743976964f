"""What is told in each situation, whole: `golden/slack/*.txt`. UPDATE_GOLDEN=1 writes them anew."""

import re
from contextlib import ExitStack
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
from desk import Desk, transcript
from factories import manifest, node, result
from fake_slack import FakeSlack
from golden import check
from judges import by_our_rules_for_incidents, entities, problems
from shop import A
from situations import IN_SLACK, SITUATIONS

from observability.alerts.outbox import Operation
from observability.alerts.printing import Printed
from observability.pipeline.alerting import rehearse

MANY = 150
OURS = re.compile(
    r"!subteam\^S0[A-Z]+|@U0[A-Z]+|https://(airflow|console\.cloud\.google\.com|docs|looker|run\.book)/[^|]*\|[^|]*"
)
"""What the settings of these situations mention, and where their links lead."""


@pytest.fixture
def folder(tmp_path: Path, empty_duckdb_file: Path) -> Path:
    copyfile(empty_duckdb_file, tmp_path / "audit.duckdb")
    return tmp_path


@pytest.mark.parametrize("name", SITUATIONS)
def test_what_is_told_says_what_broke_who_is_hurt_why_where_and_what_next(name: str, folder: Path) -> None:
    with ExitStack() as stack:
        desk = Desk(folder, stack.enter_context(FakeSlack("alerts")) if name in IN_SLACK else None)
        SITUATIONS[name](desk)
    judged(desk.all_told, is_digest=name.startswith("digest"))
    check(f"slack/{name}.txt", transcript(desk.looks))


def test_every_golden_file_is_of_a_situation() -> None:
    files = {path.stem for path in (Path(__file__).parents[1] / "golden" / "slack").iterdir()}
    assert files == {*SITUATIONS, "run_overdue", "storm"}


def judged(told: list[Printed], *, is_digest: bool = False) -> list[Printed]:
    assert [problem for one in told for problem in problems(one.payload)] == []
    assert [one for message in told for one in entities(message.payload) if not OURS.fullmatch(one)] == []
    of_incidents = [one.payload for one in told if not is_digest and "things are wrong" not in one.payload.text]
    assert [problem for payload in of_incidents for problem in by_our_rules_for_incidents(payload)] == []
    return told


def storm(desk: Desk, command: str, *results: dict[str, Any], graph: dict[str, Any]) -> list[Printed]:
    """What would be told after a run of which almost everything failed."""
    desk.told.step(command, *results, graph=graph, exit_code=1)
    desk.settle(channel="alerts")
    return judged(rehearse(desk.told.settings, desk.now))


def test_of_150_failures_in_one_run_each_is_told_in_the_thread_of_a_summary(folder: Path) -> None:
    desk = Desk(folder)
    names = [f"m{number:03}" for number in range(MANY)]
    nodes = [f"model.shop.{name}" for name in names]
    failing = [result(one, "error", message=f"Database Error in model x\n  no table for {one}") for one in nodes]
    summary, *thread = told = storm(desk, "run", *failing, graph=manifest(*map(node, nodes)))
    *shown, last = summary.payload.blocks[1]["text"]["text"].split("\n")
    assert summary.payload.text == "150 things are wrong"
    assert (len(shown), last) == (10, "… and 140 more, each of them in this thread")
    assert [one.payload.text for one in thread] == [f"🟠 error: model {name} failed in shop / prod" for name in names]
    assert {(one.operation, one.thread_ts) for one in thread} == {(Operation.REPLY, summary.ts)}
    for name, one in zip(names, thread, strict=True):
        assert f"no table for model.shop.{name}\n" in one.payload.blocks[1]["text"]["text"]
    check("slack/storm.txt", transcript([(desk.now(), told[:3])]))


def test_of_150_tests_that_fail_on_a_model_one_message_tells(folder: Path) -> None:
    tests = [f"test.shop.t{number:03}.x" for number in range(MANY)]
    graph = manifest(node(A), *(node(one, [A], attached_node=A) for one in tests))
    failing = [result(one, "fail", failures=number + 1) for number, one in enumerate(tests)]
    (message,) = storm(Desk(folder), "test", *failing, graph=graph)
    assert message.payload.text == "🟠 error: 150 tests fail on stg_a in shop / prod"
    first = "; ".join(f"{150 - number} rows broke t{149 - number:03}" for number in range(5))
    assert message.payload.blocks[1]["text"]["text"].startswith(f"*Why*  {first} and 145 more\n")


def test_of_150_models_that_are_skipped_one_message_tells(folder: Path) -> None:
    models = [f"model.shop.m{number:03}" for number in range(MANY)]
    boards = [f"exposure.shop.e{number:03}" for number in range(MANY)]
    graph = manifest(
        node(A), *(node(one, [A]) for one in models), *(node(one, [A], type="dashboard", label=None) for one in boards)
    )
    skipped = [result(one, "skipped") for one in models]
    (message,) = storm(Desk(folder), "run", result(A, "error", message="no"), *skipped, graph=graph)
    lines = message.payload.blocks[1]["text"]["text"].split("\n")
    assert lines[0] == (
        "*Hurts*  150 exposures: e000 (stale), e001 (stale), e002 (stale), e003 (stale), e004 (stale) and 145 more"
    )
    assert lines[3] == "*Blocks*  150 skipped and not rebuilt: m000, m001, m002, m003, m004 and 145 more"
