"""Puts the parts together. The only place where that happens."""

from observability.pipeline.alerting import alert, rehearse, resend, send_digest, tell_after
from observability.pipeline.attending import Deed, Explanation, act, explain_route, list_incidents
from observability.pipeline.checking import app_manifest, doctor
from observability.pipeline.ingestion import IngestReport, LoadReport, LoadStatus, Progress, ingest
from observability.pipeline.looking import Checked, check_lookml, lookml_place, write_lookml
from observability.pipeline.questions import Rows, Status, current_status, query_view, view_sql
from observability.pipeline.reporting import Wanted, WrittenPage, report_after, write_report
from observability.pipeline.running import Afterwards, run
from observability.pipeline.storing import Replay, init_store, prune, replay, store_ddl
from observability.pipeline.ticking import Tick, tick

__all__ = [
    "Afterwards",
    "Checked",
    "Deed",
    "Explanation",
    "IngestReport",
    "LoadReport",
    "LoadStatus",
    "Progress",
    "Replay",
    "Rows",
    "Status",
    "Tick",
    "Wanted",
    "WrittenPage",
    "act",
    "alert",
    "app_manifest",
    "check_lookml",
    "current_status",
    "doctor",
    "explain_route",
    "ingest",
    "init_store",
    "list_incidents",
    "lookml_place",
    "prune",
    "query_view",
    "rehearse",
    "replay",
    "report_after",
    "resend",
    "run",
    "send_digest",
    "store_ddl",
    "tell_after",
    "tick",
    "view_sql",
    "write_lookml",
    "write_report",
]
