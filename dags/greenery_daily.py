"""Greenery's morning on Airflow: freshness (warns, never blocks), snapshot, run, test; each loaded and told.

DuckDB by default; BigQuery where the connection `greenery_bigquery` and DBT_OBSERVE_STORE=bigquery://… are set.
"""

import os
from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import dag

from observability.airflow import dbt_pipeline

PROJECT = os.environ.get("GREENERY_PROJECT_DIR") or str(Path(__file__).parent.parent / "dbt" / "greenery")
BIGQUERY = os.environ.get("DBT_OBSERVE_STORE", "").startswith("bigquery://")


@dag(
    schedule="0 6 * * *",
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it as UTC
    catchup=False,
    max_active_runs=1,
    tags=["greenery", "dbt"],
)
def greenery_daily() -> None:
    dbt_pipeline(
        step={
            "dbt_bin": os.environ.get("GREENERY_DBT_BIN", "dbt"),
            "project_dir": PROJECT,
            "profiles_dir": PROJECT,
            "environment": "prod",
            "retries": 1,
            "retry_delay": timedelta(minutes=2),
        },
        loader={"gcp_conn_id": "greenery_bigquery" if BIGQUERY else None},
    )


greenery_daily()
