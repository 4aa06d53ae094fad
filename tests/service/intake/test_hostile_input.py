"""Every kind of bad input (architecture §4) gets a 4xx problem without an echo, and is stored nowhere."""

import json
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from intake.models import alerts
from tests.factories.intake import CANARIES, a_child, an_alert_body
from tests.service.intake.conftest import Intake

CANARY = "Канарейка-7f3a"
GOOD = json.dumps(an_alert_body(), ensure_ascii=False)


def with_field(name: str, raw: str) -> bytes:
    """A good body with one field replaced by raw JSON text."""
    body = {key: value for key, value in an_alert_body().items() if key != name}
    return (json.dumps(body, ensure_ascii=False)[:-1] + f', "{name}": {raw}}}').encode()


def with_child(name: str, raw: str) -> bytes:
    child = {key: value for key, value in a_child().items() if key != name}
    return with_field("child", json.dumps(child, ensure_ascii=False)[:-1] + f', "{name}": {raw}}}')


UNREADABLE: dict[str, bytes] = {
    "empty": b"",
    "not json": f"{{{CANARY}".encode(),
    "half": GOOD.encode()[:-3],
    "two documents": GOOD.encode() * 2,
    "duplicate key": GOOD.replace('"territory"', f'"narrative": "{CANARY}", "territory"').encode(),
    "duplicate key deep": with_child("name", f'"a", "name": "{CANARY}"'),
    "NaN": with_child("age", "NaN"),
    "Infinity": with_child("age", "-Infinity"),
    "huge exponent": with_child("age", "1e999"),
    "lone surrogate": with_field("narrative", f'"{CANARY} \\ud800"'),
    "lone surrogate key": with_field("\\udfff", f'"{CANARY}"'),
    "surrogates swapped": with_field("narrative", '"\\udc00\\ud800"'),
    "NUL": with_field("narrative", f'"{CANARY} \\u0000"'),
    "NUL in name": with_child("name", '"\\u0000"'),
    "raw NUL": with_field("narrative", '"\x00"'),
    "raw control character": with_field("narrative", '"\n"'),
    "invalid utf-8": GOOD.encode().replace(b"KZ-75", b"KZ-\xff5"),
    "overlong utf-8": GOOD.encode().replace(b"KZ-75", b"\xc1\x8bZ-75"),
    "utf-16": GOOD.encode("utf-16"),
    "cp1251": GOOD.encode("cp1251", "replace"),
    "BOM": b"\xef\xbb\xbf" + GOOD.encode(),
    "deep array": with_field("child", "[" * 1000 + "]" * 1000),
    "very deep array": with_field("child", "[" * 100_000 + "]" * 100_000),
    "deep object": with_field("child", '{"a":' * 1000 + "1" + "}" * 1000),
    "number of a thousand digits": with_child("age", "9" * 1000),
    "number of a hundred thousand digits": with_child("age", "9" * 100_000),
    "oversize": with_field("narrative", '"' + "ұ" * 200_000 + '"'),
    "hundred thousand keys": with_field("child", "{" + ",".join(f'"k{i}":1' for i in range(20_000)) + "}"),
    "comment": GOOD.encode() + b" // x",
    "trailing comma": GOOD.encode()[:-1] + b",}",
}  # fmt: skip

UNFIT: dict[str, bytes] = {
    "array": b"[]",
    "text": b'"text"',
    "number": b"1",
    "null": b"null",
    "unknown field": with_field(CANARY, f'"{CANARY}"'),
    "unknown child field": with_child(CANARY, "1"),
    "mass assignment": with_field("id", f'"{uuid4()}"'),
    "internal facts": with_field("reporter", '"internal_affairs"'),
    "no territory": json.dumps({"concerns": ["violence"], "narrative": CANARY}).encode(),
    "null territory": with_field("territory", "null"),
    "unknown region": with_field("territory", '"KZ-99"'),
    "other country": with_field("territory", '"RU-MOW"'),
    "long region": with_field("territory", '"' + "KZ-75" * 100 + '"'),
    "region with a newline": with_field("territory", '"KZ-75\\n"'),
    "unknown kato": with_field("territory", '"991210000"'),
    "other digits": with_field("territory", '"７５１２１００００"'),
    "region as number": with_field("territory", "750000000"),
    "no concerns": with_field("concerns", "[]"),
    "null concerns": with_field("concerns", "null"),
    "concern twice": with_field("concerns", '["violence", "violence"]'),
    "unknown concern": with_field("concerns", f'["{CANARY}"]'),
    "concern as text": with_field("concerns", '"violence"'),
    "concern as object": with_field("concerns", '{"violence": true}'),
    "concern as list": with_field("concerns", '[["violence"]]'),
    "flag as text": with_field("direct_threat", '"true"'),
    "flag as number": with_field("direct_threat", "1"),
    "flag as list": with_field("cyber", "[]"),
    "unknown occasion": with_field("occasion", f'"{CANARY}"'),
    "occasion as number": with_field("occasion", "1"),
    "unknown relation": with_field("alleged_offender", '{"relation": "uncle"}'),
    "bad uuid": with_field("alleged_offender", f'{{"agency": "{CANARY}"}}'),
    "uuid as number": with_field("alleged_offender", '{"agency": 1}'),
    "offender as text": with_field("alleged_offender", f'"{CANARY}"'),
    "child as text": with_field("child", f'"{CANARY}"'),
    "child as list": with_field("child", "[]"),
    "name as number": with_child("name", "1"),
    "name as object": with_child("name", f'{{"first": "{CANARY}"}}'),
    "long name": with_child("name", '"' + "ұ" * 501 + '"'),
    "long address": with_child("address", '"' + "ұ" * 501 + '"'),
    "long iin": with_child("iin", '"' + "1" * 101 + '"'),
    "iin as number": with_child("iin", "160229600016"),
    "no such day": with_child("birth_date", '"2015-02-29"'),
    "thirteenth month": with_child("birth_date", '"2016-13-01"'),
    "year zero": with_child("birth_date", '"0000-01-01"'),
    "other date form": with_child("birth_date", '"29.02.2016"'),
    "date with time": with_child("birth_date", '"2016-02-29T00:00:00Z"'),
    "date as seconds": with_child("birth_date", "1456704000"),
    "date as text of seconds": with_child("birth_date", '"1456704000"'),
    "date as float": with_child("birth_date", "0.5"),
    "age as text": with_child("age", '"9"'),
    "age as float": with_child("age", "9.5"),
    "age as flag": with_child("age", "true"),
    "negative age": with_child("age", "-1"),
    "huge age": with_child("age", "99999999999999999999999999"),
    "unknown sex": with_child("sex", f'"{CANARY}"'),
    "long narrative": with_field("narrative", '"' + "a" * 20_001 + '"'),
    "narrative as list": with_field("narrative", f'["{CANARY}"]'),
    "long reference": with_field("reference", '"' + "a" * 101 + '"'),
    "unknown reporter": with_field("reported_by", '"teacher"'),
}


