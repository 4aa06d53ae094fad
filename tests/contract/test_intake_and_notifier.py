"""What intake and notifier hand each other sealed: each opens what the other made, and only that."""

import base64
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from common.keys import KeyRing
from common.sealing import SealBroken
from intake.adapters.cabinet import Cabinet
from intake.domain.report import Report, routing_record
from intake.domain.territory import Territory
from notifier.service.grants import mint_grant
from notifier.service.planning import open_routing

AT = datetime(2026, 10, 23, 10, 0, tzinfo=UTC)


def test_intake_opens_the_grant_that_notifier_minted(keys: KeyRing) -> None:
    delivery, alert, agency = uuid4(), uuid4(), uuid4()
    bodies = ("internal_affairs", "guardianship_body")
    token = mint_grant(
        keys.secret("grant"), delivery_id=delivery, alert_id=alert, agency_id=agency, bodies=bodies, now=AT
    )
    grant = Cabinet(keys).open_grant(token)
    assert grant is not None
    assert (grant.delivery_id, grant.alert_id, grant.agency_id) == (delivery, alert, agency)
    assert grant.bodies == bodies
    assert grant.expires_at > AT
    other = mint_grant(
        b"\0" * 32, delivery_id=delivery, alert_id=alert, agency_id=agency, bodies=bodies, now=AT
    )
    assert Cabinet(keys).open_grant(other) is None


def test_notifier_opens_the_routing_that_intake_sealed(keys: KeyRing) -> None:
    alert, agency, implicated = uuid4(), uuid4(), uuid4()
    report = Report(Territory("KZ-75"), ("violence",), b"{}", offender_agency=implicated)
    sealed = base64.b64decode(Cabinet(keys).seal_routing(alert, routing_record(report, agency=agency)))
    desk: Any = SimpleNamespace(keys=keys)
    assert open_routing(desk, alert, sealed) == (agency, frozenset({implicated}))
    with pytest.raises(SealBroken):
        open_routing(desk, uuid4(), sealed)
