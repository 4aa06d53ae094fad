"""The conservation law of deliveries: nothing planned can be missing, nothing can be more than was proven.

Each law is a sentence about stored rows that no order of events, crash or repeat may break.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Law(StrEnum):
    """What must hold; the name is what is wrong when it does not."""

    NOTICE_WITHOUT_DELIVERY = "notice_without_delivery"
    """An unmet notice duty has a delivery, or a time at which it leaves by itself; or a person lets it go."""
    DELIVERY_MISSING = "delivery_missing"
    """A delivery that a duty names exists."""
    MET_WITHOUT_PROOF = "met_without_proof"
    """A notice duty is met by a delivery that got through, or by evidence."""
    NOTICE_MISSING = "notice_missing"
    """A delivery that has an agency has its bytes."""
    FORGOTTEN = "forgotten"
    """A delivery that is not final has a time to wake up."""
    ASLEEP = "asleep"
    """Whoever should have woken up has done so: nothing is overdue for longer than the scan may take.

    What waits for a place at an endpoint that is being worked on is not asleep; an immediate notice that was
    never tried is, for it has places of its own."""
    CLOCK_ASLEEP = "clock_asleep"
    """Every clock of a duty or a period that fell due was looked at: what leaves by itself has left."""
    ATTEMPT_NOT_RECORDED = "attempt_not_recorded"
    """As many attempts are on record as were made."""
    TRANSMITTED_WITHOUT_PROOF = "transmitted_without_proof"
    """What was transmitted has an attempt that got through, was fetched, read or answered."""
    ANSWER_WITHOUT_RECEIPT = "answer_without_receipt"
    """What was answered has its receipt."""
    RECEIPT_OF_ANOTHER = "receipt_of_another"
    """A receipt is the addressee's own."""
    NOT_ON_RECORD = "not_on_record"
    """Planning of each delivery is in the audit record."""
    EVENT_STUCK = "event_stuck"
    """No event waits in the outbox for longer than a minute."""


@dataclass(frozen=True, slots=True)
class Imbalance:
    """A law that is broken: by how many rows (at most as many as were asked for), and some of their ids."""

    law: Law
    count: int
    sample: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Balance:
    """The ledger weighed at a moment.

    Attributes:
        since: what was planned before it was left out, save where it is overdue; ``None``: all was weighed.
        planned: deliveries; ``states`` how many stand in each state.
    """

    at: datetime
    since: datetime | None
    planned: int
    states: Mapping[str, int]
    imbalances: tuple[Imbalance, ...]

    @property
    def holds(self) -> bool:
        """Whether every law holds and the states add up."""
        return not self.imbalances and sum(self.states.values()) == self.planned
