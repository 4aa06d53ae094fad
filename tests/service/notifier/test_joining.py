"""Two alerts about one child: joined by a person, parted by two; who may not know of one knows neither."""

import asyncio
import base64
import json
import random
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from common.contracts.vocabulary import OffenderRelation
from common.identity import Principal
from common.ids import pairwise
from common.sealing import aead_seal, unseal
from common.testing import FrozenNow
from notifier.domain.exclusion import Exclusion
from notifier.domain.joining import pair_of
from notifier.models import alert_groups, audit, deliveries, joinings, obligations, parent_locks
from notifier.service import conflicts, joining
from notifier.service.exclusions import shut_out
from notifier.service.reading import see_alert
from tests.factories.notifier import Ledger
from tests.service.notifier.conftest import House

POLICE = "internal_affairs"
BODY = "regional_child_rights_body"
SCHOOL = "education_org"
OMBUDSMAN = "regional_child_ombudsman"
WHY = "Екі бала, аттары ұқсас"


def handle(house: House, alert_id: UUID, role: str) -> UUID:
    return pairwise(house.ledger.keys.secret("pairwise"), alert_id, house.ledger.agencies[role])


def match_of(ledger: Ledger, *alerts: UUID) -> str:
    """As intake seals it."""
    document = json.dumps([str(each) for each in sorted(alerts)])
    sealed = aead_seal(ledger.keys.secret("grant"), document.encode(), b"match")
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


@pytest.fixture
async def above(house: House) -> UUID:
    superior = await house.ledger.register("central_state_body", "KZ")
    police = house.ledger.agencies[POLICE]
    await house.ledger.register(POLICE, agency_id=police, version=2, superior=superior)
    return superior


async def reported(ledger: Ledger, **values: Any) -> UUID:
    alert = ledger.alert(**values)
    await ledger.take(alert)
    return UUID(str(alert.alert_id))


@pytest.fixture
async def two(house: House, above: UUID) -> tuple[UUID, UUID]:
    """The second was received an hour later."""
    first = house.ledger.alert()
    await house.ledger.take(first)
    return first.alert_id, await reported(house.ledger, received_at=first.received_at + timedelta(hours=1))


async def post(house: House, alert: UUID, body: dict[str, Any], by: str = BODY, **who: Any) -> httpx.Response:
    path = f"/v1/alerts/{handle(house, alert, by)}/joining"
    return await house.client.post(path, json=body, headers=house.as_agency(by, **who))


async def join(
    house: House, one: UUID, other: UUID, *, is_same: bool = True, by: str = BODY
) -> httpx.Response:
    body = {
        "other": str(handle(house, other, by)),
        "match": match_of(house.ledger, one, other),
        "is_same": is_same,
    }
    return await post(house, one, body, by)


async def shut(house: House, alert: UUID, role: str = POLICE) -> httpx.Response:
    body = {"agency": str(house.ledger.agencies[role]), "reason": WHY}
    path = f"/v1/alerts/{handle(house, alert, BODY)}/conflicts"
    return await house.client.post(path, json=body, headers=house.as_agency(BODY))


async def part(house: House, one: UUID, other: UUID) -> httpx.Response:
    proposed = await post(house, one, {"other": str(handle(house, other, BODY)), "reason": WHY})
    assert proposed.status_code == 202, proposed.text
    return await post(house, one, {"confirms": proposed.json()["proposal"]}, subject="client-2")


async def sees(house: House, alert: UUID, role: str = POLICE) -> bool:
    answer = await house.get(f"/v1/alerts/{handle(house, alert, role)}", house.as_agency(role))
    return answer.status_code == 200


def kind_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rpartition("/")[2]


async def clocks_of(house: House, alert: UUID) -> list[tuple[Any, ...]]:
    rows = await house.rows(obligations, alert_id=alert)
    return sorted((row.rule, row.obliged, str(row.recipient), row.due_at, row.breach_at) for row in rows)


