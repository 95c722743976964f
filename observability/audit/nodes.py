"""A manifest → rows of `nodes`, the graph between them, and the ids that name a project's state."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from hashlib import sha256
from typing import Any

import msgspec

from observability.artifacts.manifest import Checksum, Freshness, Group, Manifest, Owner, Period, attached_node
from observability.artifacts.manifest import Node as ManifestNode
from observability.audit.lineage import Graph, exposure_ancestors
from observability.audit.schema import Json
from observability.audit.tables import ROW_VERSION, ExposureAncestor, Node
from observability.audit.values import canonical

_SECONDS = {"minute": 60.0, "hour": 3600.0, "day": 86400.0}


@dataclass(frozen=True)
class Project:
    """A project's state: its nodes by unique_id, and what they depend on."""

    nodes: Mapping[str, Node]
    month: date
    """First day of the month in which the state was seen: partitions are by it, so it is part of the state's name."""

    @cached_property
    def graph(self) -> Graph:
        """Who depends on whom."""
        return Graph(
            {unique_id: node.depends_on for unique_id, node in self.nodes.items()},
            {unique_id: node.resource_type or "" for unique_id, node in self.nodes.items()},
        )

    @cached_property
    def manifest_id(self) -> str:
        """Names the state: the same for the same nodes, whichever command parsed them."""
        digest = sha256(f"{ROW_VERSION} {self.month:%Y-%m}\n".encode())
        rows = [self.nodes[unique_id] for unique_id in sorted(self.nodes)]
        for start in range(0, len(rows), 1000):
            digest.update(msgspec.json.encode(rows[start : start + 1000]))
        return digest.hexdigest()[:32]

    @cached_property
    def ancestors(self) -> list[ExposureAncestor]:
        """Every exposure with everything above it."""
        return [
            ExposureAncestor(exposure_unique_id=exposure, ancestor_unique_id=ancestor, distance=distance)
            for exposure, ancestor, distance in exposure_ancestors(self.graph)
        ]

    @cached_property
    def lineage_id(self) -> str:
        """Names the exposures' lineage: a change of SQL alone leaves it as it is."""
        digest = sha256(f"{ROW_VERSION} {self.month:%Y-%m}\n".encode())
        digest.update(msgspec.json.encode(self.ancestors))
        return digest.hexdigest()[:32]


def build_project(manifest: Manifest, seen_on: date) -> Project:
    """The rows of a manifest's nodes; `seen_on` is the UTC date of the step that ran on it."""
    groups = manifest.groups or {}
    owners: dict[str | None, str | None] = {group.name: _owner_name(group.owner) for group in groups.values()}
    owners.pop(None, None)
    resources = dict(manifest.resources())
    rows = {unique_id: _row(unique_id, node, resources, owners) for unique_id, node in resources.items()}
    rows |= {unique_id: _group_row(unique_id, group) for unique_id, group in groups.items()}
    return Project(rows, seen_on.replace(day=1))


def _row(
    unique_id: str, node: ManifestNode, resources: Mapping[str, ManifestNode], owners: Mapping[str | None, str | None]
) -> Node:
    config = node.config
    kind = node.resource_type or unique_id.partition(".")[0]
    is_test = kind == "test"
    attached = attached_node(node) if is_test else (node.parents[0] if kind == "unit_test" and node.parents else None)
    home = resources.get(attached, node) if attached else node
    group = node.group or (config.group if config else None)
    meta, named = _meta(node)
    if attached and not named:  # who is called to a test is who is called to what it tests
        _, named = _meta(home)
    freshness = _freshness(node) if kind == "source" else None
    test = node.test_metadata
    return Node(
        unique_id=unique_id,
        resource_type=kind,
        name=node.name,
        package_name=node.package_name,
        original_file_path=node.original_file_path,
        relation_database=home.database,
        relation_schema=home.schema,
        relation_name=node.relation_name,
        materialized=config.materialized if config else None,
        tags=_tags(node),
        owner=_owner_name(node.owner) or named or owners.get(group),
        owner_email=_emails(node.owner),
        group_name=group,
        checksum=_checksum(node.checksum),
        test_name=test.name if test else None,
        test_args=canonical(test.kwargs) if test else None,
        column_name=node.column_name,
        attached_node=attached,
        severity=((config.severity if config else None) or "error").lower() if is_test or kind == "unit_test" else None,
        meta=meta,
        access=node.access or (config.access if config else None),
        description=node.description or None,
        depends_on=sorted(set(node.parents)),
        source_name=node.source_name,
        loader=node.loader or None,
        loaded_at_field=node.loaded_at_field or node.loaded_at_query or (config.loaded_at_field if config else None),
        warn_after_seconds=seconds(freshness.warn_after if freshness else None),
        error_after_seconds=seconds(freshness.error_after if freshness else None),
        freshness_filter=freshness.filter if freshness else None,
        exposure_type=node.type if kind == "exposure" else None,
        maturity=node.maturity,
        url=node.url,
        label=node.label,
    )


