"""Sending again by a person: one delivery, many, twice, by two people, during a retry, and over a crash."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from common.contracts.registry import EndpointRevoked
from common.identity import Principal
from common.ids import new_id
from common.telemetry import Telemetry
from common.testing import FrozenNow
from common.timing import utc_now
from notifier.domain.delivery import Outcome, Reason, State
from notifier.domain.exclusion import Exclusion
from notifier.domain.redrive import BATCH
from notifier.domain.schedule import Urgency
from notifier.jobs import jobs
from notifier.models import attempts, audit, deliveries, redrives
from notifier.repository import claims
from notifier.repository import redrives as rows_of
from notifier.repository.claims import Result
from notifier.repository.redrives import Again
from notifier.service import redrives as redriving
from notifier.service.exclusions import store_implied
from tests.factories.notifier import Ledger, answering, eventually, honest, receiving, working
from tests.service.notifier.conftest import House
from tests.service.notifier.test_planning import rows

POLICE = "internal_affairs"
DEAD = {"filter": {"state": "dead"}}


def operator(house: House, name: str = "operator-1") -> dict[str, str]:
    return house.headers("notifier", "operator", subject=name)


async def try_once(ledger: Ledger, ids: list[UUID], outcome: Outcome, status: int | None) -> None:
    """Claim and finish each once, by the engine's own statements; 410 makes it dead."""
    token, now = new_id(), ledger.now()
    leases = {urgency: now + timedelta(seconds=30) for urgency in Urgency}
    async with ledger.db.transaction() as session:
        claimed = await claims.claim(session, ids, token, now=now, leases=leases)
    assert len(claimed) == len(ids)
    is_dead = outcome is Outcome.GONE
    results = [
        Result(
            delivery_id=one.delivery_id,
            token=token,
            attempt=one.attempt,
            ended_at=now,
            outcome=outcome,
            status=status,
            state=State.DEAD if is_dead else State.WAITING,
            reason=None if is_dead else Reason.RETRY,
            next_wakeup_at=None if is_dead else now + timedelta(hours=1),
        )
        for one in claimed
    ]
    async with ledger.db.transaction() as session:
        await claims.write_results(session, results)


async def failed(house: House, number: int = 1, outcome: Outcome = Outcome.GONE) -> list[UUID]:
    """Deliveries to the police that failed so."""
    if not house.ledger.secrets:
        await house.ledger.connect(POLICE, "http://127.0.0.1:9/hook")
    known = {row.id for row in await house.rows(deliveries)}
    for one in range(number):
        await house.ledger.take(house.ledger.alert(number=f"7K4M-{one:04d}-{len(known)}"[:14]))
    ids = [row.id for row in await house.rows(deliveries, role=POLICE) if row.id not in known]
    await try_once(house.ledger, ids, outcome, 410 if outcome is Outcome.GONE else 503)
    return ids


async def redrive(house: House, delivery: UUID, who: str = "operator-1", **body: Any) -> Any:
    path = f"/v1/deliveries/{delivery}/redrive"
    return await house.client.post(path, json=body, headers=operator(house, who))


async def many(house: House, body: dict[str, Any], who: str = "operator-1") -> Any:
    return await house.client.post("/v1/redrives", json=body, headers=operator(house, who))


async def state(house: House, delivery: UUID) -> Any:
    [row] = await house.rows(deliveries, id=delivery)
    return row


async def test_a_dead_delivery_goes_again_as_a_new_generation_and_keeps_its_attempts(house: House) -> None:
    [delivery] = await failed(house)
    answer = await redrive(house, delivery, generation=1)
    assert (answer.status_code, answer.json()["generation"], answer.json()["is_new"]) == (200, 2, True)
    row = await state(house, delivery)
    assert (row.state, row.reason, row.generation) == ("waiting", "redriven", 2)
    assert row.next_wakeup_at == house.ledger.now()
    assert [one.outcome for one in await house.rows(attempts, delivery_id=delivery)] == ["gone"]
    [told] = [one for one in await house.rows(audit) if one.action == "delivery.redriven"]
    assert (told.actor, told.detail) == ("operator-1", {"generation": 2})
    shown = (await house.get(f"/v1/deliveries/{delivery}", operator(house))).json()
    assert (shown["generation"], shown["reason"]) == (2, "redriven")


