"""The ledger adds up after real work, and each law has a planted fault that it finds."""

import asyncio
import re
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import delete, insert, update

from common.bus.memory import MemoryBus
from common.keys import KeyRing
from common.outbox import OUTBOX
from common.runtime import listen, run_api
from common.testing import FrozenNow, parts_for_test
from notifier.app import build
from notifier.domain.conservation import Balance, Law
from notifier.jobs import weighing
from notifier.models import attempts, audit, deliveries, notices, obligations, receipts
from notifier.repository.conservation import LONGEST_REST
from notifier.service.conservation import BalanceBoard, weigh
from notifier.settings import Settings
from tests.factories.notifier import a_receipt, eventually
from tests.service.notifier.conftest import House

POLICE = "internal_affairs"
OMBUDSMAN = "regional_child_ombudsman"


@pytest.fixture
async def worked(house: House) -> House:
    """An alert whose notices were fetched by police and commissioner and answered by the police."""
    await house.ledger.take(house.ledger.alert())
    for role in (POLICE, OMBUDSMAN):
        answer = await house.get("/v1/inbox", house.as_agency(role))
        assert answer.status_code == 200
    [to_police] = await house.rows(deliveries, role=POLICE)
    [notice] = await house.rows(notices, delivery_id=to_police.id)
    answer = await house.client.post(
        f"/v1/deliveries/{to_police.id}/receipt",
        json=a_receipt(to_police.id, notice.body, at=house.ledger.now().isoformat()),
        headers=house.as_agency(POLICE),
    )
    assert answer.status_code in (200, 201), answer.text
    async with house.ledger.db.transaction() as session:
        await session.execute(update(OUTBOX).values(published_at=house.ledger.now()))
    return house


async def laws(house: House) -> set[Law]:
    async with house.ledger.db.reading() as session:
        return {one.law for one in (await weigh(session, now=house.ledger.now())).imbalances}


async def test_after_real_work_the_ledger_adds_up(worked: House) -> None:
    async with worked.ledger.db.reading() as session:
        balance = await weigh(session, now=worked.ledger.now())
    assert balance.imbalances == ()
    assert balance.holds
    assert balance.planned == len(await worked.rows(deliveries)) > 2
    assert balance.states["acknowledged"] == 1


def _faults(house: House, police: Any, ombudsman: Any) -> dict[Law, list[Any]]:
    mine = deliveries.c.id == police.id
    long_ago = house.ledger.now() - timedelta(minutes=5)
    return {
        Law.NOTICE_WITHOUT_DELIVERY: [
            update(obligations)
            .where(obligations.c.delivery_id == police.id)
            .values(state="open", delivery_id=None, breached_at=house.ledger.now())
        ],
        Law.DELIVERY_MISSING: [
            update(obligations).where(obligations.c.delivery_id == police.id).values(delivery_id=uuid4())
        ],
        Law.MET_WITHOUT_PROOF: [
            update(deliveries).where(mine).values(transmitted_at=None, acknowledged_at=None, opened_at=None)
        ],
        Law.NOTICE_MISSING: [delete(notices).where(notices.c.delivery_id == police.id)],
        Law.ASLEEP: [
            update(deliveries).where(deliveries.c.id == ombudsman.id).values(next_wakeup_at=long_ago)
        ],
        Law.CLOCK_ASLEEP: [
            update(obligations)
            .where(obligations.c.dispatch_at.is_not(None), obligations.c.delivery_id.is_(None))
            .values(dispatch_at=long_ago)
        ],
        Law.ATTEMPT_NOT_RECORDED: [delete(attempts).where(attempts.c.delivery_id == police.id)],
        Law.TRANSMITTED_WITHOUT_PROOF: [
            update(attempts).where(attempts.c.delivery_id == ombudsman.id).values(outcome="refused")
        ],
        Law.ANSWER_WITHOUT_RECEIPT: [delete(receipts).where(receipts.c.delivery_id == police.id)],
        Law.RECEIPT_OF_ANOTHER: [
            update(receipts).where(receipts.c.delivery_id == police.id).values(agency_id=uuid4())
        ],
        Law.NOT_ON_RECORD: [delete(audit).where(audit.c.subject_id == police.id)],
        Law.EVENT_STUCK: [
            insert(OUTBOX).values(
                id=uuid4(), type="x", subject=uuid4(), data="{}", created_at=long_ago, tries=0
            )
        ],
    }


