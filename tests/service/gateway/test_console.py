import asyncio
import re
from datetime import timedelta
from uuid import UUID

import httpx2
import pytest

from gateway.console import live
from gateway.domain.identity import Role
from tests.factories.gateway import (
    ALERT,
    BASE,
    CHILD,
    DELIVERY,
    POLICE,
    House,
    a_session,
    show_alarms,
    show_alert,
    show_notice,
)

SAME = {"Sec-Fetch-Site": "same-origin"}


async def sign_in(house: House, role: Role = Role.OPERATOR) -> None:
    house.http.cookies.set("dabyl_session", await a_session(house, role), domain="gateway.test")


async def test_whoever_is_not_signed_in_is_led_to_the_door_and_back(house: House) -> None:
    for path in ("/console", "/console/alerts", f"/console/alerts/{ALERT}", "/console/inbox"):
        answer = await house.http.get(path)
        assert answer.status_code == 303
        assert answer.headers["location"] == f"/console/sign-in?next={path}"
    live = await house.http.get("/console/alerts/live", headers={"accept": "text/event-stream"})
    assert live.status_code == 401


async def test_a_link_opens_the_console_once(house: House) -> None:
    made = await house.http.post(
        "/v1/console-codes", json={"agency": "internal-affairs-kz-75"}, headers=house.headers("registrar")
    )
    assert made.status_code == 201
    path = made.json()["url"].removeprefix(BASE)
    first = await house.http.get(path)
    assert (first.status_code, first.headers["location"]) == (303, "/console")
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert (await house.http.get("/console")).headers["location"] == "/console/inbox"
    house.http.cookies.clear()
    assert (await house.http.get(path)).status_code == 410


async def test_of_many_at_once_one_gets_in_by_a_link(house: House) -> None:
    made = await house.http.post(
        "/v1/console-codes", json={"role": "operator"}, headers=house.headers("registrar")
    )
    path = made.json()["url"].removeprefix(BASE)
    answers = await asyncio.gather(*(house.http.get(path) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [303, 410, 410, 410, 410, 410]


async def test_a_link_that_is_too_old_opens_nothing(house: House) -> None:
    made = await house.http.post(
        "/v1/console-codes", json={"role": "operator"}, headers=house.headers("registrar")
    )
    house.now.move(timedelta(minutes=10, seconds=1))
    assert (await house.http.get(made.json()["url"].removeprefix(BASE))).status_code == 410


async def test_a_client_signs_in_with_its_secret_and_out_again(house: House) -> None:
    made = (
        await house.http.post("/v1/clients", json={"role": "operator"}, headers=house.headers("registrar"))
    ).json()
    form = {"client_id": made["client_id"], "client_secret": "wrong", "next": "/console/alerts"}
    wrong = await house.http.post("/console/sign-in", data=form, headers=SAME)
    assert wrong.status_code == 401
    assert 'role="alert"' in wrong.text
    right = await house.http.post(
        "/console/sign-in", data=form | {"client_secret": made["client_secret"]}, headers=SAME
    )
    assert (right.status_code, right.headers["location"]) == (303, "/console/alerts")
    assert (await house.http.get("/console")).headers["location"] == "/console/alerts"
    out = await house.http.post("/console/sign-out", headers=SAME)
    assert out.headers["location"] == "/console/sign-in"
    house.http.cookies.set("dabyl_session", right.cookies["dabyl_session"], domain="gateway.test")
    assert (await house.http.get("/console")).headers["location"].startswith("/console/sign-in")


async def test_a_revoked_client_is_out_of_the_console_at_the_next_look(house: House) -> None:
    made = (
        await house.http.post("/v1/clients", json={"role": "operator"}, headers=house.headers("registrar"))
    ).json()
    form = {"client_id": made["client_id"], "client_secret": made["client_secret"]}
    await house.http.post("/console/sign-in", data=form, headers=SAME)
    assert (await house.http.get("/console")).headers["location"] == "/console/alerts"
    await house.http.delete(f"/v1/clients/{made['client_id']}", headers=house.headers("registrar"))
    assert (await house.http.get("/console")).headers["location"].startswith("/console/sign-in")


async def test_a_session_ends_by_itself(house: House) -> None:
    await sign_in(house)
    house.now.move(timedelta(hours=1, seconds=1))
    assert (await house.http.get("/console/alerts")).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.test"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": "http://[x]"},
        {},
    ],
)
async def test_a_form_from_elsewhere_does_nothing(house: House, headers: dict[str, str]) -> None:
    await sign_in(house, Role.AGENCY)
    show_notice(house)
    for path in ("/console/sign-out", "/console/sign-in", f"/console/inbox/{DELIVERY}/answer"):
        answer = await house.http.post(path, data={"status": "accepted"}, headers=headers)
        assert answer.status_code == 403
    assert not house.upstreams.heard
    own = await house.http.post("/console/sign-out", headers={"Origin": BASE})
    assert own.status_code == 303