async def test_two_people_at_once_begin_one_generation(house: House) -> None:
    [delivery] = await failed(house)
    found = await asyncio.gather(
        *(redrive(house, delivery, f"operator-{one % 2}", generation=1) for one in range(8))
    )
    assert [answer.status_code for answer in found] == [200] * 8
    assert {answer.json()["generation"] for answer in found} == {2}
    assert sum(answer.json()["is_new"] for answer in found) == 1
    assert (await state(house, delivery)).generation == 2


async def test_a_second_person_who_saw_the_old_generation_comes_too_late_even_after_it_failed_again(
    house: House,
) -> None:
    [delivery] = await failed(house)
    await redrive(house, delivery, generation=1)
    await try_once(house.ledger, [delivery], Outcome.GONE, 410)
    late = await redrive(house, delivery, "operator-2", generation=1)
    assert late.json() == {"delivery": str(delivery), "generation": 2, "is_new": False}
    assert (await state(house, delivery)).state == "dead"
    assert (await redrive(house, delivery, "operator-2", generation=2)).json()["generation"] == 3
    assert (await redrive(house, delivery, generation=9)).json()["is_new"] is False


async def check_an_old_look_begins_nothing(house: House) -> None:
    """Whoever looked before somebody else acted: a redrive of that generation, or a worker's claim."""
    [delivery] = await failed(house)
    row, now = await state(house, delivery), house.ledger.now()
    seen = Again(delivery, row.generation, row.endpoint_id, row.endpoint_version, now)

    async def again(look: Again) -> set[UUID]:
        async with house.ledger.db.transaction() as session:
            return await rows_of.redrive(session, [look])

    assert await again(seen) == {delivery}
    assert await again(seen) == set(), "one generation, two redrives"
    async with house.ledger.db.transaction() as session:
        leases = {urgency: now + timedelta(seconds=30) for urgency in Urgency}
        assert await claims.claim(session, [delivery], new_id(), now=now, leases=leases)
    assert await again(replace(seen, generation=2)) == set(), "redriven while a worker sends it"
    assert (await state(house, delivery)).generation == 2


async def test_an_old_look_begins_nothing(house: House) -> None:
    await check_an_old_look_begins_nothing(house)


@pytest.mark.parametrize("clause", ["generation", "state"])
async def test_planted_redrive_that_does_not_look_again_is_found(
    house: House, monkeypatch: pytest.MonkeyPatch, clause: str
) -> None:
    whole = rows_of._redrive

    def less(dialect: str) -> Any:
        statement: Any = whole(dialect)
        planted = statement._generate()
        kept = [one for one in statement._where_criteria if clause not in str(one)]
        assert len(kept) == len(statement._where_criteria) - 1
        planted._where_criteria = tuple(kept)
        return planted

    monkeypatch.setattr(rows_of, "_redrive", less)
    # Without the state it is the table's own constraint that says no: what waits has no fence.
    with pytest.raises((AssertionError, IntegrityError)):
        await check_an_old_look_begins_nothing(house)


