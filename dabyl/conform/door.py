"""Stands for Dabyl's own doors in a trial: tokens, content, receipts. Notes what is done wrong there."""

import asyncio
import binascii
import hashlib
import json
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from joserfc import jws
from joserfc.errors import JoseError
from pydantic import ValidationError

from common.errors import Refusal
from common.strict_json import parse
from dabyl.conform.kit import Kit
from notifier.schemas import ReceiptIn

ALGORITHMS = ["Ed25519", "EdDSA"]
LARGEST = 64 * 1024


@dataclass
class Expected:
    """A notice that was sent, and what came of it at our doors.

    Attributes:
        holds_content: seconds that the content door takes.
        has_content: false: 404 at the content door, and the notice is answered all the same.
        unread: how many reads of the content are turned away with 503.
        refusals: how many receipts are turned away with 503 before one is taken.
        is_answered: another answer stands: every receipt is a 409.
        flaws: names of what was wrong.
    """

    body: bytes
    grant: str
    holds_content: float = 0.0
    has_content: bool = True
    unread: int = 0
    refusals: int = 0
    is_answered: bool = False
    opened: int = 0
    turned_away: int = 0
    refused: int = 0
    receipts: list[dict[str, Any]] = field(default_factory=list)
    flaws: list[str] = field(default_factory=list)


class Door:
    """Our side, on loopback."""

    def __init__(self, kit: Kit, port: int) -> None:
        self._kit = kit
        self._port = port
        self._token = secrets.token_urlsafe(24)
        self._moved = asyncio.Condition()
        self._runner: web.AppRunner | None = None
        self.expected: dict[str, Expected] = {}
        self.flaws: list[str] = []
        self.calls: Counter[str] = Counter()

    @property
    def url(self) -> str:
        """Where the receiver must look for the gateway."""
        return f"http://127.0.0.1:{self._port}"

    async def open(self) -> None:
        """Listen.

        Raises:
            OSError: the port is taken.
        """
        app = web.Application(client_max_size=LARGEST)
        app.router.add_post("/oauth/token", self._grant_token)
        app.router.add_get("/v1/deliveries/{id}/content", self._show_content)
        app.router.add_post("/v1/deliveries/{id}/receipt", self._take_receipt)
        self._runner = web.AppRunner(app, shutdown_timeout=0.2, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Whether the condition came true in time; looked at whenever something came in."""
        try:
            async with asyncio.timeout(seconds), self._moved:
                await self._moved.wait_for(condition)
        except TimeoutError:
            return False
        return True

    async def _tell(self) -> None:
        async with self._moved:
            self._moved.notify_all()

    async def _grant_token(self, request: web.Request) -> web.Response:
        self.calls["token"] += 1
        form = await request.post()
        known = (self._kit.connected["client_id"], self._kit.connected["client_secret"])
        given = (form.get("client_id"), form.get("client_secret"))
        if form.get("grant_type") != "client_credentials" or given != known:
            self.flaws.append("token")
            await self._tell()
            return web.json_response({"error": "invalid_client"}, status=401)
        return web.json_response({"access_token": self._token, "token_type": "Bearer", "expires_in": 300})

    async def _show_content(self, request: web.Request) -> web.Response:
        expected = self.expected.get(request.match_info["id"])
        if expected is None:
            return web.json_response({"title": "There is no such delivery."}, status=404)
        if not self._is_theirs(request):
            return await self._flaw(expected, "token", 401)
        if request.headers.get("Dabyl-Grant") != expected.grant:
            return await self._flaw(expected, "content", 403)
        if not expected.has_content:
            return web.json_response({"title": "This notice has no content."}, status=404)
        if expected.turned_away < expected.unread:
            expected.turned_away += 1
            return _away()
        expected.opened += 1
        await self._tell()
        if expected.holds_content:
            await asyncio.sleep(expected.holds_content)
        return web.json_response({"narrative": "A trial. No child is meant.", "child": {}})

    async def _take_receipt(self, request: web.Request) -> web.Response:
        expected = self.expected.get(request.match_info["id"])
        if expected is None:
            return web.json_response({"title": "There is no such delivery."}, status=404)
        if not self._is_theirs(request):
            return await self._flaw(expected, "token", 401)
        if expected.refused < expected.refusals:
            expected.refused += 1
            await self._tell()
            return _away()
        read = self._read(request.content_type, await request.read(), expected)
        if isinstance(read, str):
            return await self._flaw(expected, read, 422)
        if expected.has_content and not expected.opened:
            expected.flaws.append("content")
        stands = expected.receipts[0] if expected.receipts else read
        differs = expected.is_answered or read["status"] != stands["status"]
        expected.refused += differs
        if not expected.is_answered:
            expected.receipts.append(read)
        await self._tell()
        if differs:
            return web.json_response({"title": "Another receipt is already stored."}, status=409)
        return web.json_response(stands, status=201 if len(expected.receipts) == 1 else 200)

    def _read(self, kind: str, body: bytes, expected: Expected) -> dict[str, Any] | str:
        """The receipt, or the name of what is wrong with it."""
        if kind != "application/jose":
            return "receipt_signature"
        try:
            payload = jws.deserialize_compact(
                body.strip(), self._kit.receipt_key, algorithms=ALGORITHMS
            ).payload
        except (JoseError, ValueError, TypeError, KeyError, binascii.Error):
            return "receipt_signature"
        try:
            parse(payload)
            receipt = ReceiptIn.model_validate_json(payload)
        except (Refusal, ValidationError):
            return "receipt_shape"
        document: dict[str, Any] = json.loads(payload)
        if str(receipt.delivery) != json.loads(expected.body)["delivery"]:
            return "receipt_shape"
        if document["notice_digest"].lower() != hashlib.sha256(expected.body).hexdigest():
            return "receipt_digest"
        return document

    def _is_theirs(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {self._token}"

    async def _flaw(self, expected: Expected, name: str, status: int) -> web.Response:
        expected.flaws.append(name)
        await self._tell()
        return web.json_response({"title": name}, status=status)


def _away() -> web.Response:
    return web.json_response({"title": "Try again."}, status=503, headers={"Retry-After": "1"})
