"""An operator's page of what fails: by cause, sent again by two persons, and endpoints that are paused."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from fastapi.responses import RedirectResponse, Response

from gateway.console import forms
from gateway.console.duties import names_of
from gateway.console.parts import Console, InConsole, Operator, OwnForm, PageRoute, Visitor, read_form
from gateway.console.rendering import page
from gateway.domain.failure import FailureGroup
from gateway.errors import PageUnknown, ServiceRefused

router = APIRouter(prefix="/console", route_class=PageRoute, include_in_schema=False)

Key = Annotated[str, InPath(pattern="^[0-9a-f]{32}$")]
Done = Annotated[str, Query(max_length=20)]
DONE = ("proposed", "confirmed", "paused", "resumed")


@router.get("/failures")
async def list_failures(visitor: Operator, console: InConsole, done: Done = "") -> Response:
    """What fails or needs a person by cause, what waits for a second person, what runs."""
    return await _list_page(visitor, console, done=done if done in DONE else "")


@router.post("/failures/confirm", dependencies=[OwnForm])
async def confirm(request: Request, visitor: Operator, console: InConsole) -> Response:
    """The second operator lets a redrive begin."""
    proposal = _id_of(await read_form(request), "proposal")
    try:
        await console.failures.confirm(visitor.known(), proposal)
    except ServiceRefused as refused:
        return await _list_page(visitor, console, status=409, wrong=forms.explained(refused))
    return RedirectResponse("/console/failures?done=confirmed", 303)


@router.get("/failures/{key}")
async def show_group(key: Key, visitor: Operator, console: InConsole, done: Done = "") -> Response:
    """One cause: the dry run, the reason for the second operator, and the ways of its agency."""
    group = await _group(visitor, console, key)
    return await _group_page(visitor, console, group, done=done if done in DONE else "")


@router.post("/failures/{key}/redrive", dependencies=[OwnForm])
async def propose(key: Key, request: Request, visitor: Operator, console: InConsole) -> Response:
    """Put it before another operator."""
    form = await read_form(request)
    group = await _group(visitor, console, key)
    if group.trouble is None:
        raise PageUnknown
    reason = " ".join(form.get("reason", "").split())  # it is shown in one line
    flaws = forms.flaws_of_words(reason)
    if not flaws and not forms.is_line(reason):
        flaws = {"reason": "failures.reason_flaw"}
    if flaws:
        return await _group_page(visitor, console, group, status=422, form=form, flaws=flaws)
    try:
        await console.failures.propose(visitor.known(), group, reason)
    except ServiceRefused as refused:
        wrong = forms.explained(refused)
        return await _group_page(visitor, console, group, status=409, form=form, wrong=wrong)
    return RedirectResponse("/console/failures?done=proposed", 303)


@router.post("/failures/{key}/{what}", dependencies=[OwnForm])
async def pause(key: Key, what: str, request: Request, visitor: Operator, console: InConsole) -> Response:
    """Push nothing to one endpoint of this agency, or push again."""
    if what not in ("pause", "resume"):
        raise PageUnknown
    form = await read_form(request)
    group = await _group(visitor, console, key)
    endpoint = _id_of(form, "endpoint")
    if endpoint not in {way.endpoint for way in group.ways}:
        raise PageUnknown
    await console.failures.pause(visitor.known(), endpoint, paused=what == "pause")
    # Its deliveries wait for another reason now, so that this group may be no longer there.
    return RedirectResponse(f"/console/failures?done={what}d", 303)


@router.post("/alerts/{alert_id}/redrive", dependencies=[OwnForm])
async def redrive(alert_id: UUID, request: Request, visitor: Operator, console: InConsole) -> Response:
    """Send one delivery again, as it stood on the page; a second click is the same one."""
    form = await read_form(request)
    delivery = _id_of(form, "delivery")
    generation = form.get("generation", "")
    if not (generation.isascii() and generation.isdigit() and 0 < len(generation) < 7):
        raise PageUnknown
    try:
        await console.failures.redrive(visitor.known(), delivery, int(generation))
    except ServiceRefused as refused:
        wrong = forms.explained(refused)
        return page(
            "failures/refused.html",
            visitor.language,
            status=409,
            visitor=visitor,
            wrong=wrong,
            alert_id=alert_id,
        )
    return RedirectResponse(f"/console/alerts/{alert_id}", 303)


def _id_of(form: Mapping[str, str], field: str) -> UUID:
    try:
        return UUID(form.get(field, ""))
    except ValueError as error:
        raise PageUnknown from error


async def _group(visitor: Visitor, console: Console, key: str) -> FailureGroup:
    """Raises ``PageUnknown`` when nothing fails for this cause any more."""
    groups = await console.failures.list_failures(visitor.known())
    found = next((one for one in groups if one.key == key), None)
    if found is None:
        raise PageUnknown
    return found


async def _list_page(
    visitor: Visitor, console: Console, *, status: int = 200, done: str = "", wrong: str | None = None
) -> Response:
    bearer = visitor.known()
    groups, failing, (proposed, runs) = await asyncio.gather(
        console.failures.list_failures(bearer),
        console.failures.list_failing_endpoints(bearer),
        console.failures.list_redrives(bearer),
    )
    filters = [one.filter for one in proposed] + [one.filter for one in runs[:SHOWN_RUNS]]
    named = [one.agency for one in groups] + [one.agency for one in failing]
    agencies = _known(named + [one.agency for one in filters])
    return page(
        "failures/list.html",
        visitor.language,
        status=status,
        visitor=visitor,
        groups=groups,
        failing=failing,
        proposed=proposed,
        runs=runs[:SHOWN_RUNS],
        names=await names_of(visitor, console, agencies),
        done=done,
        form={},
        flaws={},
        wrong=wrong,
        now=console.now(),
        live=False,
    )


SHOWN_RUNS = 10


async def _group_page(
    visitor: Visitor,
    console: Console,
    group: FailureGroup,
    *,
    status: int = 200,
    form: Mapping[str, str] | None = None,
    flaws: Mapping[str, str] | None = None,
    wrong: str | None = None,
    done: str = "",
) -> Response:
    return page(
        "failures/group.html",
        visitor.language,
        status=status,
        visitor=visitor,
        group=group,
        counted=await console.failures.count(visitor.known(), group) if group.trouble else None,
        names=await names_of(visitor, console, _known([group.agency])),
        form=form or {},
        flaws=flaws or {},
        wrong=wrong,
        done=done,
        now=console.now(),
        live=False,
    )


def _known(agencies: Iterable[UUID | None]) -> list[UUID]:
    return [agency for agency in agencies if agency is not None]
