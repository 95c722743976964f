"""Greenery, live: real dbt commands over four mornings of the shop."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

ROOT = Path(__file__).parent.parent
PROJECT = ROOT / "dbt" / "greenery"
RAW_DATA = ROOT / "dbt" / "raw_data.py"

pytestmark = pytest.mark.xdist_group("live_dbt")

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

Statuses = dict[str, str]


@dataclass
class Step:
    """What one dbt command came to."""

    exit_code: int
    statuses: Statuses
    output: str

    @property
    def well(self) -> set[str]:
        """The statuses of what went well."""
        return set(self.statuses.values())

    def unwell(self) -> Statuses:
        """What did not go well."""
        return {name: status for name, status in self.statuses.items() if status not in {"success", "pass", "no-op"}}


@dataclass
class Shop:
    """A warehouse of its own, and dbt on it."""

    folder: Path
    steps: dict[str, Step] = field(default_factory=dict)
    funnels: dict[int, tuple[list[str], list[list[str]]]] = field(default_factory=dict)

    @property
    def database(self) -> Path:
        return self.folder / "greenery.duckdb"

    def land(self, morning: int) -> None:
        arguments = [sys.executable, RAW_DATA, "--database", self.database, "--morning", str(morning)]
        subprocess.run(arguments, check=True, capture_output=True)

    def dbt(self, name: str, *arguments: str) -> None:
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
        command = [Path(sys.executable).with_name("dbt"), "--show-all-deprecations", *arguments]
        environment = inherited | {key: str(value) for key, value in ours.items()}
        process = subprocess.run(
            command, check=False, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=120
        )
        results = self.folder / "target" / ("sources.json" if arguments[0] == "source" else "run_results.json")
        found = json.loads(results.read_text())["results"] if results.exists() else []
        statuses = {result["unique_id"].replace(".greenery.", ".", 1): result["status"] for result in found}
        self.steps[name] = Step(process.returncode, statuses, process.stdout)

    def read_funnel(self, morning: int) -> None:
        sql = (self.folder / "target" / "compiled" / "greenery" / "analyses" / "conversion_funnel.sql").read_text()
        with duckdb.connect(self.database, read_only=True) as connection:
            connection.execute("SET TimeZone = 'America/New_York'")  # the reader's clock must not move the days
            answer = connection.execute(sql)
            columns = [column[0] for column in answer.description or ()]
            self.funnels[morning] = columns, [[str(value) for value in row] for row in answer.fetchall()]

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(self.database, read_only=True) as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    shop = Shop(tmp_path_factory.mktemp("greenery"))
    shop.land(1)
    shop.dbt("build 1", "build")
    shop.dbt("compile", "compile", "--select", "conversion_funnel")
    shop.read_funnel(1)
    shop.land(2)
    shop.dbt("snapshot 2", "snapshot")
    shop.land(3)
    shop.dbt("freshness 3", "source", "freshness")
    shop.dbt("run 3", "run")
    shop.dbt("test 3", "test")
    shop.land(4)
    shop.dbt("freshness 4", "source", "freshness")
    shop.dbt("build 4", "build")
    shop.read_funnel(4)
    return shop


def test_first_morning_is_healthy(shop: Shop) -> None:
    step = shop.steps["build 1"]
    assert (step.exit_code, step.unwell()) == (0, {}), step.output
    assert [sum(name.startswith(kind) for name in step.statuses) for kind in ("model.", "test.", "unit_test.")] == [
        14,
        37,
        1,
    ]


def test_dbt_has_nothing_to_warn_of(shop: Shop) -> None:
    assert [line for line in shop.steps["build 1"].output.splitlines() if "WARNING" in line] == []


@pytest.mark.parametrize("morning", [1, 4])
def test_funnel(shop: Shop, morning: int) -> None:
    assert shop.funnels[morning] == (FUNNEL_COLUMNS, FUNNEL)


def test_each_order_that_changed_has_two_snapshot_rows_and_the_others_have_one(shop: Shop) -> None:
    rows = "SELECT order_id, count(*) AS states, count(DISTINCT status) AS statuses FROM orders_snapshot GROUP BY 1"
    assert shop.steps["snapshot 2"].exit_code == 0
    assert shop.query(f"SELECT states, statuses, count(*) FROM ({rows}) GROUP BY 1, 2 ORDER BY 1") == [  # noqa: S608
        (1, 1, 320),
        (2, 2, 41),
    ]
    assert shop.query(
        """
        SELECT waited.status, moved.status, count(*)
        FROM orders_snapshot AS waited
        JOIN orders_snapshot AS moved ON moved.order_id = waited.order_id AND moved.dbt_valid_from = waited.dbt_valid_to
        JOIN raw.orders AS now ON now.order_id = moved.order_id AND now.status = moved.status
        WHERE moved.dbt_valid_to IS NULL
        GROUP BY 1, 2
        """
    ) == [("preparing", "shipped", 41)]


def test_stale_source_warns_and_dbt_still_ends_well(shop: Shop) -> None:
    step = shop.steps["freshness 3"]
    assert step.exit_code == 0
    assert step.statuses == {
        "source.greenery.events": "warn",
        "source.greenery.order_items": "pass",
        "source.greenery.orders": "pass",
        "source.greenery.users": "pass",
    }


def test_renamed_column_breaks_one_model_and_stops_what_is_below(shop: Shop) -> None:
    step = shop.steps["run 3"]
    assert step.exit_code == 1
    assert step.unwell() == {
        "model.stg_promos": "error",
        "model.int_orders": "skipped",
        "model.fct_orders": "skipped",
        "model.fct_users_orders": "skipped",
    }
    assert len(step.statuses) == 14


def test_bad_items_fail_their_tests_and_the_broken_model_errors_its_own(shop: Shop) -> None:
    step = shop.steps["test 3"]
    assert step.exit_code == 1
    assert step.unwell() == {
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


def test_fourth_morning_is_healthy_again(shop: Shop) -> None:
    freshness, build = shop.steps["freshness 4"], shop.steps["build 4"]
    assert (freshness.exit_code, set(freshness.statuses.values())) == (0, {"pass"})
    assert (build.exit_code, build.unwell()) == (0, {}), build.output
    assert build.statuses.keys() == shop.steps["build 1"].statuses.keys()


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