@pytest.mark.parametrize("law", [law for law in Law if law is not Law.FORGOTTEN])
async def test_each_law_finds_its_planted_fault(worked: House, law: Law) -> None:
    """``forgotten`` has none: the table itself refuses such a row (test_delivery)."""
    [police] = await worked.rows(deliveries, role=POLICE)
    [ombudsman] = await worked.rows(deliveries, role=OMBUDSMAN)
    async with worked.ledger.db.transaction() as session:
        for statement in _faults(worked, police, ombudsman)[law]:
            await session.execute(statement)
    assert law in await laws(worked)


async def plant(house: House, delivery_id: Any, **values: Any) -> None:
    async with house.ledger.db.transaction() as session:
        await session.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(**values))


async def test_a_dead_delivery_whose_silence_nobody_looked_at_is_asleep(worked: House) -> None:
    [ombudsman] = await worked.rows(deliveries, role=OMBUDSMAN)
    now = worked.ledger.now()
    dead = {"state": "dead", "reason": None, "next_wakeup_at": None, "silent_since": now}
    await plant(worked, ombudsman.id, **dead, climb_at=now + timedelta(hours=1))
    assert Law.ASLEEP not in await laws(worked)
    await plant(worked, ombudsman.id, climb_at=now - timedelta(minutes=5))
    assert Law.ASLEEP in await laws(worked)


async def test_a_duty_that_would_leave_at_a_time_at_which_nobody_looks_has_no_delivery(worked: House) -> None:
    async with worked.ledger.db.transaction() as session:
        waits = (obligations.c.dispatch_at.is_not(None), obligations.c.delivery_id.is_(None))
        await session.execute(
            update(obligations).where(*waits).values(next_check_at=None, breached_at=worked.ledger.now())
        )
    assert Law.NOTICE_WITHOUT_DELIVERY in await laws(worked)


async def test_what_is_overdue_is_found_whatever_its_age(worked: House, now: FrozenNow) -> None:
    now.move(timedelta(days=3))
    recent = (await worked.get("/v1/conservation", worked.as_role("operator"))).json()
    assert {"asleep", "clock_asleep"} <= {one["law"] for one in recent["imbalances"]}


async def test_what_waits_for_a_place_at_an_endpoint_that_hangs_is_not_asleep(
    house: House, now: FrozenNow
) -> None:
    await house.ledger.connect(POLICE, "https://police.example/1")
    for _ in range(2):
        await house.ledger.take(house.ledger.alert())
    hangs, waits = await house.rows(deliveries, role=POLICE)
    soon, long_ago = now() + timedelta(days=1), now() - timedelta(minutes=5)
    async with house.ledger.db.transaction() as session:
        await session.execute(update(deliveries).values(next_wakeup_at=soon))
    await plant(house, waits.id, attempt_no=1, reason="retry", next_wakeup_at=long_ago)
    assert Law.ASLEEP in await laws(house), "nobody works on this endpoint"
    leased = {"state": "leased", "reason": None, "claim_token": uuid4()}
    await plant(house, hangs.id, **leased, next_wakeup_at=now() + timedelta(seconds=10))
    assert Law.ASLEEP not in await laws(house)
    await plant(house, waits.id, attempt_no=0, reason="new")
    assert Law.ASLEEP in await laws(house), "an immediate notice is tried at once, whoever hangs"


