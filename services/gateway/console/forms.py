"""What people write into forms: read, checked, and said again in words when it will not do."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime

from gateway.console.catalogue import ALMATY
from gateway.errors import ServiceRefused

LONGEST_WORDS = 2000
LONGEST_LINE = 200

_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}", re.ASCII)
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2})?", re.ASCII)

REFUSED = (
    "second-person-needed",
    "proposal-expired",
    "obligation-not-waivable",
    "obligation-not-releasable",
    "evidence-differs",
    "evidence-out-of-time",
    "fact-not-evidence",
    "alert-not-held",
    "conflict-leaves-nobody",
    "place-differs",
    "redrive-not-possible",
    "no-way-to-send",
)
"""Refusals of the services behind that have words of their own."""


def words_of(form: Mapping[str, str], field: str = "reason") -> str:
    """Somebody's own words; a browser ends lines with two signs, the services know one."""
    return "\n".join(line.rstrip() for line in form.get(field, "").splitlines()).strip()


def flaws_of_words(text: str, field: str = "reason") -> dict[str, str]:
    """What is wrong with a reason, as a catalogue key."""
    if not text:
        return {field: "form.reason_needed"}
    is_text = not any(unicodedata.category(sign).startswith("C") and sign != "\n" for sign in text)
    return {} if len(text) <= LONGEST_WORDS and is_text else {field: "form.too_long"}


def is_line(text: str, longest: int = LONGEST_LINE) -> bool:
    """One line without signs that nobody sees."""
    return len(text) <= longest and not any(unicodedata.category(sign).startswith("C") for sign in text)


def is_reference(text: str) -> bool:
    """A number of the agency's own, as notifier takes it: nothing that could be a name."""
    return _REFERENCE.fullmatch(text) is not None


def moment_of(text: str) -> datetime | None:
    """Date and time as a browser's field has them, Kazakhstan time; ``None`` when they are none."""
    if _MOMENT.fullmatch(text) is None:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=ALMATY).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def field_of(at: datetime) -> str:
    """The same way back, to the second: a duty may have begun within this minute."""
    return at.astimezone(ALMATY).strftime("%Y-%m-%dT%H:%M:%S")


def explained(refused: ServiceRefused) -> str:
    """The catalogue key that says why a service refused."""
    kind = refused.kind if refused.kind in REFUSED else "other"
    return f"refused.{kind.replace('-', '_')}"
