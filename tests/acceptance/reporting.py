"""What a reporting agency does, in domain words."""

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from dabyl.calls import CallRefused, Calls

SCHOOL = "education-org-kz-75"


def an_alert(**changes: Any) -> dict[str, Any]:
    """Violence reported by a school in Almaty; child and narrative given."""
    alert: dict[str, Any] = {
        "territory": "KZ-75",
        "concerns": ["violence"],
        "alleged_offender": {"relation": "other_adult"},
        "child": {
            "name": "Сынақ Бала",
            "birth_date": "2015-03-14",
            "sex": "female",
            "address": "Сынақ көшесі 1",
        },
        "narrative": "Сынақ баяндамасы.",
        "reference": f"T-{uuid4().hex}",
    }
    return alert | changes


def send(
    calls: Calls, alert: dict[str, Any], *, agency: str = SCHOOL, key: str | None = None
) -> dict[str, Any]:
    """Post it as that agency."""
    headers = {"Idempotency-Key": f'"{key}"'} if key else None
    answer: dict[str, Any] = calls.post(
        "/v1/alerts", alert, token=calls.token(agency=agency), headers=headers
    )
    return answer


def deliveries_of(calls: Calls, alert_id: str) -> list[dict[str, Any]]:
    """The alert's deliveries as an operator sees them; none while the alert is still on its way."""
    try:
        page = calls.get(f"/v1/alerts/{alert_id}/deliveries", token=calls.token(role="operator"))
    except CallRefused as refusal:
        if refusal.status in (404, 503):
            return []
        raise
    return list(page["items"])


def until(condition: Callable[[], Any], *, seconds: float, every: float = 0.05) -> Any:
    """The first true value of ``condition``; fails the test when there is none in time."""
    began = time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() - began > seconds:
            raise AssertionError(f"did not come true in {seconds} s")
        time.sleep(every)
