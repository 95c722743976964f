"""Tasks that load what dbt steps left, and tell what is new. Their own faults change nothing but their logs."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import BaseHook, BaseOperator
from airflow.sdk.exceptions import AirflowException

from observability.airflow.places import airflow_home, at, home_path, is_remote, local_root, root_of, step_folder

if TYPE_CHECKING:
    from airflow.sdk import Context

    from observability.config import Settings
    from observability.stores.base import Store

_STOPPING_SECONDS = 20.0
"""A task that is marked by hand is stopped at its next heartbeat, and dbt then writes down what it has finished."""


class _ObserveOperator(BaseOperator):
    """What loaders and the tick have in common: settings, connections, and whose faults count.

    Settings are read from dbt_observe.toml in Airflow's home, to which relative paths are relative too.
    """

    template_fields: Sequence[str] = ("store", "environment", "slack_channel", "gcp_conn_id", "slack_conn_id")
    ui_color = "#dff1f0"

    def __init__(
        self,
        *,
        store: str | None = None,
        environment: str | None = None,
        gcp_conn_id: str | None = None,
        slack_conn_id: str | None = None,
        slack_channel: str | None = None,
        fail_on_error: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.store = store
        self.environment = environment
        self.gcp_conn_id = gcp_conn_id
        self.slack_conn_id = slack_conn_id
        self.slack_channel = slack_channel
        self.fail_on_error = fail_on_error

    @contextmanager
    def _guarded(self) -> Iterator[list[str]]:
        """Collect what went wrong: it is logged, and fails the task where that is asked for."""
        problems: list[str] = []
        try:
            yield problems
        except Exception as error:  # noqa: BLE001 - the border where our own faults must not become the DAG's
            problems.append(str(error))
        for problem in problems:
            self.log.error("%s", problem)
        if problems and self.fail_on_error:
            raise AirflowException(problems[0])

    def _settings(self, problems: list[str]) -> "Settings":
        from observability.config import load_settings

        slack: dict[str, object] = {"channel": self.slack_channel}
        if self.slack_conn_id:
            slack["token"] = self._token(self.slack_conn_id, problems)
        home = airflow_home()
        settings = load_settings(home, store=self.store, environment=self.environment, slack=slack)
        # a worker's current directory is nobody's choice
        store = re.sub(r"^duckdb:///(?!/)", f"duckdb:///{quote(str(home))}/", settings.store)
        pages = settings.report
        if pages.to and not is_remote(pages.to):
            pages = pages.model_copy(update={"to": home_path(pages.to)})
        spool = Path(home_path(settings.spool_dir))
        return settings.model_copy(update={"store": store, "spool_dir": spool, "report": pages})

    @staticmethod
    def _token(conn_id: str, problems: list[str]) -> str | None:
        """The bot token of a connection; that there is none is a problem, and keeps nothing from being loaded."""
        try:
            token: str | None = BaseHook.get_connection(conn_id).password
        except Exception as error:  # noqa: BLE001 - every secrets backend has errors of its own
            problems.append(f"the connection {conn_id} for Slack cannot be used: {error}")
            return None
        if not token:
            problems.append(f"the connection {conn_id} for Slack has no password: put the bot token (xoxb-…) there")
        return token or None

    def _store(self, settings: "Settings") -> "Store | None":
        """The store over Airflow's connection; None where the settings' own way is taken."""
        if not self.gcp_conn_id or not settings.store.startswith("bigquery://"):
            return None
        from airflow.providers.google.cloud.hooks.bigquery import BigQueryHook

        from observability.stores.base import open_store
        from observability.stores.bigquery import BigQueryStore

        named = open_store(settings)
        assert isinstance(named, BigQueryStore)  # noqa: S101 - by its URL
        hook = BigQueryHook(gcp_conn_id=self.gcp_conn_id, use_legacy_sql=False, location=named.location)
        client = hook.get_client(project_id=hook.project_id or named.project, location=named.location)
        return replace(named, client=client)

    def _alert(self, settings: "Settings", store: "Store | None", problems: list[str]) -> None:
        """Tell what is new; that nobody is configured to be told, or nothing was stored yet, is no fault."""
        if not (settings.slack.token or settings.slack.webhook_url):
            return
        from observability.errors import ObserveError
        from observability.pipeline.alerting import alert
        from observability.stores.base import open_store

        if not (store or open_store(settings)).exists:
            return
        try:
            telling = alert(settings, store=store)
        except ObserveError as error:
            problems.append(str(error))
            return
        self.log.info("told in Slack: %d, left for the next time: %d", telling.done, telling.left)
        problems += telling.problems


class ObserveDbtOperator(_ObserveOperator):
    """Load every attempt of some dbt steps of this DAG run, and tell what is new.

    Made to be the teardown of its steps: it runs whatever became of them, and once more when they are cleared.

    step_task_ids: the tasks whose files are loaded: all their attempts and map indexes, each once however often.
    artifacts_root, artifacts_conn_id: as the steps have them.
    store: URL of the audit store, else that of the settings; gcp_conn_id: Airflow's connection for BigQuery.
    alert: whether what is new is told in Slack; slack_conn_id: a connection whose password is the bot token.
    fail_on_error: a fault of ours fails this task; without it, it is logged, and what could not be stored is kept.
    """

    template_fields: Sequence[str] = (
        *_ObserveOperator.template_fields,
        "step_task_ids",
        "artifacts_root",
        "artifacts_conn_id",
    )

    def __init__(
        self,
        *,
        step_task_ids: Sequence[str],
        artifacts_root: str | None = None,
        artifacts_conn_id: str | None = None,
        alert: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.step_task_ids = step_task_ids
        self.artifacts_root = artifacts_root
        self.artifacts_conn_id = artifacts_conn_id
        self.alert = alert

    def as_teardown(self, *, setups: Any = None, on_failure_fail_dagrun: bool | None = None) -> Any:
        """As Airflow's; but one that fails because `fail_on_error` asks it to makes the run red."""
        fails = self.fail_on_error if on_failure_fail_dagrun is None else on_failure_fail_dagrun
        return super().as_teardown(setups=setups, on_failure_fail_dagrun=fails)

    def execute(self, context: "Context") -> dict[str, int]:
        """Load and tell; how many steps were loaded, unchanged or kept aside."""
        counts: dict[str, int] = {}
        with self._guarded() as problems:
            settings = self._settings(problems)
            store = self._store(settings)
            self._load(context, settings, store, counts, problems)
            if self.alert:
                self._alert(settings, store, problems)
        return counts

    def _load(
        self,
        context: "Context",
        settings: "Settings",
        store: "Store | None",
        counts: dict[str, int],
        problems: list[str],
    ) -> None:
        from observability.pipeline.ingestion import ingest
        from observability.pipeline.reporting import report_after

        folders = self._folders(context["ti"])
        self._wait_for_the_end([one for one in folders if not is_remote(one)])
        left = [at(one, self.artifacts_conn_id) for one in folders if is_remote(one) or _holds_files(one)]
        if not left:
            self.log.warning("no step has left anything: looked in %s", ", ".join(folders))
            return
        report = ingest(left, settings, store=store)
        problems += map(str, report.errors)
        for load in report.loads:
            counts[load.status.value] = counts.get(load.status.value, 0) + 1
            self.log.info("%s %s %s: %s", load.status.value, load.command, load.outcome, load.folder)
            for warning in load.warnings:
                self.log.warning("%s", warning)
        problems += report_after(settings, report, store)

    def _wait_for_the_end(self, folders: Sequence[str]) -> None:
        """Airflow starts a teardown when a task was marked, not when it has ended."""
        until = time.monotonic() + _STOPPING_SECONDS
        while any(map(_is_stopping, folders)) and time.monotonic() < until:
            time.sleep(0.5)

    def _folders(self, ti: Any) -> list[str]:
        """Where attempts of the steps may lie: also where they stayed on this machine because of a failed upload.

        A loader in a mapped task group is its own index's: the steps of another may still run. One that is mapped by
        itself has steps that are not.
        """
        root = root_of(self.artifacts_root)
        roots = (root, local_root()) if is_remote(root) else (root,)
        indexes = (ti.map_index, -1) if ti.map_index >= 0 else (None,)
        return [
            step_folder(one, ti.dag_id, ti.run_id, task_id, index)
            for one in roots
            for task_id in self.step_task_ids
            for index in indexes
        ]


