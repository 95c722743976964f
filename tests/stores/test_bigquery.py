"""What only the BigQuery store does: datasets, load jobs, and what happens when requests fail. On the emulator."""

import itertools
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import requests
from emulator import PROJECT, Emulator
from factories import result, run_results, write_step
from faulty import Requests, faulty_client, passing, status
from google.api_core import exceptions as api
from google.auth.exceptions import DefaultCredentialsError, RefreshError
from google.cloud import bigquery
from recorded import load
from shop import A, B, C, passed, shop
from uuid_utils import uuid7

from observability.artifacts.step import Step
from observability.audit.build import Load
from observability.audit.prepared import prepare
from observability.audit.schema import TABLES
from observability.audit.views import WINNERS, views
from observability.config import Settings
from observability.errors import StoreError, StoreSchemaError, StoreUnavailable
from observability.pipeline.ingestion import ingest
from observability.pipeline.storing import prune, replay
from observability.stores.base import commit
from observability.stores.bigquery import BigQueryStore, lease
from observability.stores.bigquery.faults import to_ours
from observability.stores.bigquery.load_jobs import _parquet
from observability.stores.bigquery.schema import LABELS, SCHEMA_VERSION, schema_fields
from observability.stores.spool import Spool

_NUMBERS = itertools.count()


@pytest.fixture
def dataset() -> str:
    """The name of a dataset that nobody else has."""
    return f"audit_{next(_NUMBERS)}"


@pytest.fixture
def client(bigquery_emulator: Emulator) -> bigquery.Client:
    return bigquery_emulator.client()


@pytest.fixture
def one(tmp_path: Path) -> Load:
    """A load with nodes, ancestors and results."""
    step = write_step(
        tmp_path / "step",
        manifest=shop(),
        run_results=run_results(result(A, "error"), *passed(B), result(C, "skipped")),
    )
    return load(step, Step(exit_code=1))


ROWS = {"invocations": 1, "nodes": 9, "exposure_ancestors": 6, "run_results": 3, "source_freshness": 0}


def seen(store: BigQueryStore, schema: str = "main") -> dict[str, int]:
    """How many rows there are of each winning view, or of the table behind it."""
    counted = {}
    for name in WINNERS:
        (row,) = store.query(f"SELECT COUNT(*) AS n FROM {{{schema}}}.{name} AS t").to_pylist()
        counted[name] = row["n"]
    return counted


def test_init_makes_tables_and_views_as_they_are_declared_and_then_nothing_more(
    client: bigquery.Client, dataset: str
) -> None:
    store = BigQueryStore(PROJECT, dataset, client=client)
    planned = store.plan()
    done = store.init()
    assert done == planned
    assert len(done) == 2 + len(TABLES) + 1 + len(views()) + 1
    assert store.plan() == store.init() == []
    for table in TABLES.values():
        made = client.get_table(f"{PROJECT}.{dataset}_raw.{table.name}")
        assert [field.name for field in made.schema] == [column.name for column in table.columns]
        assert [field.description for field in made.schema] == [column.description for column in table.columns]
        assert {field.name for field in made.schema if field.mode == "REQUIRED"} == {
            column.name for column in table.columns if not column.nullable and not column.repeated
        }
        assert made.time_partitioning.field == table.partition
        assert made.time_partitioning.type_ == ("MONTH" if table.name in {"nodes", "exposure_ancestors"} else "DAY")
        assert made.clustering_fields == list(table.cluster)
        assert (made.description, made.labels) == (table.description, LABELS)
    for view in views():
        found = client.get_table(f"{PROJECT}.{dataset}.{view.name}")
        assert found.description == view.description
        assert [(field.name, field.field_type, field.mode == "REPEATED") for field in found.schema] == [
            (column.name, _API_TYPES.get(column.googlesql_type, column.googlesql_type), column.repeated)
            if not column.repeated
            else (column.name, "RECORD" if column.fields else "STRING", True)
            for column in view.columns
        ]
    raw = client.get_dataset(f"{dataset}_raw")
    assert raw.labels["dbt_observability_schema"] == str(SCHEMA_VERSION)
    assert [entry.to_api_repr()["dataset"] for entry in raw.access_entries if "dataset" in entry.to_api_repr()] == [
        {"dataset": {"projectId": PROJECT, "datasetId": dataset}, "targetTypes": ["VIEWS"]}
    ]


_API_TYPES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN"}


