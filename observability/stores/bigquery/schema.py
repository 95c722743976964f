"""The audit datasets as they should be, what has to be done to get there, and the same as DDL."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypedDict

from google.api_core import exceptions as api
from google.api_core.retry import Retry, if_exception_type
from google.cloud import bigquery

from observability.audit.schema import TABLES, Column, ColumnType, Table
from observability.audit.views import View, views
from observability.errors import StoreSchemaError
from observability.stores.bigquery.faults import bounded_retry

SCHEMA_VERSION = 1
"""Raised whenever tables or views change."""
_VERSION_LABEL = "dbt_observability_schema"
LABELS = {"application": "dbt_observability"}
_SAME_TYPES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "RECORD": "STRUCT"}
_ABOUT = {
    "raw": "Audit tables of dbt-observability, append-only. Read the views instead.",
    "main": "Views of dbt-observability's audit tables.",
}


def schema_fields(columns: Sequence[Column]) -> list[bigquery.SchemaField]:
    """Columns as BigQuery's API has them. A column beyond the first version's is nullable, and so are all in views."""
    return [
        bigquery.SchemaField(
            column.name,
            "STRING" if column.type is ColumnType.JSON else column.type.value,
            mode="REPEATED" if column.repeated else "NULLABLE" if column.nullable else "REQUIRED",
            description=column.description,
            fields=schema_fields(column.fields),
        )
        for column in columns
    ]


@dataclass(frozen=True)
class Change:
    """One thing to do: `what` in words; `apply` does it."""

    what: str
    apply: Callable[[], object]


@dataclass(frozen=True)
class Layout:
    """The two datasets of a store: `dataset` with the views, and the one of the tables."""

    project: str
    dataset: str
    location: str | None

    @property
    def main(self) -> bigquery.DatasetReference:
        """The dataset of the views."""
        return bigquery.DatasetReference(self.project, self.dataset)

    @property
    def raw(self) -> bigquery.DatasetReference:
        """The dataset of the tables."""
        return bigquery.DatasetReference(self.project, f"{self.dataset}_raw")

    @property
    def schemas(self) -> dict[str, str]:
        """What `{raw}` and `{main}` stand for."""
        return {"raw": f"`{self.project}`.`{self.raw.dataset_id}`", "main": f"`{self.project}`.`{self.dataset}`"}

    def view_sql(self, view: View) -> str:
        """A view's query over these datasets."""
        return view.sql(**self.schemas)

    def ddl(self) -> str:
        """All of it as GoogleSQL, for those who make datasets by other means."""
        location = self.location or "US"
        parts = []
        for reference in (self.main, self.raw):
            about = _ABOUT["raw" if reference == self.raw else "main"]
            labels = _labels({**LABELS, **({_VERSION_LABEL: str(SCHEMA_VERSION)} if reference == self.raw else {})})
            parts.append(
                f"CREATE SCHEMA IF NOT EXISTS `{reference.project}.{reference.dataset_id}`\n"
                f"OPTIONS (location = {_text(location)}, description = {_text(about)}, labels = {labels});"
            )
        parts += [self._table_ddl(table) for table in TABLES.values()]
        parts += [self._view_ddl(view) for view in views()]
        parts.append(
            f"-- Not to be said in SQL: the views of {self.dataset} must be authorized to read {self.raw.dataset_id}:\n"
            f'-- Terraform: google_bigquery_dataset_access with dataset {{ dataset {{ … }} target_types = ["VIEWS"] }}'
        )
        return "\n\n".join(parts) + "\n"

    def _table_ddl(self, table: Table) -> str:
        columns = ",\n".join(
            f"  {column.name} {_type_ddl(column)}{_not_null(column)}"
            f" OPTIONS (description = {_text(column.description)})"
            for column in table.columns
        )
        partition = table.partition
        if partition and _granularity(table) == "MONTH":
            partition = f"DATE_TRUNC({partition}, MONTH)"
        return (
            f"CREATE TABLE IF NOT EXISTS `{self.project}.{self.raw.dataset_id}.{table.name}` (\n{columns}\n)\n"
            + (f"PARTITION BY {partition}\n" if partition else "")
            + f"CLUSTER BY {', '.join(table.cluster)}\n"
            f"OPTIONS (description = {_text(table.description)}, labels = {_labels(LABELS)});"
        )

    def _view_ddl(self, view: View) -> str:
        columns = ",\n".join(
            f"  {column.name} OPTIONS (description = {_text(column.description)})" for column in view.columns
        )
        return (
            f"CREATE OR REPLACE VIEW `{self.project}.{self.dataset}.{view.name}` (\n{columns}\n)\n"
            f"OPTIONS (description = {_text(view.description)}, labels = {_labels(LABELS)})\n"
            f"AS\n{self.view_sql(view).strip()};"
        )


