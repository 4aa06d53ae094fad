"""Ids the outside can see are random (UUIDv4), never time-ordered (architecture §4)."""

import hmac
import os
from uuid import UUID

_AT_ONCE = 256
_drawn: list[bytes] = []


def new_id() -> UUID:
    """A random id (RFC 9562 version 4), from the system's generator."""
    if not _drawn:
        # One call to the system for many: an alert has a hundred ids, and a call costs more than the rest.
        many = os.urandom(16 * _AT_ONCE)
        _drawn.extend(many[start : start + 16] for start in range(0, len(many), 16))
    return UUID(bytes=_drawn.pop(), version=4)


def _forget_drawn() -> None:
    _drawn.clear()


# A forked child must not give out its parent's ids.
os.register_at_fork(after_in_child=_forget_drawn)


def pairwise(key: bytes, alert_id: UUID, agency_id: UUID) -> UUID:
    """The id under which one agency knows one alert: two agencies cannot link theirs.

    Args:
        key: 32 bytes, secret ``pairwise`` (held by intake and notifier only).
        alert_id: internal id.
        agency_id: registry id.

    Returns:
        HMAC-SHA-256 of both ids, cut to 16 bytes, with the version and variant bits of a UUIDv4.
    """
    mac = hmac.digest(key, alert_id.bytes + agency_id.bytes, "sha256")
    return UUID(bytes=mac[:16], version=4)
