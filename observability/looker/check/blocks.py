"""Rules that hold for every block: known keys, nothing said twice, constants, names, what is included."""

import re

from observability.looker.check import liquid, words
from observability.looker.check.project import CONSTANT, Project, nearest
from observability.looker.check.source import Block, Item, Part

_NAME = re.compile(r"\+?[a-z_][a-z0-9_]*")
_NAMED = frozenset(["view", "explore", "dimension", "dimension_group", "measure", "filter", "parameter", "set", "join"])
_LIQUID = frozenset(["html", "url", "icon_url", "sql", "label", "sql_always_where", "default_value", "value"])


def check_blocks(project: Project) -> None:
    """Check every block of every file, and what the files say as a whole."""
    for file in project.source.files.values():
        _check(project, file)
        _check_includes(project, file)
    _check_named(project)
    for name, model in project.models.items():
        if not model.text("connection"):
            project.say("incomplete", model, f"model {name} has no connection")
        persist = model.text("persist_with")
        if persist and persist not in project.datagroups:
            hint = nearest(persist, [*project.datagroups])
            project.say("unknown datagroup", model, f"{persist} is no datagroup{hint}", "persist_with")


def _check_named(project: Project) -> None:
    for name, grant in project.grants.items():
        if not grant.text("user_attribute") or not grant.items("allowed_values"):
            project.say("incomplete", grant, f"access grant {name} needs user_attribute and allowed_values")
    for name, group in project.datagroups.items():
        if not any(group.text(key) for key in ("sql_trigger", "interval_trigger", "max_cache_age")):
            project.say("incomplete", group, f"datagroup {name} is never triggered")
    for name, constant in project.constants.items():
        if not constant.one("value"):
            project.say("incomplete", constant, f"constant {name} has no value")
        if (export := constant.text("export", "none")) not in words.EXPORTS:
            project.say("unknown value", constant, f"constant {name} cannot be exported as {export}", "export")


def _check(project: Project, block: Block) -> None:
    known = words.KEYS.get(block.kind)
    said: set[str] = set()
    for part in block.parts:
        if known is not None and part.key not in known:
            hint = nearest(part.key, sorted(known))
            project.say("unknown key", block, f"{part.key} has no meaning in a {block.kind}{hint}", part)
        if part.key in said and part.key not in words.REPEATED and not block.name.startswith("+"):
            project.say("duplicate", block, f"{part.key} is said twice in {block.kind} {block.name}", part)
        said.add(part.key)
        _check_text(project, block, part)
        if part.block:
            _check(project, part.block)
    if block.kind in _NAMED and not _NAME.fullmatch(block.name):
        text = f"{block.kind} {block.name!r}: names are written in lower case, with _ between words"
        project.say("name", block, text)


def _check_text(project: Project, block: Block, part: Part) -> None:
    """Check the constants, the Liquid and the brackets of what is said by a key."""
    said: list[tuple[str, Part | Item]] = [(part.value or "", part), *((item.value, item) for item in part.items)]
    for text, at in said:
        for name in CONSTANT.findall(text):
            if name not in project.constants:
                hint = nearest(name, [*project.constants])
                project.say("unknown constant", block, f"there is no constant {name}{hint}", at)
    if part.key in _LIQUID and part.value:
        for problem in liquid.problems_of(project.filled(part.value)):
            project.say("liquid", block, f"{part.key} of {block.kind} {block.name}: {problem}", part)
    if part.key.startswith("sql") and part.value and part.value.count("(") != part.value.count(")"):
        project.say("sql", block, f"brackets in {part.key} do not match", part)


def _check_includes(project: Project, file: Block) -> None:
    for part in file.all("include"):
        pattern = part.value or ""
        if not pattern.startswith("//") and not project.matching(pattern, file.path):
            project.say("unknown file", file, f"include {pattern!r} matches no file", part)
