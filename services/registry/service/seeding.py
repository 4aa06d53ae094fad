"""What a fresh register starts with: the same doors as a registrar, all at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from common.db import Session, after_commit
from common.telemetry import log
from common.timing import Now
from registry import repository
from registry.domain.agency import AgencyDraft
from registry.domain.role import Roles
from registry.models import Territory
from registry.service.agencies import register_agencies
from registry.service.changes import SEED


@dataclass(frozen=True)
class Seed:
    """The seed files, read. ``digest`` is the SHA-256 of them all."""

    digest: str
    territories: Sequence[Territory]
    agencies: Sequence[AgencyDraft]


async def load_seed(session: Session, seed: Seed, *, roles: Roles, now: Now) -> int:
    """Add what the register does not have yet; what a registrar changed stays.

    Returns:
        How many agencies were added; 0 when these files were loaded before.
    """
    if not await repository.mark_seeding(session, seed.digest, now=now()):
        return 0
    await repository.put_territories(session, seed.territories)
    known = await repository.agencies_by_code(session, [draft.code for draft in seed.agencies])
    missing = [draft for draft in seed.agencies if draft.code not in known]
    await register_agencies(session, missing, roles=roles, by=SEED, now=now)
    after_commit(session, lambda: log.info("seed_loaded", count=len(missing)))
    return len(missing)
