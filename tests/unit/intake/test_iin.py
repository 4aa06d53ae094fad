"""A doubtful identification number is marked; nothing is refused for it."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.domain.child import Child
from intake.domain.iin import Doubt, birth_date_of, check_digit, doubts

GOOD = "160229600016"  # not a person's: serial number 0001 of a day, made for tests


def issued(day: date, century_and_sex: int, serial: int) -> str | None:
    first = f"{day:%y%m%d}{century_and_sex}{serial:04}"
    digit = check_digit(first)
    return None if digit is None else f"{first}{digit}"


some_day = st.dates(date(2000, 1, 1), date(2026, 10, 23))
iins = st.builds(issued, some_day, st.sampled_from([5, 6]), st.integers(0, 9999)).filter(bool)


def test_the_check_digit_is_reckoned_as_the_law_says() -> None:
    first = [int(digit) for digit in GOOD[:11]]
    assert sum(weight * digit for weight, digit in enumerate(first, 1)) % 11 == int(GOOD[11])


def test_when_the_first_weights_give_ten_the_second_decide() -> None:
    day, found = date(2016, 2, 29), 0
    for serial in range(2000):
        digits = [int(digit) for digit in f"{day:%y%m%d}6{serial:04}"]
        if sum(w * d for w, d in enumerate(digits, 1)) % 11 == 10:
            second = sum(w * d for w, d in zip((3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2), digits, strict=True)) % 11
            assert check_digit("".join(map(str, digits))) == (None if second == 10 else second)
            found += 1
    assert found > 100


@given(iins)
def test_an_issued_number_raises_no_doubt(iin: str) -> None:
    born = birth_date_of(iin)
    assert doubts(iin) == ()
    assert doubts(iin, birth_date=born, sex="male" if iin[6] == "5" else "female") == ()


# Its weight is 11, and eleven times anything is nothing modulo 11: the law's own check is blind there.
BLIND = 10


@given(iins, st.sampled_from(sorted(set(range(12)) - {BLIND})), st.integers(1, 9))
def test_any_one_wrong_digit_raises_a_doubt(iin: str, at: int, by: int) -> None:
    wrong = iin[:at] + str((int(iin[at]) + by) % 10) + iin[at + 1 :]
    # The second weights cannot see everything that turns the first sum into or out of ten.
    first = sum(w * int(d) for w, d in enumerate(wrong[:11], 1)) % 11
    before = sum(w * int(d) for w, d in enumerate(iin[:11], 1)) % 11
    assert doubts(wrong, birth_date=birth_date_of(iin)) or 10 in (first, before)


@pytest.mark.parametrize(
    ("iin", "expected"),
    [
        (GOOD, ()),
        ("", (Doubt.SHAPE,)),
        ("16022960001", (Doubt.SHAPE,)),
        ("1602296000163", (Doubt.SHAPE,)),
        ("16022960001x", (Doubt.SHAPE,)),
        ("１６０２２９６０００１６", (Doubt.SHAPE,)),
        ("²60229600013", (Doubt.SHAPE,)),
        ("160230600012", (Doubt.DATE, Doubt.CHECK_DIGIT)),
        ("160229900013", (Doubt.DATE, Doubt.CHECK_DIGIT)),
        ("160229600014", (Doubt.CHECK_DIGIT,)),
    ],
)
def test_what_is_doubted(iin: str, expected: tuple[Doubt, ...]) -> None:
    assert doubts(iin) == expected


def test_a_number_of_somebody_else_is_doubted() -> None:
    assert doubts(GOOD, birth_date=date(2016, 3, 1)) == (Doubt.OTHER_BIRTH_DATE,)
    assert doubts(GOOD, sex="male") == (Doubt.OTHER_SEX,)
    assert doubts(GOOD, birth_date=date(2016, 2, 29), sex="female") == ()


@given(st.text(max_size=20))
def test_no_text_breaks_the_look(text: str) -> None:
    assert isinstance(doubts(text), tuple)


def test_a_child_without_a_number_raises_no_doubt() -> None:
    assert Child().doubts() == ()
    assert Child(iin="1").doubts() == (Doubt.SHAPE,)
