"""``POST /v1/alerts``: one alert, sealed, told once."""

import asyncio
import base64
import json
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from common.contracts.intake import AlertReceived
from common.outbox import OUTBOX
from common.sealing import SealBroken, aead_open, unseal
from intake.domain.number import read_number
from intake.jobs import forget_keys
from intake.models import (
    METADATA,
    alerts,
    child_records,
    denials,
    match_tokens,
    openings,
    repeat_keys,
    reporter_vault,
)
from tests.factories.intake import CANARIES, a_child, an_alert_body
from tests.service.intake.conftest import Intake


async def test_an_alert_is_accepted_and_told_while_broker_and_notifier_are_away(intake: Intake) -> None:
    answer = await intake.report()
    assert answer.status_code == 201
    body = answer.json()
    assert set(body) == {"id", "number", "received_at", "flags"}
    assert read_number(body["number"]) == body["number"]
    assert UUID(body["id"]).version == 4
    assert body["flags"] == []
    assert answer.headers["location"] == f"/v1/alerts/{body['id']}"
    assert answer.headers["cache-control"] == "no-store"
    (event,) = await intake.events()
    assert isinstance(event, AlertReceived)
    assert event.number == body["number"]
    assert event.received_at == intake.now()
    assert (event.reporter, event.reported_by, event.age_band) == ("education_org", "head", "7-11")
    assert event.territory == "KZ-75"
    assert event.direct_threat
    assert event.parents_may_be_informed is False


async def test_the_reporter_gets_an_id_of_its_own(intake: Intake) -> None:
    answer = await intake.report()
    internal = await intake.internal_id(answer)
    assert answer.json()["id"] != str(internal)


async def test_only_place_and_concern_must_be_known(intake: Intake) -> None:
    answer = await intake.report({"territory": "KZ-10", "concerns": ["other"]})
    assert answer.status_code == 201
    (event,) = await intake.events()
    assert isinstance(event, AlertReceived)
    assert (event.occasion, event.channel, event.offender_relation) == ("own_duties", "system", "unknown")
    assert event.parents_may_be_informed is None
    assert event.age_band == "unknown"
    nothing = dict.fromkeys(an_alert_body())
    nothing["child"] = dict.fromkeys(a_child())
    answer = await intake.report({**nothing, "territory": "KZ-10", "concerns": ["other"]})
    assert answer.status_code == 201


async def test_a_finer_place_names_its_region(intake: Intake) -> None:
    assert (await intake.report(an_alert_body(territory="751210000"))).status_code == 201
    (event,) = await intake.events()
    assert isinstance(event, AlertReceived)
    assert (event.territory, event.kato) == ("KZ-75", "751210000")


@pytest.mark.parametrize("iin", ["160229600017", "1602296", "not a number", "160230600011"])
async def test_a_doubtful_number_is_marked_and_never_refused(intake: Intake, iin: str) -> None:
    answer = await intake.report(an_alert_body(child=a_child(iin=iin)))
    assert answer.status_code == 201
    assert answer.json()["flags"] == ["iin_doubtful"]


async def test_the_answer_repeats_nothing_that_was_told(intake: Intake) -> None:
    answer = await intake.report(an_alert_body(reference=CANARIES["reference"]))
    for canary in CANARIES.values():
        assert canary not in answer.text
        assert canary not in str(answer.headers)


async def test_an_operator_sends_no_alerts(intake: Intake) -> None:
    answer = await intake.client.post(
        "/v1/alerts", json=an_alert_body(), headers=intake.headers("intake", "operator")
    )
    assert answer.status_code == 403
    assert (await intake.client.post("/v1/alerts", json=an_alert_body())).status_code == 401
    assert (await intake.report(agency=None)).status_code == 403
    assert await intake.rows(alerts) == []


# Repeats


async def test_a_repeat_gets_the_first_alert(intake: Intake) -> None:
    first = await intake.report(key='"k-1"')
    again = await intake.report(key="k-1")  # draft-07 quotes the key, older clients do not
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert len(await intake.rows(alerts)) == len(await intake.rows(OUTBOX)) == 1


async def test_the_same_key_with_another_body_contradicts(intake: Intake) -> None:
    await intake.report(key="k-1")
    other = await intake.report(an_alert_body(narrative="other words"), key="k-1")
    assert other.status_code == 409
    assert other.headers["content-type"] == "application/problem+json"
    assert other.json()["type"] == "https://dabyl.kz/problems/repeat-contradicts"
    assert "other words" not in other.text
    case_matters = await intake.report(an_alert_body(narrative=CANARIES["narrative"].upper()), key="k-1")
    assert case_matters.status_code == 409
    assert len(await intake.rows(alerts)) == 1
    assert len(await intake.rows(repeat_keys)) == 1


