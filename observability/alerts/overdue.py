"""What did not run in time. Pure: deadlines, attempts and a moment in, incidents out.

A deadline of a day is met by an attempt that began in its window and ended by then, however it ended: one that failed
has an incident of its own. It is missed where there is none; the incident is over when an attempt that counts for it
has ended after all. Deadlines that the same attempt comes too late for, or that none came for yet, are one incident.

The store knows what has ended, not what runs: of a step that may still be under way, it is said how far its DAG has
come. No exposures are named, for what it would have built is not known.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import NamedTuple
from zoneinfo import ZoneInfo

from observability.alerts.incidents import Failure, Incident, Kind, Severity, State
from observability.alerts.meta import Declared, Observe, Record
from observability.config import Deadline

LOOK_BACK = timedelta(days=9)
"""For how long the end of an incident is told from what was stored."""
_WINDOW = timedelta(hours=12)
"""Before a deadline that does not say from when on a run counts: last night's does, yesterday's late one does not."""
_LOADING = timedelta(minutes=5)
"""What ended in time may be stored a little later: so long, nothing is said."""
_DAY = timedelta(days=1)
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_RANK = {severity: rank for rank, severity in enumerate(Severity)}
_KEY = "/overdue/"


class _Step(NamedTuple):
    """The same step at all times."""

    project: str | None
    environment: str
    name: str

    @property
    def key(self) -> str:
        return f"{self.project or ''}/{self.environment}{_KEY}{self.name}"

    def id_of(self, missed: datetime) -> str:
        """The id of the incident that began with this deadline."""
        micros = (missed - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        return sha256(f"{self.key} {micros}".encode()).hexdigest()[:12]


@dataclass(frozen=True)
class _Due:
    """A deadline on one day."""

    deadline: Deadline
    begins: datetime
    by: datetime


def find_overdue(
    deadlines: Sequence[Deadline],
    rows: Iterable[Record],
    now: datetime,
    environment: str | None = None,
) -> list[Incident]:
    """The incidents of deadlines that were missed, those that are over too, as far as the rows of ATTEMPTS reach back.

    A step that is in no row is waited for by a deadline that says since when, in its environment or in this one.
    """
    attempts = [row for row in rows if row["ended_at"] <= now]
    histories = _histories(attempts)
    histories |= {step: [] for step in _never_seen(deadlines, histories, environment)}
    found: list[Incident] = []
    for step, history in histories.items():
        mine = [deadline for deadline in deadlines if _fits(deadline, step)]
        dues = sorted((due for one in mine for due in _dues(one, step, history, now)), key=lambda due: due.by)
        found += _of_step(step, history, dues, attempts)
    return found


def is_awaited(deadline: Deadline, rows: Iterable[Record], environment: str | None = None) -> bool:
    """Whether there is a step that a deadline is for, in the rows of ATTEMPTS or one that is still to come."""
    steps = _histories(rows)
    return any(_fits(deadline, step) for step in steps) or any(_never_seen([deadline], steps, environment))


def is_overdue(incident_key: str) -> bool:
    """Whether it is the key of an incident of a deadline."""
    return _KEY in incident_key


def _histories(attempts: Iterable[Record]) -> dict[_Step, list[Record]]:
    """The attempts of each step, one after another.

    One that never got as far as its project's name belongs to the project that the step has at all other times.
    """
    projects: dict[tuple[str, str], set[str]] = {}
    ordered = sorted(attempts, key=lambda row: row["started_at"])
    for row in ordered:
        known = projects.setdefault((row["environment"], row["step"]), set())
        known |= {row["project_name"]} - {None}
    found: dict[_Step, list[Record]] = {}
    for row in ordered:
        known = projects[row["environment"], row["step"]]
        project = row["project_name"] or (next(iter(known)) if len(known) == 1 else None)
        found.setdefault(_Step(project, row["environment"], row["step"]), []).append(row)
    return found


def _never_seen(
    deadlines: Sequence[Deadline], histories: Mapping[_Step, object], environment: str | None
) -> Iterator[_Step]:
    for one in deadlines:
        where = one.environment or environment
        is_glob = any(sign in one.step for sign in "*?[")
        if where is None or one.since is None or is_glob or any(_fits(one, step) for step in histories):
            continue
        projects = {step.project for step in histories if step.environment == where}
        yield _Step(one.project or (projects.pop() if len(projects) == 1 else None), where, one.step)


def _fits(deadline: Deadline, step: _Step) -> bool:
    return (
        deadline.project in {None, step.project}
        and deadline.environment in {None, step.environment}
        and (deadline.step == step.name or fnmatchcase(step.name, deadline.step))
    )


def _dues(deadline: Deadline, step: _Step, history: Sequence[Record], now: datetime) -> Iterator[_Due]:
    """The days of a deadline that are over by now, since it is known that the step is to run."""
    zone = ZoneInfo(deadline.zone)
    seen = history[0]["started_at"] if history else None
    is_new = seen is None or seen.date() >= (now - LOOK_BACK).date()
    if is_new and deadline.since and deadline.step == step.name:
        day, seen = deadline.since, None
    elif seen:
        day = max(seen.astimezone(zone).date(), deadline.since or date.min)
    else:
        return
    while day <= now.astimezone(zone).date():
        due = _due(deadline, day, zone)
        # what came before the first attempt that is known cannot be judged
        if _WEEKDAYS[day.weekday()] in deadline.days and due.by + _LOADING <= now and (not seen or due.begins > seen):
            yield due
        day += _DAY


def _due(deadline: Deadline, day: date, zone: ZoneInfo) -> _Due:
    by = max(_moments(day, deadline.by, zone))
    if deadline.begins is None:
        return _Due(deadline, by - _WINDOW, by)
    begins = min(_moments(day if deadline.begins < deadline.by else day - _DAY, deadline.begins, zone))
    return _Due(deadline, begins, by)


def _moments(day: date, clock: str, zone: ZoneInfo) -> list[datetime]:
    """When the clock on the wall shows this: twice where it is put back; where it skips it, before and after that."""
    local = datetime.fromisoformat(f"{day.isoformat()}T{clock}")
    return [local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]


def _of_step(
    step: _Step, history: Sequence[Record], dues: Sequence[_Due], attempts: Sequence[Record]
) -> Iterator[Incident]:
    missed: dict[datetime | None, list[_Due]] = {}
    arrivals: dict[datetime | None, Record | None] = {}
    for due in dues:
        arrival = min(
            (row for row in history if row["started_at"] >= due.begins), key=lambda row: row["ended_at"], default=None
        )
        ended_at = arrival["ended_at"] if arrival else None
        if ended_at is None or ended_at > due.by:
            arrivals[ended_at] = arrival
            missed.setdefault(ended_at, []).append(due)
    for ended_at, together in missed.items():
        yield _incident(step, history, together, arrivals[ended_at], attempts)


def _incident(
    step: _Step, history: Sequence[Record], dues: Sequence[_Due], arrival: Record | None, attempts: Sequence[Record]
) -> Incident:
    """What these deadlines are together; the one that matters most tells whom it concerns."""
    since, seen_at = dues[0].by, dues[-1].by
    worst = min(dues, key=lambda due: _RANK[Severity(due.deadline.severity)]).deadline
    before = [row for row in history if row is not arrival and row["ended_at"] <= since]
    last = before[-1] if before else None
    known = last or arrival or {}
    dag_id = known.get("dag_id")
    why = [f"due by {worst.by} {worst.zone}", _last(last)]
    if arrival:
        why.append(f"a run of it ended {_clock(arrival['ended_at'])}: {arrival['outcome']}")
    else:
        why.append(_progress(step, dues[-1], attempts))
    status = arrival["outcome"] if arrival else "overdue"
    return Incident(
        key=step.key,
        id=step.id_of(since),
        project_name=step.project,
        environment=step.environment,
        kind=Kind.RUN_OVERDUE,
        severity=Severity(worst.severity),
        state=State.RECOVERED if arrival else State.OPEN,
        subject=step.name,
        name=step.name.removeprefix(f"{dag_id}."),
        failures=(_failure(step.name, status, "; ".join(filter(None, why)), since, seen_at),),
        owner=worst.owner,
        declared=Declared(observe=Observe(channel=worst.channel, runbook=worst.runbook)),
        since=since,
        seen_at=seen_at,
        last_good_at=last["last_good_at"] if last else None,
        bad_runs=len(dues),
        command=known.get("command"),
        dag_id=dag_id,
        task_id=known.get("task_id"),
        map_index=known.get("map_index"),
        closed_at=arrival["ended_at"] if arrival else None,
    )


def _failure(name: str, status: str, message: str, since: datetime, seen_at: datetime) -> Failure:
    return Failure(
        unique_id=name,
        name=name,
        resource_type="step",
        status=status,
        outcome="failure",
        message=message,
        failures=None,
        since=since,
        seen_at=seen_at,
    )


def _last(row: Record | None) -> str:
    return f"its last run ended {_clock(row['ended_at'])}: {row['outcome']}" if row else "no run of it is known"


def _progress(step: _Step, due: _Due, attempts: Iterable[Record]) -> str:
    """How far its DAG has come without it: it may still be under way."""
    others = [
        row
        for row in attempts
        if row["environment"] == step.environment
        and row["dag_id"]
        and step.name.startswith(f"{row['dag_id']}.")
        and row["step"] != step.name
        and row["started_at"] >= due.begins
    ]
    if not others:
        return ""
    latest = max(others, key=lambda row: (row["ended_at"], row["step"]))
    name = str(latest["step"]).removeprefix(f"{latest['dag_id']}.")
    return f"{latest['dag_id']} has come as far as {name}, {_clock(latest['ended_at'])}"


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
