"""From what the law says to what is sent: who exactly is obliged, who exactly is told, in which notice.

Duties towards one agency that leave together share one notice; one that leaves later is a further notice,
numbered so that the agency sees gaps (architecture §2.4). Exclusions are applied here, before anything
is stored as sendable.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from notifier.domain.evaluation import REPORTER_HOLDS, Duty, Evaluation
from notifier.domain.exclusion import SCHOOLS
from notifier.domain.hold import Hold
from notifier.domain.resolution import COORDINATING, Directory, Holder
from notifier.domain.schedule import ORDER, Urgency

IMPLICATED = "implicated"
"""The agency is named in the alert: it must not learn that an alert exists."""
REPORTER_KNOWS = "reporter_knows"
"""The agency reported it: it never gets a notice of its own report. Being called out is another matter."""
OWN_BODY = "own_body"
"""One agency holds both roles: it does not notify itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDuty:
    """A duty with its parties; ``delivery_id`` carries it, ``dispatch_at`` says when it leaves by itself."""

    id: UUID
    duty: Duty
    state: str
    obliged_agency: UUID | None
    recipient_agency: UUID | None
    delivery_id: UUID | None
    dispatch_at: datetime | None
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class WithheldDuty:
    """A duty that applies and must not be carried out, and the code that says why."""

    duty: Duty
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Freight:
    """A duty that wants to leave now; ``agency`` is ``None`` while nobody holds the role."""

    obligation_id: UUID
    role: str
    agency: UUID | None
    urgency: Urgency
    due_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDelivery:
    """One notice to one agency; ``role`` is the first of ``bodies`` under which it is addressed.

    Attributes:
        rung, escalates: which step of whose ladder this is; a first way has neither.
        silent, breached: role of the subordinate of whose silence or breach a superior body is told.
        change, change_id: what became of the alert since it was told, and the record of that.
        also: duties that the notice names and does not carry: what its agency owes itself from now on.
    """

    id: UUID
    agency: UUID | None
    role: str
    bodies: tuple[str, ...]
    number: int
    urgency: Urgency
    deadline: datetime | None
    obligations: tuple[UUID, ...]
    rung: int = 0
    escalates: UUID | None = None
    silent: str | None = None
    breached: str | None = None
    change: str | None = None
    change_id: UUID | None = None
    also: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that one alert puts into the ledger."""

    duties: tuple[PlannedDuty, ...]
    deliveries: tuple[PlannedDelivery, ...]
    withheld: tuple[WithheldDuty, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The facts of one alert that decide who is who.

    Attributes:
        reporter_agency: gets no notice of its own report, only call-outs; ``None`` for public channels.
        excluded: agencies that must not know; where one was to act or to be told, another takes its place.
        auto_dispatch_before: how long ahead of ``due_at`` an unreleased notice leaves by itself.
        hold: what would leave at once waits for the hub, which alone is told.
    """

    territory: str
    received_at: datetime
    reporter_agency: UUID | None
    excluded: frozenset[UUID]
    auto_dispatch_before: timedelta
    hold: Hold | None = None


@dataclass(frozen=True, slots=True)
class Party:
    """Who acts or is told, and under which role; ``is_substitute`` when it stands in for one shut out."""

    agency: UUID | None
    role: str
    is_substitute: bool = False


def party(
    holder: Holder | None,
    role: str,
    directory: Directory,
    territory: str,
    moment: datetime,
    excluded: frozenset[UUID],
) -> Party:
    """The holder itself, or whoever takes its place when it is shut out; nobody where there is none."""
    if holder is None:
        return Party(None, role)
    if holder.agency_id not in excluded:
        return Party(holder.agency_id, role)
    instead = directory.in_place_of(holder, territory, moment, excluded)
    if instead is None:
        return Party(None, role, is_substitute=True)
    return Party(instead.agency_id, instead.role, is_substitute=True)


