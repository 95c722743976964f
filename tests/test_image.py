"""The image that runs dbt where no Airflow is, as far as that can be judged without an engine that builds it."""

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
STAGES = [f"FROM{stage}" for stage in re.split(r"^FROM", DOCKERFILE, flags=re.MULTILINE)[1:]]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def instructions(stage: str, name: str) -> list[str]:
    joined = re.sub(r"\\\n", " ", stage)
    return [line.removeprefix(f"{name} ").strip() for line in joined.splitlines() if line.startswith(f"{name} ")]


def test_what_it_copies_exists_and_is_sent_to_the_engine() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[0] == "*"
    sent = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    copied = [path for copy in instructions(STAGES[0], "COPY") for path in copy.split()[:-1]]
    assert sorted(copied) == sorted(sent)
    for path in copied:
        assert (ROOT / path).exists(), path


def test_it_copies_all_that_the_wheel_is_built_from() -> None:
    copied = [path.rstrip("/") for copy in instructions(STAGES[0], "COPY") for path in copy.split()[:-1]]
    assert {PROJECT["readme"], *PROJECT["license-files"], "pyproject.toml", "observability"} <= set(copied)


def test_it_runs_our_command_as_nobody_special_with_an_extra_that_there_is() -> None:
    last = STAGES[-1]
    (entrypoint,) = instructions(last, "ENTRYPOINT")
    assert entrypoint == '["dbt-observe"]'
    assert "dbt-observe" in PROJECT["scripts"]
    assert set(re.findall(r"\[(\w+)\]", "".join(instructions(last, "RUN")))) <= set(PROJECT["optional-dependencies"])
    (user,) = instructions(last, "USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), "a number, so that runAsNonRoot can be checked"
    assert last.index("\nUSER") > last.rindex("\nRUN")


def test_hygiene() -> None:
    for stage in STAGES:
        (base,) = re.findall(r"^FROM (\S+)", stage)
        assert fnmatch(base, "python:3.1?-slim")
        assert "ADD " not in stage
        assert "sudo" not in stage
        for run in instructions(stage, "RUN"):
            assert "--no-cache-dir" in run or "pip" not in run
            assert "apt" not in run
        for directory in instructions(stage, "WORKDIR"):
            assert directory.startswith("/")
    assert not re.search(r"(?i)^(ARG|ENV) .*(token|password|secret|key)", DOCKERFILE, re.MULTILINE)


def test_the_settings_that_it_makes_are_settings() -> None:
    from observability.config import describe_settings

    named = set(re.findall(r"DBT_OBSERVE_\w+", "".join(instructions(STAGES[-1], "ENV"))))
    assert named
    assert named <= {setting.variable for setting in describe_settings()}
