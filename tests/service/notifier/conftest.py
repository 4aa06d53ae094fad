"""A ledger with every body of KZ-75 registered; most of them pull."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from common.keys import KeyRing
from common.telemetry import Telemetry
from common.testing import FrozenNow
from common.timing import utc_now
from tests.factories.notifier import QUICK, Ledger


@pytest.fixture
async def ledger(db_url: Any, keys: KeyRing, now: FrozenNow) -> AsyncIterator[Ledger]:
    """A clock that stands, and no worker: what is planned stays as it is."""
    ledger = Ledger.open(db_url("notifier"), keys, now)
    await ledger.register_all()
    yield ledger
    await ledger.db.close()


@pytest.fixture
async def live(db_url: Any, keys: KeyRing) -> AsyncIterator[Ledger]:
    """The real clock and a quick pace, for tests with a worker and real HTTP."""
    ledger = Ledger.open(db_url("notifier"), keys, utc_now, tiers=QUICK)
    await ledger.register_all()
    yield ledger
    await ledger.db.close()


@pytest.fixture
def telemetry() -> Telemetry:
    """Spans that go nowhere."""
    return Telemetry("notifier")
