"""How `dbt build` of a made-up project goes: what fails, what is skipped for it, and when each node runs."""

import heapq
import random
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from synthetic.model import Project, Relation, Test

THREADS = 32
STARTED_AT = datetime(2026, 3, 9, 4, 0, 7, 251_364, tzinfo=UTC)
# Per 10,000 models or 30,000 tests.
MODEL_ERRORS, TEST_FAILURES, TEST_WARNINGS, TEST_ERRORS = 20, 100, 60, 4
_TYPICAL_SECONDS = {"view": 0.9, "seed": 3.0, "snapshot": 12.0, "table": 5.0, "incremental": 8.0}
# A fault sits where it takes down no more than so many relations, so that most of the run succeeds.
_MOST_BELOW_ERROR, _MOST_BELOW_TEST = 40, 6


@dataclass(frozen=True, slots=True)
class Outcome:
    """One node's result. Times are seconds since the run began."""

    status: str
    thread: int
    began: float
    compile_seconds: float
    execute_seconds: float
    failures: int | None = None

    @property
    def ended(self) -> float:
        return self.began + self.compile_seconds + self.execute_seconds


@dataclass(frozen=True, slots=True)
class Run:
    """The results by unique_id, in the order in which the nodes ended."""

    invocation_id: str
    outcomes: dict[str, Outcome]

    @property
    def elapsed_seconds(self) -> float:
        return max(outcome.ended for outcome in self.outcomes.values())

    def skipped(self, unique_id: str) -> bool:
        return self.outcomes[unique_id].status == "skipped"


def run_project(project: Project) -> Run:
    """Build the project once, with faults in proportion to its size."""
    rng = random.Random(f"run {project.seed}")
    outcomes = _schedule(rng, _plan_jobs(rng, project, plan_faults(rng, project)))
    ordered = dict(sorted(outcomes, key=lambda item: item[1].ended))
    return Run(str(uuid.UUID(int=rng.getrandbits(128), version=4)), ordered)