def plan(
    evaluation: Evaluation,
    directory: Directory,
    case: Case,
    new_id: Callable[[], UUID],
    last_number: Mapping[UUID, int] | None = None,
) -> Plan:
    """Settle every duty's parties and group what leaves at once into notices.

    Args:
        directory: without exclusions; ``case.excluded`` is applied here, so that a withheld duty is
            never mistaken for one without a holder.
        new_id: makes random ids.
        last_number: as in ``load``, for duties that come later than the alert.
    """
    withheld: list[WithheldDuty] = []
    settled: list[tuple[UUID, Duty, Party, UUID | None]] = []
    freight: list[Freight] = []
    held: set[UUID] = set()
    for duty in evaluation.obligations:
        obliged = _obliged(duty, evaluation, directory, case)
        recipient = _recipient(duty, directory, case)
        reason = _why_not(duty, obliged, recipient, case)
        is_told = reason is None
        if reason in (REPORTER_KNOWS, OWN_BODY) and duty.kind == "act":
            reason = None  # nothing to tell; what must be done stays owed
        if reason is not None:
            withheld.append(WithheldDuty(duty, reason))
            continue
        obligation_id = new_id()
        settled.append((obligation_id, duty, obliged, recipient.agency))
        told = None
        if is_told and _leaves_at_once(duty) and duty.recipient is not None:
            if case.hold is not None:
                held.add(obligation_id)
            else:
                told = recipient
        elif obliged.is_substitute and duty.kind == "act" and duty.dispatch == "none":
            told = obliged  # whoever takes another's place must hear what has become its own to do
        if told is not None:
            freight.append(
                Freight(
                    obligation_id=obligation_id,
                    role=told.role,
                    agency=told.agency,
                    urgency=Urgency(duty.urgency),
                    due_at=duty.due_at,
                )
            )
    deliveries = load(freight, last_number or {}, new_id)
    carrier = {obligation: delivery.id for delivery in deliveries for obligation in delivery.obligations}
    if case.hold is not None:
        hub = _tell_hub(evaluation, directory, case, deliveries, new_id)
        deliveries = [hub, *deliveries]
    until = case.hold.until if case.hold else None
    duties = tuple(
        PlannedDuty(
            id=obligation_id,
            duty=duty,
            state=_state(duty, obliged, case),
            obliged_agency=obliged.agency,
            recipient_agency=recipient,
            delivery_id=carrier.get(obligation_id),
            dispatch_at=until
            if obligation_id in held
            else dispatch_at(duty.dispatch, duty.due_at, case.auto_dispatch_before),
            is_held=obligation_id in held,
        )
        for obligation_id, duty, obliged, recipient in settled
    )
    return Plan(duties, tuple(deliveries), tuple(withheld))


def _tell_hub(
    evaluation: Evaluation,
    directory: Directory,
    case: Case,
    others: Sequence[PlannedDelivery],
    new_id: Callable[[], UUID],
) -> PlannedDelivery:
    """The hub hears at once that a report waits for it; no duty of anybody is met by that."""
    role = evaluation.first_holder
    holder = directory.holder(role, case.territory, case.received_at)
    agency = holder.agency_id if holder and holder.agency_id not in case.excluded else None
    dues = [duty.due_at for duty in evaluation.obligations if duty.due_at is not None]
    number = 0 if agency is None else 1 + max((d.number for d in others if d.agency == agency), default=0)
    return PlannedDelivery(
        id=new_id(),
        agency=agency,
        role=role,
        bodies=(role,),
        number=number,
        urgency=Urgency.IMMEDIATE,
        deadline=min(dues, default=None),
        obligations=(),
    )


