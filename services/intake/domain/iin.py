"""The individual identification number (ЖСН / ИИН): twelve digits, looked at, never refused.

Layout: YYMMDD of birth, one digit for century and sex (1, 2 = 1800s; 3, 4 = 1900s; 5, 6 = 2000s; odd is
male), four digits of a serial number, one check digit (weights 1…11 modulo 11; when that gives 10, weights
3…11, 1, 2; when that gives 10 too, the number is never issued). A person who hears a number over the
telephone mishears it: a doubt is a mark for the reader, and the alert goes out.
"""

from datetime import date
from enum import StrEnum
from typing import Final

_FIRST: Final = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
_SECOND: Final = (3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2)
_CENTURIES: Final = {1: 1800, 2: 1800, 3: 1900, 4: 1900, 5: 2000, 6: 2000}


class Doubt(StrEnum):
    """Why a number may be wrong."""

    SHAPE = "shape"
    DATE = "date"
    CHECK_DIGIT = "check_digit"
    OTHER_BIRTH_DATE = "other_birth_date"
    OTHER_SEX = "other_sex"


def doubts(iin: str, *, birth_date: date | None = None, sex: str | None = None) -> tuple[Doubt, ...]:
    """What speaks against the number; empty when nothing does.

    Args:
        iin: as it was given.
        birth_date: as it was given beside the number.
        sex: ``male`` or ``female``, as it was given beside the number.
    """
    if not is_shaped(iin):
        return (Doubt.SHAPE,)
    found: list[Doubt] = []
    born = birth_date_of(iin)
    if born is None:
        found.append(Doubt.DATE)
    elif birth_date is not None and born != birth_date:
        found.append(Doubt.OTHER_BIRTH_DATE)
    if check_digit(iin[:11]) != int(iin[11]):
        found.append(Doubt.CHECK_DIGIT)
    if sex is not None and born is not None and sex != ("male" if int(iin[6]) % 2 else "female"):
        found.append(Doubt.OTHER_SEX)
    return tuple(found)


def is_shaped(iin: str) -> bool:
    """Twelve ASCII digits."""
    return len(iin) == 12 and iin.isascii() and iin.isdigit()


def birth_date_of(iin: str) -> date | None:
    """The birth date inside a shaped number, if it names one."""
    century = _CENTURIES.get(int(iin[6]))
    if century is None:
        return None
    try:
        return date(century + int(iin[0:2]), int(iin[2:4]), int(iin[4:6]))
    except ValueError:
        return None


def check_digit(first_eleven: str) -> int | None:
    """The twelfth digit; ``None`` for a serial number that is never issued."""
    digits = [int(digit) for digit in first_eleven]
    for weights in (_FIRST, _SECOND):
        rest = sum(weight * digit for weight, digit in zip(weights, digits, strict=True)) % 11
        if rest < 10:
            return rest
    return None
