"""The smallest receiver that an agency needs: take notices, read the content, answer.

    pip install aiohttp standardwebhooks joserfc
    python receiver.py connected.json https://dabyl.example 8080

``connected.json`` is what ``dabyl agency add`` printed. Keep it secret.
"""

import asyncio
import hashlib
import itertools
import json
import logging
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from joserfc import jws
from joserfc.jwk import OKPKey
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

log = logging.getLogger("receiver")

PAUSES = (1, 2, 5, 15, 60, 300)
"""Seconds between tries; the last one again and again."""


class AnsweredOtherwise(Exception):
    """409: another receipt of this delivery is stored, and stands."""


class Receiver:
    """Stores a notice, answers 200, and does the rest afterwards."""

    def __init__(self, connected: dict[str, Any], gateway: str, pauses: Sequence[float] = PAUSES) -> None:
        self.connected = connected
        self.gateway = gateway
        self.pauses = pauses
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
            task.add_done_callback(self.ended)
        return web.Response()

    def ended(self, task: asyncio.Task[None]) -> None:
        """Nothing fails in silence."""
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("not answered: %s", type(error).__name__)

    async def answer(self, body: bytes) -> None:
        """Read the content, then say who took it. A test notice has no content and needs no person.

        Who has not read the content has not received it: no receipt before.
        """
        notice = json.loads(body)
        person = {"name": "Name of who took it", "position": "Duty officer"}
        if notice["test"]:
            person = {"name": "test", "position": "system"}
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
            content = None
            # A notice about a body below you has no content.
            if not notice["test"] and "silent" not in notice and "breached" not in notice:
                headers = {"Dabyl-Grant": notice["content"]["grant"]}
                content = await self.call(http, "GET", notice["content"]["url"], headers=headers)
            if not notice["test"]:
                await self.hand_to_a_person(notice, content)
            receipt = {
                "delivery": notice["delivery"],
                "notice_digest": hashlib.sha256(body).hexdigest(),  # of the bytes as they came
                "status": "received",
                "person": person,
                "reference": "your own number",
                "at": datetime.now(UTC).isoformat(),
            }
            key = OKPKey.import_key(self.connected["receipt_key"])
            signed = jws.serialize_compact(
                {"alg": "Ed25519"}, json.dumps(receipt), key, algorithms=["Ed25519"]
            )
            headers = {"Content-Type": "application/jose"}
            # 201: stored; 200: it was stored before
            await self.call(http, "POST", notice["receipt"]["url"], data=signed, headers=headers)

    async def token(self, http: aiohttp.ClientSession) -> str:
        """An access token; a busy receiver keeps it until shortly before it ends."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self.connected["client_id"],
            "client_secret": self.connected["client_secret"],
        }
        async with http.post(f"{self.gateway}/oauth/token", data=form) as answer:
            answer.raise_for_status()
            return str((await answer.json())["access_token"])

    async def call(
        self, http: aiohttp.ClientSession, method: str, url: str, *, headers: dict[str, str], **more: Any
    ) -> dict[str, Any]:
        """One call, tried until it is taken: a receipt that is lost makes people phone.

        Raises:
            AnsweredOtherwise: trying again is of no use.
        """
        for pause in itertools.chain(self.pauses, itertools.repeat(self.pauses[-1])):
            try:
                bearer = {
                    "Authorization": f"Bearer {await self.token(http)}"
                }  # yours may have ended meanwhile
                async with http.request(method, url, headers={**headers, **bearer}, **more) as answer:
                    if answer.status == 409:
                        raise AnsweredOtherwise
                    answer.raise_for_status()
                    return dict(await answer.json())
            except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
                log.warning("not taken yet: %s", getattr(error, "status", type(error).__name__))
            await asyncio.sleep(pause)
        raise AssertionError("the pauses have no end")

    async def hand_to_a_person(self, notice: dict[str, Any], content: dict[str, Any] | None) -> None:
        """Your part, done once. Never log ``content``."""


def make_app(connected: dict[str, Any], gateway: str, pauses: Sequence[float] = PAUSES) -> web.Application:
    """The receiver as an aiohttp application."""
    app = web.Application(client_max_size=16_384)
    app.router.add_post("/dabyl", Receiver(connected, gateway, pauses).take)
    return app


if __name__ == "__main__":
    given = os.environ.get("PAUSES")
    steps = tuple(map(float, given.split(","))) if given else PAUSES
    app = make_app(json.loads(Path(sys.argv[1]).read_text()), sys.argv[2], steps)
    web.run_app(app, port=int(sys.argv[3]))
