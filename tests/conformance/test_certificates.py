"""An endpoint that must see our certificate gets it or gets nothing: never a connection without."""

import contextlib
import os
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web

from common.timing import utc_now
from notifier.adapters.certificate import Certificate
from notifier.adapters.webhook import Webhook
from notifier.domain.channel import Answer, Parcel
from notifier.domain.delivery import RESULT, Outcome, Reason
from tests.conformance.counterparts import KEY, LOOPBACK, certificate


@dataclass
class Strict:
    """An endpoint behind TLS that asks for our certificate; whose it saw."""

    folder: Path
    port: int = 0
    shown: list[str] = field(default_factory=list)
    channel: Webhook | None = None

    async def take(self, request: web.Request) -> web.Response:
        peer: dict[str, Any] = request.get_extra_info("peercert") or {}
        self.shown += [value for part in peer.get("subject", ()) for _, value in part] or ["nobody"]
        return web.Response()

    async def send(self, certificate: Certificate | None, scheme: str = "https+mtls") -> Answer:
        channel = Webhook(allowed=LOOPBACK, certificate=certificate, trust=self.trust)
        try:
            return await self.send_by(channel, scheme)
        finally:
            await channel.close()

    async def send_by(self, channel: Webhook, scheme: str = "https+mtls") -> Answer:
        url = f"{scheme}://127.0.0.1:{self.port}/door"
        return await channel.send(Parcel(uuid4(), url, b"{}", (KEY,), timedelta(seconds=5)), now=utc_now())

    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.folder / "theirs.pem"))


@pytest.fixture
async def strict(tmp_path: Path) -> AsyncIterator[Strict]:
    side = Strict(tmp_path)
    chain, key = certificate(tmp_path, name="theirs")
    ours, _ = certificate(tmp_path, name="ours")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain, key)
    context.load_verify_locations(ours)
    context.verify_mode = ssl.CERT_OPTIONAL  # so that one who shows nothing would be seen
    app = web.Application()
    app.router.add_post("/door", side.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    side.port = runner.addresses[0][1]
    yield side
    await runner.cleanup()


def pair(folder: Path, name: str = "ours") -> Certificate:
    return Certificate(folder / f"{name}.pem", folder / f"{name}.key")


async def test_the_endpoint_sees_our_certificate(strict: Strict, tmp_path: Path) -> None:
    assert (await strict.send(pair(tmp_path))).outcome is Outcome.ACCEPTED
    assert strict.shown == ["ours"]
    assert (await strict.send(pair(tmp_path), "https")).outcome is Outcome.ACCEPTED
    assert strict.shown == ["ours", "nobody"]  # shown only where the address asks for it


@pytest.mark.parametrize(
    "trouble", ["none_given", "no_file", "no_key", "unreadable", "another_key", "expired", "not_yet"]
)
async def test_without_it_nothing_is_sent(strict: Strict, tmp_path: Path, trouble: str) -> None:
    given: Certificate | None = pair(tmp_path)
    if trouble == "none_given":
        given = None
    elif trouble == "no_file":
        (tmp_path / "ours.pem").unlink()
    elif trouble == "no_key":
        (tmp_path / "ours.key").unlink()
    elif trouble == "unreadable":
        (tmp_path / "ours.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    elif trouble == "another_key":
        certificate(tmp_path, name="another")
        (tmp_path / "another.key").replace(tmp_path / "ours.key")
    elif trouble == "expired":
        certificate(tmp_path, name="ours", days=-1)
    else:
        certificate(tmp_path, name="ours", days=400, begins=1)
    answer = await strict.send(given)
    assert answer.outcome is Outcome.NO_CERTIFICATE
    assert RESULT[answer.outcome][1] is Reason.CERT
    assert strict.shown == []


async def test_a_renewed_certificate_is_taken_without_a_restart(strict: Strict, tmp_path: Path) -> None:
    chain, key = (tmp_path / "ours.pem"), (tmp_path / "ours.key")
    kept = chain.read_bytes(), key.read_bytes()
    certificate(tmp_path, name="ours", days=-1)
    channel = Webhook(allowed=LOOPBACK, certificate=pair(tmp_path), trust=strict.trust)
    async with contextlib.aclosing(_Closing(channel)):
        assert (await strict.send_by(channel)).outcome is Outcome.NO_CERTIFICATE
        chain.write_bytes(kept[0])
        key.write_bytes(kept[1])
        os.utime(chain, ns=(1, 1))
        assert (await strict.send_by(channel)).outcome is Outcome.ACCEPTED
        (tmp_path / "ours.key").unlink()
        assert (await strict.send_by(channel)).outcome is Outcome.NO_CERTIFICATE
    assert strict.shown == ["ours"]


class _Closing:
    def __init__(self, channel: Webhook) -> None:
        self._channel = channel

    async def aclose(self) -> None:
        await self._channel.close()
