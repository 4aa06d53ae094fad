"""Tests by time: what they find out, when a person is told, and what they leave alone."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import SMTP
from typing import Any
from uuid import UUID, uuid4

import pytest
from joserfc import jws
from joserfc.jwk import OKPKey
from sqlalchemy import update
from structlog.testing import capture_logs

from common.contracts.registry import EndpointRevoked
from common.telemetry import Telemetry
from common.testing import FrozenNow
from notifier.adapters.channels import Channels, load
from notifier.adapters.gateway import Gateway
from notifier.adapters.smtp import Relay, compose
from notifier.adapters.webhook import Webhook
from notifier.domain.address import networks
from notifier.domain.bounce import Bounce
from notifier.domain.channel import Answer, Outfit, Parcel
from notifier.domain.delivery import Outcome
from notifier.domain.drill import AGAIN_AFTER, NEW_FOR, RECEIPT_WITHIN, Often, last_slot
from notifier.models import attempts, audit, deliveries, drills, endpoint_keys
from notifier.service import bounces
from notifier.service.drills import AT_ONCE, begin, list_due, run_due
from tests.factories.notifier import (
    LAWBOOK,
    Receiver,
    a_receipt,
    answering,
    eventually,
    hanging,
    honest,
    receiving,
    working,
)
from tests.service.notifier.conftest import House
from tests.service.notifier.test_clocks import turner
from tests.service.notifier.test_endpoints import nothing_is_wrong

POLICE = "internal_affairs"
KEY = OKPKey.generate_key("Ed25519")
DAY = timedelta(days=1)


@pytest.fixture
async def channel() -> AsyncIterator[Channels]:
    channel = load(Outfit(allowed=networks(["127.0.0.0/8"])))
    yield channel
    await channel.close()


async def an_endpoint(house: House, url: str, *, signs: bool = True, **more: Any) -> UUID:
    return await house.ledger.connect(
        POLICE, url, receipt_key=str(KEY.as_dict()["x"]) if signs else None, **more
    )


async def turn(house: House, channel: Channels) -> int:
    return await run_due(house.ledger.db, house.ledger.desk, channel, now=house.ledger.now)


async def at_its_turn(
    house: House, channel: Channels, now: FrozenNow, endpoint: UUID, often: Often = Often.DAILY
) -> int:
    """The next time that this endpoint is to be tested; it is watched for long."""
    await turn(house, channel)
    now.move(NEW_FOR)
    before = last_slot(endpoint, often, LAWBOOK.calendar, now.at)
    while (slot := last_slot(endpoint, often, LAWBOOK.calendar, now.at)) == before:
        now.move(timedelta(hours=1))
    assert slot is not None
    now.at = slot
    return await turn(house, channel)


async def row_of(house: House, endpoint: UUID) -> Any:
    [row] = await house.rows(drills, endpoint_id=endpoint)
    return row


async def standing_of(house: House, endpoint: UUID, who: dict[str, str] | None = None) -> dict[str, Any]:
    answer = await house.get("/v1/endpoints/tests", who or house.as_role("operator"))
    assert answer.status_code == 200
    [found] = [each for each in answer.json()["items"] if each["endpoint"] == str(endpoint)]
    return dict(found)


async def answer_test(house: House, got: Any, key: OKPKey = KEY) -> int:
    receipt = a_receipt(got.delivery_id, got.body, at=house.ledger.now().isoformat())
    signed = jws.serialize_compact({"alg": "Ed25519"}, json.dumps(receipt), key, algorithms=["Ed25519"])
    answer = await house.client.post(
        f"/v1/deliveries/{got.delivery_id}/receipt",
        content=signed,
        headers={**house.as_agency(POLICE), "Content-Type": "application/jose"},
    )
    return answer.status_code


async def test_a_test_is_proof_when_its_signed_receipt_came(
    house: House, channel: Channels, now: FrozenNow
) -> None:
    async with receiving(honest) as agency:
        endpoint = await an_endpoint(house, agency.url)
        assert await at_its_turn(house, channel, now, endpoint) == 1
        [got] = agency.requests
    assert json.loads(got.body)["test"] is True
    assert (await standing_of(house, endpoint))["state"] == "awaited"
    assert await answer_test(house, got, OKPKey.generate_key("Ed25519")) == 403
    assert (await standing_of(house, endpoint))["proven_at"] is None
    assert await answer_test(house, got) == 201
    told = await standing_of(house, endpoint)
    assert (told["state"], told["cause"], told["proof"]) == ("proven", None, got.delivery_id)
    now.move(RECEIPT_WITHIN)
    await turner(house.ledger)()
    assert (await standing_of(house, endpoint))["state"] == "proven"
    assert await turn(house, channel) == 0
    await nothing_is_wrong(house)


async def test_whoever_takes_tests_and_never_signs_is_found_out(
    house: House, channel: Channels, now: FrozenNow
) -> None:
    async with receiving(honest) as agency:
        endpoint = await an_endpoint(house, agency.url)
        await at_its_turn(house, channel, now, endpoint)
        now.move(RECEIPT_WITHIN)
        await turner(house.ledger)()
        told = await standing_of(house, endpoint)
        assert (told["state"], told["cause"]) == ("awaited", "no_receipt")
        now.move(AGAIN_AFTER)
        assert await turn(house, channel) == 1
        now.move(RECEIPT_WITHIN)
        with capture_logs() as lines:
            await turner(house.ledger)()
        told = await standing_of(house, endpoint)
        assert (told["state"], told["cause"], told["failures"]) == ("failing", "no_receipt", 2)
        [line] = [each for each in lines if each["event"] == "endpoint_failing"]
        assert (line["log_level"], line["endpoint_id"], line["reason"]) == (
            "error",
            str(endpoint),
            "no_receipt",
        )
        # An answer that comes late is an answer, and what was wrong is over.
        assert await answer_test(house, agency.requests[-1]) == 201
    told = await standing_of(house, endpoint)
    assert (told["state"], told["failing_since"]) == ("proven", None)
    acts = [row.action for row in await house.rows(audit, subject_id=endpoint)]
    assert acts[-2:] == ["endpoint.failing", "endpoint.works_again"]
    await nothing_is_wrong(house)


async def test_a_person_is_told_once_a_day_for_as_long_as_it_fails(
    house: House, channel: Channels, now: FrozenNow
) -> None:
    async with receiving(answering(500)) as agency:
        endpoint = await an_endpoint(house, agency.url, signs=False)
        with capture_logs() as lines:
            await at_its_turn(house, channel, now, endpoint)
            for _ in range(3 * 24 * 6):
                now.move(timedelta(minutes=10))
                await turn(house, channel)
        working = sum(LAWBOOK.calendar.is_working(T.date()) for T in days_until(now, 3))
        assert len(agency.requests) == 2 + working
        told = [each for each in lines if each["event"] == "endpoint_failing"]
        assert len(told) == 1 + working
        failing = await standing_of(house, endpoint)
        # Nobody is to find a heap of old tests before the notices of alerts.
        listed = (await house.get("/v1/deliveries", house.as_agency(POLICE))).json()["items"]
        assert [each["id"] for each in listed] == [failing["test"]]
        inbox = (await house.get("/v1/inbox", house.as_agency(POLICE))).json()["items"]
        assert [each["notice"]["delivery"] for each in inbox] == [failing["test"]]
        agency.behave = honest
        while not await turn(house, channel):
            now.move(timedelta(hours=1))
    told_again = await standing_of(house, endpoint)
    assert (told_again["state"], told_again["failing_since"]) == ("proven", None)


def days_until(now: FrozenNow, count: int) -> list[datetime]:
    local = now.at + timedelta(hours=5)
    return [local - each * DAY for each in range(count)]


@pytest.mark.parametrize(("status", "cause"), [(401, "refused"), (410, "gone"), (307, "redirected")])
async def test_the_cause_is_named(
    house: House, channel: Channels, now: FrozenNow, status: int, cause: str
) -> None:
    async with receiving(answering(status)) as agency:
        endpoint = await an_endpoint(house, agency.url)
        await at_its_turn(house, channel, now, endpoint)
    told = await standing_of(house, endpoint)
    assert (told["state"], told["cause"], told["failures"]) == ("awaited", cause, 1)
    await nothing_is_wrong(house)


async def test_an_endpoint_without_a_signing_key_fails_its_test(
    house: House, channel: Channels, now: FrozenNow
) -> None:
    endpoint = await an_endpoint(house, "http://127.0.0.1:9/hook")
    async with house.ledger.db.transaction() as session:
        await session.execute(endpoint_keys.delete())
    await at_its_turn(house, channel, now, endpoint)
    assert (await standing_of(house, endpoint))["cause"] == "no_key"


async def test_two_workers_side_by_side_send_one_test(
    house: House, channel: Channels, now: FrozenNow
) -> None:
    async with receiving(honest) as agency:
        endpoint = await an_endpoint(house, agency.url)
        await at_its_turn(house, channel, now, endpoint)
        now.move(RECEIPT_WITHIN)
        await turner(house.ledger)()
        now.move(AGAIN_AFTER)
        await asyncio.gather(*(turn(house, channel) for _ in range(4)))
        assert len(agency.requests) == 2
    # Another one that had looked before the last test began, and comes to write when it has ended.
    assert (await row_of(house, endpoint)).failures == 1
    now.move(RECEIPT_WITHIN)
    await turner(house.ledger)()
    while not await looked_at(house, now):
        now.move(timedelta(hours=1))
    async with house.ledger.db.reading() as session:
        [due] = await list_due(session, house.ledger.desk, now=now.at)
    assert await turn(house, channel) == 1
    now.move(RECEIPT_WITHIN)
    await turner(house.ledger)()
    async with house.ledger.db.transaction() as session:
        assert await begin(session, house.ledger.desk, due, now=now.at) is None


async def test_whoever_need_not_answer_a_test_may(house: House, channel: Channels, now: FrozenNow) -> None:
    async with receiving(honest) as agency:
        endpoint = await an_endpoint(house, agency.url, signs=False)
        await at_its_turn(house, channel, now, endpoint)
        [got] = agency.requests
    assert (await standing_of(house, endpoint))["state"] == "proven"
    receipt = a_receipt(got.delivery_id, got.body, at=now.at.isoformat())
    path, police = f"/v1/deliveries/{got.delivery_id}/receipt", house.as_agency(POLICE)
    for status in (201, 200):
        assert (await house.client.post(path, json=receipt, headers=police)).status_code == status
    await nothing_is_wrong(house)


async def test_a_worker_that_dies_while_it_tests_leaves_no_silence(
    house: House, channel: Channels, now: FrozenNow
) -> None:
    async with receiving(hanging) as agency:
        endpoint = await an_endpoint(house, agency.url)
        testing = asyncio.create_task(at_its_turn(house, channel, now, endpoint))

        async def is_on_its_way() -> bool:
            return bool(agency.requests)

        await eventually(is_on_its_way)
        testing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await testing
    [row] = await house.rows(deliveries)
    assert row.state == "leased"
    now.at = row.next_wakeup_at
    await turner(house.ledger)()
    told = await standing_of(house, endpoint)
    assert (told["state"], told["cause"]) == ("awaited", "lease_expired")
    await nothing_is_wrong(house)
    now.move(AGAIN_AFTER)
    async with house.ledger.db.reading() as session:
        assert [one.endpoint_id for one in await list_due(session, house.ledger.desk, now=now.at)] == [
            endpoint
        ]


async def test_an_answer_that_overtakes_our_own_record_counts(
    house: House, channel: Channels, now: FrozenNow
) -> None:
    async def answering_first(receiver: Receiver, request: Any, body: bytes) -> Any:
        assert await answer_test(house, receiver.requests[-1]) == 201
        return await honest(receiver, request, body)

    async with receiving(answering_first) as agency:
        endpoint = await an_endpoint(house, agency.url)
        await at_its_turn(house, channel, now, endpoint)
    assert (await standing_of(house, endpoint))["state"] == "proven"
    [row] = await house.rows(deliveries)
    assert row.state == "acknowledged"
    await nothing_is_wrong(house)


async def test_a_test_that_is_fetched_while_it_is_being_sent_is_proof_when_both_are_known(
    house: House, channel: Channels, now: FrozenNow
) -> None:
    async def fetched_meanwhile(receiver: Receiver, request: Any, body: bytes) -> Any:
        await house.get("/v1/inbox", house.as_agency(POLICE))
        return await honest(receiver, request, body)

    async with receiving(fetched_meanwhile) as agency:
        endpoint = await an_endpoint(house, agency.url)
        await at_its_turn(house, channel, now, endpoint)
        [got] = agency.requests
    assert {row.outcome for row in await house.rows(attempts)} == {"accepted", "pulled"}
    assert await answer_test(house, got) == 201
    assert (await standing_of(house, endpoint))["state"] == "proven"
    await nothing_is_wrong(house)


async def test_a_test_that_was_fetched_says_nothing_about_the_endpoint(
    house: House, channel: Channels, now: FrozenNow
) -> None:
    async with receiving(answering(500)) as agency:
        endpoint = await an_endpoint(house, agency.url)
        await at_its_turn(house, channel, now, endpoint)
        [got] = agency.requests
    await house.get("/v1/inbox", house.as_agency(POLICE))
    assert await answer_test(house, got) == 201
    told = await standing_of(house, endpoint)
    assert (told["state"], told["cause"], told["proven_at"]) == ("awaited", "failed", None)


async def test_an_answered_alert_is_proof_and_spares_the_test(
    house: House, channel: Channels, now: FrozenNow, telemetry: Telemetry
) -> None:
    async with receiving(honest) as agency:
        endpoint = await an_endpoint(house, agency.url)
        await turn(house, channel)
        now.move(5 * DAY)
        while not (due := await looked_at(house, now)):
            now.move(timedelta(minutes=10))
        await house.ledger.take(house.ledger.alert(received_at=now.at))
        async with working(house.ledger, telemetry):
            got = await eventually(lambda: first_of(agency))
        assert await turn(house, channel) == 1, "taken is not answered"
        assert len(agency.requests) == 2
        now.move(RECEIPT_WITHIN)
        await turner(house.ledger)()
        now.move(AGAIN_AFTER)
        assert await answer_test(house, got) == 201
        proven = now.at
        now.move(timedelta(minutes=1))
        assert await looked_at(house, now) == due
        assert await turn(house, channel) == 0
        assert len(agency.requests) == 2
    told = await standing_of(house, endpoint)
    assert (told["state"], told["proof"], told["cause"]) == ("proven", got.delivery_id, None)
    assert datetime.fromisoformat(told["proven_at"]) == proven
    own = await standing_of(house, endpoint, house.as_agency(POLICE))
    assert (own["state"], own["proof"]) == ("proven", None)


async def looked_at(house: House, now: FrozenNow) -> list[UUID]:
    async with house.ledger.db.reading() as session:
        return [one.endpoint_id for one in await list_due(session, house.ledger.desk, now=now.at)]


async def first_of(agency: Receiver) -> Any:
    return agency.requests[0] if agency.requests else None


async def test_a_test_stands_back_where_something_waits_to_be_sent(
    house: House, channel: Channels, now: FrozenNow
) -> None:
    async with receiving(honest) as agency:
        endpoint = await an_endpoint(house, agency.url)
        await turn(house, channel)
        now.move(5 * DAY)
        while not await looked_at(house, now):
            now.move(timedelta(minutes=10))
        await house.ledger.take(house.ledger.alert(received_at=now.at))
        assert await turn(house, channel) == 0
        assert agency.requests == []
        async with house.ledger.db.transaction() as session:
            later = update(deliveries).where(deliveries.c.endpoint_id == endpoint)
            await session.execute(later.values(next_wakeup_at=now.at + timedelta(hours=1)))
        assert await turn(house, channel) == 1


async def test_a_revoked_endpoint_is_tested_no_more_and_leaves_the_list(
    house: House, channel: Channels, now: FrozenNow
) -> None:
    async with receiving(honest) as agency:
        endpoint = await an_endpoint(house, agency.url)
        await turn(house, channel)
        now.move(5 * DAY)
        while not await looked_at(house, now):
            now.move(timedelta(minutes=10))
        async with house.ledger.db.reading() as session:
            [due] = await list_due(session, house.ledger.desk, now=now.at)
        await house.ledger.take(
            EndpointRevoked(
                endpoint_id=endpoint, agency_id=house.ledger.agencies[POLICE], version=2, revoked_at=now.at
            )
        )
        async with house.ledger.db.transaction() as session:
            assert await begin(session, house.ledger.desk, due, now=now.at) is None
        assert await turn(house, channel) == 0
        assert agency.requests == []
    assert (await house.get("/v1/endpoints/tests", house.as_role("operator"))).json()["items"] == []


async def test_a_test_under_way_goes_to_no_other_endpoint_when_its_own_is_revoked(
    house: House, channel: Channels, now: FrozenNow
) -> None:
    async with receiving(hanging) as agency, receiving(honest) as other:
        endpoint = await an_endpoint(house, agency.url)
        await an_endpoint(house, other.url, rung=0)
        testing = asyncio.create_task(
            house.client.post(f"/v1/endpoints/{endpoint}/test", json={}, headers=house.as_role("registrar"))
        )

        async def is_on_its_way() -> bool:
            return bool(agency.requests)

        await eventually(is_on_its_way)
        await house.ledger.take(
            EndpointRevoked(
                endpoint_id=endpoint, agency_id=house.ledger.agencies[POLICE], version=2, revoked_at=now.at
            )
        )
        [row] = await house.rows(deliveries)
        assert (row.state, row.endpoint_id) == ("dead", endpoint)
        testing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await testing
    [tried] = await house.rows(attempts)
    assert tried.outcome == "lease_expired"
    await nothing_is_wrong(house)


async def test_a_test_by_hand_can_prove_and_calls_nobody(
    house: House, channel: Channels, now: FrozenNow
) -> None:
    async with receiving(answering(500)) as agency:
        endpoint = await an_endpoint(house, agency.url, signs=False)
        await turn(house, channel)
        path, registrar = f"/v1/endpoints/{endpoint}/test", house.as_role("registrar")
        for _ in range(3):
            await house.client.post(path, json={}, headers=registrar)
        assert ((await row_of(house, endpoint)).failures, (await row_of(house, endpoint)).cause) == (0, None)
        await at_its_turn(house, channel, now, endpoint)
        now.move(AGAIN_AFTER)
        await turn(house, channel)
        assert (await standing_of(house, endpoint))["state"] == "failing"
        agency.behave = honest
        answer = await house.client.post(path, json={}, headers=house.as_role("registrar"))
        assert answer.json()["outcome"] == "accepted"
    assert (await standing_of(house, endpoint))["state"] == "proven"


class Notebook:
    """A channel that takes everything and remembers it."""

    def __init__(self) -> None:
        self.taken: list[Parcel] = []

    async def send(self, parcel: Parcel, *, now: datetime) -> Answer:
        self.taken.append(parcel)
        return Answer(Outcome.ACCEPTED)

    async def close(self) -> None:
        return None


async def test_a_mail_that_comes_back_is_a_test_that_failed(house: House, now: FrozenNow) -> None:
    book = Notebook()
    channel = Channels({"smtp": book})
    endpoint = await an_endpoint(house, "mailto:duty@example.kz", signs=False, kind="smtp")
    await at_its_turn(house, channel, now, endpoint, Often.WEEKLY)
    [parcel] = book.taken
    assert parcel.is_test
    assert (await standing_of(house, endpoint))["state"] == "proven"
    for _ in range(2):  # the same mail read twice counts once
        async with house.ledger.db.transaction() as session:
            await bounces.take_bounce(
                session, house.ledger.desk, parcel.delivery_id, Bounce("5.1.1", is_unknown=True), now=now.at
            )
    told = await standing_of(house, endpoint)
    assert (told["state"], told["cause"], told["failures"]) == ("awaited", "bounced", 1)


async def test_a_pass_makes_a_few_tests_and_an_adapters_defect_is_one_of_them(
    house: House, now: FrozenNow
) -> None:
    class Broken(Notebook):
        async def send(self, parcel: Parcel, *, now: datetime) -> Answer:
            await super().send(parcel, now=now)
            raise RuntimeError("a plug-in may raise anything")

    book = Broken()
    channel = Channels({"webhook": book})
    for each in range(AT_ONCE + 2):
        await an_endpoint(house, f"http://127.0.0.1:9/{each}")
    await turn(house, channel)
    now.move(5 * DAY)
    now.at = now.at.replace(hour=12, minute=0)  # 17:00 local: every slot of the day has passed
    assert await turn(house, channel) == AT_ONCE
    assert await turn(house, channel) == 2
    assert await turn(house, channel) == 0
    assert {row.cause for row in await house.rows(drills)} == {"no_answer"}


async def test_only_those_whom_it_concerns_see_how_endpoints_stand(
    house: House, channel: Channels, now: FrozenNow
) -> None:
    mine = await an_endpoint(house, "http://127.0.0.1:9/hook")
    other = await house.ledger.connect("guardianship_body", "http://127.0.0.1:9/other")
    await turn(house, channel)
    seen = {}
    for who, headers in {
        "operator": house.as_role("operator"),
        "registrar": house.as_role("registrar"),
        "police": house.as_agency(POLICE),
    }.items():
        items = (await house.get("/v1/endpoints/tests", headers)).json()["items"]
        seen[who] = {UUID(each["endpoint"]) for each in items}
    assert seen == {"operator": {mine, other}, "registrar": {mine, other}, "police": {mine}}
    first = (await house.get("/v1/endpoints/tests", house.as_role("operator"), limit=1)).json()
    rest = await house.get("/v1/endpoints/tests", house.as_role("operator"), limit=1, after=first["next"])
    assert {each["endpoint"] for each in first["items"] + rest.json()["items"]} == {str(mine), str(other)}
    failing = await house.get("/v1/endpoints/tests", house.as_role("operator"), state="failing")
    assert failing.json()["items"] == []


@pytest.mark.parametrize("kind", ["sms", "voice"])
async def test_a_duty_phone_is_told_that_it_is_a_test(kind: str) -> None:
    async with receiving(honest) as gateway:
        http = Webhook(allowed=networks(["127.0.0.0/8"]))
        phone = Gateway(kind, http, url=gateway.url, key=bytes(32), link="https://dabyl.example/console")
        for is_test in (True, False):
            parcel = Parcel(
                uuid4(), "tel:+77010000000", b"{}", (), timedelta(seconds=5), kind, is_test=is_test
            )
            assert (await phone.send(parcel, now=datetime.now(UTC))).outcome is Outcome.ACCEPTED
        await phone.close()
        test, alert = (json.loads(each.body)["text"] for each in gateway.requests)
    assert "проверка связи" in test["ru"]
    assert "тексеру" in test["kk"] or "сынақ" in test["kk"]
    assert "проверка" not in alert["ru"]


def test_a_mail_says_that_it_is_a_test() -> None:
    relay = Relay("localhost", 25, "none", "dabyl@example.kz", "dabyl@example.kz", "https://dabyl.example")
    subjects, texts = [], []
    for is_test in (True, False):
        parcel = Parcel(
            uuid4(), "mailto:duty@example.kz", b"", (), timedelta(seconds=5), "smtp", is_test=is_test
        )
        mail = message_from_bytes(
            compose(relay, parcel, "duty@example.kz", now=datetime.now(UTC)), policy=SMTP
        )
        subjects.append(mail["Subject"])
        texts.append(mail.get_content())
    assert "проверка" in subjects[0]
    assert "Делать ничего не нужно" in texts[0]
    assert "https://" not in texts[0]
    assert "проверка" not in subjects[1]
