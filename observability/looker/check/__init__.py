"""Checks a LookML project without a Looker: what names what, what is of which type, what lies where."""

from pathlib import Path

from observability.audit.views import views
from observability.looker import funnel
from observability.looker.check.blocks import check_blocks
from observability.looker.check.dashboards import check_dashboards
from observability.looker.check.explores import check_explores
from observability.looker.check.fields import KnownTable, Tables, check_views
from observability.looker.check.project import Project, build_project
from observability.looker.check.source import Problem, read_source

__all__ = ["Problem", "Project", "check_project", "known_tables", "open_project"]


def known_tables() -> Tables:
    """The tables of which we know the columns: the audit views, and Greenery's sessions."""
    known = {view.name: KnownTable({column.name: column for column in view.columns}, view.key) for view in views()}
    known[funnel.TABLE] = KnownTable({column.name: column for column in funnel.COLUMNS}, funnel.KEY)
    return known


def open_project(root: Path) -> Project:
    """Read a project. What cannot be read is among its problems. Raises ConfigError where there is none."""
    return build_project(read_source(root))


def check_project(project: Project) -> list[Problem]:
    """Every problem that the files alone show, sorted by place; where one cannot be read, only that.

    What a file defines that cannot be read would be missed in all the others.
    """
    if project.source.problems:
        return sorted(set(project.source.problems))
    tables = known_tables()
    check_blocks(project)
    check_views(project, tables)
    check_explores(project, tables)
    check_dashboards(project)
    return sorted(set(project.problems))
