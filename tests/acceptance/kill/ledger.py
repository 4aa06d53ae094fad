"""What agencies heard against what the house wrote down: the one judgement that reads the house's own tables.

The checker's two logs cannot show whether a row was there before the bytes (I4), whether a repeat had a cause
(I7), or, at a body that does not read, whether each notice was meant for it (I2).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from tests.acceptance.kill.checker import Told, Verdict
from tests.parts.postgres import outside_any_loop

ASKED = frozenset({"200", "500", "reset", "test"})
"""Answers to a request that the house made; what an agency pulls it asks for itself."""

SHORTEST_LEASE = timedelta(seconds=30)
"""An attempt whose result nobody could write is repeated after this, and not before."""


@dataclass(frozen=True)
class Attempt:
    """A row of the ledger; ``outcome`` is empty while it is under way."""

    no: int
    started_at: datetime
    ended_at: datetime | None
    outcome: str


@dataclass(frozen=True)
class Entry:
    """A delivery as the house knows it."""

    agency: str
    attempts: tuple[Attempt, ...]


def compare(told: Iterable[Told], ledger: Mapping[str, Entry], verdict: Verdict) -> None:
    """Add what does not agree. Sorts: unplanned, misrouted, unrecorded, needless."""
    heard: dict[tuple[str, str], int] = defaultdict(int)
    for line in told:
        if line.answer in ASKED:
            heard[line.delivery, line.agency] += 1
    for (delivery, agency), times in sorted(heard.items()):
        entry = ledger.get(delivery)
        if entry is None:
            verdict.found("unplanned", f"{agency} was asked to take {delivery}, which is in no row")
            continue
        if entry.agency != agency:
            verdict.found("misrouted", f"delivery {delivery} of {entry.agency} came to {agency}")
        if times > len(entry.attempts):
            verdict.found(
                "unrecorded", f"delivery {delivery}: {times} requests, {len(entry.attempts)} attempt rows"
            )
    for delivery, entry in sorted(ledger.items()):
        for before, after in zip(entry.attempts, entry.attempts[1:], strict=False):
            if _got_through(before, after):
                verdict.found("needless", f"delivery {delivery}: attempt {after.no} after an accepted one")


def _got_through(before: Attempt, after: Attempt) -> bool:
    """Whether it was known, when the next one began, that nothing was left to be sent."""
    return (
        before.outcome == "accepted"
        and before.ended_at is not None
        and before.ended_at <= after.started_at
        and after.started_at - before.started_at < SHORTEST_LEASE
    )


def read_known(url: str) -> frozenset[str]:
    """Alerts that notifier has, by the ids that their reporter was given."""
    found: set[str] = set()

    async def read() -> None:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""), timeout=20)
        try:
            rows = await connection.fetch("SELECT handle FROM alert_handles WHERE is_reporter = 'y'")
        finally:
            await connection.close()
        found.update(str(row["handle"]) for row in rows)

    outside_any_loop(read())
    return frozenset(found)


def read_ledger(url: str) -> dict[str, Entry]:
    """Every delivery to a body that is known, with its attempts in order.

    Args:
        url: notifier's database, as SQLAlchemy names it.
    """
    found: dict[str, Entry] = {}

    async def read() -> None:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""), timeout=20)
        try:
            rows = await connection.fetch(
                "SELECT d.id, b.code, a.no, a.started_at, a.ended_at, a.outcome FROM deliveries d"
                " JOIN agencies b ON b.id = d.agency_id LEFT JOIN attempts a ON a.delivery_id = d.id"
                " ORDER BY d.id, a.no"
            )
        finally:
            await connection.close()
        by_delivery: dict[tuple[str, str], list[Attempt]] = defaultdict(list)
        for row in rows:
            attempts = by_delivery[str(row["id"]), row["code"]]
            if row["no"] is not None:
                attempts.append(Attempt(row["no"], row["started_at"], row["ended_at"], row["outcome"] or ""))
        found.update({
            delivery: Entry(agency, tuple(attempts)) for (delivery, agency), attempts in by_delivery.items()
        })  # fmt: skip

    outside_any_loop(read())
    return found
