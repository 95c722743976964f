"""What a command line says, however it is spelled."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.artifacts.commands import KINDS, CommandKind, from_args, parse_command


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("dbt run", "run"),
        ("dbt --warn-error run", "run"),
        ("dbt -q build --select stg_orders+", "build"),
        ("dbt --target build run", "run"),
        ("dbt --log-level=debug test", "test"),
        ("dbt --no-write-json run", "run"),
        ("/opt/venv/bin/dbt seed --full-refresh", "seed"),
        ("uv run dbt build", "build"),
        ("poetry run dbt test", "test"),
        ("python -m dbt.cli.main source freshness", "source freshness"),
        ("dbt source snapshot-freshness", "source freshness"),
        ("dbt freshness", "freshness"),
        ("dbt docs generate", "docs generate"),
        ("dbt list", "ls"),
        ("dbt retry", "retry"),
        ("dbt run-operation grant --args '{role: build}'", "run-operation"),
        ("run --select test", "run"),
        ("dbt run --vars {slow: true}", "run"),
        ("dbt run --vars '{unclosed", "run"),
        ("dbt", None),
        ("make everything", None),
        ("", None),
        (None, None),
    ],
)
def test_the_command_is_dbts_own_word(text: str | None, name: str | None) -> None:
    assert parse_command(text).name == name


def test_selection_and_target_are_read_in_each_spelling() -> None:
    command = parse_command("dbt test -s a+ tag:x --exclude=b --models c -t prod --selector nightly --fail-fast")
    assert (command.select, command.exclude) == (("a+", "tag:x", "c"), ("b",))
    assert (command.target, command.selector) == ("prod", "nightly")
    assert {"--fail-fast", "-s"} <= command.flags


def test_a_retry_is_one_though_dbt_records_what_it_repeats() -> None:
    assert from_args({"which": "run", "invocation_command": "dbt retry"}).name == "retry"
    assert from_args({"which": "generate"}).name == "docs generate"
    assert from_args({"rpc_method": "build", "target": "qa"}).target == "qa"
    assert from_args(None).name is None


def test_every_known_command_has_a_kind_that_its_name_leads_to() -> None:
    assert {parse_command(f"dbt {name}").kind for name in KINDS} == set(CommandKind)
    assert all(parse_command(f"dbt {name}").name == name for name in KINDS)


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert parse_command(text).name in {None, *KINDS}
