"""Two endpoints of one agency on one rung: everybody who chooses takes the newest, whatever the ids."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from common.contracts.registry import DutyHours, EndpointRegistered, EndpointRevoked
from common.testing import FrozenNow
from notifier.jobs import jobs
from notifier.models import deliveries, endpoint_versions
from notifier.repository import directory
from notifier.service import rebuilding
from tests.factories.notifier import Ledger, an_agency
from tests.service.notifier.test_clocks import turner
from tests.service.notifier.test_escalation import NEVER, first_way, ladder
from tests.service.notifier.test_planning import rows

POLICE = "internal_affairs"
LOW, HIGH, THIRD = UUID(int=1), UUID(int=2), UUID(int=3)

both_orders = pytest.mark.parametrize(("old", "new"), [(LOW, HIGH), (HIGH, LOW)], ids=["rising", "falling"])


def an_endpoint(ledger: Ledger, endpoint_id: UUID, **values: Any) -> EndpointRegistered:
    given = {"version": 1, "kind": "webhook", "url": f"https://police.example/{endpoint_id.int}", **values}
    return EndpointRegistered(endpoint_id=endpoint_id, agency_id=ledger.agencies[POLICE], **given)


async def connect_both(ledger: Ledger, now: FrozenNow, old: UUID, new: UUID, **values: Any) -> None:
    await ledger.take(an_endpoint(ledger, old, **values))
    now.move(timedelta(seconds=1))
    await ledger.take(an_endpoint(ledger, new, **values))


async def lose_way(ledger: Ledger, delivery_id: UUID) -> None:
    """As it is when the plan has not seen the endpoints."""
    async with ledger.db.transaction() as session:
        mine = update(deliveries).where(deliveries.c.id == delivery_id)
        await session.execute(
            mine.values(
                endpoint_id=None,
                endpoint_version=None,
                reason="blocked:paused",
                next_wakeup_at=ledger.now(),
            )
        )


async def look(ledger: Ledger, now: FrozenNow) -> None:
    for job in jobs(ledger.db, ledger.desk, now):
        await job.run()


async def pause(ledger: Ledger, endpoint_id: UUID) -> None:
    async with ledger.db.transaction() as session:
        assert await directory.pause_endpoint(session, endpoint_id, at=ledger.now())


@both_orders
async def test_a_plan_goes_to_the_newest_and_to_the_other_while_that_is_paused(
    ledger: Ledger, now: FrozenNow, old: UUID, new: UUID
) -> None:
    await connect_both(ledger, now, old, new)
    await ledger.take(ledger.alert())
    assert (await first_way(ledger)).endpoint_id == new
    await pause(ledger, new)
    await ledger.take(ledger.alert())
    assert {row.endpoint_id for row in await rows(ledger, deliveries, role=POLICE)} == {old, new}


@both_orders
async def test_what_was_changed_last_is_the_newest(
    ledger: Ledger, now: FrozenNow, old: UUID, new: UUID
) -> None:
    await connect_both(ledger, now, old, new)
    now.move(timedelta(seconds=1))
    await ledger.take(an_endpoint(ledger, old, version=2, url="https://police.example/moved"))
    await ledger.take(ledger.alert())
    row = await first_way(ledger)
    assert (row.endpoint_id, row.endpoint_version) == (old, 2)


@both_orders
async def test_one_of_before_we_noted_the_time_is_the_oldest(
    ledger: Ledger, now: FrozenNow, old: UUID, new: UUID
) -> None:
    await connect_both(ledger, now, old, new)
    async with ledger.db.transaction() as session:
        await session.execute(
            update(endpoint_versions).where(endpoint_versions.c.endpoint_id == old).values(taken_at=None)
        )
    await ledger.take(ledger.alert())
    assert (await first_way(ledger)).endpoint_id == new


@both_orders
async def test_what_waits_without_a_way_finds_the_newest(
    ledger: Ledger, now: FrozenNow, old: UUID, new: UUID
) -> None:
    await connect_both(ledger, now, old, new)
    await ledger.take(ledger.alert())
    await lose_way(ledger, (await first_way(ledger)).id)
    await look(ledger, now)
    row = await first_way(ledger)
    assert (row.endpoint_id, row.reason) == (new, "new")


@both_orders
async def test_what_a_revoked_one_leaves_goes_to_the_newest_of_the_others(
    ledger: Ledger, now: FrozenNow, old: UUID, new: UUID
) -> None:
    await connect_both(ledger, now, old, new)
    now.move(timedelta(seconds=1))
    await ledger.take(an_endpoint(ledger, THIRD))
    await ledger.take(ledger.alert())
    assert (await first_way(ledger)).endpoint_id == THIRD
    police = ledger.agencies[POLICE]
    await ledger.take(EndpointRevoked(endpoint_id=THIRD, agency_id=police, version=2, revoked_at=now()))
    assert (await first_way(ledger)).endpoint_id == new


@both_orders
async def test_silence_climbs_to_the_newest_of_a_rung_that_is_not_paused(
    ledger: Ledger, now: FrozenNow, old: UUID, new: UUID
) -> None:
    await connect_both(ledger, now, old, new, rung=1)
    now.move(timedelta(seconds=1))
    await ledger.take(an_endpoint(ledger, THIRD, rung=1))
    await pause(ledger, THIRD)
    await ledger.take(ledger.alert(received_at=now()))
    first = await first_way(ledger)
    now.move(timedelta(minutes=2))
    await turner(ledger)()
    assert (await ladder(ledger, first.id))[1].endpoint_id == new


@both_orders
async def test_a_climb_and_a_second_look_both_pass_over_who_is_off_duty(
    ledger: Ledger, now: FrozenNow, old: UUID, new: UUID
) -> None:
    await ledger.take(an_endpoint(ledger, old, rung=1))
    now.move(timedelta(seconds=1))
    never = DutyHours.model_validate(NEVER, strict=False)
    await ledger.take(an_endpoint(ledger, new, rung=1, hours=never))
    await ledger.take(ledger.alert(received_at=now()))
    first = await first_way(ledger)
    now.move(timedelta(minutes=2))
    await turner(ledger)()
    climbed = (await ladder(ledger, first.id))[1]
    assert climbed.endpoint_id == old
    await lose_way(ledger, climbed.id)
    await look(ledger, now)
    assert (await ladder(ledger, first.id))[1].endpoint_id == old


@both_orders
async def test_a_copy_that_is_filled_at_once_keeps_the_order_of_the_register(
    ledger: Ledger, old: UUID, new: UUID
) -> None:
    police = ledger.agencies[POLICE]
    facts = [
        an_agency(police, POLICE, version=9),
        an_endpoint(ledger, old),
        an_endpoint(ledger, new),
    ]
    async with ledger.db.transaction() as session:
        known = await rebuilding.what_is_known(session)
        await rebuilding.rebuild(session, ledger.desk, facts, known=known, now=ledger.now())
    await ledger.take(ledger.alert())
    assert (await first_way(ledger)).endpoint_id == new
