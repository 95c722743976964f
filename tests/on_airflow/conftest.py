"""A real Airflow in a folder of its own: its database, and DAGs that are run to their end in this process."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from filelock import FileLock

HOME = Path(tempfile.mkdtemp(prefix="airflow-"))
os.environ |= {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "300",  # Cosmos asks dbt, on a machine that does other things too
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": str(HOME / "dags"),
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
    "AIRFLOW__API__BASE_URL": "https://airflow.example",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
}


@pytest.fixture(scope="session", autouse=True)
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    (HOME / "dags").mkdir()
    folder = tmp_path_factory.getbasetemp()
    shared = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "airflow.db"
    with FileLock(f"{shared}.lock"):  # the migrations take ten seconds, and are the same for every worker
        if shared.exists():
            shutil.copyfile(shared, HOME / "airflow.db")
        else:
            from airflow.utils.db import initdb

            initdb()
            with closing(sqlite3.connect(HOME / "airflow.db")) as made, closing(sqlite3.connect(shared)) as copy:
                made.backup(copy)
    yield
    shutil.rmtree(HOME, ignore_errors=True)
