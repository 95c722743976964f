"""Greenery on BigQuery: real dbt-bigquery against an emulator, and what dbt-observe keeps of it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from emulator import PROJECT, Emulator
from test_greenery import FUNNEL, FUNNEL_COLUMNS

if TYPE_CHECKING:
    from google.cloud import bigquery

ROOT = Path(__file__).parent.parent
GREENERY = ROOT / "dbt" / "greenery"
DBT = ROOT / ".venv" / "dbt-bigquery" / "bin" / "dbt"
DATASET = "greenery"

PROFILES = """\
greenery:
  target: bigquery
  outputs:
    bigquery:
      type: bigquery
      method: oauth-secrets
      token: dummy
      api_endpoint: {url}
      project: {project}
      dataset: {dataset}
      location: US
      threads: 4
"""

STEPS = [
    ("source freshness", 0, "success", "bigquery", True),
    ("snapshot", 0, "success", "bigquery", True),
    ("run", 0, "success", "bigquery", True),
    ("test", 0, "success", "bigquery", True),
    ("snapshot", 0, "success", "bigquery", True),
]
RESULTS = [
    ("snapshot", "snapshot", "success", 1),
    ("run", "model", "success", 14),
    ("test", "test", "pass", 37),
    ("test", "unit_test", "pass", 1),
    ("snapshot", "snapshot", "success", 1),
]


@pytest.fixture(scope="module")
def dbt_bigquery() -> str:
    """Where dbt is with its BigQuery adapter. Skips where it is not, and fails where the emulator is required."""
    if not DBT.exists():
        reason = "no dbt-bigquery: its environment is not set up: make .venv/dbt-bigquery.ok"
        if os.environ.get("REQUIRE_EMULATOR"):
            pytest.fail(reason)
        pytest.skip(reason)
    return str(DBT)


@dataclass
class Shop:
    """A warehouse of its own, dbt on it, and an audit store that watches."""

    folder: Path
    dbt: str
    client: "bigquery.Client"

    @property
    def target(self) -> Path:
        return self.folder / "target"

    def land(self, tables: dict[str, pa.Table]) -> None:
        """Replace the raw tables, each by a load job."""
        from google.cloud import bigquery

        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET, write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE
        )
        for name, table in tables.items():
            file = BytesIO()
            pq.write_table(table, file)
            table_id = f"{PROJECT}.{DATASET}_raw.{name}"
            self.client.load_table_from_file(file, table_id, rewind=True, job_config=config).result()

    def observe(self, command: str) -> None:
        """Run a dbt command under dbt-observe; it has to go well."""
        observe = [str(Path(sys.executable).with_name("dbt-observe")), "run", "--store", f"duckdb:///{self.audit_file}"]
        self._run([*observe, "--", self.dbt, *command.split()])

    def funnel(self) -> tuple[list[str], list[list[str]]]:
        """The analysis as BigQuery answers it, in the words of DuckDB, which shows all decimals."""
        self._run([self.dbt, "compile", "--select", "conversion_funnel"])
        compiled = self.target / "compiled" / "greenery" / "analyses" / "conversion_funnel.sql"
        answer = self.client.query(compiled.read_text()).result()
        rows = [[f"{value:.4f}" if isinstance(value, Decimal) else str(value) for value in row] for row in answer]
        return [field.name for field in answer.schema], rows

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in self.client.query(sql).result()]

    def audit(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(self.audit_file, read_only=True) as connection:
            return connection.execute(sql).fetchall()

    @property
    def audit_file(self) -> Path:
        return self.folder / "audit.duckdb"

    def _run(self, command: list[str]) -> None:
        done = run(command, self.folder, DBT_PROFILES_DIR=str(self.folder), DBT_TARGET_PATH=str(self.target))
        assert done.returncode == 0, done.stdout + done.stderr


def run(command: list[str], folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a command on the project, with nothing of the user's own set-up and nothing written outside the folder."""
    foreign = ("DBT_", "GREENERY_", "AIRFLOW_CTX_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    ours = {
        "DBT_PROJECT_DIR": str(GREENERY),
        "DBT_LOG_PATH": str(folder / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_USE_COLORS": "false",
    }
    return subprocess.run(
        command,
        check=False,
        cwd=folder,
        env=inherited | ours | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def shop(dbt_bigquery: str, bigquery_emulator: Emulator, tmp_path: Path) -> Iterator[Shop]:
    (tmp_path / "profiles.yml").write_text(
        PROFILES.format(url=bigquery_emulator.url, project=PROJECT, dataset=DATASET), encoding="utf-8"
    )
    client = bigquery_emulator.client()
    client.create_dataset(f"{DATASET}_raw")
    yield Shop(tmp_path, dbt_bigquery, client)
    for dataset in (DATASET, f"{DATASET}_raw"):
        client.delete_dataset(dataset, delete_contents=True, not_found_ok=True)


# One test, for it is one story: the second morning needs the first.
def test_two_healthy_mornings(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "dbt")
    import raw_data

    landed_at = datetime.now(UTC)
    raw = dict(raw_data.shop(1, landed_at))
    shop.land(raw)
    for command in ("source freshness", "snapshot", "run", "test"):
        shop.observe(command)
    assert shop.funnel() == (FUNNEL_COLUMNS, FUNNEL)
    assert _weeks(shop) == [(datetime(2021, 2, 8, tzinfo=UTC), 361)]  # a Monday, as on DuckDB
    assert _states(shop) == [(1, 1, 361)]

    shop.land(dict(raw_data.shop(2, datetime.now(UTC))))
    shop.observe("snapshot")
    assert _states(shop) == [(1, 1, 320), (2, 2, 41)]

    _every_step_is_kept(shop)
    _every_source_was_loaded_at(shop, landed_at)
    _every_result_leads_to_its_job(shop)
    _tables_tell_their_rows(shop, raw)


def _weeks(shop: Shop) -> list[tuple[Any, ...]]:
    return shop.query(f"SELECT order_week_utc, COUNT(*) FROM {DATASET}.fct_orders GROUP BY 1")


def _states(shop: Shop) -> list[tuple[Any, ...]]:
    """How many orders have how many rows in the snapshot, and of how many statuses."""
    orders = f"""
        SELECT order_id, COUNT(*) AS states, COUNT(DISTINCT status) AS statuses
        FROM {DATASET}.orders_snapshot GROUP BY order_id
    """
    return shop.query(f"SELECT states, statuses, COUNT(*) FROM ({orders}) AS o GROUP BY 1, 2 ORDER BY 1")


def _every_step_is_kept(shop: Shop) -> None:
    steps = "SELECT command, exit_code, outcome, adapter_type, conforms FROM invocations ORDER BY started_at"
    assert shop.audit(steps) == STEPS
    results = """
        SELECT i.command, r.resource_type, r.status, count(*)
        FROM invocations AS i JOIN run_results AS r USING (invocation_id)
        GROUP BY i.started_at, 1, 2, 3 ORDER BY i.started_at, 2
    """
    assert shop.audit(results) == RESULTS


def _every_source_was_loaded_at(shop: Shop, landed_at: datetime) -> None:
    sources = "SELECT unique_id, status, max_loaded_at, age_seconds >= 0 FROM source_freshness ORDER BY unique_id"
    checked = ("events", "order_items", "orders", "users")
    assert shop.audit(sources) == [(f"source.greenery.greenery.{name}", "pass", landed_at, True) for name in checked]


def _every_result_leads_to_its_job(shop: Shop) -> None:
    """By `query_id`, and the job leads back by its labels; what the audit rows say of the costs is the job's own."""
    from google.cloud import bigquery

    results = shop.audit("""
        SELECT query_id, invocation_id, regexp_replace(lower(unique_id), '[^a-z0-9_-]', '_', 'g')[:63],
            bytes_processed, bytes_billed, slot_ms
        FROM run_results
    """)
    assert len({query_id for query_id, *_ in results}) == 54
    for query_id, invocation_id, node_id, *costs in results:
        job = shop.client.get_job(query_id)
        assert isinstance(job, bigquery.QueryJob)
        assert (job.labels["dbt_invocation_id"], job.labels["node_id"]) == (invocation_id, node_id)
        assert costs == [job.total_bytes_processed, job.total_bytes_billed, job.slot_millis]


def _tables_tell_their_rows(shop: Shop, raw: dict[str, pa.Table]) -> None:
    """A view has none to tell of. What the second snapshot wrote are the states that ended and those that began."""
    written = """
        SELECT r.name, r.relation_database, r.relation_schema, r.rows_affected
        FROM run_results AS r JOIN invocations AS i USING (invocation_id)
        WHERE r.resource_type IN ('model', 'snapshot') AND r.rows_affected IS NOT NULL
        ORDER BY i.started_at, r.name
    """
    assert shop.audit(written) == [
        ("orders_snapshot", PROJECT, DATASET, 361),
        ("fct_events", PROJECT, DATASET, raw["events"].num_rows),
        ("fct_orders", PROJECT, DATASET, 361),
        ("fct_orders_products", PROJECT, DATASET, raw["order_items"].num_rows),
        ("fct_sessions", PROJECT, DATASET, 578),
        ("fct_users_orders", PROJECT, DATASET, 130),
        ("orders_snapshot", PROJECT, DATASET, 82),
    ]


def test_the_profile_takes_project_and_dataset_from_the_environment(dbt_bigquery: str, tmp_path: Path) -> None:
    parsed = run(
        [dbt_bigquery, "parse", "--target", "bigquery"],
        tmp_path,
        DBT_PROFILES_DIR=str(GREENERY),
        DBT_TARGET_PATH=str(tmp_path / "target"),
        GREENERY_BIGQUERY_PROJECT="acme-analytics",
        GREENERY_BIGQUERY_DATASET="shop",
        GREENERY_BIGQUERY_MAXIMUM_BYTES_BILLED="20000000000",
    )
    assert parsed.returncode == 0, parsed.stdout
    manifest = json.loads((tmp_path / "target" / "manifest.json").read_text())
    assert manifest["nodes"]["model.greenery.fct_orders"]["relation_name"] == "`acme-analytics`.`shop`.`fct_orders`"
    source = manifest["sources"]["source.greenery.greenery.orders"]
    assert source["relation_name"] == "`acme-analytics`.`shop_raw`.`orders`"


def test_the_profile_names_the_variable_that_is_missing(dbt_bigquery: str, tmp_path: Path) -> None:
    parsed = run([dbt_bigquery, "parse", "--target", "bigquery"], tmp_path, DBT_PROFILES_DIR=str(GREENERY))
    assert parsed.returncode == 2
    assert "Env var required but not provided: 'GREENERY_BIGQUERY_PROJECT'" in parsed.stdout
