"""The forms of duties and failures in a real browser: by keyboard, without script, forward and back."""

import re
from typing import Literal

import pytest
from playwright.async_api import Page, expect

from gateway.domain.identity import Role
from tests.e2e.conftest import Site
from tests.e2e.test_console import barriers
from tests.factories.gateway import (
    ALERT,
    CONFLICT,
    DUTY,
    HANDLE,
    OTHER_DUTY,
    POLICE,
    PROPOSAL,
    WHY,
    a_proposal,
    own_duty,
    show_affair,
    show_alert,
    show_failures,
)
from tests.service.gateway.test_duties import body_of, posted

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("embedded")]

PAGE = f"/console/duties/{HANDLE}"
FORMS = ("conflict", "parents", "rating", "unfounded", "withdrawal", "correction")


def everything(site: Site) -> None:
    """Every form at once."""
    proposals = [
        a_proposal(site.house, "lock_lifted", mine=True),
        a_proposal(site.house, "conflict_lowered", may_confirm=True, conflict=str(CONFLICT)),
    ]
    waiting = own_duty(site.house, proposals=[a_proposal(site.house, "waiver")])
    further = own_duty(site.house, id=str(OTHER_DUTY), rule="R136-12.6", facts=[], may=["release"])
    show_affair(site.house, duties=[waiting, further], proposals=proposals)
    show_failures(site.house)


async def pages_of(page: Page, role: Role) -> list[str]:
    if role is Role.OPERATOR:
        await page.goto("/console/failures")
        group = await page.locator(".notice h2 a").first.get_attribute("href")
        return ["/console/failures?done=proposed", str(group)]
    return [
        "/console/duties",
        f"{PAGE}?done=released",
        f"{PAGE}/{DUTY}",
        *(f"{PAGE}/{name}" for name in FORMS),
    ]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("language", "width", "scheme"), [("kk", 320, "light"), ("ru", 360, "dark"), ("en", 1280, "light")]
)
async def test_no_new_page_has_a_barrier_is_too_wide_or_shows_a_bare_key(
    site: Site, language: str, width: int, scheme: Literal["light", "dark"]
) -> None:
    everything(site)
    for role in (Role.AGENCY, Role.OPERATOR):
        async with site.visit(role, language=language, width=width, scheme=scheme) as page:
            for path in await pages_of(page, role):
                await page.goto(path)
                await page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
                assert await barriers(page) == [], path
                assert await page.evaluate("document.documentElement.scrollWidth") <= width, path
                shown = await page.locator("body").inner_text()
                # A key is words tied by dots or underscores; ids of rules and HTTP statuses have capitals.
                assert not re.search(r"\b[a-z]+(_[a-z]+)+\b|\b[a-z]{3,}\.[a-z_]{3,}\b|[{}]", shown), path
    assert site.complaints == []


async def test_a_notice_is_sent_with_the_keyboard_and_a_refresh_sends_nothing(site: Site) -> None:
    everything(site)
    house = site.house
    house.upstreams.put("notifier", "POST", f"/v1/obligations/{DUTY}/release", {"items": []})
    async with site.visit(Role.AGENCY, language="kk", width=360, script=False) as page:
        await page.goto("/console/duties")
        await page.locator(".notice h2 a").first.focus()
        await page.keyboard.press("Enter")
        await page.locator(f".acts form:has(input[value='{DUTY}']) button").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status")).to_contain_text("Жіберілді")
        await page.reload()
        await page.go_back()
        await page.go_forward()
    assert [body_of(one) for one in posted(house)] == [{"also": []}]
    assert site.complaints == []


async def test_a_duty_is_recorded_done_and_a_flaw_is_told_beside_its_field(site: Site) -> None:
    everything(site)
    house = site.house
    house.upstreams.put("notifier", "POST", f"/v1/obligations/{DUTY}/evidence", own_duty(house))
    async with site.visit(Role.AGENCY, language="ru", width=360) as page:
        await page.goto(PAGE)
        await page.get_by_role("link", name="Отметить выполненным").click()
        await page.get_by_role("button", name="Записать").click()
        await expect(page.locator("#flaw-fact")).to_be_visible()
        await expect(page.locator("#reference")).to_have_attribute("aria-invalid", "true")
        await page.get_by_label("сообщение зарегистрировано в полиции").check()
        await page.get_by_label("Номер подтверждения").fill("KUI-114/26")
        await page.get_by_role("button", name="Записать").click()
        await expect(page.get_by_role("status")).to_contain_text("Записано")
    [sent] = posted(house)
    assert body_of(sent)["reference"] == "KUI-114/26"


