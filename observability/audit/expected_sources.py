"""Which sources a freshness step should have checked: dbt leaves out of sources.json those whose check failed."""

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from observability.artifacts.commands import Command
from observability.audit.nodes import sources_with_criteria
from observability.audit.tables import Node

_SELECTOR = re.compile(r"(?P<above>\d*\+)?(?P<method>source|tag|package):(?P<value>[^+@]+)(?:\+\d*)?")
"""What stands below a source has no freshness, so a `+` at the end changes nothing."""


def expected_sources(nodes: Iterable[Node], command: Command, *, has_default_selector: bool) -> list[Node] | None:
    """The sources with criteria that the command selected; None where its selection is more than we can evaluate.

    Evaluated are the methods source, tag and package, unions, intersections and exclusions.
    """
    if command.selector or (has_default_selector and not (command.select or command.exclude)):
        return None
    candidates = sources_with_criteria(nodes)
    selected = _matching(candidates, command.select) if command.select else candidates
    excluded = _matching(candidates, command.exclude) if command.exclude else []
    if selected is None or excluded is None:
        return None
    unwanted = {node.unique_id for node in excluded}
    return [node for node in selected if node.unique_id not in unwanted]


def _matching(candidates: Sequence[Node], selectors: Sequence[str]) -> list[Node] | None:
    found: dict[str, Node] = {}
    for union in (part for selector in selectors for part in selector.split()):
        group: list[Node] = list(candidates)
        for part in union.split(","):
            criterion = _criterion(part)
            if criterion is None:
                return None
            group = [node for node in group if _matches(node, *criterion)]
        found |= {node.unique_id: node for node in group}
    return list(found.values())


def _criterion(selector: str) -> tuple[str, str] | None:
    match = _SELECTOR.fullmatch(selector)
    if match is None or match["value"] == "this":
        return None
    # nothing stands above a source; but above what else has a tag or is in a package there may be sources
    if match["above"] and match["method"] != "source":
        return None
    return match["method"], match["value"]


def _matches(node: Node, method: str, value: str) -> bool:
    if method == "tag":
        return any(fnmatchcase(tag, value) for tag in node.tags)
    if method == "package":
        return fnmatchcase(node.package_name or "", value)
    names = [node.package_name or "", node.source_name or "", node.name or ""]
    parts = value.split(".")
    if len(parts) > 3:
        return False
    # one part names the source, two add the table, three begin with the package
    compared = names[-2:][: len(parts)] if len(parts) < 3 else names
    return all(fnmatchcase(name, part) for name, part in zip(compared, parts, strict=True))
