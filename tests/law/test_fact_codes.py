"""The codes that casework may record are those of which the law says that casework signs them."""

from common.contracts.casework import EVENT_OF
from common.contracts.vocabulary import CaseFactCode
from notifier.lawbook import Lawbook


def test_casework_records_what_the_law_leaves_to_it() -> None:
    lawbook = Lawbook.load()
    signed = {code for code, fact in lawbook.names.facts.items() if fact.source == "casework"}
    assert {code.value for code in CaseFactCode} == signed
    assert set(EVENT_OF) <= signed
