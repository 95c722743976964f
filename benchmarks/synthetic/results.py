"""The results of a made-up run as dbt-core 1.11 and dbt-bigquery write them: run_results v6 and sources v3."""

import random
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from synthetic import words
from synthetic.model import DATABASE, LOCATION, PROJECT, Project, Relation, Test, UnitTest
from synthetic.outcome import STARTED_AT, Outcome, Run, timestamp
from synthetic.sql import model_sql, test_sql, unit_test_sql

Json = dict[str, Any]
DBT_VERSION = "1.11.6"
ENV = {"RUN_REASON": "nightly", "DEPLOYMENT": "production"}

_FRESHNESS_SHARE = 0.85  # of the sources have a freshness check
_BAD_FRESHNESS = (("pass", "warn", "error", "runtime error"), (93, 4, 2, 1))
_ERRORS = (
    "Unrecognized name: {column}; Did you mean {column}_id? at [{line}:9]",
    "Resources exceeded during query execution: The query could not be executed in the allotted memory.",
    "Access Denied: Table {database}:raw.{column}: User does not have permission to query it, or it does not exist.",
    "No matching signature for operator = for argument types: STRING, INT64 at [{line}:14]",
    "Query timed out: the limit is 600 seconds",
)


def run_results_metadata(run: Run) -> Json:
    return {
        "dbt_schema_version": "https://schemas.getdbt.com/dbt/run-results/v6.json",
        "dbt_version": DBT_VERSION,
        "generated_at": timestamp(run.elapsed_seconds + 0.6),
        "invocation_id": run.invocation_id,
        "invocation_started_at": timestamp(-1.9),
        "env": ENV,
    }


def run_results(project: Project, run: Run) -> Iterator[Json]:
    """One result per node, in the order of their ends."""
    relations: dict[str, Relation] = {relation.unique_id: relation for relation in project.relations}
    tests = {test.unique_id: test for test in project.tests}
    unit_tests = {test.unique_id: test for test in project.unit_tests}
    for unique_id, outcome in run.outcomes.items():
        node = relations.get(unique_id) or tests.get(unique_id) or unit_tests.get(unique_id)
        rng = random.Random(f"result {project.seed} {unique_id}")
        code = None if outcome.status == "skipped" else _compiled_code(node, project.seed)
        yield {
            "status": outcome.status,
            "timing": _timing(outcome),
            "thread_id": f"Thread-{outcome.thread} (worker)",
            "execution_time": 0 if outcome.status == "skipped" else outcome.ended - outcome.began + rng.random() / 500,
            **_answer(rng, node, outcome),
            "failures": outcome.failures,
            "unique_id": unique_id,
            "compiled": None if _has_no_code(node) else outcome.status != "skipped",
            "compiled_code": code,
            "relation_name": node.relation_name if isinstance(node, Relation | Test) else None,
            "batch_results": None,
        }


def _has_no_code(node: Relation | Test | UnitTest | None) -> bool:
    return node is None or (isinstance(node, Relation) and node.resource_type == "seed")


def _compiled_code(node: Relation | Test | UnitTest | None, seed: int) -> str | None:
    if isinstance(node, Test):
        return test_sql(node).compiled
    if isinstance(node, UnitTest):
        return unit_test_sql(node.model)
    return None if node is None or node.resource_type == "seed" else model_sql(node, seed).compiled


def _timing(outcome: Outcome) -> list[Json]:
    if outcome.status == "skipped":
        return []
    compiled = outcome.began + outcome.compile_seconds
    return [
        {"name": "compile", "started_at": timestamp(outcome.began), "completed_at": timestamp(compiled)},
        {"name": "execute", "started_at": timestamp(compiled + 0.0004), "completed_at": timestamp(outcome.ended)},
    ]


def _answer(rng: random.Random, node: Relation | Test | UnitTest | None, outcome: Outcome) -> Json:
    """What BigQuery said, and dbt's message."""
    if outcome.status in {"skipped", "no-op"}:
        return {"adapter_response": {}, "message": "NO-OP" if outcome.status == "no-op" else None}
    if outcome.status == "error":
        return {"adapter_response": {}, "message": _error_message(rng, node)}
    if isinstance(node, Relation):
        response = _response(rng, node)
        return {"adapter_response": response, "message": response["_message"]}
    message = None
    if outcome.failures:
        results = f"{outcome.failures} result{'s' if outcome.failures != 1 else ''}"
        message = f"Got {results}, configured to {outcome.status} if != 0"
    return {"adapter_response": _job(rng, "SELECT", 1, round(rng.lognormvariate(15, 3))), "message": message}


def _error_message(rng: random.Random, node: Relation | Test | UnitTest | None) -> str:
    assert isinstance(node, Relation | Test)  # noqa: S101 - nothing else is given an error
    kind, path = ("test", node.written_path) if isinstance(node, Test) else ("model", node.original_file_path)
    reason = rng.choice(_ERRORS).format(database=DATABASE, column=rng.choice(words.ENTITIES), line=rng.randint(12, 140))
    compiled = f"compiled code at target/run/{PROJECT}/{path}"
    return f"Database Error in {kind} {node.name} ({node.original_file_path})\n  {reason}\n  {compiled}"


def _response(rng: random.Random, relation: Relation) -> Json:
    scanned, rows = round(rng.lognormvariate(18, 3.5)), round(rng.lognormvariate(10, 3))
    if relation.materialized == "seed":
        return {"_message": f"INSERT {rows % 900}", "code": "INSERT", "rows_affected": rows % 900}
    if relation.materialized == "view":
        return _job(rng, "CREATE VIEW", None, 0)
    return _job(rng, "CREATE TABLE" if relation.materialized == "table" else "MERGE", rows, scanned)