@pytest.mark.parametrize(
    "target", ["https://evil.test/", "//evil.test", "/console//evil.test", "/v1/x", "/console\\@e"]
)
async def test_nobody_is_led_away_after_signing_in(house: House, target: str) -> None:
    answer = await house.http.get("/console/language/ru", params={"next": target})
    assert answer.headers["location"] == "/console"
    page = await house.http.get("/console/sign-in", params={"next": target})
    assert "evil" not in page.text


async def test_roles_see_only_their_pages(house: House) -> None:
    await sign_in(house, Role.AGENCY)
    assert (await house.http.get("/console/alerts")).status_code == 403
    await sign_in(house, Role.OPERATOR)
    assert (await house.http.get("/console/inbox")).status_code == 403
    await sign_in(house, Role.AUDITOR)
    assert (await house.http.get("/console")).status_code == 200
    assert not house.upstreams.heard


@pytest.mark.parametrize("language", ["kk", "ru", "en"])
async def test_an_operator_sees_alerts_and_their_fan_out_in_each_language(
    house: House, language: str
) -> None:
    await sign_in(house)
    show_alert(house)
    chosen = await house.http.get(f"/console/language/{language}", params={"next": "/console/alerts"})
    assert chosen.headers["location"] == "/console/alerts"
    page = await house.http.get("/console/alerts")
    assert page.status_code == 200
    assert f'<html lang="{language}">' in page.text
    assert "7K4M-Q2XP-9" in page.text
    assert 'href="/console/alerts?after=cursor%3D%3D"' in page.text
    detail = await house.http.get(f"/console/alerts/{ALERT}")
    role = {"kk": "Ішкі істер органдары", "ru": "Органы внутренних дел", "en": "Police"}[language]
    assert role in detail.text
    assert "R136-8a" in detail.text
    assert "a" * 32 not in detail.text  # no trace store is set here
    assert detail.headers["cache-control"] == "no-store"


async def test_pages_ask_as_the_person_who_looks_and_leave_no_trace(house: House) -> None:
    await sign_in(house)
    show_alert(house)
    await house.http.get("/console/alerts")
    heard = house.upstreams.heard[0]
    assert (heard.principal.role, heard.principal.subject) == ("operator", "role:operator")
    assert heard.headers["traceparent"].endswith("-00")


async def test_pages_carry_a_strict_policy_and_nothing_inline(house: House) -> None:
    await sign_in(house)
    show_alert(house)
    for path in ("/console/sign-in", "/console/alerts", f"/console/alerts/{ALERT}"):
        page = await house.http.get(path)
        policy = page.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert page.headers["referrer-policy"] == "no-referrer"
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son[a-z]+=|\sstyle=|<style|javascript:", page.text)
        assert not re.findall(r"""(?:src|href|action)=["']?(?:https?:)?//""", page.text)


