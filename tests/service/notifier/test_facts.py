"""Later facts: they meet, open and never close by themselves; repeated or reordered they change nothing."""

import base64
import json
import random
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from common.contracts.casework import CaseFactRecorded
from common.contracts.vocabulary import Concern
from common.outbox import OUTBOX
from common.sealing import SealBroken, seal
from common.testing import FrozenNow
from notifier.domain.later import LaterFact
from notifier.jobs import jobs
from notifier.models import audit, deliveries, later_facts, notices, obligations
from notifier.repository import facts as fact_rows
from notifier.repository.obligations import set_obligation
from notifier.service import clocks
from notifier.service.facts import take_fact
from tests.factories.notifier import T0, Ledger
from tests.service.notifier.test_clocks import open_role

HOUR = timedelta(hours=1)
REGIONAL = "regional_child_rights_body"


async def rows(ledger: Ledger, table: Any, **where: Any) -> list[Any]:
    query = select(table)
    for name, value in where.items():
        query = query.where(table.c[name] == value)
    async with ledger.db.reading() as session:
        return list((await session.execute(query)).all())


async def tell(ledger: Ledger, alert_id: UUID, code: str, at: datetime, **more: Any) -> LaterFact:
    fact = LaterFact(id=more.pop("id", None) or uuid4(), code=code, at=at, **more)
    await take(ledger, fact, alert_id)
    return fact


async def take(ledger: Ledger, fact: LaterFact, *alerts: UUID) -> None:
    async with ledger.db.transaction() as session:
        await take_fact(session, ledger.desk, fact, alerts, actor="casework", now=ledger.now())


async def by_time(ledger: Ledger) -> None:
    [job] = [job for job in jobs(ledger.db, ledger.desk, ledger.now) if job.name == "settle_facts"]
    await job.run()


async def told(ledger: Ledger, kind: str) -> list[dict[str, Any]]:
    return [json.loads(row.data) for row in await rows(ledger, OUTBOX, type=f"kz.dabyl.obligation.{kind}.v1")]


async def test_a_visit_meets_the_duty_to_visit_by_its_edition(ledger: Ledger) -> None:
    alert = ledger.alert()
    await ledger.take(alert)
    visit = await tell(ledger, alert.alert_id, "visit.recorded", T0 + HOUR)
    edition = ledger.desk.lawbook.edition_at(T0)
    for row in await rows(ledger, obligations, alert_id=alert.alert_id):
        meets = "visit.recorded" in edition.rule(row.rule).evidence
        assert (row.state == "met") is meets, row.rule
        assert (row.evidence_id, row.met_at) == ((visit.id, T0 + HOUR) if meets else (None, None))
    [met] = await told(ledger, "met")
    assert datetime.fromisoformat(met["met_at"]) == T0 + HOUR
    done = await rows(ledger, audit, action="duty.met")
    assert {(row.actor, row.detail["fact"], row.detail["evidence"]) for row in done} == {
        ("casework", "visit.recorded", str(visit.id))
    }


async def test_told_of_bullying_the_commission_has_its_ten_days_and_not_told_it_owes_nothing(
    ledger: Ledger,
) -> None:
    asked, told_no = (ledger.alert(concerns=(Concern.BULLYING,)) for _ in range(2))
    for alert, code in ((asked, "commission.told"), (told_no, "commission.not_told")):
        await ledger.take(alert)
        await tell(ledger, alert.alert_id, code, T0 + HOUR)
        [decision] = await rows(ledger, obligations, alert_id=alert.alert_id, rule="R136-12.6.bullying")
        assert (decision.state, decision.met_at) == ("met", T0 + HOUR)
    assert await rows(ledger, obligations, alert_id=told_no.alert_id, rule="R136-29") == []
    [owed] = await rows(ledger, obligations, alert_id=asked.alert_id, rule="R136-29")
    assert (owed.state, owed.starts_at) == ("open", T0 + HOUR)
    assert owed.obliged_agency_id == ledger.agencies["minors_commission"]
    await tell(ledger, asked.alert_id, "commission.decided", T0 + 2 * HOUR)
    [owed] = await rows(ledger, obligations, alert_id=asked.alert_id, rule="R136-29")
    assert owed.state == "met"


