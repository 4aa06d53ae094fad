"""Endpoints that fail: breakers, pierces and bulkheads, with real HTTP servers that refuse, fail and hang."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from common.telemetry import Telemetry
from common.timing import utc_now
from notifier.domain.breaker import Rules
from notifier.domain.delivery import Reason
from notifier.domain.schedule import ORDER, TIERS, Urgency, longest_wait
from notifier.models import attempts, deliveries
from notifier.service.lane import Lane
from tests.factories.notifier import (
    Ledger,
    NoLanes,
    Receiver,
    answering,
    eventually,
    hanging,
    honest,
    receiving,
    working,
)

POLICE = "internal_affairs"
QUICK_RULES = Rules(open_for=timedelta(milliseconds=400))


async def rows(ledger: Ledger, table: Any, **where: Any) -> list[Any]:
    query = select(table)
    for name, value in where.items():
        query = query.where(table.c[name] == value)
    async with ledger.db.reading() as session:
        return list((await session.execute(query)).all())


async def planned(ledger: Ledger, number: int, urgency: Urgency, **values: Any) -> list[UUID]:
    """So many alerts that wait, all their deliveries of one urgency; call it before a worker runs."""
    known = {row.id for row in await rows(ledger, deliveries)}
    for _ in range(number):
        await ledger.take(ledger.alert(received_at=utc_now()))
    fresh = [row.id for row in await rows(ledger, deliveries) if row.id not in known]
    async with ledger.db.transaction() as session:
        await session.execute(
            update(deliveries)
            .where(deliveries.c.id.in_(fresh))
            .values(urgency=ORDER[urgency], deadline_at=utc_now() + timedelta(days=3), **values)
        )
    return [row.id for row in await rows(ledger, deliveries, role=POLICE) if row.id in fresh]


@contextlib.asynccontextmanager
async def switchable(status: int) -> AsyncIterator[tuple[Receiver, dict[str, int]]]:
    """An agency that answers with what the switch says."""
    switch = {"status": status}

    async def behave(receiver: Receiver, request: Any, body: bytes) -> Any:
        return await answering(switch["status"])(receiver, request, body)

    async with receiving(behave) as agency:
        yield agency, switch


async def test_a_failing_endpoint_is_left_alone_and_what_waits_says_so(
    live: Ledger, telemetry: Telemetry
) -> None:
    async with switchable(500) as (agency, _):
        await live.connect(POLICE, agency.url)
        mine = await planned(live, 30, Urgency.ROUTINE)
        async with working(live, telemetry, rules=Rules(open_for=timedelta(minutes=10))):

            async def blocked() -> Any:
                found = await rows(live, deliveries, role=POLICE)
                return all(row.reason == "blocked:breaker_open" for row in found)

            await eventually(blocked)
            quiet = len(agency.requests)
            await asyncio.sleep(1.5)
            assert len(agency.requests) == quiet, "nothing goes out while it is open"
    now = utc_now()
    for row in await rows(live, deliveries, role=POLICE):
        assert row.id in mine
        assert row.state == "waiting"
        longest = longest_wait(tier=TIERS[Urgency.ROUTINE], now=row.held_at, deadline=row.deadline_at)
        assert longest is not None
        assert now < row.next_wakeup_at <= row.held_at + longest


async def test_one_probe_finds_out_that_it_is_back_and_everything_goes(
    live: Ledger, telemetry: Telemetry
) -> None:
    async with switchable(503) as (agency, switch):
        await live.connect(POLICE, agency.url)
        await planned(live, 40, Urgency.ROUTINE)
        async with working(live, telemetry, rules=QUICK_RULES):

            async def held() -> Any:
                found = await rows(live, deliveries, role=POLICE)
                return all(row.reason == "blocked:breaker_open" for row in found)

            await eventually(held)
            before = len(agency.requests)
            await asyncio.sleep(1.2)
            probes = len(agency.requests) - before
            assert probes <= 4, f"{probes} probes in 1.2 s, one every 0.4 s at most"
            switch["status"] = 200

            async def all_sent() -> Any:
                found = await rows(live, deliveries, role=POLICE)
                return all(row.state == "transmitted" for row in found)

            await eventually(all_sent, seconds=30)
    assert all(row.held_at is None for row in await rows(live, deliveries, role=POLICE))


async def test_what_failed_goes_as_soon_as_the_endpoint_is_back_but_not_before_the_time_it_asked_for(
    live: Ledger, telemetry: Telemetry
) -> None:
    """After some failures the next try is a quarter of an hour away; one more alert finds it up."""
    async with switchable(503) as (agency, switch):
        await live.connect(POLICE, agency.url)
        failed = await planned(live, 30, Urgency.URGENT)
        async with working(live, telemetry, rules=QUICK_RULES):

            async def tried() -> Any:
                found = await rows(live, deliveries, role=POLICE)
                return all(row.attempt_no and row.state == "waiting" for row in found)

            await eventually(tried)
            far = utc_now() + timedelta(minutes=15)
            async with live.db.transaction() as session:
                # A probe may be under way: that one is not here, nor the one that asked for a time. And none
                # is still held back by the breaker, which lets all of those go.
                waiting = await session.execute(
                    update(deliveries)
                    .where(deliveries.c.id.in_(failed), deliveries.c.state == "waiting")
                    .values(next_wakeup_at=far, reason=Reason.RETRY, held_at=None)
                    .returning(deliveries.c.id)
                )
                asking = waiting.scalars().all()[0]
                await session.execute(
                    update(attempts).where(attempts.c.delivery_id == asking).values(outcome="throttled")
                )
            await asyncio.sleep(2 * QUICK_RULES.open_for.total_seconds())
            switch["status"] = 200
            await live.take(live.alert(received_at=utc_now()))

            async def sent() -> Any:
                found = await rows(live, deliveries, role=POLICE)
                return len([row for row in found if row.state == "transmitted"]) >= len(failed)

            await eventually(sent)
    [asked] = await rows(live, deliveries, id=asking)
    assert (asked.state, asked.next_wakeup_at) == ("waiting", far)


async def test_an_immediate_notice_pierces_an_open_breaker(live: Ledger, telemetry: Telemetry) -> None:
    async with switchable(500) as (agency, switch):
        await live.connect(POLICE, agency.url)
        await planned(live, 20, Urgency.ROUTINE)
        async with working(live, telemetry, rules=Rules(open_for=timedelta(minutes=10))):

            async def blocked() -> Any:
                found = await rows(live, deliveries, role=POLICE)
                return all(row.reason == "blocked:breaker_open" for row in found)

            await eventually(blocked)
            switch["status"] = 200
            await live.take(live.alert(received_at=utc_now()))

            async def all_sent() -> Any:
                found = await rows(live, deliveries, role=POLICE)
                return len(found) == 21 and all(row.state == "transmitted" for row in found)

            # Its success is also the proof that lets the others go.
            await eventually(all_sent)


async def test_what_hangs_with_routine_notices_still_takes_an_immediate_one(
    live: Ledger, telemetry: Telemetry
) -> None:
    """Routine ones fill their places and more are claimed ahead; the kept place must stay reachable."""
    async with receiving(hanging) as agency:
        await live.connect(POLICE, agency.url, concurrency=4)
        await planned(live, 30, Urgency.ROUTINE)
        async with working(live, telemetry):

            async def full() -> Any:
                return len([row for row in await rows(live, attempts) if row.outcome is None]) > 3

            await eventually(full)
            began = utc_now()
            # Planned by another process, and its wake-up is lost: only the scan can find it.
            live.desk = replace(live.desk, lanes=NoLanes())
            await live.take(live.alert(received_at=began))

            async def tried() -> Any:
                [fresh] = [
                    row for row in await rows(live, deliveries, role=POLICE) if row.planned_at >= began
                ]
                return await rows(live, attempts, delivery_id=fresh.id)

            [first, *_] = await eventually(tried, seconds=4)
            # The routine ones hang for a whole timeout (2 s here); a scan comes every second.
            assert first.started_at - began < timedelta(seconds=1.6)


@pytest.mark.timeout(60)
async def test_with_a_third_of_the_agencies_dead_urgent_first_attempts_start_within_a_second(
    live: Ledger, telemetry: Telemetry, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refusing, failing and hanging ones, each with a heap of its own; then ten immediate alerts."""
    await live.take(live.alert(received_at=utc_now()))
    roles = sorted({row.role for row in await rows(live, deliveries)})
    dead = -(-len(roles) * 3 // 10)
    async with contextlib.AsyncExitStack() as stack:
        for number, role in enumerate(roles):
            kind = (hanging, answering(500), None)[number % 3] if number < dead else honest
            if kind is None:
                async with receiving(honest) as gone:
                    url = gone.url  # closed again: nobody listens there
            else:
                url = (await stack.enter_async_context(receiving(kind))).url
            await live.connect(role, url, concurrency=4)
        await planned(live, 40, Urgency.ROUTINE)
        await stack.enter_async_context(working(live, telemetry, rules=QUICK_RULES))
        await asyncio.sleep(3)  # places fill, breakers open
        waits: list[timedelta] = []
        for _ in range(10):
            began = utc_now()
            await live.take(live.alert(received_at=began))

            async def tried(since: Any = began) -> Any:
                immediate = [
                    row
                    for row in await rows(live, deliveries, urgency=ORDER[Urgency.IMMEDIATE])
                    if row.planned_at >= since and row.endpoint_id is not None
                ]
                firsts = {row.delivery_id: row.started_at for row in await rows(live, attempts, no=1)}
                if any(row.id not in firsts for row in immediate):
                    return None
                return [firsts[row.id] - row.planned_at for row in immediate]

            waits += await eventually(tried, seconds=5)
    with capsys.disabled():
        sys.stdout.write(
            f"\n{dead} of {len(roles)} agencies dead: {len(waits)} first attempts of immediate notices,"
            f" the slowest after {max(waits).total_seconds() * 1000:.0f} ms\n"
        )
    assert max(waits) < timedelta(seconds=1)


async def test_a_lane_takes_no_more_than_its_tokens_and_immediate_ones_take_none() -> None:
    now = utc_now()
    lane = Lane(UUID(int=1), concurrency=8, seconds=0.01)
    lane.bucket.rate = 5.0
    lane.hints = {UUID(int=one): ORDER[Urgency.ROUTINE] for one in range(10)}
    lane.hints |= {UUID(int=one): ORDER[Urgency.IMMEDIATE] for one in range(100, 107)}
    chosen = lane.choose(100, now=now)
    assert sum(one.int >= 100 for one in chosen) == 7
    assert sum(one.int < 100 for one in chosen) == 5
    lane.bucket.take(5)
    assert lane.lacks_tokens()
    assert lane.choose(100, now=now) == []
    assert not lane.admits(Urgency.ROUTINE, now=now)
    assert lane.admits(Urgency.IMMEDIATE, now=now)
