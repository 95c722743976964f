"""From an audit view's columns to LookML fields: what a column's type and name say of how it is shown."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from observability.audit.outcomes import Outcome, StepOutcome
from observability.audit.schema import Column, ColumnType
from observability.looker.declaration import Shown

LOOKML_TYPES: Mapping[ColumnType, str | None] = {
    ColumnType.STRING: "string",
    ColumnType.INT64: "number",
    ColumnType.FLOAT64: "number",
    ColumnType.BOOL: "yesno",
    ColumnType.TIMESTAMP: "time",
    ColumnType.DATE: "date",
    ColumnType.JSON: "string",
    ColumnType.STRUCT: None,
}
"""The types of LookML; an array is shown as text, and a STRUCT is none of its fields."""

TIMEFRAMES = ("raw", "time", "hour_of_day", "date", "week", "month", "quarter", "year")
DATE_TIMEFRAMES = ("raw", "date", "day_of_week", "week", "month", "quarter", "year")

_WORDS = {
    "dag": "DAG", "dbt": "dbt", "git": "Git", "id": "ID", "ms": "ms", "sha": "SHA", "tib": "TiB", "url": "URL",
    "bigquery": "BigQuery", "sql": "SQL", "sla": "SLA", "ok": "OK", "ts": "timestamp", "seq": "position",
}  # fmt: skip
_GROUPS = {
    "Airflow": (
        "dag_id", "dag_run_id", "task_id", "map_index", "try_number", "max_tries", "run_type", "logical_date",
        "log_url", "last_log_url",
    ),
    "Node": (
        "resource_type", "package_name", "materialized", "original_file_path", "group_name", "tags", "description",
        "access",
    ),
    "Slack": ("operation", "fingerprint", "channel", "thread_ts", "message_ts", "stream", "seq", "shown"),
    "Relation": ("relation_database", "relation_schema", "relation_name"),
    "Test": ("test_name", "column_name", "attached_node", "test_args"),
    "Git": ("git_sha", "git_branch"),
    "dbt options": ("args", "vars", "env", "full_refresh", "empty", "is_full_refresh", "is_empty"),
    "Timing": (
        "compile_started_at", "compile_completed_at", "execute_started_at", "execute_completed_at", "thread_id",
    ),
    "Warehouse": (
        "adapter_type", "adapter_response", "query_id", "job_id", "job_project", "job_location", "bytes_billed",
        "bytes_processed", "slot_ms", "rows_affected", "last_rows_affected", "batch_results",
    ),
    "Artifacts": ("evidence", "conforms", "conformance_error", "warnings", "loader_version", "row_version"),
    "Cause": (
        "cause_unique_id", "cause_name", "cause_distance", "cause_status", "cause_message", "cause_owner",
        "cause_seen_at",
    ),
    "Exposure": (
        "exposure_unique_id", "exposure_name", "exposure_label", "exposure_type", "exposure_maturity", "exposure_owner",
        "exposure_owner_email", "exposure_url",
    ),
    "Thresholds": (
        "warn_after_seconds", "error_after_seconds", "tightest_seconds", "has_criteria", "freshness_filter", "filter",
        "loaded_at_field", "warn_ratio", "error_ratio", "minutes_over_warn", "minutes_over_error",
    ),
}  # fmt: skip
_GROUP_OF = {column: group for group, columns in _GROUPS.items() for column in columns}
_COUNTS = frozenset(
    ["step_count", "retries", "nodes_ok", "nodes_warning", "nodes_failure", "nodes_skipped", "nodes_unknown",
     "tests_failed", "sources_stale", "models_built", "exposures_affected", "failed_nodes", "failed_tests",
     "failed_sources", "skipped_nodes", "warnings", "ancestors_seen"]
)  # fmt: skip
"""Where they are numbers; lists may have the same names."""
_LABELS = {
    "nodes_ok": "Nodes OK", "nodes_warning": "Nodes that warned", "nodes_failure": "Nodes that failed",
    "nodes_skipped": "Nodes skipped", "nodes_unknown": "Nodes of unknown status", "slot_ms": "Slot milliseconds",
    "env": "Environment variables",
}  # fmt: skip
"""Where a column's name is no label."""
_HIDDEN = frozenset(
    ["load_id", "loaded_at", "content_hash", "row_counts", "manifest_id", "lineage_id", "causes", "ancestors",
     "parents", "bases", "checksum"]
)  # fmt: skip
"""What other views need, and people do not."""

ERROR_TEXT = "dbt_error_text"
COMPILED_SQL = "dbt_compiled_sql"
_GRANTS = {
    "message": ERROR_TEXT,
    "last_message": ERROR_TEXT,
    "cause_message": ERROR_TEXT,
    "error": ERROR_TEXT,
    "last_error": ERROR_TEXT,
    "conformance_error": ERROR_TEXT,
    "compiled_code": COMPILED_SQL,
    "invocation_command": COMPILED_SQL,
    "args": COMPILED_SQL,
    "vars": COMPILED_SQL,
    "env": COMPILED_SQL,
    "batch_results": COMPILED_SQL,
    "adapter_response": COMPILED_SQL,
}
"""What may hold values of the warehouse's data, or how it is asked: only who is granted sees it."""

