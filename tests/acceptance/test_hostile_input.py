"""Bad input is refused as a problem, never echoed, and never a failure of ours (architecture §4)."""

import json
from collections.abc import Iterator

import pytest

from tests.acceptance import hostile
from tests.acceptance.canary.needles import Canary
from tests.acceptance.canary.scanner import Scanner, Surface
from tests.acceptance.embedded import EmbeddedHouse
from tests.acceptance.hostile import BROKEN_HTTP, Hostile
from tests.acceptance.inside import Inside
from tests.acceptance.raw import Answer, ask

CANARY = Canary.new()
SCANNER = Scanner(CANARY)
KINDS = (
    "alert_bodies", "alert_headers", "addresses", "queries", "methods", "other_bodies",
)  # fmt: skip


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
            service, "agency", agency=agency["id"], bodies=("education_org",), territory="KZ-75"
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
