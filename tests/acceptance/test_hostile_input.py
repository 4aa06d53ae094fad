"""Bad input is refused as a problem, never echoed, and never a failure of ours (architecture §4)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import httpx
import pytest

from tests.acceptance import hostile
from tests.acceptance.canary.needles import Canary
from tests.acceptance.embedded import EmbeddedHouse
from tests.acceptance.fuzzing import Fuzzer
from tests.acceptance.hostile import BROKEN_HTTP, Hostile
from tests.acceptance.inside import Inside
from tests.acceptance.raw import Answer, ask
from tests.acceptance.siege import SCHOOL, Siege, told

CANARY = Canary.new()
PUBLIC_EXAMPLES, OWN_EXAMPLES, EDGES = 6, 5, 24


@dataclass(frozen=True)
class Besieged:
    """A house under attack, from outside and from inside."""

    house: EmbeddedHouse
    siege: Siege
    inside: Inside

    def agency(self, code: str) -> UUID:
        found = self.siege.calls.get(f"/v1/agencies/{code}", token=self.siege.calls.registrar())
        return UUID(found["id"])


@pytest.fixture(scope="module")
def besieged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    """A house of its own: what happens here must not slow down or lock out anybody else."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ("ALERTS", "DELIVERIES", "DEFAULT"):
            environment.setenv(f"GATEWAY_RATE_{name}", "10000000")
        house = EmbeddedHouse(tmp_path_factory.mktemp("besieged") / "home", simulators=False)
        try:
            house.start()
            yield Besieged(house, Siege(house.calls(), CANARY), Inside.of(house.pid, house.home))
        finally:
            house.stop()


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "kind", ["alert_bodies", "alert_headers", "addresses", "queries", "methods", "other_bodies"]
)
def test_bad_input_is_refused_without_an_echo(besieged: Besieged, kind: str) -> None:
    found = besieged.siege.attack(getattr(hostile, kind)(CANARY))
    assert not found, told(found)


@pytest.mark.timeout(120)
def test_nothing_of_it_is_written_down(besieged: Besieged) -> None:
    assert not besieged.siege.scanner.scan_files(besieged.house.home, besieged.house.output)


@pytest.mark.timeout(240)
def test_a_service_does_not_rely_on_the_gateway(besieged: Besieged) -> None:
    """The same bodies straight to intake, as a neighbour that was taken over could send them."""
    school = besieged.agency(SCHOOL)
    found = {}
    for request in (*hostile.alert_bodies(CANARY), *hostile.alert_headers(CANARY)):
        target = str(request.target)
        if request.role != "agency" or not target.startswith(("/v1/alerts", "/v1/deliveries")):
            continue
        service = "notifier" if request.method == "GET" and "/content" not in target else "intake"
        token = besieged.inside.bearer(
            service, "agency", agency=school, bodies=("education_org",), territory="KZ-75"
        )
        answer = ask(
            besieged.inside.urls[service], request.method, request.target,
            headers=[*request.headers, ("Authorization", f"Bearer {token}")], body=request.body,
            chunks=request.chunks(),
        )  # fmt: skip
        wrong = list(besieged.siege.faults(request, answer))
        if wrong:
            found[request.name] = wrong
    assert not found, told(found)


@pytest.mark.timeout(120)
def test_the_internal_doors_read_nothing_from_strangers(besieged: Besieged) -> None:
    """``/internal`` takes service tokens only, and what they bring is read as strictly as anything else."""
    found = {}
    good = json.dumps(
        {"specversion": "1.0", "type": "kz.dabyl.alert.received.v1", "data": {CANARY.phrase: 1}}
    )
    bodies = [
        good.encode(),
        b"{}",
        b"[]",
        b"null",
        CANARY.phrase.encode(),
        b"[" * 50_000,
        b'{"a": NaN}',
        b"\xff",
    ]
    bodies += [b'{"specversion": "1.0", "id": "\\ud800"}', b'{"specversion": 7}', b""]
    media = ("Content-Type", "application/cloudevents+json")
    for service in ("notifier", "casework", "registry", "intake"):
        url = besieged.inside.urls[service]
        for role in ("operator", "agency", "registrar", "service"):
            agency = besieged.agency(SCHOOL) if role == "agency" else None
            bearer = besieged.inside.bearer(service, role, agency=agency)
            for number, body in enumerate(bodies):
                for target in ("/internal/events", f"/internal/endpoints/{UUID(int=number)}/revocation"):
                    request = Hostile(f"{service} {target} as {role}: {number}", "POST", target)
                    # A token that says ``service`` but was minted by the gateway speaks for nobody.
                    headers = (media, ("Authorization", f"Bearer {bearer}"))
                    answer = ask(url, "POST", target, headers=headers, body=body)
                    wrong = list(besieged.siege.faults(request, answer))
                    if wrong:
                        found[request.name] = wrong
    assert not found, told(found)


@pytest.mark.timeout(400)
def test_no_operation_fails_on_generated_input(besieged: Besieged) -> None:
    found = besieged.siege.fuzz(examples=PUBLIC_EXAMPLES, edges=EDGES)
    assert found.answers.total() > 1000
    assert not found.faults, f"{found}\n{found.answers}"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("service", ["intake", "notifier", "casework", "registry"])
def test_no_service_fails_on_generated_input(besieged: Besieged, service: str) -> None:
    """The same on each service's own document, with tokens as the gateway mints them."""
    agency = besieged.agency("internal-affairs-kz-75")

    def bearer(role: str) -> str | None:
        if role == "nobody":
            return None
        bodies = ("internal_affairs",) if role == "agency" else ()
        own = agency if bodies else None
        return besieged.inside.bearer(service, role, agency=own, bodies=bodies, territory="KZ-75")

    fuzzer = Fuzzer(
        httpx.get(f"{besieged.inside.urls[service]}/openapi.json", trust_env=False, timeout=20).json(),
        besieged.inside.urls[service],
        bearer=bearer,
        roles=("agency", "operator", "registrar", "auditor", "nobody"),
        known=besieged.siege.things(),
    )
    found = fuzzer.run(examples=OWN_EXAMPLES, edges=EDGES)
    assert found.answers.total()
    assert not found.faults, f"{found}\n{found.answers}"


def test_an_echo_is_a_fault(besieged: Besieged) -> None:
    """Twin: an answer that repeats what it was told."""
    request = Hostile("echo", "GET", "/v1/alerts")
    body = json.dumps({"type": "t", "title": "t", "status": 422, "detail": CANARY.phrase}).encode()
    answer = Answer(422, (("Content-Type", "application/problem+json"),), body)
    assert [fault for fault in besieged.siege.faults(request, answer) if fault.startswith("echo")]


def test_a_failure_of_ours_is_a_fault(besieged: Besieged) -> None:
    """Twin: 5xx, plain text and half problems, whatever the request allows."""
    request = Hostile("any", "GET", "/v1/alerts", right=BROKEN_HTTP)
    for answer in (
        Answer(500, (("Content-Type", "application/problem+json"),), b"{}"),
        Answer(422, (("Content-Type", "text/plain"),), b"no"),
        Answer(404, (("Content-Type", "application/problem+json"),), b"{}"),
    ):
        assert list(besieged.siege.faults(request, answer))
