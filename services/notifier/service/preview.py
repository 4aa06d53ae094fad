"""What the law would say: evaluates and stores nothing."""

from datetime import datetime

from common.db import Session
from notifier.domain.evaluation import Evaluation, evaluate
from notifier.domain.facts import Facts
from notifier.repository.directory import find_directory
from notifier.service.desk import Desk
from notifier.service.planning import REGIONAL_BODY


async def has_regional_body(session: Session, territory: str, at: datetime) -> bool:
    """Whether the territory has a regional child rights body: yes, unless its absence is declared."""
    directory = await find_directory(session, territory)
    return not directory.is_absent(REGIONAL_BODY, territory, at)


def preview(desk: Desk, facts: Facts) -> Evaluation:
    """The evaluation of these facts by the edition in force at their receipt."""
    return evaluate(desk.lawbook.edition_at(facts.received_at), facts, desk.lawbook.calendar)
