"""What cannot be written fails alone: it holds up no other row, and is tried again by time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, insert, select, update

from common.contracts.vocabulary import Concern
from common.db import Database
from common.ids import new_id
from common.telemetry import Telemetry
from common.testing import FrozenNow
from common.timing import utc_now
from notifier.domain.channel import Answer
from notifier.domain.conservation import Law
from notifier.domain.delivery import Outcome
from notifier.domain.schedule import Urgency
from notifier.models import attempts, audit, deliveries, escalations, obligations
from notifier.repository import claims, conservation
from notifier.repository.claims import Claimed
from notifier.service import clocks
from notifier.service.fences import Fences
from notifier.service.results import judge, write_results
from tests.factories.notifier import T0, Ledger, answering, eventually, honest, receiving, working
from tests.service.notifier.test_clocks import turner
from tests.service.notifier.test_escalation import with_full_ladder
from tests.service.notifier.test_planning import rows

POLICE = "internal_affairs"
REGIONAL = "regional_child_rights_body"


@pytest.fixture
def locking(ledger: Ledger) -> Ledger:
    """A ledger whose rows are locked one by one."""
    if ledger.db.is_sqlite:
        pytest.skip("SQLite has one writer; PostgreSQL runs beside it in `make test`")
    return ledger


async def poison(ledger: Ledger, first: Any) -> UUID:
    """Takes the place of the next rung of this ladder: the table refuses the rung when it is climbed."""
    row = dict(first._mapping) | {"id": new_id(), "rung": 1, "state": "cancelled", "reason": None}
    row |= {"next_wakeup_at": None, "climb_at": None, "silent_since": None, "claim_token": None}
    async with ledger.db.transaction() as session:
        await session.execute(insert(deliveries).values(**row))
    return UUID(str(row["id"]))


async def cure(ledger: Ledger, poisoned: UUID) -> None:
    async with ledger.db.transaction() as session:
        await session.execute(delete(deliveries).where(deliveries.c.id == poisoned))


async def climbed(ledger: Ledger, first: Any) -> list[int]:
    return sorted(row.rung for row in await rows(ledger, deliveries, escalates_id=first.id))


async def asleep(ledger: Ledger, now: FrozenNow) -> list[UUID]:
    minute_ago = now() - timedelta(minutes=1)
    async with ledger.db.reading() as session:
        broken = await conservation.find_broken(
            session, since=None, asleep_before=minute_ago, stuck_before=minute_ago, limit=1000
        )
    return list(broken.get(Law.ASLEEP, ()))


@asynccontextmanager
async def held(ledger: Ledger, delivery_id: UUID) -> AsyncIterator[None]:
    """Another worker has the delivery in its transaction."""
    async with ledger.db.transaction() as session, asyncio.timeout(10):
        await session.execute(select(deliveries.c.id).where(deliveries.c.id == delivery_id).with_for_update())
        yield


async def test_a_ladder_that_cannot_be_climbed_holds_up_no_other_and_no_lease(
    ledger: Ledger, now: FrozenNow
) -> None:
    await ledger.connect(POLICE, "https://police.example/1", rung=1)
    await ledger.connect(REGIONAL, "https://regional.example/0")
    sick, sound = ledger.alert(), ledger.alert(concerns=(Concern.BULLYING,))
    for alert in (sick, sound):
        await ledger.take(alert)
    [ill] = await rows(ledger, deliveries, role=POLICE, alert_id=sick.alert_id)
    [well] = await rows(ledger, deliveries, role=POLICE, alert_id=sound.alert_id)
    poisoned = await poison(ledger, ill)
    turn = turner(ledger)
    now.at = T0 + timedelta(minutes=2)
    await turn()
    assert await climbed(ledger, well) == [1]
    assert await climbed(ledger, ill) == []
    # What fetches its notices has them with the same wake-up: the scan comes by the sick one, too.
    [waiting] = await rows(ledger, deliveries, role=REGIONAL, alert_id=sick.alert_id, notice_no=1)
    async with ledger.db.transaction() as session:
        leases = dict.fromkeys(Urgency, now() + timedelta(seconds=10))
        assert await claims.claim(session, [waiting.id], new_id(), now=now(), leases=leases)
    now.at = T0 + timedelta(minutes=6)
    await turn()
    [reaped] = await rows(ledger, deliveries, id=waiting.id)
    assert (reaped.state, reaped.reason) == ("waiting", "unknown_outcome")
    now.at = T0 + timedelta(minutes=20)
    await turn()
    late = await rows(ledger, escalations, delivery_id=well.id, reason="not_sent")
    assert late, "the clocks turn for the others"
    assert not await rows(ledger, escalations, delivery_id=ill.id)
    assert ill.id in await asleep(ledger, now), "the operator sees that it is left out"
    await cure(ledger, poisoned)
    now.move(timedelta(minutes=2))
    await turn()
    assert await climbed(ledger, ill) == [1]
    assert ill.id not in await asleep(ledger, now)


async def test_a_result_that_cannot_be_written_holds_up_no_other(live: Ledger, telemetry: Telemetry) -> None:
    async with receiving(answering(410)) as gone, receiving(honest) as agency:
        await live.connect(POLICE, gone.url)
        await live.connect(POLICE, "http://127.0.0.1:9/hook", rung=1)
        await live.connect(REGIONAL, agency.url)
        await live.take(live.alert(received_at=utc_now()))
        [first] = await rows(live, deliveries, role=POLICE)
        poisoned = await poison(live, first)
        async with working(live, telemetry) as dispatcher:

            async def is_told() -> bool:
                [row] = await rows(live, deliveries, role=REGIONAL, notice_no=1)
                return len(gone.requests) > 0 and row.state == "transmitted"

            await eventually(is_told)

            async def is_given_up() -> bool:
                return first.id not in dispatcher._in_hand

            await eventually(is_given_up)
            [left] = await rows(live, deliveries, id=first.id)
            assert left.state == "leased", "its lease brings it back"
            await cure(live, poisoned)
            async with live.db.transaction() as session:
                past = utc_now() - timedelta(seconds=1)
                await session.execute(
                    update(deliveries).where(deliveries.c.id == first.id).values(next_wakeup_at=past)
                )
            await turner(live)()

            async def is_dead() -> bool:
                [row] = await rows(live, deliveries, id=first.id)
                return bool(row.state == "dead")

            await eventually(is_dead)
            assert await climbed(live, first) == [1]


async def test_an_alarm_is_not_lost_while_its_delivery_is_held(locking: Ledger, now: FrozenNow) -> None:
    ledger = locking
    await ledger.take(ledger.alert())
    [first] = await rows(ledger, deliveries, role=POLICE)
    [duty] = await rows(ledger, obligations, rule="R136-8a")
    assert duty.delivery_id == first.id
    now.at = duty.due_at
    async with held(ledger, first.id), ledger.db.transaction() as session:
        await clocks.turn_clocks(session, ledger.desk, now=now())
    [duty] = await rows(ledger, obligations, id=duty.id)
    assert (duty.alarmed_at, duty.next_check_at) == (None, now() + timedelta(seconds=1))
    assert not await rows(ledger, escalations, delivery_id=first.id, reason="not_sent")
    for _ in range(2):
        now.move(timedelta(seconds=1))
        await turner(ledger)()
    assert len(await rows(ledger, escalations, delivery_id=first.id, reason="not_sent")) == 1
    assert len(await rows(ledger, audit, action="duty.overdue", subject_id=duty.id)) == 1
    [duty] = await rows(ledger, obligations, id=duty.id)
    assert duty.alarmed_at == T0 + (duty.due_at - T0) + timedelta(seconds=1)


async def test_who_was_not_told_is_called_about_though_its_delivery_is_held(
    locking: Ledger, now: FrozenNow
) -> None:
    ledger = locking
    await ledger.take(ledger.alert())
    [regional] = await rows(ledger, deliveries, role=REGIONAL, notice_no=1)
    async with ledger.db.transaction() as session:
        await session.execute(
            update(obligations)
            .where(obligations.c.delivery_id == regional.id)
            .values(state="met", met_at=T0, next_check_at=None)
        )
    [duty] = await rows(ledger, obligations, rule="R136-12.2")
    now.at = duty.due_at
    async with held(ledger, regional.id), ledger.db.transaction() as session:
        await clocks.turn_clocks(session, ledger.desk, now=now())
    assert not await rows(ledger, escalations, delivery_id=regional.id, reason="holder_not_told")
    now.move(timedelta(seconds=1))
    await turner(ledger)()
    assert await rows(ledger, escalations, delivery_id=regional.id, reason="holder_not_told")


async def test_a_further_way_that_dies_waits_for_whoever_holds_the_first(
    locking: Ledger, now: FrozenNow
) -> None:
    """The next rung is climbed at once, as it is when nobody is in the way."""
    ledger = locking
    await with_full_ladder(ledger)
    await ledger.take(ledger.alert())
    [first] = await rows(ledger, deliveries, role=POLICE)
    now.at = T0 + timedelta(minutes=2)
    await turner(ledger)()
    [second] = await rows(ledger, deliveries, escalates_id=first.id)
    async with ledger.db.transaction() as session:
        leases = dict.fromkeys(Urgency, now() + timedelta(seconds=30))
        [one] = await claims.claim(session, [second.id], new_id(), now=now(), leases=leases)
    result = judge(ledger.desk, one, Answer(Outcome.GONE, status=410), ended_at=now())

    async def write() -> None:
        async with ledger.db.transaction() as session:
            await write_results(session, ledger.desk, [result], now=now())

    async with held(ledger, first.id):
        writing = asyncio.create_task(write())
        await asyncio.sleep(0.3)
    await writing
    assert await climbed(ledger, first) == [1, 2]
    called = await rows(ledger, escalations, delivery_id=first.id, reason="dead")
    assert sorted(row.rung for row in called) == [2, 4], "the next rung, and a person besides"


async def test_what_was_not_looked_at_again_was_not_sent(live: Ledger, telemetry: Telemetry) -> None:
    """The database is away for the second look: nothing left, and nobody is taken for one who may know."""
    away = Database(
        "sqlite+aiosqlite:////nowhere/at/all.db"
        if live.db.is_sqlite
        else "postgresql+asyncpg://nobody@127.0.0.1:9/nothing"
    )
    async with receiving(honest) as agency:
        await live.connect(POLICE, agency.url)
        await live.take(live.alert(received_at=utc_now()))
        [first] = await rows(live, deliveries, role=POLICE)
        earlier = utc_now() - timedelta(seconds=2)
        leases = {urgency: earlier + tier.lease for urgency, tier in live.desk.tiers.items()}
        async with live.db.transaction() as session:
            claimed = await claims.claim(session, [first.id], new_id(), now=utc_now(), leases=leases)
        async with working(live, telemetry) as dispatcher:
            dispatcher._fences = Fences(away)
            dispatcher.start(claimed)

            async def ended() -> Any:
                return [row for row in await rows(live, attempts, delivery_id=first.id, no=1) if row.outcome]

            [attempt] = await eventually(ended)
            assert attempt.outcome == "unsendable"
            dispatcher._fences = Fences(live.db)

            async def sent() -> bool:
                [row] = await rows(live, deliveries, id=first.id)
                return bool(row.state == "transmitted")

            await eventually(sent)
        assert len(agency.requests) == 1
    await away.close()


async def test_a_second_look_that_takes_too_long_lets_nothing_leave_past_the_lease(
    live: Ledger, telemetry: Telemetry
) -> None:
    tier = live.desk.tiers[Urgency.IMMEDIATE]

    class Slow(Fences):
        async def stands(self, one: Claimed) -> bool:
            answer = await super().stands(one)
            dispatcher._now = lambda: utc_now() + tier.timeout  # so long it took
            return answer

    async with receiving(honest) as agency:
        await live.connect(POLICE, agency.url)
        await live.take(live.alert(received_at=utc_now()))
        [first] = await rows(live, deliveries, role=POLICE)
        soon = utc_now() + tier.timeout * 2 - timedelta(milliseconds=100)
        async with live.db.transaction() as session:
            claimed = await claims.claim(
                session, [first.id], new_id(), now=utc_now(), leases=dict.fromkeys(Urgency, soon)
            )
        async with working(live, telemetry) as dispatcher:
            dispatcher._fences = Slow(live.db)
            dispatcher.start(claimed)

            async def ended() -> Any:
                return [row for row in await rows(live, attempts, delivery_id=first.id, no=1) if row.outcome]

            [attempt] = await eventually(ended)
            assert attempt.outcome == "unsendable"