async def test_during_an_automatic_retry_at_most_one_attempt_is_extra(
    live: Ledger, telemetry: Telemetry
) -> None:
    """Two operators press while the worker is sending, and once more while it waits for its retry."""
    async with receiving(answering(500)) as agency, working(live, telemetry):
        await live.connect(POLICE, agency.url)
        await live.take(live.alert(received_at=utc_now()))

        async def twice() -> Any:
            [row] = await rows(live, deliveries, role=POLICE)
            return row if row.attempt_no >= 2 else None

        row = await eventually(twice)
        before = len(agency.requests)
        callers = [Principal(f"operator-{one}", "operator") for one in range(2)]

        async def press(caller: Principal) -> Any:
            async with live.db.transaction() as session:
                return await redriving.redrive(
                    session, live.desk, caller, row.id, seen=row.generation, now=utc_now()
                )

        agency.behave = honest
        found = await asyncio.gather(*(press(callers[one % 2]) for one in range(6)))
        assert sum(one.is_new for one in found) <= 1

        async def sent() -> Any:
            [now] = await rows(live, deliveries, role=POLICE)
            return now if now.state == "transmitted" else None

        delivery = await eventually(sent)
        await asyncio.sleep(0.2)
        assert len(agency.requests) - before <= 2, "the one under way, and one extra"
        assert delivery.generation <= 2
        assert len({got.delivery_id for got in agency.requests}) == 1
        assert len({got.body for got in agency.requests}) == 1


async def test_what_got_through_was_answered_or_waits_to_be_fetched_is_not_sent_again(house: House) -> None:
    await house.ledger.take(house.ledger.alert())
    [pulled] = await house.rows(deliveries, role=POLICE)
    assert (await redrive(house, pulled.id)).status_code == 409
    cases: tuple[dict[str, Any], ...] = (
        {"state": "transmitted", "transmitted_at": utc_now()},
        {"state": "acknowledged", "next_wakeup_at": None},
        {"state": "cancelled", "next_wakeup_at": None},
    )
    for values in cases:
        [delivery] = await failed(house)
        async with house.ledger.db.transaction() as session:
            whole = {"next_wakeup_at": utc_now(), "reason": None, **values}
            await session.execute(update(deliveries).where(deliveries.c.id == delivery).values(**whole))
        answer = await redrive(house, delivery)
        assert answer.status_code == 409
        assert answer.json()["type"].endswith("redrive-not-possible")


async def test_without_a_way_it_says_so_and_stays(house: House) -> None:
    [delivery] = await failed(house)
    [row] = await house.rows(deliveries, id=delivery)
    path = f"/v1/endpoints/{row.endpoint_id}/pause"
    assert (await house.client.post(path, json={}, headers=operator(house))).status_code == 200
    answer = await redrive(house, delivery)
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (409, "no-way-to-send")
    assert (await state(house, delivery)).state == "dead"


@pytest.mark.parametrize("end", ["pause", "revoked"])
async def test_a_rung_is_sent_again_by_its_own_way_and_no_other(
    house: House, now: FrozenNow, end: str
) -> None:
    """What a duty phone should have said never ends in the webhook, where nobody hears it."""
    first = await house.ledger.connect(POLICE, "http://127.0.0.1:9/hook")
    phone = await house.ledger.connect(POLICE, "http://127.0.0.1:9/phone", rung=2)
    await house.ledger.take(house.ledger.alert())
    run = {job.name: job for job in jobs(house.ledger.db, house.ledger.desk, now)}
    now.move(timedelta(minutes=2))
    await run["climb_ladders"].run()
    [rung] = await house.rows(deliveries, role=POLICE, rung=2)
    assert rung.endpoint_id == phone
    await try_once(house.ledger, [rung.id], Outcome.GONE, 410)
    if end == "pause":
        path = f"/v1/endpoints/{phone}/pause"
        assert (await house.client.post(path, json={}, headers=operator(house))).status_code == 200
    else:
        revoked = EndpointRevoked(
            endpoint_id=phone, agency_id=house.ledger.agencies[POLICE], version=2, revoked_at=now()
        )
        await house.ledger.take(revoked)
    answer = await redrive(house, rung.id)
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (409, "no-way-to-send")
    proposal = (await many(house, DEAD | {"reason": "x"})).json()["proposal"]
    assert (await many(house, {"confirms": proposal}, "operator-2")).status_code == 202
    async with house.ledger.db.transaction() as session:
        assert await redriving.drive(session, house.ledger.desk, now=now()) == 1
    assert (await state(house, rung.id)).state == "dead", "of many it is passed over"
    other = await house.ledger.connect(POLICE, "http://127.0.0.1:9/other-phone", rung=2)
    assert (await redrive(house, rung.id)).status_code == 200
    row = await state(house, rung.id)
    assert (row.state, row.endpoint_id) == ("waiting", other)
    [one] = await house.rows(deliveries, role=POLICE, rung=0)
    assert one.endpoint_id == first


