import json
import os
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from observability.config import (
    ChannelSettings,
    Deadline,
    RedactionSettings,
    Settings,
    StorageSettings,
    describe_settings,
    load_settings,
)
from observability.errors import ConfigError

DEFAULTS: dict[str, Any] = {
    "store": "duckdb:///.dbt_observe/audit.duckdb",
    "environment": None,
    "artifacts_dir": Path(".dbt_observe/artifacts"),
    "artifacts_to": None,
    "store_timeout_seconds": 60.0,
    "spool_dir": Path(".dbt_observe/spool"),
    "lock_timeout_seconds": 60.0,
    "artifacts_kept": 10,
    "redaction": {
        "patterns": ("token", "password", "passwd", "secret", "key", "credential", "private"),
        "allow": (),
    },
    "storage": {"compiled_code": "failures", "conformance_manifest_max_bytes": 20_000_000},
    "deadlines": (),
    "report": {"to": None, "url": None},
    "slack": {
        "token": None,
        "channel": None,
        "fallback_channel": None,
        "webhook_url": None,
        "base_url": "https://slack.com/api/",
        "timeout_seconds": 30.0,
        "settle_seconds": 60.0,
        "owners": {},
        "rules": (),
        "channels": {},
        "maintenance": (),
        "links": {},
    },
}

