"""The fake of Slack behaves as Slack does, and fails as it is told."""

import json
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import RemoteDisconnected
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from fake_slack import FakeSlack, Fault, Version

METADATA = {"event_type": "alert", "event_payload": {"key": "k1"}}
SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "hello"}}
AFTER = [fault for fault in Fault if fault.takes_effect and fault is not Fault.LATE_EFFECT]
BEFORE = [
    fault for fault in Fault if not fault.takes_effect and fault not in {Fault.INVALID_BLOCKS, Fault.HISTORY_DENIED}
]


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack("alerts", "other") as running:
        yield running


def send(url: str, data: bytes | None, **headers: str) -> tuple[bytes, Any]:
    request = Request(url, data, {key.replace("_", "-"): value for key, value in headers.items()})  # noqa: S310
    with urlopen(request, timeout=5) as answer:  # noqa: S310
        return answer.read(), answer.headers


def ask(slack: FakeSlack, method: str, **payload: Any) -> dict[str, Any]:
    """A request as JSON."""
    headers = {"Authorization": f"Bearer {slack.token}", "Content-Type": "application/json"}
    body, _ = send(slack.url + method, json.dumps(payload).encode(), **headers)
    answer: dict[str, Any] = json.loads(body)
    return answer


def post(slack: FakeSlack, text: str = "hello", channel: str = "alerts", **payload: Any) -> dict[str, Any]:
    return ask(slack, "chat.postMessage", channel=channel, text=text, **payload)


def outcome(slack: FakeSlack, text: str = "hello", **payload: Any) -> str:
    """What a client can tell of a message that it posts."""
    try:
        answer = post(slack, text, **payload)
    except HTTPError as error:
        error.close()
        return str(error.code)
    except (ConnectionError, URLError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        return "silence" if isinstance(reason, RemoteDisconnected) else "reset"
    return "ok" if answer["ok"] else str(answer["error"])


def channel_id(slack: FakeSlack, name: str = "alerts") -> str:
    return slack.channels[name].id


def texts(slack: FakeSlack, channel: str = "alerts") -> list[str]:
    return [message.text for message in slack.messages(channel)]


def test_a_message_is_taken_as_json_as_form_and_from_the_query(slack: FakeSlack) -> None:
    said = {"channel": "#alerts", "text": "hällo & more", "blocks": [SECTION], "metadata": METADATA}
    answer = ask(slack, "chat.postMessage", **said)
    form = said | {"blocks": json.dumps([SECTION]), "metadata": json.dumps(METADATA), "token": slack.token}
    send(slack.url + "chat.postMessage", urlencode(form).encode())
    send(slack.url + "chat.postMessage?" + urlencode(form), None)
    first, second, third = slack.messages("alerts")
    assert answer["ok"]
    assert (answer["channel"], answer["ts"]) == (channel_id(slack), first.ts)
    assert answer["message"]["text"] == "hällo & more"
    for message in (first, second, third):
        assert (message.text, message.blocks, message.metadata) == ("hällo & more", [SECTION], METADATA)
    assert [(request.method, request.outcome, request.effect) for request in slack.requests] == [
        ("chat.postMessage", "ok", "ok")
    ] * 3
    assert slack.requests[0].payload == slack.requests[1].payload == said


def test_every_message_has_a_time_of_its_own(slack: FakeSlack) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: post(slack, str(number), ("alerts", "other")[number % 2]), range(40)))
    assert len({answer["ts"] for answer in answers}) == 40
    for name in ("alerts", "other"):
        stamps = [message.ts for message in slack.messages(name)]
        assert len(stamps) == 20
        assert stamps == sorted(stamps)
    assert min(answer["ts"] for answer in answers) == "1700000000.000100"


def test_a_time_can_be_told() -> None:
    with FakeSlack(now=lambda: 1_750_000_000.25) as slack:
        assert [post(slack)["ts"] for _ in range(2)] == ["1750000000.250000", "1750000000.250100"]


