"""The engine against real HTTP: honest, flaky, hanging, resetting, lying, redirecting, gone, throttling."""

import asyncio
import hashlib
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from common.ids import new_id
from common.telemetry import Telemetry
from common.timing import utc_now
from notifier.domain.delivery import Outcome, Reason, State
from notifier.domain.escalation import Rung
from notifier.domain.schedule import Urgency
from notifier.models import attempts, audit, deliveries, endpoint_versions, escalations, notices, obligations
from notifier.repository import claims
from notifier.repository import overdue as overdue_rows
from notifier.repository.claims import Result
from notifier.service import directory, lane
from notifier.service.lane import Lane
from notifier.service.overdue import reap_leases
from tests.factories.notifier import (
    Ledger,
    Receiver,
    answering,
    eventually,
    failing_first,
    hanging,
    honest,
    receiving,
    resetting,
    verified,
    working,
)

POLICE = "internal_affairs"


async def rows(ledger: Ledger, table: Any, **where: Any) -> list[Any]:
    query = select(table)
    for name, value in where.items():
        query = query.where(table.c[name] == value)
    async with ledger.db.reading() as session:
        return list((await session.execute(query)).all())


async def to_police(ledger: Ledger) -> Any:
    [row] = await rows(ledger, deliveries, role=POLICE)
    return row


async def tries(ledger: Ledger, delivery_id: UUID) -> list[Any]:
    return sorted(await rows(ledger, attempts, delivery_id=delivery_id), key=lambda row: row.no)


async def ended(ledger: Ledger, delivery_id: UUID, number: int) -> list[Any]:
    found = [row for row in await tries(ledger, delivery_id) if row.outcome is not None]
    return found if len(found) >= number else []


def alert(ledger: Ledger) -> Any:
    return ledger.alert(received_at=utc_now())


async def test_an_honest_agency_is_told_at_once_and_the_senders_duty_is_met(
    live: Ledger, telemetry: Telemetry
) -> None:
    async with receiving(honest) as agency, working(live, telemetry):
        endpoint = await live.connect(POLICE, agency.url)
        await live.take(alert(live))

        async def transmitted() -> Any:
            return (await to_police(live)).state == "transmitted"

        await eventually(transmitted)
        [got] = agency.requests
        delivery = await to_police(live)
        notice = verified(got, live.secrets[endpoint])
        [stored] = await rows(live, notices, delivery_id=delivery.id)
        assert got.delivery_id == str(delivery.id) == notice["delivery"]
        assert got.body == stored.body
        assert hashlib.sha256(got.body).hexdigest() == stored.digest
        assert "traceparent" not in {name.lower() for name in got.headers}
        [attempt] = await tries(live, delivery.id)
        assert (attempt.outcome, attempt.status) == ("accepted", 200)
        [met] = await rows(live, obligations, rule="R136-8a")
        assert (met.state, met.met_at) == ("met", delivery.transmitted_at)
        # Their edge took it: that is not the end.
        assert delivery.next_wakeup_at > delivery.transmitted_at
        assert delivery.acknowledged_at is None


async def test_a_recipients_own_clocks_start_when_it_was_told(live: Ledger, telemetry: Telemetry) -> None:
    role = "regional_child_rights_body"
    async with receiving(honest) as agency, working(live, telemetry):
        await live.connect(role, agency.url)
        await live.take(alert(live))

        async def started() -> Any:
            [row] = await rows(live, obligations, rule="R136-12.2")
            return row if row.state == "open" else None

        row = await eventually(started)
        [delivery] = await rows(live, deliveries, role=role)
        assert row.starts_at == delivery.transmitted_at
        assert row.due_at > row.starts_at
        [still] = await rows(live, obligations, rule="R136-29")
        assert still.state == "pending"


async def test_failures_are_tried_again_under_the_same_id_with_the_same_bytes(
    live: Ledger, telemetry: Telemetry
) -> None:
    async with receiving(failing_first(3)) as agency, working(live, telemetry):
        await live.connect(POLICE, agency.url)
        await live.take(alert(live))

        async def transmitted() -> Any:
            return (await to_police(live)).state == "transmitted"

        await eventually(transmitted)
        delivery = await to_police(live)
        outcomes = [(row.no, row.outcome, row.status) for row in await tries(live, delivery.id)]
        assert outcomes == [(1, "failed", 500), (2, "failed", 500), (3, "failed", 500), (4, "accepted", 200)]
        assert {got.delivery_id for got in agency.requests} == {str(delivery.id)}
        assert len({got.body for got in agency.requests}) == 1


