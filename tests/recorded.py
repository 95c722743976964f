"""The recorded dbt runs in `fixtures/`, unpacked as dbt left them."""

import gzip
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from observability.artifacts.folder import find_files, open_folders
from observability.artifacts.reader import StepRecord, read_record
from observability.artifacts.step import Step
from observability.audit.build import Load, build_load
from observability.audit.invocation import BuildOptions
from observability.audit.redaction import Redaction

FIXTURES = Path(__file__).parent / "fixtures"
CASES = sorted(path.name for path in FIXTURES.iterdir() if path.is_dir())
OPTIONS = BuildOptions(redaction=Redaction(("token", "password", "secret", "key")))


@dataclass(frozen=True)
class Case:
    """One recorded command: its files, and what its caller knew."""

    folder: Path
    command: str
    exit_code: int
    started_at: datetime

    @property
    def step(self) -> Step:
        return Step(command=self.command, exit_code=self.exit_code)


def unpack(name: str, folder: Path) -> Case:
    """Put a case's files into a folder."""
    target = folder / name
    target.mkdir(parents=True)
    for packed in (FIXTURES / name).glob("*.gz"):
        (target / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
    told = json.loads((FIXTURES / name / "case.json").read_text(encoding="utf-8"))
    return Case(target, told["command"], told["exit_code"], datetime.fromisoformat(told["started_at"]))


def read(folder: Path, step: Step | None = None, started_after: datetime | None = None) -> StepRecord:
    """The record of one step's folder."""
    (opened,) = open_folders([folder])
    return read_record(find_files(opened, step or Step(), started_after))


def load(folder: Path, step: Step | None = None, options: BuildOptions = OPTIONS) -> Load:
    """The load of one step's folder."""
    return build_load(read(folder, step), options)