async def test_whoever_is_shut_out_of_one_is_shut_out_of_both(
    house: House, two: tuple[UUID, UUID], above: UUID
) -> None:
    first, second = two
    assert (await shut(house, first)).status_code == 201
    assert not await sees(house, first)
    assert await sees(house, second)
    clocks = [await clocks_of(house, each) for each in two]
    answer = await join(house, second, first)
    assert answer.status_code == 201, answer.text
    assert (answer.json()["state"], answer.json()["other"]) == ("joined", str(handle(house, first, BODY)))
    assert not await sees(house, second)
    ended, new = sorted(
        await house.rows(deliveries, role=POLICE, alert_id=second), key=lambda row: row.agency_id == above
    )
    assert (ended.state, new.state, new.agency_id) == ("cancelled", "waiting", above)
    assert (await house.get("/v1/inbox", house.as_agency(POLICE))).json()["items"] == []
    assert [await clocks_of(house, each) for each in two] == clocks, "every duty stays with its clock"


async def test_the_others_hear_it_with_the_same_commit(house: House, two: tuple[UUID, UUID]) -> None:
    first, second = two
    await shut(house, first)
    await join(house, first, second)
    [data] = await house.told("joining.made")
    made = json.loads(data)
    assert made["pair"] == [str(each) for each in pair_of(*two)]
    assert {each["alert_id"]: each["head_id"] for each in made["heads"]} == {
        str(first): str(first),
        str(second): str(first),
    }
    told = [json.loads(each) for each in await house.told("conflict.raised")]
    [shared] = [each for each in told if each["alert_id"] == str(second)]
    aad = str(second).encode()
    police = str(house.ledger.agencies[POLICE])
    marks = unseal(house.ledger.keys.opening("denial"), base64.b64decode(shared["denied"]), aad)
    assert json.loads(marks) == [f"agency:{police}"]
    closed = unseal(house.ledger.keys.opening("assignee"), base64.b64decode(shared["shut_out"]), aad)
    assert json.loads(closed)["agencies"] == [police]
    assert WHY not in str(await house.rows(audit))
    again = await join(house, second, first)
    assert (again.status_code, again.json()["state"]) == (200, "joined")
    assert len(await house.told("joining.made")) == 1
    assert len(await house.told("conflict.raised")) == len(told)


async def test_a_conflict_that_comes_later_holds_for_both_and_goes_from_both(
    house: House, two: tuple[UUID, UUID]
) -> None:
    first, second = two
    await join(house, first, second)
    assert (await shut(house, second, OMBUDSMAN)).status_code == 201
    assert [await sees(house, each, OMBUDSMAN) for each in two] == [False, False]
    path = f"/v1/alerts/{handle(house, second, BODY)}/conflicts"
    lower = {"agency": str(house.ledger.agencies[OMBUDSMAN]), "reason": WHY, "lower": True}
    asked = await house.client.post(path, json=lower, headers=house.as_agency(BODY))
    path = f"/v1/alerts/{handle(house, second, POLICE)}/conflicts"
    done = await house.client.post(
        path, json={"confirms": asked.json()["proposal"]}, headers=house.as_agency(POLICE, subject="client-2")
    )
    assert done.status_code == 200, done.text
    assert [await sees(house, each, OMBUDSMAN) for each in two] == [True, True]
    assert {json.loads(each)["alert_id"] for each in await house.told("conflict.lowered")} == {
        str(each) for each in two
    }


async def test_a_lock_towards_the_parents_holds_for_both(house: House, above: UUID) -> None:
    free = await reported(house.ledger)
    locked = await reported(house.ledger, offender_relation=OffenderRelation.PARENT)
    towards = {row.state for row in await house.rows(obligations, alert_id=free, recipient="legal_rep")}
    assert towards == {"pending"} or "open" in towards
    assert (await join(house, free, locked)).status_code == 201
    towards = {row.state for row in await house.rows(obligations, alert_id=free, recipient="legal_rep")}
    assert towards == {"cancelled"}
    path = f"/v1/alerts/{handle(house, free, BODY)}/parent-lock"
    asked = await house.client.post(
        path, json={"locked": False, "reason": WHY}, headers=house.as_agency(BODY)
    )
    assert asked.status_code == 202, asked.text
    done = await house.client.post(
        path, json={"confirms": asked.json()["proposal"]}, headers=house.as_agency(BODY, subject="client-2")
    )
    assert done.json()["locked"] is False, done.text
    for alert in (free, locked):
        rows = await house.rows(parent_locks, alert_id=alert)
        assert not max(rows, key=lambda row: (row.at, not row.locked)).locked, "lifted of both or of neither"