def test_tokens_and_scopes_are_asked_for(slack: FakeSlack) -> None:
    bearer = {"Authorization": f"Bearer {slack.token}"}
    body, headers = send(slack.url + "auth.test", b"", **bearer)
    assert json.loads(body)["bot_id"]
    assert set(headers["X-OAuth-Scopes"].split(",")) == slack.scopes
    assert json.loads(send(slack.url + "auth.test", b"")[0])["error"] == "not_authed"
    assert json.loads(send(slack.url + "auth.test?token=other", None)[0])["error"] == "invalid_auth"
    slack.scopes = {"channels:read"}
    refusal = {"ok": False, "error": "missing_scope", "needed": "chat:write", "provided": "channels:read"}
    assert post(slack) == refusal
    answer = ask(slack, "conversations.history", channel=channel_id(slack))
    assert (answer["error"], answer["needed"]) == ("missing_scope", "channels:history")
    slack.revoked = True
    assert post(slack)["error"] == "token_revoked"
    assert ask(slack, "chat.nonsense")["error"] == "unknown_method"
    assert texts(slack) == []


def test_a_username_needs_a_scope_of_its_own(slack: FakeSlack) -> None:
    assert post(slack, username="Observer")["message"]["username"] == "Observer"
    slack.scopes.remove("chat:write.customize")
    assert post(slack, username="Observer")["needed"] == "chat:write.customize"


def test_channels_refuse(slack: FakeSlack) -> None:
    slack.add_channel("away", members=False)
    slack.add_channel("old", archived=True)
    slack.add_channel("secret", members=False, private=True)
    errors = {name: post(slack, channel=name).get("error") for name in (*slack.channels, "nowhere")}
    assert errors == {
        "alerts": None,
        "other": None,
        "away": "not_in_channel",
        "old": "is_archived",
        "secret": "channel_not_found",
        "nowhere": "channel_not_found",
    }
    away = channel_id(slack, "away")
    for method in ("conversations.history", "conversations.replies"):
        assert ask(slack, method, channel=away, ts="1.0")["error"] == "not_in_channel"
    assert not ask(slack, "conversations.info", channel=away)["channel"]["is_member"]
    assert ask(slack, "conversations.join", channel=away)["channel"]["is_member"]
    assert post(slack, channel="away")["ok"]
    assert ask(slack, "conversations.join", channel=channel_id(slack, "old"))["error"] == "is_archived"
    slack.channels["away"].members = False
    slack.scopes.add("chat:write.public")
    assert post(slack, channel="away")["ok"]


def test_a_message_says_something_and_not_too_much(slack: FakeSlack) -> None:
    assert post(slack, " ")["error"] == "no_text"
    assert post(slack, "x" * 40_001)["error"] == "msg_too_long"
    assert post(slack, "x" * 40_000)["ok"]
    assert post(slack, "", blocks=[SECTION])["ok"]
    assert post(slack, metadata="no")["error"] == "invalid_metadata_format"
    assert post(slack, metadata={"event_type": "a"})["error"] == "invalid_metadata_schema"
    headers = {"Authorization": f"Bearer {slack.token}", "Content-Type": "application/json"}
    assert json.loads(send(slack.url + "chat.postMessage", b"{", **headers)[0])["error"] == "invalid_json"
    slack.max_blocks_characters = 100
    assert post(slack, blocks=[SECTION] * 5)["error"] == "msg_blocks_too_long"
    assert len(texts(slack)) == 2


def button(**changes: Any) -> dict[str, Any]:
    return {"type": "button", "text": {"type": "plain_text", "text": "Open"}, **changes}


def section(**changes: Any) -> dict[str, Any]:
    return {"type": "section", **changes}


def plain(length: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": "x" * length}


def actions(*elements: Any) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements)}


