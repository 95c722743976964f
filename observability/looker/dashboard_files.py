"""The files of dashboards: tiles in rows, each with its question and what it listens to."""

from collections.abc import Iterator, Sequence

from observability.looker.declaration import Dashboard, DashboardFilter, Tile
from observability.looker.view_files import LookML

_COLUMNS = 24


def render_dashboard(board: Dashboard, model: str) -> LookML:
    """A dashboard of a model, as its YAML has it."""
    return {
        "dashboard": board.name,
        "title": board.title,
        "description": board.description,
        "layout": "newspaper",
        "preferred_viewer": "dashboards-next",
        "filters": [_dashboard_filter(one, model) for one in board.filters],
        "elements": list(_elements(board, model)),
    }


def _dashboard_filter(one: DashboardFilter, model: str) -> LookML:
    explore, field = next(iter(one.fields.items()))
    return {
        "name": one.title,
        "title": one.title,
        "type": "field_filter",
        "default_value": one.default,
        "allow_multiple_values": True,
        "required": False,
        "ui_config": {"type": "tag_list", "display": "popover"},
        "model": model,
        "explore": explore,
        "listens_to_filters": [],
        "field": field,
    }


def _elements(board: Dashboard, model: str) -> Iterator[LookML]:
    row = col = height = 0
    for tile in board.tiles:
        if col + tile.width > _COLUMNS:
            row, col, height = row + height, 0, 0
        yield _element(tile, board.filters, model) | _place(tile, row, col)
        col, height = col + tile.width, max(height, tile.height)


def _place(tile: Tile, row: int, col: int) -> LookML:
    return {"row": row, "col": col, "width": tile.width, "height": tile.height}


def _element(tile: Tile, filters: Sequence[DashboardFilter], model: str) -> LookML:
    question = tile.question
    listen = {one.title: one.fields[question.explore] for one in filters if question.explore in one.fields}
    note = {"note_state": "collapsed", "note_display": "hover", "note_text": tile.note} if tile.note else {}
    made: LookML = {
        "title": tile.title,
        "name": tile.title,
        "model": model,
        "explore": question.explore,
        "type": tile.type,
        "fields": list(question.fields),
        "pivots": list(question.pivots),
        "filters": dict(question.filters),
        "sorts": list(question.sorts),
        "limit": question.limit,
        **tile.options,
        **note,
        "listen": listen,
    }
    return {name: part for name, part in made.items() if part or name == "listen"}