async def test_a_lock_that_comes_later_holds_for_both(house: House, two: tuple[UUID, UUID]) -> None:
    first, second = two
    await join(house, first, second)
    path = f"/v1/alerts/{handle(house, first, POLICE)}/parent-lock"
    body = {"locked": True, "reason": WHY}
    assert (await house.client.post(path, json=body, headers=house.as_agency(POLICE))).status_code == 200
    for alert in two:
        rows = await house.rows(obligations, alert_id=alert, recipient="legal_rep")
        assert {row.state for row in rows} == {"cancelled"}


async def test_parting_takes_two_persons_and_gives_each_its_own_exclusions_back(
    house: House, two: tuple[UUID, UUID], now: FrozenNow
) -> None:
    first, second = two
    await shut(house, first)
    await join(house, first, second)
    now.move(timedelta(minutes=5))
    asked = await post(house, second, {"other": str(handle(house, first, BODY)), "reason": WHY})
    word = {"confirms": asked.json()["proposal"]}
    assert kind_of(await post(house, second, word)) == (409, "second-person-needed")
    assert kind_of(await post(house, second, word, is_person=False)) == (403, "person-needed")
    assert not await sees(house, second)
    done = await post(house, second, word, subject="client-2")
    assert (done.status_code, done.json()["state"]) == (200, "apart")
    assert [await sees(house, each) for each in two] == [False, True]
    [lowered] = [json.loads(each) for each in await house.told("conflict.lowered")]
    assert lowered["alert_id"] == str(second), "the one that was shut out stays so"
    [undone] = [json.loads(each) for each in await house.told("joining.undone")]
    assert all(each["alert_id"] == each["head_id"] for each in undone["heads"])
    assert await house.rows(alert_groups) == []
    again = await post(house, second, word, subject="client-2")
    assert (again.status_code, again.json()["state"]) == (200, "apart")
    assert len(await house.told("joining.undone")) == 1
    assert (await join(house, first, second)).status_code == 201
    assert not await sees(house, second)


async def test_not_the_same_changes_nothing_but_what_is_proposed(
    house: House, two: tuple[UUID, UUID]
) -> None:
    first, second = two
    await shut(house, first)
    answer = await join(house, first, second, is_same=False)
    assert (answer.status_code, answer.json()["state"]) == (201, "apart")
    assert await sees(house, second)
    assert len(await house.told("joining.declined")) == 1
    assert (await join(house, first, second, is_same=False)).status_code == 200
    await join(house, first, second)
    kept = await join(house, first, second, is_same=False)
    assert (kept.status_code, kept.json()["state"]) == (200, "joined"), "one person alone parts nothing"
    assert not await sees(house, second)


async def test_only_who_coordinates_both_and_only_what_intake_proposed(
    house: House, two: tuple[UUID, UUID]
) -> None:
    first, second = two
    other = await reported(house.ledger)
    assert kind_of(await join(house, first, second, by=POLICE)) == (403, "joining-not-yours")
    for forged in (match_of(house.ledger, first, other), match_of(house.ledger, first, first), "A" * 120):
        body = {"other": str(handle(house, second, BODY)), "match": forged, "is_same": True}
        assert kind_of(await post(house, first, body)) == (422, "match-unknown")
    itself = {
        "other": str(handle(house, first, BODY)),
        "match": match_of(house.ledger, first),
        "is_same": True,
    }
    assert (await post(house, first, itself)).status_code == 422
    # An id of another agency, an internal one, one of nobody: all the same.
    for unknown in (handle(house, second, POLICE), second, uuid4()):
        body = {"other": str(unknown), "match": match_of(house.ledger, first, second), "is_same": True}
        assert (await post(house, first, body)).status_code == 404
    assert await house.rows(joinings) == []


async def test_who_is_shut_out_of_one_cannot_join_it_with_another(
    house: House, two: tuple[UUID, UUID]
) -> None:
    first, second = two
    body = {"agency": str(house.ledger.agencies[BODY]), "reason": WHY}
    path = f"/v1/alerts/{handle(house, first, POLICE)}/conflicts"
    assert (await house.client.post(path, json=body, headers=house.as_agency(POLICE))).status_code == 201
    assert (await join(house, second, first)).status_code == 404
    assert (await join(house, first, second)).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"other": str(uuid4())},
        {"is_same": True},
        {"other": str(uuid4()), "match": "A" * 40},
        {"other": str(uuid4()), "match": "A" * 40, "is_same": "yes"},
        {"other": str(uuid4()), "match": "A" * 40, "is_same": True, "reason": "x"},
        {"other": str(uuid4()), "reason": " "},
        {"other": str(uuid4()), "match": "Әлия" * 10, "is_same": True},
        {"confirms": str(uuid4()), "other": str(uuid4())},
        {"confirms": 7},
        {"unknown": 1},
    ],
)
async def test_anything_else_is_a_problem(house: House, two: tuple[UUID, UUID], body: dict[str, Any]) -> None:
    answer = await post(house, two[0], body)
    assert answer.status_code == 422
    assert "Әлия" not in answer.text