async def test_of_several_ways_on_its_rung_its_own_is_taken(house: House) -> None:
    await house.ledger.connect(POLICE, "http://127.0.0.1:9/hook")
    deliveries_of = [(await failed(house))[0] for _ in range(3)]
    own = {one: (await state(house, one)).endpoint_id for one in deliveries_of}
    for number in range(4):
        await house.ledger.connect(POLICE, f"http://127.0.0.1:9/more-{number}")
    for one in deliveries_of:
        assert (await redrive(house, one)).status_code == 200
        assert (await state(house, one)).endpoint_id == own[one]


async def test_who_has_been_shut_out_meanwhile_gets_nothing_again(house: House) -> None:
    police = house.ledger.agencies[POLICE]
    [delivery] = await failed(house)
    row = await state(house, delivery)
    late = Exclusion(alert_id=row.alert_id, agency_id=police)
    async with house.ledger.db.transaction() as session:
        await store_implied(session, [late], raised_by="operator-1", since=house.ledger.now())
    assert (await redrive(house, delivery)).status_code == 409
    assert (await state(house, delivery)).state == "dead"


async def test_only_an_operator_may(house: House) -> None:
    [delivery] = await failed(house)
    for headers in (house.as_agency(POLICE), house.as_role("registrar"), house.as_role("auditor")):
        for method, path in (
            ("POST", f"/v1/deliveries/{delivery}/redrive"), ("POST", "/v1/redrives"),
            ("GET", "/v1/redrives"), ("GET", f"/v1/redrives/{uuid4()}"), ("GET", "/v1/failures"),
        ):  # fmt: skip
            answer = await house.client.request(
                method, path, json={} if method == "POST" else None, headers=headers
            )
            assert answer.status_code == 403, (method, path)
    unknown = await redrive(house, uuid4())
    assert unknown.status_code == 404


# Many


async def test_failures_are_grouped_by_cause(house: House) -> None:
    await failed(house, 3)
    await failed(house, 2, Outcome.THROTTLED)
    groups = (await house.get("/v1/failures", operator(house))).json()["items"]
    told = {
        (one["state"], one["reason"], one["outcome"], one["status_class"], one["count"]) for one in groups
    }
    assert told == {("dead", None, "gone", 4, 3), ("waiting", "retry", "throttled", 5, 2)}
    assert {one["agency"] for one in groups} == {str(house.ledger.agencies[POLICE])}
    # Opaque ids and states only.
    assert set(groups[0]) == {
        "state", "reason", "outcome", "status_class", "agency", "count", "oldest_at", "urgency",
        "ways",
    }  # fmt: skip


async def test_a_dry_run_counts_and_changes_nothing(house: House) -> None:
    ids = await failed(house, 3)
    await failed(house, 2, Outcome.THROTTLED)
    answer = await many(house, DEAD | {"dry_run": True})
    assert (answer.status_code, answer.json()["count"]) == (200, 3)
    assert set(answer.json()["sample"]) == set(map(str, ids))
    assert answer.json()["proposal"] is None
    for narrow, count in (
        ({"outcome": "gone", "status_class": 4}, 3),
        ({"status_class": 5}, 0),
        ({"agency": str(uuid4())}, 0),
        ({"planned_until": house.ledger.now().isoformat()}, 0),
    ):
        asked = await many(house, {"filter": {"state": "dead"} | narrow, "dry_run": True})
        assert asked.json()["count"] == count, narrow
    retrying = await many(house, {"filter": {"state": "retrying"}, "dry_run": True})
    assert retrying.json()["count"] == 2
    assert await house.rows(redrives) == []
    assert {row.state for row in await house.rows(deliveries, role=POLICE)} == {"dead", "waiting"}


