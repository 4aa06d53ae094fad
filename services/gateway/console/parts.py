"""What ``app`` hands to the console, who is looking, and how a page refuses."""

import re
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.routing import APIRoute

from common.db import Database
from common.errors import Refusal
from common.telemetry import log
from common.timing import Now
from gateway.console.catalogue import choose
from gateway.console.rendering import page
from gateway.domain.identity import Bearer, Role
from gateway.domain.ports import AffairDesk, AgencyDirectory, AlertDesk, FailureDesk, InboxDesk, TraceStore
from gateway.errors import CrossSite, PageUnknown, RoleNotAllowed, SessionEnded
from gateway.service import sessions
from gateway.service.doorman import Doorman
from gateway.service.standing import Standings

LANGUAGE_COOKIE = "dabyl_language"
MOST_FIELDS = 60

_ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_OWN_PAGE = re.compile(
    rf"/console(?:/(?:alarms|alerts|inbox)(?:/{_ID})?"
    rf"|/duties(?:/{_ID}(?:/(?:{_ID}|conflict|parents|rating|unfounded|withdrawal|correction))?)?"
    r"|/failures(?:/[0-9a-f]{32})?)?"
)
"""Pages of this console. Acts on them are none: one does not come back to an act."""


@dataclass(frozen=True)
class Console:
    """The parts of the pages."""

    db: Database
    now: Now
    doorman: Doorman
    standings: Standings
    alerts: AlertDesk
    inbox: InboxDesk
    affairs: AffairDesk
    failures: FailureDesk
    directory: AgencyDirectory
    traces: TraceStore | None
    session_lifetime: timedelta
    is_secure: bool

    @property
    def session_cookie(self) -> str:
        """Name of the session cookie; over TLS bound to this very host."""
        return "__Host-dabyl_session" if self.is_secure else "dabyl_session"


@dataclass(frozen=True)
class Visitor:
    """Who looks at a page, in which language, and when."""

    language: str
    now: datetime
    bearer: Bearer | None
    path: str

    @property
    def name(self) -> str:
        """What the page calls them: the agency's name, else nothing (the role is named anyway)."""
        names = self.bearer.names if self.bearer else {}
        return names.get(self.language) or names.get("ru") or names.get("kk") or ""

    @property
    def page(self) -> str:
        """Where to come back to: the page, not an act on it (opening content is recorded each time)."""
        found = _OWN_PAGE.match(self.path)
        return found[0] if found else "/console"

    def known(self) -> Bearer:
        """Whoever is signed in; raises ``SessionEnded``."""
        if self.bearer is None:
            raise SessionEnded
        return self.bearer


async def _console(request: Request) -> Console:
    console: Console = request.app.state.console
    return console


InConsole = Annotated[Console, Depends(_console)]


async def bearer_of(request: Request, console: Console) -> Bearer | None:
    """Who is signed in, asked anew: a session taken back, or of a retired agency, ends at the next look."""
    cookie = request.cookies.get(console.session_cookie)
    if not cookie or len(cookie) > 100:
        return None
    async with console.db.reading() as session:
        bearer = await sessions.find_bearer(session, cookie, now=console.now())
    return None if bearer is None else await console.standings.narrow(bearer)


async def _visitor(request: Request, console: InConsole) -> Visitor:
    return Visitor(
        language=language_of(request),
        now=console.now(),
        bearer=await bearer_of(request, console),
        path=request.url.path,
    )


def language_of(request: Request) -> str:
    """The language of the answer."""
    return choose(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language"))


AnyVisitor = Annotated[Visitor, Depends(_visitor)]


def _only(role: Role) -> Callable[[Visitor], Awaitable[Visitor]]:
    async def check(visitor: AnyVisitor) -> Visitor:
        if visitor.known().role is not role:
            raise RoleNotAllowed
        return visitor

    return check


Operator = Annotated[Visitor, Depends(_only(Role.OPERATOR))]
Agency = Annotated[Visitor, Depends(_only(Role.AGENCY))]


async def refuse_cross_site(request: Request) -> None:
    """Let a form pass only when our own page sent it (Fetch Metadata, else Origin).

    A request that carries neither comes from no browser of this decade and is refused as well.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site != "same-origin":
            raise CrossSite
        return
    origin = request.headers.get("origin")
    try:
        is_own = origin is not None and urlsplit(origin).netloc == request.headers.get("host")
    except ValueError as error:  # ``http://[``: no address at all
        raise CrossSite from error
    if not is_own:
        raise CrossSite


OwnForm = Depends(refuse_cross_site)


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form; the first of a repeated one counts. Raises ``PageUnknown`` when it is no form."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise PageUnknown
    try:
        pairs = parse_qsl(
            (await request.body()).decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS,
            errors="strict",
        )  # fmt: skip
    except ValueError as error:
        raise PageUnknown from error
    return {name: value.strip() for name, value in reversed(pairs)}


def safe_next(target: str | None) -> str:
    """A page of this console to go on to; anything else leads to its first page.

    By its form, not by what it must not hold: an address that somebody mistyped must not come back in ours.
    """
    return target if target and _OWN_PAGE.fullmatch(target) else "/console"


class PageRoute(APIRoute):
    """A route whose refusals are pages in the reader's language, not problems for machines."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wraps the framework's own handler."""
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await inner(request)
            except SessionEnded:
                if request.method == "GET" and "text/event-stream" not in request.headers.get("accept", ""):
                    return RedirectResponse(f"/console/sign-in?next={safe_next(request.url.path)}", 303)
                return refusal_page(request, 401)
            except RequestValidationError:
                return refusal_page(request, 404)
            except Refusal as refusal:
                if refusal.status >= 500:
                    log.warning("page_unavailable", error_type=type(refusal).__name__)
                return refusal_page(request, refusal.status)

        return handle


_EXPLAINED = (401, 403, 404, 410, 429, 503)


def refusal_page(request: Request, status: int) -> Response:
    """Says in plain words what went wrong and what to do."""
    return page(
        "refusal.html",
        language_of(request),
        status=status,
        kind=str(status if status in _EXPLAINED else 503 if status >= 500 else 404),
        visitor=None,
        headers={"Retry-After": "5"} if status in (429, 503) else None,
    )
