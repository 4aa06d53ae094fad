"""What tests of every service need: a clock that stands, and parts without a broker."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from common.bus import Bus
from common.bus.memory import MemoryBus
from common.db import Database
from common.doors import Doors
from common.identity import Principal, ServiceTokens
from common.keys import KeyRing
from common.parts import Parts
from common.settings import ServiceSettings
from common.telemetry import Telemetry
from common.timing import Now, utc_now


class FrozenNow:
    """A clock that stands until it is moved."""

    def __init__(self, at: datetime | None = None) -> None:
        self.at = at or datetime(2026, 10, 23, 10, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        """The present."""
        return self.at

    def move(self, by: timedelta) -> None:
        """Let time pass."""
        self.at += by


def parts_for_test(
    service: str, database_url: str, keys: KeyRing, *, bus: Bus | None = None, now: Now = utc_now
) -> Parts:
    """Real parts on this database; the bus is the in-process one unless given."""
    tokens = ServiceTokens(keys, service, now)
    return Parts(
        service=service,
        db=Database(database_url),
        bus=bus or MemoryBus(),
        keys=keys,
        tokens=tokens,
        telemetry=Telemetry(service),
        doors=Doors(ServiceSettings(keys_dir=Path(keys.folder)), tokens),
        now=now,
    )


def bearer(keys: KeyRing, audience: str, principal: Principal, *, now: Now = utc_now) -> dict[str, str]:
    """Headers with which the gateway would pass this caller on."""
    return {"Authorization": f"Bearer {ServiceTokens(keys, 'gateway', now).mint(audience, principal)}"}
