"""Every command of README, the how-to pages and CONTRIBUTING: run as it stands there, or listed as one that cannot be.

A page is followed from its beginning in a folder of its own, a section in a shell of its own. The folder holds what a
reader has: a dbt project, what a dbt step left, kept artifacts, Greenery, and an audit store in which something is
broken. Commands of ours run in this process, `dbt-observe run` and the shell's own as processes.
"""

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from emulator import PROJECT, Emulator
from factories import manifest, node, result
from fake_slack import FakeSlack
from pages import Recent
from recorded import unpack
from typer.testing import CliRunner

from observability.cli import app
from observability.config import Settings
from observability.pipeline.ingestion import ingest

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md"]
STORE = "duckdb:///.dbt_observe/audit.duckdb"

SUBSTITUTES = {
    "xoxb-…": "{token}",
    "C0123456789": "{channel}",
    "bigquery://PROJECT/DATASET?location=EU": f"bigquery://{PROJECT}/by_the_docs?location=EU",
    "gs://shop-artifacts": "file://{folder}/bucket",
    "$?": "1",
}
"""What stands in a page, and what it is here: the fake Slack, the BigQuery emulator, a folder, a step that failed."""

NOT_RUN = {
    "pip install .": "tests/test_image.py and every environment of the Makefile install it",
    "pip install '.[airflow]'": "the environment of tests/on_airflow is that",
    "python -m venv /opt/dbt && /opt/dbt/bin/pip install dbt-core dbt-bigquery": ".venv/dbt-bigquery is that",
    "make demo": "tests/looker/test_numbers.py plays its mornings",
    "make .venv/dev.ok": "who runs this has it",
    "make test": "this is a part of it",
    "make test-all": "so is it of that",
    "make e2e": "takes two minutes and 2 GB",
    ".venv/dev/bin/pytest -q -n 0 tests/alerts/test_routing.py": "a test that runs tests",
    ".venv/dev/bin/pytest -q -n 0 tests -k two_tellers": "a test that runs tests",
    ".venv/airflow/bin/pytest -q -n 0 tests/on_airflow/test_steps.py": "a test that runs tests",
}
"""Lines that are not run here, and who does it, or why nobody does."""

EXIT_CODES = {
    "dbt-observe run -- dbt build --select stg_promos+": 1,  # dbt's: there is no raw table
    "dbt-observe doctor": 1,  # nobody has set Slack up
}
"""What does not end with 0, as its page says."""

SHELL = ("cp", "find", "flock", "mkdir")
"""Commands of the shell that pages use."""


DBT_PROJECT = {
    "dbt_project.yml": "name: shop\nprofile: shop\n",
    "profiles.yml": "shop: {target: dev, outputs: {dev: {type: duckdb, path: shop.duckdb, threads: 2}}}\n",
    "models/orders.sql": "select 1 as order_id\n",
}
"""The least that dbt builds."""


@dataclass(frozen=True)
class Line:
    """One command of a page."""

    section: str
    text: str


