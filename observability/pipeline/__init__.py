"""Puts the parts together. The only place where that happens."""

from observability.pipeline.alerting import AlertReport, alert
from observability.pipeline.ingestion import IngestReport, LoadReport, LoadStatus, Progress, ingest
from observability.pipeline.questions import Rows, Status, current_messages, current_status, query_view, view_sql
from observability.pipeline.running import run
from observability.pipeline.storing import Replay, init_store, prune, replay, store_ddl

__all__ = [
    "AlertReport",
    "IngestReport",
    "LoadReport",
    "LoadStatus",
    "Progress",
    "Replay",
    "Rows",
    "Status",
    "alert",
    "current_messages",
    "current_status",
    "ingest",
    "init_store",
    "prune",
    "query_view",
    "replay",
    "run",
    "store_ddl",
    "view_sql",
]
