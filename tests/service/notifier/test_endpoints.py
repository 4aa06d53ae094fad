"""Signing keys, test notices, revocation, and our copy of the registry."""

import asyncio
import base64
import contextlib
import json
import socket
import time
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import update
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from common.contracts import Event
from common.contracts.registry import AgencyRetired, EndpointRegistered, EndpointRevoked
from common.envelope import Envelope, encode
from common.identity import Principal, ServiceTokens
from common.inbox import Received, Together
from common.keys import KeyRing
from common.telemetry import Telemetry
from common.testing import FrozenNow
from common.timing import utc_now
from notifier.adapters.registry import RegistryClient
from notifier.consumers import effects
from notifier.domain.conservation import Law
from notifier.domain.delivery import Outcome, Reason, State
from notifier.domain.schedule import Urgency
from notifier.errors import EndpointUnusable, RegistryAway
from notifier.jobs import jobs
from notifier.models import agencies, attempts, deliveries, endpoint_keys, endpoints, escalations, mandates
from notifier.repository import claims
from notifier.repository.claims import Claimed, Result
from notifier.service import conservation, directory, rebuilding
from notifier.service.dispatch import LOOK_AGAIN_AFTER
from notifier.service.endpoints import find_usable, issue_key
from tests.factories.notifier import (
    Ledger,
    an_agency,
    answering,
    eventually,
    hanging,
    honest,
    receiving,
    working,
)
from tests.service.notifier.conftest import House
from tests.service.notifier.test_clocks import turner
from tests.service.notifier.test_planning import rows

POLICE = "internal_affairs"


def own_token(house: House, keys: KeyRing) -> dict[str, str]:
    token = ServiceTokens(keys, "registry", house.parts.now).mint("notifier")
    return {"Authorization": f"Bearer {token}"}


async def test_a_key_is_shown_once_and_sealed_at_rest(house: House) -> None:
    endpoint = await house.ledger.connect(POLICE, "http://127.0.0.1:9/hook")
    path = f"/v1/endpoints/{endpoint}/signing-key"
    answer = await house.client.post(path, json={}, headers=house.as_role("registrar"))
    assert answer.status_code == 201
    secret = answer.json()["secret"]
    assert secret.startswith("whsec_")
    raw = Webhook(secret)._whsecret
    stored = await house.rows(endpoint_keys)
    assert len(stored) == 2
    assert all(raw not in row.sealed for row in stored)
    assert (await house.client.post(path, json={}, headers=house.as_agency(POLICE))).status_code == 403


async def test_an_endpoint_that_is_heard_of_a_moment_later_gets_its_key(house: House) -> None:
    endpoint = uuid4()
    asking = asyncio.create_task(
        house.client.post(
            f"/v1/endpoints/{endpoint}/signing-key", json={}, headers=house.as_role("registrar")
        )
    )
    await asyncio.sleep(0.2)
    await house.ledger.take(
        EndpointRegistered(
            endpoint_id=endpoint,
            agency_id=house.ledger.agencies[POLICE],
            version=1,
            kind="webhook",
            url="http://127.0.0.1:9/hook",
        )
    )
    assert (await asking).status_code == 201


async def test_a_test_notice_says_that_it_is_one_and_belongs_to_no_alert(house: House) -> None:
    async with receiving(honest) as agency:
        endpoint = await house.ledger.connect(POLICE, agency.url)
        answer = await house.client.post(
            f"/v1/endpoints/{endpoint}/test", json={}, headers=house.as_role("registrar")
        )
        assert (answer.status_code, answer.json()["outcome"], answer.json()["status"]) == (
            200,
            "accepted",
            200,
        )
        [got] = agency.requests
    said = json.loads(got.body)
    assert said["test"] is True
    assert said["duties"] == []
    [row] = await house.rows(deliveries)
    assert (row.state, row.alert_id) == ("acknowledged", None)
    assert (await house.get("/v1/deliveries", house.as_role("operator"))).json()["items"] == []
    assert await house.told("delivery.transmitted") == []
    await nothing_is_wrong(house)