async def test_the_same_reference_of_the_same_source_is_a_repeat(intake: Intake) -> None:
    body = an_alert_body(reference="2026/10/17")
    first = await intake.report(body)
    assert (await intake.report(body)).json() == first.json()
    assert (await intake.report(body, key="late-key")).json() == first.json()
    # The key learnt with the repeat now stands for the first alert as well.
    assert (await intake.report({**body, "reference": None}, key="late-key")).status_code == 409
    assert (await intake.report({**body, "narrative": "x"})).status_code == 409
    assert len(await intake.rows(alerts)) == 1


async def test_another_agency_may_use_the_same_key_and_reference(intake: Intake) -> None:
    body = an_alert_body(reference="1")
    first = await intake.report(body, key="k")
    other = await intake.report(body, key="k", agency=uuid4(), bodies=("health_org",))
    assert (first.status_code, other.status_code) == (201, 201)
    assert first.json()["id"] != other.json()["id"]


async def test_key_and_reference_of_two_alerts_contradict(intake: Intake) -> None:
    one, two = an_alert_body(reference="1"), an_alert_body(reference="2")
    await intake.report(one, key="k1")
    await intake.report(two, key="k2")
    assert (await intake.report(one, key="k2")).status_code == 409


async def test_order_of_keys_blanks_and_left_out_unknowns_are_the_same_body(intake: Intake) -> None:
    body = {"territory": "KZ-75", "concerns": ["crisis"], "narrative": "a"}
    first = await intake.report(body, key="k")
    same = {"narrative": "a", "child": None, "concerns": ["crisis"], "cyber": None, "territory": "KZ-75"}
    assert (await intake.report(same, key="k")).json() == first.json()
    blank = {**body, "reference": "  "}
    assert (await intake.report(blank, key="k")).json() == first.json()