def test_an_older_dataset_gets_the_columns_and_views_that_it_lacks(
    client: bigquery.Client, dataset: str, one: Load
) -> None:
    store = BigQueryStore(PROJECT, dataset, client=client)
    store.init()
    client.query_and_wait(f"ALTER TABLE {dataset}_raw.run_results DROP COLUMN slot_ms")
    client.delete_table(f"{dataset}.incidents")
    nodes = client.get_table(f"{dataset}.nodes")
    nodes.description = "as it was before"
    client.update_table(nodes, ["description"])
    assert store.init() == ["add to table run_results: slot_ms", "update view nodes", "create view incidents"]
    commit(store, [one])
    assert seen(store) == ROWS


def test_an_old_loader_works_against_newer_tables(client: bigquery.Client, dataset: str, one: Load) -> None:
    store = BigQueryStore(PROJECT, dataset, client=client)
    store.init()
    for table in TABLES:
        client.query_and_wait(f"ALTER TABLE {dataset}_raw.{table} ADD COLUMN novelty STRING")
    raw = client.get_dataset(f"{dataset}_raw")
    raw.labels = {**raw.labels, "dbt_observability_schema": "99"}
    client.update_dataset(raw, ["labels"])
    client.query_and_wait(f"CREATE OR REPLACE VIEW {dataset}.incidents AS SELECT 1 AS newer")
    assert store.init() == []
    commit(store, [one])
    assert seen(store) == ROWS
    assert client.get_dataset(f"{dataset}_raw").labels["dbt_observability_schema"] == "99"


def test_a_column_of_another_type_is_refused(client: bigquery.Client, dataset: str) -> None:
    store = BigQueryStore(PROJECT, dataset, client=client)
    store.init()
    client.query_and_wait(f"CREATE OR REPLACE TABLE {dataset}_raw.deliveries (load_id STRING, seq STRING)")
    with pytest.raises(StoreSchemaError, match="column seq of deliveries is STRING, not INT64"):
        store.init()


def test_a_dataset_of_somebody_else_is_refused_and_left_as_it_is(client: bigquery.Client, dataset: str) -> None:
    client.create_dataset(f"{dataset}_raw")
    with pytest.raises(StoreSchemaError, match="was not made by dbt-observe"):
        BigQueryStore(PROJECT, dataset, client=client).init()
    assert list(client.list_tables(f"{dataset}_raw")) == []


def test_another_location_is_refused(client: bigquery.Client, dataset: str) -> None:
    BigQueryStore(PROJECT, dataset, client=client).init()
    with pytest.raises(StoreSchemaError, match=f"dataset {dataset} is in US, not in EU"):
        BigQueryStore(PROJECT, dataset, "EU", client=client).plan()


def test_what_is_not_there_is_told_with_the_way_to_make_it(client: bigquery.Client, one: Load) -> None:
    store = BigQueryStore(PROJECT, "nowhere", client=client)
    with pytest.raises(StoreSchemaError, match="there is no such dataset or table") as caught:
        commit(store, [one])
    assert "dbt-observe init" in caught.value.next_step


def test_the_ddl_names_every_table_and_view_with_all_their_columns() -> None:
    ddl = BigQueryStore("shop-prod", "audit", "EU").ddl()
    assert ddl.count("CREATE TABLE IF NOT EXISTS `shop-prod.audit_raw.") == len(TABLES)
    assert ddl.count("CREATE OR REPLACE VIEW `shop-prod.audit.") == len(views())
    assert "PARTITION BY DATE_TRUNC(manifest_month, MONTH)\nCLUSTER BY manifest_id, resource_type, unique_id" in ddl
    fields = ("name STRING", "uri STRING", "sha256 STRING", "bytes INT64", "used BOOL")
    assert f"files ARRAY<STRUCT<{', '.join(f'{field} NOT NULL' for field in fields)}>> OPTIONS" in ddl
    assert "FROM `shop-prod`.`audit_raw`.run_results AS f" in ddl


def finished_job(client: bigquery.Client, job_id: str, destination: str, rows: str) -> None:
    """A load job of this id that has run to its end, well or not."""
    config = bigquery.LoadJobConfig(source_format="CSV", schema=[bigquery.SchemaField("x", "INT64")])
    job = client.load_table_from_file(BytesIO(rows.encode()), destination, job_id=job_id, job_config=config)
    with pytest.raises(api.GoogleAPICallError) if "no number" in rows else nullcontext():
        job.result()


@pytest.mark.parametrize("rows", ["1\n2\n3\n", "no number\n"], ids=["of another table", "that failed"])
def test_a_job_id_that_is_taken_by_a_job(
    rows: str, client: bigquery.Client, bigquery_store: BigQueryStore, one: Load, dataset: str
) -> None:
    """409 is not "done": neither a failed job nor another's has loaded our rows."""
    client.create_dataset(dataset)
    finished_job(client, f"{one.load_id}_run_results_0", f"{PROJECT}.{dataset}.other", rows)
    commit(bigquery_store, [one])
    assert seen(bigquery_store) == seen(bigquery_store, "raw") == ROWS


