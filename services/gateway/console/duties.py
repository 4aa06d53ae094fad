"""An agency's duties: what it owes for each alert that it knows, and taking hold of each of them."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from gateway.console import forms
from gateway.console.parts import Agency, Console, InConsole, OwnForm, PageRoute, Visitor, read_form
from gateway.console.rendering import page
from gateway.domain.affair import Act, Affair, Conflict, DutyAct, Organisation, pending_of
from gateway.domain.inbox import OwedDuty
from gateway.errors import PageUnknown, ServiceRefused

router = APIRouter(prefix="/console/duties", route_class=PageRoute, include_in_schema=False)

Cursor = Annotated[str | None, Query(max_length=400)]
Done = Annotated[str, Query(max_length=20)]

DONE = (
    "released", "evidenced", "proposed", "confirmed", "let_go", "shut_out", "lowering", "locked", "rated",
    "withdrawn", "corrected",
)  # fmt: skip
"""What a page may say has been done; the word stands in its address."""

CLOCKS_MAY_DIFFER = timedelta(minutes=5)


@router.get("")
async def list_affairs(visitor: Agency, console: InConsole, after: Cursor = None) -> Response:
    """Every alert that this agency knows, also one that it only reported, with what it still owes."""
    rows, following = await console.affairs.list_affairs(visitor.known(), cursor=after)
    return page(
        "duties/list.html",
        visitor.language,
        visitor=visitor,
        rows=sorted(rows, key=lambda row: not row.own_open),
        following=following,
        now=console.now(),
        live=False,
    )


@router.get("/{alert_id}")
async def show_affair(alert_id: UUID, visitor: Agency, console: InConsole, done: Done = "") -> Response:
    """One alert: own duties, what waits for a second person, and what else can be done."""
    return await affair_page(visitor, console, alert_id, done=done if done in DONE else "")


@router.post("/{alert_id}/release", dependencies=[OwnForm])
async def release(alert_id: UUID, request: Request, visitor: Agency, console: InConsole) -> Response:
    """Let every notice go that waits for this body, or the one that is named."""
    form, bearer = await read_form(request), visitor.known()
    duties = await console.affairs.list_duties(bearer, alert_id)
    going = [duty.id for duty in duties if duty.id and DutyAct.RELEASE in duty.may]
    wanted = form.get("duty")
    if wanted:
        # Pressed twice: it has left already, and notifier says so again.
        going = [duty.id for duty in duties if duty.id and str(duty.id) == wanted]
    if going:
        first, *also = going
        try:
            await console.affairs.act_on_duty(
                bearer, first, DutyAct.RELEASE, {"also": [str(each) for each in also[:50]]}
            )
        except ServiceRefused as refused:
            return await affair_page(visitor, console, alert_id, status=409, wrong=forms.explained(refused))
    elif wanted:
        raise PageUnknown
    return RedirectResponse(f"/console/duties/{alert_id}?done=released", 303)


@router.get("/{alert_id}/{duty_id:uuid}")
async def show_duty(alert_id: UUID, duty_id: UUID, visitor: Agency, console: InConsole) -> Response:
    """One own duty: state it done, send its notice, or waive it."""
    return await _duty_page(visitor, console, alert_id, duty_id)


@router.post("/{alert_id}/{duty_id:uuid}/evidence", dependencies=[OwnForm])
async def state_evidence(
    alert_id: UUID, duty_id: UUID, request: Request, visitor: Agency, console: InConsole
) -> Response:
    """State that it was done, when, and where the proof is."""
    form = await read_form(request)
    duty = await _own_duty(visitor, console, alert_id, duty_id)
    at, flaws = forms.moment_of(form.get("happened_at", "")), {}
    fact = form.get("fact") or (duty.facts[0] if len(duty.facts) == 1 else "")
    if fact not in duty.facts and duty.is_open:
        flaws["fact"] = "duty_form.choose"
    if at is None:
        flaws["happened_at"] = "duty_form.moment_needed"
    elif at > console.now() + CLOCKS_MAY_DIFFER:
        flaws["happened_at"] = "duty_form.moment_ahead"
    if not forms.is_reference(form.get("reference", "")):
        flaws["reference"] = "duty_form.reference_flaw"
    if flaws or at is None:
        return await _duty_page(
            visitor, console, alert_id, duty_id, status=422, form=form, flaws=flaws, opened="evidence"
        )
    happened_at = at.isoformat().replace("+00:00", "Z")
    body = {"fact": fact, "happened_at": happened_at, "reference": form["reference"]}
    try:
        await console.affairs.act_on_duty(visitor.known(), duty_id, DutyAct.EVIDENCE, body)
    except ServiceRefused as refused:
        return await _duty_page(
            visitor, console, alert_id, duty_id, status=409, form=form, wrong=forms.explained(refused),
            opened="evidence",
        )  # fmt: skip
    return RedirectResponse(f"/console/duties/{alert_id}?done=evidenced", 303)


@router.post("/{alert_id}/{duty_id:uuid}/waiver", dependencies=[OwnForm])
async def waive(
    alert_id: UUID, duty_id: UUID, request: Request, visitor: Agency, console: InConsole
) -> Response:
    """Propose a waiver with a reason, or confirm the one that a colleague proposed."""
    form = await read_form(request)
    await _own_duty(visitor, console, alert_id, duty_id)
    proposal, reason = _proposal_of(form), forms.words_of(form)
    flaws = {} if proposal else forms.flaws_of_words(reason)
    if flaws:
        return await _duty_page(
            visitor, console, alert_id, duty_id, status=422, form=form, flaws=flaws, opened="waiver"
        )
    body = {"confirms": str(proposal)} if proposal else {"reason": reason}
    try:
        await console.affairs.act_on_duty(visitor.known(), duty_id, DutyAct.WAIVER, body)
    except ServiceRefused as refused:
        return await _duty_page(
            visitor, console, alert_id, duty_id, status=409, form=form, wrong=forms.explained(refused)
        )
    return RedirectResponse(f"/console/duties/{alert_id}?done={'confirmed' if proposal else 'proposed'}", 303)


def _proposal_of(form: Mapping[str, str]) -> UUID | None:
    if "confirms" not in form:
        return None
    try:
        return UUID(form["confirms"])
    except ValueError as error:
        raise PageUnknown from error


async def _own_duty(visitor: Visitor, console: Console, alert_id: UUID, duty_id: UUID) -> OwedDuty:
    """Raises ``PageUnknown`` when it is not a duty of this agency for this alert."""
    duties = await console.affairs.list_duties(visitor.known(), alert_id)
    found = next((duty for duty in duties if duty.id == duty_id), None)
    if found is None:
        raise PageUnknown
    return found


async def _duty_page(
    visitor: Visitor,
    console: Console,
    alert_id: UUID,
    duty_id: UUID,
    *,
    status: int = 200,
    form: Mapping[str, str] | None = None,
    flaws: Mapping[str, str] | None = None,
    wrong: str | None = None,
    opened: str = "",
) -> Response:
    duty = await _own_duty(visitor, console, alert_id, duty_id)
    return page(
        "duties/duty.html",
        visitor.language,
        status=status,
        visitor=visitor,
        alert_id=alert_id,
        duty=duty,
        form=form or {},
        flaws=flaws or {},
        wrong=wrong,
        opened=opened,
        moment=forms.field_of(console.now()),
        now=console.now(),
        live=False,
    )


async def affair_page(
    visitor: Visitor,
    console: Console,
    alert_id: UUID,
    *,
    status: int = 200,
    done: str = "",
    wrong: str | None = None,
) -> Response:
    """The page of one alert, for whoever comes back from one of its forms too."""
    bearer = visitor.known()
    affair = await console.affairs.get_affair(bearer, alert_id)
    duties = await console.affairs.list_duties(bearer, alert_id)
    conflicts = await conflicts_of(visitor, console, affair)
    return page(
        "duties/affair.html",
        visitor.language,
        status=status,
        visitor=visitor,
        affair=affair,
        duties=duties,
        releasable=[duty for duty in duties if DutyAct.RELEASE in duty.may],
        pending=pending_of(affair, duties),
        conflicts=conflicts,
        names=await names_of(visitor, console, [one.agency for one in conflicts if one.agency]),
        acts=[act for act in SHOWN if affair.allows(act)],
        done=done,
        form={},
        flaws={},
        wrong=wrong,
        now=console.now(),
        live=False,
    )


SHOWN = (
    Act.RATING,
    Act.CONFLICT,
    Act.PARENT_LOCK,
    Act.LOCK_LIFTED,
    Act.CORRECTION,
    Act.WITHDRAWAL,
    Act.UNFOUNDED,
)
"""Acts with a form of their own, in the order in which they are offered."""


async def conflicts_of(visitor: Visitor, console: Console, affair: Affair) -> list[Conflict]:
    """Who is shut out, for those who may let it in again."""
    if not affair.allows(Act.CONFLICT_LOWERED):
        return []
    return await console.affairs.list_conflicts(visitor.known(), affair.id)


async def names_of(visitor: Visitor, console: Console, agencies: list[UUID]) -> dict[UUID, str]:
    """What the register calls these organisations; one that it does not know is missing."""
    asked = dict.fromkeys(agencies)
    records = await asyncio.gather(*(console.directory.find_agency(str(agency)) for agency in asked))
    return {
        agency: Organisation(record.id, record.code, record.names).name(visitor.language)
        for agency, record in zip(asked, records, strict=True)
        if record is not None
    }
