"""The incident that there would be if a node failed now: to explain who would hear of it. Pure."""

from collections.abc import Sequence
from datetime import datetime

from observability.alerts.exposures import Exposures
from observability.alerts.incidents import Failure, Incident, Kind, Severity, State
from observability.alerts.meta import Record, find_declared

_KINDS = {"test": Kind.TEST_FAILURE, "unit_test": Kind.TEST_FAILURE, "source": Kind.SOURCE_STALE}


def imagine(
    row: Record, *, exposures: Sequence[Record], declared: Sequence[Record], bases: Sequence[str], now: datetime
) -> Incident:
    """An incident of the node of `row`; `bases` are the nodes that what rests on it rests on."""
    scope = (row["project_name"], row["environment"])
    unique_id, kind = row["unique_id"], _KINDS.get(row["resource_type"], Kind.NODE_ERROR)
    subject = row["attached_node"] or unique_id
    said = find_declared(declared, scope, (unique_id, subject))
    hurt = Exposures(scope, exposures).below([{"bases": bases}], (), built=kind is Kind.TEST_FAILURE)
    is_critical = any(one.critical for one in hurt)
    severity = Severity(said.observe.severity or (Severity.CRITICAL if is_critical else Severity.ERROR))
    if row["severity"] == "warn":
        severity = Severity.WARNING
    failure = Failure(
        unique_id=unique_id,
        name=row["name"] or unique_id,
        resource_type=row["resource_type"],
        status="error",
        outcome="failure",
        message=None,
        failures=None,
        since=now,
        seen_at=now,
        original_file_path=row["original_file_path"],
    )
    return Incident(
        key=unique_id,
        id="",
        project_name=scope[0],
        environment=scope[1],
        kind=kind,
        severity=severity,
        state=State.OPEN,
        subject=subject,
        name=row["name"] or unique_id,
        failures=(failure,),
        exposures=hurt,
        owner=row["owner"],
        declared=said,
        since=now,
        seen_at=now,
    )
