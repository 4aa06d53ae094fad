"""Legal clocks: when a duty is due, and when it is formally breached (architecture §3, *Clocks*).

Two moments: ``due_at`` is the stricter reading and drives alarms, ``breach_at`` is the later reading and is
the formal breach (``law/discrepancies.md`` J12). ``due_at`` is never later than ``breach_at``.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal, NamedTuple

from notifier.domain.calendar import LOCAL, WorkingCalendar, end_of, local_day, start_of

ClockKind = Literal["immediately", "hours", "same_day", "working_days", "none"]
Counted = Literal["from_moment", "from_day"]


class Times(NamedTuple):
    """Both limits of a duty in UTC; ``None`` where the law gives none. Unpacks as a pair."""

    due_at: datetime | None
    breach_at: datetime | None


@dataclass(frozen=True, slots=True)
class Clock:
    """How long a duty may take, and how that is counted.

    Attributes:
        kind: ``immediately`` (a target, not law), ``hours`` and ``same_day`` (round the clock),
            ``working_days``, or ``none``: the text gives no limit, or another act does.
        amount: hours or working days; 0 for the other kinds.
        counted: for working days only: *from the moment* (сәттен бастап) or *from the day* (күннен бастап).
        target: for ``immediately`` only: the policy target, since the law gives no number.
        binding: for working days only: ``False`` where the number is a target of ours and not law.
    """

    kind: ClockKind
    amount: int = 0
    counted: Counted | None = None
    target: timedelta = timedelta(minutes=15)
    binding: bool = True

    @property
    def code(self) -> str:
        """Short stable code: ``immediately``, ``1h``, ``same_day``, ``3wd_from_day``, ``none``."""
        if self.kind == "hours":
            return f"{self.amount}h"
        if self.kind == "working_days":
            return f"{self.amount}wd_{self.counted}" + ("" if self.binding else "_target")
        return self.kind

    @property
    def is_target(self) -> bool:
        """True when ``due_at`` is a target of ours and not a limit of the law."""
        return self.kind == "immediately" or not self.binding

    def times(self, starts_at: datetime, calendar: WorkingCalendar) -> Times:
        """Both limits of a duty whose holder got the information at ``starts_at``.

        ``starts_at`` must be aware (``ValueError``); the answer is in UTC. Pure: the same start and
        calendar always give the same limits, so a pending duty is restarted by calling this again.
        """
        if starts_at.tzinfo is None:
            raise ValueError("starts_at must be aware")
        starts_at = starts_at.astimezone(UTC)
        match self.kind:
            case "immediately":
                return Times(starts_at + self.target, None)
            case "hours":
                limit = starts_at + timedelta(hours=self.amount)
                return Times(limit, limit)
            case "same_day":
                limit = max(starts_at, end_of(local_day(starts_at)))
                return Times(limit, limit)
            case "working_days":
                due_at, breach_at = self._working_days(starts_at, calendar)
                return Times(due_at, breach_at if self.binding else None)
            case _:
                return Times(None, None)

    def is_provisional(self, starts_at: datetime, calendar: WorkingCalendar) -> bool:
        """True when a limit was counted over a year whose moved days nobody has confirmed."""
        if self.kind != "working_days":
            return False
        _, breach_at = self._working_days(starts_at, calendar)
        last = local_day(breach_at) if breach_at else local_day(starts_at)
        return calendar.is_provisional(local_day(starts_at), last)

    def _working_days(self, starts_at: datetime, calendar: WorkingCalendar) -> Times:
        breach_at = end_of(calendar.after(local_day(starts_at), self.amount))
        strict = self._from_moment if self.counted == "from_moment" else self._from_day
        return Times(max(starts_at, min(strict(starts_at, calendar), breach_at)), breach_at)

    def _from_moment(self, starts_at: datetime, calendar: WorkingCalendar) -> datetime:
        """Same time of day N working days later; a receipt on a day off starts at the next 00:00."""
        received_on = local_day(starts_at)
        first = calendar.first_working(received_on)
        if first != received_on:
            return start_of(calendar.after(first, self.amount))
        due_on: date = calendar.after(first, self.amount)
        time_of_day = starts_at.astimezone(LOCAL).timetz()
        return datetime.combine(due_on, time_of_day).astimezone(UTC)

    def _from_day(self, starts_at: datetime, calendar: WorkingCalendar) -> datetime:
        """End of day N, where the day of receipt, or else the next working day, is day 1."""
        return end_of(calendar.after(calendar.first_working(local_day(starts_at)), self.amount - 1))
