"""Facts and lawbooks for tests; every argument optional, a school's report on a Friday by default."""

from datetime import datetime
from functools import cache
from typing import Any

from notifier.domain.calendar import LOCAL
from notifier.domain.facts import Facts
from notifier.lawbook import Lawbook

FRIDAY = "2026-10-23 15:00:00"
"""Before Republic Day (Sunday 25 October 2026) and its substitute: the worked figures start here."""


def local(moment: str) -> datetime:
    """Almaty time as a person writes it."""
    return datetime.fromisoformat(moment).replace(tzinfo=LOCAL)


def some_facts(**given: Any) -> Facts:
    """Violence reported by a school in Almaty."""
    received = local(given.pop("received", FRIDAY))
    concerns = frozenset(given.pop("concerns", ["violence"]))
    facts = {"territory": "KZ-75", "reporter": "education_org", "received_at": received, **given}
    return Facts(concerns=concerns, **facts)


@cache
def the_lawbook() -> Lawbook:
    """The law as it ships."""
    return Lawbook.load()
