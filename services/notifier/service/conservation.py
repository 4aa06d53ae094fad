"""Weighs the ledger against the conservation law, for the operator, the metric and the command."""

from datetime import datetime, timedelta

from opentelemetry.metrics import Meter

from common.db import Session
from common.telemetry import log
from notifier.domain.conservation import Balance, Imbalance, Law
from notifier.domain.delivery import State
from notifier.repository import conservation as ledger

ASLEEP_AFTER = timedelta(seconds=60)
"""The scan looks every second; a row that nobody woke for a minute: no worker runs, or it fails on it."""
STUCK_AFTER = timedelta(seconds=60)
RECENT = timedelta(days=2)
"""What the job weighs each minute; the command and the door weigh everything when asked to."""
GENTLY = 2.0
"""How many times as long as each law takes the job rests after it: its queries in a row keep one of two cores
busy, and the alerts of that moment wait for it (measured: some 100 ms for ten of them, once a minute)."""
MOST = 1000
SAMPLE = 5


async def weigh(
    session: Session, *, now: datetime, since: datetime | None = None, rest: float = 0.0
) -> Balance:
    """Every law over every stored row, or over those planned since a moment."""
    planned, states = await ledger.count_states(session, since=since)
    broken = await ledger.find_broken(
        session, since=since, asleep_before=now - ASLEEP_AFTER, stuck_before=now - STUCK_AFTER, limit=MOST,
        rest=rest,
    )  # fmt: skip
    imbalances = tuple(Imbalance(law, len(ids), tuple(ids[:SAMPLE])) for law, ids in broken.items())
    return Balance(now, since, planned, states, imbalances)


class BalanceBoard:
    """Keeps metrics on the newest balance: rows that break a law, deliveries by state, and when that was."""

    def __init__(self, meter: Meter) -> None:
        self._broken = meter.create_gauge(
            "dabyl.conservation.broken", description="rows that break a law of the ledger"
        )
        self._standing = meter.create_gauge(
            "dabyl.deliveries", description="deliveries of the last two days by state"
        )
        self._weighed = meter.create_gauge(
            "dabyl.conservation.weighed", unit="s", description="unix time of the last weighing"
        )

    def show(self, balance: Balance) -> None:
        """Every law and every state each time: what was mended falls to nothing and does not linger."""
        counts = {one.law: one.count for one in balance.imbalances}
        for law in Law:
            self._broken.set(counts.get(law, 0), {"law": law.value})
        for state in State:
            self._standing.set(balance.states.get(state.value, 0), {"state": state.value})
        self._weighed.set(balance.at.timestamp())
        for one in balance.imbalances:
            log.error("conservation_broken", reason=one.law.value, count=one.count)
