"""One Parquet load job a table, by an id of its own, until it has certainly loaded its rows once."""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, cast

from google.api_core import exceptions as api
from google.cloud import bigquery

from observability.audit.prepared import COMMIT
from observability.audit.schema import TABLES
from observability.errors import StoreUnavailable
from observability.stores.bigquery.faults import JOB_SECONDS, NO_RETRY, TRANSIENT_REASONS, bounded_retry, is_transient
from observability.stores.bigquery.schema import schema_fields

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_ATTEMPTS = 8
"""Job ids that are tried for one table before it is given up."""
_REASONS: dict[str, type[api.GoogleAPICallError]] = {
    "notFound": api.NotFound,
    "accessDenied": api.Forbidden,
    "quotaExceeded": api.Forbidden,
}


@dataclass(frozen=True)
class LoadJobs:
    """Loads tables into the dataset of tables."""

    client: bigquery.Client
    dataset: bigquery.DatasetReference
    location: str | None
    labels: Mapping[str, str]
    seconds: float
    """How long one request is repeated."""

    def load(self, table: str, rows: "pa.Table", job_prefix: str) -> None:
        """Append rows to a table, once. Raises StoreUnavailable where it cannot be known that they are in."""
        data = _parquet(rows)
        destination = self.dataset.table(table)
        last = "it was never accepted"
        for attempt in range(_MOST_ATTEMPTS):
            job, is_found = self._finished(f"{job_prefix}_{table}_{attempt}", destination, data)
            if job.error_result is None and not (is_found and self._is_strange(job, destination, rows.num_rows)):
                return
            failure = job.error_result or {}
            reason = failure.get("reason")
            last = failure.get("message") or "a job of this id loaded something else"
            if failure and not is_found:
                if reason not in TRANSIENT_REASONS:
                    raise _REASONS.get(reason or "", api.BadRequest)(last, errors=[failure])
                time.sleep(random.uniform(0.5, 1.0) * min(2.0**attempt, 20.0, self.seconds / 8))  # noqa: S311 - no secret
        raise StoreUnavailable(
            f"{_MOST_ATTEMPTS} load jobs failed, the last because: {last}",
            where=str(destination),
            next_step="what was to be stored is kept aside and stored by the next ingest, or by `dbt-observe replay`",
        )

    def _finished(
        self, job_id: str, destination: bigquery.TableReference, data: bytes
    ) -> tuple[bigquery.LoadJob, bool]:
        """The job of this id, run to its end, and whether it was there before: an answer may have been lost."""
        retry = bounded_retry(self.seconds)

        def start() -> tuple[bigquery.LoadJob, bool]:
            try:
                made = self.client.load_table_from_file(
                    BytesIO(data),
                    destination,
                    job_id=job_id,
                    location=self.location,
                    job_config=self._config(destination.table_id),
                    num_retries=0,
                    timeout=self.seconds,
                )
            except api.Conflict:
                found = self.client.get_job(job_id, location=self._where(), retry=NO_RETRY, timeout=self.seconds)
                return cast("bigquery.LoadJob", found), True
            return made, False

        job, is_found = retry(start)()
        try:
            job.result(retry=retry, timeout=JOB_SECONDS)
        except api.GoogleAPICallError as error:
            if job.error_result is None or is_transient(error):
                retry(job.reload)(retry=NO_RETRY, timeout=self.seconds)
            if job.state != "DONE":
                raise
        return job, is_found

    def _where(self) -> str | None:
        """Where the dataset is: without its location, a job is looked for in the US and the EU only."""
        if self.location:
            return self.location
        found = self.client.get_table(self.dataset.table(COMMIT), retry=NO_RETRY, timeout=self.seconds)
        return cast("str | None", found.location)

    def _config(self, table: str) -> bigquery.LoadJobConfig:
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            schema=schema_fields(TABLES[table].columns),
            write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
            create_disposition=bigquery.CreateDisposition.CREATE_NEVER,
            labels=dict(self.labels),
        )
        options = bigquery.ParquetOptions()
        options.enable_list_inference = True  # else a list becomes a record of a list
        config.parquet_options = options
        return config

    def _is_strange(self, job: bigquery.LoadJob, destination: bigquery.TableReference, rows: int) -> bool:
        """Whether a job that was found loaded something else: ids outlive the datasets that their jobs loaded into."""
        told, meant = job.destination, destination
        if (told.project, told.dataset_id, told.table_id) != (meant.project, meant.dataset_id, meant.table_id):
            return True
        if job.output_rows not in {None, rows}:
            return True
        made = self.client.get_table(destination, retry=bounded_retry(self.seconds), timeout=self.seconds).created
        return made is not None and job.ended is not None and job.ended < made


def _parquet(rows: "pa.Table") -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="snappy", coerce_timestamps="us")
    data: bytes = sink.getvalue().to_pybytes()
    return data
