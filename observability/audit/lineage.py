"""The cause graph of a step, and what exposures rest on. Pure functions over unique_ids."""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

Edges = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Graph:
    """A manifest's nodes: what each depends on, and its resource type."""

    parents: Edges
    kinds: Mapping[str, str]

    @cached_property
    def children(self) -> dict[str, list[str]]:
        """The reverse of `parents`."""
        children: dict[str, list[str]] = {}
        for node, above in self.parents.items():
            for parent in above:
                children.setdefault(parent, []).append(node)
        return children

    def ancestors(self, node: str) -> dict[str, int]:
        """Everything above a node with its distance: 1 for a direct parent."""
        return _reach([node], lambda above: self.parents.get(above, ()))

    def descendants(self, node: str) -> Collection[str]:
        """Everything below a node."""
        return _reach([node], lambda below: self.children.get(below, ())).keys()

    def is_test(self, node: str) -> bool:
        """Whether a node only checks others, so that nothing rests on it."""
        return self.kinds.get(node) in {"test", "unit_test"}


def _reach(starts: Iterable[str], following: Callable[[str], Iterable[str]]) -> dict[str, int]:
    starts = list(starts)
    distances: dict[str, int] = {}
    queue = deque((start, 0) for start in starts)
    while queue:
        node, distance = queue.popleft()
        for reached in following(node):
            if reached not in distances:
                distances[reached] = distance + 1
                queue.append((reached, distance + 1))
    # in a cycle, which only a damaged manifest has, a node would be its own ancestor
    if len(starts) == 1:
        distances.pop(starts[0], None)
    return distances


def exposure_ancestors(graph: Graph) -> list[tuple[str, str, int]]:
    """(exposure, ancestor, distance) for every exposure and all that it rests on, however far above."""
    return [
        (exposure, ancestor, distance)
        for exposure in sorted(node for node, kind in graph.kinds.items() if kind == "exposure")
        for ancestor, distance in sorted(graph.ancestors(exposure).items())
    ]


@dataclass
class CauseGraph:
    """Who may have caused whose failure within one step.

    The manifest's edges, and three more: a failed test blocks what is below all its parents (that is how `dbt build`
    skips), a failed unit test blocks the model that it tests, a failed on-run-start hook blocks everything.
    """

    graph: Graph
    failed: Collection[str]
    """The nodes that failed, hooks included."""
    others: Collection[str] = ()
    """The nodes that were skipped or warned: they cause nothing, but may be caused."""
    independent: Collection[str] = ()
    """The failed nodes that nothing above them can have caused: a unit test that ran saw none of its data."""
    _blocks: dict[str, Sequence[str]] = field(default_factory=dict)

    def causes(self) -> dict[str, list[str]]:
        """For each failed or other node, the failed nodes above it that no failed node is above.

        A failed node with none above it is its own cause; another node then has none.
        """
        failed = set(self.failed)
        self._blocks = {node: self._blocked_by(node) for node in failed}
        affected = failed | _reach(failed, self._following).keys()
        roots: dict[str, frozenset[str]] = {}
        for node in self._in_order(affected):
            above = frozenset() if node in self.independent else roots.get(node)
            own = above or (frozenset([node]) if node in failed else frozenset())
            roots[node] = own
            for following in self._following(node):
                roots[following] = roots.get(following, frozenset()) | own
        return {node: sorted(roots.get(node, ())) for node in {*failed, *self.others}}

    def _following(self, node: str) -> Iterable[str]:
        return (*self._below.get(node, ()), *self._blocks.get(node, ()))

    @cached_property
    def _below(self) -> dict[str, list[str]]:
        """Children, with each unit test moved above the model that it tests: dbt runs it before."""
        if not self._unit_tests:
            return self.graph.children
        moved = {test for tests in self._unit_tests.values() for test in tests}
        below = {
            node: [child for child in children if child not in moved] for node, children in self.graph.children.items()
        }
        for model, tests in self._unit_tests.items():
            for unit_test in tests:
                below.setdefault(unit_test, []).append(model)
            for parent in self.graph.parents.get(model, ()):
                below.setdefault(parent, []).extend(tests)
        return below

    def _blocked_by(self, node: str) -> Sequence[str]:
        """What a failed node blocks beyond its children."""
        if "on-run-start" in node and node.startswith("operation."):
            return [other for other in {*self.failed, *self.others} if "on-run-start" not in other]
        if self.graph.kinds.get(node) != "test":
            return ()
        tested = self.graph.parents.get(node, ())
        if len(tested) == 1:
            below: Collection[str] = self.graph.children.get(tested[0], ())
        else:
            reached = [set(self.graph.descendants(parent)) for parent in tested]
            below = set.intersection(*reached) if reached else ()
        blocked = [other for other in below if not self.graph.is_test(other)]
        # a model that is skipped takes its unit tests with it
        return blocked + [test for model in blocked for test in self._unit_tests.get(model, ())]

    @cached_property
    def _unit_tests(self) -> dict[str, list[str]]:
        tests: dict[str, list[str]] = {}
        for node, kind in self.graph.kinds.items():
            if kind == "unit_test":
                for model in self.graph.parents.get(node, ()):
                    tests.setdefault(model, []).append(node)
        return tests

    def _in_order(self, affected: Collection[str]) -> list[str]:
        """The affected nodes, each after all that are above it; a damaged manifest's cycles last."""
        waiting = dict.fromkeys(affected, 0)
        for node in affected:
            for following in self._following(node):
                waiting[following] += 1
        queue = deque(node for node, count in waiting.items() if not count)
        order: list[str] = []
        while queue:
            node = queue.popleft()
            order.append(node)
            for following in self._following(node):
                waiting[following] -= 1
                if not waiting[following]:
                    queue.append(following)
        return order + sorted(set(affected) - set(order))
