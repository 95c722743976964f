"""Counts what a load costs in requests and bytes on a BigQuery emulator, and whether earlier loads make it more.

`python benchmarks/round_trips.py`. Exit code 1 where a later load takes more requests or bytes than an earlier one. It
needs the emulator's environment: `make .venv/emulator.ok`.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import report
from generate import cached
from uuid_utils import uuid7

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from emulator import PROJECT, emulator  # noqa: E402 - the tests' own

from observability.artifacts.folder import find_files, open_folders  # noqa: E402
from observability.artifacts.reader import read_record  # noqa: E402
from observability.artifacts.step import Step  # noqa: E402
from observability.audit.build import Load, build_load  # noqa: E402
from observability.audit.invocation import BuildOptions  # noqa: E402
from observability.audit.redaction import Redaction  # noqa: E402
from observability.stores.base import commit  # noqa: E402
from observability.stores.bigquery import BigQueryStore  # noqa: E402

MODELS, TESTS, LOADS = 2_000, 3_000, 100
SHOWN = (1, 2, 10, 50, 100)
BEGIN, END = "<!-- round trips: begin -->", "<!-- round trips: end -->"


@dataclass
class Traffic:
    """Requests and the bytes that they carried."""

    requests: int = 0
    sent: int = 0


def counted(session: Any, traffic: Traffic) -> None:
    """Count what goes through a session."""
    send = session.request

    def request(method: str, url: str, data: Any = None, **kwargs: Any) -> Any:
        traffic.requests += 1
        traffic.sent += _length(data)
        return send(method, url, data=data, **kwargs)

    session.request = request


def _length(data: Any) -> int:
    if data is None:
        return 0
    return len(data.encode() if isinstance(data, str) else data)


def one_load() -> Load:
    """A `dbt build` of the generated project."""
    (folder,) = open_folders([cached(MODELS, TESTS) / "build"])
    record = read_record(find_files(folder, Step(exit_code=1), None))
    return build_load(record, BuildOptions(redaction=Redaction(("secret",))))


def again(load: Load, number: int) -> Load:
    """The same step on another day."""
    own = {"invocation_id": f"invocation-{number}", "content_hash": f"content-{number}"}
    return replace(load, load_id=str(uuid7()), invocation=msgspec.structs.replace(load.invocation, **own))


def measure() -> list[Traffic]:
    """What each load took."""
    load, made = one_load(), []
    with emulator() as running:
        client = running.client()
        BigQueryStore(PROJECT, "audit", client=client).init()
        traffic = Traffic()
        counted(client._http, traffic)
        store = BigQueryStore(PROJECT, "audit", client=client)
        for number in range(LOADS):
            traffic.requests = traffic.sent = 0
            commit(store, [again(load, number)])
            made.append(replace(traffic))
    return made


def table(made: Sequence[Traffic]) -> list[str]:
    """The figures as Markdown."""
    rows = [(f"{number:,}", str(made[number - 1].requests), f"{made[number - 1].sent / 1e6:.2f}") for number in SHOWN]
    told = f"`dbt build` of {MODELS:,} models and {TESTS:,} tests, the project's state stored by the first load:"
    return [told, "", *report.markdown(("load", "requests", "MB sent"), rows)]


def main() -> int:
    """Measure, show, and judge."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--write", action="store_true", help="put the figures into benchmarks/README.md")
    arguments = parser.parse_args()
    made = measure()
    lines = table(made)
    sys.stdout.write("\n".join(lines) + "\n")
    if arguments.write:
        report.put(lines, BEGIN, END)
    second, last = made[1], made[-1]
    return int(last.requests > second.requests or last.sent > 1.01 * second.sent)


if __name__ == "__main__":
    sys.exit(main())
