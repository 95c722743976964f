"""The triage page: what is asked of the store for it, and where it is put."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import nlargest
from typing import TYPE_CHECKING, Any

from observability.config import Settings
from observability.errors import ConfigError, ObserveError
from observability.pipeline.questions import NEVER, ask, incidents_of, query, states_parameters
from observability.stores.base import Reader, Store, open_store

if TYPE_CHECKING:
    import pyarrow as pa

    from observability.alerts.incidents import Incident
    from observability.alerts.links import Links
    from observability.pipeline.ingestion import IngestReport
    from observability.report.content import Page
    from observability.report.lineage import Parents
    from observability.report.shelf import Shelf

_ROWS_OF_EVIDENCE = 100
"""Nodes whose compiled SQL the page has."""
_PAGES_AT_ONCE = 20
"""Pages that a load writes."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which pipeline run a page is of: the newest one where nothing is said."""

    invocation: str = ""
    """An invocation's id, or its beginning."""
    dag_run: str = ""
    """A DAG run's id, with its DAG's (`dag_id/dag_run_id`) or without."""
    environment: str = ""


@dataclass(frozen=True)
class WrittenPage:
    """A page, and where it is."""

    page: "Page"
    places: tuple[str, ...]
    size: int
    """Bytes."""


def write_report(
    settings: Settings,
    wanted: Wanted,
    *,
    out: str | None = None,
    index: str | None = None,
    now: datetime | None = None,
) -> WrittenPage:
    """Write the page of a pipeline run: to the path or URI `out`, and to `index` as a page of that folder.

    Raises ConfigError where no such run is stored, StoreError, and ReportError where it cannot be written.
    """
    from observability.report.render import render_index, render_page
    from observability.report.shelf import Shelf, put_file

    links = _links(settings)
    with open_store(settings).reading() as reader:
        asking = _Asking(reader, settings, now)
        page = asking.page(asking.target(wanted), links)
    text = render_page(page)
    places = [put_file(out, text)] if out else []
    if index:
        shelf = Shelf(index)
        places.append(shelf.put(f"{page.invocation_id}.html", text))
        shelf.put_index(render_index)
    return WrittenPage(page, tuple(places), len(text.encode("utf-8", "replace")))


def report_after(settings: Settings, report: "IngestReport", store: Store | None = None) -> list[str]:
    """Write the pages of what was just loaded, where settings ask for it: what went wrong, in texts.

    No fault of it may spoil the load, nor one page the others. Of many runs the newest get their page, and of the
    others it is told how to write them.
    """
    from observability.pipeline.ingestion import LoadStatus

    loaded = [one.invocation_id for one in report.loads if one.status is LoadStatus.LOADED and one.invocation_id]
    if not (settings.report.to and loaded):
        return []
    from observability.report.render import render_index
    from observability.report.shelf import Shelf

    missing = _Missing(settings.report.to)
    with missing.noted():
        shelf = Shelf(settings.report.to)
        with missing.noted():
            _write_pages(settings, shelf, loaded, store or open_store(settings), missing)
        shelf.put_index(render_index)
    return missing.texts


class _Missing:
    """The pages that could not be written: why, and the command that writes them."""

    def __init__(self, to: str) -> None:
        self._again = f"dbt-observe report --index {to}"
        self._found: dict[str, tuple[str, list[str]]] = {}

    @contextmanager
    def noted(self) -> Iterator[None]:
        """What goes wrong in here is noted, and no more."""
        try:
            yield
        except KeyboardInterrupt:
            self.add("writing the triage pages was interrupted")
        except Exception as error:  # noqa: BLE001 - the border where the load is done already
            self.add(error)

    def add(self, why: object, invocations: Sequence[str] = ()) -> None:
        """Some pages; those that are missing for the same reason are told of together."""
        reason = why.what if isinstance(why, ObserveError) else str(why)
        self._found.setdefault(reason, (str(why), []))[1].extend(invocations)

    @property
    def texts(self) -> list[str]:
        return [f"{said}\n  next:  {self._next(invocations)}" for said, invocations in self._found.values()]

    def _next(self, invocations: Sequence[str]) -> str:
        if len(invocations) < 2:
            return f"write it with: {' --invocation '.join([self._again, *invocations])}"
        more = len(invocations) - _PAGES_AT_ONCE
        others = f" and {more:,} more, which dbt-observe query invocations lists" if more > 0 else ""
        named = ", ".join(invocations[:_PAGES_AT_ONCE])
        return f"write each with: {self._again} --invocation ID, where ID is one of {named}{others}"


