"""run_results.json: v1 to v6, of dbt Core and of dbt 2.x."""

from typing import Any

import msgspec

from observability.artifacts.json_file import JsonFile, Metadata, decode
from observability.artifacts.kinds import Artifact


class Timing(msgspec.Struct, gc=False):
    """One phase (`compile` or `execute`) of a node's run."""

    name: str | None = None
    started_at: str | None = None
    completed_at: str | None = None


class _OldNode(msgspec.Struct, gc=False):
    """Before dbt 0.19.0 a result held its whole node."""

    unique_id: str | None = None


class RunResult(msgspec.Struct, gc=False):
    """What became of one node. `execution_time` is in seconds; `compiled_code` is left in the file."""

    unique_id: str = ""
    status: str | None = None
    message: str | None = None
    failures: int | None = None
    execution_time: float | None = None
    timing: list[Timing] | None = None
    thread_id: str | None = None
    adapter_response: Any = None
    relation_name: str | None = None
    compiled_code: msgspec.Raw = msgspec.Raw()
    batch_results: Any = None
    # the first pre-releases of dbt 0.19 stamped their files, and still wrote these
    node: _OldNode | None = None
    error: str | None = None
    fail: bool | None = None
    warn: bool | None = None
    skip: bool | None = None


class RunResults(msgspec.Struct):
    """The results of one invocation; `args` is its options as dbt understood them."""

    results: list[RunResult]
    metadata: Metadata | None = None
    elapsed_time: float | None = None
    args: dict[str, object] | None = None


def read_run_results(file: JsonFile) -> RunResults:
    """Decode run results. Raises ArtifactError."""
    decoded = decode(file, Artifact.RUN_RESULTS, RunResults)
    for result in decoded.results:
        if not result.unique_id and result.node and result.node.unique_id:
            result.unique_id = result.node.unique_id
        if result.status is None:
            result.status = _old_status(result)
    return decoded


def _old_status(result: RunResult) -> str:
    if result.skip:
        return "skipped"
    if result.error:
        result.message = result.message or result.error
        return "error"
    if result.fail:
        return "fail"
    return "warn" if result.warn else "success"
