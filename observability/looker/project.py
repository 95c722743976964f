"""The LookML project: each declaration as the file that Looker reads. Deterministic: the same in, the same out."""

from dataclasses import dataclass
from urllib.parse import quote

from observability.audit.views import find_view
from observability.looker import fields, funnel
from observability.looker.dashboard_files import render_dashboard
from observability.looker.dashboards import DASHBOARDS, LOOKS
from observability.looker.declaration import Look, Question
from observability.looker.explore_files import render_explore, render_tests
from observability.looker.explores import EXPLORES
from observability.looker.view_files import LookML, render_view
from observability.looker.views import VIEWS

MODEL = "dbt_observability"
PLACEHOLDER = "your-project"
"""BigQuery's project where nobody has said which."""


@dataclass(frozen=True)
class Place:
    """Where Looker finds the rows: its connection's name, BigQuery's project and the dataset of the views.

    The addresses are those of Airflow, of dbt's docs and of the triage pages, without a slash at their end; links to
    those that are empty are not shown. `greenery` is the dataset of the Greenery shop, None to leave its explore out.
    """

    connection: str
    project: str
    dataset: str
    airflow_url: str = ""
    dbt_docs_url: str = ""
    triage_url: str = ""
    greenery: str | None = funnel.DATASET


def build_project(place: Place) -> dict[str, str]:
    """All files of the project: path from its root, text."""
    looks = {look.name: look for look in VIEWS}
    made = {
        "manifest.lkml": _manifest(place),
        f"{MODEL}.model.lkml": _model(),
        "access_grants.lkml": {"access_grants": [_grant(name) for name in (fields.ERROR_TEXT, fields.COMPILED_SQL)]},
        "tests/keys.lkml": render_tests(),
    }
    for look in VIEWS:
        view = find_view(look.name)
        made[f"views/{look.name}.view.lkml"] = {
            "views": [render_view(look, view.columns, view.key, f"@{{DATASET}}.{view.name}")]
        }
    for explore in EXPLORES:
        made[f"explores/{explore.name}.explore.lkml"] = render_explore(explore, looks)
    boards = {f"dashboards/{board.name}.dashboard.lookml": render_dashboard(board, MODEL) for board in DASHBOARDS}
    if place.greenery is not None:
        table = f"@{{GREENERY_DATASET}}.{funnel.TABLE}"
        folder = funnel.MODEL
        made |= {
            f"{folder}.model.lkml": _greenery(),
            f"{folder}/{funnel.VIEW}.view.lkml": {
                "views": [render_view(funnel.LOOK, funnel.COLUMNS, funnel.KEY, table)]
            },
            f"{folder}/{funnel.EXPLORE.name}.explore.lkml": render_explore(funnel.EXPLORE, {}, folder),
        }
        boards[f"{folder}/{funnel.DASHBOARD.name}.dashboard.lookml"] = render_dashboard(funnel.DASHBOARD, funnel.MODEL)
    files = {path: _lookml(document) for path, document in made.items()}
    files |= {path: _yaml([board]) for path, board in boards.items()}
    files["README.md"] = _readme(place)
    return dict(sorted(files.items()))


def _lookml(document: LookML) -> str:
    import lkml

    return f"{lkml.dump(document)}\n".replace(f"project_name: {MODEL}\n", f'project_name: "{MODEL}"\n', 1)


def _yaml(document: object) -> str:
    import yaml

    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)


def _manifest(place: Place) -> LookML:
    given = {"CONNECTION": place.connection, "PROJECT": place.project, "DATASET": place.dataset}
    links = {"AIRFLOW_URL": place.airflow_url, "DBT_DOCS_URL": place.dbt_docs_url, "TRIAGE_URL": place.triage_url}
    if place.greenery is not None:
        links["GREENERY_DATASET"] = place.greenery
    return {
        "project_name": MODEL,
        "constants": [
            *({"name": name, "value": value, "export": "override_required"} for name, value in given.items()),
            *({"name": name, "value": value, "export": "override_optional"} for name, value in links.items()),
            {"name": fields.STATUS_HTML, "value": fields.status_html(), "export": "none"},
        ],
    }


def _model() -> LookML:
    trigger = "SELECT MAX(loaded_at) FROM `@{PROJECT}.@{DATASET}.invocations`"
    return {
        "connection": "@{CONNECTION}",
        "label": "dbt observability",
        "includes": [
            "/access_grants.lkml",
            "/explores/*.explore.lkml",
            "/dashboards/*.dashboard.lookml",
            "/tests/*.lkml",
        ],
        "datagroups": [
            {
                "name": "last_load",
                "label": "Last load",
                "description": "Changes when dbt-observe has loaded a dbt step.",
                "sql_trigger": trigger,
                "max_cache_age": "1 hour",
            }
        ],
        "persist_with": "last_load",
    }


def _greenery() -> LookML:
    files = [f"/{funnel.MODEL}/*.explore.lkml", f"/{funnel.MODEL}/*.dashboard.lookml"]
    return {"connection": "@{CONNECTION}", "label": "Greenery", "includes": files}


def _grant(name: str) -> LookML:
    return {"name": name, "user_attribute": name, "allowed_values": ["yes"]}


def look_path(question: Question) -> str:
    """The address of a question below Looker's own: it opens the explore, to be saved as a Look."""
    asked = [
        ("fields", ",".join(question.fields)),
        *((f"f[{name}]", value) for name, value in question.filters.items()),
        *([("sorts", ",".join(question.sorts))] if question.sorts else []),
        ("limit", str(question.limit)),
    ]
    return f"/explore/{MODEL}/{question.explore}?" + "&".join(f"{quote(k, '[]')}={quote(v, '')}" for k, v in asked)


def _look_line(look: Look) -> str:
    return f"- [{look.title}]({look_path(look.question)}): {look.description}"


_GRANTED = """Users whose attribute `{errors}` is `yes` see dbt's messages, those whose attribute `{sql}` is `yes` see
SQL, options and variables. Make both attributes before you validate."""


def _readme(place: Place) -> str:
    told = {"Connection": place.connection, "Dataset of the views": f"{place.project}.{place.dataset}"}
    parts = [
        "# dbt observability in Looker",
        "Written by `dbt-observe lookml`, and written anew by it: refine it (`view: +incidents`) in files of your own.",
        "\n".join(f"- {name}: `{value}`" for name, value in told.items()),
        "## Dashboards",
        "\n".join(f"- {board.title}: {board.description}" for board in DASHBOARDS),
        "## Explores",
        "\n".join(f"- {explore.label}: {explore.description}" for explore in EXPLORES),
        "## Looks to save and schedule",
        "Each opens an explore. Save it as a Look, and schedule that with *Send if: there are results*.",
        "\n".join(_look_line(look) for look in LOOKS),
        "## Who sees what",
        _GRANTED.format(errors=fields.ERROR_TEXT, sql=fields.COMPILED_SQL),
    ]
    return "\n\n".join(parts) + "\n"
