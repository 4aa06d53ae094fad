"""When an endpoint is tested: properties that hold for every endpoint, calendar day and history."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.calendar import LOCAL, local_day
from notifier.domain.drill import (
    AGAIN_AFTER,
    LATE,
    NEW_FOR,
    TRIES,
    Often,
    Pace,
    Standing,
    Watched,
    is_due,
    last_slot,
    standing,
)
from notifier.lawbook import Lawbook

CALENDAR = Lawbook.load().calendar
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
SYSTEM = Watched(UUID(int=7), UUID(int=1), "webhook", 0, is_paused=False, since=LONG_AGO)
PACE = Pace()

ids = st.uuids(version=4)
kinds = st.sampled_from(["webhook", "amqp", "file", "x-pager", "smtp", "sms", "voice"])
moments = st.datetimes(datetime(2026, 1, 12), datetime(2027, 12, 20), timezones=st.just(UTC))  # noqa: DTZ001  # st.datetimes wants naive bounds


def an_endpoint(endpoint_id: UUID, kind: str) -> Watched:
    return replace(SYSTEM, endpoint_id=endpoint_id, kind=kind)


def minutes_of(day: date) -> list[datetime]:
    start = datetime(day.year, day.month, day.day, tzinfo=LOCAL).astimezone(UTC)
    return [start + timedelta(minutes=each) for each in range(24 * 60)]


@given(ids, kinds, moments)
def test_nothing_is_tested_outside_working_hours(endpoint_id: UUID, kind: str, now: datetime) -> None:
    local = now.astimezone(LOCAL)
    if is_due(an_endpoint(endpoint_id, kind), PACE, CALENDAR, now=now):
        assert CALENDAR.is_working(local_day(now))
        assert 9 <= local.hour < 18


@given(ids, kinds, moments)
def test_a_working_day_brings_at_most_one_test_and_a_system_exactly_one(
    endpoint_id: UUID, kind: str, now: datetime
) -> None:
    tested, times = an_endpoint(endpoint_id, kind), 0
    day = local_day(now)
    for moment in minutes_of(day):
        if is_due(tested, PACE, CALENDAR, now=moment):
            times += 1
            tested = replace(tested, test_id=UUID(int=9), tested_at=moment, judged_at=moment)
            tested = replace(tested, proven_at=moment, proof_id=UUID(int=9))
    assert times <= 1
    if PACE.of(kind) is Often.DAILY:
        assert times == (1 if CALENDAR.is_working(day) else 0)


@given(ids, st.integers(0, 60))
def test_whoever_rings_for_a_person_is_tested_once_in_seven_days(endpoint_id: UUID, after: int) -> None:
    tested = an_endpoint(endpoint_id, "voice")
    first = date(2026, 9, 7) + timedelta(weeks=after % 5)  # no holiday takes these weeks away
    days = []
    for day in (first + timedelta(days=each) for each in range(7)):
        for moment in minutes_of(day)[::10]:
            if is_due(tested, PACE, CALENDAR, now=moment):
                days.append(day)
                tested = replace(tested, tested_at=moment, judged_at=moment)
    assert len(days) == 1


@given(ids, moments, st.sampled_from([Often.DAILY, Often.WEEKLY]))
def test_the_slot_lies_in_the_past_and_never_goes_back(
    endpoint_id: UUID, now: datetime, often: Often
) -> None:
    slot = last_slot(endpoint_id, often, CALENDAR, now)
    assert slot is not None
    assert slot <= now
    assert CALENDAR.is_working(local_day(slot))
    later = last_slot(endpoint_id, often, CALENDAR, now + timedelta(days=3))
    assert later is not None
    assert later >= slot


def test_the_tests_of_a_day_are_spread_over_its_hours() -> None:
    noon = datetime(2026, 10, 23, 12, 0, tzinfo=LOCAL)
    ids = [UUID(int=each * 0x9E3779B97F4A7C15 % 2**128, version=4) for each in range(1, 701)]
    due = sum(is_due(an_endpoint(one, "webhook"), PACE, CALENDAR, now=noon) for one in ids)
    # Three of seven hours are over.
    assert 240 <= due <= 360


@pytest.fixture
def slot() -> datetime:
    found = last_slot(SYSTEM.endpoint_id, Often.DAILY, CALENDAR, datetime(2026, 10, 23, 12, tzinfo=UTC))
    assert found is not None
    return found


def test_an_endpoint_that_answered_an_alert_within_a_day_needs_no_test(slot: datetime) -> None:
    answered = replace(SYSTEM, proven_at=slot - timedelta(hours=23), proof_id=UUID(int=3))
    assert not is_due(answered, PACE, CALENDAR, now=slot)
    assert standing(answered, PACE, CALENDAR, now=slot + 2 * LATE) is Standing.PROVEN
    older = replace(SYSTEM, proven_at=slot - timedelta(hours=25), proof_id=UUID(int=3))
    assert is_due(older, PACE, CALENDAR, now=slot)


def test_paused_new_and_unwatched_endpoints_are_left_alone(slot: datetime) -> None:
    assert is_due(SYSTEM, PACE, CALENDAR, now=slot)
    paused = replace(SYSTEM, is_paused=True)
    new = replace(SYSTEM, since=slot - NEW_FOR + timedelta(seconds=1))
    assert not is_due(paused, PACE, CALENDAR, now=slot)
    assert not is_due(new, PACE, CALENDAR, now=slot)
    assert not is_due(SYSTEM, Pace(systems=Often.NEVER), CALENDAR, now=slot)
    told = [standing(one, PACE, CALENDAR, now=slot + 2 * LATE) for one in (paused, new)]
    assert told == [Standing.PAUSED, Standing.NEW]
    assert standing(SYSTEM, Pace(systems=Often.NEVER), CALENDAR, now=slot) is Standing.OFF


def test_a_duty_phone_is_rung_while_somebody_is_on_duty() -> None:
    phone = replace(SYSTEM, kind="voice")
    at = last_slot(phone.endpoint_id, Often.WEEKLY, CALENDAR, datetime(2026, 10, 23, 12, tzinfo=UTC))
    assert at is not None
    night = {"weekly": [{"day": day, "opens": "20:00", "closes": "24:00"} for day in range(1, 8)]}
    assert is_due(phone, PACE, CALENDAR, now=at)
    assert not is_due(replace(phone, hours=night), PACE, CALENDAR, now=at)
    # A system answers whatever the hours of its people.
    assert is_due(replace(SYSTEM, hours=night), PACE, CALENDAR, now=at.replace(hour=12))


def test_a_test_that_failed_is_tried_again_once_and_then_the_next_day(slot: datetime) -> None:
    failed = replace(SYSTEM, test_id=UUID(int=9), tested_at=slot, judged_at=slot, cause="refused", failures=1)
    assert not is_due(failed, PACE, CALENDAR, now=slot + AGAIN_AFTER - timedelta(seconds=1))
    assert is_due(failed, PACE, CALENDAR, now=slot + AGAIN_AFTER)
    assert standing(failed, PACE, CALENDAR, now=slot + AGAIN_AFTER) is Standing.AWAITED
    again = replace(failed, tested_at=slot + AGAIN_AFTER, failures=TRIES, failing_since=slot + AGAIN_AFTER)
    assert standing(again, PACE, CALENDAR, now=slot + 2 * LATE) is Standing.FAILING
    assert not is_due(again, PACE, CALENDAR, now=slot + 2 * AGAIN_AFTER)
    assert is_due(again, PACE, CALENDAR, now=slot + timedelta(days=4))  # the next working day


def test_a_test_that_did_not_take_place_is_missed(slot: datetime) -> None:
    assert standing(SYSTEM, PACE, CALENDAR, now=slot + LATE - timedelta(seconds=1)) is Standing.NEW
    assert standing(SYSTEM, PACE, CALENDAR, now=slot + LATE) is Standing.UNTESTED
    begun = replace(SYSTEM, test_id=UUID(int=9), tested_at=slot)
    assert standing(begun, PACE, CALENDAR, now=slot + 2 * LATE) is Standing.AWAITED