async def test_a_test_notice_that_does_not_get_through_says_so_and_is_not_repeated(house: House) -> None:
    async with receiving(answering(500)) as agency:
        endpoint = await house.ledger.connect(POLICE, agency.url)
        answer = await house.client.post(
            f"/v1/endpoints/{endpoint}/test", json={}, headers=house.as_role("registrar")
        )
        assert (answer.json()["outcome"], answer.json()["status"]) == ("failed", 500)
    [row] = await house.rows(deliveries)
    assert (row.state, row.next_wakeup_at) == ("dead", None)


async def nothing_is_wrong(house: House) -> None:
    """Nothing is overdue, nothing climbs, and no law of the ledger is broken."""
    assert {row.next_wakeup_at for row in await house.rows(deliveries)} == {None}
    async with house.ledger.db.reading() as session:
        balance = await conservation.weigh(session, now=house.parts.now())
    assert {one.law for one in balance.imbalances} - {Law.EVENT_STUCK} == set()
    assert await house.rows(escalations) == []


async def test_a_test_notice_whose_sender_died_ends_with_its_lease(house: House, now: FrozenNow) -> None:
    async with receiving(hanging) as agency:
        endpoint = await house.ledger.connect(POLICE, agency.url)
        sending = asyncio.create_task(
            house.client.post(f"/v1/endpoints/{endpoint}/test", json={}, headers=house.as_role("registrar"))
        )

        async def is_on_its_way() -> bool:
            return bool(agency.requests)

        await eventually(is_on_its_way)
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending
    [row] = await house.rows(deliveries)
    assert row.state == "leased"
    now.at = row.next_wakeup_at
    for _ in range(3):
        await turner(house.ledger)()
        now.move(timedelta(minutes=10))
    [row] = await house.rows(deliveries)
    assert (row.state, row.next_wakeup_at, row.claim_token) == ("dead", None, None)
    [tried] = await house.rows(attempts)
    assert tried.outcome == "lease_expired"
    await nothing_is_wrong(house)


async def test_a_test_notice_that_was_fetched_ends_as_well(house: House, now: FrozenNow) -> None:
    async with receiving(answering(500)) as agency:
        endpoint = await house.ledger.connect(POLICE, agency.url)
        await house.client.post(f"/v1/endpoints/{endpoint}/test", json={}, headers=house.as_role("registrar"))
    fetched = await house.get("/v1/inbox", house.as_agency(POLICE))
    assert len(fetched.json()["items"]) == 1
    [row] = await house.rows(deliveries)
    now.at = row.next_wakeup_at
    await turner(house.ledger)()
    [row] = await house.rows(deliveries)
    assert (row.state, row.next_wakeup_at) == ("acknowledged", None)
    await nothing_is_wrong(house)


async def test_a_replaced_key_signs_beside_the_new_one_for_a_day(live: Ledger, telemetry: Telemetry) -> None:
    async with receiving(honest) as agency, working(live, telemetry):
        endpoint = await live.connect(POLICE, agency.url)
        old = live.secrets[endpoint]
        async with live.db.transaction() as session:
            new = await issue_key(session, live.desk, endpoint, actor="test", now=utc_now())
        await live.take(live.alert(received_at=utc_now()))

        async def arrived() -> bool:
            return bool(agency.requests)

        await eventually(arrived)
        [got] = agency.requests
        for secret in (old, new):
            assert Webhook(secret).verify(got.body, got.headers)
        with pytest.raises(WebhookVerificationError):
            Webhook("whsec_" + "A" * 43 + "=").verify(got.body, got.headers)


