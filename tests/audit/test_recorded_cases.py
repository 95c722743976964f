"""What each recorded dbt command becomes."""

from pathlib import Path

import pytest
from recorded import CASES, load, read, unpack

from observability.audit.build import build_load

from recorded import OPTIONS  # isort: skip

EXPECTED = [
    # case, outcome, rows of run_results, rows of source_freshness
    ("build_model_error", "failure", 20, 0),
    ("build_ok", "success", 20, 0),
    ("build_test_failures", "failure", 20, 0),
    ("build_unit_test_fail", "failure", 20, 0),
    ("compile", "success", 0, 0),
    ("custom_env", "success", 1, 0),
    ("docs_generate", "success", 0, 0),
    ("empty_run", "success", 5, 0),
    ("freshness_empty_table", "failure", 0, 2),
    ("freshness_error", "failure", 0, 2),
    ("freshness_pass", "success", 0, 2),
    ("freshness_runtime_error", "failure", 0, 2),
    ("freshness_runtime_error_log", "failure", 0, 2),
    ("freshness_selected", "success", 0, 1),
    ("freshness_warn", "warning", 0, 2),
    ("killed_log", "interrupted", 6, 0),
    ("killed_reused_target", "interrupted", 0, 0),
    ("ls", "success", 0, 0),
    ("microbatch_partial", "failure", 2, 0),
    ("missing_ref", "not_run", 0, 0),
    ("nothing_selected", "success", 0, 0),
    ("on_run_end_compile_error", "failure", 5, 0),
    ("on_run_start_error", "failure", 6, 0),
    ("on_run_start_error_skips", "failure", 6, 0),
    ("parse", "success", 0, 0),
    ("retry", "failure", 3, 0),
    ("run_model_error", "failure", 5, 0),
    ("run_ok", "success", 5, 0),
    ("run_operation", "success", 1, 0),
    ("seed", "success", 2, 0),
    ("sigint", "failure", 5, 0),
    ("sigint_log", "interrupted", 6, 0),
    ("sigterm", "interrupted", 0, 0),
    ("snapshot", "success", 1, 0),
    ("store_failures", "failure", 10, 0),
    ("test_mixed", "failure", 11, 0),
    ("test_warn_only", "warning", 10, 0),
    ("unit_test_fail", "failure", 1, 0),
    ("usage_error", "not_run", 0, 0),
]


def test_every_recorded_case_is_expected_to_become_something() -> None:
    assert [case for case, *_ in EXPECTED] == CASES


@pytest.mark.parametrize(("name", "outcome", "run_results", "freshness"), EXPECTED)
def test_a_command_becomes_its_outcome_and_its_rows(
    name: str, outcome: str, run_results: int, freshness: int, tmp_path: Path
) -> None:
    case = unpack(name, tmp_path)
    made = build_load(read(case.folder, case.step, case.started_at), OPTIONS)
    assert (made.invocation.outcome, len(made.run_results), len(made.source_freshness)) == (
        outcome,
        run_results,
        freshness,
    )


def test_a_command_is_named_as_dbt_names_it(tmp_path: Path) -> None:
    names = {
        name: load(unpack(name, tmp_path).folder).invocation.command for name in ("retry", "snapshot", "docs_generate")
    }
    assert names == {"retry": "retry", "snapshot": "snapshot", "docs_generate": "docs generate"}


def test_a_killed_run_keeps_what_had_finished_and_names_what_it_was_at(tmp_path: Path) -> None:
    case = unpack("killed_log", tmp_path)
    made = load(case.folder, case.step)
    statuses = {row.unique_id.rpartition(".")[2]: row.status for row in made.run_results}
    assert made.invocation.evidence == "event_log"
    assert statuses.pop("slow_report") == "interrupted"
    assert set(statuses.values()) == {"success"}


def test_results_of_an_earlier_run_are_not_those_of_a_killed_one(tmp_path: Path) -> None:
    case = unpack("killed_reused_target", tmp_path)
    made = load(case.folder, case.step)
    assert made.run_results == []
    (warning,) = made.invocation.warnings
    assert warning.startswith("run_results.json is not this step's: ")
    assert [file.name for file in made.invocation.files if not file.used] == ["run_results.json"]


def test_a_source_that_dbt_left_out_of_its_results_is_a_runtime_error_with_the_reason_of_the_log(
    tmp_path: Path,
) -> None:
    logged, silent = (unpack(f"freshness_runtime_error{name}", tmp_path) for name in ("_log", ""))
    (row,) = [row for row in load(logged.folder, logged.step).source_freshness if row.outcome == "failure"]
    assert row.status == "runtime error"
    assert "Error" in (row.error or "")
    (row,) = [row for row in load(silent.folder, silent.step).source_freshness if row.outcome == "failure"]
    assert (row.status, row.error) == (
        "runtime error",
        "dbt left this source out of its results, as it does where the check itself fails",
    )


def test_an_empty_table_has_no_newest_row_and_no_age(tmp_path: Path) -> None:
    case = unpack("freshness_empty_table", tmp_path)
    (row,) = [row for row in load(case.folder, case.step).source_freshness if row.outcome == "failure"]
    assert (row.max_loaded_at, row.age_seconds) == (None, None)


def test_secrets_of_the_command_line_and_of_vars_are_redacted(tmp_path: Path) -> None:
    case = unpack("custom_env", tmp_path)
    row = load(case.folder, case.step).invocation
    assert "hush" not in f"{row.invocation_command} {row.vars} {row.args} {row.env}"
    assert "2021-02-11" in f"{row.vars}"


def test_what_is_skipped_names_the_first_failure_above_it(tmp_path: Path) -> None:
    case = unpack("build_model_error", tmp_path)
    made = load(case.folder, case.step)
    failed = {row.unique_id for row in made.run_results if row.outcome == "failure"}
    skipped = [row for row in made.run_results if row.outcome == "skipped"]
    assert skipped
    assert {cause for row in skipped for cause in row.causes} <= failed
    assert all(row.causes for row in skipped)