async def test_a_commission_that_has_its_duty_already_gets_no_second_one(ledger: Ledger) -> None:
    alert = ledger.alert(concerns=(Concern.BULLYING, Concern.VIOLENCE))
    await ledger.take(alert)
    [before] = await rows(ledger, obligations, alert_id=alert.alert_id, rule="R136-29")
    await tell(ledger, alert.alert_id, "commission.told", T0 + HOUR)
    [after] = await rows(ledger, obligations, alert_id=alert.alert_id, rule="R136-29")
    assert (after.id, after.state, after.starts_at) == (before.id, before.state, before.starts_at)


async def test_a_duty_met_late_is_breached_and_stays_so(ledger: Ledger, now: FrozenNow) -> None:
    alert = ledger.alert(direct_threat=True)
    await ledger.take(alert)
    [duty] = await rows(ledger, obligations, rule="R136-12.2")
    async with ledger.db.transaction() as session:
        await set_obligation(session, duty.id, {"state": "open"})
    at = duty.breach_at + HOUR
    await tell(ledger, alert.alert_id, "case_manager.appointed", at)
    [late] = await rows(ledger, obligations, rule="R136-12.2")
    assert (late.state, late.met_at, late.breached_at) == ("met", at, duty.breach_at)
    [breach] = await told(ledger, "breached")
    assert breach["obligations"] == [str(duty.id)]


async def test_a_duty_met_in_time_and_heard_of_after_the_limit_is_not_breached(
    ledger: Ledger, now: FrozenNow
) -> None:
    alert = ledger.alert(direct_threat=True)
    await ledger.take(alert)
    [duty] = await rows(ledger, obligations, rule="R136-12.2")
    async with ledger.db.transaction() as session:
        await set_obligation(session, duty.id, {"state": "open"})
    now.move(duty.breach_at - now() + HOUR)
    async with ledger.db.transaction() as session:
        await clocks.turn_clocks(session, ledger.desk, now=now())
    [breached] = await rows(ledger, obligations, rule="R136-12.2")
    assert breached.breached_at == duty.breach_at
    at = duty.breach_at - HOUR
    await tell(ledger, alert.alert_id, "case_manager.appointed", at)
    [met] = await rows(ledger, obligations, rule="R136-12.2")
    assert (met.state, met.met_at) == ("met", at)
    assert (met.breached_at, met.breach_owner_id, met.breach_reason) == (None, None, None)
    assert len(await rows(ledger, audit, action="duty.breach_lifted")) == 1


async def test_a_notice_taken_in_time_and_written_after_the_limit_is_not_breached(
    ledger: Ledger, now: FrozenNow
) -> None:
    """The database was away when the agency took it, and the clock was quicker afterwards."""
    await ledger.take(ledger.alert())
    [duty] = await rows(ledger, obligations, rule="R136-8a")
    limit = T0 + HOUR
    async with ledger.db.transaction() as session:
        await set_obligation(session, duty.id, {"breach_at": limit, "due_at": limit, "next_check_at": limit})
    now.move(2 * HOUR)
    async with ledger.db.transaction() as session:
        await clocks.turn_clocks(session, ledger.desk, now=now())
    [breached] = await rows(ledger, obligations, rule="R136-8a")
    assert (breached.state, breached.breached_at) == ("open", limit)
    await open_role(ledger, "internal_affairs", limit - timedelta(seconds=1))
    [met] = await rows(ledger, obligations, rule="R136-8a")
    assert (met.state, met.met_at) == ("met", limit - timedelta(seconds=1))
    assert (met.breached_at, met.breach_owner_id, met.breach_reason) == (None, None, None)
    assert len(await rows(ledger, audit, action="duty.breach_lifted")) == 1
    assert [one["met_at"] for one in await told(ledger, "met") if str(duty.id) in one["obligations"]] == [
        "2026-10-23T10:59:59Z"
    ]


