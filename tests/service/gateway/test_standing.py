"""What an agency holds now decides; not what it held when its client, session or token was made."""

import asyncio
import base64
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from common.parts import Job
from gateway.domain.identity import Role
from gateway.service import standing
from tests.factories.gateway import AGENCY, POLICE, House, a_session

pytestmark = pytest.mark.usefixtures("cheap_secrets")
SAME = {"Sec-Fetch-Site": "same-origin"}
HELD = [{"role": "internal_affairs", "territory": "KZ-75"}, {"role": "contact_centre_111", "territory": "KZ"}]


def registry_says(house: House, **more: Any) -> None:
    """From now on, and nobody has to wait until what was said before is old."""
    house.upstreams.put("registry", "GET", f"/v1/agencies/{POLICE}", AGENCY | more)
    house.now.move(standing.FRESH)


def retire(house: House, at: datetime | None = None) -> None:
    registry_says(house, mandates=[], retired_at=(at or house.now()).isoformat())


async def a_client(house: House) -> dict[str, Any]:
    body = {"agency": AGENCY["code"]}
    made = await house.http.post("/v1/clients", json=body, headers=house.headers("registrar"))
    client: dict[str, Any] = made.json()
    return client


async def grant(house: House, client: dict[str, Any]) -> Any:
    form = {"grant_type": "client_credentials"} | {key: client[key] for key in ("client_id", "client_secret")}
    return await house.http.post("/oauth/token", data=form)


def claims_of(answer: Any) -> Any:
    return json.loads(base64.urlsafe_b64decode(answer.json()["access_token"].split(".")[1] + "=="))


async def inbox(house: House, token: str) -> int:
    house.upstreams.put("notifier", "GET", "/v1/inbox", {"items": []})
    answer = await house.http.get("/v1/inbox", headers={"Authorization": f"Bearer {token}"})
    return int(answer.status_code)


def held_inside(house: House) -> tuple[list[str], str | None]:
    """What the services behind are told that the caller holds."""
    principal = house.upstreams.heard[-1].principal
    return list(principal.bodies), principal.territory


async def away(house: House) -> None:
    """Registry is gone, and what this process knew as well."""
    await house.upstreams.servers["registry"].close()
    house.desk.standings._known.clear()
    house.now.move(standing.FRESH)


async def test_a_retired_agency_gets_no_token_and_its_old_ones_end(house: House) -> None:
    client, other = await a_client(house), await a_client(house)
    old = (await grant(house, client)).json()["access_token"]
    house.http.cookies.set("dabyl_session", await a_session(house, Role.AGENCY), domain="gateway.test")
    assert await inbox(house, old) == 200
    assert (await house.http.get("/console")).headers["location"] == "/console/inbox"
    retire(house)
    refused = await grant(house, client)
    assert (refused.status_code, refused.json()) == (401, {"error": "invalid_client"})
    assert await inbox(house, old) == 401
    assert (await house.http.get("/console")).headers["location"].startswith("/console/sign-in")
    form = {"client_id": other["client_id"], "client_secret": other["client_secret"]}
    assert (await house.http.post("/console/sign-in", data=form, headers=SAME)).status_code == 401


@pytest.mark.parametrize("by", ["token", "client", "session"])
async def test_what_was_learned_of_a_retirement_stays_without_registry(house: House, by: str) -> None:
    """Whichever of them comes first, all of it is taken back for good."""
    client = await a_client(house)
    old = (await grant(house, client)).json()["access_token"]
    house.http.cookies.set("dabyl_session", await a_session(house, Role.AGENCY), domain="gateway.test")
    retire(house)
    if by == "token":
        await inbox(house, old)
    elif by == "client":
        await grant(house, client)
    else:
        await house.http.get("/console")
    await away(house)
    assert (await grant(house, client)).status_code == 401
    assert await inbox(house, old) == 401
    assert (await house.http.get("/console")).headers["location"].startswith("/console/sign-in")


async def test_a_retirement_that_lies_ahead_changes_nothing_yet(house: House) -> None:
    client = await a_client(house)
    retire(house, house.now() + timedelta(hours=1))
    registry_says(house, retired_at=(house.now() + timedelta(minutes=10)).isoformat())
    answer = await grant(house, client)
    assert claims_of(answer)["bodies"] == ["internal_affairs"]
    house.now.move(timedelta(minutes=10))
    assert await inbox(house, answer.json()["access_token"]) == 401
    assert (await grant(house, client)).status_code == 401


async def test_a_retirement_that_was_entered_ahead_ends_the_access_for_good_when_its_day_comes(
    house: House,
) -> None:
    """Not only as long as registry answers, and not only at the door that heard it."""
    client = await a_client(house)
    registry_says(house, retired_at=(house.now() + timedelta(minutes=10)).isoformat())
    assert (await grant(house, client)).status_code == 200
    house.now.move(timedelta(minutes=10))
    assert (await grant(house, client)).status_code == 401
    await away(house)
    assert (await grant(house, client)).status_code == 401


