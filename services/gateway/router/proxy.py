"""Everything under /v1 that another service answers: checked, counted, and handed on with our own token."""

import json
from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from common.problems import problem_response
from gateway.domain.identity import Bearer
from gateway.domain.ports import Answer, Call
from gateway.domain.routes import REQUEST_HEADERS, Bucket, Missing, Route, allowed_methods, find_route
from gateway.errors import MethodUnknown, PathUnknown, RateExceeded
from gateway.router.parts import AtDesk

router = APIRouter(include_in_schema=False)

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
    answer = await desk.services.forward(route.upstream, call, bearer)
    if answer.status == 404 and route.fallback is not None:
        await _discard(answer)
        answer = await desk.services.forward(route.fallback, call, bearer)
    return _response_of(answer, allowance.headers())


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
    )


def _is_threat(body: bytes) -> bool:
    """Whether the sender says that a child is in direct danger; intake checks the rest."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("direct_threat") is True


def _response_of(answer: Answer, more: Mapping[str, str]) -> Response:
    headers = {**answer.headers, **more}
    # What an agency reads must rest in no cache on the way, whatever the service said.
    headers.setdefault("cache-control", "no-store")
    if answer.stream is not None:
        return StreamingResponse(answer.stream, answer.status, headers)
    return Response(answer.body, answer.status, headers)


async def _discard(answer: Answer) -> None:
    if answer.stream is not None:
        async for _chunk in answer.stream:
            pass
