"""An agency's duties in the console: each form asks its own door, and nothing is offered that is refused."""

import json
import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from gateway.domain.identity import Role
from tests.factories.gateway import (
    AGENCY,
    CHILD,
    CONFLICT,
    DELIVERY,
    DUTY,
    EVERY_ACT,
    HANDLE,
    OTHER_DUTY,
    POLICE,
    PROPOSAL,
    SCHOOL,
    WHY,
    Heard,
    House,
    a_proposal,
    own_duty,
    show_affair,
    show_notice,
)
from tests.service.gateway.test_console import SAME, sign_in

PAGE = f"/console/duties/{HANDLE}"
FORMS = ("conflict", "parents", "rating", "unfounded", "withdrawal", "correction")


def posted(house: House) -> list[Heard]:
    return [heard for heard in house.upstreams.heard if heard.method == "POST"]


def body_of(heard: Heard) -> dict[str, Any]:
    return dict(json.loads(heard.body))


def problem(kind: str, status: int = 409) -> dict[str, Any]:
    return {"type": f"https://dabyl.kz/problems/{kind}", "title": "No", "status": status}


def forms_on(text: str) -> set[str]:
    return set(
        re.findall(r'<form method="post"[^>]* action="(/console/(?:duties|failures|alerts)[^"]*)"', text)
    )


@pytest.mark.parametrize("language", ["kk", "ru", "en"])
async def test_the_pages_of_duties_are_there_in_each_language(house: House, language: str) -> None:
    await sign_in(house, Role.AGENCY)
    show_affair(house, proposals=[a_proposal(house, "unfounded")])
    await house.http.get(f"/console/language/{language}")
    for path in ("/console/duties", PAGE, f"{PAGE}/{DUTY}", *(f"{PAGE}/{name}" for name in FORMS)):
        answer = await house.http.get(path)
        assert answer.status_code == 200, path
        assert f'<html lang="{language}">' in answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert WHY not in answer.text or path == PAGE


async def test_a_school_that_only_reported_finds_its_duties(house: House) -> None:
    """Nothing was ever sent to it: its inbox is empty, its list of duties is not."""
    await sign_in(house, Role.AGENCY)
    theirs = own_duty(house, id=str(OTHER_DUTY), rule="R136-99", obliged_agency=None, may=[], facts=[])
    show_affair(
        house, duties=[own_duty(house), theirs], is_reporter=True, number="7K4M-Q2XP-9", may=["correction"]
    )
    listed = await house.http.get("/console/duties")
    assert f'href="{PAGE}"' in listed.text
    assert "7K4M-Q2XP-9" in listed.text
    page = await house.http.get(PAGE)
    assert str(DUTY) in page.text
    assert "R136-99" not in page.text
    assert (await house.http.get(f"{PAGE}/{OTHER_DUTY}")).status_code == 404
    assert "/v1/inbox" not in [heard.target for heard in house.upstreams.heard]


async def test_a_held_notice_leaves_at_one_press_and_a_second_press_is_harmless(house: House) -> None:
    await sign_in(house, Role.AGENCY)
    show_affair(house)
    house.upstreams.put("notifier", "POST", f"/v1/obligations/{DUTY}/release", {"items": []})
    for _ in range(2):
        answer = await house.http.post(f"{PAGE}/release", data={"duty": str(DUTY)}, headers=SAME)
        assert (answer.status_code, answer.headers["location"]) == (303, f"{PAGE}?done=released")
        show_affair(house, duties=[own_duty(house, may=[], facts=[], delivery=str(UUID(int=4)))])
    assert [(one.target, body_of(one)) for one in posted(house)] == [
        (f"/v1/obligations/{DUTY}/release", {"also": []})
    ] * 2
    stranger = await house.http.post(f"{PAGE}/release", data={"duty": str(UUID(int=7))}, headers=SAME)
    assert stranger.status_code == 404
    page = await house.http.get(f"{PAGE}?done=released")
    assert 'role="status"' in page.text
    assert f"{PAGE}/release" not in forms_on(page.text)


async def test_all_that_waits_goes_together(house: House) -> None:
    await sign_in(house, Role.AGENCY)
    show_affair(house)
    house.upstreams.put("notifier", "POST", f"/v1/obligations/{OTHER_DUTY}/release", {"items": []})
    answer = await house.http.post(f"{PAGE}/release", data={"all": "1"}, headers=SAME)
    assert answer.status_code == 303
    [sent] = posted(house)
    assert sent.target == f"/v1/obligations/{OTHER_DUTY}/release"
    assert body_of(sent) == {"also": [str(DUTY)]}


