"""Writes what the dbt steps of one day leave behind, each into the folder where the Airflow loader would find it.

Every result is made from the one that `generate.py` recorded of the same node: at another time, by another job, with
the day's outcome.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from history import Faults, Json, day_of, of_type, seeded

from observability.artifacts.step import FILE_NAME, Step, write_step

DAG = "harbor_daily"
STARTS = {"source freshness": time(4, 0), "snapshot": time(4, 5), "run": time(4, 10), "test": time(4, 30)}
"""The steps of a day, and when each begins."""

_SCHEMAS = "https://schemas.getdbt.com/dbt"
_NOT_RUN: Json = {"timing": [], "execution_time": 0, "adapter_response": {}, "message": None, "failures": None}


@dataclass
class Recorded:
    """The files of `generate.py`, decoded."""

    manifest: Json
    build: Json
    sources: Json
    results: dict[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.results = {result["unique_id"]: result for result in self.build["results"]}
        well = (result for result in self.build["results"] if result["status"] in {"success", "pass"})
        self._typical = {result["unique_id"].partition(".")[0]: result for result in well}

    def result(self, unique_id: str) -> Json:
        """The recorded result of a node; of one that came later or did not run then, another's of its type."""
        result = self.results.get(unique_id)
        if result is None or not result["timing"] or not result["adapter_response"]:
            result = {**self._typical[unique_id.partition(".")[0]], "unique_id": unique_id}
        return result


def read_recorded(project: Path) -> Recorded:
    """Read what `generate.py` wrote into a folder."""

    def read(*path: str) -> Any:
        return msgspec.json.decode(project.joinpath(*path).read_bytes())

    return Recorded(
        read("build", "manifest.json"), read("build", "run_results.json"), read("source_freshness", "sources.json")
    )


def manifest_body(manifest: Json) -> bytes:
    """A manifest's text after its metadata, which alone differs from step to step."""
    return msgspec.json.encode({name: section for name, section in manifest.items() if name != "metadata"})[1:]


