"""Everything that goes through one virtual host of RabbitMQ, by its own tracer; and where its files are."""

import asyncio
import json
import tarfile
import tempfile
import threading
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import aio_pika
import psutil

from tests.acceptance.canary.scanner import Surface, surfaces_of
from tests.parts.sharing import Part

TRACER = "amq.rabbitmq.trace"


@dataclass
class Tap:
    """Copies of messages: routing keys, headers and bodies."""

    seen: list[Surface] = field(default_factory=list)


@contextmanager
def tapping(part: Part, url: str) -> Iterator[Tap]:
    """Copy everything that is published to, and delivered from, the virtual host of ``url``."""
    host = unquote(urlsplit(url).path[1:])
    manage(part, "PUT", f"/api/vhosts/{quote(host, safe='')}", {"tracing": True})
    tap, ready, stop = Tap(), threading.Event(), threading.Event()
    listening = threading.Thread(target=lambda: asyncio.run(_listen(url, tap, ready, stop)), daemon=True)
    listening.start()
    try:
        assert ready.wait(30), "the tracer did not start"
        yield tap
    finally:
        stop.set()
        listening.join(10)
        with suppress(OSError):  # the virtual host may be gone by now
            manage(part, "PUT", f"/api/vhosts/{quote(host, safe='')}", {"tracing": False})


async def _listen(url: str, tap: Tap, ready: threading.Event, stop: threading.Event) -> None:
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(TRACER, "#")

        async def keep(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            told = f"{message.routing_key} {message.headers}".encode()
            tap.seen.append(Surface(f"message {message.routing_key}", told + b"\n" + message.body))

        await queue.consume(keep, no_ack=True)
        ready.set()
        while not stop.is_set():
            await asyncio.sleep(0.05)


def manage(part: Part, method: str, path: str, body: object = None) -> Any:
    """One call of the management interface."""
    assert part.api
    address = urlsplit(part.url)
    secret = f"{unquote(address.username or 'guest')}:{unquote(address.password or 'guest')}"
    request = urllib.request.Request(  # noqa: S310  # the tests' own broker
        part.api.rstrip("/") + path,
        method=method,
        data=json.dumps(body).encode() if body is not None else None,
        headers={
            "Authorization": f"Basic {b64encode(secret.encode()).decode()}",
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310  # see above
        text = answer.read()
    return json.loads(text) if text else None


def broker_files(part: Part) -> Iterator[Surface]:
    """The broker's data folder and its log.

    Raises:
        AssertionError: the broker runs where its files cannot be read; that is said, not skipped.
    """
    if part.container:
        yield from _from_container(part.container)
        return
    assert part.processes, (
        "the files of a broker that the environment names cannot be read: let the tests start one"
    )
    node = psutil.Process(part.processes[0].pid).environ()
    data = Path(node["RABBITMQ_MNESIA_BASE"])
    yield from surfaces_of(data, Path(node["RABBITMQ_LOG_BASE"]), *data.parent.glob("*.log"))


def _from_container(container: str) -> Iterator[Surface]:
    import docker  # noqa: PLC0415  # a second, needed rarely

    client = docker.from_env()
    try:
        chunks, _ = client.containers.get(container).get_archive("/var/lib/rabbitmq")
        with tempfile.TemporaryFile() as archive:
            for chunk in chunks:
                archive.write(chunk)
            archive.seek(0)
            with tarfile.open(fileobj=archive) as files:
                for member in files:
                    held = files.extractfile(member) if member.isfile() else None
                    if held is not None:
                        yield Surface(f"{container[:12]}:{member.name}", held.read())
        yield Surface(f"{container[:12]} log", client.containers.get(container).logs())
    finally:
        client.close()
