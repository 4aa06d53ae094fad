"""The thin notice: that something waits, which duties it serves, where to read it (architecture §2).

No category, no territory, nothing about the child. Rendered once, stored as bytes: every repeat of a
delivery sends the same bytes, so the digest in the agency's receipt proves what it saw.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from notifier.domain.schedule import Urgency

LIMIT = 4096
"""Largest notice in bytes (architecture §2)."""


@dataclass(frozen=True, slots=True)
class NoticeDuty:
    """A duty as the notice names it; ``text`` by language (kk, ru)."""

    rule: str
    citation: str
    text: Mapping[str, str]
    due_at: datetime | None
    force: str


@dataclass(frozen=True, slots=True)
class Notice:
    """What one delivery says.

    ``silent`` is the role of a subordinate that does not answer, ``breached`` of one that did not do in time
    what it owed. ``change`` says what became of the alert since the agency was told: a code, nothing of
    its content.
    """

    delivery_id: UUID
    number: int
    handle: UUID
    urgency: Urgency
    duties: Sequence[NoticeDuty]
    content_url: str
    grant: str
    receipt_url: str
    sent_at: datetime
    is_test: bool = False
    silent: str | None = None
    breached: str | None = None
    change: str | None = None


def instant(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC with ``Z``."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def render_notice(notice: Notice) -> bytes:
    """The bytes of the notice, equal for equal notices, at most ``LIMIT``.

    When many duties share it, the longest part gives way: the wording of the last duties is left out
    first; rule, citation and due time of each always stay, and the rule's page has the wording.

    Raises:
        ValueError: it does not fit even without any wording.
    """
    for worded in range(len(notice.duties), -1, -1):
        body = _encode(notice, worded)
        if len(body) <= LIMIT:
            return body
    raise ValueError("a notice of this many duties does not fit")


def digest(body: bytes) -> str:
    """SHA-256 of the notice's bytes, hexadecimal: what a receipt must name."""
    return hashlib.sha256(body).hexdigest()


def _encode(notice: Notice, worded: int) -> bytes:
    document: dict[str, Any] = {
        "delivery": str(notice.delivery_id),
        "notice": notice.number,
        "alert": str(notice.handle),
        "urgency": notice.urgency.value,
        "duties": [
            {
                "rule": duty.rule,
                "citation": duty.citation,
                "text": dict(duty.text) if place < worded else {},
                "due_at": instant(duty.due_at),
                "force": duty.force,
            }
            for place, duty in enumerate(notice.duties)
        ],
        "content": {"url": notice.content_url, "grant": notice.grant},
        "receipt": {"url": notice.receipt_url},
        "sent_at": instant(notice.sent_at),
        "test": notice.is_test,
    }
    if notice.silent is not None:
        document["silent"] = {"role": notice.silent}
    if notice.breached is not None:
        document["breached"] = {"role": notice.breached}
    if notice.change is not None:
        document["change"] = notice.change
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
