"""What the documents say is true: links lead somewhere, the picture is the code, the receiver receives."""

import asyncio
import base64
import hashlib
import importlib.util
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import pytest
from aiohttp import web
from joserfc import jws
from joserfc.jwk import OKPKey

from common.contracts import REGISTRY
from notifier.adapters.webhook import signed_headers
from notifier.domain.channel import Parcel
from notifier.domain.delivery import FINAL, Fact, State, step

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")


def anchors_of(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for target in LINK.findall(page.read_text("utf-8")):
            if not target.startswith(("http://", "https://", "mailto:")):
                yield page, target


@pytest.mark.parametrize(("page", "target"), list(links()), ids=lambda value: getattr(value, "name", value))
def test_links_lead_somewhere(page: Path, target: str) -> None:
    file, _, anchor = target.partition("#")
    found = (page.parent / file).resolve() if file else page
    assert found.exists()
    if anchor:
        assert anchor in anchors_of(found)


def test_the_life_of_a_delivery_is_drawn_as_it_is_coded() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    drawn = set(re.findall(r"^    (\w+) --> (\w+): (\w+)$", text, re.MULTILINE))
    coded = {
        (str(state), str(after), str(fact))
        for state in State
        for fact in Fact
        if (after := step(state, fact)) is not None
    }
    assert drawn == coded
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|$", text, re.MULTILINE))
    assert {state for state in State if rows[state].strip() == "final"} == set(FINAL) - {State.DEAD}


def test_decisions_are_numbered_and_fit_a_page() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    for number, page in enumerate(pages, start=1):
        lines = page.read_text("utf-8").splitlines()
        assert page.name.startswith(f"{number:04}-")
        assert lines[0].startswith(f"# {number}. ")
        assert lines[2].startswith("**Decision.**")
        assert len(lines) < 50


def test_every_event_that_the_pages_name_exists() -> None:
    known = set(REGISTRY) | {"kz.dabyl.case.closed.v1"}  # the example of the how-to
    for page in PAGES:
        assert set(re.findall(r"kz\.dabyl\.[\w.]+\.v\d+", page.read_text("utf-8"))) <= known


# --- the receiver of the how-to, against a gateway that checks everything


@pytest.fixture(scope="module")
def receiver() -> ModuleType:
    spec = importlib.util.spec_from_file_location("receiver", ROOT / "docs" / "how-to" / "receiver.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Gateway:
    """Gives a token, content for the grant, and takes receipts."""

    def __init__(self, client: tuple[str, str]) -> None:
        self.client = client
        self.receipts: list[bytes] = []
        self.calls: list[str] = []
        self.answered = asyncio.Event()

    async def token(self, request: web.Request) -> web.Response:
        self.calls.append("token")
        form = await request.post()
        assert form["grant_type"] == "client_credentials"
        assert (form["client_id"], form["client_secret"]) == self.client
        return web.json_response({"access_token": "t", "expires_in": 300})

    async def content(self, request: web.Request) -> web.Response:
        self.calls.append("content")
        assert request.headers["Authorization"] == "Bearer t"
        assert request.headers["Dabyl-Grant"] == "g"
        return web.json_response({"narrative": "…"})

    async def receipt(self, request: web.Request) -> web.Response:
        assert request.content_type == "application/jose"
        self.receipts.append(await request.read())
        self.answered.set()
        return web.json_response({}, status=201)


async def served(app: web.Application) -> tuple[web.AppRunner, str]:
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


async def test_the_receiver_of_the_how_to_receives(receiver: ModuleType, tmp_path: Path) -> None:
    async with at_work(receiver, tmp_path) as house:
        delivery = uuid4()
        body = a_notice(delivery, house.gateway_url)
        assert await house.send(delivery, body, **{"webhook-signature": "v1,AAAA"}) == 401
        assert house.gateway.calls == []
        test = uuid4()
        assert await house.send(test, a_notice(test, house.gateway_url, test=True)) == 200
        await asyncio.wait_for(house.gateway.answered.wait(), 10)
        assert house.gateway.calls == ["token"], "it has no content, and is answered by the system"
        answered = jws.deserialize_compact(house.gateway.receipts.pop(), house.key, algorithms=["Ed25519"])
        assert json.loads(answered.payload)["delivery"] == str(test)
        house.gateway.calls.clear()
        house.gateway.answered.clear()
        assert await house.send(delivery, body) == 200
        assert await house.send(delivery, body) == 200
        await asyncio.wait_for(house.gateway.answered.wait(), 10)
    assert house.gateway.calls == ["token", "content", "token"]
    [compact] = house.gateway.receipts
    receipt = json.loads(jws.deserialize_compact(compact, house.key, algorithms=["Ed25519"]).payload)
    assert receipt["delivery"] == str(delivery)
    assert receipt["notice_digest"] == hashlib.sha256(body).hexdigest()


async def test_a_notice_that_nobody_could_be_given_is_given_again(
    receiver: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No receipt before a person has it, and none is forgotten because the first way to a person failed."""
    tried: list[tuple[str, int]] = []

    async def hand(self: Any, notice: dict[str, Any], content: dict[str, Any] | None) -> None:
        assert content == {"narrative": "…"}
        tried.append((notice["delivery"], len(house.gateway.receipts)))
        if len(tried) == 1:
            raise OSError("the printer is on fire")

    monkeypatch.setattr(receiver.Receiver, "hand_to_a_person", hand)  # an agency's own part
    async with at_work(receiver, tmp_path) as house:
        delivery = uuid4()
        assert await house.send(delivery, a_notice(delivery, house.gateway_url)) == 200
        await asyncio.wait_for(house.gateway.answered.wait(), 10)
    assert tried == [(str(delivery), 0)] * 2


@dataclass
class AtWork:
    """The receiver with its agency's own part, before a gateway that checks everything."""

    gateway: Gateway
    gateway_url: str
    url: str
    key: OKPKey
    secret: bytes

    async def send(self, delivery: UUID, body: bytes, **headers: str) -> int:
        signed = signed_headers(a_parcel(delivery, body, self.secret), now=datetime.now(UTC)) | headers
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{self.url}/dabyl", data=body, headers=signed) as answer,
        ):
            return answer.status


@asynccontextmanager
async def at_work(receiver: ModuleType, folder: Path) -> AsyncIterator[AtWork]:
    key, secret = OKPKey.generate_key("Ed25519"), b"s" * 32
    connected: dict[str, Any] = {
        "webhook_secret": "whsec_" + base64.b64encode(secret).decode(),
        "client_id": str(uuid4()), "client_secret": "x", "receipt_key": key.as_dict(private=True),
    }  # fmt: skip
    gateway = Gateway((connected["client_id"], "x"))
    app = web.Application()
    app.router.add_post("/oauth/token", gateway.token)
    app.router.add_get("/v1/content", gateway.content)
    app.router.add_post("/v1/receipt", gateway.receipt)
    gateway_runner, gateway_url = await served(app)
    theirs = receiver.make_app(connected, gateway_url, folder / "journal", (0.05,))
    runner, url = await served(theirs)
    try:
        yield AtWork(gateway, gateway_url, url, key, secret)
    finally:
        await runner.cleanup()
        await gateway_runner.cleanup()


def a_parcel(delivery: UUID, body: bytes, secret: bytes) -> Parcel:
    known: dict[str, Any] = {"delivery_id": delivery, "body": body, "keys": (secret,)}
    rest: dict[str, Any] = {name: None for name in Parcel.__dataclass_fields__ if name not in known}
    return Parcel(**known, **rest)


def a_notice(delivery: UUID, gateway: str, *, test: bool = False) -> bytes:
    return json.dumps(
        {
            "delivery": str(delivery),
            "test": test,
            "content": {"url": f"{gateway}/v1/content", "grant": "g"},
            "receipt": {"url": f"{gateway}/v1/receipt"},
        }
    ).encode()
