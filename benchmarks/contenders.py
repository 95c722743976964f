"""What the ingest is measured against; one subcommand each, imports inside, so that each pays for its own.

raw FOLDER              read both files' bytes
json FOLDER             json.load of both
hash FOLDER             sha256 of both, and import duckdb: the least that "nothing has changed" can cost
parser FOLDER DATABASE  orjson and dbt-artifacts-parser, then the same rows into a new DuckDB file
"""

import sys
from collections.abc import Callable
from pathlib import Path

FILES = ("manifest.json", "run_results.json")


def raw(folder: Path) -> None:
    for name in FILES:
        (folder / name).read_bytes()


def load_json(folder: Path) -> None:
    import json

    documents = []
    for name in FILES:
        with (folder / name).open(encoding="utf-8") as file:
            documents.append(json.load(file))


def hash_only(folder: Path) -> None:
    import hashlib

    import duckdb  # noqa: F401 - its import is what is measured

    for name in FILES:
        with (folder / name).open("rb") as file:
            hashlib.file_digest(file, "sha256")


def parser(folder: Path, database: Path) -> None:
    import parser_contender

    parser_contender.store(folder, database)


def count(database: Path) -> None:
    import json

    import duckdb

    with duckdb.connect(database, read_only=True) as connection:
        rows = connection.execute("SELECT (SELECT count(*) FROM nodes), (SELECT count(*) FROM run_results)").fetchone()
    print(json.dumps(rows))


CONTENDERS: dict[str, Callable[..., None]] = {
    "raw": raw,
    "json": load_json,
    "hash": hash_only,
    "parser": parser,
    "count": count,
}

if __name__ == "__main__":
    CONTENDERS[sys.argv[1]](*map(Path, sys.argv[2:]))
