"""Messages as a browser shows them: what Slack would show, and hostile text as nothing but text."""

import re
import time
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

import pytest
from golden import check
from hypothesis import given
from hypothesis import strategies as st
from test_block_kit import HOSTILE, notice
from test_delivery import incident

from observability.alerts.incidents import State
from observability.alerts.slack.block_kit import render_incident
from observability.alerts.slack.preview import Shown, render_mrkdwn, render_preview

TAGS = {"pre", "code", "strong", "em", "s", "a", "span"}


class Reader(HTMLParser):
    """What a browser sees: the tags with their attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def body(*messages: Shown) -> str:
    return render_preview("alerts", messages).partition("<body>")[2]


def blocks(*given: Mapping[str, Any]) -> str:
    return body(Shown("not shown", given))


def mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text}


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def button(url: str, **given: str) -> dict[str, Any]:
    return {"type": "button", "text": plain("Open"), "url": url, **given}


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("*bold* _italic_ ~strike~", "<strong>bold</strong> <em>italic</em> <s>strike</s>"),
        ("*bold and _both_ <https://x|*>*", "<strong>bold and <em>both</em> {https://x|*}</strong>"),
        ("*Next*  `dbt build --select *_a_*`", "<strong>Next</strong>  <code>dbt build --select *_a_*</code>"),
        ("so:\n```\nselect *\nfrom *a*```\nthen", "so:\n<pre>select *\nfrom *a*</pre>then"),
        ("snake_case_name 2*3*4 a~b~c", "snake_case_name 2*3*4 a~b~c"),
        ("__init__ ** * a * _\nb_", "__init__ ** * a * _\nb_"),
        ("one\ntwo", "one\ntwo"),
        (":wave: 🟠", ":wave: 🟠"),
        ("a &amp; b &lt;c&gt; &amp;lt; &quot;", "a &amp; b &lt;c&gt; &amp;lt; &amp;quot;"),
        ("<https://x.y/?a=1&amp;b=2>", "{https://x.y/?a=1&amp;b=2|https://x.y/?a=1&amp;b=2}"),
        ("<http://x|a &amp; b>", "{http://x|a &amp; b}"),
        ("<@U123> <@U123|ann>", "[@U123] [@ann]"),
        ("<!subteam^S123> <!subteam^S123|@data>", "[@S123] [@data]"),
        ("<#C123> <#C123|alerts>", "[#C123] [#alerts]"),
        ("<!here> <!channel> <!everyone>", "[!here] [!channel] [!everyone]"),
    ],
)
def test_mrkdwn_is_shown_as_slack_shows_it(written: str, shown: str) -> None:
    html = re.sub(r"\{(.+?)\|(.+?)\}", r'<a href="\1" rel="noopener noreferrer">\2</a>', shown)
    html = re.sub(r"\[!(\w+)\]", r'<span class="mention call">@\1</span>', html)
    html = re.sub(r"\[(.+?)\]", r'<span class="mention">\1</span>', html)
    assert render_mrkdwn(written) == html


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "<img src=x onerror=alert(1)>",
        "`<script>` ```<script>```",
        "&lt;https://evil|click&gt;",
        "<javascript:alert(1)|click>",
        "<data:text/html,x|click> <mailto:a@b|click> <//evil|click> <https://|click>",
        "<!date^1|x> <@> <@U1 onclick=x> <!subteam^>",
        "&quot;\"'><b>",
    ],
)
def test_hostile_text_is_inert(hostile: str) -> None:
    assert {tag for tag, _ in Reader(render_mrkdwn(hostile)).tags} <= {"code", "pre"}
    tags, harmless = ({tag for tag, _ in Reader(page_of(text)).tags} for text in (hostile, "x"))
    assert tags - {"code", "pre"} == harmless


def page_of(text: str) -> str:
    """A page with the text wherever text can be."""
    told: dict[str, Any] = {
        "text": mrkdwn(text),
        "fields": [plain(text)],
        "accessory": {"type": text},
        "type": "section",
    }
    action = {"type": "actions", "elements": [button(text, style=text)]}
    everything: list[dict[str, Any]] = [{"type": "header", "text": plain(text)}, told, action, {"type": text}]
    return render_preview(text, [Shown(text, everything, at=text), Shown(text)], title=text)


def test_a_quote_in_an_address_ends_no_attribute() -> None:
    address = "https://x/\"onclick='alert(1)'&amp;&lt;"
    ((tag, attributes),) = Reader(render_mrkdwn(f"<{address}|click>")).tags
    assert (tag, attributes) == ("a", {"href": "https://x/\"onclick='alert(1)'&<", "rel": "noopener noreferrer"})


@given(st.text(st.sampled_from("*_~`<>|&;@#!^ \n\"'ax") | st.sampled_from("http://"), max_size=60))
def test_no_text_makes_other_tags(written: str) -> None:
    read = Reader(render_mrkdwn(written))
    assert {tag for tag, _ in read.tags} <= TAGS
    assert {name for _, attributes in read.tags for name in attributes} <= {"href", "rel", "class"}


@pytest.mark.parametrize("piece", ["*", "*a", "*`*`", "*<*>", "```", "<", "_*~", "*a <https://x", "`*_"])
def test_no_text_takes_long(piece: str) -> None:
    began = time.monotonic()
    render_mrkdwn(piece * (12_000 // len(piece)))
    assert time.monotonic() - began < 5


def test_the_page_asks_nobody_for_anything() -> None:
    page = render_preview("alerts", [Shown("x")])
    csp = {"http-equiv": "Content-Security-Policy", "content": "default-src 'none'; style-src 'unsafe-inline'"}
    tags = Reader(page).tags
    assert ("meta", csp) in tags
    assert not {"src", "srcset", "style", "onclick"} & {name for _, attributes in tags for name in attributes}
    assert "url(" not in page
    assert "@import" not in page


def test_every_block_is_shown() -> None:
    html = blocks(
        {"type": "header", "text": plain("Head *line*")},
        {"type": "section", "text": mrkdwn("*bold*"), "fields": [mrkdwn("_one_"), plain("*two*")]},
        {
            "type": "context",
            "elements": [mrkdwn("*small*"), {"type": "image", "image_url": "https://x", "alt_text": ""}],
        },
        {"type": "divider"},
        {"type": "actions", "elements": [button("https://x/?a&b", style="primary")]},
        {"type": "video"},
    )
    assert "<h2>Head *line*</h2>" in html
    for text in ("<strong>bold</strong>", "<em>one</em>", "*two*", "<strong>small</strong>"):
        assert f'<div class="text">{text}</div>' in html
    assert "<hr>" in html
    assert '<a class="button primary" href="https://x/?a&amp;b" rel="noopener noreferrer">Open</a>' in html
    assert "(an element of type image)" in html
    assert "(a block of type video)" in html
    assert "not shown" not in html


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", " https://x", ""])
def test_a_button_leads_to_the_web_only(url: str) -> None:
    html = blocks({"type": "actions", "elements": [button(url)]})
    assert '<span class="button ">Open</span>' in html
    assert "<a" not in html.replace("<article", "")


def test_a_thread_is_shown_below_its_message() -> None:
    html = body(Shown("first", replies=[Shown("second", edited=True), Shown("third", broadcast=True)]), Shown("fourth"))
    text = [line.strip() for line in Reader(html).text.splitlines() if line.strip()]
    told = [line for line in text if "APP" not in line]
    assert told == ["# alerts", "first", "2 replies", "second", "(edited)", "also sent to # alerts", "third", "fourth"]


def test_one_reply_is_counted_as_one() -> None:
    assert ">1 reply<" in body(Shown("first", replies=[Shown("second")]))


def test_a_page_without_messages_says_so() -> None:
    assert "No messages." in body()


@pytest.mark.parametrize("state", State)
def test_an_incident_is_shown_with_all_that_was_hostile_in_it(state: State) -> None:
    payload = render_incident(notice(incident(state=state, owner=HOSTILE, name="<b>x")))
    read = Reader(body(Shown(payload.text, payload.blocks)))
    assert {"a", "script"} & {tag for tag, _ in read.tags} == set()
    assert "mention" not in {attributes.get("class") for _, attributes in read.tags}
    assert "<b>x" in read.text
    assert state is not State.OPEN or "<!channel> <!here>" in read.text


def test_a_page_looks_like_this() -> None:
    headline = {"type": "header", "text": plain("🟠 error: model a failed in shop / prod")}
    lines = {"type": "section", "text": mrkdwn("*Why*  no such column &lt;x&gt;\n*Next*  `dbt build --select a+`")}
    context = {"type": "context", "elements": [mrkdwn("model a failed in shop / prod")]}
    links = {"type": "actions", "elements": [button("https://airflow/log")]}
    reply = Shown(
        "✅ Well again", [{"type": "section", "text": mrkdwn("✅ Well again")}, context], "07:00", broadcast=True
    )
    message = Shown("not shown", [headline, lines, links], "06:12", edited=True, replies=[reply])
    check("preview.html", render_preview("#data-alerts", [message], title="Alerts"))