@pytest.mark.parametrize(
    ("behave", "outcome", "status", "reason"),
    [
        (answering(404), "refused", 404, "retry"),
        (answering(500), "failed", 500, "retry"),
        (answering(302, {"Location": "/elsewhere"}), "redirected", 302, "retry"),
        (answering(429, {"Retry-After": "1"}), "throttled", 429, "retry"),
        (answering(503, {"Retry-After": "1"}), "throttled", 503, "retry"),
        (resetting, "no_answer", None, "unknown_outcome"),
        (hanging, "no_answer", None, "unknown_outcome"),
    ],
)
async def test_what_does_not_get_through_waits_to_be_tried_again(
    live: Ledger, telemetry: Telemetry, behave: Any, outcome: str, status: int | None, reason: str
) -> None:
    async with receiving(behave) as agency, working(live, telemetry):
        await live.connect(POLICE, agency.url)
        await live.take(alert(live))

        async def first() -> Any:
            delivery = await to_police(live)
            return await ended(live, delivery.id, 1)

        [one, *_] = await eventually(first)
        assert (one.outcome, one.status) == (outcome, status)
        assert all(got.headers.get("Host", "").startswith("127.0.0.1") for got in agency.requests)

        async def waits() -> Any:
            delivery = await to_police(live)
            return delivery if delivery.state == "waiting" else None

        delivery = await eventually(waits)
        assert delivery.reason == reason
        assert delivery.next_wakeup_at is not None


async def test_a_redirect_is_never_followed(live: Ledger, telemetry: Telemetry) -> None:
    paths: list[str] = []

    async def redirecting(receiver: Receiver, request: Any, body: bytes) -> Any:
        paths.append(request.path)
        return await answering(307, {"Location": f"http://127.0.0.1:{receiver.port}/elsewhere"})(
            receiver, request, body
        )

    async with receiving(redirecting) as agency, working(live, telemetry):
        await live.connect(POLICE, agency.url)
        await live.take(alert(live))

        async def twice() -> Any:
            return await ended(live, (await to_police(live)).id, 2)

        await eventually(twice)
        assert set(paths) == {"/hook"}


async def test_retry_after_is_honoured_within_the_legal_time(live: Ledger, telemetry: Telemetry) -> None:
    async with receiving(answering(429, {"Retry-After": "3"})) as agency, working(live, telemetry):
        await live.connect(POLICE, agency.url)
        await live.take(alert(live))

        async def first() -> Any:
            return await ended(live, (await to_police(live)).id, 1)

        [one] = await eventually(first)

        async def waits() -> Any:
            delivery = await to_police(live)
            return delivery if delivery.state == "waiting" else None

        delivery = await eventually(waits)
        assert delivery.next_wakeup_at - one.ended_at == timedelta(seconds=3)


async def test_gone_needs_a_person(live: Ledger, telemetry: Telemetry) -> None:
    async with receiving(answering(410)) as agency, working(live, telemetry):
        await live.connect(POLICE, agency.url)
        await live.take(alert(live))

        async def dead() -> Any:
            return (await to_police(live)).state == "dead"

        await eventually(dead)
        await asyncio.sleep(0.3)
        assert len(agency.requests) == 1
        [open_duty] = await rows(live, obligations, rule="R136-8a")
        assert open_duty.state == "open"
        assert [row.action for row in await rows(live, audit) if row.action == "delivery.failed"]
        # Nothing is tried any more, and it has no other way: an operator is called in the same transaction.
        alarms = await rows(live, escalations, delivery_id=(await to_police(live)).id)
        assert [(alarm.rung, alarm.reason) for alarm in alarms] == [(Rung.OPERATOR, "dead")]