@pytest.mark.parametrize(
    ("fits", "does_not", "problem"),
    [
        ([SECTION] * 50, [SECTION] * 51, "no more than 50 items allowed [json-pointer:/blocks]"),
        (
            [section(text=plain(3000))],
            [section(text=plain(3001))],
            "must be less than 3001 characters [json-pointer:/blocks/0/text/text]",
        ),
        (
            [section(fields=[plain(2000)] * 10)],
            [section(fields=[plain(1)] * 11)],
            "no more than 10 items allowed [json-pointer:/blocks/0/fields]",
        ),
        (
            [section(text=plain(1), fields=[plain(2000)])],
            [section(fields=[plain(1), plain(2001)])],
            "must be less than 2001 characters [json-pointer:/blocks/0/fields/1/text]",
        ),
        (
            [{"type": "header", "text": plain(150)}],
            [{"type": "header", "text": plain(151)}],
            "must be less than 151 characters [json-pointer:/blocks/0/text/text]",
        ),
        (
            [{"type": "context", "elements": [plain(1)] * 10}],
            [{"type": "divider"}, {"type": "context", "elements": [plain(1)] * 11}],
            "no more than 10 items allowed [json-pointer:/blocks/1/elements]",
        ),
        (
            [actions(*[button()] * 25)],
            [actions(*[button()] * 26)],
            "no more than 25 items allowed [json-pointer:/blocks/0/elements]",
        ),
        (
            [actions(button(text=plain(75)))],
            [actions(button(text=plain(76)))],
            "must be less than 76 characters [json-pointer:/blocks/0/elements/0/text/text]",
        ),
        (
            [section(text=plain(1), accessory=button(url="u" * 3000))],
            [section(text=plain(1), accessory=button(url="u" * 3001))],
            "must be less than 3001 characters [json-pointer:/blocks/0/accessory/url]",
        ),
        (
            [section(text=plain(1), block_id="b" * 255)],
            [section(text=plain(1), block_id="b" * 256)],
            "must be less than 256 characters [json-pointer:/blocks/0/block_id]",
        ),
        (
            [{"type": "divider", "block_id": "a"}, {"type": "divider", "block_id": "b"}],
            [{"type": "divider", "block_id": "a"}, {"type": "divider", "block_id": "a"}],
            "`block_id` already exists [json-pointer:/blocks/1/block_id]",
        ),
        (
            [actions(button(action_id="a"), button(action_id="b"))],
            [actions(button(action_id="a"), button(action_id="a"))],
            "`action_id` already exists [json-pointer:/blocks/0/elements/1/action_id]",
        ),
        (
            [section(text=plain(1))],
            [section(text=plain(0))],
            "must be more than 0 characters [json-pointer:/blocks/0/text/text]",
        ),
        ([SECTION], [section()], "missing required field: text [json-pointer:/blocks/0]"),
        ([SECTION], [{"type": "fancy"}], "unsupported type: fancy [json-pointer:/blocks/0/type]"),
        ([SECTION], [SECTION | {"colour": "red"}], "invalid additional property: colour [json-pointer:/blocks/0]"),
    ],
)
def test_blocks_have_limits(
    slack: FakeSlack, fits: list[dict[str, Any]], does_not: list[dict[str, Any]], problem: str
) -> None:
    assert post(slack, blocks=fits)["ok"]
    assert ask(slack, "blocks.validate", blocks=fits)["ok"]
    for refused in (post(slack, blocks=does_not), ask(slack, "blocks.validate", blocks=does_not)):
        assert refused["error"] == "invalid_blocks"
        assert refused["response_metadata"]["messages"] == [f"[ERROR] {problem}"]
    assert post(slack, blocks="not a list")["error"] == "invalid_blocks_format"
    assert len(texts(slack)) == 1


def test_threads(slack: FakeSlack) -> None:
    parent = post(slack, "parent")["ts"]
    reply = post(slack, "reply", thread_ts=parent)["ts"]
    broadcast = post(slack, "loud", thread_ts=parent, reply_broadcast=True)["ts"]
    assert post(slack, thread_ts="1.000000")["error"] == "thread_not_found"
    assert post(slack, thread_ts="yesterday")["error"] == "invalid_thread_ts"
    assert post(slack, thread_ts=reply)["error"] == "cannot_reply_to_message"
    assert [(message.thread_ts, message.broadcast) for message in slack.messages("alerts")] == [
        (None, False),
        (parent, False),
        (parent, True),
    ]
    history = ask(slack, "conversations.history", channel=channel_id(slack))["messages"]
    assert [message["ts"] for message in history] == [broadcast, parent]
    assert (history[0]["subtype"], history[1]["reply_count"]) == ("thread_broadcast", 2)
    replies = ask(slack, "conversations.replies", channel=channel_id(slack), ts=parent)["messages"]
    assert [message["ts"] for message in replies] == [parent, reply, broadcast]
    missing = ask(slack, "conversations.replies", channel=channel_id(slack), ts="1.000000")
    assert missing["error"] == "thread_not_found"


def pages(slack: FakeSlack, method: str, **payload: Any) -> list[list[str]]:
    """The texts of each page."""
    found: list[list[str]] = []
    cursor = ""
    while not found or cursor:
        page = ask(slack, method, channel=channel_id(slack), cursor=cursor, **payload)
        found.append([message["text"] for message in page["messages"]])
        cursor = page["response_metadata"]["next_cursor"]
        assert page["has_more"] == bool(cursor)
    return found


