"""What no dbt step announces: a retry that never came, a step that is overdue, loads that were kept aside."""

from datetime import datetime, timedelta

from airflow.sdk import dag

from observability.airflow import ObserveTickOperator


@dag(
    schedule=timedelta(minutes=10),
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it as UTC
    catchup=False,
    max_active_runs=1,
    tags=["dbt"],
)
def observe_tick() -> None:
    ObserveTickOperator(task_id="tick", execution_timeout=timedelta(minutes=9))


observe_tick()
