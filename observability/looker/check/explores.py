"""Rules for explores and data tests: joins, relationships, filters, what can be reached."""

import re
from collections.abc import Mapping

from observability.looker.check import words
from observability.looker.check.fields import COLUMN, REFERENCE, Tables, check_when
from observability.looker.check.project import Explore, Field, Project, View, nearest
from observability.looker.check.source import Block, Item, Part

_LABEL = 25
EQUAL = re.compile(r"\$\{([\w.]+)\}\s*=\s*\$\{([\w.]+)\}")


def check_explores(project: Project, tables: Tables) -> None:
    """Check every explore, alone and as models reach them."""
    labels: dict[str, str] = {}
    for explore in project.explores.values():
        block = explore.block
        label = block.text("label") or explore.name
        if len(label) > _LABEL:
            project.say("label", block, f"label {label!r} is longer than {_LABEL} characters", "label")
        if labels.setdefault(label, explore.name) != explore.name:
            project.say("label", block, f"label {label!r} is that of {labels[label]} too", "label")
        if block.text("hidden") != "yes" and not block.text("description"):
            project.say("description", block, f"explore {explore.name} is neither described nor hidden")
        _check_views(project, explore)
        defined = project.defined(explore)
        for join in explore.joins.values():
            _check_join(project, explore, join, defined, tables)
        _check_filters(project, explore, tables)
        _check_access(project, explore, defined)
    _check_models(project)
    for file in project.source.files.values():
        for test in file.blocks("test"):
            _check_test(project, test)


def _check_views(project: Project, explore: Explore) -> None:
    for alias, name in explore.views.items():
        if name not in project.views:
            block = explore.joins.get(alias, explore.block)
            project.say("unknown view", block, f"there is no view {name}{nearest(name, [*project.views])}")


def _check_join(project: Project, explore: Explore, join: Block, found: Mapping[str, Field], tables: Tables) -> None:
    relationship = join.text("relationship")
    if not relationship:
        project.say("relationship", join, f"join {join.name} has no relationship: many_to_one is assumed")
    elif relationship not in words.RELATIONSHIPS:
        hint = nearest(relationship, sorted(words.RELATIONSHIPS))
        project.say("relationship", join, f"{relationship} is no relationship{hint}", "relationship")
    kind = join.text("type", "left_outer")
    if kind not in words.JOIN_TYPES:
        project.say("type", join, f"{kind} is no type of join{nearest(kind, sorted(words.JOIN_TYPES))}", "type")
    _check_condition(project, explore, join, found)
    view = project.views.get(explore.views[join.name])
    _check_brought(project, join, view)
    _check_reach(project, explore, join)
    _check_relationship(project, explore, join, relationship, found, tables)


def _check_brought(project: Project, join: Block, view: View | None) -> None:
    for item in join.items("fields"):
        owner, _, name = item.value.removeprefix("-").rpartition(".")
        if owner not in {"", join.name}:
            project.say("unknown field", join, f"{item.value} is not of {join.name}", item)
        elif view and name.endswith("*") and name[:-1] not in {*view.sets, "ALL_FIELDS"}:
            project.say("unknown set", join, f"{view.name} has no set {name[:-1]}", item)
        elif view and not name.endswith("*") and name not in view.fields:
            project.say("unknown field", join, f"{view.name} has no field {name}", item)


def _check_condition(project: Project, explore: Explore, join: Block, found: Mapping[str, Field]) -> None:
    condition = join.text("sql_on")
    if join.text("type") != "cross" and not condition and not join.text("foreign_key"):
        project.say("incomplete", join, f"join {join.name} has no sql_on")
    before = [*explore.views][: [*explore.views].index(join.name) + 1]
    for name in REFERENCE.findall(condition):
        alias = name.partition(".")[0]
        if alias not in explore.views:
            project.say(
                "unknown view", join, f"sql_on speaks of {alias}, which is not in explore {explore.name}", "sql_on"
            )
        elif name not in found:
            text = f"sql_on speaks of {name}{_why(project, explore, name, found)}"
            project.say("unknown field", join, text, "sql_on")
        elif alias not in before:
            project.say("join order", join, f"sql_on speaks of {alias}, which is joined after {join.name}", "sql_on")
    if condition and join.name not in {name.partition(".")[0] for name in REFERENCE.findall(condition)}:
        project.say("join order", join, f"sql_on says nothing of {join.name}", "sql_on")


def _check_reach(project: Project, explore: Explore, join: Block) -> None:
    """Check that the fields that a join brings rest on none that it leaves behind."""
    if not join.one("fields"):
        return
    found = project.brought(explore)
    brought = {name.partition(".")[2]: one for name, one in found.items() if name.startswith(f"{join.name}.")}
    for one in brought.values():
        view = project.views[one.view]
        texts = [part.value or "" for part in one.block.parts if part.key in {"sql", "html"}]
        needed = [name.rpartition(".")[2] for text in texts for name in REFERENCE.findall(text) if name != "TABLE"]
        needed += [item.key.rpartition(".")[2] for item in one.block.items("filters")]
        needed += project.members(view, (item.value for item in one.block.items("drill_fields")))
        for name in sorted(set(needed) & view.fields.keys() - brought.keys()):
            project.say(
                "out of reach", join, f"{one.view}.{one.name} rests on {name}, which fields leaves out", "fields"
            )


