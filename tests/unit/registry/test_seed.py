"""The seed as data: complete for the law, readable, and without a special region."""

import csv
from collections import Counter
from importlib.resources import files
from typing import Any
from uuid import UUID

import pytest
import yaml

SEED = files("registry") / "seed"
ROLES: dict[str, dict[str, Any]] = {
    role["code"]: role for role in yaml.safe_load((SEED / "roles.yaml").read_text("utf-8"))["roles"]
}
UNHELD: dict[str, str] = yaml.safe_load((SEED / "roles.yaml").read_text("utf-8"))["unheld"]
REPORTING = {  # the 16 bodies of joint order ¶3
    "local_exec_body", "internal_affairs", "education_authority", "education_org", "guardianship_body",
    "regional_child_rights_body", "minors_commission", "regional_child_ombudsman", "psych_support_centre",
    "family_support_centre", "family_mobile_group", "contact_centre_111", "health_org",
    "social_employment_org", "prosecutor", "other_prevention_subject",
}  # fmt: skip


def rows(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader((SEED / name).read_text("utf-8").splitlines()))


AGENCIES = rows("agencies.csv")
TERRITORIES = rows("territories.csv")
REGIONS = [t["iso_3166_2"] for t in TERRITORIES if t["parent"]]


def test_there_are_twenty_regions_under_one_republic() -> None:
    assert len(REGIONS) == len(set(REGIONS)) == 20
    assert [t["iso_3166_2"] for t in TERRITORIES if not t["parent"]] == ["KZ"]
    assert {t["parent"] for t in TERRITORIES if t["parent"]} == {"KZ"}
    assert all(t["kato"].endswith("0000000") for t in TERRITORIES if t["parent"])


def test_every_body_of_the_law_that_reports_or_is_told_is_there() -> None:
    assert set(ROLES) >= REPORTING
    assert not set(ROLES) & set(UNHELD)
    assert all(UNHELD.values())


@pytest.mark.parametrize("role", sorted(ROLES))
def test_every_role_has_exactly_one_holder_in_each_place_it_belongs_to(role: str) -> None:
    places = Counter(a["territory"] for a in AGENCIES if role in a["roles"].split())
    regional = ROLES[role]["scope"] == "region"
    expected = set(REGIONS) if regional else {"KZ"}
    if ROLES[role].get("national"):
        expected |= {"KZ"}
    assert places == dict.fromkeys(expected, 1)


def test_only_roles_that_are_addressed_by_place_are_primary() -> None:
    for agency in AGENCIES:
        routed = all(ROLES[role].get("routed", True) for role in agency["roles"].split())
        assert agency["primary"] == ("yes" if routed else "no"), agency["code"]


def test_codes_are_role_and_place_and_ids_are_random() -> None:
    for agency in AGENCIES:
        first = agency["roles"].split()[0]
        assert agency["code"] == f"{first.replace('_', '-')}-{agency['territory'].lower()}"
        assert UUID(agency["id"]).version == 4
        assert str(UUID(agency["id"])) == agency["id"]
    assert len({a["id"] for a in AGENCIES}) == len({a["code"] for a in AGENCIES}) == len(AGENCIES)


def test_every_superior_is_in_the_file_and_nobody_is_above_himself() -> None:
    superior = {a["code"]: a["superior"] for a in AGENCIES}
    for code, first in superior.items():
        seen, above = {code}, first
        while above:
            assert above not in seen
            seen.add(above)
            above = superior[above]


def test_every_name_is_given_in_three_languages_and_is_its_own() -> None:
    for language in ("kk", "ru", "en"):
        names = [a[f"name_{language}"] for a in AGENCIES]
        assert all(name == name.strip() and name for name in names)
        assert len(set(names)) == len(names)
    assert all(a["name_en"].isascii() for a in AGENCIES)
    assert all(t[f"name_{language}"] for t in TERRITORIES for language in ("kk", "ru", "en"))


def test_an_invented_organisation_says_so() -> None:
    for agency in AGENCIES:
        invented = not ROLES[agency["roles"].split()[0]].get("routed", True)
        assert ("шартты атау" in agency["name_kk"]) == invented
        assert ("условное название" in agency["name_ru"]) == invented
        assert ("fictitious" in agency["name_en"]) == invented


def test_names_known_from_life_are_spelled_so() -> None:
    names = {a["code"]: (a["name_kk"], a["name_ru"]) for a in AGENCIES}
    assert names["internal-affairs-kz-75"] == (
        "Алматы қаласының Полиция департаменті",
        "Департамент полиции города Алматы",
    )
    assert names["internal-affairs-kz-27"] == (
        "Батыс Қазақстан облысының Полиция департаменті",
        "Департамент полиции Западно-Казахстанской области",
    )
    assert names["prosecutor-kz-62"] == ("Ұлытау облысының прокуратурасы", "Прокуратура области Ұлытау")
