"""What a project's files amount to: what is refined, extended, included, and left out of an explore."""

from pathlib import Path

import pytest

from observability.looker.check import check_project, open_project

MODEL = """
connection: "bq"
include: "/**/*.view"
include: "/**/*.dashboard"
explore: orders {
  description: "Orders."
  join: users {
    sql_on: ${orders.user_id} = ${users.id} ;;
    relationship: many_to_one
  }
}
"""
ORDERS = """
view: orders {
  dimension: id { primary_key: yes hidden: yes type: number sql: ${TABLE}.id ;; }
  dimension: user_id { hidden: yes type: number sql: ${TABLE}.user_id ;; }
  measure: count { description: "How many." type: count drill_fields: [users.named*] }
}
"""
USERS = """
view: users {
  dimension: id { primary_key: yes hidden: yes type: number sql: ${TABLE}.id ;; }
  dimension: name { description: "Name." type: string sql: ${TABLE}.name ;; }
  dimension: secret { description: "Secret." type: string sql: ${TABLE}.secret ;; }
  measure: count { description: "How many." type: count }
  set: named { fields: [id, name] }
  set: open { fields: [ALL_FIELDS*, -users.secret] }
  set: unnamed { fields: [open*, -named*] }
}
"""


def board(field: str, explore: str = "orders") -> dict[str, str]:
    """A dashboard that asks for a field."""
    return {
        "a.dashboard.lookml": f"""
- dashboard: a
  title: A
  elements:
  - name: b
    model: shop
    explore: {explore}
    type: looker_grid
    fields: [{field}]
    row: 0
    col: 0
    width: 1
    height: 1
"""
    }


FILES = {
    "shop.model.lkml": MODEL,
    "views/orders.view.lkml": ORDERS,
    "views/users.view.lkml": USERS,
} | board("orders.count")


def check(folder: Path, files: dict[str, str]) -> list[str]:
    """What is told of the files: place and message."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return [f"{one.path}:{one.line} {one.message}" for one in check_project(open_project(folder))]


def changed(*more: str, old: str = "", new: str = "") -> dict[str, str]:
    """The project with its model changed, and with more in it."""
    assert old in MODEL
    return FILES | {"shop.model.lkml": "".join([MODEL.replace(old, new, 1), *more])}


def test_the_project_that_is_changed_below_is_sound(tmp_path: Path) -> None:
    assert check(tmp_path, FILES) == []


# Refined and extended


def test_a_refined_join_keeps_what_is_not_said_anew(tmp_path: Path) -> None:
    assert check(tmp_path, changed("explore: +orders { join: users { type: inner } }")) == []


def test_a_refined_join_is_judged_by_what_it_says_anew(tmp_path: Path) -> None:
    for said, told in [
        ("type: inned", "inned is no type of join, did you mean inner?"),
        ("relationship: many_to_1", "many_to_1 is no relationship, did you mean many_to_one?"),
        ("sql_on: ${orders.user_id} = ${users.ids} ;;", "sql_on speaks of users.ids, which is no field"),
        ("from: user", "there is no view user, did you mean users?"),
        ("fields: [naem]", "users has no field naem"),
    ]:
        found = check(tmp_path, changed("\n", "explore: +orders { join: users { " + said + " } }"))
        assert any(one.startswith(f"shop.model.lkml:13 {told}") for one in found), found


def test_a_join_that_a_refinement_adds_is_there(tmp_path: Path) -> None:
    buyers = "join: buyers { from: users sql_on: ${orders.user_id} = ${buyers.id} ;; relationship: many_to_one }"
    files = changed("explore: +orders { " + buyers + " }")
    assert check(tmp_path, files | board("buyers.name")) == []


def test_a_join_that_is_there_twice_is_told(tmp_path: Path) -> None:
    twice = MODEL[MODEL.index("  join: users") : MODEL.rindex("}")]
    assert check(tmp_path, changed(old=twice, new=twice + twice)) == [
        "shop.model.lkml:11 users is in explore orders already"
    ]
    assert check(tmp_path, changed(old="join: users", new="join: orders"))[0] == (
        "shop.model.lkml:7 orders is in explore orders already"
    )


def test_an_extended_join_keeps_what_is_not_said_anew(tmp_path: Path) -> None:
    mine = """