async def test_the_next_token_carries_what_is_held_now_and_an_old_one_no_more_than_that(house: House) -> None:
    registry_says(house, mandates=HELD)
    client = await a_client(house)
    old = (await grant(house, client)).json()["access_token"]
    registry_says(house, mandates=[*HELD, {"role": "education_department", "territory": "KZ-75"}])
    wider = claims_of(await grant(house, client))
    assert wider["bodies"] == ["internal_affairs", "contact_centre_111", "education_department"]
    registry_says(house, mandates=[{"role": "education_department", "territory": "KZ-79"}, HELD[0]])
    narrower = claims_of(await grant(house, client))
    assert narrower["bodies"] == ["education_department", "internal_affairs"]
    assert narrower["territory"] == "KZ-79"
    assert await inbox(house, old) == 200
    assert held_inside(house) == (["internal_affairs"], "KZ-75")
    registry_says(house, mandates=[])
    assert await inbox(house, old) == 200
    assert held_inside(house) == ([], None)


async def test_a_session_holds_no_more_than_its_agency(house: House) -> None:
    house.http.cookies.set("dabyl_session", await a_session(house, Role.AGENCY), domain="gateway.test")
    await house.http.get("/console/inbox")
    assert held_inside(house) == (["internal_affairs"], "KZ-75")
    registry_says(house, mandates=[{"role": "education_department", "territory": "KZ-79"}])
    await house.http.get("/console/inbox")
    assert held_inside(house) == ([], "KZ-79")


async def test_without_registry_everybody_is_what_they_were(house: House) -> None:
    registry_says(house, mandates=HELD)
    client = await a_client(house)
    registry_says(house)
    assert claims_of(await grant(house, client))["bodies"] == ["internal_affairs"]
    await away(house)
    answer = await grant(house, client)
    assert claims_of(answer)["bodies"] == ["internal_affairs"], "learned, and kept by the client"
    assert await inbox(house, answer.json()["access_token"]) == 200


async def test_an_agency_that_registry_does_not_know_is_what_its_client_says(house: House) -> None:
    client = await a_client(house)
    del house.upstreams.answers["registry", "GET", f"/v1/agencies/{POLICE}"]
    answer = await grant(house, client)
    assert claims_of(answer)["bodies"] == ["internal_affairs"]
    assert await inbox(house, answer.json()["access_token"]) == 200
    unfit: list[Any] = [{}, [], {"id": "x"}, AGENCY | {"retired_at": "soon"}, AGENCY | {"mandates": [{}]}]
    for body in unfit:
        house.upstreams.put("registry", "GET", f"/v1/agencies/{POLICE}", body)
        house.now.move(standing.FRESH)
        assert await inbox(house, answer.json()["access_token"]) == 200, body


async def test_registry_is_asked_once_for_many_calls_and_not_while_it_hangs(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = house.token()
    asked = house.upstreams.standing
    records = await asyncio.gather(*(house.desk.standings.of(POLICE) for _ in range(20)))
    assert [record is not None and record.code for record in records] == [AGENCY["code"]] * 20
    assert len(asked) == 1
    house.now.move(standing.FRESH - timedelta(seconds=1))
    await inbox(house, token)
    assert len(asked) == 1
    monkeypatch.setattr(standing, "SECONDS", 0.05)
    hanging = asyncio.Event()

    async def hang(_request: web.Request) -> web.Response:
        await hanging.wait()
        return web.json_response(AGENCY)

    house.upstreams.answers["registry", "GET", f"/v1/agencies/{POLICE}"] = hang
    house.now.move(standing.FRESH)
    assert [await inbox(house, token) for _ in range(5)] == [200] * 5
    assert len(asked) == 2
    house.now.move(standing.PAUSE)
    await inbox(house, token)
    assert len(asked) == 3
    hanging.set()


async def test_a_look_at_all_learns_of_agencies_that_do_not_call(house: House) -> None:
    client = await a_client(house)
    [look] = [job for job in house.service.jobs if job.name == "look_at_agencies"]
    assert isinstance(look, Job)
    registry_says(house, mandates=HELD)
    assert await look.run() == 1
    await away(house)
    assert await look.run() == 0
    house.now.move(standing.PAUSE)
    answer = await grant(house, client)
    assert claims_of(answer)["bodies"] == ["internal_affairs", "contact_centre_111"]


async def test_a_look_at_all_closes_what_a_retired_agency_left_open(house: House) -> None:
    client = await a_client(house)
    retire(house)
    [look] = [job for job in house.service.jobs if job.name == "look_at_agencies"]
    await look.run()
    await away(house)
    assert (await grant(house, client)).status_code == 401
