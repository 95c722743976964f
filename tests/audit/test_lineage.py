"""The cause graph, against stories and against its definition."""

from hypothesis import given, settings
from hypothesis import strategies as st

from observability.audit.lineage import CauseGraph, Graph, exposure_ancestors


def graph(**parents: str) -> Graph:
    """A graph of nodes named like `model_a`; parents are separated by spaces."""
    edges = {name: above.split() for name, above in parents.items()}
    kinds = {name: name.rpartition("_")[0] for name in {*edges, *(p for above in edges.values() for p in above)}}
    return Graph(edges, kinds)


CHAIN = graph(model_a="", model_b="model_a", model_c="model_b", test_a="model_a", test_b="model_b", test_c="model_c")


def test_a_failure_is_its_own_cause_and_that_of_what_is_below() -> None:
    found = CauseGraph(CHAIN, ["model_a", "test_b"], ["model_b", "model_c"]).causes()
    assert found == {key: ["model_a"] for key in ("model_a", "test_b", "model_b", "model_c")}


def test_a_failed_test_causes_what_is_below_its_model_and_not_the_models_other_tests() -> None:
    both = graph(model_a="", test_a="model_a", test_x="model_a", model_b="model_a", test_b="model_b")
    found = CauseGraph(both, ["test_a", "test_x"], ["model_b", "test_b"]).causes()
    assert found["test_a"] == ["test_a"]
    assert found["test_x"] == ["test_x"]
    assert found["model_b"] == found["test_b"] == ["test_a", "test_x"]


def test_a_failed_test_of_two_models_blocks_only_what_is_below_both() -> None:
    two = graph(model_a="", model_b="", model_x="model_a", model_y="model_a model_b", test_ab="model_a model_b")
    found = CauseGraph(two, ["test_ab"], ["model_x", "model_y"]).causes()
    assert found == {"test_ab": ["test_ab"], "model_x": [], "model_y": ["test_ab"]}


def test_a_failed_unit_test_blocks_the_model_that_it_tests_and_is_blocked_by_what_is_above_it() -> None:
    unit = graph(model_a="", model_b="model_a", unit_test_b="model_b", model_c="model_b")
    found = CauseGraph(unit, ["unit_test_b"], ["model_b", "model_c"]).causes()
    assert found == {key: ["unit_test_b"] for key in ("unit_test_b", "model_b", "model_c")}
    assert CauseGraph(unit, ["model_a"], ["unit_test_b"]).causes()["unit_test_b"] == ["model_a"]


def test_a_unit_test_that_ran_saw_none_of_the_data_above_it() -> None:
    unit = graph(model_a="", model_b="model_a", test_a="model_a", unit_test_b="model_b")
    found = CauseGraph(unit, ["test_a", "unit_test_b"], (), independent=["unit_test_b"]).causes()
    assert found == {"test_a": ["test_a"], "unit_test_b": ["unit_test_b"]}


def test_a_failed_hook_at_the_start_blocks_everything() -> None:
    hook = "operation.shop.shop-on-run-start-0"
    found = CauseGraph(CHAIN, [hook], ["model_a", "model_c"]).causes()
    assert found == {key: [hook] for key in (hook, "model_a", "model_c")}


def test_two_failures_above_one_node_are_both_its_causes() -> None:
    diamond = graph(model_a="", model_b="", model_c="model_a model_b")
    assert CauseGraph(diamond, ["model_a", "model_b"], ["model_c"]).causes()["model_c"] == ["model_a", "model_b"]


def test_a_cycle_of_a_damaged_manifest_comes_to_an_end() -> None:
    cycle = graph(model_a="model_b", model_b="model_a", exposure_e="model_a")
    assert set(CauseGraph(cycle, ["model_a"], ["model_b"]).causes()) == {"model_a", "model_b"}
    assert {(a, d) for _, a, d in exposure_ancestors(cycle)} == {("model_a", 1), ("model_b", 2)}


def test_an_exposure_rests_on_all_that_is_above_it_at_the_shortest_distance() -> None:
    short = graph(source_s="", model_a="source_s", model_b="model_a", exposure_e="model_b model_a", test_a="model_a")
    assert exposure_ancestors(short) == [
        ("exposure_e", "model_a", 1),
        ("exposure_e", "model_b", 1),
        ("exposure_e", "source_s", 2),
    ]


@st.composite
def random_graphs(draw: st.DrawFn) -> tuple[Graph, list[str]]:
    """A graph without cycles, of models and tests, and some that failed."""
    count = draw(st.integers(1, 9))
    models = [f"model_{i}" for i in range(count)]
    edges = {
        model: draw(st.lists(st.sampled_from(models[:i]), unique=True)) if i else [] for i, model in enumerate(models)
    }
    for i in range(draw(st.integers(0, 5))):
        edges[f"test_{i}"] = draw(st.lists(st.sampled_from(models), unique=True, min_size=1, max_size=2))
    failed = draw(st.lists(st.sampled_from(sorted(edges)), unique=True))
    return Graph(edges, {name: name.partition("_")[0] for name in edges}), failed


def blamed(which: Graph, failed: list[str], node: str) -> set[str]:
    """The definition, word by word: the failed nodes that can be reached upwards and have none above themselves."""

    def above(one: str) -> set[str]:
        direct = set(which.parents.get(one, ()))
        if not which.is_test(one):
            over = set(which.ancestors(one))
            direct |= {t for t in failed if which.is_test(t) and set(which.parents[t]) <= over}
        return direct

    seen: set[str] = set()
    todo = [node]
    while todo:
        for one in above(todo.pop()) - seen:
            seen.add(one)
            todo.append(one)
    bad = seen & set(failed)
    return {one for one in bad if blamed(which, failed, one) == {one}} if bad else {node} & set(failed)


@given(random_graphs())
@settings(max_examples=300, deadline=None)
def test_causes_are_those_of_the_definition(case: tuple[Graph, list[str]]) -> None:
    which, failed = case
    others = [node for node in which.parents if node not in failed]
    found = CauseGraph(which, failed, others).causes()
    assert {node: set(causes) for node, causes in found.items()} == {
        node: blamed(which, failed, node) for node in which.parents
    }
