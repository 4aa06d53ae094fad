"""The first registrar: somebody has to be able to register the others."""

import asyncio
import json
import os
from pathlib import Path
from uuid import UUID

from common.db import Database
from common.telemetry import log
from common.timing import Now
from gateway import repository
from gateway.domain.identity import Bearer, Role
from gateway.service import clients
from gateway.service.secrets import SecretChecker, new_secret

LABEL = "bootstrap"


async def ensure_registrar(
    db: Database, secrets: SecretChecker, *, file: Path, token_url: str, now: Now
) -> bool:
    """Make a registrar client and write its credentials to ``file`` (0600), unless it names a known one.

    A client that the database does not know is none: it was lost with the database, or is newer than the
    backup that was restored; without another one nobody could register anything. One that is known and
    revoked stays so, and nothing is made: whoever revoked it meant it.
    Deleting the file and starting again replaces the client: the old one is revoked.
    Returns whether one was made.
    """
    if await asyncio.to_thread(file.exists):
        named = await asyncio.to_thread(_named_in, file)
        if named is None:
            log.warning("bootstrap_unreadable")  # ours is whole or not there: this one was put by somebody
            return False
        async with db.reading() as session:
            if await repository.find_client(session, named) is not None:
                return False
        log.warning("bootstrap_client_unknown", client_id=str(named))
    secret = new_secret()
    secret_hash = await secrets.hash(secret)
    bearer = Bearer(f"role:{Role.REGISTRAR.value}", Role.REGISTRAR)
    async with db.transaction() as session:
        for old in await repository.list_labelled_clients(session, LABEL):
            await clients.revoke_client(session, old.id, now=now())
        client = await clients.register_client(
            session, bearer, label=LABEL, secret_hash=secret_hash, created_by="bootstrap", now=now()
        )
    credentials = {"client_id": str(client.id), "client_secret": secret, "token_url": token_url}
    # After the commit: a file that names a client which was never stored would lock everybody out.
    await asyncio.to_thread(_write, file, json.dumps(credentials, indent=2) + "\n")
    return True


def _named_in(file: Path) -> UUID | None:
    try:
        return UUID(json.loads(file.read_text())["client_id"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    aside.rename(file)
