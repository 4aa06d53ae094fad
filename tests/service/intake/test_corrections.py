"""A reporter says later that it was otherwise, or takes its report back; what was told stays on record."""

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from common.contracts.intake import AlertCorrected, AlertReceived, AlertWithdrawn
from common.sealing import unseal
from intake.models import child_records, corrections, denials, withdrawals
from tests.factories.intake import a_child, an_alert_body
from tests.service.intake.conftest import Intake

WORDS = "Аты-жөнін қате жазыппын-c10f"
NEW_NAME = "Басқа Бала-9b2e"


async def post(
    intake: Intake, path: str, body: dict[str, Any], *, agency: UUID | None = None, **more: Any
) -> httpx.Response:
    headers = intake.headers(
        "intake", "agency", agency=agency or intake.school, bodies=more.get("bodies", ("education_org",))
    )
    return await intake.client.post(path, json=body, headers=headers)


def corrected(**changes: Any) -> dict[str, Any]:
    return {"reason": WORDS, "report": an_alert_body(child=a_child(name=NEW_NAME), **changes)}


async def reported(intake: Intake, **changes: Any) -> tuple[str, UUID]:
    answer = await intake.report(an_alert_body(**changes))
    return answer.json()["id"], await intake.internal_id(answer)


async def test_the_content_is_the_new_version_and_says_so(intake: Intake) -> None:
    handle, alert = await reported(intake)
    answer = await post(intake, f"/v1/alerts/{handle}/corrections", corrected(needs_medical_care=True))
    assert answer.status_code == 201, answer.text
    assert answer.json()["version"] == 2
    shown = (await intake.open_content(alert)).json()
    assert shown["child"]["name"] == NEW_NAME
    assert shown["facts"]["needs_medical_care"] is True
    assert shown["version"]["no"] == 2
    assert shown["version"]["corrected_at"] == answer.json()["corrected_at"]
    third = await post(intake, f"/v1/alerts/{handle}/corrections", corrected(direct_threat=False))
    assert third.json()["version"] == 3
    assert (await intake.open_content(alert)).json()["version"]["no"] == 3


async def test_the_former_version_stays_on_record_untouched(intake: Intake) -> None:
    handle, alert = await reported(intake)
    [before] = await intake.rows(child_records)
    for change in ({"needs_medical_care": True}, {"cyber": True}):
        await post(intake, f"/v1/alerts/{handle}/corrections", corrected(**change))
    assert await intake.rows(child_records) == [before]
    rows = sorted(await intake.rows(corrections), key=lambda row: row["no"])
    assert [row["no"] for row in rows] == [2, 3]
    assert (rows[0]["facts"]["needs_medical_care"], rows[1]["facts"]["needs_medical_care"]) == (True, False)
    everything = str(rows)
    assert NEW_NAME not in everything
    assert WORDS not in everything
    private = intake.keys.opening("reporter")
    place = f"intake/corrections/2/reason/{alert}".encode()
    assert unseal(private, rows[0]["reason"], place).decode() == WORDS


async def test_the_others_hear_facts_and_no_name(intake: Intake) -> None:
    handle, alert = await reported(intake)
    await post(intake, f"/v1/alerts/{handle}/corrections", corrected(direct_threat=False))
    received, told = await intake.events()
    assert isinstance(received, AlertReceived)
    assert isinstance(told, AlertCorrected)
    assert (told.alert_id, told.version, told.facts.direct_threat) == (alert, 2, False)
    assert (told.facts.reporter, told.facts.reported_by) == (received.reporter, received.reported_by)
    for secret in (NEW_NAME, WORDS, str(intake.school)):
        assert secret not in told.model_dump_json()


async def test_the_same_correction_again_is_the_stored_one_also_side_by_side(intake: Intake) -> None:
    handle, _ = await reported(intake)
    path = f"/v1/alerts/{handle}/corrections"
    answers = await asyncio.gather(*(post(intake, path, corrected()) for _ in range(4)))
    assert sorted(one.status_code for one in answers) == [200, 200, 200, 201]
    assert {one.json()["version"] for one in answers} == {2}
    assert len(await intake.events()) == 2
    back = await post(intake, path, {"reason": WORDS, "report": an_alert_body()})
    again = await post(intake, path, corrected())
    assert (back.json()["version"], again.json()["version"]) == (3, 4)


async def test_only_the_reporter_may(intake: Intake) -> None:
    handle, _ = await reported(intake)
    for path, body in (("corrections", corrected()), ("withdrawal", {"reason": WORDS})):
        missing = await post(intake, f"/v1/alerts/{uuid4()}/{path}", body)
        for agency in (intake.police, uuid4()):
            refused = await post(
                intake, f"/v1/alerts/{handle}/{path}", body, agency=agency, bodies=("internal_affairs",)
            )
            assert (refused.status_code, refused.content) == (404, missing.content)
    assert len(await intake.events()) == 1


async def test_another_region_is_another_report(intake: Intake) -> None:
    handle, _ = await reported(intake)
    refused = await post(intake, f"/v1/alerts/{handle}/corrections", corrected(territory="KZ-71"))
    assert refused.status_code == 409
    assert await intake.rows(corrections) == []


async def test_a_correction_that_suspects_the_reporter_shuts_it_out(intake: Intake) -> None:
    handle, _ = await reported(intake)
    body = corrected(alleged_offender={"relation": "education_staff", "agency": str(intake.school)})
    for _ in range(2):
        await post(intake, f"/v1/alerts/{handle}/corrections", body)
    assert len(await intake.rows(denials)) == 1
    hidden = await post(intake, f"/v1/alerts/{handle}/corrections", corrected(cyber=True))
    assert hidden.status_code == 404


async def test_a_withdrawn_report_says_so_and_can_still_be_read(intake: Intake) -> None:
    handle, alert = await reported(intake)
    path = f"/v1/alerts/{handle}/withdrawal"
    first = await post(intake, path, {"reason": WORDS})
    again = await post(intake, path, {"reason": "other words"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    [_, told] = await intake.events()
    assert isinstance(told, AlertWithdrawn)
    assert WORDS not in str(await intake.rows(withdrawals))
    shown = await intake.open_content(alert)
    assert shown.status_code == 200
    assert shown.json()["version"]["withdrawn_at"] == first.json()["withdrawn_at"]


async def test_the_records_of_two_versions_do_not_open_in_each_others_place(intake: Intake) -> None:
    handle, alert = await reported(intake)
    await post(intake, f"/v1/alerts/{handle}/corrections", corrected())
    await post(intake, f"/v1/alerts/{handle}/corrections", corrected(cyber=True))
    second, third = sorted(await intake.rows(corrections), key=lambda row: row["no"])
    async with intake.parts.db.transaction() as session:
        await session.execute(
            corrections.update()
            .where(corrections.c.no == 3)
            .values(sealed=second["sealed"], wrapped_key=second["wrapped_key"])
        )
    answer = await intake.open_content(alert)
    assert answer.status_code == 503
    assert third["sealed"] != second["sealed"]


@pytest.mark.parametrize(
    "wrong", [{"reason": ""}, {"reason": None}, {"report": None}, {"report": {}}, {"more": 1}]
)
async def test_hostile_corrections_are_refused_without_an_echo(intake: Intake, wrong: dict[str, Any]) -> None:
    handle, _ = await reported(intake)
    refused = await post(intake, f"/v1/alerts/{handle}/corrections", corrected() | wrong)
    assert 400 <= refused.status_code < 500
    assert NEW_NAME not in refused.text
    assert json.loads(refused.text)["status"] == refused.status_code
    assert await intake.rows(corrections) == []