def _check_relationship(
    project: Project, explore: Explore, join: Block, relationship: str, found: Mapping[str, Field], tables: Tables
) -> None:
    """Check that where one row is promised, the condition names one by its key."""
    pairs = EQUAL.findall(join.text("sql_on"))
    sides = {
        "many_to_one": [join.name],
        "one_to_many": [name for name in explore.views if name != join.name][:1],
        "one_to_one": [join.name, explore.base],
    }
    for alias in sides.get(relationship, []):
        view = project.views.get(explore.views[alias])
        table = tables.get(view.table) if view else None
        if table is None:
            continue
        named = {name for pair in pairs for name in pair if name.startswith(f"{alias}.")}
        columns = {
            column for name in named if name in found for column in COLUMN.findall(found[name].block.text("sql"))
        }
        if missing := [name for name in table.key if name not in columns]:
            text = f"{relationship}, but several rows of {alias} can match: nothing is said of {', '.join(missing)}"
            project.say("relationship", join, text, "sql_on")


def _why(project: Project, explore: Explore, name: str, found: Mapping[str, Field]) -> str:
    alias, _, field = name.partition(".")
    view = project.views.get(explore.views.get(alias, ""))
    if view and field in view.fields:
        return ", which fields leaves out"
    return f", which is no field of explore {explore.name}{nearest(name, [*found])}"


def check_field_of(
    project: Project, explore: Explore, block: Block, name: str, at: Part | Item | None, what: str
) -> Field | None:
    """The field of an explore by that name; a problem where there is none."""
    found = project.accessible(explore)
    if name not in found:
        text = f"{what} speaks of {name}{_why(project, explore, name, found)}"
        project.say("unknown field", block, text, at)
    return found.get(name)


def _check_filters(project: Project, explore: Explore, tables: Tables) -> None:
    found = project.accessible(explore)
    filtered = [*explore.block.blocks("conditionally_filter", "always_filter")]
    for block in filtered:
        for item in block.items("filters"):
            one = check_field_of(project, explore, block, item.key, item, block.kind)
            if one:
                check_when(project, block, one, item.value, item)
        for item in block.items("unless"):
            check_field_of(project, explore, block, item.value, item, "unless")
    view = project.views.get(explore.views[explore.base])
    table = tables.get(view.table) if view else None
    partitions = {"run_date", "delivery_date"} & table.columns.keys() if table else set()
    dated = {name for block in filtered for name in (item.key for item in block.items("filters"))}
    by_date = {name for name in dated if name in found and found[name].type == "date"}
    if partitions and not by_date:
        text = f"explore {explore.name} reads all partitions of {view.table if view else ''}: filter a date by default"
        project.say("unfiltered", explore.block, text)
    defined = project.defined(explore)
    for name in REFERENCE.findall(explore.block.text("sql_always_where")):
        if name not in defined:
            project.say(
                "unknown field",
                explore.block,
                f"sql_always_where speaks of {name}, which is no field",
                "sql_always_where",
            )


def _check_access(project: Project, explore: Explore, found: Mapping[str, Field]) -> None:
    for block in explore.block.blocks("access_filter"):
        if block.text("field") not in found:
            project.say(
                "unknown field", block, f"access_filter speaks of {block.text('field')}, which is no field", "field"
            )
        if not block.text("user_attribute"):
            project.say("incomplete", block, "an access_filter needs a user_attribute")
    for item in explore.block.items("required_access_grants"):
        if item.value not in project.grants:
            project.say("unknown grant", explore.block, f"{item.value} is no access grant", item)
    persist = explore.block.text("persist_with")
    if persist and persist not in project.datagroups:
        project.say("unknown datagroup", explore.block, f"{persist} is no datagroup", "persist_with")


def _check_models(project: Project) -> None:
    """Check that every explore is in a model, which has what it needs."""
    reached = {name: project.reach(model.path) for name, model in project.models.items()}
    for explore in project.explores.values():
        homes = [name for name, files in reached.items() if explore.block.path in files]
        if not homes:
            project.say("unknown file", explore.block, f"explore {explore.name} is in no model: none includes its file")
        for home in homes:
            for alias, name in explore.views.items():
                view = project.views.get(name)
                if view and view.block.path not in reached[home]:
                    block = explore.joins.get(alias, explore.block)
                    text = f"view {name} is not included in model {home}: {view.block.path}"
                    project.say("unknown file", block, text)
    for name, grant in project.grants.items():
        if not any(grant.path in files for files in reached.values()):
            project.say("unknown file", grant, f"access grant {name} is in no model: none includes its file")


def _check_test(project: Project, test: Block) -> None:
    sources = [*test.blocks("explore_source")]
    if len(sources) != 1 or not [*test.blocks("assert")]:
        project.say("incomplete", test, f"test {test.name} needs one explore_source and an assert")
    for source in sources:
        explore = project.explores.get(source.name)
        if explore is None:
            hint = nearest(source.name, [*project.explores])
            project.say("unknown explore", source, f"there is no explore {source.name}{hint}")
            continue
        asked: list[tuple[str, Part | Item | None]] = [
            (column.text("field"), column.one("field")) for column in source.blocks("column")
        ]
        asked += [(item.key, item) for item in (*source.items("sorts"), *source.items("filters"))]
        for name, at in asked:
            check_field_of(project, explore, source, name, at, f"test {test.name}")
        for one in test.blocks("assert"):
            for name in REFERENCE.findall(one.text("expression")):
                if name not in {field for field, _ in asked}:
                    text = f"test {test.name} asserts something of {name}, but asks not for it"
                    project.say("unknown field", one, text, "expression")
