"""One simulated agency: its server side (takes notices) and its client side (opens, acknowledges)."""

import asyncio
import contextlib
import hashlib
import json
import os
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import aiohttp
from aiohttp import web
from joserfc import jws
from joserfc.jwk import OKPKey
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from dabyl.simulators.journal import MARK_KEY, Journal, mark_of
from dabyl.simulators.roster import Member

SLOW_SECONDS = 1.5
PULL_WAIT_SECONDS = 20
RETRY_SECONDS = 0.5
AT_ONCE = 16
"""Notices that one agency opens and acknowledges at a time; the others it took wait."""
TRIES = 1200
"""Ten minutes: a house may be away for a while, an agency does not forget what it took."""


class Agency:
    """Plays one agency against the public surface, as an agency's developer would write it."""

    def __init__(self, member: Member, gateway: str, journal: Journal, http: aiohttp.ClientSession) -> None:
        self.member = member
        self._gateway = gateway
        self._journal = journal
        self._http = http
        self._seen: Counter[str] = Counter()
        self._answered: set[str] = set()
        self._token = ("", 0.0)
        self._work: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(AT_ONCE)

    async def take_notice(self, request: web.Request) -> web.StreamResponse:
        """The endpoint: verify, store, answer; everything else happens afterwards."""
        body = await request.read()
        digest = hashlib.sha256(body).hexdigest()
        try:
            Webhook(self.member.secret).verify(body, dict(request.headers))
        except (WebhookVerificationError, ValueError):
            self._journal.write(self.member, "", digest, "refused_signature")
            return web.Response(status=401)
        delivery = request.headers["webhook-id"]
        notice = json.loads(body)
        alert = str(notice["alert"])
        if _is_about_others(notice):
            # A body below does not answer, or missed a duty: about it, not the alert told a second time.
            self._journal.write(self.member, delivery, digest, "silence", alert=alert)
            return web.Response(status=200)
        if notice.get("test"):
            # Of no alert: whoever compares alerts passes over it.
            self._journal.write(self.member, delivery, digest, "test", alert=alert)
            if self.member.behaviour != "lying" and delivery not in self._answered:
                self._answered.add(delivery)
                self._begin_answer(notice, digest)
            return web.Response(status=200)
        self._seen[delivery] += 1
        if self.member.behaviour == "slow":
            await asyncio.sleep(SLOW_SECONDS)
        if self.member.behaviour == "flaky" and self._seen[delivery] <= 2:
            return self._fail(request, delivery, digest, alert)
        # Stored first, answered then: a 200 must never be lost with the process.
        self._journal.write(self.member, delivery, digest, "200", alert=alert)
        if self.member.behaviour != "lying" and delivery not in self._answered:
            self._answered.add(delivery)
            self._begin_answer(notice, digest)
        return web.Response(status=200)

    async def sign_in(self) -> None:
        """Get a token, if the house gives one now."""
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError):
            await self._bearer()

    async def pull(self) -> None:
        """A body without a system of its own: ask the inbox, open, acknowledge."""
        after = ""
        while True:
            path = f"/v1/inbox?wait={PULL_WAIT_SECONDS}" + (f"&after={after}" if after else "")
            answer = await self._call("GET", path)
            if answer is None:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            for item in answer["items"]:
                notice = item.get("notice", item)
                digest = str(item["notice_digest"])
                if str(notice["delivery"]) in self._answered or _is_about_others(notice):
                    continue
                self._answered.add(str(notice["delivery"]))
                self._journal.write(
                    self.member, str(notice["delivery"]), digest, "pulled", alert=str(notice["alert"])
                )
                self._begin_answer(notice, digest)
            after = answer.get("next") or after

    def _fail(self, request: web.Request, delivery: str, digest: str, alert: str) -> web.StreamResponse:
        if self._seen[delivery] == 1:
            self._journal.write(self.member, delivery, digest, "500", alert=alert)
            return web.Response(status=500)
        self._journal.write(self.member, delivery, digest, "reset", alert=alert)
        if request.transport:
            request.transport.abort()
        return web.Response(status=500)

    def _begin_answer(self, notice: dict[str, Any], digest: str) -> None:
        """Answer beside the loop: what one notice waits for must not hold up the next."""
        task = asyncio.create_task(self._answer(notice, digest))
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _answer(self, notice: dict[str, Any], digest: str) -> None:
        async with self._places:
            await self._open_and_acknowledge(notice, digest)

    async def _open_and_acknowledge(self, notice: dict[str, Any], digest: str) -> None:
        delivery = str(notice["delivery"])
        for _ in range(TRIES):
            if not notice.get("test"):  # which has no content
                opened = await self._call(
                    "GET", _path(notice["content"]["url"]), grant=notice["content"]["grant"]
                )
                if opened is None:
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                told = opened.get("narrative")
                narrative = mark_of(str(told), os.environ.get(MARK_KEY, "")) if told else ""
                self._journal.write(
                    self.member, delivery, digest, "opened", alert=str(notice["alert"]), narrative=narrative
                )
            receipt = {
                "delivery": delivery,
                "notice_digest": digest,
                "status": "received",
                "person": {"name": "Кезекші маман", "position": "кезекші"},
                "reference": f"SIM-{uuid4().hex[:8]}",
                "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            }
            if await self._call("POST", _path(notice["receipt"]["url"]), receipt=receipt) is not None:
                done = "test_answered" if notice.get("test") else "receipt_accepted"
                self._journal.write(self.member, delivery, digest, done, alert=str(notice["alert"]))
                return
            await asyncio.sleep(RETRY_SECONDS)

    async def _call(
        self, method: str, path: str, *, grant: str = "", receipt: dict[str, Any] | None = None
    ) -> Any | None:
        """One call through the gateway; ``None`` when it did not succeed."""
        try:
            headers = {"Authorization": f"Bearer {await self._bearer()}"}
            body: bytes | None = None
            if grant:
                headers["Dabyl-Grant"] = grant
            if receipt is not None:
                body, headers["Content-Type"] = self._signed(receipt)
            async with self._http.request(method, self._gateway + path, data=body, headers=headers) as answer:
                return await answer.json() if answer.status < 300 else None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError):
            return None

    def _signed(self, receipt: dict[str, Any]) -> tuple[bytes, str]:
        text = json.dumps(receipt, ensure_ascii=False)
        if not self.member.receipt_key:
            return text.encode(), "application/json"
        key = OKPKey.import_key(json.loads(self.member.receipt_key))
        compact = jws.serialize_compact({"alg": "Ed25519"}, text, key, algorithms=["Ed25519"])
        return compact.encode(), "application/jose"

    async def _bearer(self) -> str:
        token, until = self._token
        if until > time.monotonic():
            return token
        form = {
            "grant_type": "client_credentials",
            "client_id": self.member.client_id,
            "client_secret": self.member.client_secret,
        }
        async with self._http.post(f"{self._gateway}/oauth/token", data=form) as answer:
            granted = await answer.json()
        self._token = (str(granted["access_token"]), time.monotonic() + granted["expires_in"] / 2)
        return self._token[0]


def _path(url: str) -> str:
    """The path of a URL in a notice; the host is the gateway we were connected to."""
    return url[url.index("/v1/") :]


def _is_about_others(notice: dict[str, Any]) -> bool:
    return "silent" in notice or "breached" in notice
