"""A story: dbt steps one after another, stored in one of the engines, and what a view then says of them.

Each question is also asked of a store that got the same loads in another order: the answer must be the same.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from factories import run_results, sources, write_step
from recorded import OPTIONS, Case, load
from shop import MORNING, shop
from uuid_utils import uuid7

from observability.artifacts.step import Step
from observability.artifacts.step import write_step as write_observed
from observability.audit.build import Load
from observability.audit.views import as_of, find_view
from observability.stores.base import Store, commit


class Engine(Protocol):
    """Something that stores loads and answers questions."""

    reorders: bool

    def ask(self, loads: Sequence[Load], sql: str, now: datetime | None) -> list[dict[str, Any]]:
        """The rows of a query over the views, given these loads, as of a moment or by the clock."""


@dataclass
class StoreEngine:
    """A store of ours; a new one for each order of loads."""

    new_store: Callable[[], Store]
    reorders: bool = False
    """Whether each question is also asked of the loads in another order; each store is then a store of its own."""
    _stores: dict[tuple[str, ...], Store] = field(default_factory=dict)

    def ask(self, loads: Sequence[Load], sql: str, now: datetime | None) -> list[dict[str, Any]]:
        """Commit the loads where these were not yet, and ask."""
        ids = tuple(load.load_id for load in loads)
        if ids not in self._stores:
            if not self.reorders:
                self._stores.clear()
            store = self.new_store()
            # each time as new attempts: a load's jobs have ids made of its own, which BigQuery never forgets
            attempts = [replace(load, load_id=str(uuid7())) for load in loads]
            commit(store, attempts)
            self._stores[ids] = store
        question = as_of(sql) if now else sql
        parameters = {"now": now} if "@now" in question else None
        rows: list[dict[str, Any]] = self._stores[ids].query(question, parameters).to_pylist()
        return rows


@dataclass
class Story:
    """dbt steps, five minutes apart, from a morning on."""

    folder: Path
    engine: Engine
    minutes: int = 0
    loads: list[Load] = field(default_factory=list)

    def step(
        self,
        command: str,
        *results: dict[str, Any],
        dag_run: str | None = None,
        graph: dict[str, Any] | None = None,
        after: timedelta = timedelta(minutes=5),
        **given: Any,
    ) -> str:
        """Store the next step, some time after the last one; its invocation_id."""
        self.minutes += int(after.total_seconds() // 60)
        start = MORNING + timedelta(minutes=self.minutes)
        stamp: dict[str, Any] = {
            "invocation_id": f"00000000-0000-4000-8000-{len(self.loads) + 1:012}",
            "invocation_started_at": start.isoformat(),
            "generated_at": (start + timedelta(minutes=1)).isoformat(),
        }
        document = graph or shop()
        document["metadata"] |= stamp
        args = given.pop("args", {})
        artifacts = {} if given.pop("no_manifest", False) else {"manifest": document}
        if command.startswith("source freshness"):
            results = tuple(one | {"snapshotted_at": start.isoformat()} for one in results)
            artifacts["sources"] = sources(*results, **stamp)
        elif not given.pop("nothing", False):
            for one in results:
                one["timing"] = [
                    {"name": "execute", "started_at": start.isoformat(), "completed_at": start.isoformat()}
                ]
            artifacts["run_results"] = run_results(*results, command=command, args=args, **stamp)
        folder = write_step(self.folder / f"step{len(self.loads)}", **artifacts)
        options = replace(
            OPTIONS, alertable=given.pop("alertable", True), environment=given.pop("environment", "default")
        )
        linkage: dict[str, Any] = {"dag_id": "daily", "dag_run_id": dag_run, "task_id": command} if dag_run else {}
        times = {"started_at": start, "completed_at": start + timedelta(minutes=1)}
        write_observed(Step(command=f"dbt {command}", **(times | linkage | given)), folder / "observe.json")
        self.loads.append(load(folder, options=options))
        return self.loads[-1].invocation.invocation_id

    def recorded(self, case: Case, **linkage: Any) -> str:
        """Store a recorded dbt run; its invocation_id."""
        step = Step(command=case.command, exit_code=case.exit_code, started_at=case.started_at, **linkage)
        self.loads.append(load(case.folder, step))
        return self.loads[-1].invocation.invocation_id

    @property
    def now(self) -> datetime:
        """Two minutes after the last step began."""
        return MORNING + timedelta(minutes=self.minutes + 2)

    def ask(self, sql: str, *, now: datetime | None = None) -> list[dict[str, Any]]:
        """The rows of a query over `{main}.…` as of a moment; the same whatever the order of loading.

        Without a moment the views are asked as they are stored: by the clock, which is long after the story. Where a
        retry may still come it is two minutes after the last step began.
        """
        moment = now or (self.now if any(load.invocation.will_retry for load in self.loads) else None)
        answer = self.engine.ask(self.loads, sql, moment)
        if len(self.loads) > 1 and self.engine.reorders:
            shuffled = random.Random(len(self.loads)).sample(self.loads, len(self.loads))
            other = shuffled if shuffled != self.loads else self.loads[::-1]
            again = self.engine.ask(other, sql, moment)
            assert sorted(again, key=repr) == sorted(answer, key=repr), "another order of loading, another answer"
        return answer

    def rows(self, view: str, columns: str, *, where: str = "TRUE", now: datetime | None = None) -> list[Any]:
        """Some columns of a view's rows, sorted by them; one that is alone comes without a tuple around it."""
        names = [name.strip() for name in columns.split(",")]
        key = find_view(view).key
        selected = ", ".join(f"v.{name}" for name in dict.fromkeys((*names, *key)))
        answer = self.ask(f"SELECT {selected} FROM {{main}}.{view} AS v WHERE {where}", now=now)
        keys = [tuple(row[name] for name in key) for row in answer]
        assert len(keys) == len(set(keys)), f"{view} fans out"
        found = sorted((tuple(row[name] for name in names) for row in answer), key=repr)
        return found if len(names) > 1 else [row[0] for row in found]