def load(
    freight: Iterable[Freight], last_number: Mapping[UUID, int], new_id: Callable[[], UUID]
) -> Sequence[PlannedDelivery]:
    """Group what leaves now: one notice an agency, or one a role while nobody holds it; urgent first.

    Args:
        last_number: highest number of an earlier notice of the same alert, by agency.
    """
    groups: dict[UUID | str, list[Freight]] = {}
    for item in freight:
        groups.setdefault(item.agency or item.role, []).append(item)
    deliveries = []
    for items in groups.values():
        agency = items[0].agency
        dues = [item.due_at for item in items if item.due_at is not None]
        bodies = tuple(dict.fromkeys(item.role for item in items))
        deliveries.append(
            PlannedDelivery(
                id=new_id(),
                agency=agency,
                role=bodies[0],
                bodies=bodies,
                # A notice without an agency gets its number when it gets an agency.
                number=0 if agency is None else last_number.get(agency, 0) + 1,
                urgency=min((item.urgency for item in items), key=ORDER.__getitem__),
                deadline=min(dues, default=None),
                obligations=tuple(item.obligation_id for item in items),
            )
        )
    return sorted(deliveries, key=lambda delivery: ORDER[delivery.urgency])


def dispatch_at(dispatch: str, due_at: datetime | None, before: timedelta) -> datetime | None:
    """When an unreleased notice leaves by itself; ``None`` for what left at planning or never leaves."""
    if dispatch != "on_release" or due_at is None:
        return None
    return due_at - before


def next_check(
    *,
    state: str,
    dispatch: datetime | None,
    due_at: datetime | None,
    breach_at: datetime | None,
    alarmed: bool = False,
    breached: bool = False,
) -> datetime | None:
    """The next moment at which the clocks have something to do for a duty.

    A pending duty cannot be breached: its holder never got the information. It alarms all the same,
    from the projected start.
    """
    if state not in ("pending", "open"):
        return None
    moments = [
        dispatch,
        None if alarmed else due_at,
        None if breached or state != "open" else breach_at,
    ]
    return min((moment for moment in moments if moment is not None), default=None)


def _leaves_at_once(duty: Duty) -> bool:
    """Notices, and acts that a message announces: placement ¶12(5), help cabinet ¶20."""
    return duty.dispatch == "at_once"


def _state(duty: Duty, obliged: Party, case: Case) -> str:
    """Whoever reported has the information: only what starts with a call-out still waits for a notice.

    Whoever takes the place of the reporter has not heard of it yet.
    """
    if obliged.agency is not None and obliged.agency == case.reporter_agency and duty.starts != "notice":
        return "open"
    return "pending" if obliged.is_substitute else duty.state


def _obliged(duty: Duty, evaluation: Evaluation, directory: Directory, case: Case) -> Party:
    holder = directory.holder(duty.obliged_body, case.territory, case.received_at)
    if (
        evaluation.holder == REPORTER_HOLDS
        and duty.obliged_body == evaluation.first_holder
        and case.reporter_agency is not None
    ):
        holder = Holder(case.reporter_agency, duty.obliged_body)
    found = party(holder, duty.obliged_body, directory, case.territory, case.received_at, case.excluded)
    if found.is_substitute and found.agency is None:
        # No body above it may know either: what must be done is not left without an owner.
        instead = directory.answering(COORDINATING, case.territory, case.received_at, case.excluded)
        return found if instead is None else Party(instead.agency_id, instead.role, is_substitute=True)
    return found


def _recipient(duty: Duty, directory: Directory, case: Case) -> Party:
    if duty.recipient is None or not duty.is_sent:
        return Party(None, duty.recipient or "")
    holder = directory.holder(duty.recipient, case.territory, case.received_at)
    return party(holder, duty.recipient, directory, case.territory, case.received_at, case.excluded)


def _why_not(duty: Duty, obliged: Party, recipient: Party, case: Case) -> str | None:
    if duty.recipient in SCHOOLS and (
        recipient.is_substitute or (obliged.is_substitute and duty.obliged_body in SCHOOLS)
    ):
        return IMPLICATED  # nobody tells an implicated school, its head included
    if recipient.agency is None or not duty.is_sent:
        return None
    if recipient.agency == case.reporter_agency and not duty.calls_out:
        return REPORTER_KNOWS
    # A substitute does not know yet, so that it is told even what it owes to itself now.
    return OWN_BODY if recipient.agency == obliged.agency and not obliged.is_substitute else None
