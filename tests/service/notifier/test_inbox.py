"""The pull inbox: handing over is transmission, and nothing falls through between two looks."""

import asyncio
import base64
import hashlib
import json
from datetime import timedelta
from typing import Any

from sqlalchemy import update

from common.http import write_cursor
from common.testing import FrozenNow
from notifier.domain.bounce import Bounce
from notifier.models import attempts, deliveries, obligations
from notifier.repository.redrives import Again, redrive
from notifier.service.bounces import take_bounce
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
    assert (await pull(house, POLICE, after=late["next"]))["items"] == []
    # The answer with it was cut: whoever asks once more from the place that it knows gets it once more.
    assert (await pull(house, POLICE, after=second["next"]))["items"] == late["items"]
    # Without a cursor everything that nobody answered is there again: a lost answer loses nothing.
    assert len((await pull(house, POLICE))["items"]) == 4


async def test_places_go_up_when_clocks_do_not(house: House, now: FrozenNow) -> None:
    """Of another process, or after a backup was restored; and two looks in the same microsecond."""
    await house.ledger.take(house.ledger.alert())
    first = await pull(house, POLICE)
    for back in (timedelta(0), timedelta(minutes=1)):
        now.move(-back)
        await house.ledger.take(house.ledger.alert())
        later = await pull(house, POLICE, after=first["next"])
        assert len(later["items"]) == 1
        assert (await pull(house, POLICE, after=later["next"]))["items"] == []
        first = later
    rows = await house.rows(deliveries, role=POLICE)
    assert len({row.handed_at for row in rows}) == len(rows) == 3


async def test_what_bounced_or_is_sent_again_comes_again_to_a_reader_who_has_passed_it(
    house: House, now: FrozenNow
) -> None:
    ledger = house.ledger
    endpoint = await ledger.connect(POLICE, "https://police.example/hook")
    await ledger.take(ledger.alert())
    passed = await pull(house, POLICE)
    [row] = await house.rows(deliveries, role=POLICE)
    async with ledger.db.transaction() as session:
        assert await take_bounce(session, ledger.desk, row.id, Bounce("5.1.1", is_unknown=True), now=now())
    again = await pull(house, POLICE, after=passed["next"])
    assert [item["delivery"] for item in again["items"]] == [str(row.id)]
    async with ledger.db.transaction() as session:
        await session.execute(update(deliveries).where(deliveries.c.id == row.id).values(state="dead"))
        wanted = Again(row.id, generation=row.generation, endpoint_id=endpoint, version=1, at=now())
        assert await redrive(session, [wanted]) == {row.id}
    once_more = await pull(house, POLICE, after=again["next"])
    assert [item["delivery"] for item in once_more["items"]] == [str(row.id)]


async def test_a_place_from_before_there_were_places_skips_nothing(house: House, now: FrozenNow) -> None:
    for _ in range(2):
        await house.ledger.take(house.ledger.alert())
    [row, _] = await house.rows(deliveries, role=POLICE)
    before = write_cursor(row.planned_at.isoformat(), str(row.id))
    assert len((await pull(house, POLICE, after=before))["items"]) == 2


async def test_two_readers_without_a_lease_get_everything_and_pass_nothing(house: House) -> None:
    async def read_on(found: list[str], after: str | None, times: int = 12) -> str | None:
        for _ in range(times):
            page = await pull(house, POLICE, limit=2, **({"after": after} if after else {}))
            found += [item["delivery"] for item in page["items"]]
            after = page["next"] or after
        return after

    async def report() -> None:
        for _ in range(6):
            await house.ledger.take(house.ledger.alert())

    one: list[str] = []
    other: list[str] = []
    _, place, other_place = await asyncio.gather(report(), read_on(one, None), read_on(other, None))
    await asyncio.gather(read_on(one, place), read_on(other, other_place))
    told = {str(row.id) for row in await house.rows(deliveries, role=POLICE)}
    assert set(one) == set(other) == told


async def test_readers_with_a_lease_share_the_work_and_what_is_not_answered_comes_again(
    house: House, now: FrozenNow
) -> None:
    for _ in range(5):
        await house.ledger.take(house.ledger.alert())
    pages = await asyncio.gather(*(pull(house, POLICE, limit=2, lease=60) for _ in range(4)))
    got = [item["delivery"] for page in pages for item in page["items"]]
    # A row that another reader just locks is passed over: it comes with the next look.
    got += [item["delivery"] for item in (await pull(house, POLICE, lease=60))["items"]]
    assert len(got) == len(set(got)) == 5
    assert (await pull(house, POLICE, lease=60))["items"] == []
    assert len((await pull(house, POLICE))["items"]) == 5, "who asks for no lease sees everything"
    now.move(timedelta(seconds=61))
    read = next(page for page in pages if page["items"])
    again = await pull(house, POLICE, lease=60, after=read["next"])
    assert {item["delivery"] for item in again["items"]} == set(got)
    made = await house.rows(attempts, outcome="pulled")
    assert len(made) == 5, "a second look is no second transmission"


async def test_a_lease_has_its_limits(house: House) -> None:
    for seconds in (0, 4, 3601, "x"):
        answer = await house.get("/v1/inbox", house.as_agency(POLICE), lease=seconds)
        assert answer.status_code == 422


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


async def stream(house: House, role: str, last: str | None = None, wait: int = 1) -> list[dict[str, str]]:
    """Events until the stream ends, comments left out."""
    headers = house.as_agency(role) | {"Accept": "text/event-stream"}
    if last is not None:
        headers["Last-Event-ID"] = last
    answer = await house.get("/v1/inbox", headers, wait=wait)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    blocks = [block for block in answer.text.split("\n\n") if block and not block.startswith(":")]
    return [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]


async def test_notices_come_as_events_and_the_stream_goes_on_where_it_was(house: House) -> None:
    await house.ledger.take(house.ledger.alert())
    asking = asyncio.create_task(stream(house, POLICE, wait=3))
    await asyncio.sleep(0.3)
    await house.ledger.take(house.ledger.alert())  # comes while the stream is open
    events = await asking
    assert [event["event"] for event in events] == ["notice", "notice"]
    shown = json.loads(events[0]["data"])
    assert hashlib.sha256(base64.b64decode(shown["notice_bytes"])).hexdigest() == shown["notice_digest"]
    assert {row.state for row in await house.rows(deliveries, role=POLICE)} == {"transmitted"}
    assert await stream(house, POLICE, events[-1]["id"]) == []
    again = await stream(house, POLICE)  # a client that lost its place
    assert {event["id"] for event in again} >= {events[-1]["id"]}
    assert {json.loads(event["data"])["delivery"] for event in again} == {
        json.loads(event["data"])["delivery"] for event in events
    }
    [first, second] = again
    assert first["id"] != second["id"]  # torn off between the two, a client goes on with the second
    assert [event["data"] for event in await stream(house, POLICE, first["id"])] == [second["data"]]
    assert await stream(house, CABINET, events[-1]["id"]) != []  # never handed over: comes all the same


async def test_a_stream_from_a_place_that_is_none_of_ours_is_refused(house: House) -> None:
    headers = house.as_agency(POLICE) | {"Accept": "text/event-stream", "Last-Event-ID": "canary-7f3a"}
    answer = await house.get("/v1/inbox", headers)
    assert answer.status_code == 422
    assert "canary" not in answer.text
