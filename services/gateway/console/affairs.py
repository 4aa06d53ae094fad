"""Acts on a whole alert: a public report let go, conflicts, the lock, what is learned later."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from common.contracts.vocabulary import Concern, OffenderRelation
from gateway.console import forms
from gateway.console.duties import affair_page, conflicts_of, names_of
from gateway.console.parts import Agency, Console, InConsole, OwnForm, PageRoute, Visitor, read_form
from gateway.console.rendering import page
from gateway.domain.affair import Act, Affair, Organisation
from gateway.errors import PageUnknown, ServiceRefused

router = APIRouter(prefix="/console/duties", route_class=PageRoute, include_in_schema=False)

_PAGES: Mapping[str, tuple[Act, ...]] = {
    "conflict": (Act.CONFLICT, Act.CONFLICT_LOWERED),
    "parents": (Act.PARENT_LOCK, Act.LOCK_LIFTED),
    "rating": (Act.RATING,),
    "unfounded": (Act.UNFOUNDED,),
    "withdrawal": (Act.WITHDRAWAL,),
}
"""Forms by the last part of their address, and the acts that they carry out."""

FLAGS = ("direct_threat", "needs_medical_care", "without_parental_care", "cyber")
EVERY_SCHOOL = "education_org"
"""Role by which every school of the district is shut out where nobody knows which one it is."""


@router.post("/{alert_id}/let-go", dependencies=[OwnForm])
async def let_go(alert_id: UUID, visitor: Agency, console: InConsole) -> Response:
    """The hub lets a public report go to the bodies that the law names; once more changes nothing."""
    try:
        await console.affairs.act_on_alert(visitor.known(), alert_id, Act.RELEASE, {})
    except ServiceRefused as refused:
        return await affair_page(visitor, console, alert_id, status=409, wrong=forms.explained(refused))
    return RedirectResponse(f"/console/duties/{alert_id}?done=let_go", 303)


@router.post("/{alert_id}/confirm", dependencies=[OwnForm])
async def confirm(alert_id: UUID, request: Request, visitor: Agency, console: InConsole) -> Response:
    """The second person's word on a proposal about the whole alert."""
    form = await read_form(request)
    affair = await console.affairs.get_affair(visitor.known(), alert_id)
    proposal = next((one for one in affair.proposals if str(one.proposal) == form.get("proposal")), None)
    if proposal is None:
        # Confirmed before, by this very click sent twice or by a colleague: the page shows how it stands.
        return RedirectResponse(f"/console/duties/{alert_id}", 303)
    body = {"confirms": str(proposal.proposal)}
    try:
        await console.affairs.act_on_alert(visitor.known(), alert_id, Act(proposal.kind), body)
    except ServiceRefused as refused:
        return await affair_page(visitor, console, alert_id, status=409, wrong=forms.explained(refused))
    return RedirectResponse(f"/console/duties/{alert_id}?done=confirmed", 303)


@router.get("/{alert_id}/{form_name}")
async def show_form(alert_id: UUID, form_name: str, visitor: Agency, console: InConsole) -> Response:
    """One of the forms; none that would be refused is shown."""
    return await _form_page(visitor, console, await _affair(visitor, console, alert_id, form_name), form_name)


@router.post("/{alert_id}/conflict", dependencies=[OwnForm])
async def raise_conflict(alert_id: UUID, request: Request, visitor: Agency, console: InConsole) -> Response:
    """Shut an organisation out at once, or ask the other of the two bodies to let it in again."""
    form = await read_form(request)
    affair = await _affair(visitor, console, alert_id, "conflict")
    if "search" in form:
        return await _form_page(visitor, console, affair, "conflict", form=form)
    reason, flaws = forms.words_of(form), {}
    whom, lower = form.get("whom", ""), form.get("lower", "")
    body: dict[str, Any] = {}
    if lower:
        lowered = [one for one in await conflicts_of(visitor, console, affair) if str(one.id) == lower]
        if not lowered:
            raise PageUnknown
        body = {"lower": True} | _named(lowered[0].agency, lowered[0].role)
    elif whom == "district":
        body = {"role": EVERY_SCHOOL}
    else:
        agency = await _chosen(console, whom, form.get("code", ""))
        if agency is None:
            flaws["code" if whom == "code" else "whom"] = "conflict.whom_flaw"
        else:
            body = {"agency": str(agency)}
    flaws |= forms.flaws_of_words(reason)
    if flaws:
        return await _form_page(visitor, console, affair, "conflict", status=422, form=form, flaws=flaws)
    act = Act.CONFLICT_LOWERED if lower else Act.CONFLICT
    done = "lowering" if lower else "shut_out"
    return await _do(visitor, console, affair, "conflict", act, body | {"reason": reason}, form, done)


@router.post("/{alert_id}/parents", dependencies=[OwnForm])
async def lock_parents(alert_id: UUID, request: Request, visitor: Agency, console: InConsole) -> Response:
    """Keep it from the parents at once, or propose to a colleague that they may be told."""
    form = await read_form(request)
    affair = await _affair(visitor, console, alert_id, "parents")
    reason = forms.words_of(form)
    flaws = forms.flaws_of_words(reason)
    if flaws:
        return await _form_page(visitor, console, affair, "parents", status=422, form=form, flaws=flaws)
    locks = affair.allows(Act.PARENT_LOCK)
    act, done = (Act.PARENT_LOCK, "locked") if locks else (Act.LOCK_LIFTED, "proposed")
    body = {"locked": locks, "reason": reason}
    return await _do(visitor, console, affair, "parents", act, body, form, done)


