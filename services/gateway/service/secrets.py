"""Client secrets: argon2id, checked in a thread, and remembered for a minute once proven."""

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from common.timing import Now

REMEMBER = timedelta(seconds=60)
REMEMBERED = 1024
AT_ONCE = 2
"""argon2 takes 64 MiB and a core for 0.2 s: more at once would let strangers starve everybody."""


def digest_of(secret: str) -> str:
    """SHA-256 of a random 256-bit value; enough for codes and cookies, which nobody can guess."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_secret() -> str:
    """43 characters, 256 bits."""
    return secrets.token_urlsafe(32)


class SecretChecker:
    """Hashes and checks client secrets without blocking anything else."""

    def __init__(self, *, now: Now) -> None:
        self._hasher = PasswordHasher()
        self._now = now
        self._pepper = secrets.token_bytes(32)
        self._proven: OrderedDict[bytes, datetime] = OrderedDict()
        self._gate = asyncio.Semaphore(AT_ONCE)
        # A client that does not exist costs as much time as a wrong secret: neither can be told apart.
        self._decoy = ""

    async def hash(self, secret: str) -> str:
        """An argon2id hash with its own salt (RFC 9106 low-memory profile)."""
        async with self._gate:
            return await asyncio.to_thread(self._hasher.hash, secret)

    def is_proven(self, stored: str, secret: str) -> bool:
        """True when this very secret was right within the last minute; costs nothing."""
        return self._proven.get(self._mark(stored, secret), self._now()) > self._now()

    async def matches(self, stored: str | None, secret: str) -> bool:
        """True when ``secret`` is the one behind ``stored``; ``None`` stands for an unknown client."""
        if stored is not None and self.is_proven(stored, secret):
            return True
        if not self._decoy:
            self._decoy = await self.hash(new_secret())
        async with self._gate:
            right = await asyncio.to_thread(self._verify, stored or self._decoy, secret)
        if right and stored is not None:
            mark = self._mark(stored, secret)
            self._proven[mark] = self._now() + REMEMBER
            self._proven.move_to_end(mark)
            if len(self._proven) > REMEMBERED:
                self._proven.popitem(last=False)
            return True
        return False

    def _mark(self, stored: str, secret: str) -> bytes:
        return hmac.digest(self._pepper, f"{stored}\0{secret}".encode(errors="replace"), "sha256")

    def _verify(self, stored: str, secret: str) -> bool:
        try:
            return self._hasher.verify(stored, secret)
        except (VerificationError, InvalidHashError):
            return False
