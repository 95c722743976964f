"""The sides of the comparison with Elementary: the same project under dbt alone, `dbt-observe run`, and Elementary."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import runnable_project
from measure import ContenderError, Sample, measure

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
DBT, OBSERVE = str(BIN / "dbt"), str(BIN / "dbt-observe")
EDR_BIN = ROOT / ".venv" / "elementary" / "bin"
EDR = str(EDR_BIN / "edr")
QUIET = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
MORNING = {**QUIET, runnable_project.BROKEN: "1"}
"""What is measured: two models fail, and so do some tests."""
DBT_FAILED = (0, 1)
PACKAGE = "elementary"


@dataclass(frozen=True, slots=True)
class Step:
    """A dbt command, and what the results of the project's own nodes have to come to, by status."""

    arguments: tuple[str, ...]
    statuses: Mapping[str, int] | None = None


@dataclass
class Side:
    """A copy of the project and how dbt is run in it. This one: dbt alone."""

    folder: Path
    label = "dbt alone"

    @property
    def warehouse(self) -> Path:
        return self.folder / "warehouse.duckdb"

    @property
    def keeps(self) -> Path:
        """The database that what was observed is kept in."""
        return self.warehouse

    def dbt(self, step: Step) -> Sample:
        """Run dbt, and hold its results against what they have to be. Raises ContenderError."""
        sample = measure(self.command(step), self.folder, MORNING, DBT_FAILED)
        found = Counter(
            result["status"]
            for result in json.loads((self.folder / "target" / "run_results.json").read_bytes())["results"]
            if result["unique_id"].split(".")[1] == runnable_project.NAME
        )
        if step.statuses is not None and found != Counter(step.statuses):
            raise ContenderError(f"{' '.join(step.arguments)} came to {dict(found)}, not to {dict(step.statuses)}")
        return sample

    def command(self, step: Step) -> Sequence[str]:
        return (DBT, *step.arguments)

    def prepare(self) -> None:
        """Whatever is done once, before the first dbt step that is observed."""

    def alert(self, scratch: Path, webhook: str) -> Sample:  # noqa: ARG002 - as those who do
        """Tell Slack by a webhook. Raises ContenderError."""
        raise ContenderError(f"{self.label} tells nobody")

    def report(self, scratch: Path, page: Path) -> Sample:  # noqa: ARG002 - as those who do
        """Write a report to a file. Raises ContenderError."""
        raise ContenderError(f"{self.label} writes no report")


class Observed(Side):
    """dbt under `dbt-observe run`, with a DuckDB audit store beside the project."""

    label = "dbt-observe"

    @property
    def keeps(self) -> Path:
        return self.folder / "audit.duckdb"

    @property
    def store(self) -> dict[str, str]:
        return {"DBT_OBSERVE_STORE": f"duckdb:///{self.keeps}"}

    def command(self, step: Step) -> Sequence[str]:
        return (OBSERVE, "run", "--store", f"duckdb:///{self.keeps}", "--", DBT, *step.arguments)

    def dbt(self, step: Step) -> Sample:
        """Run dbt; its results are stored, or it does not count."""
        sample = super().dbt(step)
        said = (self.folder / "stderr").read_text(encoding="utf-8")
        if "run_results stored in" not in said:
            raise ContenderError(f"dbt-observe stored nothing: {said.strip()}")
        return sample

    def alert(self, scratch: Path, webhook: str) -> Sample:
        return measure((OBSERVE, "alert"), scratch, {**self.store, "DBT_OBSERVE_SLACK__WEBHOOK_URL": webhook})

    def alert_as_bot(self, scratch: Path, settings: Mapping[str, str]) -> Sample:
        """The same as a Slack app, whose messages can be edited and have threads."""
        return measure((OBSERVE, "alert"), scratch, {**self.store, **settings})

    def report(self, scratch: Path, page: Path) -> Sample:
        return measure((OBSERVE, "report", "latest", "--out", str(page)), scratch, self.store)


