"""One dbt step's records → the rows of one load. Pure: no file and no store is touched."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import md5
from typing import Any, Literal
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

import msgspec
from uuid_utils import uuid7

from observability.artifacts.commands import CommandKind
from observability.artifacts.conformance import Verdict
from observability.artifacts.json_file import decode_raw
from observability.artifacts.reader import StepRecord, parse_timestamp
from observability.artifacts.run_results import RunResult as DbtResult
from observability.artifacts.run_results import Timing
from observability.artifacts.sources import FreshnessResult
from observability.audit.expected_sources import expected_sources
from observability.audit.lineage import CauseGraph, Graph
from observability.audit.nodes import Project, build_project, canonical, seconds
from observability.audit.outcomes import Outcome, outcome_of, step_outcome
from observability.audit.redaction import Redaction
from observability.audit.schema import Json
from observability.audit.tables import (
    ROW_VERSION,
    File,
    Invocation,
    Node,
    RunResult,
    SourceFreshness,
)
from observability.version import __version__

RUNTIME_ERROR = "runtime error"
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_RUN_TYPES = re.compile(r"(scheduled|manual|backfill|dataset_triggered|asset_triggered|asset_materialization)__")
_BAD = {Outcome.FAILURE, Outcome.WARNING}
_LINKED = {*_BAD, Outcome.SKIPPED}
_NONE: list[str] = []


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """What the loader's settings and its caller decide of a load."""

    redaction: Redaction
    environment: str | None = None
    alertable: bool = True
    compiled_code: Literal["failures", "all", "none"] = "failures"


@dataclass(frozen=True, kw_only=True)
class Load:
    """One attempt to store one step. `project` is what its manifest adds, if the store does not have it yet."""

    load_id: str
    loaded_at: datetime
    invocation: Invocation
    run_results: Sequence[RunResult] = ()
    source_freshness: Sequence[SourceFreshness] = ()
    project: Project | None = None
    warnings: Sequence[str] = field(default=())


def build_load(record: StepRecord, options: BuildOptions, project: Project | None = None) -> Load:
    """The rows of a step. `project` is its manifest's, where the caller has built it already."""
    started = record.started_at
    if project is None and record.manifest is not None:
        project = build_project(record.manifest, started.date())
    builder = _Builder(record, options, project or Project({}, started.date().replace(day=1)))
    results = builder.run_results()
    freshness = builder.source_freshness()
    statuses = [row.status for row in results] + [row.status for row in freshness]
    invocation = builder.invocation(statuses, project is not None)
    return Load(
        load_id=str(uuid7()),
        loaded_at=datetime.now(UTC),
        invocation=invocation,
        run_results=results,
        source_freshness=freshness,
        project=project,
        warnings=invocation.warnings,
    )


def with_verdict(load: Load, verdict: Verdict) -> Load:
    """The load with the schema judge's verdict in its invocation."""
    invocation = msgspec.structs.replace(load.invocation, conforms=verdict.conforms, conformance_error=verdict.error)
    return replace(load, invocation=invocation)


