"""A real Airflow in a folder of its own: its database, and DAGs that are run to their end in this process."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

HOME = Path(tempfile.mkdtemp(prefix="airflow-"))
os.environ |= {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": str(HOME / "dags"),
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
    "AIRFLOW__API__BASE_URL": "https://airflow.example",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
}


@pytest.fixture(scope="session", autouse=True)
def airflow() -> Iterator[None]:
    from airflow.utils.db import initdb

    (HOME / "dags").mkdir()
    initdb()
    yield
    shutil.rmtree(HOME, ignore_errors=True)
