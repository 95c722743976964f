"""What the triage page says of a run."""

import base64
import gzip
import json
import re
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from factories import manifest, node, result
from pages import late, new_shop, page_of
from shop import BINDER, ORDERS, TEST_A, TEST_A2, TEST_C, A, B, C, Shop, failed_run, passed, shop

from observability.errors import ConfigError


@pytest.fixture
def told(tmp_path: Path) -> Shop:
    return new_shop(tmp_path)


def bad_morning(told: Shop) -> None:
    told.step("run", *passed(A, B, C), dag_run="monday")
    told.step("test", *passed(TEST_A, TEST_A2, TEST_C), dag_run="monday")
    told.step("source freshness", late(), dag_run="tuesday")
    told.step(
        "run",
        result(A, "error", message=BINDER, compiled_code="select x from raw.orders"),
        result(B, "skipped"),
        result(C, "skipped"),
        dag_run="tuesday",
        exit_code=1,
        graph=shop(critical=True),
    )


def test_it_says_what_is_broken_why_whom_it_hurts_and_what_to_do(told: Shop) -> None:
    bad_morning(told)
    page = page_of(told)
    assert page.title == "shop · default · tuesday"
    assert (page.verdict.tone, page.verdict.text, page.verdict.detail) == (
        "bad",
        "1 cause of failure, 2 exposures at risk, 1 of them critical.",
        "Model stg_a failed. Also 1 warning.",
    )
    (cause,) = page.causes
    assert (cause.severity, cause.headline) == ("critical", "model stg_a failed")
    assert dict(cause.lines)["Why"] == 'Binder Error: column "x" not found'
    assert (cause.command, cause.blocked, cause.past) == ("dbt build --select stg_a+", ("fct_c", "int_b"), ())
    assert ("Runbook", "https://run.book/a") in cause.links
    (finding,) = cause.findings
    assert finding.sql
    assert [(line.number, line.text, line.is_marked) for line in finding.sql.lines] == [
        (1, "select x from raw.orders", True)
    ]
    assert (finding.message, finding.message_left_out, finding.sql.left_out) == (BINDER, 0, 0)
    assert [(one.exposure.name, [name for _, name in one.causes]) for one in page.exposures] == [
        ("Board", ["stg_a", "raw.orders"]),
        ("raw_view", ["stg_a", "raw.orders"]),
    ]
    assert page.exposures[0].causes[0][0] == cause.anchor
    assert page.exposures[0].drawing is not None
    assert page.exposures[0].drawing.words == (
        "stg_a → int_b → fct_c → Board",
        "raw.orders → stg_a → int_b → fct_c → Board",
    )
    (warning,) = page.warnings
    assert warning.headline == "source raw.orders is 3 d old"
    assert [step["command"] for step in page.steps] == ["source freshness", "run"]
    (source,) = page.sources
    assert (source.tone, source.age, source.allowed) == ("warn", "3 d 7 min", "warns after 12 h, error after 2 d")
    assert page.grid.rows[0] == ("stg_a", ("ok", "failure"))
    assert [run["dag_run_id"] for run in page.grid.runs] == ["monday", "tuesday"]
    assert dict(page.results.outcomes) == {"failure": 1, "warning": 1, "skipped": 2}


def test_the_page_of_an_earlier_run_says_what_became_of_it(told: Shop) -> None:
    bad_morning(told)
    told.step("run", *passed(A, B, C), dag_run="wednesday")
    mended = page_of(told)
    assert (mended.verdict.tone, mended.causes) == ("warn", ())
    assert mended.verdict.text == "Nothing fails. 1 warning, 2 exposures at risk."
    assert [one.state for one in mended.well_again] == ["recovered"]
    tuesday = page_of(told, dag_run="daily/tuesday")
    assert tuesday.title.endswith("tuesday")
    assert (tuesday.verdict.tone, tuesday.verdict.text) == (
        "warn",
        "This run failed; nothing of it is broken any more.",
    )
    assert [one.headline for one in tuesday.well_again] == ["model stg_a failed"]
    monday = page_of(told, dag_run="monday")
    assert monday.well_again == monday.causes == monday.warnings == ()
    assert monday.verdict.text == "All is well."
    assert [run["dag_run_id"] for run in monday.grid.runs] == ["monday"]


