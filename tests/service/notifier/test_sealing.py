"""The audit record is sealed beside its writers, and what was done to it afterwards is found."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from alembic import command
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from structlog.testing import capture_logs
from typer.testing import CliRunner

from common.db import Database
from common.keys import KeyRing
from common.migrating import config_for, upgrade
from common.telemetry import Telemetry
from common.testing import FrozenNow
from dabyl.__main__ import app
from notifier.adapters.witness import WitnessFile
from notifier.domain.chain import Fault, Witness
from notifier.domain.sealed import Seal
from notifier.jobs import Sealing, verifying_audit, weighing_audit
from notifier.models import audit, audit_holes, audit_seals
from notifier.repository import records, seals
from notifier.service import sealing, verifying
from notifier.service.sealing import AuditBoard, signed_with, signing_with
from tests.factories.notifier import Ledger
from tests.service.notifier.test_growth import listening_to, plans

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "services/notifier/migrations"


class Books:
    """A database whose audit record is written to and sealed by hand."""

    def __init__(self, url: str, keys: KeyRing, now: FrozenNow) -> None:
        self.url = url
        self.db = Database(url)
        self.keys = keys
        self.now = now

    async def act(self, count: int = 1, db: Database | None = None, **values: Any) -> None:
        async with (db or self.db).transaction() as session:
            await records.add_acts(session, self.rows(count, **values))

    def rows(self, count: int = 1, **values: Any) -> list[dict[str, Any]]:
        made = [
            records.act("delivery.planned", at=self.now(), alert_id=uuid4(), subject_id=uuid4(), no=no)
            for no in range(count)
        ]
        return [one | values for one in made]

    async def seal(self, db: Database | None = None) -> Seal | None:
        async with (db or self.db).transaction() as session:
            return await sealing.seal(session, signing_with(self.keys), now=self.now())

    @property
    def is_ours(self) -> Callable[[bytes, bytes], bool]:
        return signed_with(lambda: self.keys.verifying("audit"))

    async def verified(self, *, newest: bool = False, heads: list[str] = []) -> verifying.Report:  # noqa: B006  # not changed
        witness = Witness(self.is_ours)
        assert witness.read(heads) is None
        look = verifying.verify_newest if newest else verifying.verify_whole
        async with self.db.reading() as session:
            return await look(session, self.is_ours, witness)

    async def do(self, *statements: Any) -> None:
        async with self.db.transaction() as session:
            for one in statements:
                await session.execute(one)

    async def all(self, statement: Any) -> list[Any]:
        async with self.db.reading() as session:
            return list((await session.execute(statement)).all())

    async def is_due(self) -> bool:
        async with self.db.reading() as session:
            return await sealing.is_anything_due(session, now=self.now())

    def job(self, tell: Any = None) -> Sealing:
        return Sealing(self.db, signing_with(self.keys), self.now, tell)


@pytest.fixture
async def books(db_url: Any, keys: KeyRing, now: FrozenNow) -> AsyncIterator[Books]:
    made = Books(db_url("notifier"), keys, now)
    yield made
    await made.db.close()


async def test_what_real_work_wrote_is_sealed_and_intact(ledger: Ledger) -> None:
    await ledger.take(ledger.alert())
    async with ledger.db.transaction() as session:
        made = await sealing.seal(session, signing_with(ledger.keys), now=ledger.now())
    assert made is not None
    async with ledger.db.reading() as session:
        report = await verifying.verify_whole(session, signed_with(lambda: ledger.keys.verifying("audit")))
        acts = await session.scalar(select(func.count()).select_from(audit))
        assert not await sealing.is_anything_due(session, now=ledger.now())
    assert report.finding is None
    assert (report.sealed, report.unsealed) == (acts, 0)
    assert acts
    assert acts > 5


async def test_nothing_new_makes_no_seal(books: Books) -> None:
    assert await books.seal() is None
    await books.act(3)
    assert await books.seal() is not None
    assert await books.seal() is None
    assert not await books.is_due()


async def test_sealers_side_by_side_seal_each_row_once(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside writers, some of whom fail: none waits, none is lost, none is sealed twice."""
    monkeypatch.setattr(sealing, "ROWS", 7)
    others = [Database(books.url) for _ in range(3)]
    writing = [True]

    async def write(db: Database) -> None:
        for no in range(12):
            try:
                async with db.transaction() as session:
                    await records.add_acts(session, books.rows(5))
                    await session.connection()  # its rows have their numbers
                    await asyncio.sleep(0.002 * (no % 3))
                    assert no % 4 != 3
            except AssertionError:
                continue  # rolled back: its numbers are holes for good

    async def seal(db: Database) -> None:
        while writing[0] or await books.is_due():
            await books.seal(db)
            await asyncio.sleep(0.001)

    try:
        sealers = [asyncio.create_task(seal(db)) for db in others]
        await asyncio.gather(*(write(books.db) for _ in range(4)))
        writing[0] = False
        await asyncio.gather(*sealers)
    finally:
        for db in others:
            await db.close()
    report = await books.verified()
    assert report.finding is None
    assert (report.sealed, report.unsealed) == (4 * 9 * 5, 0)
    numbers = [
        row.number for row in await books.all(select(audit_seals.c.number).order_by(audit_seals.c.number))
    ]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 180 / 7


