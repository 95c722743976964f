"""`dbt-observe report`, and the pages that loaders write, as their users meet them."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from factories import result
from pages import Recent, failed
from test_cli import observe


@pytest.fixture
def recent(tmp_path: Path) -> Recent:
    return Recent(tmp_path / "steps")


def load(folder: Path, cwd: Path) -> None:
    told = observe("ingest", folder, cwd=cwd)
    assert (told.code, told.err) == (0, ""), told


def test_the_newest_run_is_written_and_its_verdict_told(recent: Recent, tmp_path: Path) -> None:
    load(recent.step(*failed(), exit_code=1), tmp_path)
    told = observe("report", "--out", "page.html", cwd=tmp_path)
    assert (told.code, told.err) == (0, "")
    first, second = told.out.splitlines()
    assert first == "shop · default · dbt run: 1 cause of failure, no exposure at risk. Model a failed."
    assert second.startswith("  ./page.html (")
    assert "model a failed" in (tmp_path / "page.html").read_text(encoding="utf-8")
    as_json = observe("report", "latest", "--out", "page.html", "--format", "json", cwd=tmp_path).json
    assert (as_json["tone"], as_json["places"]) == ("bad", ["./page.html"])
    assert as_json["bytes"] == (tmp_path / "page.html").stat().st_size < 60_000


def test_an_index_grows(recent: Recent, tmp_path: Path) -> None:
    for step in (recent.step(*failed(), exit_code=1), recent.step(result("model.shop.a"), result("model.shop.b"))):
        load(step, tmp_path)
        told = observe("report", "--index", "pages", cwd=tmp_path)
        assert told.code == 0, told
    names = sorted(path.name for path in (tmp_path / "pages").iterdir())
    assert names == [f"{number:08}-0000-4000-8000-000000000000.html" for number in (1, 2)] + ["index.html"]
    index = (tmp_path / "pages" / "index.html").read_text(encoding="utf-8")
    assert index.index("All is well.") < index.index("1 cause of failure")


def test_loads_write_their_pages_where_the_settings_say(recent: Recent, tmp_path: Path) -> None:
    (tmp_path / "dbt_observe.toml").write_text('[report]\nto = "pages"\n', encoding="utf-8")
    load(recent.step(*failed(), exit_code=1), tmp_path)
    assert sorted(path.name[:8] for path in (tmp_path / "pages").iterdir()) == ["00000001", "index.ht"]
    unchanged = (tmp_path / "pages" / "index.html").stat().st_mtime_ns
    again = observe("ingest", recent.folder / "step1", cwd=tmp_path)
    assert (again.code, (tmp_path / "pages" / "index.html").stat().st_mtime_ns) == (0, unchanged)
    told = observe("backfill", recent.step(result("model.shop.a")), cwd=tmp_path)
    assert told.code == 0
    assert not (tmp_path / "pages" / "00000002-0000-4000-8000-000000000000.html").exists(), "what is long past"
    named = observe("report", cwd=tmp_path)
    assert (named.code, "pages/00000002" in named.out) == (0, True), named


def test_a_page_that_cannot_be_written_spoils_no_load(recent: Recent, tmp_path: Path) -> None:
    (tmp_path / "pages").write_text("a file is in the way", encoding="utf-8")
    told = observe("ingest", recent.step(*failed(), exit_code=1), cwd=tmp_path, DBT_OBSERVE_REPORT__TO="pages")
    assert told.code == 2
    assert "loaded" in told.out
    assert "the page cannot be written" in told.err
    assert "dbt-observe report --index pages" in told.err
    assert "1 cause" in observe("report", "--out", "page.html", cwd=tmp_path).out, "its rows are there"


def test_run_ends_with_dbts_code_whatever_becomes_of_its_page(tmp_path: Path) -> None:
    (tmp_path / "pages").write_text("a file is in the way", encoding="utf-8")
    told = observe("run", "--", sys.executable, "-c", "exit(3)", cwd=tmp_path, DBT_OBSERVE_REPORT__TO="pages")
    assert told.code == 3


def test_messages_link_the_page(recent: Recent, tmp_path: Path) -> None:
    load(recent.step(*failed(), exit_code=1), tmp_path)
    told = observe(
        "alert", "--dry-run", "--preview", "page.html", cwd=tmp_path,
        DBT_OBSERVE_REPORT__URL="https://triage.example.com/pages/",
    )  # fmt: skip
    assert told.code == 0
    link = "https://triage.example.com/pages/00000001-0000-4000-8000-000000000000.html"
    assert f'href="{link}"' in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--out, --index"),
        (("--out", "x.html", "--invocation", "a", "--dag-run", "b"), "a page is of one run"),
        (("yesterday", "--out", "x.html"), "a page is of one run"),
        (("--out", "x.html", "--invocation", "ffff"), "no run of 'ffff' is stored"),
        (("--out", "folder/"), "names no file"),
        (("--out", "steps"), "'steps' is a folder"),
        (("--out", "/dev/null"), "'/dev/null' is no file that can be replaced"),
        (("--out", "/proc/nowhere/page.html"), "the page cannot be written"),
    ],
)
def test_what_cannot_be_is_an_error_of_three_lines(
    recent: Recent, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    load(recent.step(*failed(), exit_code=1), tmp_path)
    told = observe("report", *arguments, cwd=tmp_path)
    assert (told.code, told.out) == (2, "")
    assert said in told.err
    assert len(told.err.strip().splitlines()) == 3, told.err
    assert not list(tmp_path.glob("*.html"))


def test_a_full_disk_is_told_and_leaves_nothing_behind(recent: Recent, tmp_path: Path) -> None:
    load(recent.step(*failed(), exit_code=1), tmp_path)
    (tmp_path / "page.html").write_text("the page of yesterday", encoding="utf-8")
    limited = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000));"
        " from observability.cli import main; main(['report', '--out', 'page.html'])"
    )
    told = subprocess.run([sys.executable, "-c", limited], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 2, told
    assert told.stderr.startswith("dbt-observe: the page cannot be written: ")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == "the page of yesterday"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".page")]


def test_a_store_that_is_being_written_is_waited_for_and_then_told(recent: Recent, tmp_path: Path) -> None:
    load(recent.step(*failed(), exit_code=1), tmp_path)
    with duckdb.connect(str(tmp_path / ".dbt_observe" / "audit.duckdb")):
        told = observe("report", "--out", "x.html", cwd=tmp_path, DBT_OBSERVE_LOCK_TIMEOUT_SECONDS="0.2")
    assert (told.code, told.out) == (2, "")
    assert len(told.err.strip().splitlines()) == 3, told.err
    assert not (tmp_path / "x.html").exists()


def test_a_store_without_a_run_says_so(recent: Recent, tmp_path: Path) -> None:
    load(recent.step(*failed(), exit_code=1), tmp_path)
    with duckdb.connect(str(tmp_path / ".dbt_observe" / "audit.duckdb")) as connection:
        connection.execute("DELETE FROM raw.invocations")
    told = observe("report", "--out", "x.html", cwd=tmp_path)
    assert (told.code, "no run is stored yet" in told.err) == (2, True), told


def test_an_invocation_is_found_whatever_environment_is_set(recent: Recent, tmp_path: Path) -> None:
    load(recent.step(*failed(), exit_code=1), tmp_path)
    told = observe("report", "--invocation", "00000001", "--out", "x.html", cwd=tmp_path, DBT_OBSERVE_ENVIRONMENT="dev")
    assert told.code == 0, told
    told = observe("report", "--out", "x.html", cwd=tmp_path, DBT_OBSERVE_ENVIRONMENT="dev")
    assert (told.code, "no run of 'dev' is stored" in told.err) == (2, True), told


def test_without_a_store_it_says_what_to_do(tmp_path: Path) -> None:
    told = observe("report", "--out", "x.html", cwd=tmp_path)
    assert told.code == 2
    assert "next:" in told.err
    assert json.dumps(told.out) == '""'
