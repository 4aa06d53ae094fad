"""What the bus confirmed and a reader never took comes again, once, and is no longer missed."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from common.bus import Bus, Message
from common.db import Database
from common.doors import Doors
from common.identity import ServiceTokens
from common.keys import KeyRing
from common.outbox import Ask
from common.reconciling import MOST_TIMES, SETTLED_AFTER, Reconciler, list_missing
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


async def test_what_a_reader_always_refuses_is_not_sent_for_ever(
    publisher: Database, reader: Database, now: FrozenNow
) -> None:
    relay = relay_of(publisher, Swallowing(NotedBus(inbox_of(reader, now)), loses=1000), now)  # type: ignore[arg-type]  # as above
    await state_fact(publisher, now)
    reconciler = Reconciler("intake", publisher, {"notifier": asking(reader)}, now)
    sent = 0
    for _ in range(2 * MOST_TIMES):
        await relay.pass_once()
        now.move(timedelta(minutes=5))
        sent += await reconciler.pass_once()
    assert sent == MOST_TIMES


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
