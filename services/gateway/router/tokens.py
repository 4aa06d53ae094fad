"""Tokens and sign-in links that a registrar makes for others, and what is taken back."""

from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter, Response

from gateway.domain.identity import Bearer, Role
from gateway.errors import ClientRevoked
from gateway.router.parts import AtDesk, Desk, Registrar
from gateway.schemas import CodeIn, CodeOut, RevocationIn, TokenOut, TokenRequest
from gateway.service import clients, sessions

router = APIRouter(tags=["tokens"])


async def _bearer(desk: Desk, body: TokenRequest | CodeIn) -> Bearer:
    agency = await clients.find_agency(desk.directory, body.agency) if body.agency else None
    return clients.bearer_for(Role(body.role) if body.role else Role.AGENCY, agency, body.person)


@router.post(
    "/v1/tokens", status_code=201, response_model=TokenOut, summary="Make a token for an agency or a role"
)
async def make_token(body: TokenRequest, response: Response, desk: AtDesk, registrar: Registrar) -> TokenOut:
    """For trying things out and for people; systems register as clients."""
    lifetime = timedelta(seconds=body.lifetime)
    issued = desk.issuer().issue(await _bearer(desk, body), client=registrar.client, lifetime=lifetime)
    response.headers["Cache-Control"] = "no-store"
    return TokenOut(
        access_token=issued.token,
        expires_in=body.lifetime,
        jti=UUID(issued.jti),
        expires_at=issued.expires_at,
    )


@router.post(
    "/v1/tokens/revocations", status_code=204, summary="Take back a token, a client or an agency's access"
)
async def revoke(body: RevocationIn, desk: AtDesk, _registrar: Registrar) -> Response:
    """Takes effect at the next request. Taking back twice is the same as once."""
    now = desk.now()
    agency = await clients.find_agency(desk.directory, body.agency) if body.agency else None
    access = await desk.gatekeeper.read(body.token) if body.token else None
    async with desk.db.transaction() as session:
        if access is not None:
            await clients.revoke_token(session, access.jti, now=now, forget_at=access.expires_at)
        elif body.jti is not None:
            await clients.revoke_token(session, str(body.jti), now=now, forget_at=None)
        elif agency is not None:
            await clients.revoke_agency(session, agency.id, now=now)
        elif body.client is not None:
            try:
                await clients.revoke_client(session, body.client, now=now)
            except ClientRevoked:
                return Response(status_code=204)
    return Response(status_code=204)


@router.post("/v1/console-codes", status_code=201, response_model=CodeOut, summary="Make a sign-in link")
async def make_code(body: CodeIn, response: Response, desk: AtDesk, _registrar: Registrar) -> CodeOut:
    """The link opens the console once, within ten minutes."""
    bearer = await _bearer(desk, body)
    async with desk.db.transaction() as session:
        code, expires_at = await sessions.make_code(session, bearer, now=desk.now())
    response.headers["Cache-Control"] = "no-store"
    return CodeOut(code=code, url=f"{desk.public_url}/console/sign-in?code={code}", expires_at=expires_at)
