"""The pages that loaders write: which, where, and what it costs to ask for them."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from factories import result
from pages import new_shop
from shop import BINDER, TEST_A, TEST_A2, A, B, Shop, passed

from observability.config import Settings
from observability.errors import StoreError
from observability.pipeline.ingestion import IngestReport, LoadReport, LoadStatus
from observability.pipeline.reporting import report_after
from observability.stores.base import Reader, open_store


class Counting:
    """A store that counts what it is asked."""

    def __init__(self, settings: Settings) -> None:
        self._store = open_store(settings)
        self.asked = 0

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        with self._store.reading() as reader:
            yield Counted(reader, self)


class Counted:
    """Its reader."""

    def __init__(self, reader: Reader, counts: Counting) -> None:
        self._reader, self._counts = reader, counts
        self.dialect = reader.dialect

    def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> pa.Table:
        self._counts.asked += 1
        return self._reader.query(sql, parameters)


@pytest.fixture
def told(tmp_path: Path) -> Shop:
    told = new_shop(tmp_path)
    told.settings = told.settings.model_copy(
        update={"report": told.settings.report.model_copy(update={"to": str(tmp_path / "pages")})}
    )
    return told


def loaded(*invocations: int) -> Any:
    loads = tuple(
        LoadReport(
            status=LoadStatus.LOADED,
            folder="",
            invocation_id=f"00000000-0000-4000-8000-{number:012}",
        )
        for number in invocations
    )
    return IngestReport(loads, ())


def pages(told: Shop) -> list[str]:
    return sorted(path.stem.rpartition("-")[2].lstrip("0") for path in (told.folder / "pages").glob("0*.html"))


def test_however_many_loads_a_run_has_it_is_asked_for_once(told: Shop) -> None:
    for number in range(6):
        told.step("run", *passed(A), dag_run="r", task_id=f"t{number}")
    one, all_of_them = Counting(told.settings), Counting(told.settings)
    assert report_after(told.settings, loaded(30), one) == []  # type: ignore[arg-type]
    assert report_after(told.settings, loaded(5, 10, 15, 20, 25, 30), all_of_them) == []  # type: ignore[arg-type]
    assert one.asked == all_of_them.asked <= 20
    assert pages(told) == ["30"], "nobody links to what ended well"


def test_neither_the_page_nor_what_is_wrong_waits_for_what_it_does_not_need(told: Shop) -> None:
    told.step("run", result(A, "error", message=BINDER), dag_run="r", exit_code=1)
    store = told.settings.store
    for asked in (
        f"write_report(load_settings(store={store!r}), Wanted(), out={str(told.folder / 'page.html')!r})",
        f"current_status(load_settings(store={store!r}))",
    ):
        code = (
            "import sys; from observability.config import load_settings;"
            f" from observability.pipeline.questions import current_status;"
            f" from observability.pipeline.reporting import Wanted, write_report; {asked};"
            " print(sorted({'sqlglot', 'pyarrow.compute', 'pandas', 'slack_sdk', 'google.cloud'} & sys.modules.keys()))"
        )
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert (ran.stdout, ran.stderr) == ("[]\n", "")


def test_a_page_lies_where_messages_may_link_it_and_is_kept_up_to_date(told: Shop) -> None:
    told.step("run", result(A, "error", message=BINDER), dag_run="r", exit_code=1)
    assert report_after(told.settings, loaded(5)) == []
    told.step("test", *passed(B), dag_run="r")
    assert report_after(told.settings, loaded(10)) == []
    assert pages(told) == ["10", "5"]
    texts = {(told.folder / "pages" / f"00000000-0000-4000-8000-{number:012}.html").read_bytes() for number in (5, 10)}
    assert len(texts) == 1, "the page of the step that failed knows of the steps after it"
    index = (told.folder / "pages" / "index.html").read_text(encoding="utf-8")
    assert index.count("<a href=") == 1, "a run has one line"


def runs(told: Shop) -> list[str]:
    """The column Run of the index."""
    index = (told.folder / "pages" / "index.html").read_text(encoding="utf-8")
    return re.findall(r'<td class="name">([^<]*)</td></tr>', index)


def test_the_index_has_a_line_for_each_run_however_runs_are_called(told: Shop) -> None:
    long = "r" * 300
    for dag_run in ("scheduled__1", f"{long}1", f"{long}2"):
        for dag in ("daily", "hourly"):
            told.step("run", *passed(A), dag_run=dag_run, dag_id=dag)
    told.step("run", *passed(A))
    told.step("test", *passed(TEST_A), dag_run="scheduled__1", dag_id="daily")
    assert report_after(told.settings, loaded(5, 10, 15, 20, 25, 30, 35)) == []
    assert report_after(told.settings, loaded(40)) == []
    short = [f"{dag}/{'r' * (99 - len(dag) - 1)}…" for dag in ("hourly", "daily")]
    assert runs(told) == ["dbt run", *short, *short, "hourly/scheduled__1", "daily/scheduled__1"]


class Stumbling(Counting):
    """A store that fails where it is asked of a certain run, or is interrupted there."""

    def __init__(self, settings: Settings, run: str, fault: BaseException) -> None:
        super().__init__(settings)
        self.run, self.fault = run, fault

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        with super().reading() as reader:
            yield Tripped(reader, self)


class Tripped(Counted):
    """Its reader."""

    def __init__(self, reader: Reader, counts: Stumbling) -> None:
        super().__init__(reader, counts)
        self._run, self._fault = counts.run, counts.fault

    def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> pa.Table:
        if (parameters or {}).get("run") == self._run:
            raise self._fault
        return super().query(sql, parameters)


def three_runs(told: Shop) -> None:
    for day in ("monday", "tuesday", "wednesday"):
        told.step("run", *passed(A), dag_run=day)


def test_a_page_that_cannot_be_made_costs_no_other(told: Shop) -> None:
    three_runs(told)
    (problem,) = report_after(
        told.settings,
        loaded(5, 10, 15),
        Stumbling(told.settings, "daily/tuesday", StoreError("it is gone")),  # type: ignore[arg-type]
    )
    assert problem == (
        "it is gone\n"
        f"  next:  write it with: dbt-observe report --index {told.folder / 'pages'}"
        " --invocation 00000000-0000-4000-8000-000000000010"
    )
    assert (pages(told), runs(told)) == (["15", "5"], ["daily/wednesday", "daily/monday"])


def test_what_was_written_before_an_interruption_is_listed(told: Shop) -> None:
    three_runs(told)
    stumbling: Any = Stumbling(told.settings, "daily/tuesday", KeyboardInterrupt())
    (problem,) = report_after(told.settings, loaded(5, 10, 15), stumbling)
    assert problem.startswith("writing the triage pages was interrupted\n  next:  write it with: dbt-observe report")
    assert (pages(told), runs(told)) == (["15"], ["daily/wednesday"])


def test_of_many_runs_the_newest_have_their_page_and_the_others_are_told(told: Shop) -> None:
    for number in range(23):
        told.step("run", *passed(A), dag_run=f"r{number:02}")
    (problem,) = report_after(told.settings, loaded(*range(5, 120, 5)))
    ids = ", ".join(f"00000000-0000-4000-8000-{number:012}" for number in (15, 10, 5))
    assert problem == (
        "of 23 runs the newest 20 have their page\n"
        f"  next:  write each with: dbt-observe report --index {told.folder / 'pages'} --invocation ID,"
        f" where ID is one of {ids}"
    )
    assert runs(told) == [f"daily/r{number:02}" for number in range(22, 2, -1)]


def test_pages_that_are_missing_for_one_reason_are_told_of_together(told: Shop) -> None:
    three_runs(told)
    (told.folder / "pages").write_text("a file is in the way", encoding="utf-8")
    (problem,) = report_after(told.settings, loaded(5, 10, 15))
    assert problem.startswith("the page cannot be written: ")
    ids = ", ".join(f"00000000-0000-4000-8000-{number:012}" for number in (15, 10, 5))
    assert problem.endswith(f"--invocation ID, where ID is one of {ids}")


def test_a_page_lies_under_no_step_that_no_message_links(told: Shop) -> None:
    told.step("run", result(A, "error"), dag_run="r", will_retry=True, try_number=1, exit_code=1)
    told.step("run", result(A, "error", message=BINDER), dag_run="r", try_number=2, exit_code=1)
    told.step("run", result(B, "error", message=BINDER), dag_run="r", task_id="other", exit_code=1)
    told.step("test", *passed(TEST_A2), dag_run="r", task_id="last")
    assert report_after(told.settings, loaded(5, 10, 15, 20)) == []
    assert [one.invocation_id for one in told.incidents()] == ["00000000-0000-4000-8000-000000000010"]
    assert pages(told) == ["10", "20"], "neither a try that was repeated nor what fails below the cause"


def test_the_page_of_an_earlier_run_is_not_written_over_by_that_of_a_later_one(told: Shop) -> None:
    told.step("run", result(A, "error", message=BINDER), dag_run="monday", exit_code=1)
    told.step("run", *passed(B), dag_run="tuesday")
    assert report_after(told.settings, loaded(10)) == []
    assert pages(told) == ["10"], "the incident is linked to monday's page"
