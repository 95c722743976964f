"""The files of explores, and the data tests of their keys."""

from collections.abc import Mapping

from observability.audit.views import find_view
from observability.looker.declaration import Explore, Join, LookView
from observability.looker.explores import EXPLORES
from observability.looker.view_files import LookML


def render_explore(explore: Explore, looks: Mapping[str, LookView], folder: str = "views") -> LookML:
    """An explore with the views that it includes; those lie in `folder`."""
    used = [explore.view, *(join.view for join in explore.joins)]
    made: LookML = {"name": explore.name, "label": explore.label, "description": explore.description}
    if explore.view != explore.name:
        made["view_name"] = explore.view
    if explore.recent:
        recent = {"filters__all": [[{explore.recent: f"{explore.days} days"}]]}
        made["conditionally_filter"] = recent | ({"unless": list(explore.unless)} if explore.unless else {})
    made["joins"] = [_join(join, looks[join.view]) for join in explore.joins]
    return {
        "includes": [f"/{folder}/{name}.view.lkml" for name in used],
        "explores": [{name: part for name, part in made.items() if part}],
    }


def _join(join: Join, look: LookView) -> LookML:
    equal = [f"${{{field}}} = ${{{join.view}.{column}}}" for column, field in join.on.items()]
    brought = {"fields": [f"{join.view}.joined*"]} if look.joined else {}
    return {
        "name": join.view,
        "type": "left_outer",
        "relationship": "many_to_one",
        **brought,
        "sql_on": " AND ".join(equal),
    }


def render_tests() -> LookML:
    """LookML data tests: that no two rows of an explore's view have the same key, and none has no key."""
    tests = []
    for explore in EXPLORES:
        view = find_view(explore.view)
        key = f"{view.name}.{'key' if len(view.key) > 1 else view.key[0]}"
        count = f"{view.name}.count"
        tests += [
            {
                "name": f"{explore.name}_key_is_unique",
                "explore_source": {
                    "name": explore.name,
                    "columns": [{"name": "key", "field": key}, {"name": "count", "field": count}],
                    "sorts": [{count: "desc"}],
                    "limit": "1",
                },
                "asserts": [{"name": "one_row_a_key", "expression": f"${{{count}}} = 1"}],
            },
            {
                "name": f"{explore.name}_key_is_not_null",
                "explore_source": {
                    "name": explore.name,
                    "columns": [{"name": "count", "field": count}],
                    "filters__all": [[{key: "NULL"}]],
                },
                "asserts": [{"name": "no_row_lacks_a_key", "expression": f"${{{count}}} = 0"}],
            },
        ]
    return {"includes": ["/explores/*.explore.lkml"], "tests": tests}
