"""The LookML views: which audit views analysts see, and what is measured over them.

Fields come from the columns that `audit/` declares; what is written here is only what no column can say: measures,
what a click shows, what stays hidden.
"""

from collections.abc import Sequence

from observability.looker.declaration import LookView, Measure, Shown

_SLOW = "Percentile of the runs that are shown, so that one slow run does not hide many quick ones."


def _count(what: str, name: str = "count") -> Measure:
    return Measure(name, "count", f"How many {what}.", shown=Shown.WHOLE)


def _of(name: str, what: str, **filters: str) -> Measure:
    return Measure(name, "count", what, filters=filters, shown=Shown.WHOLE)


def _sum(name: str, column: str, what: str, shown: Shown = Shown.WHOLE, **filters: str) -> Measure:
    return Measure(name, "sum", what, column=column, shown=shown, filters=filters)


def _average(name: str, column: str, what: str, shown: Shown = Shown.TENTHS, **filters: str) -> Measure:
    return Measure(name, "average", what, column=column, shown=shown, filters=filters)


def _median(name: str, column: str, what: str) -> Measure:
    return Measure(name, "median", what, column=column, shown=Shown.TENTHS)


def _p95(name: str, column: str, what: str) -> Measure:
    text = f"{what} {_SLOW}"
    return Measure(name, "percentile", text, column=column, percentile=95, shown=Shown.TENTHS)


def _max(name: str, column: str, what: str, shown: Shown = Shown.TENTHS) -> Measure:
    return Measure(name, "max", what, column=column, shown=shown)


def _share(name: str, part: str, whole: str, what: str, shown: Shown = Shown.PERCENT) -> Measure:
    expression = f"1.0 * ${{{part}}} / NULLIF(${{{whole}}}, 0)"
    return Measure(name, "number", what, expression=expression, shown=shown)


def _distinct(name: str, column: str, what: str, **filters: str) -> Measure:
    return Measure(name, "count_distinct", what, column=column, filters=filters, shown=Shown.WHOLE)


_RESULT_MEASURES = (
    _count("results of nodes"),
    _distinct("nodes", "unique_id", "Nodes of the results, each once."),
    _distinct("invocations", "invocation_id", "dbt steps of the results, each once."),
    _of("good_results", "Results that were good.", outcome="ok"),
    _of("warned_results", "Results that warned.", outcome="warning"),
    _of("failed_results", "Results that failed.", outcome="failure"),
    _of("skipped_results", "Results of nodes that were skipped.", outcome="skipped"),
    _share("failure_rate", "failed_results", "count", "Failed results in parts of all."),
    _sum("total_execution_time", "execution_time", "Seconds that the nodes took, added up.", Shown.TENTHS),
    _average("average_execution_time", "execution_time", "Mean of the seconds that a node took."),
    _median("median_execution_time", "execution_time", "Median of the seconds that a node took."),
    _p95("p95_execution_time", "execution_time", "Seconds within which 95 of 100 nodes were done."),
    _max("longest_execution_time", "execution_time", "Seconds of the slowest node."),
    _sum("total_rows_affected", "rows_affected", "Rows that the nodes' last statements wrote, as adapters reported."),
    _sum("total_failing_rows", "failures", "Rows that tests found."),
    _sum("total_bytes_billed", "bytes_billed", "Bytes billed for the nodes' last statements."),
)

