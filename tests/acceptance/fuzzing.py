"""Schemathesis over every operation of an OpenAPI document, with real tokens and ids of things that exist.

Bounded and without chance: the same document brings the same requests.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Err
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SECONDS = 20
LET_IN = (200, 201, 204, 409, 422)
"""Answers that only a caller gets whom the door let pass."""

TOLD_AT_MOST = 3

Operation = APIOperation[Any, Any, Any, Any]
AnyCase = Case[Any]

Bearer = Callable[[str], str | None]
"""Gives a token for a role, ``None`` for a caller without one."""


@schemathesis.serializer("application/jose")
def _as_compact(_context: Any, value: Any) -> bytes:
    """What should be a compact JWS, as far as generated text goes."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


@dataclass
class Found:
    """What came of it: answers by status, and what was wrong by operation."""

    answers: Counter[int] = field(default_factory=Counter)
    reached: defaultdict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    faults: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def blame(self, operation: str, what: str) -> None:
        """Remember a fault; a few of each operation tell enough."""
        if what not in self.faults[operation] and len(self.faults[operation]) < TOLD_AT_MOST:
            self.faults[operation].append(what)

    def __str__(self) -> str:
        return "\n".join(f"{label}:\n  " + "\n  ".join(told) for label, told in sorted(self.faults.items()))


class Fuzzer:
    """One document at one address.

    Args:
        document: OpenAPI.
        bearer: tokens by role.
        roles: whose tokens are tried.
        known: ids of things that exist, by the name of the path parameter they fit.
    """

    def __init__(
        self,
        document: Mapping[str, Any],
        url: str,
        *,
        bearer: Bearer,
        roles: Sequence[str],
        known: Mapping[str, Sequence[str]],
    ) -> None:
        assert not set(_dangling(document)), "a description that names shapes it does not have"
        self._schema = schemathesis.openapi.from_dict(dict(document))
        self._url = url
        self._bearer = bearer
        self._roles = roles
        self._known = known
        self._http = requests.Session()
        self._http.trust_env = False
        self._let_in: defaultdict[str, list[str]] = defaultdict(list)
        self.found = Found()

    def operations(self) -> list[Operation]:
        """Every operation; one that cannot be read is a fault of the document."""
        found = []
        for result in self._schema.get_all_operations():
            if isinstance(result, Err):
                self.found.blame("the document", str(result.err()))
            else:
                found.append(result.ok())
        return found

    def run(self, *, examples: int, edges: int) -> Found:
        """Generated cases of both kinds, then edge cases, for every operation.

        Args:
            examples: generated cases per operation and kind.
            edges: edge cases per operation at most.
        """
        for operation in self.operations():
            for mode in MODES:
                self._generate(operation, mode, examples)
            for number, case in enumerate(islice(self._edges(operation), edges)):
                self._try(case, number)
        return self.found

    def _generate(self, operation: Operation, mode: GenerationMode, examples: int) -> None:
        @seed(0)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(
            case=operation.as_strategy(generation_mode=mode),
            chance=st.integers(0, 3),
        )
        def attempt(case: AnyCase, chance: int) -> None:
            self._try(case, chance)

        try:
            attempt()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE  # nothing can be wrong about a call that takes nothing

    def _edges(self, operation: Operation) -> Iterator[AnyCase]:
        return self._schema.iter_coverage_cases(
            operation, generation_modes=list(MODES), generation_config=self._schema.config.generation
        )

    def _try(self, case: AnyCase, chance: int) -> None:
        label = case.operation.label
        role = self._next_role(label, chance)
        self._aim(case, chance)
        token = self._bearer(role)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            answer = case.call(
                base_url=self._url,
                session=self._http,
                headers=headers,
                timeout=SECONDS,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            self.found.blame(label, f"no answer: {type(error).__name__} to {_told(case)}")
            return
        self.found.answers[answer.status_code] += 1
        self.found.reached[label][answer.status_code] += 1
        if answer.status_code in LET_IN and role not in self._let_in[label]:
            self._let_in[label].append(role)
        if answer.status_code >= 500:
            self.found.blame(label, f"{answer.status_code} as {role} to {_told(case)}")
            return
        for fault in _problem_faults(case, answer.status_code, dict(answer.headers), answer.content):
            self.found.blame(label, fault)
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as failures:
            for failure in failures.exceptions:
                text = " ".join(str(failure).split())[:300]
                self.found.blame(label, f"{type(failure).__name__} as {role}: {text}")

    def _next_role(self, label: str, chance: int) -> str:
        """In turn; three times in four one that was let in before: a refusal tests the door only."""
        known = self._let_in[label]
        asked = self.found.reached[label].total()
        return known[asked % len(known)] if chance and known else self._roles[asked % len(self._roles)]

    def _aim(self, case: AnyCase, chance: int) -> None:
        """Let three in four cases meet something that exists, and none wait for news."""
        if chance:
            for name, ids in self._known.items():
                if case.path_parameters and name in case.path_parameters and ids:
                    case.path_parameters[name] = ids[chance % len(ids)]
        if case.query and "wait" in case.query:
            case.query["wait"] = 0 if str(case.query["wait"]).strip().isdigit() else case.query["wait"]


def _dangling(document: Mapping[str, Any]) -> Iterator[str]:
    """References inside the document that lead nowhere: what they stand for would not be tested."""

    def walk(value: Any) -> Iterator[str]:
        for item in (
            value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
        ):
            yield from walk(item)
        if isinstance(value, Mapping) and isinstance(value.get("$ref"), str):
            yield value["$ref"]

    for reference in walk(document):
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place.get(part) if isinstance(place, Mapping) else None
        if place is None:
            yield reference


def _problem_faults(
    case: AnyCase, status: int, headers: Mapping[str, list[str]], body: bytes
) -> Iterator[str]:
    if status < 400 or case.method.upper() == "HEAD":
        return
    name = next((value[0] for key, value in headers.items() if key.lower() == "content-type"), "")
    if case.operation.path.startswith("/oauth/"):
        if not name.startswith(("application/json", "application/problem+json")):
            yield f"{status} as {name or 'nothing'}"
    elif not name.startswith("application/problem+json"):
        yield f"{status} as {name or 'nothing'}: {body[:100]!r}"
    elif json.loads(body).get("status") != status:
        yield f"{status} with another status inside"


def _told(case: AnyCase) -> str:
    body = repr(case.body)
    return f"{case.method} {case.path} {case.path_parameters} {case.query} {body[:300]}"
