"""The tree of territories: the republic, its 20 regions (ISO 3166-2), and KATO codes below them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from registry.errors import TerritoryUnknown

COUNTRY = "KZ"
"""Root of the tree."""

Lineage = tuple[str, ...]
"""A territory and those above it, nearest first: ``("KZ-75", "KZ")``."""

_KATO = re.compile(r"[0-9]{9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Territory:
    """One node. ``kato`` is ``None`` for the republic only; ``parent`` likewise."""

    code: str
    kato: str | None
    parent: str | None


class Tree:
    """Looks a code up and walks upward."""

    def __init__(self, territories: Iterable[Territory]) -> None:
        self._by_code = {territory.code: territory for territory in territories}
        self._by_kato = {t.kato: t for t in self._by_code.values() if t.kato is not None}

    def __contains__(self, code: str) -> bool:
        return code in self._by_code

    def lineage(self, code: str) -> Lineage:
        """The territory and those above it, nearest first.

        Args:
            code: ISO 3166-2 code, or a nine-digit KATO code; a KATO code finer than the register
                belongs to the region of its first two digits.

        Raises:
            TerritoryUnknown: neither.
        """
        territory = self._by_code.get(code) or self._by_kato_code(code)
        if territory is None:
            raise TerritoryUnknown
        walked = [territory.code]
        while territory.parent is not None:
            territory = self._by_code[territory.parent]
            walked.append(territory.code)
        return tuple(walked)

    def _by_kato_code(self, code: str) -> Territory | None:
        if not _KATO.fullmatch(code):
            return None
        return self._by_kato.get(code) or self._by_kato.get(code[:2] + "0000000")
