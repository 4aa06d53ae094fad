"""The reporter corrects its report: the whole of it anew, since nobody is shown what was told before."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from common.contracts.vocabulary import Concern, Occasion, OffenderRelation
from gateway.console import forms
from gateway.console.affairs import FLAGS
from gateway.console.parts import Agency, Console, InConsole, OwnForm, PageRoute, Visitor, read_form
from gateway.console.rendering import page
from gateway.domain.affair import Act, Affair
from gateway.errors import PageUnknown, ServiceRefused

router = APIRouter(prefix="/console/duties", route_class=PageRoute, include_in_schema=False)

_PLACE = re.compile(r"KZ-[0-9]{2}|[0-9]{9}", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
LONGEST_NARRATIVE = 20_000
OCCASIONS = [str(code) for code in Occasion if code is not Occasion.MEDIA]
"""A publication is told with its address, which this form does not ask for."""


@router.get("/{alert_id}/correction")
async def show_correction(alert_id: UUID, visitor: Agency, console: InConsole) -> Response:
    """The report as it should have been, empty: what was told is sealed, also from this page."""
    return await _page(visitor, await _own(visitor, console, alert_id), {})


@router.post("/{alert_id}/correction", dependencies=[OwnForm])
async def correct(alert_id: UUID, request: Request, visitor: Agency, console: InConsole) -> Response:
    """Send it. The same correction again is the stored one."""
    form = await read_form(request)
    affair = await _own(visitor, console, alert_id)
    flaws = find_flaws(form)
    if flaws:
        return await _page(visitor, affair, form, status=422, flaws=flaws)
    body = {"reason": forms.words_of(form), "report": report_of(form)}
    try:
        await console.affairs.act_on_alert(visitor.known(), alert_id, Act.CORRECTION, body)
    except ServiceRefused as refused:
        return await _page(visitor, affair, form, status=409, wrong=forms.explained(refused))
    return RedirectResponse(f"/console/duties/{alert_id}?done=corrected", 303)


def find_flaws(form: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with a corrected report, by field, as catalogue keys."""
    flaws: dict[str, str] = {}
    if _PLACE.fullmatch(form.get("territory", "")) is None:
        flaws["territory"] = "correction.territory_flaw"
    if not _concerns(form):
        flaws["concerns"] = "correction.concerns_flaw"
    born = form.get("birth_date", "")
    if born and not _is_date(born):
        flaws["birth_date"] = "correction.date_flaw"
    for field in ("name", "address", "education_org"):
        if not forms.is_line(form.get(field, ""), 500):
            flaws[field] = "answer.too_long"
    if not forms.is_line(form.get("iin", ""), 100):
        flaws["iin"] = "answer.one_line"
    if len(forms.words_of(form, "narrative")) > LONGEST_NARRATIVE:
        flaws["narrative"] = "correction.narrative_flaw"
    return flaws | forms.flaws_of_words(forms.words_of(form))


def report_of(form: Mapping[str, str]) -> dict[str, Any]:
    """The report as intake takes it; what was left empty is left out and unknown from now on."""
    child = {field: form[field] for field in _CHILD if form.get(field)}
    if form.get("sex") in ("female", "male"):
        child["sex"] = form["sex"]
    report: dict[str, Any] = {
        "territory": form["territory"],
        "concerns": _concerns(form),
        **{flag: True for flag in FLAGS if form.get(flag) == "yes"},
    }
    if form.get("occasion") in OCCASIONS:
        report["occasion"] = form["occasion"]
    if form.get("offender_relation") in set(OffenderRelation):
        report["alleged_offender"] = {"relation": form["offender_relation"]}
    if form.get("parents") in ("yes", "no"):
        report["parents_may_be_informed"] = form["parents"] == "yes"
    if child:
        report["child"] = child
    narrative = forms.words_of(form, "narrative")
    return report | ({"narrative": narrative} if narrative else {})


_CHILD = ("name", "birth_date", "iin", "address", "education_org")


def _concerns(form: Mapping[str, str]) -> list[str]:
    return [str(code) for code in Concern if form.get(f"concern_{code}") == "yes"]


def _is_date(text: str) -> bool:
    try:
        return _DATE.fullmatch(text) is not None and date.fromisoformat(text).year >= 1900
    except ValueError:
        return False


async def _own(visitor: Visitor, console: Console, alert_id: UUID) -> Affair:
    affair = await console.affairs.get_affair(visitor.known(), alert_id)
    if not affair.allows(Act.CORRECTION):
        raise PageUnknown
    return affair


async def _page(
    visitor: Visitor,
    affair: Affair,
    form: Mapping[str, str],
    *,
    status: int = 200,
    flaws: Mapping[str, str] | None = None,
    wrong: str | None = None,
) -> Response:
    return page(
        "duties/correction.html",
        visitor.language,
        status=status,
        visitor=visitor,
        affair=affair,
        form=form,
        flaws=flaws or {},
        wrong=wrong,
        place=visitor.known().territory or "",
        concerns=[str(code) for code in Concern],
        relations=[str(code) for code in OffenderRelation],
        occasions=OCCASIONS,
        flags=FLAGS,
    )
