"""``dabyl law``: the law read aloud for facts in a file, and two of its editions compared.

Needs no running house.
"""

from datetime import datetime
from typing import Any, Literal

from common.timing import utc_now
from notifier.domain.calendar import LOCAL
from notifier.domain.comparison import diff
from notifier.domain.edition import Edition
from notifier.domain.explanation import explain as explain_facts
from notifier.lawbook import Lawbook
from notifier.schemas import FactsIn

Language = Literal["kk", "ru", "en"]


def explain(raw: dict[str, Any], *, language: Language) -> list[str]:
    """Which duties these facts bring, paragraph by paragraph, with the arithmetic of every clock.

    Args:
        raw: the body of ``POST /v1/obligations/preview``.

    Raises:
        pydantic.ValidationError: not facts.
    """
    book = Lawbook.load()
    asked = FactsIn.model_validate(raw)
    facts = asked.to_facts(now=utc_now(), regional_body=asked.regional_body is not False)
    return explain_facts(book.edition_at(facts.received_at), facts, book.calendar, language)


def compare(before: str, after: str, *, language: Language) -> list[str]:
    """What changed between two editions; each is an edition's id or a day in Almaty (``2026-06-13``).

    Raises:
        KeyError: we hold no such edition.
    """
    book = Lawbook.load()
    return diff(_edition(book, before), _edition(book, after), language)


def _edition(book: Lawbook, named: str) -> Edition:
    try:
        day = datetime.fromisoformat(named).replace(tzinfo=LOCAL)
    except ValueError:
        return book.edition(named)
    return book.edition_at(day)
