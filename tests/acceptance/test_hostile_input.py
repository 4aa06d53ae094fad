"""Bad input is refused as a problem, never echoed, and never a failure of ours (architecture §4)."""

import json
from collections.abc import Iterator
from uuid import UUID

import httpx
import pytest

from tests.acceptance import hostile, reporting
from tests.acceptance.canary.needles import Canary
from tests.acceptance.canary.scanner import Scanner, Surface
from tests.acceptance.embedded import EmbeddedHouse
from tests.acceptance.fuzzing import Fuzzer
from tests.acceptance.hostile import BROKEN_HTTP, Hostile
from tests.acceptance.inside import Inside
from tests.acceptance.raw import Answer, ask

CANARY = Canary.new()
SCANNER = Scanner(CANARY)
KINDS = (
    "alert_bodies", "alert_headers", "addresses", "queries", "methods", "other_bodies",
)  # fmt: skip


PUBLIC_EXAMPLES, OWN_EXAMPLES, EDGES = 8, 6, 30


@pytest.fixture(scope="module")
def besieged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedHouse]:
    """A house of its own: what happens here must not slow down or lock out anybody else."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ("ALERTS", "DELIVERIES", "DEFAULT"):
            environment.setenv(f"GATEWAY_RATE_{name}", "10000000")
        house = EmbeddedHouse(tmp_path_factory.mktemp("besieged") / "home", simulators=False)
        try:
            house.start()
            yield house
        finally:
            house.stop()


def send(house: EmbeddedHouse, request: Hostile) -> Answer:
    calls = house.calls()
    headers = list(request.headers)
    if request.role == "agency":
        headers.append(("Authorization", f"Bearer {calls.token(agency='education-org-kz-75')}"))
    elif request.role == "registrar":
        headers.append(("Authorization", f"Bearer {calls.registrar()}"))
    elif request.role:
        headers.append(("Authorization", f"Bearer {calls.token(role=request.role)}"))
    return ask(
        house.url, request.method, request.target, headers=headers, body=request.body, chunks=request.chunks()
    )


def faults(request: Hostile, answer: Answer) -> Iterator[str]:
    """What is wrong with this answer."""
    right = {request.status} if request.status else set(request.right)
    if answer.status not in right:
        yield f"{answer.status} {answer.body[:200]!r}"
    for hit in SCANNER.scan([Surface("the answer", answer.everything())]):
        yield f"echo: {hit}"
    if 400 <= answer.status < 500 and request.method != "HEAD":
        yield from problem_faults(request, answer)


def problem_faults(request: Hostile, answer: Answer) -> Iterator[str]:
    if str(request.target).startswith("/oauth/"):
        if answer.media_type != "application/json" or "error" not in json.loads(answer.body):
            yield f"not an OAuth error: {answer.media_type} {answer.body[:200]!r}"
        return
    if answer.media_type != "application/problem+json":
        if answer.status in (400, 431) and set(BROKEN_HTTP) <= set(request.right):
            return  # the server could not read a request at all
        yield f"not a problem: {answer.status} {answer.media_type} {answer.body[:100]!r}"
        return
    problem = json.loads(answer.body)
    if problem.get("status") != answer.status or not problem.get("title") or not problem.get("type"):
        yield f"half a problem: {answer.body[:200]!r}"


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", KINDS)
def test_bad_input_is_refused_without_an_echo(besieged: EmbeddedHouse, kind: str) -> None:
    found = {}
    for request in getattr(hostile, kind)(CANARY):
        wrong = list(faults(request, send(besieged, request)))
        if wrong:
            found[request.name] = wrong
    assert not found, "\n".join(f"{name}: {wrong}" for name, wrong in found.items())


@pytest.mark.timeout(120)
def test_nothing_of_it_is_written_down(besieged: EmbeddedHouse) -> None:
    assert not SCANNER.scan_files(besieged.home, besieged.output)


@pytest.mark.timeout(240)
def test_a_service_does_not_rely_on_the_gateway(besieged: EmbeddedHouse) -> None:
    """The same bodies straight to intake, as a neighbour that was taken over could send them."""
    inside = Inside.of(besieged.pid, besieged.home)
    agency = besieged.calls().get("/v1/agencies/education-org-kz-75", token=besieged.calls().registrar())
    found = {}
    for request in (*hostile.alert_bodies(CANARY), *hostile.alert_headers(CANARY)):
        if request.role != "agency" or not str(request.target).startswith(("/v1/alerts", "/v1/deliveries")):
            continue
        service = (
            "notifier" if request.method == "GET" and "/content" not in str(request.target) else "intake"
        )
        token = inside.bearer(
            service, "agency", agency=UUID(agency["id"]), bodies=("education_org",), territory="KZ-75"
        )
        headers = [*request.headers, ("Authorization", f"Bearer {token}")]
        answer = ask(
            inside.urls[service], request.method, request.target, headers=headers, body=request.body,
            chunks=request.chunks(),
        )  # fmt: skip
        wrong = list(faults(request, answer))
        if wrong:
            found[request.name] = wrong
    assert not found, "\n".join(f"{name}: {wrong}" for name, wrong in found.items())


@pytest.mark.timeout(300)
def test_no_operation_fails_on_generated_input(besieged: EmbeddedHouse) -> None:
    """Schemathesis on the public document, with the token of each role and ids of things that exist."""
    calls = besieged.calls()
    tokens = {role: calls.token(role=role) for role in ("operator", "auditor")}
    tokens |= {"registrar": calls.registrar(), "reporter": calls.token(agency="education-org-kz-75")}
    tokens |= {
        "addressed": calls.token(agency="internal-affairs-kz-75"),
        "other": calls.token(agency="prosecutor-kz"),
    }
    fuzzer = Fuzzer(
        httpx.get(f"{besieged.url}/openapi.json", trust_env=False, timeout=20).json(),
        besieged.url,
        bearer=tokens.get,
        roles=(*tokens, "nobody"),
        known=things_of(besieged),
    )
    found = fuzzer.run(examples=PUBLIC_EXAMPLES, edges=EDGES)
    assert len(fuzzer.operations()) > 30
    assert found.answers.total() > 1000
    assert not found.faults, f"{found}\n{found.answers}"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("service", ["intake", "notifier", "casework", "registry"])
def test_no_service_fails_on_generated_input(besieged: EmbeddedHouse, service: str) -> None:
    """The same on each service's own document, with tokens as the gateway mints them."""
    inside = Inside.of(besieged.pid, besieged.home)
    agency = besieged.calls().get("/v1/agencies/internal-affairs-kz-75", token=besieged.calls().registrar())

    def bearer(role: str) -> str | None:
        if role == "nobody":
            return None
        bodies = ("internal_affairs",) if role == "agency" else ()
        return inside.bearer(
            service, role, agency=UUID(agency["id"]) if bodies else None, bodies=bodies, territory="KZ-75"
        )

    fuzzer = Fuzzer(
        httpx.get(f"{inside.urls[service]}/openapi.json", trust_env=False, timeout=20).json(),
        inside.urls[service],
        bearer=bearer,
        roles=("agency", "operator", "registrar", "auditor", "nobody"),
        known=things_of(besieged),
    )
    found = fuzzer.run(examples=OWN_EXAMPLES, edges=EDGES)
    assert found.answers.total()
    assert not found.faults, f"{found}\n{found.answers}"


