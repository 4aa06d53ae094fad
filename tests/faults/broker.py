"""What happens to a broker: it goes, stands still, chokes, forgets, and is handed rubbish."""

import asyncio
import json
import time
from contextlib import suppress
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from uuid import uuid4

import aio_pika

from tests.faults.scene import VHOST, Scene
from tests.parts.process import standing_still


def away(scene: Scene) -> None:
    scene.house.rabbit.kill()
    scene.pause(18, 600)
    scene.house.rabbit.start()


def stands_still(scene: Scene) -> None:
    running = scene.house.rabbit.running
    assert running
    with standing_still(running.pid):
        scene.pause(8, 60)


def out_of_memory(scene: Scene) -> None:
    """The node's memory alarm: it stops reading from whoever publishes."""
    scene.house.rabbit.ctl("set_vm_memory_high_watermark", "0")
    try:
        scene.pause(8, 60)
    finally:
        scene.house.rabbit.ctl("set_vm_memory_high_watermark", "0.4")


def queues_purged(scene: Scene) -> None:
    until = time.monotonic() + scene.seconds(5, 30)
    while time.monotonic() < until:
        for name in _queues(scene):
            scene.manage("DELETE", f"/api/queues/{VHOST}/{quote(name, safe='')}/contents")
        time.sleep(0.2)


def queues_deleted(scene: Scene) -> None:
    for _ in range(2 if scene.is_full else 1):
        for name in _queues(scene):
            with suppress(HTTPError):  # made again meanwhile, or gone
                scene.manage("DELETE", f"/api/queues/{VHOST}/{quote(name, safe='')}")
        time.sleep(3)


def bindings_deleted(scene: Scene) -> None:
    found = scene.manage("GET", f"/api/bindings/{VHOST}")
    for one in found:
        if one["source"] and one["destination_type"] == "queue" and one["destination"].startswith("ev."):
            key = quote(one["properties_key"], safe="")
            path = f"/api/bindings/{VHOST}/e/{one['source']}/q/{one['destination']}/{key}"
            with suppress(HTTPError):
                scene.manage("DELETE", path)
    time.sleep(3)


def connections_closed(scene: Scene) -> None:
    closed = 0
    for _ in range(5 if scene.is_full else 2):
        for one in scene.manage("GET", "/api/connections"):
            # It may have gone by itself; and on a busy machine the answer, not the deed, takes too long.
            with suppress(HTTPError, TimeoutError):
                scene.manage("DELETE", f"/api/connections/{quote(one['name'], safe='')}")
                closed += 1
        time.sleep(2)
    if not closed:
        raise AssertionError("no connection was closed")


def rubbish(scene: Scene) -> None:
    """Not JSON, not an event, of an unknown version, of a year ago, huge, and one event many times."""
    asyncio.run(_publish_rubbish(scene))
    time.sleep(2)


async def _publish_rubbish(scene: Scene) -> None:
    own = urlsplit(scene.house.rabbit.url)
    scene.manage(
        "PUT",
        f"/api/permissions/{VHOST}/{own.username}",
        {"configure": ".*", "write": ".*", "read": ".*"},
    )
    event = {
        "specversion": "1.0", "id": str(uuid4()), "source": "/intake", "type": "kz.dabyl.alert.received.v1",
        "subject": str(uuid4()), "time": "2025-11-28T09:00:00Z", "data": {},
    }  # fmt: skip
    bodies = [
        b"", b"\x00\xff", b"[" * 5000, b'{"a": NaN}', b"x" * 2_000_000,
        json.dumps(event).encode(),
        json.dumps(event | {"type": "kz.dabyl.alert.received.v99"}).encode(),
        json.dumps({**event, "id": None}).encode(),
    ]  # fmt: skip
    connection = await aio_pika.connect(f"{scene.house.rabbit.url.rstrip('/')}/{VHOST}")
    async with connection:
        channel = await connection.channel(publisher_confirms=True)
        for queue in _queues(scene):
            for body in bodies * 2:
                with suppress(aio_pika.exceptions.DeliveryError):
                    await channel.default_exchange.publish(aio_pika.Message(body), routing_key=queue)


def _queues(scene: Scene) -> list[str]:
    found = scene.manage("GET", f"/api/queues/{VHOST}")
    return [one["name"] for one in found if one["name"].startswith(("ev.", "dlv."))]
