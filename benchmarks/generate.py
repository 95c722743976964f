"""Writes the files that dbt leaves behind for a large made-up project; the same parameters give the same bytes.

`python benchmarks/generate.py --models 10000 --tests 30000 --out DIR` gives

    DIR/build/manifest.json, run_results.json   what `dbt build` leaves: manifest v12, run_results v6 (dbt-core 1.11)
    DIR/source_freshness/sources.json           what a `dbt source freshness` before it left: sources v3
"""

import argparse
import hashlib
import json
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from synthetic import manifest, nodes, results
from synthetic.model import Project
from synthetic.outcome import Run, run_project
from synthetic.plan import plan_project

DATA = Path(__file__).parent / ".data"
SEED = 7
MIN_MODELS = 10  # fewer do not fill the layers


def generate(models: int, tests: int, out_dir: Path, seed: int = SEED) -> None:
    """Plan a project, run it, and write its files below `out_dir`, node by node: no document is held in memory."""
    project = plan_project(models, tests, seed)
    run = run_project(project)
    _write(out_dir / "build" / "manifest.json", _manifest(project, run))
    _write(out_dir / "build" / "run_results.json", _run_results(project, run))
    _write(out_dir / "source_freshness" / "sources.json", _value(results.sources_document(project)))


def cache_folder(models: int, tests: int, seed: int = SEED) -> Path:
    """Where the files with these parameters, by this version of the generator, are kept."""
    code = hashlib.sha256()
    for source in sorted((Path(__file__), *Path(__file__).parent.glob("synthetic/*.py"))):
        code.update(source.read_bytes())
    return DATA / f"{models}-{tests}-{seed}-{code.hexdigest()[:12]}"


def cached(models: int, tests: int, seed: int = SEED) -> Path:
    """That folder, filled if need be. What earlier versions of the generator made is removed."""
    folder = cache_folder(models, tests, seed)
    if not folder.exists():
        for old in DATA.glob(f"{models}-{tests}-{seed}-*"):
            shutil.rmtree(old)
        partial = folder.with_suffix(".partial")
        generate(models, tests, partial, seed)
        partial.rename(folder)
    return folder


def _manifest(project: Project, run: Run) -> Iterator[str]:
    return _document(
        {
            "metadata": _value(manifest.metadata(run)),
            "nodes": _map(nodes.nodes(project, run)),
            "sources": _map(nodes.sources(project)),
            "macros": _map(manifest.macros(project)),
            "docs": _map(manifest.docs(project)),
            "exposures": _map(manifest.exposures(project)),
            "metrics": _value({}),
            "groups": _map(manifest.groups(project)),
            "selectors": _value({}),
            "disabled": _map(nodes.disabled(project)),
            "parent_map": _map(manifest.parent_map(project)),
            "child_map": _map(manifest.child_map(project)),
            "group_map": _map(manifest.group_map(project)),
            "saved_queries": _value({}),
            "semantic_models": _value({}),
            "unit_tests": _map(manifest.unit_tests(project)),
            "functions": _value({}),
        }
    )


def _run_results(project: Project, run: Run) -> Iterator[str]:
    return _document(
        {
            "metadata": _value(results.run_results_metadata(run)),
            "results": _list(results.run_results(project, run)),
            "elapsed_time": _value(run.elapsed_seconds),
            "args": _value(results.run_args()),
        }
    )


def _document(sections: dict[str, Iterator[str]]) -> Iterator[str]:
    """The text of a JSON object, piece by piece, spaced and escaped as dbt's `json.dumps` does."""
    for number, (name, text) in enumerate(sections.items()):
        yield f"{', ' if number else '{'}{json.dumps(name)}: "
        yield from text
    yield "}"


def _value(value: Any) -> Iterator[str]:
    yield json.dumps(value)


def _map(entries: Iterable[tuple[str, Any]]) -> Iterator[str]:
    yield "{"
    for number, (key, value) in enumerate(entries):
        yield f"{', ' if number else ''}{json.dumps(key)}: {json.dumps(value)}"
    yield "}"


def _list(items: Iterable[Any]) -> Iterator[str]:
    yield "["
    for number, item in enumerate(items):
        yield f"{', ' if number else ''}{json.dumps(item)}"
    yield "]"


def _write(path: Path, text: Iterator[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", buffering=1 << 20) as file:
        file.writelines(text)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the artifacts of a large made-up dbt project.")
    parser.add_argument("--models", type=int, default=10_000)
    parser.add_argument("--tests", type=int, default=30_000, help="data tests")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, help="a folder; without it they go to the cache, benchmarks/.data")
    options = parser.parse_args()
    if options.models < MIN_MODELS or options.tests < 0:
        parser.error(f"a project has at least {MIN_MODELS} models, and no fewer than 0 tests")
    began = time.perf_counter()
    if options.out is None:
        folder = cached(options.models, options.tests, options.seed)
    else:
        folder = options.out
        generate(options.models, options.tests, folder, options.seed)
    for path in sorted(folder.rglob("*.json")):
        print(f"{path.stat().st_size / 1e6:8.1f} MB  {path}")
    print(f"{time.perf_counter() - began:8.1f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