def timestamp(seconds: float) -> str:
    """So many seconds into the run, as dbt writes it."""
    return (STARTED_AT + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Faults:
    """Indices of relations, unique_ids of tests (with their status) and of skipped exposures."""

    errors: set[int]
    skipped: set[int]
    tests: dict[str, str]
    exposures: set[str]


def plan_faults(rng: random.Random, project: Project) -> Faults:
    """Models that break, tests that fail, warn or break, and the relations that dbt skips below them.

    No fault lies below another, so that the counts hold exactly. A failed test skips what is below all its parents.
    """
    below = _below(project.relations)
    models = [relation for relation in project.relations if relation.resource_type == "model"]
    faults = Faults(set(), set(), {}, set())
    taken: set[int] = set()

    def strike(parents: Iterable[Relation], most: int) -> bool:
        indices = {relation.index for relation in parents}
        blocked = set.intersection(*(below(index) for index in indices))
        if len(blocked) > most or indices & (faults.skipped | faults.errors) or blocked & taken:
            return False
        faults.skipped.update(blocked)
        taken.update(indices)
        return True

    wanted = _in_proportion(MODEL_ERRORS, len(models), 10_000)
    for model in rng.sample(models, len(models)):
        if len(faults.errors) < wanted and below(model.index) and strike([model], _MOST_BELOW_ERROR):
            faults.errors.add(model.index)
    remaining = iter(rng.sample(project.tests, len(project.tests)))
    for status, count, severity in (
        ("fail", TEST_FAILURES, "ERROR"),
        ("error", TEST_ERRORS, "ERROR"),
        ("warn", TEST_WARNINGS, "WARN"),
    ):
        missing = _in_proportion(count, len(project.tests), 30_000)
        while missing and (test := next(remaining, None)):
            if test.severity == severity and (status == "warn" or strike(test.parents, _MOST_BELOW_TEST)):
                faults.tests[test.unique_id] = status
                missing -= 1
    faults.exposures.update(_blocked_exposures(project, faults, below))
    return faults


def _blocked_exposures(project: Project, faults: Faults, below: Callable[[int], set[int]]) -> Iterator[str]:
    bad = faults.errors | faults.skipped
    blocking = [test for test in project.tests if faults.tests.get(test.unique_id, "warn") != "warn"]
    for exposure in project.exposures:
        shown = {parent.index for parent in exposure.parents}
        if shown & bad or any(
            all(parent.index in shown or below(parent.index) & shown for parent in test.parents) for test in blocking
        ):
            yield exposure.unique_id


def _in_proportion(count: int, size: int, full_size: int) -> int:
    return max(1, round(count * size / full_size))


def _below(relations: tuple[Relation, ...]) -> Callable[[int], set[int]]:
    """All relations below one; worked out from the last to the first, once."""
    descendants: list[set[int]] = [set() for _ in relations]
    for relation in reversed(relations):
        for parent in relation.parents:
            descendants[parent.index] |= descendants[relation.index] | {relation.index}
    return descendants.__getitem__


@dataclass(slots=True)
class _Job:
    """A node that waits for others, and what waits for it."""

    unique_id: str
    status: str
    typical_seconds: float
    failures: int | None
    waits_for: int = 0
    ready_at: float = 0.0
    followers: list["_Job"] = field(default_factory=list)

    def follow(self, other: "_Job") -> None:
        self.waits_for += 1
        other.followers.append(self)


def _plan_jobs(rng: random.Random, project: Project, faults: Faults) -> list[_Job]:
    """Every node of the build. A relation waits for its parents, for their tests and for its own unit test."""
    bad = faults.errors | faults.skipped
    jobs: list[_Job] = []
    gates: list[list[_Job]] = [[] for _ in project.relations]  # what must end before a relation can be selected from
    unit_tests = {test.model.index: test.unique_id for test in project.unit_tests}
    tests: dict[int, list[Test]] = {}
    for test in project.tests:
        tests.setdefault(max(parent.index for parent in test.parents), []).append(test)

    def add(unique_id: str, status: str, typical: float, after: Iterable[_Job], failures: int | None = None) -> _Job:
        job = _Job(unique_id, status, typical, failures)
        for other in after:
            job.follow(other)
        jobs.append(job)
        return job

    for relation in project.relations:
        index = relation.index
        before = [job for parent in relation.parents for job in gates[parent.index]]
        skipped = index in faults.skipped
        if unit_test := unit_tests.get(index):
            before = [add(unit_test, "skipped" if skipped else "pass", 1.2, before)]
        if relation.resource_type != "source":
            status = "skipped" if skipped else "error" if index in faults.errors else "success"
            before = [add(relation.unique_id, status, _TYPICAL_SECONDS[relation.materialized], before)]
            gates[index] = before
        for test in tests.get(index, ()):
            after = {id(job): job for parent in test.parents for job in gates[parent.index][:1]}
            status = (
                "skipped" if any(p.index in bad for p in test.parents) else faults.tests.get(test.unique_id, "pass")
            )
            failures = _failures(rng, status)
            gates[index] = [*gates[index], add(test.unique_id, status, 0.9, after.values(), failures)]
    for exposure in project.exposures:
        blocked = exposure.unique_id in faults.exposures
        before = [job for parent in exposure.parents for job in gates[parent.index]]
        add(exposure.unique_id, "skipped" if blocked else "no-op", 0, before, None if blocked else 0)
    return jobs


def _failures(rng: random.Random, status: str) -> int | None:
    if status in {"fail", "warn"}:
        return max(1, round(rng.lognormvariate(2.5, 2)))
    return 0 if status == "pass" else None


def _schedule(rng: random.Random, jobs: list[_Job]) -> Iterator[tuple[str, Outcome]]:
    """dbt's threads: whoever is ready first takes the thread that is free first."""
    threads = [(3.1 + number / 100, number) for number in range(1, THREADS + 1)]
    numbers = {id(job): number for number, job in enumerate(jobs)}
    ready = [(0.0, number) for number, job in enumerate(jobs) if job.waits_for == 0]
    while ready:
        since, number = heapq.heappop(ready)
        job = jobs[number]
        free, thread = heapq.heappop(threads)
        outcome = _outcome(rng, job, thread, max(free, since))
        heapq.heappush(threads, (outcome.ended + 0.002, thread))
        yield job.unique_id, outcome
        for follower in job.followers:
            follower.waits_for -= 1
            follower.ready_at = max(follower.ready_at, outcome.ended)
            if follower.waits_for == 0:
                heapq.heappush(ready, (follower.ready_at, numbers[id(follower)]))


def _outcome(rng: random.Random, job: _Job, thread: int, began: float) -> Outcome:
    skipped = job.status == "skipped"
    return Outcome(
        status=job.status,
        thread=thread,
        began=round(began, 6),
        compile_seconds=0 if skipped else round(rng.uniform(0.004, 0.06), 6),
        execute_seconds=0 if skipped else round(job.typical_seconds * rng.lognormvariate(0, 0.6), 6),
        failures=job.failures,
    )
