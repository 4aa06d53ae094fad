"""People's pages in a real browser: usable by everybody, alive, and asking nobody else."""

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from gateway.domain.identity import Role
from tests.e2e.conftest import Site
from tests.factories.gateway import ALERT, CHILD, DELIVERY, show_alarms, show_alert, show_notice

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("embedded")]

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}

PAGES: tuple[tuple[Role | None, str], ...] = (
    (None, "/console/sign-in"),
    (None, "/console/language/xx"),
    (Role.AUDITOR, "/console"),
    (Role.OPERATOR, "/console/alerts"),
    (Role.OPERATOR, f"/console/alerts/{ALERT}"),
    (Role.OPERATOR, "/console/alarms"),
    (Role.OPERATOR, "/console/alarms?state=closed"),
    (Role.AGENCY, "/console/inbox"),
    (Role.AGENCY, f"/console/inbox/{DELIVERY}"),
    (Role.AGENCY, f"/console/inbox/{DELIVERY}/content"),
)


def prepare(site: Site) -> None:
    show_alert(site.house)
    show_alarms(site.house)
    show_notice(site.house)


async def barriers(page: Page) -> list[str]:
    found = await Axe().run(page, options=RULES)
    return [
        f"{one['id']}: {node['html'][:160]}" for one in found.response["violations"] for node in one["nodes"]
    ]


async def test_no_page_has_a_barrier_that_a_machine_can_find(site: Site) -> None:
    prepare(site)
    for role in (None, Role.AUDITOR, Role.OPERATOR, Role.AGENCY):
        for language, width, scheme in (("kk", 1280, "light"), ("ru", 390, "dark"), ("en", 390, "light")):
            async with site.visit(role, language=language, width=width, scheme=scheme) as page:  # type: ignore[arg-type]  # both words are schemes
                for path in (path for whose, path in PAGES if whose is role):
                    await page.goto(path)
                    await page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
                    assert await barriers(page) == [], (path, language, scheme)


async def test_no_page_is_wider_than_the_window(site: Site) -> None:
    prepare(site)
    for role in (None, Role.OPERATOR, Role.AGENCY):
        for language, width in (("kk", 320), ("ru", 390), ("en", 1280)):
            async with site.visit(role, language=language, width=width) as page:
                for path in (path for whose, path in PAGES if whose is role):
                    await page.goto(path)
                    await page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
                    needed = await page.evaluate("document.documentElement.scrollWidth")
                    assert needed <= width, (path, language, width)


async def test_a_lane_changes_by_itself_and_what_is_open_stays_open(site: Site) -> None:
    prepare(site)
    show_alert(site.house, state="waiting", reason="retry", transmitted_at=None, escalation_level=0)
    async with site.visit(Role.OPERATOR) as page:
        await page.goto(f"/console/alerts/{ALERT}")
        lane = page.locator(f"[data-key='d-{DELIVERY}']")
        await expect(lane).to_contain_text("Waiting to be sent")
        await expect(page.locator("[data-pulse]")).to_have_text("Updates by itself")
        await lane.locator("summary").click()
        await expect(lane.locator("table")).to_be_visible()
        show_alert(site.house, state="acknowledged", acknowledged_at=site.house.now().isoformat())
        await expect(lane).to_contain_text("Answered")
        await expect(lane.locator("table")).to_be_visible()
        await expect(page.locator("h2").first).to_have_text("Who has been told")
    assert site.complaints == []


async def test_the_clock_runs_without_the_server(site: Site) -> None:
    prepare(site)
    async with site.visit(Role.OPERATOR) as page:
        await page.goto(f"/console/alerts/{ALERT}")
        left = page.locator("[data-left]").first
        before = await left.text_content()
        await expect(left).not_to_have_text(before or "", timeout=4000)
        await expect(page.locator(".clock.late .overdue").first).to_be_visible()


async def test_a_lost_connection_is_said(site: Site) -> None:
    prepare(site)
    async with site.visit(Role.OPERATOR) as page:
        await page.goto("/console/alerts")
        await expect(page.locator("[data-pulse]")).to_have_text("Updates by itself")
        await site.house.upstreams.servers["notifier"].close()
        await expect(page.locator("[data-pulse]")).to_contain_text("Connection lost", timeout=8000)
        await expect(page.locator("[data-key='sheet']")).to_be_visible()


async def test_an_agency_opens_and_answers_with_the_keyboard(site: Site) -> None:
    prepare(site)
    house = site.house
    house.upstreams.put(
        "notifier",
        "POST",
        f"/v1/deliveries/{DELIVERY}/receipt",
        {"status": "accepted", "at": house.now().isoformat()},
        status=201,
    )
    async with site.visit(Role.AGENCY, language="ru") as page:
        await page.goto("/console/inbox")
        await page.keyboard.press("Tab")
        await expect(page.locator(".skip")).to_be_focused()
        await page.locator(".notice h3 a").focus()
        await page.keyboard.press("Enter")
        await page.get_by_role("link", name="Открыть содержание").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_text(CHILD)).to_be_visible()
        assert CHILD not in await page.title()
        assert DELIVERY.hex not in await page.title()
        await page.get_by_role("button", name="Отправить ответ").click()
        await expect(page.get_by_role("alert")).to_be_visible()
        await expect(page.locator("#flaw-name")).to_be_visible()
        await page.get_by_label("Принято в работу").check()
        await page.get_by_label("Фамилия и имя").fill("Дежурный Сотрудник")
        await page.get_by_label("Должность").fill("инспектор")
        show_notice(
            house,
            state="acknowledged",
            acknowledged_at=house.now().isoformat(),
            receipt={
                "status": "accepted",
                "at": house.now().isoformat(),
                "person": {"name": "Д", "position": "и"},
            },
        )
        await page.get_by_label("Должность").press("Enter")
        await expect(page.get_by_role("status")).to_contain_text("Ваш ответ записан")
    # The browser reports the deliberate 422 of the incomplete answer; nothing else may be said.
    assert [said for said in site.complaints if "422" not in said] == []


async def test_everything_can_be_read_without_script(site: Site) -> None:
    prepare(site)
    async with site.visit(Role.OPERATOR, script=False) as page:
        await page.goto("/console/alerts")
        await page.get_by_role("link", name="7K4M-Q2XP-9").click()
        await expect(page.get_by_role("heading", name="Police")).to_be_visible()
        await expect(page.get_by_role("link", name="Refresh")).to_be_visible()
        assert (await page.locator("[data-left]").first.text_content() or "").strip() != ""


async def test_the_language_changes_in_place(site: Site) -> None:
    prepare(site)
    async with site.visit(Role.OPERATOR, language="kk") as page:
        await page.goto(f"/console/alerts/{ALERT}")
        await expect(page.locator("h2").first).to_have_text("Кім хабардар етілді")
        await page.get_by_role("link", name="Русский").click()
        await expect(page.locator("h2").first).to_have_text("Кто оповещён")
        assert page.url.endswith(f"/console/alerts/{ALERT}")
        assert await page.locator("html").get_attribute("lang") == "ru"


async def test_a_session_that_is_taken_back_ends_in_the_open_window(site: Site) -> None:
    prepare(site)
    async with site.visit(Role.OPERATOR) as page:
        await page.goto("/console/alerts")
        await page.context.request.post(
            "/console/sign-out", headers={"Origin": site.url, "Sec-Fetch-Site": "same-origin"}
        )
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=8000)
