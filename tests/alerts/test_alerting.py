"""From dbt's files to Slack: what is loaded, told once, and told again when it has changed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from factories import result
from fake_slack import FakeSlack
from pydantic import SecretStr
from shop import BINDER, MORNING, TEST_A, A, B, C, Shop, passed

from observability.alerts.delivery import Telling
from observability.config import Settings, SlackSettings
from observability.errors import ConfigError
from observability.pipeline import alert


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack("alerts") as running:
        yield running


@pytest.fixture
def told(tmp_path: Path, slack: FakeSlack) -> Shop:
    channel = slack.channels["alerts"].id
    to = SlackSettings(token=SecretStr(slack.token), channel=channel, base_url=slack.url, settle_seconds=0)
    return Shop(tmp_path, Settings(store=f"duckdb:///{tmp_path}/audit.duckdb", slack=to))


def tell(told: Shop, after: timedelta = timedelta(minutes=2)) -> Telling:
    return alert(told.settings, lambda: MORNING + timedelta(minutes=told.minutes) + after)


def test_a_failure_is_told_once_and_closed_when_it_is_well(told: Shop, slack: FakeSlack) -> None:
    told.step("run", *passed(A, B, C))
    assert tell(told) == Telling()
    skipped = (result(B, "skipped"), result(C, "skipped"))
    told.step("run", result(A, "error", message=BINDER), *skipped, dag_run="r", exit_code=1)
    told.step("test", result(TEST_A, "error", message="no table"), dag_run="r", exit_code=1)
    assert tell(told).done == 1
    assert tell(told) == Telling()
    told.step("run", *passed(A))
    tell(told)
    told.step("run", *passed(A, B, C))
    told.step("test", result(TEST_A, "pass"))
    tell(told)
    parent, *replies = slack.messages("alerts")
    assert parent.text == "✅ well again: model stg_a failed in shop / default"
    assert [reply.thread_ts for reply in replies] == [parent.ts] * 2
    assert [reply.text.partition(" (")[0] for reply in replies] == [
        "🛠️ Fixed. 3 not rebuilt yet: fct_c, int_b, unique_a.",
        "✅ Well again after 10 min.",
    ]
    assert tell(told) == Telling()


def test_tellers_at_once_tell_once(told: Shop, slack: FakeSlack) -> None:
    told.step("run", result(A, "error"), exit_code=1)
    with ThreadPoolExecutor(4) as pool:
        reports = [one.result() for one in [pool.submit(tell, told) for _ in range(4)]]
    assert sum(report.done for report in reports) == len(slack.messages("alerts")) == 1


def test_what_a_backfill_saw_or_a_retry_may_mend_is_not_told(told: Shop, slack: FakeSlack) -> None:
    told.step("run", result(A, "error"), exit_code=1, alertable=False)
    told.step("run", result(C, "error"), dag_run="r", exit_code=1, will_retry=True, try_number=1)
    assert tell(told) == Telling()
    assert tell(told, after=timedelta(minutes=61)).done == 1
    (message,) = slack.messages("alerts")
    assert "model fct_c failed" in message.text


def test_without_a_token_or_a_channel_it_says_which(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no Slack token"):
        alert(Settings(store=f"duckdb:///{tmp_path}/a.duckdb"))
    with pytest.raises(ConfigError, match="no Slack channel"):
        alert(Settings(store=f"duckdb:///{tmp_path}/a.duckdb", slack=SlackSettings(token=SecretStr("xoxb-1"))))
