"""Public figures: a conflict is in no month, and no published month changes."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert

from common.contracts.vocabulary import Concern
from common.identity import ServiceTokens
from common.ids import new_id
from common.testing import FrozenNow
from notifier.domain.exclusion import Exclusion
from notifier.models import exclusions
from notifier.repository import exclusions as exclusion_rows
from notifier.service import exclusions as exclusion_service
from tests.service.notifier.conftest import House
from tests.service.notifier.test_changes import correction

OCTOBER = {"year": 2026, "month": 10}


@pytest.fixture
async def twelve(house: House) -> list[UUID]:
    """Twelve alerts of October 2026 in one region."""
    made = [house.ledger.alert() for _ in range(12)]
    for alert in made:
        await house.ledger.take(alert)
    return [UUID(str(alert.alert_id)) for alert in made]


async def ask(house: House, **span: Any) -> Any:
    """As the gateway asks for somebody without a token."""
    token = ServiceTokens(house.ledger.keys, "gateway", house.ledger.now).mint("notifier")
    return await house.get("/v1/statistics/alerts", {"Authorization": f"Bearer {token}"}, **span)


async def flag(house: House, alert_id: UUID) -> None:
    row = {
        "id": new_id(), "alert_id": alert_id, "mark": f"agency:{new_id()}", "agency_id": new_id(),
        "state": "in_force", "since": house.ledger.now(), "raised_by": "correction", "known": [],
    }  # fmt: skip
    async with house.ledger.db.transaction() as session:
        await session.execute(insert(exclusions).values(**row))


async def test_a_month_is_published_when_it_is_over(house: House, twelve: list[UUID], now: FrozenNow) -> None:
    early = await ask(house, **OCTOBER)
    assert early.status_code == 404
    assert twelve
    now.move(timedelta(days=9))
    shown = await ask(house, **OCTOBER)
    assert shown.status_code == 200
    [row] = shown.json()["items"]
    assert (row["region"], row["concerns"]["violence"]) == ("KZ-75", 12)
    assert shown.headers["cache-control"] == "public, max-age=3600"
    assert (await ask(house, year=2026)).status_code == 404


async def test_what_was_in_conflict_in_the_month_is_not_counted_before_the_yearly_release(
    house: House, twelve: list[UUID], now: FrozenNow
) -> None:
    await flag(house, twelve[0])
    now.move(timedelta(days=9))
    [row] = (await ask(house, **OCTOBER)).json()["items"]
    assert row["concerns"]["violence"] == 11
    now.move(timedelta(days=100))
    [row] = (await ask(house, year=2026)).json()["items"]
    assert row["concerns"]["violence"] == 11, "the year less its month would be the one"
    for alert in [house.ledger.alert() for _ in range(10)]:
        await house.ledger.take(alert)
    assert (await ask(house, year=2026)).json()["items"] == [row], "it came after the release"


async def test_a_year_counts_the_conflicts_where_they_are_many(
    house: House, twelve: list[UUID], now: FrozenNow
) -> None:
    more = [house.ledger.alert() for _ in range(10)]
    for alert in more:
        await house.ledger.take(alert)
        await flag(house, UUID(str(alert.alert_id)))
    assert twelve
    now.move(timedelta(days=109))
    [month] = (await ask(house, **OCTOBER)).json()["items"]
    [year] = (await ask(house, year=2026)).json()["items"]
    assert (month["concerns"]["violence"], year["concerns"]["violence"]) == (12, 22)


async def test_a_published_month_does_not_change_by_what_is_learned_later(
    house: House, now: FrozenNow
) -> None:
    made = [house.ledger.alert() for _ in range(12)]
    for alert in made:
        await house.ledger.take(alert)
    bullying = (Concern.BULLYING,)
    await house.ledger.take(correction(house.ledger, made[0], concerns=bullying))
    now.move(timedelta(days=9))
    before = await ask(house, **OCTOBER)
    [row] = before.json()["items"]
    assert row["concerns"]["violence"] == 11, "what was learned in the month counts"
    for alert in made:
        await house.ledger.take(correction(house.ledger, alert, 3, concerns=bullying))
    late = house.ledger.alert()
    await house.ledger.take(late)
    assert (await ask(house, **OCTOBER)).content == before.content
    now.move(timedelta(days=100))
    [row] = (await ask(house, year=2026)).json()["items"]
    assert (row["concerns"]["violence"], row["concerns"]["bullying"]) == (11, 12)
    for alert in made:
        await house.ledger.take(correction(house.ledger, alert, 4))
    assert (await ask(house, year=2026)).json()["items"] == [row]


async def test_a_published_month_does_not_change_when_a_conflict_is_lifted_and_raised_again(
    house: House, twelve: list[UUID], now: FrozenNow
) -> None:
    shut_out = Exclusion(twelve[0], agency_id=house.ledger.agencies["education_org"])
    row = exclusion_service.row_of(shut_out, raised_by="correction", since=now())
    async with house.ledger.db.transaction() as session:
        await exclusion_rows.add_exclusions(session, [row])
    now.move(timedelta(days=9))
    before = (await ask(house, **OCTOBER)).content
    lifted = {"state": "lifted", "lifted_at": now()}
    raised = {"state": "in_force", "lifted_at": None, "since": now() + timedelta(hours=1)}
    for values in (lifted, raised):
        async with house.ledger.db.transaction() as session:
            await exclusion_rows.set_exclusion(session, UUID(str(row["id"])), values)
        assert (await ask(house, **OCTOBER)).content == before


async def test_a_published_month_does_not_change_by_a_late_flag(
    house: House, twelve: list[UUID], now: FrozenNow
) -> None:
    now.move(timedelta(days=9))
    before = (await ask(house, **OCTOBER)).content
    await flag(house, twelve[0])
    assert (await ask(house, **OCTOBER)).content == before


@pytest.mark.parametrize("span", [{}, {"year": 1}, {"year": 2026, "month": 13}, {"year": "x"}])
async def test_a_time_that_is_none_is_refused(house: House, span: dict[str, Any]) -> None:
    assert (await ask(house, **span)).status_code == 422
