"""The alert's number survives the telephone."""

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from intake.domain.number import ALPHABET, new_number, read_number

numbers = st.integers(min_value=0).map(lambda seed: new_number(random.Random(seed).randrange))


def replaced(number: str, at: int, character: str) -> str:
    return number[:at] + character + number[at + 1 :]


def test_a_number_looks_like_itself() -> None:
    assert new_number(lambda _n: 0) == "0000-0000-0"
    picked = iter([7, 19, 4, 20, 23, 2, 29, 22])
    assert new_number(lambda _n: next(picked)).startswith("7K4M-Q2XP-")


@given(numbers)
def test_a_number_reads_as_itself_however_it_is_written(number: str) -> None:
    for spelling in (number, number.lower(), number.replace("-", ""), number.replace("-", " ")):
        assert read_number(spelling) == number
    assert read_number(number.replace("1", "I").replace("0", "O")) == number
    assert read_number(number.replace("1", "l").replace("0", "o")) == number


@given(numbers)
def test_any_one_wrong_character_is_found(number: str) -> None:
    for at, right in enumerate(number):
        for wrong in ALPHABET:
            if right not in ("-", wrong):
                assert read_number(replaced(number, at, wrong)) is None


@given(numbers)
def test_any_two_neighbours_swapped_are_found(number: str) -> None:
    body = number.replace("-", "")
    for at in range(len(body) - 1):
        left, right = body[at], body[at + 1]
        if left != right:
            assert read_number(body[:at] + right + left + body[at + 2 :]) is None


@given(numbers)
def test_a_missing_or_doubled_character_is_found(number: str) -> None:
    body = number.replace("-", "")
    for at in range(len(body)):
        assert read_number(body[:at] + body[at + 1 :]) is None
        assert read_number(body[:at] + body[at] + body[at:]) is None


@given(st.text(max_size=20))
def test_no_text_breaks_the_reading(text: str) -> None:
    read = read_number(text)
    assert read is None or read_number(read) == read


def test_numbers_are_random_and_do_not_sort_by_time() -> None:
    drawn = [new_number() for _ in range(2000)]
    assert len(set(drawn)) == 2000
    rising = sum(a < b for a, b in itertools.pairwise(drawn))
    assert 850 < rising < 1150
