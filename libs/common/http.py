"""Door 1: the FastAPI app every service starts from, its transaction, its paging, its internal door."""

import base64
import binascii
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from pydantic import BaseModel, Field

from common.bus import Transient
from common.contracts import Event
from common.db import Session
from common.envelope import UnreadableEvent
from common.errors import Invalid, Malformed
from common.health import Check, database_answers, health_router, holds_keys
from common.identity import Principal, require
from common.inbox import Effect, Inbox, Together
from common.parts import Parts
from common.problems import PartAway, add_handlers
from common.reconciling import list_missing
from common.schemas import PROBLEM_RESPONSES, In, Out, Problem, components_of
from common.strict_json import StrictBodies
from common.telemetry import Telemetry
from common.trying import TryAgain, note_one_transaction
from common.weighing import is_publisher, weigh_outbox

MAX_BODY_BYTES = 256 * 1024
Item = TypeVar("Item")


async def _transaction(request: Request) -> AsyncIterator[Session]:
    note_one_transaction(request.scope)
    async with request.app.state.parts.db.transaction() as session:
        yield session


async def _reading(request: Request) -> AsyncIterator[Session]:
    async with request.app.state.parts.db.reading() as session:
        yield session


# scope="function" commits before the answer leaves. FastAPI's default commits after it: the caller
# would read 201 even when the commit then fails. A door with ``Tx`` is one transaction, and calls nobody:
# beaten by another one, it is begun anew (``common.trying``).
Tx = Annotated[Session, Depends(_transaction, scope="function")]
Reading = Annotated[Session, Depends(_reading, scope="function")]


async def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


PartsOf = Annotated[Parts, Depends(_parts)]


class Page(BaseModel, Generic[Item]):
    """A list: ``next`` is the cursor of the page after this one, ``null`` on the last."""

    items: list[Item]
    next: str | None = None


class CursorNotKnown(Invalid):
    """This cursor was not given out by this list."""


def write_cursor(*key: str) -> str:
    """An opaque cursor for the last row's sort key."""
    return base64.urlsafe_b64encode("\x1f".join(key).encode()).decode().rstrip("=")


def read_cursor(cursor: str | None, parts: int) -> tuple[str, ...] | None:
    """The sort key a cursor stands for.

    Raises:
        CursorNotKnown: not one of ours.
    """
    if cursor is None:
        return None
    try:
        key = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split("\x1f")
    except (ValueError, binascii.Error) as error:
        raise CursorNotKnown from error
    if len(key) != parts:
        raise CursorNotKnown
    return tuple(key)


After = Annotated[str | None, Query(alias="after", max_length=400, description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=200, description="rows a page")]


class NotAnEvent(Malformed):
    """This is not an event that this service reads."""


class MissingIn(In):
    """Ids of events that a publisher has had confirmed."""

    ids: list[UUID] = Field(max_length=1000)


class MissingOut(Out):
    """Those that were never taken here."""

    missing: list[UUID]


def events_door() -> APIRouter:
    """``POST /internal/events``: the second way of an event, same inbox, same effect.

    Beside it the publisher's question which of its events were never taken.
    """
    router = APIRouter(prefix="/internal", tags=["internal"], include_in_schema=False)

    @router.post("/events", status_code=204)
    async def take_event(
        request: Request, _caller: Annotated[Principal, Depends(require("service"))]
    ) -> Response:
        inbox: Inbox = request.app.state.inbox
        try:
            await inbox.take(await request.body())
        except UnreadableEvent as error:
            raise NotAnEvent from error
        except Transient as error:
            raise PartAway from error
        return Response(status_code=204)

    @router.post("/events/missing")
    async def list_missing_events(
        body: MissingIn, request: Request, _caller: Annotated[Principal, Depends(require("service"))]
    ) -> MissingOut:
        async with request.app.state.parts.db.reading() as session:
            return MissingOut(missing=await list_missing(session, request.app.state.inbox.service, body.ids))

    return router


class OutboxOut(Out):
    """Whether every event of a service left, and was taken by whoever reads it."""

    service: str
    at: datetime
    holds: bool
    waiting: int = Field(description="events that should have left; at most 1,000 are counted")
    oldest_at: datetime | None = Field(description="when the oldest event that did not leave was written")
    missing: dict[str, int] = Field(description="by reader: events that left and that it never took")


def outbox_door(service: str) -> APIRouter:
    """``GET /v1/conservation/<service>``: whether an event of this service is stuck."""
    router = APIRouter(prefix="/v1/conservation", tags=["operation"])

    @router.get(f"/{service}", summary="Whether every event of this service left and was taken")
    async def weigh_events(
        session: Reading, parts: PartsOf, _caller: Annotated[Principal, Depends(require("operator"))]
    ) -> OutboxOut:
        """Counts and times only; reads what is stored and asks nobody."""
        return OutboxOut.model_validate(await weigh_outbox(session, service, now=parts.now()))

    return router


def create_app(
    parts: Parts,
    *,
    title: str,
    routers: Sequence[APIRouter],
    effects: Mapping[type[Event], Effect | Together] | None = None,
    checks: Mapping[str, Check] | None = None,
    named: Mapping[str, Check] | None = None,
    state: Mapping[str, Any] | None = None,
    shapes: Sequence[type[BaseModel]] = (),
    max_body_bytes: int = MAX_BODY_BYTES,
) -> FastAPI:
    """An app with everything that is the same for all: strict bodies, problems, health, traces.

    Args:
        routers: the service's own.
        effects: what its events do; they get the internal door too.
        checks: what readiness needs beside the database and the service's keys.
        named: what readiness names beside it and does without.
        state: values put on ``app.state`` for the service's own dependencies.
        shapes: bodies that a route reads by hand and names in its description.
    """
    app = FastAPI(
        title=title,
        version="1",
        docs_url=None,
        redoc_url=None,
        telemetry=_native(parts.telemetry),
        responses=PROBLEM_RESPONSES,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.parts = parts
    app.state.tokens = parts.tokens
    app.state.inbox = Inbox(parts.service, parts.db, effects or {}, parts.telemetry, parts.now)
    app.state.checks = {
        "database": lambda: database_answers(parts.db),
        "keys": lambda: holds_keys(parts.keys, parts.service),
        **(checks or {}),
    }
    app.state.named = named or {}
    for name, value in (state or {}).items():
        setattr(app.state, name, value)
    add_handlers(app)
    app.add_middleware(TryAgain)  # inside of the next one, which has read the whole body
    app.add_middleware(StrictBodies, max_bytes=max_body_bytes)
    app.include_router(health_router)
    if effects:
        app.include_router(events_door())
    if is_publisher(parts.service):
        app.include_router(outbox_door(parts.service))
    for router in routers:
        app.include_router(router)
    _describe(app, (Problem, *shapes))
    return app


def _describe(app: FastAPI, shapes: Sequence[type[BaseModel]]) -> None:
    described = app.openapi

    def openapi() -> dict[str, Any]:
        document = described()
        document.setdefault("components", {}).setdefault("schemas", {}).update(components_of(*shapes))
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # the framework's own way to extend the document


def _native(telemetry: Telemetry) -> Any:
    # Its logs carry exception texts and stacks (an identity number came out, measured): off.
    return {
        "tracer_provider": telemetry.provider,
        "tracing": True,
        "meter_provider": telemetry.meters,
        "metrics": True,
        "logs": False,
        "operation_spans": False,
        "auto_configure": False,
        "exclude": _is_health,
    }


def _is_health(scope: Any) -> bool:
    return scope.get("path") in ("/livez", "/readyz", "/metrics")
