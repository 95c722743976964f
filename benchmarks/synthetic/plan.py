"""Plans a made-up project: layers, edges, exposures, before anything is written as dbt writes it."""

import dataclasses
import itertools
import random
from typing import Any

from synthetic import words
from synthetic.model import Column, Exposure, Project, Relation, UnitTest
from synthetic.plan_tests import plan_tests

DOMAIN_SIZE = 500  # models of one domain, roughly: most edges stay inside
CROSS_DOMAIN = 0.03  # share of a model's parents that belong to another domain
PARENTS = ((1, 2, 3, 4, 5), (12, 24, 28, 20, 16))  # how many a model has, by weight
LAYERS = {"staging": 0.40, "intermediate": 0.28, "marts": 0.32}  # share of the models


def plan_project(models: int, tests: int, seed: int) -> Project:
    """A project of so many models and data tests, the rest in proportion. The same seed gives the same project."""
    rng = random.Random(f"plan {seed}")
    graph = _Graph(rng, models)
    relations = tuple(graph.relations)
    enabled = [relation for relation in relations if relation.resource_type == "model"]
    marts = [relation for relation in enabled if relation.layer == "marts"]
    return Project(
        seed=seed,
        relations=relations,
        tests=tuple(plan_tests(rng, relations, tests)),
        unit_tests=tuple(
            UnitTest(f"test_{model.name}_{rng.choice(('edge_cases', 'nulls', 'currency', 'late_rows'))}", model)
            for model in rng.sample(enabled, max(1, models // 400))
        ),
        exposures=tuple(_plan_exposure(rng, number, marts) for number in range(max(2, models * 3 // 100))),
        disabled=tuple(graph.disabled),
        domains=graph.domains,
    )


class _Graph:
    """Relations and their edges: sources, then seeds, staging, snapshots, intermediate, marts."""

    def __init__(self, rng: random.Random, models: int) -> None:
        self.rng = rng
        self.relations: list[Relation] = []
        self.disabled: list[Relation] = []
        self._by_place: dict[tuple[str, str], list[Relation]] = {}
        count = max(2, models // DOMAIN_SIZE)
        names = words.DOMAINS
        self.domains = tuple(
            names[i % len(names)] + (f"_{i // len(names) + 1}" if i >= len(names) else "") for i in range(count)
        )
        self._systems = {domain: rng.sample(words.SYSTEMS, rng.randint(1, 3)) for domain in self.domains}
        self._add("source", "source", max(4, models // 20))
        self._add("seed", "seed", max(2, models // 200))
        staging, intermediate = round(models * LAYERS["staging"]), round(models * LAYERS["intermediate"])
        self._add("model", "staging", staging)
        self._add("snapshot", "snapshot", max(1, models // 100))
        self._add("model", "intermediate", intermediate)
        self._add("model", "marts", models - staging - intermediate)
        self._disable(max(1, models // 300))

    def _add(self, resource_type: str, layer: str, count: int) -> None:
        for number, domain in enumerate(self.domains):
            share = count // len(self.domains) + (number < count % len(self.domains))
            for entity, name in self._names(layer, domain, share):
                relation = self._relation(resource_type, layer, domain, entity, name)
                self.relations.append(relation)
                self._by_place.setdefault((layer, domain), []).append(relation)

    def _names(self, layer: str, domain: str, count: int) -> list[tuple[str, str]]:
        """Distinct (entity, name) pairs."""
        combinations = list(itertools.product(words.ENTITIES, words.TAILS.get(layer, ("", "_legacy"))))
        picked = self.rng.sample(combinations, count)
        if layer == "marts":
            return [
                (e, f"{self.rng.choice(('fct', 'fct', 'dim', 'rpt'))}_{domain}_{words.plural(e)}{t}") for e, t in picked
            ]
        prefix = {"staging": f"stg_{domain}__", "intermediate": f"int_{domain}__", "snapshot": f"snap_{domain}__"}
        return [
            (e, f"{prefix.get(layer, f'{domain}_' if layer == 'seed' else '')}{words.plural(e)}{t}") for e, t in picked
        ]

    def _relation(self, resource_type: str, layer: str, domain: str, entity: str, name: str) -> Relation:
        rng = self.rng
        undocumented = 0.15 if resource_type == "model" else 0.05
        return Relation(
            index=len(self.relations),
            resource_type=resource_type,
            name=name,
            entity=entity,
            domain=domain,
            layer=layer,
            materialized=_materialized(rng, resource_type, layer),
            description="" if rng.random() < undocumented else words.prose(rng, 60, 0.8),
            columns=() if rng.random() < undocumented else _columns(rng, entity),
            parents=self._parents(layer, domain),
            tags=tuple(rng.sample(words.TAGS, rng.choice((0, 0, 0, 1, 1, 2)))),
            meta=_meta(rng, domain),
            group=domain if layer == "marts" and rng.random() < 0.4 else None,
            source_name=f"{domain}_{rng.choice(self._systems[domain])}" if resource_type == "source" else "",
        )

    def _parents(self, layer: str, domain: str) -> tuple[Relation, ...]:
        rng = self.rng
        choices = {
            "source": ((), ()),
            "seed": ((), ()),
            "snapshot": (("source", "staging"), (3, 1)),
            "staging": (("source", "seed"), (95, 5)),
            "intermediate": (("staging", "intermediate", "snapshot"), (66, 30, 4)),
            "marts": (("intermediate", "marts", "staging", "seed"), (55, 30, 12, 3)),
        }
        layers, weights = choices[layer]
        if not layers:
            return ()
        wanted = rng.choices(*PARENTS)[0] if layer in {"intermediate", "marts"} else rng.choice((1, 1, 1, 1, 1, 2))
        found: dict[int, Relation] = {}
        for parent_layer in rng.choices(layers, weights, k=wanted):
            home = domain if rng.random() > CROSS_DOMAIN else rng.choice(self.domains)
            if place := self._by_place.get((parent_layer, home)):
                # The newest few are preferred: that is what makes chains long.
                relation = rng.choice(place[-12:]) if rng.random() < 0.2 else rng.choice(place)
                found[relation.index] = relation
        if not found:
            nearest = self._by_place.get((layers[0], domain)) or self.relations
            found = {0: rng.choice(nearest)}
        return tuple(found.values())

    def _disable(self, count: int) -> None:
        for _ in range(count):
            domain, entity = self.rng.choice(self.domains), self.rng.choice(words.ENTITIES)
            name = f"int_{domain}__{words.plural(entity)}_retired_{len(self.disabled) + 1}"
            relation = self._relation("model", "intermediate", domain, entity, name)
            self.disabled.append(dataclasses.replace(relation, index=-1, enabled=False))


def _materialized(rng: random.Random, resource_type: str, layer: str) -> str:
    if resource_type != "model":
        return {"source": "", "seed": "seed", "snapshot": "snapshot"}[resource_type]
    weights = {"staging": (75, 20, 5), "intermediate": (45, 45, 10), "marts": (10, 65, 25)}[layer]
    return rng.choices(("view", "table", "incremental"), weights)[0]


def _columns(rng: random.Random, entity: str) -> tuple[Column, ...]:
    count = min(150, max(1, round(rng.lognormvariate(1.98, 0.85))))
    others = rng.sample(words.ENTITIES, 4)
    drafts = [(f"{entity}_id", "STRING"), *((f"{other}_id", "STRING") for other in others[: rng.randint(0, 3)])]
    attributes = [(p.format(e), data_type) for e in (entity, *others) for p, data_type in words.ATTRIBUTES]
    drafts += rng.sample(attributes, min(count, len(attributes)))
    return tuple(
        Column(name, data_type, "" if rng.random() < 0.04 else words.prose(rng, 44, 0.62), _column_meta(rng))
        for name, data_type in drafts[:count]
    )


def _column_meta(rng: random.Random) -> dict[str, Any]:
    if rng.random() > 0.08:
        return {}
    return {
        "contains_pii": rng.random() < 0.6,
        "classification": rng.choice(("internal", "confidential", "restricted")),
    }


def _meta(rng: random.Random, domain: str) -> dict[str, Any]:
    if rng.random() > 0.3:
        return {}
    meta: dict[str, Any] = {
        "owner": rng.choice((f"@{domain}-data", f"{rng.choice(words.PEOPLE).lower()}@harbor.example"))
    }
    if rng.random() < 0.4:
        meta |= {
            "tier": rng.randint(1, 3),
            "sla": {"fresh_by": f"0{rng.randint(5, 9)}:00", "timezone": "Europe/Berlin"},
        }
    return meta


def _plan_exposure(rng: random.Random, number: int, marts: list[Relation]) -> Exposure:
    first = rng.choice(marts)
    neighbours = [
        mart for mart in marts[max(0, first.index - marts[0].index - 60) :][:120] if mart.domain == first.domain
    ]
    parents = {first.index: first}
    for _ in range(rng.choice((0, 1, 2, 4, 6, 10))):
        mart = rng.choice(neighbours if rng.random() < 0.9 else marts)
        parents[mart.index] = mart
    kind = rng.choices(("dashboard", "notebook", "analysis", "ml", "application"), (70, 8, 8, 6, 8))[0]
    return Exposure(
        name=f"{first.domain}_{words.plural(first.entity)}_{kind}_{number + 1}",
        domain=first.domain,
        kind=kind,
        owner=rng.choice(words.PEOPLE),
        description=words.prose(rng, 110, 0.6),
        parents=tuple(parents.values()),
        maturity=rng.choice((None, "low", "medium", "high", "high")),
        meta={"critical": True} if rng.random() < 0.15 else {},
    )
