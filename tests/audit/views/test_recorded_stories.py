"""The incidents that recorded dbt runs make, each by itself."""

from pathlib import Path

import pytest
from recorded import CASES, unpack
from story import Story

pytestmark = pytest.mark.parametrize("engine", ["duckdb", "bigquery"], indirect=True)

ORDERS, CUSTOMERS, SUMMED = "model.bakery.stg_orders", "model.bakery.stg_customers", "model.bakery.customer_orders"
VISITS, HOOK = "source.bakery.till.visits", "operation.bakery.bakery-on-run-start-0"

EXPECTED = {
    "build_model_error": [(ORDERS, "node_error", "critical")],
    "build_test_failures": [(ORDERS, "test_failure", "critical")],
    "build_unit_test_fail": [(SUMMED, "test_failure", "critical")],
    "freshness_empty_table": [(VISITS, "source_stale", "error")],
    "freshness_error": [(VISITS, "source_stale", "error")],
    "freshness_runtime_error": [(VISITS, "freshness_runtime_error", "error")],
    "freshness_runtime_error_log": [(VISITS, "freshness_runtime_error", "error")],
    "freshness_warn": [(VISITS, "source_stale", "warning")],
    "killed_log": [("dbt run", "run_interrupted", "error")],
    "killed_reused_target": [("dbt run", "run_interrupted", "error")],
    "microbatch_partial": [("model.bakery.orders_by_day", "node_error", "error")],
    "missing_ref": [("dbt run", "run_failed", "error")],
    "on_run_end_compile_error": [("dbt run", "run_failed", "error")],
    "on_run_start_error": [(HOOK, "node_error", "error")],
    "on_run_start_error_skips": [(HOOK, "node_error", "critical")],
    "retry": [(ORDERS, "node_error", "critical")],
    "run_model_error": [(ORDERS, "node_error", "critical")],
    "sigint": [("dbt run", "run_failed", "error")],
    "sigint_log": [("dbt run", "run_interrupted", "error")],
    "sigterm": [("dbt run", "run_interrupted", "error")],
    "store_failures": [(ORDERS, "test_failure", "critical")],
    "test_mixed": [(CUSTOMERS, "test_failure", "warning"), (ORDERS, "test_failure", "critical")],
    "test_warn_only": [(CUSTOMERS, "test_failure", "warning")],
    "unit_test_fail": [(SUMMED, "test_failure", "critical")],
    "usage_error": [("dbt run", "run_failed", "error")],
}
"""By case; one that is not named here makes none."""


@pytest.mark.parametrize("name", CASES)
def test_a_recorded_run_makes_these_incidents(name: str, story: Story, tmp_path: Path) -> None:
    story.recorded(unpack(name, tmp_path))
    assert story.rows("incidents", "subject, kind, severity") == EXPECTED.get(name, [])


def test_what_a_recorded_build_blocks_and_hurts(story: Story, tmp_path: Path) -> None:
    story.recorded(unpack("build_model_error", tmp_path))
    ((blocked, exposures, message),) = story.rows("incidents", "blocked_nodes, exposures, message")
    assert [node for node in blocked if node.startswith("model.")] == [SUMMED, "model.bakery.orders"]
    assert [node for node in blocked if node.startswith("exposure.")] == []
    assert len(exposures) >= 1
    assert message.startswith("Runtime Error in model stg_orders")