async def test_of_two_who_make_the_same_seal_one_has_no_place(books: Books) -> None:
    await books.act(2)
    made = await books.seal()
    assert made is not None
    with pytest.raises(IntegrityError):
        async with books.db.transaction() as session:
            await seals.add_seal(session, made)
    assert (await books.verified()).finding is None


async def test_a_pass_that_dies_before_its_commit_leaves_nothing_and_the_next_seals_all(books: Books) -> None:
    await books.act(3)
    with pytest.raises(LookupError):
        async with books.db.transaction() as session:
            assert await sealing.seal(session, signing_with(books.keys), now=books.now())
            raise LookupError
    made = await books.seal()
    assert made is not None
    assert (made.number, made.count) == (1, 3)
    assert (await books.verified()).finding is None


async def test_sealers_that_are_killed_leave_a_chain_that_goes_on(books: Books) -> None:
    """``kill -9`` at whatever moment, while rows are written."""
    written, log = 0, list[str]()
    count = select(func.count()).select_from(audit_seals)
    for _ in range(3):
        process = subprocess.Popen(  # noqa: ASYNC220  # started and read in a thread below
            [sys.executable, "-m", "tests.service.notifier.sealing_alone", books.url, str(books.keys.folder)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "libs", ROOT / "services"))),
            },
        )
        assert process.stdout
        told = ""
        while told != "sealing\n":  # beside it, its log
            told = await asyncio.to_thread(process.stdout.readline)
            assert told
            log.append(told)
        [(before,)] = await books.all(count)
        while (await books.all(count))[0][0] < before + 4:
            await books.act(7)
            written += 7
        process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(process.wait)
        process.stdout.close()
    await books.job().run()
    report = await books.verified(heads=log)
    assert report.finding is None
    assert (report.sealed, report.unsealed) == (written, 0)
    assert report.witnessed == 2, "each process tells in its log what the one before it sealed last"


async def test_a_transaction_that_commits_late_is_sealed_late(books: Books, db_kind: str) -> None:
    if db_kind != "postgres":
        pytest.skip("SQLite has one writer: numbers are seen in their order")
    await books.act(2)
    async with books.db.transaction() as slow:
        await records.add_acts(slow, books.rows(3))
        await slow.connection()
        await books.act(2)
        first = await books.seal()
        assert first is not None
        assert (first.count, first.holes) == (4, ((3, 5),))
        assert not await books.is_due()
        assert (await books.verified()).finding is None
    assert (await books.verified()).unsealed == 3
    assert await books.is_due()
    second = await books.seal()
    assert second is not None
    assert (second.count, second.late, second.size) == (3, ((3, 5),), 7)
    assert (await books.verified()).finding is None
    assert await books.all(select(audit_holes)) == []


