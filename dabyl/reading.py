"""``dabyl law explain``: the law read aloud for facts in a file; needs no running house."""

from typing import Any, Literal

from common.timing import utc_now
from notifier.domain.explanation import explain as explain_facts
from notifier.lawbook import Lawbook
from notifier.schemas import FactsIn


def explain(raw: dict[str, Any], *, language: Literal["kk", "ru", "en"]) -> list[str]:
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