explore: known_orders {
  description: "Of those who are known."
  extends: [orders]
  view_name: orders
  join: users { type: inner fields: [named*] }
}
"""
    assert check(tmp_path, changed(mine) | board("users.name", "known_orders")) == []
    assert check(tmp_path, changed(mine) | board("users.secret", "orders")) == [], "what is extended stays as it is"
    assert check(tmp_path, changed(mine) | board("users.secret", "known_orders")) == [
        "a.dashboard.lookml:9 explore known_orders has no field 'users.secret': fields leaves it out"
    ]


def test_an_explore_that_extends_one_without_view_name_is_told_to_write_it(tmp_path: Path) -> None:
    mine = 'explore: late_orders { description: "Late." extends: [orders] }'
    assert check(tmp_path, changed("\n", mine)) == [
        "shop.model.lkml:13 late_orders begins with no view: write view_name: orders in explore orders, or in it"
    ]


@pytest.mark.parametrize("place", ["explore: orders {", "explore: late_orders {", "explore: +late_orders {"])
def test_where_view_name_is_written_does_not_matter(tmp_path: Path, place: str) -> None:
    late = 'explore: late_orders { description: "Late." extends: [orders] }\nexplore: +late_orders { }\n'
    files = changed(late)
    text = files["shop.model.lkml"].replace(place, f"{place} view_name: orders", 1)
    assert check(tmp_path, FILES | {"shop.model.lkml": text} | board("orders.count", "late_orders")) == []


def test_an_explore_of_another_view_extends_one(tmp_path: Path) -> None:
    mine = """