async def test_what_is_joined_is_listed_for_who_coordinates(house: House, two: tuple[UUID, UUID]) -> None:
    first, second = two
    await join(house, first, second)
    path = f"/v1/alerts/{handle(house, first, BODY)}/joining"
    [stands] = (await house.get(path, house.as_agency(BODY))).json()["items"]
    assert (stands["other"], stands["state"]) == (str(handle(house, second, BODY)), "joined")
    other = await house.get(f"/v1/alerts/{handle(house, first, POLICE)}/joining", house.as_agency(POLICE))
    assert kind_of(other) == (404, "alert-unknown")


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_was_joined_parted_and_flagged_the_union_holds(
    ledger: Ledger, now: FrozenNow, seed: int
) -> None:
    """Any sequence of joining, parting and flagging: shut out is who was flagged in what hangs together."""
    chance = random.Random(seed)
    alerts = [await reported(ledger) for _ in range(4)]
    flags: dict[UUID, set[UUID]] = {alert: set() for alert in alerts}
    pairs: set[tuple[UUID, UUID]] = set()
    caller = Principal("anar", "agency", ledger.agencies[BODY], (BODY,), "KZ-75", "anar")
    second = Principal("bolat", "agency", ledger.agencies[BODY], (BODY,), "KZ-75", "bolat")
    key = ledger.keys.secret("pairwise")
    own = {alert: pairwise(key, alert, ledger.agencies[BODY]) for alert in alerts}
    for _ in range(14):
        now.move(timedelta(seconds=1))
        one, other = chance.sample(alerts, 2)
        what = chance.choice(["join", "join", "part", "flag"])
        async with ledger.db.transaction() as session:
            seen = await see_alert(session, caller, own[one])
            if what == "join":
                match = match_of(ledger, one, other)
                await joining.decide(
                    session, ledger.desk, caller, seen, own[other], match, is_same=True, now=now()
                )
                pairs.add(pair_of(one, other))
            elif what == "flag":
                body = ledger.agencies[chance.choice([POLICE, OMBUDSMAN])]
                exclusion = Exclusion(one, agency_id=body)
                await conflicts.raise_conflict(session, ledger.desk, caller, seen, exclusion, WHY, now=now())
                flags[one].add(body)
            elif pair_of(one, other) in pairs:
                proposal = await joining.propose_parting(
                    session, ledger.desk, caller, seen, own[other], WHY, now=now()
                )
                await joining.part(session, ledger.desk, second, seen, proposal.id, now=now())
                pairs.remove(pair_of(one, other))
        async with ledger.db.reading() as session:
            for alert in alerts:
                together = {alert}
                for _ in alerts:
                    together |= {each for pair in pairs if together & set(pair) for each in pair}
                expected = set().union(*(flags[each] for each in together))
                found = await shut_out(
                    session, [ledger.agencies[POLICE], ledger.agencies[OMBUDSMAN]], alerts=[alert]
                )
                assert {agency for _, agency in found} == expected, (what, one, other)


async def test_a_flag_and_a_joining_at_once_leave_nobody_informed(
    house: House, two: tuple[UUID, UUID]
) -> None:
    """Whichever comes first: the police know of neither, and nothing to them waits."""
    first, second = two
    answers = await asyncio.gather(shut(house, first), join(house, first, second), join(house, second, first))
    assert {answer.status_code for answer in answers} <= {200, 201}, [each.text for each in answers]
    assert [await sees(house, each) for each in two] == [False, False]
    police = house.ledger.agencies[POLICE]
    rows = [row for each in two for row in await house.rows(deliveries, alert_id=each, agency_id=police)]
    assert {row.state for row in rows} == {"cancelled"}
    assert {json.loads(each)["alert_id"] for each in await house.told("conflict.raised")} == {
        str(each) for each in two
    }