class Elementary(Side):
    """dbt with Elementary's package, whose hook writes into the warehouse, and Elementary's command line `edr`."""

    label = "Elementary"

    def prepare(self) -> None:
        """Add the package and build its own models, as its guide says."""
        _add_package(self.folder)
        measure((DBT, "run", "--select", PACKAGE), self.folder, QUIET)

    def _edr(self, scratch: Path, *arguments: str) -> Sample:
        config = scratch / "edr"
        config.mkdir(exist_ok=True)
        # Neither usage statistics nor a look for a newer version: there may be no network.
        (config / "config.yml").write_text(
            "anonymous_usage_tracking: false\ndisable_elementary_version_check: true\n", encoding="utf-8"
        )
        path = f"{EDR_BIN}{os.pathsep}{os.environ['PATH']}"
        places = (
            "--profiles-dir",
            str(self.folder),
            "--config-dir",
            str(config),
            "--target-path",
            str(scratch / "out"),
        )
        return measure((EDR, *arguments, *places), scratch, {**QUIET, "PATH": path})

    def alert(self, scratch: Path, webhook: str) -> Sample:
        return self._edr(scratch, "monitor", "--slack-webhook", webhook)

    def report(self, scratch: Path, page: Path) -> Sample:
        return self._edr(scratch, "report", "--file-path", str(page), "--open-browser", "false")


def fetch_package(packages: Path | None) -> str:
    """Give edr the dbt package that it asks for; its version. Raises ContenderError where it is not to be had.

    `packages` is a dbt_packages folder with elementary and dbt_utils in it; without one, `dbt deps` fetches them.
    """
    if not Path(EDR).exists():
        raise ContenderError("there is no edr: make .venv/elementary.ok")
    inner = _edr_project()
    installed = inner / "dbt_packages"
    if packages is not None:
        shutil.copytree(packages, installed, dirs_exist_ok=True)
    elif not (installed / PACKAGE / "dbt_project.yml").exists():
        _dbt_deps(inner)
    if not (installed / PACKAGE / "dbt_project.yml").exists():
        raise ContenderError(f"there is no {PACKAGE} in {packages or installed}")
    wanted = _version(inner / "packages.yml", f"package: elementary-data/{PACKAGE}")
    found = _version(installed / PACKAGE / "dbt_project.yml", "name:")
    if found != wanted:
        raise ContenderError(f"edr asks for {wanted} of Elementary's package, found is {found}")
    return found


def edr_version() -> str:
    """Which edr there is, if any."""
    found = list(EDR_BIN.parent.glob("lib/python3*/site-packages/elementary_data-*.dist-info"))
    return found[0].name.removesuffix(".dist-info").partition("-")[2] if found else "not there"


def _edr_project() -> Path:
    """The dbt project within edr."""
    (inner,) = EDR_BIN.parent.glob("lib/python3*/site-packages/elementary/monitor/dbt_project")
    return inner


def _add_package(project: Path) -> None:
    """Put edr's copy of the package into a project, as `dbt deps` does."""
    installed = _edr_project() / "dbt_packages"
    found = _version(installed / PACKAGE / "dbt_project.yml", "name:")
    (project / "packages.yml").write_text(
        f"packages:\n  - package: elementary-data/{PACKAGE}\n    version: {found}\n", encoding="utf-8"
    )
    shutil.copytree(installed / PACKAGE, project / "dbt_packages" / PACKAGE)
    own = installed / PACKAGE / "packages.yml"
    if own.exists() and "dbt_utils" in own.read_text(encoding="utf-8"):
        shutil.copytree(installed / "dbt_utils", project / "dbt_packages" / "dbt_utils")


def _dbt_deps(project: Path) -> None:
    argv = (str(EDR_BIN / "dbt"), "deps", "--project-dir", str(project), "--log-path", str(project / "logs"))
    unreached = ContenderError("dbt deps does not reach the hub of dbt's packages")
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=120, env={**os.environ, **QUIET}, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise unreached from error
    if "ConnectionError" in done.stdout:
        raise unreached
    if done.returncode != 0:
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        raise ContenderError(f"dbt deps fails: {lines[-1].strip() if lines else done.stderr.strip()}")


def _version(page: Path, below: str) -> str:
    """The version that a YAML file gives in the line after another."""
    lines = page.read_text(encoding="utf-8").splitlines()
    for line, after in pairwise(lines):
        if line.strip(" -").startswith(below) and "version:" in after:
            return after.partition(":")[2].strip().strip("\"'")
    raise ContenderError(f"{page} names no version below {below}")
