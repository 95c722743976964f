"""Greenery's own explore: the conversion funnel over the shop's table of sessions, in a model of its own."""

from collections.abc import Sequence

from observability.audit.schema import Column, ColumnType
from observability.looker.declaration import (
    Dashboard,
    DashboardFilter,
    Explore,
    LookView,
    Measure,
    Question,
    Shown,
    Tile,
)

MODEL = "greenery"
DATASET = "greenery"
TABLE = "fct_sessions"
VIEW = "sessions"
KEY = ("session_id",)

_FLAG = "1 if {what}, else 0."
COLUMNS: Sequence[Column] = (
    Column("session_id", ColumnType.STRING, "The visit."),
    Column("user_id", ColumnType.STRING, "The visitor.", nullable=True),
    Column("session_created_at_utc", ColumnType.TIMESTAMP, "When the visit began, in UTC: the funnel's day."),
    Column("session_ended_at_utc", ColumnType.TIMESTAMP, "When the visit's last event was, in UTC."),
    Column("had_page_view", ColumnType.INT64, _FLAG.format(what="a page was viewed")),
    Column("had_add_to_cart", ColumnType.INT64, _FLAG.format(what="something was put into the cart")),
    Column("had_checkout", ColumnType.INT64, _FLAG.format(what="the visit ended in a checkout")),
)
"""The columns of the shop's `fct_sessions` that are shown."""


def _total(step: str, what: str) -> Measure:
    text = f"Sessions in which {what}."
    return Measure(f"total_{step}_sessions", "sum", text, column=f"had_{step}", shown=Shown.WHOLE)


def _percentage(name: str, step: str, what: str) -> Measure:
    expression = f"1.0 * ${{total_{step}_sessions}} / NULLIF(${{total_page_view_sessions}}, 0)"
    text = f"Sessions in which {what}, in parts of those in which a page was viewed."
    return Measure(f"percentage_{name}_sessions", "number", text, expression=expression, shown=Shown.PERCENT)


def _drop_off(step: str, before: str, what: str) -> Measure:
    expression = f"${{total_{before}_sessions}} - ${{total_{step}_sessions}}"
    text = f"Sessions that were lost before {what}."
    return Measure(f"total_{step}_drop_off", "number", text, expression=expression, shown=Shown.WHOLE)


LOOK = LookView(
    VIEW,
    "Session",
    ("session_id", "user_id", "session_created_time", "had_page_view", "had_add_to_cart", "had_checkout"),
    (
        Measure("count", "count", "How many sessions.", shown=Shown.WHOLE),
        Measure("visitors", "count_distinct", "Visitors, each once.", column="user_id", shown=Shown.WHOLE),
        _total("page_view", "a page was viewed"),
        _total("add_to_cart", "something was put into the cart"),
        _total("checkout", "somebody checked out"),
        _percentage("total", "page_view", "a page was viewed"),
        _percentage("add_to_cart", "add_to_cart", "something was put into the cart"),
        _percentage("checkout", "checkout", "somebody checked out"),
        _drop_off("add_to_cart", "page_view", "anything was put into the cart"),
        _drop_off("checkout", "add_to_cart", "checkout"),
    ),
)
EXPLORE = Explore(
    "conversion_funnel",
    "Conversion funnel",
    "One row per visit of Greenery's shop, and how far it got. By day, week or month of the visit.",
    VIEW,
)
_STEPS = tuple(f"{VIEW}.total_{step}_sessions" for step in ("page_view", "add_to_cart", "checkout"))
DASHBOARD = Dashboard(
    "conversion_funnel",
    "Conversion funnel",
    "How many visits of the shop got how far, and where the others were lost.",
    (DashboardFilter("Day of the visit", {"conversion_funnel": f"{VIEW}.session_created_date"}),),
    (
        Tile("The funnel", "looker_funnel", Question("conversion_funnel", _STEPS), 12, 8),
        Tile(
            "By day",
            "looker_column",
            Question(
                "conversion_funnel",
                (f"{VIEW}.session_created_date", *_STEPS),
                sorts=(f"{VIEW}.session_created_date",),
            ),
            12,
            8,
            options={"show_view_names": False},
        ),
        Tile(
            "Shares and losses",
            "looker_grid",
            Question(
                "conversion_funnel",
                (
                    f"{VIEW}.session_created_date",
                    f"{VIEW}.percentage_add_to_cart_sessions",
                    f"{VIEW}.percentage_checkout_sessions",
                    f"{VIEW}.total_add_to_cart_drop_off",
                    f"{VIEW}.total_checkout_drop_off",
                ),
                sorts=(f"{VIEW}.session_created_date",),
            ),
            24,
            6,
        ),
    ),
)
