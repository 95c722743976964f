"""Shows the figures: as tables in a terminal, and as a block of Markdown in README.md."""

# ruff: noqa: RUF001 - the times sign is meant

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bounds import Check
from measure import Figure

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"

_FIGURE_HEADINGS = ("process", "median s", "min - max", "peak MB", "× json.load")
CHECK_HEADINGS = ("held against its bound", "measured", "bound", "", "verdict")


def show(labels: Mapping[str, str], figures: Mapping[str, Figure], checks: Sequence[Check]) -> None:
    """Print both tables."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    colours = {"OK": "green", "MISSED": "red", "NOT MEASURED": "yellow"}
    console = Console()
    for headings, rows in (
        (_FIGURE_HEADINGS, _figure_rows(labels, figures)),
        (CHECK_HEADINGS, [(*row[:-1], f"[{colours[row[-1]]}]{row[-1]}[/]") for row in check_rows(checks)]),
    ):
        table = Table(box=box.SIMPLE_HEAD)
        for number, heading in enumerate(headings):
            table.add_column(heading, justify="right" if 0 < number < 4 else "left", overflow="fold")
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for key, figure in figures.items():
        if figure.problem:
            console.print(f"{labels[key]}: {figure.problem}", style="yellow", markup=False)


def write(
    labels: Mapping[str, str], figures: Mapping[str, Figure], checks: Sequence[Check], facts: Sequence[str]
) -> None:
    """Put the figures between their markers in README.md."""
    lines = [
        *(f"- {fact}" for fact in facts),
        "",
        *markdown(_FIGURE_HEADINGS, _figure_rows(labels, figures)),
        "",
        *markdown(CHECK_HEADINGS, check_rows(checks)),
    ]
    put(lines, BEGIN, END)


def put(lines: Sequence[str], begin: str, end: str, page: Path = README) -> None:
    """Put lines between two markers of a page, in place of what stands there."""
    before, rest = page.read_text(encoding="utf-8").split(begin)
    block = "\n".join([begin, *lines, end])
    page.write_text(f"{before}{block}{rest.split(end)[1]}", encoding="utf-8")


def machine_facts(folder: Path, runs: int) -> list[str]:
    """Where and on what it was measured."""
    packages = ("duckdb", "pyarrow", "msgspec", "orjson", "dbt-artifacts-parser")
    sizes = (f"{path.name} {path.stat().st_size / 1e6:.1f} MB" for path in sorted(folder.glob("*.json")))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return [
        f"{datetime.now(UTC):%Y-%m-%d}; {runs} interleaved runs of each; load average before {os.getloadavg()[0]:.1f}",
        f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB; {platform.system()} {platform.machine()}",
        f"Python {platform.python_version()}; {', '.join(f'{name} {version(name)}' for name in packages)}",
        f"files: {', '.join(sizes)}",
    ]


def _processor() -> str:
    """The CPU's model, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or sys.platform
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _figure_rows(labels: Mapping[str, str], figures: Mapping[str, Figure]) -> list[tuple[str, ...]]:
    base = figures["json"].median
    return [_figure_row(label, figures[key], base) for key, label in labels.items()]


def _figure_row(label: str, figure: Figure, base: float | None) -> tuple[str, ...]:
    middle, peak = figure.median, figure.peak_mb
    if middle is None or peak is None:
        return (label, "not measured", "", "", "")
    spread = f"{_number(min(figure.seconds))} - {_number(max(figure.seconds))}"
    return (label, _number(middle), spread, f"{peak:.0f}", f"{middle / base:.2f}" if base else "")


def check_rows(checks: Sequence[Check]) -> list[tuple[str, ...]]:
    return [
        (
            check.what,
            _with_unit(check.value, check.unit),
            f"{'≥' if check.at_least else '≤'} {_with_unit(check.bound, check.unit)}",
            "must" if check.must else "aim",
            check.verdict,
        )
        for check in checks
    ]


def _number(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:.2f}"


def _with_unit(value: float | None, unit: str) -> str:
    if value is None:
        return "not measured"
    text = f"{value:.0f}" if unit == "MB" else f"{value:.2f}"
    return f"{text}{'' if unit == '×' else ' '}{unit}"


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table; its second to fourth columns are numbers."""
    alignment = ["---:" if 0 < number < 4 else "---" for number in range(len(headings))]
    return [f"| {' | '.join(row)} |" for row in (headings, alignment, *rows)]
