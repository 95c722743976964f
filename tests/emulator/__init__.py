"""A BigQuery emulator on loopback, for the tests that need one. What it cannot judge, the GoogleSQL analyzer does."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest

if TYPE_CHECKING:
    from google.cloud import bigquery

PROJECT = "test-project"
_ROOT = Path(__file__).parents[2]
_PYTHON = _ROOT / ".venv/emulator/bin/python"
_MISSING = _ROOT / ".venv/emulator.missing"


@dataclass(frozen=True)
class Emulator:
    """A running emulator: the address of its REST interface, and that of its Storage API."""

    url: str
    grpc: str

    def client(self, location: str = "US") -> "bigquery.Client":
        """A client of it. Use a dataset of its own for each test."""
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import bigquery

        return bigquery.Client(
            project=PROJECT,
            credentials=AnonymousCredentials(),
            location=location,
            client_options={"api_endpoint": self.url},
        )


def why_missing() -> str | None:
    """Why there is no emulator here; None where there is."""
    if _PYTHON.exists():
        return None
    if _MISSING.exists():
        return _MISSING.read_text(encoding="utf-8").strip()
    return "its environment is not set up: make .venv/emulator.ok"


@contextmanager
def emulator() -> Iterator[Emulator]:
    """Run an emulator. Skips where there is none, and fails where one is required."""
    if reason := why_missing():
        if os.environ.get("REQUIRE_EMULATOR"):
            pytest.fail(f"no BigQuery emulator: {reason}")
        pytest.skip(f"no BigQuery emulator: {reason}")
    port, grpc_port = _free_port(), _free_port()
    launch = [str(_PYTHON), str(Path(__file__).with_name("launch.py")), str(port), str(grpc_port), PROJECT]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    with subprocess.Popen(
        launch, env=kept, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            _wait(f"http://127.0.0.1:{port}/discovery/v1/apis/bigquery/v2/rest", process)
            yield Emulator(f"http://127.0.0.1:{port}", f"127.0.0.1:{grpc_port}")
        finally:
            process.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(url: str, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the emulator did not start: {process.communicate()[0]}")
        try:
            urlopen(url, timeout=5).close()  # noqa: S310 - our own address
        except URLError as error:
            if isinstance(error, HTTPError):
                return  # it answers
        except OSError:
            pass
        else:
            return
        time.sleep(0.05)
    raise RuntimeError("the emulator did not answer within a minute")
