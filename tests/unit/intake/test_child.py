"""How old a child is, as coarse as routing needs it."""

from datetime import date

import pytest

from intake.domain.child import Child

TODAY = date(2026, 10, 23)


@pytest.mark.parametrize(
    ("age", "band"),
    [
        (None, "unknown"),
        (0, "0-6"), (6, "0-6"), (7, "7-11"), (11, "7-11"), (12, "12-15"), (15, "12-15"),
        (16, "16-17"), (17, "16-17"), (18, "unknown"), (120, "unknown"),
    ],
)  # fmt: skip
def test_the_band_of_an_age(age: int | None, band: str) -> None:
    assert Child(age=age).age_band_on(TODAY) == band


@pytest.mark.parametrize(
    ("birth_date", "band"),
    [
        (date(2026, 10, 23), "0-6"),
        (date(2019, 10, 24), "0-6"),
        (date(2019, 10, 23), "7-11"),
        (date(2010, 10, 24), "12-15"),
        (date(2010, 10, 23), "16-17"),
        (date(2008, 10, 24), "16-17"),
        (date(2008, 10, 23), "unknown"),
        (date(2026, 10, 24), "unknown"),
    ],
)
def test_the_band_changes_on_the_birthday(birth_date: date, band: str) -> None:
    assert Child(birth_date=birth_date).age_band_on(TODAY) == band


def test_who_was_born_on_a_leap_day_has_a_birthday_on_the_first_of_march() -> None:
    child = Child(birth_date=date(2012, 2, 29))
    assert child.age_on(date(2028, 2, 28)) == 15
    assert child.age_on(date(2027, 2, 28)) == 14
    assert child.age_on(date(2027, 3, 1)) == 15


def test_the_birth_date_beats_the_age_that_was_told() -> None:
    assert Child(birth_date=date(2016, 2, 29), age=17).age_band_on(TODAY) == "7-11"
