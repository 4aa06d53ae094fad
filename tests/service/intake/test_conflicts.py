"""A conflict of interest is raised or lowered while an alert runs: content follows, whatever came first."""

import base64
import itertools
import json
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from common.contracts import Event
from common.contracts.notifier import ConflictLowered, ConflictRaised
from common.inbox import Together
from common.sealing import SealBroken, seal
from intake.app import build
from intake.settings import Settings
from tests.factories.intake import an_alert_body
from tests.service.intake.conftest import Intake


def sealed(intake: Intake, alert: UUID, *marks: str) -> str:
    public = intake.keys.sealing_public("denial")
    return base64.b64encode(seal(public, json.dumps(marks).encode(), str(alert).encode())).decode()


def raised(intake: Intake, alert: UUID, mark: str, minutes: int) -> ConflictRaised:
    at = intake.now() + timedelta(minutes=minutes)
    return ConflictRaised(alert_id=alert, raised_at=at, denied=sealed(intake, alert, mark), shut_out="")


def lowered(intake: Intake, alert: UUID, mark: str, minutes: int) -> ConflictLowered:
    at = intake.now() + timedelta(minutes=minutes)
    return ConflictLowered(alert_id=alert, lowered_at=at, denied=sealed(intake, alert, mark), shut_out="")


async def take(intake: Intake, *events: Event) -> None:
    effects = build(Settings(), intake.parts).effects
    for event in events:
        effect = effects[type(event)]
        assert not isinstance(effect, Together)
        async with intake.parts.db.transaction() as session:
            await effect(session, event, now=intake.now)


async def reported(intake: Intake) -> UUID:
    return await intake.internal_id(await intake.report(an_alert_body()))


async def test_content_that_was_open_a_moment_ago_is_gone(intake: Intake) -> None:
    alert = await reported(intake)
    assert (await intake.open_content(alert)).status_code == 200
    await take(intake, raised(intake, alert, f"agency:{intake.police}", 1))
    gone = await intake.open_content(alert)
    nothing = await intake.open_content(uuid4())
    assert (gone.status_code, gone.content) == (404, nothing.content)
    assert (await intake.open_content(alert, agency=uuid4())).status_code == 200


async def test_the_reporter_loses_its_own_alert(intake: Intake) -> None:
    answer = await intake.report(an_alert_body())
    headers = intake.headers("intake", agency=intake.school, bodies=("education_org",))
    path = f"/v1/alerts/{answer.json()['id']}"
    assert (await intake.client.get(path, headers=headers)).status_code == 200
    alert = await intake.internal_id(answer)
    await take(intake, raised(intake, alert, "role:education_org", 1))
    assert (await intake.client.get(path, headers=headers)).status_code == 404


async def test_the_same_stands_in_whatever_order_the_events_come(intake: Intake) -> None:
    for order in itertools.permutations(range(3)):
        alert = await reported(intake)
        mark = f"agency:{intake.police}"
        events = [
            raised(intake, alert, mark, 1),
            lowered(intake, alert, mark, 2),
            raised(intake, alert, mark, 3),
        ]
        await take(intake, *(events[at] for at in order), events[order[0]])
        assert (await intake.open_content(alert)).status_code == 404, order
        await take(intake, lowered(intake, alert, mark, 4))
        assert (await intake.open_content(alert)).status_code == 200, order


async def test_a_body_that_stands_in_reads_under_the_role_of_the_one_that_is_shut_out(intake: Intake) -> None:
    alert = await reported(intake)
    await take(intake, raised(intake, alert, "role:internal_affairs", 1))
    shut = await intake.open_content(alert)
    assert shut.status_code == 404
    above = await intake.open_content(alert, agency=uuid4(), holds=("central_state_body",))
    assert above.status_code == 200


async def test_a_sealing_for_another_alert_changes_nothing(intake: Intake) -> None:
    alert = await reported(intake)
    event = raised(intake, uuid4(), f"agency:{intake.police}", 1).model_copy(update={"alert_id": alert})
    with pytest.raises(SealBroken):
        await take(intake, event)
    assert (await intake.open_content(alert)).status_code == 200