def test_the_jobs_of_a_dataset_that_was_made_anew_count_for_nothing(
    client: bigquery.Client, dataset: str, one: Load
) -> None:
    store = BigQueryStore(PROJECT, dataset, client=client)
    store.init()
    commit(store, [one])
    for name in (dataset, f"{dataset}_raw"):
        client.delete_dataset(name, delete_contents=True)
    store = BigQueryStore(PROJECT, dataset, client=client)
    store.init()
    commit(store, [one])
    assert seen(store) == seen(store, "raw") == ROWS


class Killed(BaseException):
    """The process ends here."""


def requests_of_a_commit(emulator: Emulator, store: BigQueryStore, one: Load) -> Requests:
    client, made = faulty_client(emulator, passing)
    commit(replace(store, client=client), [one])
    return made


def test_a_commit_makes_so_many_requests_and_no_more_for_earlier_loads(
    bigquery_emulator: Emulator, bigquery_store: BigQueryStore, one: Load
) -> None:
    first = requests_of_a_commit(bigquery_emulator, bigquery_store, one)
    assert len(first) == 2 + 2 * 4  # two questions; an upload and its end for each of three tables and the commit
    for number in range(3):
        again = replace(one, load_id=str(uuid7()), invocation=_another(one, number))
        later = requests_of_a_commit(bigquery_emulator, bigquery_store, again)
        assert len(later) == 2 + 2 * 2  # the project state is there


def _another(one: Load, number: int) -> Any:
    import msgspec

    return msgspec.structs.replace(one.invocation, invocation_id=f"i{number}", content_hash=f"c{number}")


@pytest.mark.parametrize(
    "answered", [pytest.param(False, marks=pytest.mark.thorough), True], ids=["before it", "after it"]
)
def test_a_loader_that_dies_at_any_request_leaves_what_the_next_one_completes(
    answered: bool, bigquery_emulator: Emulator, shared_bigquery_store: BigQueryStore, one: Load
) -> None:
    from conftest import empty

    for at in range(1, 11):
        store = empty(shared_bigquery_store)

        def die(made: Requests, send: Callable[[], Any], at: int = at) -> Any:
            if len(made) == at:
                if answered:
                    send()
                raise Killed
            return send()

        dying, _ = faulty_client(bigquery_emulator, die)
        attempt = replace(one, load_id=str(uuid7()))
        with pytest.raises(Killed):
            commit(replace(store, client=dying), [attempt])
        commit(store, [replace(one, load_id=str(uuid7()))])
        assert seen(store) == ROWS, f"after request {at}"


@pytest.mark.parametrize(
    "fault",
    [
        lambda send: (send(), (_ for _ in ()).throw(requests.exceptions.ConnectionError("lost")))[0],
        lambda send: (send(), (_ for _ in ()).throw(requests.exceptions.ReadTimeout("late")))[0],
        lambda _: status(503),
        *(
            pytest.param(fault, marks=pytest.mark.thorough)
            for fault in (
                lambda _: (_ for _ in ()).throw(requests.exceptions.ConnectTimeout("never")),
                lambda _: status(500, "internalError"),
                lambda _: status(429, "rateLimitExceeded"),
            )
        ),
    ],
    ids=["answer lost", "answer late", "503", "never sent", "500", "429"],
)
def test_a_request_that_fails_for_a_while_is_repeated_and_loads_once(
    fault: Callable[[Callable[[], Any]], Any],
    bigquery_emulator: Emulator,
    shared_bigquery_store: BigQueryStore,
    one: Load,
) -> None:
    from conftest import empty

    for at in (1, 3, 7):
        store = empty(shared_bigquery_store)

        def fail(made: Requests, send: Callable[[], Any], at: int = at) -> Any:
            return fault(send) if len(made) in {at, at + 1} else send()

        failing, _ = faulty_client(bigquery_emulator, fail)
        commit(replace(store, client=failing, timeout_seconds=20), [replace(one, load_id=str(uuid7()))])
        assert seen(store) == seen(store, "raw") == ROWS, f"from request {at} on"


def test_an_outage_ends_in_bounded_time(bigquery_emulator: Emulator, bigquery_store: BigQueryStore, one: Load) -> None:
    dead, made = faulty_client(bigquery_emulator, lambda *_: status(503))
    with pytest.raises(StoreUnavailable, match="BigQuery does not answer"):
        commit(replace(bigquery_store, client=dead, timeout_seconds=0.5), [one])
    assert 1 < len(made) < 20


