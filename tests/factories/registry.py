"""Things of the register for tests; every value can be overridden."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from registry.domain.agency import Absence, Interval, Mandate

T0 = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def a_mandate(
    role: str = "internal_affairs",
    territory: str = "KZ-75",
    *,
    agency_id: UUID | None = None,
    valid_from: datetime = T0,
    valid_until: datetime | None = None,
    primary: bool = True,
) -> Mandate:
    return Mandate(agency_id or uuid4(), role, territory, Interval(valid_from, valid_until), primary)


def an_absence(
    role: str = "regional_child_rights_body",
    territory: str = "KZ-75",
    *,
    valid_from: datetime = T0,
    valid_until: datetime | None = None,
) -> Absence:
    return Absence(role, territory, Interval(valid_from, valid_until))


def an_agency_body(code: str = "psych-support-centre-kz-75-2", **values: Any) -> dict[str, Any]:
    """What a registrar posts to ``/v1/agencies``."""
    return {
        "code": code,
        "name": {"kk": "Екінші орталық", "ru": "Второй центр", "en": "Second centre"},
        "mandates": [
            {
                "role": "psych_support_centre",
                "territory": "KZ-75",
                "valid_from": "2026-01-01T00:00:00+05:00",
                "primary": False,
            }
        ],
    } | values


def an_endpoint_body(agency: str = "internal-affairs-kz-75", **values: Any) -> dict[str, Any]:
    """What a registrar posts to ``/v1/endpoints``."""
    return {"agency": agency, "url": "https://police.example.kz/notices"} | values
