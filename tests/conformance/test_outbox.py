"""Outbox and relay: a fact and its event commit together, and every event takes effect once.

Each invariant is a function of the implementation, so that a planted fault can be handed to it, too:
a check that a broken implementation passes proves nothing.
"""

import asyncio
import itertools
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select, update

from common import outbox
from common.bus import Bus, Exchange, Message
from common.bus.rabbit import RabbitBus
from common.bus.topology import event_queue
from common.contracts.intake import ContentOpened
from common.contracts.notifier import DeliveryFact, DeliveryTransmitted
from common.db import Database
from common.doors import Doors
from common.envelope import Envelope, encode
from common.http import create_app
from common.identity import ServiceTokens
from common.keys import KeyRing
from common.outbox import OUTBOX, Relay, pause_after
from common.runtime import listen, serve
from common.settings import ServiceSettings
from common.testing import FrozenNow, parts_for_test
from common.timing import Now, utc_now
from tests.conformance.ledger import (
    FACTS,
    NotedBus,
    an_event,
    create_tables,
    effects,
    facts,
    inbox_of,
    receive_content_opened,
    relay_of,
    state_fact,
    waiting,
)
from tests.conftest import DatabaseUrls
from tests.parts.postgres import Postgres

Add = Callable[..., Any]


class KilledError(Exception):
    """The process ended here."""


# --- the fact and its event


async def check_neither_without_the_other(db: Database, now: Now, add: Add = outbox.add) -> None:
    kept, dropped = uuid4(), uuid4()
    async with db.transaction() as session:
        await session.execute(insert(FACTS).values(id=kept))
        await add(session, an_event(kept, now()), subject=kept, now=now)
    with pytest.raises(KilledError):
        async with db.transaction() as session:
            await session.execute(insert(FACTS).values(id=dropped))
            await add(session, an_event(dropped, now()), subject=dropped, now=now)
            raise KilledError
    async with db.reading() as session:
        reported = set((await session.scalars(select(OUTBOX.c.subject))).all())
    assert await facts(db) == reported == {kept}


async def test_a_fact_and_its_event_commit_together_or_not_at_all(
    publisher: Database, now: FrozenNow
) -> None:
    await check_neither_without_the_other(publisher, now)


async def test_planted_an_event_queued_before_the_commit_is_found(
    publisher: Database, now: FrozenNow
) -> None:
    bus = NotedBus()

    async def add_at_once(_session: Any, event: ContentOpened, *, subject: UUID, now: Now) -> None:
        await bus.publish([Message(str(subject), Exchange.EVENTS, event.type, b"")])

    with pytest.raises(AssertionError):
        await check_neither_without_the_other(publisher, now, add_at_once)