def things_of(house: EmbeddedHouse) -> dict[str, list[str]]:
    """Ids of things that exist, by the name of a path parameter."""
    calls = house.calls()
    operator, registrar = calls.token(role="operator"), calls.registrar()
    sent = reporting.send(calls, reporting.an_alert())
    deliveries = reporting.until(lambda: reporting.deliveries_of(calls, sent["id"]), seconds=20)
    cases = calls.get("/v1/cases", token=calls.token(agency="regional-child-rights-body-kz-75"))["items"]
    listed = calls.get("/v1/alerts", token=operator)["items"]
    agencies = [str(one["agency"]) for one in deliveries if one["agency"]]
    endpoints = calls.get("/v1/endpoints", token=registrar)["items"]
    return {
        "alert_id": [str(sent["id"]), *(str(one["id"]) for one in listed[:3])],
        "delivery_id": [str(one["id"]) for one in deliveries],
        "case_id": [str(one["id"]) for one in cases],
        "reference": [*agencies, "internal-affairs-kz-75"],
        "endpoint_id": [str(one["id"]) for one in endpoints],
    }


def test_the_scanner_sees_an_echo() -> None:
    """Twin: an answer that repeats what it was told is a fault."""
    request = Hostile("echo", "GET", "/v1/alerts")
    body = json.dumps({"type": "t", "title": "t", "status": 422, "detail": CANARY.phrase}).encode()
    answer = Answer(422, (("Content-Type", "application/problem+json"),), body)
    assert [fault for fault in faults(request, answer) if fault.startswith("echo")]


def test_a_failure_of_ours_is_a_fault() -> None:
    """Twin: 5xx, plain text and half problems are faults, whatever the request allows."""
    request = Hostile("any", "GET", "/v1/alerts", right=BROKEN_HTTP)
    for answer in (
        Answer(500, (("Content-Type", "application/problem+json"),), b"{}"),
        Answer(422, (("Content-Type", "text/plain"),), b"no"),
        Answer(404, (("Content-Type", "application/problem+json"),), b"{}"),
    ):
        assert list(faults(request, answer))
