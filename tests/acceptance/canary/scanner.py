"""Looks for a canary in anything that is bytes: files, answers, messages, streams packed inside them."""

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.canary.needles import Canary, Form

_PACKED = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]")
_NOTHING = bytes(256)
_UNPACKED_AT_MOST = 16 * 1024 * 1024
_WORTH_READING = 24
_PACKINGS = 3
_CONTEXT = 60


@dataclass(frozen=True)
class Surface:
    """Something that must not hold a canary: where it was seen, and its bytes."""

    label: str
    data: bytes


@dataclass(frozen=True)
class Hit:
    """A leak. ``context`` shows the bytes around it (the canary is nobody's real data)."""

    label: str
    encoding: str
    context: bytes

    def __str__(self) -> str:
        return f"{self.label}: {self.encoding}: …{self.context!r}…"


class Scanner:
    """Finds one canary in every encoding that ``needles`` knows."""

    def __init__(self, canary: Canary) -> None:
        self._needles: tuple[Form, ...] = canary.needles()

    def scan(self, surfaces: Iterable[Surface]) -> list[Hit]:
        """All hits, a line per surface and encoding."""
        return [hit for surface in surfaces for hit in self._look(surface.label, surface.data, _PACKINGS)]

    def scan_files(self, *places: Path) -> list[Hit]:
        """Every file below these places, as it is on disk now."""
        return self.scan(surfaces_of(*places))

    def _look(self, label: str, data: bytes, packings: int) -> Iterator[Hit]:
        data = data.replace(_NOTHING, b"")  # what databases keep in reserve is mostly this
        for needle in self._needles:
            at = data.find(needle.pattern)
            if at >= 0:
                around = data[max(at - _CONTEXT, 0) : at + len(needle.pattern) + _CONTEXT]
                yield Hit(label, needle.encoding, around)
        if packings:
            for unpacked in _unpacked(data):
                yield from self._look(f"{label} (unpacked)", unpacked, packings - 1)


def _unpacked(data: bytes) -> Iterator[bytes]:
    """What gzip and zlib streams inside ``data`` hold; a stream that breaks off is read as far as it goes."""
    for start in _PACKED.finditer(data):
        reader = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # either header
        found = bytearray()
        at, step = start.start(), 64 * 1024
        try:
            while not reader.eof and at < len(data) and len(found) < _UNPACKED_AT_MOST:
                found += reader.decompress(data[at : at + step], _UNPACKED_AT_MOST - len(found))
                at += step
        except zlib.error:
            pass  # most such bytes are no stream at all
        if len(found) >= _WORTH_READING:
            yield bytes(found)


def surfaces_of(*places: Path) -> Iterator[Surface]:
    """The files below these places; one that vanishes while we look held nothing that stays."""
    for place in places:
        files = sorted(place.rglob("*")) if place.is_dir() else [place]
        for file in files:
            if not file.is_file() or file.is_symlink():
                continue
            try:
                yield Surface(str(file), file.read_bytes())
            except FileNotFoundError:
                continue
