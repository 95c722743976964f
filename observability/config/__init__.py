"""Settings: arguments > environment > dbt_observe.toml > `[tool.dbt-observe]` in pyproject.toml > defaults."""

from observability.config.deadlines import Deadline
from observability.config.models import RedactionSettings, ReportSettings, Settings, StorageSettings
from observability.config.reading import load_settings, settings_places
from observability.config.reference import Setting, describe_settings
from observability.config.slack import ChannelSettings, Maintenance, Rule, SlackSettings

__all__ = [
    "ChannelSettings",
    "Deadline",
    "Maintenance",
    "RedactionSettings",
    "ReportSettings",
    "Rule",
    "Setting",
    "Settings",
    "SlackSettings",
    "StorageSettings",
    "describe_settings",
    "load_settings",
    "settings_places",
]