def _write_pages(
    settings: Settings, shelf: "Shelf", invocations: Sequence[str], store: Store, missing: _Missing
) -> None:
    """The pages of the pipeline runs of these invocations, anew.

    A page lies under the run's last invocation, and under each that messages link for what is told on it.
    """
    from observability.report.render import render_page

    links = _links(settings)
    with store.reading() as reader:
        targets = _Asking(reader, settings, None).targets_of(invocations)
    for target in targets[:_PAGES_AT_ONCE]:
        try:
            with store.reading() as reader:  # no longer than needed: nobody can load meanwhile
                page = _Asking(reader, settings, None).page(target, links)
            text = render_page(page)
            for invocation in sorted({page.invocation_id, *page.linked}):
                shelf.put(f"{invocation}.html", text)
        except Exception as error:  # noqa: BLE001 - the others are written all the same
            missing.add(error, [target["invocation_id"]])
    if left_out := [target["invocation_id"] for target in targets[_PAGES_AT_ONCE:]]:
        missing.add(f"of {len(targets):,} runs the newest {_PAGES_AT_ONCE} have their page", left_out)


def _links(settings: Settings) -> "Links":
    from observability.alerts.links import Links

    links = Links(settings.slack.links)
    links.check()
    return links


class _Asking:
    """Asks one store, all as of one moment."""

    def __init__(self, reader: Reader, settings: Settings, now: datetime | None) -> None:
        self._reader, self._settings, self._now = reader, settings, now
        self._at = now or datetime.now(UTC)

    def _ask(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        return ask(self._reader, sql, self._now, {name: _typed(value) for name, value in parameters.items()})

    def page(self, target: dict[str, Any], links: "Links") -> "Page":
        """The page of the run that a row of RUNS names. Raises StoreError."""
        with ThreadPoolExecutor(1) as beside:  # what the store is waited for leaves a processor idle
            return self._page(target, links, beside)

    def _page(self, target: dict[str, Any], links: "Links", beside: Executor) -> "Page":
        from observability.alerts import queries
        from observability.report import questions
        from observability.report.content import Answers
        from observability.report.page import build_page, concerned, run_of, step_names
        from observability.report.render import page_template
        from observability.report.results import pack_results

        beside.submit(page_template)
        environment = target["environment"]
        states = self._ask(queries.STATES)
        steps = self._ask(questions.STEPS, run=target["pipeline_run_id"], environment=environment)
        project = target["project_name"] or _only_project(steps) or _only_project(states, environment)
        steps = [step for step in steps if (step["project_name"] or project) == project]
        days = sorted({step["run_date"] for step in steps})
        scope = {"invocations": [step["invocation_id"] for step in steps], "days": days}
        table = query(self._reader, questions.RESULTS, self._now, scope)
        results = beside.submit(pack_results, table, step_names(steps))
        ended = zip(
            *(table.column(name).to_pylist() for name in ("invocation_id", "unique_id", "outcome")), strict=True
        )
        run = {**run_of(target, steps, ended), "project_name": project or None}
        same = {
            "environment": environment,
            "project": project,
            "until": run["started_at"],
            "dag": target["dag_id"] or "",
            "step": "" if target["dag_id"] else target["step"],
        }
        earlier = self._ask(questions.EARLIER_RUNS, **same)
        (later,) = self._ask(questions.LATER, run=target["pipeline_run_id"], **same)
        since = run["started_at"]
        is_newest = not later["attempts"]
        told = self._ask(questions.INCIDENTS, since=since, until=NEVER if is_newest else run["completed_at"])
        current = [row for row in told if row["is_current"]]
        all_incidents = incidents_of(self._reader, self._settings, self._now, current, since=since)
        incidents = concerned(all_incidents, run, is_newest=is_newest)
        answers = Answers(
            as_of=self._at,
            target=target,
            run=run,
            steps=steps,
            incidents=incidents,
            slowest=_slowest(table),
            evidence=self._evidence(incidents, environment),
            past=told,
            earlier_runs=earlier,
            failed_in=self._failed_in(earlier, environment, project),
            seen=self._seen(incidents, earlier, environment),
            slower=self._ask(questions.SLOWER, **scope),
            flaky=self._ask(questions.FLAKY, environment=environment, project=project),
            freshness=self._ask(questions.FRESHNESS, environment=environment, project=project),
            parents=self._parents(incidents, [one for one in states if one["environment"] == environment]),
            results=results.result(),
        )
        return build_page(answers, links)

    def targets_of(self, invocations: Sequence[str]) -> list[dict[str, Any]]:
        """A row of RUNS for each pipeline run that these invocations are of."""
        from observability.report import questions

        return self._ask(questions.RUNS_OF, invocations=list(invocations))

    def target(self, wanted: Wanted) -> dict[str, Any]:
        """The row of RUNS that is wanted: where nothing is named, the newest one.

        Raises ConfigError where there is none, or more than one.
        """
        from observability.report import questions

        found = self._ask(
            questions.RUNS,
            invocation=wanted.invocation,
            dag_run=wanted.dag_run,
            environment=wanted.environment,
        )
        if not found:
            said = wanted.invocation or wanted.dag_run or wanted.environment
            raise ConfigError(
                f"no run of {said!r} is stored" if said else "no run is stored yet",
                where=self._settings.store,
                next_step="dbt-observe query pipeline_runs lists what is there"
                if said
                else "load one: dbt-observe run",
            )
        if wanted.invocation and len(found) > 1:
            some = ", ".join(row["invocation_id"] for row in found)
            raise ConfigError(
                f"several invocations begin with {wanted.invocation!r}: {some}",
                where="--invocation",
                next_step="write more of its id",
            )
        if wanted.dag_run and len({row["dag_id"] for row in found}) > 1:
            some = ", ".join(row["pipeline_run_id"] for row in found)
            raise ConfigError(
                f"several DAGs have a run {wanted.dag_run!r}: {some}",
                where="--dag-run",
                next_step="name it with its DAG, as they are written here",
            )
        if wanted.dag_run and len({row["environment"] for row in found}) > 1:
            some = ", ".join(sorted({row["environment"] for row in found}))
            raise ConfigError(
                f"several environments have a run {wanted.dag_run!r}: {some}",
                where="--dag-run",
                next_step="say which: --environment NAME",
            )
        projects = {row["project_name"]: row["invocation_id"] for row in found if row["project_name"]}
        if wanted.dag_run and len(projects) > 1:
            some = ", ".join(sorted(projects))
            which = " or ".join(f"--invocation {invocation} ({name})" for name, invocation in sorted(projects.items()))
            raise ConfigError(
                f"several projects have a part in the run {wanted.dag_run!r}, and a page each: {some}",
                where="--dag-run",
                next_step=f"name a step of one: {which}",
            )
        return found[0]

    def _evidence(self, incidents: "Sequence[Incident]", environment: str) -> list[dict[str, Any]]:
        """The SQL of what is told one by one; of what comes last only that there is some."""
        from observability.alerts.incidents import STEPS
        from observability.report import questions
        from observability.report.page import FINDINGS_SHOWN, told_in_full

        told = [one for one in told_in_full(incidents) if one.kind not in STEPS]
        failures = [failure for one in told for failure in one.failures[:FINDINGS_SHOWN]]
        if not failures:
            return []
        days = {failure.seen_at.date() for failure in failures}
        nodes = list(dict.fromkeys(failure.unique_id for failure in failures))
        return self._ask(
            questions.EVIDENCE,
            days=sorted(days | {day - timedelta(days=1) for day in days}),
            nodes=sorted(nodes),
            shown=sorted(nodes[:_ROWS_OF_EVIDENCE]),
            environment=environment,
        )

    def _failed_in(self, runs: Sequence[dict[str, Any]], environment: str, project: str) -> dict[str, int]:
        from observability.report import questions

        if not runs:
            return {}
        rows = self._ask(
            questions.FAILED_IN,
            runs=[run["pipeline_run_id"] for run in runs],
            environment=environment,
            project=project,
            since_day=min(run["started_at"] for run in runs).date(),
        )
        return {row["pipeline_run_id"]: row["nodes"] for row in rows}

    def _seen(
        self, incidents: "Sequence[Incident]", runs: Sequence[dict[str, Any]], environment: str
    ) -> list[dict[str, Any]]:
        from observability.report import questions
        from observability.report.page import grid_nodes

        nodes = grid_nodes([one for one in incidents if not one.state.is_over])
        if not nodes or not runs:
            return []
        return self._ask(
            questions.SEEN,
            runs=[run["pipeline_run_id"] for run in runs],
            nodes=nodes,
            environment=environment,
            since_day=min(run["started_at"] for run in runs).date(),
        )

    def _parents(self, incidents: "Sequence[Incident]", states: Sequence[dict[str, Any]]) -> "Parents":
        """What rests on what, where anybody is hurt."""
        from observability.report import questions

        if not states or not any(one.exposures for one in incidents):
            return {}
        rows = self._ask(questions.LINEAGE, **states_parameters(states))
        return {row["unique_id"]: row["depends_on"] or () for row in rows}


def _only_project(rows: Sequence[dict[str, Any]], environment: str | None = None) -> str:
    """The project of all rows that have one; empty where there are several, or none."""
    names = {row["project_name"] for row in rows if environment in {None, row["environment"]}} - {None}
    return str(names.pop()) if len(names) == 1 else ""


def _typed(value: object) -> object:
    """An array without an element has no type in DuckDB."""
    return value or [""] if isinstance(value, list) else value


def _slowest(table: "pa.Table") -> list[dict[str, Any]]:
    """The nodes that took longest."""
    times = table.column("execution_time").to_pylist()
    places = nlargest(15, (place for place, seconds in enumerate(times) if seconds), key=lambda place: times[place])
    shown = table.select(["unique_id", "name", "resource_type", "execution_time"])
    rows = [shown.slice(place, 1).to_pylist()[0] for place in places]
    return [{**row, "name": row["name"] or row["unique_id"]} for row in rows]
