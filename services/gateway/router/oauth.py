"""The embedded token issuer: RFC 6749 client credentials, RFC 9068 tokens, RFC 7517 keys."""

import base64
import binascii
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from gateway.domain.identity import Bearer
from gateway.errors import DoorBusy, RateExceeded
from gateway.router.parts import AtDesk, Desk
from gateway.schemas import GrantedToken, JwksOut

router = APIRouter(tags=["tokens"])

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_FIELDS = frozenset({"grant_type", "client_id", "client_secret", "scope"})

_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "required": ["grant_type"],
                    "properties": {
                        "grant_type": {"type": "string", "enum": ["client_credentials"]},
                        "client_id": {"type": "string", "format": "uuid"},
                        "client_secret": {"type": "string", "format": "password"},
                    },
                }
            }
        },
    },
    "security": [{"clientSecret": []}, {}],
}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": "RFC 6749 §5.2",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
                }
            }
        },
    }
    for status in (400, 401, 415, 429, 503)
}


class _Refused(Exception):
    def __init__(self, error: str, status: int = 400, *, retry_after: int | None = None) -> None:
        super().__init__(error)
        self.error = error
        self.status = status
        self.retry_after = retry_after


@router.post(
    "/oauth/token",
    response_model=GrantedToken,
    responses=_REFUSALS,
    openapi_extra=_FORM,
    summary="An access token for a client's own secret",
)
async def grant_token(request: Request, desk: AtDesk) -> Response:
    """Client credentials only; the client authenticates with HTTP Basic or in the form, never both."""
    try:
        bearer = await _bearer_of(request, desk)
    except _Refused as refused:
        headers = dict(NO_STORE)
        if refused.status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="dabyl", charset="UTF-8"'
        if refused.retry_after is not None:
            headers["Retry-After"] = str(refused.retry_after)
        return JSONResponse({"error": refused.error}, refused.status, headers)
    issued = desk.issuer().issue(bearer, client=bearer.subject, lifetime=desk.token_lifetime)
    granted = GrantedToken(access_token=issued.token, expires_in=int(desk.token_lifetime.total_seconds()))
    return JSONResponse(granted.model_dump(), headers=NO_STORE)


@router.get("/oauth/jwks", response_model=JwksOut, summary="Public keys of the embedded issuer")
async def list_keys(desk: AtDesk) -> Response:
    """One Ed25519 key; whoever checks our tokens pins issuer, audience and algorithm."""
    return JSONResponse({"keys": [desk.issuer().jwk]}, headers={"Cache-Control": "public, max-age=300"})


@router.get("/.well-known/oauth-authorization-server", include_in_schema=False, summary="RFC 8414 metadata")
async def describe_issuer(desk: AtDesk) -> dict[str, Any]:
    """What a client library needs to find the rest."""
    return {
        "issuer": desk.issuer().url,
        "token_endpoint": f"{desk.public_url}/oauth/token",
        "jwks_uri": f"{desk.public_url}/oauth/jwks",
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
    }


async def _bearer_of(request: Request, desk: Desk) -> Bearer:
    form = _form_of(request.headers.get("content-type", ""), await request.body())
    client_id, secret = _credentials_of(request.headers.get("authorization"), form)
    if "grant_type" not in form:
        raise _Refused("invalid_request")
    if form["grant_type"] != "client_credentials":
        raise _Refused("unsupported_grant_type")
    try:
        client = await desk.doorman.find_client(client_id, secret, source=request.state.source)
    except RateExceeded as error:
        raise _Refused("temporarily_unavailable", 429, retry_after=60) from error
    except DoorBusy as error:
        raise _Refused("temporarily_unavailable", 503, retry_after=2) from error
    bearer = None if client is None else await desk.standings.bearer_of(client)
    if bearer is None:
        raise _Refused("invalid_client", 401)
    return bearer


def _form_of(content_type: str, body: bytes) -> dict[str, str]:
    if content_type.split(";", maxsplit=1)[0].strip().lower() != "application/x-www-form-urlencoded":
        raise _Refused("invalid_request", 415)
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=20,
            errors="strict",
        )  # fmt: skip
    except (ValueError, UnicodeError) as error:
        raise _Refused("invalid_request") from error
    form = dict(pairs)
    if len(form) != len(pairs) or not form.keys() <= _FIELDS:
        raise _Refused("invalid_request")
    return form


def _credentials_of(authorization: str | None, form: dict[str, str]) -> tuple[str, str]:
    if authorization is None:
        if "client_id" not in form or "client_secret" not in form:
            raise _Refused("invalid_client", 401)
        return form["client_id"], form["client_secret"]
    if "client_secret" in form:
        raise _Refused("invalid_request")
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise _Refused("invalid_client", 401)
    try:
        name, found, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError) as error:
        raise _Refused("invalid_client", 401) from error
    if not found:
        raise _Refused("invalid_client", 401)
    return unquote_plus(name), unquote_plus(secret)
