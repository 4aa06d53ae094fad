"""A reporting agency's system: posts with an Idempotency-Key, repeats until answered, keeps a log."""

import asyncio
import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from dabyl.simulators.journal import mark_of

KEY = secrets.token_hex(16)
"""Key of the marks in both logs: they can be compared, and say nothing to others."""

PAUSE_SECONDS = 0.3
AT_ONCE = 8


@dataclass(frozen=True)
class Kind:
    """Facts of one sort of alert; everything personal is made up per alert."""

    name: str
    facts: dict[str, Any]


@dataclass(frozen=True)
class Credentials:
    """Of the reporting agency's system."""

    client_id: str
    client_secret: str


class Reporter(threading.Thread):
    """Posts ``count`` alerts of alternating kinds; ends with the last answer.

    Args:
        every: shortest time between two alerts, in seconds.
        receipts: how many receipts an alert of each kind ends with.
        brake: no new alert is posted while it says so: the house has enough in hand.
    """

    def __init__(
        self,
        url: str,
        credentials: Credentials,
        kinds: list[Kind],
        log: Path,
        *,
        count: int,
        every: float,
        receipts: Mapping[str, int],
        brake: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(name="reporter", daemon=True)
        self._url = url
        self._credentials = credentials
        self._kinds = kinds
        self._log = log.open("a", buffering=1)
        self.count = count
        self._every = every
        self._receipts = receipts
        self._brake = brake
        self._run = uuid4().hex[:8]
        self._token = ("", 0.0)
        self.accepted = 0
        self.receipts_due = 0
        self.failed_tries = 0
        self.give_up = threading.Event()

    def run(self) -> None:
        """The thread's whole life."""
        asyncio.run(self._report())

    async def _report(self) -> None:
        places = asyncio.Semaphore(AT_ONCE)
        async with (
            httpx.AsyncClient(base_url=self._url, timeout=15, trust_env=False) as http,
            asyncio.TaskGroup() as all_of,
        ):
            for number in range(self.count):
                await places.acquire()
                while self._brake() and not self.give_up.is_set():
                    await asyncio.sleep(0.1)
                task = all_of.create_task(self._post_until_accepted(http, number))
                task.add_done_callback(lambda _: places.release())
                await asyncio.sleep(self._every)
        self._log.close()

    async def _post_until_accepted(self, http: httpx.AsyncClient, number: int) -> None:
        kind = self._kinds[number % len(self._kinds)]
        reference = f"KILL-{self._run}-{number:05}"
        narrative = f"Сынақ баяндамасы {reference}"
        body = {
            **kind.facts,
            "child": {"name": f"Сынақ Бала {number}", "birth_date": "2015-03-14", "sex": "female"},
            "narrative": narrative,
            "reference": reference,
        }
        self._write("posting", reference, kind=kind.name, narrative=mark_of(narrative, KEY))
        key = f'"{reference}"'
        while not self.give_up.is_set():
            try:
                headers = {"Authorization": f"Bearer {await self._bearer(http)}", "Idempotency-Key": key}
                answer = await http.post("/v1/alerts", json=body, headers=headers)
            except (httpx.HTTPError, KeyError, ValueError):
                answer = None
            if answer is not None and answer.status_code in (200, 201):
                self._write("accepted", reference, status=answer.status_code, id=answer.json()["id"])
                self.accepted += 1
                self.receipts_due += self._receipts[kind.name]
                return
            if answer is not None and answer.status_code == 401:
                self._token = ("", 0.0)
            self.failed_tries += 1
            self._write("refused", reference, status=answer.status_code if answer is not None else 0)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _bearer(self, http: httpx.AsyncClient) -> str:
        token, until = self._token
        if until > time.monotonic():
            return token
        form = {
            "grant_type": "client_credentials",
            "client_id": self._credentials.client_id,
            "client_secret": self._credentials.client_secret,
        }
        granted = (await http.post("/oauth/token", data=form)).raise_for_status().json()
        self._token = (str(granted["access_token"]), time.monotonic() + granted["expires_in"] / 2)
        return self._token[0]

    def _write(self, event: str, reference: str, **more: object) -> None:
        line = {"at": datetime.now(UTC).isoformat(), "event": event, "reference": reference, **more}
        self._log.write(json.dumps(line) + "\n")