async def test_nobody_listens_and_it_goes_on_being_tried(live: Ledger, telemetry: Telemetry) -> None:
    async with receiving(honest) as agency:
        port_of_nobody = agency.url
    async with working(live, telemetry):
        await live.connect(POLICE, port_of_nobody)
        await live.take(alert(live))

        async def thrice() -> Any:
            return await ended(live, (await to_police(live)).id, 3)

        found = await eventually(thrice)
        assert {row.outcome for row in found} == {"unreachable"}


async def test_a_huge_answer_is_not_read_to_its_end(live: Ledger, telemetry: Telemetry) -> None:
    async with receiving(answering(200, text="x" * 3_000_000)) as agency, working(live, telemetry):
        await live.connect(POLICE, agency.url)
        await live.take(alert(live))

        async def transmitted() -> Any:
            return (await to_police(live)).state == "transmitted"

        await eventually(transmitted)


async def test_addresses_inside_are_never_dialled(live: Ledger, telemetry: Telemetry) -> None:
    async with receiving(honest) as agency, working(live, telemetry):
        # "127.1" and decimal forms are read by the system as loopback addresses behind our back.
        for role, host in (("internal_affairs", "10.0.0.1"), ("regional_child_ombudsman", "169.254.169.254")):
            await live.connect(role, f"http://{host}:{agency.port}/hook")
        await live.take(alert(live))

        async def refused() -> Any:
            found = await rows(live, attempts)
            return len([row for row in found if row.outcome == "forbidden_address"]) >= 2

        await eventually(refused)
        assert agency.requests == []


async def test_one_hanging_agency_holds_up_nobody_else(live: Ledger, telemetry: Telemetry) -> None:
    async with receiving(hanging) as stuck, receiving(honest) as quick, working(live, telemetry):
        await live.connect(POLICE, stuck.url, concurrency=1)
        await live.connect("regional_child_rights_body", quick.url, concurrency=1)
        for _ in range(10):
            await live.take(alert(live))

        async def all_quick() -> Any:
            found = await rows(live, deliveries, role="regional_child_rights_body")
            return len(found) == 10 and all(row.state == "transmitted" for row in found)

        await eventually(all_quick, seconds=5)
        assert len(stuck.requests) < 40


async def test_a_wakeup_lost_or_doubled_changes_nothing(live: Ledger, telemetry: Telemetry) -> None:
    async with receiving(honest) as agency:
        await live.connect(POLICE, agency.url)
        for _ in range(5):
            await live.take(alert(live))  # no worker: planned, and its wake-ups are lost
        planned = [row.id for row in await rows(live, deliveries, role=POLICE)]
        async with working(live, telemetry) as dispatcher:
            [endpoint] = {row.endpoint_id for row in await rows(live, deliveries, role=POLICE)}
            for _ in range(3):
                dispatcher.wake({endpoint: [*planned, new_id()]})

            async def all_sent() -> Any:
                found = await rows(live, deliveries, role=POLICE)
                return all(row.state == "transmitted" for row in found)

            await eventually(all_sent)
        assert sorted(got.delivery_id for got in agency.requests) == sorted(map(str, planned))


# The fence, and the attempt before the first byte


async def a_waiting_one(ledger: Ledger, url: str = "http://127.0.0.1:9/hook") -> UUID:
    await ledger.connect(POLICE, url)
    await ledger.take(alert(ledger))
    return UUID(str((await to_police(ledger)).id))


async def claim(ledger: Ledger, delivery_id: UUID, token: UUID) -> list[Any]:
    now = utc_now()
    leases = {urgency: now + timedelta(seconds=5) for urgency in Urgency}
    async with ledger.db.transaction() as session:
        return list(await claims.claim(session, [delivery_id], token, now=now, leases=leases))


async def finish(ledger: Ledger, delivery_id: UUID, token: UUID, attempt: int, outcome: Outcome) -> Any:
    is_through = outcome is Outcome.ACCEPTED
    result = Result(
        delivery_id=delivery_id,
        token=token,
        attempt=attempt,
        ended_at=utc_now(),
        outcome=outcome,
        status=200 if is_through else 500,
        state=State.TRANSMITTED if is_through else State.WAITING,
        reason=None if is_through else Reason.RETRY,
        next_wakeup_at=utc_now() + timedelta(hours=1),
    )
    async with ledger.db.transaction() as session:
        return await claims.write_results(session, [result])