def _job(rng: random.Random, code: str, rows: int | None, scanned: int) -> Json:
    """A BigQuery job: at least 10 MiB of it is billed, in whole MiB."""
    size = _in_units(scanned, 1024, ("Bytes", "KiB", "MiB", "GiB", "TiB", "PiB"), " ") if scanned else "0"
    affected = "" if rows is None else f"{_in_units(rows, 1000, ('', 'k', 'm', 'b', 't'), '')} rows, "
    return {
        "_message": f"{code} ({affected}{size} processed)",
        "code": code,
        **({} if rows is None else {"rows_affected": rows}),
        "bytes_processed": scanned,
        "bytes_billed": max(10, -(-scanned // 2**20)) * 2**20 if scanned else 0,
        "location": LOCATION,
        "project_id": DATABASE,
        "job_id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        "slot_ms": round(rng.lognormvariate(6, 2)),
    }


def _in_units(number: float, step: int, units: tuple[str, ...], space: str) -> str:
    for unit in units[:-1]:
        if number < step:
            return f"{number:3.1f}{space}{unit}"
        number /= step
    return f"{number:3.1f}{space}{units[-1]}"


def run_args() -> Json:
    """The flags of `dbt build`, as 1.11 lists them."""
    return {
        "log_level": "info",
        "log_level_file": "debug",
        "log_format": "default",
        "log_format_file": "json",
        "log_path": "logs",
        "log_file_max_bytes": 10485760,
        "profiles_dir": "profiles",
        "project_dir": ".",
        "which": "build",
        "invocation_command": "dbt build --target prod",
        "target": "prod",
        "vars": {"run_date": "2026-03-09"},
        "select": [],
        "exclude": [],
        "resource_types": [],
        "exclude_resource_types": [],
        "indirect_selection": "eager",
        "warn_error_options": {"error": [], "warn": [], "silence": []},
        "sqlparse": {"MAX_GROUPING_DEPTH": None, "MAX_GROUPING_TOKENS": None},
        "printer_width": 80,
        **dict.fromkeys(
            (
                "write_json", "print", "partial_parse", "partial_parse_file_diff", "populate_cache", "introspect",
                "version_check", "static_parser", "use_colors_file", "require_generic_test_arguments_property",
                "require_explicit_package_overrides_for_builtin_materializations", "source_freshness_run_project_hooks",
                "require_resource_names_without_spaces",
            ),
            True,
        ),
        **dict.fromkeys(
            (
                "quiet", "show", "defer", "favor_state", "empty", "cache_selected_only", "use_colors",
                "macro_debugging", "send_anonymous_usage_stats", "show_resource_report", "show_all_deprecations",
                "strict_mode",
                "include_saved_query", "export_saved_queries", "validate_macro_args", "use_fast_test_edges",
                "upload_to_artifacts_ingest_api", "skip_nodes_if_on_run_start_fails",
                "require_nested_cumulative_type_params", "require_yaml_configuration_for_mf_time_spines",
                "require_batched_execution_for_custom_microbatch_strategy", "state_modified_compare_vars",
                "state_modified_compare_more_unrendered_values", "require_all_warnings_handled_by_warn_error",
                "require_ref_searches_node_package_before_root", "require_unique_project_resource_names",
            ),
            False,
        ),
    }  # fmt: skip


def freshness_criteria(source: Relation) -> Json | None:
    """The same for a source whenever it is asked; None where freshness is not checked."""
    rng = random.Random(f"freshness {source.unique_id}")
    if rng.random() > _FRESHNESS_SHARE:
        return None
    hours = rng.choice((2, 6, 12, 24))
    return {
        "warn_after": {"count": hours, "period": "hour"},
        "error_after": {"count": 2 * hours, "period": "hour"}
        if rng.random() < 0.8
        else {"count": None, "period": None},
        "filter": None,
    }


def sources_document(project: Project) -> Json:
    """The sources.json of a `dbt source freshness` before the build; like dbt, without a source whose check broke."""
    rng = random.Random(f"sources {project.seed}")
    results = []
    for number, source in enumerate(project.relations):
        criteria = freshness_criteria(source) if source.resource_type == "source" else None
        status = rng.choices(*_BAD_FRESHNESS)[0]
        if criteria is None or status == "runtime error":
            continue
        if status == "error" and criteria["error_after"]["count"] is None:
            status = "warn"
        results.append(_freshness(rng, source, criteria, status, -900 + number / 10))
    return {
        "metadata": {
            "dbt_schema_version": "https://schemas.getdbt.com/dbt/sources/v3.json",
            "dbt_version": DBT_VERSION,
            "generated_at": timestamp(-800),
            "invocation_id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
            "invocation_started_at": timestamp(-905),
            "env": ENV,
        },
        "results": results,
        "elapsed_time": 101.25,
    }


def _freshness(rng: random.Random, source: Relation, criteria: Json, status: str, began: float) -> Json:
    hours = criteria["warn_after"]["count"] * {"pass": rng.random(), "warn": 1.4, "error": rng.uniform(2, 9)}[status]
    outcome = Outcome(status, rng.randint(1, 32), began, 0.0002, rng.uniform(0.6, 3))
    snapshotted = STARTED_AT + timedelta(seconds=outcome.ended)
    return {
        "unique_id": source.unique_id,
        "max_loaded_at": (snapshotted - timedelta(hours=hours)).isoformat(),
        "snapshotted_at": snapshotted.isoformat(),
        "max_loaded_at_time_ago_in_s": round(hours * 3600, 6),
        "status": status,
        "criteria": criteria,
        "adapter_response": _job(rng, "SELECT", 1, round(rng.lognormvariate(15, 3))),
        "timing": _timing(outcome),
        "thread_id": f"Thread-{outcome.thread} (worker)",
        "execution_time": outcome.ended - outcome.began,
    }
