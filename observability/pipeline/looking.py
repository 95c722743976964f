"""The LookML project: written into a folder, and checked, against a store too where one is asked."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from observability.config import Settings
from observability.errors import ConfigError
from observability.looker.check import Problem, check_project, known_tables, open_project
from observability.looker.check.answers import check_answers
from observability.looker.project import PLACEHOLDER, Place, build_project
from observability.looker.writing import Written, write_files
from observability.stores.base import open_store

_ALLOWED = {
    "--connection": re.compile(r"[A-Za-z0-9_\-]{1,200}"),
    "--project": re.compile(r"[a-z0-9][a-z0-9.:\-]{0,100}"),
    "--dataset": re.compile(r"[A-Za-z0-9_]{1,1024}"),
    "--greenery-dataset": re.compile(r"[A-Za-z0-9_]{1,1024}"),
}
_URL = re.compile(r"https?://[^\s\"'<>{}\\]{1,500}")


@dataclass(frozen=True)
class Checked:
    """What was found: problems by place, how many files were read, and how many fields a store was asked for."""

    problems: Sequence[Problem]
    files: int
    fields_asked: int | None = None


def lookml_place(store: str, *, project: str | None, dataset: str | None, **given: Any) -> Place:
    """Where Looker finds the rows: as said, else where a BigQuery store has them, else placeholders."""
    parts = urlsplit(store)
    named = (parts.netloc, parts.path.strip("/")) if parts.scheme == "bigquery" else (PLACEHOLDER, "dbt_audit")
    return Place(project=project or named[0], dataset=dataset or named[1], **given)


def write_lookml(place: Place, folder: Path) -> Written:
    """Write the project into a folder. Raises ConfigError for names that are none, and where files are in the way."""
    given = {
        "--connection": place.connection,
        "--project": place.project,
        "--dataset": place.dataset,
        "--greenery-dataset": place.greenery or "greenery",
    }
    for option, text in given.items():
        if not _ALLOWED[option].fullmatch(text):
            raise ConfigError(
                f"{text!r} is no name", where=option, next_step=f"it has to match {_ALLOWED[option].pattern}"
            )
    links = {"--airflow-url": place.airflow_url, "--dbt-docs-url": place.dbt_docs_url, "--triage-url": place.triage_url}
    for option, text in links.items():
        if text and not _URL.fullmatch(text):
            raise ConfigError(f"{text!r} is no URL", where=option, next_step="begin it with https://")
    return write_files(build_project(place), folder)


def check_lookml(folder: Path, settings: Settings | None = None) -> Checked:
    """Check a project; with settings, against the rows of their store. Raises ConfigError, StoreError."""
    project = open_project(folder)
    problems = check_project(project)
    files = len(project.source.files) + len(project.source.dashboards)
    if settings is None or project.source.problems:
        return Checked(problems, files)
    with open_store(settings).reading() as reader:
        asked = check_answers(project, reader, known_tables())
    return Checked(sorted(set(project.problems)), files, asked)
