"""What doctor finds before anybody relies on being told, and what it says to do."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from fake_slack import FakeSlack, Fault
from golden import check
from pydantic import SecretStr
from shop import MORNING, A, B, C, Shop, passed, shop

from observability.alerts.checks import Check, State
from observability.alerts.slack.block_kit import Payload
from observability.alerts.slack.checks import LOOKUP, POSTING, READING, SlackChecks, check_webhook
from observability.alerts.slack.client import SlackClient, SlackFault
from observability.config import ChannelSettings, Deadline, Rule, Settings, SlackSettings
from observability.pipeline.checking import app_manifest, doctor
from observability.stores.base import open_store
from observability.terminal.checks import show_checks

COMMAND = str(Path(sys.executable).with_name("dbt-observe"))
STORE = "duckdb:///audit.duckdb"


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack("alerts", "finance") as running:
        running.users |= {"U0ANN": True, "U0LEFT": False}
        running.user_groups |= {"S0DATA": True, "S0OLD": False}
        yield running


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop in the current directory whose owners are known."""
    monkeypatch.chdir(tmp_path)
    return Shop(tmp_path, Settings(store=STORE))


def grouped(*, channel: object = None, **observe: Any) -> dict[str, Any]:
    """The shop's manifest: fct_c belongs to finance, which may say more."""
    graph: dict[str, Any] = shop()
    said = {**({"channel": channel} if channel else {}), **observe}
    graph["nodes"][C]["config"]["group"] = graph["nodes"][C]["group"] = "finance"
    owner = {"name": "Finance", "email": "fin@shop"}
    graph["groups"]["group.shop.finance"] = {"name": "finance", "owner": owner, "config": {"meta": {"observe": said}}}
    return graph


def to(slack: FakeSlack, **given: Any) -> SlackSettings:
    known: dict[str, Any] = {
        "token": SecretStr(slack.token),
        "base_url": slack.url,
        "channel": slack.channels["alerts"].id,
    }
    return SlackSettings(**(known | {"owners": {"Data": "S0DATA", "FIN@shop": "U0ANN"}} | given))


def found(settings: Settings, *, send: bool = False) -> list[Check]:
    return list(doctor(settings, ["dbt_observe.toml"], lambda: MORNING, send=send))


def of(slack: SlackSettings, name: str, *, send: bool = False) -> Check:
    """The check of a name, where nothing was loaded."""
    (one,) = [one for one in found(Settings(store=STORE, slack=slack), send=send) if one.name == name]
    return one


def test_all_is_well(loaded: Shop, slack: FakeSlack, capsys: pytest.CaptureFixture[str]) -> None:
    loaded.step("run", *passed(A, B, C), graph=grouped(channel=slack.channels["finance"].id))
    links = {"Runbook": "https://run.book/{{ name }}", "Jobs": "https://jobs/{{ dag_id }}"}
    settings = Settings(store=STORE, slack=to(slack, links=links))
    checks = show_checks(doctor(settings, ["DBT_OBSERVE_SLACK__TOKEN", "dbt_observe.toml"]), as_json=False)
    assert {one.state for one in checks} == {State.OK}
    check("doctor_well.txt", capsys.readouterr().out)
    assert not slack.messages("alerts")


def test_a_deadline_for_a_step_that_nobody_knows_is_noticed(loaded: Shop, slack: FakeSlack) -> None:
    loaded.step("run", *passed(A, B, C))
    known = Deadline(step="dbt run", by="07:30", channel=slack.channels["finance"].id)
    to_come = Deadline(step="dbt build", by="07:30", since=date(2026, 3, 2), environment="prod")
    settings = Settings(store=STORE, slack=to(slack), deadlines=(known, to_come))
    checks = {one.name: one for one in found(settings)}
    assert checks["deadlines"] == Check("deadlines", State.OK, "2, each of a step that is waited for")
    assert checks[f"channel {slack.channels['finance'].id}"].state is State.OK
    misspelt = settings.model_copy(update={"deadlines": (known, Deadline(step="dbt rnu", by="07:30"))})
    (check,) = [one for one in found(misspelt) if one.name == "deadlines"]
    assert (check.state, check.found) == (
        State.WARNING,
        "no step in the last 90 days is dbt rnu: nothing is waited for there",
    )


