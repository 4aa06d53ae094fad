"""Client secrets: argon2id, checked in a thread, and remembered for hours once proven."""

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from common.timing import Now
from gateway.errors import DoorBusy

REMEMBER = timedelta(hours=12)
"""From the last use. Bound to the stored hash: a changed secret is another one, a revoked one not asked."""
REMEMBERED = 16_384
AT_ONCE = 1
"""In each of the two lanes: argon2 takes 64 MiB and a core for 0.2 s."""
WAITING = 64
"""Known clients; the last of them waits some ten seconds."""
STRANGERS_WAITING = 16
"""Their answer is no in any case; they wait only so that it comes no sooner than another's."""


def digest_of(secret: str) -> str:
    """SHA-256 of a random 256-bit value; enough for codes and cookies, which nobody can guess."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_secret() -> str:
    """43 characters, 256 bits."""
    return secrets.token_urlsafe(32)


class _Lane:
    """So many at once, so many waiting in order, and no more."""

    def __init__(self, waiting: int) -> None:
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._most = AT_ONCE + waiting
        self._inside = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        if self._inside >= self._most:
            raise DoorBusy
        self._inside += 1
        try:
            async with self._gate:
                yield
        finally:
            self._inside -= 1


class SecretChecker:
    """Hashes and checks client secrets without blocking anything else."""

    def __init__(self, *, now: Now) -> None:
        self._hasher = PasswordHasher()
        self._now = now
        self._pepper = secrets.token_bytes(32)
        self._proven: OrderedDict[bytes, datetime] = OrderedDict()
        self._known = _Lane(WAITING)
        self._strangers = _Lane(STRANGERS_WAITING)
        # A client that does not exist costs as much time as a wrong secret: neither can be told apart.
        self._decoy = ""

    async def hash(self, secret: str) -> str:
        """An argon2id hash with its own salt (RFC 9106 low-memory profile); raises ``DoorBusy``."""
        async with self.turn(is_known=True):
            return await asyncio.to_thread(self._hasher.hash, secret)

    @asynccontextmanager
    async def turn(self, *, is_known: bool) -> AsyncIterator[None]:
        """Wait for a turn; strangers wait in a lane of their own and hold up nobody else.

        Raises:
            DoorBusy: as many wait already as may.
        """
        lane = self._known if is_known else self._strangers
        async with lane.turn():
            yield

    def is_proven(self, stored: str, secret: str) -> bool:
        """True when this very secret was right within the last hours; costs nothing."""
        mark = self._mark(stored, secret)
        if self._proven.get(mark, self._now()) <= self._now():
            return False
        self._remember(mark)
        return True

    async def matches(self, stored: str | None, secret: str) -> bool:
        """True when ``secret`` is the one behind ``stored``; ``None`` stands for an unknown client.

        Costs 64 MiB and a core: whoever asks has a ``turn``.
        """
        if stored is None and not self._decoy:
            self._decoy = await asyncio.to_thread(self._hasher.hash, new_secret())
        right = await asyncio.to_thread(self._verify, stored or self._decoy, secret)
        if not right or stored is None:
            return False
        self._remember(self._mark(stored, secret))
        return True

    def _remember(self, mark: bytes) -> None:
        self._proven[mark] = self._now() + REMEMBER
        self._proven.move_to_end(mark)
        if len(self._proven) > REMEMBERED:
            self._proven.popitem(last=False)

    def _mark(self, stored: str, secret: str) -> bytes:
        return hmac.digest(self._pepper, f"{stored}\0{secret}".encode(errors="replace"), "sha256")

    def _verify(self, stored: str, secret: str) -> bool:
        try:
            return self._hasher.verify(stored, secret)
        except (VerificationError, InvalidHashError):
            return False