_COLOURS = {
    "#b42318": (
        "failure", "interrupted", "not_run", "error", "critical", "open", "Degraded", "stale", "overdue",
        "check_failed",
    ),
    "#93560a": ("warning", "skipped", "Caution", "fixed", "suspect", "never_checked"),
    "#1b6e3c": ("ok", "success", "recovered", "Healthy", "healthy"),
}  # fmt: skip
_COLOURED = frozenset(["outcome", "last_outcome", "state", "severity", "health", "risk"])
_SYMBOLS = {"#b42318": "✖", "#93560a": "▲", "#1b6e3c": "●"}
STATUS_HTML = "STATUS_HTML"
"""The constant that colours a status; its text says it too."""

_VALUES: Mapping[str, tuple[str, ...]] = {
    "outcome": tuple(Outcome),
    "invocations.outcome": tuple(StepOutcome),
    "pipeline_runs.outcome": tuple(StepOutcome),
    "incidents.outcome": (Outcome.FAILURE, Outcome.WARNING),
    "incident_nodes.outcome": (Outcome.FAILURE, Outcome.WARNING),
    "exposure_impacts.outcome": (Outcome.FAILURE, Outcome.WARNING),
    "test_failures.outcome": (Outcome.FAILURE, Outcome.WARNING),
    "last_outcome": (Outcome.OK, Outcome.WARNING, Outcome.FAILURE),
    "severity": ("error", "warn"),
    "incidents.severity": ("critical", "error", "warning"),
    "incidents.state": ("open", "fixed", "recovered", "withdrawn", "expired"),
    "deliveries.state": ("intended", "done", "unclear", "failed", "dead"),
    "operation": ("post", "reply", "update"),
    "kind": (
        "node_error", "test_failure", "source_stale", "freshness_runtime_error", "run_interrupted", "run_failed",
    ),
    "role": ("failed", "blocked", "folded"),
    "closed_by": ("recovered", "withdrawn"),
    "risk": ("stale", "suspect"),
    "exposure_health.health": ("Degraded", "Caution", "Healthy", "Unknown"),
    "source_health.health": ("never_checked", "overdue", "healthy", "warning", "stale", "check_failed"),
}  # fmt: skip
"""What a column holds, by `view.column` or in any view: a filter offers it without asking the warehouse."""
_UNSUGGESTED = frozenset(
    ["invocation_id", "last_invocation_id", "incident_id", "incident_key", "pipeline_run_id", "dag_run_id", "query_id",
     "job_id", "git_sha", "log_url", "last_log_url", "url", "exposure_url", "description", "test_args", "filter",
     "fingerprint", "thread_ts", "message_ts", "stream", "shown", "relation_name", "loaded_at_field", "thread_id"]
)  # fmt: skip
"""Of what nearly every row has its own: to offer it would read all partitions for a list that helps nobody."""

_RENAMED = {"filter": "freshness_filter"}
"""What LookML has another meaning for."""
_WEB = (
    "{% assign scheme = value | split: ':' | first %}"
    "{% if scheme == 'https' or scheme == 'http' %}{{ value }}{% endif %}"
)
"""A value that is a URL, where people may follow it."""

_TRIAGE = "/dashboards/{{ _model._name }}::on_call_triage"
"""The dashboard of a step or a DAG run, in whatever model it is asked from."""

Dimension = dict[str, Any]


@dataclass(frozen=True)
class Link:
    """A link of a field's values: a URL in Liquid, shown where it is not empty."""

    label: str
    url: str


_NODE_KIND = "{{ value | split: '.' | first }}"


def status_html() -> str:
    """Liquid that shows a status by its text, a symbol and a colour."""
    parts: list[str] = []
    for colour, values in _COLOURS.items():
        known = " or ".join(f"value == '{value}'" for value in values)
        shown = f"<span style='color: {colour}'>{_SYMBOLS[colour]} {{{{ rendered_value }}}}</span>"
        parts.append(f"{{% {'if' if not parts else 'elsif'} {known} %}}{shown}")
    return "".join(parts) + "{% else %}{{ rendered_value }}{% endif %}"


def field_name(column: Column) -> str:
    """The name of a column's field: of a time, what its timeframes are put behind."""
    if column.type in {ColumnType.TIMESTAMP, ColumnType.DATE} and not column.repeated:
        return re.sub(r"_(at|at_utc|date|month)$", "", column.name)
    return _RENAMED.get(column.name, column.name)


def label_of(name: str) -> str:
    """A name as people write it."""
    if name in _LABELS:
        return _LABELS[name]
    words = [_WORDS.get(word, word) for word in name.split("_")]
    return " ".join([words[0] if words[0] in _WORDS.values() else words[0].capitalize(), *words[1:]])


def render_fields(view: str, columns: Sequence[Column], hidden: frozenset[str]) -> Iterator[tuple[str, Dimension]]:
    """The kind of each column's field (dimension or dimension_group) and the field."""
    for column in columns:
        if LOOKML_TYPES[column.type] is not None:
            yield _field(view, column, hidden=column.name in _HIDDEN | hidden, columns=columns)


