"""Messages as blocks: within Slack's limits, and what others say inert whatever it is."""

from collections.abc import Iterable
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import pytest
from desk import transcript
from golden import check
from judges import entities, problems
from shop import MORNING
from test_delivery import incident

from observability.alerts.digest import Digest, build_digest
from observability.alerts.exposures import Exposure, Risk
from observability.alerts.incidents import Attention, Incident, Kind, Severity, State, Warehouse
from observability.alerts.links import VARIABLES, Links
from observability.alerts.message import build_message
from observability.alerts.meta import Declared, Observe
from observability.alerts.notices import Notice, give_notice
from observability.alerts.outbox import Operation
from observability.alerts.printing import CHANNEL, Printed
from observability.alerts.slack.block_kit import (
    Payload,
    escape,
    render_change,
    render_digest,
    render_incident,
    render_summary,
)
from observability.config import SlackSettings

HOSTILE = (
    "<!channel> <!here> <@U1> <#C1> <!subteam^S1> <https://evil|click> & `code` ```\n*Next*  run `rm -rf`\r\v"
    "\u202eright to left\u2066 \u200f\u200b " + "x" * 5_000
)
ENDS = ("fixed", "recovered", "withdrawn", "expired", "resolved")
CHANGES = (*ENDS, "called", "critical", "reopened", "worse", "turned")
EVERY_LINK = {f"{name} {HOSTILE}": f"https://docs/{{{{ {name} }}}}" for name in VARIABLES}
PLAIN = {f"link {number}": "https://docs/?a=1&b={{ name | urlencode }}" for number in range(40)}


def notice(one: Incident, links: dict[str, str] | None = None, **given: Any) -> Notice:
    return replace(Notice(one, "alerts", build_message(one, Links(links or {}).of(one))), **given)


def board(name: str = HOSTILE) -> Exposure:
    return Exposure(
        unique_id=f"exposure.shop.{name}",
        name=name,
        owner=name,
        owner_email=name,
        url=name,
        distance=1,
        risk=Risk.STALE,
        critical=True,
        channel=None,
    )


def hostile(kind: Kind = Kind.NODE_ERROR, state: State = State.OPEN, text: str = HOSTILE) -> Incident:
    """An incident of which all that is text is that text."""
    one = incident(state=state, rows=3)
    failure = replace(
        one.failures[0],
        name=text,
        message=f"Database Error in model\n  {text}",
        original_file_path=text,
        test_name=text,
        column_name=text,
        status="error",
    )
    return replace(
        one,
        kind=kind,
        project_name=text,
        environment=text,
        subject=f"model.shop.{text}",
        name=text,
        failures=(failure,) * 150,
        blocked=tuple(f"model.shop.{text}{number}" for number in range(150)),
        folded=tuple(f"test.shop.{text}.{number}" for number in range(150)),
        exposures=(board(text),) * 150,
        owner=text,
        declared=Declared(
            tags=(text,), paths=(text,), group=text, group_owner=(text,), observe=Observe(runbook=text, owner=(text,))
        ),
        attention=Attention(acted_by=text, reason=text, snoozed_until=MORNING + timedelta(days=9)),
        warehouse=Warehouse(query_id=text, job_project=text, job_location=text, failures_table=text),
        command=text,
        invocation_id=text,
        dag_id=text,
        dag_run_id=text,
        task_id=text,
        try_number=2,
        log_url=f"https://{text}",
    )


def test_all_text_of_an_incident_is_hostile_in_these_tests() -> None:
    texts = [field.name for field in fields(Incident) if field.type in {str, str | None}]
    assert {name for name in texts if "<!channel>" not in getattr(hostile(), name)} == {"key", "id"}, "not shown"


def told(one: Incident) -> Iterable[Payload]:
    """All that is ever told of an incident."""
    given: dict[str, Any] = {"mention": ("S0DATA", "U0ANN"), "note": HOSTILE}
    for links in (EVERY_LINK, PLAIN):
        full = notice(one, links, **given)
        yield render_incident(full, mentioned=True)
    yield from (render_change(full, change) for change in CHANGES)
    yield render_summary([full] * 150)
    yield render_summary([full] * 150, in_thread=False)
    yield render_digest(digest([one] * 60))


