"""One attacker in front of one house: hostile requests, judged answers, fuzzing of the public surface."""

import json
from collections.abc import Iterable, Iterator

import httpx

from dabyl.calls import Calls
from tests.acceptance import reporting
from tests.acceptance.canary.needles import Canary
from tests.acceptance.canary.scanner import Scanner, Surface
from tests.acceptance.fuzzing import Found, Fuzzer
from tests.acceptance.hostile import BROKEN_HTTP, Hostile
from tests.acceptance.raw import Answer, ask

SCHOOL = "education-org-kz-75"


class Siege:
    """Requests through the gateway with real tokens; every answer is searched for the canary."""

    def __init__(self, calls: Calls, canary: Canary) -> None:
        self.calls = calls
        self.scanner = Scanner(canary)
        self.heard: list[Surface] = []

    def send(self, request: Hostile) -> Answer:
        """One hostile request, with the token of the role that it names."""
        headers = list(request.headers)
        if request.role is not None:
            headers.append(("Authorization", f"Bearer {self._token(request.role)}"))
        answer = ask(
            self.calls.url, request.method, request.target, headers=headers, body=request.body,
            chunks=request.chunks(),
        )  # fmt: skip
        self.heard.append(Surface(f"answer to {request.name}", answer.everything()))
        return answer

    def _token(self, role: str) -> str:
        if role == "registrar":
            return self.calls.registrar()
        return self.calls.token(agency=SCHOOL) if role == "agency" else self.calls.token(role=role)

    def attack(self, requests: Iterable[Hostile]) -> dict[str, list[str]]:
        """Send them all; what was wrong, by name."""
        found = {request.name: list(self.faults(request, self.send(request))) for request in requests}
        return {name: wrong for name, wrong in found.items() if wrong}

    def faults(self, request: Hostile, answer: Answer) -> Iterator[str]:
        """What is wrong with this answer."""
        right = {request.status} if request.status else set(request.right)
        if answer.status not in right:
            yield f"{answer.status} {answer.body[:200]!r}"
        for hit in self.scanner.scan([Surface("the answer", answer.everything())]):
            yield f"echo: {hit}"
        if 400 <= answer.status < 500 and request.method != "HEAD":
            yield from _problem_faults(request, answer)

    def things(self) -> dict[str, list[str]]:
        """Ids of things that exist, by the name of a path parameter."""
        operator, registrar = self.calls.token(role="operator"), self.calls.registrar()
        sent = reporting.send(self.calls, reporting.an_alert())
        deliveries = reporting.until(lambda: reporting.deliveries_of(self.calls, sent["id"]), seconds=20)
        coordinator = self.calls.token(agency="regional-child-rights-body-kz-75")
        cases = reporting.until(
            lambda: self.calls.get("/v1/cases", token=coordinator)["items"], seconds=20, every=0.2
        )
        listed = self.calls.get("/v1/alerts", token=operator)["items"]
        agencies = [str(one["agency"]) for one in deliveries if one["agency"]]
        endpoints = self.calls.get("/v1/endpoints", token=registrar)["items"]
        return {
            "alert_id": [str(sent["id"]), *(str(one["id"]) for one in listed[:3])],
            # The police's, whose token is among those that are tried: own for one, others' for the rest.
            "delivery_id": [str(one["id"]) for one in deliveries if one["role"] == "internal_affairs"],
            "case_id": [str(one["id"]) for one in cases],
            "reference": [*agencies, "internal-affairs-kz-75"],
            "endpoint_id": [str(one["id"]) for one in endpoints],
        }

    def fuzz(self, *, examples: int, edges: int) -> Found:
        """Schemathesis on the public document, with the token of each role and of none."""
        calls = self.calls
        agencies = {"reporter": SCHOOL, "addressed": "internal-affairs-kz-75", "other": "prosecutor-kz"}
        tokens = {role: calls.token(role=role) for role in ("operator", "auditor")}
        tokens |= {name: calls.token(agency=code) for name, code in agencies.items()}
        tokens["registrar"] = calls.registrar()
        fuzzer = Fuzzer(
            httpx.get(f"{calls.url}/openapi.json", trust_env=False, timeout=20).json(),
            calls.url,
            bearer=tokens.get,
            roles=(*tokens, "nobody"),
            known=self.things(),
        )
        assert len(fuzzer.operations()) > 30
        return fuzzer.run(examples=examples, edges=edges)


def told(found: dict[str, list[str]]) -> str:
    """Faults, a line each."""
    return "\n".join(f"{name}: {wrong}" for name, wrong in found.items())


def _problem_faults(request: Hostile, answer: Answer) -> Iterator[str]:
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
