"""Thin notices, receipts, visibility and the webhook's reading of answers."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from notifier.adapters.webhook import judge, retry_after, signed_headers
from notifier.domain.channel import Parcel
from notifier.domain.delivery import Outcome
from notifier.domain.notice import LIMIT, Notice, NoticeDuty, digest, render_notice
from notifier.domain.receipt import Flaw, Receipt, ReceiptStatus, find_flaw
from notifier.domain.schedule import Urgency
from notifier.domain.visibility import Sight, Viewer, sight_of

NOW = datetime(2026, 10, 23, 10, 0, tzinfo=UTC)


def a_notice(duties: int = 1, letters: int = 100) -> Notice:
    duty = NoticeDuty(
        "R136-8a",
        "¶8",
        {"kk": "ә" * letters, "ru": "я" * letters},
        NOW + timedelta(minutes=15),
        "joint order",
    )
    return Notice(
        delivery_id=UUID(int=1),
        number=1,
        handle=UUID(int=2),
        urgency=Urgency.IMMEDIATE,
        duties=[duty] * duties,
        content_url="https://dabyl.example/v1/deliveries/1/content",
        grant="g" * 420,
        receipt_url="https://dabyl.example/v1/deliveries/1/receipt",
        sent_at=NOW,
    )


@given(st.integers(0, 12), st.integers(0, 400))
def test_a_notice_never_outgrows_its_limit_and_names_every_duty(duties: int, letters: int) -> None:
    body = render_notice(a_notice(duties, letters))
    assert len(body) <= LIMIT
    said = json.loads(body)
    assert len(said["duties"]) == duties
    assert all(duty["due_at"] == "2026-10-23T10:15:00Z" for duty in said["duties"])
    worded = [bool(duty["text"]) for duty in said["duties"]]
    assert worded == sorted(worded, reverse=True)


def test_equal_notices_are_equal_bytes_and_any_change_is_another_digest() -> None:
    assert render_notice(a_notice()) == render_notice(a_notice())
    changed = replace(a_notice(), number=2)
    assert digest(render_notice(changed)) != digest(render_notice(a_notice()))


def test_a_notice_that_cannot_fit_is_not_cut_silently() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        render_notice(a_notice(100))


def a_receipt(**changes: object) -> Receipt:
    receipt = Receipt(
        delivery_id=UUID(int=1),
        notice_digest="ab" * 32,
        status=ReceiptStatus.RECEIVED,
        at=NOW,
        person_name="Кезекші",
        person_position="кезекші",
    )
    return replace(receipt, **changes)  # type: ignore[arg-type]  # a test's shorthand


@pytest.mark.parametrize(
    ("changes", "flaw"),
    [
        ({}, None),
        ({"notice_digest": "AB" * 32}, None),
        ({"delivery_id": UUID(int=9)}, Flaw.WRONG_DELIVERY),
        ({"notice_digest": "cd" * 32}, Flaw.WRONG_DIGEST),
        ({"at": NOW + timedelta(minutes=6)}, Flaw.FROM_THE_FUTURE),
        ({"at": NOW + timedelta(minutes=4)}, None),
        ({"at": NOW - timedelta(minutes=6)}, Flaw.BEFORE_THE_NOTICE),
    ],
)
def test_what_is_wrong_with_a_receipt(changes: dict[str, object], flaw: Flaw | None) -> None:
    found = find_flaw(
        a_receipt(**changes), delivery_id=UUID(int=1), notice_digest="ab" * 32, planned_at=NOW, now=NOW
    )
    assert found is flaw


def test_a_receipt_shows_no_name_when_it_is_printed() -> None:
    assert "Кезекші" not in repr(a_receipt())


@pytest.mark.parametrize(
    ("role", "bodies", "sight"),
    [
        ("operator", (), Sight.EVERYTHING),
        ("agency", ("internal_affairs",), Sight.OWN),
        ("agency", ("contact_centre_111",), Sight.SUPERVISION),
        ("registrar", (), None),
        ("auditor", (), None),
        ("service", (), None),
        ("operator2", (), None),
    ],
)
def test_who_looks_at_alerts(role: str, bodies: tuple[str, ...], sight: Sight | None) -> None:
    assert sight_of(role, bodies) is sight


def test_an_agency_sees_what_it_is_a_party_to() -> None:
    me, other = uuid4(), uuid4()
    viewer = Viewer(Sight.OWN, me)
    assert viewer.sees_obligation(obliged=me, recipient=other, was_dispatched=False)
    assert viewer.sees_obligation(obliged=other, recipient=me, was_dispatched=True)
    assert not viewer.sees_obligation(obliged=other, recipient=me, was_dispatched=False)
    assert not viewer.sees_obligation(obliged=other, recipient=None, was_dispatched=True)
    assert not viewer.sees_obligation(obliged=None, recipient=None, was_dispatched=True)
    assert viewer.sees_delivery(agency=me, carries_duty_of=frozenset({other}))
    assert viewer.sees_delivery(agency=other, carries_duty_of=frozenset({me}))
    assert not viewer.sees_delivery(agency=None, carries_duty_of=frozenset({None}))
    assert viewer.is_addressee(me)
    assert not viewer.is_addressee(other)
    assert not Viewer(Sight.EVERYTHING, None).is_addressee(None)


# What the webhook adapter signs and reads


def test_agencies_verify_our_signature_with_the_standard_library() -> None:
    key = bytes(range(32))
    parcel = Parcel(uuid4(), "https://example.kz/hook", '{"a":"ә"}'.encode(), (key,), timedelta(seconds=1))
    headers = signed_headers(parcel, now=datetime.now(UTC))
    assert Webhook(key).verify(parcel.body, headers)
    assert "traceparent" not in headers


@pytest.mark.parametrize(
    ("status", "headers", "outcome"),
    [
        (200, {}, Outcome.ACCEPTED),
        (204, {}, Outcome.ACCEPTED),
        (301, {}, Outcome.REDIRECTED),
        (400, {}, Outcome.REFUSED),
        (401, {}, Outcome.REFUSED),
        (404, {}, Outcome.REFUSED),
        (410, {}, Outcome.GONE),
        (429, {}, Outcome.THROTTLED),
        (500, {}, Outcome.FAILED),
        (503, {}, Outcome.FAILED),
        (503, {"Retry-After": "5"}, Outcome.THROTTLED),
        (599, {}, Outcome.FAILED),
        (999, {}, Outcome.FAILED),
    ],
)
def test_what_a_status_means(status: int, headers: dict[str, str], outcome: Outcome) -> None:
    assert judge(status, headers, now=NOW).outcome is outcome


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("10", timedelta(seconds=10)),
        ("21600", timedelta(hours=6)),
        ("0", None),
        ("-1", None),
        ("garbage", None),
        ("", None),
        ("١٢", None),
        (format_datetime(NOW + timedelta(minutes=2)), timedelta(minutes=2)),
        (format_datetime(NOW - timedelta(minutes=2)), None),
        ("99999999999999999999", timedelta(days=30)),
    ],
)
def test_retry_after_in_every_form(text: str, wish: timedelta | None) -> None:
    assert retry_after(text, now=NOW) == wish


@given(st.text(max_size=60))
def test_retry_after_never_breaks_on_what_they_write(text: str) -> None:
    wish = retry_after(text, now=NOW)
    assert wish is None or timedelta(0) < wish <= timedelta(days=30)
