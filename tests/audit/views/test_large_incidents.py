"""An incident that has every node of a large project: the morning on which the model fails that all others rest on."""

from pathlib import Path

import duckdb
import pytest
from factories import manifest, node, result
from shop import Shop

from observability.config import Settings

MODELS = 3_000
ROOT = "model.shop.stg_root"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The failed root, three thousand models below it that were skipped, an exposure on every hundredth."""
    path = tmp_path / "audit.duckdb"
    models = [f"model.shop.model_{number:04}" for number in range(MODELS)]
    exposures = [node(f"exposure.shop.board_{place:02}", [one]) for place, one in enumerate(models[::100])]
    graph = manifest(node(ROOT), *(node(one, [ROOT]) for one in models), *exposures)
    shop = Shop(tmp_path, Settings(store=f"duckdb:///{path}"))
    shop.step("build", result(ROOT, "error", message="no"), *(result(one, "skipped") for one in models), graph=graph)
    return path


def test_its_nodes_take_no_more_memory_than_there_are_nodes(store: Path) -> None:
    with duckdb.connect(str(store), read_only=True) as connection:
        connection.execute("SET memory_limit = '400MB'; SET temp_directory = ''; SET threads = 2")
        rows = connection.sql(
            "SELECT subject, state, len(nodes), len(blocked_nodes), exposures FROM main.incidents"
        ).fetchall()
    exposures = [f"exposure.shop.board_{place:02}" for place in range(30)]
    assert rows == [(ROOT, "open", MODELS + 1, MODELS, exposures)]
