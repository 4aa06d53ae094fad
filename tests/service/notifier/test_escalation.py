"""Silence climbs: every rung is a delivery, a person's answer ends it, nothing else does."""

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from common.contracts.notifier import EscalationRaised
from common.contracts.registry import EndpointRevoked
from common.telemetry import Telemetry
from common.testing import FrozenNow
from common.timing import Now
from notifier.domain.bounce import Bounce
from notifier.domain.conservation import Law
from notifier.domain.escalation import Rung
from notifier.models import deliveries, escalations, notices, obligations, receipts
from notifier.service import conservation, escalation
from notifier.service.bounces import take_bounce
from tests.factories.notifier import (
    T0,
    Ledger,
    a_receipt,
    answering,
    eventually,
    honest,
    receiving,
    verified,
    working,
)
from tests.service.notifier.conftest import House
from tests.service.notifier.test_clocks import told, turner
from tests.service.notifier.test_growth import listening_to
from tests.service.notifier.test_planning import rows

POLICE = "internal_affairs"
NEVER: dict[str, Any] = {"weekly": []}


def minutes(value: float) -> timedelta:
    return timedelta(minutes=value)


async def with_superior(ledger: Ledger) -> UUID:
    """A body above the police; returns its id."""
    superior = await ledger.register("prosecutor")
    await ledger.register(POLICE, agency_id=ledger.agencies[POLICE], version=2, superior=superior)
    return superior


async def with_full_ladder(ledger: Ledger) -> UUID:
    await ledger.connect(POLICE, "https://police.example/0")
    await ledger.connect(POLICE, "https://police.example/1", rung=1)
    await ledger.connect(POLICE, "https://police.example/2", rung=2)
    return await with_superior(ledger)


async def first_way(ledger: Ledger) -> Any:
    [row] = await rows(ledger, deliveries, role=POLICE, rung=0)
    return row


async def ladder(ledger: Ledger, first: UUID) -> dict[int, Any]:
    found = await rows(ledger, deliveries, escalates_id=first)
    assert len({row.rung for row in found}) == len(found)
    return {row.rung: row for row in found}


async def alarms(ledger: Ledger, first: UUID) -> list[tuple[int | None, Any]]:
    """What silence climbed; that a limit passed as well calls apart."""
    found = await rows(ledger, escalations, delivery_id=first, reason="silence")
    return [(row.rung, row.raised_at) for row in sorted(found, key=lambda row: row.level)]


async def broken_laws(ledger: Ledger, now: Now) -> set[Law]:
    """What the conservation law finds; no relay and no clock runs here, so events and duties may wait."""
    async with ledger.db.reading() as session:
        balance = await conservation.weigh(session, now=now(), since=None)
    return {each.law for each in balance.imbalances} - {Law.EVENT_STUCK, Law.CLOCK_ASLEEP}


async def body_of(ledger: Ledger, delivery_id: UUID) -> dict[str, Any]:
    [notice] = await rows(ledger, notices, delivery_id=delivery_id)
    return dict(json.loads(notice.body))


async def raw_body(house: House, delivery_id: UUID) -> bytes:
    [notice] = await house.rows(notices, delivery_id=delivery_id)
    return bytes(notice.body)


async def answer(house: House, delivery: Any, role: str, **values: Any) -> Mapping[str, Any]:
    sent = await house.client.post(
        f"/v1/deliveries/{delivery.id}/receipt",
        json=a_receipt(
            delivery.id, await raw_body(house, delivery.id), at=house.parts.now().isoformat(), **values
        ),
        headers=house.as_agency(role),
    )
    assert sent.status_code == 201, sent.text
    return dict(sent.json())


