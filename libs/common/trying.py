"""A request whose transaction lost against another one is tried again before anybody hears of it.

PostgreSQL ends one of two transactions that wait for each other, and tells it so: nothing of it holds, and
the same once more usually goes through. Only a request that is one transaction and nothing else is tried
again: whatever has called a neighbour or committed something says 503, and its caller decides.
"""

import asyncio
import secrets
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common.db import is_beaten
from common.telemetry import log

TRIES = 4
PAUSE_SECONDS = 0.02
"""Twice as long after each try, and a random part of it: two that met must not meet again."""
LONGEST_SECONDS = 5.0
"""No further try begins later: whoever asked has a time limit of its own."""

_KEY = "dabyl.try"


class _Try:
    """What is known of one try."""

    def __init__(self) -> None:
        self.is_one_transaction = False
        self.was_beaten = False


def note_one_transaction(scope: Scope) -> None:
    """Say that this request is one transaction, with no call to the outside before or in it."""
    if _KEY in scope:
        scope[_KEY].is_one_transaction = True


def note_failure(scope: Scope, error: Exception) -> None:
    """Say what the request is about to be refused for."""
    if _KEY in scope:
        scope[_KEY].was_beaten = is_beaten(error)


class TryAgain:
    """ASGI middleware inside of which a beaten transaction is begun anew."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the first try that was not beaten, or with the last one."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        fresh = dict(scope)
        heard: list[Message] = []
        for number in range(1, TRIES + 1):
            is_last = number == TRIES or time.monotonic() - began > LONGEST_SECONDS
            if not await self._try(scope, _Hearing(heard, receive), send, is_last=is_last):
                return
            log.info("request_tried_again", count=number)
            await asyncio.sleep(PAUSE_SECONDS * 2 ** (number - 1) * secrets.randbelow(1000) / 1000)
            # The same dictionary, because who measures the request reads from it afterwards.
            scope.clear()
            scope.update(fresh)

    async def _try(self, scope: Scope, receive: Receive, send: Send, *, is_last: bool) -> bool:
        """Whether it was beaten, said nothing yet, and may be tried again."""
        this = scope[_KEY] = _Try()
        is_dropped = False

        async def answer(message: Message) -> None:
            nonlocal is_dropped
            if message["type"] == "http.response.start":
                is_dropped = this.was_beaten and this.is_one_transaction and not is_last
            if not is_dropped:
                await send(message)

        await self._app(scope, receive, answer)
        return is_dropped


class _Hearing:
    """What the caller sends, from its beginning for every try."""

    def __init__(self, heard: list[Message], receive: Receive) -> None:
        self._heard = heard
        self._receive = receive
        self._next = 0

    async def __call__(self) -> Message:
        if self._next == len(self._heard):
            message = await self._receive()
            if message["type"] != "http.request":
                return message
            self._heard.append(message)
        self._next += 1
        return self._heard[self._next - 1]
