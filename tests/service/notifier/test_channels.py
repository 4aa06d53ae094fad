"""The way out is chosen by the endpoint's kind; a kind without an adapter is seen, and never lost."""

import asyncio
import tomllib
from datetime import datetime, timedelta
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from common.telemetry import Telemetry
from common.timing import utc_now
from notifier.adapters.channels import GROUP, OURS, Channels, installed, load
from notifier.domain.channel import Answer, Outfit, Parcel
from notifier.domain.delivery import Outcome, Reason
from notifier.domain.redrive import Selection, Trouble
from notifier.domain.schedule import Urgency
from notifier.models import deliveries, endpoint_keys, endpoint_versions
from notifier.repository import redrives
from notifier.service import endpoints
from tests.factories.notifier import Ledger, eventually, honest, receiving, working
from tests.service.notifier.test_delivery import POLICE, alert, rows, to_police, tries

ROOT = Path(__file__).parents[3]


class Pigeon:
    """A foreign way out that notes what it was given."""

    def __init__(self) -> None:
        self.parcels: list[Parcel] = []
        self.is_closed = False

    async def send(self, parcel: Parcel, *, now: datetime) -> Answer:
        self.parcels.append(parcel)
        return Answer(Outcome.ACCEPTED)

    async def close(self) -> None:
        self.is_closed = True


PIGEON = Pigeon()


def make_pigeon(outfit: Outfit) -> Pigeon:
    return PIGEON


def make_nothing(outfit: Outfit) -> None:
    return None


def make_trouble(outfit: Outfit) -> Pigeon:
    raise RuntimeError("a foreign defect")


def plugin(kind: str, what: str) -> EntryPoint:
    return EntryPoint(kind, f"{__name__}:{what}", GROUP)


async def test_a_plug_in_of_another_package_carries_its_kind(live: Ledger, telemetry: Telemetry) -> None:
    pigeon = Pigeon()
    async with working(live, telemetry, Channels({"x-dove": pigeon})):
        await live.connect(POLICE, "loft:7", kind="x-dove")
        await live.take(alert(live))

        async def transmitted() -> Any:
            return (await to_police(live)).state == "transmitted"

        await eventually(transmitted)
    assert [(one.kind, one.url) for one in pigeon.parcels] == [("x-dove", "loft:7")]


async def test_a_kind_without_adapter_waits_in_sight_and_goes_on_being_tried(
    live: Ledger, telemetry: Telemetry
) -> None:
    async with working(live, telemetry, Channels({})):
        await live.connect(POLICE, "loft:7", kind="x-dove")
        await live.take(alert(live))

        async def tried_twice() -> Any:
            delivery = await to_police(live)
            return len([row for row in await tries(live, delivery.id) if row.outcome]) >= 2

        await eventually(tried_twice)
    delivery = await to_police(live)
    assert delivery.reason == "blocked:no_adapter" or delivery.state == "leased"
    assert delivery.next_wakeup_at is not None
    assert {row.outcome for row in await tries(live, delivery.id) if row.outcome} == {"no_adapter"}
    pigeon = Pigeon()  # the plug-in is installed later
    async with working(live, telemetry, Channels({"x-dove": pigeon})):

        async def transmitted() -> Any:
            return (await to_police(live)).state == "transmitted"

        await eventually(transmitted)


