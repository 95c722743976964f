"""The page and the index as HTML: one file each, which asks no server for anything."""

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup

from observability.alerts.links import as_url
from observability.alerts.message import duration, short_name
from observability.report.page import Page
from observability.report.shelf import Entry
from observability.version import __version__

if TYPE_CHECKING:
    from jinja2 import Environment

_SHORT = 300


def render_page(page: Page, nonce: str | None = None) -> str:
    """One HTML document. The nonce, by which the browser knows our style and script, is new each time."""
    return (
        _templates()
        .get_template("page.html.j2")
        .render(
            page=page,
            about=json.dumps(asdict(entry_of(page))),
            sections=list(_sections(page)),
            facts=list(_facts(page)),
            nonce=nonce or secrets.token_urlsafe(16),
            css=_verbatim("page.css"),
            js=_verbatim("page.js"),
            version=__version__,
        )
    )


def render_index(pages: Sequence[Entry], left_out: int, nonce: str | None = None) -> str:
    """A document that lists pages of the same folder."""
    return (
        _templates()
        .get_template("index.html.j2")
        .render(
            pages=pages,
            left_out=left_out,
            nonce=nonce or secrets.token_urlsafe(16),
            css=_verbatim("page.css"),
            version=__version__,
        )
    )


def entry_of(page: Page) -> Entry:
    """What the index says of a page."""
    return Entry(
        file=f"{page.invocation_id}.html",
        verdict=page.verdict.text,
        project=str(page.run.get("project_name") or ""),
        environment=str(page.run["environment"]),
        run=str(page.run["dag_run_id"] or (page.steps[-1]["step"] if page.steps else "")),
        started_at=f"{page.run['started_at']:%Y-%m-%d %H:%M} UTC",
    )


def _sections(page: Page) -> Iterator[tuple[str, str, int | None]]:
    """The sections that there are: anchor, label, and how many things are in it."""
    counted = (
        ("causes", "Causes", len(page.causes) + len(page.more_causes)),
        ("exposures", "Exposures at risk", len(page.exposures)),
        ("warnings", "Warnings", len(page.warnings) + len(page.more_warnings)),
        ("well-again", "Over", len(page.well_again)),
    )
    yield from ((anchor, label, count) for anchor, label, count in counted if count)
    yield "run", "This run", None
    if page.sources:
        yield "freshness", "Freshness", None
    if page.grid.runs:
        yield "runs", "Last runs", None
    if page.slower or page.slowest:
        yield "slow", "Slow", None
    if page.flaky:
        yield "flaky", "Flaky", len(page.flaky)
    yield "nodes", "All nodes", page.results.count


def _facts(page: Page) -> Iterator[tuple[str, str]]:
    run = page.run
    versions = {f"{step['dbt_version']} ({step['adapter_type']})" for step in page.steps if step["dbt_version"]}
    commit = " on ".join(filter(None, ((run.get("git_sha") or "")[:12], run.get("git_branch"))))
    logical = run.get("logical_date")
    facts = (
        ("Project", run.get("project_name")),
        ("Environment", run["environment"]),
        ("DAG", run["dag_id"]),
        ("DAG run", run["dag_run_id"]),
        ("Logical date", f"{logical:%Y-%m-%d %H:%M} UTC" if logical else None),
        ("dbt", ", ".join(sorted(versions))),
        ("Commit", commit),
        ("Nodes", f"{run['nodes_ok']:,} ok, {run['nodes_warning']:,} warned, {run['nodes_failure']:,} failed,"
         f" {run['nodes_skipped']:,} skipped" if run.get("nodes_ok") is not None else None),
        ("Loader", "; ".join(warning for step in page.steps for warning in step["warnings"] or ())),
    )  # fmt: skip
    yield from ((label, str(text)) for label, text in facts if text)


@cache
def _templates() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("observability.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"seconds": _seconds, "words": _words, "short": _shortened, "web": as_url, "node": short_name}
    return made


@cache
def _verbatim(name: str) -> Markup:
    from importlib.resources import files

    return Markup((files("observability.report") / "templates" / name).read_text(encoding="utf-8"))  # noqa: S704 - ours


def _seconds(value: float | None) -> str:
    """Seconds with a digit where they are few, else as people say it."""
    if value is None:
        return ""
    return f"{value:.1f} s" if value < 60 else duration(value)


def _words(text: str) -> str:
    return text.replace("_", " ")


def _shortened(text: str) -> str:
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}… ({len(text) - _SHORT:,} more characters)"
