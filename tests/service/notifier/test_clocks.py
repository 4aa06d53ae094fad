"""What time does: notices leave by themselves, alarms, breaches, escalations without end."""

import base64
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import update

from common.contracts.intake import ContentOpened
from common.contracts.notifier import EscalationRaised, ObligationBreached, ObligationOpened
from common.outbox import OUTBOX
from common.sealing import unseal
from common.testing import FrozenNow
from notifier.jobs import jobs
from notifier.models import deliveries, escalations, notices, obligations
from tests.factories.notifier import T0, Ledger, an_agency
from tests.service.notifier.test_planning import rows

Turn = Callable[[], Awaitable[None]]


def turner(ledger: Ledger) -> Turn:
    """Everything that is done by time, once."""

    async def turn() -> None:
        for job in jobs(ledger.db, ledger.desk, ledger.now):
            await job.run()

    return turn


async def told(ledger: Ledger, kind: Any) -> list[Any]:
    found = await rows(ledger, OUTBOX, type=kind.type)
    return [kind.model_validate_json(row.data) for row in found]


async def open_role(ledger: Ledger, role: str, at: Any) -> None:
    [delivery] = await rows(ledger, deliveries, role=role)
    await ledger.take(ContentOpened(delivery_id=delivery.id, opened_at=at, person="client-1"))


async def test_an_unreleased_notice_leaves_four_hours_ahead_as_a_further_one(
    ledger: Ledger, now: FrozenNow
) -> None:
    await ledger.take(ledger.alert())
    turn = turner(ledger)
    [duty] = await rows(ledger, obligations, rule="R136-11.3")
    now.at = duty.due_at - timedelta(hours=4, seconds=1)
    await turn()
    assert await rows(ledger, deliveries, role="minors_commission") == []
    now.at = duty.due_at - timedelta(hours=4)
    await turn()
    await turn()
    [sent] = await rows(ledger, deliveries, role="minors_commission")
    [notice] = await rows(ledger, notices, delivery_id=sent.id)
    said = json.loads(notice.body)
    # 12(6) is due at the same moment towards the same commission: both leave in one notice.
    assert {one["rule"] for one in said["duties"]} == {"R136-11.3", "R136-12.6"}
    assert said["notice"] == 1
    [psc] = [row for row in await rows(ledger, deliveries, role="psych_support_centre") if row.notice_no == 2]
    assert psc.state == "waiting"
    [centre] = await rows(ledger, obligations, rule="R136-12.7a")
    assert centre.delivery_id == psc.id


async def test_a_breach_is_a_fact_beside_the_state_and_stays_when_met_late(
    ledger: Ledger, now: FrozenNow
) -> None:
    alert = ledger.alert()
    await ledger.take(alert)
    await open_role(ledger, "regional_child_rights_body", T0)
    [duty] = await rows(ledger, obligations, rule="R136-21")
    assert duty.state == "open"
    turn = turner(ledger)
    now.at = duty.breach_at - timedelta(seconds=1)
    await turn()
    [alarmed] = await rows(ledger, obligations, rule="R136-21")
    assert alarmed.alarmed_at is not None
    assert alarmed.breached_at is None
    now.at = duty.breach_at + timedelta(seconds=1)
    await turn()
    await turn()
    [breached] = await rows(ledger, obligations, rule="R136-21")
    assert (breached.state, breached.breached_at) == ("open", duty.breach_at)
    events = [one for one in await told(ledger, ObligationBreached) if duty.id in one.obligations]
    assert [event.breached_at for event in events] == [duty.breach_at]


async def test_a_pending_duty_alarms_from_its_projected_start_and_is_never_breached(
    ledger: Ledger, now: FrozenNow
) -> None:
    await ledger.take(ledger.alert())
    now.at = T0 + timedelta(days=60)
    await turner(ledger)()
    [duty] = await rows(ledger, obligations, rule="R136-21")
    assert duty.state == "pending"
    assert duty.alarmed_at is not None
    assert duty.breached_at is None
    [holder] = [
        row for row in await rows(ledger, deliveries, role="regional_child_rights_body") if row.notice_no == 1
    ]
    reasons = {row.reason for row in await rows(ledger, escalations, delivery_id=holder.id)}
    assert reasons >= {"silence", "not_sent"}


