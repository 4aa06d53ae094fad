"""Every command of docker-compose.yml starts, with the variables, keys and rights that the file gives it."""

import asyncio
import subprocess
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
    } | {("notifier", "topology apply"), ("notifier", "topology keep")}
    for one in house.lasting:
        assert one.alive(), one.name
        assert one.is_connected(), one.name
        log = one.log.read_text()
        assert "AccessRefused" not in log, one.name
        assert "topology_missing" not in log.rpartition("broker_connected")[2], one.name


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
        for queue in ("anything", "ev.registry", "dlv.lane.mine"):
            channel = await connection.channel()
            with pytest.raises(ChannelAccessRefused):
                await channel.declare_queue(queue, durable=True)
        channel = await connection.channel()
        with pytest.raises(ChannelAccessRefused):
            await (await channel.get_queue("ev.registry", ensure=False)).bind("ev.domain", "#")
    finally:
        await connection.close()


async def test_the_topology_that_one_step_made_is_checked_and_a_lost_binding_named(
    house: ComposeHouse,
) -> None:
    step = house.containers["topology-apply"]
    assert "made: queue ev.notifier\n" in step.log.read_text()

    def check() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*step.command[:-1], "check"], env=step.environment, capture_output=True, text=True, check=False
        )

    done = await asyncio.to_thread(check)
    assert done.returncode == 0
    assert done.stdout.startswith("the broker holds what it should\n")
    connection = await aio_pika.connect(step.environment["NOTIFIER_BUS_URL"])
    async with connection:
        queue = await (await connection.channel()).get_queue("ev.casework", ensure=False)
        await queue.unbind("ev.domain", "kz.dabyl.alert.received.v1")
        done = await asyncio.to_thread(check)
        await queue.bind("ev.domain", "kz.dabyl.alert.received.v1")
    assert done.returncode == 1
    assert "binding ev.domain -> ev.casework [kz.dabyl.alert.received.v1]: missing" in done.stdout


def test_sigterm_drains_every_container(house: ComposeHouse) -> None:
    async def all_at_once() -> None:
        await asyncio.gather(*(asyncio.to_thread(one.stop) for one in house.lasting))

    asyncio.run(all_at_once())
    for one in house.lasting:
        assert '"event": "stopped"' in one.log.read_text(), one.name