async def expire(ledger: Ledger, delivery_id: UUID) -> None:
    async with ledger.db.transaction() as session:
        await session.execute(
            update(deliveries)
            .where(deliveries.c.id == delivery_id)
            .values(next_wakeup_at=utc_now() - timedelta(seconds=1))
        )
    async with ledger.db.transaction() as session:
        await reap_leases(session, ledger.desk, now=utc_now())


async def test_a_late_result_and_the_reaper_do_not_wait_for_each_other(live: Ledger) -> None:
    if live.db.is_sqlite:
        pytest.skip("one writer at a time")
    delivery, token = await a_waiting_one(live), new_id()
    [held] = await claim(live, delivery, token)
    async with live.db.transaction() as session:
        await session.execute(
            update(deliveries).where(deliveries.c.id == delivery).values(next_wakeup_at=utc_now())
        )
    async with live.db.transaction() as session:
        lost = await overdue_rows.lock_overdue(session, is_leased=True, now=utc_now(), limit=9)
        late = asyncio.create_task(finish(live, delivery, token, held.attempt, Outcome.ACCEPTED))
        await asyncio.sleep(0.3)  # it stands before the delivery, and holds nothing
        await overdue_rows.give_back(session, lost, now=utc_now())
    transmitted, _ = await late
    assert [moved.delivery_id for moved in transmitted] == [delivery]
    assert [row.outcome for row in await tries(live, delivery)] == ["accepted"]


async def test_a_row_is_claimed_by_one_worker_only(live: Ledger) -> None:
    delivery = await a_waiting_one(live)
    found = await asyncio.gather(*(claim(live, delivery, new_id()) for _ in range(8)))
    assert sorted(len(one) for one in found) == [0] * 7 + [1]
    assert len(await tries(live, delivery)) == 1


async def test_a_worker_that_lost_its_lease_cannot_undo_what_the_next_one_did(live: Ledger) -> None:
    delivery = await a_waiting_one(live)
    stalled, fresh = new_id(), new_id()
    await claim(live, delivery, stalled)
    await expire(live, delivery)
    [one] = await claim(live, delivery, fresh)
    assert one.attempt == 2
    await finish(live, delivery, stalled, 1, Outcome.FAILED)
    row = await to_police(live)
    assert (row.state, row.claim_token) == ("leased", fresh)
    # Its own attempt is told truly all the same.
    assert [row.outcome for row in await tries(live, delivery)] == ["failed", None]


async def test_a_late_success_wins_and_is_not_undone(live: Ledger) -> None:
    delivery = await a_waiting_one(live)
    stalled, fresh = new_id(), new_id()
    await claim(live, delivery, stalled)
    await expire(live, delivery)
    await claim(live, delivery, fresh)
    transmitted, _ = await finish(live, delivery, stalled, 1, Outcome.ACCEPTED)
    assert [moved.delivery_id for moved in transmitted] == [delivery]
    again, _ = await finish(live, delivery, fresh, 2, Outcome.FAILED)
    assert again == []
    assert (await to_police(live)).state == "transmitted"


async def test_a_lease_that_ran_out_is_an_unknown_outcome_and_is_tried_again(live: Ledger) -> None:
    delivery = await a_waiting_one(live)
    await claim(live, delivery, new_id())
    await expire(live, delivery)
    row = await to_police(live)
    assert (row.state, row.reason) == ("waiting", "unknown_outcome")
    assert row.next_wakeup_at <= utc_now()
    assert [one.outcome for one in await tries(live, delivery)] == ["lease_expired"]


