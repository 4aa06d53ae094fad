"""A conflict of interest is raised while a worker sends, or while a further body is being told."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert

from common.ids import pairwise
from common.telemetry import Telemetry
from common.testing import FrozenNow
from notifier.models import attempts, deliveries, exclusions
from notifier.repository.exclusions import list_superiors
from notifier.service import clocks, escalation, lane
from notifier.service.known import note_known
from tests.factories.notifier import Ledger, eventually, hanging, honest, receiving, working
from tests.service.notifier.test_clocks import open_role

POLICE = "internal_affairs"
BODY = "regional_child_rights_body"
REASON = "Қызметкердің ағасы сол бөлімде істейді"


# --- against a worker that is sending ---------------------------------------------------------------------


async def raise_directly(ledger: Ledger, alert_id: UUID, shut: str) -> None:
    from common.identity import Principal  # noqa: PLC0415  # beside its only use
    from notifier.domain.exclusion import Exclusion  # noqa: PLC0415  # see above
    from notifier.service import conflicts, reading  # noqa: PLC0415  # see above

    body = ledger.agencies[BODY]
    caller = Principal("client-1", "agency", body, (BODY,), "KZ-75")
    known = pairwise(ledger.keys.secret("pairwise"), alert_id, body)
    async with ledger.db.transaction() as session:
        seen = await reading.see_alert(session, caller, known)
        exclusion = Exclusion(alert_id, agency_id=ledger.agencies[shut])
        await conflicts.raise_conflict(
            session, ledger.desk, caller, seen, exclusion, REASON, now=ledger.now()
        )


async def rows_of(ledger: Ledger, table: Any) -> list[Any]:
    from sqlalchemy import select  # noqa: PLC0415  # beside its only use

    async with ledger.db.reading() as session:
        return list((await session.execute(select(table))).all())


@pytest.mark.parametrize("is_soon", [True, False])
async def test_what_is_claimed_and_waits_for_a_place_does_not_leave_any_more(
    live: Ledger, telemetry: Telemetry, is_soon: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One place at the endpoint and it is taken: the second notice is claimed when the flag comes.

    Where the place comes free within a second, the worker is told; later, it looks again itself.
    """
    gate = asyncio.Event()
    # Else the second one passes what hangs on a spare place, and on a busy machine before the flag.
    monkeypatch.setattr(lane, "PATIENCE", timedelta(minutes=1))
    monkeypatch.setattr(lane, "SILENCE", timedelta(minutes=1))

    async def slow(receiver: Any, request: Any, body: bytes) -> Any:
        await gate.wait()
        return await honest(receiver, request, body)

    async with receiving(slow if is_soon else hanging) as receiver:
        await live.connect(POLICE, receiver.url, concurrency=1)
        async with working(live, telemetry):
            first, second = live.alert(), live.alert()
            await live.take(first)
            await eventually(lambda: _answered(receiver.requests))
            await live.take(second)
            await eventually(lambda: _is_claimed(live, second.alert_id))
            await raise_directly(live, second.alert_id, POLICE)
            handles = [
                str(pairwise(live.keys.secret("pairwise"), one.alert_id, live.agencies[POLICE]))
                for one in (first, second)
            ]
            gate.set()
            await asyncio.sleep(0.5 if is_soon else 2.6)  # the hanging one times out after two seconds
    bodies = [request.body.decode() for request in receiver.requests]
    assert any(handles[0] in body for body in bodies)
    assert not any(handles[1] in body for body in bodies)
    police = live.agencies[POLICE]
    [ended] = [
        row for row in await rows_of(live, deliveries)
        if row.agency_id == police and row.alert_id == second.alert_id
    ]  # fmt: skip
    assert (ended.state, ended.transmitted_at) == ("cancelled", None)


async def _is_claimed(ledger: Ledger, alert_id: UUID) -> bool:
    police = ledger.agencies[POLICE]
    found = [row for row in await rows_of(ledger, deliveries) if row.alert_id == alert_id]
    return any(row.agency_id == police and row.state == "leased" for row in found)


async def _answered(requests: list[Any]) -> bool:
    return bool(requests)


