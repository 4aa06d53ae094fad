"""Clients: systems that get tokens with their own secret."""

from uuid import UUID

from fastapi import APIRouter, Response

from common.http import Tx
from gateway.domain.identity import Role
from gateway.router.parts import AtDesk, Registrar
from gateway.schemas import ClientIn, ClientOut
from gateway.service import clients
from gateway.service.secrets import new_secret

router = APIRouter(tags=["clients"])


@router.post("/v1/clients", status_code=201, response_model=ClientOut, summary="Register a client")
async def register_client(
    body: ClientIn, response: Response, desk: AtDesk, registrar: Registrar
) -> ClientOut:
    """The secret is in this answer and nowhere else."""
    agency = await clients.find_agency(desk.directory, body.agency) if body.agency else None
    bearer = clients.bearer_for(Role(body.role) if body.role else Role.AGENCY, agency, body.person)
    secret = new_secret()
    secret_hash = await desk.secrets.hash(secret)
    label = body.label or (agency.code if agency else bearer.role.value)
    # Opened here and not by a dependency: registry and argon2 answered outside of it.
    async with desk.db.transaction() as session:
        client = await clients.register_client(
            session,
            bearer,
            label=label,
            secret_hash=secret_hash,
            created_by=registrar.bearer.subject,
            now=desk.now(),
        )
    response.headers["Location"] = f"/v1/clients/{client.id}"
    response.headers["Cache-Control"] = "no-store"
    return ClientOut(
        client_id=client.id,
        client_secret=secret,
        role=bearer.role,
        agency=bearer.agency,
        bodies=list(bearer.bodies),
        territory=bearer.territory,
        token_url=f"{desk.public_url}/oauth/token",
        created_at=client.created_at,
    )


@router.delete("/v1/clients/{client_id}", status_code=204, summary="Revoke a client and all its tokens")
async def revoke_client(client_id: UUID, desk: AtDesk, _registrar: Registrar, session: Tx) -> Response:
    """Takes effect at the next request of anybody who holds one of its tokens."""
    await clients.revoke_client(session, client_id, now=desk.now())
    return Response(status_code=204)
