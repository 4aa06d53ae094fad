"""A broker and a database server of our own, to be stopped and killed; everything else shares one."""

import shutil
from collections.abc import AsyncIterator, Iterator

import pytest

from common.bus import Bus
from common.bus.memory import MemoryBus
from common.bus.rabbit import RabbitBus
from common.db import Database
from tests.conformance.ledger import create_tables
from tests.conftest import DatabaseUrls
from tests.parts.postgres import Postgres
from tests.parts.process import reachable_folder
from tests.parts.rabbit import Rabbit


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is said of RabbitMQ alone has no memory half."""
    alone = {"rabbit", "own_broker", "connection"}
    items[:] = [one for one in items if "memory" not in one.name or not alone & set(_fixtures(one))]


def _fixtures(item: pytest.Item) -> list[str]:
    return list(getattr(item, "fixturenames", ()))


@pytest.fixture
async def bus(bus_kind: str, bus_url: str) -> AsyncIterator[Bus]:
    """A started bus of this test alone."""
    memory = bus_kind == "memory"
    made: MemoryBus | RabbitBus = MemoryBus() if memory else RabbitBus(bus_url, pause=0.02)
    await made.start()
    if isinstance(made, RabbitBus):
        await made.wait_connected()
    yield made
    await made.close()


@pytest.fixture(scope="module")
def _own_broker(request: pytest.FixtureRequest) -> Iterator[Rabbit]:
    folder = reachable_folder("bus")
    broker = Rabbit(folder / "rabbit").start()
    yield broker
    broker.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def own_broker(bus_kind: str, _own_broker: Rabbit) -> Rabbit:
    """A node that a test may kill; it runs when the test begins."""
    if not (_own_broker.running and _own_broker.running.alive()):
        _own_broker.start()
    return _own_broker


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A server that a test may kill."""
    folder = reachable_folder("db")
    server = Postgres(folder / "postgres").start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def publisher(db_url: DatabaseUrls) -> AsyncIterator[Database]:
    """The publishing service's database."""
    db = Database(db_url())
    await create_tables(db)
    yield db
    await db.close()


@pytest.fixture
async def reader(db_url: DatabaseUrls) -> AsyncIterator[Database]:
    """The reading service's database."""
    db = Database(db_url())
    await create_tables(db)
    yield db
    await db.close()