def test_what_failed_before_is_told(told: Shop) -> None:
    failed_run(told, "monday")
    told.step("run", *passed(A, B, C), dag_run="tuesday")
    failed_run(told, "wednesday")
    (cause,) = page_of(told).causes
    (before,) = cause.past
    assert (before.state, before.open_seconds, before.said, cause.times) == ("recovered", 300.0, "", 1)


def test_a_run_that_is_well_says_so(told: Shop) -> None:
    told.step("build", *passed(A, B, C, TEST_A))
    page = page_of(told)
    assert (page.verdict.tone, page.verdict.text) == ("good", "All is well.")
    assert (page.causes, page.exposures, page.warnings) == ((), (), ())


def test_a_step_that_is_to_be_repeated_is_waited_for(told: Shop) -> None:
    told.step("run", result(A, "error", message=BINDER), dag_run="monday", will_retry=True, exit_code=1)
    assert page_of(told).verdict.text == "A step failed and is to be tried again."


def test_what_is_mended_and_not_rebuilt_is_waited_for(told: Shop) -> None:
    failed_run(told)
    told.step("run", *passed(A))
    page = page_of(told)
    assert (page.verdict.tone, page.verdict.text) == ("wait", "Mended; 2 nodes not rebuilt yet.")


def test_a_run_that_was_killed_is_told_by_its_step(told: Shop) -> None:
    told.step("run", nothing=True, exit_code=-9, dag_run="monday")
    page = page_of(told)
    assert page.verdict.tone == "bad"
    assert page.results.count == 0
    assert [step["exit_code"] for step in page.steps] == [-9]


def test_every_result_is_in_the_table(told: Shop) -> None:
    told.step("build", result(A, execution_time=2.5), *passed(B), result(TEST_A, "fail", failures=7, message="Got 7"))
    page = page_of(told)
    table = json.loads(gzip.decompress(base64.b64decode(page.results.packed)))
    rows = {
        name: {
            "type": table["type"]["values"][table["type"]["at"][row]],
            "status": table["status"]["values"][table["status"]["at"][row]],
            "ms": table["ms"][row],
            "rows": table["rows"].get(str(row)),
            "on": table["on"]["values"][table["on"]["at"][row]],
        }
        for row, name in enumerate(table["name"])
    }
    assert rows == {
        "stg_a": {"type": "model", "status": "success", "ms": 2500, "rows": None, "on": ""},
        "int_b": {"type": "model", "status": "success", "ms": 500, "rows": None, "on": ""},
        "unique_a": {"type": "test", "status": "fail", "ms": 500, "rows": 7, "on": "stg_a"},
    }
    assert page.slowest[0]["name"] == "stg_a"


def test_many_causes_are_told_by_name(told: Shop) -> None:
    nodes = [f"model.shop.m{number:03}" for number in range(60)]
    told.step("run", *(result(one, "error", message=BINDER) for one in nodes), graph=manifest(*map(node, nodes)))
    page = page_of(told)
    assert (len(page.causes), len(page.more_causes)) == (40, 20)
    text = (told.folder / "page.html").read_text(encoding="utf-8")
    assert "20 more causes" in text
    assert all(f"model m{number:03} failed" in text for number in range(60))


def test_sql_that_is_cut_says_by_how_much(told: Shop) -> None:
    told.step("run", result(A, "error", message=BINDER, compiled_code="x" * 25_000))
    page_of(told)
    assert "5,000 more characters are not shown" in (told.folder / "page.html").read_text(encoding="utf-8")


def test_environments_and_projects_are_told_apart(told: Shop) -> None:
    failed_run(told)
    told.settings = told.settings.model_copy(update={"environment": "dev"})
    told.step("run", *passed(A, B, C))
    assert page_of(told, environment="default").verdict.tone == "bad"
    assert page_of(told).verdict.tone == "good"


