"""Duties that return: ten years with jumps, returns early and late, mandates that end."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest

from common.contracts.notifier import PeriodBreached, PeriodMet, PeriodOpened, PeriodPassed
from common.contracts.registry import AgencyRetired, ReturnSubmitted
from common.testing import FrozenNow
from notifier.domain.periodic import Period, periods
from notifier.models import period_watermarks
from notifier.models import periods as table
from notifier.service import periods as service
from tests.factories.notifier import LAWBOOK, Ledger, an_agency
from tests.service.notifier.conftest import House
from tests.service.notifier.test_clocks import told
from tests.service.notifier.test_planning import rows

CENTRE = "psych_support_centre"
START = datetime(2025, 12, 31, 19, tzinfo=UTC)
"""Midnight of 1 January 2026 in Almaty."""
EXCHANGE = "R264-22a"


async def work(ledger: Ledger, workers: int = 1) -> None:
    """What the jobs do, by several processes at once."""

    async def one() -> None:
        async with ledger.db.reading() as session:
            opens = await service.anything_opens(session, ledger.desk, now=ledger.now())
        if opens:
            async with ledger.db.transaction() as session:
                await service.open_periods(session, ledger.desk, now=ledger.now())
        while True:
            async with ledger.db.reading() as session:
                if not await service.find_due(session, now=ledger.now()):
                    return
            async with ledger.db.transaction() as session:
                if await service.turn_periods(session, ledger.desk, now=ledger.now()) < service.ROWS:
                    return

    await asyncio.gather(*(one() for _ in range(workers)))


def expected(after: datetime, until: datetime) -> dict[tuple[str, str], Period]:
    """The pure list: every period that the law in force then opens."""
    return {
        (duty.id, period.key): period
        for edition in LAWBOOK.editions
        for duty in edition.periodic
        for period in periods(duty, after, until, LAWBOOK.calendar)
        if duty in LAWBOOK.periodic_at(period.opens_at)
    }


async def begin(ledger: Ledger, now: FrozenNow, at: datetime = START) -> None:
    """A house that has looked once, just before ``at``."""
    now.at = at - timedelta(seconds=1)
    await work(ledger)
    async with ledger.db.transaction() as session:
        await session.execute(table.delete())


def handed_in(agency: UUID, key: str, at: datetime, duty: str = EXCHANGE) -> ReturnSubmitted:
    return ReturnSubmitted(return_id=uuid4(), agency_id=agency, duty=duty, period=key, submitted_at=at)


async def of(ledger: Ledger, agency: UUID, key: str, rule: str = EXCHANGE) -> Any:
    [row] = await rows(ledger, table, agency_id=agency, key=key, rule=rule)
    return row


async def add_centres(ledger: Ledger, territories: Sequence[str]) -> list[UUID]:
    found = []
    for territory in territories:
        found.append(uuid4())
        await ledger.take(an_agency(found[-1], CENTRE, territory=territory))
    return found


@pytest.mark.parametrize("seed", range(3))
async def test_in_ten_years_with_jumps_and_many_workers_none_is_missed_and_none_doubled(
    ledger: Ledger, now: FrozenNow, seed: int
) -> None:
    random = Random(seed)
    centres = [ledger.agencies[CENTRE], *await add_centres(ledger, ["KZ-10", "KZ-11"])]
    await begin(ledger, now)
    end = START.replace(year=START.year + 10)
    while now.at < end:
        leap = random.choice([60.0, 3600.0, 86400.0, 20 * 86400.0, 60 * 86400.0, 200 * 86400.0])
        now.at = min(now.at + timedelta(seconds=max(1.0, leap * random.random())), end)
        await work(ledger, workers=random.choice([1, 2, 4]))
    wanted = expected(START - timedelta(seconds=1), end)
    owed = {key: period for key, period in wanted.items() if key[0].startswith("R264")}
    assert len(owed) > 190
    found = await rows(ledger, table)
    assert Counter((row.rule, row.key, row.agency_id) for row in found) == Counter(
        (rule, key, agency) for rule, key in owed for agency in centres
    )
    for row in found:
        period = owed[row.rule, row.key]
        assert (row.opens_at, row.due_at, row.breach_at, row.is_provisional) == (
            period.opens_at, period.due_at, period.breach_at, period.provisional,
        )  # fmt: skip
        assert (row.alarmed_at is not None) == (period.due_at <= end)
        is_breached = period.breach_at is not None and period.breach_at <= end
        assert row.breached_at == (period.breach_at if is_breached else None)
    opened = [fact for event in await told(ledger, PeriodOpened) for fact in event.periods]
    breached = [fact for event in await told(ledger, PeriodBreached) for fact in event.periods]
    for facts, those in ((opened, found), (breached, [row for row in found if row.breached_at])):
        assert Counter(
            fact.period_id for fact in facts if fact.period_id in {row.id for row in found}
        ) == Counter(row.id for row in those)


async def test_a_house_that_never_looked_begins_with_what_can_still_be_met(
    ledger: Ledger, now: FrozenNow
) -> None:
    now.at = datetime(2026, 11, 28, 7, tzinfo=UTC)
    await work(ledger)
    assert {(row.rule, row.key) for row in await rows(ledger, table)} == {
        ("R264-21a.quarter", "2026-Q4"),
        ("R264-21a.half_year", "2026-H2"),
        (EXCHANGE, "2026-11"),
    }


async def test_a_return_meets_its_period_once_and_a_late_one_stays_breached(
    ledger: Ledger, now: FrozenNow
) -> None:
    centre, late = ledger.agencies[CENTRE], (await add_centres(ledger, ["KZ-10"]))[0]
    await begin(ledger, now)
    now.at = START + timedelta(days=3)
    await work(ledger)
    event = handed_in(centre, "2026-01", now())
    await ledger.take(event)
    await ledger.take(event)
    met = await of(ledger, centre, "2026-01")
    assert (met.state, met.met_at, met.return_id, met.next_check_at) == ("met", now(), event.return_id, None)
    now.at = START + timedelta(days=40)
    await work(ledger)
    assert (await of(ledger, centre, "2026-01")).breached_at is None
    row = await of(ledger, late, "2026-01")
    assert (row.state, row.breached_at) == ("open", row.breach_at)
    await ledger.take(handed_in(late, "2026-01", now()))
    row = await of(ledger, late, "2026-01")
    assert (row.state, row.met_at, row.breached_at) == ("met", now(), row.breach_at)
    assert len(await told(ledger, PeriodMet)) == 2


async def test_what_was_handed_in_before_the_period_was_opened_meets_it(
    ledger: Ledger, now: FrozenNow
) -> None:
    centre = ledger.agencies[CENTRE]
    await begin(ledger, now)
    now.at = START + timedelta(minutes=1)
    await ledger.take(handed_in(centre, "2026-01", now()))
    await work(ledger)
    assert (await of(ledger, centre, "2026-01")).state == "met"
    assert await told(ledger, PeriodBreached) == []


async def test_a_return_that_was_in_time_and_came_late_was_no_breach(ledger: Ledger, now: FrozenNow) -> None:
    centre = ledger.agencies[CENTRE]
    await begin(ledger, now)
    now.at = START + timedelta(days=40)
    await work(ledger)
    assert (await of(ledger, centre, "2026-01")).breached_at is not None
    await ledger.take(handed_in(centre, "2026-01", START + timedelta(days=5)))
    row = await of(ledger, centre, "2026-01")
    assert (row.state, row.breached_at) == ("met", None)


async def test_a_late_return_is_a_breach_though_no_clock_turned_meanwhile(
    ledger: Ledger, now: FrozenNow
) -> None:
    centre = ledger.agencies[CENTRE]
    await begin(ledger, now)
    now.at = START + timedelta(minutes=1)
    await work(ledger)
    now.at = START + timedelta(days=40)
    await ledger.take(handed_in(centre, "2026-01", now()))
    row = await of(ledger, centre, "2026-01")
    assert (row.state, row.breached_at) == ("met", row.breach_at)
    assert [len(event.periods) for event in await told(ledger, PeriodBreached)] == [1]


async def test_a_new_holder_owes_from_its_next_period_on(ledger: Ledger, now: FrozenNow) -> None:
    await begin(ledger, now)
    now.at = START + timedelta(days=10)
    await work(ledger)
    young = uuid4()
    await ledger.take(an_agency(young, CENTRE, territory="KZ-10", valid_from=now()))
    now.at = START + timedelta(days=32)
    await work(ledger)
    assert {row.key for row in await rows(ledger, table, agency_id=young, rule=EXCHANGE)} == {"2026-02"}


async def test_an_open_period_passes_to_the_successor_and_a_missed_one_stays(
    ledger: Ledger, now: FrozenNow
) -> None:
    old, new = uuid4(), uuid4()
    ends = START + timedelta(days=35)
    await ledger.take(an_agency(old, CENTRE, territory="KZ-10", valid_until=ends))
    await ledger.take(an_agency(new, CENTRE, territory="KZ-10", valid_from=ends))
    await begin(ledger, now)
    now.at = START + timedelta(days=33)
    await work(ledger)
    now.at = ends + timedelta(days=1)
    await work(ledger, workers=3)
    missed = await of(ledger, old, "2026-01")
    assert (missed.breached_at, missed.state) == (missed.breach_at, "passed")
    passed = await of(ledger, old, "2026-02")
    assert (passed.state, passed.passed_to, passed.breached_at) == ("passed", new, None)
    taken = await of(ledger, new, "2026-02")
    assert (taken.state, taken.passed_from, taken.due_at, taken.breach_at) == (
        "open", old, passed.due_at, passed.breach_at,
    )  # fmt: skip
    # What its predecessor missed is still owed, and is not the successor's breach.
    inherited = await of(ledger, new, "2026-01")
    assert (inherited.state, inherited.breach_at) == ("open", None)
    now.at = START + timedelta(days=62)
    await work(ledger)
    assert (await of(ledger, new, "2026-02")).breached_at == passed.breach_at
    assert (await of(ledger, old, "2026-02")).breached_at is None
    assert {event.to for event in await told(ledger, PeriodPassed)} == {new}
    assert {row.key for row in await rows(ledger, table, agency_id=old, rule=EXCHANGE)} == {
        "2026-01",
        "2026-02",
    }


async def test_who_retires_without_a_successor_is_looked_at_until_there_is_one(
    ledger: Ledger, now: FrozenNow
) -> None:
    old = uuid4()
    await ledger.take(an_agency(old, CENTRE, territory="KZ-10"))
    await begin(ledger, now)
    now.at = START + timedelta(days=3)
    await work(ledger)
    await ledger.take(AgencyRetired(agency_id=old, version=2, retired_at=now()))
    await work(ledger)
    assert (await of(ledger, old, "2026-01")).state == "open"
    new = uuid4()
    await ledger.take(an_agency(new, CENTRE, territory="KZ-10", valid_from=now()))
    now.at += timedelta(days=1)
    await work(ledger)
    assert (await of(ledger, old, "2026-01")).passed_to == new


async def test_a_return_that_no_law_asks_for_meets_nothing(ledger: Ledger, now: FrozenNow) -> None:
    await begin(ledger, now)
    await ledger.take(handed_in(ledger.agencies[CENTRE], "2026-01", now(), duty="R999-1"))
    assert "R999-1" not in {row.rule for row in await rows(ledger, period_watermarks)}


async def test_an_agency_sees_its_own_periods_and_the_operator_all(house: House, now: FrozenNow) -> None:
    ledger = house.ledger
    [other] = await add_centres(ledger, ["KZ-10"])
    await begin(ledger, now)
    now.at = START + timedelta(days=3)
    await work(ledger)
    own = await house.get("/v1/periods", house.as_agency(CENTRE), limit=200)
    items = own.json()["items"]
    assert {item["agency"] for item in items} == {str(ledger.agencies[CENTRE])}
    month = next(item for item in items if item["rule"] == EXCHANGE)
    assert (month["period"], month["state"], month["obliged"]) == ("2026-01", "open", CENTRE)
    assert set(month["citation"]) >= {"kk", "ru"}
    everything = await house.get("/v1/periods", house.as_role("operator"), limit=200)
    assert {item["agency"] for item in everything.json()["items"]} == {
        str(ledger.agencies[CENTRE]),
        str(other),
    }
    named = await house.get("/v1/periods", house.as_role("operator"), agency=str(other), state="open")
    assert {item["agency"] for item in named.json()["items"]} == {str(other)}
    foreign = await house.get("/v1/periods", house.as_agency(CENTRE), agency=str(other))
    assert foreign.json()["items"] == []
    path = f"/v1/periods/{month['id']}"
    assert (await house.get(path, house.as_agency(CENTRE))).json() == month
    assert (await house.get(path, house.as_role("operator"))).status_code == 200
    nothing = await house.get(f"/v1/periods/{uuid4()}", house.as_agency("internal_affairs"))
    for headers in (house.as_agency("internal_affairs"), house.as_role("registrar")):
        hidden = await house.get(path, headers)
        assert hidden.status_code == 404
        assert hidden.json()["type"] == nothing.json()["type"]
    assert (await house.get("/v1/periods", house.as_role("auditor"))).status_code == 404
    pages, after = [], None
    while True:
        page = (
            await house.get(
                "/v1/periods", house.as_role("operator"), limit=2, **({"after": after} if after else {})
            )
        ).json()
        pages += [item["id"] for item in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert sorted(pages) == sorted(item["id"] for item in everything.json()["items"])
