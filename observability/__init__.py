"""dbt-observability: watches dbt from the outside and tells who depends on it what broke.

from observability import Settings, ingest
report = ingest(["target"], Settings(store="duckdb:///audit.duckdb"))
"""

from typing import TYPE_CHECKING, Any

from observability.version import __version__

__all__ = ["Settings", "__version__", "alert", "current_status", "ingest"]

if TYPE_CHECKING:
    from observability.config import Settings
    from observability.pipeline import alert, current_status, ingest


def __getattr__(name: str) -> Any:
    """Import the API when it is first used: it is heavier than what `dbt-observe --help` needs."""
    if name == "Settings":
        from observability.config import Settings

        return Settings
    if name in __all__:
        from observability import pipeline

        return getattr(pipeline, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
