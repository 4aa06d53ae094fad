"""What happened to duties."""

from collections.abc import Iterable, Mapping
from functools import cache
from uuid import UUID

from sqlalchemy import Executable, select, update

from casework.domain.task import Facts
from casework.models import DutyFact
from casework.repository.tables import table_of
from common.bulk import Rows, insert_rows
from common.db import Session

_FACTS = table_of(DutyFact)
_TOLD = ("met_at", "breached_at", "waived_at")
_OF_DUTIES = Rows("of_duties", _FACTS.c.obligation_id)
_CORRECTED = Rows("corrected", _FACTS.c.obligation_id, *(_FACTS.c[name] for name in _TOLD))


@cache
def _facts_of(dialect: str) -> Executable:
    duties = _OF_DUTIES.table(dialect)
    return select(_FACTS).where(_FACTS.c.obligation_id.in_(select(duties.c.obligation_id)))


@cache
def _correct_facts(dialect: str) -> Executable:
    corrected = _CORRECTED.table(dialect)
    return (
        update(_FACTS)
        .where(_FACTS.c.obligation_id == corrected.c.obligation_id)
        .values(**{name: corrected.c[name] for name in _TOLD})
    )


async def facts_of(session: Session, obligations: Iterable[UUID]) -> dict[UUID, Facts]:
    """What is known to have happened to these duties."""
    wanted = [(each,) for each in set(obligations)]
    if not wanted:
        return {}
    found = await _OF_DUTIES.execute(session, _facts_of, wanted)
    return {row.obligation_id: Facts(*(getattr(row, name) for name in _TOLD)) for row in found.all()}


async def put_facts(
    session: Session, facts: Mapping[UUID, tuple[UUID, Facts]], known: Mapping[UUID, Facts]
) -> None:
    """Write what happened, each with its alert; the cases of the alerts must be locked."""
    fresh = [
        {"obligation_id": key, "alert_id": alert_id} | {name: getattr(fact, name) for name in _TOLD}
        for key, (alert_id, fact) in facts.items()
        if key not in known
    ]
    await insert_rows(session, _FACTS, fresh)
    changed = [(key, fact) for key, (_, fact) in facts.items() if known.get(key, fact) != fact]
    if changed:
        rows = [(key, *(getattr(fact, name) for name in _TOLD)) for key, fact in changed]
        await _CORRECTED.execute(session, _correct_facts, rows)
