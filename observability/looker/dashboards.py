"""The dashboards, and the questions that are worth saving as Looks: what Looker shows, and what it notifies of."""

from collections.abc import Mapping, Sequence

from observability.looker.declaration import Dashboard, DashboardFilter, Look, Question, Tile

_OUTCOME_COLOURS = {"failure": "#b42318", "interrupted": "#7a271a", "not_run": "#475467", "warning": "#dc9a2e",
                    "skipped": "#98a2b3", "success": "#1b6e3c", "ok": "#1b6e3c"}  # fmt: skip


def _fields(view: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{view}.{name}" for name in names)


def _by_outcome(measure: str) -> Mapping[str, object]:
    return {
        "stacking": "normal",
        "series_colors": {f"{outcome} - {measure}": colour for outcome, colour in _OUTCOME_COLOURS.items()},
        "show_view_names": False,
    }


def _project_filters(*explores: tuple[str, str]) -> tuple[DashboardFilter, ...]:
    """Filters by project and environment; `explores` are pairs of an explore and the view that has the two."""
    return tuple(
        DashboardFilter(title, {explore: f"{view}.{column}" for explore, view in explores})
        for title, column in (("Environment", "environment"), ("Project", "project_name"))
    )


def _number(title: str, question: Question, note: str) -> Tile:
    return Tile(title, "single_value", question, width=6, height=3, note=note)


def _alarm(title: str, question: Question, note: str) -> Tile:
    """A number that is to be 0, and is red where it is not."""
    red = {"type": "greater than", "value": 0, "background_color": "#b42318", "font_color": "#ffffff"}
    options = {"enable_conditional_formatting": True, "conditional_formatting": [red]}
    return Tile(title, "single_value", question, width=6, height=3, note=note, options=options)


_LAST_DAY = {"pipeline_runs.run_date": "2 days", "pipeline_runs.started_time": "24 hours"}
"""Not today's: a night's run may have begun before midnight. The date is the partition."""


def _table(title: str, question: Question, note: str = "", width: int = 24, height: int = 8) -> Tile:
    options = {"show_view_names": False, "show_row_numbers": False, "truncate_text": True, "size_to_fit": True}
    return Tile(title, "looker_grid", question, width, height, note, options)


OPEN_FAILURES = Question("incidents", ("incidents.open_failures",), {"incidents.state": "open"})
"""What an alert of Looker's watches: a single value, 0 on a good morning."""

_OPEN_INCIDENTS = Question(
    "incidents",
    _fields("incidents", "severity", "name", "kind", "message", "owner", "opened_time", "bad_runs", "subject",
            "log_url"),
    {"incidents.state": "open", "incidents.outcome": "failure"},
    ("incidents.severity", "incidents.opened_time desc"),
)  # fmt: skip
_CAUSES = Question(
    "incidents",
    _fields("incidents", "severity", "state", "name", "kind", "message", "owner", "opened_time", "closed_time",
            "bad_runs", "subject", "invocation_id", "log_url"),
    {"incidents.outcome": "failure"},
    ("incidents.severity", "incidents.opened_time desc"),
)  # fmt: skip
_EXPOSURES_AT_RISK = Question(
    "exposures_at_risk",
    _fields("exposure_impacts", "exposure_label", "exposure_name", "exposure_owner", "risk", "name", "message",
            "owner", "failed_time"),
    {"exposure_impacts.outcome": "failure", "exposure_impacts.is_root_cause": "yes"},
    ("exposure_impacts.exposure_name",),
)  # fmt: skip
_STALE_SOURCES = Question(
    "source_health",
    _fields("source_health", "source_name", "name", "health", "last_checked_time", "age_seconds", "tightest_seconds",
            "exposures", "owner"),
    {"source_health.health": "-healthy"},
    ("source_health.health",),
)  # fmt: skip
_RUNS_BY_DAY = Question(
    "pipeline_runs",
    ("pipeline_runs.run_date", "pipeline_runs.outcome", "pipeline_runs.count"),
    {"pipeline_runs.run_date": "14 days"},
    ("pipeline_runs.run_date desc", "pipeline_runs.outcome"),
    pivots=("pipeline_runs.outcome",),
)
_LAST_RUNS = Question(
    "pipeline_runs",
    _fields("pipeline_runs", "started_time", "dag_id", "dag_run_id", "outcome", "duration_seconds", "nodes_ok",
            "nodes_failure", "nodes_skipped", "tests_failed", "sources_stale", "exposures_affected"),
    {"pipeline_runs.run_date": "2 days"},
    ("pipeline_runs.started_time desc",),
    limit=50,
)  # fmt: skip
_FAILED_RUNS = Question(
    "pipeline_runs",
    _fields("pipeline_runs", "started_time", "dag_id", "dag_run_id", "environment", "outcome", "nodes_failure",
            "tests_failed", "exposures_affected"),
    {**_LAST_DAY, "pipeline_runs.outcome": "failure,interrupted,not^_run"},
    ("pipeline_runs.started_time desc",),
)  # fmt: skip
_SLOW_MODELS = Question(
    "model_run_times",
    _fields("model_run_times", "started_time", "name", "execution_time", "median_execution_time", "ratio", "owner"),
    {"model_run_times.run_date": "7 days", "model_run_times.is_slow": "yes"},
    ("model_run_times.ratio desc",),
    limit=50,
)

_INCIDENTS = ("incidents", "incidents")
_RUNS = ("pipeline_runs", "pipeline_runs")
_RISKS = ("exposures_at_risk", "exposure_impacts")
_HEALTH = ("exposure_health", "exposure_health")
_SOURCES = ("source_health", "source_health")
_CHECKS = ("source_freshness", "source_freshness_history")
_TESTS = ("test_health", "test_history")
_FAILURES = ("test_failures", "test_failures")
_TIMES = ("model_run_times", "model_run_times")
_COSTS = ("bigquery_costs", "bigquery_costs")
_RESULTS = ("node_results", "invocations")
_PARTS = ("incident_nodes", "incident_nodes")

DASHBOARDS: Sequence[Dashboard] = (
    Dashboard(
        "process_failures",
        "Process failures",
        "What is broken now. Its first number is made to be the condition of an alert.",
        _project_filters(_INCIDENTS, _RUNS, _RISKS, _SOURCES),
        (
            _alarm("Open failures", OPEN_FAILURES, "Above 0, somebody has to act: set the alert here."),
            _alarm(
                "Critical",
                Question("incidents", ("incidents.open_critical",), {"incidents.state": "open"}),
                "Open incidents that hurt a critical exposure.",
            ),
            _alarm(
                "Exposures hurt",
                Question(
                    "exposures_at_risk", ("exposure_impacts.exposures",), {"exposure_impacts.outcome": "failure"}
                ),
                "Exposures with a failure above them now.",
            ),
            _alarm(
                "Sources not fresh",
                Question("source_health", ("source_health.unhealthy_sources",)),
                "Stale, overdue, or not to be checked.",
            ),
            _table("What is broken", _OPEN_INCIDENTS, "One row per cause; what fails below it is a part of it."),
            _table("Who is hurt", _EXPOSURES_AT_RISK),
            Tile(
                "Runs, last 14 days",
                "looker_column",
                _RUNS_BY_DAY,
                24,
                7,
                options=_by_outcome("pipeline_runs.count"),
            ),
        ),
    ),
    Dashboard(
        "morning_overview",
        "Morning overview",
        "Did the night go well? Runs, exposures, sources and what took longer than usual.",
        _project_filters(_RUNS, _INCIDENTS, _HEALTH, _SOURCES, _TIMES),
        (
            _number(
                "Runs that went well",
                Question("pipeline_runs", ("pipeline_runs.success_rate",), _LAST_DAY),
                "Of the runs of the last 24 hours.",
            ),
            _alarm("Open failures", OPEN_FAILURES, "Incidents that are open now."),
            _number(
                "Healthy exposures",
                Question("exposure_health", ("exposure_health.healthy_share",)),
                "Nothing failed, warned or was skipped above them.",
            ),
            _number(
                "Models built",
                Question("pipeline_runs", ("pipeline_runs.total_models_built",), _LAST_DAY),
                "By the runs of the last 24 hours.",
            ),
            _table("Runs of the last two days", _LAST_RUNS),
            Tile(
                "Exposures by health",
                "looker_bar",
                Question("exposure_health", ("exposure_health.health", "exposure_health.count")),
                12,
                7,
                options={"show_view_names": False},
            ),
            _table("Sources that are not healthy", _STALE_SOURCES, width=12, height=7),
            _table("Slower than usual", _SLOW_MODELS, "Twice the median of the 14 runs before, and 30 s more."),
        ),
    ),
    Dashboard(
        "on_call_triage",
        "On-call triage",
        "One DAG run or dbt step, from the cause to what it blocks. A Slack message's link opens it filtered.",
        (
            *_project_filters(_INCIDENTS, _PARTS, _RESULTS, _FAILURES),
            DashboardFilter(
                "State", {"incidents": "incidents.state", "incident_nodes": "incidents.state"}, "open,fixed"
            ),
            DashboardFilter(
                "Invocation ID",
                {
                    "incidents": "incidents.invocation_id",
                    "incident_nodes": "incident_nodes.invocation_id",
                    "node_results": "run_results.invocation_id",
                    "test_failures": "test_failures.invocation_id",
                },
            ),
            DashboardFilter(
                "DAG run",
                {
                    "incidents": "incidents.dag_run_id",
                    "incident_nodes": "incident_nodes.dag_run_id",
                    "node_results": "invocations.dag_run_id",
                    "test_failures": "test_failures.dag_run_id",
                },
            ),
        ),
        (
            _table("Causes", _CAUSES, "Also those that are well again, where State asks for them."),
            _table(
                "What they block",
                Question(
                    "incident_nodes",
                    _fields("incident_nodes", "subject", "role", "unique_id", "is_open", "status", "message", "owner"),
                    {"incident_nodes.role": "-failed"},
                    ("incident_nodes.subject", "incident_nodes.role"),
                ),
            ),
            _table(
                "Nodes that did not end well",
                Question(
                    "node_results",
                    (
                        "invocations.started_time",
                        "invocations.command",
                        *_fields("run_results", "unique_id", "status", "outcome", "message", "execution_time"),
                        "invocations.log_url",
                    ),
                    {"run_results.outcome": "-ok"},
                    ("invocations.started_time desc", "run_results.outcome"),
                ),
            ),
            _table(
                "Tests that failed",
                Question(
                    "test_failures",
                    _fields("test_failures", "started_time", "name", "attached_node", "failures", "message", "owner",
                            "log_url"),
                    {"test_failures.outcome": "failure"},
                    ("test_failures.started_time desc",),
                ),
            ),
        ),
    ),
    Dashboard(
        "freshness_sla",
        "Freshness SLA",
        "How often sources were as fresh as agreed, and which are not now.",
        _project_filters(_CHECKS, _SOURCES),
        (
            _number(
                "SLA met, 30 days",
                Question(
                    "source_freshness",
                    ("source_freshness_history.sla_met",),
                    {"source_freshness_history.run_date": "30 days", "source_freshness_history.superseded": "no"},
                ),
                "Checks that found a source fresh enough, in parts of all.",
            ),
            _alarm(
                "Not fresh now",
                Question("source_health", ("source_health.unhealthy_sources",)),
                "Stale, overdue, or not to be checked.",
            ),
            _alarm(
                "Never checked",
                Question("source_health", ("source_health.unwatched_sources",)),
                "Sources with criteria that nobody looks at.",
            ),
            _number(
                "Worst of a day",
                Question(
                    "source_freshness",
                    ("source_freshness_history.worst_warn_ratio",),
                    {
                        "source_freshness_history.run_date": "2 days",
                        "source_freshness_history.checked_time": "24 hours",
                    },
                ),
                "Age in parts of what is allowed, the worst of the last 24 hours.",
            ),
            Tile(
                "SLA met by day",
                "looker_line",
                Question(
                    "source_freshness",
                    ("source_freshness_history.run_date", "source_freshness_history.sla_met"),
                    {"source_freshness_history.run_date": "30 days", "source_freshness_history.superseded": "no"},
                    ("source_freshness_history.run_date",),
                ),
                12,
                8,
                options={"show_view_names": False},
            ),
            _table(
                "By source, 30 days",
                Question(
                    "source_freshness",
                    _fields("source_freshness_history", "source_name", "name", "count", "warned_checks",
                            "failed_checks", "sla_met", "total_minutes_over_warn"),
                    {"source_freshness_history.run_date": "30 days", "source_freshness_history.superseded": "no"},
                    ("source_freshness_history.sla_met",),
                ),
                width=12,
            ),
            _table("Now", _STALE_SOURCES),
        ),
    ),
    Dashboard(
        "test_health",
        "Test health",
        "Which tests fail, which only seem to, and what they find.",
        _project_filters(_TESTS, _FAILURES),
        (
            _alarm(
                "Failing tests",
                Question("test_health", ("test_history.failing_tests",)),
                "Tests that failed when they last ran.",
            ),
            _number(
                "Flaky tests",
                Question("test_health", ("test_history.flaky_tests",)),
                "Passed again at least twice though nothing had changed.",
            ),
            _number(
                "Failure rate",
                Question("test_health", ("test_history.overall_failure_rate",)),
                "Failed runs in parts of all, 30 days.",
            ),
            _number("Tests", Question("test_health", ("test_history.count",)), "That ran in the last 30 days."),
            Tile(
                "Failures by day",
                "looker_column",
                Question(
                    "test_failures",
                    ("test_failures.run_date", "test_failures.outcome", "test_failures.count"),
                    {"test_failures.run_date": "30 days", "test_failures.superseded": "no"},
                    ("test_failures.run_date desc", "test_failures.outcome"),
                    pivots=("test_failures.outcome",),
                ),
                24,
                7,
                options=_by_outcome("test_failures.count"),
            ),
            _table(
                "Tests that fail most",
                Question(
                    "test_health",
                    _fields("test_history", "name", "attached_node", "runs", "failed_runs", "failure_rate", "flips",
                            "last_outcome", "last_failed_time", "owner"),
                    {"test_history.failed_runs": ">0"},
                    ("test_history.failed_runs desc",),
                    limit=50,
                ),
            ),
        ),
    ),
    Dashboard(
        "bigquery_cost",
        "BigQuery cost",
        "What dbt's statements were billed, by day and by node, and what was billed in vain.",
        _project_filters(_COSTS),
        (
            _number(
                "TiB billed, 30 days",
                Question(
                    "bigquery_costs", ("bigquery_costs.total_tib_billed",), {"bigquery_costs.run_date": "30 days"}
                ),
                "Times the price of one, the on-demand cost.",
            ),
            _number(
                "In vain",
                Question(
                    "bigquery_costs", ("bigquery_costs.tib_billed_in_vain",), {"bigquery_costs.run_date": "30 days"}
                ),
                "TiB billed for what failed.",
            ),
            _number(
                "Slot hours, 30 days",
                Question(
                    "bigquery_costs", ("bigquery_costs.total_slot_hours",), {"bigquery_costs.run_date": "30 days"}
                ),
                "Times the price of one, the cost of capacity.",
            ),
            _number(
                "Nodes",
                Question("bigquery_costs", ("bigquery_costs.nodes",), {"bigquery_costs.run_date": "30 days"}),
                "That BigQuery reported on.",
            ),
            Tile(
                "TiB billed by day",
                "looker_column",
                Question(
                    "bigquery_costs",
                    ("bigquery_costs.run_date", "bigquery_costs.resource_type", "bigquery_costs.total_tib_billed"),
                    {"bigquery_costs.run_date": "30 days"},
                    ("bigquery_costs.run_date desc", "bigquery_costs.resource_type"),
                    pivots=("bigquery_costs.resource_type",),
                ),
                24,
                7,
                options={"stacking": "normal", "show_view_names": False},
            ),
            _table(
                "Dearest nodes",
                Question(
                    "bigquery_costs",
                    _fields("bigquery_costs", "name", "materialized", "owner", "count", "total_tib_billed",
                            "total_slot_hours", "tib_billed_in_vain"),
                    {"bigquery_costs.run_date": "30 days"},
                    ("bigquery_costs.total_tib_billed desc",),
                    limit=50,
                ),
            ),
        ),
    ),
)  # fmt: skip

LOOKS: Sequence[Look] = (
    Look("Open failures", "Send it where there are results: then something is broken that nobody mended.",
         _OPEN_INCIDENTS),
    Look("Failed pipeline runs", "Send it each morning after the pipeline, where there are results.", _FAILED_RUNS),
    Look("Exposures at risk", "Send it to who owns dashboards, where there are results.", _EXPOSURES_AT_RISK),
    Look("Sources that are not healthy", "Send it to who loads the sources, where there are results.", _STALE_SOURCES),
    Look("Models slower than usual", "Send it once a week, where there are results.", _SLOW_MODELS),
)  # fmt: skip
