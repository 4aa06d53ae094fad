"""The inbox: however often and by whichever way an event arrives, its effect happens once."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from common import inbox as inbox_module
from common import outbox
from common.bus import Exchange, Message, Transient
from common.contracts.casework import CaseManagerAppointed
from common.contracts.intake import ContentOpened
from common.db import Database, Session, insert_ignore
from common.envelope import Envelope, UnreadableEvent, decode, encode
from common.inbox import BATCH, INBOX, Inbox, Received, Together, first_of
from common.telemetry import Telemetry, current_traceparent, trace_id_of
from common.testing import FrozenNow
from common.timing import Now
from tests.conformance.ledger import an_event, create_tables, effects, inbox_of, receive_content_opened
from tests.parts.postgres import Postgres

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def body_of(fact: UUID, now: Now, *, event_id: UUID | None = None) -> bytes:
    event = an_event(fact, now())
    return encode(Envelope(event_id or uuid4(), event, now(), fact, TRACEPARENT))


class KilledError(Exception):
    """The process ended here."""


# --- once


async def check_one_effect_of_many_copies(db: Database, now: FrozenNow, inboxes: Sequence[Inbox]) -> None:
    fact = uuid4()
    body = body_of(fact, now)
    outcomes = await asyncio.gather(*(inbox.take(body) for inbox in inboxes), return_exceptions=True)
    assert outcomes.count(True) == 1
    assert outcomes.count(False) == 7
    assert (await effects(db))[fact] == 1


async def test_of_many_copies_at_once_one_takes_effect(reader: Database, now: FrozenNow) -> None:
    await check_one_effect_of_many_copies(reader, now, [inbox_of(reader, now)] * 8)


async def test_of_many_copies_in_many_processes_one_takes_effect(reader: Database, now: FrozenNow) -> None:
    await check_one_effect_of_many_copies(reader, now, [inbox_of(reader, now) for _ in range(8)])


# --- together


async def test_events_that_come_together_share_a_transaction(reader: Database, now: FrozenNow) -> None:
    sizes: list[int] = []
    traces: set[str | None] = set()

    async def take_all(session: Session, received: Sequence[Received], *, now: Now) -> None:
        sizes.append(len(received))
        traces.update(trace_id_of(one.traceparent) for one in received)
        for one in received:
            await receive_content_opened(session, one.event, now=now)

    inbox = Inbox("notifier", reader, {ContentOpened: Together(take_all)}, Telemetry("notifier"), now)
    told = [uuid4() for _ in range(10)]
    taken = await asyncio.gather(*(inbox.take(body_of(fact, now)) for fact in told))
    assert taken == [True] * 10
    assert await effects(reader) == Counter(told)
    assert sizes == [10]
    assert traces == {trace_id_of(TRACEPARENT)}  # each under its own parent


async def test_under_load_more_gather_where_nobody_waits(reader: Database, now: FrozenNow) -> None:
    sizes: list[int] = []

    async def take_all(session: Session, received: Sequence[Received], *, now: Now) -> None:
        sizes.append(len(received))
        for one in received:
            await receive_content_opened(session, one.event, now=now)

    patient = Together(take_all, patience=10.0)
    inbox = Inbox("notifier", reader, {ContentOpened: patient}, Telemetry("notifier"), now)
    told = [uuid4() for _ in range(BATCH + 3)]

    def message() -> Message:
        body = body_of(told[sum(sizes) + len(waiting)], now)
        return Message(id="", exchange=Exchange.EVENTS, key=ContentOpened.type, body=body)

    waiting: list[asyncio.Task[None]] = []

    async def bring(times: int) -> None:
        for _ in range(times):
            waiting.append(asyncio.create_task(inbox.consume_at_leisure(message())))
            await asyncio.sleep(0)

    await bring(1)
    await asyncio.gather(*waiting)
    assert sizes == [1], "a rested inbox waits for nobody"
    waiting.clear()
    await bring(1)
    await asyncio.sleep(0.1)
    assert sizes == [1], "a busy one lets more come"
    assert await inbox.take(body_of(told[2], now)), "until somebody waits for one"
    await asyncio.gather(*waiting)
    assert sizes == [1, 2]
    waiting.clear()
    async with asyncio.timeout(5):
        await bring(BATCH)
        await asyncio.gather(*waiting)
    assert sizes == [1, 2, BATCH], "or as many are there as share a transaction"
    assert await effects(reader) == Counter(told)


@pytest.mark.parametrize("together", [False, True])
async def test_one_that_fails_spoils_nothing_for_the_others(
    reader: Database, now: FrozenNow, *, together: bool
) -> None:
    bad = uuid4()

    async def take(session: Session, event: ContentOpened, *, now: Now) -> None:
        await receive_content_opened(session, event, now=now)
        if event.delivery_id == bad:
            raise KilledError

    async def take_all(session: Session, received: Sequence[Received], *, now: Now) -> None:
        for one in received:
            await take(session, one.event, now=now)

    effect = Together(take_all) if together else take
    inbox = Inbox("notifier", reader, {ContentOpened: effect}, Telemetry("notifier"), now)
    good = [uuid4() for _ in range(5)]
    bodies = [body_of(fact, now) for fact in [*good[:2], bad, *good[2:]]]
    taken = await asyncio.gather(*(inbox.take(body) for body in bodies), return_exceptions=True)
    assert [one for one in taken if one is not True] == [taken[2]]
    assert isinstance(taken[2], KilledError)
    assert await effects(reader) == Counter(good)
    assert await inbox.take(bodies[0]) is False


async def check_failed_effect_is_asked_for_again(db: Database, now: FrozenNow, kind: type[Inbox]) -> None:
    calls = 0

    async def fail_once(session: Session, event: ContentOpened, *, now: Now) -> None:
        nonlocal calls
        calls += 1
        await receive_content_opened(session, event, now=now)
        if calls == 1:
            raise KilledError

    inbox = kind("notifier", db, {ContentOpened: fail_once}, Telemetry("notifier"), now)
    fact = uuid4()
    body = body_of(fact, now)
    with pytest.raises(KilledError):
        await inbox.take(body)
    await inbox.take(body)
    assert await effects(db) == Counter([fact])
    assert await inbox.take(body) is False


async def test_an_effect_that_failed_leaves_no_mark_and_no_trace_of_itself(
    reader: Database, now: FrozenNow
) -> None:
    await check_failed_effect_is_asked_for_again(reader, now, Inbox)


async def test_planted_a_mark_outside_the_transaction_is_found(reader: Database, now: FrozenNow) -> None:
    class MarksFirst(Inbox):
        async def take(self, body: bytes, *, is_waited_for: bool = True) -> bool:  # as it is asked
            envelope = decode(body)
            async with self._db.transaction() as session:
                if not await first_of(session, self.service, [envelope.id], now=self._now):
                    return False
            effect = self._effects[type(envelope.event)]
            assert not isinstance(effect, Together)
            async with self._db.transaction() as session:
                await effect(session, envelope.event, now=self._now)
            return True

    with pytest.raises(AssertionError):
        await check_failed_effect_is_asked_for_again(reader, now, MarksFirst)


async def test_planted_a_prior_look_instead_of_the_unique_index_is_found(
    reader: Database, now: FrozenNow, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reader.is_sqlite:
        return  # one writer at a time: the fault can't show there

    async def look_first(session: Session, consumer: str, ids: Sequence[UUID], *, now: Now) -> set[UUID]:
        mark = INBOX.c.event_id == ids[0]
        if (await session.execute(select(INBOX).where(mark))).first() is not None:
            return set()
        row = {"consumer": consumer, "event_id": ids[0], "received_at": now()}
        await insert_ignore(session, INBOX, [row], ["consumer", "event_id"])
        return {ids[0]}

    monkeypatch.setattr(inbox_module, "first_of", look_first)
    with pytest.raises(AssertionError):
        for _ in range(20):  # a race: no single round must show it
            await check_one_effect_of_many_copies(reader, now, [inbox_of(reader, now) for _ in range(8)])


async def test_two_readers_in_one_database_each_take_it(reader: Database, now: FrozenNow) -> None:
    fact = uuid4()
    body = body_of(fact, now)
    for service in ("notifier", "casework"):
        inbox = Inbox(service, reader, {ContentOpened: receive_content_opened}, Telemetry(service), now)
        assert await inbox.take(body)
    assert await effects(reader) == Counter({fact: 2})


# --- what is not for us, and what cannot be read


async def test_an_event_this_service_does_not_read_is_let_pass(reader: Database, now: FrozenNow) -> None:
    event = CaseManagerAppointed(case_id=uuid4(), alert_ids=(), evidence_id=uuid4(), appointed_at=now())
    assert await inbox_of(reader, now).take(encode(Envelope(uuid4(), event, now(), uuid4(), None))) is False


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"specversion":"1.0"}']
)
async def test_what_is_no_event_of_ours_is_said_to_be_so(
    reader: Database, now: FrozenNow, body: bytes
) -> None:
    with pytest.raises(UnreadableEvent):
        await inbox_of(reader, now).take(body)


async def test_marks_are_kept_longer_than_the_outbox_keeps_its_rows(reader: Database, now: FrozenNow) -> None:
    assert inbox_module.KEPT > outbox.KEPT
    inbox = inbox_of(reader, now)
    body = body_of(uuid4(), now)
    await inbox.take(body)
    now.move(outbox.KEPT)
    await inbox.forget_old()
    assert await inbox.take(body) is False
    now.move(inbox_module.KEPT)
    await inbox.forget_old()
    async with reader.reading() as session:
        assert (await session.execute(select(INBOX))).all() == []


# --- the trace, and the database that is away


async def test_the_effect_runs_in_the_trace_that_the_event_came_from(
    reader: Database, now: FrozenNow
) -> None:
    inside: list[str | None] = []

    async def note(session: Session, event: ContentOpened, *, now: Now) -> None:
        inside.append(current_traceparent())

    await Inbox("notifier", reader, {ContentOpened: note}, Telemetry("notifier"), now).take(
        body_of(uuid4(), now)
    )
    assert trace_id_of(inside[0]) == trace_id_of(TRACEPARENT)
    assert inside[0] != TRACEPARENT


@pytest.mark.kill
@pytest.mark.real
async def test_a_database_that_is_away_is_a_reason_to_wait_not_a_refusal(
    own_postgres: Postgres, now: FrozenNow
) -> None:
    db = Database(own_postgres.url_for())
    await create_tables(db)
    began, gate = asyncio.Event(), asyncio.Event()

    async def slow(session: Session, event: ContentOpened, *, now: Now) -> None:
        await receive_content_opened(session, event, now=now)
        began.set()
        await gate.wait()

    fact = uuid4()
    body = body_of(fact, now)
    slow_inbox = Inbox("notifier", db, {ContentOpened: slow}, Telemetry("notifier"), now)
    taking = asyncio.create_task(slow_inbox.take(body))
    await began.wait()
    own_postgres.kill()  # between the effect and the commit
    gate.set()
    with pytest.raises(Transient):
        await taking
    inbox = inbox_of(db, now)
    with pytest.raises(Transient):
        await inbox.take(body)  # nobody listens
    starting = asyncio.create_task(asyncio.to_thread(own_postgres.start))
    while not starting.done():  # "the database system is starting up" is no refusal either
        try:
            await inbox.take(body)
        except Transient:
            await asyncio.sleep(0.01)
    await starting
    await inbox.take(body)
    assert await effects(db) == Counter([fact])
    await db.close()
