"""The houses that acceptance tests share; each test sends alerts of its own."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.acceptance.embedded import EmbeddedHouse
from tests.acceptance.spread import SpreadHouse
from tests.conftest import REAL
from tests.parts.rabbit import VirtualHosts


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


@pytest.fixture(scope="session")
def spread_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpreadHouse]:
    """The same as it is deployed: a process per service and role, PostgreSQL and RabbitMQ."""
    broker = REAL.rabbit()
    assert broker.api
    hosts = VirtualHosts(broker.url, broker.api)
    name = f"spread-{uuid4().hex[:8]}"
    house = SpreadHouse(
        tmp_path_factory.mktemp("spread"),
        REAL.postgres().url,
        hosts.create(name),
        name=name.replace("-", "_"),
    )
    try:
        house.start()
        yield house
    finally:
        house.stop()
        hosts.delete(name)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``any_house``: the embedded one, and with real parts asked for the spread one too."""
    if "any_house" in metafunc.fixturenames:
        real = "both" in (metafunc.config.getoption("--db"), metafunc.config.getoption("--bus"))
        stacks = ["house", *(["spread_house"] if real else [])]
        marks = [pytest.param(stack, marks=pytest.mark.real if stack != "house" else ()) for stack in stacks]
        metafunc.parametrize("any_house", marks, indirect=True)


@pytest.fixture
def any_house(request: pytest.FixtureRequest) -> EmbeddedHouse | SpreadHouse:
    """One of the houses."""
    chosen: EmbeddedHouse | SpreadHouse = request.getfixturevalue(request.param)
    return chosen
