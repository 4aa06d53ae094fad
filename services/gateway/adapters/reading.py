"""How the typed clients ask a service and read what it answers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

from pydantic import TypeAdapter, ValidationError

from common.telemetry import log
from gateway.domain.identity import Bearer
from gateway.domain.ports import Answer, Call, Services
from gateway.domain.routes import Upstream
from gateway.errors import PageUnknown, RoleNotAllowed, ServiceRefused, ServiceUnreachable

Shape = TypeVar("Shape")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to ask: ``target`` is the path, ``route`` its template for the trace."""

    target: str
    route: str
    method: str = "GET"
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object | None = None
    is_traced: bool = True


async def ask(services: Services, service: Upstream, bearer: Bearer | None, question: Question) -> Any:
    """The JSON a service answers.

    Raises:
        PageUnknown: 404, for this caller.
        RoleNotAllowed: 403.
        ServiceRefused: any other refusal; carries the problem's kind.
        ServiceUnreachable: no answer, or one that means that.
    """
    headers = {"accept": "application/json", **question.headers}
    body = b""
    if question.body is not None:
        headers["content-type"] = "application/json"
        body = json.dumps(question.body, ensure_ascii=False).encode()
    call = Call(
        method=question.method,
        target=f"{question.target}?{urlencode(question.query)}" if question.query else question.target,
        headers=headers,
        body=body,
        route=question.route,
        is_traced=question.is_traced,
    )
    answer = await services.forward(service, call, bearer)
    return _read(answer.status, await _whole(answer))


def parse(adapter: TypeAdapter[Shape], found: Any, upstream: Upstream) -> Shape:
    """What a service told, as the domain has it; raises ``ServiceUnreachable`` when it does not fit."""
    try:
        return adapter.validate_python(found)
    except ValidationError as error:
        log.error("answer_not_understood", upstream=upstream, count=error.error_count())
        raise ServiceUnreachable from error


async def _whole(answer: Answer) -> bytes:
    if answer.stream is None:
        return answer.body
    return b"".join([chunk async for chunk in answer.stream])


def _read(status: int, body: bytes) -> Any:
    if status == 404:
        raise PageUnknown
    if status == 403:
        raise RoleNotAllowed
    if status >= 500:
        raise ServiceUnreachable
    try:
        found = json.loads(body) if body else None
    except ValueError as error:
        raise ServiceUnreachable from error
    if status >= 400:
        kind = found.get("type", "") if isinstance(found, dict) else ""
        raise ServiceRefused(str(kind).rpartition("/")[2], status)
    return found
