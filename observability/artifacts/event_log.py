"""dbt's JSON event log (`--log-format-file json`): what a killed step had finished, and what its files leave out."""

import mmap
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from observability.artifacts.commands import Command, parse_command
from observability.artifacts.json_file import open_json_file
from observability.artifacts.run_results import RunResult, Timing
from observability.artifacts.step import TOKEN_KEY

INTERRUPTED = "interrupted"
"""The status that we give to a node that began and never finished; dbt has none for it."""


class _NodeInfo(msgspec.Struct, gc=False):
    unique_id: str = ""
    resource_type: str | None = None
    node_status: str | None = None
    node_started_at: str | None = None


class _RunResult(msgspec.Struct, gc=False):
    status: str | None = None
    message: str | None = None
    num_failures: int | None = None
    execution_time: float | None = None
    thread: str | None = None
    adapter_response: Any = None
    timing_info: list[Timing] | None = None


class _Data(msgspec.Struct, gc=False):
    node_info: _NodeInfo | None = None
    run_result: _RunResult | None = None
    args: dict[str, str] | None = None
    version: str | None = None
    success: bool | None = None
    exc: str | None = None
    conn_name: str | None = None


class _Info(msgspec.Struct, gc=False):
    name: str = ""
    invocation_id: str = ""
    level: str = ""
    msg: str = ""
    ts: str | None = None
    thread: str | None = None
    extra: dict[str, str] | None = None


class _Event(msgspec.Struct, gc=False):
    info: _Info
    data: _Data | None = None


@dataclass
class Invocation:
    """What the log holds of one invocation. `results` are the nodes that finished, `started` those that did not."""

    invocation_id: str
    token: str | None = None
    dbt_version: str | None = None
    command: Command = field(default_factory=Command)
    args: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    started_at: str | None = None
    last_at: str | None = None
    results: dict[str, RunResult] = field(default_factory=dict)
    started: dict[str, RunResult] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    """The nodes whose query dbt cancelled, because it was interrupted or told to fail fast."""
    success: bool | None = None
    """As `CommandCompleted` tells; None where the command never came to its end."""
    error: str | None = None
    """The first error that is not a node's own."""

    @property
    def interrupted(self) -> list[RunResult]:
        """The nodes that began and never finished."""
        return list(self.started.values())


_NEEDED = re.compile(
    rb'"name": ?"(?:MainReportVersion|MainReportArgs|NodeStart|NodeFinished|CommandCompleted|MainEncounteredError'
    rb'|LogCancelLine)"|"level": ?"error"'
)
# errors that repeat what the result of a node says, or the error before them
_OF_NODES = re.compile(r"^(Log|RunResult|Catchable|Generic|Internal|EndOfRun|CheckNode|MainStackTrace)")


def read_event_log(path: Path) -> list[Invocation]:
    """The invocations that a log tells of, in its order; empty where it is not in JSON (dbt's default is text).

    Lines that are cut short or not events are passed over: a killed dbt leaves half a line. Raises
    UnreadableArtifact where the file cannot be opened.
    """
    document = open_json_file(path).document
    invocations: dict[str, Invocation] = {}
    decoder = msgspec.json.Decoder(_Event)
    if not isinstance(document, mmap.mmap):
        return []
    for line in iter(document.readline, b""):
        if not _NEEDED.search(line):
            continue
        try:
            event = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        info = event.info
        invocation = invocations.setdefault(info.invocation_id, Invocation(info.invocation_id, started_at=info.ts))
        _take(invocation, info, event.data or _Data())
    for invocation in invocations.values():
        for finished in invocation.results.keys() & invocation.started.keys():
            # a cancelled query ends in an error that is none of the node's
            if finished in invocation.cancelled and invocation.results[finished].status != "success":
                del invocation.results[finished]
            else:
                del invocation.started[finished]
    return list(invocations.values())


def _take(invocation: Invocation, info: _Info, data: _Data) -> None:
    invocation.last_at = info.ts or invocation.last_at
    if info.extra:
        invocation.env = info.extra
        invocation.token = info.extra.get(TOKEN_KEY)
    match info.name:
        case "MainReportVersion":
            invocation.dbt_version = (data.version or "").removeprefix("=") or None
        case "MainReportArgs":
            invocation.args = data.args or {}
            invocation.command = parse_command(invocation.args.get("invocation_command"))
        case "NodeStart" if data.node_info:
            invocation.started[data.node_info.unique_id] = _interrupted(info, data.node_info)
        case "NodeFinished" if data.node_info:
            invocation.results[data.node_info.unique_id] = _finished(info, data)
        case "CommandCompleted":
            invocation.success = data.success
        case "LogCancelLine":
            invocation.cancelled.add(data.conn_name or "")
        case "MainEncounteredError":
            invocation.error = data.exc or invocation.error  # a keyboard interrupt has no words
        case name if info.level == "error" and not invocation.error and not _OF_NODES.match(name):
            invocation.error = data.exc or info.msg


def _interrupted(info: _Info, node: _NodeInfo) -> RunResult:
    started_at = node.node_started_at or info.ts
    return RunResult(
        unique_id=node.unique_id,
        status=INTERRUPTED,
        message="dbt ended before this node did",
        thread_id=info.thread,
        timing=[Timing(name="execute", started_at=started_at)],
    )


def _finished(info: _Info, data: _Data) -> RunResult:
    assert data.node_info is not None  # noqa: S101 - the caller's match has seen it
    result = data.run_result or _RunResult()
    return RunResult(
        unique_id=data.node_info.unique_id,
        status=result.status or data.node_info.node_status,
        message=result.message,
        # protobuf knows no null: every node that is not a test has 0 here
        failures=result.num_failures if "test" in (data.node_info.resource_type or "") else None,
        execution_time=result.execution_time,
        thread_id=result.thread or info.thread,
        adapter_response=result.adapter_response,
        timing=result.timing_info,
    )
