"""A Merkle tree that only grows (RFC 6962). Its right edge is enough to go on with it."""

import hashlib
from collections.abc import Iterable

SIZE = 32
_LEAF, _NODE = b"\x00", b"\x01"


def leaf(content: bytes) -> bytes:
    """The hash of one entry."""
    return hashlib.sha256(_LEAF + content).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(_NODE + left + right).digest()


class Edge:
    """The roots of the complete subtrees at the right edge, the largest first; one a bit of the size."""

    def __init__(self, size: int = 0, hashes: bytes = b"") -> None:
        """Go on where a tree of this size ended.

        Raises:
            ValueError: no tree of this size has such an edge.
        """
        if size < 0 or len(hashes) != size.bit_count() * SIZE:
            raise ValueError("not the edge of a tree of this size")
        self.size = size
        self._roots = [hashes[at : at + SIZE] for at in range(0, len(hashes), SIZE)]

    def add(self, leaves: Iterable[bytes]) -> None:
        """Append hashes of entries."""
        roots = self._roots
        for one in leaves:
            node, size = one, self.size
            while size & 1:
                node = _node(roots.pop(), node)
                size >>= 1
            roots.append(node)
            self.size += 1

    @property
    def hashes(self) -> bytes:
        """What to keep to go on later."""
        return b"".join(self._roots)

    @property
    def root(self) -> bytes:
        """The hash of the whole tree."""
        if not self._roots:
            return hashlib.sha256(b"").digest()
        *before, whole = self._roots
        for left in reversed(before):
            whole = _node(left, whole)
        return whole