async def test_a_duty_is_stated_done_in_kazakhstan_time(house: House) -> None:
    await sign_in(house, Role.AGENCY)
    show_affair(house)
    house.upstreams.put("notifier", "POST", f"/v1/obligations/{DUTY}/evidence", own_duty(house))
    form = {"fact": "report.registered", "happened_at": "2026-10-23T14:59:07", "reference": "KUI-114/26"}
    answer = await house.http.post(f"{PAGE}/{DUTY}/evidence", data=form, headers=SAME)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PAGE}?done=evidenced")
    [sent] = posted(house)
    assert body_of(sent) == {
        "fact": "report.registered", "happened_at": "2026-10-23T09:59:07Z", "reference": "KUI-114/26",
    }  # fmt: skip
    assert sent.principal.agency == POLICE


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"fact": ""}, "fact"),
        ({"fact": "head.told"}, "fact"),
        ({"fact": "report.registered", "happened_at": "yesterday"}, "happened_at"),
        ({"fact": "report.registered", "happened_at": "2026-02-30T10:00"}, "happened_at"),
        ({"fact": "report.registered", "happened_at": "2026-10-24T10:00"}, "happened_at"),
        (
            {"fact": "report.registered", "happened_at": "2026-10-23T14:00", "reference": "Иванов"},
            "reference",
        ),
        ({"fact": "report.registered", "happened_at": "2026-10-23T14:00", "reference": "a b"}, "reference"),
    ],
)
async def test_an_incomplete_statement_is_explained_and_keeps_what_was_written(
    house: House, form: dict[str, str], field: str
) -> None:
    await sign_in(house, Role.AGENCY)
    show_affair(house)
    answer = await house.http.post(f"{PAGE}/{DUTY}/evidence", data=form, headers=SAME)
    assert answer.status_code == 422
    assert f'id="flaw-{field}"' in answer.text
    assert not posted(house)


async def test_a_waiver_needs_a_reason_and_another_person(house: House) -> None:
    await sign_in(house, Role.AGENCY)
    show_affair(house)
    door = f"/v1/obligations/{DUTY}/waiver"
    house.upstreams.put("notifier", "POST", door, {"proposal": str(PROPOSAL)}, status=202)
    empty = await house.http.post(f"{PAGE}/{DUTY}/waiver", data={"reason": " \r\n "}, headers=SAME)
    assert empty.status_code == 422
    assert 'id="flaw-reason"' in empty.text
    answer = await house.http.post(
        f"{PAGE}/{DUTY}/waiver", data={"reason": f" {WHY}\r\nи живёт там "}, headers=SAME
    )
    assert answer.headers["location"] == f"{PAGE}?done=proposed"
    [sent] = posted(house)
    assert body_of(sent) == {"reason": f"{WHY}\nи живёт там"}


@pytest.mark.parametrize("mine", [True, False])
async def test_an_open_waiver_is_shown_and_confirmed_by_somebody_else_alone(house: House, mine: bool) -> None:
    await sign_in(house, Role.AGENCY)
    waiting = own_duty(house, proposals=[a_proposal(house, "waiver", mine=mine)])
    show_affair(house, duties=[waiting])
    for path in (PAGE, f"{PAGE}/{DUTY}"):
        page = await house.http.get(path)
        assert WHY in page.text
        assert (f'value="{PROPOSAL}"' in page.text) is not mine
    house.upstreams.put("notifier", "POST", f"/v1/obligations/{DUTY}/waiver", waiting)
    answer = await house.http.post(f"{PAGE}/{DUTY}/waiver", data={"confirms": str(PROPOSAL)}, headers=SAME)
    assert answer.headers["location"] == f"{PAGE}?done=confirmed"
    assert body_of(posted(house)[0]) == {"confirms": str(PROPOSAL)}


