"""The second person, on the real tables: one effect whoever comes, however often and at once."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from common.identity import Principal
from common.testing import FrozenNow
from notifier.domain.proposal import LIFETIME, Kind, Proposal
from notifier.errors import PersonNeeded, ProposalExpired, ProposalUnknown, SecondPersonNeeded
from notifier.models import audit, proposals
from notifier.service.proposals import Agreed, confirm, list_live, propose
from tests.factories.notifier import Ledger

THING = uuid4()
BODY = uuid4()
ANAR = Principal("anar", "agency", BODY, person="anar")
BOLAT = Principal("bolat", "agency", BODY, person="bolat")
DINA = Principal("dina", "agency", BODY, person="dina")
STRANGER = Principal("stranger", "agency", uuid4(), person="stranger")
WORDS = "Отказ согласован с Айгерим"


async def proposed(ledger: Ledger, caller: Principal = ANAR, reason: str = WORDS, **more: Any) -> Proposal:
    async with ledger.db.transaction() as session:
        return await propose(
            session, ledger.desk, caller, Kind.WAIVER, THING, reason=reason, now=ledger.now(), **more
        )


async def confirmed(ledger: Ledger, caller: Principal, proposal: UUID, thing: UUID = THING) -> Agreed:
    async with ledger.db.transaction() as session:
        return await confirm(session, ledger.desk, caller, Kind.WAIVER, thing, proposal, now=ledger.now())


async def acts(ledger: Ledger) -> list[tuple[str, str]]:
    async with ledger.db.reading() as session:
        rows = await session.execute(
            select(audit.c.action, audit.c.actor).where(audit.c.subject_id == THING).order_by(audit.c.at)
        )
        return [(row[0], row[1]) for row in rows.all()]


async def test_another_person_carries_it_out_with_reason_and_payload(ledger: Ledger) -> None:
    proposal = await proposed(ledger, payload={"channel": "phone"})
    agreed = await confirmed(ledger, BOLAT, proposal.id)
    assert (agreed.is_new, agreed.reason, agreed.payload) == (True, WORDS, {"channel": "phone"})
    assert (agreed.proposal.proposed_by, agreed.proposal.confirmed_by) == ("anar", "bolat")
    assert sorted(await acts(ledger)) == [("proposal.confirmed", "bolat"), ("proposal.made", "anar")]


async def test_any_number_of_a_systems_tokens_are_no_person(ledger: Ledger) -> None:
    """Two clients of one body's system: neither may propose, and neither may confirm."""
    one, other = (Principal(f"client-{each}", "agency", BODY) for each in range(2))
    with pytest.raises(PersonNeeded):
        await proposed(ledger, one)
    proposal = await proposed(ledger)
    for system in (one, other, Principal("bolat", "agency", BODY)):
        with pytest.raises(PersonNeeded):
            await confirmed(ledger, system, proposal.id)
    assert await acts(ledger) == [("proposal.made", "anar")]


async def test_one_person_with_two_clients_is_one(ledger: Ledger) -> None:
    proposal = await proposed(ledger)
    with pytest.raises(SecondPersonNeeded):
        await confirmed(ledger, Principal("another-client", "agency", BODY, person="anar"), proposal.id)


async def test_confirming_again_changes_nothing(ledger: Ledger) -> None:
    proposal = await proposed(ledger)
    first = await confirmed(ledger, BOLAT, proposal.id)
    for person in (BOLAT, DINA):
        again = await confirmed(ledger, person, proposal.id)
        assert (again.is_new, again.proposal) == (False, first.proposal)
    with pytest.raises(SecondPersonNeeded):
        await confirmed(ledger, ANAR, proposal.id)
    assert len(await acts(ledger)) == 2


async def test_nobody_else_confirms(ledger: Ledger, now: FrozenNow) -> None:
    proposal = await proposed(ledger)
    with pytest.raises(SecondPersonNeeded):
        await confirmed(ledger, ANAR, proposal.id)
    with pytest.raises(ProposalUnknown):
        await confirmed(ledger, STRANGER, proposal.id)
    with pytest.raises(ProposalUnknown):
        await confirmed(ledger, BOLAT, proposal.id, thing=uuid4())
    with pytest.raises(ProposalUnknown):
        await confirmed(ledger, BOLAT, uuid4())
    now.move(LIFETIME)
    with pytest.raises(ProposalExpired):
        await confirmed(ledger, BOLAT, proposal.id)
    assert await acts(ledger) == [("proposal.made", "anar")]


async def test_many_confirm_at_once_and_one_has_the_effect(ledger: Ledger) -> None:
    proposal = await proposed(ledger)
    crowd = [Principal("client-1", "agency", BODY, person=f"person-{each}") for each in range(6)]
    agreed = await asyncio.gather(*(confirmed(ledger, each, proposal.id) for each in crowd))
    assert sum(each.is_new for each in agreed) == 1
    assert len({each.proposal.confirmed_by for each in agreed}) == 1
    assert [action for action, _ in await acts(ledger)].count("proposal.confirmed") == 1


async def test_the_same_words_are_one_proposal_and_other_words_take_its_place(ledger: Ledger) -> None:
    first = await asyncio.gather(*(proposed(ledger) for _ in range(4)))
    assert len({each.id for each in first}) == 1
    second = await proposed(ledger, reason="Опечатка исправлена")
    assert second.id != first[0].id
    with pytest.raises(ProposalUnknown):
        await confirmed(ledger, BOLAT, first[0].id)
    other = await proposed(ledger, BOLAT)
    assert other.id not in (first[0].id, second.id)
    assert (await confirmed(ledger, BOLAT, second.id)).is_new


async def test_what_has_expired_makes_room(ledger: Ledger, now: FrozenNow) -> None:
    first = await proposed(ledger)
    now.move(LIFETIME + timedelta(seconds=1))
    second = await proposed(ledger)
    assert second.id != first.id
    assert (await confirmed(ledger, BOLAT, second.id)).is_new


async def test_the_second_person_reads_why(ledger: Ledger, now: FrozenNow) -> None:
    proposal = await proposed(ledger)

    async def listed(caller: Principal) -> list[tuple[UUID, str]]:
        async with ledger.db.reading() as session:
            found = await list_live(session, ledger.desk, caller, Kind.WAIVER, [THING], now=ledger.now())
        return [(each.proposal.id, each.reason) for each in found]

    assert await listed(BOLAT) == [(proposal.id, WORDS)]
    assert await listed(STRANGER) == []
    now.move(LIFETIME)
    assert await listed(BOLAT) == []


async def test_the_words_lie_sealed(ledger: Ledger) -> None:
    await proposed(ledger, payload={"note": WORDS})
    async with ledger.db.reading() as session:
        stored = (await session.execute(select(proposals))).all()
    assert WORDS.encode() not in b"".join(row.sealed for row in stored)
    assert WORDS not in str(stored)


async def test_not_even_a_wrong_door_lets_one_person_act_alone(ledger: Ledger) -> None:
    proposal = await proposed(ledger)
    with pytest.raises(IntegrityError):
        async with ledger.db.transaction() as session:
            await session.execute(
                update(proposals)
                .where(proposals.c.id == proposal.id)
                .values(state="confirmed", open_key=None, confirmed_by="anar", confirmed_at=ledger.now())
            )