def test_a_load_that_is_too_old_is_not_committed_and_its_rows_are_pruned(
    bigquery_store: BigQueryStore, one: Load, settings: Settings
) -> None:
    old = prepare(one).renewed(one.load_id, datetime.now(UTC) - timedelta(hours=25))
    with pytest.raises(StoreError, match="too old to be committed"):
        bigquery_store.append([old])
    assert seen(bigquery_store, "raw") == ROWS | {"invocations": 0}
    assert set(prune(settings, datetime.now(UTC), 9_999).values()) == {0}
    removed = prune(settings, datetime.now(UTC) + timedelta(hours=24), 9_999)
    assert removed == ROWS | {"invocations": 0}
    assert set(seen(bigquery_store, "raw").values()) == {0}


@pytest.fixture
def settings(
    bigquery_emulator: Emulator, bigquery_store: BigQueryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Settings that lead to the emulator."""
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery_emulator.url)
    return Settings(store=bigquery_store.url, spool_dir=tmp_path / "spool")


@pytest.fixture
def outage(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Cuts the store off, and joins it again."""
    down = [False]
    ask = BigQueryStore._run

    def run(self: BigQueryStore, *given: Any) -> Any:
        if down[0]:
            raise StoreUnavailable("BigQuery does not answer: for a test", where=self.url, next_step="wait")
        return ask(self, *given)

    monkeypatch.setattr(BigQueryStore, "_run", run)
    return lambda is_down: down.__setitem__(0, is_down)


def steps(folder: Path, *names: str) -> list[Path]:
    return [
        write_step(
            folder / name,
            manifest=shop(),
            run_results=run_results(
                result(A, "error"), invocation_id=name, invocation_started_at=f"2026-03-0{day}T06:00Z"
            ),
        )
        for day, name in enumerate(names, start=1)
    ]


def test_many_attempts_are_stored_by_one_set_of_jobs(
    settings: Settings, bigquery_store: BigQueryStore, tmp_path: Path
) -> None:
    report = ingest(steps(tmp_path, "a", "b", "c"), settings)
    assert [(load.status, load.rows["nodes"]) for load in report.loads] == [("loaded", 9), ("loaded", 0), ("loaded", 0)]
    assert seen(bigquery_store)["run_results"] == 3
    again = ingest(steps(tmp_path, "a", "b", "c", "d"), settings)
    assert [load.status for load in again.loads] == ["unchanged", "unchanged", "unchanged", "loaded"]


def test_an_outage_loses_nothing(
    settings: Settings, bigquery_store: BigQueryStore, outage: Callable[[bool], None], tmp_path: Path
) -> None:
    outage(True)
    report = ingest(steps(tmp_path, "a", "b"), settings)
    assert [load.status for load in report.loads] == ["spooled", "spooled"]
    assert [type(error) for error in report.errors] == [StoreUnavailable]
    with pytest.raises(StoreUnavailable):
        replay(settings)
    assert len(Spool(settings.spool_dir, bigquery_store.url).kept()) == 2
    outage(False)
    done = replay(settings)
    assert (done.stored, done.unchanged, done.left, done.errors) == (2, 0, 0, ())
    assert seen(bigquery_store) == {"invocations": 2, "nodes": 9, "exposure_ancestors": 6} | {
        "run_results": 2,
        "source_freshness": 0,
    }
    assert seen(bigquery_store, "raw")["nodes"] == 9, "both were kept aside with their project's state"
    assert replay(settings).stored == 0
    assert [load.status for load in ingest(steps(tmp_path, "a", "b"), settings).loads] == ["unchanged", "unchanged"]


def test_the_next_ingest_stores_what_was_kept_aside_first(
    settings: Settings, bigquery_store: BigQueryStore, outage: Callable[[bool], None], tmp_path: Path
) -> None:
    outage(True)
    ingest(steps(tmp_path, "a"), settings)
    outage(False)
    report = ingest(steps(tmp_path, "b"), settings)
    assert ([load.status for load in report.loads], report.errors) == (["loaded"], ())
    assert seen(bigquery_store)["invocations"] == 2


def test_a_load_that_was_kept_aside_and_damaged_is_told_and_keeps_no_other(
    settings: Settings, bigquery_store: BigQueryStore, outage: Callable[[bool], None], tmp_path: Path
) -> None:
    outage(True)
    ingest(steps(tmp_path, "a", "b"), settings)
    first, _ = Spool(settings.spool_dir, bigquery_store.url).kept()
    (first / "run_results.arrow").write_bytes(b"ARROW1 cut off")
    outage(False)
    done = replay(settings)
    assert (done.stored, done.left, len(done.errors)) == (1, 1, 1)
    assert "a load that was kept aside cannot be read" in done.errors[0].what


def test_a_load_that_the_store_refuses_is_told_and_keeps_no_other(
    settings: Settings,
    bigquery_store: BigQueryStore,
    outage: Callable[[bool], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outage(True)
    ingest(steps(tmp_path, "a", "b"), settings)
    outage(False)
    append, refused = BigQueryStore.append, iter([StoreError("no", where="here", next_step="none")])

    def once(store: BigQueryStore, loads: Any) -> Any:
        if error := next(refused, None):
            raise error
        return append(store, loads)

    monkeypatch.setattr(BigQueryStore, "append", once)
    report = ingest(steps(tmp_path, "c"), settings)
    assert ([load.status for load in report.loads], [error.what for error in report.errors]) == (["loaded"], ["no"])
    assert replay(settings).stored == 1
    assert seen(bigquery_store)["invocations"] == 3


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (
            api.Forbidden("Access Denied: Project p: User does not have bigquery.jobs.create permission in project p."),
            StoreError,
            "the permission bigquery.jobs.create is missing",
        ),
        (api.Forbidden("Quota exceeded: Your table exceeded quota for imports"), StoreUnavailable, "quota is used up"),
        (api.NotFound("Not found: Dataset p:d was not found in location EU"), StoreSchemaError, "no such dataset"),
        (api.NotFound("Not found: Table p:d.t"), StoreSchemaError, "no such dataset or table"),
        (
            api.BadRequest("Provided Schema does not match Table p:d.t. Field x has changed type"),
            StoreSchemaError,
            "not as this version writes them",
        ),
        (api.BadRequest("Syntax error: Unexpected keyword FROM"), StoreError, "does not understand the query"),
        (DefaultCredentialsError("not found"), StoreError, "does not know who is asking"),
        (api.ServiceUnavailable("try later"), StoreUnavailable, "BigQuery does not answer"),
        (api.RetryError("timeout", cause=api.Forbidden("bigquery.tables.getData denied")), StoreError, "getData"),
        (requests.exceptions.ConnectionError("refused"), StoreUnavailable, "BigQuery does not answer: refused"),
        (api.PreconditionFailed("etag"), StoreError, "BigQuery refuses: "),
        (api.BadRequest("try again", errors=[{"reason": "jobBackendError"}]), StoreUnavailable, "does not answer"),
        (RefreshError("no metadata server", retryable=True), StoreUnavailable, "does not answer"),
        (RefreshError("invalid_grant"), StoreError, "does not know who is asking"),
        (api.Forbidden("The API requires a quota project, which is not set"), StoreError, "BigQuery forbids it"),
    ],
)
def test_faults_of_bigquerys_are_put_into_our_words(error: Exception, kind: type[StoreError], said: str) -> None:
    told = to_ours(error, "bigquery://p/d")
    assert type(told) is kind or (kind is StoreError and isinstance(told, StoreError))
    assert said in told.what
    assert told.next_step


def test_parquet_says_of_each_column_whether_it_may_be_null_as_its_table_does(one: Load) -> None:
    # BigQuery refuses a load whose column may be null for one that may not; the emulator takes it
    for name, rows in prepare(one).tables.items():
        written = pq.read_schema(BytesIO(_parquet(rows)))
        for field in schema_fields(TABLES[name].columns):
            found = written.field(field.name)
            assert found.nullable == (field.mode != "REQUIRED"), (name, field.name)
            kind = found.type.value_type if field.mode == "REPEATED" else found.type
            for inner in field.fields:
                assert kind.field(inner.name).nullable == (inner.mode != "REQUIRED"), (name, field.name, inner.name)


def test_a_turn_that_ended_is_held_on_to_unless_somebody_has_the_next(
    client: bigquery.Client, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "TURN", 3)
    monkeypatch.setattr(lease, "_RENEWED_BEFORE", 1)
    first, second = (lease.JobLease(client, None, f"{dataset}_alert", {}, 20.0) for _ in range(2))
    assert first.acquire()
    assert not second.acquire()
    time.sleep(first._left() + 0.1)  # it was busy, and did not look
    assert first.seconds_left() > 0
    assert not second.acquire()
    time.sleep(first._left() + 0.1)
    assert second.acquire()
    assert first.seconds_left() == 0
    assert second.seconds_left() > 0
    second.release()
    assert first.acquire()
    assert second.seconds_left() == 0
