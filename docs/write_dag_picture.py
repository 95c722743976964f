"""Takes the picture of Greenery's DAG in Airflow after a bad morning: `make dag-picture`. Needs chromium.

Airflow, dbt and the morning are real; it takes two minutes.
"""

import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "dbt"), str(ROOT / "tests" / "on_airflow")]

import raw_data  # noqa: E402
from browser import start_browser  # noqa: E402
from standalone import Airflow  # noqa: E402
from write_pictures import FOLDER  # noqa: E402

PYTHON = ROOT / ".venv" / "airflow" / "bin" / "python"
DAG = "greenery_daily"


def main() -> int:
    """Run the morning and take the picture."""
    with TemporaryDirectory(prefix="dag-picture-") as name:
        folder = Path(name)
        (folder / "dags").mkdir()
        text = (ROOT / "dags" / f"{DAG}.py").read_text(encoding="utf-8")
        (folder / "dags" / f"{DAG}.py").write_text(text.replace('"retries": 1', '"retries": 0'), encoding="utf-8")
        raw_data.land_in_duckdb(raw_data.shop(raw_data.BROKEN_MORNING, datetime.now(UTC)), folder / "greenery.duckdb")
        os.environ |= {
            "GREENERY_PROJECT_DIR": str(ROOT / "dbt" / "greenery"),
            "GREENERY_DUCKDB_PATH": str(folder / "greenery.duckdb"),
            "GREENERY_DBT_BIN": str(PYTHON.with_name("dbt")),
            "DBT_TARGET_PATH": str(folder / "target"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        }
        with Airflow(folder, folder / "dags", str(PYTHON)) as airflow:
            _wait(lambda: airflow.knows(DAG))
            run = airflow.trigger(DAG)
            _wait(lambda: airflow.state(DAG, run) in {"success", "failed"})
            _take(f"{airflow.url}/dags/{DAG}/runs/{run}", FOLDER / "dag.png")
    return 0


def _wait(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 300
    while not what():
        if time.monotonic() > until:
            sys.exit("it took too long")
        time.sleep(1)


def _take(url: str, png: Path) -> None:
    """The graph, with what is in the group."""
    with start_browser() as browser:
        page = browser.new_page(viewport={"width": 1600, "height": 600}, device_scale_factor=2)
        page.goto(url)
        page.get_by_label("Show Graph").click()
        page.get_by_label("Expand all task groups").click()
        page.wait_for_timeout(3_000)
        page.add_style_tag(content=".react-flow__panel, .react-flow__minimap { display: none }")
        page.locator(".react-flow").screenshot(path=png)


if __name__ == "__main__":
    sys.exit(main())
