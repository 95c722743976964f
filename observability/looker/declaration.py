"""What a LookML project is declared with: views over audit views, explores, dashboards, looks. Plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Shown(StrEnum):
    """How a number is shown: names of Looker's own value formats."""

    WHOLE = "decimal_0"
    TENTHS = "decimal_1"
    HUNDREDTHS = "decimal_2"
    TEN_THOUSANDTHS = "decimal_4"
    PERCENT = "percent_1"


@dataclass(frozen=True)
class Measure:
    """A measure. Without a column it counts rows; `expression` is of other measures, for those of type number."""

    name: str
    type: str
    description: str
    column: str | None = None
    filters: Mapping[str, str] = field(default_factory=dict)
    percentile: int | None = None
    expression: str | None = None
    shown: Shown | None = None
    label: str | None = None
    group_label: str | None = None


@dataclass(frozen=True)
class LookView:
    """A LookML view: an audit view's columns as fields, and measures over them.

    `only` takes those columns and no others; `hidden` are there for joins and links, and not shown.
    """

    name: str
    label: str
    detail: Sequence[str]
    """Fields that a drill shows, without the view's name."""
    measures: Sequence[Measure]
    only: Sequence[str] = ()
    hidden: Sequence[str] = ()
    joined: Sequence[str] = ()
    """Columns that it brings along where it is joined; else all of them."""


@dataclass(frozen=True)
class Join:
    """A view joined to an explore's rows by its whole key, so that each row finds one at most."""

    view: str
    on: Mapping[str, str]
    """Column of the joined view: field of the explore, with its view's name."""


@dataclass(frozen=True)
class Explore:
    """An explore: rows of one audit view, with what many of them have in common joined."""

    name: str
    label: str
    description: str
    view: str
    joins: Sequence[Join] = ()
    recent: str | None = None
    """The date field that is filtered to `days` where nobody filters one of `unless`."""
    unless: Sequence[str] = ()
    days: int = 7


@dataclass(frozen=True)
class Question:
    """What an explore is asked: fields with their views' names, filter expressions, an order."""

    explore: str
    fields: Sequence[str]
    filters: Mapping[str, str] = field(default_factory=dict)
    sorts: Sequence[str] = ()
    pivots: Sequence[str] = ()
    limit: int = 500


@dataclass(frozen=True)
class Tile:
    """An element of a dashboard."""

    title: str
    type: str
    question: Question
    width: int
    height: int
    note: str = ""
    options: Mapping[str, object] = field(default_factory=dict)
    """Options of the visualization, by Looker's names."""


@dataclass(frozen=True)
class DashboardFilter:
    """A filter of a dashboard, and per explore the field that it filters there."""

    title: str
    fields: Mapping[str, str]
    default: str = ""


@dataclass(frozen=True)
class Dashboard:
    """A dashboard: its tiles flow into rows of 24 columns, in their order."""

    name: str
    title: str
    description: str
    filters: Sequence[DashboardFilter]
    tiles: Sequence[Tile]


@dataclass(frozen=True)
class Look:
    """A question to be saved as a Look, and sent where it has results."""

    title: str
    description: str
    question: Question
