"""A correction that overtakes its alert: whom it names must not be told first and shut out a moment later."""

import asyncio
from uuid import UUID

import pytest

from common.inbox import Received, Together
from common.telemetry import Telemetry
from notifier.consumers import effects
from notifier.models import alerts, changes, deliveries
from tests.factories.notifier import Ledger, eventually, honest, receiving, working
from tests.service.notifier.test_changes import correction
from tests.service.notifier.test_conflict_races import rows_of

CENTRE = "psych_support_centre"
POLICE = "internal_affairs"


async def test_whom_a_correction_names_that_came_first_is_sent_nothing(
    live: Ledger, telemetry: Telemetry
) -> None:
    centre = live.agencies[CENTRE]
    async with receiving(honest) as named, receiving(honest) as other:
        await live.connect(CENTRE, named.url)
        await live.connect(POLICE, other.url)
        async with working(live, telemetry):
            alert = live.alert()
            await live.take(correction(live, alert, implicated=[str(centre)]))
            await live.take(alert)

            async def police_are_told() -> bool:
                return bool(other.requests)

            await eventually(police_are_told)
            await asyncio.sleep(0.3)
    assert not named.requests
    own = [row for row in await rows_of(live, deliveries) if row.agency_id == centre]
    assert {row.state for row in own} <= {"cancelled", "superseded"}
    assert not [row for row in own if row.transmitted_at]
    assert all(row.applied_at for row in await rows_of(live, changes))


@pytest.mark.parametrize("first", ["alert", "correction"])
async def test_alert_and_correction_taken_at_the_same_moment_tell_nobody_who_is_named(
    ledger: Ledger, db_kind: str, first: str
) -> None:
    """Two workers: whichever commits later sees what the other one wrote."""
    if db_kind != "postgres":
        pytest.skip("SQLite has one writer: none of the two can work while the other one writes")
    centre = ledger.agencies[CENTRE]
    alert = ledger.alert()
    told = correction(ledger, alert, implicated=[str(centre)])
    events = {"alert": alert, "correction": told}
    written, may_commit = asyncio.Event(), asyncio.Event()

    async def take_first() -> None:

        async with ledger.db.transaction() as session:
            effect = effects(ledger.desk)[type(events[first])]
            if isinstance(effect, Together):
                await effect.effect(session, [Received(events[first], None)], now=ledger.now)
            else:
                await effect(session, events[first], now=ledger.now)
            await session.connection()  # whatever is put off is written
            written.set()
            await may_commit.wait()

    taking = asyncio.create_task(take_first())
    await asyncio.wait_for(written.wait(), 10)
    [later] = [event for name, event in events.items() if name != first]
    following = asyncio.create_task(ledger.take(later))
    await asyncio.sleep(0.3)
    may_commit.set()
    await asyncio.gather(taking, following)
    assert [row.id for row in await rows_of(ledger, alerts)] == [UUID(str(alert.alert_id))]
    assert all(row.applied_at for row in await rows_of(ledger, changes))
    own = [row for row in await rows_of(ledger, deliveries) if row.agency_id == centre]
    assert {row.state for row in own} <= {"cancelled", "superseded"}
