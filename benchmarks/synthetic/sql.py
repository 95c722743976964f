"""SQL as it is written in a project and as dbt compiles it for BigQuery."""

# ruff: noqa: S608 - none of it is ever run

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from synthetic import words
from synthetic.model import Relation, Test

_LENGTH = 620, 0.78  # of a model's SQL, in characters: median and sigma of a log-normal distribution


@dataclass(frozen=True, slots=True)
class Sql:
    """One statement before and after Jinja."""

    raw: str
    compiled: str


def model_sql(relation: Relation, seed: int) -> Sql:
    """The SQL of a model or snapshot: a CTE for each parent, then steps until it is as long as such files are."""
    rng = random.Random(f"sql {seed} {relation.unique_id}")
    target = rng.lognormvariate(0, _LENGTH[1]) * _LENGTH[0]
    names = [column.name for column in relation.columns] or [
        pattern.format(relation.entity) for pattern, _ in rng.sample(words.ATTRIBUTES, 6)
    ]
    draft = _Draft(_config_block(relation))
    inputs = [_input(draft, parent) for parent in relation.parents]
    step = _Step(rng, inputs, names, inputs[0] if inputs else "nothing")
    while draft.length < target:
        name, lines = rng.choice(_STEPS)(step, draft.count)
        draft.add_cte(name, lines)
        step.previous = name
    final = f"\n\nselect * from {step.previous}"
    if relation.materialized == "incremental":
        watermark = f"where {names[-1]} > (select max({names[-1]}) from "
        raw = f"{final}\n\n{{% if is_incremental() %}}\n{watermark}{{{{ this }}}})\n{{% endif %}}"
        return Sql(draft.raw + raw, f"{draft.compiled}{final}\n\n\n{watermark}{relation.relation_name})\n")
    return Sql(draft.raw + final, draft.compiled + final)


@dataclass(slots=True)
class _Draft:
    raw: str
    compiled: str = "\n\n"
    count: int = 0

    @property
    def length(self) -> int:
        return len(self.compiled)

    def add_cte(self, name: str, lines: str, compiled: str | None = None) -> None:
        opening = "with " if self.count == 0 else ",\n\n"
        self.raw += f"{opening}{name} as (\n\n{lines}\n\n)"
        self.compiled += f"{opening}{name} as (\n\n{lines if compiled is None else compiled}\n\n)"
        self.count += 1


@dataclass(slots=True)
class _Step:
    rng: random.Random
    inputs: list[str]
    columns: list[str]
    previous: str

    def some(self, most: int) -> list[str]:
        return self.rng.sample(self.columns, min(len(self.columns), self.rng.randint(2, most)))


def _config_block(relation: Relation) -> str:
    options = [f"materialized='{relation.materialized}'"]
    if relation.materialized in {"incremental", "snapshot"}:
        options.append(f"unique_key='{relation.entity}_id'")
    if relation.materialized == "incremental":
        options += ["incremental_strategy='merge'", "on_schema_change='append_new_columns'"]
    if relation.tags:
        options.append(f"tags={list(relation.tags)!r}")
    return "{{\n  config(\n    " + ",\n    ".join(options) + "\n  )\n}}\n\n"


def _input(draft: _Draft, parent: Relation) -> str:
    name = parent.name.split("__")[-1]
    if f"{name} as (" in draft.raw:
        name = f"{name}_{draft.count + 1}"
    select = "    select * from "
    draft.add_cte(name, f"{select}{{{{ {parent.jinja} }}}}", f"{select}{parent.relation_name}")
    return name


def _renamed(step: _Step, number: int) -> tuple[str, str]:
    patterns = ("{0}", "{0}", "cast({0} as string) as {0}", "nullif(trim({0}), '') as {0}", "coalesce({0}, 0) as {0}")
    lines = ",\n        ".join(step.rng.choice(patterns).format(name) for name in step.some(14))
    return f"renamed_{number}", f"    select\n        {lines}\n    from {step.previous}"