@dataclass
class _Builder:
    record: StepRecord
    options: BuildOptions
    project: Project
    warnings: list[str] = field(default_factory=list)

    def run_results(self) -> list[RunResult]:
        """What became of each node; none for a command that runs none, whatever dbt wrote of it."""
        record = self.record
        if record.kind in {CommandKind.RUNS_NOTHING, CommandKind.CHECKS_FRESHNESS}:
            return []
        results = list(record.run_results.results) if record.run_results else []
        if record.events is not None:
            told = {result.unique_id for result in results}
            logged = [] if record.run_results else record.events.results.values()
            results += [
                result
                for result in (*logged, *record.events.interrupted)
                if result.unique_id not in told and not result.unique_id.startswith("source.")
            ]
        statuses = {result.unique_id: _status(result) for result in results}
        outcomes = {node: outcome_of(status) for node, status in statuses.items()}
        links = _Links(
            self.project.graph,
            outcomes,
            independent={
                node for node, status in statuses.items() if node.startswith("unit_test.") and status == "fail"
            },
            fail_fast="--fail-fast" in record.command.flags,
        )
        return [self._run_result(result, outcomes[result.unique_id], links) for result in results]

    def _run_result(self, result: DbtResult, outcome: Outcome, links: "_Links") -> RunResult:
        response = _response(result.adapter_response)
        timing = {phase.name: phase for phase in result.timing or ()}
        compiling, executing = timing.get("compile") or Timing(), timing.get("execute") or Timing()
        node = self.project.nodes.get(result.unique_id)
        causes, ancestors, parents = links.of(result.unique_id, outcome)
        return RunResult(
            unique_id=result.unique_id,
            causes=causes,
            ancestors=ancestors,
            parents=parents,
            status=_status(result),
            outcome=outcome.value,
            message=_clean(result.message),
            failures=result.failures,
            execution_time=result.execution_time,
            compile_started_at=parse_timestamp(compiling.started_at),
            compile_completed_at=parse_timestamp(compiling.completed_at),
            execute_started_at=parse_timestamp(executing.started_at),
            execute_completed_at=parse_timestamp(executing.completed_at),
            thread_id=result.thread_id,
            rows_affected=_integer(response.get("rows_affected")),
            bytes_processed=_integer(response.get("bytes_processed")),
            bytes_billed=_integer(response.get("bytes_billed")),
            slot_ms=_integer(response.get("slot_ms")),
            query_id=_text(response.get("job_id") or response.get("query_id")),
            adapter_response=_json(response) if response else None,
            relation_name=result.relation_name or (node.relation_name if node and "test" not in _kind(node) else None),
            compiled_code=self._compiled_code(result, outcome),
            batch_results=canonical(result.batch_results),
        )

    def _compiled_code(self, result: DbtResult, outcome: Outcome) -> str | None:
        keep = self.options.compiled_code
        if keep == "none" or (keep == "failures" and outcome not in _BAD):
            return None
        code = decode_raw(result.compiled_code)
        if code is None and self.record.manifest and self.record.manifest.nodes:
            # before run_results v6 only the manifest has it
            node = self.record.manifest.nodes.get(result.unique_id)
            code = (decode_raw(node.compiled_code) or decode_raw(node.compiled_sql)) if node else None
        return code if isinstance(code, str) else None

    def source_freshness(self) -> list[SourceFreshness]:
        """Each source that was checked, and each that should have been and is missing."""
        record = self.record
        checked = {result.unique_id: result for result in (record.sources.results if record.sources else ())}
        for result in self._missing(checked):
            checked.setdefault(result.unique_id, result)
        outcomes = {unique_id: outcome_of(result.status or "") for unique_id, result in checked.items()}
        links = _Links(self.project.graph, outcomes)
        return [self._freshness_row(result, outcomes[unique_id], links) for unique_id, result in checked.items()]

    def _freshness_row(self, result: FreshnessResult, outcome: Outcome, links: "_Links") -> SourceFreshness:
        node = self.project.nodes.get(result.unique_id)
        newest = parse_timestamp(result.max_loaded_at)
        criteria = result.criteria
        causes, ancestors, parents = links.of(result.unique_id, outcome)
        return SourceFreshness(
            unique_id=result.unique_id,
            causes=causes,
            ancestors=ancestors,
            parents=parents,
            status=(result.status or "").lower(),
            outcome=outcome.value,
            source_name=node.source_name if node else None,
            max_loaded_at=newest,
            snapshotted_at=parse_timestamp(result.snapshotted_at),
            # dbt gives an empty table the year 1, and so an age of two thousand years
            age_seconds=result.max_loaded_at_time_ago_in_s if newest else None,
            warn_after_seconds=seconds(criteria.warn_after) if criteria else node.warn_after_seconds if node else None,
            error_after_seconds=seconds(criteria.error_after)
            if criteria
            else node.error_after_seconds
            if node
            else None,
            filter=(criteria.filter if criteria else None) or (node.freshness_filter if node else None),
            error=_clean(result.error),
            execution_time=result.execution_time,
        )

    def _missing(self, checked: Mapping[str, object]) -> list[FreshnessResult]:
        """The sources whose check failed, which dbt leaves out; with the event log's reason where there is one."""
        record = self.record
        if record.kind is not CommandKind.CHECKS_FRESHNESS:
            return []
        logged = record.events.results if record.events else {}
        stopped = {result.unique_id: result for result in (record.events.interrupted if record.events else ())}
        found = [
            FreshnessResult(
                unique_id=result.unique_id,
                status=_status(result),
                error=result.message if outcome_of(_status(result)) is not Outcome.OK else None,
                execution_time=result.execution_time,
            )
            for result in (*logged.values(), *stopped.values())
            if result.unique_id.startswith("source.")
        ]
        # dbt ends with 0 only where every check came to its end
        if record.sources is None or record.files.step.exit_code == 0 or record.manifest is None:
            return found
        expected = expected_sources(
            self.project.nodes.values(), record.command, has_default_selector=record.manifest.has_default_selector
        )
        if expected is None:
            self.warnings.append(
                "the selection of this freshness step is not evaluated: a source whose check failed is only known from "
                "dbt's JSON event log"
            )
            return found
        return found + [
            FreshnessResult(
                unique_id=node.unique_id,
                status=RUNTIME_ERROR,
                error="dbt left this source out of its results, as it does where the check itself fails",
            )
            for node in expected
            if node.unique_id not in checked
        ]

    def invocation(self, statuses: Sequence[str], has_manifest: bool) -> Invocation:
        """The step's own row. Its row_counts are filled in by the store, which knows what it wrote."""
        record, step, metadata = self.record, self.record.files.step, self.record.metadata
        redaction = self.options.redaction
        results = record.run_results
        args: dict[str, object] = dict(
            (results.args if results else None) or (record.events.args if record.events else None) or {}
        )
        text = record.command.text
        run_type = _RUN_TYPES.match(step.dag_run_id or metadata_env(metadata.env, "AIRFLOW_RUN_ID") or "")
        linkage = _linkage(step, metadata.env)
        return Invocation(
            invocation_id=metadata.invocation_id or _own_id(record),
            content_hash=record.files.content_hash(ROW_VERSION),
            row_version=ROW_VERSION,
            evidence=record.evidence,
            project_name=_project_name(record, self.project.nodes),
            environment=self.options.environment or step.environment or record.command.target or "default",
            command=record.command.name,
            invocation_command=redaction.text(text) if text else None,
            run_type=run_type[1] if run_type else None,
            dbt_version=metadata.dbt_version,
            adapter_type=metadata.adapter_type,
            started_at=record.started_at,
            completed_at=record.completed_at,
            elapsed_seconds=_elapsed(record),
            exit_code=step.exit_code,
            outcome=step_outcome(record, statuses).value,
            error=_clean(record.events.error if record.events else None),
            will_retry=step.will_retry,
            alertable=self.options.alertable,
            full_refresh=_flag(args.get("full_refresh"), "--full-refresh" in record.command.flags),
            empty=_flag(args.get("empty"), "--empty" in record.command.flags),
            args=_json(redaction.value(args)) if args else None,
            vars=_json(redaction.value(_variables(args.get("vars")))),
            env=_json(redaction.value(metadata.env)) if metadata.env else None,
            git_sha=step.git_sha,
            git_branch=step.git_branch,
            **linkage,
            max_tries=step.max_tries,
            logical_date=step.logical_date,
            log_url=step.log_url,
            manifest_id=self.project.manifest_id if has_manifest else None,
            lineage_id=self.project.lineage_id if has_manifest else None,
            files=_files(record),
            conforms=None,
            conformance_error=None,
            warnings=[*record.warnings, *self.warnings],
            row_counts=Json("{}"),
            loader_version=__version__,
            run_date=record.started_at.date(),
        )


