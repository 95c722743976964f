"""What every store must do, shown on each of them."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from factories import INVOCATION, freshness, result, run_results, sources, write_step
from recorded import OPTIONS, load
from shop import BINDER, ORDERS, A, B, C, passed, shop
from uuid_utils import uuid7

from observability.artifacts.step import Step
from observability.audit.arrow import to_arrow
from observability.audit.build import Load
from observability.audit.prepared import prepare
from observability.audit.schema import TABLES
from observability.audit.tables import Delivery
from observability.audit.views import WINNERS
from observability.config import Settings
from observability.errors import ConfigError, QueryError, StoreSchemaError
from observability.stores.base import Store, commit, open_store
from observability.stores.duckdb import DuckDBStore

HOSTILE = (
    "quotes ' \" ` back\\slash '); DROP TABLE invocations; -- \r\n\ttab émoji 👩‍🔧 {raw} @now %s ${x} \u202e \x00 end"
)


@pytest.fixture(params=["duckdb", "bigquery"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Each store, empty."""
    if request.param == "duckdb":
        yield DuckDBStore(tmp_path / "audit.duckdb")
    else:
        yield request.getfixturevalue("bigquery_store")


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Load]:
    """A load of a step that failed at its first model; each call makes another attempt."""

    def attempt(invocation_id: str = INVOCATION, message: str = BINDER, **given: Any) -> Load:
        folder = tmp_path / str(uuid7())
        stamp: dict[str, Any] = {"invocation_id": invocation_id}
        document = shop(*given.pop("left_out", ()))
        document["metadata"] |= stamp
        write_step(
            folder,
            manifest=document,
            run_results=run_results(
                result(A, "error", message=message), result(B, "skipped"), *passed(C), **stamp, **given
            ),
        )
        made = load(folder, Step(exit_code=1), OPTIONS)
        return replace(made, load_id=str(uuid7()))

    return attempt


def rows(store: Store, view: str, *columns: str) -> list[tuple[Any, ...]]:
    """Some columns of a view, sorted."""
    selected = ", ".join(f"v.{column}" for column in columns)
    found = store.query(f"SELECT {selected} FROM {{main}}.{view} AS v").to_pylist()
    return sorted((tuple(row.values()) for row in found), key=repr)


def raw_counts(store: Store) -> dict[str, int]:
    return {
        name: store.query(f"SELECT COUNT(*) AS n FROM {{raw}}.{name} AS t").column("n")[0].as_py() for name in WINNERS
    }


COUNTS = {"nodes": 9, "exposure_ancestors": 6, "run_results": 3, "source_freshness": 0}


def test_a_load_is_there_as_it_was_made(store: Store, make: Callable[..., Load]) -> None:
    one = make()
    (committed,) = commit(store, [one])
    assert (committed.load_id, committed.unchanged, committed.rows) == (one.load_id, None, {"invocations": 1, **COUNTS})
    assert rows(store, "run_results", "unique_id", "status", "message", "causes", "owner") == [
        (C, "success", None, [], None),
        (B, "skipped", None, [A], None),
        (A, "error", BINDER, [A], "Data"),
    ]
    (row,) = store.query("SELECT i.* FROM {main}.invocations AS i").to_pylist()
    assert list(row) == [column.name for column in TABLES["invocations"].columns]
    assert (row["load_id"], row["started_at"], row["exit_code"]) == (one.load_id, one.invocation.started_at, 1)
    assert [file["name"] for file in row["files"]] == ["manifest.json", "run_results.json"]
    assert row["row_counts"] == '{"exposure_ancestors":6,"nodes":9,"run_results":3,"source_freshness":0}'


def test_the_same_content_is_stored_once_in_another_call_and_in_the_same(
    store: Store, make: Callable[..., Load]
) -> None:
    one = make()
    again, twin = (replace(one, load_id=str(uuid7())) for _ in range(2))
    first, second = commit(store, [one, twin])
    assert first.unchanged is None
    assert second.unchanged is not None
    assert second.unchanged.load_id == one.load_id
    (third,) = commit(store, [again])
    assert third.unchanged is not None
    assert (third.unchanged.load_id, third.unchanged.invocation_id) == (one.load_id, INVOCATION)
    assert raw_counts(store) == {"invocations": 1, **COUNTS}


