"""The operator's page of failures: counted first, sent again by two, and nobody named in an address."""

import json
import re
from typing import Any
from uuid import UUID

import pytest

from gateway.domain.failure import FailureGroup
from gateway.domain.identity import Role
from tests.factories.gateway import (
    ALERT,
    DELIVERY,
    ENDPOINT,
    POLICE,
    PROPOSAL,
    House,
    a_group,
    show_alert,
    show_failures,
)
from tests.service.gateway.test_console import SAME, sign_in
from tests.service.gateway.test_duties import body_of, forms_on, posted, problem

WHY = "Их система снова работает"
SELECTION = {"state": "dead", "agency": str(POLICE), "outcome": "refused", "status_class": 5}


async def address(house: House) -> str:
    """Of the first group on the page."""
    page = await house.http.get("/console/failures")
    assert page.status_code == 200, page.text
    found = re.findall(r'href="(/console/failures/[0-9a-f]{32})"', page.text)
    assert len(set(found)) == 2
    return str(found[0])


@pytest.mark.parametrize("language", ["kk", "ru", "en"])
async def test_what_fails_stands_by_cause_and_names_no_agency_in_an_address(
    house: House, language: str
) -> None:
    await sign_in(house)
    show_failures(house)
    await house.http.get(f"/console/language/{language}")
    group = await address(house)
    page = await house.http.get(group)
    assert page.status_code == 200
    name = {"kk": "Полиция департаменті", "ru": "Департамент полиции", "en": "Almaty police"}[language]
    assert name in page.text
    every = page.text + (await house.http.get("/console/failures")).text
    assert not [one for one in re.findall(r'(?:href|action)="([^"]*)"', every) if str(POLICE) in one]
    assert [body_of(one) for one in posted(house)] == [{"filter": SELECTION, "dry_run": True}]


@pytest.mark.parametrize(
    ("language", "cause"),
    [
        ("kk", "дұрыс қол қойылған түбіртек келмеді"),
        ("ru", "верной подписанной квитанции нет"),
        ("en", "not answered with a valid signed receipt"),
    ],
)
async def test_an_endpoint_that_fails_its_tests_stands_there_with_its_agency_and_cause(
    house: House, language: str, cause: str
) -> None:
    await sign_in(house)
    show_failures(house)
    await house.http.get(f"/console/language/{language}")
    page = await house.http.get("/console/failures")
    [section] = re.findall(r'aria-labelledby="tests".*?</section>', page.text, re.DOTALL)
    name = {"kk": "Полиция департаменті", "ru": "Департамент полиции", "en": "Almaty police"}[language]
    assert name in section
    assert cause in section
    assert str(ENDPOINT) in section
    assert "%(" not in section
    asked = [one.target for one in house.upstreams.heard if one.target.startswith("/v1/endpoints/tests")]
    assert asked[-1] == "/v1/endpoints/tests?state=failing&limit=100"
    house.upstreams.put("notifier", "GET", "/v1/endpoints/tests", {"items": [], "next": None})
    assert 'aria-labelledby="tests"' not in (await house.http.get("/console/failures")).text


async def test_one_operator_proposes_with_a_reason(house: House) -> None:
    await sign_in(house)
    show_failures(house)
    group = await address(house)
    empty = await house.http.post(f"{group}/redrive", data={"reason": " "}, headers=SAME)
    assert (empty.status_code, 'id="flaw-reason"' in empty.text) == (422, True)
    long = await house.http.post(f"{group}/redrive", data={"reason": "x" * 201}, headers=SAME)
    assert long.status_code == 422
    assert all(body_of(one).get("dry_run") for one in posted(house))
    for _ in range(2):
        answer = await house.http.post(f"{group}/redrive", data={"reason": f"{WHY}\r\n"}, headers=SAME)
        assert answer.headers["location"] == "/console/failures?done=proposed"
    assert [body_of(one) for one in posted(house)][-2:] == [{"filter": SELECTION, "reason": WHY}] * 2


@pytest.mark.parametrize("is_own", [True, False])
async def test_another_operator_confirms(house: House, is_own: bool) -> None:
    await sign_in(house)
    show_failures(house, is_own=is_own)
    page = await house.http.get("/console/failures")
    assert WHY in page.text
    assert ("/console/failures/confirm" in forms_on(page.text)) is not is_own
    if not is_own:
        answer = await house.http.post(
            "/console/failures/confirm", data={"proposal": str(PROPOSAL)}, headers=SAME
        )
        assert answer.headers["location"] == "/console/failures?done=confirmed"
        assert body_of(posted(house)[-1]) == {"confirms": str(PROPOSAL)}
    refused = problem("second-person-needed")
    house.upstreams.put("notifier", "POST", "/v1/redrives", refused, status=409)
    answer = await house.http.post(
        "/console/failures/confirm", data={"proposal": str(PROPOSAL)}, headers=SAME
    )
    assert (answer.status_code, 'role="alert"' in answer.text) == (409, True)


async def test_what_sending_again_does_not_help_offers_no_form(house: House) -> None:
    await sign_in(house)
    show_failures(house, state="rejected", outcome=None)
    group = await address(house)
    assert forms_on((await house.http.get(group)).text) == {f"{group}/pause"}
    answer = await house.http.post(f"{group}/redrive", data={"reason": WHY}, headers=SAME)
    assert answer.status_code == 404
    assert not posted(house)


