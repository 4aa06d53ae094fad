"""The only place where notifier's parts meet."""

import asyncio
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from common.bus import Queue
from common.bus.topology import lane_queue
from common.http import create_app
from common.parts import Job, Parts, Service
from common.runtime import allow_files
from notifier.adapters.bounces import Maildir
from notifier.adapters.certificate import Certificate
from notifier.adapters.channels import load, settings_of_plugins
from notifier.adapters.lanes import BusLanes
from notifier.adapters.registry import RegistryClient
from notifier.adapters.witness import WitnessFile
from notifier.consumers import effects
from notifier.domain.address import networks
from notifier.domain.channel import Outfit
from notifier.domain.drill import Pace
from notifier.domain.escalation import policies
from notifier.domain.schedule import TIERS, Tier, Urgency
from notifier.jobs import (
    Sealing,
    jobs,
    reading_bounces,
    testing_endpoints,
    verifying_audit,
    watching_certificate,
    watching_endpoints,
    weighing,
    weighing_audit,
)
from notifier.lawbook import Lawbook
from notifier.router import ROUTERS
from notifier.router.counter import Counter
from notifier.schemas import ReceiptIn
from notifier.service.conservation import BalanceBoard
from notifier.service.desk import Desk
from notifier.service.dispatch import Dispatcher
from notifier.service.drills import StandingBoard
from notifier.service.endpoints import list_lanes
from notifier.service.sealing import AuditBoard, signed_with, signing_with
from notifier.service.spares import SPARES
from notifier.settings import Settings

FILES = 2 * SPARES
"""Every attempt under way is an open file, and systemd allows 1,024 unless asked."""
LOOPBACK = ("127.0.0.0/8", "::1/128")


def build(settings: Settings, parts: Parts) -> Service:
    """Put the service together; nothing runs yet."""
    allowed = networks((*(LOOPBACK if settings.allow_loopback else ()), *settings.allow_networks))
    outfit = Outfit(
        allowed=allowed,
        secret=hmac.digest(parts.keys.secret("vault"), b"channels", "sha256"),
        settings={**settings.model_dump(), **settings_of_plugins()},
    )
    allow_files(FILES)
    channel = load(outfit)
    dispatcher = Dispatcher(parts.db, channel, parts.telemetry, parts.now)
    lanes = BusLanes(parts.bus, dispatcher)
    desk = Desk(
        lawbook=Lawbook.load(),
        keys=parts.keys,
        public_url=settings.public_url.rstrip("/"),
        lanes=lanes,
        tiers=_tiers(settings),
        policies=policies(_first_climbs(settings)),
        pace=Pace(systems=settings.test_systems, people=settings.test_people),
    )
    dispatcher.attach(desk)

    async def endpoints() -> Sequence[UUID]:
        async with parts.db.reading() as session:
            return await list_lanes(session)

    async def list_lane_queues() -> Sequence[Queue]:
        return [lane_queue(str(endpoint_id)) for endpoint_id in await endpoints()]

    async def follow_lanes(stop: asyncio.Event) -> None:
        await lanes.follow(endpoints, stop)

    registry = RegistryClient(settings.url_of("registry"), parts.tokens)
    counter = Counter(
        db=parts.db,
        desk=desk,
        channel=channel,
        telemetry=parts.telemetry,
        now=parts.now,
        registry=registry.list_facts,
    )
    consumed = effects(desk)
    audit = AuditBoard(parts.telemetry.meter)
    return Service(
        name="notifier",
        app=create_app(
            parts,
            title="Dabyl notifier",
            routers=ROUTERS,
            effects=consumed,
            state={"counter": counter},
            shapes=[ReceiptIn],
        ),
        effects=consumed,
        jobs=[
            *jobs(parts.db, desk, parts.now, list_facts=registry.list_facts),
            testing_endpoints(parts.db, desk, parts.now, channel),
            *_of_channels(settings, parts, desk, outfit),
            *_of_audit(settings, parts, audit),
        ],
        watches=[
            weighing(parts.db, parts.now, BalanceBoard(parts.telemetry.meter).show),
            weighing_audit(parts.db, parts.now, audit.show_lag),
            watching_endpoints(parts.db, desk, parts.now, StandingBoard(parts.telemetry.meter).show),
        ],
        background=[dispatcher.run, follow_lanes],
        lanes=list_lane_queues,
        close=[channel.close],
    )


def _first_climbs(settings: Settings) -> dict[Urgency, timedelta | None]:
    return {
        Urgency.IMMEDIATE: settings.acknowledge_immediate,
        Urgency.URGENT: settings.acknowledge_urgent,
        Urgency.ROUTINE: settings.acknowledge_routine,
    }


def _of_channels(settings: Settings, parts: Parts, desk: Desk, outfit: Outfit) -> Iterator[Job]:
    """What channels need by time, where they are set up."""
    if settings.bounces_folder is not None:
        mailbox = Maildir(settings.bounces_folder, outfit.secret)
        yield reading_bounces(parts.db, desk, parts.now, mailbox)
    if settings.client_certificate is not None and settings.client_key is not None:
        # One of its own: the channel's must notice a renewal by itself.
        certificate = Certificate(settings.client_certificate, settings.client_key)
        yield watching_certificate(certificate.ends_at, parts.now)


def _of_audit(settings: Settings, parts: Parts, board: AuditBoard) -> Iterator[Job]:
    """What keeps the audit record, and looks whether it is what was sealed."""
    witness = WitnessFile(settings.witness_file) if settings.witness_file else None
    yield Sealing(parts.db, signing_with(parts.keys), parts.now, witness.append if witness else None).job()
    is_ours = signed_with(lambda: parts.keys.verifying("audit"))
    yield verifying_audit(parts.db, parts.now, is_ours, witness.newest if witness else None, board.show)


def _tiers(settings: Settings) -> dict[Urgency, Tier]:
    within = _first_climbs(settings)
    return {
        urgency: replace(tier, acknowledge_within=within[urgency] or tier.acknowledge_within)
        for urgency, tier in TIERS.items()
    }
