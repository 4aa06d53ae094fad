"""What the rows show and logs cannot: each disagreement is found, planted in a pair that agrees."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tests.acceptance.kill.checker import Told, Verdict
from tests.acceptance.kill.ledger import Attempt, Entry, compare

AT = datetime(2026, 11, 21, 9, tzinfo=UTC)
FIRST = Attempt(1, AT, AT + timedelta(seconds=1), "failed")
SECOND = Attempt(2, AT + timedelta(seconds=3), AT + timedelta(seconds=4), "accepted")
ENTRY = Entry("police", (FIRST, SECOND))
LINE = Told("police", "alert", "d1", "digest", "200")
TOLD = [replace(LINE, answer="500"), LINE, replace(LINE, answer="opened"), replace(LINE, answer="pulled")]


def _sorts(told: list[Told], ledger: dict[str, Entry]) -> set[str]:
    verdict = Verdict()
    compare(told, ledger, verdict)
    return set(verdict.findings)


def test_what_agrees_is_clean() -> None:
    assert _sorts(TOLD, {"d1": ENTRY}) == set()


def test_fewer_requests_than_rows_are_no_fault() -> None:
    assert _sorts([LINE], {"d1": ENTRY}) == set()


def test_a_request_without_a_row() -> None:
    assert _sorts([*TOLD, LINE], {"d1": ENTRY}) == {"unrecorded"}


def test_a_delivery_that_nobody_planned() -> None:
    assert _sorts(TOLD, {}) == {"unplanned"}


def test_a_notice_meant_for_another_body() -> None:
    assert _sorts(TOLD, {"d1": replace(ENTRY, agency="school")}) == {"misrouted"}


def test_an_attempt_after_an_accepted_one() -> None:
    accepted = replace(FIRST, outcome="accepted")
    assert _sorts(TOLD, {"d1": replace(ENTRY, attempts=(accepted, SECOND))}) == {"needless"}


def test_an_accepted_one_that_nobody_could_write_down_is_repeated_after_its_lease() -> None:
    accepted = replace(FIRST, outcome="accepted")
    later = replace(SECOND, started_at=AT + timedelta(seconds=31), ended_at=AT + timedelta(seconds=32))
    assert _sorts(TOLD, {"d1": replace(ENTRY, attempts=(accepted, later))}) == set()


def test_an_accepted_one_that_was_still_under_way_is_no_fault() -> None:
    late = replace(FIRST, outcome="accepted", ended_at=AT + timedelta(seconds=9))
    assert _sorts(TOLD, {"d1": replace(ENTRY, attempts=(late, SECOND))}) == set()