async def test_a_revoked_endpoint_is_unusable_when_the_answer_comes(
    house: House, keys: KeyRing, now: FrozenNow
) -> None:
    endpoint = await house.ledger.connect(POLICE, "http://127.0.0.1:9/hook")
    await house.ledger.take(house.ledger.alert())
    [before] = await house.rows(deliveries, role=POLICE)
    assert before.endpoint_id == endpoint
    path = f"/internal/endpoints/{endpoint}/revocation"
    assert (await house.client.post(path, headers=house.as_role("operator"))).status_code == 403
    for _ in range(2):
        began = time.monotonic()
        assert (await house.client.post(path, headers=own_token(house, keys))).status_code == 204
        # Other processes look again at what they claimed so long ago; until then it may leave.
        assert time.monotonic() - began > LOOK_AGAIN_AFTER.total_seconds()
    [after] = await house.rows(deliveries, role=POLICE)
    assert (after.endpoint_id, after.state, after.reason) == (None, "waiting", "blocked:endpoint_revoked")
    assert after.next_wakeup_at <= now()
    async with house.ledger.db.reading() as session:
        with pytest.raises(EndpointUnusable):
            await find_usable(session, endpoint)
    # The agency itself can still fetch it.
    page = (await house.get("/v1/inbox", house.as_agency(POLICE))).json()
    assert len(page["items"]) == 1


async def test_a_revocation_waits_for_who_is_just_planning_for_its_endpoint(
    ledger: Ledger, db_kind: str
) -> None:
    """What was claimed by a route that was read before is there when the revocation looks for it."""
    if db_kind != "postgres":
        pytest.skip("SQLite has one writer: nobody plans while another one revokes")
    endpoint = await ledger.connect(POLICE, "http://127.0.0.1:9/hook")
    alert = ledger.alert()

    async def revoke() -> None:
        async with ledger.db.transaction() as session:
            await directory.revoke_endpoint(session, ledger.desk, endpoint, at=ledger.now(), now=ledger.now())

    async with ledger.db.transaction() as session:
        effect = effects(ledger.desk)[type(alert)]
        assert isinstance(effect, Together)
        await effect.effect(session, [Received(alert, None)], now=ledger.now)
        await session.connection()  # what was put off is written
        revoking = asyncio.create_task(revoke())
        await asyncio.wait([revoking], timeout=1)
        assert not revoking.done()
    await revoking
    [row] = await rows(ledger, deliveries, role=POLICE)
    assert (row.endpoint_id, row.reason) == (None, "blocked:endpoint_revoked")


async def test_another_endpoint_of_the_agency_takes_over(ledger: Ledger) -> None:
    first = await ledger.connect(POLICE, "http://127.0.0.1:9/a")
    await ledger.take(ledger.alert())
    second = await ledger.connect(POLICE, "http://127.0.0.1:9/b")
    await ledger.take(
        EndpointRevoked(
            endpoint_id=first, agency_id=ledger.agencies[POLICE], version=2, revoked_at=ledger.now()
        )
    )
    [row] = await rows(ledger, deliveries, role=POLICE)
    assert (row.endpoint_id, row.reason) == (second, "new")


async def test_a_revocation_that_overtakes_its_endpoint_holds(house: House, keys: KeyRing) -> None:
    endpoint = uuid4()
    answer = await house.client.post(
        f"/internal/endpoints/{endpoint}/revocation", headers=own_token(house, keys)
    )
    assert answer.status_code == 204
    await house.ledger.take(
        EndpointRegistered(
            endpoint_id=endpoint,
            agency_id=house.ledger.agencies[POLICE],
            version=1,
            kind="webhook",
            url="http://127.0.0.1:9/hook",
        )
    )
    await house.ledger.take(house.ledger.alert())
    [row] = await house.rows(deliveries, role=POLICE)
    assert row.endpoint_id is None


async def test_what_was_planned_while_its_endpoint_was_revoked_finds_another_way(
    live: Ledger, telemetry: Telemetry
) -> None:
    async with receiving(honest) as agency:
        gone = await live.connect(POLICE, agency.url)
        await live.take(live.alert(received_at=utc_now()))
        async with live.db.transaction() as session:  # the revocation has not seen this delivery
            await session.execute(
                update(endpoints).where(endpoints.c.id == gone).values(revoked_at=utc_now())
            )
        async with working(live, telemetry):

            async def blocked() -> Any:
                [row] = await rows(live, deliveries, role=POLICE)
                return row.reason == "blocked:endpoint_revoked"

            await eventually(blocked)
        assert agency.requests == []