async def test_an_agency_reads_opens_and_answers(house: House) -> None:
    await sign_in(house, Role.AGENCY)
    show_notice(house)
    await house.http.get("/console/language/ru")
    listed = await house.http.get("/console/inbox")
    assert f"/console/inbox/{DELIVERY}" in listed.text
    assert "notice unread" in listed.text
    taken = [heard.target for heard in house.upstreams.heard]
    assert taken[0].startswith("/v1/inbox")
    notice = await house.http.get(f"/console/inbox/{DELIVERY}")
    assert "Немедленно сообщить" in notice.text
    assert "Рассмотреть" in notice.text
    assert "R136-9" not in notice.text
    assert CHILD not in notice.text
    opened = await house.http.get(f"/console/inbox/{DELIVERY}/content", headers=SAME)
    assert CHILD in opened.text
    assert "&lt;script&gt;" in opened.text
    assert opened.headers["cache-control"] == "no-store"
    looked = next(heard for heard in house.upstreams.heard if heard.service == "intake")
    assert looked.headers["dabyl-grant"] == "ey.grant"
    assert looked.principal.agency == POLICE
    house.upstreams.put(
        "notifier",
        "POST",
        f"/v1/deliveries/{DELIVERY}/receipt",
        {"status": "accepted", "at": house.now().isoformat()},
        status=201,
    )
    form = {
        "status": "accepted",
        "name": "Кезекші Маман",
        "position": "инспектор",
        "reference": "",
        "reason": "",
    }
    answered = await house.http.post(f"/console/inbox/{DELIVERY}/answer", data=form, headers=SAME)
    assert (answered.status_code, answered.headers["location"]) == (
        303,
        f"/console/inbox/{DELIVERY}?answered=1",
    )
    sent = house.upstreams.heard[-1]
    body = sent.body.decode()
    assert '"notice_digest": "' + "d" * 64 in body
    assert "Кезекші Маман" in body
    assert "reference" not in body
    receipt = {
        "status": "accepted",
        "at": house.now().isoformat(),
        "person": {"name": "Кезекші", "position": "и"},
    }
    show_notice(house, state="acknowledged", receipt=receipt, acknowledged_at=house.now().isoformat())
    after = await house.http.get(f"/console/inbox/{DELIVERY}?answered=1")
    assert 'role="status"' in after.text
    assert '<form method="post" action="/console/inbox' not in after.text


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"name": "Қ", "position": "и"}, "status"),
        ({"status": "maybe", "name": "Қ", "position": "и"}, "status"),
        ({"status": "accepted", "position": "и"}, "name"),
        ({"status": "accepted", "name": "Қ\u202e", "position": "и"}, "name"),
        ({"status": "accepted", "name": "Қ", "position": "x" * 201}, "position"),
        ({"status": "rejected", "name": "Қ", "position": "и"}, "reason"),
        ({"status": "accepted", "name": "Қ", "position": "и", "reason": "x" * 501}, "reason"),
        ({"status": "accepted", "name": "Қ", "position": "и", "reference": "a\nb"}, "reference"),
    ],
)
async def test_an_incomplete_answer_says_what_is_missing_and_keeps_what_was_written(
    house: House, form: dict[str, str], field: str
) -> None:
    await sign_in(house, Role.AGENCY)
    show_notice(house)
    answer = await house.http.post(f"/console/inbox/{DELIVERY}/answer", data=form, headers=SAME)
    assert answer.status_code == 422
    assert f'id="flaw-{field}"' in answer.text
    assert not [heard for heard in house.upstreams.heard if heard.method == "POST"]


@pytest.mark.parametrize(
    ("kind", "part"), [("receipt-unsigned", "must_sign"), ("receipt-refused", "answer_refused")]
)
async def test_an_answer_that_notifier_refuses_is_explained(house: House, kind: str, part: str) -> None:
    await sign_in(house, Role.AGENCY)
    show_notice(house)
    house.upstreams.put(
        "notifier",
        "POST",
        f"/v1/deliveries/{DELIVERY}/receipt",
        {"type": f"https://dabyl.kz/problems/{kind}", "status": 422},
        status=422,
    )
    form = {"status": "accepted", "name": "Қ", "position": "и"}
    answer = await house.http.post(f"/console/inbox/{DELIVERY}/answer", data=form, headers=SAME)
    assert answer.status_code == 409
    assert 'role="alert"' in answer.text
    assert ("қолтаңба" in answer.text) is (part == "must_sign")