class Odd(Pigeon):
    """A foreign way out whose first attempt ends in a way that no adapter should end in."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way

    async def send(self, parcel: Parcel, *, now: datetime) -> Answer:
        answer = await super().send(parcel, now=now)
        if len(self.parcels) > 1:
            return answer
        if self.way == "cancelled":
            raise asyncio.CancelledError  # a library's, for what waited on a lost connection
        return None  # type: ignore[return-value]  # a foreign adapter that forgot to answer


@pytest.mark.parametrize("way", ["cancelled", "nothing"])
async def test_an_attempt_that_ends_oddly_is_tried_again_by_the_same_worker(
    live: Ledger, telemetry: Telemetry, way: str
) -> None:
    odd = Odd(way)
    async with working(live, telemetry, Channels({"x-dove": odd})):
        await live.connect(POLICE, "loft:7", kind="x-dove", concurrency=1)
        await live.take(alert(live))

        async def transmitted() -> Any:
            return (await to_police(live)).state == "transmitted"

        # Sooner than its lease ends: the same worker knows of it, and its one place is free again.
        await eventually(transmitted, seconds=live.desk.tiers[Urgency.IMMEDIATE].lease.total_seconds() / 2)
    outcomes = [row.outcome for row in await tries(live, (await to_police(live)).id)]
    assert outcomes == ["no_answer", "accepted"]


async def test_a_plug_in_that_never_ends_costs_one_attempt_and_not_the_place(
    live: Ledger, telemetry: Telemetry
) -> None:
    class Endless(Pigeon):
        async def send(self, parcel: Parcel, *, now: datetime) -> Answer:
            answer = await super().send(parcel, now=now)
            if len(self.parcels) == 1:
                await asyncio.Event().wait()
            return answer

    async with working(live, telemetry, Channels({"x-dove": Endless()})):
        await live.connect(POLICE, "loft:7", kind="x-dove", concurrency=1)
        await live.take(alert(live))

        async def transmitted() -> Any:
            return (await to_police(live)).state == "transmitted"

        await eventually(transmitted)
    outcomes = [row.outcome for row in await tries(live, (await to_police(live)).id)]
    assert outcomes == ["no_answer", "accepted"]


async def test_an_attempt_that_was_cut_short_comes_back_by_its_lease(
    live: Ledger, telemetry: Telemetry
) -> None:
    """Whatever ends it without a result: this worker does not take it for its own for ever."""
    begun, stuck = asyncio.Event(), asyncio.Event()

    class Stuck(Pigeon):
        async def send(self, parcel: Parcel, *, now: datetime) -> Answer:
            begun.set()
            await stuck.wait()
            return await super().send(parcel, now=now)

    async with working(live, telemetry, Channels({"x-dove": Stuck()})) as dispatcher:
        await live.connect(POLICE, "loft:7", kind="x-dove")
        await live.take(alert(live))
        await asyncio.wait_for(begun.wait(), 5)
        [attempt] = dispatcher._tasks
        attempt.cancel()
        await asyncio.wait([attempt])
        assert attempt.cancelled()
        assert not dispatcher._in_hand


async def test_an_address_that_was_sealed_stays_sealed_at_rest(live: Ledger, telemetry: Telemetry) -> None:
    pigeon = Pigeon()
    async with working(live, telemetry, Channels({"sms": pigeon})):
        await live.connect(POLICE, "tel:+77011234567", kind="sms")
        [stored] = await rows(live, endpoint_versions)
        assert "7701" not in stored.url
        await live.take(alert(live))

        async def sent() -> Any:
            return pigeon.parcels

        [parcel] = await eventually(sent)
    assert parcel.url == "tel:+77011234567"
    assert "7701" not in repr(parcel)


async def test_an_address_sealed_for_another_endpoint_is_never_used(
    live: Ledger, telemetry: Telemetry
) -> None:
    pigeon = Pigeon()
    async with working(live, telemetry, Channels({"sms": pigeon})):
        first = await live.connect(POLICE, "tel:+77011234567", kind="sms")
        [row] = await rows(live, endpoint_versions, endpoint_id=first)
        await live.connect("psych_support_centre", "tel:+77017654321", kind="sms")
        async with live.db.transaction() as session:
            await session.execute(
                endpoint_versions.update().where(endpoint_versions.c.endpoint_id != first).values(url=row.url)
            )
        await live.take(alert(live))

        async def tried() -> Any:
            [delivery] = await rows(live, deliveries, role="psych_support_centre")
            return [one.outcome for one in await tries(live, delivery.id) if one.outcome]

        assert set(await eventually(tried)) == {"no_key"}
    assert len(pigeon.parcels) == 1


@pytest.mark.parametrize("trouble", ["none", "unopened"])
async def test_an_endpoint_without_a_usable_key_is_seen_as_blocked_and_told_once_it_has_one(
    live: Ledger, telemetry: Telemetry, trouble: str
) -> None:
    async with receiving(honest) as agency, working(live, telemetry):
        endpoint = await live.connect(POLICE, agency.url)
        async with live.db.transaction() as session:
            its = endpoint_keys.c.endpoint_id == endpoint
            if trouble == "none":
                await session.execute(endpoint_keys.delete().where(its))
            else:
                await session.execute(endpoint_keys.update().where(its).values(sealed=b"not ours"))
        await live.take(alert(live))

        async def blocked() -> Any:
            async with live.db.reading() as session:
                return (await redrives.count(session, Selection(Trouble.BLOCKED, reason=Reason.KEY)))[1]

        [found] = await eventually(blocked)
        delivery = await to_police(live)
        assert (found, delivery.next_wakeup_at is None) == (delivery.id, False)
        assert {row.outcome for row in await tries(live, delivery.id) if row.outcome} == {"no_key"}
        assert not agency.requests
        async with live.db.transaction() as session:
            await endpoints.issue_key(session, live.desk, endpoint, actor="test", now=utc_now())

        async def transmitted() -> Any:
            return (await to_police(live)).state == "transmitted"

        await eventually(transmitted)


def test_a_defect_of_one_plug_in_costs_its_kind_alone() -> None:
    found = load(
        Outfit(),
        [
            plugin("x-bad", "make_trouble"),
            plugin("x-gone", "make_missing"),
            plugin("x-off", "make_nothing"),
            plugin("x-dove", "make_pigeon"),
            plugin("x-dove", "make_trouble"),
        ],
    )
    assert found.kinds == {"x-dove"}


def test_ours_are_registered_as_plug_ins_and_nobody_takes_their_place() -> None:
    written = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert written["project"]["entry-points"][GROUP] == OURS
    found = installed([plugin("webhook", "make_pigeon"), plugin("x-dove", "make_pigeon")])
    assert [one.name for one in found] == [*OURS, "x-dove"]
    assert found[0].value == OURS["webhook"]


async def test_closing_goes_on_when_one_plug_in_fails() -> None:
    class Stuck(Pigeon):
        async def close(self) -> None:
            raise RuntimeError("a foreign defect")

    pigeon = Pigeon()
    await Channels({"x-bad": Stuck(), "x-dove": pigeon}).close()
    assert pigeon.is_closed
    assert (await Channels({}).send(a_parcel(), now=utc_now())).outcome is Outcome.NO_ADAPTER


def a_parcel() -> Parcel:
    return Parcel(uuid4(), "loft:7", b"{}", (), timedelta(seconds=1), "x-dove")