VIEWS: Sequence[LookView] = (
    LookView(
        "pipeline_runs",
        "Pipeline run",
        ("dag_id", "dag_run_id", "environment", "started_time", "outcome", "nodes_failure", "tests_failed",
         "sources_stale", "exposures_affected", "duration_seconds"),
        (
            _count("pipeline runs"),
            _of("successful_runs", "Runs that ended well.", outcome="success"),
            _of("warned_runs", "Runs of which the worst is a warning.", outcome="warning"),
            _of("failed_runs", "Runs that failed, were interrupted or never started.",
                outcome="failure,interrupted,not^_run"),
            _share("success_rate", "successful_runs", "count", "Runs that ended well in parts of all."),
            _sum("total_duration_seconds", "duration_seconds", "Seconds from start to end, of all runs.", Shown.WHOLE),
            _average("average_duration_seconds", "duration_seconds", "Mean of the seconds from start to end."),
            _p95("p95_duration_seconds", "duration_seconds", "Seconds within which 95 of 100 runs were done."),
            _max("longest_duration_seconds", "duration_seconds", "Seconds of the longest run."),
            _sum("total_busy_seconds", "busy_seconds", "Seconds that dbt was at work, added up.", Shown.WHOLE),
            _sum("total_retries", "retries", "Attempts that were repeated."),
            _sum("total_failed_nodes", "nodes_failure", "Nodes and sources that failed, of all runs."),
            _sum("total_skipped_nodes", "nodes_skipped", "Nodes that were skipped, of all runs."),
            _sum("total_failed_tests", "tests_failed", "Tests that failed, of all runs."),
            _sum("total_stale_sources", "sources_stale", "Sources that were too old, of all runs."),
            _sum("total_models_built", "models_built", "Models that were really built, of all runs."),
            _sum("total_bytes_billed", "bytes_billed", "Bytes billed, of all runs."),
            _max("most_exposures_affected", "exposures_affected", "Exposures affected in the worst run.", Shown.WHOLE),
        ),
    ),
    LookView(
        "invocations",
        "dbt step",
        ("invocation_id", "command", "environment", "started_time", "outcome", "exit_code", "elapsed_seconds",
         "error", "log_url"),
        (
            _count("dbt steps"),
            _of("failed_steps", "dbt steps that failed, were interrupted or never started.",
                outcome="failure,interrupted,not^_run"),
            _of("interrupted_steps", "dbt steps of which dbt was killed.", outcome="interrupted"),
            _share("failure_rate", "failed_steps", "count", "Failed steps in parts of all."),
            _sum("total_elapsed_seconds", "elapsed_seconds", "Seconds that dbt measured, of all steps.", Shown.WHOLE),
            _average("average_elapsed_seconds", "elapsed_seconds", "Mean of the seconds that dbt measured."),
            _of("nonconforming_steps", "dbt steps whose files do not keep to dbt's published schemas.", conforms="no"),
        ),
        joined=("project_name", "environment", "command", "invocation_command", "started_at", "outcome", "exit_code",
                "dag_id", "dag_run_id", "task_id", "map_index", "try_number", "run_type", "logical_date", "log_url",
                "dbt_version", "adapter_type", "git_sha", "git_branch", "full_refresh", "alertable"),
    ),
    LookView(
        "attempts",
        "dbt step",
        ("invocation_id", "is_superseded"),
        (),
        only=("invocation_id", "pipeline_run_id", "is_real", "is_repeated", "is_awaiting_retry", "is_superseded"),
        hidden=("invocation_id",),
    ),
    LookView(
        "run_results",
        "Node result",
        ("invocation_id", "unique_id", "resource_type", "status", "outcome", "message", "execution_time"),
        _RESULT_MEASURES,
    ),
    LookView(
        "test_failures",
        "Test failure",
        ("started_time", "name", "attached_node", "column_name", "status", "failures", "message", "owner", "log_url"),
        (
            _count("failures and warnings of tests"),
            _of("failed_runs", "Tests that failed, once for each run.", outcome="failure"),
            _of("warned_runs", "Tests that warned, once for each run.", outcome="warning"),
            _of("counted_failures", "Failures that no other try took the place of.", outcome="failure",
                superseded="no"),
            _of("root_causes", "Failures and warnings above which nothing had failed in the same step.",
                is_root_cause="yes"),
            _distinct("tests", "unique_id", "Tests that failed or warned, each once."),
            _distinct("tested_nodes", "attached_node", "Nodes whose tests failed or warned, each once."),
            _sum("total_failing_rows", "failures", "Rows that failing tests found, added up over runs."),
            _max("most_failing_rows", "failures", "Rows that the worst failing test found.", Shown.WHOLE),
        ),
    ),
    LookView(
        "test_history",
        "Test, 30 days",
        ("name", "attached_node", "runs", "failed_runs", "flips", "last_outcome", "last_failed_time", "owner"),
        (
            _count("tests that ran in the last 30 days"),
            _of("flaky_tests", "Tests that passed again at least twice though nothing had changed.", is_flaky="yes"),
            _of("failing_tests", "Tests that failed when they last ran.", last_outcome="failure"),
            _of("warning_tests", "Tests that warned when they last ran.", last_outcome="warning"),
            _sum("total_runs", "runs", "How often the tests ran, added up."),
            _sum("total_failed_runs", "failed_runs", "Runs in which a test failed, added up."),
            _share("overall_failure_rate", "total_failed_runs", "total_runs", "Failed runs in parts of all runs."),
        ),
        hidden=("failure_rate",),
        joined=("runs", "failed_runs", "flips", "is_flaky", "last_outcome", "last_passed_at", "last_failed_at"),
    ),
    LookView(
        "tests",
        "Test",
        ("name", "attached_node", "column_name", "last_outcome", "last_run_time"),
        (_count("tests of the current project state"),),
        only=("project_name", "environment", "unique_id", "description", "tags", "package_name", "last_outcome",
              "last_run_at", "name", "attached_node", "column_name"),
        hidden=("project_name", "environment", "unique_id", "name", "attached_node", "column_name", "last_outcome",
                "last_run_at"),
    ),
    LookView(
        "source_freshness_history",
        "Freshness check",
        ("checked_time", "source_name", "name", "status", "age_seconds", "warn_after_seconds", "error_after_seconds",
         "log_url"),
        (
            _count("checks of sources"),
            _distinct("sources", "unique_id", "Sources that were checked, each once."),
            _of("fresh_checks", "Checks that found the source fresh enough.", outcome="ok"),
            _of("warned_checks", "Checks that found the source older than its warning threshold.", outcome="warning"),
            _of("failed_checks", "Checks that found the source too old, or failed themselves.", outcome="failure"),
            _share("sla_met", "fresh_checks", "count", "Checks that found the source fresh enough, in parts of all."),
            _max("oldest_age_seconds", "age_seconds", "Age of the oldest data found, in seconds.", Shown.WHOLE),
            _average("average_age_seconds", "age_seconds", "Mean age of the data found, in seconds.", Shown.WHOLE),
            _max("worst_warn_ratio", "warn_ratio", "Age in parts of what is allowed before it warns, at its worst.",
                 Shown.HUNDREDTHS),
            _sum("total_minutes_over_warn", "minutes_over_warn", "Minutes beyond what is allowed, added up."),
        ),
    ),
    LookView(
        "source_health",
        "Source",
        ("source_name", "name", "health", "last_checked_time", "age_seconds", "exposures", "owner"),
        (
            _count("sources that have criteria or were ever checked"),
            _of("unhealthy_sources", "Sources that are stale, overdue or could not be checked.",
                health="stale,overdue,check^_failed"),
            _of("unwatched_sources", "Sources with criteria that nobody ever checked.", health="never^_checked"),
            _max("oldest_source_seconds", "age_seconds", "Age of the oldest source's newest row now, in seconds.",
                 Shown.WHOLE),
        ),
        joined=("health", "max_loaded_at", "seconds_since_check", "last_ok_at", "checks", "exposures", "loader"),
    ),
    LookView(
        "exposure_impacts",
        "Impact",
        ("exposure_label", "exposure_owner", "risk", "unique_id", "status", "message", "failed_time", "owner"),
        (
            _count("failures and warnings above exposures"),
            _distinct("exposures", "exposure_unique_id", "Exposures that are hurt, each once."),
            _distinct("causes", "unique_id", "Failing or warning nodes, each once."),
            _distinct("failing_causes", "unique_id", "Failing nodes, each once.", outcome="failure"),
            _distinct("stale_exposures", "exposure_unique_id", "Exposures that show what is old.", risk="stale"),
            _distinct("suspect_exposures", "exposure_unique_id", "Exposures with bad data in them.", risk="suspect"),
        ),
    ),
    LookView(
        "exposure_health",
        "Exposure",
        ("label", "exposure_type", "owner", "health", "cause_name", "cause_message", "last_built_time"),
        (
            _count("exposures"),
            _of("degraded_exposures", "Exposures above which something failed.", health="Degraded"),
            _of("cautioned_exposures", "Exposures above which something warned or was skipped.", health="Caution"),
            _of("healthy_exposures", "Exposures above which all is well.", health="Healthy"),
            _of("unknown_exposures", "Exposures of which nothing was seen.", health="Unknown"),
            _share("healthy_share", "healthy_exposures", "count", "Healthy exposures in parts of all."),
            _sum("total_failed_nodes", "failed_nodes", "Failed nodes above exposures; those above several count"
                 " for each."),
        ),
        joined=("health", "is_stale", "is_suspect", "failed_nodes", "failed_tests", "failed_sources", "warnings",
                "description", "tags", "last_built_at", "last_checked_at"),
    ),
    LookView(
        "incidents",
        "Incident",
        ("name", "kind", "severity", "state", "opened_time", "closed_time", "message", "owner", "log_url"),
        (
            _count("incidents"),
            _of("open_failures", "Incidents that are open now and no mere warnings: above 0, somebody has to act."
                " Made to be a condition of alerts.", state="open", outcome="failure"),
            _of("open_critical", "Open incidents that hurt a critical exposure.", state="open",
                severity="critical"),
            _of("open_warnings", "Open incidents that are warnings.", state="open", outcome="warning"),
            _of("waiting_incidents", "Incidents that are mended, but not all is rebuilt yet.", state="fixed"),
            _of("recovered_incidents", "Incidents that are well again.", state="recovered"),
            _average("mean_seconds_to_recover", "open_seconds", "Mean of the seconds from the first sight of an"
                     " incident until it was well again.", Shown.WHOLE, state="recovered"),
            Measure("median_seconds_to_recover", "median", "Median of the seconds from the first sight of an"
                    " incident until it was well again.", column="open_seconds",
                    filters={"state": "recovered"}, shown=Shown.WHOLE),
            Measure("longest_seconds_to_recover", "max", "Seconds until the incident that took longest was well again.",
                    column="open_seconds", filters={"state": "recovered"}, shown=Shown.WHOLE),
            _sum("total_bad_runs", "bad_runs", "dbt steps that saw an incident bad, added up."),
            _distinct("subjects", "incident_key", "Nodes and steps that incidents are of, each once."),
        ),
        joined=("severity", "kind", "state", "outcome", "name", "resource_type", "opened_at", "closed_at",
                "open_seconds", "exposures"),
    ),
    LookView(
        "incident_nodes",
        "Node of an incident",
        ("unique_id", "role", "status", "message", "first_bad_time", "last_bad_time", "owner"),
        (
            _count("nodes of incidents: a node once for each incident that it is in"),
            _distinct("nodes", "unique_id", "Nodes in incidents, each once."),
            _of("failed_nodes", "Nodes that failed by themselves.", role="failed"),
            _of("blocked_nodes", "Nodes that were held up.", role="blocked"),
            _of("folded_nodes", "Nodes that failed below the cause.", role="folded"),
            _of("still_waiting", "Nodes that are not well yet.", is_open="yes"),
        ),
    ),
    LookView(
        "model_run_times",
        "Model run",
        ("started_time", "name", "materialized", "outcome", "execution_time", "median_execution_time", "ratio",
         "rows_affected"),
        (
            _count("runs of models, seeds and snapshots"),
            _distinct("models", "unique_id", "Models, seeds and snapshots that ran, each once."),
            _of("slow_runs", "Runs that took twice as long as usual, and 30 seconds more.", is_slow="yes"),
            _sum("total_execution_time", "execution_time", "Seconds that the runs took, added up.", Shown.TENTHS),
            _average("average_execution_time", "execution_time", "Mean of the seconds that a run took."),
            _p95("p95_execution_time", "execution_time", "Seconds within which 95 of 100 runs were done."),
            _max("longest_execution_time", "execution_time", "Seconds of the slowest run."),
            _max("worst_ratio", "ratio", "Seconds that a run took in parts of the usual, at the worst.",
                 Shown.HUNDREDTHS),
            _sum("total_rows_affected", "rows_affected", "Rows that the runs wrote, as adapters reported."),
        ),
    ),
    LookView(
        "models",
        "Model",
        ("name", "materialized", "owner", "last_outcome", "last_ok_time"),
        (_count("models of the current project state"),),
        only=("project_name", "environment", "unique_id", "description", "tags", "access", "package_name",
              "original_file_path", "name", "materialized", "owner", "last_outcome", "last_ok_at"),
        hidden=("project_name", "environment", "unique_id", "name", "materialized", "owner"),
    ),
    LookView(
        "snapshot_runs",
        "Snapshot run",
        ("started_time", "name", "outcome", "rows_affected", "execution_time", "message"),
        (
            _count("runs of snapshots"),
            _of("failed_runs", "Runs of snapshots that failed.", outcome="failure"),
            _sum("total_rows_affected", "rows_affected", "Versions closed and opened, as adapters reported."),
            _average("average_execution_time", "execution_time", "Mean of the seconds that a snapshot took."),
        ),
    ),
    LookView(
        "bigquery_costs",
        "BigQuery cost",
        ("started_time", "name", "resource_type", "tib_billed", "slot_hours", "execution_time", "job_id"),
        (
            _count("statements that BigQuery reported on"),
            _distinct("nodes", "unique_id", "Nodes that BigQuery reported on, each once."),
            _sum("total_tib_billed", "tib_billed", "Tebibytes billed: times the price of one, the on-demand cost.",
                 Shown.TEN_THOUSANDTHS),
            _sum("total_bytes_billed", "bytes_billed", "Bytes billed."),
            _sum("total_bytes_processed", "bytes_processed", "Bytes scanned."),
            _sum("total_slot_hours", "slot_hours", "Slot hours: times the price of one, the cost of capacity.",
                 Shown.TEN_THOUSANDTHS),
            _sum("tib_billed_in_vain", "tib_billed", "Tebibytes billed for what failed.", Shown.TEN_THOUSANDTHS,
                 outcome="failure"),
            _max("dearest_tib_billed", "tib_billed", "Tebibytes billed for the dearest statement.",
                 Shown.TEN_THOUSANDTHS),
        ),
    ),
    LookView(
        "deliveries",
        "Delivery",
        ("loaded_time", "incident_key", "transition", "operation", "channel", "state", "error"),
        (
            _count("messages, replies and edits"),
            _of("delivered", "Messages, replies and edits that arrived.", state="done"),
            _of("given_up", "Messages, replies and edits that were given up.", state="dead"),
            _distinct("incidents_told", "incident_id", "Incidents that were told of, each once."),
        ),
    ),
)  # fmt: skip
