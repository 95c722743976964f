"""Loaders in processes of their own, forked from one that has imported everything: they start within milliseconds.

Run as a script it is that process: a line of JSON in, `{"jobs": [[folder, store], …], "kill_after": seconds | null}`;
a line out, the exit codes of the loaders in order, negative for a signal.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self


class Loaders:
    """Forks loaders on request."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def run(self, jobs: Sequence[tuple[Path, Path]], kill_after: float | None = None) -> list[int]:
        """Start a loader for each (folder, store file) at once, kill them after a while if asked; their exit codes."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"jobs": [[str(folder), str(store)] for folder, store in jobs], "kill_after": kill_after}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        codes: list[int] = json.loads(self._process.stdout.readline())
        return codes


def load_in_child(folder: str, store: str) -> int:
    """Fork a loader."""
    from observability.config import load_settings
    from observability.pipeline.ingestion import ingest

    child = os.fork()
    if child:
        return child
    code = 1
    try:
        report = ingest([folder], load_settings(store=f"duckdb:///{store}"))
        code = 2 if report.errors else 0
    finally:
        os._exit(code)


def serve() -> None:
    """Answer requests until the end of the input."""
    # the schema judge's models take longer to import than a load takes
    import dbt_artifacts_parser.parsers.manifest.manifest_v12
    import dbt_artifacts_parser.parsers.run_results.run_results_v6  # noqa: F401
    import duckdb  # noqa: F401
    import pyarrow  # noqa: F401

    import observability.stores.duckdb  # noqa: F401

    for line in sys.stdin:
        request = json.loads(line)
        children = [load_in_child(folder, store) for folder, store in request["jobs"]]
        if request["kill_after"] is not None:
            time.sleep(request["kill_after"])
            for child in children:
                os.kill(child, signal.SIGKILL)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        sys.stdout.write(json.dumps(codes) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
