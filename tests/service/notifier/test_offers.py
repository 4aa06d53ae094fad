"""What a body is offered to do with an alert is what its door lets it do: no more, no less."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from common.testing import FrozenNow
from tests.service.notifier.conftest import House
from tests.service.notifier.test_conflicts import post as conflict
from tests.service.notifier.test_holds import reported
from tests.service.notifier.test_parents import post as parents
from tests.service.notifier.test_reading import handle
from tests.service.notifier.test_release import BODY, COMMISSION, SCHOOL, planned

POLICE = "internal_affairs"
HUB = "contact_centre_111"
WHY = "Отец работает в этом отделе, тел. +7 701 555-01-23"


async def shown(house: House, alert: UUID, role: str, subject: str = "client-1") -> dict[str, Any]:
    answer = await house.get(
        f"/v1/alerts/{handle(house, alert, role)}", house.as_agency(role, subject=subject)
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def attempt(house: House, alert: UUID, role: str, act: str) -> httpx.Response:
    """The act at its own door, harmless where it is let in."""
    path, body = {
        "release": ("release", {}),
        "rating": ("rating", {"reason": WHY}),
        "unfounded": ("unfounded", {"reason": WHY}),
        "conflict": ("conflicts", {"agency": str(uuid4()), "reason": WHY}),
        "lock_lifted": ("parent-lock", {"locked": False, "reason": WHY}),
    }[act]
    return await house.client.post(
        f"/v1/alerts/{handle(house, alert, role)}/{path}", headers=house.as_agency(role), json=body
    )


async def test_an_act_is_offered_to_those_whom_its_door_lets_in(house: House) -> None:
    alert = await planned(house, parents_may_be_informed=False)
    for role in (SCHOOL, POLICE, BODY):
        may = set((await shown(house, alert, role))["may"])
        for act in ("rating", "unfounded", "conflict", "lock_lifted"):
            answer = await attempt(house, alert, role, act)
            assert (answer.status_code < 400) == (act in may), (role, act, answer.text, may)
    operator = (await house.get(f"/v1/alerts/{alert}", house.as_role("operator"))).json()
    assert (operator["may"], operator["proposals"], operator["parents_locked"]) == ([], [], None)


async def test_the_reporter_alone_corrects_and_takes_back(house: House) -> None:
    alert = await planned(house)
    own = {"correction", "withdrawal"}
    assert own <= set((await shown(house, alert, SCHOOL))["may"])
    for role in (POLICE, BODY):
        assert not own & set((await shown(house, alert, role))["may"])


async def test_the_hub_is_offered_a_release_while_something_waits(house: House, now: FrozenNow) -> None:
    alert = await reported(house)
    assert "release" in (await shown(house, alert, HUB))["may"]
    assert (await attempt(house, alert, HUB, "release")).status_code == 200
    assert "release" not in (await shown(house, alert, HUB))["may"]
    assert "release" not in (await shown(house, alert, POLICE))["may"]
    other = await reported(house)
    now.move(timedelta(minutes=15))
    assert "release" not in (await shown(house, other, HUB))["may"]


async def test_a_lock_is_shown_to_everybody_who_was_told_and_lifted_by_two(house: House) -> None:
    alert = await planned(house)
    assert (await shown(house, alert, POLICE))["parents_locked"] is False
    assert (await parents(house, alert, {"locked": True, "reason": WHY}, by=POLICE)).status_code == 200
    for role in (SCHOOL, POLICE, BODY):
        seen = await shown(house, alert, role)
        assert (seen["parents_locked"], "parent_lock" in seen["may"]) == (True, False)
        assert ("lock_lifted" in seen["may"]) == (role == BODY)
    await parents(house, alert, {"locked": False, "reason": WHY}, subject="anar")
    [first] = (await shown(house, alert, BODY, "anar"))["proposals"]
    [second] = (await shown(house, alert, BODY, "bolat"))["proposals"]
    assert (first["kind"], first["mine"], first["may_confirm"]) == ("lock_lifted", True, False)
    assert (second["reason"], second["mine"], second["may_confirm"]) == (WHY, False, True)
    assert (await shown(house, alert, POLICE))["proposals"] == []
    done = await parents(house, alert, {"confirms": second["proposal"]}, subject="bolat")
    assert done.status_code == 200
    seen = await shown(house, alert, BODY, "bolat")
    assert (seen["parents_locked"], seen["proposals"]) == (False, [])


async def test_a_lowering_waits_for_the_other_of_two_bodies(house: House) -> None:
    alert = await planned(house)
    out = {"agency": str(house.ledger.agencies[COMMISSION]), "reason": WHY}
    assert "conflict_lowered" not in (await shown(house, alert, BODY))["may"]
    assert (await conflict(house, alert, POLICE, out)).status_code == 201
    assert (await conflict(house, alert, BODY, out | {"lower": True}, subject="anar")).status_code == 202
    for role, subject, may_confirm in (
        (BODY, "anar", False),
        (BODY, "bolat", False),
        (POLICE, "chingiz", True),
    ):
        seen = await shown(house, alert, role, subject)
        [proposal] = seen["proposals"]
        assert (proposal["kind"], proposal["may_confirm"]) == ("conflict_lowered", may_confirm), role
        answer = await conflict(house, alert, role, {"confirms": proposal["proposal"]}, subject=subject)
        assert (answer.status_code == 200) == may_confirm, (role, answer.text)
    school = await shown(house, alert, SCHOOL)
    assert (school["proposals"], "conflict_lowered" in school["may"]) == ([], False)
    assert (await shown(house, alert, BODY))["proposals"] == []


@pytest.mark.parametrize("role", [SCHOOL, BODY])
async def test_a_list_says_what_its_reader_still_owes(house: House, role: str) -> None:
    alert = await planned(house)
    [row] = (await house.get("/v1/alerts", house.as_agency(role))).json()["items"]
    known = await house.get(f"/v1/alerts/{handle(house, alert, role)}/obligations", house.as_agency(role))
    own = [
        one for one in known.json()["items"] if one["obliged_agency"] and one["state"] in ("open", "pending")
    ]
    assert own
    assert row["own_open"] == len(own)
    assert row["own_due_at"] == min(one["due_at"] for one in own if one["due_at"])
    assert row["is_reporter"] is (role == SCHOOL)