@router.post("/{alert_id}/rating", dependencies=[OwnForm])
async def rate(alert_id: UUID, request: Request, visitor: Agency, console: InConsole) -> Response:
    """Say what is known now that was not known before."""
    form = await read_form(request)
    affair = await _affair(visitor, console, alert_id, "rating")
    reason = forms.words_of(form)
    learned: dict[str, Any] = {flag: True for flag in FLAGS if form.get(flag) == "yes"}
    concerns = [str(code) for code in Concern if form.get(f"concern_{code}") == "yes"]
    if concerns:
        learned["concerns"] = concerns
    if form.get("offender_relation") in set(OffenderRelation):
        learned["offender_relation"] = form["offender_relation"]
    if form.get("parents") in ("yes", "no"):
        learned["parents_may_be_informed"] = form["parents"] == "yes"
    flaws = forms.flaws_of_words(reason) | ({} if learned else {"learned": "rating.nothing"})
    if flaws:
        return await _form_page(visitor, console, affair, "rating", status=422, form=form, flaws=flaws)
    body = learned | {"reason": reason}
    return await _do(visitor, console, affair, "rating", Act.RATING, body, form, "rated")


@router.post("/{alert_id}/unfounded", dependencies=[OwnForm])
async def find_unfounded(alert_id: UUID, request: Request, visitor: Agency, console: InConsole) -> Response:
    """Propose to a colleague that the report has no ground."""
    return await _say_why(alert_id, request, visitor, console, "unfounded", Act.UNFOUNDED, "proposed")


@router.post("/{alert_id}/withdrawal", dependencies=[OwnForm])
async def withdraw(alert_id: UUID, request: Request, visitor: Agency, console: InConsole) -> Response:
    """The reporter takes its report back."""
    return await _say_why(alert_id, request, visitor, console, "withdrawal", Act.WITHDRAWAL, "withdrawn")


async def _say_why(
    alert_id: UUID, request: Request, visitor: Visitor, console: Console, name: str, act: Act, done: str
) -> Response:
    form = await read_form(request)
    affair = await _affair(visitor, console, alert_id, name)
    reason = forms.words_of(form)
    flaws = forms.flaws_of_words(reason)
    if flaws:
        return await _form_page(visitor, console, affair, name, status=422, form=form, flaws=flaws)
    return await _do(visitor, console, affair, name, act, {"reason": reason}, form, done)


async def _affair(visitor: Visitor, console: Console, alert_id: UUID, name: str) -> Affair:
    """The alert, if this form is open to this agency; raises ``PageUnknown``, whichever way it is not."""
    affair = await console.affairs.get_affair(visitor.known(), alert_id)
    if name not in _PAGES or not any(affair.allows(act) for act in _PAGES[name]):
        raise PageUnknown
    return affair


async def _do(
    visitor: Visitor,
    console: Console,
    affair: Affair,
    name: str,
    act: Act,
    body: Mapping[str, Any],
    form: Mapping[str, str],
    done: str,
) -> Response:
    try:
        await console.affairs.act_on_alert(visitor.known(), affair.id, act, body)
    except ServiceRefused as refused:
        wrong = forms.explained(refused)
        return await _form_page(visitor, console, affair, name, status=409, form=form, wrong=wrong)
    if act is Act.CONFLICT:
        # It may have shut out the very one who raised it: then its page is no longer there.
        try:
            await console.affairs.get_affair(visitor.known(), affair.id)
        except PageUnknown:
            return RedirectResponse("/console/duties", 303)
    return RedirectResponse(f"/console/duties/{affair.id}?done={done}", 303)


async def _form_page(
    visitor: Visitor,
    console: Console,
    affair: Affair,
    name: str,
    *,
    status: int = 200,
    form: Mapping[str, str] | None = None,
    flaws: Mapping[str, str] | None = None,
    wrong: str | None = None,
) -> Response:
    given, more = form or {}, {}
    if name == "conflict":
        more = await _to_choose_from(visitor, console, affair, given)
    return page(
        f"duties/{name}.html",
        visitor.language,
        status=status,
        visitor=visitor,
        affair=affair,
        form=given,
        flaws=flaws or {},
        wrong=wrong,
        concerns=[str(code) for code in Concern],
        relations=[str(code) for code in OffenderRelation],
        flags=FLAGS,
        now=console.now(),
        live=False,
        **more,
    )


async def _to_choose_from(
    visitor: Visitor, console: Console, affair: Affair, form: Mapping[str, str]
) -> dict[str, Any]:
    """Organisations that were told, those that were searched for, and who is shut out already."""
    bearer, wanted = visitor.known(), form.get("search_for", "")
    told = await console.affairs.list_told(bearer, affair.id)
    conflicts = await conflicts_of(visitor, console, affair)
    named = [one.agency for one in told] + [one.agency for one in conflicts if one.agency]
    found: list[Organisation] = []
    if "search" in form and 2 <= len(wanted) <= forms.LONGEST_LINE:
        found = (await console.affairs.find_organisations(bearer, wanted))[:20]
    return {
        "told": told,
        "found": [one for one in found if one.id not in {each.agency for each in told}],
        "searched": "search" in form,
        "conflicts": conflicts,
        "names": await names_of(visitor, console, named),
    }


async def _chosen(console: Console, whom: str, code: str) -> UUID | None:
    """The organisation that was chosen, if the register knows it."""
    reference = code.strip().lower() if whom == "code" else whom
    if (
        not reference
        or len(reference) > 80
        or not all(c.isascii() and (c.isalnum() or c == "-") for c in reference)
    ):
        return None
    record = await console.directory.find_agency(reference)
    return record.id if record else None


def _named(agency: UUID | None, role: str | None) -> dict[str, str]:
    return {"agency": str(agency)} if agency else {"role": str(role)}
