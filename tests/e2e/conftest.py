"""Chromium before the gateway, with the four services behind it played by stand-ins."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from common.keys import KeyRing
from common.runtime import listen, serve
from common.testing import parts_for_test
from common.timing import utc_now
from gateway.app import build
from gateway.domain.identity import Role
from gateway.domain.waterfall import Span
from gateway.settings import Settings
from tests.factories.gateway import House, Upstreams, a_session
from tests.parts.packages import ensure_chromium

LOCALES = {"kk": "kk-KZ", "ru": "ru-RU", "en": "en-GB"}


class Traces:
    """A trace store with one trace of three services."""

    async def list_spans(self, trace_id: str) -> list[Span]:
        """Four steps, the last one failed."""
        start = 1_790_000_000_000_000_000
        return [
            Span(trace_id, "a", None, "POST /v1/alerts", "gateway", start, start + 90_000_000),
            Span(trace_id, "b", "a", "POST /v1/alerts", "intake", start + 5_000_000, start + 80_000_000),
            Span(
                trace_id,
                "c",
                "b",
                "notifier.receive_alert_received",
                "notifier",
                start + 99_000_000,
                start + 10**9,
            ),
            Span(
                trace_id,
                "d",
                "c",
                "notifier.attempt_delivery",
                "notifier",
                start + 10**9,
                start + 10**9,
                "error",
            ),
        ]


@dataclass
class Site:
    """The console on a real port."""

    house: House
    url: str
    browser: Browser
    complaints: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def visit(
        self,
        role: Role | None = None,
        *,
        language: str = "en",
        width: int = 1280,
        scheme: Literal["light", "dark"] = "light",
        script: bool = True,
    ) -> AsyncIterator[Page]:
        """A person's window. What the browser complains about, and where else it wants to go, is kept."""
        context = await self.browser.new_context(
            viewport={"width": width, "height": 900},
            locale=LOCALES[language],
            timezone_id="Asia/Almaty",
            color_scheme=scheme,
            java_script_enabled=script,
            base_url=self.url,
        )
        if role is not None:
            await self._sign_in(context, role)
        page = await context.new_page()
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda asked: self._note(asked.url))
        try:
            yield page
        finally:
            await context.close()

    async def _sign_in(self, context: BrowserContext, role: Role) -> None:
        cookie = await a_session(self.house, role)
        await context.add_cookies([{"name": "dabyl_session", "value": cookie, "url": self.url}])

    def _note(self, url: str) -> None:
        if not url.startswith((self.url, "data:")):
            self.complaints.append(f"asked elsewhere: {url}")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Its path: one that is named, found, or installed (a fresh machine has none)."""
    return os.environ.get("DABYL_TEST_CHROMIUM") or str(ensure_chromium())


@pytest.fixture
async def site(
    db_url: Callable[[str], str], keys: KeyRing, tmp_path: Path, chromium: str
) -> AsyncIterator[Site]:
    async with _upstreams(keys) as upstreams:
        door = listen("127.0.0.1", 0)
        url = f"http://127.0.0.1:{door.getsockname()[1]}"
        parts = parts_for_test("gateway", db_url("gateway"), keys, now=utc_now)
        settings = Settings(public_url=url, keys_dir=keys.folder, **upstreams.urls())
        service = build(settings, parts)
        http: Any = None  # the browser is the client
        house = House(service, parts, settings, upstreams, http, utc_now)
        object.__setattr__(service.app.state.console, "traces", Traces())
        stop = asyncio.Event()
        serving = asyncio.create_task(serve(service.app, stop, [door]))
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            yield Site(house, url, browser)
            await browser.close()
        stop.set()
        await serving
        for close in service.close:
            await close()
        await parts.close()


def _upstreams(keys: KeyRing) -> AbstractAsyncContextManager[Upstreams]:
    @asynccontextmanager
    async def started() -> AsyncIterator[Upstreams]:
        services = Upstreams(keys, utc_now)  # a browser keeps real time
        await services.start()
        yield services
        await services.stop()

    return started()