async def test_a_waiver_is_proposed_and_another_person_confirms(site: Site) -> None:
    show_affair(site.house)
    house = site.house
    door = f"/v1/obligations/{DUTY}/waiver"
    house.upstreams.put("notifier", "POST", door, {"proposal": str(PROPOSAL)}, status=202)
    async with site.visit(Role.AGENCY, language="ru") as page:
        await page.goto(f"{PAGE}/{DUTY}")
        await page.get_by_label("Почему исполнять незачем").fill(WHY)
        waiting = own_duty(house, proposals=[a_proposal(house, "waiver", mine=True)])
        show_affair(house, duties=[waiting])
        await page.get_by_role("button", name="Предложить").click()
        await expect(page.get_by_role("status")).to_contain_text("другой сотрудник")
        await expect(page.get_by_role("button", name="Согласен")).to_have_count(0)
        show_affair(house, duties=[own_duty(house, proposals=[a_proposal(house, "waiver")])])
        await page.reload()
        await page.get_by_role("button", name="Согласен").click()
        await expect(page.get_by_role("status")).to_contain_text("Подтверждено")
    assert [body_of(one) for one in posted(house)] == [{"reason": WHY}, {"confirms": str(PROPOSAL)}]


async def test_a_school_is_searched_for_and_shut_out_and_enter_in_the_search_shuts_out_nobody(
    site: Site,
) -> None:
    everything(site)
    house = site.house
    school = {"id": str(OTHER_DUTY), "code": "school-12", "name": {"kk": "№ 12 мектеп", "ru": "Школа № 12"}}
    house.upstreams.put("registry", "GET", "/v1/agencies", {"items": [school], "next": None})
    house.upstreams.put(
        "registry", "GET", f"/v1/agencies/{OTHER_DUTY}", school | {"mandates": [], "retired_at": None}
    )
    house.upstreams.put(
        "notifier", "POST", f"/v1/alerts/{HANDLE}/conflicts", {"id": str(CONFLICT)}, status=201
    )
    async with site.visit(Role.AGENCY, language="kk", width=360, script=False) as page:
        await page.goto(f"{PAGE}/conflict")
        await page.get_by_label("Ауданның барлық мектебін").check()
        await page.locator("summary").first.click()
        await page.get_by_label("Атауының бір бөлігі").fill("12 мектеп")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status")).to_contain_text("табылды")
        assert not posted(house)
        await page.get_by_label("№ 12 мектеп").check()
        await page.locator("#reason").fill(WHY)
        await page.get_by_role("button", name="Қазір шеттету").click()
        await expect(page.get_by_role("status")).to_contain_text("Шеттетілді")
    [sent] = posted(house)
    assert body_of(sent) == {"agency": str(OTHER_DUTY), "reason": WHY}


async def test_parents_are_shut_out_a_rating_told_and_a_report_let_go(site: Site) -> None:
    house = site.house
    acts = ["release", "rating", "parent_lock", "withdrawal"]
    show_affair(house, may=acts, parents_locked=False)
    for door in ("parent-lock", "rating", "release"):
        house.upstreams.put("notifier", "POST", f"/v1/alerts/{HANDLE}/{door}", {"id": str(HANDLE)})
    async with site.visit(Role.AGENCY, language="en", script=False) as page:
        await page.goto(PAGE)
        await page.get_by_role("button", name="Let it go to the bodies now").click()
        await expect(page.get_by_role("status")).to_contain_text("The report has gone")
        await page.get_by_role("link", name="Keep it from the parents").click()
        await page.get_by_label("Why").fill(WHY)
        await page.get_by_role("button", name="Keep it from the parents now").click()
        await expect(page.get_by_role("status")).to_contain_text("Kept from the parents")
        await page.get_by_role("link", name="More is known now").click()
        await page.get_by_label("Direct threat to life or health").check()
        await page.get_by_label("How it is known").fill(WHY)
        await page.get_by_role("button", name="Tell the bodies").click()
        await expect(page.get_by_role("status")).to_contain_text("Taken in")
    assert [body_of(one) for one in posted(house)] == [
        {},
        {"locked": True, "reason": WHY},
        {"direct_threat": True, "reason": WHY},
    ]


async def test_what_fails_is_counted_proposed_and_confirmed(site: Site) -> None:
    show_alert(site.house)
    show_failures(site.house, is_own=True)
    house = site.house
    async with site.visit(Role.OPERATOR, language="ru", script=False) as page:
        await page.goto("/console/alerts")
        await page.get_by_role("link", name="Сбои доставки").click()
        await page.get_by_role("link", name="12 доставок: Департамент полиции").click()
        await expect(page.get_by_role("heading", name="Снова уйдут 12 доставок")).to_be_visible()
        await page.get_by_label("Почему отправляем снова").fill("Их система снова работает")
        await page.get_by_role("button", name="Предложить").click()
        await expect(page.get_by_role("status")).to_contain_text("Предложено")
        await expect(page.get_by_role("button", name="Согласен")).to_have_count(0)
        show_failures(house)
        await page.reload()
        await page.get_by_role("button", name="Согласен").click()
        await expect(page.get_by_role("status")).to_contain_text("Подтверждено")
        assert str(POLICE) not in page.url
    sent = [body_of(one) for one in posted(house)]
    assert [one for one in sent if not one.get("dry_run")][1:] == [{"confirms": str(PROPOSAL)}]
    assert str(ALERT) not in str(sent)
