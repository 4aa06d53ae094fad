"""Words that every shape is put together from."""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, StringConstraints

_DATE_AND_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ].+", re.ASCII | re.DOTALL)


def _written_out(value: Any) -> Any:
    # pydantic would take a bare number for seconds since 1970.
    if isinstance(value, datetime) or (isinstance(value, str) and _DATE_AND_TIME.fullmatch(value)):
        return value
    raise ValueError("not a date and time")


def _utc(value: datetime) -> datetime:
    if not 1990 <= value.year <= 2200:  # also keeps conversion away from the ends of the calendar
        raise ValueError("out of range")
    return value.astimezone(UTC)


def _sayable(value: str) -> str:
    if any(unicodedata.category(letter).startswith("C") and letter != "\n" for letter in value):
        raise ValueError("not text")
    return value


def _printable(value: str) -> str:
    if not value.strip() or any(unicodedata.category(letter).startswith("C") for letter in value):
        raise ValueError("not one line of text")
    return value


Instant = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_utc)]
"""RFC 3339 with an offset; kept in UTC."""

Line = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_printable)]
"""One line of text."""

Said = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_printable)]
"""A longer line."""

Territory = Annotated[str, StringConstraints(pattern=r"^(KZ-[0-9]{2}|[0-9]{9})$")]
"""ISO 3166-2 or KATO code."""

RoleCode = Annotated[str, StringConstraints(max_length=60, pattern=r"^[a-z][a-z0-9_]*$")]
Flag = Annotated[bool, Field(strict=True)]
State = Literal[
    "waiting", "leased", "transmitted", "acknowledged", "rejected", "dead", "cancelled", "superseded"
]

Words = Annotated[
    str, StringConstraints(min_length=1, max_length=2000, strip_whitespace=True), AfterValidator(_sayable)
]
"""What a person writes as a reason, in their own lines; sealed, never logged."""
