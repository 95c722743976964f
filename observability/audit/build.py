"""One dbt step's records → the rows of one load. Pure: no file and no store is touched."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

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
from observability.audit.invocation import BuildOptions, build_invocation
from observability.audit.lineage import CauseGraph, Graph
from observability.audit.nodes import Project, build_project, seconds
from observability.audit.outcomes import Outcome, outcome_of
from observability.audit.tables import Invocation, RunResult, SourceFreshness
from observability.audit.values import canonical, clean, integer

RUNTIME_ERROR = "runtime error"
_BAD = {Outcome.FAILURE, Outcome.WARNING}
_LINKED = {*_BAD, Outcome.SKIPPED}
_NONE: list[str] = []
_NO_TIME = Timing()


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
    warnings = [*record.warnings, *builder.warnings]
    invocation = build_invocation(record, options, project, statuses, warnings)
    return Load(
        load_id=str(uuid7()),
        loaded_at=datetime.now(UTC),
        invocation=invocation,
        run_results=results,
        source_freshness=freshness,
        project=project,
        warnings=warnings,
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
        response = result.adapter_response if isinstance(result.adapter_response, dict) else {}
        compiling = executing = _NO_TIME
        for phase in result.timing or ():
            if phase.name == "execute":
                executing = phase
            elif phase.name == "compile":
                compiling = phase
        node = self.project.nodes.get(result.unique_id)
        causes, ancestors, parents = links.of(result.unique_id, outcome)
        return RunResult(
            unique_id=result.unique_id,
            causes=causes,
            ancestors=ancestors,
            parents=parents,
            status=_status(result),
            outcome=outcome.value,
            message=clean(result.message),
            failures=result.failures,
            execution_time=result.execution_time,
            compile_started_at=parse_timestamp(compiling.started_at),
            compile_completed_at=parse_timestamp(compiling.completed_at),
            execute_started_at=parse_timestamp(executing.started_at),
            execute_completed_at=parse_timestamp(executing.completed_at),
            thread_id=result.thread_id,
            rows_affected=integer(response.get("rows_affected")),
            bytes_processed=integer(response.get("bytes_processed")),
            bytes_billed=integer(response.get("bytes_billed")),
            slot_ms=integer(response.get("slot_ms")),
            query_id=_text(response.get("job_id") or response.get("query_id")),
            adapter_response=canonical(response),
            relation_name=result.relation_name or (node.relation_name if node and node.test_name is None else None),
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
            error=clean(result.error),
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


def _status(result: DbtResult) -> str:
    return (result.status or "").lower()


def _text(value: object) -> str | None:
    return str(value) if value else None
