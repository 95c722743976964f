"""Secrets go, and nothing else does."""

import msgspec
import pytest
from factories import manifest, node, result, run_results, write_step
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pathlib import Path  # isort: skip
from recorded import load

from observability.audit.invocation import BuildOptions
from observability.audit.redaction import REDACTED, Redaction
from observability.config import load_settings

DEFAULT = Redaction(load_settings().redaction.patterns)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("dbt run --vars '{api_token: hush, as_of: today}'", "dbt run --vars '{api_token: [redacted], as_of: today}'"),
        ('dbt run --vars \'{"password": "hu sh", "a": 1}\'', 'dbt run --vars \'{"password": "[redacted]", "a": 1}\''),
        ("dbt run --vars {db_secret: hush}", "dbt run --vars {db_secret: [redacted]}"),
        ("dbt run --vars=api_key=hush", "dbt run --vars=api_key=[redacted]"),
        ("dbt run --my-token hush -x", "dbt run --my-token [redacted] -x"),
        ("DBT_ENV_SECRET_GIT=hush dbt deps", "DBT_ENV_SECRET_GIT=[redacted] dbt deps"),
        ("dbt run --select stg_keys tag:secret_sauce other", None),
        ("dbt build --select token_usage+ --exclude private_models", None),
        ("dbt run --profiles-dir /secrets/dbt --target prod", None),
    ],
)
def test_values_of_secret_names_are_redacted_in_a_command_line(text: str, kept: str | None) -> None:
    assert DEFAULT.text(text) == (kept or text)


def test_values_of_secret_names_are_redacted_at_any_depth() -> None:
    value = {"a": [{"Client_Secret": {"x": 1}, "b": "c"}], "PASSWORD": "p", "token": None, "use_key": True}
    assert DEFAULT.value(value) == {
        "a": [{"Client_Secret": REDACTED, "b": "c"}],
        "PASSWORD": REDACTED,
        "token": None,
        "use_key": True,
    }


def test_an_allowed_name_is_kept_and_dbts_own_secrets_never_are() -> None:
    lenient = Redaction(("key",), allow=("unique_key", "DBT_ENV_SECRET_X"))
    value = {"unique_key": "id", "api_key": "x", "DBT_ENV_SECRET_X": "y"}
    assert lenient.value(value) == {"unique_key": "id", "api_key": REDACTED, "DBT_ENV_SECRET_X": REDACTED}


SECRET = "h7Qz0pXw93"  # noqa: S105 - what must not be found
names = st.sampled_from(["api_token", "PASSWORD", "my-secret", "key", "x_credential_y", "DBT_ENV_SECRET_A"])
styles = st.sampled_from(
    ["{{{n}: {s}}}", '{{"{n}": "{s}"}}', "{{'{n}': '{s}'}}", "{n}={s}", "{{a: 1, {n}: {s}, b: 2}}"]
)


@given(name=names, style=styles, quoted=st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_secret_is_in_no_column_of_a_load(name: str, style: str, quoted: bool, tmp_path: Path) -> None:
    variables = style.format(n=name, s=SECRET)
    command = f"dbt run --vars {variables!r}" if quoted else f"dbt run --vars {variables}"
    args = {"invocation_command": command, "vars": {name: SECRET, "nested": {name: [SECRET]}}}
    document = run_results(result("model.shop.a"), args=args, env={name: SECRET})
    folder = write_step(tmp_path / "s", manifest=manifest(node("model.shop.a")), run_results=document)
    made = load(folder, options=BuildOptions(redaction=DEFAULT))
    assert SECRET not in msgspec.json.encode([made.invocation, *made.run_results]).decode()
