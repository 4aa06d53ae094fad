"""Paragraphs that no alert can set off: standing duties, catalogues, forms, returns, and where each lives."""

from dataclasses import dataclass
from typing import Literal

from notifier.domain.edition import Act, Phrase
from notifier.lawbook.document import Document

Lives = Literal["alert", "form", "catalogue", "return", "access", "standing", "another_act", "order"]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the list of obligations that is no rule.

    Attributes:
        id: as in ``law/obligations.md``.
        lives: what holds it instead: a field of the ``alert``, a ``form``, a ``catalogue`` of services, a
            ``return`` to registry, the ``access`` table; or why nothing does: ``standing`` (no event that
            would start it), ``another_act`` (its text is not in our sources), ``order`` (one-off duty of
            the issuers).
        text: the duty, short.
        answer: where exactly, or why not.
    """

    id: str
    paragraph: str
    lives: Lives
    text: Phrase
    obliged: str
    answer: str


def read_rows(file: Document, act: Act) -> list[Row]:
    """The rows of one file, if it has any. Raises ``LawUnreadable``."""
    rows = []
    for node in file.nodes("rows"):
        row_id = node.text("row")
        node.place = f"{node.place} ({act.id} {row_id})"
        rows.append(
            Row(
                id=row_id,
                paragraph=node.text("paragraph"),
                lives=node.one_of("lives", Lives),
                text=node.node("duty").phrase(),
                obliged=node.text("obliged"),
                answer=node.text("answer"),
            )
        )
        node.end()
    return rows