@pytest.mark.parametrize(
    ("kind", "act"),
    [("unfounded", "unfounded"), ("lock_lifted", "parent-lock"), ("conflict_lowered", "conflicts")],
)
async def test_a_proposal_about_the_alert_is_confirmed_at_its_own_door(
    house: House, kind: str, act: str
) -> None:
    await sign_in(house, Role.AGENCY)
    show_affair(house, proposals=[a_proposal(house, kind, may_confirm=True, conflict=str(CONFLICT))])
    assert f"{PAGE}/confirm" in forms_on((await house.http.get(PAGE)).text)
    house.upstreams.put("notifier", "POST", f"/v1/alerts/{HANDLE}/{act}", {"id": str(HANDLE)})
    answer = await house.http.post(f"{PAGE}/confirm", data={"proposal": str(PROPOSAL)}, headers=SAME)
    assert answer.headers["location"] == f"{PAGE}?done=confirmed"
    [sent] = posted(house)
    assert (sent.target, body_of(sent)) == (f"/v1/alerts/{HANDLE}/{act}", {"confirms": str(PROPOSAL)})
    show_affair(house, proposals=[a_proposal(house, kind, may_confirm=False)])
    assert f"{PAGE}/confirm" not in forms_on((await house.http.get(PAGE)).text)
    show_affair(house, proposals=[])
    again = await house.http.post(f"{PAGE}/confirm", data={"proposal": str(PROPOSAL)}, headers=SAME)
    assert (again.headers["location"], len(posted(house))) == (PAGE, 1)


async def test_the_hub_lets_a_report_go_or_leaves_it(house: House) -> None:
    await sign_in(house, Role.AGENCY)
    show_affair(house, held="cluster", held_until=None)
    assert f"{PAGE}/let-go" in forms_on((await house.http.get(PAGE)).text)
    house.upstreams.put("notifier", "POST", f"/v1/alerts/{HANDLE}/release", {"id": str(HANDLE)})
    answer = await house.http.post(f"{PAGE}/let-go", headers=SAME)
    assert answer.headers["location"] == f"{PAGE}?done=let_go"
    show_affair(house, may=["conflict"])
    assert f"{PAGE}/let-go" not in forms_on((await house.http.get(PAGE)).text)


async def test_what_is_learned_is_told_and_what_is_not_said_stays(house: House) -> None:
    await sign_in(house, Role.AGENCY)
    show_affair(house)
    house.upstreams.put("notifier", "POST", f"/v1/alerts/{HANDLE}/rating", {"id": str(HANDLE)})
    nothing = await house.http.post(f"{PAGE}/rating", data={"reason": WHY, "parents": "same"}, headers=SAME)
    assert (nothing.status_code, 'id="flaw-learned"' in nothing.text) == (422, True)
    form = {"reason": WHY, "direct_threat": "yes", "concern_violence": "yes", "parents": "no",
            "offender_relation": "relative"}  # fmt: skip
    answer = await house.http.post(f"{PAGE}/rating", data=form, headers=SAME)
    assert answer.headers["location"] == f"{PAGE}?done=rated"
    [sent] = posted(house)
    assert body_of(sent) == {
        "direct_threat": True, "concerns": ["violence"], "parents_may_be_informed": False,
        "offender_relation": "relative", "reason": WHY,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"whom": "district"}, {"role": "education_org"}),
        ({"whom": str(POLICE)}, {"agency": str(POLICE)}),
        ({"whom": "code", "code": " Internal-Affairs-KZ-75 "}, {"agency": str(POLICE)}),
        ({"lower": str(CONFLICT)}, {"role": "education_org", "lower": True}),
    ],
)
async def test_an_organisation_is_shut_out_or_let_in(
    house: House, form: dict[str, str], told: dict[str, Any]
) -> None:
    await sign_in(house, Role.AGENCY)
    show_affair(house)
    house.upstreams.put(
        "notifier", "POST", f"/v1/alerts/{HANDLE}/conflicts", {"id": str(CONFLICT)}, status=201
    )
    answer = await house.http.post(f"{PAGE}/conflict", data=form | {"reason": WHY}, headers=SAME)
    assert answer.status_code == 303, answer.text
    [sent] = posted(house)
    assert body_of(sent) == told | {"reason": WHY}


@pytest.mark.parametrize(
    "form", [{}, {"whom": "code"}, {"whom": "code", "code": "../x"}, {"whom": str(SCHOOL)}]
)
async def test_nobody_is_shut_out_whom_the_register_does_not_know(house: House, form: dict[str, str]) -> None:
    await sign_in(house, Role.AGENCY)
    show_affair(house)
    answer = await house.http.post(f"{PAGE}/conflict", data=form | {"reason": WHY}, headers=SAME)
    assert answer.status_code == 422
    assert re.search(r'id="flaw-(whom|code)"', answer.text)
    assert WHY in answer.text
    assert not posted(house)


