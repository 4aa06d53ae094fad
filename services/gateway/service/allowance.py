"""How much each caller may ask: sliding windows in memory, per process, gone at a restart.

Nothing about a caller is kept beyond that. Buckets never take from one another, and an alert about a
direct threat is counted but never refused (architecture §3; trust S-14).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from time import time as _clock

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from gateway.domain.routes import Bucket

WINDOW = 60
"""Seconds."""


@dataclass(frozen=True)
class Allowance:
    """What is left, as draft-ietf-httpapi-ratelimit-headers-11 says it."""

    bucket: str
    quota: int
    remaining: int
    reset: int
    granted: bool

    def headers(self) -> dict[str, str]:
        """``RateLimit-Policy`` and ``RateLimit``, and ``Retry-After`` when nothing is left."""
        headers = {
            "RateLimit-Policy": f'"{self.bucket}";q={self.quota};w={WINDOW}',
            "RateLimit": f'"{self.bucket}";r={self.remaining};t={self.reset}',
        }
        return headers if self.granted else headers | {"Retry-After": str(max(1, self.reset))}


class Allowances:
    """One window per caller and bucket."""

    def __init__(self, quotas: Mapping[Bucket, int]) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._items = {bucket: RateLimitItemPerMinute(quota) for bucket, quota in quotas.items()}

    async def take(self, bucket: Bucket, caller: str) -> Allowance:
        """Count one request of ``caller``; ``granted`` says whether it may go on."""
        item = self._items[bucket]
        granted = await self._limiter.hit(item, bucket.value, caller)
        stats = await self._limiter.get_window_stats(item, bucket.value, caller)
        seconds = max(0, ceil(stats.reset_time - _clock()))
        return Allowance(
            bucket.value,
            item.amount,
            max(0, stats.remaining),
            min(WINDOW, seconds),
            granted or bucket is Bucket.THREATS,
        )


class Failures:
    """Wrong secrets of one caller at one door; right ones cost nothing."""

    def __init__(self, per_minute: int) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._item = RateLimitItemPerMinute(per_minute)

    async def too_many(self, caller: str) -> bool:
        """True when this caller failed too often in the last minute."""
        return not await self._limiter.test(self._item, "failures", caller)

    async def count(self, caller: str) -> None:
        """One more failure."""
        await self._limiter.hit(self._item, "failures", caller)
