"""Public figures: a conflict is in no month, and no published month changes."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert

from common.identity import ServiceTokens
from common.ids import new_id
from common.testing import FrozenNow
from notifier.models import exclusions
from tests.service.notifier.conftest import House

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
    assert row["concerns"]["violence"] == 12


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
