import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.domain.territory import Territory, Tree
from registry.errors import TerritoryUnknown

TREE = Tree(
    [
        Territory("KZ", None, None),
        Territory("KZ-75", "750000000", "KZ"),
        Territory("KZ-10", "100000000", "KZ"),
    ]
)


@pytest.mark.parametrize("code", ["KZ-75", "750000000", "751110000", "759999999"])
def test_iso_and_kato_codes_lead_to_the_region(code: str) -> None:
    assert TREE.lineage(code) == ("KZ-75", "KZ")


def test_the_republic_is_its_own_lineage() -> None:
    assert TREE.lineage("KZ") == ("KZ",)


@pytest.mark.parametrize("code", ["", "kz-75", "KZ-99", "990000000", "7511100000", "75111000", "٧٥٠٠٠٠٠٠٠"])
def test_other_codes_are_refused(code: str) -> None:
    with pytest.raises(TerritoryUnknown):
        TREE.lineage(code)


@given(st.text(max_size=12))
def test_any_text_is_either_a_lineage_up_to_the_republic_or_refused(code: str) -> None:
    try:
        lineage = TREE.lineage(code)
    except TerritoryUnknown:
        return
    assert lineage[-1] == "KZ"
