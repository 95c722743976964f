"""Fixtures that several folders of tests share."""

from collections.abc import Iterator

import pytest
from emulator import Emulator, emulator


@pytest.fixture(scope="session")
def bigquery_emulator() -> Iterator[Emulator]:
    """One emulator a test process; each test takes a dataset of its own."""
    with emulator() as running:
        yield running