async def test_each_rung_is_a_delivery_at_its_time_and_the_operator_is_called_for_ever(
    ledger: Ledger, now: FrozenNow
) -> None:
    superior = await with_full_ladder(ledger)
    await ledger.take(ledger.alert())
    first = await first_way(ledger)
    turn = turner(ledger)
    for minute in range(26):
        now.at = T0 + minutes(minute)
        await turn()
    assert await alarms(ledger, first.id) == [
        (1, T0 + minutes(2)),
        (2, T0 + minutes(5)),
        (3, T0 + minutes(10)),
        (4, T0 + minutes(15)),
        (4, T0 + minutes(20)),
        (4, T0 + minutes(25)),
    ]
    climbed = await ladder(ledger, first.id)
    assert sorted(climbed) == [1, 2, 3]
    own = [climbed[1], climbed[2]]
    assert {row.agency_id for row in own} == {first.agency_id}
    assert {(row.notice_no, row.role, tuple(row.bodies)) for row in own} == {
        (first.notice_no, first.role, tuple(first.bodies))
    }
    said = await body_of(ledger, first.id)
    for row in own:
        further = await body_of(ledger, row.id)
        assert further["duties"] == said["duties"]
        assert further["alert"] == said["alert"]
        assert "silent" not in further
    assert len({row.endpoint_id for row in (first, *own)}) == 3
    above = climbed[3]
    assert (above.agency_id, above.role, above.bodies) == (superior, "prosecutor", [])
    told_above = await body_of(ledger, above.id)
    assert told_above["silent"] == {"role": POLICE}
    assert told_above["duties"] == said["duties"]
    assert told_above["alert"] != said["alert"]
    events = [each for each in await told(ledger, EscalationRaised) if each.delivery_id == first.id]
    assert {(each.level, each.rung) for each in events} == {
        (row.level, row.rung) for row in await rows(ledger, escalations, delivery_id=first.id)
    }
    assert {each.rung for each in events} == {1, 2, 3, 4}


async def test_a_ladder_without_rungs_calls_the_operator_at_once(ledger: Ledger, now: FrozenNow) -> None:
    await ledger.take(ledger.alert())
    first = await first_way(ledger)
    now.at = T0 + minutes(2)
    await turner(ledger)()
    assert await alarms(ledger, first.id) == [(4, T0 + minutes(2))]
    assert await ladder(ledger, first.id) == {}


async def test_the_silence_of_many_is_written_down_together(ledger: Ledger, now: FrozenNow) -> None:
    """Under a full load hundreds of bodies can be silent at once: an alarm each, but not statements each."""

    async def of_one_pass(alerts: int) -> int:
        for _ in range(alerts):
            await ledger.take(ledger.alert())
        now.move(minutes(2))
        # The rows before have called the operator and rest; only the new ones are due.
        with listening_to(ledger.db) as seen:
            async with ledger.db.transaction() as session:
                looked_at = await escalation.climb_silent(session, ledger.desk, now=now())
        assert looked_at >= alerts
        return len(seen)

    few = await of_one_pass(1)
    raised = await rows(ledger, escalations, reason="silence")
    now.move(-minutes(1))
    many = await of_one_pass(4)
    assert many <= few + 1
    later = await rows(ledger, escalations, reason="silence")
    assert len(later) == 5 * len(raised)
    firsts = {row.id: row for row in await rows(ledger, deliveries, rung=0)}
    for alarm in later:
        row = firsts[alarm.delivery_id]
        assert (row.escalation_level, row.silent_since) == (1, row.planned_at)
        assert row.climb_at == row.next_wakeup_at > alarm.raised_at


async def test_a_way_that_is_off_duty_gives_its_turn_to_the_next(ledger: Ledger, now: FrozenNow) -> None:
    await ledger.connect(POLICE, "https://police.example/1", rung=1, hours=NEVER)
    await ledger.connect(POLICE, "https://police.example/2", rung=2)
    await ledger.take(ledger.alert())
    first = await first_way(ledger)
    now.at = T0 + minutes(2)
    await turner(ledger)()
    assert [rung for rung, _ in await alarms(ledger, first.id)] == [Rung.DUTY_PHONE]


async def test_a_house_that_was_down_for_a_week_climbs_each_rung_once(ledger: Ledger, now: FrozenNow) -> None:
    await with_full_ladder(ledger)
    await ledger.take(ledger.alert())
    first = await first_way(ledger)
    now.move(timedelta(days=7))
    turns = [turner(ledger) for _ in range(4)]
    await asyncio.gather(*(turn() for turn in turns))
    found = [rung for rung, _ in await alarms(ledger, first.id)]
    assert found[:4] == [1, 2, 3, 4]
    assert set(found[4:]) <= {4}  # the limit passed as well, and called again
    assert sorted(await ladder(ledger, first.id)) == [1, 2, 3]


