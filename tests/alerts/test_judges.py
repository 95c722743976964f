"""Those who judge messages in the tests refuse what Slack would: each of them is shown something bad."""

from typing import Any

import pytest
from judges import JUDGES, by_our_rules_for_incidents, entities, problems

from observability.alerts.slack.block_kit import Payload

SDK, OTHER, OURS = "slack_sdk", "slackblocks", "our rules"


def mrkdwn(text: str = "x") -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text}


def header(text: str = "x", **given: Any) -> dict[str, Any]:
    return {"type": "header", "text": {"type": "plain_text", "text": text, "emoji": True}, **given}


def section(text: str = "x", **given: Any) -> dict[str, Any]:
    return {"type": "section", "text": mrkdwn(text), **given}


def refused_by(payload: Payload) -> set[str]:
    return {name for name, judge in JUDGES.items() if judge(payload)}


def test_a_good_message_is_refused_by_nobody() -> None:
    context = {"type": "context", "elements": [mrkdwn("c")]}
    assert problems(Payload("x", (header("🟠 x"), section("y" * 3_000), section("z", block_id="b"), context))) == []
    assert problems(Payload("only text")) == []


ALL = {SDK, OTHER, OURS}
BAD: dict[str, tuple[set[str], tuple[dict[str, Any], ...]]] = {
    "a long header": (ALL, (header("x" * 151),)),
    "an empty header": (ALL, (header(""),)),
    "a header with formats": ({OURS}, ({"type": "header", "text": mrkdwn()},)),
    "a long section": (ALL, (section("x" * 3_001),)),
    "an empty section": (ALL, (section(""),)),
    "a section without text": (ALL, ({"type": "section"},)),
    "a long field": ({OTHER, OURS}, ({"type": "section", "fields": [mrkdwn("x" * 2_001)]},)),
    "too many fields": (ALL, ({"type": "section", "fields": [mrkdwn()] * 11},)),
    "too many elements": (ALL, ({"type": "context", "elements": [mrkdwn()] * 11},)),
    "no elements": ({SDK, OURS}, ({"type": "context", "elements": []},)),
    "a type that is none": (ALL, ({"type": "nothing"},)),
    "a key that is none": ({SDK, OURS}, (section(colour="red"),)),
    "a long block_id": (ALL, (section(block_id="b" * 256),)),
    "a block_id twice": ({OURS}, (section(block_id="b"), section(block_id="b"))),
    "too many blocks": ({OTHER, OURS}, (section(),) * 51),
    "too much in all": ({OURS}, (section("x" * 2_600),) * 4),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_bad_is_refused(name: str) -> None:
    judges, blocks = BAD[name]
    assert refused_by(Payload("x", blocks)) == judges


def test_a_notification_says_what_the_message_says() -> None:
    assert refused_by(Payload("", (section(),))) == {OURS}
    assert refused_by(Payload("something else", (header("model a failed"),))) == {OURS}
    assert refused_by(Payload("a &lt;b&gt; (more)", (section("a &lt;b&gt;"),))) == set()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("\n".join("x" * 10), []),
        ("\n".join("x" * 11), ["11 lines"]),
        ("*Hurts*  2 exposures: A (critical, stale, Ann), B", []),
        ("*Blocks*  7 skipped and not rebuilt: a, b, c, d, e and 2 more", []),
        (
            "*Blocks*  7 skipped and not rebuilt: a, b, c, d, e",
            ["7 are counted and 5 told: *Blocks*  7 skipped and not rebuilt: a, b, c, d, e"],
        ),
        ("*Fixed. 1 not rebuilt yet: a.*", []),
        ("*Also*  2 failing below it: a", ["2 are counted and 1 told: *Also*  2 failing below it: a"]),
    ],
)
def test_an_incident_is_told_in_ten_lines_that_count_right(text: str, found: list[str]) -> None:
    assert by_our_rules_for_incidents(Payload("x", (section(text),))) == found


def test_mentions_and_links_are_seen_wherever_they_are() -> None:
    blocks = (section("a <!channel> b &lt;@U1&gt;"), {"type": "context", "elements": [mrkdwn("<https://evil|click>")]})
    assert entities(Payload("<@U1> said", blocks)) == ["@U1", "!channel", "https://evil|click"]
    assert entities(Payload("x", (header("<!here>"),))) == [], "plain text is only text"
