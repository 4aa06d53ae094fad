"""Every command of docker-compose.yml starts, with the variables, keys and rights that the file gives it."""

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit

import aio_pika
import asyncpg
import pytest
from aiormq.exceptions import ChannelAccessRefused

from tests.parts import packages
from tests.parts.compose import ComposeHouse

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeHouse]:
    packages.ensure_postgres()
    packages.ensure_rabbit()
    house = ComposeHouse(tmp_path_factory.mktemp("logs"))
    try:
        house.start()  # every migration ends well, every api and worker answers /readyz with 200
        yield house
    finally:
        house.stop()


def test_every_container_runs_and_talks_to_the_broker_as_its_own_user(house: ComposeHouse) -> None:
    assert {(one.service, one.role) for one in house.containers.values()} == {
        (service, role)
        for service in ("intake", "notifier", "casework", "registry", "gateway")
        for role in ("migrate", "api", "worker")
    }
    for one in house.lasting:
        assert one.alive(), one.name
        assert one.is_connected(), one.name
        # Refused before: a reader's queue is not ours to make, so the first tries wait for its owner.
        assert "AccessRefused" not in one.log.read_text().rpartition("broker_connected")[2], one.name


def test_the_first_registrar_is_written_where_the_file_mounts_it(house: ComposeHouse) -> None:
    assert house.bootstrap.exists()
    assert house.bootstrap.stat().st_mode & 0o077 == 0


async def test_a_database_role_sees_one_database(house: ComposeHouse) -> None:
    own = house.containers["intake"].environment["INTAKE_DATABASE_URL"].replace("+asyncpg", "")
    connection = await asyncpg.connect(own)
    try:
        assert await connection.fetchval("SELECT current_user") == "intake"
        assert not await connection.fetchval(
            "SELECT rolsuper OR rolcreatedb OR rolcreaterole FROM pg_roles WHERE rolname = current_user"
        )
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("CREATE TABLE vault.stolen (a int)")
    finally:
        await connection.close()
    for other in ("notifier", "casework", "registry", "gateway", "postgres"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await asyncpg.connect(own.rpartition("/")[0] + f"/{other}")


async def test_a_broker_user_can_neither_forge_nor_read_what_is_not_its_own(house: ComposeHouse) -> None:
    url = house.containers["registry"].environment["REGISTRY_BUS_URL"]
    assert urlsplit(url).username == "registry"
    connection = await aio_pika.connect(url)
    try:
        channel = await connection.channel(on_return_raises=False)
        exchange = await channel.get_exchange("ev.domain")
        body = aio_pika.Message(b"{}")
        await exchange.publish(body, "kz.dabyl.agency.registered.v1", mandatory=False)
        with pytest.raises(ChannelAccessRefused):
            await exchange.publish(body, "kz.dabyl.alert.received.v1", mandatory=False)
        for queue in ("ev.notifier", "ev.casework"):
            channel = await connection.channel()
            with pytest.raises(ChannelAccessRefused):
                await (await channel.get_queue(queue, ensure=False)).get()
        channel = await connection.channel()
        with pytest.raises(ChannelAccessRefused):
            await channel.declare_queue("anything", durable=True)
    finally:
        await connection.close()


def test_sigterm_drains_every_container(house: ComposeHouse) -> None:
    async def all_at_once() -> None:
        await asyncio.gather(*(asyncio.to_thread(one.stop) for one in house.lasting))

    asyncio.run(all_at_once())
    for one in house.lasting:
        assert '"event": "stopped"' in one.log.read_text(), one.name