async def test_an_answer_over_one_way_ends_the_others(house: House, now: FrozenNow) -> None:
    ledger = house.ledger
    await with_full_ladder(ledger)
    await ledger.take(ledger.alert())
    first = await first_way(ledger)
    turn = turner(ledger)
    for minute in (2, 5):
        now.at = T0 + minutes(minute)
        await turn()
    climbed = await ladder(ledger, first.id)
    now.at = T0 + minutes(6)
    await answer(house, climbed[1], POLICE)
    first = await first_way(ledger)
    climbed = await ladder(ledger, first.id)
    assert (first.state, first.acknowledged_at) == ("acknowledged", now())
    assert climbed[1].state == "acknowledged"
    assert climbed[2].state == "cancelled"  # it was never sent
    carried = await rows(ledger, obligations, delivery_id=first.id)
    assert {(row.state, row.met_at) for row in carried if row.kind == "notice"} == {("met", now())}
    assert await broken_laws(ledger, now) == set()
    before = await alarms(ledger, first.id)
    now.move(timedelta(days=30))
    await turn()
    assert await alarms(ledger, first.id) == before
    assert sorted(await ladder(ledger, first.id)) == [1, 2]


async def test_an_answer_over_the_first_way_cancels_what_was_not_sent_yet(
    house: House, now: FrozenNow
) -> None:
    ledger = house.ledger
    await with_full_ladder(ledger)
    await ledger.take(ledger.alert())
    first = await first_way(ledger)
    now.at = T0 + minutes(10)
    await turner(ledger)()
    await answer(house, first, POLICE)
    assert {row.state for row in (await ladder(ledger, first.id)).values()} == {"cancelled"}


async def test_both_ways_may_be_answered_and_both_answers_are_kept(house: House, now: FrozenNow) -> None:
    ledger = house.ledger
    await ledger.connect(POLICE, "https://police.example/1", rung=1)
    await ledger.take(ledger.alert())
    first = await first_way(ledger)
    await house.client.get("/v1/inbox", headers=house.as_agency(POLICE))
    now.at = T0 + minutes(2)
    await turner(ledger)()
    climbed = await ladder(ledger, first.id)
    said = await answer(house, climbed[1], POLICE, status="accepted")
    assert (await first_way(ledger)).state == "acknowledged"
    late = await answer(house, first, POLICE, status="received", reference="B-2")
    assert (said["reference"], late["reference"]) == ("A-17", "B-2")
    assert len(await rows(ledger, receipts)) == 2
    repeat = await house.client.post(
        f"/v1/deliveries/{first.id}/receipt",
        json=a_receipt(first.id, await raw_body(house, first.id), at=now().isoformat(), reference="B-2"),
        headers=house.as_agency(POLICE),
    )
    assert (repeat.status_code, repeat.json()) == (200, late)


async def test_a_superior_answers_for_itself_only(house: House, now: FrozenNow) -> None:
    ledger = house.ledger
    await with_superior(ledger)
    await ledger.take(ledger.alert())
    first = await first_way(ledger)
    turn = turner(ledger)
    now.at = T0 + minutes(2)
    await turn()
    above = (await ladder(ledger, first.id))[3]
    inbox = await house.client.get("/v1/inbox", headers=house.as_agency("prosecutor"))
    assert [item["delivery"] for item in inbox.json()["items"]] == [str(above.id)]
    pending = {row.rule for row in await rows(ledger, obligations, state="pending")}
    await answer(house, above, "prosecutor")
    [recorded] = await rows(ledger, deliveries, id=above.id)
    assert recorded.state == "acknowledged"
    assert (await first_way(ledger)).state == "waiting"
    carried = await rows(ledger, obligations, delivery_id=first.id)
    assert {row.state for row in carried if row.kind == "notice"} == {"open"}
    assert {row.rule for row in await rows(ledger, obligations, state="pending")} == pending
    now.at = T0 + minutes(5)
    await turn()
    assert [rung for rung, _ in await alarms(ledger, first.id)] == [3, 4]


async def test_a_person_is_told_when_the_way_to_a_superior_is_gone(house: House, now: FrozenNow) -> None:
    ledger = house.ledger
    await with_superior(ledger)
    await ledger.take(ledger.alert())
    first = await first_way(ledger)
    now.at = T0 + minutes(2)
    await turner(ledger)()
    above = (await ladder(ledger, first.id))[3]
    await house.client.get("/v1/inbox", headers=house.as_agency("prosecutor"))
    async with ledger.db.transaction() as session:
        assert await take_bounce(session, ledger.desk, above.id, Bounce("5.1.1", is_unknown=True), now=now())
    assert (await rows(ledger, deliveries, id=above.id))[0].state == "dead"
    called = sorted(await rows(ledger, escalations, delivery_id=first.id), key=lambda row: row.level)
    assert [(row.rung, row.reason) for row in called] == [(3, "silence"), (4, "dead")]