async def test_who_was_not_told_in_time_is_called_about(ledger: Ledger, now: FrozenNow) -> None:
    await ledger.take(ledger.alert())
    [regional] = await rows(ledger, deliveries, role="regional_child_rights_body")
    # Its own notice is on record as sent, yet by its own clock the duty's limit passes while it is pending.
    async with ledger.db.transaction() as session:
        await session.execute(
            update(obligations)
            .where(obligations.c.delivery_id == regional.id)
            .values(state="met", met_at=T0, next_check_at=None)
        )
    [duty] = await rows(ledger, obligations, rule="R136-12.2")
    now.at = duty.due_at
    await turner(ledger)()
    reasons = [row.reason for row in await rows(ledger, escalations, delivery_id=regional.id)]
    assert "holder_not_told" in reasons


async def test_a_met_duty_rests(ledger: Ledger, now: FrozenNow) -> None:
    await ledger.take(ledger.alert())
    await open_role(ledger, "internal_affairs", T0)
    [met] = await rows(ledger, obligations, rule="R136-8a")
    assert (met.state, met.next_check_at) == ("met", None)
    now.at = T0 + timedelta(days=30)
    await turner(ledger)()
    [met] = await rows(ledger, obligations, rule="R136-8a")
    assert (met.alarmed_at, met.breached_at) == (None, None)


async def test_the_true_start_moves_the_limits_of_the_recipients_duties(
    ledger: Ledger, now: FrozenNow
) -> None:
    alert = ledger.alert()
    await ledger.take(alert)
    [projected] = await rows(ledger, obligations, rule="R136-12.2")
    now.at = T0 + timedelta(hours=5)
    await open_role(ledger, "regional_child_rights_body", now.at)
    [started] = await rows(ledger, obligations, rule="R136-12.2")
    assert (started.state, started.starts_at) == ("open", now.at)
    assert started.due_at == projected.due_at + timedelta(hours=5)
    event = (await told(ledger, ObligationOpened))[-1]
    assert started.id in {one.obligation_id for one in event.obligations}
    sealed = base64.b64decode(event.assignees)
    owners = json.loads(unseal(ledger.keys.opening("assignee"), sealed, str(alert.alert_id).encode()))
    assert owners[str(started.id)] == str(ledger.agencies["regional_child_rights_body"])


async def test_silence_escalates_again_and_again(ledger: Ledger, now: FrozenNow) -> None:
    await ledger.take(ledger.alert())
    turn = turner(ledger)
    # The third alarm comes with another: the time of the duty itself is over.
    for level in (1, 2, 4, 5):
        now.move(timedelta(minutes=5, seconds=1))
        await turn()
        [police] = await rows(ledger, deliveries, role="internal_affairs")
        assert police.escalation_level == level
        assert police.next_wakeup_at > now()
    raised = await told(ledger, EscalationRaised)
    assert sorted(one.level for one in raised if one.delivery_id == police.id) == [1, 2, 3, 4, 5]
    reasons = [row.reason for row in await rows(ledger, escalations, delivery_id=police.id)]
    assert reasons.count("not_sent") == 1


async def test_an_answered_delivery_is_silent_for_good_reason(ledger: Ledger, now: FrozenNow) -> None:
    await ledger.take(ledger.alert())
    async with ledger.db.transaction() as session:
        await session.execute(
            update(deliveries).values(
                state="acknowledged", reason=None, next_wakeup_at=None, transmitted_at=T0, acknowledged_at=T0
            )
        )
    now.move(timedelta(days=3))
    await turner(ledger)()
    assert {row.escalation_level for row in await rows(ledger, deliveries) if row.notice_no == 1} == {0}


async def test_a_missing_route_is_tried_again_by_time_and_keeps_calling(
    ledger: Ledger, now: FrozenNow
) -> None:
    await ledger.take(ledger.alert(territory="KZ-10"))
    turn = turner(ledger)
    now.move(timedelta(minutes=6))
    await turn()
    [lost] = await rows(ledger, deliveries, role="internal_affairs")
    assert (lost.reason, lost.escalation_level) == ("blocked:no_route", 2)
    # A mandate that begins later needs no event: the next look finds it.
    police = uuid4()
    begins = now() + timedelta(minutes=1)
    await ledger.take(an_agency(police, "internal_affairs", territory="KZ-10", valid_from=begins))
    [lost] = await rows(ledger, deliveries, role="internal_affairs")
    assert lost.agency_id is None
    now.move(timedelta(minutes=6))
    await turn()
    [found] = await rows(ledger, deliveries, role="internal_affairs")
    assert found.agency_id == police
