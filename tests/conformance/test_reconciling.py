"""What the bus confirmed and a reader never took comes again, once, and is no longer missed."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, func, select, text
from structlog.testing import capture_logs

from common.bus import Bus, Message
from common.db import Database
from common.doors import Doors
from common.identity import ServiceTokens
from common.inbox import INBOX
from common.keys import KeyRing
from common.outbox import KEPT, OUTBOX, Ask, Relay
from common.reconciling import OFTEN_TIMES, SETTLED_AFTER, Reconciler, list_missing
from common.settings import ServiceSettings
from common.testing import FrozenNow
from common.timing import utc_now
from tests.conformance.ledger import NotedBus, effects, inbox_of, relay_of, state_fact, waiting
from tests.conformance.test_outbox import a_notifier, port
from tests.factories.notifier import eventually

__all__ = ["port"]


def asking(reader: Database) -> Ask:
    async def ask(ids: list[UUID]) -> list[UUID] | None:
        async with reader.reading() as session:
            return await list_missing(session, "notifier", ids)

    return ask


class Swallowing:
    """A bus that confirms and loses: a queue deleted after the confirm."""

    def __init__(self, inner: Bus, *, loses: int) -> None:
        self.inner = inner
        self.left = loses

    async def publish(self, messages: list[Message], *, seconds: float = 2.0) -> list[bool]:
        lost = messages[: self.left]
        self.left -= len(lost)
        await self.inner.publish(messages[len(lost) :], seconds=seconds)
        return [True] * len(messages)

    async def declare(self, _queues: Any) -> None:
        return


async def test_what_was_confirmed_and_lost_comes_again_and_takes_effect_once(
    publisher: Database, reader: Database, now: FrozenNow
) -> None:
    bus = Swallowing(NotedBus(inbox_of(reader, now)), loses=4)
    relay = relay_of(publisher, bus, now)  # type: ignore[arg-type]  # it has what a relay calls
    expected = {await state_fact(publisher, now) for _ in range(10)}
    assert await relay.pass_once() == 10
    assert sum((await effects(reader)).values()) == 6
    reconciler = Reconciler("intake", publisher, {"notifier": asking(reader)}, now)
    assert await reconciler.pass_once() == 0  # too early: it may be on its way
    now.move(SETTLED_AFTER + timedelta(seconds=1))
    assert await reconciler.pass_once() == 4
    assert await relay.pass_once() == 4
    assert await effects(reader) == Counter(expected)
    now.move(timedelta(minutes=5))
    assert await reconciler.pass_once() == 0
    assert await waiting(publisher) == 0


async def test_a_reader_that_does_not_answer_is_asked_about_the_same_time_again(
    publisher: Database, reader: Database, now: FrozenNow
) -> None:
    answers: list[bool] = [False, True]

    async def ask(ids: list[UUID]) -> list[UUID] | None:
        return await asking(reader)(ids) if answers.pop(0) else None

    relay = relay_of(publisher, Swallowing(NotedBus(inbox_of(reader, now)), loses=1), now)  # type: ignore[arg-type]  # as above
    await state_fact(publisher, now)
    await relay.pass_once()
    reconciler = Reconciler("intake", publisher, {"notifier": ask}, now)
    now.move(timedelta(minutes=10))
    assert await reconciler.pass_once() == 0
    now.move(timedelta(hours=1))
    assert await reconciler.pass_once() == 1


def losing(publisher: Database, reader: Database, now: FrozenNow) -> tuple[Relay, Reconciler]:
    """A relay whose every event is confirmed and lost, and who looks for them."""
    relay = relay_of(publisher, Swallowing(NotedBus(inbox_of(reader, now)), loses=1000), now)  # type: ignore[arg-type]  # as above
    return relay, Reconciler("intake", publisher, {"notifier": asking(reader)}, now)


async def test_what_a_reader_always_refuses_goes_again_without_end_then_seldom_and_is_said(
    publisher: Database, reader: Database, now: FrozenNow
) -> None:
    relay, reconciler = losing(publisher, reader, now)
    await state_fact(publisher, now)
    began, sent = now(), []
    with capture_logs() as lines:
        for _ in range(36):
            await relay.pass_once()
            now.move(timedelta(minutes=5))
            if await reconciler.pass_once():
                sent.append((now() - began) // timedelta(minutes=1))
    often = 5 * OFTEN_TIMES
    assert sent == [*range(5, often + 1, 5), *range(often + 5, 181, 15)]
    said = [line for line in lines if line["event"] == "event_never_taken"]
    assert [line["count"] for line in said] == list(range(OFTEN_TIMES + 1, len(sent) + 1))
    assert {(line["consumer"], line["log_level"]) for line in said} == {("notifier", "error")}


async def test_a_restart_forgets_nothing_that_is_missing(
    publisher: Database, reader: Database, now: FrozenNow
) -> None:
    relay, reconciler = losing(publisher, reader, now)
    fact = await state_fact(publisher, now)
    for _ in range(2 * OFTEN_TIMES):
        await relay.pass_once()
        now.move(timedelta(minutes=15))
        assert await reconciler.pass_once() == 1
    await relay.pass_once()
    now.move(timedelta(days=3))
    cured = relay_of(publisher, NotedBus(inbox_of(reader, now)), now)
    assert await Reconciler("intake", publisher, {"notifier": asking(reader)}, now).pass_once() == 1
    await cured.pass_once()
    assert await effects(reader) == Counter([fact])


async def test_what_left_late_and_was_lost_is_found_though_its_time_of_writing_was_passed(
    publisher: Database, reader: Database, now: FrozenNow
) -> None:
    relay, reconciler = losing(publisher, reader, now)
    await state_fact(publisher, now)
    now.move(timedelta(minutes=10))
    assert await reconciler.pass_once() == 0, "it did not leave yet"
    await relay.pass_once()
    now.move(timedelta(minutes=10))
    assert await reconciler.pass_once() == 1


async def test_whom_nobody_asked_for_days_is_asked_about_all_of_them(
    publisher: Database, reader: Database, now: FrozenNow
) -> None:
    relay, before = losing(publisher, reader, now)
    assert await before.pass_once() == 0
    await state_fact(publisher, now)
    await relay.pass_once()
    now.move(timedelta(days=4))
    assert await Reconciler("intake", publisher, {"notifier": asking(reader)}, now).pass_once() == 1


@pytest.mark.parametrize("is_started_anew", [False, True])
async def test_a_reader_that_was_put_back_to_an_old_backup_gets_all_that_it_has_forgotten(
    publisher: Database, reader: Database, now: FrozenNow, *, is_started_anew: bool
) -> None:
    """Of whatever age the backup is, and though everything since was known to have been taken."""

    def looking() -> Reconciler:
        return Reconciler("intake", publisher, {"notifier": asking(reader)}, now)

    relay = relay_of(publisher, NotedBus(inbox_of(reader, now)), now)
    reconciler = looking()
    backup = now() + timedelta(days=2, hours=12)
    kept: set[UUID] = set()
    lost: set[UUID] = set()
    for _ in range(8):  # one half a day, the last of them days before anybody looks
        (kept if now() < backup else lost).add(await state_fact(publisher, now))
        await relay.pass_once()
        now.move(timedelta(hours=12))
        assert await reconciler.pass_once() == 0
    now.move(timedelta(days=3))
    assert await reconciler.pass_once() == 0
    async with reader.transaction() as session:
        await session.execute(delete(INBOX).where(INBOX.c.received_at >= backup))
        await session.execute(text("DELETE FROM effects"))
    if is_started_anew:
        reconciler = looking()
    with capture_logs() as lines:
        assert await reconciler.pass_once() == len(lost) == 3
    assert "reader_put_back" in {line["event"] for line in lines}
    await relay.pass_once()
    assert await effects(reader) == Counter(lost)
    now.move(timedelta(minutes=5))
    with capture_logs() as lines:
        assert await reconciler.pass_once() == 0
    assert lines == []


async def test_one_reader_that_is_away_does_not_hold_up_the_others(
    publisher: Database, reader: Database, now: FrozenNow
) -> None:
    relay, _ = losing(publisher, reader, now)

    async def away(_ids: list[UUID]) -> list[UUID] | None:
        return None

    reconciler = Reconciler("intake", publisher, {"casework": away, "notifier": asking(reader)}, now)
    await state_fact(publisher, now)
    await relay.pass_once()
    now.move(timedelta(minutes=5))
    assert await reconciler.pass_once() == 1


async def test_what_is_missing_outlives_the_time_that_confirmed_rows_are_kept(
    publisher: Database, reader: Database, now: FrozenNow
) -> None:
    relay, reconciler = losing(publisher, reader, now)
    await state_fact(publisher, now)
    await relay.pass_once()
    now.move(timedelta(minutes=5))
    assert await reconciler.pass_once() == 1
    await relay.pass_once()
    now.move(KEPT + timedelta(days=1))
    await relay.forget_old()
    async with publisher.reading() as session:
        assert await session.scalar(select(func.count()).select_from(OUTBOX)) == 1
    assert await reconciler.pass_once() == 0, "the other readers' marks are gone by then"


async def test_many_pages_are_looked_at_once_and_wholly(
    publisher: Database, reader: Database, now: FrozenNow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.reconciling.PAGE", 3)
    relay = relay_of(publisher, Swallowing(NotedBus(inbox_of(reader, now)), loses=8), now)  # type: ignore[arg-type]  # as above
    expected = {await state_fact(publisher, now) for _ in range(20)}
    await relay.pass_once()
    now.move(timedelta(minutes=3))
    assert await Reconciler("intake", publisher, {"notifier": asking(reader)}, now).pass_once() == 8
    await relay.pass_once()
    assert await effects(reader) == Counter(expected)


@asynccontextmanager
async def a_door(keys: KeyRing, number: int) -> AsyncIterator[Callable[[str], Ask]]:
    settings = ServiceSettings(keys_dir=Path(keys.folder), notifier_url=f"http://127.0.0.1:{number}")
    doors = Doors(settings, ServiceTokens(keys, "intake", utc_now))
    try:
        yield doors.asking
    finally:
        await doors.close()


async def test_the_question_goes_over_http_to_the_readers_door(
    publisher: Database, reader: Database, keys: KeyRing, port: int
) -> None:
    inbox = inbox_of(reader, utc_now)
    relay = relay_of(publisher, NotedBus(inbox), utc_now)
    await state_fact(publisher, utc_now)
    await relay.pass_once()
    never = [uuid4(), uuid4()]
    async with a_door(keys, port) as door:
        assert await door("notifier")(never) is None  # nobody is there
        async with a_notifier(reader, keys, port):
            assert await eventually(lambda: door("notifier")(never)) == never
