"""What needs somebody now or needed somebody once: with its ladder, to those who may see it."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from common.testing import FrozenNow
from notifier.models import deliveries, obligations
from tests.factories.notifier import T0, Ledger
from tests.service.notifier.conftest import House
from tests.service.notifier.test_breaches import OWNER, breached, with_body_above
from tests.service.notifier.test_clocks import turner
from tests.service.notifier.test_escalation import POLICE, answer, first_way, with_full_ladder
from tests.service.notifier.test_planning import rows

PATH = "/v1/escalations"


async def climb(ledger: Ledger, now: FrozenNow, *minutes: int) -> None:
    for each in minutes:
        now.at = T0 + timedelta(minutes=each)
        await turner(ledger)()


async def listed(house: House, headers: dict[str, str], **params: Any) -> list[dict[str, Any]]:
    found = await house.get(PATH, headers, **params)
    assert found.status_code == 200, found.text
    return list(found.json()["items"])


async def of(house: House, role: str, headers: dict[str, str], **params: Any) -> dict[str, Any]:
    [one] = [each for each in await listed(house, headers, **params) if each["role"] == role]
    return one


async def test_each_rung_is_told_with_its_time_way_and_what_came_of_it(house: House, now: FrozenNow) -> None:
    ledger = house.ledger
    superior = await with_full_ladder(ledger)
    await ledger.take(ledger.alert())
    assert await listed(house, house.as_role("operator")) == []
    await climb(ledger, now, 2, 5)
    one = await of(house, POLICE, house.as_role("operator"))
    first = await first_way(ledger)
    assert (one["id"], one["kind"], one["state"], one["alert"]) == (
        str(first.id), "silence", "open", str(first.alert_id),
    )  # fmt: skip
    assert [(step["rung"], step["channel"], step["state"]) for step in one["ladder"]] == [
        (0, "webhook", "waiting"), (1, "webhook", "waiting"), (2, "webhook", "waiting"),
    ]  # fmt: skip
    assert one["next"] == {"rung": 3, "at": (T0 + timedelta(minutes=10)).isoformat().replace("+00:00", "Z")}
    assert {duty["rule"] for duty in one["duties"]} == {
        row.rule for row in await rows(ledger, obligations, delivery_id=first.id)
    }
    await climb(ledger, now, 10, 15, 20, 25)
    one = await of(house, POLICE, house.as_role("operator"))
    assert [step["rung"] for step in one["ladder"]] == [0, 1, 2, 3, 4]
    assert [step["times"] for step in one["ladder"][:4]] == [1, 1, 1, 1]
    # Three calls of the ladder; that a limit passed may call as well.
    assert one["ladder"][4]["times"] in (3, 4)
    assert one["ladder"][3]["agency"] == str(superior)
    assert one["ladder"][4]["channel"] == "person"
    assert one["next"]["rung"] == 4


async def test_an_answer_closes_it_and_it_stays_among_the_past(house: House, now: FrozenNow) -> None:
    ledger = house.ledger
    await with_full_ladder(ledger)
    await ledger.take(ledger.alert())
    await climb(ledger, now, 2)
    await answer(house, await first_way(ledger), POLICE)
    operator = house.as_role("operator")
    assert POLICE not in {each["role"] for each in await listed(house, operator)}
    one = await of(house, POLICE, operator, state="closed")
    assert (one["state"], one["next"]) == ("closed", None)
    assert one["ladder"][0]["acknowledged_at"] is not None


async def test_a_refusal_needs_somebody(house: House, now: FrozenNow) -> None:
    ledger = house.ledger
    await ledger.take(ledger.alert())
    await answer(house, await first_way(ledger), POLICE, status="rejected", reason="не наш район")
    one = await of(house, POLICE, house.as_role("operator"))
    assert (one["reason"], one["ladder"][0]["state"]) == ("rejected", "rejected")


async def test_a_breach_is_one_alarm_with_the_ladder_above_it(house: House, now: FrozenNow) -> None:
    ledger = house.ledger
    superior = await with_body_above(ledger)
    duty = await breached(ledger, now)
    operator = house.as_role("operator")
    [one] = [
        each
        for each in await listed(house, operator, limit=200)
        if each["kind"] == "breach" and str(duty.id) in {d["obligation"] for d in each["duties"]}
    ]
    assert (one["agency"], one["reason"]) == (str(ledger.agencies[OWNER]), "breach")
    assert [(step["rung"], step["agency"]) for step in one["ladder"]] == [(3, str(superior))]
    assert one["next"]["rung"] == 4
    assert {d["breach"]["reason"] for d in one["duties"]} == {"not_done"}
    # The body above reads it under a name of its own, and the notice is not an alarm beside it.
    above = house.as_agency("child_rights_authority")
    seen = [each for each in await listed(house, above, limit=200) if each["id"] == one["id"]]
    assert seen
    assert seen[0]["alert"] != one["alert"]
    assert one["delivery"] not in {each["id"] for each in await listed(house, operator, limit=200)}
    own = await listed(house, house.as_agency(OWNER), limit=200)
    assert one["id"] in {each["id"] for each in own}
    told = (await house.get(f"/v1/deliveries/{one['delivery']}", above)).json()
    assert (told["rung"], told["escalates"]) == (3, None)
    assert {d["rule"] for d in told["duties"]} == {d["rule"] for d in one["duties"]}


async def test_everybody_sees_their_own_and_nobody_else_anything(house: House, now: FrozenNow) -> None:
    ledger = house.ledger
    superior = await with_full_ladder(ledger)
    await ledger.take(ledger.alert())
    await climb(ledger, now, 2, 5, 10)
    first = await first_way(ledger)
    mine = await listed(house, house.as_agency(POLICE))
    assert [each["id"] for each in mine] == [str(first.id)]
    assert mine[0]["alert"] != str(first.alert_id)
    above = await listed(house, house.as_agency("prosecutor"))
    assert [each["id"] for each in above] == [str(first.id)]
    assert above[0]["ladder"][-1]["agency"] == str(superior)
    other = await listed(house, house.as_agency("psych_support_centre"))
    assert str(first.id) not in {each["id"] for each in other}
    assert await listed(house, house.as_agency("education_org")) == []
    for role in ("registrar", "auditor"):
        refused = await house.get(PATH, house.as_role(role))
        assert refused.status_code in (403, 404)


async def test_who_is_shut_out_sees_no_alarm_as_if_there_were_none(house: House, now: FrozenNow) -> None:
    ledger = house.ledger
    await with_full_ladder(ledger)
    await ledger.take(ledger.alert())
    await climb(ledger, now, 2)
    police = house.as_agency(POLICE)
    nobody = await house.get(PATH, house.as_agency("family_support_centre"), agency=str(UUID(int=7)))
    assert len(await listed(house, police)) == 1
    body = house.as_agency(OWNER)
    [known] = (await house.get("/v1/alerts", body)).json()["items"]
    await house.client.get("/v1/inbox", headers=body)
    raised = await house.client.post(
        f"/v1/alerts/{known['id']}/conflicts",
        json={"agency": str(ledger.agencies[POLICE]), "reason": "родня"},
        headers=body,
    )
    assert raised.status_code in (200, 201), raised.text
    for state in ("open", "closed"):
        hidden = await house.get(PATH, police, state=state)
        assert hidden.content == nobody.content


@pytest.mark.parametrize("state", ["open", "closed"])
async def test_pages_hold_every_alarm_once_and_in_order(house: House, now: FrozenNow, state: str) -> None:
    ledger = house.ledger
    await with_body_above(ledger)
    await breached(ledger, now)
    if state == "closed":
        for row in await rows(ledger, deliveries, agency_id=ledger.agencies[OWNER]):
            if row.state == "waiting" and row.rung == 0:
                await answer(house, row, OWNER)
    operator = house.as_role("operator")
    whole = await listed(house, operator, state=state, limit=200)
    assert len(whole) >= (5 if state == "open" else 1)
    paged: list[str] = []
    after = ""
    while True:
        page = await house.get(PATH, operator, state=state, limit=2, **({"after": after} if after else {}))
        paged += [each["id"] for each in page.json()["items"]]
        after = page.json()["next"]
        if not after:
            break
    assert paged == [each["id"] for each in whole]
    assert len(set(paged)) == len(paged)
    if state == "open":
        keys = [each["deadline_at"] or each["since"] for each in whole]
        assert keys == sorted(keys)
    police = str(ledger.agencies[POLICE])
    of_police = await listed(house, operator, state=state, agency=police)
    assert {each["id"] for each in of_police} == {each["id"] for each in whole if each["agency"] == police}
    urgent = await listed(house, operator, state=state, urgency="urgent", limit=200)
    assert {each["id"] for each in urgent} == {each["id"] for each in whole if each["urgency"] == "urgent"}
    for wrong in ({"after": "x"}, {"urgency": "soon"}, {"agency": "x"}, {"state": "all"}, {"limit": "0"}):
        assert (await house.get(PATH, operator, **wrong)).status_code in (400, 422)
