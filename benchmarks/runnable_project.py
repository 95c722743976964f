"""Writes a dbt project of any size that dbt really runs, on DuckDB: `shop`, of trivial SQL and twenty rows a table.

The same parameters give the same files. Where the environment variable SHOP_BROKEN is set, two of its models fail; ten
of its data tests fail and five warn in any case.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

NAME = "shop"
BROKEN = "SHOP_BROKEN"
BROKEN_MODELS, FAILING_TESTS, WARNING_TESTS = 2, 10, 5
ROWS, KINDS = 20, 7
MODELS_AN_EXPOSURE = 33
_DOMAINS = ("orders", "customers", "payments", "inventory", "shipping", "marketing", "support", "finance")
_TEAMS = ("commerce", "growth", "logistics", "finance")
# Of each hundred models of a domain; the rest are marts.
_STAGING, _INTERMEDIATE = 25, 70


@dataclass(slots=True)
class Model:
    """A model and its tests, in dbt's YAML; `number` is its place in the order of the graph."""

    number: int
    layer: str
    domain: str
    parents: Sequence["Model"] = ()
    is_broken: bool = False
    tests: list[tuple[str, str]] = field(default_factory=list)
    """Column and test."""

    @property
    def name(self) -> str:
        return f"{self.layer}_{self.domain}__{self.number:05}"


@dataclass(frozen=True, slots=True)
class Expected:
    """How many nodes a whole step has that end in each status."""

    run: dict[str, int]
    test: dict[str, int]


def plan(models: int, tests: int) -> list[Model]:
    """The models in the order of the graph, with their tests."""
    rng = random.Random(7)
    planned: list[Model] = []
    for number in range(models):
        share = number * 100 // models
        layer = "stg" if share < _STAGING else "int" if share < _INTERMEDIATE else "fct"
        domain = _DOMAINS[number % len(_DOMAINS)]
        above = [model for model in planned if model.domain == domain and (model.layer != "fct" or number % 3 == 0)]
        parents = () if layer == "stg" else rng.sample(above[-60:], min(len(above[-60:]), rng.choice((1, 1, 2, 2, 3))))
        planned.append(Model(number, layer, domain, parents))
    for number in range(tests - FAILING_TESTS - WARNING_TESTS):
        column, test = (("id", "not_null"), ("id", "unique"), ("name", "not_null"), ("kind", "not_null"))[
            number // models
        ]
        planned[number % models].tests.append((column, test))
    facts = [model for model in planned if model.layer == "fct"]
    for number, model in enumerate(rng.sample(facts, FAILING_TESTS + WARNING_TESTS)):
        severity = "error" if number < FAILING_TESTS else "warn"
        values = ", ".join(str(kind) for kind in range(KINDS - 1))
        model.tests.append(
            ("kind", f"accepted_values: {{arguments: {{values: [{values}]}}, config: {{severity: {severity}}}}}")
        )
    for model in rng.sample([model for model in planned if model.layer == "int"], BROKEN_MODELS):
        model.is_broken = True
    return planned


def expected(models: Sequence[Model]) -> Expected:
    """What a whole `dbt run` and a whole `dbt test` have to come to where SHOP_BROKEN is set."""
    stopped: set[int] = set()
    for model in models:
        if model.is_broken or any(parent.number in stopped for parent in model.parents):
            stopped.add(model.number)
    failed = sum(model.is_broken and not any(p.number in stopped for p in model.parents) for model in models)
    run = {"success": len(models) - len(stopped), "error": failed, "skipped": len(stopped) - failed}
    passed = sum(len(model.tests) for model in models) - FAILING_TESTS - WARNING_TESTS
    return Expected(run, {"pass": passed, "fail": FAILING_TESTS, "warn": WARNING_TESTS})


def write(folder: Path, models: Sequence[Model], threads: int) -> None:
    """Write the project and its profiles, which name a `warehouse.duckdb` beside them."""
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text(_PROJECT, encoding="utf-8")
    # Elementary's command line looks for a profile of its own, which names the schema of its tables.
    profiles = "".join(
        f"{name}:\n  target: prod\n  outputs:\n    prod:\n      type: duckdb\n"
        f"      path: {folder.resolve() / 'warehouse.duckdb'}\n      schema: {schema}\n      threads: {threads}\n"
        for name, schema in ((NAME, "main"), ("elementary", "main_elementary"))
    )
    (folder / "profiles.yml").write_text(profiles, encoding="utf-8")
    for domain in _DOMAINS:
        place = folder / "models" / domain
        place.mkdir()
        own = [model for model in models if model.domain == domain]
        for model in own:
            (place / f"{model.name}.sql").write_text(_sql(model), encoding="utf-8")
        (place / f"{domain}.yml").write_text("\n".join(_properties(own)), encoding="utf-8")
    (folder / "models" / "exposures.yml").write_text("\n".join(_exposures(models)), encoding="utf-8")


_PROJECT = f"""\
name: {NAME}
version: "1.0"
profile: {NAME}
models:
  {NAME}:
    +materialized: table
  elementary:
    +schema: elementary
"""


def _sql(model: Model) -> str:
    if not model.parents:
        columns = f"i as id,\n    'name ' || i as name,\n    i % {KINDS} as kind"
        return f"select\n    {columns}\nfrom range({ROWS}) as numbers (i)\n"
    first, *others = model.parents
    joins = "".join(
        f"left join {{{{ ref('{other.name}') }}}} as p{number} on p{number}.id = p0.id\n"
        for number, other in enumerate(others, 1)
    )
    key = "p0.id"
    if model.is_broken:
        key = f"{{% if env_var('{BROKEN}', '') %}}cast('n/a' as integer){{% else %}}p0.id{{% endif %}} as id"
    return f"select\n    {key},\n    p0.name,\n    p0.kind\nfrom {{{{ ref('{first.name}') }}}} as p0\n{joins}"


def _properties(models: Sequence[Model]) -> Iterator[str]:
    yield "models:"
    for model in models:
        team = _TEAMS[model.number % len(_TEAMS)]
        yield f"  - name: {model.name}"
        kind = model.number % 9
        yield f"    description: One row per {model.domain} event of kind {kind}, as the {team} team counts them."
        yield f"    config: {{tags: [{model.domain}, daily], meta: {{owner: {team}@example.com}}}}"
        yield "    columns:"
        for column in ("id", "name", "kind"):
            yield f"      - name: {column}"
            yield f"        description: The {column} of the event, as the source system of {model.domain} says it."
            tests = [test for of, test in model.tests if of == column]
            if tests:
                yield "        data_tests:"
                yield from (f"          - {test}" for test in tests)
    yield ""


def _exposures(models: Sequence[Model]) -> Iterator[str]:
    rng = random.Random(11)
    facts = [model for model in models if model.layer == "fct"]
    yield "exposures:"
    for number in range(max(len(models) // MODELS_AN_EXPOSURE, 1)):
        shown = ", ".join(f"ref('{model.name}')" for model in rng.sample(facts, 3))
        yield f"  - name: dashboard_{number:03}"
        yield "    type: dashboard"
        yield f"    owner: {{name: {_TEAMS[number % len(_TEAMS)]}, email: {_TEAMS[number % len(_TEAMS)]}@example.com}}"
        yield f"    depends_on: [{shown}]"
    yield ""