def test_history_and_replies_come_in_pages(slack: FakeSlack) -> None:
    parent = post(slack, "0")["ts"]
    stamps = [post(slack, str(number))["ts"] for number in range(1, 5)]
    for number in range(3):
        post(slack, f"r{number}", thread_ts=parent)
    assert pages(slack, "conversations.history", limit=2) == [["4", "3"], ["2", "1"], ["0"]]
    assert pages(slack, "conversations.replies", ts=parent, limit=3) == [["0", "r0", "r1"], ["r2"]]
    between = {"oldest": stamps[0], "latest": stamps[2]}
    assert pages(slack, "conversations.history", **between) == [["2"]]
    assert pages(slack, "conversations.history", **between, inclusive=True, limit=2) == [["3", "2"], ["1"]]
    slack.max_page = 4
    assert pages(slack, "conversations.history", limit=1000) == [["4", "3", "2", "1"], ["0"]]
    for wrong, error in (
        ({"cursor": "?"}, "invalid_cursor"),
        ({"limit": "x"}, "invalid_limit"),
        ({"oldest": "x"}, "invalid_ts_oldest"),
    ):
        assert ask(slack, "conversations.history", channel=channel_id(slack), **wrong)["error"] == error


def test_a_page_does_not_move_when_a_message_comes(slack: FakeSlack) -> None:
    for text in "abc":
        post(slack, text)
    first = ask(slack, "conversations.history", channel=channel_id(slack), limit=2)
    post(slack, "d")
    cursor = first["response_metadata"]["next_cursor"]
    rest = ask(slack, "conversations.history", channel=channel_id(slack), cursor=cursor)
    assert [message["text"] for message in rest["messages"]] == ["a"]


def test_metadata_are_shown_to_those_who_ask(slack: FakeSlack) -> None:
    post(slack, metadata=METADATA)
    (plainly,) = ask(slack, "conversations.history", channel=channel_id(slack))["messages"]
    query = urlencode({"channel": channel_id(slack), "include_all_metadata": "1", "token": slack.token})
    (fully,) = json.loads(send(f"{slack.url}conversations.history?{query}", None)[0])["messages"]
    assert "metadata" not in plainly
    assert fully["metadata"] == METADATA


def test_a_message_is_updated(slack: FakeSlack) -> None:
    ts = post(slack, "first", blocks=[SECTION], metadata=METADATA)["ts"]
    channel = channel_id(slack)
    assert ask(slack, "chat.update", channel=channel, ts=ts, text="second")["text"] == "second"
    (message,) = slack.messages("alerts")
    assert (message.text, message.blocks, message.metadata) == ("second", [], METADATA)
    assert message.edits == [Version("first", [SECTION], METADATA)]
    form = {"channel": channel, "ts": ts, "blocks": json.dumps([SECTION]), "metadata": "{}", "token": slack.token}
    send(slack.url + "chat.update", urlencode(form).encode())
    (message,) = slack.messages("alerts")
    assert (message.blocks, message.metadata, len(message.edits)) == ([SECTION], None, 2)
    human = slack.say("alerts", "mine")
    for wrong, error in (
        ({"ts": "1.000000"}, "message_not_found"),
        ({"ts": human}, "cant_update_message"),
        ({"text": ""}, "no_text"),
        ({"channel": "alerts"}, "channel_not_found"),
        ({"blocks": [section()]}, "invalid_blocks"),
        ({"text": "x" * 40_001}, "msg_too_long"),
    ):
        asked = {"channel": channel, "ts": ts, "text": "third"} | wrong
        assert ask(slack, "chat.update", **asked)["error"] == error
    slack.delete("alerts", ts)
    assert ask(slack, "chat.update", channel=channel, ts=ts, text="late")["error"] == "message_not_found"
    assert texts(slack) == ["mine"]


def test_permalinks(slack: FakeSlack) -> None:
    parent = post(slack)["ts"]
    reply = post(slack, thread_ts=parent)["ts"]
    channel = channel_id(slack)
    links = [ask(slack, "chat.getPermalink", channel=channel, message_ts=ts) for ts in (parent, reply, "1.0")]
    assert links[0]["permalink"].endswith(f"/archives/{channel}/p{parent.replace('.', '')}")
    assert f"thread_ts={parent}" in links[1]["permalink"]
    assert links[2]["error"] == "message_not_found"


