"""Who hears of an incident: rules, what the project says, owners, quiet hours, mutes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from shop import MORNING
from test_delivery import incident

from observability.alerts.exposures import Exposure, Risk
from observability.alerts.incidents import Incident, Kind, Severity
from observability.alerts.meta import Declared, Observe, find_declared, inherit, read_observe
from observability.alerts.routing import Route, find_route, fits
from observability.config import Rule, SlackSettings

BOARD = Exposure(
    unique_id="exposure.shop.board", name="Board", owner="Ann", owner_email=None, url=None, distance=2, risk=Risk.STALE
)


def settings(**given: Any) -> SlackSettings:
    return SlackSettings.model_validate({"channel": "#data", **given})


def failing(**given: Any) -> Incident:
    said = {
        name: given.pop(name) for name in list(given) if name in Observe.__dataclass_fields__ and name != "severity"
    }
    declared = given.pop("declared", Declared(observe=Observe(**said)))
    return incident(exposures=given.pop("exposures", (BOARD,)), declared=declared, **given)


def route(one: Incident, now: datetime = MORNING, **given: Any) -> Route:
    return find_route(one, settings(**given), now)


def test_without_anything_else_the_default_channel_hears_of_it() -> None:
    assert route(failing()) == Route(
        "#data",
        reasons=(
            "channel #data: slack.channel, the default",
            "nobody is mentioned: slack.owners has no user or user group for its owner, nor has its channel any",
        ),
    )


@pytest.mark.parametrize(
    ("matcher", "matching"),
    [
        ({"severity": ["critical"]}, {"severity": Severity.CRITICAL}),
        ({"kind": ["test_failure"]}, {"rows": 3}),
        ({"environment": ["qa*"]}, {"environment": "qa-2"}),
        ({"project": ["greenery"]}, {"project_name": "greenery"}),
        ({"tag": ["pii"]}, {"declared": Declared(tags=("x", "pii"))}),
        ({"path": ["models/finance/*"]}, {"declared": Declared(paths=("models/finance/deep/a.sql",))}),
        ({"group": ["finance"]}, {"declared": Declared(group="finance")}),
        ({"owner": ["Fin*"]}, {"declared": Declared(group="f", group_owner=("Finance", "f@shop"))}),
        ({"owner": ["Ann"]}, {"owner": ("Ben", "Ann")}),
        ({"resource_type": ["model"]}, {"exposures": ()}),
        ({"exposure": ["Week*"]}, {"exposures": (replace(BOARD, name="Weekly orders"),)}),
        ({"exposure": ["board"]}, {"exposures": (BOARD,)}),
    ],
    ids=str,
)
def test_a_rule_fits_by_each_of_its_parts_and_by_all_of_them(matcher: dict[str, Any], matching: dict[str, Any]) -> None:
    other = failing(exposures=(), kind=Kind.RUN_FAILED, subject="dbt run", failures=())
    one = failing(**matching)
    rule = Rule.model_validate({"channel": "#special", **matcher})
    assert (fits(rule, one), fits(rule, other)) == (True, False)
    narrower = Rule.model_validate({"channel": "#special", **matcher, "project": ["another"]})
    assert not fits(narrower, one)
    assert (
        route(one, rules=[{"channel": "#other", "group": ["nobody's"]}, rule, {"channel": "#late"}]).channel
        == "#special"
    )


def test_a_rule_without_parts_fits_everything_and_the_first_that_fits_decides() -> None:
    rules = [{"channel": "#first"}, {"channel": "#second"}]
    assert route(failing(), rules=rules).reasons[0] == "channel #first: rule 1 of slack.rules"


def test_rules_come_before_the_project_and_that_before_owners_and_those_before_the_default() -> None:
    declared = Declared(group="finance", group_owner=("Finance",), observe=Observe(channel="#by-meta"))
    owners = {"finance": "#by-owner"}
    rules = [{"channel": "#by-rule", "group": ["finance"]}]
    one = failing(declared=declared)
    assert route(one, rules=rules, owners=owners).channel == "#by-rule"
    assert route(one, owners=owners).reasons[0] == "channel #by-meta: meta of the node or its group"
    without = failing(declared=replace(declared, observe=Observe()))
    assert route(without, owners=owners).reasons[0] == (
        "channel #by-owner: slack.owners has it for Finance, owner of group finance"
    )
    assert route(without).channel == "#data"


def test_nobody_can_be_told_where_no_channel_is_named() -> None:
    found = find_route(failing(), SlackSettings(), MORNING)
    assert (found.channel, found.reasons[0]) == (None, "no channel: slack.channel is not set")


def test_those_who_can_mend_it_are_mentioned_the_nearest_first() -> None:
    declared = Declared(group="g", group_owner=("Platform", "p@shop"), observe=Observe(owner=("Ann", "Ben", "Cy")))
    owners = {"ann": "U0ANN", "BEN": "U0BEN", "p@shop": "S0PLATFORM"}
    one = failing(declared=declared)
    assert route(one, owners=owners).mention == ("U0ANN", "U0BEN")
    assert route(failing(declared=replace(declared, observe=Observe())), owners=owners).mention == ("S0PLATFORM",)
    channels = {"#data": {"mention": ["S0ONCALL"]}}
    assert route(failing(), channels=channels).reasons[1] == "mentions S0ONCALL: who is named for #data"
    assert route(incident(owner="Ann, Ben", exposures=(BOARD,)), owners=owners).mention == ("U0ANN", "U0BEN")


def test_exposure_owners_are_named_and_never_mentioned() -> None:
    assert route(failing(), owners={"Ann": "U0ANN"}).mention == ()


def test_subscribers_and_those_of_a_rule_are_mentioned_too_each_once() -> None:
    one = failing(subscribers=("Dee", "Ann"), owner=("Ann",))
    rules = [{"mention": ["S0LEADS", "U0ANN"]}]
    found = route(one, owners={"Dee": "U0DEE", "Ann": "U0ANN"}, rules=rules)
    assert (found.channel, found.mention) == ("#data", ("U0ANN", "S0LEADS", "U0DEE"))


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (failing(owner=("Ann",), severity=Severity.WARNING), "nobody is mentioned: it is a warning"),
        (failing(owner=("Ann",), exposures=()), "nobody is mentioned: it hurts no exposure"),
    ],
)
def test_warnings_and_what_hurts_nobody_mention_nobody(one: Incident, why: str) -> None:
    found = route(one, owners={"Ann": "U0ANN"})
    assert (found.mention, found.reasons[1]) == ((), why)


def test_what_is_critical_mentions_people_though_no_exposure_is_known() -> None:
    one = failing(owner=("Ann",), exposures=(), severity=Severity.CRITICAL)
    assert route(one, owners={"Ann": "U0ANN"}).mention == ("U0ANN",)


def test_quiet_hours_hold_mentions_and_not_messages_and_not_what_is_critical() -> None:
    given: dict[str, Any] = {"owners": {"Ann": "U0ANN"}, "channels": {"#data": {"quiet_hours": "20:00-07:00"}}}
    night, day = datetime(2026, 3, 2, 3, tzinfo=UTC), datetime(2026, 3, 2, 8, tzinfo=UTC)
    held = route(failing(owner=("Ann",)), night, **given)
    assert (held.channel, held.muted, held.mention) == ("#data", None, ())
    assert held.reasons[1] == "mentions U0ANN: Ann, owner by its meta, once it is no longer quiet in #data"
    assert route(failing(owner=("Ann",)), day, **given).mention == ("U0ANN",)
    assert route(failing(owner=("Ann",), severity=Severity.CRITICAL), night, **given).mention == ("U0ANN",)


def test_a_mute_ends_with_its_day_and_says_why() -> None:
    until = datetime(2026, 3, 4, tzinfo=UTC)
    one = failing(mute_until=until, mute_reason="the vendor is migrating")
    assert route(one).muted == "muted until 2026-03-04 00:00 UTC: the vendor is migrating"
    assert route(one, until).muted is None
    assert route(failing(mute_until=until)).muted == "muted until 2026-03-04 00:00 UTC: no reason is given"


def test_a_maintenance_window_mutes_what_fits_while_it_lasts() -> None:
    window = {"begins": MORNING, "ends": MORNING + timedelta(hours=2), "environment": ["prod"], "reason": "upgrade"}
    assert route(failing(), maintenance=[window]).muted == "upgrade, until 2026-03-02 08:00 UTC"
    assert route(failing(environment="qa"), maintenance=[window]).muted is None
    assert route(failing(), MORNING - timedelta(seconds=1), maintenance=[window]).muted is None
    assert route(failing(), MORNING + timedelta(hours=2), maintenance=[window]).muted is None


def test_a_rule_may_mute() -> None:
    assert route(failing(), rules=[{"mute": True, "environment": ["prod"]}]).muted == "rule 1 of slack.rules mutes it"


def test_the_people_of_a_hurt_exposure_hear_of_it_in_their_own_channel() -> None:
    theirs = replace(BOARD, channel="#board")
    muted = replace(BOARD, channel="#sleepy", muted_until=MORNING + timedelta(days=1))
    assert route(failing(exposures=(theirs, muted, theirs))).also == ("#board",)
    assert route(failing(exposures=(theirs,), channel="#board")).also == ()
    assert route(failing(exposures=(theirs,), severity=Severity.WARNING)).also == ()


def test_meta_is_read_as_it_is_meant_and_what_means_nothing_is_told() -> None:
    said = read_observe(
        '{"observe": {"channel": "#a", "owner": ["Ann", "Ben"], "severity": "critical", "runbook": "https://r",'
        ' "mute_until": "2026-12-01", "mute_reason": "why"}, "owner": "Elsewhere"}'
    )
    assert said == Observe(
        channel="#a",
        owner=("Ann", "Ben"),
        severity="critical",
        runbook="https://r",
        mute_until=datetime(2026, 12, 1, tzinfo=UTC),
        mute_reason="why",
    )
    wrong = read_observe('{"observe": {"chanel": "#a", "severity": "bad", "mute_until": "soon", "runbook": 3}}')
    assert wrong == Observe(
        problems=(
            "meta.observe.chanel means nothing",
            "meta.observe.severity should be one of critical, error, warning, not 'bad'",
            "meta.observe.runbook should be text, not 3",
            "meta.observe.mute_until should be a date such as 2026-12-01, not 'soon'",
        )
    )
    assert read_observe('{"observe": "loud"}').problems == ("meta.observe should be a mapping, not 'loud'",)
    assert read_observe("[1]") == read_observe(None) == Observe()


def test_elementarys_own_keys_count_where_observe_is_silent() -> None:
    meta = '{"owner": "@ann, ben", "channel": "data", "subscribers": ["cy"], "observe": {"channel": "#ours"}}'
    assert read_observe(meta) == Observe(channel="#ours", owner=("@ann", "ben"), subscribers=("cy",))


def test_the_nearest_decides_and_a_mute_goes_with_its_own_reason() -> None:
    until = datetime(2026, 12, 1, tzinfo=UTC)
    test = Observe(owner=("Ann",), mute_until=until)
    model = Observe(owner=("Ben",), channel="#model", mute_reason="of the model", problems=("p",))
    group = Observe(channel="#group", runbook="https://group")
    assert inherit([test, model, group]) == Observe(
        owner=("Ann",), channel="#model", runbook="https://group", mute_until=until, problems=("p",)
    )


def test_what_is_declared_is_that_of_the_test_of_its_model_and_of_their_group() -> None:
    empty: dict[str, Any] = {"project_name": "shop", "environment": "prod", "tags": [], "meta": None}
    empty |= dict.fromkeys(("original_file_path", "group_name", "owner", "owner_email"))
    rows = [
        {**empty, "unique_id": "model.shop.a", "resource_type": "model", "name": "a", "tags": ["daily"],
         "original_file_path": "models/a.sql", "group_name": "finance"},
        {**empty, "unique_id": "test.shop.t", "resource_type": "test", "name": "t", "tags": ["strict", "daily"]},
        {**empty, "unique_id": "group.shop.finance", "resource_type": "group", "name": "finance", "owner": "Fin",
         "owner_email": "f@shop, g@shop", "meta": '{"observe": {"channel": "#finance"}}'},
        {**empty, "unique_id": "group.shop.other", "resource_type": "group", "name": "other", "owner": "X"},
        {**empty, "unique_id": "model.shop.a", "resource_type": "model", "name": "a", "tags": ["qa"],
         "environment": "qa"},
    ]  # fmt: skip
    assert find_declared(rows, ("shop", "prod"), ("test.shop.t", "model.shop.a")) == Declared(
        tags=("strict", "daily"),
        paths=("models/a.sql",),
        group="finance",
        group_owner=("Fin", "f@shop", "g@shop"),
        observe=Observe(channel="#finance"),
    )


def test_a_mention_can_only_be_an_id() -> None:
    with pytest.raises(ValidationError, match="should be the id"):
        settings(owners={"Ann": "<!channel>"})
