"""Delivery status notifications (RFC 3464) of mail that a relay took and could not bring."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message
from typing import Protocol
from uuid import UUID

UNKNOWN_MAILBOX = ("5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10")
"""RFC 3463: this mailbox or its domain does not exist, or has moved for good."""

_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Bounce:
    """A mail that failed for good; ``is_unknown``: there is nobody at this address."""

    status: str
    is_unknown: bool


@dataclass(frozen=True, slots=True)
class Returned:
    """A mail that came back; the rest is empty when it is no bounce of ours."""

    name: str
    delivery_id: UUID | None = None
    bounce: Bounce | None = None


class ReturnPath(Protocol):
    """Where mail comes back to; calls block."""

    def list_returned(self) -> Sequence[Returned]:
        """The oldest that nobody has dealt with; ``OSError`` when there is no such place."""
        ...

    def put_aside(self, returned: Returned) -> None:
        """Dealt with."""
        ...


def read_bounce(mail: Message) -> Bounce | None:
    """What the notification says of its one recipient; ``None`` for delays, successes and other mail.

    Nothing of it but the status code is used: everything else is text of strangers.
    """
    for part in mail.walk():
        if part.get_content_type() != "message/delivery-status":
            continue
        blocks = part.get_payload()
        for block in blocks if isinstance(blocks, list) else []:
            if not isinstance(block, Message) or str(block.get("Action", "")).strip().lower() != "failed":
                continue
            found = _STATUS.match(str(block.get("Status", "")).strip())
            status = found.group() if found else "5.0.0"
            return Bounce(status, is_unknown=status in UNKNOWN_MAILBOX)
    return None
