"""Reports and grants for tests; every value can be overridden. Each personal value is a canary."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from joserfc import jwe
from joserfc.jwk import OctKey

from common.keys import KeyRing

CANARIES = {
    "name": "Қанарейка-7f3a Әлия Серікқызы",
    "iin": "160229600016",
    "address": "Алматы, Канареечная көшесі 7f3a, 12-пәтер",
    "education_org": "№ 7f3a «Канарейка» мектебі",
    "narrative": "Балада көгерген жерлер бар, канарейка-7f3a айтты.",
    "reference": "REF-CANARY-7f3a",
}
"""Values that may be seen nowhere but in an answer to somebody entitled."""


def an_alert_body(**changes: Any) -> dict[str, Any]:
    """What an agency posts to ``/v1/alerts``: violence in Almaty, with child and narrative."""
    body: dict[str, Any] = {
        "territory": "KZ-75",
        "concerns": ["violence"],
        "occasion": "own_duties",
        "channel": "system",
        "direct_threat": True,
        "needs_medical_care": False,
        "without_parental_care": False,
        "alleged_offender": {"relation": "parent"},
        "parents_may_be_informed": False,
        "child": a_child(),
        "narrative": CANARIES["narrative"],
    }
    return {**body, **changes}


def a_child(**changes: Any) -> dict[str, Any]:
    """Every field known."""
    child: dict[str, Any] = {
        "name": CANARIES["name"],
        "birth_date": "2016-02-29",
        "sex": "female",
        "iin": CANARIES["iin"],
        "address": CANARIES["address"],
        "education_org": CANARIES["education_org"],
    }
    return {**child, **changes}


def a_grant(
    keys: KeyRing,
    *,
    delivery: UUID,
    alert: UUID,
    agency: UUID,
    bodies: tuple[str, ...] = ("internal_affairs",),
    at: datetime,
    lasts: timedelta = timedelta(days=30),
    **changes: Any,
) -> str:
    """The grant that the notifier puts into a notice."""
    claims = {
        "delivery": str(delivery),
        "alert": str(alert),
        "agency": str(agency),
        "bodies": list(bodies),
        "iat": int(at.timestamp()),
        "exp": int((at + lasts).timestamp()),
        **changes,
    }
    key = OctKey.import_key(keys.secret("grant"))
    header = {"alg": "dir", "enc": "A256GCM"}
    return jwe.encrypt_compact(header, json.dumps(claims).encode(), key, algorithms=["dir", "A256GCM"])
