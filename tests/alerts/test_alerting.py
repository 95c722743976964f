"""From dbt's files to Slack: what is loaded, told once, and told again when it has changed."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from factories import freshness, result
from fake_slack import FakeSlack, Fault
from pydantic import SecretStr
from shop import BINDER, MORNING, ORDERS, TEST_A, A, B, C, Shop, passed

from observability.alerts.actions import Action
from observability.alerts.delivery import Telling
from observability.config import Settings, SlackSettings
from observability.errors import ConfigError
from observability.pipeline.alerting import alert, rehearse, resend, send_digest, tell_after
from observability.pipeline.attending import Deed, act
from observability.pipeline.questions import current_status
from observability.stores.base import open_store


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack("alerts") as running:
        yield running


@pytest.fixture
def told(tmp_path: Path, slack: FakeSlack) -> Shop:
    settings = Settings(store=f"duckdb:///{tmp_path}/audit.duckdb")
    return configured(Shop(tmp_path, settings), slack)


def configured(told: Shop, slack: FakeSlack, **given: Any) -> Shop:
    """The shop with other settings of Slack's."""
    to = {"token": SecretStr(slack.token), "channel": slack.channels["alerts"].id, "base_url": slack.url}
    found = SlackSettings.model_validate({**to, "settle_seconds": 0, **given})
    told.settings = told.settings.model_copy(update={"slack": found})
    return told


def clock(told: Shop, after: timedelta = timedelta(minutes=2)) -> Callable[[], datetime]:
    return lambda: MORNING + timedelta(minutes=told.minutes) + after


def tell(told: Shop, after: timedelta = timedelta(minutes=2)) -> Telling:
    return alert(told.settings, clock(told, after))


def texts(slack: FakeSlack, channel: str = "alerts") -> list[str]:
    return [message.text.partition(" (")[0] for message in slack.messages(channel)]


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
        "🛠️ Fixed. 2 not rebuilt yet: fct_c, int_b; 1 test not run since.",
        "✅ Well again after 10 min.",
    ]
    assert tell(told) == Telling()


def test_tellers_at_once_tell_once(told: Shop, slack: FakeSlack) -> None:
    told.step("run", result(A, "error"), exit_code=1)
    with ThreadPoolExecutor(4) as pool:
        reports = [one.result() for one in [pool.submit(tell, told) for _ in range(4)]]
    assert sum(report.done for report in reports) == len(slack.messages("alerts")) == 1


