"""The fixture project as a live one: real dbt on a copy of it, loaded and told step by step."""

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from fake_slack import POST, FakeSlack, Message, Request
from pydantic import SecretStr

from observability.config import Settings, SlackSettings
from observability.pipeline.alerting import alert
from observability.pipeline.running import run

PROJECT = Path(__file__).parents[1] / "fixture_project"
CHANNEL = "alerts"
_DBT = str(Path(sys.executable).with_name("dbt"))
_OURS = ("DBT_", "AIRFLOW_", "PYTHONDONTWRITEBYTECODE")

PROFILES = """
bakery:
  outputs:
    dev: &dev
      type: duckdb
      path: bakery.duckdb
      threads: 2
      settings: {TimeZone: UTC, threads: 1}
    elsewhere: {<<: *dev, schema: elsewhere}
  target: dev
"""
BY_DAY = """
{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='ordered_at', batch_size='day',
          begin='2021-02-09') }}

select order_id, ordered_at, cast(loaves as integer) as loaves
from {{ ref('raw_orders') }}
"""
# 12 models below stg_orders, which with orders and customer_orders are 14: a chain, and a fan below its second link.
CHAIN = {f"link_{number}": f"link_{number - 1}" if number > 1 else "stg_orders" for number in range(1, 7)}
FAN = {f"leaf_{number}": "link_2" for number in range(1, 7)}
MORE_YAML = """
seeds:
  - {name: raw_orders, config: {event_time: ordered_at}}

models:
  - name: stg_payments
    columns: [{name: amount, data_tests: [positive_value]}]
  - name: link_1
    columns: [{name: order_id, data_tests: [not_null]}]
  - name: leaf_3
    columns: [{name: order_id, data_tests: [not_null]}]

exposures:
  - {name: export, label: Export, type: application, owner: {name: Tax office}, depends_on: [ref('stg_orders')]}
  - {name: leaflet, label: Leaflet, type: analysis, owner: {name: Marketing}, depends_on: [ref('leaf_3')]}
  - {name: forecast, label: Forecast, type: ml, owner: {name: Planning}, depends_on: [ref('link_6')]}
"""


@dataclass
class Bakery:
    """A copy of the project with a warehouse and an audit store of its own, and the channel in which it is told."""

    folder: Path
    slack: FakeSlack | None = None
    heard: int = 0
    """How many requests to Slack were heard of."""

    @property
    def settings(self) -> Settings:
        """Where its steps are stored and told."""
        told = self.slack and SlackSettings(
            token=SecretStr(self.slack.token), channel=self.slack.channels[CHANNEL].id, base_url=self.slack.url
        )
        return Settings(
            store=f"duckdb:///{self.folder}/audit.duckdb", environment="prod", slack=told or SlackSettings()
        )

    def set_up(self) -> None:
        """Copy the project, and add a till, a second schema to build in, a microbatch model, and more models."""
        shutil.copytree(PROJECT, self.folder)
        self.land()
        self.write("profiles.yml", PROFILES)
        self.write("models/more.yml", MORE_YAML)
        self.write("models/orders_by_day.sql", BY_DAY)
        for name, parent in (CHAIN | FAN).items():
            self.write(f"models/{name}.sql", f"select order_id, ordered_at from {{{{ ref('{parent}') }}}}")

    def write(self, path: str, text: str) -> None:
        """Make a file of the project say something else."""
        (self.folder / path).write_text(text.lstrip("\n"), encoding="utf-8")

    def land(self, spoilt: int = 0, amount: str = "amount") -> None:
        """What the till writes: 6 good payments, and so many with nothing in them; its column may have another name."""
        self.query(
            "CREATE SCHEMA IF NOT EXISTS till; CREATE OR REPLACE TABLE till.payments AS "
            f"SELECT i AS order_id, IF(i <= 6, i * 1.5, 0) AS {amount} FROM range(1, 7 + {spoilt}) AS r(i)"
        )

    def query(self, sql: str) -> None:
        """Do something to the warehouse."""
        with duckdb.connect(self.folder / "bakery.duckdb") as connection:
            connection.execute(sql)

    def dbt(self, command: str, *, will_retry: bool = False, airflow: Mapping[str, object] | None = None) -> int:
        """Run dbt as `dbt-observe run` does, and load what it leaves; dbt's exit code. `airflow`: dag_run_id etc."""
        overrides = {"store": self.settings.store, "environment": "prod"}
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith(_OURS)]:
                patch.delenv(name)
            for name, value in (airflow or {}).items():
                patch.setenv(f"AIRFLOW_CTX_{name.upper()}", str(value))
            patch.chdir(self.folder)
            words = [_DBT, "--quiet", *shlex.split(command)]
            code, messages = run(words, overrides=overrides, will_retry=will_retry)
        assert len(messages) == 1, messages  # what was loaded, and no fault
        return code

    def hear(self, after: timedelta = timedelta()) -> list[str]:
        """Tell what is new, as of now or of a while later; what Slack was asked to show, in its order."""
        assert self.slack
        told = alert(self.settings, (lambda: datetime.now(UTC) + after) if after else None)
        assert (told.failed, told.dead, told.left, told.problems) == (0, 0, 0, ())
        asked, self.heard = self.slack.requests[self.heard :], len(self.slack.requests)
        return [f"{_manner(one)}: {one.payload['text']}" for one in asked]

    @property
    def messages(self) -> list[Message]:
        """What the channel holds, in order of arrival."""
        assert self.slack
        return self.slack.messages(CHANNEL)


def _manner(request: Request) -> str:
    if request.method == "chat.update":
        return "edit"
    assert request.method == POST
    if "thread_ts" not in request.payload:
        return "post"
    return "reply to all" if request.payload.get("reply_broadcast") else "reply"


def lines(message: Message) -> list[str]:
    """A message as people read it."""
    texts = []
    for block in message.blocks:
        parts = block.get("elements") or [block["text"]]
        texts += [line for part in parts for line in part["text"].splitlines()]
    return texts