def _group_row(unique_id: str, group: Group) -> Node:
    """Groups are nodes too, so that an owner's address and a channel are found by the group's name."""
    return msgspec.structs.replace(
        stub(unique_id),
        name=group.name,
        owner=_owner_name(group.owner),
        owner_email=_emails(group.owner),
        meta=canonical(group.config.meta) if group.config and group.config.meta else None,
    )


def stub(unique_id: str) -> Node:
    """What a unique_id alone says of a node: of an operation, or where there is no manifest."""
    kind, *rest = unique_id.split(".")
    empty: dict[str, Any] = dict.fromkeys(Node.__struct_fields__)
    known: dict[str, Any] = {
        "unique_id": unique_id,
        "resource_type": kind,
        "package_name": rest[0] if rest else None,
        "name": ".".join(rest[1:]) or None,
        "tags": [],
        "depends_on": [],
    }
    return Node(**(empty | known))


def _meta(node: ManifestNode) -> tuple[Json | None, str | None]:
    """The meta, whole, and the owner that it names. dbt keeps it under `config` since 1.10, and beside it before."""
    for meta in (node.config.meta, node.meta) if node.config else (node.meta,):
        if meta:
            return canonical(meta), _named_owner(meta)
    return None, None


def _named_owner(meta: object) -> str | None:
    if not isinstance(meta, dict):
        return None
    observe = meta.get("observe")
    owner = (observe.get("owner") if isinstance(observe, dict) else None) or meta.get("owner")
    if isinstance(owner, list):
        return ", ".join(str(one) for one in owner) or None
    return str(owner) if owner else None


def _owner_name(owner: Owner | None) -> str | None:
    return (owner.name or _emails(owner)) if owner else None


def _emails(owner: Owner | None) -> str | None:
    email = owner.email if owner else None
    return ", ".join(email) if isinstance(email, list) else email


def _tags(node: ManifestNode) -> list[str]:
    tags = node.tags or (node.config.tags if node.config else None) or []
    return [tags] if isinstance(tags, str) else tags


def _checksum(checksum: Checksum | str | None) -> str | None:
    return (checksum.checksum if isinstance(checksum, Checksum) else checksum) or None


def _freshness(node: ManifestNode) -> Freshness | None:
    """A source's criteria. dbt 2.x may keep them under `config` alone."""
    if node.freshness is not None:
        return node.freshness
    try:
        return msgspec.convert(node.config.freshness, Freshness | None) if node.config else None
    except msgspec.ValidationError:
        return None


def seconds(period: Period | None) -> float | None:
    """A threshold in seconds; None where there is none."""
    if period is None or period.count is None:
        return None
    factor = _SECONDS.get((period.period or "").lower())
    return period.count * factor if factor else None


def sources_with_criteria(nodes: Iterable[Node]) -> list[Node]:
    """The sources that `dbt source freshness` checks."""
    return [
        node
        for node in nodes
        if node.resource_type == "source"
        and (node.warn_after_seconds is not None or node.error_after_seconds is not None)
    ]