async def test_two_persons_begin_it_and_it_runs_in_batches_once(house: House, now: FrozenNow) -> None:
    ids = await failed(house, BATCH + 7)
    proposed = await many(house, DEAD | {"reason": "their certificate is renewed"})
    assert (proposed.status_code, proposed.json()["count"]) == (202, BATCH + 7)
    proposal = proposed.json()["proposal"]
    assert (await many(house, {"confirms": proposal})).status_code == 409, "the same person"
    waiting = (await house.get("/v1/redrives", operator(house, "operator-2"))).json()["proposed"]
    assert [(one["proposal"], one["reason"], one["is_own"]) for one in waiting] == [
        (proposal, "their certificate is renewed", False)
    ]
    begun = await many(house, {"confirms": proposal}, "operator-2")
    again = await many(house, {"confirms": proposal}, "operator-2")
    assert begun.status_code == again.status_code == 202
    assert begun.json()["redrive"]["id"] == again.json()["redrive"]["id"]
    run = begun.json()["redrive"]["id"]
    # One that fails after two persons agreed is not what they agreed to.
    now.move(timedelta(minutes=1))
    [later] = await failed(house)

    async with house.ledger.db.transaction() as session:
        assert await redriving.drive(session, house.ledger.desk, now=now()) == BATCH
    half = (await house.get(f"/v1/redrives/{run}", operator(house))).json()
    assert (half["total"], half["redriven"], half["finished_at"]) == (BATCH + 7, BATCH, None)
    for job in jobs(house.ledger.db, house.ledger.desk, now):
        await job.run()
    done = (await house.get(f"/v1/redrives/{run}", operator(house))).json()
    assert (done["redriven"], done["skipped"]) == (BATCH + 7, 0)
    assert done["finished_at"] is not None
    found = {row.id: row for row in await house.rows(deliveries, role=POLICE)}
    assert {found[one].generation for one in ids} == {2}
    assert (found[later].state, found[later].generation) == ("dead", 1)
    wakeups = {found[one].next_wakeup_at for one in ids}
    assert len(wakeups) >= BATCH, "spread over time, so that nobody who comes back is run over"
    assert "certificate" not in "".join(str(row) for row in await house.rows(audit))


async def test_a_batch_that_dies_is_neither_lost_nor_repeated(house: House, now: FrozenNow) -> None:
    ids = await failed(house, BATCH + 3)
    proposal = (await many(house, DEAD | {"reason": "x"})).json()["proposal"]
    run = (await many(house, {"confirms": proposal}, "operator-2")).json()["redrive"]["id"]
    with pytest.raises(RuntimeError):
        async with house.ledger.db.transaction() as session:
            await redriving.drive(session, house.ledger.desk, now=now())
            raise RuntimeError("killed before the commit")
    assert {row.generation for row in await house.rows(deliveries, role=POLICE)} == {1}
    for _ in range(3):
        async with house.ledger.db.transaction() as session:
            await redriving.drive(session, house.ledger.desk, now=now())
    found = await house.rows(deliveries, role=POLICE)
    assert {row.generation for row in found if row.id in ids} == {2}
    assert (await house.get(f"/v1/redrives/{run}", operator(house))).json()["redriven"] == BATCH + 3


@pytest.mark.parametrize(
    "body",
    [
        {}, {"filter": {}}, {"filter": {"state": "alive"}}, DEAD, DEAD | {"reason": ""},
        DEAD | {"dry_run": "yes"}, {"filter": {"state": "dead", "status_class": 9}},
        {"filter": {"state": "dead", "child": "x"}, "dry_run": True}, {"confirms": "x"},
        DEAD | {"reason": "a\u0000b"},
    ],
)  # fmt: skip
async def test_what_is_no_redrive_is_refused(house: House, body: dict[str, Any]) -> None:
    answer = await many(house, body)
    assert answer.status_code in (400, 422)
    assert "alive" not in answer.text
