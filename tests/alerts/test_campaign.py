"""Changes told under faults, by tellers that are killed and by two at once: each once, in order, in its thread."""

import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from shutil import copyfile

import pytest
from campaign import BEGIN, CHANNEL, Order, SharedClock, Worker, play
from emulator import PROJECT, Emulator
from fake_slack import FakeSlack
from test_delivery import incident

from observability.alerts.incidents import Incident, State
from observability.alerts.message import build_message
from observability.alerts.notices import Notice

KILLED = -signal.SIGKILL


@pytest.fixture
def store(tmp_path: Path, empty_duckdb_file: Path) -> str:
    return f"duckdb:///{copyfile(empty_duckdb_file, tmp_path / 'audit.duckdb')}"


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as running:
        yield running


def test_each_change_is_told_once_in_order_and_in_its_thread(store: str, tmp_path: Path) -> None:
    campaign, slack = play(store, 60, 1, folder=tmp_path)
    assert campaign.differences() == []
    assert campaign.kills > 0
    assert campaign.pairs > 0
    assert sum(one.outcome != "ok" for one in slack.requests) > 10


@pytest.mark.thorough
def test_on_bigquery_too(bigquery_emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery_emulator.url)
    campaign, _ = play(f"bigquery://{PROJECT}/campaign", 15, 3, leased=False, folder=tmp_path)
    assert campaign.differences() == []


def test_without_the_history_a_repeat_of_a_message_says_that_it_may_be_one(store: str, tmp_path: Path) -> None:
    campaign, slack = play(store, 40, 5, history=False, folder=tmp_path)
    repeats = 0
    for subject in campaign.subjects:
        mine = [one for one in slack.messages(CHANNEL) if f" {subject.name} " in f"{one.text} {one.edits[:1]} "]
        parents = [one for one in mine if one.thread_ts in {None, one.ts}]
        replies = [one for one in mine if one not in parents]
        texts = [one.text for one in replies]
        assert len(texts) == len(set(texts)) or subject.expected.count("opened") > 1, "a reply is never doubled"
        first = [one.edits[0].text if one.edits else one.text for one in parents]
        marked = [text for text in first if "may be a repeat" in text]
        repeats += len(marked)
        assert len(parents) - len(marked) <= subject.expected.count("opened")
    assert repeats > 0


CHANGES: dict[str, tuple[list[Incident], list[Incident], list[str]]] = {
    "post": ([], [incident()], ["🟠"]),
    "update": ([incident()], [incident(bad_runs=2)], ["🟠"]),
    "update and reply": ([incident()], [incident(state=State.RECOVERED)], ["✅", "✅"]),
    "summary and its thread": ([], [incident("a"), incident("b")], ["2", "🟠", "🟠"]),
}


@pytest.mark.parametrize(
    "change", [pytest.param(name, marks=[pytest.mark.thorough] if name == "update" else []) for name in CHANGES]
)
def test_wherever_a_teller_dies_the_next_one_brings_it_to_its_end(
    change: str, store: str, tmp_path: Path, worker: Worker
) -> None:
    before, after, expected = CHANGES[change]
    kept = Path(store.removeprefix("duckdb:///"))
    for point in range(1, 100):
        copyfile(kept, mine := tmp_path / f"{point}.duckdb")
        clock = SharedClock(tmp_path / "clock")
        clock.set(BEGIN.timestamp())
        with FakeSlack(CHANNEL, now=clock.seconds) as slack:

            def order(
                told: list[Incident], slack: FakeSlack = slack, mine: Path = mine, clock: SharedClock = clock
            ) -> Order:
                channel = slack.channels[CHANNEL].id
                notices = [Notice(one, channel, build_message(one)) for one in told]
                return Order(f"duckdb:///{mine}", slack.url, slack.token, clock.path, notices)

            if before:
                worker.run(order(before))
            ((code, said),) = worker.run(replace(order(after), kill_at=point))
            if code == 0:
                assert said is not None
                assert point == said[1] + 1, "there are no more points"
                assert point > 4
                return
            assert code == KILLED
            ((code, said),) = worker.run(order(after))
            assert code == 0
            assert said is not None
            assert said[0].left == 0
            messages = slack.messages(CHANNEL)
            assert [message.text.split()[0] for message in messages] == expected, f"killed at point {point}"
            assert all(message.thread_ts == messages[0].ts for message in messages[1:])
    raise AssertionError("it never came to its end")


def test_of_two_tellers_at_once_one_tells(store: str, tmp_path: Path, worker: Worker) -> None:
    clock = SharedClock(tmp_path / "clock")
    clock.set(BEGIN.timestamp())
    with FakeSlack(CHANNEL, now=clock.seconds) as slack:
        channel = slack.channels[CHANNEL].id
        notices = [Notice(incident(name), channel, build_message(incident(name))) for name in "abc"]
        order = Order(store, slack.url, slack.token, clock.path, notices)
        answers = worker.run(order, order, order)
        assert [code for code, _ in answers] == [0, 0, 0]
        assert len(slack.messages(CHANNEL)) == 4, "a summary, and three in its thread"
