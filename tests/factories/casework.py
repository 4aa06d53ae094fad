"""Duties, events and callers of casework for tests; every value can be overridden."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from casework.domain.task import Copy, State
from common.contracts.intake import AlertReceived
from common.contracts.notifier import (
    ObligationBreached,
    ObligationFact,
    ObligationMet,
    ObligationOpened,
    ObligationWaived,
)
from common.contracts.vocabulary import Channel, Concern, DutyKind, Occasion
from common.keys import KeyRing
from common.sealing import seal

T0 = datetime(2026, 10, 23, 10, tzinfo=UTC)
DAY = timedelta(days=1)
REGIONAL = "regional_child_rights_body"


def a_copy(obligation_id: UUID | None = None, **values: Any) -> Copy:
    given: dict[str, Any] = {
        "rule": "R136-12.2",
        "obliged": REGIONAL,
        "recipient": "case_manager",
        "force": "joint order",
        "state": State.PENDING,
        "starts_at": T0,
        "due_at": T0 + DAY,
        "breach_at": T0 + 2 * DAY,
        "assignee": None,
    }
    return Copy(obligation_id=obligation_id or uuid4(), **given | values)


def a_duty(rule: str = "R136-12.2", **values: Any) -> ObligationFact:
    given: dict[str, Any] = {
        "obligation_id": uuid4(),
        "rule": rule,
        "kind": DutyKind.ACT,
        "obliged": REGIONAL,
        "recipient": None,
        "force": "joint order",
        "state": "pending",
        "starts_at": T0,
        "due_at": T0 + DAY,
        "breach_at": T0 + 2 * DAY,
    }
    return ObligationFact(**given | values)


def alert_received(alert_id: UUID, **values: Any) -> AlertReceived:
    given: dict[str, Any] = {
        "number": "7K4M-Q2XP-9",
        "received_at": T0,
        "territory": "KZ-75",
        "concerns": (Concern.VIOLENCE,),
        "reporter": "education_org",
        "occasion": Occasion.OWN_DUTIES,
        "channel": Channel.SYSTEM,
        "routing": "",
    }
    return AlertReceived(alert_id=alert_id, **given | values)


def obligation_opened(
    keys: KeyRing, alert_id: UUID, duties: Mapping[ObligationFact, UUID | None]
) -> ObligationOpened:
    """As notifier tells it: the duties, and who owes them, sealed for casework."""
    assignees = {str(duty.obligation_id): str(agency) for duty, agency in duties.items() if agency}
    sealed = seal(keys.sealing_public("assignee"), json.dumps(assignees).encode(), str(alert_id).encode())
    return ObligationOpened(
        alert_id=alert_id,
        territory="KZ-75",
        obligations=tuple(duties),
        assignees=base64.b64encode(sealed).decode(),
    )


def obligation_met(alert_id: UUID, *duties: ObligationFact, at: datetime = T0 + DAY / 2) -> ObligationMet:
    return ObligationMet(
        alert_id=alert_id, obligations=tuple(duty.obligation_id for duty in duties), met_at=at
    )


def obligation_waived(alert_id: UUID, *duties: ObligationFact, at: datetime = T0 + DAY) -> ObligationWaived:
    return ObligationWaived(
        alert_id=alert_id, obligations=tuple(duty.obligation_id for duty in duties), waived_at=at
    )


def obligation_breached(
    alert_id: UUID, *duties: ObligationFact, at: datetime = T0 + 2 * DAY
) -> ObligationBreached:
    return ObligationBreached(
        alert_id=alert_id, obligations=tuple(duty.obligation_id for duty in duties), breached_at=at
    )