if_changed_meanwhile = Retry(predicate=if_exception_type(api.PreconditionFailed), initial=0.5, timeout=10.0)
"""Does a change anew, which begins by looking at what there is, where another `init` was quicker."""


class _Patience(TypedDict):
    retry: Retry
    timeout: float


@dataclass(frozen=True)
class Datasets(Layout):
    """The same as BigQuery has them, and what is to be done about the difference."""

    client: bigquery.Client
    timeout_seconds: float
    """How long one request may take, and how long it is repeated."""

    @property
    def _patience(self) -> "_Patience":
        return {"retry": bounded_retry(self.timeout_seconds), "timeout": self.timeout_seconds}

    def plan(self) -> Iterator[Change]:
        """What is missing or out of date, in the order in which it is to be done; each is looked at in its turn.

        Raises StoreSchemaError for what cannot be brought up to date by adding to it.
        """
        main, raw = self._find_dataset(self.main), self._find_dataset(self.raw)
        is_newer = raw is not None and self._version(raw) > SCHEMA_VERSION
        location = next((found.location for found in (main, raw) if found), None)
        for found, reference in ((main, self.main), (raw, self.raw)):
            if found is None:
                create = partial(self._create_dataset, reference, location)
                yield Change(f"create dataset {reference.dataset_id}", create)
        for table in TABLES.values():
            yield from self._plan_table(table)
        if is_newer:
            return  # its views know more than ours
        if raw is None or not self._may_read(raw):
            yield Change(f"let the views of {self.dataset} read {self.raw.dataset_id}", self._authorize)
        for view in views():
            yield from self._plan_view(view)
        if raw is None or self._version(raw) != SCHEMA_VERSION:
            yield Change(f"mark {self.raw.dataset_id} as schema version {SCHEMA_VERSION}", self._mark)

    def _find_dataset(self, reference: bigquery.DatasetReference) -> bigquery.Dataset | None:
        try:
            found = self.client.get_dataset(reference, **self._patience)
        except api.NotFound:
            return None
        if self.location and found.location and found.location.lower() != self.location.lower():
            raise StoreSchemaError(
                f"dataset {reference.dataset_id} is in {found.location}, not in {self.location}",
                where=f"{reference.project}.{reference.dataset_id}",
                next_step=f"name its own location: bigquery://{self.project}/{self.dataset}?location={found.location}",
            )
        if reference == self.raw and found.labels.get("application") != LABELS["application"]:
            raise StoreSchemaError(
                f"dataset {reference.dataset_id} was not made by dbt-observe",
                where=f"{reference.project}.{reference.dataset_id}",
                next_step="give the audit store a dataset of its own; if it was made for it by hand, label it with "
                f"application={LABELS['application']}",
            )
        return found

    def _create_dataset(self, reference: bigquery.DatasetReference, location: str | None) -> None:
        made = bigquery.Dataset(reference)
        made.location = self.location or location or self.client.location or "US"
        made.description = _ABOUT["raw" if reference == self.raw else "main"]
        made.labels = dict(LABELS)
        self.client.create_dataset(made, exists_ok=True, **self._patience)

    @staticmethod
    def _version(dataset: bigquery.Dataset) -> int:
        label = str(dataset.labels.get(_VERSION_LABEL) or "0")
        return int(label) if label.isdecimal() else 0

    def _mark(self) -> None:
        found = self.client.get_dataset(self.raw, **self._patience)
        found.labels = {**found.labels, **LABELS, _VERSION_LABEL: str(SCHEMA_VERSION)}
        self.client.update_dataset(found, ["labels"], **self._patience)

    def _entry(self) -> bigquery.AccessEntry:
        return bigquery.AccessEntry.from_api_repr(
            {"dataset": {"dataset": self.main.to_api_repr(), "targetTypes": ["VIEWS"]}}
        )

    def _may_read(self, raw: bigquery.Dataset) -> bool:
        wanted = self.main.to_api_repr()
        entries = (entry.to_api_repr().get("dataset", {}).get("dataset") for entry in raw.access_entries)
        return wanted in entries

    def _authorize(self) -> None:
        found = self.client.get_dataset(self.raw, **self._patience)
        if self._may_read(found):
            return
        found.access_entries = [*found.access_entries, self._entry()]
        self.client.update_dataset(found, ["access_entries"], **self._patience)

    def _find_table(self, reference: bigquery.TableReference) -> bigquery.Table | None:
        try:
            return self.client.get_table(reference, **self._patience)
        except api.NotFound:
            return None

    def _plan_table(self, table: Table) -> Iterator[Change]:
        reference = self.raw.table(table.name)
        found = self._find_table(reference)
        if found is None:
            yield Change(f"create table {table.name}", lambda: self._create_table(table))
            return
        known = {field.name: field for field in found.schema}
        for column, field in ((column, known.get(column.name)) for column in table.columns):
            if field is not None and _type_of(field) != column.googlesql_type:
                raise StoreSchemaError(
                    f"column {column.name} of {table.name} is {_type_of(field)}, not {column.googlesql_type}",
                    where=str(reference),
                    next_step="only columns can be added: move that table away, or use a new dataset",
                )
        for column, field in ((column, known.get(column.name)) for column in table.columns):
            if field is not None and field.mode == "NULLABLE" and not (column.nullable or column.repeated):
                raise StoreSchemaError(
                    f"column {column.name} of {table.name} may be null, and must not",
                    where=str(reference),
                    next_step="make the table as `dbt-observe init --print-ddl` says: a load would be refused",
                )
        missing = [column for column in table.columns if column.name not in known]
        if missing:
            names = ", ".join(column.name for column in missing)
            yield Change(f"add to table {table.name}: {names}", lambda: self._add_columns(reference, missing))

    def _create_table(self, table: Table) -> None:
        made = bigquery.Table(self.raw.table(table.name), schema=schema_fields(table.columns))
        made.description = table.description
        made.labels = dict(LABELS)
        made.clustering_fields = list(table.cluster)
        if table.partition:
            made.time_partitioning = bigquery.TimePartitioning(type_=_granularity(table), field=table.partition)
        self.client.create_table(made, exists_ok=True, **self._patience)

    def _add_columns(self, reference: bigquery.TableReference, columns: Sequence[Column]) -> None:
        found = self.client.get_table(reference, **self._patience)
        added = [
            bigquery.SchemaField.from_api_repr({**field.to_api_repr(), "mode": "NULLABLE"})
            if field.mode == "REQUIRED"
            else field
            for field in schema_fields(columns)
        ]
        found.schema = [*found.schema, *added]
        self.client.update_table(found, ["schema"], **self._patience)

    def _plan_view(self, view: View) -> Iterator[Change]:
        found = self._find_table(self.main.table(view.name))
        if found is None:
            yield Change(f"create view {view.name}", lambda: self._create_view(view))
            return
        if found.labels.get("application") != LABELS["application"]:
            raise StoreSchemaError(
                f"{view.name} in dataset {self.dataset} was not made by dbt-observe",
                where=str(found.reference),
                next_step="give the audit store a dataset of its own, or move that away",
            )
        if found.view_query != self.view_sql(view) or found.description != view.description:
            yield Change(f"update view {view.name}", lambda: self._update_view(view))

    def _create_view(self, view: View) -> None:
        made = bigquery.Table(self.main.table(view.name))
        made.view_query = self.view_sql(view)
        made.description = view.description
        made.labels = dict(LABELS)
        self._describe(self.client.create_table(made, exists_ok=True, **self._patience), view)

    def _update_view(self, view: View) -> None:
        found = self.client.get_table(self.main.table(view.name), **self._patience)
        found.view_query = self.view_sql(view)
        found.description = view.description
        self._describe(self.client.update_table(found, ["view_query", "description"], **self._patience), view)

    def _describe(self, table: bigquery.Table, view: View) -> None:
        """Put the descriptions on a view's columns; BigQuery finds the columns themselves."""
        described = {column.name: column.description for column in view.columns}
        table.schema = [
            bigquery.SchemaField.from_api_repr({**field.to_api_repr(), "description": described[field.name]})
            if field.name in described
            else field
            for field in table.schema
        ]
        self.client.update_table(table, ["schema"], **self._patience)


