"""A lease: turns of two minutes, each of which one query job's id stands for."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast
from uuid import uuid4

from google.api_core import exceptions as api
from google.cloud import bigquery

from observability.stores.bigquery.faults import NO_RETRY, bounded_retry

TURN = 120
"""Seconds of a turn, by BigQuery's clock."""
_RENEWED_BEFORE = 60


@dataclass
class JobLease:
    """The turns of one who wants to be alone.

    BigQuery takes a job id once; who made the job says its label. One that holds a turn takes the next before it ends;
    anybody else can only take the one that is running, so there is never a second holder.
    """

    client: bigquery.Client
    location: str | None
    name: str
    labels: Mapping[str, str]
    seconds: float
    """How long one request is repeated."""
    owner: str = field(default_factory=lambda: uuid4().hex)
    _turn: int = -1
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

    def seconds_left(self) -> float:
        """Seconds for which it is held for certain; takes the next turn where this one is about to end."""
        if self._turn < 0:
            return 0.0
        left = self._left()
        if 0 < left < _RENEWED_BEFORE and self._take(self._turn + 1):
            self._turn += 1
            left = self._left()
        return max(left, 0.0)

    def _left(self) -> float:
        return (self._turn + 1) * TURN - (time.time() + self._offset)

    def _now_in_turns(self) -> int:
        return int((time.time() + self._offset) // TURN)

    def _take(self, turn: int) -> bool:
        """Whether the job of this turn is ours, whoever made it first."""
        job_id = f"{self.name}_{turn}"
        config = bigquery.QueryJobConfig(labels={**self.labels, "owner": self.owner}, use_query_cache=False)

        def take() -> bigquery.QueryJob:
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
            found = self.client.get_job(job_id, location=self.location, retry=NO_RETRY, timeout=self.seconds)
            return cast("bigquery.QueryJob", found)

        return str(bounded_retry(self.seconds)(take)().labels.get("owner")) == self.owner