async def test_the_relay_is_woken_by_the_commit_not_by_the_clock(
    publisher: Database, now: FrozenNow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "IDLE_SECONDS", 60)
    bus, stop = NotedBus(), asyncio.Event()
    running = asyncio.create_task(relay_of(publisher, bus, now).run(stop))
    await asyncio.sleep(0.2)  # it has looked, found nothing, and sleeps
    with pytest.raises(KilledError):
        async with publisher.transaction() as session:
            await outbox.add(session, an_event(uuid4(), now()), subject=uuid4(), now=now)
            raise KilledError
    assert bus.published == []
    await state_fact(publisher, now)
    await asyncio.wait_for(bus.moved.wait(), 5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


# --- one effect each, whatever ends in between


class _DiesBeforeMarking(Relay):
    """``kill -9`` between the confirm and the mark."""

    async def _settle(self, token: UUID, done: list[UUID], failed: Mapping[UUID, timedelta]) -> None:
        raise KilledError


class _DiesBeforePublishing(Relay):
    def _encode(self, row: Any) -> bytes:
        raise KilledError


async def check_one_effect_despite_a_kill(
    publisher: Database, reader: Database, now: FrozenNow, dying: type[Relay], healthy: type[Relay] = Relay
) -> NotedBus:
    expected = {await state_fact(publisher, now) for _ in range(5)}
    bus = NotedBus(inbox_of(reader, now))
    with pytest.raises(KilledError):
        await relay_of(publisher, bus, now, kind=dying).pass_once()
    other = relay_of(publisher, bus, now, kind=healthy)
    assert await other.pass_once() == 0  # still leased by the dead one
    now.move(outbox.LEASE + timedelta(seconds=1))
    await other.pass_once()
    assert await effects(reader) == Counter(expected)
    assert await waiting(publisher) == 0
    return bus


async def test_killed_between_confirm_and_mark_repeats_under_the_same_ids(
    publisher: Database, reader: Database, now: FrozenNow
) -> None:
    bus = await check_one_effect_despite_a_kill(publisher, reader, now, _DiesBeforeMarking)
    assert set(Counter(bus.published).values()) == {2}


async def test_killed_between_claim_and_publish_loses_nothing(
    publisher: Database, reader: Database, now: FrozenNow
) -> None:
    bus = await check_one_effect_despite_a_kill(publisher, reader, now, _DiesBeforePublishing)
    assert set(Counter(bus.published).values()) == {1}


class _MarksFirst(Relay):
    """The planted fault: resting before anybody confirmed."""

    async def _claim(self, token: UUID) -> Any:
        rows = await super()._claim(token)
        await super()._settle(token, [row.id for row in rows], {})
        return rows


class _MarksFirstAndDies(_MarksFirst, _DiesBeforePublishing):
    pass


async def test_planted_marking_before_publishing_is_found(
    publisher: Database, reader: Database, now: FrozenNow
) -> None:
    with pytest.raises(AssertionError):
        await check_one_effect_despite_a_kill(publisher, reader, now, _MarksFirstAndDies)


async def test_planted_a_new_id_on_every_repeat_is_found(
    publisher: Database, reader: Database, now: FrozenNow, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NewIds(Relay):
        def _encode(self, row: Any) -> bytes:
            body = super()._encode(row)
            return body.replace(str(row.id).encode(), str(uuid4()).encode())

    class NewIdsAndDies(_DiesBeforeMarking, NewIds):
        pass

    with pytest.raises(AssertionError):
        await check_one_effect_despite_a_kill(publisher, reader, now, NewIdsAndDies, NewIds)


async def check_relays_side_by_side(urls: list[str], now: FrozenNow, kind: type[Relay] = Relay) -> None:
    """As many processes as urls, each with its own connections; nothing fails, so nothing may double."""
    databases = [Database(url) for url in urls]
    for _ in range(120):
        await state_fact(databases[0], now)
    bus = NotedBus()
    relays = [relay_of(db, bus, now, kind=kind) for db in databases]

    async def work(relay: Relay) -> None:
        while await relay.pass_once():
            pass

    try:
        await asyncio.gather(*(work(relay) for relay in relays))
        counts = Counter(bus.published)
        assert len(counts) == 120
        assert set(counts.values()) == {1}
        assert await waiting(databases[0]) == 0
    finally:
        await asyncio.gather(*(db.close() for db in databases))


async def test_relays_side_by_side_publish_each_event_once(
    db_url: DatabaseUrls, now: FrozenNow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "BATCH", 10)
    url = db_url()
    first = Database(url)
    await create_tables(first)
    await first.close()
    await check_relays_side_by_side([url] * 4, now)


async def test_planted_a_relay_that_does_not_claim_is_found(
    db_url: DatabaseUrls, now: FrozenNow, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoClaim(Relay):
        async def _claim(self, token: UUID) -> Any:
            rows = await super()._claim(token)
            async with self._db.transaction() as session:
                mine = update(OUTBOX).where(OUTBOX.c.claim_token == token)
                await session.execute(mine.values(claimed_until=None))
            await asyncio.sleep(0)
            return rows

        async def _settle(self, token: UUID, done: list[UUID], failed: Mapping[UUID, timedelta]) -> None:
            # Not all at the same pace: relays in step would never meet over a row.
            await asyncio.sleep(0.02 * next(paces))
            await super()._settle(token, done, failed)

    paces = itertools.cycle((1, 5, 2, 9))
    monkeypatch.setattr(outbox, "BATCH", 10)

    async def once() -> None:
        url = db_url()
        first = Database(url)
        await create_tables(first)
        await first.close()
        await check_relays_side_by_side([url] * 4, now, NoClaim)

    # On a busy machine relays may happen to run one after the other: some rounds, one of which must show it.
    with pytest.raises(AssertionError):
        for _ in range(6):
            await once()


async def test_repeats_are_no_more_than_the_answers_that_were_lost(
    publisher: Database, reader: Database, now: FrozenNow
) -> None:
    class Forgetful(NotedBus):
        """Takes everything; every third answer is lost on the way back."""

        lost = 0

        async def publish(self, messages: Any, *, seconds: float = 2.0) -> list[bool]:
            answers = await super().publish(messages, seconds=seconds)
            forgotten = {index for index in range(len(answers)) if (index + self.lost) % 3 == 0}
            self.lost += len(forgotten)
            return [index not in forgotten for index in range(len(answers))]

    expected = {await state_fact(publisher, now) for _ in range(30)}
    bus = Forgetful(inbox_of(reader, now))
    relay = relay_of(publisher, bus, now)
    while await waiting(publisher):
        await relay.pass_once()
        now.move(timedelta(seconds=20))
    assert await effects(reader) == Counter(expected)
    assert len(bus.published) == 30 + bus.lost


# --- rows that nobody takes


async def test_a_row_that_cannot_be_read_does_not_hold_up_the_others(
    publisher: Database, reader: Database, now: FrozenNow
) -> None:
    poisons = [uuid4() for _ in range(2)]
    async with publisher.transaction() as session:
        for poison, kind in zip(poisons, ("kz.dabyl.newer.known.v9", ContentOpened.type), strict=True):
            await session.execute(
                insert(OUTBOX).values(
                    id=poison, type=kind, subject=poison, data="{}", created_at=now(), tries=0
                )
            )
    expected = {await state_fact(publisher, now) for _ in range(3)}
    relay = relay_of(publisher, NotedBus(inbox_of(reader, now)), now)
    assert await relay.pass_once() == 3
    assert await effects(reader) == Counter(expected)
    assert await waiting(publisher) == 2  # kept for whoever can read them


async def test_many_that_are_refused_leave_the_others_their_turn(
    publisher: Database, reader: Database, now: FrozenNow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "BATCH", 5)

    for _ in range(20):
        await state_fact(publisher, now)
    poisons = await unpublished(publisher)
    now.move(timedelta(seconds=1))
    fine = await state_fact(publisher, now)
    bus = Choosy(inbox_of(reader, now))
    bus.refused = poisons
    relay = relay_of(publisher, bus, now)
    for _ in range(5):
        await relay.pass_once()
    assert await effects(reader) == Counter([fine])


class Choosy(NotedBus):
    """Refuses some for as long as they are named; what it takes reaches the reader."""

    refused: set[str]

    async def publish(self, messages: Any, *, seconds: float = 2.0) -> list[bool]:
        self.published += [message.id for message in messages]
        answers = [message.id not in self.refused for message in messages]
        for message, ok in zip(messages, answers, strict=True):
            if ok:
                await self.inboxes[0].consume(message)
        return answers


async def unpublished(db: Database) -> set[str]:
    async with db.reading() as session:
        found = await session.scalars(select(OUTBOX.c.id).where(OUTBOX.c.published_at.is_(None)))
        return {str(one) for one in found.all()}


async def test_what_is_new_passes_many_that_are_refused_however_slow_a_pass_is(
    publisher: Database, reader: Database, now: FrozenNow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broker away and a reader hangs: when a pass ends, all that were refused before it are due again."""
    monkeypatch.setattr(outbox, "BATCH", 5)
    for _ in range(20):
        await state_fact(publisher, now)
    bus = Choosy(inbox_of(reader, now))
    bus.refused = await unpublished(publisher)
    relay = relay_of(publisher, bus, now)
    for _ in range(12):  # each was refused more than once
        await relay.pass_once()
        now.move(timedelta(seconds=15))
    expected = set()
    for _ in range(3):
        expected.add(await state_fact(publisher, now))
        for _ in range(2):
            await relay.pass_once()
            now.move(timedelta(seconds=15))
        assert set(await effects(reader)) == expected
    assert await waiting(publisher) == 20


async def test_what_was_refused_keeps_its_turn_however_much_is_new(
    publisher: Database, reader: Database, now: FrozenNow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "BATCH", 5)
    once = await state_fact(publisher, now)
    bus = Choosy(inbox_of(reader, now))
    bus.refused = await unpublished(publisher)
    relay = relay_of(publisher, bus, now)
    await relay.pass_once()
    mended = set(bus.refused)
    for _ in range(8):
        for _ in range(5):
            await state_fact(publisher, now)
        bus.refused = await unpublished(publisher) - mended
        now.move(timedelta(seconds=15))
        await relay.pass_once()
    assert await effects(reader) == Counter([once])


def test_the_pause_is_short_in_an_outage_and_grows_for_what_is_always_refused() -> None:
    pauses = [pause_after(tries) for tries in range(1, 60)]
    assert pauses[:5] == [timedelta(seconds=1)] * 5
    assert pauses == sorted(pauses)
    assert pauses[-1] == outbox.LONGEST_PAUSE


async def test_what_has_rested_long_enough_is_forgotten_and_nothing_else(
    publisher: Database, now: FrozenNow
) -> None:
    relay = relay_of(publisher, NotedBus(), now)
    await state_fact(publisher, now)
    await relay.pass_once()
    now.move(outbox.KEPT + timedelta(days=1))
    await state_fact(publisher, now)
    await relay.forget_old()
    async with publisher.reading() as session:
        assert len((await session.scalars(select(OUTBOX.c.id))).all()) == 1
    assert await waiting(publisher) == 1


# --- the second way


@asynccontextmanager
async def a_notifier(reader: Database, keys: KeyRing, port: int) -> AsyncIterator[None]:
    """The reader's API with its internal door, as a real server."""
    parts = parts_for_test("notifier", "sqlite+aiosqlite:///unused.db", keys)
    parts.db = reader
    app = create_app(parts, title="reader", routers=[], effects={ContentOpened: receive_content_opened})
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(app, stop, [listen("127.0.0.1", port)]))
    try:
        yield
    finally:
        stop.set()
        await serving
        await asyncio.to_thread(parts.telemetry.close)


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
async def doors(keys: KeyRing, port: int) -> AsyncIterator[Callable[[str], dict[str, outbox.Door]]]:
    """Doors to notifier, opened with the tokens of the given service."""
    made: list[Doors] = []

    def for_service(service: str = "intake") -> dict[str, outbox.Door]:
        settings = ServiceSettings(keys_dir=Path(keys.folder), notifier_url=f"http://127.0.0.1:{port}")
        made.append(Doors(settings, ServiceTokens(keys, service, utc_now)))
        return {"notifier": made[-1].to("notifier")}

    yield for_service
    for one in made:
        await one.close()


async def test_without_a_confirm_the_event_goes_through_the_readers_door(
    publisher: Database, reader: Database, keys: KeyRing, port: int, doors: Any
) -> None:
    bus = NotedBus(inbox_of(reader, utc_now), confirms=False)  # it took effect, the answer was lost
    expected = {await state_fact(publisher, utc_now) for _ in range(10)}
    relay = relay_of(publisher, bus, utc_now, doors())
    async with a_notifier(reader, keys, port):
        assert await relay.pass_once() == 10
    assert await effects(reader) == Counter(expected)
    assert await waiting(publisher) == 0


async def test_when_both_ways_are_closed_the_event_waits(
    publisher: Database, reader: Database, keys: KeyRing, port: int, doors: Any, now: FrozenNow
) -> None:
    expected = {await state_fact(publisher, now) for _ in range(3)}
    relay = relay_of(publisher, NotedBus(confirms=False), now, doors())
    assert await relay.pass_once() == 0
    assert await waiting(publisher) == 3
    assert await relay.pass_once() == 0  # its pause is not over
    now.move(timedelta(seconds=2))
    async with a_notifier(reader, keys, port):
        assert await relay.pass_once() == 3
    assert await effects(reader) == Counter(expected)


async def test_a_reader_that_hangs_takes_no_connection_from_another(
    reader: Database, keys: KeyRing, port: int, now: FrozenNow
) -> None:
    async def hang(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    over = asyncio.Event()
    hanging = await asyncio.start_server(hang, "127.0.0.1", 0)
    settings = ServiceSettings(
        keys_dir=Path(keys.folder),
        notifier_url=f"http://127.0.0.1:{port}",
        casework_url=f"http://127.0.0.1:{hanging.sockets[0].getsockname()[1]}",
    )
    doors = Doors(settings, ServiceTokens(keys, "intake", utc_now))
    event = an_event(uuid4(), utc_now())
    body = encode(Envelope(uuid4(), event, utc_now(), event.delivery_id, None))
    async with a_notifier(reader, keys, port):
        stuck = [asyncio.ensure_future(doors.to("casework")(body)) for _ in range(outbox.BATCH)]
        await asyncio.sleep(0.1)  # as many as may are connected
        assert await doors.to("notifier")(body)
        assert not all(task.done() for task in stuck)
        over.set()
        assert not any(await asyncio.gather(*stuck))
    await doors.close()
    hanging.close()
    assert await effects(reader) == Counter([event.delivery_id])


async def test_the_door_opens_to_services_only(
    publisher: Database, reader: Database, keys: KeyRing, port: int, tmp_path: Path, now: FrozenNow
) -> None:
    await state_fact(publisher, now)
    strangers = ServiceTokens(KeyRing.create(tmp_path / "strangers"), "intake", utc_now)
    settings = ServiceSettings(keys_dir=tmp_path, notifier_url=f"http://127.0.0.1:{port}")
    foreign = Doors(settings, strangers)
    relay = relay_of(publisher, NotedBus(confirms=False), now, {"notifier": foreign.to("notifier")})
    async with a_notifier(reader, keys, port):
        assert await relay.pass_once() == 0
    await foreign.close()
    assert await effects(reader) == Counter()
    assert await waiting(publisher) == 1


async def test_an_event_that_only_outsiders_read_waits_for_the_broker(
    publisher: Database, now: FrozenNow
) -> None:
    fact = DeliveryFact(delivery_id=uuid4(), alert_id=uuid4(), role="school", at=now())
    await state_fact(publisher, now, DeliveryTransmitted(deliveries=(fact,)))

    async def never(_body: bytes) -> bool:
        raise AssertionError("this event has no reader with a door")

    bus = NotedBus(confirms=False)
    relay = relay_of(publisher, bus, now, {"notifier": never})
    assert await relay.pass_once() == 0
    bus.confirms = True
    now.move(timedelta(seconds=2))
    assert await relay.pass_once() == 1


# --- on the real bus


async def test_an_event_waits_for_a_reader_that_was_never_started(
    publisher: Database, reader: Database, bus: Bus, now: FrozenNow
) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(relay_of(publisher, bus, utc_now).run(stop))
    expected = {await state_fact(publisher, utc_now) for _ in range(5)}
    if isinstance(bus, RabbitBus):
        async with asyncio.timeout(20):
            while await waiting(publisher):
                await asyncio.sleep(0.05)
    await bus.subscribe(event_queue("notifier"), inbox_of(reader, utc_now).consume)
    async with asyncio.timeout(20):
        while await effects(reader) != Counter(expected) or await waiting(publisher):
            await asyncio.sleep(0.05)
    stop.set()
    await running


@pytest.mark.kill
@pytest.mark.real
async def test_the_database_is_killed_and_comes_back_and_nothing_is_lost(own_postgres: Postgres) -> None:
    publisher, reader = Database(own_postgres.url_for()), Database(own_postgres.url_for("template1"))
    await create_tables(publisher)
    await create_tables(reader)
    accepted: set[UUID] = set()
    refused = 0
    stop = asyncio.Event()
    bus = NotedBus(inbox_of(reader, utc_now))
    relays = [asyncio.create_task(relay_of(publisher, bus, utc_now).run(stop)) for _ in range(2)]

    async def report() -> None:
        nonlocal refused
        while not stop.is_set():
            try:
                accepted.add(await state_fact(publisher, utc_now))
            except Exception:  # noqa: BLE001  # whatever it is, nothing was accepted
                refused += 1
            await asyncio.sleep(0.005)

    reports = [asyncio.create_task(report()) for _ in range(3)]
    for _ in range(2):
        await asyncio.sleep(0.5)
        await asyncio.to_thread(own_postgres.restart)
    await asyncio.sleep(0.5)
    stop.set()
    await asyncio.gather(*reports, *relays)
    assert refused
    assert len(accepted) > 50
    later = FrozenNow(utc_now() + outbox.LEASE + timedelta(seconds=1))
    last = relay_of(publisher, bus, later)
    while await waiting(publisher):
        await last.pass_once()
        later.move(timedelta(seconds=20))
    known = await facts(publisher)
    assert accepted <= known  # a commit whose answer was lost may be there, too
    assert await effects(reader) == Counter(known)
    await publisher.close()
    await reader.close()
