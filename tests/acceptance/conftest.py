"""One embedded house for all acceptance tests of this process; each test sends alerts of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.embedded import EmbeddedHouse


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedHouse]:
    """A running house with its simulated agencies."""
    home: Path = tmp_path_factory.mktemp("house") / "home"
    house = EmbeddedHouse(home)
    try:
        house.start()
        yield house
    finally:
        house.stop()
