"""dbt under Airflow: steps that leave what they did, loaders that run whatever happened to them, ready-made wiring.

from observability.airflow import DbtStepOperator, ObserveDbtOperator, dbt_pipeline

Needs the extra `airflow`. The only place that imports Airflow; of ours, nothing but names and paths is imported while a
DAG is parsed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = [
    "POD_ENVIRONMENT",
    "DbtStepOperator",
    "ObserveDbtOperator",
    "ObserveTickOperator",
    "dbt_pipeline",
    "observe_cosmos",
]

if TYPE_CHECKING:
    from observability.airflow.cosmos import observe_cosmos
    from observability.airflow.loader import ObserveDbtOperator, ObserveTickOperator
    from observability.airflow.places import POD_ENVIRONMENT
    from observability.airflow.step import DbtStepOperator
    from observability.airflow.wiring import dbt_pipeline

_HOMES = {
    "POD_ENVIRONMENT": "places",
    "DbtStepOperator": "step",
    "ObserveDbtOperator": "loader",
    "ObserveTickOperator": "loader",
    "dbt_pipeline": "wiring",
    "observe_cosmos": "cosmos",
}


def __getattr__(name: str) -> Any:
    """Import an operator when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "airflow":
            raise
        raise ImportError(
            f"{name} needs Airflow: pip install 'dbt-observability[airflow]', with the constraints of your Airflow"
        ) from error
