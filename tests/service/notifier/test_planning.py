"""One alert in the ledger: duties, deliveries, notices, and who is never told."""

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

from joserfc import jwe
from joserfc.jwk import OctKey
from sqlalchemy import select

from common.contracts.registry import BodyDeclaredAbsent
from common.contracts.vocabulary import Concern
from common.testing import FrozenNow
from notifier.models import alert_handles, alerts, audit, deliveries, escalations, notices, obligations
from tests.factories.notifier import LONG_AGO, T0, Ledger, an_agency


async def rows(ledger: Ledger, table: Any, **where: Any) -> list[Any]:
    query = select(table)
    for name, value in where.items():
        query = query.where(table.c[name] == value)
    async with ledger.db.reading() as session:
        return list((await session.execute(query)).all())


async def test_violence_at_a_school_is_fanned_out_to_the_bodies_the_law_names(ledger: Ledger) -> None:
    alert = ledger.alert()
    await ledger.take(alert)
    told = {row.role: row for row in await rows(ledger, deliveries)}
    assert set(told) == {
        "internal_affairs", "regional_child_rights_body", "regional_child_ombudsman",
        "child_rights_authority", "national_child_ombudsman", "family_mobile_group",
        "psych_support_centre", "child_violence_help_cabinet",
    }  # fmt: skip
    assert all(row.agency_id == ledger.agencies[role] for role, row in told.items())
    assert all((row.state, row.reason) == ("waiting", "pull") for row in told.values())
    assert told["internal_affairs"].urgency == 0
    assert told["internal_affairs"].deadline_at == T0 + timedelta(minutes=15)
    assert told["child_rights_authority"].urgency == 1


async def test_duties_that_leave_together_share_one_notice(ledger: Ledger) -> None:
    await ledger.take(ledger.alert())
    [ombudsman] = await rows(ledger, deliveries, role="regional_child_ombudsman")
    carried = await rows(ledger, obligations, delivery_id=ombudsman.id)
    assert {row.rule for row in carried} == {"R136-8c", "R136-12.3a"}
    [notice] = await rows(ledger, notices, delivery_id=ombudsman.id)
    said = json.loads(notice.body)
    assert {duty["rule"] for duty in said["duties"]} == {"R136-8c", "R136-12.3a"}
    assert said["notice"] == 1
    assert len(notice.body) <= 4096


async def test_a_notice_holds_the_pairwise_id_and_a_grant_for_its_agency_alone(
    ledger: Ledger, now: FrozenNow
) -> None:
    alert = ledger.alert()
    await ledger.take(alert)
    [delivery] = await rows(ledger, deliveries, role="internal_affairs")
    [notice] = await rows(ledger, notices, delivery_id=delivery.id)
    said = json.loads(notice.body)
    assert said["alert"] != str(alert.alert_id)
    handles = {row.agency_id: row for row in await rows(ledger, alert_handles)}
    assert said["alert"] == str(handles[delivery.agency_id].handle)
    assert handles[ledger.agencies["education_org"]].is_reporter == "y"
    key = OctKey.import_key(ledger.keys.secret("grant"))
    opened = jwe.decrypt_compact(said["content"]["grant"], key, algorithms=["dir", "A256GCM"])
    grant = json.loads(opened.plaintext or b"")
    assert grant["delivery"] == str(delivery.id)
    assert grant["alert"] == str(alert.alert_id)
    assert grant["agency"] == str(delivery.agency_id)
    assert grant["bodies"] == ["internal_affairs"]
    assert grant["exp"] > grant["iat"] == int(now().timestamp())
    assert str(alert.alert_id) not in notice.body.decode()


async def test_the_same_alert_twice_is_planned_once(ledger: Ledger) -> None:
    alert = ledger.alert()
    await ledger.take(alert)
    before = len(await rows(ledger, deliveries))
    await ledger.take(alert)
    assert len(await rows(ledger, deliveries)) == before
    assert len(await rows(ledger, alerts)) == 1


async def test_an_implicated_agency_is_never_addressed_and_without_a_superior_a_person_is_called(
    ledger: Ledger,
) -> None:
    police = ledger.agencies["internal_affairs"]
    await ledger.take(ledger.alert(implicated=(police,)))
    assert police not in {row.agency_id for row in await rows(ledger, deliveries)}
    assert police not in {row.agency_id for row in await rows(ledger, alert_handles)}
    [lost] = await rows(ledger, deliveries, role="internal_affairs")
    assert (lost.agency_id, lost.reason, lost.escalation_level) == (None, "blocked:no_route", 1)
    assert {row.rule for row in await rows(ledger, obligations, delivery_id=lost.id)} == {"R136-8a"}


async def test_the_reporting_agency_gets_no_notice_of_its_own_report(ledger: Ledger) -> None:
    police = ledger.agencies["internal_affairs"]
    await ledger.take(ledger.alert(reporter_agency=police, reporter="internal_affairs"))
    assert police not in {row.agency_id for row in await rows(ledger, deliveries)}


