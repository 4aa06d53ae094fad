"""When two alerts may be about one child: terms that are equal for equal children, however spelled.

The terms never leave the process: they are turned into keyed tokens, and only those are stored. A match
is a proposal; a person decides. So folding is careful: it joins what one name looks like in Kazakh and in
Russian spelling, and what a keyboard confuses, and no more. ``й`` stays apart from ``и``, ``ы`` from ``и``.
"""

import unicodedata
from datetime import date
from itertools import combinations
from typing import Final

_KAZAKH: Final = str.maketrans(
    {
        "ә": "а", "ғ": "г", "қ": "к", "ң": "н", "ө": "о", "ұ": "у", "ү": "у", "һ": "х", "і": "и",
        "ё": "е", "э": "е", "ь": None, "ъ": None,
    }
)  # fmt: skip
"""Kazakh letters as Russian documents write them, and signs that come and go."""

_MARKS: Final = str.maketrans(dict.fromkeys("-‐‑–'’ʼ`´") | dict.fromkeys(".,", " "))
"""Marks inside a word vanish, marks between words part them."""

_LOOKALIKES: Final = str.maketrans("ABEKMHOPCTXYIaeopcxyih", "АВЕКМНОРСТХУІаеорсхуіһ")
"""Latin letters that a keyboard leaves in a Cyrillic word."""

_PARTICLES: Final = frozenset({"улы", "кызы", "оглы"})
"""Patronymic endings that are written apart or together: ``Серік ұлы``, ``Серікұлы``."""

_MOST_WORDS: Final = 4


def fold_name(name: str) -> tuple[str, ...]:
    """The words of a name in one spelling, sorted: surname first or last is the same."""
    words: list[str] = []
    for word in unicodedata.normalize("NFKC", name).translate(_MARKS).split():
        folded = _fold_word(word)
        if folded in _PARTICLES and words:
            words[-1] += folded
        elif folded:
            words.append(folded)
    return tuple(sorted(words))


def _fold_word(word: str) -> str:
    if any("\u0400" <= letter <= "\u04ff" for letter in word):
        word = word.translate(_LOOKALIKES)
    return word.casefold().translate(_KAZAKH)


def match_terms(name: str | None, birth_date: date | None, iin: str | None) -> tuple[tuple[str, ...], ...]:
    """Terms by which this child may be met again: kind first, then the parts of one token.

    By name: every two of its words with the birth date, so that a patronymic may be missing. Without a
    birth date a name alone proposes nothing. By number: its twelve digits, also when in doubt.
    """
    terms: list[tuple[str, ...]] = []
    digits = "".join(character for character in iin or "" if character.isascii() and character.isdigit())
    if len(digits) == 12:
        terms.append(("iin", digits))
    words = fold_name(name or "")[:_MOST_WORDS]
    if birth_date is not None and words:
        pairs = combinations(words, 2) if len(words) > 1 else [words]
        terms.extend(("name", *pair, birth_date.isoformat()) for pair in pairs)
    return tuple(dict.fromkeys(terms))
