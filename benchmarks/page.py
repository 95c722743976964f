"""Measures the triage page of a large run, of its worst mornings, and of Greenery's: `make bench-page`.

The demo is played first. Exit code 1 where a bound is missed or could not be measured. Needs chromium.
"""

# ruff: noqa: RUF001 - the times sign is meant

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import report
from bounds import Check
from generate import DATA, cached
from measure import ContenderError, Figure, measure, say

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))
OBSERVE = str(Path(sys.executable).with_name("dbt-observe"))
WORST = Path(__file__).with_name("worst.py")
DEMO = ROOT / ".demo" / "audit.duckdb"
MODELS, TESTS = 10_000, 30_000
BEGIN, END = "<!-- page: begin -->", "<!-- page: end -->"
MORNINGS = {"root": "all rests on a model that fails", "tests": "no test can be run"}
"""The worst mornings, as `worst.py` makes them."""
GENERATED_DAY = "2026-03-09"
"""When the made-up run was. It is moved to yesterday: what is long past has less to tell."""
_ANSWER = """([act, argument]) => new Promise((done) => {
  const shown = document.getElementById("results").tBodies[0];
  const began = performance.now();
  new MutationObserver((_, observer) => {
    observer.disconnect();
    requestAnimationFrame(() => done((performance.now() - began) / 1000));
  }).observe(shown, { childList: true });
  if (act === "sort") document.querySelector(`[data-sort=${argument}]`).click();
  else {
    const field = document.getElementById("filter");
    field.value = argument;
    field.dispatchEvent(new Event("input"));
  }
})"""
"""Does something and waits until the next frame after the table was drawn anew; the pause after a letter included."""


def store_of_a_large_run(scratch: Path, morning: str = "") -> str:
    """A store with one large `dbt build` of yesterday, and the check of sources before it; one of MORNINGS if named."""
    yesterday = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
    source = cached(MODELS, TESTS)
    for path in source.rglob("*.json"):
        copy = scratch / "steps" / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        with copy.open("wb") as file:  # not by us: what we occupy is counted as our children's
            subprocess.run(("sed", f"s/{GENERATED_DAY}/{yesterday}/g", str(path)), check=True, stdout=file)  # noqa: S607
    if morning:
        subprocess.run((sys.executable, str(WORST), str(scratch / "steps" / "build"), morning), check=True)
    store = f"duckdb:///{scratch}/audit{morning}.duckdb"
    steps = [str(scratch / "steps" / name) for name in ("source_freshness", "build")]
    measure([OBSERVE, "ingest", *steps, "--environment", "prod", "--store", store], scratch)
    shutil.rmtree(scratch / "steps")
    return store


def processes(store: str, page: Path) -> dict[str, tuple[str, list[str]]]:
    """What is measured as whole processes: a label and a command line, by key."""
    return {
        "report": ("dbt-observe report", [OBSERVE, "report", "--out", str(page), "--store", store]),
        "status": ("dbt-observe status", [OBSERVE, "status", "--store", store]),
        "duckdb": ("python, import duckdb", [sys.executable, "-c", "import duckdb"]),
        "pass": ("python -c pass", [sys.executable, "-c", "pass"]),
    }


def worst_processes(scratch: Path) -> dict[str, tuple[str, list[str]]]:
    """The same commands on the worst mornings. Nothing is told: there is no Slack."""
    commands = {}
    for morning, label in MORNINGS.items():
        store = ["--store", store_of_a_large_run(scratch, morning)]
        page = str(scratch / f"{morning}.html")
        for command in (["report", "--out", page], ["status"], ["alert", "--dry-run"]):
            name = " ".join(word for word in command if word not in {"--out", page})
            commands[f"{morning} {command[0]}"] = (f"{label}: dbt-observe {name}", [OBSERVE, *command, *store])
    return commands


def time_processes(commands: Mapping[str, tuple[str, list[str]]], runs: int, scratch: Path) -> dict[str, Figure]:
    """Each once unmeasured, then so many rounds, every one of which begins with another."""
    figures = {key: Figure() for key in commands}
    keys = list(commands)
    for number in range(-1, runs):
        start = max(number, 0) % len(keys)
        for key in keys[start:] + keys[:start]:
            say(f"round {number + 1} of {runs}: {commands[key][0]}")
            try:
                sample = measure(commands[key][1], scratch)
            except ContenderError as error:
                figures[key].problem = str(error)
                continue
            if number >= 0:
                figures[key].add(sample)
    return figures


def time_browser(page: Path, runs: int) -> dict[str, list[float]]:
    """How long a page takes in Chromium, each time in a new window: until its first answer, and for later ones."""
    from browser import start_browser
    from playwright.sync_api import expect

    took: dict[str, list[float]] = {"opening": [], "filter": [], "sort": []}
    with start_browser() as browser:
        for number in range(-1, runs):
            say(f"opening the page, {number + 1} of {runs}")
            window = browser.new_context(viewport={"width": 1280, "height": 900})
            tab = window.new_page()
            began = time.perf_counter()
            tab.goto(page.as_uri(), wait_until="commit")
            tab.locator("#filter").fill("not_null")
            expect(tab.locator("#shown")).to_contain_text("in all", timeout=60_000)
            opening = time.perf_counter() - began
            answers = {
                "filter": [tab.evaluate(_ANSWER, ["filter", text]) for text in ("orders", "customer id", "zzz", "")],
                "sort": [tab.evaluate(_ANSWER, ["sort", column]) for column in ("name", "ms", "message", "outcome")],
            }
            window.close()
            if number >= 0:
                took["opening"].append(opening)
                for key, values in answers.items():
                    took[key].extend(values)
    return took


