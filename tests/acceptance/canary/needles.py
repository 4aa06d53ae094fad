"""One child that nobody else has: every personal value carries a mark of this run, in Latin and in Kazakh.

All marks of a run share two cores, so that a scan looks for few patterns; what follows a
core names the field.
"""

import base64
import hashlib
import json
import random
import re
import secrets
import string
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from urllib.parse import quote, quote_from_bytes

from intake.domain.iin import check_digit

KAZAKH = "әғқңөұүһі"
"""Letters that no Russian text has; each core has all of them."""

_RUSSIAN_SPELLING = str.maketrans("әғқңөұүһі", "агкноуухи")
_FOLDED_SPELLING = str.maketrans("әғқңөұүһі", "агкноуухі")


@dataclass(frozen=True)
class Form:
    """Bytes that stand for a text in one encoding."""

    encoding: str
    pattern: bytes


def _base64(encoding: str, data: bytes) -> Iterator[Form]:
    """What stays of ``data`` inside any longer base64 text: three alignments, both alphabets."""
    for shift in range(3):
        told = base64.b64encode(b"\0" * shift + data).rstrip(b"=")
        start = (0, 2, 3)[shift]  # these characters mix with what stood before
        end = len(told) - (1 if (shift + len(data)) % 3 else 0)  # the last one mixes with what follows
        core = told[start:end]
        yield Form(f"base64 {encoding} +{shift}", core)
        yield Form(f"base64url {encoding} +{shift}", core.translate(bytes.maketrans(b"+/", b"-_")))


def _spellings(text: str) -> Iterator[tuple[str, str]]:
    yield "", text
    yield "upper ", text.upper()
    yield "folded ", text.casefold()
    yield "decomposed ", unicodedata.normalize("NFD", text)
    yield "russian spelling ", text.casefold().translate(_RUSSIAN_SPELLING)
    yield "matching spelling ", text.casefold().translate(_FOLDED_SPELLING)


def forms_of(text: str) -> tuple[Form, ...]:
    """Every encoding in which ``text`` is looked for; each pattern once."""
    found: dict[bytes, str] = {}
    for spelling, spelled in _spellings(text):
        for form in _encodings(spelled):
            found.setdefault(form.pattern, spelling + form.encoding)
    return tuple(Form(encoding, pattern) for pattern, encoding in found.items())


def _encodings(text: str) -> Iterator[Form]:
    raw = text.encode()
    escaped = json.dumps(text)[1:-1]
    yield Form("utf-8", raw)
    for codec in ("utf-16-le", "utf-16-be"):
        yield Form(codec, text.encode(codec))
    with suppress(UnicodeEncodeError):  # Kazakh letters are not in it; the Russian spelling is
        yield Form("cp1251", text.encode("cp1251"))
    yield Form("json escape", escaped.encode())
    yield Form("json ESCAPE", "".join(_upper_escape(char) for char in text).encode())
    yield Form("python bytes", repr(raw)[2:-1].encode())
    yield Form("percent", quote(text, safe="").encode())
    yield Form("percent lower", _lower_percent(raw))
    yield Form("percent twice", quote(quote(text, safe=""), safe="").encode())
    yield Form("percent all", "".join(f"%{byte:02X}" for byte in raw).encode())
    yield Form("quoted-printable", b"".join(_quoted(byte) for byte in raw))
    yield Form("html decimal", "".join(c if c.isascii() else f"&#{ord(c)};" for c in text).encode())
    yield Form("html hex", "".join(c if c.isascii() else f"&#x{ord(c):x};" for c in text).encode())
    yield Form("html HEX", "".join(c if c.isascii() else f"&#x{ord(c):X};" for c in text).encode())
    yield Form("hex", raw.hex().encode())
    yield Form("HEX", raw.hex().upper().encode())
    yield from _base64("utf-8", raw)
    yield from _base64("utf-16-le", text.encode("utf-16-le"))
    yield from _base64("json escape", escaped.encode())


def _upper_escape(char: str) -> str:
    return char if char.isascii() else f"\\u{ord(char):04X}"


