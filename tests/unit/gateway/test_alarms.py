"""Who does what next, and how a ladder is drawn."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from gateway.domain.alarms import Alarm, NextRung, Rung, Step, Who, next_of, nodes_of, tally

T0 = datetime(2026, 10, 23, 10, tzinfo=UTC)
SOMEBODY = UUID(int=1)


def a_rung(rung: int, **more: Any) -> Rung:
    fields: dict[str, Any] = {"state": "transmitted", "agency": SOMEBODY, "delivery": SOMEBODY}
    if rung == 4:
        fields = {"state": None}
    return Rung(rung=rung, at=T0, last_at=T0, role="internal_affairs", **(fields | more))


def an_alarm(*ladder: Rung, **more: Any) -> Alarm:
    fields: dict[str, Any] = {
        "id": SOMEBODY, "kind": "silence", "state": "open", "alert": SOMEBODY, "role": "internal_affairs",
        "urgency": "immediate", "reason": "silence", "since": T0,
    }  # fmt: skip
    return Alarm(ladder=ladder, **(fields | more))


@pytest.mark.parametrize(
    ("alarm", "who", "code"),
    [
        (an_alarm(a_rung(0), a_rung(1)), Who.LADDER, "climbs"),
        (an_alarm(a_rung(0), a_rung(4)), Who.OPERATOR, "phone"),
        (an_alarm(a_rung(0, state="dead"), a_rung(4)), Who.OPERATOR, "phone_dead"),
        (an_alarm(a_rung(0, state="dead"), a_rung(1)), Who.LADDER, "climbs"),
        (an_alarm(a_rung(0, state="rejected")), Who.OPERATOR, "find_other"),
        (an_alarm(a_rung(0, agency=None)), Who.OPERATOR, "name_holder"),
        (an_alarm(a_rung(3), kind="breach"), Who.LADDER, "climbs"),
        (an_alarm(a_rung(3, state="acknowledged"), kind="breach"), Who.OWNER, "owner_does"),
        (an_alarm(a_rung(3), a_rung(4), kind="breach"), Who.OPERATOR, "phone_breach"),
        (an_alarm(a_rung(4), kind="breach"), Who.OPERATOR, "phone_breach"),
        (an_alarm(a_rung(0), a_rung(4), state="closed"), Who.NOBODY, "closed"),
    ],
)
def test_each_alarm_says_who_does_what_next(alarm: Alarm, who: Who, code: str) -> None:
    turn = next_of(alarm)
    assert (turn.who, turn.code) == (who, code)


def drawn(alarm: Alarm) -> list[tuple[int | None, Step]]:
    return [(node.rung, node.step) for node in nodes_of(alarm)]


def test_a_ladder_shows_what_was_climbed_passed_over_comes_next_and_lies_ahead() -> None:
    alarm = an_alarm(a_rung(0), a_rung(2, state="waiting"), next=NextRung(3, T0))
    assert drawn(alarm) == [
        (0, Step.TOLD), (1, Step.SKIPPED), (2, Step.TRYING), (3, Step.NEXT), (4, Step.AHEAD),
    ]  # fmt: skip
    skipping = an_alarm(a_rung(0), next=NextRung(4, T0))
    assert drawn(skipping) == [
        (0, Step.TOLD), (1, Step.SKIPPED), (2, Step.SKIPPED), (3, Step.SKIPPED), (4, Step.NEXT),
    ]  # fmt: skip


def test_at_the_operator_nothing_lies_ahead_and_an_answer_is_seen() -> None:
    alarm = an_alarm(a_rung(0), a_rung(3, state="acknowledged"), a_rung(4, times=3), next=NextRung(4, T0))
    assert drawn(alarm) == [
        (0, Step.TOLD), (1, Step.SKIPPED), (2, Step.SKIPPED), (3, Step.TAKEN), (4, Step.CALLED),
    ]  # fmt: skip


def test_a_breach_begins_with_the_missed_limit_and_goes_above() -> None:
    alarm = an_alarm(a_rung(3), a_rung(1), kind="breach", next=NextRung(2, T0))
    assert drawn(alarm) == [
        (None, Step.MISSED), (3, Step.TOLD), (1, Step.TOLD), (2, Step.NEXT), (4, Step.AHEAD),
    ]  # fmt: skip
    closed = an_alarm(a_rung(3, state="acknowledged"), kind="breach", state="closed")
    assert drawn(closed) == [(None, Step.MISSED), (3, Step.TAKEN)]


def test_a_page_counts_what_waits_for_its_reader() -> None:
    alarms = [an_alarm(a_rung(0), a_rung(4)), an_alarm(a_rung(0)), an_alarm(a_rung(3), kind="breach")]
    counts = tally(alarms)
    assert (counts.yours, counts.climbing, counts.breached) == (1, 2, 1)
