"""Where the law's body does not exist: declared by a registrar, with dates, never guessed."""

from common.contracts import Event
from common.contracts import registry as events
from common.db import Session
from common.timing import Now
from registry import repository
from registry.domain.agency import AbsenceDraft
from registry.domain.role import Roles
from registry.domain.territory import Tree
from registry.errors import AbsenceExists, VersionOutdated
from registry.models import Absence
from registry.service.agencies import Effect
from registry.service.changes import record_changes


async def declare_absence(
    session: Session, draft: AbsenceDraft, *, roles: Roles, by: str, now: Now
) -> tuple[Absence, Effect]:
    """Declare that no body of this role exists in this territory for this time.

    Raises:
        RoleUnknown, TerritoryUnknown: not in the register.
        AbsenceExists, VersionOutdated: the draft is not the next version.
    """
    roles.check(draft.role)
    territory = Tree(await repository.list_nodes(session)).lineage(draft.territory)[0]
    await repository.lock_territories(session, [territory])
    during = draft.during
    absence = await repository.find_absence(session, draft.role, territory, during.valid_from)
    if absence is None:
        if draft.replaces is not None:
            raise VersionOutdated(pointer="#/replaces")
        absence = Absence(
            version=1,
            role=draft.role,
            territory=territory,
            valid_from=during.valid_from,
            valid_until=during.valid_until,
            reason=draft.reason,
        )
        await repository.add_absence(session, absence)
        effect = Effect.CREATED
    elif (absence.valid_until, absence.reason) == (during.valid_until, draft.reason):
        return absence, Effect.NONE
    elif draft.replaces is None:
        raise AbsenceExists(pointer="#/replaces")
    elif draft.replaces != absence.version:
        raise VersionOutdated(pointer="#/replaces")
    else:
        absence.version += 1
        absence.valid_until, absence.reason = during.valid_until, draft.reason
        effect = Effect.CHANGED
    event: Event = events.BodyDeclaredAbsent(
        absence_id=absence.id,
        version=absence.version,
        role=absence.role,
        territory=absence.territory,
        valid_from=absence.valid_from,
        valid_until=absence.valid_until,
    )
    await record_changes(session, [(absence.id, absence.version, event)], by=by, now=now)
    return absence, effect
