"""What nobody told: a publication, a test that found a child at risk. Sealed, and shown to whom it helps."""

from typing import Any

import pytest

from common.contracts.intake import AlertReceived
from common.contracts.vocabulary import Channel, Occasion
from intake.models import child_records
from tests.factories.intake import an_alert_body
from tests.service.intake.conftest import Intake

PUBLICATION = {"address": "https://news.example/canary-7f3a", "discovered_on": "2026-10-23"}
SCREENING = {"instrument": "canary-7f3a", "result": "over_threshold", "taken_on": "2026-10-22"}


def without_source(**more: Any) -> dict[str, Any]:
    body = {**an_alert_body(**more)}
    del body["occasion"], body["channel"]
    return body


async def test_a_test_over_its_threshold_is_a_survey_and_the_event_says_no_more(intake: Intake) -> None:
    answer = await intake.report(without_source(screening=SCREENING, concerns=["suicidal_behaviour"]))
    assert answer.status_code == 201
    (event,) = await intake.events()
    assert isinstance(event, AlertReceived)
    assert (event.channel, event.occasion) == (Channel.SURVEY, Occasion.OWN_DUTIES)
    assert "canary" not in event.model_dump_json()
    (record,) = await intake.rows(child_records)
    assert b"canary" not in bytes(record["sealed"] if "sealed" in record else repr(record).encode())


async def test_a_publication_is_the_occasion_media(intake: Intake) -> None:
    assert (await intake.report(without_source(publication=PUBLICATION))).status_code == 201
    (event,) = await intake.events()
    assert isinstance(event, AlertReceived)
    assert (event.channel, event.occasion) == (Channel.SYSTEM, Occasion.MEDIA)
    assert "canary" not in event.model_dump_json()


@pytest.mark.parametrize(
    "contradiction",
    [
        {"publication": PUBLICATION, "occasion": "reception"},
        {"screening": SCREENING, "channel": "phone"},
        {"screening": {**SCREENING, "result": "under_threshold"}},
        {"screening": {**SCREENING, "taken_on": 1_790_000_000}},
        {"publication": {**PUBLICATION, "copy_digest": "x"}},
    ],
)
async def test_a_source_that_contradicts_is_refused_and_not_repeated(
    intake: Intake, contradiction: dict[str, Any]
) -> None:
    answer = await intake.report({**without_source(), **contradiction})
    assert answer.status_code == 422
    assert "canary" not in answer.text
    assert await intake.events() == []


async def test_the_publication_goes_with_the_narrative_and_the_test_to_nobody_before_help_begins(
    intake: Intake,
) -> None:
    """The matrix opens psychological findings (F10) with the work, not with the first notice."""
    answer = await intake.report(without_source(screening=SCREENING, publication=PUBLICATION))
    alert = await intake.internal_id(answer)
    police = (await intake.open_content(alert, ("internal_affairs",))).json()
    assert police["publication"] == {**PUBLICATION, "copy_digest": None}
    for body in ("internal_affairs", "psych_support_centre", "regional_child_ombudsman"):
        assert "screening" not in (await intake.open_content(alert, (body,))).json()
