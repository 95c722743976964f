"""dbt-observability: watches dbt from the outside and tells who depends on it what broke."""

__version__ = "0.1.0"