def lines_of(page: Path) -> list[Line]:
    """The commands of a page, without their comments, each with the heading that it stands under."""
    found, section = [], ""
    parts = re.split(r"^ *```console\n(.*?)^ *```$", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for number, part in enumerate(parts):
        if number % 2:
            words = (shlex.split(line, comments=True, posix=False) for line in part.splitlines())
            found += [Line(section, " ".join(each)) for each in words if each]
        else:
            section = [section, *re.findall(r"^## (.+)$", part, re.MULTILINE)][-1]
    return found


ALL = {page: lines_of(page) for page in PAGES}


@dataclass
class Reader:
    """Somebody who follows a page."""

    folder: Path
    substitutes: Mapping[str, str]
    world: Mapping[str, str]
    """Variables that each shell begins with."""
    environment: dict[str, str] = field(default_factory=dict)
    section: str = ""

    def follow(self, line: Line) -> None:
        """Run a line, and hold it against what its page says."""
        if line.section != self.section:
            self.environment, self.section = dict(self.world), line.section
        text = line.text
        for said, meant in self.substitutes.items():
            text = text.replace(said, meant)
        words = [self._expanded(word) for word in shlex.split(text)]
        if words[0] == "export":
            self.environment |= dict(word.split("=", 1) for word in words[1:])
            return
        to = words[words.index(">") + 1 :] if ">" in words else []
        words = words[: words.index(">")] if to else words
        code, output = self._run(words)
        assert code == EXIT_CODES.get(line.text, 0), f"{line.text} ended with {code}:\n{output}"
        for option in ("--out", "--preview", "--index"):
            if option in words:
                assert (self.folder / words[words.index(option) + 1]).exists(), line.text
        for file in to:
            (self.folder / file).write_text(output, encoding="utf-8")

    def _expanded(self, word: str) -> str:
        return re.sub(r"\$(\w+)", lambda found: self.environment[found[1]], word)

    def _run(self, words: list[str]) -> tuple[int, str]:
        if words[:2] == ["dbt-observe", "run"] or words[0] in SHELL:
            done = subprocess.run(
                words, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
            )
            return done.returncode, done.stdout + done.stderr
        assert words[0] == "dbt-observe", f"neither run nor listed: {shlex.join(words)}"
        with contextlib.chdir(self.folder), only(self.environment):
            ran = CliRunner().invoke(app, words[1:], prog_name="dbt-observe")
        if ran.exception and not isinstance(ran.exception, SystemExit):
            raise ran.exception
        return ran.exit_code, ran.output


@contextlib.contextmanager
def only(environment: Mapping[str, str]) -> Iterator[None]:
    """Have these environment variables and no others."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="module")
def audit_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which a staging model fails and a mart waits for it."""
    folder = tmp_path_factory.mktemp("audit")
    promos, orders = "model.shop.stg_promos", "model.shop.fct_orders"
    graph = manifest(
        node(promos), node(orders, [promos]), node("exposure.shop.weekly", [orders], owner={"name": "Ann"}, type="x")
    )
    steps = Recent(folder / "steps")
    failed = [result(promos, "error", message="Binder Error: no such column"), result(orders, "skipped")]
    places = [
        steps.step(*failed, graph=graph, exit_code=1, dag_id="daily", dag_run_id="morning_3", task_id="run"),
        steps.step(result(promos, "error"), graph=graph, exit_code=1),
    ]
    for place in places:  # as triage.md names one
        for file in place.iterdir():
            text = file.read_text(encoding="utf-8").replace("00000002-0000-4000", "5f1c3e0a-0000-4000")
            file.write_text(text, encoding="utf-8")
    report = ingest(places, Settings(store=f"duckdb:///{folder}/audit.duckdb"))
    assert (len(report.loads), report.errors) == (2, ())
    return folder / "audit.duckdb"


@pytest.fixture
def folder(tmp_path: Path, audit_file: Path) -> Path:
    """What a reader has."""
    for name, text in DBT_PROJECT.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    ignored = shutil.ignore_patterns("target", "logs", ".user.yml")
    shutil.copytree(ROOT / "dbt" / "greenery", tmp_path / "dbt" / "greenery", ignore=ignored)
    for case, place in (("build_test_failures", "target"), ("run_ok", "archive/1"), ("test_mixed", "archive/2")):
        shutil.copytree(unpack(case, tmp_path / "unpacked").folder, tmp_path / place)
    for place in (".demo", ".dbt_observe"):
        (tmp_path / place).mkdir()
        shutil.copyfile(audit_file, tmp_path / place / "audit.duckdb")
    return tmp_path


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack("alerts") as running:
        yield running


def needs_bigquery(page: Path) -> bool:
    return any("bigquery://PROJECT" in line.text for line in ALL[page])


@pytest.mark.parametrize("page", [page for page in PAGES if ALL[page]], ids=lambda page: page.name)
def test_the_commands_of_a_page_do_what_it_says(
    page: Path, folder: Path, slack: FakeSlack, request: pytest.FixtureRequest
) -> None:
    world = {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "PWD": str(folder),
        "DBT_OBSERVE_STORE": STORE,
        "DBT_OBSERVE_SLACK__BASE_URL": slack.url,
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    if needs_bigquery(page):
        emulator: Emulator = request.getfixturevalue("bigquery_emulator")
        world["BIGQUERY_EMULATOR_HOST"] = emulator.url
    here = {"token": slack.token, "channel": slack.channels["alerts"].id, "folder": str(folder)}
    reader = Reader(folder, {said: meant.format(**here) for said, meant in SUBSTITUTES.items()}, world)
    for line in ALL[page]:
        if line.text.replace('"', "") not in NOT_RUN:
            reader.follow(line)


def test_the_tables_of_this_test_hold_nothing_that_no_page_says() -> None:
    said = [line.text for lines in ALL.values() for line in lines]
    assert [text for text in SUBSTITUTES if not any(text in line for line in said)] == []
    assert set(EXIT_CODES) <= set(said)
    assert set(NOT_RUN) <= {line.replace('"', "") for line in said}


@pytest.mark.parametrize("line", [line for line in NOT_RUN if line.startswith("make ") or "/pytest" in line])
def test_what_is_not_run_names_what_is_there(line: str) -> None:
    target = line.removeprefix("make ")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    if target.startswith(".venv/"):
        for path in re.findall(r"\btests[\w/.]*", line):
            assert (ROOT / path).exists()
    else:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_a_command_that_fails_or_is_unknown_is_noticed(folder: Path) -> None:
    reader = Reader(folder, {}, {"PATH": os.environ["PATH"], "DBT_OBSERVE_STORE": STORE})
    with pytest.raises(AssertionError, match="ended with 2"):
        reader.follow(Line("", "dbt-observe query nothing"))
    with pytest.raises(AssertionError, match="neither run nor listed"):
        reader.follow(Line("", "wget something"))