def test_a_project_state_is_stored_once_however_many_loads_name_it(store: Store, make: Callable[..., Load]) -> None:
    commit(store, [make("1"), make("2")])
    commit(store, [make("3"), make("4", left_out=["exposure.shop.raw_view"])])
    assert raw_counts(store) == {
        "invocations": 4,
        "nodes": 9 + 8,
        "exposure_ancestors": 6 + 4,
        "run_results": 12,
        "source_freshness": 0,
    }


def test_a_load_without_its_commit_is_invisible(store: Store, make: Callable[..., Load]) -> None:
    orphan, whole = prepare(make("1")), make("2")
    commit(store, [whole])
    before = {name: rows(store, name, "load_id") for name in WINNERS}
    if isinstance(store, DuckDBStore):
        import duckdb

        with duckdb.connect(str(store.path)) as connection:
            connection.register("incoming", orphan.tables["run_results"])
            connection.execute("INSERT INTO raw.run_results BY NAME SELECT * FROM incoming")
    else:
        from observability.stores.bigquery import BigQueryStore
        from observability.stores.bigquery.load_jobs import LoadJobs

        assert isinstance(store, BigQueryStore)
        jobs = LoadJobs(store._client, store._datasets.raw, None, {}, 10)
        jobs.load("run_results", orphan.tables["run_results"], orphan.load_id)
    assert raw_counts(store)["run_results"] == 6
    assert {name: rows(store, name, "load_id") for name in WINNERS} == before


def test_of_two_loads_of_an_invocation_the_better_evidence_is_shown(store: Store, make: Callable[..., Load]) -> None:
    import msgspec

    poor, good = make(message="of the event log"), make(message="of the results")
    poor = replace(poor, invocation=msgspec.structs.replace(poor.invocation, evidence="event_log"))
    commit(store, [good])
    commit(store, [poor])
    assert raw_counts(store)["invocations"] == 2
    assert rows(store, "invocations", "load_id", "evidence") == [(good.load_id, "results")]
    assert rows(store, "run_results", "load_id") == [(good.load_id,)] * 3
    found = store.find_invocations([INVOCATION, "none"])
    assert {name: one.load_id for name, one in found.items()} == {INVOCATION: good.load_id}


def test_loaders_that_store_the_same_at_once_leave_it_once(store: Store, make: Callable[..., Load]) -> None:
    one = make()
    attempts = [replace(one, load_id=str(uuid7())) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda load: commit(store, [load]), attempts))
    assert len(rows(store, "invocations", "invocation_id")) == 1
    assert len(rows(store, "run_results", "unique_id")) == 3
    assert len(rows(store, "nodes", "unique_id")) == 9
    assert len(rows(store, "exposure_ancestors", "exposure_unique_id")) == 6


def test_what_is_stored_is_found_by_its_content_and_by_its_states(store: Store, make: Callable[..., Load]) -> None:
    one = make()
    commit(store, [one])
    row = one.invocation
    (found,) = store.find_loads([row.content_hash, "another"]).values()
    assert (found.load_id, found.command, found.outcome, found.exit_code, found.evidence) == (
        one.load_id,
        "run",
        "failure",
        1,
        "results",
    )
    assert row.manifest_id is not None
    assert row.lineage_id is not None
    assert store.known_states([row.manifest_id, "x"], [row.lineage_id, "y"]) == {row.manifest_id, row.lineage_id}
    assert store.known_states([], []) == set()


def test_hostile_text_comes_back_as_it_was(store: Store, make: Callable[..., Load]) -> None:
    long = HOSTILE + "x" * 1_000_000
    commit(store, [make("1", message=HOSTILE), make("2", message=long)])
    assert rows(store, "run_results", "message") == sorted(
        [(None,)] * 4 + [(HOSTILE,), (long,)],
        key=repr,
    )


def test_text_that_is_longer_than_a_store_may_take_is_cut_and_says_so(store: Store, make: Callable[..., Load]) -> None:
    commit(store, [make(message="é" * 3_000_000)])
    (message,) = (text for (text,) in rows(store, "run_results", "message") if text)
    assert message == "é" * 2_000_000 + " … (1,000,000 more characters were cut off)"


