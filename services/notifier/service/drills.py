"""Test notices: by hand, and by time to every endpoint, so that nobody learns in an emergency what is broken.

A test is an attempt like any other: its row commits before the first byte, its result is fenced. It takes
no place of a lane, goes to no endpoint that has anything else to take, and is tried once.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from opentelemetry.metrics import Meter

from common.db import Database, Session
from common.identity import Principal
from common.ids import new_id
from common.sealing import SealBroken, aead_open
from common.telemetry import log
from common.timing import Now
from common.waiting import is_cancelled
from notifier.domain.channel import WEBHOOK, Answer, Channel, Parcel
from notifier.domain.delivery import Outcome, State
from notifier.domain.drill import RECEIPT_WITHIN, Standing, Watched, is_due, proof_since, standing
from notifier.domain.notice import Notice, digest, render_notice
from notifier.domain.schedule import ORDER, Urgency
from notifier.errors import EndpointWithoutKey
from notifier.repository import claims, directory, signing_keys
from notifier.repository import deliveries as delivery_rows
from notifier.repository import drills as drill_rows
from notifier.repository.claims import Claimed
from notifier.repository.directory import Route
from notifier.repository.records import act, add_acts
from notifier.repository.turns import share_routes
from notifier.service import proofs
from notifier.service.addresses import open_address, open_keys
from notifier.service.desk import Desk
from notifier.service.endpoints import find_usable
from notifier.service.grants import key_aad
from notifier.service.notices import content_url, receipt_url
from notifier.service.results import judge, write_results

AT_ONCE = 8
"""Tests of one pass, side by side."""
LOOKED_AT = 100
"""Endpoints of one pass whose test is due; those that are busy or were proven meanwhile make no test."""
LOOK_AGAIN_AFTER = timedelta(seconds=1)
"""A revocation is answered so much later: what was written down before has left by then, or looks again."""
LATE = timedelta(seconds=1)
"""An adapter ends its attempt within its time; one that does not is stopped so much later."""


@dataclass(frozen=True, slots=True)
class _Test:
    """A test that is written down and may be sent."""

    claimed: Claimed
    route: Route
    keys: tuple[tuple[int, bytes], ...]
    written_at: datetime


async def send_test(
    db: Database, desk: Desk, channel: Channel, endpoint_id: UUID, *, actor: str, now: Now
) -> tuple[UUID, Answer]:
    """Send a notice that belongs to no alert and says so in its signed bytes; answers what came of it.

    It can prove that the endpoint works; that it does not is told to whoever asked, and to nobody else.

    Raises:
        Refusal: the endpoint is unknown, revoked, or has no key.
    """
    planned_at = now()
    async with db.transaction() as session:
        route = await find_usable(session, endpoint_id)
        keys = (await signing_keys.list_keys(session, [endpoint_id], now=planned_at)).get(endpoint_id, [])
        if not keys and route.kind == WEBHOOK:
            raise EndpointWithoutKey
        claimed = await _add_test(session, desk, route, new_id(), actor=actor, now=planned_at)
    answer = await _try(db, desk, channel, _Test(claimed, route, tuple(keys), planned_at), now=now)
    return claimed.delivery_id, answer


async def list_due(session: Session, desk: Desk, *, now: datetime) -> list[Watched]:
    """Endpoints whose test is due; whoever waits longest comes first."""
    found = await drill_rows.list_watched(session, now=now)
    due = [one for one in found if is_due(one, desk.pace, desk.lawbook.calendar, now=now)]
    return sorted(due, key=lambda one: (one.tested_at or one.since, one.endpoint_id))


async def list_standings(
    session: Session,
    desk: Desk,
    caller: Principal,
    *,
    wanted: Standing | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
    now: datetime,
) -> list[dict[str, Any]]:
    """How endpoints stand, for who may see them: the operator and the registrar all, an agency its own."""
    agency_id = caller.agency if caller.role == "agency" else None
    found = await drill_rows.list_watched(
        session, now=now, agency_id=agency_id, is_failing=wanted is Standing.FAILING
    )
    rows = ((one, standing(one, desk.pace, desk.lawbook.calendar, now=now)) for one in found)
    return [
        {
            "endpoint": one.endpoint_id,
            "agency": one.agency_id,
            "kind": one.kind,
            "rung": one.rung,
            "state": state,
            "since": one.since,
            "tested_at": one.tested_at,
            "test": one.test_id,
            "cause": one.cause,
            "failures": one.failures,
            "failing_since": one.failing_since,
            "proven_at": one.proven_at,
            # Which alert it answered is not the agency's to read here: it may be shut out of it since.
            "proof": one.proof_id if agency_id is None or one.proof_id == one.test_id else None,
        }
        for one, state in rows
        if (wanted is None or state is wanted) and (after is None or (one.since, one.endpoint_id) > after)
    ][:limit]


async def count_standings(session: Session, desk: Desk, *, now: datetime) -> dict[Standing, int]:
    """How many endpoints stand how; every standing is named."""
    found = await drill_rows.list_watched(session, now=now)
    counted = Counter(standing(one, desk.pace, desk.lawbook.calendar, now=now) for one in found)
    return {each: counted[each] for each in Standing}


class StandingBoard:
    """Keeps a metric on how many endpoints stand how."""

    def __init__(self, meter: Meter) -> None:
        self._standing = meter.create_gauge("dabyl.endpoints", description="endpoints by how they stand")

    def show(self, counted: Mapping[Standing, int]) -> None:
        """Every standing each time: what was mended falls to nothing and does not linger."""
        for each, count in counted.items():
            self._standing.set(count, {"standing": each.value})


async def begin(session: Session, desk: Desk, due: Watched, *, now: datetime) -> _Test | None:
    """Write the test of an endpoint down; ``None`` where none is to be made now.

    Nothing is written when anything else is being sent there, or another worker was first; when it answered
    a notice of an alert since, that is its proof.
    """
    await share_routes(session)
    route = await directory.find_route(session, due.endpoint_id)
    if route is None or route.paused_at is not None:
        return None
    since = proof_since(due, desk.pace, desk.lawbook.calendar, now=now)
    proof = None
    if since is not None:
        must_sign = route.receipt_key is not None
        proof = await drill_rows.find_proof(
            session, route.agency_id, route.endpoint_id, since=since, must_sign=must_sign
        )
    if proof is not None:
        await proofs.prove(session, route.endpoint_id, proof.delivery_id, at=proof.at, now=now)
        return None
    longest = max(tier.lease for tier in desk.tiers.values())
    if await drill_rows.is_busy(session, route.endpoint_id, now=now, leased_until=now + longest):
        return None
    test_id = new_id()
    if not await drill_rows.begin(session, route.endpoint_id, test_id, after=due.tested_at, now=now):
        return None
    if due.test_id is not None:
        await drill_rows.supersede(session, due.test_id)
    keys = (await signing_keys.list_keys(session, [route.endpoint_id], now=now)).get(route.endpoint_id, [])
    claimed = await _add_test(session, desk, route, test_id, actor="notifier", now=now)
    return _Test(claimed, route, tuple(keys), now)


async def run_due(db: Database, desk: Desk, channel: Channel, *, now: Now) -> int:
    """Test some of the endpoints that are due.

    Returns:
        How many tests were made.
    """
    async with db.reading() as session:
        unwatched = await drill_rows.list_unwatched(session)
        due = await list_due(session, desk, now=now())
    if unwatched:
        async with db.transaction() as session:
            await drill_rows.watch(session, unwatched, now=now())
    begun: dict[UUID, asyncio.Task[Answer]] = {}
    try:
        for one in due[:LOOKED_AT]:
            async with db.transaction() as session:
                test = await begin(session, desk, one, now=now())
            if test is not None:
                begun[one.endpoint_id] = asyncio.create_task(_try(db, desk, channel, test, now=now))
            if len(begun) == AT_ONCE:
                break
    finally:
        ended = await asyncio.gather(*begun.values(), return_exceptions=True)
    for endpoint_id, end in zip(begun, ended, strict=True):
        if isinstance(end, BaseException):
            # Its lease ends, and so does the test.
            named = {"endpoint_id": str(endpoint_id), "error_type": type(end).__name__}
            log.warning("test_left_to_its_lease", **named)
    return len(begun)


async def _try(db: Database, desk: Desk, channel: Channel, test: _Test, *, now: Now) -> Answer:
    """Send it once and write down what came of it."""
    answer = await _send(db, desk, channel, test, now=now)
    result = judge(desk, test.claimed, answer, ended_at=now())
    async with db.transaction() as session:
        await write_results(session, desk, [result], now=now())
        await _end(session, test, answer, now=now())
    return answer


async def _send(db: Database, desk: Desk, channel: Channel, test: _Test, *, now: Now) -> Answer:
    claimed, route = test.claimed, test.route
    if now() - test.written_at >= LOOK_AGAIN_AFTER:
        async with db.reading() as session:
            if not await claims.list_held(session, [(claimed.delivery_id, claimed.token)]):
                return Answer(Outcome.UNSENDABLE)  # revoked meanwhile
    open_one = partial(_open, desk, route.endpoint_id)
    try:
        keys = open_keys(open_one, route.endpoint_id, test.keys)
        url = open_address(desk.keys, route.endpoint_id, route.url)
    except SealBroken:
        return Answer(Outcome.NO_KEY)
    if not keys and route.kind == WEBHOOK:
        return Answer(Outcome.NO_KEY)
    timeout = desk.tiers[claimed.urgency].timeout
    body = claimed.body or b""
    parcel = Parcel(claimed.delivery_id, url, body, keys, timeout, route.kind, is_test=True)
    try:
        async with asyncio.timeout((timeout + LATE).total_seconds()):
            return await channel.send(parcel, now=now())
    except (Exception, asyncio.CancelledError) as error:
        # As for every attempt: an adapter's defect is an outcome, and so is a wait that nobody cancelled.
        if isinstance(error, asyncio.CancelledError) and is_cancelled():
            raise
        log.warning("attempt_broken", delivery_id=str(claimed.delivery_id), error_type=type(error).__name__)
        return Answer(Outcome.NO_ANSWER)


def _open(desk: Desk, endpoint_id: UUID, no: int, sealed: bytes) -> bytes:
    return aead_open(desk.keys.secret("vault"), sealed, key_aad(endpoint_id, no))


async def _end(session: Session, test: _Test, answer: Answer, *, now: datetime) -> None:
    """Its attempt is over. Who registered a receipt key has to answer; who has none did so by taking it."""
    test_id = test.claimed.delivery_id
    if answer.outcome is not Outcome.ACCEPTED:
        await drill_rows.end_test(session, test_id, {"state": State.DEAD, "next_wakeup_at": None})
        await proofs.fail(session, test_id, answer.outcome.value, now=now)
        return
    if test.route.receipt_key is not None:
        await drill_rows.end_test(
            session, test_id, {"state": State.TRANSMITTED, "next_wakeup_at": now + RECEIPT_WITHIN}
        )
        return
    if await drill_rows.end_test(session, test_id, {"state": State.ACKNOWLEDGED, "next_wakeup_at": None}):
        await proofs.prove(session, test.route.endpoint_id, test_id, at=now, now=now)


async def _add_test(
    session: Session, desk: Desk, route: Route, delivery_id: UUID, *, actor: str, now: datetime
) -> Claimed:
    token = new_id()
    body = render_notice(
        Notice(
            delivery_id=delivery_id,
            number=1,
            handle=new_id(),
            urgency=Urgency.ROUTINE,
            duties=(),
            content_url=content_url(desk, delivery_id),
            grant="",
            receipt_url=receipt_url(desk, delivery_id),
            sent_at=now,
            is_test=True,
        )
    )
    until = now + desk.tiers[Urgency.URGENT].lease
    await delivery_rows.add_delivery(
        session,
        {
            "id": delivery_id,
            "alert_id": None,
            "agency_id": route.agency_id,
            "role": "test",
            "bodies": [],
            "notice_no": 1,
            "rung": 0,
            "generation": 1,
            "state": State.LEASED,
            "urgency": ORDER[Urgency.URGENT],
            "planned_at": now,
            "next_wakeup_at": until,
            "attempt_no": 1,
            "claim_token": token,
            "endpoint_id": route.endpoint_id,
            "endpoint_version": route.version,
            "escalation_level": 0,
            "is_test": True,
        },
    )
    notice = {"delivery_id": delivery_id, "body": body, "digest": digest(body), "rendered_at": now}
    await delivery_rows.add_notices(session, [notice])
    attempt = {
        "delivery_id": delivery_id,
        "no": 1,
        "claim_token": token,
        "endpoint_id": route.endpoint_id,
        "endpoint_version": route.version,
        "started_at": now,
    }
    await delivery_rows.add_attempts(session, [attempt])
    await add_acts(session, [act("test.sent", at=now, actor=actor, subject_id=delivery_id)])
    return Claimed(
        delivery_id=delivery_id,
        token=token,
        attempt=1,
        endpoint_id=route.endpoint_id,
        urgency=Urgency.URGENT,
        deadline=None,
        leased_until=until,
        alert_id=None,
        role="test",
        traceparent=None,
        concurrency=route.concurrency,
        url=route.url,
        kind=route.kind,
        body=body,
    )
