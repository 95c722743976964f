"""The kinds of dbt's artifacts, and the version that a schema URL names."""

import re
from enum import StrEnum


class Artifact(StrEnum):
    """A kind of artifact, under the name that its schema URL has."""

    MANIFEST = "manifest"
    RUN_RESULTS = "run-results"
    SOURCES = "sources"
    FRESHNESS = "freshness"


_SCHEMA_URL = re.compile(rf"https://schemas\.getdbt\.com/dbt/({'|'.join(Artifact)})/v(0|[1-9][0-9]{{0,3}})\.json")


def parse_schema_url(url: str) -> tuple[Artifact, int] | None:
    """Split `metadata.dbt_schema_version` into kind and version; None if it is not dbt's or names another kind."""
    match = _SCHEMA_URL.fullmatch(url)
    return (Artifact(match[1]), int(match[2])) if match else None
