"""The other sides of every channel, real ones: HTTP and SMTP servers, a broker, a folder.

Each can be told to misbehave. What its protocol cannot say is missing in its ``outcomes``.
"""

import asyncio
import contextlib
import ipaddress
import json
import socket
import ssl
import urllib.parse
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any, ClassVar, Protocol
from uuid import UUID, uuid4

import aio_pika
from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from notifier.adapters.amqp import Queue
from notifier.adapters.folder import Folder
from notifier.adapters.gateway import Gateway
from notifier.adapters.smtp import Mail, Relay
from notifier.adapters.webhook import Webhook
from notifier.domain.address import networks
from notifier.domain.channel import Channel, Parcel
from notifier.domain.delivery import Outcome

LOOPBACK = networks(["127.0.0.0/8", "::1/128"])
KEY = bytes(range(32))
FLOOD = b"x" * 65536


class Counterpart(Protocol):
    """One channel and its other side.

    Attributes:
        outcomes: what each behaviour must be taken for.
        is_free_of_content: whether what leaves may hold nothing of the notice.
        received: bytes of answers that were pushed into us.
    """

    channel: Channel
    outcomes: ClassVar[dict[str, Outcome]]
    is_free_of_content: bool
    address: str
    pushed: int

    async def will(self, behaviour: str) -> None: ...

    async def arrived(self) -> list[tuple[UUID, bytes]]: ...