view: big_orders { extends: [orders] }
explore: big_orders { description: "Big." extends: [orders] view_name: orders from: big_orders }
"""
    assert check(tmp_path, changed(mine) | board("orders.count", "big_orders")) == []


# Left out


@pytest.mark.parametrize(
    "said",
    [
        "[ALL_FIELDS*, -secret]",
        "[ALL_FIELDS*, -users.secret]",
        "[named*, count]",
        "[open*]",
        "[users.open*]",
        "[users.id, unnamed*, users.name]",
    ],
)
def test_what_a_join_leaves_out_cannot_be_asked_for(tmp_path: Path, said: str) -> None:
    files = changed(old="join: users {", new="join: users { fields: " + said)
    for field in ("users.id", "users.name", "users.count", "orders.count"):
        assert check(tmp_path, files | board(field)) == [], field
    (problem,) = check(tmp_path, files | board("users.secret"))
    assert problem == "a.dashboard.lookml:9 explore orders has no field 'users.secret': fields leaves it out"


@pytest.mark.parametrize(
    "said",
    [
        "[ALL_FIELDS*, -users.secret]",
        "[orders*, users*, -users.secret]",
        "[orders.count, orders.id, users.open*]",
        "[count, orders.id, users.open*]",
    ],
)
def test_what_an_explore_leaves_out_cannot_be_asked_for(tmp_path: Path, said: str) -> None:
    files = changed(old="explore: orders {", new="explore: orders { fields: " + said)
    for field in ("users.id", "users.name", "users.count", "orders.count"):
        assert check(tmp_path, files | board(field)) == [], field
    (problem,) = check(tmp_path, files | board("users.secret"))
    assert problem == "a.dashboard.lookml:9 explore orders has no field 'users.secret': fields leaves it out"


def test_a_set_less_a_set_is_what_is_left(tmp_path: Path) -> None:
    files = changed(old="join: users {", new="join: users { fields: [unnamed*]")
    assert check(tmp_path, files | board("users.count")) == []
    assert len(check(tmp_path, files | board("users.name"))) == 1


def test_a_set_in_a_set_is_of_the_view_that_it_names(tmp_path: Path) -> None:
    orders = ORDERS.rstrip().removesuffix("}") + "  set: named { fields: [count, users.named*] }\n}\n"
    files = changed(old="explore: orders {", new="explore: orders { fields: [orders.named*]")
    files |= {"views/orders.view.lkml": orders}
    for field in ("orders.count", "users.name"):
        assert check(tmp_path, files | board(field)) == [], field
    for field in ("orders.id", "users.secret"):
        assert len(check(tmp_path, files | board(field))) == 1, field
    wrong = {"views/orders.view.lkml": orders.replace("count, users.named*", "count, users.unknown*")}
    assert check(tmp_path, files | wrong) == ["views/orders.view.lkml:6 users has no set unknown"]


def test_an_empty_list_leaves_out_all(tmp_path: Path) -> None:
    files = changed(old="join: users {", new="join: users { fields: []")
    assert check(tmp_path, files | board("orders.count")) == []
    assert len(check(tmp_path, files | board("users.name"))) == 1


@pytest.mark.parametrize("said", ["explore: orders { fields: [ALL_FIELDS*, -users.id]", "join: users { fields: [name]"])
def test_a_condition_may_speak_of_what_is_left_out(tmp_path: Path, said: str) -> None:
    files = changed(old=f"{said.partition('{')[0]}{{", new=said)
    assert check(tmp_path, files | board("users.name")) == []


def test_a_list_that_is_refined_is_replaced(tmp_path: Path) -> None:
    files = changed("explore: +orders { fields: [ALL_FIELDS*] }", old="explore: orders {",
                    new="explore: orders { fields: [ALL_FIELDS*, -users.secret]")  # fmt: skip
    assert check(tmp_path, files | board("users.secret")) == []


def test_sets_that_name_each_other_twice_take_no_time(tmp_path: Path) -> None:
    sets = "".join(f"  set: s{n} {{ fields: [s{n + 1}*, -s{n + 1}*, s{n + 1}*] }}\n" for n in range(200))
    users = USERS.replace("  set: named", f"{sets}  set: s200 {{ fields: [name] }}\n  set: named")
    users = users.replace("type: count }", "type: count drill_fields: [s0*, s1*] }")
    files = changed(old="join: users {", new="join: users { fields: [ALL_FIELDS*, s0*]")
    assert check(tmp_path, files | {"views/users.view.lkml": users}) == []


def test_sets_in_a_circle_are_told_and_end(tmp_path: Path) -> None:
    sets = "".join(f"  set: s{n} {{ fields: [s{(n + 1) % 40}*, s{(n + 2) % 40}*] }}\n" for n in range(40))
    users = USERS.replace("  set: named", f"{sets}  set: named")
    files = changed(old="join: users {", new="join: users { fields: [ALL_FIELDS*, s0*]")
    told = check(tmp_path, files | {"views/users.view.lkml": users})
    assert told
    assert {one.split(" ")[1] for one in told} == {"set"}, told


# Included


@pytest.mark.parametrize(
    ("include", "found"),
    [
        ("/**/*.view.lkml", {"a.view.lkml", "views/b.view.lkml", "views/deep/c.view.lkml"}),
        ("/**/*.view", {"a.view.lkml", "views/b.view.lkml", "views/deep/c.view.lkml"}),
        ("**/*.view", {"views/b.view.lkml", "views/deep/c.view.lkml"}),
        ("/views/**/*.view", {"views/b.view.lkml", "views/deep/c.view.lkml"}),
        ("/views/**/**/**/*.view", {"views/b.view.lkml", "views/deep/c.view.lkml"}),
        ("/views/*.view", {"views/b.view.lkml"}),
        ("*.view", {"views/b.view.lkml"}),
        ("deep/c.view", {"views/deep/c.view.lkml"}),
        ("../a.view", {"a.view.lkml"}),
        ("./b.view.lkml", {"views/b.view.lkml"}),
        ("/*.view.lkml", {"a.view.lkml"}),
        ("/*/*.view", {"views/b.view.lkml"}),
        ("/**/*c.view", {"views/deep/c.view.lkml"}),
        ("/**.view", {"a.view.lkml", "views/b.view.lkml", "views/deep/c.view.lkml"}),
        ("/a.*", {"a.view.lkml"}),
        ("/views/d", {"views/d.lkml"}),
        ("/**/*.dashboard", {"views/e.dashboard.lookml"}),
        ("/aXview.lkml", set()),
        ("a.view", set()),
        ("/views", set()),
        ("", set()),
        ("//block/**/*.view", set()),
    ],
)
def test_an_include_matches_the_files_that_looker_includes(tmp_path: Path, include: str, found: set[str]) -> None:
    names = ("a.view.lkml", "views/b.view.lkml", "views/deep/c.view.lkml", "views/d.lkml", "views/e.dashboard.lookml")
    check(tmp_path, dict.fromkeys(names, ""))
    assert set(open_project(tmp_path).matching(include, "views/d.lkml")) == found


def test_a_flat_project_is_as_good_as_one_with_folders(tmp_path: Path) -> None:
    files = {name.rpartition("/")[2]: text for name, text in FILES.items()}
    assert len(files) == len(FILES)
    assert check(tmp_path, files) == []


# Places


@pytest.mark.parametrize("text", ["²", "٣", "9" * 5_000, "-1", "1.5"])
def test_what_is_no_number_for_looker_is_no_place_for_a_tile(tmp_path: Path, text: str) -> None:
    files = {name: content.replace("row: 0", f"row: {text}") for name, content in FILES.items()}
    assert check(tmp_path, files) == ["a.dashboard.lookml:5 'b' needs row, col, width and height"]