@pytest.mark.parametrize("both", [True, False])
async def test_of_many_at_once_one_alert_is_received(intake: Intake, both: bool) -> None:
    body = an_alert_body(reference="r-1" if both else None)
    answers = await asyncio.gather(*(intake.report(body, key="k-1") for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(await intake.rows(alerts)) == len(await intake.rows(OUTBOX)) == 1
    assert len(await intake.rows(child_records)) == len(await intake.rows(reporter_vault)) == 1


async def test_of_two_bodies_at_once_one_is_received_and_the_other_contradicts(intake: Intake) -> None:
    bodies = [an_alert_body(narrative=str(number)) for number in range(6)]
    answers = await asyncio.gather(*(intake.report(body, key="k-1") for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5
    assert len(await intake.rows(alerts)) == 1


async def test_without_key_and_reference_the_same_words_are_two_alerts(intake: Intake) -> None:
    numbers = {(await intake.report()).json()["number"] for _ in range(3)}
    assert len(numbers) == 3


async def test_a_key_is_forgotten_after_its_time_and_a_reference_never(intake: Intake) -> None:
    await intake.report(key="k-1")
    referred = await intake.report(an_alert_body(reference="r-1"))
    intake.now.move(timedelta(hours=72))
    await forget_keys(intake.parts)
    assert (await intake.report(key="k-1")).status_code == 200
    intake.now.move(timedelta(seconds=1))
    await forget_keys(intake.parts)
    assert (await intake.report(key="k-1")).status_code == 201
    assert (await intake.report(an_alert_body(reference="r-1"))).json() == referred.json()


@pytest.mark.parametrize("key", ["", '""', '"', 'a"b', "a\\b", "a b", "é", "k" * 256, '"a', "\t"])
async def test_a_key_that_cannot_be_read_is_refused(intake: Intake, key: str) -> None:
    headers = {**intake.headers("intake", agency=intake.school), "Idempotency-Key": key.encode()}
    answer = await intake.client.post("/v1/alerts", json=an_alert_body(), headers=headers)  # type: ignore[arg-type]  # bytes go as they are
    assert answer.status_code == 400
    assert await intake.rows(alerts) == []


# What is stored


def searched(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else json.dumps(value, default=str, ensure_ascii=False)


async def test_no_plain_column_holds_what_was_told(intake: Intake) -> None:
    other_school = uuid4()
    await intake.report(
        an_alert_body(
            reference=CANARIES["reference"],
            alleged_offender={"relation": "education_staff", "agency": str(other_school)},
        ),
        key="key-canary-7f3a",
        subject="subject-canary-7f3a",
    )
    everything = ""
    for table in METADATA.sorted_tables:
        for row in await intake.rows(table):
            everything += "".join(searched(value) for value in row.values())
    secrets = [
        *CANARIES.values(), "key-canary-7f3a", "subject-canary-7f3a", "2016-02-29",
        str(intake.school), intake.school.hex, str(other_school), other_school.hex,
    ]  # fmt: skip
    for secret in secrets:
        assert secret not in everything
        assert secret.encode().hex() not in everything
        assert base64.b64encode(secret.encode()).decode()[4:-8] not in everything


def test_every_column_says_what_it_may_hold() -> None:
    own = [table for table in METADATA.sorted_tables if not table.name.startswith(("outbox", "inbox"))]
    classes = {f"{table.name}.{column.name}": column.info.get("class") for table in own for column in table.c}
    assert set(classes.values()) == {"public", "pseudonym", "sealed", "vault"}
    assert {name for name, kind in classes.items() if kind == "sealed"} == {
        "child_records.sealed",
        "child_records.wrapped_key",
        "corrections.sealed",
        "corrections.wrapped_key",
    }
    assert {name for name, kind in classes.items() if kind == "vault"} == {
        "reporter_vault.sealed",
        "corrections.reason",
        "withdrawals.reason",
    }


async def test_the_childs_record_opens_only_in_its_place_with_its_key(intake: Intake) -> None:
    await intake.report()
    await intake.report()
    first, second = await intake.rows(child_records)
    private = intake.keys.opening("content")

    def place(column: str, row: dict[str, object]) -> bytes:
        return f"intake/child_records/{column}/{row['alert_id']}/1".encode()

    key = unseal(private, first["wrapped_key"], place("wrapped_key", first))
    document = json.loads(aead_open(key, first["sealed"], place("sealed", first)))
    assert document["child"]["name"] == CANARIES["name"]
    assert document["narrative"] == CANARIES["narrative"]
    with pytest.raises(SealBroken):
        aead_open(key, first["sealed"], place("sealed", second))
    with pytest.raises(SealBroken):
        unseal(private, first["wrapped_key"], place("wrapped_key", second))
    with pytest.raises(SealBroken):
        aead_open(key, second["sealed"], place("sealed", second))
    assert key != unseal(private, second["wrapped_key"], place("wrapped_key", second))


async def test_the_reporter_is_in_the_vault_under_another_key(intake: Intake) -> None:
    await intake.report(an_alert_body(reference="R-1"), subject="client-77")
    (row,) = await intake.rows(reporter_vault)
    place = f"intake/reporter_vault/sealed/{row['alert_id']}".encode()
    opened = json.loads(unseal(intake.keys.opening("reporter"), row["sealed"], place))
    assert opened == {"agency": str(intake.school), "subject": "client-77", "reference": "R-1"}
    with pytest.raises(SealBroken):
        unseal(intake.keys.opening("content"), row["sealed"], place)


async def test_routing_ids_are_sealed_for_the_notifier(intake: Intake) -> None:
    implicated = uuid4()
    await intake.report(
        an_alert_body(alleged_offender={"relation": "organisation_staff", "agency": str(implicated)})
    )
    (event,) = await intake.events()
    assert isinstance(event, AlertReceived)
    sealed = base64.b64decode(event.routing)
    routing = json.loads(unseal(intake.keys.opening("routing"), sealed, str(event.alert_id).encode()))
    assert routing == {"reporter_agency": str(intake.school), "implicated": [str(implicated)]}
    with pytest.raises(SealBroken):
        unseal(intake.keys.opening("routing"), sealed, str(uuid4()).encode())


async def test_sealing_needs_no_private_key(intake: Intake, tmp_path: object) -> None:
    for name in ("content", "reporter", "routing"):
        (intake.keys.folder / f"{name}.sealing.key").rename(intake.keys.folder / f"{name}.away")
    intake.keys.opening.cache_clear()
    try:
        answer = await intake.report()
        assert answer.status_code == 201
        opened = await intake.open_content(await intake.internal_id(answer))
        assert opened.status_code == 503
        assert opened.json()["type"] == "https://dabyl.kz/problems/content-not-openable"
        assert await intake.rows(openings) == []
    finally:
        for name in ("content", "reporter", "routing"):
            (intake.keys.folder / f"{name}.away").rename(intake.keys.folder / f"{name}.sealing.key")


async def test_match_tokens_are_keyed_and_few(intake: Intake) -> None:
    await intake.report()
    rows = await intake.rows(match_tokens)
    assert sorted(row["kind"] for row in rows) == ["iin", "name", "name", "name"]
    assert all(len(row["token"]) == 16 for row in rows)


async def test_a_failed_commit_is_no_201(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_session: object) -> None:
        raise ConnectionError

    monkeypatch.setattr("sqlalchemy.ext.asyncio.AsyncSession.commit", fail)
    answer = await intake.report()
    assert answer.status_code == 503
    monkeypatch.undo()
    assert await intake.rows(alerts) == await intake.rows(OUTBOX) == []


async def test_a_number_that_is_taken_is_drawn_again(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(["0000-0000-0", "0000-0000-0", "0000-0000-0", "0000-0001-2"])
    monkeypatch.setattr("intake.service.alerts.new_number", lambda: next(drawn))
    first, second = await intake.report(), await intake.report()
    assert (first.json()["number"], second.json()["number"]) == ("0000-0000-0", "0000-0001-2")
    assert len(await intake.rows(alerts)) == 2


async def test_suspected_staff_shut_out_their_organisation(intake: Intake) -> None:
    await intake.report(an_alert_body(alleged_offender={"relation": "education_staff"}))
    assert len(await intake.rows(denials)) == 6
    known = an_alert_body(alleged_offender={"relation": "education_staff", "agency": str(uuid4())})
    await intake.report(known)
    assert len(await intake.rows(denials)) == 7