async def test_the_newest_are_intact_with_a_row_that_came_late(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "NEWEST_SEALS", 1)
    await books.do(insert(audit).values(books.rows(1, seq=3)[0]))
    await books.seal()
    await books.do(insert(audit).values(books.rows(1, seq=2)[0]))
    await books.seal()
    assert (await books.verified(newest=True)).finding is None
    await books.do(a_row(2, actor="somebody"))
    found = (await books.verified(newest=True)).finding
    assert found is not None
    assert (found.fault, found.seq) == (Fault.ALTERED, 2)


async def test_nobody_who_writes_waits_for_a_seal(books: Books, db_kind: str) -> None:
    if db_kind != "postgres":
        pytest.skip("SQLite has one writer at a time")
    await books.act(2)
    async with books.db.transaction() as session:
        assert await sealing.seal(session, signing_with(books.keys), now=books.now())
        async with books.db.transaction() as writer:
            await writer.execute(text("SET LOCAL lock_timeout = '1s'"))
            await records.add_acts(writer, books.rows(2))
        assert await books.seal() is None, "another one is at it"
    assert (await books.verified()).unsealed == 2


async def test_holes_are_filled_bit_by_bit_and_the_rest_is_given_up_after_an_hour(books: Books) -> None:
    await books.act(1)
    await books.do(insert(audit).values(books.rows(1, seq=9)[0]))
    made = await books.seal()
    assert made is not None
    assert made.holes == ((2, 8),)
    await books.do(
        insert(audit).values(books.rows(1, seq=4)[0]), insert(audit).values(books.rows(1, seq=5)[0])
    )
    books.now.move(timedelta(minutes=59))
    made = await books.seal()
    assert made is not None
    assert (made.late, made.void, made.count) == (((4, 5),), (), 2)
    assert not await books.is_due()
    books.now.move(timedelta(minutes=1))
    assert await books.is_due()
    made = await books.seal()
    assert made is not None
    assert (made.late, made.void, made.count, made.size) == ((), ((2, 3), (6, 8)), 0, 4)
    assert await books.all(select(audit_holes)) == []
    assert not await books.is_due()
    assert (await books.verified()).finding is None


async def test_what_appears_where_a_row_was_given_up_is_found_and_never_sealed(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "NEWEST_SEALS", 1)  # the hole itself is older than what is looked at
    await books.do(insert(audit).values(books.rows(1, seq=3)[0]))
    await books.seal()
    books.now.move(timedelta(hours=1))
    await books.seal()
    assert (await books.verified(newest=True)).finding is None
    await books.do(insert(audit).values(books.rows(1, seq=2)[0]))
    assert not await books.is_due()
    for newest in (False, True):
        found = (await books.verified(newest=newest)).finding
        assert found is not None
        assert (found.fault, found.seq) == (Fault.UNKNOWN_ROW, 2)


@pytest.fixture
async def sealed(books: Books, monkeypatch: pytest.MonkeyPatch) -> Books:
    """Thirty rows in six seals; a look at the newest begins in the middle."""
    for _ in range(6):
        await books.act(5)
        await books.seal()
    monkeypatch.setattr(verifying, "NEWEST_ROWS", 15)
    return books


def a_row(place: int, **values: Any) -> Any:
    return update(audit).where(audit.c.seq == place).values(**values)


