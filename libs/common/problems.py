"""Refusals and failures → RFC 9457 problems that echo nothing."""

import re
from collections.abc import Container, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from common.db import is_away
from common.errors import Refusal, Unavailable
from common.telemetry import log
from common.trying import note_failure

TYPE_PREFIX = "https://dabyl.kz/problems/"
MEDIA_TYPE = "application/problem+json"
_TITLES = {404: "There is no such page.", 405: "This method is not allowed here.", 413: "Too large."}


class InvalidRequest(Refusal):
    """The request does not fit what this call takes."""

    status = 422


class PartAway(Unavailable):
    """A part this answer needs is not reachable now; try again."""


def problem_type(kind: type[Refusal]) -> str:
    """``DuplicateAlert`` → ``https://dabyl.kz/problems/duplicate-alert``."""
    return TYPE_PREFIX + re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()


def problem_of(refusal: Refusal) -> dict[str, Any]:
    """The body of a problem."""
    body: dict[str, Any] = {
        "type": problem_type(type(refusal)),
        "title": refusal.title(),
        "status": refusal.status,
    }
    if refusal.detail:
        body["detail"] = refusal.detail
    if refusal.pointer:
        body["errors"] = [{"pointer": refusal.pointer, "code": "refused"}]
    return body


def problem_response(refusal: Refusal) -> Response:
    """The whole answer, with what the status demands in headers."""
    headers: dict[str, str] = {"Cache-Control": "no-store"}
    if refusal.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if refusal.status in (429, 503):
        headers["Retry-After"] = "1"
    return JSONResponse(problem_of(refusal), refusal.status, headers, MEDIA_TYPE)


def pointer_of(location: Sequence[str | int], known: Container[str]) -> str:
    """Where it went wrong; a key that is not ``known`` is input, so its parent is named instead."""
    where, path = str(location[0]), []
    for part in location[1:]:
        if isinstance(part, str) and part not in known:
            break
        path.append(str(part))
    if where == "body":
        return "#" + "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)
    return f"{where}:{'.'.join(path)}"


def _known_names(app: FastAPI) -> frozenset[str]:
    """Every name that our own description uses: a part of a location that is none of them is input."""
    known: frozenset[str] | None = getattr(app.state, "known_names", None)
    if known is None:
        description = app.openapi()
        schemas = description.get("components", {}).get("schemas", {})
        names = {name for schema in schemas.values() for name in schema.get("properties", {})}
        for path in description.get("paths", {}).values():
            for operation in path.values():
                names |= {one["name"] for one in operation.get("parameters", ())}
        known = app.state.known_names = frozenset(names)
    return known


def add_handlers(app: FastAPI) -> None:
    """Teach the app to answer every failure as a problem."""
    app.add_exception_handler(Refusal, _refusal)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    for kind in (OperationalError, InterfaceError, PoolTimeout, ConnectionError, OSError, DBAPIError):
        app.add_exception_handler(kind, _away)
    app.add_exception_handler(Exception, _failure)


async def _refusal(_request: Request, error: Exception) -> Response:
    return problem_response(error if isinstance(error, Refusal) else PartAway())


async def _validation(request: Request, error: Exception) -> Response:
    refusal = InvalidRequest()
    body = problem_of(refusal)
    if isinstance(error, RequestValidationError):
        known = _known_names(request.app)
        body["errors"] = [
            {
                "pointer": pointer_of(item["loc"], known),
                "code": item["type"],
            }
            for item in error.errors()[:50]
        ]
    return JSONResponse(body, refusal.status, {"Cache-Control": "no-store"}, MEDIA_TYPE)


async def _http(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    title = _TITLES.get(status, "The request was refused.")
    body = {"type": "about:blank", "title": title, "status": status}
    return JSONResponse(body, status, headers, MEDIA_TYPE)


async def _away(request: Request, error: Exception) -> Response:
    if not is_away(error):
        return await _failure(request, error)
    note_failure(request.scope, error)
    log.warning("part_away", error_type=type(error).__name__)
    return problem_response(PartAway())


async def _failure(_request: Request, error: Exception) -> Response:
    log.error("request_failed", error_type=type(error).__name__)
    body = {"type": "about:blank", "title": "Something went wrong on our side.", "status": 500}
    return JSONResponse(body, 500, {"Cache-Control": "no-store"}, MEDIA_TYPE)