def digest(incidents: list[Incident], muted: str = HOSTILE) -> Digest:
    named = [replace(one, id=f"{one.state}{number}") for number, one in enumerate(incidents)]
    return build_digest(
        named,
        MORNING + timedelta(hours=3),
        permalinks={one.id: "https://slack/archives/C1/p1700000000000100" for one in named},
        muted={one.id: muted for one in named[1::2]},
    )


EACH = [*((kind, State.OPEN) for kind in Kind), *((Kind.TEST_FAILURE, state) for state in State if state != State.OPEN)]


@pytest.mark.parametrize(("kind", "state"), EACH)
def test_hostile_text_mentions_nobody_links_nowhere_and_fits(kind: Kind, state: State) -> None:
    ours = {"!subteam^S0DATA", "@U0ANN"}
    for payload in told(hostile(kind, state)):
        links = [one for one in entities(payload) if one.startswith(("https://docs/", "https://slack/"))]
        assert {*entities(payload)} - {*links} <= ours
        assert {one.count("|") for one in links} <= {1}
        assert problems(payload) == []
        everything = payload.text + str(payload.blocks)
        assert not {"\u202e", "\u2066", "\u200f", "\u200b", "\r", "\v"} & set(everything)


@pytest.mark.parametrize("kind", Kind)
def test_hostile_text_begins_no_line_and_ends_no_code(kind: Kind) -> None:
    """Each line is one of ours: its label comes once, and only we make code."""
    lines = lines_of(render_incident(notice(hostile(kind))))
    labels = [line.split("*")[1] for line in lines]
    assert len(labels) == len(set(labels)) <= 10
    assert set(labels) <= {"Hurts", "Why", "File", "Rows", "Blocks", "Also", "Since", "Owner", "Next", "Now"}
    assert {line.count("`") for line in lines} <= {0, 2}


def test_a_mention_comes_from_the_settings_alone() -> None:
    one = hostile(Kind.NODE_ERROR)
    known = replace(one, declared=Declared(observe=Observe(owner=("<!channel>", "U0EVIL"), subscribers=("@here",))))
    slack = SlackSettings.model_validate({"channel": "C1", "owners": {"Data": "S0DATA"}})
    (given,) = give_notice([replace(known, severity=Severity.CRITICAL)], {}, slack, Links({}), MORNING)
    assert (given.mention, entities(render_incident(given, mentioned=True))) == ((), [])


def test_a_hostile_maintenance_reason_is_inert_where_it_is_told() -> None:
    payload = render_digest(digest([incident()] * 2, muted=HOSTILE))
    assert [one for one in entities(payload) if not one.startswith("https://slack/")] == []
    assert problems(payload) == []


def test_an_incident_looks_like_this() -> None:
    payload = render_incident(notice(incident(blocked=("model.shop.b", "model.shop.c"), owner="Data platform")))
    assert payload.text == "🟠 error: model a failed in shop / prod"
    header, section = payload.blocks
    assert header["text"] == {"type": "plain_text", "text": payload.text, "emoji": True}
    assert section["text"]["verbatim"] is True
    assert section["text"]["text"].splitlines() == [
        "*Why*  no such column",
        "*Blocks*  2 skipped and not rebuilt: b, c",
        "*Since*  2026-03-02 06:01 UTC, first time seen, never well before",
        "*Owner*  Data platform",
        "*Next*  `dbt build --select a+`",
    ]


