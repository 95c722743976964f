"""Puts the parts together. The only place where that happens."""

from observability.pipeline.ingestion import IngestReport, LoadReport, LoadStatus, Progress, ingest
from observability.pipeline.questions import Rows, Status, current_messages, current_status, query_view, view_sql
from observability.pipeline.running import run

__all__ = [
    "IngestReport",
    "LoadReport",
    "LoadStatus",
    "Progress",
    "Rows",
    "Status",
    "current_messages",
    "current_status",
    "ingest",
    "query_view",
    "run",
    "view_sql",
]