async def test_a_notice_taken_after_the_limit_stays_breached(ledger: Ledger, now: FrozenNow) -> None:
    await ledger.take(ledger.alert())
    [duty] = await rows(ledger, obligations, rule="R136-8a")
    limit = T0 + HOUR
    async with ledger.db.transaction() as session:
        await set_obligation(session, duty.id, {"breach_at": limit, "due_at": limit, "next_check_at": limit})
    now.move(2 * HOUR)
    async with ledger.db.transaction() as session:
        await clocks.turn_clocks(session, ledger.desk, now=now())
    await open_role(ledger, "internal_affairs", limit + timedelta(seconds=1))
    [met] = await rows(ledger, obligations, rule="R136-8a")
    assert (met.state, met.breached_at, met.breach_reason) == ("met", limit, "not_sent")
    assert await rows(ledger, audit, action="duty.breach_lifted") == []


async def test_a_fact_that_is_told_while_others_take_effect_is_not_taken_for_applied(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not among those that were looked at."""
    alert = ledger.alert()
    await ledger.take(alert)
    original = fact_rows.list_facts
    late = LaterFact(id=uuid4(), code="assessment.signed", at=T0 + HOUR)

    async def list_and_be_overtaken(session: Any, alert_id: UUID) -> Any:
        found = await original(session, alert_id)
        values = {
            "alert_id": alert_id, "evidence_id": late.id, "code": late.code, "happened_at": late.at,
            "body": None, "agency_id": None, "replaces": None, "actor": "casework",
            "recorded_at": ledger.now(), "applied_at": None,
        }  # fmt: skip
        await fact_rows.add_facts(session, [values])
        return found

    monkeypatch.setattr(fact_rows, "list_facts", list_and_be_overtaken)
    await tell(ledger, alert.alert_id, "visit.recorded", T0 + HOUR)
    monkeypatch.undo()
    waiting = {row.code for row in await rows(ledger, later_facts) if row.applied_at is None}
    assert waiting == {"assessment.signed"}
    await by_time(ledger)
    assert all(row.applied_at for row in await rows(ledger, later_facts))


async def test_a_duty_whose_holder_was_never_told_is_met_without_a_breach(ledger: Ledger) -> None:
    alert = ledger.alert()
    await ledger.take(alert)
    [duty] = await rows(ledger, obligations, rule="R136-12.2")
    assert duty.state == "pending"
    await tell(ledger, alert.alert_id, "case_manager.appointed", duty.breach_at + HOUR)
    [met] = await rows(ledger, obligations, rule="R136-12.2")
    assert (met.state, met.breached_at) == ("met", None)
    assert await told(ledger, "breached") == []


async def test_a_signed_assessment_opens_what_follows_with_clocks_of_its_own(ledger: Ledger) -> None:
    alert = ledger.alert()
    await ledger.take(alert)
    before = {row.id for row in await rows(ledger, obligations)}
    at = T0 + 30 * HOUR
    await tell(ledger, alert.alert_id, "assessment.signed", at)
    opened = [row for row in await rows(ledger, obligations) if row.id not in before]
    assert {row.rule for row in opened} >= {"R136-22", "R136-A1.appr"}
    assert all((row.state, row.starts_at, row.since) == ("open", at, at) for row in opened)
    [approve] = [row for row in opened if row.rule == "R136-A1.appr"]
    assert approve.obliged_agency_id == ledger.agencies[REGIONAL]
    news = [duty["rule"] for event in await told(ledger, "opened") for duty in event["obligations"]]
    assert news.count("R136-22") == len([row for row in opened if row.rule == "R136-22"])
    assert {row.subject_id for row in await rows(ledger, audit, action="duty.opened")} == {
        row.id for row in opened
    }


async def test_what_a_fact_sends_is_the_agencys_next_notice(ledger: Ledger) -> None:
    alert = ledger.alert()
    await ledger.take(alert)
    highest = {row.agency_id: row.notice_no for row in await rows(ledger, deliveries)}
    for code in ("assessment.signed", "plan.drafted", "measure.assigned.psychological", "specialists.needed"):
        await tell(ledger, alert.alert_id, code, T0 + 2 * HOUR)
    sent = [row for row in await rows(ledger, deliveries) if row.notice_no > highest.get(row.agency_id, 0)]
    for row in sent:
        assert row.notice_no == highest.get(row.agency_id, 0) + 1 or row.agency_id is None
        if row.agency_id is not None:
            [notice] = await rows(ledger, notices, delivery_id=row.id)
            assert json.loads(notice.body)["notice"] == row.notice_no


async def test_an_excluded_body_gets_nothing_by_a_later_fact_either(ledger: Ledger) -> None:
    centre = ledger.agencies["psych_support_centre"]
    alert = ledger.alert(implicated=(centre,))
    await ledger.take(alert)
    for code in ("measure.assigned.psychological", "plan.approved", "assessment.signed", "request.accepted"):
        await tell(ledger, alert.alert_id, code, T0 + HOUR)
    assert centre not in {row.agency_id for row in await rows(ledger, deliveries)}
    assert centre not in {row.obliged_agency_id for row in await rows(ledger, obligations)}


async def test_a_fact_before_its_alert_waits_and_is_not_lost(ledger: Ledger) -> None:
    alert = ledger.alert()
    visit = await tell(ledger, alert.alert_id, "visit.recorded", T0 + HOUR)
    [kept] = await rows(ledger, later_facts)
    assert kept.applied_at is None
    await by_time(ledger)
    assert await rows(ledger, obligations) == []
    await ledger.take(alert)
    await by_time(ledger)
    assert visit.id in {row.evidence_id for row in await rows(ledger, obligations)}
    [kept] = await rows(ledger, later_facts)
    assert kept.applied_at is not None


async def test_one_body_does_not_meet_what_another_owes(ledger: Ledger) -> None:
    alert = ledger.alert()
    await ledger.take(alert)
    for code in ("assessment.signed", "plan.drafted", "measure.assigned.psychological"):
        await tell(ledger, alert.alert_id, code, T0 + HOUR)
    centre = ledger.agencies["psych_support_centre"]
    owed = [
        row
        for row in await rows(ledger, obligations)
        if "measure.completed" in ledger.desk.lawbook.edition(row.edition).rule(row.rule).evidence
    ]
    assert owed
    await tell(ledger, alert.alert_id, "measure.completed", T0 + 2 * HOUR, agency=uuid4())
    assert {row.state for row in await rows(ledger, obligations) if row.id in {one.id for one in owed}} == {
        "open"
    }
    await tell(ledger, alert.alert_id, "measure.completed", T0 + 3 * HOUR, agency=centre)
    for row in await rows(ledger, obligations):
        if row.id in {one.id for one in owed}:
            assert (row.state == "met") is (row.obliged_agency_id == centre)


def a_case_fact(ledger: Ledger, alert_id: UUID, by: UUID | None, **more: Any) -> CaseFactRecorded:
    evidence = uuid4()
    sealed = None
    if by is not None:
        document = json.dumps({"agency": str(by)}).encode()
        sealed = base64.b64encode(
            seal(ledger.keys.sealing_public("routing"), document, str(evidence).encode())
        ).decode()
    given: dict[str, Any] = {"fact": "offence_check.recorded", "happened_at": T0 + HOUR, "by": sealed}
    return CaseFactRecorded(case_id=uuid4(), alert_ids=(alert_id,), evidence_id=evidence, **given | more)


async def test_what_casework_tells_meets_the_duties_of_the_body_that_recorded_it(ledger: Ledger) -> None:
    alert = ledger.alert()
    await ledger.take(alert)
    visited = {"fact": "visit.recorded"}
    await ledger.take(a_case_fact(ledger, alert.alert_id, uuid4(), **visited))
    assert await rows(ledger, obligations, state="met") == []
    visit = a_case_fact(ledger, alert.alert_id, ledger.agencies["family_mobile_group"], **visited)
    await ledger.take(visit)
    met = await rows(ledger, obligations, state="met")
    assert met
    assert {(row.obliged_agency_id, row.evidence_id) for row in met} == {
        (ledger.agencies["family_mobile_group"], visit.evidence_id)
    }


async def test_a_body_sealed_for_another_record_is_not_taken(ledger: Ledger) -> None:
    alert = ledger.alert()
    await ledger.take(alert)
    real = a_case_fact(ledger, alert.alert_id, ledger.agencies[REGIONAL])
    with pytest.raises(SealBroken):
        await ledger.take(real.model_copy(update={"evidence_id": uuid4()}))
    assert await rows(ledger, later_facts) == []


async def test_a_superseding_record_takes_the_place_of_the_first(ledger: Ledger) -> None:
    alert = ledger.alert()
    await ledger.take(alert)
    first = await tell(ledger, alert.alert_id, "visit.recorded", T0 + HOUR)
    second = await tell(ledger, alert.alert_id, "visit.recorded", T0 + 5 * HOUR, replaces=first.id)
    met = await rows(ledger, obligations, state="met")
    assert met
    assert {(row.evidence_id, row.met_at) for row in met} == {(second.id, T0 + 5 * HOUR)}


CHAIN = (
    ("case.opened", 1), ("visit.recorded", 2), ("inspection_act.signed", 3), ("assessment.completed", 20),
    ("assessment.signed", 21), ("assessment.approved", 22), ("plan.drafted", 30), ("plan.consented", 31),
    ("plan.approved", 40), ("measure.assigned.medical", 41), ("measure.completed", 60),
    ("commission.decided", 70), ("parents.informed", 71), ("assessment.signed", 90), ("visit.recorded", 91),
)  # fmt: skip


async def _ledger_after(ledger: Ledger, seed: int | None) -> set[tuple[Any, ...]]:
    alert = ledger.alert()
    await ledger.take(alert)
    facts = [
        LaterFact(id=UUID(int=place + 1), code=code, at=T0 + hours * HOUR)
        for place, (code, hours) in enumerate(CHAIN)
    ]
    order = list(facts)
    if seed is not None:
        order += facts[::2]
        random.Random(seed).shuffle(order)
    for fact in order:
        await take(ledger, fact, alert.alert_id)
    return {
        (
            row.rule, row.obliged, row.recipient, row.state, row.starts_at, row.due_at, row.breach_at,
            row.met_at, row.evidence_id, row.since, row.breached_at,
        )
        for row in await rows(ledger, obligations, alert_id=alert.alert_id)
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
async def test_facts_repeated_and_in_any_order_give_the_same_ledger(ledger: Ledger, seed: int) -> None:
    assert await _ledger_after(ledger, seed) == await _ledger_after(ledger, None)


async def test_a_fact_twice_tells_nobody_twice(ledger: Ledger) -> None:
    alert = ledger.alert()
    await ledger.take(alert)
    fact = await tell(ledger, alert.alert_id, "assessment.signed", T0 + HOUR)
    before = (
        len(await told(ledger, "met")),
        len(await told(ledger, "opened")),
        len(await rows(ledger, audit)),
    )
    await take(ledger, fact, alert.alert_id)
    after = (
        len(await told(ledger, "met")),
        len(await told(ledger, "opened")),
        len(await rows(ledger, audit)),
    )
    assert after == before


async def test_clocks_of_opened_duties_run(ledger: Ledger, now: FrozenNow) -> None:
    alert = ledger.alert()
    await ledger.take(alert)
    await tell(ledger, alert.alert_id, "assessment.signed", T0 + HOUR)
    watched = [row for row in await rows(ledger, obligations) if row.since and row.due_at]
    assert watched
    assert all(row.next_check_at is not None for row in watched)
    now.move(timedelta(days=40))
    async with ledger.db.transaction() as session:
        await clocks.turn_clocks(session, ledger.desk, now=now())
    late = {row.id: row for row in await rows(ledger, obligations)}
    assert all(late[row.id].alarmed_at is not None for row in watched)
