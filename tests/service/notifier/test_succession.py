"""A body is retired: what it owed and did not answer is its successor's, in the time that is left."""

import base64
import json
import random
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from common.contracts import Event
from common.contracts.notifier import ObligationOpened, ObligationPassed
from common.contracts.registry import AgencyRetired
from common.sealing import unseal
from common.testing import FrozenNow
from notifier.models import deliveries, notices, obligations, successions
from tests.factories.notifier import T0, Ledger, an_agency
from tests.service.notifier.conftest import House
from tests.service.notifier.test_clocks import open_role, told, turner
from tests.service.notifier.test_escalation import answer, broken_laws
from tests.service.notifier.test_planning import rows

OWNER = "regional_child_rights_body"
CLOCK = ("state", "starts_at", "due_at", "breach_at", "alarmed_at", "breached_at")


def retired(ledger: Ledger, role: str, at: Any, successor: UUID | None = None) -> AgencyRetired:
    return AgencyRetired(agency_id=ledger.agencies[role], version=9, retired_at=at, successor_id=successor)


def clocks(found: list[Any]) -> dict[UUID, tuple[Any, ...]]:
    return {row.id: tuple(getattr(row, name) for name in CLOCK) for row in found}


async def unmet_of(ledger: Ledger, agency: UUID) -> list[Any]:
    found = await rows(ledger, obligations, obliged_agency_id=agency)
    return [row for row in found if row.state in ("pending", "open")]


async def open_ways(ledger: Ledger, agency: UUID) -> list[Any]:
    found = await rows(ledger, deliveries, agency_id=agency)
    return [row for row in found if row.state in ("waiting", "leased", "transmitted", "dead")]


async def test_everything_open_passes_with_its_clock_and_history_stays(
    ledger: Ledger, now: FrozenNow
) -> None:
    former, heir = ledger.agencies[OWNER], uuid4()
    await ledger.take(ledger.alert())
    await open_role(ledger, OWNER, T0)
    owed = await unmet_of(ledger, former)
    before = clocks(owed)
    assert {row.state for row in owed} == {"open"}
    [first] = await open_ways(ledger, former)
    now.move(timedelta(minutes=1))
    await ledger.take(an_agency(heir, OWNER))
    await ledger.take(retired(ledger, OWNER, now(), heir))
    await turner(ledger)()
    assert await unmet_of(ledger, former) == []
    passed = {row.id: row for row in await rows(ledger, obligations) if row.id in before}
    assert {row.obliged_agency_id for row in passed.values()} == {heir}
    assert clocks(list(passed.values())) == before
    assert await open_ways(ledger, former) == []
    [old] = await rows(ledger, deliveries, id=first.id)
    assert (old.state, old.opened_at) == ("cancelled", T0)
    [way] = await open_ways(ledger, heir)
    [notice] = await rows(ledger, notices, delivery_id=way.id)
    named = {one["rule"] for one in json.loads(notice.body)["duties"]}
    assert {row.rule for row in owed} <= named
    assert (way.role, way.notice_no) == (OWNER, 1)
    assert {(row.former_id, row.role, row.successor_id) for row in await rows(ledger, successions)} == {
        (former, OWNER, heir)
    }
    [event] = await told(ledger, ObligationPassed)
    assert set(event.obligations) == set(before)
    opened = unseal(
        ledger.keys.opening("assignee"), base64.b64decode(event.passed), str(event.alert_id).encode()
    )
    assert json.loads(opened) == {"former": str(former), "heirs": {OWNER: str(heir)}}
    assert str(heir) not in event.model_dump_json()
    assert await told(ledger, ObligationOpened)
    assert await broken_laws(ledger, now) == set()


async def test_an_unsent_notice_goes_to_the_successor_and_meets_the_same_duty(
    house: House, now: FrozenNow
) -> None:
    ledger = house.ledger
    former, heir = ledger.agencies["internal_affairs"], uuid4()
    await ledger.take(ledger.alert())
    [first] = await open_ways(ledger, former)
    carried = {row.id for row in await rows(ledger, obligations, delivery_id=first.id)}
    await ledger.take(retired(ledger, "internal_affairs", now(), heir))
    await ledger.take(an_agency(heir, "internal_affairs"))
    await turner(ledger)()
    [way] = await open_ways(ledger, heir)
    assert {row.id for row in await rows(ledger, obligations, delivery_id=way.id)} >= carried
    ledger.agencies["internal_affairs"] = heir
    await answer(house, way, "internal_affairs")
    states = {row.id: row.state for row in await rows(ledger, obligations) if row.kind == "notice"}
    assert {states[each] for each in carried if each in states} == {"met"}
    assert await broken_laws(ledger, now) == set()


async def test_without_a_name_whoever_holds_the_role_there_takes_the_place(
    ledger: Ledger, now: FrozenNow
) -> None:
    former, heir = ledger.agencies[OWNER], uuid4()
    await ledger.take(ledger.alert())
    await ledger.take(retired(ledger, OWNER, now()))
    await turner(ledger)()
    assert await unmet_of(ledger, former), "nobody is there yet, and nothing is lost"
    assert await open_ways(ledger, former)
    now.move(timedelta(days=2))
    await ledger.take(an_agency(heir, OWNER))
    await turner(ledger)()
    assert await unmet_of(ledger, former) == []
    assert await unmet_of(ledger, heir)
    assert await open_ways(ledger, former) == []