async def test_every_request_has_an_attempt_on_record_before_its_first_byte(
    live: Ledger, telemetry: Telemetry
) -> None:
    seen: list[list[Any]] = []

    async def looking(receiver: Receiver, request: Any, body: bytes) -> Any:
        delivery = UUID(request.headers["webhook-id"])
        async with live.db.reading() as session:
            found = await session.execute(
                select(attempts.c.no, attempts.c.outcome).where(attempts.c.delivery_id == delivery)
            )
            seen.append([tuple(row) for row in found.all()])
        return await failing_first(1)(receiver, request, body)

    async with receiving(looking) as agency, working(live, telemetry):
        await live.connect(POLICE, agency.url)
        await live.take(alert(live))

        async def transmitted() -> Any:
            return (await to_police(live)).state == "transmitted"

        await eventually(transmitted)
    assert seen[0] == [(1, None)]
    assert seen[1] == [(1, "failed"), (2, None)]


async def test_a_row_cannot_name_another_agencys_endpoint(live: Ledger) -> None:
    async with receiving(honest) as agency:
        await live.connect(POLICE, agency.url)
        await live.take(alert(live))
    [version] = await rows(live, endpoint_versions)

    with pytest.raises(IntegrityError):
        async with live.db.transaction() as session:
            await session.execute(
                update(deliveries)
                .where(deliveries.c.role == "regional_child_ombudsman")
                .values(endpoint_id=version.endpoint_id, endpoint_version=version.version)
            )


@pytest.mark.parametrize(
    "values",
    [
        {"next_wakeup_at": None},
        {"state": "transmitted", "reason": None, "next_wakeup_at": None},
        {"state": "leased", "reason": None},
        {"state": "sleeping"},
        {"reason": None},
        {"state": "transmitted", "reason": None},
    ],
)
async def test_the_database_itself_refuses_a_row_that_could_be_forgotten(
    live: Ledger, values: dict[str, Any]
) -> None:

    await live.take(alert(live))
    with pytest.raises(IntegrityError):
        async with live.db.transaction() as session:
            await session.execute(update(deliveries).where(deliveries.c.role == POLICE).values(**values))


async def test_a_delivery_is_stored_once(live: Ledger) -> None:

    await live.take(alert(live))
    row = dict((await to_police(live))._mapping)
    with pytest.raises(IntegrityError):
        async with live.db.transaction() as session:
            await session.execute(insert(deliveries).values(**row | {"id": new_id()}))


async def test_lanes_keep_places_for_immediate_notices() -> None:

    lane = Lane(new_id(), concurrency=4, running=3, running_immediate=0)
    assert not lane.has_place(Urgency.ROUTINE)
    assert lane.has_place(Urgency.IMMEDIATE)
    single = Lane(new_id(), concurrency=1)
    assert single.has_place(Urgency.ROUTINE)


async def test_the_inside_of_a_notice_says_nothing_about_the_child(live: Ledger) -> None:
    await live.take(alert(live))
    for row in await rows(live, notices):
        said = json.loads(row.body)
        assert set(said) == {
            "delivery", "notice", "alert", "urgency", "duties", "content", "receipt", "sent_at", "test",
        }  # fmt: skip
        assert "KZ-75" not in row.body.decode()
        assert "violence" not in row.body.decode()


async def test_what_was_revoked_while_it_waited_for_a_place_is_not_sent(
    live: Ledger, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else the others pass what hangs on spare places, and on a busy machine before the revocation.
    monkeypatch.setattr(lane, "PATIENCE", timedelta(minutes=1))
    monkeypatch.setattr(lane, "SILENCE", timedelta(minutes=1))
    goes_on = asyncio.Event()

    async def slow(receiver: Receiver, request: web.Request, body: bytes) -> web.StreamResponse:
        await goes_on.wait()
        return web.Response(status=200)

    async def claimed() -> Any:
        found = await rows(live, deliveries, role=POLICE)
        return police.requests and [row.state for row in found] == ["leased"] * 3

    async def the_first_is_told() -> Any:
        states = [row.state for row in await rows(live, deliveries, role=POLICE)]
        return states.count("transmitted") == 1

    async with receiving(slow) as police, working(live, telemetry):
        endpoint = await live.connect(POLICE, police.url, concurrency=1)
        for _ in range(3):
            await live.take(alert(live))
        await eventually(claimed, seconds=5)
        async with live.db.transaction() as session:
            await directory.revoke_endpoint(session, live.desk, endpoint, at=utc_now(), now=utc_now())
        goes_on.set()
        await eventually(the_first_is_told, seconds=5)
    assert len(police.requests) == 1
