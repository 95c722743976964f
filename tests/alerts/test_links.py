"""Links below messages: made of templates that can do no harm, and only where all that they speak of is known."""

from dataclasses import replace
from typing import Any

import pytest
from test_delivery import incident

from observability.alerts.incidents import Warehouse
from observability.alerts.links import VARIABLES, Links, as_url
from observability.alerts.meta import Declared, Observe
from observability.errors import ConfigError

KNOWN: dict[str, Any] = {
    "log_url": "https://airflow/log?x=1",
    "invocation_id": "abc",
    "declared": Declared(observe=Observe(runbook="https://run.book/a")),
    "warehouse": Warehouse(query_id="job_1", job_project="shop-prod", job_location="EU"),
}


def test_what_an_incident_holds_is_linked() -> None:
    assert Links({}).of(incident(**KNOWN)) == (
        ("Log", "https://airflow/log?x=1"),
        (
            "BigQuery job",
            "https://console.cloud.google.com/bigquery?project=shop-prod&j=bq:EU:job_1&page=queryresults",
        ),
        ("Runbook", "https://run.book/a"),
    )
    assert Links({}).of(incident()) == ()


@pytest.mark.parametrize(
    ("log_url", "run"),
    [
        ("https://airflow/dags/d/runs/r%3A1/tasks/g.t?try_number=2", "https://airflow/dags/d/runs/r%3A1"),
        ("https://airflow/sub/dags/d/runs/r/tasks/t/mapped/3?try_number=1", "https://airflow/sub/dags/d/runs/r"),
        ("https://logs/tasks/1", None),
        ("javascript:/dags/d/runs/r/tasks/t", None),
    ],
)
def test_the_run_of_a_log_of_airflows_is_linked(log_url: str, run: str | None) -> None:
    assert dict(Links({}).of(incident(log_url=log_url))).get("DAG run") == run


def test_templates_are_filled_and_left_out_where_something_is_not_known() -> None:
    links = Links(
        {
            "dbt docs": "https://docs/#!/{{ resource_type }}/{{ unique_id | urlencode }}",
            "Looker": "https://looker/explore/runs?f[invocation_id]={{ invocation_id }}",
            "Log": "https://logs/{{ dag_id }}/{{ invocation_id }}",
        }
    )
    assert links.of(incident(invocation_id="i 1")) == (
        ("dbt docs", "https://docs/#!/model/model.shop.a"),
        ("Looker", "https://looker/explore/runs?f[invocation_id]=i%201"),
    )
    assert links.of(incident(invocation_id="i", dag_id="daily"))[0] == ("Log", "https://logs/daily/i")


def test_every_variable_can_be_used() -> None:
    links = Links({"all": "https://x/" + "/".join(f"{{{{ {name} }}}}" for name in VARIABLES)})
    whole = replace(
        incident(rows=3),
        **KNOWN | {"warehouse": replace(KNOWN["warehouse"], failures_table="db.main.t")},
        command="test",
        dag_id="d",
        dag_run_id="r",
        task_id="t",
        map_index=0,
        try_number=1,
        failures=(replace(incident(rows=3).failures[0], original_file_path="models/a.yml"),),
    )
    assert dict(links.of(whole))["all"].startswith(
        "https://x/test/d/r/prod/db.main.t/a1/abc/EU/shop-prod/test_failure/"
    )


@pytest.mark.parametrize(
    ("template", "what", "next_step"),
    [
        ("https://x/{{ unique_id", "is no template that can be used: ", "write it as https://example.com/"),
        ("https://x/{{ uniqe_id }}", "speaks of uniqe_id, which is not known", "there are: command, dag_id"),
        ("{{ unique_id }}", "gives no URL, but 'x'", "begin it with https://"),
        ("javascript:alert(1)", "gives no URL, but 'javascript:alert(1)'", "begin it with https://"),
        ("https://x/{{ ''.__class__.__mro__ }}", "is no template that can be used: ", "write it as"),
        ("https://x/{{ name / 0 }}", "is no template that can be used: ", "write it as"),
        (
            "https://x/{% for i in range(10000000) %}{{ i }}{% endfor %}",
            "is no template that can be used: ",
            "write it",
        ),
        ("https://x/{% include '/etc/passwd' %}", "is no template that can be used: ", "write it as"),
    ],
)
def test_a_template_that_cannot_be_used_is_told_before_anybody_is(template: str, what: str, next_step: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Links({"docs": template}).check()
    assert caught.value.what.startswith(f"the link 'docs' {what}")
    assert caught.value.where == 'slack.links."docs"'
    assert caught.value.next_step.startswith(next_step)


def test_what_means_something_to_slack_or_a_browser_is_encoded_and_what_is_no_link_is_none() -> None:
    assert as_url("https://x/a b|<c>\"'`\n\u202e") == "https://x/a%20b%7C%3Cc%3E%22%27%60%0A%E2%80%AE"
    assert as_url("https://x/%20?a=1&b=2#c") == "https://x/%20?a=1&b=2#c"
    assert [
        as_url(text) for text in (None, "", "run it", "javascript:alert(1)", "ftp://x", "https://" + "x" * 3_000)
    ] == ([None] * 6)