def test_who_tells_is_waited_for_a_while(told: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    told.step("run", result(A, "error"), exit_code=1)
    with ThreadPoolExecutor(1) as pool:
        with open_store(told.settings).lease("alert"):
            monkeypatch.setattr("observability.pipeline.alerting._PATIENCE_SECONDS", 0.2)
            assert tell(told) == Telling(elsewhere=True)
            monkeypatch.setattr("observability.pipeline.alerting._PATIENCE_SECONDS", 60.0)
            waiting = pool.submit(tell, told)
            sleep(1)
            assert not waiting.done()
        assert waiting.result().done == 1


def test_what_a_backfill_saw_or_a_retry_may_mend_is_not_told(told: Shop, slack: FakeSlack) -> None:
    told.step("run", result(A, "error"), exit_code=1, alertable=False)
    told.step("run", result(C, "error"), dag_run="r", exit_code=1, will_retry=True, try_number=1)
    assert tell(told) == Telling()
    assert tell(told, after=timedelta(minutes=61)).done == 1
    (message,) = slack.messages("alerts")
    assert "model fct_c failed" in message.text


@pytest.mark.parametrize("late", ["passes", "fails"])
def test_a_retry_that_comes_after_its_absence_was_told_ends_what_was_told(
    told: Shop, slack: FakeSlack, late: str
) -> None:
    told.step("run", *passed(A, B, C), dag_run="r0")
    told.step("run", result(A, "error", message=BINDER), dag_run="r", exit_code=1, will_retry=True, try_number=1)
    assert tell(told, after=timedelta(minutes=61)).done == 1
    told.minutes += 90
    results = passed(A, B, C) if late == "passes" else [result(A, "error", message=BINDER)]
    told.step("run", *results, dag_run="r", try_number=2, exit_code=int(late == "fails"))
    tell(told)
    told.step("run", *passed(A, B, C), dag_run="r2")
    tell(told)
    assert tell(told).done == 0
    if late == "passes":
        assert texts(slack) == [
            "⚪ cleared: model stg_a failed in shop / default",
            "⚪ It does not count any more: a repeat of its step took its place, or it is past retention.",
        ]
    else:
        assert texts(slack) == ["✅ well again: model stg_a failed in shop / default", "✅ Well again after 5 min."]


def test_without_a_token_or_a_channel_it_says_which(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no Slack token"):
        alert(Settings(store=f"duckdb:///{tmp_path}/a.duckdb"))
    with pytest.raises(ConfigError, match="no Slack channel"):
        alert(Settings(store=f"duckdb:///{tmp_path}/a.duckdb", slack=SlackSettings(token=SecretStr("xoxb-1"))))


FAILED = "🟠 error: model stg_a failed in shop / default"


def fail(told: Shop, *more: dict[str, Any]) -> None:
    told.step("run", result(A, "error", message=BINDER), *more, exit_code=1)


def test_each_channel_is_told_what_is_its_own(told: Shop, slack: FakeSlack) -> None:
    finance = slack.add_channel("finance")
    configured(told, slack, rules=[{"channel": finance.id, "resource_type": ["source"]}])
    fail(told)
    told.step("source freshness", freshness(ORDERS, "error", max_loaded_at_time_ago_in_s=187_200.0), exit_code=1)
    assert tell(told).done == 2
    assert texts(slack) == [FAILED]
    assert texts(slack, "finance") == ["🟠 error: source raw.orders is 2 d 4 h old in shop / default"]


def test_what_a_channel_does_not_take_goes_to_the_fallback_and_ends_there(told: Shop, slack: FakeSlack) -> None:
    other = slack.add_channel("closed", members=False)
    configured(told, slack, rules=[{"channel": other.id}], fallback_channel=slack.channels["alerts"].id)
    fail(told)
    telling = tell(told)
    assert (telling.done, telling.failed) == (1, 1)
    assert telling.problems == (f"{other.id}: not_in_channel; invite the app to the channel: /invite @its-name",)
    (message,) = slack.messages("alerts")
    assert message.text == FAILED
    assert f"meant for {other.id}, where Slack takes nothing: not_in_channel" in str(message.blocks)
    (row,) = current_status(told.settings).untold
    assert (row["state"], row["attempts"], row["error"]) == ("failed", 1, "not_in_channel")
    slack.channels["closed"].members = True
    tell(told)
    assert texts(slack, "closed") == [FAILED], "told late, once the channel takes it"
    told.step("run", *passed(A, B, C))
    tell(told)
    for channel in ("alerts", "closed"):
        assert texts(slack, channel) == [
            "✅ well again: model stg_a failed in shop / default",
            "✅ Well again after 5 min.",
        ]
    assert current_status(told.settings).untold == ()


def test_without_a_fallback_it_goes_to_the_default_channel(told: Shop, slack: FakeSlack) -> None:
    configured(told, slack, rules=[{"channel": "#nowhere"}])
    fail(told)
    assert tell(told).done == 1
    assert texts(slack) == [FAILED]


def test_all_that_is_meant_for_a_channel_that_takes_nothing_goes_to_the_fallback(told: Shop, slack: FakeSlack) -> None:
    configured(told, slack, rules=[{"channel": "#nowhere"}])
    fail(told)
    tell(told)
    told.step("source freshness", freshness(ORDERS, "error", max_loaded_at_time_ago_in_s=187_200.0), exit_code=1)
    telling = tell(told)
    assert (telling.done, telling.left) == (1, 2), "left in the channel that was meant"
    assert texts(slack) == [FAILED, "🟠 error: source raw.orders is 2 d 4 h old in shop / default"]


def test_what_was_given_up_is_told_when_somebody_asks_for_it(told: Shop, slack: FakeSlack) -> None:
    fail(told)
    slack.script(Fault.OK_FALSE, error="as_user_not_supported", times=5)
    for _ in range(6):
        tell(told)
    (row,) = current_status(told.settings).untold
    assert (row["state"], row["attempts"], row["error"]) == ("dead", 5, "as_user_not_supported")
    assert slack.messages("alerts") == []
    assert resend(told.settings, ["another"], clock(told)).done == 0
    assert resend(told.settings, now=clock(told)).done == 1
    assert texts(slack) == [FAILED]


def test_who_is_on_it_is_shown(told: Shop, slack: FakeSlack) -> None:
    fail(told)
    tell(told)
    now = clock(told)()
    act(told.settings, "stg_a", Deed(action=Action.ACK, acted_by="ann", reason="on the train"), now)
    tell(told)
    (message,) = slack.messages("alerts")
    assert "*Now*  ann is on it: on the train" in str(message.blocks)


def test_a_snooze_that_is_over_calls_again(told: Shop, slack: FakeSlack) -> None:
    fail(told)
    tell(told)
    now = clock(told)()
    until = now + timedelta(hours=1)
    act(told.settings, "model.shop.stg_a", Deed(action=Action.SNOOZE, acted_by="ann", until=until), now)
    tell(told)
    (message,) = slack.messages("alerts")
    assert "*Now*  snoozed until 2026-03-02 07:07 UTC by ann" in str(message.blocks)
    tell(told, after=timedelta(minutes=50))
    assert len(slack.messages("alerts")) == 1
    for minutes in (63, 64):
        tell(told, after=timedelta(minutes=minutes))
    assert texts(slack)[1:] == ['🔔 Still failing: Binder Error: column "x" not found']
    act(told.settings, A, Deed(action=Action.SNOOZE, acted_by="ann", until=now + timedelta(hours=9)), now)
    tell(told, after=timedelta(minutes=65))
    act(told.settings, A, Deed(action=Action.UNSNOOZE, acted_by="ann"), now)
    tell(told, after=timedelta(minutes=66))
    assert len(texts(slack)) == 3


def test_what_somebody_resolves_is_told_as_that_and_as_back_when_it_is_seen_again(told: Shop, slack: FakeSlack) -> None:
    fail(told)
    tell(told)
    (incident,) = current_status(told.settings, clock(told)()).incidents
    deed = Deed(action=Action.RESOLVE, acted_by="ben", reason="rebuilt by hand")
    act(told.settings, incident.id[:6], deed, clock(told)())
    tell(told)
    assert texts(slack) == [
        "☑️ resolved: model stg_a failed in shop / default",
        "☑️ Resolved by ben: rebuilt by hand.",
    ]
    fail(told)
    tell(told)
    assert texts(slack)[0] == FAILED
    assert texts(slack)[2:] == ['🔁 Failing again: Binder Error: column "x" not found']


def test_an_action_names_one_incident(told: Shop) -> None:
    fail(told)
    ack = Deed(action=Action.ACK, acted_by="ann")
    with pytest.raises(ConfigError, match="'nobody' names no incident that is open") as caught:
        act(told.settings, "nobody", ack)
    assert "(stg_a); dbt-observe incidents lists all" in caught.value.next_step
    with pytest.raises(ConfigError, match="a snooze needs an end"):
        act(told.settings, "stg_a", Deed(action=Action.SNOOZE, acted_by="ann"))


def test_a_webhook_tells_what_opens_and_what_is_over(tmp_path: Path, slack: FakeSlack) -> None:
    url = SecretStr(slack.webhook_url("alerts"))
    told = Shop(tmp_path, Settings(store=f"duckdb:///{tmp_path}/audit.duckdb", slack=SlackSettings(webhook_url=url)))
    fail(told, result(B, "skipped"))
    assert tell(told).done == 1
    fail(told)
    told.step("run", *passed(A))
    assert tell(told) == Telling(), "neither seen again nor fixed is told"
    told.step("run", *passed(A, B, C))
    tell(told)
    assert texts(slack) == [FAILED, "✅ Well again after 10 min."]
    assert "told by a webhook" in str(slack.messages("alerts")[0].blocks)
    slack.script(Fault.RESET_AFTER, method="webhook")
    fail(told)
    told.settings = told.settings.model_copy(
        update={"slack": told.settings.slack.model_copy(update={"settle_seconds": 0, "timeout_seconds": 1})}
    )
    tell(told)
    first, repeat = slack.messages("alerts")[2:]
    assert (first.text.startswith("🔁 Failing again"), repeat.text.endswith("(may be a repeat)")) == (True, True)


def test_a_webhook_tells_many_in_one_message(tmp_path: Path, slack: FakeSlack) -> None:
    url = SecretStr(slack.webhook_url("alerts"))
    told = Shop(tmp_path, Settings(store=f"duckdb:///{tmp_path}/audit.duckdb", slack=SlackSettings(webhook_url=url)))
    told.step("test", result(TEST_A, "fail", failures=1), exit_code=1)
    told.step("source freshness", freshness(ORDERS, "error", max_loaded_at_time_ago_in_s=187_200.0), exit_code=1)
    tell(told)
    assert texts(slack) == ["2 things are wrong"]
    told.step("test", result(TEST_A, "pass"))
    tell(told)
    assert texts(slack)[1:] == ["✅ Well again after 10 min."]


def test_what_would_be_told_is_shown_and_nobody_hears_of_it(told: Shop, slack: FakeSlack) -> None:
    fail(told)
    (message,) = rehearse(told.settings, clock(told))
    assert (message.channel, message.payload.text) == (told.settings.slack.channel, FAILED)
    assert (slack.requests, current_status(told.settings).untold) == ([], ())
    assert tell(told).done == 1
    assert rehearse(told.settings, clock(told)) == []


def test_the_digest_is_posted_once_a_day_also_when_all_is_well(told: Shop, slack: FakeSlack) -> None:
    told.step("run", *passed(A, B, C))
    for _ in range(2):
        assert send_digest(told.settings, clock(told))[1]
    fail(told)
    tell(told)
    assert send_digest(told.settings, clock(told, timedelta(days=1)))[1]
    assert texts(slack) == ["☀️ All is well", FAILED, "📋 2 exposures at risk, 1 open"]
    permalink = "archives/" + slack.channels["alerts"].id
    assert permalink in str(slack.messages("alerts")[2].blocks)
    payload, is_posted = send_digest(told.settings, clock(told, timedelta(days=2)), dry_run=True)
    assert (payload.text, is_posted) == ("📋 2 exposures at risk, 1 open", False)
    assert len(slack.messages("alerts")) == 3


def test_a_fault_of_the_telling_is_only_said_after_a_load(told: Shop, slack: FakeSlack) -> None:
    fail(told)
    slack.revoked = True
    (problem,) = tell_after(told.settings)
    assert problem.startswith("Slack lets this app tell nothing: ")
    assert slack.token not in problem
    slack.revoked = False
    assert tell_after(told.settings) == []
    assert len(slack.messages("alerts")) == 1


def test_a_wrong_template_is_told_before_anybody_is(told: Shop, slack: FakeSlack) -> None:
    fail(told)
    configured(told, slack, links={"docs": "https://{{ nothing }}"})
    with pytest.raises(ConfigError, match="speaks of nothing"):
        tell(told)
    assert slack.requests == []