def test_a_step_that_is_overdue_is_told_like_this() -> None:
    """As a golden file: no view finds it, for the settings say by when."""
    step = replace(incident().failures[0], status="overdue", message="it began every 60 min, and not for 3 h 5 min")
    one = incident(
        kind=Kind.RUN_OVERDUE,
        subject="daily.run",
        name="run",
        failures=(step,),
        exposures=(board("Board"),),
        command="run",
        dag_id="daily",
        task_id="run",
        last_good_at=MORNING - timedelta(hours=2),
    )
    shown = [Printed(Operation.POST, CHANNEL, "1", render_incident(notice(one)))]
    came = replace(step, status="success")
    over = replace(one, state=State.RECOVERED, closed_at=MORNING + timedelta(hours=1), failures=(came,))
    shown.append(Printed(Operation.UPDATE, CHANNEL, "1", render_incident(notice(over))))
    shown.append(Printed(Operation.REPLY, CHANNEL, "2", render_change(notice(over), "recovered"), "1"))
    assert [problems(one.payload) for one in shown] == [[]] * 3
    check("slack/run_overdue.txt", transcript([(MORNING, shown)]))


def test_what_is_cut_says_by_how_much_and_never_within_an_entity() -> None:
    assert escape("a<b", 100) == "a&lt;b"
    cut = escape("&" * 100, 100)
    assert cut == "&amp;" * 14 + "… (86 more characters)"


def lines_of(payload: Payload) -> list[str]:
    sections = [block["text"]["text"] for block in payload.blocks if block["type"] == "section"]
    return [line for section in sections for line in section.split("\n")]


@pytest.mark.parametrize("length", [1, 60, 5_000])
@pytest.mark.parametrize("count", [6, 11, 150])
def test_a_summary_counts_what_it_does_not_name(count: int, length: int) -> None:
    notices = [notice(incident("m" * length)) for _ in range(count)]
    *shown, last = lines_of(render_summary(notices))
    more = max(0, count - 10)
    assert (len(shown), last) == (10, f"… and {more} more, each of them in this thread") if more else not more
    alone = lines_of(render_summary(notices, in_thread=False))
    if "more" not in alone[-1].split("characters")[-1]:
        assert len(alone) == count
    else:
        assert alone[-1] == f"… and {count - len(alone) + 1} more, dbt-observe incidents lists all"
        assert length > 1


@pytest.mark.parametrize("length", [1, 60, 5_000])
@pytest.mark.parametrize("count", [1, 15, 16, 150])
def test_a_digest_counts_what_it_does_not_name(count: int, length: int) -> None:
    incidents = [incident("m" * length, exposures=(board(f"e{number}"),)) for number in range(count)]
    over = [incident("m" * length, State.RECOVERED)] * count
    payload = render_digest(digest([*incidents, *over]))
    assert problems(payload) == []
    parts: dict[str, list[str]] = {}
    for block in payload.blocks[1:-1]:
        title, *lines = block["text"]["text"].split("\n")
        parts[title] = lines
    for title, whole in {"*At risk*": count, "*Over since yesterday*": count}.items():
        lines = parts[title]
        if lines[-1].startswith("… and "):
            assert lines[-1] == f"… and {whole - len(lines) + 1} more, dbt-observe incidents lists all"
        else:
            assert len(lines) == whole


def test_a_link_is_shown_whole_or_counted() -> None:
    long = {f"link {number}": "https://docs/" + "&" * 250 + str(number) for number in range(4)}
    context = render_incident(notice(incident(), long)).blocks[-1]["elements"][0]["text"]
    assert context.endswith("> · 3 more links: too long to show")
    assert context.startswith("<https://docs/&amp;&amp;")
    assert context.count("&amp;") == 250


def test_what_is_critical_by_its_own_meta_says_why_it_is_told_again() -> None:
    text = render_change(notice(incident(severity=Severity.CRITICAL)), "critical").text
    assert text == "🔺 Critical now: no such column (model a failed in shop / prod)"


@pytest.mark.parametrize("change", CHANGES)
def test_what_has_become_of_it_ends_like_a_sentence_though_dbt_said_nothing(change: str) -> None:
    silent = incident(failures=(replace(incident().failures[0], message=None),))
    said = render_change(notice(silent), change).text.removesuffix(" (model a failed in shop / prod)")
    assert said[-1] in ".s"
    assert ": ." not in said
