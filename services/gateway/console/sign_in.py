"""Coming in, going out, and choosing a language."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from fastapi.responses import FileResponse, RedirectResponse, Response

from gateway.console.catalogue import LANGUAGES
from gateway.console.parts import (
    LANGUAGE_COOKIE,
    AnyVisitor,
    Console,
    InConsole,
    OwnForm,
    PageRoute,
    read_form,
    safe_next,
)
from gateway.console.rendering import STATIC, page
from gateway.domain.identity import Bearer, Role
from gateway.errors import PageUnknown, RateExceeded, SignInExpired
from gateway.service import sessions

router = APIRouter(prefix="/console", route_class=PageRoute, include_in_schema=False)

_HOME = {Role.OPERATOR: "/console/alerts", Role.AGENCY: "/console/inbox"}
_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@router.get("")
async def enter(visitor: AnyVisitor) -> Response:
    """Everybody has one first page."""
    home = _HOME.get(visitor.known().role)
    if home is not None:
        return RedirectResponse(home, 303)
    return page("nothing_here.html", visitor.language, visitor=visitor)


@router.get("/sign-in")
async def show_sign_in(
    visitor: AnyVisitor,
    console: InConsole,
    code: Annotated[str | None, Query(max_length=100)] = None,
    next_page: Annotated[str | None, Query(alias="next", max_length=200)] = None,
) -> Response:
    """The form; with a code from a sign-in link, straight in."""
    if code is not None:
        try:
            async with console.db.transaction() as session:
                bearer = await sessions.use_code(session, code, now=console.now())
        except SignInExpired:
            return _form(visitor, next_page, wrong="sign_in.link_used", status=410)
        return await _let_in(console, bearer, "/console")
    return _form(visitor, next_page)


@router.post("/sign-in", dependencies=[OwnForm])
async def sign_in(request: Request, visitor: AnyVisitor, console: InConsole) -> Response:
    """Client id and secret of an agency's or an office's client."""
    form = await read_form(request)
    try:
        client = await console.doorman.find_client(
            form.get("client_id", ""), form.get("client_secret", ""), source=request.state.source
        )
    except RateExceeded:
        return _form(visitor, form.get("next"), wrong="sign_in.too_often", status=429)
    bearer = None if client is None else await console.standings.bearer_of(client)
    if bearer is None:
        return _form(visitor, form.get("next"), wrong="sign_in.wrong", status=401)
    return await _let_in(console, bearer, safe_next(form.get("next")))


@router.post("/sign-out", dependencies=[OwnForm])
async def sign_out(request: Request, console: InConsole) -> Response:
    """Ends the session here and in every other window."""
    cookie = request.cookies.get(console.session_cookie)
    if cookie:
        async with console.db.transaction() as session:
            await sessions.close_session(session, cookie, now=console.now())
    answer = RedirectResponse("/console/sign-in", 303)
    answer.delete_cookie(console.session_cookie, path="/", secure=console.is_secure, httponly=True)
    answer.headers["Clear-Site-Data"] = '"cache"'
    return answer


@router.get("/language/{language}")
async def choose_language(
    language: Annotated[str, InPath(max_length=2)],
    console: InConsole,
    next_page: Annotated[str | None, Query(alias="next", max_length=200)] = None,
) -> Response:
    """Remembers the language and goes back to the page."""
    if language not in LANGUAGES:
        raise PageUnknown
    answer = RedirectResponse(safe_next(next_page), 303)
    answer.set_cookie(
        LANGUAGE_COOKIE,
        language,
        max_age=31_536_000,
        path="/console",
        samesite="lax",
        secure=console.is_secure,
    )
    return answer


@router.get("/static/{version}/{name}")
async def send_static(
    version: Annotated[str, InPath(max_length=20)], name: Annotated[str, InPath(max_length=40)]
) -> Response:
    """Style and script; the address changes with their content."""
    file = STATIC / Path(name).name
    if file.suffix not in _KINDS or not file.is_file() or not version.isalnum():
        raise PageUnknown
    return FileResponse(
        file, media_type=_KINDS[file.suffix], headers={"Cache-Control": "public, max-age=31536000, immutable"}
    )


async def _let_in(console: Console, bearer: Bearer, target: str) -> Response:
    async with console.db.transaction() as session:
        cookie = await sessions.open_session(
            session, bearer, lifetime=console.session_lifetime, now=console.now()
        )
    answer = RedirectResponse(target, 303)
    answer.set_cookie(
        console.session_cookie,
        cookie,
        max_age=int(console.session_lifetime.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=console.is_secure,
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _form(
    visitor: AnyVisitor, target: str | None, *, wrong: str | None = None, status: int = 200
) -> Response:
    return page(
        "sign_in.html",
        visitor.language,
        status=status,
        visitor=visitor,
        wrong=wrong,
        next_page=safe_next(target) if target else "",
    )
