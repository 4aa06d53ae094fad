"""Time is UTC, aware, and given: nothing below the doors asks for the hour itself."""

from collections.abc import Callable
from datetime import UTC, datetime

Now = Callable[[], datetime]
"""Where a room gets the present from; tests hand in a frozen one."""


def utc_now() -> datetime:
    """The present, aware, UTC."""
    return datetime.now(UTC)