def _field(view: str, column: Column, *, hidden: bool, columns: Sequence[Column]) -> tuple[str, Dimension]:
    kind = LOOKML_TYPES[column.type]
    name = field_name(column)
    shown: Dimension = {"hidden": "yes"} if hidden else {}
    shown |= {"label": label_of(name), "description": column.description}
    if group := _group(column):
        shown["group_label"] = group
    sql = f"${{TABLE}}.{column.name}"
    if column.repeated:
        text = f"ARRAY_TO_STRING({sql}, ', ')"
        return "dimension", {"name": name, **shown, "type": "string", "suggestable": "no", "sql": text}
    if kind == "time":
        time: Dimension = {"type": "time", "timeframes": list(TIMEFRAMES)}
        if column.name.endswith("_utc"):
            time["convert_tz"] = "no"
        return "dimension_group", {"name": name, **shown, **time, "sql": sql}
    if kind == "date":
        day = {"type": "time", "timeframes": list(DATE_TIMEFRAMES), "convert_tz": "no", "datatype": "date"}
        return "dimension_group", {"name": name, **shown, **day, "sql": sql}
    offered = {} if hidden or kind != "string" else _offered(view, column)
    return "dimension", {"name": name, **shown, "type": kind, **offered, **_look(view, column, columns), "sql": sql}


def _group(column: Column) -> str | None:
    """What a field stands under in the field picker."""
    if column.repeated and column.name.endswith("_nodes"):
        return "Lists of nodes"
    if not column.repeated and column.type is ColumnType.INT64 and column.name in _COUNTS:
        return "Counts"
    return _GROUP_OF.get(column.name)


def _offered(view: str, column: Column) -> Dimension:
    """What a filter of a text offers."""
    if values := _VALUES.get(f"{view}.{column.name}", _VALUES.get(column.name)):
        return {"suggestions": [str(value) for value in values]}
    if column.name in _UNSUGGESTED or column.name in _GRANTS or column.type is ColumnType.JSON:
        return {"suggestable": "no"}
    return {}


def _look(view: str, column: Column, columns: Sequence[Column]) -> Dimension:
    """What a column's name says of how its values are shown, whom to, and where they lead."""
    look: Dimension = {}
    if grant := _GRANTS.get(column.name):
        look["required_access_grants"] = [grant]
    if column.type is ColumnType.FLOAT64:
        look["value_format_name"] = _format(column.name).value
    elif column.type is ColumnType.INT64:
        look["value_format_name"] = "decimal_0"
    if column.name in _COLOURED:
        look["html"] = f"@{{{STATUS_HTML}}}"
    if links := list(_links(view, column.name, {one.name for one in columns})):
        look["links"] = [{"label": link.label, "url": link.url} for link in links]
    return look


def _format(column: str) -> Shown:
    """How a column's fractions are shown: a single statement costs so little that hundredths are all 0."""
    if column.endswith("_rate"):
        return Shown.PERCENT
    if column in {"tib_billed", "slot_hours"}:
        return Shown.TEN_THOUSANDTHS
    return Shown.WHOLE if column.endswith(("_after_seconds", "tightest_seconds")) else Shown.HUNDREDTHS


def _links(view: str, column: str, there: set[str]) -> Iterator[Link]:
    """Where a column's values lead; `there` are the columns of its view, which a link may need too."""

    def of(other: str) -> str:
        return f"{{{{ {view}.{other}._value | url_encode }}}}"

    if column in {"log_url", "last_log_url"}:
        yield Link("Airflow log", _WEB)
    if column == "dag_run_id" and "dag_id" in there:
        run = f"@{{AIRFLOW_URL}}/dags/{of('dag_id')}/runs/{{{{ value | url_encode }}}}"
        yield Link("Airflow DAG run", _if_set("AIRFLOW_URL", run))
        yield Link("On-call triage", f"{_TRIAGE}?DAG%20run={{{{ value | url_encode }}}}&State=")
    if column in {"unique_id", "subject", "attached_node", "cause_unique_id", "exposure_unique_id", "worst_node"}:
        yield Link(
            "dbt docs", _if_set("DBT_DOCS_URL", f"@{{DBT_DOCS_URL}}/#!/{_NODE_KIND}/{{{{ value | url_encode }}}}")
        )
    if column in {"invocation_id", "last_invocation_id"}:
        yield Link("On-call triage", f"{_TRIAGE}?Invocation%20ID={{{{ value | url_encode }}}}&State=")
        yield Link("Triage page", _if_set("TRIAGE_URL", "@{TRIAGE_URL}/{{ value | url_encode }}.html"))
    if column == "job_id" and {"job_project", "job_location"} <= there:
        job = f"bq:{of('job_location')}:{{{{ value | url_encode }}}}&page=queryresults"
        yield Link("BigQuery job", f"https://console.cloud.google.com/bigquery?project={of('job_project')}&j={job}")
    if column in {"url", "exposure_url"}:
        yield Link("Open", _WEB)


def _if_set(constant: str, url: str) -> str:
    return f"{{% if '@{{{constant}}}' != '' %}}{url}{{% endif %}}"
