"""Who may read what: status, matches, content. Hidden and missing look the same."""

import base64
import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select, update

from access import BODIES
from common.contracts.intake import ContentOpened
from common.contracts.notifier import JoiningDeclined, JoiningMade, JoiningUndone
from common.ids import pairwise
from common.sealing import aead_open
from intake.models import child_records, openings
from tests.factories.intake import CANARIES, a_child, a_grant, an_alert_body
from tests.service.intake.conftest import Intake
from tests.service.intake.test_conflicts import take

POLICE = ("internal_affairs",)
REGIONAL = ("regional_child_rights_body",)


def same(one: httpx.Response, other: httpx.Response) -> bool:
    """The very same answer, byte for byte."""
    return (one.status_code, one.content, dict(one.headers)) == (
        other.status_code,
        other.content,
        dict(other.headers),
    )


async def reported(intake: Intake, **changes: Any) -> tuple[httpx.Response, UUID]:
    answer = await intake.report(an_alert_body(**changes))
    assert answer.status_code == 201
    return answer, await intake.internal_id(answer)


# The alert itself


async def read(intake: Intake, alert: object, role: str = "agency", **caller: Any) -> httpx.Response:
    headers = intake.headers("intake", role, **caller)
    return await intake.client.get(f"/v1/alerts/{alert}", headers=headers)


async def test_the_reporter_sees_that_its_alert_is_here(intake: Intake) -> None:
    answer, _ = await reported(intake)
    seen = await read(intake, answer.json()["id"], agency=intake.school)
    assert seen.status_code == 200
    assert seen.json() == {
        "id": answer.json()["id"],
        "number": answer.json()["number"],
        "received_at": answer.json()["received_at"],
        "state": "received",
    }
    assert seen.headers["cache-control"] == "no-store"


async def test_an_operator_sees_it_by_either_id_and_no_facts(intake: Intake) -> None:
    answer, internal = await reported(intake)
    for alert in (internal, answer.json()["id"]):
        seen = await read(intake, alert, "operator")
        assert seen.status_code == 200
        assert seen.json()["id"] == str(internal)
        assert set(seen.json()) == {"id", "number", "received_at", "state"}


async def test_to_everybody_else_it_is_not_there(intake: Intake) -> None:
    answer, internal = await reported(intake)
    handle = answer.json()["id"]
    missing = await read(intake, uuid4(), agency=intake.school)
    assert missing.status_code == 404
    hidden = [
        await read(intake, internal, agency=intake.school),
        await read(intake, handle, agency=uuid4()),
        await read(intake, handle, agency=intake.police, bodies=POLICE),
        await read(intake, handle, "auditor"),
        await read(intake, handle, "registrar"),
        await read(intake, handle, "service"),
        await read(intake, internal, "auditor"),
        await read(intake, handle, agency=None),
    ]
    assert all(same(answer, missing) for answer in hidden[:-3])
    assert {answer.status_code for answer in hidden} <= {404, 401}


@pytest.mark.parametrize("known", [True, False])
async def test_a_school_that_is_suspected_cannot_read_its_own_report_later(
    intake: Intake, known: bool
) -> None:
    offender = {"relation": "education_staff", "agency": str(intake.school) if known else None}
    answer, _ = await reported(intake, alleged_offender=offender)
    school: dict[str, Any] = {"agency": intake.school, "bodies": ("education_org",)}
    assert same(await read(intake, answer.json()["id"], **school), await read(intake, uuid4(), **school))


# Content


async def test_police_read_all_that_the_table_allows_at_receipt(intake: Intake) -> None:
    _, alert = await reported(intake)
    delivery = uuid4()
    answer = await intake.open_content(alert, POLICE, delivery=delivery)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "alert": str(pairwise(intake.keys.secret("pairwise"), alert, intake.police)),
        "received_on": intake.now().date().isoformat(),
        "facts": {
            "concerns": ["violence"],
            "cyber": False,
            "direct_threat": True,
            "needs_medical_care": False,
            "without_parental_care": False,
            "parents_may_be_informed": False,
        },
        "territory": {"region": "KZ-75", "kato": None},
        "child": {**a_child(), "age": None, "age_band": "7-11", "doubts": []},
        "narrative": CANARIES["narrative"],
        "alleged_offender": {"relation": "parent", "agency": None},
        "version": {"no": 1, "corrected_at": None, "withdrawn_at": None},
    }


