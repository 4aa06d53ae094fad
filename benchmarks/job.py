"""The job: one alert of about 1 kB arrives over HTTP and goes to eight agencies as signed POSTs."""

import json
from collections.abc import Iterator
from itertools import count
from uuid import uuid4

AGENCIES = (
    "internal-affairs-kz-75",
    "regional-child-rights-body-kz-75",
    "regional-child-ombudsman-kz-75",
    "minors-commission-kz-75",
    "family-support-centre-kz-75",
    "child-rights-authority-kz",
    "national-child-ombudsman-kz",
    "psych-support-centre-kz-75",
    "family-mobile-group-kz-75",
    "child-violence-help-cabinet-kz-75",
)
"""Connected to the sink; the law picks ``FAN_OUT`` of them for the alert below."""

FAN_OUT = 8
NARRATIVE = "Сынақ баяндамасы: бала мектепке көгерген қолымен келді. " * 6


def an_alert(number: int) -> bytes:
    """One alert, about 1 kB, no real child; another reference each."""
    alert = {
        "territory": "KZ-75",
        "concerns": ["violence"],
        "occasion": "own_duties",
        "channel": "system",
        "alleged_offender": {"relation": "other_adult"},
        "parents_may_be_informed": True,
        "child": {
            "name": f"Сынақ Бала {number}",
            "birth_date": "2015-03-14",
            "sex": "female",
            "address": "Сынақ көшесі 1",
        },
        "narrative": NARRATIVE,
        "reference": f"B-{uuid4().hex}",
    }
    return json.dumps(alert, ensure_ascii=False).encode()


_NUMBERS = count(1)


def alerts(how_many: int) -> Iterator[bytes]:
    """So many of them, never one twice."""
    return (an_alert(next(_NUMBERS)) for _ in range(how_many))
