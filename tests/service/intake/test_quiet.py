"""Nothing that was told comes out of the process, whatever happens to it."""

import json
from uuid import uuid4

import pytest

from common.telemetry import configure_logging
from tests.factories.intake import CANARIES, a_child, an_alert_body
from tests.service.intake.conftest import Intake


def found_in(text: str) -> set[str]:
    spellings = {
        name: {value, json.dumps(value)[1:-1], repr(value)[1:-1]} for name, value in CANARIES.items()
    }
    return {name for name, forms in spellings.items() if any(form in text for form in forms)}


async def test_nothing_is_printed_that_was_told(
    intake: Intake, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure_logging("DEBUG")
    body = an_alert_body(reference=CANARIES["reference"])
    answer = await intake.report(body)
    alert = await intake.internal_id(answer)
    outcomes = [
        answer,
        await intake.report({**body, "concerns": ["other"]}),
        await intake.report({**body, "child": a_child(age="x"), CANARIES["name"]: 1}),
        await intake.open_content(alert),
        await intake.open_content(uuid4()),
    ]

    async def broken(*_args: object, **_more: object) -> None:
        raise ValueError(json.dumps(body, ensure_ascii=False))

    monkeypatch.setattr("intake.repository.add_records", broken)
    outcomes.append(await intake.report({**body, "reference": None}))
    assert [one.status_code for one in outcomes] == [201, 409, 422, 200, 404, 500]
    assert found_in(outcomes[-1].text) == set()
    printed = "".join(capfd.readouterr())
    assert "request_failed" in printed
    assert found_in(printed) == set()


async def test_a_failing_statement_prints_no_values(
    intake: Intake, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two alerts with one handle break a unique index that nobody expects to break."""
    configure_logging("DEBUG")
    handle = uuid4()
    monkeypatch.setattr("intake.adapters.cabinet.pairwise", lambda *_args: handle)
    assert (await intake.report()).status_code == 201
    answer = await intake.report()
    assert answer.status_code == 500
    printed = "".join(capfd.readouterr())
    for secret in (str(handle), handle.hex, str(intake.school)):
        assert secret not in printed
        assert secret not in answer.text


def test_the_search_finds_a_planted_leak() -> None:
    for name, value in CANARIES.items():
        assert found_in(f"x {value} y") == {name}
        assert found_in(json.dumps({"a": value})) == {name}
