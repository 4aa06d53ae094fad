"""An agency's pages: what it was told, what it is about, and its answer."""

import unicodedata
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from gateway.console.live import follow
from gateway.console.parts import Agency, Console, InConsole, OwnForm, PageRoute, Visitor, read_form
from gateway.console.rendering import page, render
from gateway.domain.fanout import Receipt
from gateway.domain.inbox import Content, Notice, in_reading_order
from gateway.errors import ServiceRefused

router = APIRouter(prefix="/console/inbox", route_class=PageRoute, include_in_schema=False)

INBOX_SECONDS = 2.0
LONGEST_NAME = 200
LONGEST_REASON = 500
STATUSES = ("received", "accepted", "rejected")


async def _list(console: Console, visitor: Visitor, *, live: bool) -> dict[str, Any]:
    notices = await console.inbox.list_notices(visitor.known())
    ordered = in_reading_order(notices)
    return {
        "waiting": [notice for notice in ordered if not notice.is_answered],
        "answered": [notice for notice in ordered if notice.is_answered],
        "unread": sum(notice.is_unread for notice in ordered),
        "now": console.now(),
        "live": live,
    }


@router.get("")
async def list_notices(visitor: Agency, console: InConsole) -> Response:
    """What waits for an answer on top. Reading this list hands its notices over."""
    return page(
        "inbox/list.html", visitor.language, visitor=visitor, **await _list(console, visitor, live=False)
    )


@router.get("/live", response_class=EventSourceResponse)
async def follow_notices(
    request: Request, visitor: Agency, console: InConsole
) -> AsyncIterator[ServerSentEvent]:
    """The same list, whenever it changes."""

    async def show() -> str:
        return render("inbox/_list.html", visitor.language, **await _list(console, visitor, live=True))

    async for event in follow(request, console, show, every=INBOX_SECONDS):
        yield event


@router.get("/{delivery_id}")
async def show_notice(
    delivery_id: UUID, visitor: Agency, console: InConsole, answered: Annotated[str, Query(max_length=1)] = ""
) -> Response:
    """The duties, the clock and the form. The content is not asked for yet."""
    notice = await console.inbox.get_notice(visitor.known(), delivery_id)
    return await _notice(visitor, notice, console, just_answered=answered == "1")


@router.get("/{delivery_id}/content")
async def open_content(delivery_id: UUID, request: Request, visitor: Agency, console: InConsole) -> Response:
    """What the notice is about. Intake records who looked and when, each time."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        # Looking is an act that is recorded: no other site may make this browser do it.
        return RedirectResponse(f"/console/inbox/{delivery_id}", 303)
    bearer = visitor.known()
    notice = await console.inbox.get_notice(bearer, delivery_id)
    try:
        content = await console.inbox.open_content(bearer, notice)
    except ServiceRefused:
        return await _notice(visitor, notice, console, status=409, wrong="inbox.content_refused")
    return await _notice(visitor, notice, console, content=content)


@router.post("/{delivery_id}/answer", dependencies=[OwnForm])
async def answer_notice(delivery_id: UUID, request: Request, visitor: Agency, console: InConsole) -> Response:
    """The agency's answer, by a named person."""
    form = await read_form(request)
    form["reason"] = " ".join(form.get("reason", "").split())  # a receipt's texts are single lines
    bearer = visitor.known()
    notice = await console.inbox.get_notice(bearer, delivery_id)
    flaws = find_flaws(form)
    if flaws:
        return await _notice(visitor, notice, console, status=422, form=form, flaws=flaws)
    receipt = Receipt(
        status=form["status"],
        at=console.now(),
        person={"name": form["name"], "position": form["position"]},
        reference=form.get("reference") or None,
        reason=form.get("reason") or None,
    )
    try:
        await console.inbox.answer(bearer, notice, receipt)
    except ServiceRefused as refused:
        wrong = "inbox.must_sign" if "sign" in refused.kind else "inbox.answer_refused"
        return await _notice(visitor, notice, console, status=409, form=form, wrong=wrong)
    return RedirectResponse(f"/console/inbox/{delivery_id}?answered=1", 303)


def find_flaws(form: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with an answer, by field, as catalogue keys."""
    flaws: dict[str, str] = {}
    if form.get("status") not in STATUSES:
        flaws["status"] = "answer.choose"
    for field, longest in (("name", LONGEST_NAME), ("position", LONGEST_NAME)):
        if not form.get(field):
            flaws[field] = "answer.needed"
        elif not _is_line(form[field], longest):
            flaws[field] = "answer.one_line"
    if form.get("reference") and not _is_line(form["reference"], LONGEST_NAME):
        flaws["reference"] = "answer.one_line"
    if form.get("status") == "rejected" and not form.get("reason"):
        flaws["reason"] = "answer.reason_needed"
    elif not _is_line(form.get("reason", ""), LONGEST_REASON):
        flaws["reason"] = "answer.too_long"
    return flaws


def _is_line(text: str, longest: int) -> bool:
    return len(text) <= longest and not any(unicodedata.category(c).startswith("C") for c in text)


async def _notice(
    visitor: Visitor,
    notice: Notice,
    console: Console,
    *,
    status: int = 200,
    content: Content | None = None,
    form: Mapping[str, str] | None = None,
    flaws: Mapping[str, str] | None = None,
    wrong: str | None = None,
    just_answered: bool = False,
) -> Response:
    return page(
        "inbox/detail.html",
        visitor.language,
        own=await console.inbox.list_own_duties(visitor.known(), notice),
        status=status,
        visitor=visitor,
        notice=notice,
        content=content,
        form=form or {},
        flaws=flaws or {},
        wrong=wrong,
        just_answered=just_answered,
        statuses=STATUSES,
        now=console.now(),
        live=False,
    )
