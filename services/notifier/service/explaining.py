"""Why a stored duty is owed and how its clock was counted, in words, by the edition it was born under."""

from collections.abc import Mapping
from typing import Any

from notifier.domain.edition import Phrase
from notifier.domain.explanation import Language, explain_obligation
from notifier.service.desk import Desk

OVERTAKEN = Phrase(
    kk="Кейін белгілі болған жағдайлар бойынша заң мұны енді талап етпейді; міндет өз мерзімімен сақталады",
    ru="По узнанным позже фактам закон этого больше не требует; обязанность и её срок остаются",
    en="No longer asked for on these facts; the duty and its clock stand all the same",
)

LANGUAGES: tuple[Language, ...] = ("kk", "ru", "en")


def explained(desk: Desk, row: Mapping[str, Any]) -> dict[str, Any]:
    """A duty as it is shown, with ``explanation``: lines by language.

    Paragraph and force, who owes what to whom, the reading, the clock, what meets it, the edition.

    Raises:
        KeyError: the row names an edition or a rule that this lawbook does not have: the file of an edition
            that has been in force was removed, which must never happen.
    """
    edition = desk.lawbook.edition(row["edition"])
    explanation = {
        language: [
            line.strip()
            for line in explain_obligation(
                edition,
                row["rule"],
                obliged=row["obliged"],
                recipient=row["recipient"],
                starts_at=row["starts_at"],
                pending=row["state"] == "pending",
                calendar=desk.lawbook.calendar,
                language=language,
            )
        ]
        for language in LANGUAGES
    }
    if row.get("overtaken_at") is not None:
        for language in LANGUAGES:
            explanation[language].append(getattr(OVERTAKEN, language))
    return {**row, "explanation": explanation}
