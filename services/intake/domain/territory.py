"""Where it happened: the twenty regions, by ISO 3166-2 or by KATO code.

The two letters of ISO 3166-2:KZ are the first two digits of the KATO classifier (NK RK 11), so a finer
KATO code names its region by itself. Registry owns the territories; intake only has to accept an alert
while registry is down.
"""

from dataclasses import dataclass
from typing import Final

_CODES: Final = (10, 11, 15, 19, 23, 27, 31, 33, 35, 39, 43, 47, 55, 59, 61, 62, 63, 71, 75, 79)
REGIONS: Final = frozenset(f"KZ-{code}" for code in _CODES)
"""ISO 3166-2 codes of the 17 regions and 3 cities."""


@dataclass(frozen=True, slots=True)
class Territory:
    """``region`` is ISO 3166-2; ``kato`` only when the sender was finer than the region."""

    region: str
    kato: str | None = None


def read_territory(code: str) -> Territory | None:
    """The place that a code names, or ``None``."""
    if code in REGIONS:
        return Territory(code)
    if len(code) != 9 or not (code.isascii() and code.isdigit()) or f"KZ-{code[:2]}" not in REGIONS:
        return None
    return Territory(f"KZ-{code[:2]}", None if code.endswith("0000000") else code)
