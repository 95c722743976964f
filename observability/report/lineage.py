"""The way from what is broken to whom it hurts, drawn."""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

WIDTH, HEIGHT, GAP_X, GAP_Y = 152, 32, 26, 10
_LONGEST = 20
"""Characters of a name that fit into a line of a box, which has two."""
_FOLDED_FROM = 4
"""Boxes in a row without a branch that are drawn as one."""
_TOLD = 12
"""Nodes of a way that are told by name."""

Parents = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Box:
    """A node, or several that are drawn as one, at a place in pixels."""

    unique_id: str
    lines: tuple[str, ...]
    """What stands in the box, in one line or two."""
    name: str
    """The whole name."""
    tone: str
    """cause, exposure, way, or folded for several."""
    x: int
    y: int


@dataclass(frozen=True)
class Drawing:
    """Boxes and the lines between them, and the same in words."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    lines: tuple[str, ...]
    """SVG paths."""
    words: tuple[str, ...]
    """A sentence for each cause, from it to the exposure."""


@dataclass
class _Node:
    unique_id: str
    above: list["_Node"] = field(default_factory=list)
    stands_for: int = 0
    """How many nodes it is, where it is several."""


def ways(parents: Parents, target: str, causes: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The shortest way from each cause down to the target, both included; causes that are not above it are left out."""
    below: dict[str, str | None] = {target: None}
    waiting, left = deque([target]), set(causes) - {target}
    while waiting and left:
        here = waiting.popleft()
        for parent in parents.get(here, ()):
            if parent not in below:
                below[parent] = here
                left.discard(parent)
                waiting.append(parent)
    found = {}
    for cause in causes:
        if cause in below:
            way, here_or_end = [cause], below[cause]
            while here_or_end is not None:
                way.append(here_or_end)
                here_or_end = below[here_or_end]
            found[cause] = tuple(way)
    return found


def draw(found: Mapping[str, Sequence[str]], names: Mapping[str, str]) -> Drawing | None:
    """The ways to one target, joined where they meet; None for no way. `names` are what people call nodes."""
    if not found:
        return None
    root = _tree(list(found.values()))
    _fold(root, frozenset(found))
    places: dict[int, tuple[int, float]] = {}
    rows = _place(root, 0, 0, places)
    deepest = max(depth for depth, _ in places.values())
    boxes: list[Box] = []
    lines: list[str] = []

    def at(node: _Node) -> tuple[int, int]:
        depth, row = places[id(node)]
        return (deepest - depth) * (WIDTH + GAP_X), round(row * (HEIGHT + GAP_Y))

    def add(node: _Node) -> None:
        x, y = at(node)
        name = f"{node.stands_for} more" if node.stands_for else names.get(node.unique_id, node.unique_id)
        tone = (
            "exposure"
            if node is root
            else "folded"
            if node.stands_for
            else "cause"
            if node.unique_id in found
            else "way"
        )
        boxes.append(Box(node.unique_id, _fitted(name), name, tone, x, y))
        for other in node.above:
            left, top = at(other)
            middle = HEIGHT // 2
            lines.append(
                f"M{left + WIDTH} {top + middle}C{left + WIDTH + GAP_X // 2} {top + middle}"
                f" {x - GAP_X // 2} {y + middle} {x} {y + middle}"
            )
            add(other)

    add(root)
    words = tuple(_words([names.get(node, node) for node in way]) for way in found.values())
    width = deepest * (WIDTH + GAP_X) + WIDTH
    return Drawing(width, round(rows * (HEIGHT + GAP_Y)) - GAP_Y, tuple(boxes), tuple(lines), words)


def _fitted(name: str) -> tuple[str, ...]:
    """A name in two lines at most, its beginning and its end: names of one project often begin alike."""
    if len(name) <= _LONGEST:
        return (name,)
    at = max((name.rfind(mark, 0, _LONGEST) for mark in "_ .-"), default=-1) + 1
    at = at if at > _LONGEST // 2 else _LONGEST
    first, rest = name[:at].rstrip(), name[at:]
    return first, rest if len(rest) <= _LONGEST else f"…{rest[-_LONGEST + 1 :]}"


def _words(way: Sequence[str]) -> str:
    """A way in words; of a very long one the beginning and the end."""
    if len(way) > _TOLD:
        half = _TOLD // 2
        way = [*way[:half], f"{len(way) - _TOLD} more", *way[-half:]]
    return " → ".join(way)


def _tree(found: Sequence[Sequence[str]]) -> _Node:
    """The ways as a tree that grows from where they all end."""
    root = _Node(found[0][-1])
    for way in found:
        here = root
        for unique_id in reversed(way[:-1]):
            known = next((node for node in here.above if node.unique_id == unique_id), None)
            if known is None:
                known = _Node(unique_id)
                here.above.append(known)
            here = known
    return root


def _fold(root: _Node, causes: Collection[str]) -> None:
    """Put long rows of nodes that nothing branches from into one."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        for place, first in enumerate(node.above):
            row, last = 0, first
            while len(last.above) == 1 and last.unique_id not in causes:
                row, last = row + 1, last.above[0]
            if row >= _FOLDED_FROM:  # `first` and the one before `last` stay, so that people see where it goes
                hidden = _Node(first.above[0].unique_id, stands_for=row - 1)
                hidden.above = [last]
                first.above = [hidden]
            waiting.append(node.above[place] if row < _FOLDED_FROM else last)


def _place(node: _Node, depth: int, row: float, places: dict[int, tuple[int, float]]) -> float:
    """Give a node and all above it their columns and rows; the first row that is free then."""
    after = row
    for other in node.above:
        after = _place(other, depth + 1, after, places)
    if not node.above:
        after = row + 1
    middle = [places[id(other)][1] for other in node.above]
    places[id(node)] = depth, sum(middle) / len(middle) if middle else row
    return after
