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
