"""The agencies' own log: what reached whom. Ids, digests and answers only; never content.

``alert`` is the agency's own handle of the alert. ``narrative`` is the SHA-256 of the narrative that was
opened, where the agency may read it: with it a reporter can tell its own alerts apart in this log.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from dabyl.simulators.roster import Member


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
