"""dbt-observability: watches dbt from the outside and tells who depends on it what broke.

from observability import Settings, ingest
report = ingest(["target"], Settings(store="duckdb:///audit.duckdb"))
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from observability.version import __version__

__all__ = ["Settings", "__version__", "alert", "current_status", "ingest"]

if TYPE_CHECKING:
    from observability.config import Settings
    from observability.pipeline.alerting import alert
    from observability.pipeline.ingestion import ingest
    from observability.pipeline.questions import current_status

_WHERE = {
    "Settings": "observability.config",
    "alert": "observability.pipeline.alerting",
    "current_status": "observability.pipeline.questions",
    "ingest": "observability.pipeline.ingestion",
}


def __getattr__(name: str) -> Any:
    """Import the API when it is first used: it is heavier than what `dbt-observe --help` needs."""
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
