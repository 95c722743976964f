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
from shop import BINDER, TEST_A, A, B, Shop, passed

from observability.config import Settings
from observability.pipeline import IngestReport, report_after
from observability.pipeline.ingestion import LoadReport, LoadStatus
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
            f" from observability.pipeline import Wanted, current_status, write_report; {asked};"
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
