"""What a made-up project consists of, and the names that dbt gives to its parts."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

PROJECT = "harbor"
DATABASE = "harbor-analytics-prod"
LOCATION = "europe-west1"

_TEST_NAME_LIMIT = 64  # from here on dbt shortens a test's name to 30 characters and a hash


@dataclass(frozen=True, slots=True)
class Column:
    """A documented column."""

    name: str
    data_type: str
    description: str
    meta: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Relation:
    """What other nodes can select from: a source, seed, snapshot or model."""

    index: int  # parents come first
    resource_type: str
    name: str
    entity: str
    domain: str
    layer: str  # staging, intermediate, marts; of anything else its resource type
    materialized: str
    description: str
    columns: tuple[Column, ...]
    parents: tuple["Relation", ...] = ()
    tags: tuple[str, ...] = ()
    meta: dict[str, Any] = field(default_factory=dict)
    group: str | None = None
    source_name: str = ""
    enabled: bool = True

    @property
    def unique_id(self) -> str:
        middle = f"{self.source_name}." if self.source_name else ""
        return f"{self.resource_type}.{PROJECT}.{middle}{self.name}"

    @property
    def schema(self) -> str:
        if self.resource_type == "source":
            return f"raw_{self.source_name}"
        return f"prod_{self.domain}" if self.layer == "marts" else f"prod_{self.layer}"

    @property
    def relation_name(self) -> str:
        return f"`{DATABASE}`.`{self.schema}`.`{self.name}`"

    @property
    def jinja(self) -> str:
        """What stands between the braces where it is selected from."""
        return f"source('{self.source_name}', '{self.name}')" if self.source_name else f"ref('{self.name}')"

    @property
    def original_file_path(self) -> str:
        if self.resource_type == "source":
            return self.yaml_path
        if self.resource_type == "model":
            return f"models/{self.layer}/{self.domain}/{self.name}.sql"
        return f"{self.resource_type}s/{self.domain}/{self.name}.{'csv' if self.resource_type == 'seed' else 'sql'}"

    @property
    def yaml_path(self) -> str:
        """The file that describes it."""
        if self.resource_type in {"seed", "snapshot"}:
            return f"{self.resource_type}s/{self.domain}/_{self.domain}__{self.resource_type}s.yml"
        layer, what = ("staging", "sources") if self.resource_type == "source" else (self.layer, "models")
        return f"models/{layer}/{self.domain}/_{self.domain}__{what}.yml"


@dataclass(frozen=True, slots=True, eq=False)
class Test:
    """A data test. `parents` starts with what it is attached to."""

    kind: str  # a generic test's name, or "singular"
    package: str | None
    name: str
    parents: tuple[Relation, ...]
    column: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    severity: str = "ERROR"
    store_failures: bool | None = None
    tags: tuple[str, ...] = ()

    @property
    def alias(self) -> str:
        if self.kind == "singular" or len(self.name) < _TEST_NAME_LIMIT:
            return self.name
        return f"{self.name[:30]}_{hashlib.md5(self.name.encode(), usedforsecurity=False).hexdigest()}"

    @property
    def unique_id(self) -> str:
        if self.kind == "singular":
            return f"test.{PROJECT}.{self.name}"
        arguments = f"{self.name}{self.arguments}{self.parents[0].unique_id}"
        return f"test.{PROJECT}.{self.name}.{hashlib.md5(arguments.encode(), usedforsecurity=False).hexdigest()[:10]}"

    @property
    def original_file_path(self) -> str:
        return f"tests/{self.name}.sql" if self.kind == "singular" else self.parents[0].yaml_path

    @property
    def written_path(self) -> str:
        """Where dbt puts its SQL, below target/compiled and target/run."""
        path = self.original_file_path
        return path if self.kind == "singular" else f"{path}/{self.alias}.sql"

    @property
    def relation_name(self) -> str | None:
        return f"`{DATABASE}`.`prod_dbt_test__audit`.`{self.alias}`" if self.store_failures else None


@dataclass(frozen=True, slots=True, eq=False)
class UnitTest:
    """A unit test of one model."""

    name: str
    model: Relation

    @property
    def unique_id(self) -> str:
        return f"unit_test.{PROJECT}.{self.model.name}.{self.name}"


@dataclass(frozen=True, slots=True, eq=False)
class Exposure:
    """A dashboard or the like, and the marts that it shows."""

    name: str
    domain: str
    kind: str
    owner: str
    description: str
    parents: tuple[Relation, ...]
    maturity: str | None
    meta: dict[str, Any]

    @property
    def unique_id(self) -> str:
        return f"exposure.{PROJECT}.{self.name}"


@dataclass(frozen=True, slots=True)
class Project:
    """All of it. `relations` are in the order of their edges; `disabled` are models that take no part."""

    seed: int
    relations: tuple[Relation, ...]
    tests: tuple[Test, ...]
    unit_tests: tuple[UnitTest, ...]
    exposures: tuple[Exposure, ...]
    disabled: tuple[Relation, ...]
    domains: tuple[str, ...]
