"""Greenery, live: real dbt commands over four mornings of the shop."""

import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

ROOT = Path(__file__).parent.parent
PROJECT = ROOT / "dbt" / "greenery"
RAW_DATA = ROOT / "dbt" / "raw_data.py"

FUNNEL_COLUMNS = [
    "session_date",
    "total_page_view_sessions",
    "total_add_to_cart_sessions",
    "total_checkout_sessions",
    "percentage_total_sessions",
    "percentage_add_to_cart_sessions",
    "percentage_checkout_sessions",
    "total_add_to_cart_drop_off",
    "total_checkout_drop_off",
]
FUNNEL = [
    ["2021-02-09T00:00:00Z", "2", "2", "2", "1.0000", "1.0000", "1.0000", "0", "0"],
    ["2021-02-10T00:00:00Z", "175", "175", "175", "1.0000", "1.0000", "1.0000", "0", "0"],
    ["2021-02-11T00:00:00Z", "401", "290", "184", "1.0000", "0.7232", "0.4589", "111", "106"],
]

STALE_EVENTS = {
    "source.greenery.events": "warn",
    "source.greenery.order_items": "pass",
    "source.greenery.orders": "pass",
    "source.greenery.users": "pass",
}
BROKEN_MODEL = {
    "model.stg_promos": "error",
    "model.int_orders": "skipped",
    "model.fct_orders": "skipped",
    "model.fct_users_orders": "skipped",
}
BAD_TESTS = {
    "test.positive_value_stg_order_items_quantity.8345ec0ccf": "fail",
    "test.unique_stg_order_items_order_item_id.90e333a108": "fail",
    "test.positive_value_fct_orders_products_quantity.191440738c": "fail",
    "test.not_null_stg_users_phone_number.05ea56f1a6": "warn",
    "test.unique_stg_promos_promo_id.7201b8bd93": "error",
    "test.not_null_stg_promos_promo_id.1450c3a3d3": "error",
    "test.positive_value_stg_promos_discount_usd.40a2aef6ec": "error",
    "test.unique_int_orders_order_id.63cc4f3a7a": "error",
    "test.not_null_int_orders_order_id.383134cc66": "error",
}


@dataclass
class Step:
    """What one dbt command came to."""

    exit_code: int
    statuses: dict[str, str]
    output: str

    def unwell(self) -> dict[str, str]:
        """What did not go well."""
        return {name: status for name, status in self.statuses.items() if status not in {"success", "pass", "no-op"}}


@dataclass
class Shop:
    """A warehouse of its own, and dbt on it."""

    folder: Path

    @property
    def database(self) -> Path:
        return self.folder / "greenery.duckdb"

    def land(self, morning: int) -> None:
        arguments = ["--database", str(self.database), "--morning", str(morning)]
        subprocess.run([sys.executable, str(RAW_DATA), *arguments], check=True, capture_output=True)

    def dbt(self, *arguments: str) -> Step:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("DBT_", "GREENERY_"))}
        inherited.pop("PYTHONDONTWRITEBYTECODE", None)
        ours = {
            "DBT_PROJECT_DIR": PROJECT,
            "DBT_PROFILES_DIR": PROJECT,
            "DBT_TARGET_PATH": self.folder / "target",
            "DBT_LOG_PATH": self.folder / "logs",
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "DBT_USE_COLORS": "false",
            "GREENERY_DUCKDB_PATH": self.database,
        }
        results = self.folder / "target" / ("sources.json" if arguments[0] == "source" else "run_results.json")
        results.unlink(missing_ok=True)
        process = subprocess.run(
            [str(Path(sys.executable).with_name("dbt")), "--show-all-deprecations", *arguments],
            check=False,
            cwd=self.folder,
            env=inherited | {key: str(value) for key, value in ours.items()},
            capture_output=True,
            text=True,
            timeout=120,
        )
        found = json.loads(results.read_text())["results"] if results.exists() else []
        statuses = {result["unique_id"].replace(".greenery.", ".", 1): result["status"] for result in found}
        return Step(process.returncode, statuses, process.stdout)

    def funnel(self) -> tuple[list[str], list[list[str]]]:
        sql = (self.folder / "target" / "compiled" / "greenery" / "analyses" / "conversion_funnel.sql").read_text()
        with duckdb.connect(self.database, read_only=True) as connection:
            connection.execute("SET TimeZone = 'America/New_York'")  # the reader's clock must not move the days
            answer = connection.execute(sql)
            columns = [column[0] for column in answer.description or ()]
            return columns, [[str(value) for value in row] for row in answer.fetchall()]

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(self.database, read_only=True) as connection:
            return connection.execute(sql).fetchall()