async def test_a_successor_that_must_not_know_is_passed_over_for_the_body_above_it(
    ledger: Ledger, now: FrozenNow
) -> None:
    former, heir, above = ledger.agencies[OWNER], uuid4(), uuid4()
    await ledger.take(an_agency(above, "supervising_body"))
    await ledger.take(an_agency(heir, "another_body", superior=above))
    await ledger.take(ledger.alert(implicated=(heir,)))
    await open_role(ledger, OWNER, T0)
    assert await unmet_of(ledger, former)
    await ledger.take(retired(ledger, OWNER, now(), heir))
    await turner(ledger)()
    assert await unmet_of(ledger, former) == []
    assert await unmet_of(ledger, heir) == []
    assert await rows(ledger, deliveries, agency_id=heir) == []
    assert await unmet_of(ledger, above)


async def test_a_successor_of_a_successor_takes_the_place(ledger: Ledger, now: FrozenNow) -> None:
    former, middle, last = ledger.agencies[OWNER], uuid4(), uuid4()
    await ledger.take(ledger.alert())
    for each in (middle, last):
        await ledger.take(an_agency(each, "another_body"))
    await ledger.take(AgencyRetired(agency_id=middle, version=2, retired_at=now(), successor_id=last))
    await ledger.take(retired(ledger, OWNER, now(), middle))
    await turner(ledger)()
    assert await unmet_of(ledger, former) == await unmet_of(ledger, middle) == []
    assert await unmet_of(ledger, last)


async def test_a_retirement_ahead_waits_for_its_day(ledger: Ledger, now: FrozenNow) -> None:
    former, heir = ledger.agencies[OWNER], uuid4()
    await ledger.take(an_agency(heir, "another_body"))
    await ledger.take(ledger.alert())
    await ledger.take(retired(ledger, OWNER, now() + timedelta(hours=2), heir))
    await turner(ledger)()
    assert await unmet_of(ledger, heir) == []
    now.move(timedelta(hours=2))
    await turner(ledger)()
    assert await unmet_of(ledger, former) == []
    assert await unmet_of(ledger, heir)


async def _end_state(ledger: Ledger, now: FrozenNow, seed: int, shut: bool) -> tuple[Any, ...]:
    """The same facts in an order of their own, some of them twice, with looks in between."""
    chance = random.Random(seed)
    former, heir, above = (UUID(int=each, version=4) for each in (11, 12, 13))
    ledger.agencies[OWNER] = former
    await ledger.take(an_agency(former, OWNER))
    await ledger.take(an_agency(UUID(int=99, version=4), OWNER, valid_until=T0 - timedelta(days=1)))
    alert = ledger.alert(alert_id=UUID(int=7, version=4), implicated=(heir,) if shut else ())
    facts: list[Event] = [
        alert,
        an_agency(above, "supervising_body"),
        an_agency(heir, "another_body", superior=above),
        AgencyRetired(agency_id=former, version=9, retired_at=T0 + timedelta(minutes=1), successor_id=heir),
    ]
    facts += chance.sample(facts[1:], 2)
    chance.shuffle(facts)
    now.at = T0 + timedelta(minutes=2)
    turn = turner(ledger)
    taken: set[int] = set()
    for fact in facts:
        # The inbox lets one alert in once; everything else bears a repeat by itself.
        if fact is alert and id(fact) in taken:
            continue
        taken.add(id(fact))
        await ledger.take(fact)
        if chance.random() < 0.5:
            await turn()
            now.move(timedelta(minutes=2))
    now.move(timedelta(minutes=2))
    for _ in range(3):
        await turn()
        now.move(timedelta(minutes=2))
    heirs = {former: "former", heir: "heir", above: "above"}
    return (
        sorted((row.rule, row.obliged, heirs.get(row.obliged_agency_id, "other"))
               for row in await rows(ledger, obligations) if row.state in ("pending", "open")),
        sorted((heirs[row.agency_id], row.role) for row in await rows(ledger, deliveries)
               if row.agency_id in heirs and row.rung == 0 and row.state in ("waiting", "transmitted")),
        sorted((row.role, heirs[row.successor_id]) for row in await rows(ledger, successions)),
    )  # fmt: skip


@pytest.mark.parametrize("shut", [False, True])
@pytest.mark.parametrize("seed", range(8))
async def test_in_any_order_and_repeated_the_same_body_owes_in_the_end(
    ledger: Ledger, now: FrozenNow, seed: int, *, shut: bool
) -> None:
    owed, open_to, passed = await _end_state(ledger, now, seed, shut)
    taker = "above" if shut else "heir"
    assert {who for _, obliged, who in owed if obliged == OWNER} == {taker}
    assert {who for who, _ in open_to} == {taker}
    assert len([who for who, role in open_to if role == OWNER]) == 1
    assert passed == [(OWNER, taker)]