def _lower_percent(raw: bytes) -> bytes:
    return re.sub(rb"%[0-9A-F]{2}", lambda code: code[0].lower(), quote_from_bytes(raw, safe="").encode())


def _quoted(byte: int) -> bytes:
    return bytes([byte]) if 33 <= byte <= 126 and byte != 61 else f"={byte:02X}".encode()


def digests_of(value: str) -> tuple[Form, ...]:
    """A digest without a key is the value for whoever can guess it (trust AB-25)."""
    forms = []
    for name in ("sha256", "sha1", "md5"):
        digest = hashlib.new(name, value.encode(), usedforsecurity=False).digest()
        forms += [Form(name, digest), Form(f"{name} hex", digest.hex().encode())]
        forms += [Form(f"{name} HEX", digest.hex().upper().encode())]
        forms += [Form(f"{name} base64", base64.b64encode(digest).rstrip(b"="))]
    return tuple(forms)


@dataclass(frozen=True)
class Canary:
    """A child of this run.

    Attributes:
        latin: core of every Latin mark.
        kazakh: core of every Kazakh mark.
        values: what is sent, by field.
    """

    latin: str
    kazakh: str
    values: dict[str, str]
    birth_date: date
    marks: dict[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def new(cls) -> "Canary":
        """Marks that no other run has."""
        chance = random.SystemRandom()
        letters = chance.sample(KAZAKH, len(KAZAKH))
        kazakh = "".join(letters).capitalize()
        latin = "Zq" + "".join(chance.choices(string.ascii_lowercase, k=10))
        born = date(chance.randint(2010, 2017), chance.randint(1, 12), chance.randint(1, 28))
        marks: dict[str, tuple[str, str]] = {}

        def mark(name: str) -> str:
            pair = (
                latin + "".join(chance.choices(string.ascii_lowercase, k=6)),
                kazakh + "".join(chance.choices("абдежклмнопрст", k=6)),
            )
            marks[name] = pair
            return f"{pair[1]} {pair[0]}"

        values = {
            "name": f"{mark('name')}ұлы",
            "address": f"{mark('address')} көшесі, 17-үй",
            "education_org": f"№{chance.randint(100, 999)} {mark('education_org')} лицейі",
            "narrative": f"Бала айтты: {mark('narrative')}. {'Кейін тағы қайталады. ' * 40}{mark('ending')}",
            "reference": f"ref-{marks.setdefault('reference', (latin + secrets.token_hex(4), kazakh))[0]}",
            "iin": _number(born, chance),
        }
        return cls(latin, kazakh, values, born, marks)

    def alert(self, **changes: Any) -> dict[str, Any]:
        """A body for ``POST /v1/alerts`` with every personal field filled."""
        told = self.values
        return {
            "territory": "KZ-75",
            "concerns": ["violence"],
            "alleged_offender": {"relation": "other_adult"},
            "child": {
                "name": told["name"],
                "birth_date": self.birth_date.isoformat(),
                "sex": "female",
                "iin": told["iin"],
                "address": told["address"],
                "education_org": told["education_org"],
            },
            "narrative": told["narrative"],
            "reference": f"{told['reference']}-{secrets.token_hex(4)}",
        } | changes

    @property
    def phrase(self) -> str:
        """Both marks of the name, to be put where no value belongs."""
        return f"{self.kazakh}{self.latin}"

    def needles(self) -> tuple[Form, ...]:
        """Every pattern whose presence is a leak."""
        found: dict[bytes, str] = {}
        for what, text in (("latin", self.latin), ("kazakh", self.kazakh), ("iin", self.values["iin"])):
            for form in forms_of(text):
                found.setdefault(form.pattern, f"{what}, {form.encoding}")
        for name, value in self.values.items():
            for form in digests_of(value):
                found.setdefault(form.pattern, f"{name}, {form.encoding}")
        return tuple(Form(encoding, pattern) for pattern, encoding in found.items())


def _number(born: date, chance: random.Random) -> str:
    """A well-shaped identification number that belongs to nobody we know."""
    while True:
        eleven = f"{born:%y%m%d}{chance.choice((5, 6))}{chance.randint(7000, 9999)}"
        digit = check_digit(eleven)
        if digit is not None:
            return f"{eleven}{digit}"