async def test_an_organisation_is_found_by_letters_that_stand_in_no_address(house: House) -> None:
    await sign_in(house, Role.AGENCY)
    show_affair(house)
    school = {
        "id": str(SCHOOL),
        "code": "school-12",
        "name": {"kk": "№ 12 мектеп", "ru": "Школа № 12", "en": ""},
    }
    house.upstreams.put("registry", "GET", "/v1/agencies", {"items": [AGENCY, school], "next": None})
    form = {"search": "1", "search_for": "школа № 12"}
    answer = await house.http.post(f"{PAGE}/conflict", data=form, headers=SAME)
    assert answer.status_code == 200
    assert f'value="{SCHOOL}"' in answer.text
    assert not [one for one in house.upstreams.heard if "12" in one.target.partition("agencies")[2][:9]]
    assert not posted(house)


async def test_whoever_shuts_out_itself_is_led_to_its_list(house: House) -> None:
    await sign_in(house, Role.AGENCY)
    show_affair(house)

    def gone(_request: Any) -> Any:
        del house.upstreams.answers["notifier", "GET", f"/v1/alerts/{HANDLE}"]
        return house.upstreams.answers["notifier", "GET", f"/v1/alerts/{HANDLE}/conflicts"](_request)

    house.upstreams.answers["notifier", "POST", f"/v1/alerts/{HANDLE}/conflicts"] = gone
    answer = await house.http.post(f"{PAGE}/conflict", data={"whom": "district", "reason": WHY}, headers=SAME)
    assert answer.headers["location"] == "/console/duties"


async def test_the_parents_are_shut_out_at_once_and_let_in_by_two(house: House) -> None:
    await sign_in(house, Role.AGENCY)
    door = f"/v1/alerts/{HANDLE}/parent-lock"
    house.upstreams.put("notifier", "POST", door, {"locked": True, "since": house.now().isoformat()})
    for may, done, locked in (("parent_lock", "locked", True), ("lock_lifted", "proposed", False)):
        show_affair(house, may=[may], parents_locked=not locked)
        answer = await house.http.post(f"{PAGE}/parents", data={"reason": WHY}, headers=SAME)
        assert answer.headers["location"] == f"{PAGE}?done={done}"
        assert body_of(posted(house)[-1]) == {"locked": locked, "reason": WHY}


@pytest.mark.parametrize(
    ("name", "service", "door", "done"),
    [("unfounded", "notifier", "unfounded", "proposed"), ("withdrawal", "intake", "withdrawal", "withdrawn")],
)
async def test_a_report_is_taken_back_or_found_without_ground(
    house: House, name: str, service: str, door: str, done: str
) -> None:
    await sign_in(house, Role.AGENCY)
    show_affair(house)
    house.upstreams.put(service, "POST", f"/v1/alerts/{HANDLE}/{door}", {"withdrawn_at": "x"}, status=201)
    answer = await house.http.post(f"{PAGE}/{name}", data={"reason": WHY}, headers=SAME)
    assert answer.headers["location"] == f"{PAGE}?done={done}"
    [sent] = posted(house)
    assert (sent.service, body_of(sent)) == (service, {"reason": WHY})


async def test_a_report_is_corrected_as_a_whole_and_nothing_of_the_child_stands_in_an_address(
    house: House,
) -> None:
    await sign_in(house, Role.AGENCY)
    show_affair(house)
    house.upstreams.put("intake", "POST", f"/v1/alerts/{HANDLE}/corrections", {"version": 2}, status=201)
    form = {
        "reason": WHY, "territory": "KZ-75", "concern_violence": "yes", "direct_threat": "yes",
        "occasion": "reception", "offender_relation": "parent", "parents": "no", "name": CHILD,
        "birth_date": "2016-02-29", "sex": "female", "iin": "", "narrative": "Бір\r\nекі",
    }  # fmt: skip
    answer = await house.http.post(f"{PAGE}/correction", data=form, headers=SAME)
    assert answer.headers["location"] == f"{PAGE}?done=corrected"
    [sent] = posted(house)
    assert (sent.service, body_of(sent)) == ("intake", {
        "reason": WHY,
        "report": {
            "territory": "KZ-75", "concerns": ["violence"], "direct_threat": True, "occasion": "reception",
            "alleged_offender": {"relation": "parent"}, "parents_may_be_informed": False,
            "child": {"name": CHILD, "birth_date": "2016-02-29", "sex": "female"}, "narrative": "Бір\nекі",
        },
    })  # fmt: skip
    house.upstreams.put(
        "intake", "POST", f"/v1/alerts/{HANDLE}/corrections", problem("place-differs", 422), status=422
    )
    refused = await house.http.post(f"{PAGE}/correction", data=form, headers=SAME)
    assert (refused.status_code, CHILD in refused.text) == (409, True)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"reason": ""}, "reason"),
        ({"territory": "Алматы"}, "territory"),
        ({"concern_violence": ""}, "concerns"),
        ({"birth_date": "2016-02-30"}, "birth_date"),
        ({"name": "a\u202eb"}, "name"),
        ({"narrative": "x" * 20_001}, "narrative"),
    ],
)
async def test_an_incomplete_correction_says_what_is_missing(
    house: House, change: dict[str, str], field: str
) -> None:
    await sign_in(house, Role.AGENCY)
    show_affair(house)
    form = {"reason": WHY, "territory": "KZ-75", "concern_violence": "yes"} | change
    answer = await house.http.post(f"{PAGE}/correction", data=form, headers=SAME)
    assert answer.status_code == 422
    assert f'id="flaw-{field}"' in answer.text
    assert not posted(house)


