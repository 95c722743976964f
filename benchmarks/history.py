"""Plans a hundred days of a made-up project: how it changes, and what is bad on which day. Always the same.

It is the project of `generate.py` with some more exposures. A fault lasts for some days, so that incidents open, go on
and end.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256
from typing import Any

Json = dict[str, Any]

MODELS, TESTS, EXPOSURES = 2_000, 3_000, 100
DAYS, LAST_DAY = 100, date(2026, 6, 30)
CHANGES_EVERY = 10
"""Days from one state of the project to the next."""

FAILING_MODELS, FAILING_TESTS, FLAPPING_TESTS, STALE_SOURCES = 3, 10, 5, 2
_MOST_BELOW = 40
"""A failing model has no more than so many models below it, so that most of the run succeeds."""


@dataclass(frozen=True)
class Faults:
    """What is bad on one day, by unique_id; `skipped` are the models below the failing ones."""

    models: frozenset[str]
    skipped: frozenset[str]
    tests: frozenset[str]
    sources: frozenset[str]


def day_of(number: int) -> date:
    """The date of a day, counted from 0."""
    return LAST_DAY - timedelta(days=DAYS - 1 - number)


def seeded(*what: object) -> random.Random:
    """A source of chance for one purpose, which is the same whatever was drawn before."""
    return random.Random(f"history {' '.join(map(str, what))}")


def plan_states(manifest: Json) -> Iterator[tuple[range, Json]]:
    """The project's states, each with the numbers of its days: changes edit some models, or add one, by turns."""
    state = _with_exposures(manifest)
    for number, first in enumerate(range(0, DAYS, CHANGES_EVERY)):
        if number:
            state = (_grown if number % 2 else _edited)(state, number)
        yield range(first, min(first + CHANGES_EVERY, DAYS)), state


def _with_exposures(manifest: Json) -> Json:
    """The manifest with as many exposures as are wanted, the new ones of other marts than those they are made after."""
    rng = seeded("exposures")
    exposures = dict(manifest["exposures"])
    marts = [node for node in of_type(manifest, "model") if "marts" in manifest["nodes"][node]["fqn"]]
    originals = list(exposures.values())
    while len(exposures) < EXPOSURES:
        exposure = _renamed(rng.choice(originals), f"_more_{len(exposures) + 1}")
        exposure["depends_on"]["nodes"] = rng.sample(marts, rng.randint(1, 8))
        exposures[exposure["unique_id"]] = exposure
    return {**manifest, "exposures": exposures}


def _edited(state: Json, number: int) -> Json:
    nodes = dict(state["nodes"])
    for unique_id in seeded("edits", number).sample(of_type(state, "model"), 3):
        code = f"{nodes[unique_id]['raw_code']}\n-- as of change {number}"
        checksum = {"name": "sha256", "checksum": sha256(code.encode()).hexdigest()}
        nodes[unique_id] = {**nodes[unique_id], "raw_code": code, "checksum": checksum}
    return {**state, "nodes": nodes}


def _grown(state: Json, number: int) -> Json:
    """One model more, a test of it, and an exposure that shows it."""
    rng = seeded("growth", number)
    nodes, exposures = dict(state["nodes"]), deepcopy(state["exposures"])
    test = nodes[rng.choice([test for test in of_type(state, "test") if _tests_one_model(nodes[test])])]
    model = _renamed(nodes[test["attached_node"]], f"_v{number}")
    test = _renamed(test, f"_v{number}")
    test |= {"attached_node": model["unique_id"], "depends_on": {"macros": [], "nodes": [model["unique_id"]]}}
    nodes |= {node["unique_id"]: node for node in (model, test)}
    rng.choice(list(exposures.values()))["depends_on"]["nodes"].append(model["unique_id"])
    return {**state, "nodes": nodes, "exposures": exposures}


def _tests_one_model(test: Json) -> bool:
    tested: list[str] = test["depends_on"]["nodes"]
    return tested == [test["attached_node"]] and tested[0].startswith("model.")


def _renamed(node: Json, suffix: str) -> Json:
    return deepcopy(node) | {"name": node["name"] + suffix, "unique_id": node["unique_id"] + suffix}


def plan_faults(manifest: Json, checked: Sequence[str]) -> list[Faults]:
    """What is bad on each day; `checked` are the sources of which a freshness is asked."""
    below = _models_below(manifest)
    tests = of_type(manifest, "test")
    attached = {manifest["nodes"][test]["attached_node"]: test for test in tests}
    models = [model for model in of_type(manifest, "model") if len(_reach(model, below)) <= _MOST_BELOW]
    failing = _spells("models", models, FAILING_MODELS, 5)
    finding = _spells("tests", tests, FAILING_TESTS, 8)
    stale = _spells("sources", checked, STALE_SOURCES, 6)
    flapping = seeded("flapping").sample(tests, FLAPPING_TESTS)
    days = []
    for number in range(DAYS):
        rng = seeded("flaps", number)
        # once a week all is well but for these; a model that fails takes a test of its own with it
        found = {test for test in flapping if rng.random() < 0.35} | (set() if number % 7 == 6 else finding[number])
        found |= {attached[model] for model in failing[number] if model in attached}
        skipped = {node for model in failing[number] for node in _reach(model, below)}
        bad = frozenset(failing[number] - skipped)
        days.append(Faults(bad, frozenset(skipped), frozenset(found), frozenset(stale[number])))
    return days


def _spells(what: str, candidates: Sequence[str], at_once: int, longest: int) -> list[set[str]]:
    """For each day which of the candidates are bad: always so many, each for some days on end."""
    rng = seeded("spells of", what)
    days: list[set[str]] = [set() for _ in range(DAYS)]
    for _ in range(at_once):
        day = 0
        while day < DAYS:
            node, end = rng.choice(candidates), day + rng.randint(1, longest)
            for bad in days[day:end]:
                bad.add(node)
            day = end
    return days


def of_type(manifest: Json, *resource_types: str) -> list[str]:
    """The unique_ids of a manifest's nodes of these types."""
    return [unique_id for unique_id in manifest["nodes"] if unique_id.partition(".")[0] in resource_types]


def _models_below(manifest: Json) -> dict[str, list[str]]:
    below: dict[str, list[str]] = {}
    for unique_id in of_type(manifest, "model"):
        for parent in manifest["nodes"][unique_id]["depends_on"]["nodes"]:
            below.setdefault(parent, []).append(unique_id)
    return below


def _reach(node: str, below: Mapping[str, Sequence[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = [node]
    while waiting:
        found = [child for child in below.get(waiting.pop(), ()) if child not in reached]
        reached.update(found)
        waiting += found
    return reached
