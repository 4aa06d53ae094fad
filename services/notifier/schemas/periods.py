"""Periods of duties that return, on the wire."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from common.schemas import Out


class PeriodOut(Out):
    """What one agency owes for one period of a duty that returns.

    Attributes:
        evidence: the return that met it, an id of registry.
        passed_from, passed_to: whose it was before, and whose it is after the mandate ended.
    """

    id: UUID
    agency: UUID
    rule: str
    citation: dict[str, str]
    duty: dict[str, str]
    force: str
    obliged: str
    recipients: list[str]
    period: str
    first_day: date
    last_day: date
    opens_at: datetime
    due_at: datetime
    breach_at: datetime | None
    provisional: bool
    state: Literal["open", "met", "passed"]
    met_at: datetime | None
    alarmed_at: datetime | None
    breached_at: datetime | None
    evidence: UUID | None
    passed_from: UUID | None
    passed_to: UUID | None
