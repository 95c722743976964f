"""The page and the index as HTML: one file each, which asks no server for anything."""

import json
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING

from markupsafe import Markup

from observability.alerts.links import as_url, dag_run_url
from observability.alerts.message import duration, short_name
from observability.report.content import Page
from observability.report.lineage import HEIGHT, WIDTH
from observability.report.shelf import Entry
from observability.report.text import visible
from observability.version import __version__

if TYPE_CHECKING:
    from jinja2 import Environment, Template

_SHORT = 300
_NAME = 100


def render_page(page: Page, nonce: str | None = None) -> str:
    """One HTML document, the same for the same page and nonce.

    The nonce, by which the browser knows our style and script, is new each time, so that no text of dbt's can hold it:
    these are older than the page.
    """
    return page_template().render(
        page=page,
        about=json.dumps(asdict(entry_of(page)), ensure_ascii=False),
        sections=list(_sections(page)),
        facts=list(_facts(page)),
        dag_run_url=_dag_run(page),
        nonce=nonce or secrets.token_urlsafe(16),
        css=_verbatim("page.css"),
        js=_verbatim("page.js"),
        version=__version__,
    )


def page_template() -> "Template":
    """The page's template. To be read and compiled takes it longer than to be filled."""
    return _templates().get_template("page.html.j2")


def render_index(pages: Sequence[Entry], left_out: int, unread: int, nonce: str | None = None) -> str:
    """A document that lists pages of the same folder; of other runs, and files nobody looked into, it says how many."""
    return (
        _templates()
        .get_template("index.html.j2")
        .render(
            pages=pages,
            left_out=left_out,
            unread=unread,
            nonce=nonce or secrets.token_urlsafe(16),
            css=_verbatim("page.css"),
            version=__version__,
        )
    )


def entry_of(page: Page) -> Entry:
    """What the index says of a page."""
    dag, dag_run = page.run["dag_id"], page.run["dag_run_id"]
    step = page.steps[-1]["step"] if page.steps else ""
    key = str(page.run["pipeline_run_id"])
    return Entry(
        file=f"{page.invocation_id}.html",
        verdict=page.verdict.text,
        tone=page.verdict.tone,
        project=_brief(str(page.run["project_name"] or "")),
        environment=_brief(str(page.run["environment"])),
        run=_brief(f"{dag}/{dag_run}" if dag and dag_run else str(dag_run or step)),
        started_at=f"{page.run['started_at']:%Y-%m-%d %H:%M} UTC",
        as_of=f"{page.as_of:%Y-%m-%d %H:%M:%S} UTC",
        pipeline_run=key if len(key) <= _NAME else sha256(key.encode("utf-8", "replace")).hexdigest(),
    )


def _brief(text: str) -> str:
    """A text that is short, however escaped it is: all that the index says stands at the beginning of a page."""
    said = visible(text)
    return said if len(said) <= _NAME else f"{said[: _NAME - 1]}…"


def _sections(page: Page) -> Iterator[tuple[str, str, int | None]]:
    """The sections that there are: anchor, label, and how many things are in it."""
    counted = (
        ("causes", "Causes", len(page.causes) + len(page.more_causes)),
        ("exposures", "Exposures at risk", len(page.exposures) + len(page.more_exposures)),
        ("warnings", "Warnings", len(page.warnings) + len(page.more_warnings)),
        ("well-again", "Over", len(page.well_again) + len(page.more_well_again)),
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


def _facts(page: Page) -> Iterator[tuple[str, str, str | None]]:
    """What the run is: label, text, and a URL where it has one."""
    run = page.run
    versions = {f"{step['dbt_version']} ({step['adapter_type']})" for step in page.steps if step["dbt_version"]}
    commit = " on ".join(filter(None, ((run["git_sha"] or "")[:12], run["git_branch"])))
    logical = run["logical_date"]
    nodes = ", ".join(
        f"{run[f'nodes_{outcome}']:,} {word}"
        for outcome, word in (("ok", "ok"), ("warning", "warned"), ("failure", "failed"), ("skipped", "skipped"),
                              ("unknown", "with a status that is not known"))
        if run[f"nodes_{outcome}"]
    )  # fmt: skip
    facts = (
        ("Project", run["project_name"], None),
        ("Environment", run["environment"], None),
        ("DAG", run["dag_id"], None),
        ("DAG run", run["dag_run_id"], _dag_run(page)),
        ("Logical date", f"{logical:%Y-%m-%d %H:%M} UTC" if logical else None, None),
        ("Nodes", nodes, None),
        ("dbt", ", ".join(sorted(versions)), None),
        ("Commit", commit, None),
        ("Loader", "; ".join(warning for step in page.steps for warning in step["warnings"] or ()), None),
    )
    yield from ((label, str(text), url) for label, text, url in facts if text)


def _dag_run(page: Page) -> str | None:
    return next((url for step in page.steps if (url := as_url(dag_run_url(step["log_url"])))), None)


@cache
def _templates() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("observability.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"box_width": WIDTH, "box_height": HEIGHT}
    made.filters |= {
        "seconds": _seconds,
        "words": _words,
        "short": _shortened,
        "web": as_url,
        "mail": _mail,
        "node": short_name,
    }
    return made


def _finalized(value: object) -> object:
    """Every value that a template puts out: texts of others' with nothing hidden in them."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _mail(text: str | None) -> str | None:
    """An address as a URL; None for what is none."""
    return f"mailto:{text}" if text and _ADDRESS.fullmatch(text) else None


_ADDRESS = re.compile(r"[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{1,200}")


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