MATCHED = ["severity", "kind", "environment", "project", "tag", "path", "group", "owner", "resource_type", "exposure"]
DUE = ["step", "by", "zone", "days", "begins", "since", "project", "environment", "severity", "owner", "channel"]
DUE += ["runbook"]
WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty git checkout, which is the current directory, and no variables of ours."""
    for name in [name for name in os.environ if name.upper().startswith("DBT_OBSERVE_")]:
        monkeypatch.delenv(name)
    root = tmp_path / "project"
    (root / ".git").mkdir(parents=True)
    monkeypatch.chdir(root)
    return root


def error_of(**overrides: object) -> tuple[str, str, str]:
    with pytest.raises(ConfigError) as caught:
        load_settings(**overrides)
    # pydantic's error shows the values, and a traceback shows the cause.
    assert caught.value.__cause__ is None or not isinstance(caught.value.__cause__, ValidationError)
    assert caught.value.__suppress_context__ or not isinstance(caught.value.__context__, ValidationError)
    return caught.value.what, caught.value.where, caught.value.next_step


def test_without_any_settings_the_defaults_hold() -> None:
    assert load_settings().model_dump() == DEFAULTS


def test_settings_cannot_be_changed() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError):
        settings.store = "duckdb:///other.duckdb"
    with pytest.raises(ValidationError):
        settings.storage.compiled_code = "all"


def test_arguments_beat_environment_beats_own_file_beats_pyproject_beats_defaults(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "pyproject.toml").write_text(
        """
        [project]
        name = "shop"
        [tool.dbt-observe]
        store = "pyproject"
        environment = "pyproject"
        artifacts_dir = "pyproject"
        artifacts_kept = 3
        [tool.dbt-observe.storage]
        compiled_code = "all"
        conformance_manifest_max_bytes = 1
        """
    )
    (project / "dbt_observe.toml").write_text(
        """
        store = "file"
        environment = "file"
        artifacts_dir = "file"
        storage.conformance_manifest_max_bytes = 2
        """
    )
    monkeypatch.setenv("DBT_OBSERVE_STORE", "variable")
    monkeypatch.setenv("DBT_OBSERVE_ENVIRONMENT", "variable")
    monkeypatch.setenv("DBT_OBSERVE_REDACTION__ALLOW", "MONKEY, KEYBOARD_LAYOUT ,")
    monkeypatch.setenv("DBT_OBSERVE_LOCK_TIMEOUT_SECONDS", "2.5")
    assert load_settings(store="argument", lock_timeout_seconds=None).model_dump() == {
        "store": "argument",
        "environment": "variable",
        "artifacts_dir": Path("file"),
        "artifacts_to": None,
        "lock_timeout_seconds": 2.5,
        "store_timeout_seconds": 60.0,
        "spool_dir": Path(".dbt_observe/spool"),
        "artifacts_kept": 3,
        "redaction": DEFAULTS["redaction"] | {"allow": ("MONKEY", "KEYBOARD_LAYOUT")},
        "storage": {"compiled_code": "all", "conformance_manifest_max_bytes": 2},
        "deadlines": (),
        "report": DEFAULTS["report"],
        "slack": DEFAULTS["slack"],
    }


def test_overrides_of_none_are_ignored_in_tables_too(project: Path) -> None:
    (project / "dbt_observe.toml").write_text('environment = "prod"\nstorage.compiled_code = "all"\n')
    settings = load_settings(
        environment=None, storage={"compiled_code": None, "conformance_manifest_max_bytes": 5}, redaction=None
    )
    assert settings.environment == "prod"
    assert settings.storage == StorageSettings(compiled_code="all", conformance_manifest_max_bytes=5)
    assert settings.redaction == RedactionSettings()


def test_an_empty_variable_is_as_good_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBT_OBSERVE_STORE", "")
    monkeypatch.setenv("DBT_OBSERVE_REDACTION__PATTERNS", "")
    assert load_settings().model_dump() == DEFAULTS


def test_variables_of_others_are_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBT_OBSERVER", "x")
    monkeypatch.setenv("DBT_ENV_CUSTOM_ENV_OBSERVE_TOKEN", "x")
    assert load_settings().model_dump() == DEFAULTS


def test_the_nearest_directory_with_settings_is_the_one_that_is_read(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = project / "dbt" / "models" / "marts"
    below.mkdir(parents=True)
    (project / "dbt_observe.toml").write_text('environment = "root"\nstore = "root"\n')
    monkeypatch.chdir(below)
    assert load_settings().environment == "root"
    (project / "dbt" / "pyproject.toml").write_text('[project]\nname = "dbt"\n')
    assert load_settings().environment == "root"
    (project / "dbt" / "pyproject.toml").write_text('[tool.dbt-observe]\nenvironment = "dbt"\n')
    assert (load_settings().environment, load_settings().store) == ("dbt", DEFAULTS["store"])
    (project / "dbt" / "models" / "dbt_observe.toml").write_text("")
    assert load_settings().environment is None


@pytest.mark.parametrize("worktree", [False, True])
def test_what_is_above_the_git_root_is_not_read(project: Path, worktree: bool) -> None:
    (project.parent / "dbt_observe.toml").write_text('environment = "above"\n')
    (project / ".git").rmdir()
    assert load_settings().environment == "above"
    if worktree:
        (project / ".git").write_text("gitdir: elsewhere\n")
    else:
        (project / ".git").mkdir()
    assert load_settings().environment is None


def test_a_directory_with_a_files_name_is_no_file(project: Path) -> None:
    (project / "dbt_observe.toml").mkdir()
    assert load_settings().model_dump() == DEFAULTS


def test_a_current_directory_that_is_gone_is_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = project / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    what, _, next_step = error_of()
    assert what.startswith("the current directory cannot be told: ")
    assert next_step == "change to a directory that exists"


@pytest.mark.parametrize(
    ("text", "key", "near"),
    [
        ('stroe = "x"', "stroe", "store"),
        ("lock-timeout-seconds = 3", "lock-timeout-seconds", "lock_timeout_seconds"),
        ('[storage]\ncompiled_cod = "all"', "storage.compiled_cod", "storage.compiled_code"),
        ('compiled_code = "all"', "compiled_code", "storage.compiled_code"),
        ('allow = ["x"]', "allow", "redaction.allow"),
        ('[redactoin]\nallow = ["x"]', "redactoin", "redaction"),
    ],
)
def test_an_unknown_key_of_a_file_is_told_with_the_nearest_right_one(
    project: Path, text: str, key: str, near: str
) -> None:
    own = project / "dbt_observe.toml"
    own.write_text(text)
    assert error_of() == (f"{key} is not a setting", f"{own}: {key}", f"did you mean {near}?")
    own.unlink()
    pyproject = project / "pyproject.toml"
    table = "tool.dbt-observe"
    pyproject.write_text(re.sub(r"^\[", f"[{table}.", text) if text[0] == "[" else f"[{table}]\n{text}")
    assert error_of() == (f"{key} is not a setting", f"{pyproject}: {table}.{key}", f"did you mean {near}?")


@pytest.mark.parametrize("name", ["dbt_observe", "DBT-Observe", "dbt-observability"])
def test_a_misspelt_table_of_pyproject_is_told(project: Path, name: str) -> None:
    path = project / "pyproject.toml"
    path.write_text(f'[tool.{name}]\nstore = "x"\n')
    assert error_of() == (
        f"tool.{name} is not a setting",
        f"{path}: tool.{name}",
        "did you mean tool.dbt-observe?",
    )


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("DBT_OBSERVE_STROE", "DBT_OBSERVE_STORE"),
        ("dbt_observe_store", "DBT_OBSERVE_STORE"),
        ("DBT_OBSERVE_STORAGE_COMPILED_CODE", "DBT_OBSERVE_STORAGE__COMPILED_CODE"),
        ("DBT_OBSERVE_COMPILED_CODE", "DBT_OBSERVE_STORAGE__COMPILED_CODE"),
        ("DBT_OBSERVE_REDACTION", "DBT_OBSERVE_REDACTION__ALLOW"),
    ],
)
def test_an_unknown_variable_is_told_with_the_nearest_right_one(
    monkeypatch: pytest.MonkeyPatch, name: str, near: str
) -> None:
    monkeypatch.setenv(name, "x")
    assert error_of() == (f"{name} is not a setting", f"environment variable {name}", f"did you mean {near}?")


def test_where_nothing_resembles_an_unknown_variable_all_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBT_OBSERVE_QQQQ", "x")
    listed = ", ".join(setting.variable for setting in describe_settings() if setting.variable)
    assert error_of() == (
        "DBT_OBSERVE_QQQQ is not a setting",
        "environment variable DBT_OBSERVE_QQQQ",
        f"there are: {listed}",
    )


def test_an_unknown_argument_is_told_with_the_nearest_right_one() -> None:
    assert error_of(stoer="x") == ("stoer is not a setting", "argument stoer", "did you mean store?")
    assert error_of(storage={"compiled": "all"}) == (
        "storage.compiled is not a setting",
        "argument storage.compiled",
        "did you mean storage.compiled_code?",
    )


@pytest.mark.parametrize(
    ("text", "key", "problem", "next_step"),
    [
        (
            'lock_timeout_seconds = "soon"',
            "lock_timeout_seconds",
            "is 'soon', but should be a number",
            "expected: number, such as 60.0",
        ),
        (
            "lock_timeout_seconds = 0",
            "lock_timeout_seconds",
            "is 0, but should be greater than 0",
            "expected: number, such as 60.0",
        ),
        (
            "lock_timeout_seconds = inf",
            "lock_timeout_seconds",
            "is inf, but should be a finite number",
            "expected: number, such as 60.0",
        ),
        ("environment = 3", "environment", "is 3, but should be text", "expected: text"),
        ('environment = ""', "environment", "is '', but should not be empty", "expected: text"),
        (
            "artifacts_dir = 3",
            "artifacts_dir",
            "is 3, but should be a path",
            'expected: path, such as ".dbt_observe/artifacts"',
        ),
        (
            'storage.compiled_code = "some"',
            "storage.compiled_code",
            "is 'some', but should be 'failures', 'all' or 'none'",
            'expected: failures | all | none, such as "failures"',
        ),
        (
            "storage.conformance_manifest_max_bytes = 1.5",
            "storage.conformance_manifest_max_bytes",
            "is 1.5, but should be a whole number",
            "expected: whole number, such as 20000000",
        ),
        (
            'redaction.allow = "MONKEY"',
            "redaction.allow",
            "is 'MONKEY', but should be a list of texts",
            "expected: list of texts, such as []",
        ),
        (
            'redaction.allow = ["MONKEY", 3]',
            "redaction.allow",
            "is 3, but should be text",
            "expected: list of texts, such as []",
        ),
        ('storage = "all"', "storage", "should be a table", "write [storage], and its settings below"),
    ],
)
def test_a_wrong_value_is_told_in_plain_words(project: Path, text: str, key: str, problem: str, next_step: str) -> None:
    path = project / "dbt_observe.toml"
    path.write_text(text)
    assert error_of() == (f"{key} {problem}", f"{path}: {key}", next_step)


def test_a_wrong_value_is_told_where_it_stands(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = "storage.compiled_code is 'some', but should be 'failures', 'all' or 'none'"
    assert error_of(storage={"compiled_code": "some"})[:2] == (problem, "argument storage.compiled_code")
    monkeypatch.setenv("DBT_OBSERVE_STORAGE__COMPILED_CODE", "some")
    assert error_of()[:2] == (problem, "environment variable DBT_OBSERVE_STORAGE__COMPILED_CODE")
    monkeypatch.delenv("DBT_OBSERVE_STORAGE__COMPILED_CODE")
    path = project / "pyproject.toml"
    path.write_text('[tool.dbt-observe]\nstorage.compiled_code = "some"\n')
    assert error_of()[:2] == (problem, f"{path}: tool.dbt-observe.storage.compiled_code")
    path.write_text("[tool]\ndbt-observe = 3\n")
    assert error_of() == (
        "tool.dbt-observe should be a table",
        f"{path}: tool.dbt-observe",
        "write [tool.dbt-observe], and its settings below",
    )


def test_a_wrong_value_that_is_overridden_is_still_told(project: Path) -> None:
    (project / "dbt_observe.toml").write_text("environment = 3\n")
    assert error_of(environment="prod")[0] == "environment is 3, but should be text"


def test_an_unknown_key_is_told_first_and_wrong_values_are_counted(project: Path) -> None:
    path = project / "dbt_observe.toml"
    path.write_text("store = 1\nenvironment = 2\nartifacts_dir = 3\n")
    assert error_of()[0] == "store is 1, but should be text (2 more to correct)"
    path.write_text("store = 1\nteams = 2\n")
    assert error_of()[0] == "teams is not a setting"


@pytest.mark.parametrize(
    "text",
    [
        'slack_token = "hunter2"',
        'store = ["hunter2"]',
        'storage = "hunter2"',
        '[storage]\npassword = "hunter2"',
        'lock_timeout_seconds = "postgresql://me:hunter2@db/audit"',
        f'lock_timeout_seconds = "{"hunter2" * 20}"',
    ],
)
def test_what_may_be_a_secret_is_not_shown(project: Path, text: str) -> None:
    (project / "dbt_observe.toml").write_text(text)
    assert "hunter2" not in "".join(error_of()).lower()


def test_malformed_toml_is_told_with_its_line(project: Path) -> None:
    for name in ("dbt_observe.toml", "pyproject.toml"):
        path = project / name
        path.write_text('store = "x"\nenvironment\n')
        assert error_of() == (
            f"{name} cannot be read: Expected '=' after a key in a key/value pair (at line 2, column 12)",
            str(path),
            "correct the file, or remove it",
        )
        path.unlink()


@pytest.mark.parametrize("content", [b'store = "\xff"', b"a = " + b"[" * 100_000], ids=["not utf-8", "too deep"])
def test_a_file_that_cannot_be_decoded_is_told(project: Path, content: bytes) -> None:
    path = project / "dbt_observe.toml"
    path.write_bytes(content)
    what, where, _ = error_of()
    assert what.startswith("dbt_observe.toml cannot be read: ")
    assert where == str(path)


def test_the_constructor_reads_no_place(project: Path) -> None:
    (project / "dbt_observe.toml").write_text('environment = "prod"\n')
    assert load_settings().environment == "prod"
    assert Settings().environment is None


def test_each_setting_is_described_and_can_be_given_as_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    described = describe_settings()
    assert [(each.key, each.variable, each.type, each.default) for each in described if each.variable] == [
        ("store", "DBT_OBSERVE_STORE", "text", '"duckdb:///.dbt_observe/audit.duckdb"'),
        ("environment", "DBT_OBSERVE_ENVIRONMENT", "text", ""),
        ("artifacts_dir", "DBT_OBSERVE_ARTIFACTS_DIR", "path", '".dbt_observe/artifacts"'),
        ("artifacts_to", "DBT_OBSERVE_ARTIFACTS_TO", "text", ""),
        ("lock_timeout_seconds", "DBT_OBSERVE_LOCK_TIMEOUT_SECONDS", "number", "60.0"),
        ("store_timeout_seconds", "DBT_OBSERVE_STORE_TIMEOUT_SECONDS", "number", "60.0"),
        ("spool_dir", "DBT_OBSERVE_SPOOL_DIR", "path", '".dbt_observe/spool"'),
        ("artifacts_kept", "DBT_OBSERVE_ARTIFACTS_KEPT", "whole number", "10"),
        (
            "redaction.patterns",
            "DBT_OBSERVE_REDACTION__PATTERNS",
            "list of texts",
            '["token", "password", "passwd", "secret", "key", "credential", "private"]',
        ),
        ("redaction.allow", "DBT_OBSERVE_REDACTION__ALLOW", "list of texts", "[]"),
        ("storage.compiled_code", "DBT_OBSERVE_STORAGE__COMPILED_CODE", "failures | all | none", '"failures"'),
        (
            "storage.conformance_manifest_max_bytes",
            "DBT_OBSERVE_STORAGE__CONFORMANCE_MANIFEST_MAX_BYTES",
            "whole number",
            "20000000",
        ),
        ("deadlines", "DBT_OBSERVE_DEADLINES", "list of tables", "[]"),
        ("report.to", "DBT_OBSERVE_REPORT__TO", "text", ""),
        ("report.url", "DBT_OBSERVE_REPORT__URL", "text", ""),
        ("slack.token", "DBT_OBSERVE_SLACK__TOKEN", "secret text", ""),
        ("slack.channel", "DBT_OBSERVE_SLACK__CHANNEL", "text", ""),
        ("slack.fallback_channel", "DBT_OBSERVE_SLACK__FALLBACK_CHANNEL", "text", ""),
        ("slack.webhook_url", "DBT_OBSERVE_SLACK__WEBHOOK_URL", "secret text", ""),
        ("slack.base_url", "DBT_OBSERVE_SLACK__BASE_URL", "text", '"https://slack.com/api/"'),
        ("slack.timeout_seconds", "DBT_OBSERVE_SLACK__TIMEOUT_SECONDS", "number", "30.0"),
        ("slack.settle_seconds", "DBT_OBSERVE_SLACK__SETTLE_SECONDS", "number", "60.0"),
        ("slack.owners", "DBT_OBSERVE_SLACK__OWNERS", "table of texts", ""),
        ("slack.rules", "DBT_OBSERVE_SLACK__RULES", "list of tables", "[]"),
        ("slack.channels", "DBT_OBSERVE_SLACK__CHANNELS", "table of tables", ""),
        ("slack.maintenance", "DBT_OBSERVE_SLACK__MAINTENANCE", "list of tables", "[]"),
        ("slack.links", "DBT_OBSERVE_SLACK__LINKS", "table of texts", ""),
    ]
    assert [each.key for each in described if not each.variable and "rules" not in each.key] == [
        *(f"deadlines[].{name}" for name in DUE),
        *(f"slack.channels.*.{name}" for name in ("mention", "quiet_hours", "quiet_days", "zone")),
        *(f"slack.maintenance[].{name}" for name in [*MATCHED, "begins", "ends", "reason"]),
    ]
    settable = [each for each in described if each.variable]
    assert all(each.description.endswith(".") for each in described)
    value_by_type = {
        "text": "x",
        "path": "x",
        "number": "7",
        "whole number": "7",
        "list of texts": "x,y",
        "secret text": "x",
        "table of texts": '{"x": "U012"}',
        "table of tables": '{"x": {"zone": "Europe/Berlin"}}',
    }
    value_by_key = {
        "report.url": "https://reports.example",
        "deadlines": '[{"step": "dbt run", "by": "07:30", "since": "2026-03-01"}]',
        "slack.rules": '[{"tag": ["x"], "mute": true}]',
        "slack.maintenance": '[{"begins": "2026-03-01", "ends": "2026-03-02"}]',
    }
    for each in settable:
        given = value_by_key.get(each.key) or value_by_type.get(each.type) or each.type.split(" | ")[-1]
        monkeypatch.setenv(each.variable, given)
    changed = load_settings()
    for each in settable:
        value: object = changed
        default: object = DEFAULTS
        for part in each.key.split("."):
            value, default = getattr(value, part), default[part]  # type: ignore[index]
        assert value != default
        assert not isinstance(value, BaseModel)


def test_the_defaults_that_are_described_can_be_written_to_a_file(project: Path) -> None:
    lines = [f"{each.key} = {each.default}" for each in describe_settings() if each.variable and each.default]
    (project / "dbt_observe.toml").write_text("\n".join(lines))
    assert load_settings().model_dump() == DEFAULTS


@pytest.mark.parametrize(
    ("content", "what", "next_step"),
    [
        ('rules = ["x"]', "slack.rules[0] is 'x', but should be a table", "expected: list of tables, such as []"),
        ("rules = 3", "slack.rules is 3, but should be a list of tables", "expected: list of tables, such as []"),
        (
            'rules = [{tag = ["x"]}]',
            "slack.rules[0] should name a channel, people to mention, or mute = true",
            "expected: list of tables, such as []",
        ),
        (
            'rules = [{mute = true}, {chanel = "#x"}]',
            "slack.rules[1].chanel is not a setting",
            "did you mean slack.rules[].channel?",
        ),
        (
            'rules = [{channel = "#x", tag = [1]}]',
            "slack.rules[0].tag is 1, but should be text",
            "expected: list of texts, such as []",
        ),
        (
            'rules = [{channel = "#x", mention = ["@ann"]}]',
            "slack.rules[0].mention is '@ann', but should be the id of a Slack user (U… or W…) or user group (S…)",
            "expected: list of texts, such as []",
        ),
        (
            'rules = [{channel = "#x", severity = ["bad"]}]',
            "slack.rules[0].severity is 'bad', but should be 'critical', 'error' or 'warning'",
            "expected: list of critical | error | warning, such as []",
        ),
        (
            'owners = {ann = "ann"}',
            (
                "slack.owners.ann is 'ann', but should be the id of a Slack user (U…, W…), user group (S…) or channel "
                "(C…, G…, #name)"
            ),
            "expected: table of texts",
        ),
        (
            'channels."#data" = {zone = "Mars/Olympus"}',
            (
                "slack.channels.#data.zone is 'Mars/Olympus', but should be a time zone of this machine, such as "
                "Europe/Berlin"
            ),
            'expected: text, such as "UTC"',
        ),
        (
            'channels."#data" = {quiet_hours = "8-18"}',
            "slack.channels.#data.quiet_hours is '8-18', but should be two times of day, such as \"20:00-07:00\"",
            "expected: text",
        ),
        (
            "maintenance = [{begins = 2026-03-01}]",
            "slack.maintenance[0].ends is missing",
            "expected: timestamp",
        ),
        (
            "maintenance = [{begins = 2026-03-02, ends = 2026-03-01}]",
            "slack.maintenance[0] should end after it begins",
            "expected: list of tables, such as []",
        ),
    ],
)
def test_what_is_wrong_within_a_table_is_told_with_its_place(
    project: Path, content: str, what: str, next_step: str
) -> None:
    path = project / "dbt_observe.toml"
    path.write_text(f"[slack]\n{content}\n")
    place = what.partition(" ")[0]
    assert error_of() == (what, f"{path}: {place}", next_step)


@pytest.mark.parametrize(
    ("content", "what", "next_step"),
    [
        ("", "deadlines[0].by is missing", "expected: text"),
        ('by = "7:30"', "deadlines[0].by is '7:30', but should be a time of day, such as \"07:30\"", "expected: text"),
        (
            'by = "24:00"',
            "deadlines[0].by is '24:00', but should be a time of day, such as \"07:30\"",
            "expected: text",
        ),
        ("by = 07:30:00", "deadlines[0].by should be text", "expected: text"),
        (
            'by = "07:30"\nbegins = "noon"',
            "deadlines[0].begins is 'noon', but should be a time of day, such as \"07:30\"",
            "expected: text",
        ),
        (
            'by = "07:30"\nzone = "Mars"',
            "deadlines[0].zone is 'Mars', but should be a time zone of this machine, such as Europe/Berlin",
            'expected: text, such as "UTC"',
        ),
        (
            'by = "07:30"\ndays = []',
            "deadlines[0].days should name a day",
            f"expected: list of {' | '.join(WEEK)}, such as {json.dumps(WEEK)}",
        ),
        (
            'by = "07:30"\ndays = ["monday"]',
            "deadlines[0].days is 'monday', but should be 'mon', 'tue', 'wed', 'thu', 'fri', 'sat' or 'sun'",
            f"expected: list of {' | '.join(WEEK)}, such as {json.dumps(WEEK)}",
        ),
        (
            'by = "07:30"\nsince = "soon"',
            "deadlines[0].since is 'soon', but should be a date such as 2026-12-01",
            "expected: date",
        ),
        (
            'by = "07:30"\nsince = 2026-12-01T08:00:00Z',
            "deadlines[0].since should be a date such as 2026-12-01",
            "expected: date",
        ),
        (
            'by = "07:30"\nseverity = "bad"',
            "deadlines[0].severity is 'bad', but should be 'critical', 'error' or 'warning'",
            'expected: critical | error | warning, such as "error"',
        ),
        ('by = "07:30"\nsteps = "x"', "deadlines[0].steps is not a setting", "did you mean deadlines[].step?"),
    ],
)
def test_what_is_wrong_of_a_deadline_is_told_with_its_place(
    project: Path, content: str, what: str, next_step: str
) -> None:
    path = project / "dbt_observe.toml"
    path.write_text(f'[[deadlines]]\nstep = "dbt run"\n{content}\n')
    assert error_of() == (what, f"{path}: {what.partition(' ')[0]}", next_step)


def test_deadlines_are_read_as_they_are_written(project: Path) -> None:
    (project / "dbt_observe.toml").write_text(
        """
        [[deadlines]]
        step = "greenery_daily.*"
        by = "07:30"
        zone = "Europe/Berlin"
        days = ["mon", "fri"]
        since = 2026-12-01
        [[deadlines]]
        step = "dbt run"
        by = "23:00"
        """
    )
    first, second = load_settings().deadlines
    assert first == Deadline(
        step="greenery_daily.*", by="07:30", zone="Europe/Berlin", days=("mon", "fri"), since=date(2026, 12, 1)
    )
    assert (second.days, second.severity, second.begins) == (tuple(WEEK), "error", None)


def test_a_table_in_the_environment_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBT_OBSERVE_SLACK__OWNERS", '{"Data team": "S012"}')
    assert load_settings().slack.owners == {"Data team": "S012"}
    monkeypatch.setenv("DBT_OBSERVE_SLACK__OWNERS", "Data team=S012")
    what, where, next_step = error_of()
    assert what.startswith("slack.owners cannot be read: Expecting value")
    assert where == "environment variable DBT_OBSERVE_SLACK__OWNERS"
    assert next_step == "write the table of texts as JSON, or set it in dbt_observe.toml"


@pytest.mark.parametrize(
    ("clock", "quiet"),
    [
        ("2026-03-02T18:59", False),  # Monday, 19:59 in Berlin
        ("2026-03-02T19:00", True),
        ("2026-03-03T05:59", True),
        ("2026-03-03T06:00", False),
        ("2026-03-06T22:59", True),
        ("2026-03-07T12:00", True),  # Saturday
        ("2026-03-08T23:30", False),  # Monday in Berlin, and not yet in UTC
        ("2026-06-01T17:59", False),
        ("2026-06-01T18:00", True),  # in summer an hour earlier
    ],
)
def test_a_channel_is_quiet_by_its_own_clock(clock: str, quiet: bool) -> None:
    hours = "20:00-07:00" if not clock.startswith("2026-03-08") else "20:00-23:00"
    channel = ChannelSettings(quiet_hours=hours, quiet_days=("sat", "sun"), zone="Europe/Berlin")
    assert channel.is_quiet(datetime.fromisoformat(clock).replace(tzinfo=UTC)) is quiet
