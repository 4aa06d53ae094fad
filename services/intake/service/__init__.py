"""What intake can do. One function, one transaction, opened by whichever door called."""

from intake.service.alerts import (
    Proposal,
    Receipt,
    Room,
    forget_keys,
    list_matches,
    read_alert,
    receive_alert,
    receive_report,
    take_denials,
    take_verdict,
)
from intake.service.content import open_content
from intake.service.corrections import Corrected, correct_alert, withdraw_alert

__all__ = [
    "Corrected",
    "Proposal",
    "Receipt",
    "Room",
    "correct_alert",
    "forget_keys",
    "list_matches",
    "open_content",
    "read_alert",
    "receive_alert",
    "receive_report",
    "take_denials",
    "take_verdict",
    "withdraw_alert",
]
