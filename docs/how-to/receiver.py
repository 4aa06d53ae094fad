"""The smallest receiver that an agency needs: take notices, read the content, answer.

    pip install aiohttp standardwebhooks joserfc
    python receiver.py connected.json https://dabyl.example 8080

``connected.json`` is what ``dabyl agency add`` printed. Keep it secret.
"""

import asyncio
import hashlib
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from joserfc import jws
from joserfc.jwk import OKPKey
from standardwebhooks.webhooks import Webhook, WebhookVerificationError


class Receiver:
    """Stores a notice, answers 200, and does the rest afterwards."""

    def __init__(self, connected: dict[str, Any], gateway: str) -> None:
        self.connected = connected
        self.gateway = gateway
        self.known: dict[str, bytes] = {}  # a real receiver uses its database
        self.tasks: set[asyncio.Task[None]] = set()

    async def take(self, request: web.Request) -> web.Response:
        """The webhook. 200 says only: stored."""
        body = await request.read()
        try:
            Webhook(self.connected["webhook_secret"]).verify(body, dict(request.headers))
        except WebhookVerificationError:
            return web.Response(status=401)
        except ValueError:
            return web.Response(status=400)  # signed, but no JSON
        delivery = request.headers["webhook-id"]
        if delivery not in self.known:  # the same delivery may come again, always under the same id
            self.known[delivery] = body
            task = asyncio.create_task(self.answer(body))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        return web.Response()

    async def answer(self, body: bytes) -> None:
        """Read the content, then say who took it. A test notice needs neither."""
        notice = json.loads(body)
        if notice["test"]:
            return
        async with aiohttp.ClientSession() as http:
            bearer = {"Authorization": f"Bearer {await self.token(http)}"}
            headers = {**bearer, "Dabyl-Grant": notice["content"]["grant"]}
            content = await self.call(http, "GET", notice["content"]["url"], headers=headers)
            await self.hand_to_a_person(notice, content)
            receipt = {
                "delivery": notice["delivery"],
                "notice_digest": hashlib.sha256(body).hexdigest(),  # of the bytes as they came
                "status": "received",
                "person": {"name": "Name of who took it", "position": "Duty officer"},
                "reference": "your own number",
                "at": datetime.now(UTC).isoformat(),
            }
            key = OKPKey.import_key(self.connected["receipt_key"])
            signed = jws.serialize_compact(
                {"alg": "Ed25519"}, json.dumps(receipt), key, algorithms=["Ed25519"]
            )
            headers = {**bearer, "Content-Type": "application/jose"}
            # 201: stored; 200: it was stored before
            await self.call(http, "POST", notice["receipt"]["url"], data=signed, headers=headers)

    async def token(self, http: aiohttp.ClientSession) -> str:
        """An access token; keep it until shortly before it ends."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self.connected["client_id"],
            "client_secret": self.connected["client_secret"],
        }
        return str((await self.call(http, "POST", f"{self.gateway}/oauth/token", data=form))["access_token"])

    async def call(self, http: aiohttp.ClientSession, method: str, url: str, **more: Any) -> dict[str, Any]:
        """One call, tried again while Dabyl is away: a receipt that is lost makes people phone."""
        for pause in (1, 2, 5, 15, 60, 300):
            try:
                async with http.request(method, url, **more) as answer:
                    if answer.status < 500:
                        answer.raise_for_status()
                        return dict(await answer.json())
            except (aiohttp.ClientConnectionError, TimeoutError):
                pass
            await asyncio.sleep(pause)
        raise ConnectionError("Dabyl has been away for long")

    async def hand_to_a_person(self, notice: dict[str, Any], content: dict[str, Any]) -> None:
        """Your part. Never log ``content``."""


def make_app(connected: dict[str, Any], gateway: str) -> web.Application:
    """The receiver as an aiohttp application."""
    app = web.Application(client_max_size=16_384)
    app.router.add_post("/dabyl", Receiver(connected, gateway).take)
    return app


if __name__ == "__main__":
    web.run_app(make_app(json.loads(Path(sys.argv[1]).read_text()), sys.argv[2]), port=int(sys.argv[3]))
