"""Messages as blocks: within Slack's limits, and dbt's text inert whatever it is."""

from dataclasses import replace

import pytest
from fake_slack import block_problems
from test_delivery import incident

from observability.alerts.incidents import State
from observability.alerts.slack.block_kit import Payload, escape, render_change, render_incident, render_summary

HOSTILE = "<!channel> <!here> <@U1> <#C1> <https://evil|click> & `code` \u202eright to left\u2066 \u200b " + "x" * 5_000


def texts(payload: Payload) -> str:
    return payload.text + "".join(
        str(element["text"])
        for block in payload.blocks
        for element in (block.get("elements") or [block["text"]])
        if element["type"] == "mrkdwn"
    )


@pytest.mark.parametrize("state", State)
def test_hostile_text_is_inert_and_fits(state: State) -> None:
    failing = incident(state=state)
    hurt = replace(
        failing,
        name=HOSTILE,
        project_name=HOSTILE,
        owner=HOSTILE,
        runbook=HOSTILE,
        failures=(replace(failing.failures[0], name=HOSTILE, message=f"Database Error in model\n  {HOSTILE}"),),
        blocked=tuple(f"model.shop.{HOSTILE}{number}" for number in range(150)),
    )
    payloads = [render_incident(hurt), render_summary([hurt] * 150)]
    payloads += [
        render_change(hurt, one) for one in ("fixed", "recovered", "worse", "reopened", "withdrawn", "expired")
    ]
    for payload in payloads:
        shown = texts(payload)
        assert "<" not in shown
        assert not {"\u202e", "\u2066", "\u200b"} & set(shown)
        assert block_problems(list(payload.blocks)) == []
        assert len(shown) < 10_000
        assert payload.text


def test_an_incident_looks_like_this() -> None:
    payload = render_incident(incident(blocked=("model.shop.b", "model.shop.c"), owner="Data platform"))
    assert payload.text == "🟠 error: model a failed in shop / prod"
    header, section = payload.blocks
    assert (
        header["text"] == {"type": "plain_text", "text": payload.text, "emoji": True}
        or header["text"]["text"] == payload.text
    )
    assert section["text"]["verbatim"] is True
    assert section["text"]["text"].splitlines() == [
        "*Why*  no such column",
        "*Blocks*  2 skipped and not rebuilt: b, c",
        "*Since*  2026-03-02 06:01 UTC, first time seen, never seen well",
        "*Owner*  Data platform",
        "*Next*  `dbt build --select a+`",
    ]


def test_what_is_cut_says_by_how_much_and_never_within_an_entity() -> None:
    assert escape("a<b", 100) == "a&lt;b"
    cut = escape("&" * 100, 100)
    assert cut == "&amp;" * 14 + "… (86 more characters)"
    assert (
        render_summary([incident(f"m{number}") for number in range(12)])
        .blocks[1]["text"]["text"]
        .endswith("… and 2 more, each of them in this thread")
    )
