"""manifest.json: v1 to v12, v20, and those of dbt 2.x, which leave out keys where dbt Core writes null."""

import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

import msgspec

from observability.artifacts.json_file import JsonFile, Metadata, decode
from observability.artifacts.kinds import Artifact


class DependsOn(msgspec.Struct, gc=False):
    """The unique_ids that a node refers to."""

    nodes: list[str] | None = None


class Checksum(msgspec.Struct, gc=False):
    """Digest of a node's source."""

    name: str | None = None
    checksum: str | None = None


class Period(msgspec.Struct, gc=False):
    """A freshness threshold: `count` of `period` (minute, hour, day)."""

    count: float | None = None
    period: str | None = None


class Freshness(msgspec.Struct, gc=False):
    """A source's freshness criteria."""

    warn_after: Period | None = None
    error_after: Period | None = None
    filter: str | None = None


class TestMetadata(msgspec.Struct, gc=False):
    """What makes a data test generic."""

    __test__ = False  # a name that pytest would collect

    name: str | None = None
    namespace: str | None = None
    kwargs: Any = None


class Config(msgspec.Struct, gc=False):
    """The part of a node's config that is needed. The shape of `freshness` depends on the resource type."""

    materialized: str | None = None
    severity: str | None = None
    meta: Any = None
    group: str | None = None
    access: str | None = None
    freshness: Any = None
    loaded_at_field: str | None = None
    tags: list[str] | str | None = None


class Owner(msgspec.Struct, gc=False):
    """Who answers for an exposure or a group."""

    name: str | None = None
    email: str | list[str] | None = None


class Node(msgspec.Struct, gc=False):
    """One resource of a manifest, of any type; what its type does not have is None."""

    unique_id: str | None = None
    resource_type: str | None = None
    name: str | None = None
    package_name: str | None = None
    original_file_path: str | None = None
    database: str | None = None
    schema: str | None = None
    relation_name: str | None = None
    tags: list[str] | str | None = None
    meta: Any = None
    config: Config | None = None
    group: str | None = None
    access: str | None = None
    description: str | None = None
    depends_on: DependsOn | None = None
    checksum: Checksum | str | None = None
    compiled_code: msgspec.Raw = msgspec.Raw()
    compiled_sql: msgspec.Raw = msgspec.Raw()
    # tests
    test_metadata: TestMetadata | None = None
    column_name: str | None = None
    attached_node: str | None = None
    # sources
    source_name: str | None = None
    loader: str | None = None
    loaded_at_field: str | None = None
    loaded_at_query: str | None = None
    freshness: Freshness | None = None
    # exposures and metrics
    type: str | None = None
    maturity: str | None = None
    url: str | None = None
    label: str | None = None
    owner: Owner | None = None

    @property
    def parents(self) -> list[str]:
        """The unique_ids that this node depends on, as dbt wrote them."""
        return (self.depends_on.nodes if self.depends_on else None) or []


class Group(msgspec.Struct, gc=False):
    """A group of nodes and who owns it."""

    name: str | None = None
    owner: Owner | None = None
    config: Config | None = None


class Manifest(msgspec.Struct, gc=False):
    """The nodes of a project as dbt parsed it, by unique_id. Macros, docs and dbt's own maps are not read."""

    metadata: Metadata | None = None
    nodes: dict[str, Node] | None = None
    sources: dict[str, Node] | None = None
    exposures: dict[str, Node] | None = None
    unit_tests: dict[str, Node] | None = None
    metrics: dict[str, Node] | None = None
    semantic_models: dict[str, Node] | None = None
    saved_queries: dict[str, Node] | None = None
    functions: dict[str, Node] | None = None
    groups: dict[str, Group] | None = None
    selectors: Any = None

    def resources(self) -> Iterator[tuple[str, Node]]:
        """Every resource with its unique_id."""
        return chain.from_iterable(
            section.items()
            for section in (
                self.nodes,
                self.sources,
                self.unit_tests,
                self.exposures,
                self.metrics,
                self.semantic_models,
                self.saved_queries,
                self.functions,
            )
            if section
        )

    @property
    def has_default_selector(self) -> bool:
        """Whether a selector of selectors.yml chooses the nodes of a command that has no selection of its own."""
        selectors = self.selectors.values() if isinstance(self.selectors, dict) else ()
        return any(isinstance(selector, dict) and bool(selector.get("default")) for selector in selectors)


def read_manifest(file: JsonFile) -> Manifest:
    """Decode a manifest. Raises ArtifactError."""
    return decode(file, Artifact.MANIFEST, Manifest)


_REF = re.compile(r"""(?:ref|source)\s*\(\s*(?:['"][^'"]*['"]\s*,\s*)?['"]([^'"]+)['"]""")


def attached_node(node: Node) -> str | None:
    """The node that a test tests. Manifests before v9 do not say: there it is read from the test's `model` argument.

    A test with several parents and no such argument (a singular one) is attached to none.
    """
    if node.attached_node:
        return node.attached_node
    parents = node.parents
    if node.test_metadata is None or len(parents) < 2:
        return parents[0] if len(parents) == 1 else None
    kwargs = node.test_metadata.kwargs
    model = kwargs.get("model") if isinstance(kwargs, dict) else None
    match = _REF.search(model) if isinstance(model, str) else None
    if match is None:
        return None
    return next((parent for parent in parents if match[1] in parent.split(".")[2:]), None)
