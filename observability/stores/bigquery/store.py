"""The store: questions by query jobs, rows by load jobs."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast
from uuid import uuid4

from google.api_core import exceptions as api
from google.cloud import bigquery

from observability.audit.prepared import COMMIT, PreparedLoad
from observability.errors import StoreError
from observability.stores.base import Committed, Lease, Reader, StoredLoad
from observability.stores.bigquery.faults import JOB_SECONDS, NO_RETRY, bounded_retry, mapped
from observability.stores.bigquery.lease import JobLease
from observability.stores.bigquery.load_jobs import LoadJobs
from observability.stores.bigquery.schema import LABELS, Datasets, Layout, if_changed_meanwhile
from observability.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa
    from google.cloud.bigquery.table import RowIterator

T = TypeVar("T")
_YOUNG = timedelta(hours=24)
"""Older than this, a load is not committed any more: what never was is pruned after twice the time."""
_PARAMETER_TYPES: dict[type, str] = {bool: "BOOL", int: "INT64", float: "FLOAT64", str: "STRING", date: "DATE"}
_PARAMETER_TYPES |= {datetime: "TIMESTAMP"}

_FIND_LOADS = """
SELECT i.content_hash, i.load_id, i.invocation_id, i.command, i.outcome, i.exit_code, i.evidence
FROM {raw}.invocations AS i
WHERE i.content_hash IN UNNEST(@hashes)
ORDER BY i.load_id DESC
"""
_FIND_INVOCATIONS = """
SELECT i.load_id, i.invocation_id, i.command, i.outcome, i.exit_code, i.evidence
FROM {main}.invocations AS i
WHERE i.invocation_id IN UNNEST(@ids)
"""
_KNOWN_STATES = """
SELECT DISTINCT state
FROM {raw}.invocations AS i
CROSS JOIN UNNEST([i.manifest_id, i.lineage_id]) AS state
WHERE state IN UNNEST(@ids)
"""
QUESTIONS = (_FIND_LOADS, _FIND_INVOCATIONS, _KNOWN_STATES)
"""All that a loader asks."""


@dataclass(frozen=True)
class BigQueryStore:
    """An audit store in BigQuery. The constructor asks nothing; `client` is used where one is given."""

    project: str
    dataset: str
    location: str | None = None
    client: bigquery.Client | None = None
    timeout_seconds: float = 60.0
    """How long one request is repeated while it fails for reasons that pass."""
    dialect: Literal["googlesql", "duckdb"] = "googlesql"
    batch_rows: int = 500_000
    """Rows that are worth one set of load jobs."""

    @property
    def url(self) -> str:
        """The URL by which `open_store` opens it."""
        return f"bigquery://{self.project}/{self.dataset}" + (f"?location={self.location}" if self.location else "")

    @property
    def schemas(self) -> Mapping[str, str]:
        """What `{raw}` and `{main}` stand for."""
        return Layout(self.project, self.dataset, self.location).schemas

    @property
    def exists(self) -> bool:
        """True: to find out takes as long as to ask."""
        return True

    @cached_property
    def _client(self) -> bigquery.Client:
        if self.client is not None:
            return self.client
        with mapped(self.url):
            if os.environ.get("BIGQUERY_EMULATOR_HOST"):
                from google.auth.credentials import AnonymousCredentials

                anonymous = AnonymousCredentials()
                return bigquery.Client(project=self.project, location=self.location, credentials=anonymous)
            # jobs are billed where the credentials' quota project says, else in the dataset's own project
            return bigquery.Client(
                project=os.environ.get("GOOGLE_CLOUD_PROJECT") or self.project, location=self.location
            )

    @cached_property
    def _datasets(self) -> Datasets:
        return Datasets(self.project, self.dataset, self.location, self._client, self.timeout_seconds)

    def plan(self) -> list[str]:
        """What `init` would do."""
        with mapped(self.url):
            return [change.what for change in self._datasets.plan()]

    def init(self) -> list[str]:
        """Create or bring up to date datasets, tables and views; says what was done. Raises StoreError."""
        done = []
        with mapped(self.url):
            for change in self._datasets.plan():
                if_changed_meanwhile(change.apply)()
                done.append(change.what)
        return done

    def ddl(self) -> str:
        """The datasets, tables and views as GoogleSQL."""
        return Layout(self.project, self.dataset, self.location).ddl()

    def warm_up(self) -> None:
        """Nothing can be done before the rows are there."""

    def close(self) -> None:
        """Nothing is held open."""

    def find_loads(self, content_hashes: Collection[str]) -> dict[str, StoredLoad]:
        """The committed loads that have one of these contents; reads seven columns of `invocations`."""
        rows = self._ask(_FIND_LOADS, {"hashes": sorted(content_hashes)})
        return {row.pop("content_hash"): StoredLoad(**row) for row in rows}

    def find_invocations(self, invocation_ids: Collection[str]) -> dict[str, StoredLoad]:
        """The winning loads of these invocations, by invocation_id."""
        rows = self._ask(_FIND_INVOCATIONS, {"ids": sorted(invocation_ids)})
        return {row["invocation_id"]: StoredLoad(**row) for row in rows}

    def known_states(self, manifest_ids: Collection[str], lineage_ids: Collection[str]) -> set[str]:
        """Those of these ids whose rows a committed load has stored; reads two columns of `invocations`."""
        ids = sorted({*manifest_ids, *lineage_ids})
        rows = self._ask(_KNOWN_STATES, {"ids": ids}) if ids else []
        return {row["state"] for row in rows}

    def append(self, loads: Sequence[PreparedLoad]) -> list[Committed]:
        """Store loads together, each content once: one load job a table, the committing rows when all others are in."""
        found = self.find_loads([load.content_hash for load in loads])
        fresh: dict[str, PreparedLoad] = {}
        for load in loads:
            if load.content_hash not in found:
                fresh.setdefault(load.content_hash, load)
        with mapped(self.url):
            counts = self._load(list(fresh.values())) if fresh else {}
        return [
            Committed(load.load_id, {COMMIT: 1, **counts[load.load_id]})
            if fresh.get(load.content_hash) is load
            else Committed(load.load_id, unchanged=found.get(load.content_hash) or _stored(fresh[load.content_hash]))
            for load in loads
        ]

    def _load(self, loads: Sequence[PreparedLoad]) -> dict[str, dict[str, int]]:
        import pyarrow as pa

        known: set[str] = set()
        tables: dict[str, list[pa.Table]] = {}
        counts = {}
        for load in loads:
            written, counts[load.load_id] = load.to_write(known)
            known |= set(load.states.values())
            for name, rows in written.items():
                tables.setdefault(name, []).append(rows)
        commit = pa.concat_tables(tables.pop(COMMIT))
        jobs = LoadJobs(
            self._client, self._datasets.raw, self.location, {**LABELS, **_VERSION_LABEL}, self.timeout_seconds
        )
        prefix = loads[0].load_id
        with ThreadPoolExecutor(max_workers=max(len(tables), 1)) as pool:
            running = [pool.submit(jobs.load, name, pa.concat_tables(parts), prefix) for name, parts in tables.items()]
            for one in running:
                one.result()
        oldest = min(load.loaded_at for load in loads)
        if datetime.now(UTC) - oldest > _YOUNG:
            raise StoreError(
                f"a load that was begun at {oldest:%Y-%m-%d %H:%M} UTC is too old to be committed",
                where=self.url,
                next_step="load the step again",
            )
        jobs.load(COMMIT, commit, prefix)
        return counts

    def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> "pa.Table":
        """Run a query over the views and tables."""
        return self._run(sql, parameters, lambda rows: rows.to_arrow(create_bqstorage_client=False))

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """Ask several questions: each is a job of its own."""
        yield self

    def execute(self, sql: str, parameters: Mapping[str, object] | None = None) -> int:
        """Run a statement that changes rows, once; how many it changed."""
        job_id = str(uuid4())
        retry = bounded_retry(self.timeout_seconds)

        def start() -> bigquery.QueryJob:
            try:
                return self._client.query(
                    self._placed(sql),
                    job_config=self._config(parameters),
                    job_id=job_id,
                    location=self.location,
                    retry=NO_RETRY,
                    job_retry=None,
                    timeout=self.timeout_seconds,
                )
            except api.Conflict:  # it was begun, and the answer was lost
                found = self._client.get_job(job_id, location=self.location, timeout=self.timeout_seconds)
                return cast("bigquery.QueryJob", found)

        with mapped(self.url):
            job = retry(start)()
            job.result(retry=retry, job_retry=None, timeout=JOB_SECONDS)
            return job.num_dml_affected_rows or 0

    def record(self, table: str, rows: "pa.Table") -> None:
        """Append rows that are no load's, by streaming: they can be asked for at once, and each comes in once."""
        records = [_plain(row) for row in rows.to_pylist()]
        target = self._datasets.raw.table(table)

        def insert() -> Sequence[Mapping[str, Any]]:
            ids = [str(row["load_id"]) for row in records]
            found: Sequence[Mapping[str, Any]] = self._client.insert_rows_json(
                target, records, row_ids=ids, retry=NO_RETRY, timeout=self.timeout_seconds
            )
            return found

        with mapped(self.url):
            if refused := bounded_retry(self.timeout_seconds)(insert)():
                raise StoreError(
                    f"{len(refused)} rows of {table} are refused: {str(refused[0].get('errors'))[:300]}",
                    where=str(target),
                    next_step="bring the tables up to date with `dbt-observe init`",
                )

    @contextmanager
    def lease(self, name: str) -> Iterator[Lease | None]:
        """Turns of two minutes by BigQuery's clock; who is killed is waited for so long."""
        labels = {**LABELS, **_VERSION_LABEL}
        prefix = f"dbt_observe_{name}_{self.dataset}"
        with mapped(self.url):
            lease = JobLease(self._client, self.location, prefix, labels, self.timeout_seconds)
            is_held = lease.acquire()
        try:
            yield lease if is_held else None
        finally:
            with suppress(Exception):  # then it ends by itself
                lease.release()

    def _ask(self, sql: str, parameters: Mapping[str, object]) -> list[dict[str, Any]]:
        return self._run(sql, parameters, lambda rows: [dict(row) for row in rows])

    def _run(self, sql: str, parameters: Mapping[str, object] | None, read: "Callable[[RowIterator], T]") -> T:
        """Ask and read the answer; each repeat is a question of its own, whatever became of the one before."""

        def ask() -> T:
            rows = self._client.query_and_wait(
                self._placed(sql),
                job_config=self._config(parameters),
                location=self.location,
                retry=NO_RETRY,
                job_retry=NO_RETRY,
                api_timeout=self.timeout_seconds / 2,
                wait_timeout=JOB_SECONDS,
            )
            return read(rows)

        with mapped(self.url):
            return bounded_retry(self.timeout_seconds)(ask)()

    def _placed(self, sql: str) -> str:
        for name, schema in self.schemas.items():
            sql = sql.replace(f"{{{name}}}", schema)
        return sql

    @staticmethod
    def _config(parameters: Mapping[str, object] | None) -> bigquery.QueryJobConfig:
        return bigquery.QueryJobConfig(
            query_parameters=[_parameter(name, value) for name, value in (parameters or {}).items()],
            labels={**LABELS, **_VERSION_LABEL},
        )


_VERSION_LABEL = {"version": __version__.replace(".", "_").replace("+", "_").lower()}


def _parameter(name: str, value: Any) -> bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter:
    if isinstance(value, Sequence) and not isinstance(value, str):
        kind = _PARAMETER_TYPES[type(value[0])] if value else "STRING"
        return bigquery.ArrayQueryParameter(name, kind, list(value))
    return bigquery.ScalarQueryParameter(name, _PARAMETER_TYPES[type(value)], value)


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON has it."""
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in row.items()}


def _stored(load: PreparedLoad) -> StoredLoad:
    """A load of the same call that had the same content."""
    row = load.tables[COMMIT].to_pylist()[0]
    return StoredLoad(
        *(row[name] for name in ("load_id", "invocation_id", "command", "outcome", "exit_code", "evidence"))
    )