@pytest.mark.parametrize(
    ("wanted", "what"),
    [
        ({"invocation": "ffff"}, "no run of 'ffff' is stored"),
        ({"dag_run": "sunday"}, "no run of 'sunday' is stored"),
        ({"invocation": "0000"}, "several invocations begin with '0000'"),
    ],
)
def test_a_run_that_is_not_there_is_an_error(told: Shop, wanted: dict[str, Any], what: str) -> None:
    bad_morning(told)
    with pytest.raises(ConfigError, match=what):
        page_of(told, **wanted)


def test_the_beginning_of_an_invocation_names_it(told: Shop) -> None:
    bad_morning(told)
    assert page_of(told, invocation="00000000-0000-4000-8000-000000000010").title.endswith("monday")


HOSTILE = "</script><img src=x onerror=alert(1)><script>alert(2)</script>\"' onmouseover=alert(3) {{ 7 * 7 }} \u202e"


def hostile_graph() -> dict[str, Any]:
    meta = {"observe": {"owner": HOSTILE, "runbook": "javascript:alert(4)"}}
    return manifest(
        node(A, config={"meta": meta}, name=f"stg{HOSTILE}", original_file_path=HOSTILE),
        node(TEST_A, [A], attached_node=A, name=HOSTILE),
        node(
            "exposure.shop.board",
            [A],
            label=HOSTILE,
            owner={"name": HOSTILE, "email": HOSTILE},
            url="javascript:alert(5)",
            type="x",
        ),
    )


def hostile_page(told: Shop) -> str:
    told.step(
        "build",
        result(A, "error", message=HOSTILE, compiled_code=HOSTILE),
        result(TEST_A, "fail", failures=3, message=HOSTILE, compiled_code=HOSTILE),
        graph=hostile_graph(),
        exit_code=1,
        dag_run=HOSTILE,
        log_url="javascript:alert(6)",
    )
    page_of(told)
    return (told.folder / "page.html").read_text(encoding="utf-8")


def test_hostile_texts_are_only_text(told: Shop) -> None:
    text = hostile_page(told)
    assert text.count("<script") == text.count("</script>") == 2
    assert "<img" not in text
    assert "{{ 7 * 7 }}" in text
    assert not re.search(r"""(?:href|src)=["']?javascript:""", text)
    assert not re.search(r"\son\w+=", re.sub(r">[^<]*<|=\"[^\"]*\"", "", text))
    assert "javascript:alert(4)" in unescape(text), "a runbook that is no link is told as a text"


def test_it_asks_no_server_for_anything(told: Shop) -> None:
    bad_morning(told)
    file = told.folder / "page.html"
    page_of(told, file)
    text = file.read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy
    assert policy[1].startswith("default-src 'none'")
    assert "unsafe" not in policy[1]
    assert not re.search(r"(?:src|href)=\"//|@import|url\(", text)
    assert 'style="' not in text


def test_each_page_has_a_nonce_of_its_own(told: Shop, tmp_path: Path) -> None:
    bad_morning(told)
    nonces = set()
    for name in ("one.html", "two.html"):
        page_of(told, tmp_path / name)
        nonces |= set(re.findall(r'nonce="([^"]+)"', (tmp_path / name).read_text(encoding="utf-8")))
    assert len(nonces) == 2


def test_a_source_without_rows_or_thresholds_is_told(told: Shop) -> None:
    none = {"warn_after": {"count": None, "period": None}, "error_after": {"count": None, "period": None}}
    told.step(
        "source freshness",
        {"unique_id": ORDERS, "status": "runtime error", "error": "no such table"},
        graph=manifest(node(ORDERS, source_name="raw", freshness=none)),
    )
    (source,) = page_of(told).sources
    assert (source.age, source.allowed, source.bar, source.tone) == ("not known", "no threshold", None, "bad")


def test_the_time_is_that_of_the_question(told: Shop) -> None:
    bad_morning(told)
    page = page_of(told)
    assert page.as_of - page.run["started_at"] < timedelta(hours=1)
