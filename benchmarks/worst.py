"""Makes a bad morning of a large run that went well: `python benchmarks/worst.py FOLDER root|tests`.

A process of its own: what it takes to change the files must not count as what the measured processes take.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Json = dict[str, Any]


def fail_root(manifest: Json, results: list[Json]) -> None:
    """One model fails on which all the others rest: they and all that is below them are skipped."""
    children: dict[str, list[str]] = manifest["child_map"]
    root, *others = [one["unique_id"] for one in results if one["unique_id"].startswith("model.")]
    manifest["nodes"][root]["depends_on"]["nodes"] = manifest["parent_map"][root] = []
    for unique_id in others:
        manifest["nodes"][unique_id]["depends_on"]["nodes"].append(root)
        manifest["parent_map"][unique_id].append(root)
    children[root] = [*children.get(root, ()), *others]
    below, left = set[str](), [root]
    while left:
        new = [one for one in children.get(left.pop(), ()) if one not in below]
        below.update(new)
        left += new
    below.discard(root)
    for one in results:
        if one["unique_id"] == root:
            one |= {"status": "error", "message": "Database Error in model: no room is left"}
        elif one["unique_id"] in below:
            one |= {"status": "skipped", "message": None, "failures": None, "execution_time": 0.0, "timing": []}


def fail_tests(_: Json, results: list[Json]) -> None:
    """Not one test can be run."""
    for one in results:
        if one["unique_id"].startswith("test."):
            one |= {"status": "error", "message": "Database Error in test\n  connection refused", "failures": None}


HOW: dict[str, Callable[[Json, list[Json]], None]] = {"root": fail_root, "tests": fail_tests}


def main(folder: Path, how: str) -> None:
    paths = [folder / "manifest.json", folder / "run_results.json"]
    manifest, run_results = (json.loads(path.read_bytes()) for path in paths)
    HOW[how](manifest, run_results["results"])
    for path, document in zip(paths, (manifest, run_results), strict=True):
        path.write_text(json.dumps(document), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