async def test_whoever_may_not_do_it_sees_no_form_and_gets_nothing_by_knowing_its_address(
    house: House,
) -> None:
    """Who sees a form is who may do it; hidden, refused and missing look the same."""
    await sign_in(house, Role.AGENCY)
    acts = {"conflict": {"conflict", "conflict_lowered"}, "parents": {"parent_lock", "lock_lifted"}}
    for name in FORMS:
        rest = set(EVERY_ACT) - acts.get(name, {name})
        show_affair(house, may=sorted(rest))
        page = await house.http.get(PAGE)
        assert f'href="{PAGE}/{name}"' not in page.text, name
        missing = await house.http.get(f"/console/duties/{UUID(int=3)}/{name}")
        for refused in (
            await house.http.get(f"{PAGE}/{name}"),
            await house.http.post(f"{PAGE}/{name}", data={"reason": WHY, "whom": "district"}, headers=SAME),
        ):
            assert (refused.status_code, refused.text) == (404, missing.text), name
    show_affair(house, may=[], duties=[own_duty(house, may=[], facts=[])])
    assert forms_on((await house.http.get(PAGE)).text) == set()
    assert forms_on((await house.http.get(f"{PAGE}/{DUTY}")).text) == set()
    assert not posted(house)


@pytest.mark.parametrize(
    "path",
    [
        f"{PAGE}/release", f"{PAGE}/let-go", f"{PAGE}/confirm", f"{PAGE}/{DUTY}/evidence",
        f"{PAGE}/{DUTY}/waiver", *(f"{PAGE}/{name}" for name in FORMS),
    ],
)  # fmt: skip
async def test_no_other_site_and_no_other_role_sends_these_forms(house: House, path: str) -> None:
    show_affair(house)
    await sign_in(house, Role.AGENCY)
    crossed = await house.http.post(path, data={"reason": WHY}, headers={"Sec-Fetch-Site": "cross-site"})
    assert crossed.status_code == 403
    for role in (Role.OPERATOR, Role.REGISTRAR, Role.AUDITOR):
        await sign_in(house, role)
        assert (await house.http.post(path, data={"reason": WHY}, headers=SAME)).status_code == 403
    house.http.cookies.clear()
    assert (await house.http.post(path, data={"reason": WHY}, headers=SAME)).status_code == 401
    assert not posted(house)


@pytest.mark.parametrize("kind", ["obligation-not-waivable", "proposal-expired", "something-new"])
async def test_a_refusal_is_explained_and_what_was_written_is_kept(house: House, kind: str) -> None:
    await sign_in(house, Role.AGENCY)
    show_affair(house)
    house.upstreams.put("notifier", "POST", f"/v1/obligations/{DUTY}/waiver", problem(kind), status=409)
    answer = await house.http.post(f"{PAGE}/{DUTY}/waiver", data={"reason": WHY}, headers=SAME)
    assert answer.status_code == 409
    assert 'role="alert"' in answer.text
    assert WHY in answer.text


async def test_a_notice_leads_to_the_duties_of_its_alert(house: House) -> None:
    await sign_in(house, Role.AGENCY)
    show_notice(house)
    page = await house.http.get(f"/console/inbox/{DELIVERY}")
    assert f'href="{PAGE}"' in page.text


async def test_a_duty_that_lapsed_a_moment_ago_does_not_break_the_page(house: House) -> None:
    await sign_in(house, Role.AGENCY)
    show_affair(
        house,
        duties=[own_duty(house, due_at=None, dispatch_at=None, breached_at=house.now().isoformat())],
        held_until=(house.now() - timedelta(seconds=1)).isoformat(),
    )
    page = await house.http.get(PAGE)
    assert page.status_code == 200
    assert "{at}" not in page.text
