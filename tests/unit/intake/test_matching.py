"""Two spellings of one child meet; two children do not."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.domain.matching import fold_name, match_terms

BORN = date(2016, 2, 29)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Әлия Серікқызы Нұрланова", "Алия Серикқызы Нурланова"),
        ("Қайрат Өмір", "КАЙРАТ ОМИР"),
        ("Ғалымжан Жүнісов", "Галымжан Жунисов"),
        ("Айбек Серік ұлы", "Айбек Серікұлы"),
        ("Айгүл Серик кызы Ким", "Ким Айгуль Серик-кызы"),
        ("Нұрланова Әлия", "Әлия Нұрланова"),
        ("Асель Ким", "Әсел Ким"),
        ("Артём Котов", "Артем Котов"),
        ("Абдул-Карим Али", "Абдулкарим Али"),
        ("  Али \t Ким ", "Али Ким"),
        ("Айша\u00a0Ким", "Айша Ким"),
        ("Aйбeк Ким", "Айбек Ким"),  # Latin A and e
        ("Aйбeк Hұрлaнов", "Айбек Нұрланов"),  # Latin H for Н
        ("Жаһан Ким", "Жахан Ким"),
        ("Äliya Kim", "A\u0308liya kim"),
        ("О.Ким", "О. Ким"),
    ],
)
def test_one_name_in_two_spellings_is_one(one: str, other: str) -> None:
    assert fold_name(one) == fold_name(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Али Ким", "Алим Ким"),
        ("Айбек Ким", "Аибек Ким"),
        ("Ыбырай Ким", "Ибирай Ким"),
        ("Сара Ким", "Зара Ким"),
        ("Anna Kim", "Анна Ким"),
        ("Маша Ким", "Мася Ким"),
    ],
)
def test_two_names_stay_two(one: str, other: str) -> None:
    assert fold_name(one) != fold_name(other)


def test_a_patronymic_may_be_missing() -> None:
    whole = set(match_terms("Нұрланова Әлия Серікқызы", BORN, None))
    assert len(whole) == 3
    assert whole & set(match_terms("Алия Нурланова", BORN, None))


def test_a_name_alone_proposes_nothing() -> None:
    assert match_terms("Әлия Нұрланова", None, None) == ()
    assert match_terms(None, BORN, None) == ()
    assert match_terms("", BORN, "") == ()
    assert match_terms(" - ", BORN, None) == ()


def test_another_birth_date_is_another_child() -> None:
    assert not set(match_terms("Әлия Ким", BORN, None)) & set(match_terms("Әлия Ким", date(2016, 3, 1), None))


def test_the_number_matches_however_it_is_spaced_and_without_a_name() -> None:
    assert match_terms(None, None, "160229 600016") == (("iin", "160229600016"),)
    assert match_terms("Әлия", None, "160229-600016") == (("iin", "160229600016"),)
    assert match_terms(None, None, "16022960001") == ()


def test_a_long_name_makes_few_terms() -> None:
    assert len(match_terms("а б в г д е ж з", BORN, "160229600016")) == 7


@given(st.text(max_size=60), st.dates())
def test_folding_is_stable_and_takes_any_text(name: str, born: date) -> None:
    assert match_terms(name, born, name) == match_terms(name, born, name)
    folded = fold_name(name)
    assert tuple(sorted(folded)) == folded