def test_a_question_takes_parameters_of_every_type(store: Store, make: Callable[..., Load]) -> None:
    commit(store, [make()])
    asked = """
      SELECT i.invocation_id FROM {main}.invocations AS i
      WHERE i.started_at < @moment AND i.run_date <= @day AND i.exit_code = @code AND i.command = @command
        AND i.invocation_id IN UNNEST(@ids) AND i.alertable = @alertable AND i.elapsed_seconds < @seconds
    """
    given = {
        "moment": datetime(2026, 3, 3, tzinfo=UTC),
        "day": datetime(2026, 3, 2, tzinfo=UTC).date(),
        "code": 1,
        "command": "run",
        "ids": [INVOCATION, "'; DROP"],
        "alertable": True,
        "seconds": 99.5,
    }
    assert store.query(asked, given).to_pylist() == [{"invocation_id": INVOCATION}]
    assert store.query(asked, given | {"code": 2}).to_pylist() == []


@pytest.mark.parametrize("sql", ["SELECT v.nope FROM {main}.invocations AS v", "SELECT 1 FROM {main}.nope AS v"])
def test_a_question_that_cannot_be_answered_is_an_error_of_ours(
    sql: str, store: Store, make: Callable[..., Load]
) -> None:
    commit(store, [make()])
    with pytest.raises((QueryError, StoreSchemaError), match="nope"):
        store.query(sql)


def test_freshness_is_stored_too(store: Store, tmp_path: Path) -> None:
    folder = write_step(tmp_path / "f", manifest=shop(), sources=sources(freshness(ORDERS, "warn")))
    commit(store, [load(folder, Step(exit_code=0))])
    assert rows(store, "source_freshness", "unique_id", "outcome", "age_seconds", "source_name") == [
        (ORDERS, "warning", 3600.0, "raw")
    ]


def test_a_store_is_opened_by_its_own_url(store: Store) -> None:
    opened = open_store(Settings(store=store.url))
    assert (type(opened), opened.url) == (type(store), store.url)


@pytest.mark.parametrize(
    "url",
    [
        "bigquery://project",
        "bigquery:///dataset",
        "bigquery://project/data-set",
        "bigquery://project/a/b",
        "bigquery://project/dataset?region=EU",
        "snowflake://a/b",
        "duckdb://host/file",
    ],
)
def test_what_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="names no store"):
        open_store(Settings(store=url))


def test_rows_that_are_past_retention_or_never_committed_are_counted_and_removed(
    store: Store, make: Callable[..., Load]
) -> None:
    commit(store, [make()])
    changed = store.execute("DELETE FROM {raw}.run_results AS t WHERE t.unique_id = @id", {"id": A})
    assert changed == 1
    assert store.execute("DELETE FROM {raw}.run_results AS t WHERE t.loaded_at < @then", {"then": _ago(1)}) == 0
    assert raw_counts(store)["run_results"] == 2


def _ago(hours: int) -> datetime:
    return datetime.now(UTC) - timedelta(hours=hours)


def delivery(stream: str, **given: Any) -> Any:
    moment = datetime(2026, 3, 2, 6, tzinfo=UTC)
    row: dict[str, Any] = dict.fromkeys(("incident_id", "thread_ts", "message_ts", "told", "shown"))
    row |= {
        "incident_key": "",
        "seq": 1,
        "transition": "opened",
        "operation": "post",
        "fingerprint": "f",
        "channel": "#data",
    }
    row |= {"state": "intended", "attempts": 1, "expires_at": moment, "error": None, "delivery_date": moment.date()}
    return Delivery(**(row | {"stream": stream} | given))


def test_what_is_recorded_can_be_asked_for_at_once(store: Store) -> None:
    store.init()
    for number, text in enumerate(("plain", HOSTILE.replace("\x00", ""))):
        shared = {"load_id": str(uuid7()), "loaded_at": datetime(2026, 3, 2, 6, number, tzinfo=UTC)}
        store.record(
            "deliveries", to_arrow("deliveries", [delivery("s", told=msgspec.json.encode(text).decode())], shared)
        )
    found = store.query("SELECT d.* FROM {raw}.deliveries AS d ORDER BY d.load_id").to_pylist()
    assert [msgspec.json.decode(row["told"]) for row in found] == ["plain", HOSTILE.replace("\x00", "")]
    assert [row["loaded_at"].minute for row in found] == [0, 1]
    assert [row["expires_at"] for row in found] == [datetime(2026, 3, 2, 6, tzinfo=UTC)] * 2


def test_of_those_who_want_to_be_alone_one_is(store: Store) -> None:
    store.init()
    with store.lease("alert") as first:
        assert first is not None
        assert first.seconds_left() > 60
        with store.lease("alert") as second:
            assert second is None
        with store.lease("other") as other:
            assert other is not None
    for _ in range(2):
        with store.lease("alert") as third:
            assert third is not None, "it is given back"
