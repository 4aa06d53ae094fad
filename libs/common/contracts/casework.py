"""What casework tells the others: signed facts that meet duties."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from common.contracts.envelope import Event


class CaseManagerAppointed(Event):
    """A case manager was appointed: meets ``R136-12.2`` (joint order ¶12(2)) of every alert of the case.

    ``evidence_id`` refers to the appointment act in casework; the person stays there.
    """

    type: ClassVar[str] = "kz.dabyl.case_manager.appointed.v1"
    publisher: ClassVar[str] = "casework"
    consumers: ClassVar[tuple[str, ...]] = ("notifier",)

    case_id: UUID
    alert_ids: tuple[UUID, ...]
    evidence_id: UUID
    appointed_at: datetime


class CaseFact(Event):
    """A signed fact of a case: meets and opens duties of every alert of the case.

    Attributes:
        evidence_id: the record in casework; persons, documents and words stay there.
        fact: its code in the edition's list of facts.
        happened_at: when it happened, not when it was recorded.
        supersedes: the earlier record whose place it takes.
        by: base64 of an HPKE sealing for ``notifier`` (key ``routing``) of ``{"agency": uuid}``, AAD
            ``evidence_id``: whose act it was; ``None`` where it speaks for the whole case.
    """

    publisher: ClassVar[str] = "casework"
    consumers: ClassVar[tuple[str, ...]] = ("notifier",)

    case_id: UUID
    alert_ids: tuple[UUID, ...]
    evidence_id: UUID
    fact: str
    happened_at: datetime
    supersedes: UUID | None = None
    by: str | None = None


class VisitRecorded(CaseFact):
    """The immediate visit was made (joint order ¶12(3))."""

    type: ClassVar[str] = "kz.dabyl.visit.recorded.v1"


class AssessmentSigned(CaseFact):
    """The initial assessment was signed (joint order ¶21, Appendix 1)."""

    type: ClassVar[str] = "kz.dabyl.assessment.signed.v1"


class PlanApproved(CaseFact):
    """The head signed the rehabilitation plan (joint order ¶22–24, Appendix 2)."""

    type: ClassVar[str] = "kz.dabyl.plan.approved.v1"


class CommissionDecided(CaseFact):
    """The commission for minors decided on measures."""

    type: ClassVar[str] = "kz.dabyl.commission.decided.v1"


class ParentsInformed(CaseFact):
    """The parents were told, by a person: Dabyl never does."""

    type: ClassVar[str] = "kz.dabyl.parents.informed.v1"


class ParentsNotInformed(CaseFact):
    """It was decided not to tell the parents; the reason lies sealed in casework."""

    type: ClassVar[str] = "kz.dabyl.parents.not_informed.v1"


class CaseFactRecorded(CaseFact):
    """Any other fact of a case; ``fact`` says which."""

    type: ClassVar[str] = "kz.dabyl.case_fact.recorded.v1"


EVENT_OF: dict[str, type[CaseFact]] = {
    "visit.recorded": VisitRecorded,
    "assessment.signed": AssessmentSigned,
    "plan.approved": PlanApproved,
    "commission.decided": CommissionDecided,
    "parents.informed": ParentsInformed,
    "parents.not_informed": ParentsNotInformed,
}
"""Facts with an event type of their own, by code; every other travels as ``CaseFactRecorded``."""

CASE_FACTS: tuple[type[CaseFact], ...] = (*EVENT_OF.values(), CaseFactRecorded)
