"""The agencies' own log: what reached whom. Ids, digests and answers only; never content.

``alert`` is the agency's own handle of the alert. ``narrative`` is a mark of the narrative that was opened,
where the agency may read it: with it a tester can tell its own alerts apart in this log. It is keyed, since
a digest without a key says the text to whoever can guess it, and stays empty unless a key was given.
"""

import hmac
import json
import os
from datetime import UTC, datetime
from pathlib import Path

from dabyl.simulators.roster import Member

MARK_KEY = "DABYL_JOURNAL_KEY"
"""Environment variable with the key of the marks; a tester sets it, nobody else."""


def mark_of(narrative: str, key: str) -> str:
    """HMAC-SHA-256 in hex; empty without a key."""
    return hmac.digest(key.encode(), narrative.encode(), "sha256").hex() if key else ""


class Journal:
    """Append-only JSON lines; each line is on its way to the disk before the agency answers."""

    def __init__(self, file: Path) -> None:
        self._descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(
        self, member: Member, delivery: str, digest: str, answer: str, *, alert: str = "", narrative: str = ""
    ) -> None:
        """One request or act of one agency."""
        line = {
            "at": datetime.now(UTC).isoformat(),
            "agency": member.code,
            "agency_id": member.agency_id,
            "behaviour": member.behaviour,
            "delivery": delivery,
            "digest": digest,
            "answer": answer,
            "alert": alert,
            "narrative": narrative,
        }
        os.write(self._descriptor, (json.dumps(line) + "\n").encode())
