"""What was played, a JSON line each, in a folder that outlives the run: an interrupted one goes on there."""

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "var" / "faults"


class Record:
    """Append-only; of the lines about one thing the last one counts."""

    def __init__(self, folder: Path = FOLDER) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._file = folder / "results.jsonl"

    def append(self, fault: str, number: int, **found: Any) -> None:
        line = {
            "fault": fault,
            "number": number,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": _version(),
            **found,
        }
        with self._file.open("a") as lines:
            lines.write(json.dumps(line, ensure_ascii=False) + "\n")

    def lines(self) -> list[dict[str, Any]]:
        """The line that counts of each thing, in order of number."""
        if not self._file.exists():
            return []
        last: dict[tuple[str, int], dict[str, Any]] = {}
        for text in self._file.read_text().splitlines():
            line = json.loads(text)
            last[line["fault"], line["number"]] = line
        return [last[key] for key in sorted(last)]

    def find(self, fault: str, number: int) -> dict[str, Any] | None:
        for line in self.lines():
            if (line["fault"], line["number"]) == (fault, number):
                return line
        return None


def _version() -> str:
    """Of the code that was played; empty outside of a repository."""
    named = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return named.stdout.strip()