def _type_ddl(column: Column) -> str:
    """A column's type with what a load requires of the fields within it."""
    if column.type is not ColumnType.STRUCT:
        return column.googlesql_type
    fields = ", ".join(f"{field.name} {_type_ddl(field)}{_not_null(field)}" for field in column.fields)
    return f"ARRAY<STRUCT<{fields}>>" if column.repeated else f"STRUCT<{fields}>"


def _not_null(column: Column) -> str:
    return "" if column.nullable or column.repeated else " NOT NULL"


def _granularity(table: Table) -> str:
    return "MONTH" if (table.partition or "").endswith("_month") else "DAY"


def _type_of(field: bigquery.SchemaField) -> str:
    name = _SAME_TYPES.get(field.field_type, field.field_type)
    if name == "STRUCT":
        name = f"STRUCT<{', '.join(f'{one.name} {_type_of(one)}' for one in field.fields)}>"
    return f"ARRAY<{name}>" if field.mode == "REPEATED" else name


def _text(value: str) -> str:
    """A GoogleSQL string literal: JSON's escapes are all GoogleSQL's too."""
    return re.sub(r"\\u00([0-9a-f]{2})", r"\\x\1", json.dumps(value, ensure_ascii=False))


def _labels(labels: dict[str, str]) -> str:
    return "[" + ", ".join(f"({_text(name)}, {_text(value)})" for name, value in sorted(labels.items())) + "]"