async def test_every_look_is_written_down_and_told(intake: Intake) -> None:
    _, alert = await reported(intake)
    delivery = uuid4()
    await intake.open_content(alert, POLICE, delivery=delivery)
    await intake.open_content(alert, POLICE, delivery=delivery)
    rows = await intake.rows(openings)
    assert len(rows) == 2
    assert {row["delivery_id"] for row in rows} == {delivery}
    assert {row["subject"] for row in rows} == {"client-1"}
    assert rows[0]["groups"] == ["F0", "F1", "F2", "F3", "F4", "F6", "F7", "F8", "F11"]
    told = [event for event in await intake.events() if isinstance(event, ContentOpened)]
    expected = ContentOpened(delivery_id=delivery, opened_at=intake.now(), person="client-1")
    assert told == [expected, expected]


EVERYTHING = {"name", "iin", "address", "education_org", "narrative"}
VISIT = {"name", "iin", "address"}
SEEN: dict[str, set[str]] = {
    "internal_affairs": EVERYTHING,
    "regional_child_rights_body": EVERYTHING,
    "case_manager": EVERYTHING,
    "guardianship_body": EVERYTHING,
    "coordinating_body_head": {"education_org"},
    "regional_child_ombudsman": EVERYTHING - {"address"},
    "psych_support_centre": VISIT,
    "psc_head": VISIT,
    "psc_management": VISIT,
    "psc_specialist": VISIT,
    "psc_mobile_response_group": VISIT,
    "family_mobile_group": VISIT,
    "child_violence_help_cabinet": {"name", "iin", "education_org"},
    "health_org": {"name", "iin"},
    "emergency_medical": {"name", "iin"},
    "minors_commission": {"name", "iin", "education_org"},
    "family_support_centre": {"name", "iin", "address"},
}
"""Which of the canaries each body gets to see from its notice on, by the note; the others see none."""


@pytest.mark.parametrize("body", sorted(BODIES))
async def test_each_body_sees_the_canaries_of_its_row_and_no_other(intake: Intake, body: str) -> None:
    _, alert = await reported(intake, reference=CANARIES["reference"])
    answer = await intake.open_content(alert, (body,))
    seen = {name for name, canary in CANARIES.items() if json.dumps(canary) in json.dumps(answer.json())}
    assert seen == SEEN.get(body, set()), answer.text
    assert intake.now().strftime("T%H:%M") not in answer.text
    assert str(intake.school) not in answer.text
    if answer.status_code == 200:
        expected = str(pairwise(intake.keys.secret("pairwise"), alert, intake.police))
        assert answer.json()["alert"] == expected
    else:
        assert answer.status_code == 404
        assert await intake.rows(openings) == []


async def test_the_national_bodies_get_the_minimum_from_any_region(intake: Intake) -> None:
    _, alert = await reported(intake)
    answer = await intake.open_content(alert, ("national_child_ombudsman",), territory="KZ")
    assert answer.json()["child"] == {"initials": "Қ. Ә. С.", "age_band": "7-11"}
    assert "narrative" not in answer.json()


async def test_the_school_sees_only_what_it_told_itself(intake: Intake) -> None:
    _, alert = await reported(intake)
    own = await intake.open_content(alert, ("education_org",), agency=intake.school)
    assert own.status_code == 200
    assert own.json()["narrative"] == CANARIES["narrative"]
    other = await intake.open_content(alert, ("education_org",), agency=uuid4())
    assert other.status_code == 404


async def test_two_roles_see_the_wider_of_each(intake: Intake) -> None:
    _, alert = await reported(intake)
    answer = await intake.open_content(alert, ("local_exec_body", "family_support_centre"))
    assert answer.json()["child"]["name"] == CANARIES["name"]
    assert answer.json()["facts"]["concerns"] == ["violence"]


