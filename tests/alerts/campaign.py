"""A thousand changes told under faults, by tellers that are killed at every point and by two at once.

python tests/alerts/campaign.py --store duckdb --transitions 1000 --seed 1     (bigquery: against the emulator)

Tellers are processes of their own, forked off a worker that has all imported and no threads: SIGKILL is real. The
clock is a number in a file that they share with the Slack on loopback: waiting costs nothing.
"""

import argparse
import base64
import os
import pickle
import random
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from fake_slack import FakeSlack, Fault, Message  # noqa: E402

from observability.alerts.delivery import Teller, Telling  # noqa: E402
from observability.alerts.incidents import Incident, State  # noqa: E402
from observability.alerts.message import build_message  # noqa: E402
from observability.alerts.notices import Notice  # noqa: E402
from observability.alerts.slack.client import SlackClient  # noqa: E402
from observability.config import load_settings  # noqa: E402
from observability.stores.base import open_store  # noqa: E402

CHANNEL = "alerts"
BEGIN = datetime(2026, 3, 2, 8, tzinfo=UTC)
KINDS: list[Fault] = [fault for fault in Fault if fault is not Fault.HISTORY_DENIED]
LATE_SECONDS = 0.02
"""How late an effect is that comes late, by the clock on the wall."""


class SharedClock:
    """Seconds since 1970 in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def seconds(self) -> float:
        (now,) = struct.unpack("d", self.path.read_bytes())
        return float(now)

    def set(self, seconds: float) -> None:
        partial = self.path.with_suffix(f".{os.getpid()}")
        partial.write_bytes(struct.pack("d", seconds))
        partial.replace(self.path)

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(self.seconds(), UTC)

    def pause(self, seconds: float) -> None:
        if seconds >= 1:  # what comes late is there when a request is certainly over
            time.sleep(2 * LATE_SECONDS)
        self.set(self.seconds() + seconds)


@dataclass
class Order:
    """What a teller is to do."""

    store: str
    slack_url: str
    token: str
    clock: Path
    notices: Sequence[Notice]
    kill_at: int | None = None
    """The point at which it is killed, from 1."""
    leased: bool = True


@dataclass
class Fuse:
    """Counts the points at which a teller may die, and kills it at one of them."""

    at: int | None
    points: int = 0

    def burn(self) -> None:
        self.points += 1
        if self.points == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class Fused:
    """A store, or a messenger, at whose calls a teller may die: before each and after it."""

    inner: Any
    fuse: Fuse
    names: frozenset[str]

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if name not in self.names:
            return found

        def call(*args: Any, **given: Any) -> Any:
            self.fuse.burn()
            try:
                return found(*args, **given)
            finally:
                self.fuse.burn()

        return call


class Held:
    """A lease that lasts."""

    def seconds_left(self) -> float:
        return 1e9


def tell(order: Order) -> tuple[Telling, int]:
    """Be a teller: what was told, and how many points were passed."""
    fuse, clock = Fuse(order.kill_at), SharedClock(order.clock)
    store = open_store(load_settings(store=order.store))
    client = SlackClient(order.token, order.slack_url, timeout_seconds=1)
    journal: Any = Fused(store, fuse, frozenset({"record"}))
    messenger: Any = Fused(client, fuse, frozenset({"post", "update", "find"}))
    with store.lease("alert") if order.leased else nullcontext(Held()) as lease:
        if lease is None:
            return Telling(elsewhere=True), fuse.points
        teller = Teller(journal, messenger, lease, pace_seconds=0, clock=clock, pause=clock.pause)
        return _tell(teller, order), fuse.points


def _tell(teller: Teller, order: Order) -> Telling:
    with open_store(load_settings(store=order.store)).reading() as reader:
        teller.streams(reader)
    return teller.tell(order.notices)


def work() -> None:
    """Be the worker: fork a teller for each order, and say what became of them."""
    for line in sys.stdin:
        orders: list[Order] = pickle.loads(base64.b64decode(line))  # noqa: S301 - our own
        running = [_fork(order) for order in orders]
        answers = []
        for pid, end in running:
            with os.fdopen(end, "rb") as pipe:
                said = pipe.read()
            _, status = os.waitpid(pid, 0)
            code = os.waitstatus_to_exitcode(status)
            answers.append((code, pickle.loads(said) if said else None))  # noqa: S301 - our own
        print(base64.b64encode(pickle.dumps(answers)).decode(), flush=True)


def _fork(order: Order) -> tuple[int, int]:
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid:
        os.close(theirs)
        return pid, ours
    code = 1
    try:
        os.write(theirs, pickle.dumps(tell(order)))
        code = 0
    except BaseException as error:  # noqa: BLE001 - the border of a process
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(code)


class Worker:
    """The process that tellers are forked off."""

    def __enter__(self) -> "Worker":
        code = f"import sys; sys.path[:0] = {sys.path!r}; import campaign; campaign.warm_up(); campaign.work()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def run(self, *orders: Order) -> list[tuple[int, tuple[Telling, int] | None]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(base64.b64encode(pickle.dumps(list(orders))).decode() + "\n")
        self._process.stdin.flush()
        answers: list[tuple[int, tuple[Telling, int] | None]] = pickle.loads(  # noqa: S301 - our own
            base64.b64decode(self._process.stdout.readline())
        )
        return answers


def warm_up() -> None:
    """Import what tellers import, so that a fork costs nothing."""
    import slack_sdk.models.blocks
    from test_delivery import incident

    from observability.alerts.slack.block_kit import render_incident

    one = incident()
    render_incident(Notice(one, CHANNEL, build_message(one)))
    assert slack_sdk.models.blocks


@dataclass
class Subject:
    """Something that breaks and is mended, and what people must have been told of it."""

    name: str
    state: State = State.RECOVERED
    number: int = 0
    rows: int = 10
    expected: list[str] = field(default_factory=list)

    def change(self, chance: random.Random) -> None:
        """What becomes of it next."""
        if self.state is State.RECOVERED:
            self.number, self.state, self.rows = self.number + 1, State.OPEN, 10
            self.expected.append("opened")
        elif self.state is State.OPEN and chance.random() < 0.3:
            self.rows = self.rows * 2 + 100
            self.expected.append("worse")
        elif self.state is State.OPEN and chance.random() < 0.5:
            self.state = State.FIXED
            self.expected.append("fixed")
        else:
            self.state = State.RECOVERED
            self.expected.append("recovered")

    def incident(self, at: datetime) -> Incident:
        from test_delivery import incident

        made = incident(self.name, self.state, number=self.number, rows=self.rows)
        return replace(made, seen_at=at)


@dataclass
class Campaign:
    """Subjects, a store, a Slack that fails, tellers."""

    store: str
    slack: FakeSlack
    clock: SharedClock
    worker: Worker
    chance: random.Random
    leased: bool = True
    subjects: list[Subject] = field(default_factory=lambda: [Subject(f"s{number:02}") for number in range(20)])
    tellers: int = 0
    kills: int = 0
    pairs: int = 0

    def round(self, changes: int) -> None:
        """Some subjects change; then tellers tell, until one of them says that all is told."""
        self.clock.set(self.clock.seconds() + 3600 * self.chance.uniform(9, 20))
        for subject in self.chance.sample(self.subjects, changes):
            subject.change(self.chance)
        orders = self._order(*self.subjects)
        for _ in range(60):
            answers = self.worker.run(*self._drawn(orders))
            self.tellers += len(answers)
            self.kills += sum(code == -signal.SIGKILL for code, _ in answers)
            faults = [code for code, _ in answers if code not in {0, -signal.SIGKILL}]
            assert not faults, f"a teller ended with {faults}"
            done = [said[0] for _, said in answers if said and not said[0].elsewhere]
            if any(one.left == 0 for one in done):
                return
            self.clock.set(self.clock.seconds() + 120)
        raise AssertionError("it could not be told")

    def _drawn(self, order: Order) -> list[Order]:
        """One teller, one that dies, or two at once."""
        drawn = self.chance.random()
        if drawn < 0.3:
            return [replace(order, kill_at=self.chance.randint(1, 24))]
        if drawn < 0.45 and self.leased:
            self.pairs += 1
            return [order, order]
        return [order]

    def _order(self, *subjects: Subject) -> Order:
        channel = self.slack.channels[CHANNEL].id
        incidents = [one.incident(self.clock()) for one in subjects if one.expected]
        notices = [Notice(one, channel, build_message(one)) for one in incidents]
        return Order(self.store, self.slack.url, self.slack.token, self.clock.path, notices, leased=self.leased)

    def told(self, subject: Subject) -> list[str]:
        """What Slack shows of a subject, in the order in which it came; wrong threads are named."""
        found = []
        parent: Message | None = None
        for message in self.slack.messages(CHANNEL):
            if f" {subject.name} " not in f"{message.text} {message.edits and message.edits[0].text} ":
                continue
            if message.thread_ts in {None, message.ts}:
                parent = message
                found.append("opened")
                continue
            right = parent is not None and message.thread_ts == parent.ts
            mark = {"🔁": "opened", "🔺": "worse", "🛠️": "fixed", "✅": "recovered"}[message.text.split()[0]]
            found.append(mark if right else f"{mark} in a wrong thread")
        return found

    def differences(self) -> list[str]:
        """Where Slack does not show what was to be told."""
        return [
            f"{one.name}: {self.told(one)} and not {one.expected}"
            for one in self.subjects
            if self.told(one) != one.expected
        ]

    @property
    def transitions(self) -> int:
        return sum(len(one.expected) for one in self.subjects)


def play(
    store: str, transitions: int, seed: int, *, leased: bool = True, history: bool = True, folder: Path
) -> tuple[Campaign, FakeSlack]:
    """Play a campaign to its end; its figures, and the Slack as it is then."""
    clock = SharedClock(folder / "clock")
    clock.set(BEGIN.timestamp())
    open_store(load_settings(store=store)).init()
    with FakeSlack(CHANNEL, now=clock.seconds) as slack, Worker() as worker:
        campaign = Campaign(store, slack, clock, worker, random.Random(seed), leased)
        campaign.round(1)  # the first message in a channel that was silent
        if not history:
            slack.scopes -= {"channels:history", "groups:history"}
        slack.chaos(random.Random(seed), 0.24, KINDS, delay=LATE_SECONDS, hang=LATE_SECONDS, retry_after=1)
        while campaign.transitions < transitions:
            campaign.round(min(5, transitions - campaign.transitions))
        slack.heal()
        slack.wait_for_late_effects()
        campaign.round(1)
        return campaign, slack


def figures(campaign: Campaign, slack: FakeSlack, seconds: float) -> str:
    faults = Counter(one.outcome for one in slack.requests if one.outcome in {fault.value for fault in Fault})
    shown = ", ".join(f"{count} {name}" for name, count in faults.most_common())
    return (
        f"{campaign.transitions:,} transitions, {len(campaign.differences())} subjects told wrongly; "
        f"{len(slack.requests):,} requests, {sum(faults.values()):,} faults ({shown}); {campaign.tellers:,} tellers, "
        f"{campaign.kills:,} killed, {campaign.pairs:,} pairs at once; {seconds:.0f} s"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--store", choices=("duckdb", "bigquery"), default="duckdb")
    parser.add_argument("--transitions", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    with TemporaryDirectory() as name:
        folder = Path(name)
        if options.store == "duckdb":
            campaign, slack = play(f"duckdb:///{folder}/audit.duckdb", options.transitions, options.seed, folder=folder)
        else:
            from emulator import PROJECT, emulator

            with emulator() as running:
                os.environ["BIGQUERY_EMULATOR_HOST"] = running.url
                # a killed teller keeps BigQuery's lease for two minutes of the clock on the wall
                campaign, slack = play(
                    f"bigquery://{PROJECT}/campaign", options.transitions, options.seed, leased=False, folder=folder
                )
    print(figures(campaign, slack, time.monotonic() - began))
    for line in campaign.differences():
        print(line)
    return 1 if campaign.differences() else 0


if __name__ == "__main__":
    import campaign  # orders are known to the worker by this module's name

    sys.exit(campaign.main())
