"""What docs/bigquery.md says that each command needs, held against the requests that the commands make."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from emulator import PROJECT, Emulator
from factories import result, run_results, write_step
from fake_slack import FakeSlack
from google.auth.transport.requests import AuthorizedSession
from pydantic import SecretStr
from shop import A, B, C, passed, shop

from observability.alerts.actions import Action
from observability.alerts.checks import State
from observability.artifacts.step import Step
from observability.config import Settings, SlackSettings
from observability.pipeline.alerting import alert, rehearse
from observability.pipeline.attending import Deed, act, explain_route, list_incidents
from observability.pipeline.checking import doctor
from observability.pipeline.ingestion import ingest
from observability.pipeline.questions import current_status, query_view
from observability.pipeline.storing import init_store, prune

PAGE = Path(__file__).parents[2] / "docs" / "bigquery.md"
DATASET = "permitted"
PLACES = ("project", f"{DATASET}_raw", DATASET)
Needed = set[tuple[str, str]]
"""Permissions, each with where it is needed."""


@pytest.fixture
def asked(bigquery_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Needed]:
    """What the requests of the commands need. The answer to the first upload is lost."""
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery_emulator.url)
    needed: Needed = set()
    lost = iter([True])
    send: Any = AuthorizedSession.request

    def request(session: Any, method: str, url: str, data: Any = None, *args: Any, **kwargs: Any) -> Any:
        path = re.sub(r"\?.*", "", url).split(f"/projects/{PROJECT}/")[-1]
        needed.update(permissions(method, path, data))
        answer = send(session, method, url, data, *args, **kwargs)
        if method == "PUT" and next(lost, False):
            raise requests.exceptions.ConnectionError("the answer is lost")
        return answer

    monkeypatch.setattr(AuthorizedSession, "request", request)
    yield needed
    client = bigquery_emulator.client()
    for dataset in PLACES[1:]:
        client.delete_dataset(dataset, delete_contents=True, not_found_ok=True)


def permissions(method: str, path: str, data: Any) -> Needed:
    """Google's permissions for one request."""
    if method == "PUT":
        return set()  # the rest of a load job that was begun
    body = json.loads(data) if isinstance(data, str | bytes) and data[:1] in {"{", b"{"} else {}
    kind, _, rest = path.partition("/")
    if kind in {"queries", "jobs"}:
        return set() if method == "GET" else {("bigquery.jobs.create", "project"), *_job(body)}
    dataset, _, table = rest.partition("/")
    if table:
        return _table(method, path, dataset, body)
    reading, changing = {"bigquery.datasets.get", "bigquery.datasets.getIamPolicy"}, {"bigquery.datasets.update"}
    if method == "POST":
        return {("bigquery.datasets.create", "project")}
    if "access" in body:
        changing |= {"bigquery.datasets.setIamPolicy"}
    return {(one, dataset) for one in (reading if method == "GET" else changing)}


def _table(method: str, path: str, dataset: str, body: Any) -> Needed:
    if path.endswith("/insertAll"):
        return {("bigquery.tables.updateData", dataset)}
    verb = {"GET": "get", "POST": "create", "PATCH": "update"}[method]
    return {(f"bigquery.tables.{verb}", dataset), *_read(body.get("view", {}).get("query", ""))}


def _job(body: Any) -> Needed:
    load = body.get("configuration", {}).get("load")
    if load:
        return {("bigquery.tables.updateData", load["destinationTable"]["datasetId"])}
    query = body["query"] if "query" in body else body["configuration"]["query"]["query"]
    if query.lstrip().startswith("SELECT") or query.lstrip().startswith("WITH"):
        return _read(query)
    changed = re.findall(rf"DELETE FROM `{PROJECT}`\.`(\w+)`", query)
    return {*_read(query), *(("bigquery.tables.updateData", dataset) for dataset in changed)}


def _read(query: str) -> Needed:
    return {("bigquery.tables.getData", dataset) for dataset in re.findall(rf"`{PROJECT}`\.`(\w+)`", query)}


def told(commands: str) -> Needed:
    """What the page says that these commands need."""
    row = re.search(rf"^\| {re.escape(commands)} \|(.*)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert row, f"docs/bigquery.md has no row for {commands}"
    cells = zip(PLACES, row[1].split("|"), strict=True)
    return {(f"bigquery.{one}", place) for place, cell in cells for one in re.findall(r"`(\w+\.\w+)`", cell)}


def test_each_command_needs_the_permissions_that_the_page_tells(
    asked: Needed, bigquery_emulator: Emulator, tmp_path: Path
) -> None:
    settings = Settings(store=f"bigquery://{PROJECT}/{DATASET}", spool_dir=tmp_path / "spool", store_timeout_seconds=20)
    now = datetime.now(UTC)
    write_step(
        tmp_path / "step",
        manifest=shop(),
        run_results=run_results(result(A, "error"), *passed(B), result(C, "skipped")),
    )

    init_store(settings)
    later = set(asked)
    client = bigquery_emulator.client()
    client.query_and_wait(f"ALTER TABLE {DATASET}_raw.run_results DROP COLUMN slot_ms")
    asked.clear()
    assert init_store(settings) == ["add to table run_results: slot_ms"]
    assert asked | later == told("`init`")

    asked.clear()
    report = ingest([tmp_path / "step"], settings, step=Step(exit_code=1))
    assert (len(report.loads), report.errors) == (1, ())
    assert asked == told("`ingest`, `run`, `replay`")

    asked.clear()
    current_status(settings)
    assert len(rehearse(settings)) == len(list_incidents(settings, days=7)) == len(explain_route(settings, A)) == 1
    assert query_view(settings, "run_results").table.num_rows == 3
    assert asked == told("`status`, `query`, `incidents`, `route`, `alert --dry-run`")

    asked.clear()
    with FakeSlack("alerts") as slack:
        channel = slack.channels["alerts"].id
        to = SlackSettings(token=SecretStr(slack.token), channel=channel, base_url=slack.url)
        assert alert(settings.model_copy(update={"slack": to})).done == 1
        act(settings, A, Deed(action=Action.ACK, acted_by="ann"))
    assert asked == told("`alert`, `digest`, `resend`, `ack`, `snooze`, `unsnooze`, `resolve`")

    asked.clear()
    assert {one.state for one in doctor(settings) if one.name in {"store", "reading", "writing"}} == {State.OK}
    assert asked == told("`doctor`")

    asked.clear()
    prune(settings, now + timedelta(days=3), 9_999)
    assert asked == told("`prune`")
