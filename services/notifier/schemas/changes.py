"""What becomes of an alert, and who has confirmed having heard it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from common.contracts.vocabulary import Concern, OffenderRelation
from common.schemas import In, Out
from notifier.domain.change import ChangeKind
from notifier.schemas.words import Flag, State, Words


class RatingIn(In):
    """What was learned later. What is not said stays; concerns are added, none is taken away."""

    reason: Words
    concerns: list[Concern] = Field([], max_length=7, description="further ones")
    cyber: Flag | None = None
    direct_threat: Flag | None = None
    needs_medical_care: Flag | None = None
    without_parental_care: Flag | None = None
    offender_relation: OffenderRelation | None = None
    parents_may_be_informed: Flag | None = None

    def to_learned(self) -> dict[str, Any]:
        """The facts that were said."""
        told = self.model_dump(mode="json", exclude={"reason"}, exclude_none=True)
        if not told["concerns"]:
            del told["concerns"]
        return told


class ToldOut(Out):
    """How one body stands towards a change; ``confirmed_at``: a person of it answered that notice."""

    delivery: UUID
    agency: UUID | None
    role: str
    state: State
    transmitted_at: datetime | None
    confirmed_at: datetime | None


class ChangeOut(Out):
    """What became of an alert, and who has confirmed having heard it."""

    change: ChangeKind
    no: int = Field(description="of a correction: the version of the record")
    at: datetime
    told: int
    confirmed: int
    bodies: list[ToldOut]