class _Links:
    """Causes, ancestors and parents of a step's bad nodes."""

    def __init__(
        self,
        graph: Graph,
        outcomes: Mapping[str, Outcome],
        *,
        independent: Collection[str] = (),
        fail_fast: bool = False,
    ) -> None:
        self._graph = graph
        failed = [node for node, outcome in outcomes.items() if outcome is Outcome.FAILURE]
        others = [node for node, outcome in outcomes.items() if outcome in {Outcome.WARNING, Outcome.SKIPPED}]
        self._causes = CauseGraph(graph, failed, others, independent).causes() if failed else {}
        # with --fail-fast the first failure ends the whole run, not only what is below it
        self._first = sorted({cause for node in failed for cause in self._causes[node]}) if fail_fast else []

    def of(self, node: str, outcome: Outcome) -> tuple[list[str], list[str], list[str]]:
        """The causes, ancestors and parents of a row."""
        if outcome not in _LINKED:
            return _NONE, _NONE, _NONE
        causes = self._causes.get(node) or ([node] if outcome is Outcome.WARNING else self._first)
        if outcome is Outcome.SKIPPED:
            return causes, _NONE, _NONE
        return causes, sorted(self._graph.ancestors(node)), list(self._graph.parents.get(node, ()))


def _kind(node: Node) -> str:
    return node.resource_type or ""