async def test_hidden_and_missing_content_are_the_same_404(intake: Intake) -> None:
    _, alert = await reported(intake)
    delivery, other = uuid4(), uuid4()

    def grant(**changes: Any) -> str:
        facts: dict[str, Any] = {
            "delivery": delivery, "alert": alert, "agency": intake.police, "at": intake.now(),
        }  # fmt: skip
        return a_grant(intake.keys, **{**facts, **changes})

    sound = grant()
    assert (await intake.open_content(alert, delivery=delivery, grant=sound)).status_code == 200
    missing = await intake.open_content(uuid4(), delivery=delivery)
    assert missing.status_code == 404
    hidden = {
        "other delivery": grant(delivery=other),
        "other agency": grant(agency=other),
        "other alert": grant(alert=other),
        "ended": grant(lasts=timedelta(0)),
        "no body": grant(bodies=()),
        "body of no row": grant(bodies=("nobody",)),
        "altered": sound[:-4] + "AAAA",
        "cut": sound[:-1],
        "other header": "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0" + sound[sound.index(".") :],
        "no JWE": "a.b.c.d.e",
        "long": "a" * 5000,
        "claim missing": grant(exp=None),
        "claim of another kind": grant(exp="soon"),
        "far future": grant(exp=10**30),
    }
    for kind, token in hidden.items():
        answer = await intake.open_content(alert, delivery=delivery, grant=token)
        assert same(answer, missing), kind
    headers = intake.headers("intake", agency=intake.police, bodies=POLICE)
    path = f"/v1/deliveries/{delivery}/content"
    assert same(await intake.client.get(path, headers=headers), missing)
    for value in ("é".encode(), b"", b"\xff"):
        raw = [(name.encode(), text.encode()) for name, text in headers.items()]
        answer = await intake.client.get(path, headers=[*raw, (b"Dabyl-Grant", value)])
        assert same(answer, missing)
    assert len(await intake.rows(openings)) == 1


async def test_a_grant_ends_with_its_time(intake: Intake) -> None:
    _, alert = await reported(intake)
    delivery = uuid4()
    grant = a_grant(
        intake.keys, delivery=delivery, alert=alert, agency=intake.police, at=intake.now(),
        lasts=timedelta(hours=1),
    )  # fmt: skip
    intake.now.move(timedelta(minutes=59, seconds=59))
    assert (await intake.open_content(alert, delivery=delivery, grant=grant)).status_code == 200
    intake.now.move(timedelta(seconds=1))
    assert (await intake.open_content(alert, delivery=delivery, grant=grant)).status_code == 404


async def test_another_region_sees_nothing(intake: Intake) -> None:
    _, alert = await reported(intake)
    assert (await intake.open_content(alert, territory="KZ-10")).status_code == 404
    assert (await intake.open_content(alert, territory=None)).status_code == 404


async def test_a_grant_is_worth_nothing_in_another_hand(intake: Intake) -> None:
    _, alert = await reported(intake)
    delivery = uuid4()
    grant = a_grant(intake.keys, delivery=delivery, alert=alert, agency=intake.police, at=intake.now())
    stolen = await intake.open_content(alert, agency=uuid4(), delivery=delivery, grant=grant)
    assert stolen.status_code == 404
    headers = intake.headers("intake", "operator")
    path = f"/v1/deliveries/{delivery}/content"
    assert (await intake.client.get(path, headers={**headers, "Dabyl-Grant": grant})).status_code == 403


@pytest.mark.parametrize("known", [True, False])
async def test_a_conflict_of_interest_beats_a_sound_grant(intake: Intake, known: bool) -> None:
    suspected = uuid4()
    offender = {"relation": "education_staff", "agency": str(suspected) if known else None}
    _, alert = await reported(intake, alleged_offender=offender)
    shut = await intake.open_content(alert, POLICE, agency=suspected, holds=(*POLICE, "education_org"))
    assert same(shut, await intake.open_content(uuid4(), POLICE))
    others = await intake.open_content(alert, POLICE)
    assert others.status_code == 200


