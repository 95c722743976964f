"""Plans the data tests: keys first, then the other kinds by how often projects use them."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from synthetic import words
from synthetic.model import Column, Relation, Test


@dataclass(frozen=True, slots=True)
class _Target:
    """What a test is planned for."""

    rng: random.Random
    relation: Relation
    column: Column
    others: tuple[Relation, ...]


@dataclass(frozen=True, slots=True)
class _Details:
    """What one kind of test adds: its arguments, the tail of its name, the column, a second parent."""

    arguments: dict[str, Any]
    suffix: str
    column: str | None = None
    second: Relation | None = None


def _of_column(target: _Target) -> _Details:
    return _Details({}, target.column.name, target.column.name)


def _relationships(target: _Target) -> _Details:
    other = target.rng.choice(target.others)
    field_name = other.columns[0].name
    suffix = f"{target.column.name}__{field_name}__{_identifier(other.jinja)}_"
    return _Details({"to": other.jinja, "field": field_name}, suffix, target.column.name, other)


def _accepted_values(target: _Target) -> _Details:
    values = target.rng.sample(words.STATUSES, target.rng.randint(2, 7))
    return _Details({"values": values}, f"{target.column.name}__{'__'.join(values)}", target.column.name)


def _unique_combination(target: _Target) -> _Details:
    columns = target.relation.columns
    names = [column.name for column in target.rng.sample(columns, min(len(columns), target.rng.randint(2, 3)))]
    return _Details({"combination_of_columns": names}, "__".join(names))


def _expression(target: _Target) -> _Details:
    expression = f"{target.column.name} >= {target.rng.choice(target.relation.columns).name}"
    return _Details({"expression": expression}, _identifier(expression))


def _between(target: _Target) -> _Details:
    highest = 10 ** target.rng.randint(2, 9)
    return _Details({"min_value": 0, "max_value": highest}, f"{target.column.name}__{highest}__0", target.column.name)


def _singular(target: _Target) -> _Details:
    claim = target.rng.choice(("adds_up", "has_no_gaps", "matches_ledger", "is_not_shrinking"))
    second = target.rng.choice(target.others) if target.rng.random() < 0.4 else None
    return _Details({}, claim, None, second)


@dataclass(frozen=True, slots=True)
class _Kind:
    package: str | None
    weight: int
    details: Callable[[_Target], _Details] = field(default=_of_column)


_KINDS = {
    "not_null": _Kind(None, 40),
    "unique": _Kind(None, 5),
    "relationships": _Kind(None, 22, _relationships),
    "accepted_values": _Kind(None, 14, _accepted_values),
    "unique_combination_of_columns": _Kind("dbt_utils", 6, _unique_combination),
    "expression_is_true": _Kind("dbt_utils", 8, _expression),
    "expect_column_values_to_be_between": _Kind("dbt_expectations", 4, _between),
    "singular": _Kind(None, 2, _singular),
}


def plan_tests(rng: random.Random, relations: tuple[Relation, ...], count: int) -> list[Test]:
    """So many distinct tests, in the order of what they are attached to."""
    documented = tuple(relation for relation in relations if relation.columns)
    tests: dict[str, Test] = {}

    def add(kind: str, relation: Relation, column: Column) -> None:
        test = _plan_test(kind, _Target(rng, relation, column, documented))
        tests.setdefault(test.unique_id, test)

    for relation in rng.sample(documented, len(documented)):
        for kind in ("unique", "not_null"):
            if len(tests) < count and rng.random() < 0.85:
                add(kind, relation, relation.columns[0])
    kinds, weights = tuple(_KINDS), tuple(kind.weight for kind in _KINDS.values())
    while len(tests) < count:
        relation = rng.choice(documented)
        add(rng.choices(kinds, weights)[0], relation, rng.choice(relation.columns))
    return sorted(tests.values(), key=lambda test: test.parents[0].index)


def _plan_test(kind: str, target: _Target) -> Test:
    rng, relation, package = target.rng, target.relation, _KINDS[kind].package
    details = _KINDS[kind].details(target)
    second = () if details.second in {None, relation} else (details.second,)
    verb = "assert" if kind == "singular" else kind
    parts = (
        "source" if relation.source_name else "",
        package or "",
        verb,
        relation.source_name,
        relation.name,
        details.suffix,
    )
    return Test(
        kind=kind,
        package=package,
        name="_".join(filter(None, parts)),
        parents=(relation, *second),
        column=details.column,
        arguments=details.arguments,
        severity="WARN" if rng.random() < 0.12 else "ERROR",
        store_failures=True if rng.random() < 0.03 else None,
        tags=(rng.choice(words.TAGS),) if rng.random() < 0.05 else (),
    )


def _identifier(text: str) -> str:
    """A test's argument as dbt puts it into the test's name."""
    return "".join(c if c.isalnum() or c == "_" else "_" for c in text).strip("_")
