"""Measures whole processes from the outside: wall time from start to end, and peak memory as the kernel counted it.

Keep the process that imports this small: Linux counts what the parent occupies when it starts a child as the child's
own peak, so whatever is heavy is done in children, and rich is imported when all is measured.
"""

import os
import subprocess
import sys
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median


class ContenderError(Exception):
    """A measured process failed, or did not do what is measured."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one process. `output` is what it printed; `cpu_seconds` are its children's too."""

    seconds: float
    peak_mb: float
    output: str
    cpu_seconds: float = 0.0


@dataclass(slots=True)
class Figure:
    """What was measured of one contender; `problem` is why nothing was."""

    seconds: list[float] = field(default_factory=list)
    peaks_mb: list[float] = field(default_factory=list)
    problem: str | None = None

    def add(self, sample: Sample) -> None:
        self.seconds.append(sample.seconds)
        self.peaks_mb.append(sample.peak_mb)

    @property
    def median(self) -> float | None:
        return median(self.seconds) if self.seconds else None

    @property
    def peak_mb(self) -> float | None:
        """The worst of all runs: memory is a limit, not a typical value."""
        return max(self.peaks_mb, default=None)


def measure(
    argv: Sequence[str], scratch: Path, settings: Mapping[str, str] | None = None, exit_codes: Container[int] = (0,)
) -> Sample:
    """Run a process to its end in `scratch`, with `settings` in its environment.

    Raises ContenderError where it does not run or its exit code is none of those.
    """
    out, err = scratch / "stdout", scratch / "stderr"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        began = time.perf_counter()
        try:
            process = subprocess.Popen(
                argv,
                cwd=scratch,
                env={**_environment(), **(settings or {})},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )
        except OSError as error:
            raise ContenderError(f"{Path(argv[0]).name} cannot be run: {error.strerror}") from error
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in exit_codes:
        raise ContenderError(f"exit code {process.returncode}: {_reason(err.read_text(errors='replace'))}")
    kilobytes = usage.ru_maxrss if sys.platform != "darwin" else usage.ru_maxrss / 1024
    printed = out.read_text(encoding="utf-8", errors="replace")
    return Sample(seconds, kilobytes * 1024 / 1e6, printed, usage.ru_utime + usage.ru_stime)


def _reason(stderr: str) -> str:
    """The last line that begins at the margin: an exception's below its traceback, a message above its details."""
    return next((line for line in reversed(stderr.splitlines()) if line[:1].strip()), "it said nothing")


def warm(folder: Path) -> None:
    """Bring a folder's files into the page cache, so that no contender pays for the disk."""
    for path in folder.iterdir():
        with path.open("rb", buffering=0) as file:
            while file.read(1 << 20):
                pass


def _environment() -> dict[str, str]:
    """Ours, without what would set up dbt-observe or dbt, or keep Python from its compiled files."""
    unwanted = ("DBT_", "PYTHON")
    return {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}


def say(text: str) -> None:
    """Tell how far it is, beside the figures."""
    print(text, file=sys.stderr, flush=True)
