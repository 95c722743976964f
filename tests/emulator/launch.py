"""Starts local-bigquery on loopback without a network: `launch.py PORT GRPC_PORT PROJECT`. Runs in its own environment.

As it comes, the emulator stores through an extension of DuckDB that it downloads when it starts. Here each project is
a DuckDB database in memory instead: there is no time travel, and a restart forgets everything.
"""

import functools
import os
import sys
import threading
from typing import Any

import duckdb
import uvicorn
from local_bigquery.engine import database
from local_bigquery.grpc import server
from local_bigquery.jobs import runner
from local_bigquery.settings import settings


def attach(connection: duckdb.DuckDBPyConnection, project: str) -> None:
    """Make a project: a database in memory."""
    connection.execute(f"ATTACH IF NOT EXISTS ':memory:' AS {database.quote(project)}")
    database._attached.add(project)


@functools.cache
def connect() -> duckdb.DuckDBPyConnection:
    """The one connection that all of the emulator's threads take their cursors from."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("ATTACH ':memory:' AS emulator")
    connection.execute(database.EMULATOR_SCHEMA)
    connection.execute("ATTACH ':memory:' AS bq")
    database.native.register(connection)
    for path in database.FUNCTIONS:
        if path.name != "geography.sql":  # it needs a downloaded extension too
            connection.execute(database.MACRO.sub(r"CREATE MACRO bq.main.\1", path.read_text()))
    attach(connection, settings.default_project_id)
    schema = database.quote(settings.default_project_id, settings.default_dataset_id)
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    return connection


def tell_destination(run_query: Any) -> Any:
    """After CREATE TABLE AS SELECT BigQuery names the new table as the job's destination, which dbt-bigquery reads."""

    def run(job: Any, session: Any, running: Any) -> Any:
        answer = run_query(job, session, running)
        statistics = answer.query
        if statistics is not None and getattr(statistics, "statementType", None) == "CREATE_TABLE_AS_SELECT":
            job.configuration.query.destinationTable = statistics.ddlTargetTable
        return answer

    return run


def end_with_stdin() -> None:
    """End when whoever started us is gone, however that came about."""
    sys.stdin.read()
    os._exit(0)


def main(port: int, grpc_port: int, project: str) -> None:
    """Serve until the end of stdin."""
    settings.bigquery_host, settings.bigquery_port, settings.grpc_port = "127.0.0.1", port, grpc_port
    settings.default_project_id = project
    database._connect, database._attach = connect, attach
    database.projects = lambda: sorted(database._attached)
    runner._query = tell_destination(runner._query)
    grpc, _ = server.start("127.0.0.1", grpc_port)
    threading.Thread(target=end_with_stdin, daemon=True).start()
    database.connection()  # the start-up cost is paid before the port answers
    try:
        uvicorn.run("local_bigquery:app", host="127.0.0.1", port=port, log_level="warning")
    finally:
        grpc.stop(None)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
