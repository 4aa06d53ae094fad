"""Everything under /v1 that another service answers: checked, counted, and handed on with our own token."""

import asyncio
import json
from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from common.problems import problem_response
from gateway.domain.identity import Bearer
from gateway.domain.ports import Answer, Call, Chunks
from gateway.domain.routes import (
    REQUEST_HEADERS,
    Bucket,
    Missing,
    Route,
    Upstream,
    allowed_methods,
    find_route,
)
from gateway.errors import MethodUnknown, PathUnknown, RateExceeded
from gateway.router.parts import AtDesk, Desk
from gateway.service.waits import Place

router = APIRouter(include_in_schema=False)

_NOBODY = 499
"""For an answer that nobody is there to read."""
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


@router.api_route("/v1/{path:path}", methods=_METHODS)
async def forward(request: Request, desk: AtDesk) -> Response:
    """Hand a call to the service that answers it."""
    path = _raw_path(request)
    route = find_route(request.method, path)
    if route is Missing.PATH:
        raise PathUnknown
    if isinstance(route, Missing):
        refusal = problem_response(MethodUnknown())
        refusal.headers["Allow"] = ", ".join(allowed_methods(path))
        return refusal
    bearer: Bearer | None = None
    more: dict[str, str] = {}
    if route.is_public:
        caller = request.state.source
        more["dabyl-source"] = caller
    else:
        bearer = (await desk.gatekeeper.admit(request.headers.get("authorization"))).bearer
        caller = bearer.subject
    body = await request.body()
    bucket = Bucket.THREATS if route.bucket is Bucket.ALERTS and _is_threat(body) else route.bucket
    allowance = await desk.allowances.take(bucket, caller)
    if not allowance.granted:
        refusal = problem_response(RateExceeded())
        refusal.headers.update(allowance.headers())
        return refusal
    call = _call_of(request, route, path, body, more)
    if route.waits:
        agency = bearer.agency if bearer is not None else None
        place = desk.waits.take(str(agency or caller))
        return await _forward_waiting(request, desk, route.upstream, call, bearer, place, allowance.headers())
    answer = await desk.services.forward(route.upstream, call, bearer)
    if answer.status == 404 and route.fallback is not None:
        await _discard(answer)
        answer = await desk.services.forward(route.fallback, call, bearer)
    return _response_of(answer, allowance.headers())


async def _forward_waiting(
    request: Request,
    desk: Desk,
    upstream: Upstream,
    call: Call,
    bearer: Bearer | None,
    place: Place,
    more: Mapping[str, str],
) -> Response:
    """Wait with the caller: when it goes, the call behind it ends too, and its place is free."""
    asking = asyncio.ensure_future(desk.services.forward(upstream, call, bearer))
    going = asyncio.ensure_future(_is_gone(request))
    answer: Answer | None = None
    try:
        await asyncio.wait({asking, going}, return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            return Response(status_code=_NOBODY)
        answer = asking.result()
    finally:
        asking.cancel()
        going.cancel()
        await asyncio.gather(asking, going, return_exceptions=True)
        if answer is None or answer.stream is None:
            place.give_back()
    return _response_of(answer, more, place)


async def _is_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _raw_path(request: Request) -> str:
    raw = request.scope.get("raw_path") or request.url.path.encode()
    return bytes(raw).split(b"?")[0].decode("ascii", "replace")


def _call_of(request: Request, route: Route, path: str, body: bytes, more: dict[str, str]) -> Call:
    query = request.scope["query_string"].decode("ascii", "replace")
    return Call(
        method=request.method,
        target=f"{path}?{query}" if query else path,
        headers={name: value for name, value in request.headers.items() if name in REQUEST_HEADERS} | more,
        body=body,
        timeout=route.timeout,
        route=route.template,
        waits=route.waits,
    )


def _is_threat(body: bytes) -> bool:
    """Whether the sender says that a child is in direct danger; intake checks the rest."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("direct_threat") is True


class _Stream(StreamingResponse):
    """Closed at its end and given up wherever it breaks off, also before its first byte."""

    def __init__(self, stream: Chunks, status: int, headers: Mapping[str, str], place: Place | None) -> None:
        super().__init__(stream, status, headers)
        self._stream = stream
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self._place is not None:
                self._place.give_back()
            await self._stream.aclose()


def _response_of(answer: Answer, more: Mapping[str, str], place: Place | None = None) -> Response:
    headers = {**answer.headers, **more}
    # What an agency reads must rest in no cache on the way, whatever the service said.
    headers.setdefault("cache-control", "no-store")
    if answer.stream is not None:
        return _Stream(answer.stream, answer.status, headers, place)
    return Response(answer.body, answer.status, headers)


async def _discard(answer: Answer) -> None:
    if answer.stream is not None:
        await answer.stream.aclose()