# One test, for it is one story: spread over tests, each worker would live through it by itself.
@pytest.mark.xdist_group("live_dbt")
@pytest.mark.thorough  # as the demo's, which tests/looker/test_numbers.py plays
def test_four_mornings(tmp_path: Path) -> None:
    shop = Shop(tmp_path)

    shop.land(1)
    first = shop.dbt("build")
    assert (first.exit_code, first.unwell()) == (0, {}), first.output
    assert "WARNING" not in first.output  # nothing that dbt deprecates
    kinds = Counter(name.partition(".")[0] for name in first.statuses)
    assert kinds == {"model": 14, "test": 37, "unit_test": 1, "snapshot": 1, "exposure": 3}
    assert shop.dbt("compile", "--select", "conversion_funnel").exit_code == 0
    assert shop.funnel() == (FUNNEL_COLUMNS, FUNNEL)

    shop.land(2)
    assert shop.dbt("snapshot").exit_code == 0
    _each_changed_order_has_two_snapshot_rows(shop)

    shop.land(3)
    freshness = shop.dbt("source", "freshness")
    assert (freshness.exit_code, freshness.statuses) == (0, STALE_EVENTS)
    run = shop.dbt("run")
    assert (run.exit_code, run.unwell(), len(run.statuses)) == (1, BROKEN_MODEL, 14)
    test = shop.dbt("test")
    assert (test.exit_code, test.unwell(), len(test.statuses)) == (1, BAD_TESTS, 38)

    shop.land(4)
    freshness = shop.dbt("source", "freshness")
    assert (freshness.exit_code, freshness.statuses) == (0, dict.fromkeys(STALE_EVENTS, "pass"))
    last = shop.dbt("build")
    assert (last.exit_code, last.unwell()) == (0, {}), last.output
    assert last.statuses.keys() == first.statuses.keys()
    assert shop.funnel() == (FUNNEL_COLUMNS, FUNNEL)
    _each_changed_order_has_two_snapshot_rows(shop)


def _each_changed_order_has_two_snapshot_rows(shop: Shop) -> None:
    """And the other orders have one."""
    states = "SELECT order_id, count(*) AS states, count(DISTINCT status) AS statuses FROM orders_snapshot GROUP BY 1"
    assert shop.query(f"SELECT states, statuses, count(*) FROM ({states}) GROUP BY 1, 2 ORDER BY 1") == [
        (1, 1, 320),
        (2, 2, 41),
    ]
    changes = """
        SELECT waited.status, moved.status, count(*)
        FROM orders_snapshot AS waited
        JOIN orders_snapshot AS moved ON moved.order_id = waited.order_id AND moved.dbt_valid_from = waited.dbt_valid_to
        JOIN raw.orders AS now ON now.order_id = moved.order_id AND now.status = moved.status
        WHERE moved.dbt_valid_to IS NULL
        GROUP BY 1, 2
    """
    assert shop.query(changes) == [("preparing", "shipped", 41)]


def test_a_morning_has_the_same_rows_whenever_it_is_landed() -> None:
    raw_data = _load_raw_data()
    now = datetime(2026, 3, 1, 6, tzinfo=UTC)
    for morning in raw_data.MORNINGS:
        early, late = raw_data.shop(morning, now), raw_data.shop(morning, now + timedelta(days=200))
        for name, table in early.items():
            assert table.drop_columns(["loaded_at"]).equals(late[name].drop_columns(["loaded_at"])), name


def test_there_is_no_fifth_morning() -> None:
    with pytest.raises(ValueError, match="no morning 5"):
        _load_raw_data().shop(5, datetime.now(UTC))


def _load_raw_data() -> Any:
    spec = importlib.util.spec_from_file_location("raw_data", RAW_DATA)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
