"""Takes the documentation's pictures: `make pictures`, which plays the demo first, for its triage page.

On Debian: `apt install chromium fonts-lato fonts-noto-color-emoji`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from browser import start_browser
from playwright.sync_api import Browser

from observability.alerts.exposures import Exposure, Risk
from observability.alerts.incidents import Failure, Incident, Kind, Severity, State
from observability.alerts.links import Links
from observability.alerts.message import build_message
from observability.alerts.meta import Declared, Observe
from observability.alerts.notices import Notice
from observability.alerts.slack.block_kit import Payload, render_change, render_incident
from observability.alerts.slack.preview import Shown, render_preview

FOLDER = Path(__file__).parent / "pictures"
TRIAGE = Path(__file__).parent.parent / ".demo" / "triage"
_LINKS = Links(
    {
        "dbt docs": "https://docs.greenery.example/#!/{{ resource_type }}/{{ unique_id }}",
        "Looker": "https://looker.greenery.example/explore/dbt_observability/node_results?id={{ invocation_id }}",
    }
)
_MORNING = datetime(2026, 3, 2, 6, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Picture:
    """A page, and how wide it is shown."""

    name: str
    page: Callable[[], str]
    width: int
    dark: bool = False


def take(browser: Browser, html: str, png: Path, width: int, *, dark: bool = False) -> None:
    """Take a picture of a page, as high as what is on it; width in pixels of CSS, two dots each."""
    page = browser.new_page(
        viewport={"width": width, "height": 100},
        device_scale_factor=2,
        color_scheme="dark" if dark else "light",
    )
    page.set_content(html)
    png.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=png, full_page=True)
    page.close()


def _failing_model() -> Incident:
    error = "Database Error in model stg_orders\n  Catalog Error: Table with name raw_orders does not exist!"
    exposures = (
        _exposure("Orders of the week", "Finance analytics", critical=True),
        _exposure("Churn model", "Retention team"),
    )
    failed = _failure("model.greenery.stg_orders", status="error", message=error)
    return Incident(
        key="greenery/prod/model.greenery.stg_orders",
        id="1",
        project_name="greenery",
        environment="prod",
        kind=Kind.NODE_ERROR,
        severity=Severity.CRITICAL,
        state=State.OPEN,
        subject=failed.unique_id,
        name="stg_orders",
        failures=(replace(failed, original_file_path="models/staging/stg_orders.sql"),),
        blocked=("model.greenery.fct_orders", "model.greenery.fct_orders_products", "model.greenery.int_orders"),
        exposures=exposures,
        owner="Data platform",
        since=_MORNING,
        seen_at=_MORNING,
        last_good_at=_MORNING - timedelta(days=1),
        command="build",
        dag_run_id="scheduled__2026-03-02",
        invocation_id="5f1c",
        log_url="https://airflow.greenery.example/dags/greenery_daily/runs/scheduled__2026-03-02/tasks/run",
        declared=Declared(observe=Observe(runbook="https://runbooks.greenery.example/orders")),
    )


def _failing_tests() -> Incident:
    tests = [("unique", "order_id", 12), ("not_null", "user_id", 1_204)]
    failures = [
        replace(
            _failure(f"test.greenery.{test}_fct_orders_{column}.0", status="fail", failures=rows),
            test_name=test,
            column_name=column,
        )
        for test, column, rows in tests
    ]
    return replace(
        _failing_model(),
        id="2",
        kind=Kind.TEST_FAILURE,
        severity=Severity.ERROR,
        subject="model.greenery.fct_orders",
        name="fct_orders",
        failures=tuple(failures),
        blocked=(),
        exposures=(_exposure("Product funnel", "Growth analytics", Risk.SUSPECT),),
        owner="Finance analytics",
        bad_runs=2,
    )


def _failure(unique_id: str, *, status: str, message: str | None = None, failures: int | None = None) -> Failure:
    kind, _, name, *_ = unique_id.split(".")
    return Failure(
        unique_id=unique_id,
        name=name,
        resource_type=kind,
        status=status,
        outcome="failure",
        message=message,
        failures=failures,
        since=_MORNING,
        seen_at=_MORNING,
    )


def _exposure(name: str, owner: str, risk: Risk = Risk.STALE, *, critical: bool = False) -> Exposure:
    return Exposure(
        unique_id=f"exposure.greenery.{name}",
        name=name,
        owner=owner,
        owner_email=None,
        url=None,
        distance=2,
        risk=risk,
        critical=critical,
    )


def _shown(payload: Payload, at: str) -> Shown:
    return Shown(payload.text, payload.blocks, at)


def _notice(incident: Incident) -> Notice:
    return Notice(incident, "data-alerts", build_message(incident, _LINKS.of(incident)))


def incidents_page() -> str:
    """A model that failed, was mended and is well again; tests that fail."""
    failed = _failing_model()
    fixed = replace(failed, state=State.FIXED, blocked=("model.greenery.fct_orders_products",))
    well = replace(failed, state=State.RECOVERED, closed_at=_MORNING + timedelta(minutes=47))
    thread = (
        _shown(render_change(_notice(fixed), "fixed"), "06:41"),
        _shown(render_change(_notice(well), "recovered"), "06:59"),
    )
    messages = [
        replace(_shown(render_incident(_notice(well)), "06:12"), edited=True, replies=thread),
        _shown(render_incident(_notice(_failing_tests())), "07:03"),
    ]
    return render_preview("data-alerts", messages)


PICTURES: Sequence[Picture] = [
    Picture("slack", incidents_page, 760),
    Picture("slack_dark", incidents_page, 760, dark=True),
    Picture("slack_phone", incidents_page, 390),
]


def triage_page() -> Path:
    """The demo's page of its bad morning."""
    pages = [path for path in TRIAGE.glob("*-*.html") if "causes of failure" in path.read_text(encoding="utf-8")]
    if not pages:
        raise SystemExit(f"{TRIAGE} has no page of a bad morning: make demo")
    return pages[-1]


def take_triage(browser: Browser, png: Path, size: tuple[int, int], *, dark: bool = False, at: str = "") -> None:
    """Take a picture of as much of the triage page as a window shows; `at` is the anchor that it begins at."""
    page = browser.new_page(
        viewport={"width": size[0], "height": size[1]},
        device_scale_factor=2,
        color_scheme="dark" if dark else "light",
    )
    page.goto(f"{triage_page().as_uri()}{at}")
    page.locator("#results").wait_for()
    page.screenshot(path=png)
    page.close()


def main() -> None:
    """Take all pictures."""
    with start_browser() as browser:
        for picture in PICTURES:
            take(browser, picture.page(), FOLDER / f"{picture.name}.png", picture.width, dark=picture.dark)
        take_triage(browser, FOLDER / "triage.png", (960, 900))
        take_triage(browser, FOLDER / "triage_dark.png", (960, 900), dark=True, at="#exposures")
        take_triage(browser, FOLDER / "triage_phone.png", (390, 844))


if __name__ == "__main__":
    main()
