"""A child process whose signals are relayed so that dbt can write down what it has finished.

dbt flushes partial results on SIGINT and on nothing else; SIGTERM and SIGHUP kill it on the spot. So whatever asks us
to stop becomes one SIGINT to dbt, then after a grace period SIGTERM, then SIGKILL.

Where nobody is at a keyboard, the command gets a process group of its own and hears of signals from us alone. At a
terminal it stays in ours: Ctrl-C, Ctrl-Z, Ctrl-\\ and reading from the keyboard then work as without us, because the
terminal itself signals everybody in front of it, and we only stay alive.
"""

import math
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress

from observability.runner.family import find_dbt

Signals = queue.SimpleQueue[int]

_RELAYED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP)
_STAGES = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
_KILL_SECONDS = 5.0  # from SIGTERM to SIGKILL
_ONE_PRESS_SECONDS = 0.5  # one Ctrl-C can arrive twice: from the terminal and from a parent that passes it on
_LOOK_SECONDS = 1.0  # a signal that another thread caught does not wake us


def exit_status(code: int) -> int:
    """The status a shell would report: 128 + n for a process that signal n ended."""
    return 128 - code if code < 0 else code


@contextmanager
def held_signals() -> Iterator[Signals | None]:
    """Queue the signals that would end or stop us. None outside the main thread, where Python allows no handlers."""
    if threading.current_thread() is not threading.main_thread():
        yield None
        return
    signals: Signals = queue.SimpleQueue()

    def catch(signum: int, _frame: object) -> None:
        signals.put(signum)

    def drop(_signum: int, _frame: object) -> None:
        pass

    with ExitStack() as restore:
        for signum in (*_RELAYED, signal.SIGCHLD):
            ignored = signal.getsignal(signum) == signal.SIG_IGN
            if ignored and signum not in {signal.SIGINT, signal.SIGCHLD}:
                continue  # nohup stays nohup, for dbt too
            # A script's `… &` ignores Ctrl-C, and so do we. But dbt must not inherit that, or it could not be asked to
            # flush: what is handled here is at its default when dbt starts, what is ignored stays ignored.
            handler = drop if ignored and signum == signal.SIGINT else catch
            before = signal.signal(signum, handler)
            restore.callback(signal.signal, signum, signal.SIG_DFL if before is None else before)
        yield signals


def start_process(
    words: Sequence[str], environment: Mapping[str, str], signals: Signals | None, grace_seconds: float
) -> "Relay":
    """Start a command on our own stdin, stdout and stderr. Raises OSError."""
    at_terminal = _in_front_of_terminal()
    alone = signals is not None and not at_terminal
    process = subprocess.Popen(
        words,
        env=environment,
        close_fds=False,  # a shell's `<(…)` reaches dbt as an open file
        process_group=0 if alone else None,
    )
    return Relay(process, signals, alone=alone, grace_seconds=grace_seconds)


def _in_front_of_terminal() -> bool:
    try:
        return os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


class Relay:
    """Passes signals on to a process until it ends."""

    def __init__(
        self, process: subprocess.Popen[bytes], signals: Signals | None, *, alone: bool, grace_seconds: float
    ) -> None:
        self.process = process
        self.signals = signals
        self.alone = alone
        self.grace_seconds = grace_seconds
        self.stage = 0
        self.asked_at = -math.inf
        self.due: float | None = None
        self.answers: dict[int, Callable[[], None]] = {
            signal.SIGINT: self._interrupt,
            signal.SIGTERM: self._terminate,
            signal.SIGHUP: self._hang_up,
            signal.SIGQUIT: self._quit,
            signal.SIGTSTP: self._suspend,
        }

    def stop(self) -> int:
        """Ask the process to end, and wait until it has. As `wait`."""
        self._terminate()
        return self.wait()

    def wait(self) -> int:
        """The process's code, negative for a signal."""
        while (code := self.process.poll()) is None:
            left = _LOOK_SECONDS if self.due is None else self.due - time.monotonic()
            if left <= 0:
                self._escalate()
                continue
            if self.signals is None:
                with suppress(subprocess.TimeoutExpired):
                    self.process.wait(timeout=None if self.due is None else left)
                continue
            with suppress(queue.Empty):
                signum = self.signals.get(timeout=min(left, _LOOK_SECONDS))
                if signum in self.answers:  # SIGCHLD has only to wake us
                    self.answers[signum]()
        return code

    def _send(self, signum: signal.Signals) -> None:
        with suppress(OSError):  # it has just ended
            if self.alone:
                os.killpg(self.process.pid, signum)
                return
            for pid in find_dbt(self.process.pid):
                os.kill(pid, signum)
            self.process.send_signal(signum)

    def _ask(self) -> None:
        """Interrupt dbt, and nobody else if we can tell who that is."""
        found = find_dbt(self.process.pid)
        for pid in found:
            with suppress(OSError):
                os.kill(pid, signal.SIGINT)
        if not found:
            self._send(signal.SIGINT)

    def _escalate(self, *, already_sent: bool = False) -> None:
        if self.stage == len(_STAGES):
            self.due = None
            return
        signum = _STAGES[self.stage]
        self.stage += 1
        self.asked_at = time.monotonic()
        if signum == signal.SIGINT:
            if not already_sent:
                self._ask()
            return
        self._send(signum)
        if signum == signal.SIGTERM:
            self.due = self.asked_at + min(_KILL_SECONDS, self.grace_seconds)

    def _interrupt(self) -> None:
        """Ctrl-C: no deadline, whoever presses it can press again."""
        if time.monotonic() - self.asked_at >= _ONE_PRESS_SECONDS:
            self._escalate(already_sent=self.stage == 0 and not self.alone)

    def _terminate(self) -> None:
        """Repeats do not hurry dbt: `timeout` and others send SIGTERM twice, to us and to our group."""
        if self.stage == 0:
            self._escalate()
        if self.due is None:
            self.due = time.monotonic() + self.grace_seconds

    def _hang_up(self) -> None:
        if self.alone:  # else the terminal has told dbt as well
            self._terminate()

    def _quit(self) -> None:
        if self.alone:
            self._send(signal.SIGQUIT)

    def _suspend(self) -> None:
        if self.alone:
            self._send(signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)  # returns when we are continued
        if self.alone:
            self._send(signal.SIGCONT)
