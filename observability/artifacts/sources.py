"""sources.json v1 to v3, which `dbt source freshness` writes, and freshness.json v0 of dbt 2.x."""

from typing import Any

import msgspec

from observability.artifacts.json_file import JsonFile, Metadata, decode
from observability.artifacts.kinds import Artifact
from observability.artifacts.manifest import Freshness
from observability.artifacts.run_results import Timing


class FreshnessResult(msgspec.Struct, gc=False):
    """One source's check. `max_loaded_at_time_ago_in_s` is its age in seconds when it was checked."""

    unique_id: str
    status: str | None = None
    max_loaded_at: str | None = None
    snapshotted_at: str | None = None
    max_loaded_at_time_ago_in_s: float | None = None
    criteria: Freshness | None = None
    error: str | None = None
    adapter_response: Any = None
    timing: list[Timing] | None = None
    thread_id: str | None = None
    execution_time: float | None = None


class Sources(msgspec.Struct):
    """The checks of one invocation. A source whose check itself failed is left out by dbt."""

    results: list[FreshnessResult]
    metadata: Metadata | None = None
    elapsed_time: float | None = None


def read_sources(file: JsonFile) -> Sources:
    """Decode a sources.json or a freshness.json. Raises ArtifactError."""
    kind = Artifact.FRESHNESS if file.path.name.startswith("freshness") else Artifact.SOURCES
    return decode(file, kind, Sources)