def test_many_problems(loaded: Shop, slack: FakeSlack, capsys: pytest.CaptureFixture[str]) -> None:
    slack.scopes -= {"groups:history", "groups:read", "usergroups:read"}
    slack.channels["alerts"].members = False
    slack.channels["finance"].archived = True
    graph = grouped(channel="#elsewhere", chanel="typo", severity="loud")
    graph["nodes"][A]["config"]["meta"]["observe"] = {"owner": "\x1b[31mEve, Mallory", "chanel": "#x"}
    loaded.step("run", *passed(A, B, C), graph=graph)
    told = to(
        slack,
        fallback_channel=slack.channels["finance"].id,
        owners={"Data": "S0DATA", "Ann": "U0GONE", "Ben": "U0LEFT", "Finance": "C0NOWHERE"},
        rules=(Rule(tag=("hot",), channel="#alerts", mention=("U0ANN",)),),
        channels={"#finance": ChannelSettings(quiet_hours="20:00-07:00")},
        links={"Jobs": "https://jobs/{{ dag }}"},
    )
    checks = show_checks(doctor(Settings(store=STORE, slack=told), ["--store"]), as_json=False)
    assert {one.state for one in checks} == set(State)
    out = capsys.readouterr().out
    check("doctor_many_problems.txt", out)
    assert slack.token not in out
    assert max(map(len, out.splitlines())) <= 80


