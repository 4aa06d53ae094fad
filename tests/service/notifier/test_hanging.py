"""Endpoints that take the connection and never answer, with real sockets: new alerts pass what hangs."""

import asyncio
import contextlib
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from common.telemetry import Telemetry
from common.timing import utc_now
from notifier.domain.breaker import Rules
from notifier.domain.delivery import Outcome
from notifier.domain.schedule import ORDER, Urgency
from notifier.models import attempts, deliveries
from notifier.repository.claims import Claimed
from notifier.repository.held import Due
from notifier.service import scan
from notifier.service.lane import FIRST, PATIENCE, SILENCE, Lane
from notifier.service.spares import PART, SPARES, Spares
from tests.factories.notifier import Ledger, NoLanes, eventually, hanging, honest, receiving, working
from tests.service.notifier.test_breaker import planned, rows

POLICE = "internal_affairs"
T0 = utc_now()


async def fresh(ledger: Ledger, since: datetime) -> list[Any]:
    return [
        row
        for row in await rows(ledger, deliveries, urgency=ORDER[Urgency.IMMEDIATE])
        if row.planned_at >= since and row.endpoint_id is not None
    ]


@pytest.mark.timeout(90)
async def test_with_a_third_of_the_agencies_hanging_first_attempts_pass_a_heap_of_immediate_ones(
    live: Ledger, telemetry: Telemetry, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each that hangs has fifteen times its places waiting, and hangs as long as it does in earnest.

    Measured from the alert to the first byte at the agency, those that hang included.
    """
    tiers = live.desk.tiers.items()
    slow = {urgency: replace(tier, timeout=timedelta(seconds=10)) for urgency, tier in tiers}
    live.desk = replace(live.desk, tiers=slow)
    await live.take(live.alert(received_at=utc_now()))
    roles = sorted({row.role for row in await rows(live, deliveries)})
    dead = -(-len(roles) * 3 // 10)
    clock = asyncio.get_running_loop().time
    async with contextlib.AsyncExitStack() as stack:
        agencies = []
        for number, role in enumerate(roles):
            agency = await stack.enter_async_context(receiving(hanging if number < dead else honest))
            await live.connect(role, agency.url, concurrency=4)
            agencies.append(agency)
        await planned(live, 60, Urgency.IMMEDIATE)
        await stack.enter_async_context(working(live, telemetry))
        await asyncio.sleep(4)
        began: dict[str, float] = {}
        for _ in range(30):
            at, since = clock(), utc_now()
            await live.take(live.alert(received_at=since))
            began |= {str(row.id): at for row in await fresh(live, since)}
            await asyncio.sleep(0.1)

        async def arrived() -> Any:
            first: dict[str, float] = {}
            for agency in agencies:
                for one in agency.requests:
                    first.setdefault(one.delivery_id, one.at)
            return [first[one] - at for one, at in began.items()] if began.keys() <= first.keys() else None

        waits = await eventually(arrived, seconds=20)
    with capsys.disabled():
        sys.stdout.write(
            f"\n{dead} of {len(roles)} agencies hang: {len(waits)} first attempts of immediate notices,"
            f" the slowest after {max(waits) * 1000:.0f} ms\n"
        )
    # Half of what one that hangs takes: no new alert waited behind it. How fast it is, `make bench` says.
    assert max(waits) < 5


async def test_a_lost_wake_up_of_a_new_alert_is_found_behind_the_heaps_of_those_that_hang(
    live: Ledger, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More is due for the hanging one than a look takes, all of it older; only looking finds the new one."""
    monkeypatch.setattr(scan, "SCAN_ROWS", 10)
    async with receiving(hanging) as silent, receiving(honest) as agency:
        await live.connect(POLICE, silent.url, concurrency=2)
        await planned(live, 50, Urgency.IMMEDIATE, attempt_no=1)
        await live.connect("regional_child_rights_body", agency.url)
        async with working(live, telemetry):

            async def full() -> Any:
                return [row for row in await rows(live, attempts) if row.outcome is None]

            await eventually(full)
            live.desk = replace(live.desk, lanes=NoLanes())
            for _ in range(3):
                began = utc_now()
                await live.take(live.alert(received_at=began))

                async def tried(since: datetime = began) -> Any:
                    new = {row.id for row in await fresh(live, since)}
                    started = [row for row in await rows(live, attempts, no=1) if row.delivery_id in new]
                    return [row.started_at - since for row in started] if len(started) == len(new) else None

                waits = await eventually(tried)
                # A look comes every second; one that does not ask by rank finds it after five or six.
                assert max(waits) < timedelta(seconds=4)


async def test_one_look_finds_what_lies_behind_a_heap_that_fills_it(
    live: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "SCAN_ROWS", 10)
    await live.connect(POLICE, "https://police.example/1", concurrency=2)
    await planned(live, 15, Urgency.IMMEDIATE)
    await live.connect("regional_child_rights_body", "https://body.example/1")
    began = utc_now()
    await live.take(live.alert(received_at=began))
    lanes: dict[UUID, Lane] = {}

    def open_lane(endpoint_id: UUID) -> Lane:
        return lanes.setdefault(endpoint_id, Lane.open(endpoint_id, 2, Rules(), Spares()))

    async with live.db.reading() as session:
        await scan.scan(session, lanes, open_lane, now=utc_now, but=())
    [behind] = [row for row in await fresh(live, began) if row.role != POLICE]
    assert lanes[behind.endpoint_id].hints


def a_claim(number: int, *, attempt: int = 1, urgency: Urgency = Urgency.IMMEDIATE) -> Claimed:
    return Claimed(
        delivery_id=UUID(int=number), token=UUID(int=0), attempt=attempt, endpoint_id=UUID(int=1),
        urgency=urgency, deadline=None, leased_until=T0, alert_id=None, role=POLICE, traceparent=None,
        concurrency=4,
    )  # fmt: skip


def begun(lane: Lane, now: datetime) -> list[UUID]:
    found = []
    while (one := lane.pop(now)) is not None:
        found.append(one.delivery_id)
    return found


def a_lane(spares: Spares, number: int = 1) -> Lane:
    return Lane.open(UUID(int=number), 4, Rules(), spares)


async def test_a_slow_endpoint_is_not_overrun_and_only_first_attempts_pass_what_it_has() -> None:
    lane = a_lane(Spares())
    for number in range(20):
        lane.push(a_claim(number), number)
    for number in range(100, 110):
        lane.push(a_claim(number, attempt=2), number)
    assert len(begun(lane, T0)) == 4
    assert begun(lane, T0 + PATIENCE * 0.9) == []
    assert lane.patience(T0 + PATIENCE * 0.9) == pytest.approx(PATIENCE.total_seconds() / 10)
    for step in range(1, 5):
        lane.moved_at = T0 + PATIENCE * step
        assert len(begun(lane, T0 + PATIENCE * step)) == 4, "its places' worth in each half second"
    assert begun(lane, T0 + PATIENCE * 9) == [], "what was tried waits for a place of the endpoint's own"
    assert (lane.running, len(lane.aside)) == (4, 16)
    lane.finish(a_claim(0), Outcome.ACCEPTED, seconds=5, at=T0)
    assert begun(lane, T0 + PATIENCE * 9) == [UUID(int=100)]


async def test_what_answers_nothing_is_taken_for_hanging_before_any_attempt_has_ended() -> None:
    lane = a_lane(Spares())
    for number in range(100):
        lane.push(a_claim(number), number)
    assert len(begun(lane, T0)) == 4
    assert len(begun(lane, T0 + SILENCE * 0.9)) == 4
    left = lane.patience(T0 + SILENCE * 0.9)
    assert left == pytest.approx(SILENCE.total_seconds() / 10), "looked at in time"
    assert len(begun(lane, T0 + SILENCE)) == 92
    assert timedelta(seconds=0.9) > SILENCE, "each has begun within its second"


async def test_an_answer_gives_its_place_on_at_once_and_a_quick_endpoint_never_has_more_than_its_places() -> (
    None
):
    spares = Spares()
    lane = a_lane(spares)
    for number in range(100):
        lane.push(a_claim(number), number)
    now = T0
    running = begun(lane, now)
    while running:
        now += timedelta(milliseconds=100)
        for each in running:
            lane.finish(a_claim(each.int), Outcome.ACCEPTED, seconds=0.1, at=now)
        running = begun(lane, now)
        assert len(running) <= 4
    assert not lane.queue
    assert not spares.taken


async def test_where_it_hangs_first_attempts_take_what_is_spared_and_the_next_finds_its_part() -> None:
    spares = Spares()
    lanes = [a_lane(spares, number) for number in range(1, 31)]
    for lane in lanes:
        lane.finish(a_claim(1000), Outcome.NO_ANSWER, seconds=10, at=T0)
        lane.running = 0
        for number in range(SPARES // PART):
            lane.push(a_claim(number), number)
    assert len(begun(lanes[0], T0)) == 4 + SPARES // (PART + 1)
    for lane in lanes[1:]:
        begun(lane, T0)
        assert lane.running == 4, "its own places are never shared"
        assert lane.aside, "however many hang already"
        assert lane.patience(T0) is not None, "looked at again when others give back"
    assert spares.taken.total() <= SPARES
    for lane in lanes:
        for delivery_id, _ in list(lane.begun):
            lane.finish(a_claim(delivery_id.int), Outcome.NO_ANSWER, seconds=10, at=T0)
    assert not spares.taken


async def test_one_that_fails_or_refuses_at_once_is_not_overrun() -> None:
    for outcome in (Outcome.FAILED, Outcome.UNREACHABLE, Outcome.NO_ANSWER):
        lane = a_lane(Spares())
        lane.breaker.opened_at = T0
        for number in range(20):
            lane.push(a_claim(number), number)
        assert len(begun(lane, T0)) == 4
        lane.finish(a_claim(0), outcome, seconds=0.05, at=T0)
        assert len(begun(lane, T0)) == 1


async def test_behind_an_open_breaker_one_that_refuses_at_once_is_given_many_one_that_hangs_hardly_any() -> (
    None
):
    """A repeat is known to fail at once there: one place at a time a heap outlives its pace."""
    given = {}
    for seconds in (0.005, 10.0):
        lane = a_lane(Spares())
        lane.seconds = seconds
        lane.breaker.opened_at = T0
        repeat = Due(UUID(int=1), lane.endpoint_id, Urgency.IMMEDIATE, 2, None, None)
        given[seconds] = sum(lane.passes(repeat, promised=promised, now=T0) for promised in range(200))
    assert given == {0.005: 104, 10.0: 4}


async def test_rank_decides_in_the_queue_and_among_hints() -> None:
    lane = a_lane(Spares(size=0))
    lane.push(a_claim(1, urgency=Urgency.ROUTINE), 1)
    lane.push(a_claim(2, attempt=3), 2)
    lane.push(a_claim(3), 3)
    assert begun(lane, T0) == [UUID(int=3), UUID(int=2), UUID(int=1)]
    lane.hints = {UUID(int=10): ORDER[Urgency.IMMEDIATE], UUID(int=11): FIRST}
    assert lane.choose(1, now=T0) == [UUID(int=11)]