def _status(result: DbtResult) -> str:
    return (result.status or "").lower()


def _clean(message: str | None) -> str | None:
    """dbt's text without terminal colours; dbt writes an empty message where it has none."""
    return _ANSI.sub("", message).strip("\n") or None if message else None


def _response(raw: msgspec.Raw) -> dict[str, object]:
    decoded = decode_raw(raw)
    return decoded if isinstance(decoded, dict) else {}


def _integer(value: object) -> int | None:
    """Adapters report counts as numbers or as text."""
    try:
        return int(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
    except ValueError:
        return None


def _text(value: object) -> str | None:
    return str(value) if value else None


def _flag(value: object, given: bool) -> bool | None:
    """An option as dbt recorded it; the event log writes options as text."""
    if isinstance(value, str) and value in {"True", "False"}:
        return value == "True"
    return value if isinstance(value, bool) else given or None


def _json(value: object) -> Json:
    return Json(msgspec.json.encode(value, order="sorted").decode())


def _variables(value: object) -> object:
    """--vars as an object; dbt before 1.5 and its event log record them as text."""
    if not isinstance(value, str):
        return value or {}
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        return value


def metadata_env(env: Mapping[str, str | None] | None, name: str) -> str | None:
    """One of the DBT_ENV_CUSTOM_ENV_ variables."""
    return (env or {}).get(name)


def _linkage(step: Any, env: Mapping[str, str | None] | None) -> dict[str, Any]:
    """Where in Airflow this ran: as its caller said, else as dbt's environment did."""

    def number(name: str) -> int | None:
        return _integer(metadata_env(env, name))

    return {
        "dag_id": step.dag_id or metadata_env(env, "AIRFLOW_DAG_ID"),
        "dag_run_id": step.dag_run_id or metadata_env(env, "AIRFLOW_RUN_ID"),
        "task_id": step.task_id or metadata_env(env, "AIRFLOW_TASK_ID"),
        "map_index": step.map_index if step.map_index is not None else number("AIRFLOW_MAP_INDEX"),
        "try_number": step.try_number if step.try_number is not None else number("AIRFLOW_TRY_NUMBER"),
    }


def _own_id(record: StepRecord) -> str:
    """An id for a step that dbt gave none: of its place in Airflow, else of where and when it ran."""
    step = record.files.step
    if step.dag_id and step.dag_run_id and step.task_id:
        name = [step.dag_id, step.dag_run_id, step.task_id, step.map_index, step.try_number]
    else:
        name = [str(record.files.folder.absolute()), record.started_at.isoformat()]
    return str(uuid5(NAMESPACE_URL, "dbt-observability:" + ":".join(quote(str(part), safe="") for part in name)))


def _project_name(record: StepRecord, nodes: Mapping[str, Node]) -> str | None:
    """The root project. Before manifest v9 only the md5 of its name is written down; without a manifest, nothing is."""
    metadata = record.metadata
    if metadata.project_name:
        return metadata.project_name
    packages = {node.package_name for node in nodes.values() if node.package_name}
    if packages:
        stamp = record.manifest.metadata if record.manifest else None
        digest = stamp.project_id if stamp else None
        return next(
            (name for name in packages if md5(name.encode(), usedforsecurity=False).hexdigest() == digest), None
        )
    results = (*(record.run_results.results if record.run_results else ()),)
    named = {result.unique_id.split(".")[1] for result in results if result.unique_id.count(".") > 1}
    # of several packages any may be the root one
    return named.pop() if len(named) == 1 else None


def _elapsed(record: StepRecord) -> float | None:
    source = record.run_results or record.sources
    return source.elapsed_time if source else None


def _files(record: StepRecord) -> list[File]:
    files = [(name, file) for name, file in record.files.files.items()]
    if record.files.log is not None:
        files.append((record.files.log.name, record.files.log_file))
    return [
        File(
            name=name,
            uri=str(file.path.absolute()),
            sha256=file.sha256,
            bytes=file.size,
            used=name in record.used or (name == "dbt.log" and record.events is not None),
        )
        for name, file in files
    ]
