"""The pull inbox: handing over is transmission, and nothing falls through between two looks."""

import asyncio
import base64
import hashlib
from datetime import timedelta
from typing import Any

from sqlalchemy import update

from common.testing import FrozenNow
from notifier.models import attempts, deliveries, obligations
from tests.service.notifier.conftest import House

CABINET = "child_violence_help_cabinet"
POLICE = "internal_affairs"


async def pull(house: House, role: str, **params: Any) -> dict[str, Any]:
    answer = await house.get("/v1/inbox", house.as_agency(role), **params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_reading_hands_over(house: House, now: FrozenNow) -> None:
    await house.ledger.take(house.ledger.alert())
    page = await pull(house, POLICE)
    [item] = page["items"]
    body = base64.b64decode(item["notice_bytes"])
    assert hashlib.sha256(body).hexdigest() == item["notice_digest"]
    assert item["notice"]["delivery"] == item["delivery"]
    [row] = await house.rows(deliveries, role=POLICE)
    assert (row.state, row.transmitted_at) == ("transmitted", now())
    [attempt] = await house.rows(attempts, delivery_id=row.id)
    assert attempt.outcome == "pulled"
    [met] = await house.rows(obligations, rule="R136-8a")
    assert met.state == "met"


async def test_an_agency_gets_nothing_of_anybody_else(house: House) -> None:
    await house.ledger.take(house.ledger.alert())
    assert (await pull(house, "minors_commission"))["items"] == []
    states = {row.state for row in await house.rows(deliveries)}
    assert states == {"waiting"}


async def test_the_cursor_goes_on_and_what_was_never_handed_over_comes_all_the_same(
    house: House, now: FrozenNow
) -> None:
    for _ in range(3):
        await house.ledger.take(house.ledger.alert())
        now.move(timedelta(seconds=1))
    first = await pull(house, POLICE, limit=2)
    assert len(first["items"]) == 2
    second = await pull(house, POLICE, limit=2, after=first["next"])
    assert len(second["items"]) == 1
    assert (await pull(house, POLICE, after=second["next"]))["items"] == []
    # One whose transaction committed late carries an earlier time than the cursor.
    await house.ledger.take(house.ledger.alert())
    async with house.ledger.db.transaction() as session:
        await session.execute(
            update(deliveries)
            .where(deliveries.c.role == POLICE, deliveries.c.transmitted_at.is_(None))
            .values(planned_at=now() - timedelta(hours=1))
        )
    late = await pull(house, POLICE, after=second["next"])
    assert len(late["items"]) == 1
    assert late["next"] == second["next"]
    # Without a cursor everything that nobody answered is there again: a lost answer loses nothing.
    assert len((await pull(house, POLICE))["items"]) == 4


async def test_waiting_ends_when_something_comes(house: House) -> None:
    waiting = asyncio.create_task(pull(house, CABINET, wait=20))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await house.ledger.take(house.ledger.alert())
    page = await asyncio.wait_for(waiting, 5)
    assert len(page["items"]) == 1


async def test_waiting_has_an_end_and_a_limit(house: House) -> None:
    empty = await pull(house, CABINET, wait=1)
    assert empty == {"items": [], "next": None}
    answer = await house.get("/v1/inbox", house.as_agency(CABINET), wait=31)
    assert answer.status_code == 422


async def test_only_agencies_have_an_inbox(house: House) -> None:
    for role in ("operator", "registrar", "auditor"):
        assert (await house.get("/v1/inbox", house.as_role(role))).status_code == 403
    assert (await house.get("/v1/inbox", house.headers("notifier", "agency"))).status_code == 403
