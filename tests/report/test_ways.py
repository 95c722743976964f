"""The ways from causes to those who are hurt, and how they are drawn."""

import pytest

from observability.report.lineage import HEIGHT, WIDTH, draw, ways

PARENTS = {
    "exposure": ["d"],
    "d": ["b", "c"],
    "c": ["a"],
    "b": ["a", "x"],
    "x": ["y"],
    "y": ["exposure"],  # no project has circles; a manifest that was tampered with may
}


def test_the_shortest_way_to_each_cause_is_found() -> None:
    found = ways(PARENTS, "exposure", ["a", "y", "elsewhere"])
    assert found == {"a": ("a", "b", "d", "exposure"), "y": ("y", "x", "b", "d", "exposure")}


def test_ways_that_meet_are_drawn_together() -> None:
    drawing = draw(ways(PARENTS, "exposure", ["a", "x"]), {"exposure": "Board"})
    assert drawing
    assert {box.unique_id: (box.name, box.tone) for box in drawing.boxes} == {
        "exposure": ("Board", "exposure"),
        "d": ("d", "way"),
        "b": ("b", "way"),
        "a": ("a", "cause"),
        "x": ("x", "cause"),
    }
    assert len(drawing.lines) == 4
    assert drawing.words == ("a → b → d → Board", "x → b → d → Board")
    places = [(box.x, box.y) for box in drawing.boxes]
    assert len(set(places)) == len(places), "no box hides another"
    assert max(x for x, _ in places) + WIDTH == drawing.width
    assert max(y for _, y in places) + HEIGHT == drawing.height


def test_a_long_way_is_folded_and_its_words_say_by_how_much() -> None:
    nodes = [f"n{number}" for number in range(2_000)]
    parents = dict(zip(nodes[1:], ([node] for node in nodes), strict=False))
    drawing = draw(ways(parents, nodes[-1], [nodes[0]]), {})
    assert drawing
    assert [box.name for box in drawing.boxes] == ["n1999", "n1998", "1997 more", "n0"]
    assert drawing.words[0] == (
        "n0 → n1 → n2 → n3 → n4 → n5 → 1988 more → n1994 → n1995 → n1996 → n1997 → n1998 → n1999"
    )


@pytest.mark.parametrize(("interior", "boxes"), [(0, 2), (1, 3), (3, 5), (4, 4), (5, 4)])
def test_a_way_that_fits_is_drawn_whole(interior: int, boxes: int) -> None:
    nodes = [f"n{number}" for number in range(interior + 2)]
    parents = dict(zip(nodes[1:], ([node] for node in nodes), strict=False))
    drawing = draw(ways(parents, nodes[-1], [nodes[0]]), {})
    assert drawing
    assert len(drawing.boxes) == boxes


def test_a_cause_on_the_way_of_another_is_never_folded_away() -> None:
    nodes = [f"n{number}" for number in range(20)]
    parents = dict(zip(nodes[1:], ([node] for node in nodes), strict=False))
    drawing = draw(ways(parents, nodes[-1], ["n0", "n10"]), {})
    assert drawing
    assert [box.unique_id for box in drawing.boxes if box.tone == "cause"] == ["n10", "n0"]


def test_long_names_are_cut_and_kept_whole_for_the_title() -> None:
    drawing = draw({"a": ("a", "b")}, {"a": "x" * 60, "b": "b"})
    assert drawing
    cause = drawing.boxes[-1]
    assert (cause.lines, cause.name) == (("x" * 20, "…" + "x" * 19), "x" * 60)


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("stg_orders", ("stg_orders",)),
        ("x" * 20, ("x" * 20,)),
        ("rpt_forecasting_parcels_monthly", ("rpt_forecasting_", "parcels_monthly")),
        ("a_" + "x" * 30, ("a_" + "x" * 18, "x" * 12)),
        ("Orders of the week, by country and by channel", ("Orders of the week,", "…ntry and by channel")),
    ],
)
def test_a_name_stands_in_two_lines_by_its_beginning_and_its_end(name: str, lines: tuple[str, ...]) -> None:
    drawing = draw({"a": ("a", "b")}, {"a": name, "b": "b"})
    assert drawing
    assert drawing.boxes[-1].lines == lines


def test_no_way_is_no_drawing() -> None:
    assert draw({}, {}) is None