async def test_who_is_shut_out_is_not_told_of_a_subordinates_silence(ledger: Ledger, now: FrozenNow) -> None:
    superior = await with_superior(ledger)
    await ledger.take(ledger.alert(implicated=(superior,)))
    first = await first_way(ledger)
    now.move(timedelta(hours=1))
    await turner(ledger)()
    assert {rung for rung, _ in await alarms(ledger, first.id)} == {4}
    assert await rows(ledger, deliveries, agency_id=superior) == []


async def test_a_revoked_way_climbs_without_waiting(ledger: Ledger, now: FrozenNow) -> None:
    endpoint = await ledger.connect(POLICE, "https://police.example/0")
    await ledger.connect(POLICE, "https://police.example/2", rung=2)
    await ledger.take(ledger.alert())
    first = await first_way(ledger)
    await ledger.take(
        EndpointRevoked(endpoint_id=endpoint, agency_id=first.agency_id, version=2, revoked_at=now())
    )
    turn = turner(ledger)
    await turn()
    await turn()
    [alarm] = await rows(ledger, escalations, delivery_id=first.id)
    assert (alarm.rung, alarm.reason) == (2, "endpoint_revoked")
    [phone] = (await ladder(ledger, first.id)).values()
    assert phone.endpoint_id is not None
    # The phone's own turn is not the first way's: a new first way takes over what it had.
    assert (await first_way(ledger)).reason == "blocked:endpoint_revoked"
    again = await ledger.connect(POLICE, "https://police.example/new")
    assert (await first_way(ledger)).endpoint_id == again


async def test_a_dead_way_climbs_at_once_and_the_next_one_proves_the_sending(
    live: Ledger, telemetry: Telemetry
) -> None:
    async with receiving(answering(410)) as gone, receiving(honest) as second:
        await live.connect(POLICE, gone.url)
        endpoint = await live.connect(POLICE, second.url, rung=1)
        async with working(live, telemetry):
            await live.take(live.alert())
            await eventually(lambda: rows(live, deliveries, rung=1, state="transmitted"))
    first = await first_way(live)
    assert first.state == "dead"
    # The next machine has it at once; the address that is gone needs a person all the same.
    alarms = sorted(await rows(live, escalations, delivery_id=first.id), key=lambda row: row.level)
    assert [(alarm.rung, alarm.reason) for alarm in alarms] == [(1, "dead"), (4, "dead")]
    [said] = second.requests
    assert verified(said, live.secrets[endpoint])["notice"] == first.notice_no
    carried = await rows(live, obligations, delivery_id=first.id)
    assert {row.state for row in carried if row.kind == "notice"} == {"met"}
    [further] = (await ladder(live, first.id)).values()
    assert {row.met_at for row in carried if row.kind == "notice"} == {further.transmitted_at}
    assert await broken_laws(live, live.now) == set()


async def test_an_answer_and_a_climb_at_the_same_moment_leave_nothing_open(
    house: House, now: FrozenNow
) -> None:
    ledger = house.ledger
    await with_full_ladder(ledger)
    await ledger.take(ledger.alert())
    first = await first_way(ledger)
    now.at = T0 + minutes(10)
    await asyncio.gather(answer(house, first, POLICE), turner(ledger)())
    assert (await first_way(ledger)).state == "acknowledged"
    open_ways = [row for row in (await ladder(ledger, first.id)).values() if row.state == "waiting"]
    assert open_ways == []


@pytest.mark.parametrize("missing", ["silent_since", "climb_at"])
async def test_a_row_of_an_older_process_begins_to_climb_when_it_is_seen(
    ledger: Ledger, now: FrozenNow, missing: str
) -> None:
    await ledger.take(ledger.alert())
    first = await first_way(ledger)
    async with ledger.db.transaction() as session:
        values = {"silent_since": None} | ({"climb_at": None} if missing == "climb_at" else {})
        await session.execute(deliveries.update().where(deliveries.c.id == first.id).values(**values))
    now.move(minutes(3))
    await turner(ledger)()
    row = await first_way(ledger)
    assert (row.silent_since, row.climb_at is not None) == (T0, True)
    assert [rung for rung, _ in await alarms(ledger, first.id)] == [4]