SPOILT: dict[str, tuple[Callable[[Books], list[Any]], Fault]] = {
    "action": (lambda _: [a_row(22, action="delivery.failed")], Fault.ALTERED),
    "actor": (lambda _: [a_row(22, actor="somebody")], Fault.ALTERED),
    "moment": (lambda books: [a_row(22, at=books.now() + timedelta(microseconds=1))], Fault.ALTERED),
    "id": (lambda _: [a_row(22, id=uuid4())], Fault.ALTERED),
    "alert": (lambda _: [a_row(22, alert_id=None)], Fault.ALTERED),
    "subject": (lambda _: [a_row(22, subject_id=uuid4())], Fault.ALTERED),
    "detail": (lambda _: [a_row(22, detail={"no": 99})], Fault.ALTERED),
    "deleted": (lambda _: [delete(audit).where(audit.c.seq == 22)], Fault.MISSING),
    "no number": (lambda _: [a_row(22, seq=None)], Fault.MISSING),
    "another number": (lambda _: [a_row(22, seq=500)], Fault.MISSING),
    "swapped": (
        lambda _: [a_row(22, seq=-1), a_row(23, seq=22), a_row(-1, seq=23)],
        Fault.ALTERED,
    ),
    "seal gone": (lambda _: [delete(audit_seals).where(audit_seals.c.number == 5)], Fault.MISSING),
    "seal altered": (
        lambda _: [update(audit_seals).values(count=4).where(audit_seals.c.number == 5)],
        Fault.SIGNATURE,
    ),
    "edge altered": (
        lambda _: [update(audit_seals).values(edge="00").where(audit_seals.c.number == 5)],
        Fault.ALTERED,
    ),
}


@pytest.mark.parametrize("newest", [False, True])
@pytest.mark.parametrize("what", SPOILT)
async def test_what_was_done_to_a_sealed_row_is_found(sealed: Books, what: str, newest: bool) -> None:
    assert (await sealed.verified(newest=newest)).finding is None
    spoil, fault = SPOILT[what]
    await sealed.do(*spoil(sealed))
    found = (await sealed.verified(newest=newest)).finding
    assert found is not None
    assert found.fault is fault, found.words
    assert found.seq in (None, 22)


async def test_the_newest_alone_does_not_look_at_what_is_older(sealed: Books) -> None:
    await sealed.do(a_row(2, actor="somebody"))
    assert (await sealed.verified(newest=True)).finding is None
    assert (await sealed.verified()).finding is not None


async def test_only_a_witness_sees_that_the_end_is_gone(sealed: Books) -> None:
    [newest] = await sealed.all(select(audit_seals).where(audit_seals.c.number == 6))
    heads = [json.dumps(seals._seal(newest).head().values())]
    await sealed.do(
        delete(audit_seals).where(audit_seals.c.number == 6), delete(audit).where(audit.c.seq > 25)
    )
    assert (await sealed.verified()).finding is None
    found = (await sealed.verified(heads=heads)).finding
    assert found is not None
    assert found.fault is Fault.TRUNCATED
    await sealed.act(5)
    await sealed.seal()
    found = (await sealed.verified(heads=heads)).finding
    assert found is not None
    assert found.fault is Fault.FORK, "the end was written anew"


async def test_nothing_is_built_on_a_seal_that_was_altered(sealed: Books) -> None:
    await sealed.do(update(audit_seals).values(edge="00" * 128).where(audit_seals.c.number == 6))
    await sealed.act()
    with pytest.raises(ValueError, match="edge"):
        await sealed.seal()
    report = await sealed.verified()
    assert report.finding is not None
    assert report.finding.number == 6


async def test_what_cannot_be_read_is_altered_too(sealed: Books, db_kind: str) -> None:
    if db_kind != "sqlite":
        pytest.skip("PostgreSQL lets nobody write what is not of a column's kind")
    for spoilt in ("UPDATE audit SET at = 'never' WHERE seq = 22", "UPDATE audit_seals SET late = '7'"):
        await sealed.do(text(spoilt))
        found = (await sealed.verified()).finding
        assert found is not None
        assert found.fault is Fault.ALTERED


