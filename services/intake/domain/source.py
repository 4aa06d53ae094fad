"""Where a report comes from when nobody told it: a publication, or a test that found a child at risk.

Both are sealed with the child's record: an address on the net can name the child, a test speaks of its mind.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any


@dataclass(frozen=True, slots=True)
class Publication:
    """Joint order ¶4(5), Order 264 ¶12: what was read in the media.

    Attributes:
        copy_digest: SHA-256 (hex) of the copy that was kept, since publications vanish.
    """

    address: str
    discovered_on: date
    copy_digest: str | None = None

    def written(self) -> dict[str, Any]:
        """As it is sealed."""
        return {
            "address": self.address,
            "discovered_on": self.discovered_on.isoformat(),
            "copy_digest": self.copy_digest,
        }


@dataclass(frozen=True, slots=True)
class Screening:
    """A test result over its threshold; one below is nobody's business here.

    Attributes:
        instrument: code of the test.
        result: ``over_threshold`` or ``critical``.
    """

    instrument: str
    result: str
    taken_on: date

    def written(self) -> dict[str, Any]:
        """As it is sealed."""
        return {"instrument": self.instrument, "result": self.result, "taken_on": self.taken_on.isoformat()}
