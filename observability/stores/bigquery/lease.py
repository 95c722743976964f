"""A lease: turns of two minutes, each of which one query job's id stands for."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import cast
from uuid import uuid4

from google.api_core import exceptions as api
from google.cloud import bigquery

from observability.stores.bigquery.faults import NO_RETRY, bounded_retry

TURN = 120
"""Seconds of a turn, by BigQuery's clock."""
_RENEWED_BEFORE = 60
_OVER = "_over"


@dataclass
class JobLease:
    """The turns of one who wants to be alone.

    BigQuery takes a job id once; who made the job says its label. One that holds a turn takes the next before it ends;
    anybody else can only take the one that is running, so there is never a second holder. A turn that is given back
    before its end has a second job that says so, and can be taken once more, under the next number.
    """

    client: bigquery.Client
    location: str | None
    name: str
    labels: Mapping[str, str]
    seconds: float
    """How long one request is repeated."""
    owner: str = field(default_factory=lambda: uuid4().hex)
    _turn: int = -1
    _taken: dict[int, str] = field(default_factory=dict)
    """The job of each turn that is ours."""
    _offset: float = 0.0
    """BigQuery's clock less ours."""

    def acquire(self) -> bool:
        """Take the turn that is running, unless somebody has it."""
        for _ in range(3):
            turn = self._now_in_turns()
            is_ours = self._take(turn)
            if self._now_in_turns() == turn:  # else our clock was wrong, or the turn ended meanwhile
                self._turn = turn if is_ours else -1
                return is_ours
        return False

    def release(self) -> None:
        """Give back what is left of it."""
        for turn, job_id in self._taken.items():
            if turn >= self._now_in_turns():
                self._make(job_id + _OVER)
        self._turn = -1

    def seconds_left(self) -> float:
        """Seconds for which it is held for certain; takes the next turn where this one is about to end.

        One that ended meanwhile is held on to where nobody has taken the next.
        """
        if self._turn < 0:
            return 0.0
        left = self._left()
        if -TURN < left < _RENEWED_BEFORE and self._take(self._turn + 1):
            self._turn += 1
            left = self._left()
        return max(left, 0.0)

    def _left(self) -> float:
        return (self._turn + 1) * TURN - (time.time() + self._offset)

    def _now_in_turns(self) -> int:
        return int((time.time() + self._offset) // TURN)

    def _take(self, turn: int) -> bool:
        """Whether this turn, or what somebody gave back of it, is ours now."""
        for number in count():
            job_id = f"{self.name}_{turn}_{number}"
            if self._make(job_id) == self.owner:
                self._taken[turn] = job_id
                return True
            if not self._is_made(job_id + _OVER):
                return False
        raise AssertionError  # it counts without an end

    def _make(self, job_id: str) -> str | None:
        """Make a job, unless somebody has; whose it is."""
        config = bigquery.QueryJobConfig(labels={**self.labels, "owner": self.owner}, use_query_cache=False)

        def make() -> bigquery.QueryJob:
            began = time.time()
            try:
                job = self.client.query(
                    "SELECT 1",
                    job_config=config,
                    job_id=job_id,
                    location=self.location,
                    retry=NO_RETRY,
                    job_retry=None,
                    timeout=self.seconds,
                )
            except (api.Conflict, api.BadRequest):
                pass
            else:
                if job.created is not None:
                    self._offset = job.created.timestamp() - (began + time.time()) / 2
            # what the answer says is not believed: the label is read back
            return self._read(job_id)

        return cast("str | None", bounded_retry(self.seconds)(make)().labels.get("owner"))

    def _is_made(self, job_id: str) -> bool:
        try:
            bounded_retry(self.seconds)(self._read)(job_id)
        except api.NotFound:
            return False
        return True

    def _read(self, job_id: str) -> bigquery.QueryJob:
        found = self.client.get_job(job_id, location=self.location, retry=NO_RETRY, timeout=self.seconds)
        return cast("bigquery.QueryJob", found)