class HttpSide:
    """An agency's endpoint, or a gateway for telephones."""

    outcomes: ClassVar[dict[str, Outcome]] = {
        "take": Outcome.ACCEPTED,
        "busy": Outcome.THROTTLED,
        "fail": Outcome.FAILED,
        "refuse": Outcome.REFUSED,
        "redirect": Outcome.REDIRECTED,
        "gone": Outcome.GONE,
        "hang": Outcome.NO_ANSWER,
        "drip": Outcome.NO_ANSWER,
        "nonsense": Outcome.FAILED,
        "flood": Outcome.ACCEPTED,
        "away": Outcome.UNREACHABLE,
    }

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.is_free_of_content = kind != "webhook"
        self.behaviour = "take"
        self.pushed = 0
        self.seen: list[tuple[UUID, bytes]] = []
        self.elsewhere = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["HttpSide"]:
        app = web.Application()
        app.router.add_post("/door", self._take)
        app.router.add_route("*", "/elsewhere", self._follow)
        runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with raw_server(self._misbehave) as self._raw:
            self._url = f"http://127.0.0.1:{runner.addresses[0][1]}/door"
            self._make(self._url)
            yield self
        await self.channel.close()
        await runner.cleanup()

    def _make(self, url: str) -> None:
        if self.kind == "webhook":
            self.channel: Channel = Webhook(allowed=LOOPBACK)
            self.address = url
            return
        link = "https://dabyl.example/console"
        self.channel = Gateway(self.kind, Webhook(allowed=LOOPBACK), url=url, key=KEY, link=link)
        self.address = "tel:+77011234567"

    async def will(self, behaviour: str) -> None:
        self.behaviour = behaviour
        ports = {"drip": self._raw, "nonsense": self._raw, "away": free_port()}
        if behaviour in ports:
            await self.channel.close()
            self._make(f"http://127.0.0.1:{ports[behaviour]}/door")

    async def arrived(self) -> list[tuple[UUID, bytes]]:
        return self.seen

    async def _take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if self.behaviour == "hang":
            await asyncio.sleep(30)
        if self.behaviour == "redirect":
            return web.Response(status=307, headers={"Location": "/elsewhere"})
        status = {"busy": 503, "fail": 500, "refuse": 403, "gone": 410}.get(self.behaviour, 200)
        if status == 200:
            raw = b"".join(b"%s: %s\n" % pair for pair in request.raw_headers) + body
            self.seen.append((UUID(request.headers["webhook-id"]), raw))
        if self.behaviour == "flood":
            answer = web.StreamResponse()
            await answer.prepare(request)
            with contextlib.suppress(ConnectionError):
                while self.pushed < 200_000_000:
                    await answer.write(FLOOD)
                    self.pushed += len(FLOOD)
            return answer
        return web.Response(status=status, headers={"Retry-After": "7"} if status == 503 else None)

    async def _follow(self, request: web.Request) -> web.Response:
        self.elsewhere += 1
        return web.Response()

    async def _misbehave(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if self.behaviour == "nonsense":
            writer.write(b"\x16\x03 what is this\r\n\r\n")
            await writer.drain()
            return
        await dripping(writer, b"HTTP/1.1 200 OK\r\nX-Slow: ")


class Handler:
    """An SMTP server's decisions."""

    def __init__(self, side: "MailSide") -> None:
        self.side = side

    async def handle_MAIL(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        said = {
            "refuse_sender": "550 5.1.1 Sender rejected",
            "refuse_sender_bare": "553 Sender rejected",
        }.get(self.side.behaviour)
        if said is None:
            envelope.mail_from = address
        return said or "250 OK"

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        said = {
            "busy": "451 4.7.1 Greylisted, come back later",
            "gone": "550 5.1.1 No such user here",
            "refuse": "554 5.7.1 Policy",
            "refuse_bare": "550 Relay not permitted",
        }.get(self.side.behaviour)
        if said is not None:
            return said
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # the same
        assert isinstance(envelope.content, bytes)
        if self.side.behaviour == "hang":
            await asyncio.sleep(30)
        if self.side.behaviour == "fail":
            return "452 4.2.2 No room"
        if self.side.behaviour == "refuse_text":
            return "550 5.1.1 Not like this"
        self.side.envelopes.append(envelope)
        return "250 2.0.0 Taken"


class MailSide:
    """A relay with STARTTLS, as real as aiosmtpd is."""

    outcomes: ClassVar[dict[str, Outcome]] = {
        "take": Outcome.ACCEPTED,
        "busy": Outcome.THROTTLED,
        "fail": Outcome.THROTTLED,
        "refuse": Outcome.REFUSED,
        "refuse_bare": Outcome.REFUSED,
        "refuse_sender": Outcome.REFUSED,
        "refuse_sender_bare": Outcome.REFUSED,
        "refuse_text": Outcome.REFUSED,
        "gone": Outcome.GONE,
        "hang": Outcome.NO_ANSWER,
        "drip": Outcome.UNREACHABLE,
        "nonsense": Outcome.UNREACHABLE,
        "flood": Outcome.UNREACHABLE,
        "in_the_clear": Outcome.UNREACHABLE,
        "slip_in": Outcome.UNREACHABLE,
        "away": Outcome.UNREACHABLE,
    }
    is_free_of_content = True
    address = "mailto:kezekshi@police.example"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.behaviour = "take"
        self.pushed = 0
        self.envelopes: list[Envelope] = []

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["MailSide"]:
        chain, key = certificate(self.folder)
        serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        serving.load_cert_chain(chain, key)
        self._serving = serving
        self._trust = ssl.create_default_context(cafile=str(chain))
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: SMTP(Handler(self), tls_context=serving, require_starttls=True, loop=loop),
            "127.0.0.1",
            0,
        )
        bare = await loop.create_server(lambda: SMTP(Handler(self), loop=loop), "127.0.0.1", 0)
        self._bare = bare.sockets[0].getsockname()[1]
        async with raw_server(self._misbehave) as self._raw:
            self._make(server.sockets[0].getsockname()[1])
            yield self
        await self.channel.close()
        for one in (server, bare):
            one.close()
            await one.wait_closed()

    def _make(self, port: int) -> None:
        relay = Relay(
            host="127.0.0.1",
            port=port,
            tls="starttls",
            sender="dabyl@dabyl.example",
            return_path="bounces@dabyl.example",
            link="https://dabyl.example/console",
        )
        self.channel: Channel = Mail(relay, key=KEY, trust=self._trust)

    async def will(self, behaviour: str) -> None:
        self.behaviour = behaviour
        other = {"away": free_port(), "in_the_clear": self._bare}
        other |= dict.fromkeys(("drip", "nonsense", "flood", "slip_in"), self._raw)
        if behaviour in other:
            self._make(other[behaviour])

    async def arrived(self) -> list[tuple[UUID, bytes]]:
        found = []
        for envelope in self.envelopes:
            assert isinstance(envelope.content, bytes)
            mail = message_from_bytes(envelope.content, policy=default)
            number = str(mail["Message-ID"]).strip("<>").partition("@")[0]
            text = mail.get_content().encode()
            found.append((UUID(number), str(envelope.mail_from).encode() + envelope.content + text))
        return found

    async def _misbehave(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.behaviour == "nonsense":
            writer.write(b"\x00\xff\xfe no relay\r\n")
            await writer.drain()
        elif self.behaviour == "slip_in":
            # A man in the middle, who has no key: the handshake is passed on, only the plain text is his.
            writer.write(b"220 relay\r\n")
            await reader.readline()
            writer.write(b"250-relay\r\n250 STARTTLS\r\n")
            await reader.readline()
            replies = b"250 relay\r\n250 OK\r\n250 OK\r\n354 go on\r\n250 2.0.0 Taken\r\n"
            writer.write(b"220 go ahead\r\n" + replies)
            await writer.start_tls(self._serving)
            await reader.read()
        elif self.behaviour == "flood":
            while self.pushed < 200_000_000:
                writer.write(b"220-" + b"x" * 500 + b"\r\n")
                await writer.drain()
                self.pushed += 506
        else:
            await dripping(writer, b"220-")


class BrokerSide:
    """An agency's RabbitMQ, and a line to it that can be cut or go dead."""

    outcomes: ClassVar[dict[str, Outcome]] = {
        "take": Outcome.ACCEPTED,
        "busy": Outcome.FAILED,
        "refuse": Outcome.REFUSED,
        "hang": Outcome.NO_ANSWER,
        "drip": Outcome.UNREACHABLE,
        "nonsense": Outcome.UNREACHABLE,
        "flood": Outcome.UNREACHABLE,
        "away": Outcome.UNREACHABLE,
    }
    is_free_of_content = False

    def __init__(self, url: str) -> None:
        self._url = url
        self.behaviour = "take"
        self.pushed = 0
        self.is_dead = False
        self.channel: Channel = Queue(allowed=LOOPBACK)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["BrokerSide"]:
        self._parts = urllib.parse.urlsplit(self._url)
        self._connection = await aio_pika.connect(self._url)
        own = await self._connection.channel()
        self._queue = await own.declare_queue("dabyl.in", durable=True)
        full: dict[str, Any] = {"x-max-length": 1, "x-overflow": "reject-publish"}
        await own.declare_queue("full", durable=True, arguments=full)
        await own.default_exchange.publish(aio_pika.Message(b"first"), "full")
        async with raw_server(self._forward) as line, raw_server(self._misbehave) as self._raw:
            self._line = line
            self._go(line, "dabyl.in")
            yield self
            await self.channel.close()
        await self._connection.close()

    def _go(self, port: int, queue: str) -> None:
        secret = self._parts.netloc.rpartition("@")[0]
        self.address = f"amqp://{secret}@127.0.0.1:{port}{self._parts.path}?queue={queue}"

    async def will(self, behaviour: str) -> None:
        self.behaviour = behaviour
        if behaviour in ("drip", "nonsense", "flood"):
            self._go(self._raw, "dabyl.in")
        elif behaviour == "away":
            self._go(free_port(), "dabyl.in")
        elif behaviour in ("refuse", "busy"):
            self._go(self._line, {"refuse": "no-such-queue", "busy": "full"}[behaviour])
        elif behaviour == "hang":
            first = Parcel(uuid4(), self.address, b"{}", (KEY,), timedelta(seconds=5))
            await self.channel.send(
                first, now=datetime.now(UTC)
            )  # the connection stands; then the line goes dead
            self.is_dead = True

    async def arrived(self) -> list[tuple[UUID, bytes]]:
        found = []
        while (message := await self._queue.get(fail=False)) is not None:
            await message.ack()
            assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
            headers = json.dumps(dict(message.headers), default=str).encode()
            found.append((UUID(message.message_id), headers + message.body))
        return found

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._parts.hostname, self._parts.port)

        async def pump(one: asyncio.StreamReader, other: asyncio.StreamWriter) -> None:
            while data := await one.read(65536):
                if not self.is_dead:
                    other.write(data)
                    await other.drain()
            other.close()

        try:
            await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))
        finally:
            far_writer.transport.abort()

    async def _misbehave(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.behaviour == "nonsense":
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await writer.drain()
        elif self.behaviour == "flood":
            while self.pushed < 200_000_000:
                writer.write(FLOOD)
                await writer.drain()
                self.pushed += len(FLOOD)
        else:
            await dripping(writer, b"\x01")


class FolderSide:
    """A folder that somebody else empties."""

    outcomes: ClassVar[dict[str, Outcome]] = {
        "take": Outcome.ACCEPTED,
        "refuse": Outcome.FAILED,
        "link": Outcome.FAILED,
        "away": Outcome.FAILED,
    }
    is_free_of_content = False
    address = "folder:police-kz-75"
    pushed = 0

    def __init__(self, root: Path) -> None:
        self.root = root / "drop"
        self.root.mkdir()
        self.channel: Channel = Folder(self.root)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["FolderSide"]:
        yield self
        await self.channel.close()

    async def will(self, behaviour: str) -> None:
        place = self.root / "police-kz-75"
        if behaviour == "refuse":
            place.write_text("no folder")
        elif behaviour == "link":
            place.symlink_to(self.root.parent)
        elif behaviour == "away":
            self.root.rmdir()

    async def arrived(self) -> list[tuple[UUID, bytes]]:
        found = []
        for file in sorted((self.root / "police-kz-75").iterdir()):
            assert file.stat().st_mode & 0o777 == 0o600
            found.append((UUID(file.stem), file.read_bytes()))
            file.unlink()
        return found


@contextlib.asynccontextmanager
async def raw_server(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any],
) -> AsyncIterator[int]:
    """A TCP server; its port."""
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        try:
            with contextlib.suppress(OSError, EOFError):
                await serve(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


async def dripping(writer: asyncio.StreamWriter, begin: bytes) -> None:
    writer.write(begin)
    for _ in range(600):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def certificate(
    folder: Path, *, name: str = "localhost", days: float = 30, begins: float = -90
) -> tuple[Path, Path]:
    """A self-signed certificate for loopback, valid from ``begins`` to ``days`` (days from now); its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=begins))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    chain, private = folder / f"{name}.pem", folder / f"{name}.key"
    chain.write_bytes(made.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return chain, private