async def test_what_waits_goes_to_the_newest_version_and_never_back(ledger: Ledger) -> None:
    endpoint = await ledger.connect(POLICE, "http://127.0.0.1:9/old")
    await ledger.take(ledger.alert())

    def version(number: int) -> EndpointRegistered:
        return EndpointRegistered(
            endpoint_id=endpoint,
            agency_id=ledger.agencies[POLICE],
            version=number,
            kind="webhook",
            url=f"http://127.0.0.1:9/{number}",
        )

    await ledger.take(version(3))
    await ledger.take(version(2))
    [row] = await rows(ledger, deliveries, role=POLICE)
    assert row.endpoint_version == 3


def moved_to(ledger: Ledger, endpoint: UUID, number: int) -> EndpointRegistered:
    return EndpointRegistered(
        endpoint_id=endpoint,
        agency_id=ledger.agencies[POLICE],
        version=number,
        kind="webhook",
        url=f"http://127.0.0.1:9/{number}",
    )


async def claimed(ledger: Ledger, delivery: UUID) -> Claimed:
    async with ledger.db.transaction() as session:
        leases = dict.fromkeys(Urgency, ledger.now() + timedelta(seconds=30))
        [one] = await claims.claim(session, [delivery], uuid4(), now=ledger.now(), leases=leases)
    return one


async def test_what_is_being_sent_when_its_address_changes_goes_to_the_new_one_next(ledger: Ledger) -> None:
    """Most of the life of a notice to an address that hangs is a lease: the change finds it there."""
    endpoint = await ledger.connect(POLICE, "http://127.0.0.1:9/old")
    await ledger.take(ledger.alert())
    [row] = await rows(ledger, deliveries, role=POLICE)
    first = await claimed(ledger, row.id)
    assert first.url == "http://127.0.0.1:9/old"
    await ledger.take(moved_to(ledger, endpoint, 2))
    failed = Result(
        row.id, first.token, first.attempt, ledger.now(), Outcome.NO_ANSWER, None,
        State.WAITING, Reason.RETRY, ledger.now(),
    )  # fmt: skip
    async with ledger.db.transaction() as session:
        await claims.write_results(session, [failed])
    second = await claimed(ledger, row.id)
    assert second.url == "http://127.0.0.1:9/2"
    made = {one.no: one.endpoint_version for one in await rows(ledger, attempts, delivery_id=row.id)}
    assert made == {1: 1, 2: 2}, "each attempt says where it went"


async def test_what_was_planned_while_the_address_changed_goes_to_the_new_one(ledger: Ledger) -> None:
    endpoint = await ledger.connect(POLICE, "http://127.0.0.1:9/old")
    await ledger.take(ledger.alert())
    await ledger.take(moved_to(ledger, endpoint, 2))
    async with ledger.db.transaction() as session:  # the change has not seen this delivery
        await session.execute(
            update(deliveries).where(deliveries.c.endpoint_id == endpoint).values(endpoint_version=1)
        )
    [row] = await rows(ledger, deliveries, role=POLICE)
    assert (await claimed(ledger, row.id)).url == "http://127.0.0.1:9/2"


async def test_a_new_endpoint_takes_what_waited_to_be_pulled(ledger: Ledger) -> None:
    await ledger.take(ledger.alert())
    endpoint = await ledger.connect(POLICE, "http://127.0.0.1:9/hook")
    [row] = await rows(ledger, deliveries, role=POLICE)
    assert (row.endpoint_id, row.reason) == (endpoint, "new")
    assert row.next_wakeup_at <= ledger.now()