async def test_a_heap_is_sealed_in_several_passes_and_read_in_pages(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "ROWS", 40)
    monkeypatch.setattr(verifying, "PAGE", 7)
    await books.act(130)
    await books.job().run()
    counts = [row[0] for row in await books.all(select(audit_seals.c.count).order_by(audit_seals.c.number))]
    assert counts == [40, 40, 40, 10]
    report = await books.verified()
    assert (report.finding, report.sealed, report.unsealed) == (None, 130, 0)


async def test_rows_from_before_get_their_numbers_and_are_sealed(
    db_url: Any, keys: KeyRing, now: FrozenNow
) -> None:
    books = Books(db_url(), keys, now)
    try:
        async with books.db.engine.begin() as connection:
            await connection.run_sync(
                lambda sync: command.upgrade(config_for(FOLDER, sync), "0023_pre_missing")
            )
        await books.do(*(insert(audit).values(one) for one in books.rows(20)))
        await upgrade(books.db, FOLDER)
        await books.act(5)
        await books.job().run()
        report = await books.verified()
        assert (report.finding, report.sealed, report.unsealed) == (None, 25, 0)
    finally:
        await books.db.close()


class Told:
    """A witness that can be away."""

    def __init__(self) -> None:
        self.heads: list[Any] = []
        self.is_away = False

    def __call__(self, head: Any) -> None:
        if self.is_away:
            raise OSError
        self.heads.append(head)


async def test_a_witness_hears_of_the_newest_head_once_a_minute(books: Books) -> None:
    told = Told()
    job = books.job(told)
    await job.run()
    await books.act()
    await job.run()
    await books.act()
    await job.run()
    assert [one.number for one in told.heads] == [1]
    books.now.move(timedelta(minutes=1))
    await job.run()
    assert [one.number for one in told.heads] == [1, 2], "told though nothing new came"
    told.is_away = True
    await books.act()
    books.now.move(timedelta(minutes=1))
    with capture_logs() as logs:
        await job.run()
    assert {"audit_sealed", "witness_not_written"} == {one["event"] for one in logs}
    told.is_away = False
    books.now.move(timedelta(minutes=1))
    await job.run()
    assert [one.number for one in told.heads] == [1, 2, 3]
    await books.job(told).run()
    assert [one.number for one in told.heads] == [1, 2, 3, 3], (
        "a new process tells what the one before may not have"
    )


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry("notifier")


@pytest.fixture
def board(telemetry: Telemetry) -> AuditBoard:
    return AuditBoard(telemetry.meter)


def figure(telemetry: Telemetry, name: str) -> float:
    """As an operator finds it at /metrics."""
    lines = telemetry.exposition().decode().splitlines()
    [found] = [line for line in lines if line.startswith((f"{name} ", f"{name}{{"))]
    return float(found.rpartition(" ")[2])


async def test_each_hour_it_is_said_when_the_newest_do_not_hold(
    sealed: Books, board: AuditBoard, telemetry: Telemetry, tmp_path: Path
) -> None:
    file = WitnessFile(tmp_path / "heads")
    await sealed.job(file.append).run()
    job = verifying_audit(sealed.db, sealed.now, sealed.is_ours, file.newest, board.show)
    with capture_logs() as logs:
        await job.run()
    assert logs == []
    assert figure(telemetry, "dabyl_audit_broken") == 0
    assert figure(telemetry, "dabyl_audit_verified_seconds") == sealed.now().timestamp()
    await sealed.do(a_row(22, actor="somebody"))
    with capture_logs() as logs:
        await job.run()
    assert figure(telemetry, "dabyl_audit_broken") == 1
    [line] = logs
    assert (line["event"], line["reason"], line["seq"]) == ("audit_chain_broken", "altered", 22)
    assert line["log_level"] == "error"
    await sealed.do(a_row(22, actor="notifier"), delete(audit_seals).where(audit_seals.c.number == 6))
    with capture_logs() as logs:
        await job.run()
    assert [one["reason"] for one in logs] == ["truncated"]