def hook(slack: FakeSlack, channel: str, body: bytes) -> tuple[int, str]:
    try:
        return 200, send(slack.webhook_url(channel), body, Content_Type="application/json")[0].decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_webhooks(slack: FakeSlack) -> None:
    slack.add_channel("old", archived=True)
    said = json.dumps({"text": "hello", "blocks": [SECTION]}).encode()
    assert hook(slack, "alerts", said) == (200, "ok")
    (message,) = slack.messages("alerts")
    assert (message.text, message.blocks, message.webhook) == ("hello", [SECTION], True)
    assert hook(slack, "alerts", b"{}") == (400, "no_text")
    assert hook(slack, "alerts", b"{") == (400, "invalid_payload")
    assert hook(slack, "alerts", json.dumps({"blocks": [section()]}).encode()) == (400, "invalid_blocks")
    assert hook(slack, "nowhere", said) == (404, "no_service")
    assert hook(slack, "old", said) == (410, "channel_is_archived")
    slack.script(Fault.HTTP_500_AFTER, method="webhook")
    assert hook(slack, "alerts", said)[0] == 500
    update = ask(slack, "chat.update", channel=channel_id(slack), ts=message.ts, text="x")
    assert update["error"] == "cant_update_message"
    assert len(texts(slack)) == 2
    assert [request.payload["channel"] for request in slack.calls("webhook")][:2] == ["alerts", "alerts"]


TOLD = {"reset": "reset", "late": "reset", "timeout": "silence", "ok": "internal_error"}
"""What a client is told of a fault, by the first word of its value."""


def told(fault: Fault) -> str:
    word, number = fault.value.split("_")[:2]
    return TOLD.get(word, number)


@pytest.mark.parametrize("fault", BEFORE, ids=lambda fault: fault.value)
def test_faults_without_the_effect(slack: FakeSlack, fault: Fault) -> None:
    slack.script(fault, hang=0.05)
    assert (outcome(slack), texts(slack)) == (told(fault), [])
    assert (slack.requests[0].outcome, slack.requests[0].effect) == (fault.value, None)
    assert (outcome(slack), texts(slack)) == ("ok", ["hello"])


@pytest.mark.parametrize("fault", AFTER, ids=lambda fault: fault.value)
def test_faults_with_the_effect(slack: FakeSlack, fault: Fault) -> None:
    slack.script(fault, hang=0.05)
    assert (outcome(slack), texts(slack)) == (told(fault), ["hello"])
    assert (slack.requests[0].outcome, slack.requests[0].effect) == (fault.value, "ok")
    slack.script(fault, hang=0.05)
    assert (outcome(slack, channel="nowhere"), len(texts(slack))) == (told(fault), 1)
    assert slack.requests[1].effect == "channel_not_found"


def test_a_late_effect_comes_after_the_retry(slack: FakeSlack) -> None:
    slack.script(Fault.LATE_EFFECT, delay=0.2)
    assert outcome(slack, "late") == "reset"
    assert (slack.late_effects, slack.requests[0].effect) == (1, None)
    assert outcome(slack, "retry") == "ok"
    assert texts(slack) == ["retry"]
    slack.wait_for_late_effects()
    assert texts(slack) == ["retry", "late"]
    assert (slack.late_effects, slack.requests[0].outcome, slack.requests[0].effect) == (0, "late_effect", "ok")
    assert slack.messages("alerts")[0].ts < slack.messages("alerts")[1].ts


def test_late_effects_are_released_at_will_and_end_with_slack() -> None:
    with FakeSlack() as slack:
        slack.script(Fault.LATE_EFFECT, times=2, delay=60)
        assert [outcome(slack, text) for text in "ab"] == ["reset", "reset"]
        with pytest.raises(TimeoutError):
            slack.wait_for_late_effects(timeout=0.01)
        slack.release_late_effects()
        slack.wait_for_late_effects(timeout=0)
        assert texts(slack) == ["a", "b"]
        slack.script(Fault.LATE_EFFECT, delay=60)
        assert outcome(slack, "never") == "reset"
    assert texts(slack) == ["a", "b"]


def test_hanging_answers_take_their_time_and_end_with_slack() -> None:
    began = time.monotonic()
    with FakeSlack() as slack, ThreadPoolExecutor(1) as pool:
        slack.script(Fault.TIMEOUT_BEFORE, hang=0.2)
        assert outcome(slack) == "silence"
        assert time.monotonic() - began >= 0.2
        slack.script(Fault.TIMEOUT_AFTER, hang=60)
        hanging = pool.submit(outcome, slack)
        while not texts(slack):
            time.sleep(0.005)
        slack.closing.set()
        assert hanging.result() == "silence"
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(("retry_after", "header"), [(7, "7"), ("soon", "soon"), (None, None)])
def test_too_many_requests_say_when_to_come_again(
    slack: FakeSlack, retry_after: int | str | None, header: str | None
) -> None:
    slack.script(Fault.HTTP_429, retry_after=retry_after)
    with pytest.raises(HTTPError) as refused:
        post(slack)
    with refused.value as answer:
        assert (answer.code, answer.headers["Retry-After"]) == (429, header)
        assert json.loads(answer.read()) == {"ok": False, "error": "ratelimited"}