@pytest.mark.parametrize("reason", ["pull", "blocked:endpoint_revoked"])
async def test_what_was_planned_while_an_endpoint_was_registered_is_found_by_the_next_look(
    ledger: Ledger, now: FrozenNow, reason: str
) -> None:
    """Planned, or left by a revocation, in a transaction that has not seen the new endpoint."""
    await ledger.take(ledger.alert())
    [asleep] = await rows(ledger, deliveries, role=POLICE)
    endpoint = await ledger.connect(POLICE, "http://127.0.0.1:9/hook")
    async with ledger.db.transaction() as session:  # as it is when the registration has not seen it
        values = {
            name: asleep._mapping[name] for name in ("endpoint_id", "endpoint_version", "next_wakeup_at")
        }
        mine = update(deliveries).where(deliveries.c.id == asleep.id)
        await session.execute(mine.values(**values, reason=reason))
    now.move(timedelta(minutes=2))
    for job in jobs(ledger.db, ledger.desk, now):
        await job.run()
    [row] = await rows(ledger, deliveries, role=POLICE)
    assert (row.endpoint_id, row.reason, row.next_wakeup_at) == (endpoint, "new", now())
    assert (await claimed(ledger, row.id)).url == "http://127.0.0.1:9/hook"


async def test_a_retired_agency_is_not_addressed(ledger: Ledger) -> None:
    police = ledger.agencies[POLICE]
    await ledger.take(AgencyRetired(agency_id=police, version=2, retired_at=ledger.now() - timedelta(days=1)))
    await ledger.take(ledger.alert())
    assert police not in {row.agency_id for row in await rows(ledger, deliveries)}


async def test_the_copy_is_replaced_by_what_the_registry_says(ledger: Ledger) -> None:
    kept = await ledger.connect(POLICE, "http://127.0.0.1:9/kept")
    gone = await ledger.connect("regional_child_ombudsman", "http://127.0.0.1:9/gone")
    police = ledger.agencies[POLICE]
    facts = [
        an_agency(police, POLICE, version=9),
        EndpointRegistered(
            endpoint_id=kept, agency_id=police, version=1, kind="webhook", url="http://127.0.0.1:9/kept"
        ),
    ]
    async with ledger.db.reading() as session:
        known = await rebuilding.what_is_known(session)
    # Registered while the registry answered, after the page on which it would stand.
    meanwhile = await ledger.connect(POLICE, "http://127.0.0.1:9/meanwhile")
    young = await ledger.register("prosecutor")
    await ledger.register(POLICE, agency_id=police, version=10)
    async with ledger.db.transaction() as session:
        await rebuilding.rebuild(session, ledger.desk, facts, known=known, now=ledger.now())
    [new] = await rows(ledger, endpoints, id=meanwhile)
    assert new.revoked_at is None
    assert {row.id: row.version for row in await rows(ledger, agencies)} == {police: 10, young: 1}
    assert {row.agency_id for row in await rows(ledger, mandates)} == {police, young}
    [dropped] = await rows(ledger, endpoints, id=gone)
    assert dropped.revoked_at is not None
    [stays] = await rows(ledger, endpoints, id=kept)
    assert stays.revoked_at is None
    assert len(await rows(ledger, endpoint_keys)) == 3


async def test_the_snapshot_is_read_page_by_page_and_put_in_the_order_of_the_register(
    keys: KeyRing, now: FrozenNow
) -> None:
    facts = [an_agency(uuid4(), POLICE), an_agency(uuid4(), "prosecutor")]
    bearers: list[str] = []
    is_away = False

    async def snapshot(request: web.Request) -> web.Response:
        bearers.append(request.headers["authorization"].removeprefix("Bearer "))
        if is_away:
            return web.Response(status=503)
        page = int(request.query.get("after", "0"))
        recorded_at = utc_now() - timedelta(minutes=page)
        item = json.loads(encode(Envelope(uuid4(), facts[page], recorded_at, uuid4(), None)))
        return web.json_response({"items": [item], "next": "1" if page == 0 else None})

    app = web.Application()
    app.router.add_get("/internal/snapshot", snapshot)
    runner = web.AppRunner(app)
    await runner.setup()
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    await web.SockSite(runner, listening).start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    client = RegistryClient(url, ServiceTokens(keys, "notifier", now))
    try:
        assert await client.list_facts() == facts[::-1]
        is_away = True
        with pytest.raises(RegistryAway):
            await client.list_facts()
    finally:
        await runner.cleanup()
    assert ServiceTokens(keys, "registry", now).verify(bearers[0]) == Principal("notifier", "service")


