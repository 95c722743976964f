"""The other sections of a made-up project's manifest.json: schema v12 as dbt-core 1.11 writes it."""

import hashlib
import random
from collections.abc import Iterator

from synthetic import words
from synthetic.model import PROJECT, Exposure, Project, Relation, Test, UnitTest
from synthetic.nodes import PARSED_AT, SHOWN, Entries, Json, ref
from synthetic.outcome import Run, timestamp
from synthetic.results import DBT_VERSION, ENV
from synthetic.sql import macro_sql

_PACKAGES = {"dbt": 423, "dbt_bigquery": 71, "dbt_utils": 116, "dbt_expectations": 62, PROJECT: 28}  # macros of each
# The macros that tests and models name.
_KNOWN_MACROS = {
    "dbt": (
        "test_not_null", "test_unique", "test_relationships", "test_accepted_values", "get_where_subquery",
        "get_limit_subquery_sql", "should_store_failures", "statement", "is_incremental",
    ),
    "dbt_utils": ("test_unique_combination_of_columns", "test_expression_is_true", "generate_surrogate_key"),
    "dbt_expectations": ("test_expect_column_values_to_be_between",),
}  # fmt: skip


def metadata(run: Run) -> Json:
    return {
        "dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json",
        "dbt_version": DBT_VERSION,
        "generated_at": timestamp(run.elapsed_seconds + 0.4),
        "invocation_id": run.invocation_id,
        "invocation_started_at": timestamp(-1.9),
        "env": ENV,
        "project_name": PROJECT,
        "project_id": hashlib.md5(PROJECT.encode(), usedforsecurity=False).hexdigest(),
        "user_id": None,
        "send_anonymous_usage_stats": False,
        "adapter_type": "bigquery",
        "quoting": {"database": True, "schema": True, "identifier": True, "column": None},
        "run_started_at": timestamp(-1.9).replace("Z", "+00:00"),
    }


def macros(project: Project) -> Entries:
    for package, count in _PACKAGES.items():
        rng = random.Random(f"macros {project.seed} {package}")
        names = list(_KNOWN_MACROS.get(package, ()))
        verbs = ("get", "create", "drop", "alter", "default__get", "bigquery__create", "type", "cast", "diff", "list")
        parts = ("sql", "relation", "columns", "statement", "predicate", "grants", "hooks", "name", "partition", "cte")
        pairs = [f"{verb}_{entity}_{part}" for verb in verbs for entity in words.ENTITIES for part in parts]
        names += rng.sample(pairs, count - len(names))
        ids = [f"macro.{package}.{name}" for name in names]
        for number, name in enumerate(names):
            yield ids[number], _macro(rng, package, name, rng.sample(ids, rng.choice((0, 0, 1, 1, 1, 2, 4))))


def _macro(rng: random.Random, package: str, name: str, depends_on: list[str]) -> Json:
    path = f"macros/{rng.choice(('adapters', 'materializations', 'utils', 'generic_test_sql', 'relations'))}/{name}.sql"
    described = package in {PROJECT, "dbt_utils"}
    return {
        "name": name,
        "resource_type": "macro",
        "package_name": package,
        "path": path,
        "original_file_path": path,
        "unique_id": f"macro.{package}.{name}",
        "macro_sql": macro_sql(rng, name),
        "depends_on": {"macros": depends_on},
        "description": words.prose(rng, 50, 0.6) if described else "",
        "meta": {},
        "docs": SHOWN,
        "config": {"meta": {}, "docs": SHOWN},
        "patch_path": f"{package}://macros/_macros.yml" if described else None,
        "arguments": [],
        "created_at": PARSED_AT - 5,
        "supported_languages": None,
    }


def docs(project: Project) -> Entries:
    rng = random.Random(f"docs {project.seed}")
    for name in ("__overview__", *project.domains):
        yield (
            f"doc.{PROJECT}.{name}",
            {
                "name": name,
                "resource_type": "doc",
                "package_name": PROJECT,
                "path": f"docs/{name}.md",
                "original_file_path": f"models/docs/{name}.md",
                "unique_id": f"doc.{PROJECT}.{name}",
                "block_contents": words.prose(rng, 900, 0.3),
            },
        )


def exposures(project: Project) -> Entries:
    for number, exposure in enumerate(project.exposures):
        yield exposure.unique_id, _exposure(exposure, number)