def _is_stopping(folder: str) -> bool:
    """Whether the last try below a folder has begun and not said that it ended for good."""
    from observability.artifacts.step import FILE_NAME, read_step
    from observability.errors import ObserveError

    try:
        last = max(Path(folder).rglob(FILE_NAME), key=lambda path: path.stat().st_mtime, default=None)
        step = read_step(last) if last else None
    except (ObserveError, OSError):  # whoever reads it in earnest tells it
        return False
    return step is not None and step.started_at is not None and (step.completed_at is None or step.will_retry)


def _holds_files(folder: str) -> bool:
    """Whether a folder of this machine's holds files; one whose files were uploaded may still be there."""
    return any(path.is_file() for path in Path(folder).rglob("*"))


class ObserveTickOperator(_ObserveOperator):
    """What no step announces: a retry that never came, a step that is overdue, loads that were kept aside."""

    def execute(self, context: "Context") -> None:  # noqa: ARG002 - it is the same for every run
        """Store what was kept aside, and tell what is new."""
        with self._guarded() as problems:
            from observability.pipeline.storing import replay
            from observability.stores.base import open_store

            settings = self._settings(problems)
            store = self._store(settings) or open_store(settings)
            kept = replay(settings, store)
            self.log.info("stored of what was kept aside: %d, left: %d", kept.stored, kept.left)
            problems.extend(map(str, kept.errors))
            self._alert(settings, store, problems)