async def test_another_site_cannot_make_the_browser_open_content(house: House) -> None:
    await sign_in(house, Role.AGENCY)
    show_notice(house)
    answer = await house.http.get(
        f"/console/inbox/{DELIVERY}/content", headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status_code == 303
    assert not [heard for heard in house.upstreams.heard if heard.service == "intake"]


@pytest.mark.parametrize(
    "path", [f"/console/inbox/{UUID(int=5)}", "/console/inbox/not-an-id", "/console/language/xx"]
)
async def test_what_is_not_there_is_a_page_in_plain_words(house: House, path: str) -> None:
    await sign_in(house, Role.AGENCY)
    answer = await house.http.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")


async def test_a_service_that_is_away_is_a_page_that_says_nothing_is_lost(house: House) -> None:
    await sign_in(house)
    await house.upstreams.servers["notifier"].close()
    answer = await house.http.get("/console/alerts")
    assert answer.status_code == 503
    assert "<h1>" in answer.text


async def test_style_and_script_may_be_kept_for_good_and_nothing_else_is_served(house: House) -> None:
    page = await house.http.get("/console/sign-in")
    for path in re.findall(r'(?:src|href)="(/console/static/[^"]+)"', page.text):
        answer = await house.http.get(path)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    for name in ("../parts.py", "..%2fparts.py", "console.py", "x.css"):
        assert (await house.http.get(f"/console/static/1/{name}")).status_code == 404


async def test_what_changes_is_sent_and_what_does_not_is_not(house: House) -> None:
    await sign_in(house)
    show_alert(house)
    stop = asyncio.Event()
    house.service.app.state.stopping = stop
    received: list[str] = []
    path = "/console/alerts/live"

    async def read() -> None:
        answer = await house.http.get(path, headers={"accept": "text/event-stream"})
        received.append(answer.text)

    task = asyncio.create_task(read())
    await asyncio.sleep(4)
    stop.set()
    await task
    assert received[0].count("event: page") == 1
    assert "7K4M-Q2XP-9" in received[0]
    assert "retry: 2000" in received[0]
    assert live.LONGEST_SECONDS <= 600


async def test_the_console_answers_over_tls_with_a_cookie_for_this_host_alone(house: House) -> None:
    object.__setattr__(house.service.app.state.console, "is_secure", True)
    made = await house.http.post(
        "/v1/console-codes", json={"role": "operator"}, headers=house.headers("registrar")
    )
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(house.service.app), base_url="https://gateway.test"
    ) as tls:
        answer = await tls.get(made.json()["url"].removeprefix(BASE))
    assert answer.headers["set-cookie"].startswith("__Host-dabyl_session=")
    assert "Secure" in answer.headers["set-cookie"]


async def test_alarms_say_what_needs_a_person_in_three_languages(house: House) -> None:
    show_alarms(house)
    await sign_in(house)
    for language, title in (
        ("kk", "Адам араласуы керек"), ("ru", "Нужен человек"), ("en", "Needs a person now"),
    ):  # fmt: skip
        house.http.cookies.set("dabyl_language", language, domain="gateway.test")
        page = await house.http.get("/console/alarms")
        assert page.status_code == 200
        assert title in page.text
        assert page.text.count('class="card alarm') == 5
        assert page.text.count("card alarm calls") == 3
        assert "%(" not in page.text
    assert 'data-live="/console/alarms/live"' in page.text
    assert "You: phone now: Police" in page.text or "You: phone now:" in page.text
    asked = [one.target for one in house.upstreams.heard if one.target.startswith("/v1/escalations")]
    assert asked[-1] == "/v1/escalations?limit=50&state=open"
    past = await house.http.get("/console/alarms", params={"state": "closed"})
    assert "data-live" not in past.text
    await sign_in(house, Role.AGENCY)
    refused = [await house.http.get(path) for path in ("/console/alarms", "/console/alerts")]
    assert {one.status_code for one in refused} == {403}