def _filtered(step: _Step, number: int) -> tuple[str, str]:
    conditions = ("{} is not null", "{} <> 'test'", "{} >= '2020-01-01'", "not coalesce({}, false)")
    chosen = "\n      and ".join(step.rng.choice(conditions).format(name) for name in step.some(3))
    return (
        f"filtered_{number}",
        f"    -- rows that later steps cannot use\n    select * from {step.previous}\n    where {chosen}",
    )


def _aggregated(step: _Step, number: int) -> tuple[str, str]:
    functions = ("sum", "max", "min", "avg", "count", "any_value")
    keys, measures = step.columns[:2], step.some(9)
    lines = ",\n        ".join([*keys, *(f"{step.rng.choice(functions)}({name}) as {name}_total" for name in measures)])
    grouping = ", ".join(str(position + 1) for position in range(len(keys)))
    return f"aggregated_{number}", f"    select\n        {lines}\n    from {step.previous}\n    group by {grouping}"


def _joined(step: _Step, number: int) -> tuple[str, str]:
    other, key = step.rng.choice(step.inputs or [step.previous]), step.columns[0]
    lines = ",\n        ".join(f"{step.rng.choice('lr')}.{name}" for name in step.some(10))
    join = f"    from {step.previous} as l\n    left join {other} as r\n        on l.{key} = r.{key}"
    return f"joined_{number}", f"    select\n        l.*,\n        {lines}\n{join}"


def _ranked(step: _Step, number: int) -> tuple[str, str]:
    window = f"partition by {step.columns[0]} order by {step.columns[-1]} desc"
    lines = f"    select\n        *,\n        row_number() over ({window}) as row_number\n    from {step.previous}"
    return f"ranked_{number}", f"{lines}\n    qualify row_number = 1"


def _classified(step: _Step, number: int) -> tuple[str, str]:
    column = step.rng.choice(step.columns)
    statuses = step.rng.sample(words.STATUSES, step.rng.randint(2, 6))
    cases = "\n            ".join(f"when {column} = '{status}' then '{status[0].upper()}'" for status in statuses)
    case = f"case\n            {cases}\n            else 'unknown'\n        end as {column}_class"
    return f"classified_{number}", f"    select\n        *,\n        {case}\n    from {step.previous}"


_STEPS: tuple[Callable[[_Step, int], tuple[str, str]], ...] = (
    _renamed, _renamed, _filtered, _aggregated, _joined, _ranked, _classified,
)  # fmt: skip


def test_sql(test: Test) -> Sql:
    """The SQL of a data test."""
    compiled = _TEST_SQL[test.kind](test)
    if test.kind == "singular":
        raw = compiled
        for parent in test.parents:
            raw = raw.replace(parent.relation_name, f"{{{{ {parent.jinja} }}}}")
        return Sql(raw, compiled)
    package = f"{test.package}." if test.package else ""
    raw = f"{{{{ {package}test_{test.kind}(**_dbt_generic_test_kwargs) }}}}"
    if options := test_options(test):
        raw += "{{ config(" + ",".join(f'{key}="{value}"' for key, value in options.items()) + ") }}"
    return Sql(raw, compiled)


def test_options(test: Test) -> dict[str, str | bool]:
    """What a test's configuration says beyond the defaults."""
    options: dict[str, str | bool] = {}
    if test.kind != "singular" and test.alias != test.name:
        options["alias"] = test.alias
    if test.severity != "ERROR":
        options["severity"] = test.severity.lower()
    if test.store_failures:
        options["store_failures"] = True
    return options


def _not_null(test: Test) -> str:
    lines = f"select {test.column}\nfrom {test.parents[0].relation_name}\nwhere {test.column} is null"
    return f"\n    \n    \n\n\n\n{lines}\n\n\n"


def _unique(test: Test) -> str:
    lines = (
        "with counted as (",
        f"    select {test.column} as value, count(*) as times",
        f"    from {test.parents[0].relation_name}",
        f"    where {test.column} is not null",
        "    group by 1",
        ")",
        "select * from counted where times > 1",
    )
    return "\n    \n    \n\n" + "\n".join(lines) + "\n\n\n"