@dataclass(frozen=True)
class Day:
    """One day: the project as it is then, and what is bad."""

    number: int
    recorded: Recorded
    state: Json
    body: bytes
    faults: Faults

    def write(self, folder: Path) -> None:
        """Write all of its steps below a folder."""
        for command in STARTS:
            self._write_step(command, folder)

    def _write_step(self, command: str, folder: Path) -> None:
        began = datetime.combine(day_of(self.number), STARTS[command], UTC)
        logical_date = datetime.combine(began.date(), time(4), UTC)
        run_id, task = f"scheduled__{logical_date.isoformat()}", command.replace(" ", "_")
        results = self._freshness(began) if command == "source freshness" else self._run(command, began)
        ended = began + timedelta(seconds=results["elapsed_time"] + 1)
        metadata = {
            "dbt_version": self.recorded.build["metadata"]["dbt_version"],
            "generated_at": _timestamp(ended),
            "invocation_id": _uuid(seeded("invocation", self.number, command)),
            "invocation_started_at": _timestamp(began),
            "env": self.recorded.build["metadata"]["env"],
        }
        target = folder / DAG / run_id / task / "-1" / "1"
        target.mkdir(parents=True)
        name, kind = ("sources", "sources/v3") if "freshness" in command else ("run_results", "run-results/v6")
        results = {"metadata": {"dbt_schema_version": f"{_SCHEMAS}/{kind}.json", **metadata}, **results}
        (target / f"{name}.json").write_bytes(msgspec.json.encode(results))
        stamp = msgspec.json.encode(self.recorded.manifest["metadata"] | metadata)
        (target / "manifest.json").write_bytes(b'{"metadata":' + stamp + b"," + self.body)
        step = Step(
            command=f"dbt {command} --target prod",
            exit_code=int(any(result["status"] in {"error", "fail"} for result in results["results"])),
            started_at=began,
            completed_at=ended,
            git_sha=sha256(self.body).hexdigest()[:40],
            git_branch="main",
            dag_id=DAG,
            dag_run_id=run_id,
            task_id=task,
            map_index=-1,
            try_number=1,
            max_tries=2,
            logical_date=logical_date,
            log_url=f"https://airflow.harbor.example/dags/{DAG}/runs/{run_id}/tasks/{task}",
        )
        write_step(step, target / FILE_NAME)

    def _freshness(self, began: datetime) -> Json:
        rng = seeded("freshness", self.number)
        results = []
        for number, recorded in enumerate(self.recorded.sources["results"]):
            is_stale = recorded["unique_id"] in self.faults.sources
            hours = recorded["criteria"]["warn_after"]["count"] * (rng.uniform(1.1, 1.9) if is_stale else rng.random())
            asked = began + timedelta(seconds=3 + number / 4)
            results.append(
                {
                    **recorded,
                    "status": "warn" if is_stale else "pass",
                    "max_loaded_at": (asked - timedelta(hours=hours)).isoformat(),
                    "snapshotted_at": asked.isoformat(),
                    "max_loaded_at_time_ago_in_s": round(hours * 3600, 6),
                    "adapter_response": _job(rng, recorded["adapter_response"]),
                    "timing": _timing(asked, 0.0002, recorded["execution_time"]),
                }
            )
        return {"results": results, "elapsed_time": 5 + len(results) / 4}

    def _run(self, command: str, began: datetime) -> Json:
        rng = seeded(command, self.number)
        args = self.recorded.build["args"] | {
            "which": command,
            "invocation_command": f"dbt {command} --target prod",
            "vars": {"run_date": f"{began:%Y-%m-%d}"},
        }
        results = [self._result(rng, node, status, began) for node, status in self._statuses(command).items()]
        return {"results": results, "elapsed_time": self.recorded.build["elapsed_time"], "args": args}

    def _statuses(self, command: str) -> Mapping[str, str]:
        """dbt's status of each node that the command runs."""
        if command == "snapshot":
            return dict.fromkeys(of_type(self.state, "snapshot"), "success")
        if command == "run":
            bad = dict.fromkeys(self.faults.models, "error") | dict.fromkeys(self.faults.skipped, "skipped")
            return {model: bad.get(model, "success") for model in of_type(self.state, "model")}
        severity = {test: self.state["nodes"][test]["config"]["severity"].lower() for test in self.faults.tests}
        bad = {test: "warn" if severity[test] == "warn" else "fail" for test in severity}
        return {test: bad.get(test, "pass") for test in (*of_type(self.state, "test"), *self.state["unit_tests"])}

    def _result(self, rng: random.Random, unique_id: str, status: str, began: datetime) -> Json:
        recorded = self.recorded.result(unique_id)
        if status == "skipped":
            return recorded | _NOT_RUN | {"status": status, "compiled": False, "compiled_code": None}
        response = recorded["adapter_response"]
        message, failures = response.get("_message") if status == "success" else None, None
        if status in {"fail", "warn"}:
            failures = 1 + round(rng.lognormvariate(2.5, 2))
            message = f"Got {failures} results, configured to {status} if != 0"
        elif status == "error":
            reason = f"Unrecognized name: amount_{rng.randint(1, 9)} at [{rng.randint(12, 140)}:9]"
            message = f"Database Error in model {unique_id.split('.')[2]}\n  {reason}"
        seconds = self._seconds(rng, recorded)
        start = began + timedelta(seconds=3 + rng.random() * self.recorded.build["elapsed_time"] * 0.9)
        return recorded | {
            "status": status,
            "timing": _timing(start, 0.03, seconds),
            "execution_time": seconds + 0.03,
            "adapter_response": {} if status == "error" else _job(rng, response),
            "message": message,
            "failures": 0 if status == "pass" else failures,
        }

    def _seconds(self, rng: random.Random, recorded: Json) -> float:
        """About as long as recorded; a few nodes get slower from day to day, and now and then one takes far longer."""
        slower = 1 + self.number / 50 if sha256(recorded["unique_id"].encode()).digest()[0] < 3 else 1
        outlier = 4 if rng.random() < 0.002 else 1
        return float(recorded["execution_time"] * slower * outlier * rng.lognormvariate(0, 0.2))


def _job(rng: random.Random, response: Json) -> Json:
    """Another job that did about the same."""
    if "job_id" not in response:
        return response
    size = rng.lognormvariate(0, 0.1)
    measured = {name: round(response[name] * size) for name in ("bytes_processed", "bytes_billed", "slot_ms")}
    return response | measured | {"job_id": _uuid(rng)}


def _timing(start: datetime, compiling: float, executing: float) -> list[Json]:
    compiled = start + timedelta(seconds=compiling)
    return [
        {"name": "compile", "started_at": _timestamp(start), "completed_at": _timestamp(compiled)},
        {
            "name": "execute",
            "started_at": _timestamp(compiled),
            "completed_at": _timestamp(compiled + timedelta(seconds=executing)),
        },
    ]


def _timestamp(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _uuid(rng: random.Random) -> str:
    return str(UUID(int=rng.getrandbits(128), version=4))
