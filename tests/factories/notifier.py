"""A notifier in a test: real database, real engine, agencies with real HTTP receivers."""

import asyncio
import base64
import contextlib
import hashlib
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from aiohttp import web
from standardwebhooks.webhooks import Webhook as Verifier

from common import inbox
from common.contracts import Event
from common.contracts.intake import AlertReceived
from common.contracts.registry import AgencyRegistered, DutyHours, EndpointRegistered, Mandate
from common.contracts.vocabulary import Channel, Concern, Occasion, OffenderRelation
from common.db import Database
from common.keys import KeyRing
from common.sealing import seal
from common.telemetry import current_traceparent
from common.timing import Now
from notifier.adapters.channels import load
from notifier.consumers import effects
from notifier.domain.address import networks
from notifier.domain.breaker import Rules
from notifier.domain.channel import Channel as SendingChannel
from notifier.domain.channel import Outfit
from notifier.domain.schedule import TIERS, Tier, Urgency
from notifier.lawbook import Lawbook
from notifier.service import endpoints
from notifier.service.desk import Desk
from notifier.service.dispatch import Dispatcher

T0 = datetime(2026, 10, 23, 10, 0, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
LAWBOOK = Lawbook.load()

ROLES = (
    "internal_affairs",
    "regional_child_rights_body",
    "regional_child_ombudsman",
    "minors_commission",
    "psych_support_centre",
    "family_mobile_group",
    "family_support_centre",
    "child_violence_help_cabinet",
    "guardianship_body",
    "education_org",
)
NATIONAL = ("child_rights_authority", "national_child_ombudsman", "contact_centre_111")

QUICK: dict[Urgency, Tier] = {
    urgency: Tier(
        delays=(timedelta(milliseconds=20), timedelta(milliseconds=40), timedelta(milliseconds=80)),
        floor=timedelta(milliseconds=10),
        overdue=timedelta(milliseconds=80),
        timeout=timedelta(seconds=2),
        acknowledge_within=timedelta(minutes=5),
    )
    for urgency in Urgency
}
"""The real rules at a pace for tests with a real clock."""


class NoLanes:
    """No worker in this process: everything waits in the table; wake-ups are written down."""

    def __init__(self) -> None:
        self.woken: list[UUID] = []

    def has_room(self, *_lane: Any, promised: int = 0) -> bool:
        return False

    def start(self, *_claimed: Any) -> None:
        raise AssertionError("nothing can be claimed where there is no room")

    def drop(self, delivery_ids: Any) -> None:
        gone = set(delivery_ids)
        self.woken = [one for one in self.woken if one not in gone]

    def wake(self, waiting: Any) -> None:
        for ids in waiting.values():
            self.woken += ids


Behaviour = Callable[["Receiver", web.Request, bytes], Awaitable[web.StreamResponse]]


@dataclass
class Received:
    """One request that reached an agency."""

    delivery_id: str
    body: bytes
    headers: dict[str, str]
    at: float


@dataclass
class Receiver:
    """An agency's HTTP server on loopback; ``behave`` decides what it does."""

    behave: Behaviour
    requests: list[Received] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        delivery = request.headers.get("webhook-id", "")
        self.seen[delivery] += 1
        self.requests.append(
            Received(delivery, body, dict(request.headers), asyncio.get_running_loop().time())
        )
        return await self.behave(self, request, body)


@contextlib.asynccontextmanager
async def receiving(behave: Behaviour) -> AsyncIterator[Receiver]:
    """A receiver that listens."""
    receiver = Receiver(behave)
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    app.router.add_route("*", "/elsewhere", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    receiver.port = listening.getsockname()[1]
    await web.SockSite(runner, listening).start()
    try:
        yield receiver
    finally:
        await runner.cleanup()


async def honest(receiver: Receiver, request: web.Request, body: bytes) -> web.StreamResponse:
    return web.Response(status=200)


async def hanging(receiver: Receiver, request: web.Request, body: bytes) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response(status=200)


async def resetting(receiver: Receiver, request: web.Request, body: bytes) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response(status=500)


def answering(status: int, headers: dict[str, str] | None = None, text: str = "") -> Behaviour:
    async def behave(receiver: Receiver, request: web.Request, body: bytes) -> web.StreamResponse:
        return web.Response(status=status, headers=headers, text=text)

    return behave


def failing_first(times: int, status: int = 500) -> Behaviour:
    async def behave(receiver: Receiver, request: web.Request, body: bytes) -> web.StreamResponse:
        first = receiver.seen[request.headers["webhook-id"]] <= times
        return web.Response(status=status if first else 200)

    return behave


@dataclass
class Ledger:
    """A notifier's room without its HTTP door: database, desk, and events let in directly."""

    db: Database
    keys: KeyRing
    now: Now
    desk: Desk
    agencies: dict[str, UUID] = field(default_factory=dict)
    secrets: dict[UUID, str] = field(default_factory=dict)

    @classmethod
    def open(
        cls,
        url: str,
        keys: KeyRing,
        now: Now,
        lanes: Any = None,
        tiers: dict[Urgency, Tier] | None = None,
    ) -> "Ledger":
        desk = Desk(
            lawbook=LAWBOOK,
            keys=keys,
            public_url="https://dabyl.example",
            lanes=lanes or NoLanes(),
            tiers=tiers or TIERS,
        )
        return cls(Database(url), keys, now, desk)

    async def take(self, event: Event) -> None:
        async with self.db.transaction() as session:
            effect = effects(self.desk)[type(event)]
            if isinstance(effect, inbox.Together):
                received = [inbox.Received(event, current_traceparent())]
                await effect.effect(session, received, now=self.now)
            else:
                await effect(session, event, now=self.now)

    async def register(
        self,
        role: str,
        territory: str = "KZ-75",
        *,
        agency_id: UUID | None = None,
        version: int = 1,
        superior: UUID | None = None,
    ) -> UUID:
        agency_id = agency_id or uuid4()
        self.agencies[role] = agency_id
        await self.take(an_agency(agency_id, role, territory=territory, version=version, superior=superior))
        return agency_id

    async def register_all(self, *, without: tuple[str, ...] = ()) -> None:
        for role in ROLES:
            if role not in without:
                await self.register(role)
        for role in NATIONAL:
            if role not in without:
                await self.register(role, "KZ")

    async def connect(
        self,
        role: str,
        url: str,
        *,
        concurrency: int = 4,
        receipt_key: str | None = None,
        kind: str = "webhook",
        rung: int = 0,
        hours: dict[str, Any] | None = None,
    ) -> UUID:
        endpoint_id = uuid4()
        address: dict[str, Any] = {"url": url}
        if kind not in ("webhook", "file"):
            aad = b"endpoint|" + endpoint_id.bytes
            sealed = seal(self.keys.sealing_public("routing"), url.encode(), aad)
            address = {"sealed_url": base64.b64encode(sealed).decode()}
        await self.take(
            EndpointRegistered(
                endpoint_id=endpoint_id,
                agency_id=self.agencies[role],
                version=1,
                kind=kind,
                **address,
                concurrency=concurrency,
                receipt_key=receipt_key,
                rung=rung,
                hours=None if hours is None else DutyHours.model_validate(hours, strict=False),
            )
        )
        async with self.db.transaction() as session:
            self.secrets[endpoint_id] = await endpoints.issue_key(
                session, self.desk, endpoint_id, actor="test", now=self.now()
            )
        return endpoint_id

    def alert(
        self, *, reporter_agency: UUID | None = None, implicated: tuple[UUID, ...] = (), **values: Any
    ) -> AlertReceived:
        reporter_agency = reporter_agency or self.agencies.get("education_org")
        return an_alert(self.keys, reporter_agency=reporter_agency, implicated=implicated, **values)


def an_agency(
    agency_id: UUID,
    *roles: str,
    territory: str = "KZ-75",
    version: int = 1,
    valid_from: datetime = LONG_AGO,
    valid_until: datetime | None = None,
    superior: UUID | None = None,
) -> AgencyRegistered:
    return AgencyRegistered(
        agency_id=agency_id,
        version=version,
        code=f"{roles[0].replace('_', '-')}-{territory.lower()}",
        name_kk="Ұйым",
        name_ru="Организация",
        name_en="Body",
        superior_id=superior,
        mandates=tuple(
            Mandate(role=role, territory=territory, valid_from=valid_from, valid_until=valid_until)
            for role in roles
        ),
    )


def an_alert(
    keys: KeyRing, *, reporter_agency: UUID | None = None, implicated: tuple[UUID, ...] = (), **values: Any
) -> AlertReceived:
    alert_id = values.pop("alert_id", None) or uuid4()
    routing = {
        "reporter_agency": str(reporter_agency) if reporter_agency else None,
        "implicated": [str(one) for one in implicated],
    }
    sealed = seal(keys.sealing_public("routing"), json.dumps(routing).encode(), str(alert_id).encode())
    fields: dict[str, Any] = {
        "alert_id": alert_id,
        "number": "7K4M-Q2XP-9",
        "received_at": T0,
        "territory": "KZ-75",
        "concerns": (Concern.VIOLENCE,),
        "reporter": "education_org",
        "occasion": Occasion.OWN_DUTIES,
        "channel": Channel.SYSTEM,
        "offender_relation": OffenderRelation.OTHER_ADULT,
        "routing": base64.b64encode(sealed).decode(),
    }
    return AlertReceived(**fields | values)


def a_receipt(delivery: UUID | str, body: bytes, **values: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "delivery": str(delivery),
        "notice_digest": hashlib.sha256(body).hexdigest(),
        "status": "received",
        "person": {"name": "Кезекші Маман", "position": "кезекші"},
        "reference": "A-17",
        "at": T0.isoformat(),
    }
    return fields | values


def verified(received: Received, secret: str) -> dict[str, Any]:
    """The notice, its signature checked by the library that agencies use."""
    document: dict[str, Any] = Verifier(secret).verify(received.body, received.headers)
    return document


@contextlib.asynccontextmanager
async def working(
    ledger: Ledger, telemetry: Any, channel: SendingChannel | None = None, *, rules: Rules | None = None
) -> AsyncIterator[Dispatcher]:
    """The engine of a worker on this ledger, sending over real HTTP to loopback."""
    channel = channel or load(Outfit(allowed=networks(["127.0.0.0/8"])))
    grace = timedelta(seconds=1)
    dispatcher = Dispatcher(ledger.db, channel, telemetry, ledger.now, grace=grace, rules=rules)
    ledger.desk = Desk(
        lawbook=ledger.desk.lawbook,
        keys=ledger.keys,
        public_url=ledger.desk.public_url,
        lanes=dispatcher,
        tiers=ledger.desk.tiers,
    )
    dispatcher.attach(ledger.desk)
    stop = asyncio.Event()
    running = asyncio.create_task(dispatcher.run(stop))
    await asyncio.sleep(0)
    try:
        yield dispatcher
    finally:
        stop.set()
        await running
        await channel.close()


async def eventually(question: Callable[[], Awaitable[Any]], *, seconds: float = 10.0) -> Any:
    """What the question answers once it answers something true."""
    until = asyncio.get_running_loop().time() + seconds
    while True:
        answer = await question()
        if answer:
            return answer
        if asyncio.get_running_loop().time() > until:
            raise AssertionError("it did not happen in time")
        await asyncio.sleep(0.02)