async def test_an_empty_copy_is_filled_from_the_registry(db_url: Any, keys: KeyRing, now: FrozenNow) -> None:
    ledger = Ledger.open(db_url("notifier"), keys, now)
    police = uuid4()
    asked: list[int] = []

    async def list_facts() -> list[Event]:
        asked.append(1)
        if len(asked) == 1:
            raise RegistryAway
        return [an_agency(police, POLICE)]

    [fill] = [
        job
        for job in jobs(ledger.db, ledger.desk, now, list_facts=list_facts)
        if job.name == "fill_directory"
    ]
    await fill.run()
    assert await rows(ledger, agencies) == []
    await fill.run()
    await fill.run()
    assert [row.id for row in await rows(ledger, agencies)] == [police]
    assert len(asked) == 2
    await ledger.db.close()


def fits(public_key: str, delivery: str, headers: dict[str, str], body: bytes) -> bool:
    """Whether one of the v1a signatures is of this key, by Standard Webhooks."""
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.removeprefix("whpk_")))
    content = f"{delivery}.{headers['webhook-timestamp']}.".encode() + body
    for one in headers["webhook-signature"].split(" "):
        scheme, _, text = one.partition(",")
        if scheme == "v1a":
            with contextlib.suppress(InvalidSignature):
                key.verify(base64.b64decode(text), content)
                return True
    return False


async def test_an_endpoint_chooses_ed25519_and_changes_over_side_by_side(
    house: House, now: FrozenNow
) -> None:
    async with receiving(honest) as agency:
        endpoint = await house.ledger.connect(POLICE, agency.url)
        path = f"/v1/endpoints/{endpoint}"

        async def issue(body: dict[str, Any]) -> dict[str, Any]:
            answer = await house.client.post(
                f"{path}/signing-key", json=body, headers=house.as_role("registrar")
            )
            assert answer.status_code == 201
            return dict(answer.json())

        async def sent() -> Any:
            tested = await house.client.post(f"{path}/test", json={}, headers=house.as_role("registrar"))
            assert tested.json()["outcome"] == "accepted"
            return agency.requests[-1]

        first, old = await issue({"scheme": "v1a"}), house.ledger.secrets[endpoint]
        assert (first["scheme"], first["secret"]) == ("v1a", None)
        got = await sent()
        assert fits(first["public_key"], got.delivery_id, got.headers, got.body)
        assert (
            got.headers["webhook-signature"].split(" ")[1].startswith("v1,")
        )  # the secret before, for a day
        assert old.startswith("whsec_")
        now.move(timedelta(days=2))  # the shared secret retires
        second = await issue({"scheme": "v1a"})
        got = await sent()
        assert got.headers["webhook-signature"].count("v1a,") == 2
        assert "v1," not in got.headers["webhook-signature"]
        assert fits(first["public_key"], got.delivery_id, got.headers, got.body)
        assert fits(second["public_key"], got.delivery_id, got.headers, got.body)
        assert not fits(second["public_key"], got.delivery_id, got.headers, got.body + b" ")
        now.move(timedelta(days=2))
        got = await sent()
        assert not fits(first["public_key"], got.delivery_id, got.headers, got.body)
        refused = await house.client.post(
            f"{path}/signing-key", json={"scheme": "none"}, headers=house.as_role("registrar")
        )
        assert refused.status_code == 422
        stored = await house.rows(endpoint_keys)
        assert all(b"v1a:" not in row.sealed for row in stored)
