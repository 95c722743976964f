"""Greenery by Cosmos, a task for each node; what each of them leaves is loaded once a DAG run."""

import os
from datetime import datetime
from pathlib import Path

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import dag
from cosmos import DbtTaskGroup, ExecutionConfig, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.constants import InvocationMode, LoadMode

from observability.airflow import ObserveDbtOperator, observe_cosmos

PROJECT = Path(os.environ.get("GREENERY_PROJECT_DIR") or Path(__file__).parent.parent / "dbt" / "greenery")
DBT = os.environ.get("GREENERY_DBT_BIN", "dbt")
TARGET = os.environ.get("GREENERY_TARGET", "dev")


@dag(
    schedule="0 6 * * *",
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it as UTC
    catchup=False,
    max_active_runs=1,
    max_active_tasks=1 if TARGET == "dev" else 16,  # one process at a time may open a DuckDB file
    tags=["greenery", "dbt"],
)
def greenery_cosmos() -> None:
    nodes = DbtTaskGroup(
        group_id="greenery",
        project_config=ProjectConfig(PROJECT),
        profile_config=ProfileConfig("greenery", TARGET, profiles_yml_filepath=PROJECT / "profiles.yml"),
        execution_config=ExecutionConfig(dbt_executable_path=DBT, invocation_mode=InvocationMode.SUBPROCESS),
        render_config=RenderConfig(
            load_method=LoadMode.DBT_LS,
            dbt_executable_path=DBT,
            invocation_mode=InvocationMode.SUBPROCESS,
            should_detach_multiple_parents_tests=True,  # else they run before all of what they compare is built
        ),
        operator_args={"callback": observe_cosmos, "callback_args": {"environment": "prod"}},
    )
    begin = EmptyOperator(task_id="begin").as_setup()
    load = ObserveDbtOperator(task_id="load", step_task_ids=sorted(task.task_id for task in nodes.iter_tasks()))
    begin >> nodes >> load.as_teardown(setups=begin)


greenery_cosmos()
