"""The production store: two BigQuery datasets, the tables in `{dataset}_raw` and the views in `{dataset}`.

Rows come in by load jobs, which cost nothing, and never by DML. The jobs of a load have ids made of its own, so that a
repeat after a lost answer finds the job instead of loading twice.
"""

from observability.stores.bigquery.store import BigQueryStore

__all__ = ["BigQueryStore"]
