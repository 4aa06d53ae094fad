"""When somebody answers a way of an agency: weekly windows and exceptions, local time.

Hours only say whom silence climbs to. A first notice is sent whatever the hour.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from notifier.domain.calendar import LOCAL


def is_on_duty(hours: Mapping[str, Any] | None, moment: datetime) -> bool:
    """Whether somebody answers at an aware ``moment``; no hours are always.

    A window holds from ``opens`` until before ``closes``. An exception takes the place of the weekly
    windows of its date; without windows, nobody is on duty that day.
    """
    if hours is None:
        return True
    local = moment.astimezone(LOCAL)
    day, clock = local.date().isoformat(), local.strftime("%H:%M")
    for exception in hours.get("exceptions", ()):
        if exception["on"] == day:
            return _covers(exception["windows"], clock)
    weekday = local.isoweekday()
    return _covers((each for each in hours.get("weekly", ()) if each["day"] == weekday), clock)


def is_passed_over(rung: int, hours: Mapping[str, Any] | None, moment: datetime) -> bool:
    """Whether this way is off duty at ``moment``; a first way never is."""
    return rung > 0 and not is_on_duty(hours, moment)


def _covers(windows: Iterable[Mapping[str, Any]], clock: str) -> bool:
    # Both are written HH:MM, so that their order as text is their order in time; 24:00 is after all.
    return any(window["opens"] <= clock < window["closes"] for window in windows)
