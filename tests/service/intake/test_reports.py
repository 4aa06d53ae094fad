"""A report of somebody without an account: taken at once, a receipt shown once, a flood kept together."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from common.testing import FrozenNow
from intake.domain.flood import LONGEST_WINDOW, SOURCE_MOST, WORDS_MOST
from intake.domain.number import read_number, read_receipt_code
from intake.jobs import forget_keys
from intake.models import alerts, receipt_codes, report_traces, reporter_vault
from tests.service.intake.conftest import Intake

HERE = "0" * 31 + "1"
KEY = "a-key-that-nobody-guesses"


async def tell(intake: Intake, source: str = HERE, key: str | None = None, **more: Any) -> httpx.Response:
    body = {"territory": "KZ-75", "concerns": ["violence"], "reporter": "child"} | more
    headers = intake.headers("intake", "service", subject="gateway") | {"Dabyl-Source": source}
    if key is not None:
        headers["Idempotency-Key"] = key
    return await intake.client.post("/v1/reports", json=body, headers=headers)


async def test_a_child_reports_without_an_account_and_keeps_a_receipt(intake: Intake) -> None:
    answer = await tell(intake, narrative="Мені ұрады, тел. 555-01-23")
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert set(told) == {"number", "receipt", "received_at"}
    assert read_number(told["number"]) == told["number"]
    assert read_receipt_code(told["receipt"].lower().replace("-", " ")) == told["receipt"]
    [event] = await intake.events()
    assert (event.reporter, event.occasion, event.channel) == ("child", "information", "web")  # type: ignore[attr-defined]  # an alert
    assert event.clustered is False  # type: ignore[attr-defined]  # an alert
    [stored] = await intake.rows(receipt_codes)
    assert told["receipt"].encode() not in stored["token"]
    everything = str(
        [await intake.rows(table) for table in (alerts, receipt_codes, report_traces, reporter_vault)]
    )
    assert told["receipt"] not in everything
    assert "555-01-23" not in everything


async def test_a_repeat_is_the_same_report_and_shows_no_receipt_again(intake: Intake) -> None:
    first = await tell(intake, key=KEY)
    again = await tell(intake, key=KEY)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json() | {"receipt": None}
    assert (await tell(intake, key=KEY, concerns=["crisis"])).status_code == 409
    assert (await tell(intake, key="1")).status_code == 400
    assert len(await intake.rows(alerts)) == 1


async def test_many_at_once_with_one_key_are_one_report(intake: Intake) -> None:
    answers = await asyncio.gather(*(tell(intake, key=KEY) for _ in range(5)))
    assert sorted(one.status_code for one in answers) == [200] * 4 + [201]
    assert len(await intake.rows(alerts)) == 1


async def clustered(intake: Intake) -> list[bool]:
    return [event.clustered for event in await intake.events()]  # type: ignore[attr-defined]  # alerts only


async def test_a_burst_from_one_source_is_kept_together_and_nothing_is_lost(
    intake: Intake, now: FrozenNow
) -> None:
    for number in range(SOURCE_MOST + 2):
        assert (await tell(intake, narrative=f"{number}")).status_code == 201
    assert await clustered(intake) == [False] * SOURCE_MOST + [True] * 2
    assert (await tell(intake, "f" * 32, narrative="other")).status_code == 201
    now.move(timedelta(minutes=11))
    await tell(intake, narrative="later")
    assert (await clustered(intake))[-2:] == [False, False]


async def test_the_same_words_from_everywhere_are_kept_together(intake: Intake) -> None:
    for number in range(WORDS_MOST + 1):
        await tell(
            intake, f"{number:032x}", narrative="the very same words that somebody sends again and again"
        )
    assert await clustered(intake) == [False] * WORDS_MOST + [True]


@pytest.mark.parametrize("body", [{}, {"narrative": "Помогите, меня бьют"}])
async def test_children_who_write_the_same_few_words_are_no_flood(
    intake: Intake, body: dict[str, Any]
) -> None:
    for number in range(WORDS_MOST + 3):
        await tell(intake, f"{number:032x}", **body)
    assert await clustered(intake) == [False] * (WORDS_MOST + 3)


async def test_what_the_guard_counted_is_forgotten(intake: Intake, now: FrozenNow) -> None:
    await tell(intake)
    now.move(LONGEST_WINDOW + timedelta(seconds=1))
    await forget_keys(intake.parts)
    assert await intake.rows(report_traces) == []


@pytest.mark.parametrize(
    "body",
    [
        {"reporter": "education_org"}, {"channel": "system"}, {"canary": 1}, {"concerns": []},
        {"alleged_offender": {"relation": "parent", "agency": "5b8ed9cf-6c5b-4f0a-8a55-2a3b7f7a1a01"}},
        {"reference": "x"}, {"occasion": "media"}, {"narrative": "x" * 20_001}, {"direct_threat": "yes"},
    ],
)  # fmt: skip
async def test_what_a_stranger_may_not_say_is_refused(intake: Intake, body: dict[str, Any]) -> None:
    answer = await tell(intake, **body)
    assert answer.status_code == 422
    assert "canary" not in answer.text
    assert await intake.rows(alerts) == []


async def test_only_the_gateway_brings_reports(intake: Intake) -> None:
    body = {"territory": "KZ-75", "concerns": ["violence"]}
    for role in ("agency", "operator", "registrar", "auditor"):
        headers = intake.headers("intake", role) | {"Dabyl-Source": HERE}
        assert (await intake.client.post("/v1/reports", json=body, headers=headers)).status_code == 403
    assert (await intake.client.post("/v1/reports", json=body)).status_code == 401
    headers = intake.headers("intake", "service", subject="gateway")
    for source in (None, "", "203.0.113.7", "g" * 32):
        more = {} if source is None else {"Dabyl-Source": source}
        answer = await intake.client.post("/v1/reports", json=body, headers=headers | more)
        assert answer.status_code == 422
        assert "203.0" not in answer.text
