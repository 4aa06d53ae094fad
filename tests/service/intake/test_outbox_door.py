"""An operator sees an event that is stuck in intake's outbox, or that notifier never took."""

from datetime import timedelta

from sqlalchemy import insert, select, update

from common.missing import MISSING
from common.outbox import OUTBOX
from tests.service.intake.conftest import Intake

DOOR = "/v1/conservation/intake"


async def balance(intake: Intake) -> dict[str, object]:
    answer = await intake.client.get(DOOR, headers=intake.headers("intake", "operator"))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_an_event_that_does_not_leave_is_seen_after_a_minute(intake: Intake) -> None:
    assert (await intake.report()).status_code == 201
    young = await balance(intake)
    assert (young["holds"], young["waiting"], young["oldest_at"] is None) == (True, 0, False)
    intake.now.move(timedelta(minutes=2))
    old = await balance(intake)
    assert old["holds"] is False
    assert old["waiting"] == len(await intake.rows(OUTBOX)) > 0


async def test_an_event_that_a_reader_never_took_is_seen(intake: Intake) -> None:
    assert (await intake.report()).status_code == 201
    now = intake.now()
    async with intake.parts.db.transaction() as session:
        await session.execute(update(OUTBOX).values(published_at=now))
    assert (await balance(intake))["holds"] is True
    async with intake.parts.db.transaction() as session:
        [event_id, *_] = (await session.scalars(select(OUTBOX.c.id))).all()
        lost = {"event_id": event_id, "reader": "notifier", "found_at": now, "again_at": now, "times": 1}
        await session.execute(insert(MISSING).values(**lost))
    found = await balance(intake)
    assert found["holds"] is False
    assert found["missing"] == {"casework": 0, "notifier": 1}


async def test_nobody_but_an_operator_asks(intake: Intake) -> None:
    agency = intake.headers("intake", "agency", agency=intake.school, bodies=("education_org",))
    for headers in (agency, intake.headers("intake", "registrar")):
        assert (await intake.client.get(DOOR, headers=headers)).status_code == 403
    assert (await intake.client.get(DOOR)).status_code == 401
