"""Greenery's morning in pods of an image without Airflow (docker/Dockerfile), whose files go through a bucket.

GREENERY_IMAGE is that image with the dbt project in /dbt; GREENERY_ARTIFACTS such as gs://bucket/dbt, to which the pods
may write and from which the loaders may read.
"""

import os
from datetime import datetime, timedelta

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import dag

from observability.airflow import POD_ENVIRONMENT, ObserveDbtOperator

ARTIFACTS = os.environ.get("GREENERY_ARTIFACTS", "gs://greenery-artifacts/dbt")
STEPS = {"freshness": "source freshness", "snapshot": "snapshot", "run": "run", "test": "test"}
WARNS_ONLY = "|| [ $? -eq 1 ]"  # stale sources hold nothing up; a command that could not run does


@dag(
    schedule="0 6 * * *",
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it as UTC
    catchup=False,
    max_active_runs=1,
    tags=["greenery", "dbt"],
)
def greenery_kubernetes() -> None:
    before = None
    for name, command in STEPS.items():
        observed = f"dbt-observe run --artifacts-to {ARTIFACTS} --no-load -- dbt {command}"
        step = KubernetesPodOperator(
            task_id=name,
            image=os.environ.get("GREENERY_IMAGE", "greenery-dbt:latest"),
            cmds=["sh", "-c"],
            arguments=[f"{observed} {WARNS_ONLY}" if name == "freshness" else f"exec {observed}"],
            env_vars={**POD_ENVIRONMENT, "DBT_OBSERVE_ENVIRONMENT": "prod"},
            termination_grace_period=90,  # what dbt has finished is uploaded in it
            retries=0 if name == "freshness" else 1,
            retry_delay=timedelta(minutes=2),
        )
        begin = EmptyOperator(task_id=f"begin_{name}").as_setup()
        load = ObserveDbtOperator(task_id=f"load_{name}", step_task_ids=[name], artifacts_root=ARTIFACTS)
        begin >> step >> load.as_teardown(setups=begin)
        if before is not None:
            before >> step
        before = step


greenery_kubernetes()
