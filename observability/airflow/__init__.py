"""dbt under Airflow: steps that leave what they did, loaders that run whatever happened to them, ready-made wiring.

from observability.airflow import DbtStepOperator, ObserveDbtOperator, dbt_pipeline

Needs the extra `airflow`. The only place that imports Airflow; nothing of ours but the linkage is imported while a DAG
is parsed.
"""

from typing import TYPE_CHECKING, Any

__all__ = ["DbtStepOperator", "ObserveDbtOperator", "ObserveTickOperator", "dbt_pipeline", "observe_cosmos"]

if TYPE_CHECKING:
    from observability.airflow.cosmos import observe_cosmos
    from observability.airflow.loader import ObserveDbtOperator, ObserveTickOperator
    from observability.airflow.step import DbtStepOperator
    from observability.airflow.wiring import dbt_pipeline

_HOMES = {
    "DbtStepOperator": "step",
    "ObserveDbtOperator": "loader",
    "ObserveTickOperator": "loader",
    "dbt_pipeline": "wiring",
    "observe_cosmos": "cosmos",
}


def __getattr__(name: str) -> Any:
    """Import an operator when it is first used."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