async def post(intake: Intake, content: bytes, **headers: str) -> Any:
    sent = {
        "Content-Type": "application/json",
        **intake.headers("intake", agency=intake.school, bodies=("education_org",)),
        **headers,
    }
    return await intake.client.post("/v1/alerts", content=content, headers=sent)


async def assert_refused(intake: Intake, answer: Any, *statuses: int) -> None:
    assert answer.status_code in statuses, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert len(answer.content) < 10_000
    for canary in (CANARY, "7f3a", "uncle", "KZ-99", *CANARIES.values()):
        assert canary not in answer.text
        assert json.dumps(canary)[1:-1] not in answer.text
    assert await intake.rows(alerts) == []


@pytest.mark.parametrize("kind", UNREADABLE)
async def test_what_is_not_strict_json_is_refused(intake: Intake, kind: str) -> None:
    await assert_refused(intake, await post(intake, UNREADABLE[kind]), 400, 413, 422)


@pytest.mark.parametrize("kind", UNFIT)
async def test_what_does_not_fit_is_refused(intake: Intake, kind: str) -> None:
    await assert_refused(intake, await post(intake, UNFIT[kind]), 422)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("text/plain", 422),
        ("application/x-www-form-urlencoded", 422),
        ("multipart/form-data; boundary=x", 422),
    ],
)
async def test_another_content_type_is_refused(intake: Intake, content_type: str, status: int) -> None:
    answer = await post(intake, GOOD.encode(), **{"Content-Type": content_type})
    await assert_refused(intake, answer, status, 415)


async def test_a_compressed_body_is_refused(intake: Intake) -> None:
    await assert_refused(intake, await post(intake, b"\x1f\x8b", **{"Content-Encoding": "gzip"}), 415)


async def test_an_unknown_key_is_not_named(intake: Intake) -> None:
    answer = await post(intake, UNFIT["unknown child field"])
    assert answer.json()["errors"] == [{"pointer": "#/child", "code": "extra_forbidden"}]
    answer = await post(intake, UNFIT["no such day"])
    assert answer.json()["errors"][0]["pointer"] == "#/child/birth_date"


@pytest.mark.parametrize("path", ["not-a-uuid", "%00", "%ff", "1", "a" * 3000, "%D0%9A", "..%2f..%2fetc"])
async def test_a_path_that_is_no_id_is_refused(intake: Intake, path: str) -> None:
    headers = intake.headers("intake", agency=intake.school)
    for place in (f"/v1/alerts/{path}", f"/v1/alerts/{path}/matches", f"/v1/deliveries/{path}/content"):
        answer = await intake.client.get(place, headers=headers)
        assert 400 <= answer.status_code < 500, place
        assert path not in answer.text


async def test_the_largest_report_that_fits_is_taken(intake: Intake) -> None:
    child = a_child(name="ұ" * 500, address="ұ" * 500, education_org="ұ" * 500, iin="1" * 100)
    answer = await intake.report(an_alert_body(child=child, narrative="ұ" * 20_000, reference="r" * 100))
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "text",
    ["\u202e\u2066", "\ufeff", "\U0001f9d2\u200d", "\x7f\x85", "a\r\nSet-Cookie: x", "%s{}$(x)", "'; --"],
)
async def test_strange_but_whole_texts_are_taken_as_they_are(intake: Intake, text: str) -> None:
    child = dict.fromkeys(a_child(), text) | {"birth_date": None, "sex": None}
    answer = await intake.report(an_alert_body(child=child, narrative=text, reference=text))
    assert answer.status_code == 201
    assert text not in answer.text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
fields = st.sampled_from([*an_alert_body(), "cyber", "reference", "reported_by", "zz"])
bodies = st.dictionaries(fields, json_values, max_size=8).map(lambda change: {**an_alert_body(), **change})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=json_values | bodies)
async def test_no_body_whatever_makes_a_5xx(intake: Intake, body: Any) -> None:
    try:
        content = json.dumps(body).encode()
    except (ValueError, ValidationError):
        return
    answer = await post(intake, content)
    assert answer.status_code < 500