def _relationships(test: Test) -> str:
    key = test.arguments["field"]
    lines = (
        f"with children as (\n    select {test.column} as key from {test.parents[0].relation_name}",
        f"    where {test.column} is not null\n),\n",
        f"parents as (\n    select {key} as key from {test.parents[-1].relation_name}\n)\n",
        "select children.key\nfrom children\nleft join parents using (key)\nwhere parents.key is null",
    )
    return "\n    \n    \n\n" + "\n".join(lines) + "\n\n\n"


def _accepted_values(test: Test) -> str:
    values = ",".join(f"'{value}'" for value in test.arguments["values"])
    lines = (
        f"with found as (\n    select {test.column} as value, count(*) as times",
        f"    from {test.parents[0].relation_name}\n    group by 1\n)\n",
        f"select *\nfrom found\nwhere value not in (\n    {values}\n)",
    )
    return "\n    \n    \n\n" + "\n".join(lines) + "\n\n\n"


def _unique_combination(test: Test) -> str:
    columns = ", ".join(test.arguments["combination_of_columns"])
    return (
        f"\n\n\n\n\nselect {columns}\nfrom {test.parents[0].relation_name}\n"
        f"group by {columns}\nhaving count(*) > 1\n\n\n"
    )


def _expression(test: Test) -> str:
    return f"\n\n\n\nselect 1\nfrom {test.parents[0].relation_name}\n\nwhere not({test.arguments['expression']})\n\n"


def _between(test: Test) -> str:
    low, high = test.arguments["min_value"], test.arguments["max_value"]
    condition = f"{test.column} >= {low} and {test.column} <= {high}"
    return (
        f"\n\n\n\n\nwith judged as (\n    select {test.column}, ({condition}) as holds\n"
        f"    from {test.parents[0].relation_name}\n)\nselect * from judged where not holds\n\n\n"
    )


def _singular(test: Test) -> str:
    first, last = test.parents[0], test.parents[-1]
    key = first.columns[0].name
    return (
        f"-- the two must agree to the cent, day by day\nselect a.{key}, count(*) as differing\n"
        f"from {first.relation_name} as a\nleft join {last.relation_name} as b on a.{key} = b.{last.columns[0].name}\n"
        f"where b.{last.columns[0].name} is null\ngroup by 1\nhaving count(*) > 0"
    )


_TEST_SQL: dict[str, Callable[[Test], str]] = {
    "not_null": _not_null,
    "unique": _unique,
    "relationships": _relationships,
    "accepted_values": _accepted_values,
    "unique_combination_of_columns": _unique_combination,
    "expression_is_true": _expression,
    "expect_column_values_to_be_between": _between,
    "singular": _singular,
}


def unit_test_sql(model: Relation) -> str:
    """What a unit test runs: the model on its fixtures."""
    columns = (
        ", ".join(f"cast(null as {column.data_type}) as {column.name}" for column in model.columns[:8]) or "1 as id"
    )
    fixtures = [
        f"__dbt__cte__{parent.name} as (\n-- Fixture for {parent.name}\nselect {columns}\n)" for parent in model.parents
    ]
    return "with " + ", ".join(fixtures) + f" select * from __dbt__cte__{model.parents[0].name}"


def macro_sql(rng: random.Random, name: str) -> str:
    """A macro whose length is drawn as macros are long: most are short, a few are pages."""
    target = rng.lognormvariate(0, 1.25) * 220
    arguments = rng.sample(("relation", "columns", "sql", "unique_key", "target", "source"), rng.randint(0, 4))
    lines = [f"{{% macro {name}({', '.join(arguments)}) %}}"]
    while sum(map(len, lines)) < target:
        lines += _macro_lines(rng)
    return "\n".join([*lines, "{% endmacro %}"])


def _macro_lines(rng: random.Random) -> Iterator[str]:
    word, other = rng.sample(words.ENTITIES, 2)
    yield f"  {{%- set {word}_columns = adapter.get_columns_in_relation({other}) -%}}"
    yield f"  {{%- for column in {word}_columns if column.name not in exclude %}}"
    yield f"    cast({{{{ column.quoted }}}} as {{{{ column.dtype }}}}) as {{{{ '{word}_' ~ column.name }}}}"
    yield "    {%- if not loop.last %},{% endif -%}"
    yield "  {%- endfor %}"