async def test_the_api_shows_what_is_asleep_though_no_worker_runs(
    worked: House, now: FrozenNow, keys: KeyRing
) -> None:
    now.move(timedelta(minutes=10))
    url = worked.ledger.db.engine.url.render_as_string(hide_password=False)
    parts = parts_for_test("notifier", url, keys, bus=MemoryBus(), now=now)
    service = build(Settings(public_url="https://dabyl.example"), parts)
    door, stop = listen("127.0.0.1", 0), asyncio.Event()
    port = door.getsockname()[1]
    serving = asyncio.create_task(run_api(service, parts, stop, [door]))

    async def metrics() -> dict[str, float]:
        page = (await client.get("/metrics")).text
        return dict(_figures(page))

    async def is_weighed() -> dict[str, float]:
        try:
            found = await metrics()
        except httpx.ConnectError:
            return {}  # it does not listen yet
        return found if {"dabyl_outbox_weighed_seconds", WEIGHED} <= found.keys() else {}

    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            found = await eventually(is_weighed, seconds=60)
    finally:
        stop.set()
        await serving
        for close in service.close:
            await close()
        await parts.close()
    assert found["dabyl_conservation_broken asleep"] > 0
    assert found[WEIGHED] == now().timestamp()
    assert found["dabyl_outbox_missing casework"] == 0


WEIGHED = "dabyl_conservation_weighed_seconds"


def _figures(page: str) -> Iterator[tuple[str, float]]:
    """Ours, by name and by the one label that says which."""
    for line in page.splitlines():
        if line.startswith("dabyl_"):
            name, labels, value = re.split(r"[{}]", line)
            which = re.search(r'(?:law|reader|state)="(\w+)"', labels)
            yield f"{name} {which[1]}" if which else name, float(value)


async def test_the_operator_sees_the_balance_and_nobody_else(worked: House) -> None:
    shown = await worked.get("/v1/conservation", worked.as_role("operator"), scope="whole")
    assert shown.status_code == 200
    assert shown.json()["holds"] is True
    assert sum(shown.json()["states"].values()) == shown.json()["planned"]
    for headers in (worked.as_agency(POLICE), worked.as_role("registrar"), worked.as_role("auditor")):
        assert (await worked.get("/v1/conservation", headers)).status_code == 403


async def test_the_job_weighs_what_is_recent_and_the_command_weighs_all(
    worked: House, now: FrozenNow
) -> None:
    [police] = await worked.rows(deliveries, role=POLICE)
    async with worked.ledger.db.transaction() as session:
        await session.execute(delete(receipts).where(receipts.c.delivery_id == police.id))
    now.move(timedelta(days=3))
    operator = worked.as_role("operator")
    recent = (await worked.get("/v1/conservation", operator)).json()
    whole = (await worked.get("/v1/conservation", operator, scope="whole")).json()
    assert "answer_without_receipt" not in {one["law"] for one in recent["imbalances"]}
    assert "answer_without_receipt" in {one["law"] for one in whole["imbalances"]}


async def test_a_mended_law_falls_to_nothing_on_the_metrics_page(worked: House) -> None:
    board = BalanceBoard(worked.parts.telemetry.meter)
    async with worked.ledger.db.reading() as session:
        good = await weigh(session, now=worked.ledger.now())
        bad = await weigh(session, now=worked.ledger.now() + timedelta(days=1))

    def broken() -> str:
        lines = worked.parts.telemetry.exposition().decode().splitlines()
        return next(line for line in lines if "conservation_broken" in line and 'law="asleep"' in line)

    board.show(bad)
    assert not broken().endswith(" 0.0")
    board.show(good)
    assert broken().endswith(" 0.0")


async def test_the_job_rests_after_each_law(worked: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its queries in a row would keep alerts of that moment waiting; whoever asks does not wait."""
    rests: list[float] = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    monkeypatch.setattr("notifier.repository.conservation.asyncio", SimpleNamespace(sleep=rest))
    found: list[Balance] = []
    async with worked.ledger.db.reading() as session:
        asked = await weigh(session, now=worked.ledger.now())
    assert rests == []
    await weighing(worked.ledger.db, worked.ledger.now, found.append).run()
    assert len(rests) == len(Law)
    assert min(rests) > 0
    assert found[0].states == asked.states
    async with worked.ledger.db.reading() as session:
        await weigh(session, now=worked.ledger.now(), rest=1e9)
    assert set(rests[len(Law) :]) == {LONGEST_REST}  # a slow law must not leave its transaction idle for long
