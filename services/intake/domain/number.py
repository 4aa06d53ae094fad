"""The alert's number: short enough for the telephone, random, and proof against slips of hand and ear.

Crockford's base 32 (no I, L, O, U). Eight random characters (40 bits) and one check character, written
``7K4M-Q2XP-9``. Crockford's own check (mod 37) needs five more symbols; ours stays in the alphabet:
with each character an element of GF(32), the weighted sum over powers of a primitive element is zero.
Distinct weights that differ between neighbours make any one wrong character and any swap of two
neighbours visible.
"""

import secrets
from collections.abc import Callable
from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
RANDOM_CHARACTERS: Final = 8
RECEIPT_CHARACTERS: Final = 16
_VALUE: Final = {character: value for value, character in enumerate(ALPHABET)}
_HEARD: Final = str.maketrans({"I": "1", "L": "1", "O": "0", "-": None, " ": None})
_POLYNOMIAL: Final = 0b100101  # x^5 + x^2 + 1, primitive over GF(2)


def new_number(pick: Callable[[int], int] = secrets.randbelow) -> str:
    """A random number; ``pick(n)`` gives an int in ``[0, n)``. Uniqueness is the index's business."""
    body = "".join(ALPHABET[pick(len(ALPHABET))] for _ in range(RANDOM_CHARACTERS))
    return _written(body + _check(body))


def new_receipt_code(pick: Callable[[int], int] = secrets.randbelow) -> str:
    """Proof of a public report for whoever made it: 80 random bits and the check, ``7K4M-…-Q2XP-9``."""
    body = "".join(ALPHABET[pick(len(ALPHABET))] for _ in range(RECEIPT_CHARACTERS))
    return "-".join([*(body[place : place + 4] for place in range(0, len(body), 4)), _check(body)])


def read_receipt_code(text: str) -> str | None:
    """The code as it was given out, from what somebody typed; ``None`` when the check fails."""
    body = text.upper().translate(_HEARD)
    if len(body) != RECEIPT_CHARACTERS + 1 or any(character not in _VALUE for character in body):
        return None
    if _check(body[:-1]) != body[-1]:
        return None
    return "-".join([*(body[place : place + 4] for place in range(0, RECEIPT_CHARACTERS, 4)), body[-1]])


def read_number(text: str) -> str | None:
    """The number as it is stored, from what somebody typed or heard; ``None`` when the check fails."""
    body = text.upper().translate(_HEARD)
    if len(body) != RANDOM_CHARACTERS + 1 or any(character not in _VALUE for character in body):
        return None
    return _written(body) if _check(body[:-1]) == body[-1] else None


def _check(body: str) -> str:
    """The character whose weight is one, so that the whole weighted sum becomes zero."""
    total = 0
    for character in body:
        total = _times_alpha(total ^ _VALUE[character])
    return ALPHABET[total]


def _times_alpha(value: int) -> int:
    value <<= 1
    return value ^ _POLYNOMIAL if value & 0b100000 else value


def _written(body: str) -> str:
    return f"{body[:4]}-{body[4:8]}-{body[8:]}"
