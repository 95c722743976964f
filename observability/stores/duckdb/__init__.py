"""The embedded store: one DuckDB file, its tables in the schema `raw` and its views in `main`.

DuckDB lets one process at a time into a file, readers too. So everybody takes a lock beside the file first, stays
short, and waits for the others for a bounded time.
"""

from observability.stores.duckdb.schema import SCHEMA_VERSION, table_ddl
from observability.stores.duckdb.store import DuckDBStore

__all__ = ["SCHEMA_VERSION", "DuckDBStore", "table_ddl"]
