"""Triage pages of small stories, as data and as files."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from factories import freshness, manifest, node, result, run_results, sources, write_step
from shop import MORNING, ORDERS, Shop

from observability.artifacts.step import Step
from observability.artifacts.step import write_step as write_observed
from observability.config import Settings
from observability.pipeline.reporting import Wanted, write_report
from observability.report.content import Page


def new_shop(folder: Path) -> Shop:
    """An audit store that steps are loaded into."""
    return Shop(folder, Settings(store=f"duckdb:///{folder}/audit.duckdb", spool_dir=folder / "spool"))


def page_of(told: Shop, file: Path | None = None, **wanted: Any) -> Page:
    """The page of a run, two minutes after the last step."""
    now = MORNING + timedelta(minutes=told.minutes + 2)
    out = file or told.folder / "page.html"
    return write_report(told.settings, Wanted(**wanted), out=str(out), now=now).page


def late() -> dict[str, Any]:
    """A freshness check that found orders three days old."""
    at = {"snapshotted_at": "2026-03-02T06:15:00+00:00", "max_loaded_at": "2026-02-27T06:15:00+00:00"}
    return freshness(ORDERS, "warn", max_loaded_at_time_ago_in_s=259_200.0, **at)


@dataclass
class Recent:
    """Folders of dbt steps of today, for commands that go by the clock."""

    folder: Path
    count: int = 0

    def step(
        self, *results: dict[str, Any], graph: dict[str, Any] | None = None, command: str = "run", **given: Any
    ) -> Path:
        """A step that ended an hour ago, or a minute later than the one before; its folder."""
        self.count += 1
        start = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1) + timedelta(minutes=self.count)
        stamp: dict[str, Any] = {
            "invocation_id": f"{self.count:08}-0000-4000-8000-000000000000",
            "invocation_started_at": start.isoformat(),
            "generated_at": (start + timedelta(seconds=30)).isoformat(),
        }
        for one in results:
            one["timing"] = [{"name": "execute", "started_at": start.isoformat(), "completed_at": start.isoformat()}]
        document = graph or manifest(node("model.shop.a"), node("model.shop.b", ["model.shop.a"]))
        document["metadata"] |= stamp
        artifacts = {"manifest": document}
        if command == "source freshness":
            artifacts["sources"] = sources(*results, **stamp)
        else:
            artifacts["run_results"] = run_results(*results, command=command, **stamp)
        folder = write_step(self.folder / f"step{self.count}", **artifacts)
        write_observed(Step(command=f"dbt {command}", **given), folder / "observe.json")
        return folder


def failed() -> list[dict[str, Any]]:
    """A run of a and b in which a fails."""
    return [
        result("model.shop.a", "error", message="Database Error in model a (models/a.sql)\n  no such column: x"),
        result("model.shop.b", "skipped"),
    ]