async def test_a_partner_that_reported_is_called_out_like_any_other(ledger: Ledger) -> None:
    ombudsman = ledger.agencies["regional_child_ombudsman"]
    await ledger.take(ledger.alert(reporter_agency=ombudsman, reporter="regional_child_ombudsman"))
    [call] = [row for row in await rows(ledger, deliveries) if row.agency_id == ombudsman]
    carried = await rows(ledger, obligations, delivery_id=call.id)
    assert {row.rule for row in carried} == {"R136-12.3a"}
    own = {row.rule: row.state for row in await rows(ledger, obligations, obliged="regional_child_ombudsman")}
    assert own.pop("R136-12.3c") == "pending"  # it starts with the call, not with the report
    assert set(own.values()) == {"open"}


async def test_duties_with_days_wait_for_their_time(ledger: Ledger) -> None:
    await ledger.take(ledger.alert())
    [waiting] = await rows(ledger, obligations, rule="R136-11.3")
    assert waiting.delivery_id is None
    assert waiting.dispatch_at == waiting.due_at - timedelta(hours=4)
    assert "minors_commission" not in {row.role for row in await rows(ledger, deliveries)}


async def test_nobody_holds_the_role_and_nobody_forgets_it(ledger: Ledger, now: FrozenNow) -> None:
    await ledger.take(ledger.alert(territory="KZ-10"))
    lost = [row for row in await rows(ledger, deliveries) if row.agency_id is None]
    assert {row.role for row in lost} >= {"internal_affairs", "regional_child_rights_body"}
    for row in lost:
        assert (row.state, row.reason) == ("waiting", "blocked:no_route")
        assert row.next_wakeup_at > now()
        assert row.escalation_level == 1
    raised = await rows(ledger, escalations)
    assert {row.delivery_id for row in raised} == {row.id for row in lost}


async def test_what_had_no_holder_is_addressed_when_the_registry_names_one(ledger: Ledger) -> None:
    await ledger.take(ledger.alert(territory="KZ-10"))
    police = uuid4()
    await ledger.take(an_agency(police, "internal_affairs", territory="KZ-10"))
    [found] = await rows(ledger, deliveries, role="internal_affairs")
    assert (found.agency_id, found.state, found.reason, found.notice_no) == (police, "waiting", "pull", 1)
    [notice] = await rows(ledger, notices, delivery_id=found.id)
    assert json.loads(notice.body)["duties"][0]["rule"] == "R136-8a"
    assert [row.recipient_agency_id for row in await rows(ledger, obligations, delivery_id=found.id)] == [
        police
    ]
    assert police in {row.agency_id for row in await rows(ledger, alert_handles)}


async def test_a_late_holder_that_is_implicated_is_not_addressed_either(ledger: Ledger) -> None:
    police = uuid4()
    await ledger.take(ledger.alert(territory="KZ-10", implicated=(police,)))
    await ledger.take(an_agency(police, "internal_affairs", territory="KZ-10"))
    [lost] = await rows(ledger, deliveries, role="internal_affairs")
    assert (lost.agency_id, lost.state, lost.reason) == (None, "waiting", "blocked:no_route")
    assert await rows(ledger, notices, delivery_id=lost.id) == []
    above = uuid4()
    await ledger.take(an_agency(above, "central_state_body", territory="KZ"))
    await ledger.take(an_agency(police, "internal_affairs", territory="KZ-10", version=2, superior=above))
    [found] = await rows(ledger, deliveries, role="internal_affairs")
    assert found.agency_id == above


async def test_guardianship_stands_in_only_where_a_body_is_declared_absent(ledger: Ledger) -> None:
    await ledger.take(ledger.alert())
    assert "guardianship_body" not in {row.role for row in await rows(ledger, deliveries)}
    await ledger.take(
        BodyDeclaredAbsent(
            absence_id=uuid4(),
            version=1,
            role="regional_child_rights_body",
            territory="KZ-75",
            valid_from=LONG_AGO,
        )
    )
    alert = ledger.alert()
    await ledger.take(alert)
    told = {row.role for row in await rows(ledger, deliveries, alert_id=alert.alert_id)}
    assert "guardianship_body" in told
    assert "regional_child_rights_body" not in told


async def test_older_versions_of_an_agency_are_ignored(ledger: Ledger) -> None:
    police = ledger.agencies["internal_affairs"]
    await ledger.take(an_agency(police, "prosecutor", version=3))
    await ledger.take(an_agency(police, "internal_affairs", version=2))
    await ledger.take(ledger.alert())
    [lost] = await rows(ledger, deliveries, role="internal_affairs")
    assert lost.agency_id is None


async def test_every_act_is_on_record(ledger: Ledger) -> None:
    alert = ledger.alert(concerns=(Concern.VIOLENCE,))
    await ledger.take(alert)
    acts = await rows(ledger, audit, alert_id=alert.alert_id)
    planned = await rows(ledger, deliveries)
    assert {row.subject_id for row in acts if row.action == "delivery.planned"} == {row.id for row in planned}
    assert [row.action for row in acts].count("alert.planned") == 1


async def test_an_alert_for_which_the_law_names_nobody_calls_for_a_person(ledger: Ledger) -> None:
    silent = ledger.alert(concerns=(Concern.OTHER,))
    await ledger.take(silent)
    assert await rows(ledger, deliveries) == []
    [row] = await rows(ledger, alerts)
    assert row.needs_a_person == "nobody_obliged"
    assert await rows(ledger, audit, action="alert.nobody_obliged")


async def test_an_alert_that_obliges_somebody_calls_for_nobody_else(ledger: Ledger) -> None:
    await ledger.take(ledger.alert())
    [row] = await rows(ledger, alerts)
    assert row.needs_a_person is None
