"""Seals the audit record: what was written becomes part of a chain that cannot be changed unseen.

Writers know nothing of it. A number is given when a row is written and is seen when its transaction commits,
so numbers can be missing for a while: such holes are noted, and sealed later (late) or given up (void).
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from opentelemetry.metrics import Meter

from common.db import Session
from common.keys import KeyRing
from common.telemetry import log
from notifier.domain.sealed import Head, IsOurs, Ranges, Seal, Sign, seal_next
from notifier.repository import seals
from notifier.repository.turns import try_seals
from notifier.service.verifying import Report

ROWS = 500
"""So many a transaction: hashing them holds up whatever else the process does for some 15 ms."""
GIVEN_UP_AFTER = timedelta(hours=1)
"""No transaction of ours is open for so long."""
BEHIND_AFTER = timedelta(minutes=1)


def signing_with(keys: KeyRing) -> Sign:
    """Signs heads; the key is read when it is first needed."""
    return lambda text: keys.signing("audit").sign(text)


def signed_with(key: Callable[[], Ed25519PublicKey]) -> IsOurs:
    """Tells whether this key's other half signed a head; it is asked for when it is needed."""

    def is_ours(signature: bytes, text: bytes) -> bool:
        try:
            key().verify(signature, text)
        except InvalidSignature:
            return False
        return True

    return is_ours


async def is_anything_due(session: Session, *, now: datetime) -> bool:
    """Whether a pass would find something."""
    return await seals.is_anything_due(session, given_up=now - GIVEN_UP_AFTER)


async def find_head(session: Session) -> Head | None:
    """Of the newest seal."""
    last = await seals.find_last(session)
    return last.head() if last else None


async def is_unnumbered(session: Session) -> bool:
    """Whether there are rows from before there were numbers."""
    return await seals.is_unnumbered(session)


async def number_rows(session: Session) -> None:
    """Give some of them their numbers, so that they are sealed."""
    await seals.number_rows(session, ROWS)


async def seal(session: Session, sign: Sign, *, now: datetime) -> Seal | None:
    """One pass; nothing when another process is at it, or nothing is due."""
    if not await try_seals(session):
        return None
    last = await seals.find_last(session)
    holes = await seals.list_holes(session)
    late = await seals.list_at_holes(session, limit=ROWS) if holes else []
    fresh = await seals.list_fresh(session, after=last.last_seq if last else 0, limit=ROWS - len(late))
    left = _without(holes, [one.seq for one in late])
    due = now - GIVEN_UP_AFTER
    # With as many late ones as fit there may be more of them: none is given up that was not looked for.
    old = [] if len(late) == ROWS else [one for one in left if one[2] <= due]
    void: Ranges = tuple((first, last_seq) for first, last_seq, _ in old)
    if not (late or fresh or void):
        return None
    made = seal_next(last, fresh=fresh, late=late, void=void, sign=sign, now=now)
    kept = {*left, *((first, last_seq, now) for first, last_seq in made.holes)}.difference(old)
    await seals.change_holes(
        session,
        gone=[one[0] for one in holes if one not in kept],
        new=sorted(kept.difference(holes)),
    )
    await seals.add_seal(session, made)
    return made


def _without(holes: list[tuple[int, int, datetime]], numbers: list[int]) -> list[tuple[int, int, datetime]]:
    """What is left of holes when these numbers are there; both ascend."""
    left = []
    coming = iter(numbers)
    one = next(coming, None)
    for first, last, since in holes:
        while one is not None and one <= last:
            if one > first:
                left.append((first, one - 1, since))
            first = one + 1  # noqa: PLW2901  # the rest of this hole is looked at next
            one = next(coming, None)
        if first <= last:
            left.append((first, last, since))
    return left


async def measure_lag(session: Session, *, now: datetime) -> timedelta:
    """For how long the oldest row that is not sealed has been there."""
    oldest = await seals.find_oldest_unsealed(session)
    return max(timedelta(), now - oldest) if oldest else timedelta()


class AuditBoard:
    """Keeps metrics on the chain, and says what is wrong with it. It stops nothing."""

    def __init__(self, meter: Meter) -> None:
        self._lag = meter.create_gauge(
            "dabyl.audit.lag", unit="s", description="age of the oldest act that is not sealed"
        )
        self._broken = meter.create_gauge(
            "dabyl.audit.broken", description="1: the audit record is not what was sealed"
        )
        self._verified = meter.create_gauge(
            "dabyl.audit.verified", unit="s", description="unix time of the last look at the newest seals"
        )

    def show_lag(self, lag: timedelta) -> None:
        """Each minute, in every role."""
        self._lag.set(lag.total_seconds())
        if lag > BEHIND_AFTER:
            log.error("audit_behind", seconds=int(lag.total_seconds()))

    def show(self, report: Report, at: datetime) -> None:
        """After each look."""
        found = report.finding
        self._broken.set(0 if found is None else 1)
        self._verified.set(at.timestamp())
        if found is not None:
            reason = found.fault.name.lower()
            log.error("audit_chain_broken", reason=reason, seq=found.seq, number=found.number)
