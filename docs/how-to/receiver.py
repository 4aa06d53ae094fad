"""The smallest receiver that an agency needs: take notices, read the content, answer.

    pip install aiohttp standardwebhooks joserfc
    python receiver.py connected.json https://dabyl.example 8080

``connected.json`` is what ``dabyl agency add`` printed. Keep it secret. What was taken is kept in
``connected.json.journal`` beside it, and is gone on with after a crash.
"""

import asyncio
import base64
import hashlib
import itertools
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from aiohttp import web
from joserfc import jws
from joserfc.jwk import OKPKey
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

log = logging.getLogger("receiver")
Done = TypeVar("Done")

PAUSES = (1, 2, 5, 15, 60, 300)
"""Seconds between tries; the last one again and again."""


class Journal:
    """What was taken, and whether it is answered. A real receiver uses its database."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self.known: dict[str, str] = {}  # by delivery: its body (base64), or "done"
        for line in path.read_text("utf-8", "replace").splitlines():
            delivery, _, rest = line.partition(" ")
            what, _, digest = rest.partition(" ")
            if digest == self._digest(delivery, what):  # a power cut may have torn a line
                self.known[delivery] = what

    def store(self, delivery: str, what: str) -> None:
        """Known when it is on disk, not before; an error must not be answered with 200."""
        # On a line of its own: the one before may be torn.
        entry = f"\n{delivery} {what} {self._digest(delivery, what)}\n".encode()
        while entry:
            entry = entry[os.write(self._file, entry) :]
        os.fsync(self._file)
        self.known[delivery] = what

    def open(self) -> dict[str, bytes]:
        """What nobody has answered yet."""
        return {one: base64.b64decode(what) for one, what in self.known.items() if what != "done"}

    def close(self) -> None:
        """Give the file back."""
        os.close(self._file)

    @staticmethod
    def _digest(delivery: str, what: str) -> str:
        return hashlib.sha256((delivery + what).encode()).hexdigest()


class Receiver:
    """Stores a notice, answers 200, and does the rest afterwards."""

    def __init__(
        self, connected: dict[str, Any], gateway: str, journal: Journal, pauses: Sequence[float]
    ) -> None:
        self.connected = connected
        self.gateway = gateway
        self.journal = journal
        self.pauses = pauses
        self.tasks: set[asyncio.Task[None]] = set()

    async def run(self, _app: web.Application) -> AsyncIterator[None]:
        """Go on with what was taken before; what is not done at the end is gone on with next time."""
        for delivery, body in self.journal.open().items():
            self.start(delivery, body)
        yield
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.journal.close()

    def start(self, delivery: str, body: bytes) -> None:
        """Answer in the background."""
        task = asyncio.create_task(self.answer(delivery, body))
        self.tasks.add(task)
        task.add_done_callback(self.ended)

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
        if delivery not in self.journal.known:  # the same delivery may come again, always under the same id
            self.journal.store(delivery, base64.b64encode(body).decode())
            self.start(delivery, body)
        return web.Response()

    def ended(self, task: asyncio.Task[None]) -> None:
        """Nothing fails in silence."""
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("not answered: %s", type(error).__name__)

    async def answer(self, delivery: str, body: bytes) -> None:
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
                url = notice["content"]["url"]
                content = await self.until_done(lambda: self.call(http, "GET", url, headers=headers))
            if not notice["test"]:
                await self.until_done(lambda: self.hand_to_a_person(notice, content))
            receipt = {
                "delivery": notice["delivery"],
                "notice_digest": hashlib.sha256(body).hexdigest(),  # of the bytes as they came
                "status": "received",
                "person": person,
                "reference": "your own number",
                "at": datetime.now(UTC).isoformat(),
            }
            await self.until_done(lambda: self.send_receipt(http, notice["receipt"]["url"], receipt))
        self.journal.store(delivery, "done")

    async def send_receipt(self, http: aiohttp.ClientSession, url: str, receipt: dict[str, Any]) -> None:
        """201: stored; 200: it was stored before; 409: another receipt is stored, and stands."""
        key = OKPKey.import_key(self.connected["receipt_key"])
        signed = jws.serialize_compact({"alg": "Ed25519"}, json.dumps(receipt), key, algorithms=["Ed25519"])
        headers = {"Content-Type": "application/jose"}
        try:
            await self.call(http, "POST", url, data=signed, headers=headers)
        except aiohttp.ClientResponseError as error:
            if error.status != 409:
                raise
            log.warning("another receipt of this delivery stands")

    async def until_done(self, attempt: Callable[[], Awaitable[Done]]) -> Done:
        """Try until it is done: what was taken is never given up, and a lost receipt makes people phone."""
        for pause in itertools.chain(self.pauses, itertools.repeat(self.pauses[-1])):
            try:
                return await attempt()
            except Exception as error:  # noqa: BLE001  # whatever it was, it is tried again
                log.warning("not done yet: %s", getattr(error, "status", type(error).__name__))
            await asyncio.sleep(pause)
        raise AssertionError("the pauses have no end")

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
        """One call, with a fresh token: the one before may have ended meanwhile."""
        bearer = {"Authorization": f"Bearer {await self.token(http)}"}
        async with http.request(method, url, headers={**headers, **bearer}, **more) as answer:
            answer.raise_for_status()
            return dict(await answer.json())

    async def hand_to_a_person(self, notice: dict[str, Any], content: dict[str, Any] | None) -> None:
        """Your part. Raise when nobody has it: it is tried again. Never log ``content``.

        After a crash it may come a second time, with the same ``delivery``.
        """


def make_app(
    connected: dict[str, Any], gateway: str, journal: Path, pauses: Sequence[float] = PAUSES
) -> web.Application:
    """The receiver as an aiohttp application."""
    receiver = Receiver(connected, gateway, Journal(journal), pauses)
    app = web.Application(client_max_size=16_384)
    app.router.add_post("/dabyl", receiver.take)
    app.cleanup_ctx.append(receiver.run)
    return app


if __name__ == "__main__":
    given = os.environ.get("PAUSES")
    steps = tuple(map(float, given.split(","))) if given else PAUSES
    file = Path(sys.argv[1])
    app = make_app(json.loads(file.read_text()), sys.argv[2], file.with_name(f"{file.name}.journal"), steps)
    web.run_app(app, port=int(sys.argv[3]))