def greenery_page(scratch: Path) -> int | None:
    """The size of the largest of the demo's pages, in bytes; None where it was not played."""
    if not DEMO.exists():
        return None
    sizes = []
    for morning in range(1, 5):
        out = scratch / f"morning_{morning}.html"
        run = ["--dag-run", f"morning_{morning}", "--out", str(out), "--store", f"duckdb:///{DEMO}"]
        measure([OBSERVE, "report", *run], scratch)
        sizes.append(out.stat().st_size)
    return max(sizes)


def checks(
    figures: Mapping[str, Figure],
    took: Mapping[str, Sequence[float]],
    size: int | None,
    greenery: int | None,
    worst: Mapping[str, int],
) -> list[Check]:
    """What the page is held against."""
    middle = {key: median(values) if values else None for key, values in took.items()}
    return [
        Check("page of 40,000 nodes", _megabytes(size), 1.5, "MB of 10⁶ bytes"),
        *(
            Check(f"page of 40,000 nodes, where {label}", _megabytes(worst.get(morning)), 1.5, "MB of 10⁶ bytes")
            for morning, label in MORNINGS.items()
        ),
        Check("Greenery's largest page", _megabytes(greenery), 0.15, "MB of 10⁶ bytes"),
        Check("dbt-observe report", figures["report"].median, 3, "s"),
        Check("from opening it to the first answer of its filter", middle["opening"], 2, "s"),
    ]


def _megabytes(size: int | None) -> float | None:
    return None if size is None else size / 1e6


def lines_of(
    labels: Mapping[str, str],
    figures: Mapping[str, Figure],
    took: Mapping[str, Sequence[float]],
    held: Sequence[Check],
    facts: Sequence[str],
) -> list[str]:
    """The figures in Markdown."""
    base = figures["status"].median
    rows = []
    for key, label in labels.items():
        values = figures[key].seconds
        ratio = f"{median(values) / base:.2f}" if values and base else ""
        rows.append((label, *_spread(values), f"{figures[key].peak_mb or 0:.0f}", ratio))
    named = {
        "opening": "opened, until the first filter is answered",
        "filter": "a later filter, until the table is drawn",
        "sort": "sorting, until the table is drawn",
    }
    rows += [(f"Chromium: {label}", *_spread(took[key]), "", "") for key, label in named.items()]
    return [
        *(f"- {fact}" for fact in facts),
        "",
        *report.markdown(("process, or what the browser does", "median s", "min - max", "peak MB", "× status"), rows),
        "",
        *report.markdown(report.CHECK_HEADINGS, report.check_rows(held)),
    ]


def _spread(values: Sequence[float]) -> tuple[str, str]:
    return (f"{median(values):.3f}", f"{min(values):.3f} - {max(values):.3f}") if values else ("not measured", "")


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the triage page of a large run against its bounds.")
    parser.add_argument("--runs", type=int, default=7, help="rounds; medians are taken over them (default 7)")
    parser.add_argument("--worst-runs", type=int, default=3, help="rounds of the worst mornings (default 3)")
    parser.add_argument("--write", action="store_true", help="put the figures into benchmarks/README.md")
    options = parser.parse_args()
    if options.write and options.runs < 5:
        parser.error("--write wants at least five runs")

    DATA.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=DATA) as directory:
        scratch = Path(directory)
        say("loading a large run")
        store, page = store_of_a_large_run(scratch), scratch / "page.html"
        busy = os.getloadavg()[0]
        commands = processes(store, page)
        figures = time_processes(commands, options.runs, scratch)
        took: dict[str, list[float]] = {"opening": [], "filter": [], "sort": []}
        if figures["report"].problem is None:
            took = time_browser(page, options.runs)
        size = page.stat().st_size if page.exists() else None
        say("loading its worst mornings")
        worst = worst_processes(scratch)
        figures |= time_processes(worst, options.worst_runs, scratch)
        pages = {one: path.stat().st_size for one in MORNINGS if (path := scratch / f"{one}.html").exists()}
        held = checks(figures, took, size, greenery_page(scratch), pages)
        commands |= worst

    _, machine, versions, _ = report.machine_facts(DATA, options.runs)
    facts = [
        f"{datetime.now(UTC):%Y-%m-%d}; {options.runs} runs of each, {options.worst_runs} of the worst mornings",
        f"load average before {busy:.1f}",
        machine,
        versions,
        f"a run of {MODELS:,} models and {TESTS:,} tests, and a check of its sources before it",
    ]
    lines = lines_of({key: label for key, (label, _) in commands.items()}, figures, took, held, facts)
    print("\n".join(lines))
    for key, figure in figures.items():
        if figure.problem:
            say(f"{commands[key][0]}: {figure.problem}")
    if options.write:
        report.put(lines, BEGIN, END)
    return 0 if all(check.holds for check in held) else 1


if __name__ == "__main__":
    sys.exit(main())