async def test_what_was_already_on_the_wire_is_recorded_as_known(live: Ledger, telemetry: Telemetry) -> None:
    """The flag commits while the request is with the agency; its 200 comes afterwards."""
    gate = asyncio.Event()

    async def slow(receiver: Any, request: Any, body: bytes) -> Any:
        await gate.wait()
        return await honest(receiver, request, body)

    async with receiving(slow) as receiver:
        await live.connect(POLICE, receiver.url)
        async with working(live, telemetry):
            alert = live.alert()
            await live.take(alert)
            await eventually(lambda: _answered(receiver.requests))
            await raise_directly(live, alert.alert_id, POLICE)
            [before] = await rows_of(live, exclusions)
            assert "attempted_at" in before.known[0]
            gate.set()

            async def written() -> bool:
                [row] = await rows_of(live, exclusions)
                return "transmitted_at" in row.known[0]

            await eventually(written)
    police = live.agencies[POLICE]
    [row] = [row for row in await rows_of(live, deliveries) if row.agency_id == police]
    assert row.state == "cancelled"
    assert row.transmitted_at is not None
    assert [one.outcome for one in await rows_of(live, attempts) if one.delivery_id == row.id] == ["accepted"]


# --- against a body that is just being told ---------------------------------------------------------------


@pytest.fixture
def held_up(monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Whoever looks who is shut out, to tell a body above, says so, and goes on only when it may."""
    looked, may_go_on = asyncio.Event(), asyncio.Event()

    def held(original: Any) -> Any:
        async def look(*args: Any, **named: Any) -> Any:
            found = await original(*args, **named)
            looked.set()
            await may_go_on.wait()
            return found

        return look

    monkeypatch.setattr(escalation, "look_around", held(escalation.look_around))
    monkeypatch.setattr("notifier.service.breaches.list_superiors", held(list_superiors))
    return looked, may_go_on


@pytest.mark.parametrize("by", ["silence", "breach"])
async def test_a_body_above_that_is_shut_out_while_it_is_being_told_is_not_told(
    ledger: Ledger, now: FrozenNow, held_up: tuple[asyncio.Event, asyncio.Event], by: str, db_kind: str
) -> None:
    """The one who tells holds the alert, or the one who shuts out looks again when it has it."""
    if db_kind != "postgres":
        pytest.skip("SQLite has one writer: none of the two can look while the other one writes")
    # It has nothing to do with the alert before: by the law it is told nothing.
    above = await ledger.register("prosecutor", "KZ")
    await ledger.register(BODY, agency_id=ledger.agencies[BODY], version=2, superior=above)
    alert = ledger.alert()
    await ledger.take(alert)
    alert_id = UUID(str(alert.alert_id))
    assert not [row for row in await rows_of(ledger, deliveries) if row.agency_id == above]
    await open_role(ledger, BODY, now())
    now.move(timedelta(days=30))
    looked, may_go_on = held_up

    async def tell() -> None:
        async with ledger.db.transaction() as session:
            work = escalation.climb_silent if by == "silence" else clocks.turn_clocks
            await work(session, ledger.desk, now=now())

    telling = asyncio.create_task(tell())
    await asyncio.wait_for(looked.wait(), 10)
    raising = asyncio.create_task(raise_directly(ledger, alert_id, "prosecutor"))
    await asyncio.sleep(0.5)
    may_go_on.set()
    await asyncio.gather(telling, raising)
    told = [row for row in await rows_of(ledger, deliveries) if row.agency_id == above]
    assert told, "it was being told"
    assert {row.state for row in told} == {"cancelled"}


async def test_two_who_got_hold_of_it_all_the_same_are_both_on_record(ledger: Ledger, db_kind: str) -> None:
    """Two workers write at the same moment what somebody shut out got: none takes the other's entry away."""
    if db_kind != "postgres":
        pytest.skip("SQLite has one writer: none of the two can read while the other one writes")
    alert = ledger.alert()
    await ledger.take(alert)
    await raise_directly(ledger, UUID(str(alert.alert_id)), POLICE)
    police = ledger.agencies[POLICE]
    first = next(row for row in await rows_of(ledger, deliveries) if row.agency_id == police)
    async with ledger.db.transaction() as session:
        other = {**first._mapping, "id": uuid4(), "rung": 1, "escalates_id": first.id}
        await session.execute(insert(deliveries).values(**other))

    async def note(delivery_id: UUID) -> None:
        async with ledger.db.transaction() as session:
            await note_known(session, {delivery_id: ledger.now()}, "opened_at", now=ledger.now())

    async with ledger.db.transaction() as session:
        await note_known(session, {first.id: ledger.now()}, "opened_at", now=ledger.now())
        noting = asyncio.create_task(note(other["id"]))
        await asyncio.sleep(1)
    await noting
    [stored] = await rows_of(ledger, exclusions)
    assert {each["delivery"] for each in stored.known} >= {str(first.id), str(other["id"])}
