"""Ids the outside can see are random (UUIDv4), never time-ordered (architecture §4)."""

import hmac
from uuid import UUID, uuid4


def new_id() -> UUID:
    """A random id."""
    return uuid4()


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