async def test_no_look_without_a_row(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    _, alert = await reported(intake)

    async def fail(*_args: object, **_more: object) -> None:
        raise ConnectionError

    monkeypatch.setattr("intake.repository.add_opening", fail)
    answer = await intake.open_content(alert)
    assert answer.status_code == 503
    assert CANARIES["name"] not in answer.text


async def test_a_record_that_was_moved_does_not_open(intake: Intake) -> None:
    _, first = await reported(intake)
    _, second = await reported(intake)
    async with intake.parts.db.transaction() as session:
        columns = (child_records.c.sealed, child_records.c.wrapped_key)
        moved = (await session.execute(select(*columns).where(child_records.c.alert_id == first))).one()
        await session.execute(
            update(child_records)
            .where(child_records.c.alert_id == second)
            .values(sealed=moved.sealed, wrapped_key=moved.wrapped_key)
        )
    answer = await intake.open_content(second)
    assert answer.status_code == 503
    assert len(await intake.rows(openings)) == 0


# Matches


async def matches(intake: Intake, alert: object, **caller: Any) -> httpx.Response:
    caller = {"agency": intake.police, "bodies": REGIONAL, **caller}
    headers = intake.headers("intake", "agency", **caller)
    return await intake.client.get(f"/v1/alerts/{alert}/matches", headers=headers)


async def test_the_coordinating_body_is_told_of_alerts_about_the_same_child(intake: Intake) -> None:
    _, first = await reported(intake)
    _, second = await reported(intake, child={"name": "Алия Канарейка-7f3а", "birth_date": "2016-02-29"})
    _, third = await reported(intake, child={"iin": "160229 600016"})
    await reported(intake, child=a_child(name="Басқа Бала", iin=None))
    await reported(intake, child={})
    own = (await intake.open_content(first, REGIONAL)).json()["alert"]
    answer = await matches(intake, own)
    assert answer.status_code == 200
    key = intake.keys.secret("pairwise")
    assert answer.json()["next"] is None
    found = {item["alert"]: item for item in answer.json()["items"]}
    assert {alert: item["shared"] for alert, item in found.items()} == {
        str(pairwise(key, second, intake.police)): ["name"],
        str(pairwise(key, third, intake.police)): ["iin"],
    }
    assert {item["received_on"] for item in found.values()} == {intake.now().date().isoformat()}
    for canary in CANARIES.values():
        assert canary not in answer.text


async def test_a_match_says_what_a_person_made_of_it(intake: Intake) -> None:
    """In whatever order notifier is heard; what is handed in with the decision opens as this pair alone."""
    _, first = await reported(intake)
    _, second = await reported(intake)
    own = (await intake.open_content(first, REGIONAL)).json()["alert"]
    low, high = sorted((first, second))

    async def state() -> str:
        [item] = (await matches(intake, own)).json()["items"]
        sealed = base64.urlsafe_b64decode(item["match"] + "=" * (-len(item["match"]) % 4))
        opened = aead_open(intake.keys.secret("grant"), sealed, b"match")
        assert json.loads(opened) == [str(low), str(high)]
        return str(item["state"])

    at = intake.now()
    declined = JoiningDeclined(pair=(low, high), no=1, at=at)
    made = JoiningMade(pair=(low, high), heads=(), no=2, at=at)
    undone = JoiningUndone(pair=(low, high), heads=(), no=3, at=at)
    assert await state() == "proposed"
    for event, expected in (
        (declined, "apart"), (made, "joined"), (declined, "joined"), (undone, "apart"), (made, "apart"),
    ):  # fmt: skip
        await take(intake, event)
        assert await state() == expected


async def test_matches_are_for_who_coordinates_and_was_told(intake: Intake) -> None:
    _, first = await reported(intake)
    await reported(intake)
    missing = await matches(intake, uuid4())
    assert missing.status_code == 404
    unopened = pairwise(intake.keys.secret("pairwise"), first, intake.police)
    assert same(await matches(intake, unopened), missing)
    own = (await intake.open_content(first, REGIONAL)).json()["alert"]
    assert (await matches(intake, own)).status_code == 200
    assert same(await matches(intake, own, agency=uuid4()), missing)
    assert same(await matches(intake, own, bodies=POLICE), missing)
    assert same(await matches(intake, first), missing)


async def test_no_match_from_another_region_and_none_with_a_conflict(intake: Intake) -> None:
    _, first = await reported(intake)
    await reported(intake, territory="KZ-10")
    await reported(intake, alleged_offender={"relation": "organisation_staff", "agency": str(intake.police)})
    own = (await intake.open_content(first, REGIONAL)).json()["alert"]
    assert (await matches(intake, own)).json()["items"] == []


async def test_the_reporting_body_may_ask_when_it_coordinates(intake: Intake) -> None:
    answer = await intake.report(agency=intake.police, bodies=REGIONAL)
    await reported(intake)
    found = await matches(intake, answer.json()["id"])
    assert len(found.json()["items"]) == 1