def test_machines_get_the_same_as_json(loaded: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    show_checks(doctor(loaded.settings, ["--store"]), as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert document["failed"] == 2
    assert document["checks"][0] == {
        "name": "settings",
        "state": "ok",
        "found": "read from --store",
        "next_step": "",
    }


@pytest.mark.usefixtures("loaded")
def test_a_bad_token_ends_what_slack_is_asked(slack: FakeSlack) -> None:
    told = to(slack, token=SecretStr("xoxb-secret"))
    one = of(told, "Slack")
    assert (one.state, one.found) == (State.FAILED, "the token is refused: invalid_auth")
    assert one.next_step == "put the bot token of an installed app into DBT_OBSERVE_SLACK__TOKEN"
    assert {request.method for request in slack.requests} == {"auth.test"}


@pytest.mark.usefixtures("loaded")
def test_a_slack_that_is_not_there_is_told_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/api/"
        one = of(SlackSettings(token=SecretStr("xoxb-1"), channel="C01", base_url=url), "Slack")
    assert (one.state, one.found) == (State.FAILED, "127.0.0.1 does not answer: nobody answers")


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize(
    ("lacking", "state", "words"),
    [
        ("chat:write", State.FAILED, "lacks chat:write"),
        ("channels:history", State.WARNING, "one that may be a repeat"),
        ("users:read", State.OK, "chat:write, channels:history, groups:history"),
    ],
)
def test_a_missing_scope_is_told_by_what_it_is_for(
    slack: FakeSlack,
    lacking: str,
    state: State,
    words: str,
) -> None:
    slack.scopes.discard(lacking)
    one = of(to(slack), "scopes")
    assert (one.state, words in one.found) == (state, True)


def channel(slack: FakeSlack, name: str) -> tuple[State, str, str]:
    checks = SlackChecks(SlackClient(slack.token, slack.url), pause=lambda _: None)
    checks.check_identity()
    one = checks.check_channel(name, ["slack.channel"])
    return one.state, one.found.removesuffix(" (slack.channel)"), one.next_step


def test_a_channel_is_there_and_the_app_in_it_or_it_is_said_what_to_do(slack: FakeSlack) -> None:
    slack.add_channel("outside", members=False)
    slack.add_channel("old", archived=True)
    slack.add_channel("hidden", members=False, private=True)
    slack.add_channel("inner", private=True)
    ids = {name: one.id for name, one in slack.channels.items()}
    invite = "invite the app to the channel: /invite @fakebot"
    by_id = "name the channel by its id, and invite the app to it"
    unseen = "channel_not_found: there is none, or it is private and the app is not in it"
    surer = "name it by its id, which is surer: it stands at the end of the channel's details"

    assert channel(slack, ids["alerts"]) == (State.OK, "#alerts is public, and the app is in it", "")
    assert channel(slack, ids["inner"]) == (State.OK, "#inner is private, and the app is in it", "")
    assert channel(slack, ids["outside"]) == (State.FAILED, "#outside is public, and the app is not in it", invite)
    assert channel(slack, ids["old"])[:2] == (State.FAILED, "#old is public and archived")
    assert channel(slack, ids["hidden"]) == (State.FAILED, unseen, by_id)
    assert channel(slack, "C0NOWHERE") == (State.FAILED, unseen, by_id)
    assert channel(slack, "#alerts")[2] == f"name it by its id, which is surer: {ids['alerts']}"
    assert channel(slack, "#nowhere")[:2] == (State.FAILED, "it is none of the 5 channels that the app can see")

    slack.scopes |= {"chat:write.public"}
    assert channel(slack, ids["outside"])[0] is State.WARNING

    slack.scopes -= {"groups:read"}
    slack.max_page = 2
    assert channel(slack, "old")[0] is State.FAILED  # it stands on the second page
    assert channel(slack, "#inner")[0] is State.WARNING
    assert channel(slack, ids["inner"])[0] is State.OK  # its messages can be read

    slack.scopes -= {"channels:read"}
    perhaps = "the app is in it; whether it is archived cannot be seen without channels:read"
    assert channel(slack, ids["alerts"]) == (State.OK, perhaps, "")
    assert channel(slack, ids["outside"]) == (State.FAILED, "not_in_channel", invite)
    assert channel(slack, "#alerts") == (State.SKIPPED, "a name cannot be looked up: needs channels:read", surer)

    slack.scopes -= {"channels:history"}
    assert channel(slack, ids["alerts"])[0] is State.SKIPPED


def test_who_is_mentioned_is_there_or_it_is_said_who_is_not(slack: FakeSlack) -> None:
    checks = SlackChecks(SlackClient(slack.token, slack.url))
    checks.check_identity()
    named = {"U0ANN": ["rule 1"], "U0GONE": ["rule 1"], "U0LEFT": ["rule 2"], "S0DATA": ["rule 2"], "S0OLD": ["rule 3"]}
    assert [(one.name, one.state.value, one.found) for one in checks.check_people(named)] == [
        ("user U0GONE", "failed", "there is no such user (rule 1)"),
        ("user U0LEFT", "failed", "the user is deactivated (rule 2)"),
        ("users", "ok", "1 of 3 are there"),
        ("user group S0OLD", "failed", "the user group is disabled (rule 3)"),
        ("user groups", "ok", "1 of 2 are there"),
    ]
    slack.scopes -= {"users:read", "usergroups:read"}
    checks.check_identity()
    assert [one.found for one in checks.check_people(named)] == [
        "3 not looked up: needs users:read",
        "2 not looked up: needs usergroups:read",
    ]


def test_slack_is_asked_more_slowly_where_it_wants_that_and_no_more_once_it_is_silent(slack: FakeSlack) -> None:
    waits: list[float] = []
    checks = SlackChecks(SlackClient(slack.token, slack.url), pause=waits.append)
    checks.check_identity()
    name = slack.channels["alerts"].id
    slack.script(Fault.HTTP_429, "conversations.info", retry_after=7)
    assert (checks.check_channel(name, ()).state, waits) == (State.OK, [7.0])
    slack.script(Fault.HTTP_429, "conversations.info", retry_after=600)
    assert checks.check_channel(name, ()).found == "it could not be looked at: ratelimited"
    slack.script(Fault.HTTP_500, "conversations.info", times=2)
    assert [checks.check_channel(name, ()).state for _ in range(2)] == [State.WARNING] * 2
    asked = len(slack.requests)
    assert checks.check_channel(name, ()).found == "it could not be looked at: Slack does not answer any more"
    assert (len(slack.requests), waits) == (asked, [7.0])


def test_blocks_that_slack_refuses_or_cannot_judge_fail_nothing(slack: FakeSlack) -> None:
    checks = SlackChecks(SlackClient(slack.token, slack.url))
    bad = checks.check_message(Payload("x", ({"type": "section"},)))
    assert (bad.state, "[json-pointer:/blocks/0]" in bad.found) == (State.WARNING, True)
    slack.script(Fault.OK_FALSE, "blocks.validate", error="unknown_method")
    assert checks.check_message(Payload("x")).state is State.SKIPPED


@pytest.mark.usefixtures("loaded")
def test_a_template_that_cannot_be_used_fails(slack: FakeSlack) -> None:
    one = of(to(slack, links={"Jobs": "https://jobs/{{ dag_id"}), "links")
    assert (one.state, 'slack.links."Jobs"' in one.found) == (State.FAILED, True)
    assert of(to(slack, links={"Jobs": "https://jobs/{{ dag_id"}), "message").state is State.OK


def test_a_store_that_is_missing_is_not_made(slack: FakeSlack, loaded: Shop) -> None:
    one = of(to(slack), "store")
    assert (one.state, one.found) == (State.FAILED, "there is none at duckdb:///audit.duckdb yet")
    assert one.next_step.startswith("make it with dbt-observe init")
    assert list(loaded.folder.iterdir()) == []


def test_an_older_store_stays_as_it_is(loaded: Shop) -> None:
    loaded.step("run", *passed(A))
    with duckdb.connect("audit.duckdb") as connection:
        connection.execute("COMMENT ON TABLE raw.invocations IS 'dbt-observability schema_version=1'")
    one = next(one for one in found(loaded.settings) if one.name == "store")
    assert one.state is State.WARNING
    assert re.fullmatch(r"dbt-observe init would bring audit.duckdb from schema version 1 to \d+", one.found)
    assert open_store(loaded.settings).plan()


def test_another_file_in_the_stores_place_and_a_url_of_none_are_told(loaded: Shop) -> None:
    with duckdb.connect("audit.duckdb") as connection:
        connection.execute("CREATE TABLE t (i INT)")
    one = next(one for one in found(loaded.settings) if one.name == "store")
    assert (one.state, one.found) == (State.FAILED, "this DuckDB file is not an audit store (audit.duckdb)")
    one = next(one for one in found(Settings(store="oracle://x")) if one.name == "store")
    assert (one.state, one.found.startswith("'oracle://x' names no store")) == (State.FAILED, True)


def test_a_store_that_cannot_be_written_is_told(loaded: Shop) -> None:
    loaded.step("run", *passed(A))
    before = open_store(loaded.settings).query("SELECT COUNT(*) AS n FROM {raw}.invocations").to_pylist()
    assert next(one for one in found(loaded.settings) if one.name == "writing").state is State.OK
    assert open_store(loaded.settings).query("SELECT COUNT(*) AS n FROM {raw}.invocations").to_pylist() == before
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    Path("audit.duckdb").chmod(0o444)
    assert next(one for one in found(loaded.settings) if one.name == "writing").state is State.FAILED


def test_another_teller_is_noticed(loaded: Shop) -> None:
    loaded.step("run", *passed(A))
    with open_store(loaded.settings).lease("alert"):
        one = next(one for one in found(loaded.settings) if one.name == "teller")
    assert (one.state, one.found.partition(";")[0]) == (State.WARNING, "another process is telling now")


def test_owners_that_nobody_mapped_are_listed_up_to_ten(loaded: Shop) -> None:
    graph = shop()
    graph["nodes"][A]["config"]["meta"]["observe"]["owner"] = [f"Team {number:02}" for number in range(14)]
    loaded.step("run", *passed(A), graph=graph)
    slack = SlackSettings(owners={"team 03": "U0ANN"})
    one = next(one for one in found(Settings(store=STORE, slack=slack)) if one.name == "owners")
    names = ", ".join(f"Team {number:02}" for number in (0, 1, 2, 4, 5, 6, 7, 8, 9, 10))
    assert one.found == f"slack.owners does not have {names} and 3 more"


@pytest.mark.parametrize(
    ("url", "state"),
    [
        ("https://hooks.slack.com/services/T/B/secret", State.OK),
        ("http://127.0.0.1:8080/webhook/secret", State.OK),
        ("http://hooks.slack.com/services/T/B/secret", State.FAILED),
        ("https://example.com/secret", State.FAILED),
        ("https://[secret", State.FAILED),
    ],
)
def test_of_a_webhook_only_its_url_can_be_checked_and_is_not_shown(url: str, state: State) -> None:
    mode, one = check_webhook(url)
    assert (mode.state, one.state) == (State.WARNING, state)
    assert "secret" not in f"{mode}{one}"


@pytest.mark.usefixtures("loaded")
def test_a_test_message_is_sent_only_where_asked_for_and_says_that_it_is_one(slack: FakeSlack) -> None:
    told = to(slack, fallback_channel="#nowhere")
    name = slack.channels["alerts"].id
    one = of(told, f"test in {name}", send=True)
    (message,) = slack.messages("alerts")
    link = f"https://fake.slack.com/archives/{name}/p{message.ts.replace('.', '')}"
    assert (one.state, one.found) == (State.OK, f"posted: {link}")
    assert message.text.startswith("A test by dbt-observe doctor")
    assert of(told, "test in #nowhere", send=True).state is State.FAILED
    webhook = SlackSettings(webhook_url=SecretStr(slack.webhook_url("finance")))
    assert of(webhook, "test in webhook", send=True).state is State.OK
    assert len(slack.messages("finance")) == 1


def test_the_manifests_scopes_are_those_that_telling_and_doctor_need(slack: FakeSlack) -> None:
    document = yaml.safe_load(app_manifest())
    scopes = set(document["oauth_config"]["scopes"]["bot"])
    optional = set(re.findall(r"^ +# - (\S+)$", app_manifest(), re.MULTILINE))
    assert (scopes, optional) == ({POSTING, *LOOKUP}, set(READING))
    assert "event_subscriptions" not in document["settings"]
    switches = {"org_deploy_enabled", "socket_mode_enabled", "token_rotation_enabled"}
    assert [name for name in switches if document["settings"][name]] == []
    assert document["settings"]["interactivity"] == {"is_enabled": False}

    slack.scopes = set(scopes)
    assert tell_everything(slack) == []
    for lacking in scopes:
        slack.scopes = scopes - {lacking}
        assert tell_everything(slack), f"nothing needs {lacking}"
    slack.scopes = scopes | optional
    assert look_at_everything(slack) == {State.OK}
    for lacking in optional:
        slack.scopes = (scopes | optional) - {lacking}
        assert look_at_everything(slack) != {State.OK}, f"nothing needs {lacking}"


def tell_everything(slack: FakeSlack) -> list[str]:
    """Post, edit and look up in a public and a private channel; what Slack refuses."""
    client = SlackClient(slack.token, slack.url)
    with suppress(KeyError):
        del slack.channels["inner"]
    refused = []
    for name in (slack.channels["alerts"].id, slack.add_channel("inner", private=True).id):
        try:
            _, ts = client.post(name, Payload("a"), "a")
            client.post(name, Payload("b"), "b", ts)
            client.update(name, ts, Payload("c"))
            assert client.find(name, "a", 0) == ts
            assert client.find(name, "b", 0, ts)
            assert client.permalink(name, ts)
        except SlackFault as fault:
            refused.append(str(fault))
    return refused


def look_at_everything(slack: FakeSlack) -> set[State]:
    checks = SlackChecks(SlackClient(slack.token, slack.url))
    found = [checks.check_identity(), checks.check_scopes()]
    found += [checks.check_channel(name, ()) for name in ("#alerts", "#inner")]
    found += checks.check_people({"U0ANN": [], "S0DATA": []})
    return {one.state for one in found}


def run(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DBT_")}
    return subprocess.run(
        [COMMAND, "doctor", *arguments], cwd=cwd, env=kept | environment, capture_output=True, text=True, check=False
    )


def test_the_exit_code_says_whether_a_check_failed_or_doctor_itself(slack: FakeSlack, tmp_path: Path) -> None:
    known = {
        "DBT_OBSERVE_SLACK__TOKEN": slack.token,
        "DBT_OBSERVE_SLACK__BASE_URL": slack.url,
        "DBT_OBSERVE_SLACK__CHANNEL": slack.channels["alerts"].id,
    }
    missing = run(cwd=tmp_path, **known)
    assert (missing.returncode, "✗ store: there is none" in missing.stdout) == (1, True)
    open_store(Settings(store=f"duckdb:///{tmp_path}/.dbt_observe/audit.duckdb")).init()
    (tmp_path / "dbt_observe.toml").write_text('[slack]\nfallback_channel = "#finance"\n')
    well = run(cwd=tmp_path, **known)
    assert (well.returncode, well.stderr) == (0, "")
    assert well.stdout.startswith("✓ settings: read from DBT_OBSERVE_SLACK__BASE_URL, DBT_OBSERVE_SLACK__CHANNEL,\n")
    assert "dbt_observe.toml" in well.stdout
    assert well.stdout.endswith("\nTelling will work.\n")
    (tmp_path / "dbt_observe.toml").write_text("[slack]\nfallback = 1\n")
    wrong = run(cwd=tmp_path, **known)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    printed = run("--manifest", cwd=tmp_path)
    assert (printed.returncode, printed.stdout) == (0, app_manifest())
    assert slack.token not in missing.stdout + well.stdout + wrong.stderr