def test_scripted_faults_wait_for_the_requests_that_they_are_meant_for(slack: FakeSlack) -> None:
    slack.script(Fault.OK_FALSE, times=2, match=lambda payload: payload["text"] == "b", error="fatal_error")
    slack.script(Fault.OK_FALSE, method="*", match=lambda payload: payload.get("text") == "c")
    assert [outcome(slack, text) for text in "abcbcb"] == [
        "ok",
        "fatal_error",
        "internal_error",
        "fatal_error",
        "ok",
        "ok",
    ]
    assert slack.pending_faults == []
    slack.script(Fault.RESET_BEFORE, method="chat.update")
    assert outcome(slack) == "ok"
    assert slack.pending_faults == [Fault.RESET_BEFORE]
    slack.heal()
    assert slack.pending_faults == []


def test_only_blocks_are_invalid_and_only_histories_denied(slack: FakeSlack) -> None:
    slack.script(Fault.INVALID_BLOCKS)
    slack.script(Fault.HISTORY_DENIED, times=2)
    assert outcome(slack) == "ok"
    refused = post(slack, blocks=[SECTION])
    assert (refused["error"], len(refused["response_metadata"]["messages"])) == ("invalid_blocks", 1)
    parent = slack.messages("alerts")[0].ts
    for method in ("conversations.history", "conversations.replies"):
        denied = ask(slack, method, channel=channel_id(slack), ts=parent)
        assert (denied["error"], denied["needed"]) == ("missing_scope", "channels:history")
        assert "channels:history" not in denied["provided"]
    assert ask(slack, "conversations.history", channel=channel_id(slack))["ok"]


def trials(seed: int) -> tuple[list[str], list[tuple[str, str | None]], list[str]]:
    with FakeSlack() as slack:
        slack.chaos(random.Random(seed), 0.5, methods={"chat.postMessage"}, delay=60, hang=0.001)
        outcomes = [outcome(slack, str(number)) for number in range(60)]
        assert all(ask(slack, "auth.test")["ok"] for _ in range(10))
        slack.release_late_effects()
        slack.heal()
        assert outcome(slack, "end") == "ok"
        posts = [(request.outcome, request.effect) for request in slack.calls("chat.postMessage")]
        return outcomes, posts, texts(slack)


def test_chaos_is_as_likely_as_told_and_comes_again_with_its_seed() -> None:
    outcomes, posts, said = trials(1)
    assert (outcomes, posts, said) == trials(1)
    assert outcomes != trials(2)[0]
    assert 15 < sum(result != "ok" for result in outcomes) < 45
    assert {"reset", "silence", "429"} < set(outcomes)
    assert len(said) == sum(effect == "ok" for _, effect in posts)
    assert len(said) > outcomes.count("ok") + 1
    for result, (_, effect) in zip(outcomes, posts, strict=False):
        assert result != "ok" or effect == "ok"


def test_channels_take_so_many_messages_a_second() -> None:
    clock = [100.0]
    with FakeSlack("alerts", "other", clock=lambda: clock[0]) as slack:
        slack.enforce_rate(per_channel_seconds=2.5)
        assert [outcome(slack), outcome(slack, channel="other")] == ["ok", "ok"]
        with pytest.raises(HTTPError) as refused:
            post(slack)
        with refused.value as answer:
            assert (answer.code, answer.headers["Retry-After"]) == (429, "3")
        assert slack.requests[-1].outcome == "ratelimited"
        assert ask(slack, "conversations.history", channel=channel_id(slack))["ok"]
        clock[0] += 2.5
        assert outcome(slack) == "ok"
        slack.enforce_rate(0)
        assert outcome(slack) == "ok"
        assert len(texts(slack)) == 3


def test_a_failure_of_the_fake_itself_is_not_missed() -> None:
    def broken(_: dict[str, Any]) -> bool:
        raise LookupError("mine")

    def run() -> None:
        with FakeSlack() as slack:
            slack.script(Fault.RESET_BEFORE, match=broken)
            assert outcome(slack) == "silence"

    with pytest.raises(LookupError, match="mine"):
        run()