@pytest.mark.parametrize(("paused", "what"), [(None, "pause"), ("2026-10-23T09:00:00Z", "resume")])
async def test_an_endpoint_of_the_group_is_paused_and_resumed(
    house: House, paused: str | None, what: str
) -> None:
    await sign_in(house)
    way = {"endpoint": str(ENDPOINT), "kind": "webhook", "rung": 0, "paused_at": paused}
    show_failures(house, ways=[way])
    group = await address(house)
    assert f"{group}/{what}" in forms_on((await house.http.get(group)).text)
    house.upstreams.put("notifier", "POST", f"/v1/endpoints/{ENDPOINT}/{what}", {"endpoint": str(ENDPOINT)})
    answer = await house.http.post(f"{group}/{what}", data={"endpoint": str(ENDPOINT)}, headers=SAME)
    assert answer.headers["location"] == f"/console/failures?done={what}d"
    for endpoint in (str(UUID(int=1)), "x"):
        other = await house.http.post(f"{group}/{what}", data={"endpoint": endpoint}, headers=SAME)
        assert other.status_code == 404


async def test_a_group_that_is_gone_is_no_page(house: House) -> None:
    await sign_in(house)
    show_failures(house)
    group = await address(house)
    house.upstreams.put("notifier", "GET", "/v1/failures", {"items": [], "next": None})
    for key in (group, "/console/failures/" + "0" * 32, "/console/failures/x"):
        assert (await house.http.get(key)).status_code == 404


async def test_one_delivery_goes_again_as_it_stood_on_the_page(house: House) -> None:
    await sign_in(house)
    show_alert(house, state="dead", reason=None, generation=3)
    page = await house.http.get(f"/console/alerts/{ALERT}")
    assert f"/console/alerts/{ALERT}/redrive" in forms_on(page.text)
    door = f"/v1/deliveries/{DELIVERY}/redrive"
    house.upstreams.put(
        "notifier", "POST", door, {"delivery": str(DELIVERY), "generation": 4, "is_new": True}
    )
    form = {"delivery": str(DELIVERY), "generation": "3"}
    answer = await house.http.post(f"/console/alerts/{ALERT}/redrive", data=form, headers=SAME)
    assert answer.headers["location"] == f"/console/alerts/{ALERT}"
    assert body_of(posted(house)[0]) == {"generation": 3}
    house.upstreams.put("notifier", "POST", door, problem("no-way-to-send"), status=409)
    refused = await house.http.post(f"/console/alerts/{ALERT}/redrive", data=form, headers=SAME)
    assert refused.status_code == 409
    for generation in ("", "x", "9" * 7, "٣"):
        bad = await house.http.post(
            f"/console/alerts/{ALERT}/redrive", data=form | {"generation": generation}, headers=SAME
        )
        assert bad.status_code == 404
    show_alert(house, state="acknowledged", reason=None)
    page = await house.http.get(f"/console/alerts/{ALERT}")
    assert f"/console/alerts/{ALERT}/redrive" not in forms_on(page.text)


async def test_operators_alone_see_and_send(house: House) -> None:
    show_failures(house)
    key = "/console/failures/" + "a" * 32
    doors = (
        "/console/failures/confirm",
        f"{key}/redrive",
        f"{key}/pause",
        f"/console/alerts/{ALERT}/redrive",
    )
    for role in (Role.AGENCY, Role.REGISTRAR, Role.AUDITOR):
        await sign_in(house, role)
        assert (await house.http.get("/console/failures")).status_code == 403
        assert (await house.http.get(key)).status_code == 403
        for door in doors:
            assert (await house.http.post(door, data={"reason": WHY}, headers=SAME)).status_code == 403
    await sign_in(house)
    for door in doors:
        crossed = await house.http.post(door, data={"reason": WHY}, headers={"Sec-Fetch-Site": "same-site"})
        assert crossed.status_code == 403
    assert not posted(house)


async def test_an_alert_that_the_flood_guard_stopped_has_words(house: House) -> None:
    """The pages once broke on it: nobody had written the text."""
    await sign_in(house)
    show_alert(house)
    listed: Any = house.upstreams.answers["notifier", "GET", f"/v1/alerts/{ALERT}"]
    shown: dict[str, Any] = json.loads(listed(None).body)
    for code in ("clustered", "nobody_obliged"):
        shown["needs_a_person"] = code
        house.upstreams.put("notifier", "GET", f"/v1/alerts/{ALERT}", shown)
        house.upstreams.put("notifier", "GET", "/v1/alerts", {"items": [shown], "next": None})
        for path in ("/console/alerts", f"/console/alerts/{ALERT}"):
            page = await house.http.get(path)
            assert page.status_code == 200
            assert code not in page.text


def test_a_cause_is_its_own_key_and_its_own_selection(house: House) -> None:
    dead = FailureGroup(**{**a_group(house), "agency": POLICE, "ways": ()})
    blocked = FailureGroup("waiting", "blocked:paused", None, None, POLICE, 1, dead.oldest_at)
    assert dead.key != blocked.key
    assert dead.selection() == SELECTION
    assert blocked.selection() == {"state": "blocked", "reason": "blocked:paused", "agency": str(POLICE)}
    assert FailureGroup("waiting", "retry", "no_answer", None, POLICE, 1, dead.oldest_at).selection() == {
        "state": "retrying",
        "reason": "retry",
        "outcome": "no_answer",
        "status_class": 0,
        "agency": str(POLICE),
    }
    assert FailureGroup("dead", None, None, None, None, 1, dead.oldest_at).trouble is None
    assert FailureGroup("rejected", None, None, None, POLICE, 1, dead.oldest_at).trouble is None
