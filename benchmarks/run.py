"""Measures the ingest of a large `dbt build` against its bounds: `python benchmarks/run.py`, or `make bench`.

Exit code 1 where a bound that must hold is missed or could not be measured.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import report
from bounds import checks
from generate import DATA, cache_folder
from measure import ContenderError, Figure, Sample, measure, say, warm

HERE = Path(__file__).parent
PYTHON = sys.executable
OBSERVE = str(Path(sys.executable).with_name("dbt-observe"))
NEW_STORE = "{new store}"
# The schema judge leaves a manifest as large as the full project's alone; for the growth, all sizes are to do the same.
UNJUDGED = {"DBT_OBSERVE_STORAGE__CONFORMANCE_MANIFEST_MAX_BYTES": "0"}
# Models of the projects that are measured; three data tests a model. "start" is next to nothing.
SIZES = {"start": 10, "small": 1_000, "medium": 3_000, "full": 10_000}
QUICK_SIZES = {"start": 10, "small": 100, "medium": 300, "full": 1_000}


@dataclass(frozen=True, slots=True)
class Contender:
    """A process to measure. Where `argv` says NEW_STORE, each run gets the path of a file that is not there yet."""

    label: str
    argv: tuple[str, ...]
    must_print: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)

    def run(self, scratch: Path, *, keep: Path | None = None) -> Sample:
        database = keep or scratch / "new.duckdb"
        try:
            sample = measure(
                [argument.replace(NEW_STORE, str(database)) for argument in self.argv], scratch, self.settings
            )
        finally:
            if keep is None:
                for path in scratch.glob("new.duckdb*"):
                    path.unlink()
        if self.must_print not in sample.output:
            raise ContenderError(f"did not print {self.must_print}")
        return sample


def contenders(folders: dict[str, Path], loaded: Path) -> dict[str, Contender]:
    """All of them, by the names under which `bounds.py` asks for them."""
    full = str(folders["full"])

    def script(*arguments: str) -> tuple[str, ...]:
        return (PYTHON, str(HERE / "contenders.py"), *arguments)

    def ingest(size: str) -> Contender:
        argv = (OBSERVE, "ingest", str(folders[size]), "--store", f"duckdb:///{NEW_STORE}", "--format", "json")
        if size == "full":
            return Contender("dbt-observe ingest, new store", argv, '"loaded"')
        return Contender(f"the same of {_size(folders[size])}", argv, '"loaded"', UNJUDGED)

    again = (OBSERVE, "ingest", full, "--store", f"duckdb:///{loaded}", "--format", "json")
    return {
        "raw": Contender("read both files' bytes", script("raw", full)),
        "json": Contender("json.load of both files", script("json", full)),
        "parser": Contender("orjson, dbt-artifacts-parser, same write", script("parser", full, NEW_STORE)),
        "ingest": ingest("full"),
        "again": Contender("dbt-observe ingest, again (unchanged)", again, '"unchanged"'),
        "hash": Contender("sha256 of both files, import duckdb", script("hash", full)),
        "ingest_start": ingest("start"),
        "ingest_small": ingest("small"),
        "ingest_medium": ingest("medium"),
        "help": Contender("dbt-observe --help", (OBSERVE, "--help"), "ingest"),
        "pass": Contender("python -c pass", (PYTHON, "-c", "pass")),
    }


def _size(folder: Path) -> str:
    models, tests = folder.parent.name.split("-")[:2]
    return f"{int(models):,} models + {int(tests):,} tests"


def prepare(sizes: dict[str, int]) -> dict[str, Path]:
    """The folders of the projects, generated (in a process of their own, to stay small) and in the page cache."""
    folders = {}
    for name, models in sizes.items():
        folder = cache_folder(models, 3 * models)
        if not folder.exists():
            say(f"generating {models:,} models and {3 * models:,} tests")
            generator = (PYTHON, str(HERE / "generate.py"), "--models", str(models), "--tests", str(3 * models))
            subprocess.run(generator, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        folders[name] = folder / "build"
        warm(folders[name])
    return folders


def rehearse(entrants: dict[str, Contender], figures: dict[str, Figure], scratch: Path, loaded: Path) -> None:
    """Run each once unmeasured: compiled files and page cache are warm then, and who cannot run is told and left out.

    Holds what the ingest stored against what the way through the parser stored: a fast ingest of half the rows is none.
    """
    stored: dict[str, tuple[int, int]] = {}
    for key, contender in entrants.items():
        say(f"rehearsing: {contender.label}")
        keep = {"ingest": loaded, "parser": scratch / "parser.duckdb"}.get(key)
        try:
            contender.run(scratch, keep=keep)
            if keep is not None:
                stored[key] = _count(keep, scratch)
            if key == "ingest" and stored[key] != stored.get("parser", stored[key]):
                raise ContenderError(f"stored (nodes, run_results) {stored[key]}, the parser's way {stored['parser']}")
        except ContenderError as error:
            figures[key].problem = str(error)


def _count(database: Path, scratch: Path) -> tuple[int, int]:
    sample = measure((PYTHON, str(HERE / "contenders.py"), "count", str(database)), scratch)
    nodes, results = json.loads(sample.output)
    return nodes, results


def compete(entrants: dict[str, Contender], figures: dict[str, Figure], runs: int, scratch: Path) -> None:
    """Every round measures each once, and begins with another one, so that the machine's moods meet all alike."""
    for number in range(runs):
        able = [key for key in entrants if figures[key].problem is None]
        start = number * len(able) // runs
        for key in able[start:] + able[:start]:
            say(f"round {number + 1} of {runs}: {entrants[key].label}")
            try:
                figures[key].add(entrants[key].run(scratch))
            except ContenderError as error:
                figures[key].problem = str(error)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the ingest of a large dbt build against its bounds.")
    parser.add_argument("--runs", type=int, default=5, help="rounds; medians are taken over them (default 5)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the size: whether all runs; nothing is judged")
    parser.add_argument("--write", action="store_true", help="put the figures into benchmarks/README.md")
    options = parser.parse_args()
    if options.write and (options.quick or options.runs < 5):
        parser.error("--write wants the full size and at least five runs")

    folders = prepare(QUICK_SIZES if options.quick else SIZES)
    facts = report.machine_facts(folders["full"], options.runs)
    with tempfile.TemporaryDirectory(dir=DATA) as directory:
        scratch = Path(directory)
        loaded = scratch / "loaded.duckdb"
        entrants = contenders(folders, loaded)
        figures = {key: Figure() for key in entrants}
        rehearse(entrants, figures, scratch, loaded)
        compete(entrants, figures, options.runs, scratch)

    labels = {key: contender.label for key, contender in entrants.items()}
    results = checks(figures)
    for fact in facts:
        print(fact)
    report.show(labels, figures, results)
    if options.write:
        report.write(labels, figures, results, facts)
    if options.quick:
        print("A quick run: the bounds are for the full size and do not count here.")
        return 1 if any(figure.problem for figure in figures.values()) else 0
    return 0 if all(check.holds for check in results if check.must) else 1


if __name__ == "__main__":
    sys.exit(main())