async def test_what_is_not_sealed_for_a_minute_is_said(
    books: Books, board: AuditBoard, telemetry: Telemetry
) -> None:
    job = weighing_audit(books.db, books.now, board.show_lag)
    await books.act()
    books.now.move(timedelta(seconds=61))
    with capture_logs() as logs:
        await job.run()
    assert [(one["event"], one["seconds"]) for one in logs] == [("audit_behind", 61)]
    assert figure(telemetry, "dabyl_audit_lag_seconds") == 61
    await books.seal()
    with capture_logs() as logs:
        await job.run()
    assert logs == []


@pytest.fixture
def audit_verify(books: Books) -> Callable[..., Any]:
    def run(*more: str, keys: Path | None = None) -> tuple[int, str]:
        shown = ["audit", "verify", "--database", books.url, "--keys", str(keys or books.keys.folder), *more]
        done = CliRunner().invoke(app, shown)
        return done.exit_code, done.output

    return run


async def test_the_command_says_by_its_exit_code_what_is_wrong(
    sealed: Books, audit_verify: Callable[..., Any], tmp_path: Path
) -> None:
    file = tmp_path / "heads"
    await sealed.job(WitnessFile(file).append).run()
    witnessed = ("--witness", str(file))
    code, told = await asyncio.to_thread(audit_verify)
    assert (code, "30 rows under seal" in told) == (0, True)
    code, told = await asyncio.to_thread(audit_verify, *witnessed)
    assert (code, "1 heads of the witness" in told) == (0, True)
    await sealed.do(a_row(22, actor="somebody"))
    code, told = await asyncio.to_thread(audit_verify)
    assert code == 10
    assert "row 22 is not as it was" in told
    await sealed.do(delete(audit).where(audit.c.seq == 21))
    assert (await asyncio.to_thread(audit_verify))[0] == 11
    await sealed.do(delete(audit_seals).where(audit_seals.c.number > 4))
    assert (await asyncio.to_thread(audit_verify))[0] == 0
    assert (await asyncio.to_thread(audit_verify, *witnessed))[0] == 13
    other = KeyRing.create(tmp_path / "other").folder
    code, _ = await asyncio.to_thread(lambda: audit_verify(keys=other))
    assert code == 15


async def test_what_cannot_be_known_is_no_statement(
    books: Books, audit_verify: Callable[..., Any], tmp_path: Path
) -> None:
    for more, keys in (
        ([], tmp_path),
        (["--witness", str(tmp_path / "none")], None),
        (["--database", "sqlite:///none"], None),
    ):
        code, told = await asyncio.to_thread(audit_verify, *more, keys=keys)
        assert code == 2
        assert "not known" in told
    (tmp_path / "empty").write_text("no head\n")
    assert (await asyncio.to_thread(audit_verify, "--witness", str(tmp_path / "empty")))[0] == 2


async def test_a_look_at_a_long_record_goes_by_the_index(books: Books, db_kind: str) -> None:
    if db_kind != "postgres":
        pytest.skip("SQLite has no planner to be misled")
    await books.do(
        text(
            "INSERT INTO audit (id, at, action, actor, detail)"
            " SELECT gen_random_uuid(), now(), 'x', 'y', '{}' FROM generate_series(1, 30000)"
        )
    )
    await books.do(text("ANALYZE audit"))
    while await books.is_due():
        await books.job().run()
    for seq in (40_000, 40_010):
        await books.do(insert(audit).values(books.rows(1, seq=seq)[0]))
    await books.seal()
    with listening_to(books.db) as seen:
        await books.is_due()
        async with books.db.reading() as session:
            await sealing.is_unnumbered(session)
            await sealing.measure_lag(session, now=books.now())
    looked = await plans(books.db, seen)
    assert len(looked) >= 5
    for statement, nodes in looked:
        slow = [
            node for node in nodes if node["Node Type"] == "Seq Scan" and node["Relation Name"] == "audit"
        ]
        assert not slow, statement
