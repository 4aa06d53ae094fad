"""What later facts make of duties: which of them are met, by which fact, and from which moment they stand.

Facts may be told late, twice and in any order. Everything here therefore looks at all facts of an alert at
once and takes the earliest that counts: the same facts give the same ledger, however they came.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterFact:
    """A signed fact.

    Attributes:
        id: where its evidence lies.
        code: as the edition calls it.
        at: when it happened, not when it was told.
        body: role of the body that it is about, where a rule asks for it.
        agency: whose act it was: it meets what this agency owes and nothing of the others;
            ``None`` when it speaks for the whole case.
        replaces: the evidence that it supersedes.
    """

    id: UUID
    code: str
    at: datetime
    body: str | None = None
    agency: UUID | None = None
    replaces: UUID | None = None


def standing(facts: Iterable[LaterFact]) -> list[LaterFact]:
    """Those that nothing has superseded, the earliest first."""
    every = list(facts)
    replaced = {fact.replaces for fact in every}
    return sorted(
        (fact for fact in every if fact.id not in replaced), key=lambda fact: (fact.at, str(fact.id))
    )


def evidence_for(
    evidence: Collection[str], facts: Iterable[LaterFact], *, obliged: UUID | None, since: datetime | None
) -> LaterFact | None:
    """The first of ``facts`` (as ``standing`` sorts them) that meets a duty.

    Args:
        evidence: codes that its rule names.
        obliged: agency that owes it.
        since: moment from which it stands; a visit before a threat was learned is not the visit that the
            threat asks for. ``None`` for what the alert itself laid down.
    """
    for fact in facts:
        if fact.code not in evidence or (since is not None and fact.at < since):
            continue
        if fact.agency is None or fact.agency == obliged:
            return fact
    return None