def _exposure(exposure: Exposure, number: int) -> Json:
    path = f"marts/{exposure.domain}/_{exposure.domain}__exposures.yml"
    return {
        "name": exposure.name,
        "resource_type": "exposure",
        "package_name": PROJECT,
        "path": path,
        "original_file_path": f"models/{path}",
        "unique_id": exposure.unique_id,
        "fqn": [PROJECT, "marts", exposure.domain, exposure.name],
        "type": exposure.kind,
        "owner": {"email": f"{exposure.owner.lower()}@harbor.example", "name": exposure.owner},
        "description": exposure.description,
        "label": words.spoken(exposure.name).capitalize(),
        "maturity": exposure.maturity,
        "meta": exposure.meta,
        "tags": [],
        "config": {"enabled": True, "tags": [], "meta": exposure.meta},
        "unrendered_config": {"meta": exposure.meta} if exposure.meta else {},
        "url": f"https://looker.harbor.example/{exposure.kind}s/{number + 1}",
        "depends_on": {"macros": [], "nodes": [parent.unique_id for parent in exposure.parents]},
        "refs": [ref(parent) for parent in exposure.parents],
        "sources": [],
        "metrics": [],
        "created_at": PARSED_AT + 55 + number / 1000,
    }


def groups(project: Project) -> Entries:
    for domain in project.domains:
        path = f"models/marts/{domain}/_{domain}__groups.yml"
        yield (
            f"group.{PROJECT}.{domain}",
            {
                "name": domain,
                "resource_type": "group",
                "package_name": PROJECT,
                "path": path.removeprefix("models/"),
                "original_file_path": path,
                "unique_id": f"group.{PROJECT}.{domain}",
                "owner": {
                    "email": f"{domain}@harbor.example",
                    "name": f"{words.spoken(domain).capitalize()} data team",
                },
                "description": f"Who answers for {words.spoken(domain)}",
                "config": {"meta": {"slack_channel": f"#data-{domain}"}},
            },
        )


def group_map(project: Project) -> Iterator[tuple[str, list[str]]]:
    members: dict[str, list[str]] = {domain: [] for domain in project.domains}
    for relation in project.relations:
        if relation.group:
            members[relation.group].append(relation.unique_id)
    yield from members.items()


def unit_tests(project: Project) -> Entries:
    for number, test in enumerate(project.unit_tests):
        yield test.unique_id, _unit_test(test, number)


def _unit_test(test: UnitTest, number: int) -> Json:
    model = test.model
    values = {
        column.name: None if column.data_type != "INT64" else position for position, column in enumerate(model.columns)
    }
    rows = [values, values]
    path = model.yaml_path
    return {
        "model": model.name,
        "given": [{"input": parent.jinja, "rows": rows, "format": "dict", "fixture": None} for parent in model.parents],
        "expect": {"rows": rows[:1], "format": "dict", "fixture": None},
        "name": test.name,
        "resource_type": "unit_test",
        "package_name": PROJECT,
        "path": path.removeprefix("models/"),
        "original_file_path": path,
        "unique_id": test.unique_id,
        "fqn": [PROJECT, *path.split("/")[1:-1], model.name, test.name],
        "description": "",
        "overrides": None,
        "depends_on": {"macros": [], "nodes": [model.unique_id]},
        "config": {"tags": [], "meta": {}, "enabled": True, "static_analysis": None},
        "checksum": hashlib.sha256(test.unique_id.encode()).hexdigest(),
        "schema": model.schema,
        "created_at": PARSED_AT + 58 + number / 1000,
        "versions": None,
        "version": None,
    }


def parent_map(project: Project) -> Iterator[tuple[str, list[str]]]:
    """Every node's direct parents."""
    dependents: tuple[Relation | Test | Exposure, ...] = (*project.relations, *project.tests, *project.exposures)
    for dependent in dependents:
        yield dependent.unique_id, [parent.unique_id for parent in dependent.parents]
    for test in project.unit_tests:
        yield test.unique_id, [test.model.unique_id]


def child_map(project: Project) -> Iterator[tuple[str, list[str]]]:
    """Every node's direct children."""
    children: dict[str, list[str]] = {}
    for unique_id, parents in parent_map(project):
        children.setdefault(unique_id, [])
        for parent in parents:
            children[parent].append(unique_id)
    yield from children.items()
