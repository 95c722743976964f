"""dbt's words for how a node or a step ended, put into ours."""

from collections.abc import Collection
from enum import StrEnum

from observability.artifacts.commands import CommandKind
from observability.artifacts.event_log import INTERRUPTED
from observability.artifacts.reader import Evidence, StepRecord, was_killed


class Outcome(StrEnum):
    """How a node ended."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


class StepOutcome(StrEnum):
    """How a step ended."""

    SUCCESS = "success"
    WARNING = "warning"
    FAILURE = "failure"
    INTERRUPTED = "interrupted"
    NOT_RUN = "not_run"


OUTCOMES: dict[str, Outcome] = {
    "success": Outcome.OK,
    "pass": Outcome.OK,
    "no-op": Outcome.OK,
    "reused": Outcome.OK,
    "warn": Outcome.WARNING,
    "error": Outcome.FAILURE,
    "fail": Outcome.FAILURE,
    "runtime error": Outcome.FAILURE,
    "partial success": Outcome.FAILURE,
    INTERRUPTED: Outcome.FAILURE,
    "skipped": Outcome.SKIPPED,
}
"""By dbt's status in lower case; what is not here is unknown."""


def outcome_of(status: str) -> Outcome:
    """A status' outcome, whatever its case."""
    return OUTCOMES.get(status.lower(), Outcome.UNKNOWN)


def step_outcome(record: StepRecord, statuses: Collection[str]) -> StepOutcome:
    """How the step ended, by its exit code and its results together: neither suffices alone.

    An on-run-end hook that does not compile leaves results that all say success beside exit code 2; a stale source
    leaves exit code 1 beside a file that lacks the source.
    """
    code = record.files.step.exit_code
    unfinished = record.events is not None and record.events.success is None
    if was_killed(code) or INTERRUPTED in statuses or (record.evidence == Evidence.EVENT_LOG and unfinished):
        return StepOutcome.INTERRUPTED
    if record.evidence == Evidence.NOT_RUN:
        return _without_results(record)
    outcomes = {outcome_of(status) for status in statuses}
    if Outcome.FAILURE in outcomes or code not in {None, 0}:
        return StepOutcome.FAILURE
    return StepOutcome.WARNING if Outcome.WARNING in outcomes else StepOutcome.SUCCESS


def _without_results(record: StepRecord) -> StepOutcome:
    step = record.files.step
    if step.exit_code is None:
        if step.started_at is not None or record.events is not None:
            return StepOutcome.INTERRUPTED  # its caller saw it start, and never saw it end
        parsed = record.manifest is not None and record.command.name is None
        return StepOutcome.SUCCESS if parsed or record.kind is CommandKind.RUNS_NOTHING else StepOutcome.NOT_RUN
    if step.exit_code == 0:
        return StepOutcome.SUCCESS
    ran_nothing = record.kind is CommandKind.RUNS_NOTHING
    return StepOutcome.FAILURE if ran_nothing and step.exit_code == 1 else StepOutcome.NOT_RUN
